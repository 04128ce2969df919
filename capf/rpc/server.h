#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/metrics.h"
#include "capf/base/secret.h"
#include "capf/base/time.h"
#include "capf/net/connections.h"
#include "capf/rpc/admission/limiter.h"
#include "capf/rpc/admission/open_calls.h"
#include "capf/rpc/readiness.h"

namespace capf::service {
class Addresses;
class Administrators;
class Attempts;
class Calls;
class Campaigns;
class Certificates;
class Checker;
class Configurations;
class DigestUsers;
class Enrolment;
class FileExports;
class Issuers;
class LineSurvey;
class Monitor;
class Moving;
class Operations;
class Phones;
class Profiles;
class Records;
class Recovery;
class SharedLines;
class Trust;
class TrustLists;
class TrustedCertificates;
}  // namespace capf::service

namespace capf::rpc {

/// A certificate of the phones' port.
struct WireCertificate {
  std::string name;  ///< of its files: "wire", "wire-2", "wire-ec"
  bool shown = false;
  Bytes der;
};

/// The use cases that calls reach. Everything outlives the servers.
struct UseCases {
  service::Enrolment& enrolment;
  service::Phones& phones;
  service::Profiles& profiles;
  service::SharedLines& lines;
  const service::LineSurvey& line_survey;
  service::Addresses& addresses;
  service::DigestUsers& digest_users;
  service::Calls& calls;
  service::Operations& operations;
  service::Campaigns& campaigns;
  service::Certificates& certificates;
  service::Checker& checker;
  service::Configurations& configurations;
  service::Trust& trust;
  service::TrustedCertificates& trusted_certificates;
  service::TrustLists& trust_lists;
  service::FileExports& file_exports;
  service::Moving& moving;
  service::Issuers& issuers;
  service::Administrators& administrators;
  service::Attempts& attempts;
  service::Records& records;
  service::Recovery& recovery;
  service::Monitor& monitor;
  Readiness& readiness;
  Metrics& metrics;
  const Clock& clock;
  /// For ListIssuers: what phones are to trust on the wire, those that are shown first.
  std::function<std::vector<WireCertificate>()> wire_certificates{[] { return std::vector<WireCertificate>{}; }};
  /// It stands in the state directory: a caller who says it has access to the machine. Empty: nobody can say it.
  const Secret& recovery_word;
};

struct ListenSettings {
  /// "127.0.0.1:3805", "[::1]:3805". Port 0 takes a free one, the same for every address.
  std::vector<std::string> addresses;
  Bytes certificate_pem;  ///< the server's, with its chain
  Secret key_pem;         ///< PKCS #8, not encrypted
  /// On the administrators' port: the site CAs, under one of which each client's certificate must be, PEM.
  Bytes client_authorities_pem{};
  std::vector<Network> proxies{};  ///< connections from there begin with a PROXY header
};

/// How many calls run at once and how many wait; those above are refused with OVERLOADED. Answers wait as well, until
/// their callers take them. One certificate, or one address of unauthenticated callers, never gets all places.
struct CallLimits {
  Capacity known;                   ///< callers with a client certificate that authenticated them lately
  Capacity strangers;               ///< callers that show no certificate
  Capacity unproven{16, 128, 128};  ///< callers with one that has not authenticated yet, which any client can make
  OpenCalls::Patience answers{std::chrono::milliseconds{5000}, 32};
  std::size_t enrolments = 10'000;  ///< calls of Enrol whose phones have proven who they are
};
inline constexpr CallLimits kPhoneCallLimits{.known = {32, 128, 8}, .strangers = {32, 96, 112}};
inline constexpr CallLimits kAdminCallLimits{
    {16, 48, 48}, {2, 4, 4}, {4, 12, 12}, {std::chrono::milliseconds{60'000}, 32}};

/// Every connection has 10 s for its ClientHello, and again for the rest of the handshake. A phone that has only its
/// string stays a stranger, on a connection with a limit of its own; an administrator authenticates with the first
/// call.
inline constexpr net::ConnectionLimits kPhoneConnectionLimits{
    16384, 16384, 8192, 4096, std::chrono::seconds{10}, std::chrono::seconds{330}};
inline constexpr net::ConnectionLimits kAdminConnectionLimits{
    16384, 16384, 8192, 4096, std::chrono::seconds{1}, std::chrono::seconds{15}};

/// One gRPC server behind a gate: TLS 1.2 or newer. On the phones' port it asks for a client certificate but does not
/// check it; on the administrators' port the certificate must be under the site CA. The guard authenticates. Threads:
/// any.
class Server {
 public:
  virtual ~Server() = default;

  /// PhoneService and reflection, for all clients. Errors: INVALID_CONFIGURATION; those of AccessTable::read().
  static Result<std::unique_ptr<Server>> start_phone(const UseCases& use_cases, const ListenSettings& settings,
                                                     const CallLimits& limits = kPhoneCallLimits,
                                                     const net::ConnectionLimits& connections = kPhoneConnectionLimits);
  /// AdminService, MonitorService, health and reflection, for administrators. Errors: as above.
  static Result<std::unique_ptr<Server>> start_admin(const UseCases& use_cases, const ListenSettings& settings,
                                                     const CallLimits& limits = kAdminCallLimits,
                                                     const net::ConnectionLimits& connections = kAdminConnectionLimits);

  /// The real port, also where the settings have 0.
  virtual int port() const = 0;
  /// As in the settings, with the real port.
  virtual const std::vector<std::string>& addresses() const = 0;
  /// Shows another certificate to whoever connects from now on. The addresses stay. Errors: INVALID_CONFIGURATION.
  virtual Status replace_certificate(const ListenSettings& settings) = 0;
  /// Takes no more calls, lets the running ones end, and cuts off what is left after `patience`. The destructor does
  /// so at once. Call Readiness::drain() first, so that streams end.
  virtual void stop(std::chrono::milliseconds patience) = 0;
};

}  // namespace capf::rpc
