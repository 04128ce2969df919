#include "capf/web/status.h"

namespace capf::web {
namespace {

Response answer(const Request& request, const Metrics& metrics, const std::function<Status()>& ready) {
  if (request.path != "/metrics" && request.path != "/livez" && request.path != "/readyz") {
    return text_response(404, "there are /metrics, /livez and /readyz");
  }
  if (request.method != "GET" && request.method != "HEAD") {
    Response response = text_response(405, "GET or HEAD");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  if (request.path == "/livez") return text_response(200, "ok");
  if (request.path == "/readyz") {
    const Status status = ready();
    return status ? text_response(200, "ok") : text_response(503, to_string(status.error().reason));
  }
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics.text();
  return response;
}

}  // namespace

Route status_route(const Metrics& metrics, std::function<Status()> ready) {
  return [&metrics, ready = std::move(ready)](const Request& request) {
    Response response = answer(request, metrics, ready);
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
  };
}

}  // namespace capf::web
