#include "capf/phone/tally.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace capf::phone {

double percentile(const std::vector<double>& sorted, double percent) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

void Tally::add(const std::string& outcome, std::chrono::duration<double> took) {
  const std::scoped_lock lock(mutex_);
  ++outcomes_[outcome];
  if (outcome == "done") seconds_.push_back(took.count());
}

std::size_t Tally::count(const std::string& outcome) const {
  const std::scoped_lock lock(mutex_);
  const auto at = outcomes_.find(outcome);
  return at == outcomes_.end() ? 0 : at->second;
}

std::size_t Tally::total() const {
  const std::scoped_lock lock(mutex_);
  std::size_t total = 0;
  for (const auto& [outcome, count] : outcomes_) total += count;
  return total;
}

std::string Tally::words(std::chrono::duration<double> elapsed, std::chrono::duration<double> processor) const {
  const std::size_t all = total();
  const std::scoped_lock lock(mutex_);
  std::vector<double> sorted = seconds_;
  std::sort(sorted.begin(), sorted.end());
  char text[256];
  std::snprintf(text, sizeof text,
                "phones=%zu done=%zu seconds=%.3f rate=%.1f/s cpu=%.3f\nlatency p50=%.3f p90=%.3f p99=%.3f p99.9=%.3f "
                "max=%.3f seconds\n",
                all, sorted.size(), elapsed.count(),
                elapsed.count() > 0 ? static_cast<double>(sorted.size()) / elapsed.count() : 0, processor.count(),
                percentile(sorted, 50), percentile(sorted, 90), percentile(sorted, 99), percentile(sorted, 99.9),
                sorted.empty() ? 0 : sorted.back());
  std::string lines = text;
  for (const auto& [outcome, count] : outcomes_) lines += "outcome " + outcome + " " + std::to_string(count) + "\n";
  return lines;
}

}  // namespace capf::phone
