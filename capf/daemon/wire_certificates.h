#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/ca/certificate.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/rpc/server.h"

// The certificates of the ports that phones know by their trust lists: "wire", "wire-2", "wire-3" of the CAPF protocol,
// "tvs", "tvs-2" of the Trust Verification Service. Phones pin the one that is shown, so the next one is kept beside it
// until every phone trusts both. Their keys are files of each server, so these are commands on the machine, as
// `capfd rekey-passphrase` is.

namespace capf::daemon {

/// A port whose certificates phones pin.
struct PinnedPort {
  std::string first;    ///< the name of the first one: "wire"; the second one is "wire-2"
  std::string words;    ///< "wire certificate"
  std::string command;  ///< "wire-certificate"
  std::string action;   ///< of the record: "wire_certificate"
  std::string shows;    ///< who shows it: "The phones' port of this machine"
  std::string unit;     ///< the OU of its subject, where it has one of the site's host; may be empty
};
const PinnedPort& wire_pinned();
const PinnedPort& tvs_pinned();

/// The name of the one that this server shows. Errors: INVALID_CONFIGURATION.
Result<std::string> shown_on(const PinnedPort& port, const SiteFiles& files);
Result<std::string> shown_wire(const SiteFiles& files);
/// The names that are there, by their numbers.
std::vector<std::string> names_of(const PinnedPort& port, const SiteFiles& files);
/// The certificates that phones are to trust, "wire-ec" among them: those that are shown first, RSA before EC. One that
/// cannot be read is left out.
std::vector<rpc::WireCertificate> trusted_wire(const SiteFiles& files);

/// `capfd wire-certificate add|activate|remove`, and `capfd tvs-certificate …`, on the machine. Each change is on
/// record.
/// @return words for people. Errors: those of Machine::open(); INVALID_REQUEST for a name that is not there or in use.
class WireCertificates {
 public:
  WireCertificates(const Configuration& configuration, const std::optional<std::string>& passphrase, const Clock& clock,
                   const PinnedPort& port = wire_pinned())
      : configuration_(configuration), passphrase_(passphrase), clock_(clock), port_(port) {}

  /// @param days 1 to 36500
  Result<std::string> add(int days, Botan::RandomNumberGenerator& random) const;
  Result<std::string> activate(const std::string& name) const;
  Result<std::string> remove(const std::string& name) const;

 private:
  /// Empty where the port has no form of its own.
  std::string subject() const;
  std::string first_words(const SiteFiles& files, const ca::CertificateFacts& facts) const;

  const Configuration& configuration_;
  const std::optional<std::string>& passphrase_;
  const Clock& clock_;
  const PinnedPort& port_;
};

}  // namespace capf::daemon
