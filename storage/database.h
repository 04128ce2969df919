#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capf/domain/database.h"
#include "storage/conninfo.h"
#include "storage/rounds.h"
#include "storage/runner.h"

namespace capf::storage {

struct DatabaseSettings {
  std::string conninfo;
  int connections = 16;
  int rounds =
      1;  ///< of each kind at a time (looks, writes, strings); they use 3 * rounds + 5 connections of their own
  std::chrono::milliseconds wait{5'000};    ///< for a free connection
  std::chrono::milliseconds life{300'000};  ///< of a connection, about
  SessionLimits limits;
};

/// PostgreSQL, through a pool of connections. Connections are made when they are needed: a database that is away does
/// not hinder the start, and is used again when it is back. Threads: any.
class PostgresDatabase final : public Database {
 public:
  /// Errors: as check_conninfo().
  static Result<std::unique_ptr<PostgresDatabase>> open(const DatabaseSettings& settings);

  Status write(const std::function<Status(Transaction&)>& work) override;
  Status read(const std::function<Status(Transaction&)>& work) override;
  Status look(const std::function<Status(Transaction&)>& work) override;
  PostgresRounds& rounds() override { return rounds_; }

  /// Whether the database answers. OVERLOADED where no connection is free for a second.
  Status ping();
  /// Settings of the cluster with which a crash may lose commits; a session cannot change them.
  Result<std::vector<std::string>> not_durable();
  PoolUse use() const { return runner_.use(); }

 private:
  PostgresDatabase(LinkSettings link, LinkSettings link_of_rounds, const DatabaseSettings& settings);

  Runner runner_;
  PostgresRounds rounds_;
};

}  // namespace capf::storage
