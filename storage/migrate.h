#pragma once

#include <span>
#include <string>
#include <string_view>

#include "capf/base/error.h"

namespace capf::storage {

/// A step of the schema, as in storage/migrations when this program was built.
struct Migration {
  int version;  ///< 1, 2, …
  std::string_view name;
  std::string_view sha256;  ///< of the file, in hexadecimal
  std::string_view text;
};

std::span<const Migration> migrations();

/// Brings the database, new or old, to this program's schema: one migration after the other, each in a transaction of
/// its own, one program at a time. Connects as the schema's owner.
/// Errors: SCHEMA_MISMATCH where the database has a migration that this program does not have, or has with other text.
Status migrate(const std::string& owner_conninfo);
/// The same with other migrations.
Status migrate(const std::string& owner_conninfo, std::span<const Migration> steps);

/// Checks that the database has exactly this program's schema: else SCHEMA_MISMATCH, with words that say what to do.
Status check_schema(const std::string& conninfo);
Status check_schema(const std::string& conninfo, std::span<const Migration> steps);

}  // namespace capf::storage
