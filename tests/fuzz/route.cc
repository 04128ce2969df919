#include <botan/data_src.h>
#include <botan/pem.h>
#include <botan/system_rng.h>

#include "capf/web/publication.h"
#include "tests/support/crl.h"
#include "tests/support/folder.h"
#include "tests/support/no_database.h"

using namespace capf;

namespace {

/// The routes of the port of relying parties, without the port: one CRL with 100 entries, one certificate.
struct Route {
  Route() {
    std::vector<Revocation> revoked;
    for (std::uint8_t i = 0; i < 100; ++i) revoked.push_back(test::revocation(i, RevocationReason::kSuperseded));
    CAPF_INVARIANT(test::write_crl(crls->path_aside({3, 0}), revoked) && crls->take({3, 0}));
    crl = test::file_bytes(crls->path({3, 0}));
  }

  test::Folder folder;
  std::unique_ptr<service::PublishedCrls> crls = *service::PublishedCrls::open(folder.path() / "crls");
  Bytes crl;
  Bytes certificate = test::crl_issuer().der;
  Metrics metrics;
  test::NoDatabase database;
  SystemClock clock;
  service::HighWater high_water;
  service::Responder responder{database, *crls, high_water, clock, Botan::system_rng(), {.threads = 0, .queue = 0}};
  web::LaterRoute route = web::publication_route(
      {*crls, [this](std::int64_t id) { return id == 3 ? std::optional(certificate) : std::nullopt; }, responder,
       std::chrono::seconds{60}, metrics});
};

/// The whole of a body that is read in pieces of this size.
std::string read_all(const web::Source& source, std::size_t piece) {
  std::string text;
  Bytes buffer(piece);
  while (true) {
    const auto count = source.read(text.size(), buffer);
    CAPF_INVARIANT(count && *count <= piece);
    if (*count == 0) return text;
    text.append(as_text(BytesView(buffer).first(*count)));
    CAPF_INVARIANT(text.size() <= source.size());
  }
}

Bytes decode(const std::string& text, bool pem) {
  if (!pem) return {as_bytes(text).begin(), as_bytes(text).end()};
  std::string label;
  Botan::DataSource_Memory memory(text);
  const auto der = Botan::PEM_Code::decode(memory, label);
  return {der.begin(), der.end()};
}

void check(const web::Request& request, const web::Response& response, const Route& route, std::size_t piece) {
  const bool known =
      response.status == 200 || response.status == 304 || response.status == 404 || response.status == 405;
  CAPF_INVARIANT(known);
  for (const auto& [name, value] : response.headers) {
    CAPF_INVARIANT(value.find_first_of("\r\n") == std::string::npos);
  }
  if (response.status == 304) CAPF_INVARIANT(!response.source && response.body.empty());
  if (request.path == "/livez" || request.path == "/readyz") {
    CAPF_INVARIANT(response.status != 200 || (!response.source && response.body == "ok\n"));
    return;
  }
  if (response.status != 200 || response.content_type == "application/ocsp-response") return;
  CAPF_INVARIANT(request.method == "GET" || request.method == "HEAD");
  const std::string body = response.source ? read_all(*response.source, piece) : response.body;
  CAPF_INVARIANT(!response.source || body.size() == response.source->size());
  const bool pem = response.content_type == "application/x-pem-file";
  const Bytes der = decode(body, pem);
  CAPF_INVARIANT(der == (response.source ? route.crl : route.certificate));
}

}  // namespace

// Method, size of pieces, and then lines: path, Accept, If-None-Match, body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Route route;
  if (size < 2) return 0;
  web::Request request;
  constexpr std::array<const char*, 4> kMethods{"GET", "HEAD", "POST", "PUT"};
  request.method = kMethods[data[0] % kMethods.size()];
  const std::size_t piece = 1 + data[1] * 40U;
  std::string_view rest = as_text({data + 2, size - 2});
  for (std::string* field : {&request.path, &request.accept, &request.if_none_match}) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    *field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (request.path.empty() || request.path[0] != '/') request.path.insert(0, 1, '/');
  const BytesView body = as_bytes(rest);
  request.body.assign(body.begin(), body.end());
  int replies = 0;
  route.route(request, [&](web::Response response) {
    ++replies;
    check(request, response, route, piece);
  });
  CAPF_INVARIANT(replies == 1);
  return 0;
}
