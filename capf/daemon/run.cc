#include "capf/daemon/run.h"

#include <functional>

#include <botan/system_rng.h>
#include <unistd.h>

#include "capf/base/endpoint.h"
#include "capf/base/lines.h"
#include "capf/base/log.h"
#include "capf/base/metrics.h"
#include "capf/base/secret.h"
#include "capf/base/version.h"
#include "capf/daemon/audit_key.h"
#include "capf/daemon/endpoints.h"
#include "capf/daemon/host.h"
#include "capf/daemon/issuers.h"
#include "capf/daemon/notify.h"
#include "capf/daemon/rekey.h"
#include "capf/daemon/renewal.h"
#include "capf/daemon/secrets_files.h"
#include "capf/daemon/server.h"
#include "capf/daemon/site.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/seal_store.h"
#include "capf/net/descriptors.h"
#include "storage/database.h"
#include "storage/migrate.h"

namespace capf::daemon {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{250};
constexpr milliseconds kLongestPause{2000};
constexpr milliseconds kDrainPatience{2500};
constexpr std::chrono::seconds kStopLimit{8};
constexpr std::size_t kLongestReadyLine = 4096;
constexpr milliseconds kPatienceWithReader{1000};  // also where standard output is not read
constexpr int kReservedConnections = 4;            // beside those of the pool

/// Tries again, with growing pauses, while the database cannot be reached. Errors: SHUTTING_DOWN after a signal.
Status with_patience(Signals& signals, const std::function<Status()>& work) {
  bool logged = false;
  for (auto pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    const Status status = work();
    if (status || status.error().reason != Reason::kDatabaseUnavailable) return status;
    if (!logged) log_warning("database.waiting", status.error());
    logged = true;
    // Extends the service manager's timeout for the start.
    notify_service_manager("EXTEND_TIMEOUT_USEC=90000000\nSTATUS=waiting for the database");
    if (signals.stop_within(pause)) return fail(Reason::kShuttingDown);
  }
}

std::string absence(const std::string& address, const std::string& waited) {
  return "cannot listen on " + address + ": this machine does not have it, after " + waited +
         " (listen.patience_seconds)";
}

/// Waits for the addresses to listen on, because a machine may get them later than its server starts.
Status wait_for_addresses(const Configuration& configuration, Signals& signals) {
  const auto end = std::chrono::steady_clock::now() + configuration.listen_patience;
  for (const Listener* listener :
       {&configuration.wire_listener, &configuration.tvs_listener, &configuration.files_listener,
        &configuration.files_tls_listener, &configuration.phone, &configuration.admin, &configuration.status_listener,
        &configuration.metrics}) {
    if (!listener->enabled) continue;
    for (const std::string& text : listener->addresses) {
      CAPF_LET(const Address address, Address::parse(text));
      bool logged = false;
      while (!is_of_this_machine(address)) {
        const std::string seconds = std::to_string(configuration.listen_patience.count()) + " s";
        if (std::chrono::steady_clock::now() >= end) {
          return fail(Reason::kInvalidConfiguration, absence(text, seconds));
        }
        if (!logged)
          log_warning("listen.waiting", {{"address", text}, {"words", "not this machine's yet: up to " + seconds}});
        logged = true;
        notify_service_manager("EXTEND_TIMEOUT_USEC=90000000\nSTATUS=waiting for the address " + text);
        if (signals.stop_within(kFirstPause)) return fail(Reason::kShuttingDown);
      }
    }
  }
  return {};
}

/// Locks the keys, so that their passphrase does not change while they are opened. Nothing where there are no keys.
Result<std::optional<FolderLock>> lock_keys(const SiteFiles& files) {
  std::error_code error;
  std::optional<FolderLock> locked;
  if (!std::filesystem::is_directory(files.keys(), error)) return locked;
  CAPF_LET(FolderLock lock, FolderLock::take(files.keys()));
  locked.emplace(std::move(lock));
  return locked;
}

Status check_site(Database& database) {
  CAPF_LET(const auto issuer, in_read(database, [](Transaction& tx) { return tx.issuers().active_id(); }));
  if (issuer) return {};
  return fail(Reason::kNoSite, "the database has no site; 'capfd init' makes one with its state directory");
}

}  // namespace

Status migrate(const Configuration& configuration, Signals& signals) {
  CAPF_TRY(with_patience(signals, [&] { return storage::migrate(configuration.database.owner); }));
  log_info("schema.ready");
  return {};
}

