#pragma once

#include <map>
#include <mutex>

#include "capf/base/address.h"
#include "capf/base/time.h"
#include "capf/domain/database.h"
#include "capf/domain/phone_fetch.h"
#include "capf/files/name.h"
#include "capf/service/phone_file.h"

namespace capf::service {

/// The files that phones have fetched since they were last written into the database. Threads: any.
class FetchNotes {
 public:
  explicit FetchNotes(Database& database) : database_(database) {}

  /// Of a file that belongs to one device; others are left out, and so is one where too many devices wait. Does not
  /// block.
  void add(const files::FileRequest& request, const PhoneFile& file, const Address& peer, TimePoint at);
  /// Writes all of them, batch by batch. A batch that cannot be written waits for the next time. Threads: one.
  Status write();

 private:
  using Notes = std::map<DeviceName, PhoneFetch>;
  Notes take_batch();
  void put_back(Notes notes);

  Database& database_;
  std::mutex mutex_;
  Notes notes_;
};

}  // namespace capf::service
