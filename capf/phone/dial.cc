#include "capf/phone/dial.h"

#include <algorithm>
#include <csignal>

namespace capf::phone {

using net::tcp;

Result<std::vector<tcp::endpoint>> resolve(const std::string& address) {
  const auto colon = address.rfind(':');
  const auto not_found = [&](const std::string& why) { return fail(Reason::kServerNotReached, address + ": " + why); };
  if (colon == std::string::npos) return not_found("HOST:PORT is needed");
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  net::asio::io_context context;
  tcp::resolver resolver(context);
  net::error_code error;
  const auto found = resolver.resolve(host, address.substr(colon + 1), error);
  if (error) return not_found(error.message());
  std::vector<tcp::endpoint> endpoints;
  for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  std::stable_partition(endpoints.begin(), endpoints.end(),
                        [](const tcp::endpoint& endpoint) { return endpoint.address().is_v6(); });
  return endpoints;
}

Result<net::SslContextPtr> make_client_tls(bool tls_1_0) {
  ::signal(SIGPIPE, SIG_IGN);
  net::SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const tls = context.get();
  const bool set = tls != nullptr && (tls_1_0 ? SSL_CTX_set_min_proto_version(tls, TLS1_VERSION) == 1 &&
                                                    SSL_CTX_set_max_proto_version(tls, TLS1_VERSION) == 1 &&
                                                    SSL_CTX_set_cipher_list(tls, "AES128-SHA:@SECLEVEL=0") == 1
                                              : SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1);
  if (!set) return fail_internal("TLS cannot be set up");
  // Makes each message one record, in TLS 1.0 too.
  SSL_CTX_set_options(tls, SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

}  // namespace capf::phone