Status run(const Configuration& configuration, const std::optional<std::string>& passphrase, Signals& signals) {
  if (net::raise_descriptor_limit().refused) log_warning("descriptors.limited");  // each phone holds one
  log_info("server.starting", {{"version", version()}, {"state", configuration.state_directory.string()}});
  const SiteFiles files{configuration.state_directory};
  CAPF_LET(const FolderLock lock, FolderLock::take(files.root));
  auto keys_locked = lock_keys(files);
  if (!keys_locked) return fail(keys_locked.error());
  CAPF_TRY(finish_rekeying(files, configuration.passphrase));
  CAPF_LET(const Secret opened, read_secret(passphrase.value_or(configuration.passphrase)));
  CAPF_LET(auto access, token_access(configuration.token));

  const SystemClock clock;
  Metrics metrics;
  storage::DatabaseSettings settings;
  settings.conninfo = configuration.database.server;
  settings.connections = configuration.database.pool_size;
  CAPF_LET(const auto database, storage::PostgresDatabase::open(settings));
  settings.connections = kReservedConnections;
  CAPF_LET(const auto reserved, storage::PostgresDatabase::open(settings));
  bool adopted = true;
  const Status found = with_patience(signals, [&]() -> Status {
    CAPF_TRY(storage::check_schema(settings.conninfo));
    CAPF_TRY(check_site(*database));
    const auto moved = in_write(*database, [](Transaction& tx) { return tx.seals().adopt_cluster(); });
    adopted = moved.has_value();
    if (!moved && moved.error().reason != Reason::kDatabaseReadOnly) return fail(moved.error());
    if (moved && *moved) log_warning("database.moved");
    CAPF_LET(const auto settings_off, database->not_durable());
    for (const std::string& setting : settings_off) {
      log_warning("database.not_durable",
                  {{"setting", setting}, {"words", "what was committed may be lost by a crash"}});
    }
    return {};
  });
  CAPF_TRY(found);
  CAPF_LET(Secrets secrets, open_secrets(files, opened));
  CAPF_LET(const auto audit_key, open_audit_key(files, opened, *database));
  ca::Vault vault;
  SecretsFiles secrets_files(files, opened, *reserved, vault);
  CAPF_TRY(secrets_files.open(Botan::system_rng()));

  for (const std::string& doubt : doubts_of(configuration)) log_warning("configuration.doubtful", {{"words", doubt}});
  if (const auto words = foreign_names(configuration)) log_warning("server.certificate_names", {{"words", *words}});
  CAPF_TRY(wait_for_addresses(configuration, signals));

  ca::Tokens tokens(std::move(access));
  const PoolReading read_pool = [&database](Metrics& numbers) {
    const auto use = database->use();
    numbers.set_pool(use.size, use.in_use, use.waiting);
    const storage::PostgresRounds& rounds = database->rounds();
    numbers.set_rounds(rounds.use().in_use, static_cast<std::int64_t>(rounds.waiting()));
  };
  CAPF_LET(const auto server, Server::start({configuration, *database, *reserved, clock, metrics, read_pool, files,
                                             opened, *audit_key, vault, secrets_files, tokens, adopted},
                                            std::move(secrets)));
  keys_locked->reset();
  {
    CAPF_LET(const auto endpoints_file, EndpointsFile::write(files.endpoints(), server->endpoints()));
    LineQueue output(STDOUT_FILENO, kLongestReadyLine);
    output.push(server->endpoints().ready_line());
    output.flush(kPatienceWithReader);
    notify_service_manager("READY=1\nSTATUS=");
    log_info("server.ready", {{"wire", server->endpoints().wire.value_or("")},
                              {"phone", server->endpoints().phone.value_or("")},
                              {"admin", server->endpoints().admin.value_or("")},
                              {"status", server->endpoints().status.value_or("")},
                              {"metrics", server->endpoints().metrics.value_or("")},
                              {"calls", server->endpoints().calls.value_or("")},
                              {"tvs", server->endpoints().tvs.value_or("")},
                              {"files", server->endpoints().files.value_or("")},
                              {"files_tls", server->endpoints().files_tls.value_or("")}});
    signals.wait_for_stop();
  }
  Signals::end_within(kStopLimit);
  notify_service_manager("STOPPING=1");
  log_info("server.stopping");
  server->stop(kDrainPatience);
  log_info("server.stopped");
  return {};
}

}  // namespace capf::daemon
