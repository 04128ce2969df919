#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "capf/domain/database.h"

namespace capf::service {

/// Of the server that does the regular work of the site.
inline constexpr const char* kMaintenanceLease = "maintenance";
/// After a server's death its jobs rest for so long.
inline constexpr int kLeaseSeconds = 5;
/// How often a server renews its leases.
inline constexpr std::chrono::milliseconds kLeaseRenewal{1500};

/// Keeps a lease that was taken, for work that may last longer than it: a thread of its own prolongs it until the
/// keeper goes. Where the system gives no thread, the lease ends in its time. LeaseStore::hold(), in the transaction
/// that ends the work, says whether it was kept all the time.
class LeaseKeeper {
 public:
  LeaseKeeper(Database& database, std::string name, std::string holder);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

 private:
  void loop();

  Database& database_;
  const std::string name_;
  const std::string holder_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace capf::service
