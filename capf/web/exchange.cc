#include "capf/web/exchange.h"

#include <chrono>
#include <exception>
#include <string>

#include "capf/base/contained.h"

namespace capf::web {
namespace {

using net::error_code;

constexpr std::size_t kLongestTarget = 2048;

net::ConnectionLimits limits_of(const ServerSettings& settings) {
  const auto all = static_cast<std::size_t>(settings.connections);
  const auto of_one = static_cast<std::size_t>(settings.connections_per_address);
  // A stranger is a connection on which no request is being answered: each request is judged by itself.
  return {.all = all,
          .of_one = of_one,
          .strangers = all,
          .strangers_of_one = of_one,
          .gives_way = std::chrono::milliseconds{0},
          .longest = 2 * settings.timeout};
}

std::string text_of(beast::string_view text) { return {text.data(), text.size()}; }

// RFC 9112 3.2.2
//    A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send the
//    absolute-form to a proxy.
/// The origin-form of a target: without scheme and authority.
std::string origin_form(std::string target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!beast::iequals(beast::string_view(target).substr(0, scheme.size()), {scheme.data(), scheme.size()})) continue;
    const std::size_t path = target.find_first_of("/?", scheme.size());
    std::string rest = path == std::string::npos ? "" : target.substr(path);
    return rest.starts_with('/') ? rest : '/' + rest;
  }
  return target;
}

}  // namespace

Shared::Shared(const ServerSettings& wanted, LaterRoute answers)
    : settings(wanted), route(std::move(answers)), connections(limits_of(wanted)), tls(wanted.tls) {}

void Shared::answer(const Request& request, const Reply& reply) {
  try {
    route(request, reply);
  } catch (...) {
    if (const auto left_out = failures.admit(std::chrono::steady_clock::now())) {
      const std::string cause = cause_of(std::current_exception());
      log_error("request.failed", {{"path", request.path}, {"cause", cause}, {"left_out", *left_out}});
    }
    reply(text_response(500, "internal error"));
  }
}

void set_limits(Parser& parser, const ServerSettings& settings) {
  parser.header_limit(static_cast<std::uint32_t>(settings.largest_header));
  parser.body_limit(settings.largest_body);
}

bool expects_to_go_on(const Parser::value_type& message) {
  return message.version() >= 11 && beast::iequals(message[http::field::expect], "100-continue");
}

std::optional<int> status_for(error_code error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::bad_method).category()) return 400;
  return std::nullopt;
}

std::optional<Request> request_of(const Parser::value_type& message, const Address& peer, Response& refusal) {
  const std::string target = origin_form(text_of(message.target()));
  if (target.size() > kLongestTarget) {
    refusal = text_response(414, "the path is too long");
    return std::nullopt;
  }
  if (target.empty() || target[0] != '/') {
    refusal = text_response(400, "the path begins with '/'");
    return std::nullopt;
  }
  Request request;
  request.method = text_of(message.method_string());
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  request.content_type = text_of(message[http::field::content_type]);
  request.accept = text_of(message[http::field::accept]);
  request.if_none_match = text_of(message[http::field::if_none_match]);
  const BytesView body = as_bytes(message.body());
  request.body.assign(body.begin(), body.end());
  request.peer = peer;
  return request;
}

bool Sending::is_over(const ServerSettings& settings, std::uint64_t sent, Moment now) const {
  const auto took = now - begun_;
  return took > settings.whole_answer || took > settings.timeout + std::chrono::seconds(sent / settings.slowest);
}

Message head_of(const Response& response, bool keep_alive) {
  Message message(static_cast<http::status>(response.status), 11);
  message.set(http::field::server, "capf");
  message.set("X-Content-Type-Options", "nosniff");
  message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(keep_alive);
  const std::uint64_t size = response.source ? response.source->size() : response.body.size();
  if (response.status != 304) message.content_length(size);  // RFC 9110 15.4.5
  return message;
}

}  // namespace capf::web
