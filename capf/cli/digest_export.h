#pragma once

#include <optional>

#include "capf/cli/secret_file.h"
#include "capf/exports/export.h"
#include "capf/v1/admin.pb.h"

namespace capf::cli {

/// Writes the rows of ExportDigestUsers, in which those of one user follow each other, user by user.
class DigestExport {
 public:
  DigestExport(exports::Format format, SecretFile& file) : format_(format), file_(file) {}

  Status begin() { return file_.write(exports::begin_of(format_)); }
  /// Takes the row, and wipes its secrets. Errors: INVALID_REQUEST, with the user whom the format cannot say.
  Status add(v1::DigestExportRow& row);
  Status finish();

  std::int64_t users() const { return users_; }
  std::int64_t phones() const { return phones_; }

 private:
  Status write_user();

  exports::Format format_;
  SecretFile& file_;
  std::optional<exports::User> user_;  ///< whose rows may not be over
  std::int64_t users_ = 0;
  std::int64_t phones_ = 0;
};

}  // namespace capf::cli
