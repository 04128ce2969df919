#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "capf/base/file.h"
#include "capf/ca/crl.h"
#include "capf/domain/crl_store.h"
#include "capf/domain/database.h"

namespace capf::service {

/// A CRL as this server has it.
struct PublishedCrl {
  CrlShard shard;
  ca::CrlTerms terms;
  std::uint64_t size = 0;
  Sha256 sha256{};
  File file;
};

/// The newest CRL of each shard, as files beside the keys: this server serves them, also without its database, and the
/// database must not be behind them. Threads: any.
class PublishedCrls {
 public:
  /// @param folder is made with mode 0700 where it is not there.
  /// Errors: SECRET_EXPOSED, CRL_CHECK_FAILED for a file that is not whole, with its name.
  static Result<std::unique_ptr<PublishedCrls>> open(const std::filesystem::path& folder);

  /// Nothing where no CRL was published yet.
  std::shared_ptr<const PublishedCrl> find(const CrlShard& shard) const;
  std::vector<CrlMark> marks() const;
  std::vector<std::shared_ptr<const PublishedCrl>> all() const;
  /// Checks that the database is as far as this server's files: one that was restored, or a standby that is too far
  /// back, would undo revocations. The caller must then issue nothing. Errors: DATABASE_BEHIND.
  Status check(Transaction& tx) const;

  /// Where the next CRL of a shard is written before it is put in place.
  std::filesystem::path path_aside(const CrlShard& shard) const;
  /// The file of the newest CRL of a shard.
  std::filesystem::path path(const CrlShard& shard) const;
  /// Puts the file at path_aside() in place.
  Status take(const CrlShard& shard);

 private:
  explicit PublishedCrls(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Status load(const CrlShard& shard);

  const std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::map<CrlShard, std::shared_ptr<const PublishedCrl>> newest_;
};

/// Stores a CRL's octets beside its row.
Status store_pieces(Transaction& tx, const CrlRecord& record, const File& file);

}  // namespace capf::service
