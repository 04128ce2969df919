#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/rpc/server.h"

// The certificates of the phones' port: "wire", "wire-2", "wire-3". Desk phones pin the one that is shown in their
// trust lists, so the next one is kept beside it until every phone trusts both. Their keys are files of each server, so
// these are commands on the machine, as `capfd rekey-passphrase` is.

namespace capf::daemon {

/// The name of the one that this server shows. Errors: INVALID_CONFIGURATION.
Result<std::string> shown_wire(const SiteFiles& files);
/// The certificates that phones are to trust, "wire-ec" among them: those that are shown first, RSA before EC. One that
/// cannot be read is left out.
std::vector<rpc::WireCertificate> trusted_wire(const SiteFiles& files);

/// `capfd wire-certificate add|activate|remove` on the machine. Each change is on record.
/// @return words for people. Errors: those of Machine::open(); INVALID_REQUEST for a name that is not there or in use.
class WireCertificates {
 public:
  WireCertificates(const Configuration& configuration, const std::optional<std::string>& passphrase, const Clock& clock)
      : configuration_(configuration), passphrase_(passphrase), clock_(clock) {}

  /// @param days 1 to 36500
  Result<std::string> add(int days, Botan::RandomNumberGenerator& random) const;
  Result<std::string> activate(const std::string& name) const;
  Result<std::string> remove(const std::string& name) const;

 private:
  const Configuration& configuration_;
  const std::optional<std::string>& passphrase_;
  const Clock& clock_;
};

}  // namespace capf::daemon
