#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "capf/phone/certificate.h"

namespace capf::phone {

/// The servers that a phone gets its files from, and asks for trust.
class Servers {
 public:
  virtual ~Servers() = default;
  /// Whether to believe a server by its certificate, whose key it has proven. The phone sends no word before.
  using Believe = std::function<Status(const Certificate&)>;

  /// By HTTP. @param limit more octets are refused: FILE_MALFORMED. @return nothing where there is no such file.
  /// Errors: SERVER_NOT_REACHED.
  virtual Result<std::optional<Bytes>> fetch(const std::string& name, std::size_t limit) = 0;
  virtual bool has_https() const = 0;
  /// By HTTPS. Errors: also those of `believe`.
  virtual Result<std::optional<Bytes>> fetch_secure(const std::string& name, std::size_t limit,
                                                    const Believe& believe) = 0;
  /// The answer of a Trust Verification Service, one of those at `addresses`. Errors: SERVER_NOT_REACHED, those of
  /// `believe`.
  virtual Result<Bytes> ask(const std::vector<std::string>& addresses, BytesView question, const Believe& believe) = 0;
};

struct ServerAddresses {
  std::vector<std::string> files;      ///< "HOST:PORT"; the next one where one is away
  std::vector<std::string> files_tls;  ///< empty: there is no HTTPS
  bool tls_1_0 = false;
};

/// Each question has a connection of its own, which ends after 30 seconds whatever the server sends.
class NetworkServers final : public Servers {
 public:
  explicit NetworkServers(ServerAddresses addresses) : addresses_(std::move(addresses)) {}

  Result<std::optional<Bytes>> fetch(const std::string& name, std::size_t limit) override;
  bool has_https() const override { return !addresses_.files_tls.empty(); }
  Result<std::optional<Bytes>> fetch_secure(const std::string& name, std::size_t limit,
                                            const Believe& believe) override;
  Result<Bytes> ask(const std::vector<std::string>& addresses, BytesView question, const Believe& believe) override;

 private:
  ServerAddresses addresses_;
};

}  // namespace capf::phone
