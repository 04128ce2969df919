#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/metrics.h"
#include "capf/base/time.h"
#include "capf/net/tls.h"
#include "capf/tvs/source.h"

namespace capf::tvs {

struct ListenerSettings {
  /// "127.0.0.1:2445", "[::1]:2445". Port 0 takes a free one, the same for every address.
  std::vector<std::string> addresses;
  std::chrono::seconds lifetime = std::chrono::hours(1);  ///< for which a phone may keep *valid*
  Duration handshake = std::chrono::seconds(15);          ///< for the ClientHello, and again for the rest
  Duration question = std::chrono::seconds(10);  ///< for the whole question to come, and for the answer to leave
  /// For look-ups that still run when the patience of a stop is over; the database has limits of its own.
  Duration last_calls = std::chrono::seconds(5);
  int connections = 10000;             ///< in all; as with all limits, further ones are closed at once
  int connections_per_address = 5000;  ///< an IPv4 address or an IPv6 /64: many phones may share one. Where there is no
                                       ///< room, the oldest connection gives way after some seconds.
  int handshakes = 64;                 ///< at once; further ones wait, but not for silent phones
  int backlog = 4096;                  ///< connections that the system holds before they are taken
  int io_threads = 0;                  ///< 0: as many as the machine has cores
  int workers = 4;                     ///< threads that look certificates up
  std::vector<Network> proxies{};      ///< connections from there begin with a PROXY header
};

/// Numbers of one listener since its start.
struct ListenerCounts {
  std::int64_t connections = 0;         ///< now
  std::int64_t handshakes = 0;          ///< now
  std::int64_t accepted = 0;            ///< all that follow are totals
  std::int64_t over_limit = 0;          ///< closed at once
  std::int64_t handshake_failures = 0;  ///< that did not speak TLS as they must, or not in time
  std::int64_t questions = 0;           ///< that were answered
  std::int64_t legacy_questions = 0;    ///< of those, over TLS 1.0
};

/// The port of the Trust Verification Service. It knows none of its callers, so all of them are strangers. A connection
/// costs memory but no thread; look-ups run on a pool of their own.
class Listener {
 public:
  /// Raises the limit on descriptors; where even the highest is below settings.connections, it limits the connections,
  /// which is logged. The source and the clock outlive the listener.
  /// @param tls may ask for a client certificate, which is used for the log alone.
  /// @param metrics counts every question by its outcome; may be absent. Errors: INVALID_CONFIGURATION.
  static Result<std::unique_ptr<Listener>> start(const ListenerSettings& settings,
                                                 std::shared_ptr<const net::TlsContext> tls, CertificateSource& source,
                                                 const Clock& clock, Metrics* metrics = nullptr);
  virtual ~Listener() = default;

  virtual int port() const = 0;
  /// As in the settings, with the real port.
  virtual const std::vector<std::string>& addresses() const = 0;
  /// Replaces the TLS context for new connections. Threads: any.
  virtual void replace(std::shared_ptr<const net::TlsContext> tls) = 0;
  virtual ListenerCounts counts() const = 0;
  /// Accepts no more connections, closes those without a question at once, and the rest after `patience`. The
  /// destructor does so at once.
  virtual void stop(Duration patience) = 0;
};

}  // namespace capf::tvs
