#include "capf/daemon/sealing.h"

#include "capf/domain/seal_store.h"

namespace capf::daemon {

void Sealing::check() {
  journal_complaint_.report(journal_.follow());
  report(sealer_.check());
}

void Sealing::run() {
  if (const Status adopted = adopt(); !adopted) return report(tl::unexpected<Error>(adopted.error()));
  journal_complaint_.report(journal_.follow());
  report(sealer_.run());
}

Status Sealing::adopt() {
  if (adopted_) return {};
  CAPF_LET(const bool moved, in_write(database_, [](Transaction& tx) { return tx.seals().adopt_cluster(); }));
  adopted_ = true;
  if (moved) log_warning("database.moved");
  return {};
}

void Sealing::report(const Result<std::optional<AuditSeal>>& last) {
  metrics_.set_database_behind(!high_water_.check());
  report_database(last ? std::nullopt : std::optional(last.error().reason));
  complaint_.report(last);
  if (!last || !*last) return;
  metrics_.set_seal((*last)->number, (*last)->sealed_at);
  clock_.set("the last seal", (*last)->sealed_at);
}

void Sealing::report_database(std::optional<Reason> reason) {
  metrics_.set_database_up(reason != Reason::kDatabaseUnavailable);
  if (reason == Reason::kDatabaseUnavailable) return;
  const bool read_only = reason == Reason::kDatabaseReadOnly;
  metrics_.set_database_read_only(read_only);
  if (read_only && !read_only_) log_warning("database.read_only");
  if (!read_only && read_only_) log_info("database.writable");
  read_only_ = read_only;
}

}  // namespace capf::daemon
