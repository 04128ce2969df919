#include "capf/service/lease.h"

#include <system_error>
#include <utility>

#include "capf/base/contained.h"
#include "capf/base/log.h"
#include "capf/domain/lease_store.h"

namespace capf::service {

LeaseKeeper::LeaseKeeper(Database& database, std::string name, std::string holder)
    : database_(database), name_(std::move(name)), holder_(std::move(holder)) {
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::system_error& error) {
    log_warning("thread.refused", {{"cause", error.what()}, {"lease", name_}});
  }
}

LeaseKeeper::~LeaseKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::loop() {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kLeaseRenewal, [this] { return stopping_; })) {
    lock.unlock();
    run_contained("work.failed", [this] {
      const auto held =
          in_write(database_, [this](Transaction& tx) { return tx.leases().hold(name_, holder_, kLeaseSeconds); });
      if (!held) log_warning("lease.not_kept", held.error(), {{"name", name_}});
      if (held && !*held) log_warning("lease.lost", {{"name", name_}});
    });
    lock.lock();
  }
}

}  // namespace capf::service
