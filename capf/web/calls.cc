#include "capf/web/calls.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

// capf/net/coroutine.h must come first: see there.
// clang-format off
#include "capf/net/coroutine.h"
// clang-format on

#include "capf/base/bytes.h"
#include "capf/base/contained.h"
#include "capf/base/endpoint.h"
#include "capf/base/log.h"
#include "capf/base/utf8.h"

namespace capf::web {
namespace {

constexpr std::string_view kPath = "/call-status";
constexpr std::size_t kLongestMessage = 500;  // octets

/// A text of JSON, RFC 8259 7. An octet that is no character, and a control character, become U+FFFD.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty() && out.size() < kLongestMessage) {
    const char32_t c = take_code_point(text);
    if (c == '"' || c == '\\') out += '\\';
    append_utf8(out, c < 0x20 || c == 0x7f ? kReplacementCharacter : c);
  }
  return out + '"';
}

int status_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return 400;
    case Code::kUnauthenticated: return 401;
    case Code::kPermissionDenied: return 403;
    case Code::kNotFound: return 404;
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
    case Code::kConflict: return 409;
    case Code::kUnavailable:
    case Code::kOutcomeUnknown: return 503;
    case Code::kInternal: return 500;
  }
  CAPF_INVARIANT(false);
}

Response json_response(int status, std::string body) {
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(body) + '\n';
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Response refusal(int status, Reason reason, std::string_view message) {
  return json_response(status, "{\"reason\": " + quoted(to_string(reason)) + ", \"message\": " + quoted(message) + "}");
}
Response refusal(const Error& error) { return refusal(status_of(error.code()), error.reason, error.message); }

std::optional<int> digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

/// RFC 3986 2.1. Nothing where it is not written as it must be.
std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto high = i + 2 < text.size() ? digit_of(text[i + 1]) : std::nullopt;
    const auto low = high ? digit_of(text[i + 2]) : std::nullopt;
    if (!low) return std::nullopt;
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

/// The device that a query names. Errors: INVALID_REQUEST.
Result<std::string> device_of(std::string_view query) {
  constexpr std::string_view kName = "device=";
  if (query.starts_with(kName) && query.find('&') == std::string_view::npos) {
    if (const auto device = decode(query.substr(kName.size())); device && !device->empty()) return *device;
  }
  return fail(Reason::kInvalidRequest, "ask GET /call-status?device=NAME, or POST the parties of the call as JSON");
}

bool is_json(std::string_view content_type) {
  return content_type.empty() || content_type == "application/json" || content_type.starts_with("application/json;");
}

/// The question of a request, or the answer that refuses it.
tl::expected<CallQuestion, Response> question_of(const Request& request) {
  if (request.path != kPath) return tl::unexpected(refusal(404, Reason::kInvalidRequest, "there is /call-status"));
  if (request.method == "GET" || request.method == "HEAD") {
    auto device = device_of(request.query);
    if (!device) return tl::unexpected(refusal(device.error()));
    return CallQuestion{*std::move(device), {}};
  }
  if (request.method != "POST") {
    Response response = refusal(405, Reason::kInvalidRequest, "GET or POST");
    response.headers.emplace_back("Allow", "GET, HEAD, POST");
    return tl::unexpected(std::move(response));
  }
  // A page of the web that a browser on this machine shows cannot send this type without being asked for permission.
  if (!is_json(request.content_type) || request.content_type.empty()) {
    return tl::unexpected(refusal(415, Reason::kInvalidRequest, "the content is application/json"));
  }
  if (!request.query.empty()) {
    return tl::unexpected(refusal(400, Reason::kInvalidRequest, "a POST asks by its content alone"));
  }
  return CallQuestion{{}, std::string(as_text(request.body))};
}

/// One question that waits or is being answered.
struct Waiting {
  Request request;
  CallQuestion question;
  Reply reply;
};

}  // namespace

struct CallDesk::State {
  State(CallStatus wanted, const Limits& limits)
      : status(std::move(wanted)),
        most(limits.threads + limits.waiting),
        pool(static_cast<std::size_t>(limits.threads)) {}

  void take(const Request& request, const Reply& reply) {
    auto question = question_of(request);
    if (!question) return reply(std::move(question).error());
    if (const auto refused = post({request, *std::move(question), reply})) reply(refusal(Error::of(*refused)));
  }

  /// @return why the question is not answered, or nothing
  std::optional<Reason> post(Waiting item) {
    const std::lock_guard lock(mutex);
    if (stopped) return Reason::kShuttingDown;
    if (waiting >= most) return Reason::kOverloaded;
    pool.post([this, item = std::make_shared<Waiting>(std::move(item))] {
      std::optional<Response> response;
      run_contained("request.failed", [&] { response = answer(*item); });
      --waiting;
      item->reply(response ? *std::move(response) : refusal(Error::of(Reason::kInternal)));
    });
    ++waiting;
    return std::nullopt;
  }

  /// No item is posted from then on: one that stayed in the pool would hold a connection of a server that is gone.
  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopped = true;
    }
    pool.join();
  }

  Response answer(const Waiting& item) {
    const auto started = std::chrono::steady_clock::now();
    Result<std::string> json = fail(Reason::kInternal);
    try {
      json = classify(item);
    } catch (...) {
      if (const auto left_out = failures.admit(started)) {
        const std::string cause = cause_of(std::current_exception());
        log_error("request.failed", {{"path", kPath}, {"cause", cause}, {"left_out", *left_out}});
      }
    }
    std::optional<Reason> refused;
    if (!json) refused = json.error().reason;
    status.metrics.count_request("http/call-status", refused,
                                 std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - started));
    return json ? json_response(200, *std::move(json)) : refusal(json.error());
  }

  Result<std::string> classify(const Waiting& item) {
    const Request& request = item.request;
    if (request.certificate) {
      CAPF_LET(const Actor actor, status.recognise(*request.certificate, request.peer));
      return status.classify(actor, item.question);
    }
    if (!Endpoint{request.peer}.is_loopback()) return fail(Reason::kClientCertificateRequired);
    return status.classify({ActorKind::kSystem, "call-status", request.peer.to_string()}, item.question);
  }

  const CallStatus status;
  const int most;
  std::atomic<int> waiting{0};  ///< and being answered
  std::mutex mutex;             ///< for the next one, and that a question is posted before it is set
  bool stopped = false;
  LogLimit failures{1};  ///< a second
  net::Pool pool;
};

CallDesk::CallDesk(CallStatus status, const Limits& limits)
    : state_(std::make_unique<State>(std::move(status), limits)) {}
CallDesk::~CallDesk() { stop(); }

LaterRoute CallDesk::route() {
  return [state = state_.get()](const Request& request, const Reply& reply) { state->take(request, reply); };
}

void CallDesk::stop() { state_->stop(); }

}  // namespace capf::web
