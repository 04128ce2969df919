#pragma once

#include <string>
#include <vector>

#include "capf/net/asio.h"
#include "capf/net/tls.h"

namespace capf::phone {

/// The addresses of one server, "HOST:PORT", IPv6 before IPv4, as phones try them. Errors: SERVER_NOT_REACHED.
Result<std::vector<net::tcp::endpoint>> resolve(const std::string& address);

/// For a client: TLS 1.2 and later, or TLS 1.0 with AES128-SHA alone, as the 7900 series. No certificate of a server is
/// checked yet. From then on SIGPIPE is ignored, because OpenSSL writes to sockets whose other side may be gone.
/// Errors: INTERNAL.
Result<net::SslContextPtr> make_client_tls(bool tls_1_0);

}  // namespace capf::phone
