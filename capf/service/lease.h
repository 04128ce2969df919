#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "capf/domain/store.h"

namespace capf::service {

/// So long after a server's death nobody does what it did.
inline constexpr int kLeaseSeconds = 5;
/// How often a server says that it is there still.
inline constexpr std::chrono::milliseconds kLeaseRenewal{1500};

/// Keeps a lease that was taken, for work that may last longer than it: a thread of its own prolongs it until the
/// keeper goes. Whether it was kept all the time shows LeaseStore::hold() in the transaction that ends the work.
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
