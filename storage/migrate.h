#pragma once

#include <chrono>
#include <optional>
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

/// The oldest schema whose servers may run while the migration is applied, and after it: 19 where the text begins with
/// the line "-- beside servers from migration 19 on". Nothing where all servers must stop.
std::optional<int> beside_from(const Migration& migration);

/// How long a step beside running servers waits for its locks. Everybody else who needs the table queues behind it.
struct Patience {
  std::chrono::milliseconds lock{2'000};   ///< for one lock
  std::chrono::milliseconds pause{3'000};  ///< between two tries
  int tries = 60;
};

/// Brings the database, new or old, to this program's schema, one migration after the other, one program at a time.
/// Connects as the schema's owner. An ordinary migration is one transaction. One that runs beside servers is a list of
/// steps, separated by empty lines: each is a transaction of its own and waits for locks as `patience` says, except
/// "create index concurrently", which no transaction can hold and nobody waits for. A migration that was cut off goes
/// on with the first step that is not done; what is left of an index that was being built is built again.
/// Errors: SCHEMA_MISMATCH where the database has a migration that this program does not have, or has with other text;
/// OVERLOADED where a step did not get its locks, or another program migrates for more than an hour.
Status migrate(const std::string& owner_conninfo);
/// The same with other migrations.
Status migrate(const std::string& owner_conninfo, std::span<const Migration> steps, const Patience& patience = {});

/// Checks that the database has this program's schema, or a newer one beside which its servers may run: else
/// SCHEMA_MISMATCH, with words that say what to do.
Status check_schema(const std::string& conninfo);
Status check_schema(const std::string& conninfo, std::span<const Migration> steps);

}  // namespace capf::storage
