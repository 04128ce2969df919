#include "capf/daemon/jobs.h"

namespace capf::daemon {

std::function<std::chrono::milliseconds()> every(std::chrono::milliseconds period, std::function<void()> work) {
  return [period, work = std::move(work)] {
    work();
    return period;
  };
}

void Jobs::start(Job job) { running_.emplace_back(std::move(job)); }

void Jobs::stop() {
  for (; !running_.empty(); running_.pop_back()) {
    Running& last = running_.back();
    if (last.job.hurry) last.job.hurry();
    last.ticker.stop();
    if (last.job.leave) last.job.leave();
  }
}

}  // namespace capf::daemon
