#include "capf/web/publication.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include <botan/base64.h>

#include "capf/ca/certificate.h"

namespace capf::web {
namespace {

constexpr const char* kPemType = "application/x-pem-file";

/// A file as it is.
class DerSource final : public Source {
 public:
  explicit DerSource(std::shared_ptr<const service::PublishedCrl> crl) : crl_(std::move(crl)) {}
  std::uint64_t size() const override { return crl_->size; }
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    return crl_->file.read(offset, into);
  }

 private:
  std::shared_ptr<const service::PublishedCrl> crl_;
};

constexpr std::string_view kBegin = "-----BEGIN X509 CRL-----\n";
constexpr std::string_view kEnd = "-----END X509 CRL-----\n";
constexpr std::uint64_t kLineOctets = 48;  ///< of DER, RFC 7468 2: 64 characters
constexpr std::uint64_t kLine = 65;

/// The same in PEM, encoded while it is read.
class PemSource final : public Source {
 public:
  explicit PemSource(std::shared_ptr<const service::PublishedCrl> crl) : crl_(std::move(crl)) {
    const std::uint64_t rest = crl_->size % kLineOctets;
    lines_size_ = crl_->size / kLineOctets * kLine + (rest == 0 ? 0 : (rest + 2) / 3 * 4 + 1);
  }
  std::uint64_t size() const override { return kBegin.size() + lines_size_ + kEnd.size(); }
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    const std::uint64_t lines_end = kBegin.size() + lines_size_;
    if (offset < kBegin.size()) return copy(kBegin.substr(static_cast<std::size_t>(offset)), into);
    if (offset >= lines_end)
      return copy(kEnd.substr(static_cast<std::size_t>(std::min(offset - lines_end, kEnd.size()))), into);
    const std::uint64_t first_line = (offset - kBegin.size()) / kLine;
    const std::uint64_t within = (offset - kBegin.size()) % kLine;
    Bytes der((into.size() / kLine + 1) * kLineOctets);
    CAPF_LET(const std::size_t count, crl_->file.read(first_line * kLineOctets, der));
    std::string lines;
    for (std::size_t at = 0; at < count; at += kLineOctets) {
      lines += Botan::base64_encode(der.data() + at, std::min<std::size_t>(kLineOctets, count - at)) + '\n';
    }
    if (lines.size() <= within) return fail_internal("a CRL became shorter");
    return copy(std::string_view(lines).substr(static_cast<std::size_t>(within)), into);
  }

 private:
  static std::size_t copy(std::string_view text, std::span<std::uint8_t> into) {
    const std::size_t count = std::min(text.size(), into.size());
    std::copy_n(text.begin(), count, into.begin());
    return count;
  }

  std::shared_ptr<const service::PublishedCrl> crl_;
  std::uint64_t lines_size_ = 0;
};

/// Takes a number without leading zeros off the front.
template <class Number>
bool take_number(std::string_view& text, Number& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto size = static_cast<std::size_t>(parsed.ptr - text.data());
  if (parsed.ec != std::errc{} || text[0] == '-' || size > 9 || (size > 1 && text[0] == '0')) return false;
  text.remove_prefix(size);
  return true;
}

/// Whether the part after the last point of a path asks for PEM; nothing where it is neither that nor `der`.
std::optional<bool> wants_pem(std::string_view suffix, std::string_view der, const Request& request) {
  if (suffix == ".pem") return true;
  if (suffix != der) return std::nullopt;
  return request.accept.find(kPemType) != std::string::npos;
}

// RFC 9110 5.6.7
std::string http_date(TimePoint time) {
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                parts.tm_sec);
  return text;
}

/// Adds the headers of every answer that may be cached; removes the body where the caller has it already.
Response kept(const Request& request, Response response, const std::string& tag, std::chrono::seconds max_age) {
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back("Cache-Control", "public, max-age=" + std::to_string(max_age.count()));
  response.headers.emplace_back("Vary", "Accept");
  if (has_tag(request.if_none_match, tag)) {
    response.status = 304;
    response.body.clear();
    response.source.reset();
  }
  return response;
}

std::string tag_of(const Sha256& sha256, bool pem) {
  return '"' + to_hex(BytesView(sha256).first(16)) + (pem ? "-pem\"" : "\"");
}

Response not_found() { return text_response(404, "there are /crl/ISSUER/SHARD.crl, /ca/ISSUER.cer and /ocsp"); }

Response answer_crl(const Request& request, std::string_view rest, const Publication& publication) {
  CrlShard shard;
  if (!take_number(rest, shard.issuer_id) || !rest.starts_with('/')) return not_found();
  rest.remove_prefix(1);
  if (!take_number(rest, shard.shard)) return not_found();
  const auto pem = wants_pem(rest, ".crl", request);
  if (!pem) return not_found();
  const auto crl = publication.crls.find(shard);
  if (!crl) return not_found();
  Response response;
  response.content_type = *pem ? kPemType : "application/pkix-crl";
  response.headers.emplace_back("Last-Modified", http_date(crl->terms.this_update));
  if (*pem) {
    response.source = std::make_shared<PemSource>(crl);
  } else {
    response.source = std::make_shared<DerSource>(crl);
  }
  return kept(request, std::move(response), tag_of(crl->sha256, *pem), publication.crl_max_age);
}

