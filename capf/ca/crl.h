#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <botan/rng.h>

#include "capf/base/file.h"
#include "capf/ca/key.h"
#include "capf/domain/issuer.h"
#include "capf/domain/revocation.h"

// Certificate revocation lists, RFC 5280 5: version 2, complete for their scope, in files: one of a million entries has
// some 40 MB, so it is read and written piece by piece.

namespace capf::ca {

/// The fields of a CRL beside its entries.
struct CrlTerms {
  std::int64_t number = 0;
  TimePoint this_update;  ///< whole seconds
  TimePoint next_update;
  /// Its distribution point, exactly as in the certificates; empty for a CRL with all certificates of its issuer, which
  /// needs no issuingDistributionPoint: some libraries do not know that critical extension.
  std::string url;

  bool operator==(const CrlTerms&) const = default;
};

/// Makes one CRL. Errors: INTERNAL where it cannot be written. Threads: one.
class CrlBuilder {
 public:
  /// @param path of the CRL to be made; until finish() its entries are in a nameless file in the same folder.
  static Result<CrlBuilder> begin(const std::filesystem::path& path);

  /// In the order of their serial numbers, each once.
  Status add(const Revocation& revocation);
  /// Signs the CRL, writes it, and syncs it to disk.
  Status finish(const CrlTerms& terms, const IssuerRecord& issuer, const SigningKey& key,
                Botan::RandomNumberGenerator& random);

 private:
  CrlBuilder(std::filesystem::path path, File entries) : path_(std::move(path)), entries_(std::move(entries)) {}
  Status flush();

  std::filesystem::path path_;
  File entries_;
  Bytes buffer_;
  std::uint64_t entries_size_ = 0;
  std::optional<std::chrono::sys_days> day_;  ///< of the time that was written last
  std::string day_digits_;                    ///< the same as YYMMDD or YYYYMMDD
};

/// Reads one of our own CRLs from a file. Errors: CRL_CHECK_FAILED for any other file. Threads: one.
class CrlReader {
 public:
  static Result<CrlReader> open(const std::filesystem::path& path);

  const CrlTerms& terms() const { return terms_; }
  std::uint64_t size() const { return size_; }
  /// The next entry; nothing behind the last one. Serial numbers ascend.
  Result<std::optional<Revocation>> next();
  /// Checks that it is this issuer's (name, key identifier, signature) and has only the fields that our CRLs have.
  Status check_issuer(const IssuerRecord& issuer) const;
  /// Of the whole file.
  Result<Sha256> digest() const;

 private:
  struct Element;
  explicit CrlReader(File file) : file_(std::move(file)) {}
  Status read_frame();
  Result<Element> element_at(std::uint64_t offset, std::uint64_t end) const;
  Result<Bytes> small_element(std::uint64_t& offset, std::uint64_t end, std::uint8_t tag) const;

  File file_;
  std::uint64_t size_ = 0;
  CrlTerms terms_;
  std::uint64_t tbs_begin_ = 0;  ///< header included
  std::uint64_t tbs_end_ = 0;
  Bytes algorithm_;
  Bytes issuer_;
  Bytes extensions_;  ///< whole [0]
  Bytes signature_;
  std::uint64_t at_ = 0;  ///< of the next entry
  std::uint64_t entries_end_ = 0;
  Bytes window_;
  std::uint64_t window_begin_ = 0;
  std::optional<SerialNumber> last_;
};

}  // namespace capf::ca
