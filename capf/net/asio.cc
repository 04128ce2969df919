#include "capf/net/asio.h"

#include <poll.h>

namespace capf::net {

tcp::endpoint to_asio(const Endpoint& endpoint) {
  return {asio::ip::make_address(endpoint.address.to_string()), endpoint.port};
}

Endpoint from_asio(const tcp::endpoint& endpoint) {
  return {Address::parse(endpoint.address().to_string()).value_or(Address()), endpoint.port()};
}

bool has_gone(int socket) {
  pollfd watched{socket, POLLRDHUP, 0};
  return ::poll(&watched, 1, 0) > 0 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

Result<tcp::acceptor> listen_on(asio::io_context& context, const Endpoint& endpoint, int backlog) {
  const tcp::endpoint local = to_asio(endpoint);
  tcp::acceptor acceptor(context);
  error_code error;
  acceptor.open(local.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && local.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(local, error);
  if (!error) acceptor.listen(backlog, error);
  if (error) {
    return fail(Reason::kInvalidConfiguration, "cannot listen on " + endpoint.to_string() + ": " + error.message());
  }
  return acceptor;
}

}  // namespace capf::net
