#pragma once

#include <chrono>
#include <memory>

#include "capf/base/metrics.h"
#include "capf/base/time.h"
#include "capf/ca/token.h"
#include "capf/ca/vault.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/endpoints.h"
#include "capf/daemon/gauges.h"
#include "capf/daemon/secrets_files.h"
#include "capf/daemon/site.h"
#include "capf/domain/database.h"

namespace capf::daemon {

/// The surroundings of a server, which outlive it.
struct Surroundings {
  const Configuration& configuration;
  Database& database;  ///< for phones and relying parties
  Database& reserved;  ///< the same one by connections that those cannot use up: for administrators and regular work
  const Clock& clock;
  Metrics& metrics;
  PoolReading read_pool;
  const SiteFiles& files;
  const Secret& passphrase;  ///< of the keys
  const ca::SigningKey& audit_key;
  const ca::Vault& vault;
  SecretsFiles& secrets_files;
  ca::Tokens& tokens;
  /// Whether SealStore::adopt_cluster() has run for this cluster; false on a standby.
  bool adopted = true;
};

/// The whole server: services, listeners, and the threads of the regular work. Listens when start() returns.
class Server {
 public:
  /// Errors besides those of the listeners: those of opening the issuers' keys.
  static Result<std::unique_ptr<Server>> start(const Surroundings& surroundings, Secrets secrets);
  virtual ~Server() = default;

  virtual const Endpoints& endpoints() const = 0;
  /// Refuses new calls, lets running ones end within `patience`, then stops everything.
  virtual void stop(std::chrono::milliseconds patience) = 0;
};

}  // namespace capf::daemon
