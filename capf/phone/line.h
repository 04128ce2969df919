#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "capf/phone/desk.h"
#include "capf/phone/fleet.h"

namespace capf::phone {

/// How phones behave on the wire.
struct LineSettings {
  bool tls_1_0 = false;  ///< TLS 1.0 with AES128-SHA alone, as the 7900 series
  std::uint8_t version = wire::kVersion3;
  bool sudi = true;                        ///< proofs sign the session's id
  std::chrono::milliseconds key_delay{0};  ///< how long a key takes beyond its making
  std::optional<wire::Command> drop_after;
  std::uint32_t addresses = 1;  ///< loopback addresses from which phones come: 127.1.0.0 and up
  int tries = 4;                ///< sessions in all, if they break
  std::chrono::milliseconds pause = std::chrono::seconds(30);
};

/// The messages after which a connection can be dropped: "auth-request", "key-response", "in-progress", …
const std::map<std::string, wire::Command>& message_names();

struct LineParts;

/// The port of a server that speaks the CAPF protocol. One thread serves any number of connections to it.
class Line {
 public:
  /// Trusts a server that shows exactly one of the certificates in `server.trust_pem`.
  /// Errors: SERVER_NOT_REACHED where there is no such host, INVALID_CERTIFICATE.
  static Result<Line> open(const client::Endpoint& server, const LineSettings& settings);
  ~Line();
  Line(Line&&) noexcept;
  Line& operator=(Line&&) = delete;

  /// Carries out the pending operation of the phone. A session that breaks is repeated from the start.
  /// Errors: the reason of the server's *end session*; OVERLOADED where it closes without one, SERVER_NOT_REACHED,
  /// PHONE_COMMUNICATION where the connection was dropped as the settings ask.
  Result<Done> visit(const Phone& phone, const Folder& folder, KeySource& keys) const;
  /// Like run() of a fleet, with as many connections at once as the load says.
  std::chrono::duration<double> run(const Load& load, const PhoneOf& phone_of, const Folder& folder, KeySource& keys,
                                    Tally& tally, const OnRefusal& on_refusal) const;

 private:
  explicit Line(std::unique_ptr<const LineParts> parts);
  std::unique_ptr<const LineParts> parts_;
};

}  // namespace capf::phone
