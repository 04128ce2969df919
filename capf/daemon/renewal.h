#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/domain/database.h"

// The certificates of the gRPC ports and of the site CA, made again. Each keeps its key: one file is replaced by one
// rename, so that no crash leaves a certificate beside another one's key, and clients that trust the former site CA
// go on until it ends.

namespace capf::daemon {

inline constexpr std::chrono::hours kSiteCaValidity{24 * 7300};
inline constexpr std::chrono::hours kServerValidity{24 * 3650};

/// The names of the server's certificate: those of this machine, and the one that phones use.
std::vector<std::string> server_hosts(const std::string& public_host);
/// Words for an administrator where the server's certificate does not name the public host. Nothing where it does, or
/// where there is no certificate that can be read.
std::optional<std::string> foreign_names(const Configuration& configuration);

/// From when on a server renews its certificate by itself: its last third. Nothing where the site CA has not signed
/// it, and where the site CA ends with it, so that a new one would end at the same time.
/// @param server, site_ca DER
std::optional<TimePoint> renews_at(BytesView server, BytesView site_ca);

/// Where something is renewed, when, and who does it.
struct Renewal {
  const SiteFiles& files;
  Database& database;
  const Clock& clock;
  Actor actor;
  Botan::RandomNumberGenerator& random;
};
/// A certificate for the server's key with the names of today, for ten years, under the site CA; on record.
/// @return DER, with the site CA's. Errors: CLOCK_SKEW, ISSUER_EXPIRED, those of the database and of writing.
Result<std::vector<Bytes>> renew_server(const Renewal& renewal, const Identity& site_ca, const ca::SigningKey& server,
                                        const std::string& public_host);
/// A certificate for the site CA's key, for twenty years, in front of the former ones that have not ended, of which
/// the two oldest are kept; on record.
/// @return DER. Errors: CLOCK_SKEW, those of the database and of writing.
Result<std::vector<Bytes>> renew_site_ca(const Renewal& renewal, const Identity& site_ca);

/// `capfd certificate renew server|site-ca` on the machine. @param what "server" or "site-ca", which renews the
/// server's too. @return words for people. Errors: those of Machine::open(), and of the above.
Result<std::string> renew_certificate(const Configuration& configuration, const std::string& what,
                                      const std::optional<std::string>& passphrase, const Clock& clock,
                                      Botan::RandomNumberGenerator& random);

}  // namespace capf::daemon
