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
#include "capf/wire/desk.h"

namespace capf::wire {

struct ListenerSettings {
  /// "127.0.0.1:3804", "[::1]:3804". Port 0 takes a free one, the same for every address.
  std::vector<std::string> addresses;
  SessionSettings session;
  Duration handshake = std::chrono::seconds(15);      ///< for the ClientHello, and again for the rest
  Duration whole_session = std::chrono::minutes(45);  ///< from the handshake's end, in any case
  Duration keep_alive = std::chrono::minutes(15);     ///< TCP: so that firewalls keep the connection; 1 s to 1 h
  /// For calls that still run when the patience of a stop is over; the database has limits of its own.
  Duration last_calls = std::chrono::seconds(5);
  int connections = 20000;              ///< in all; as with all limits, further ones are closed at once
  int connections_per_address = 20000;  ///< an IPv4 address or an IPv6 /64: many phones may share one
  int strangers = 10000;                ///< of all, those that have not authenticated yet
  /// Of strangers, those from one such address. Where there is no room, the oldest stranger gives way after some
  /// seconds.
  int strangers_per_address = 5000;
  int handshakes = 64;             ///< at once; further ones wait, but not for silent phones
  int backlog = 4096;              ///< connections that the system holds before they are taken
  int io_threads = 0;              ///< 0: as many as the machine has cores
  int stranger_workers = 4;        ///< threads that authenticate phones
  int workers = 8;                 ///< threads that serve those that have authenticated
  int recorders = 8;               ///< threads that write down what ended their dialogues: thousands may end at once
  std::vector<Network> proxies{};  ///< connections from there begin with a PROXY header
};

/// Numbers of one listener since its start.
struct ListenerCounts {
  std::int64_t connections = 0;         ///< now
  std::int64_t strangers = 0;           ///< now, of those
  std::int64_t handshakes = 0;          ///< now
  std::int64_t accepted = 0;            ///< all that follow are totals
  std::int64_t over_limit = 0;          ///< closed at once
  std::int64_t handshake_failures = 0;  ///< that did not speak TLS as they must, or not in time
  std::int64_t sessions = 0;            ///< handshakes that succeeded
  std::int64_t legacy_sessions = 0;     ///< of those, over TLS 1.0
};

/// The phones' port: TLS, and behind it the CAPF protocol. A connection costs memory but no thread; blocking work runs
/// on pools of its own.
class Listener {
 public:
  /// Raises the limit on descriptors; where even the highest is below settings.connections, it limits the connections,
  /// which is logged. @param metrics counts every question: "wire/begin"; may be absent. Errors: INVALID_CONFIGURATION.
  static Result<std::unique_ptr<Listener>> start(const ListenerSettings& settings,
                                                 std::shared_ptr<const net::TlsContext> tls, OpenDesk open_desk,
                                                 Metrics* metrics = nullptr);
  virtual ~Listener() = default;

  virtual int port() const = 0;
  /// As in the settings, with the real port.
  virtual const std::vector<std::string>& addresses() const = 0;
  /// Replaces the TLS context for new connections. Threads: any.
  virtual void replace(std::shared_ptr<const net::TlsContext> tls) = 0;
  virtual ListenerCounts counts() const = 0;
  /// Accepts no more connections, closes those of strangers, lets the others finish, and after `patience` cuts off the
  /// rest, without *end session*: their operations stay as they are. The destructor does so at once.
  virtual void stop(Duration patience) = 0;
};

}  // namespace capf::wire