Response answer_certificate(const Request& request, std::string_view rest, const Publication& publication) {
  std::int64_t id = 0;
  if (!take_number(rest, id)) return not_found();
  const auto pem = wants_pem(rest, ".cer", request);
  const auto der = pem ? publication.certificate(id) : std::nullopt;
  if (!der) return not_found();
  Response response;
  response.content_type = *pem ? kPemType : "application/pkix-cert";
  response.body = *pem ? ca::to_pem(*der) : std::string(as_text(*der));
  return kept(request, std::move(response), tag_of(sha256(*der), *pem), std::chrono::hours{24});
}

/// Decodes the part after /ocsp/, RFC 6960 A.1: base64, of which '+', '/' and '=' may be written as %2B, %2F and %3D.
std::optional<Bytes> decode_path(std::string_view text) {
  std::string base64;
  for (; !text.empty(); text.remove_prefix(1)) {
    if (text[0] != '%') {
      base64 += text[0];
      continue;
    }
    if (text.size() < 3) return std::nullopt;
    const auto octet = parse_hex(text.substr(1, 2));
    if (!octet) return std::nullopt;
    base64 += static_cast<char>(octet->front());
    text.remove_prefix(2);
  }
  try {
    const auto der = Botan::base64_decode(base64, false);
    return Bytes(der.begin(), der.end());
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// RFC 5019 6.2 for the headers of answers that may be cached.
void answer_ocsp(const Request& request, const Reply& reply, const Publication& publication) {
  const bool get = request.method == "GET" || request.method == "HEAD";
  const bool alone = request.path == "/ocsp";
  if (!get && (request.method != "POST" || !alone)) {
    Response response = text_response(405, "POST, or GET with the request in the path");
    response.headers.emplace_back("Allow", "GET, HEAD, POST");
    return reply(std::move(response));
  }
  const auto der = get ? decode_path(std::string_view(request.path).substr(alone ? 5 : 6)) : request.body;
  const auto begun = std::chrono::steady_clock::now();
  const auto send = [reply, get, begun, &responder = publication.responder, &metrics = publication.metrics,
                     if_none_match = request.if_none_match](const std::shared_ptr<const service::OcspAnswer>& answer) {
    Response response;
    response.content_type = "application/ocsp-response";
    response.body = std::string(as_text(answer->der));
    if (get && answer->keep) {
      const std::string tag = tag_of(sha256(answer->der), false);
      response.headers.emplace_back("ETag", tag);
      response.headers.emplace_back("Cache-Control", "max-age=" + std::to_string(responder.cache().count()) +
                                                         ", public, no-transform, must-revalidate");
      if (has_tag(if_none_match, tag)) {
        response.status = 304;
        response.body.clear();
      }
    } else {
      response.headers.emplace_back("Cache-Control", "no-store");
    }
    metrics.count_request("ocsp/" + std::string(answer->status), std::nullopt,
                          std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begun));
    reply(std::move(response));
  };
  publication.responder.answer(der ? BytesView(*der) : BytesView(), send);
}

}  // namespace

LaterRoute publication_route(const Publication& publication) {
  return [publication](const Request& request, const Reply& reply) {
    const std::string_view path = request.path;
    const bool crl = path.starts_with("/crl/");
    const bool certificate = path.starts_with("/ca/");
    if (path == "/ocsp" || path.starts_with("/ocsp/")) return answer_ocsp(request, reply, publication);
    const bool alive = path == "/livez" || path == "/readyz";
    if (!crl && !certificate && !alive) return reply(not_found());
    if (request.method != "GET" && request.method != "HEAD") {
      Response response = text_response(405, "GET or HEAD");
      response.headers.emplace_back("Allow", "GET, HEAD");
      return reply(std::move(response));
    }
    if (alive) {
      const bool ready = path == "/livez" || publication.ready();
      Response response = ready ? text_response(200, "ok") : text_response(503, "not ready");
      response.headers.emplace_back("Cache-Control", "no-store");
      return reply(std::move(response));
    }
    const auto begun = std::chrono::steady_clock::now();
    Response response = crl ? answer_crl(request, path.substr(5), publication)
                            : answer_certificate(request, path.substr(4), publication);
    const bool refused = response.status >= 400;
    publication.metrics.count_request(crl ? "http/crl" : "http/ca",
                                      refused ? std::optional(Reason::kUnknownIssuer) : std::nullopt,
                                      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begun));
    reply(std::move(response));
  };
}

}  // namespace capf::web
