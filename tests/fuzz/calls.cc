#include "capf/web/calls.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>

#include "capf/rpc/call_status.h"
#include "capf/v1/monitor.pb.h"

using namespace capf;

namespace {

void check_answer(const CallEnquiry& enquiry) {
  CAPF_INVARIANT(enquiry.check());
  const std::vector<PartyFacts> nothing_known(enquiry.parties.size() + (enquiry.barge ? 1 : 0));
  const rules::CallAnswer answer = rules::classify(enquiry, nothing_known);
  CAPF_INVARIANT(answer.level == DeviceMode::kNonsecure && answer.parties.size() == enquiry.parties.size());
  v1::ClassifyCallResponse response;
  CAPF_INVARIANT(google::protobuf::util::JsonStringToMessage(rpc::to_json(enquiry, answer), &response).ok());
  for (std::size_t i = 0; i < enquiry.parties.size(); ++i) {
    const std::string& said = response.parties(static_cast<int>(i)).party();
    const auto again = parse_party(said);
    CAPF_INVARIANT(again && again->kind == enquiry.parties[i].kind && again->name == enquiry.parties[i].name);
  }
}

Result<std::string> classify(const Actor&, const web::CallQuestion& question) {
  CAPF_LET(const CallEnquiry enquiry,
           question.device.empty() ? rpc::enquiry_from_json(question.json) : rpc::enquiry_of_device(question.device));
  check_answer(enquiry);
  return std::string("{}");
}

Result<Actor> nobody(const Sha256&, const Address&) { return fail(Reason::kAdministratorUnknown); }

}  // namespace

// The first octet chooses: a POST with the rest as its content, or a GET with the rest as its query.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  [[maybe_unused]] static const auto kBefore = google::protobuf::SetLogHandler(nullptr);
  if (size == 0) return 0;
  static Metrics metrics;
  const BytesView octets(data + 1, size - 1);
  web::Request request;
  request.path = "/call-status";
  request.peer = *Address::parse("127.0.0.1");
  request.method = data[0] % 2 == 0 ? "POST" : "GET";
  if (request.method == "POST") {
    request.content_type = "application/json";
    request.body.assign(octets.begin(), octets.end());
  } else {
    request.query = std::string(as_text(octets));
  }
  int replies = 0;
  {
    web::CallDesk desk({classify, nobody, metrics}, {.threads = 1, .waiting = 1});
    desk.route()(request, [&](const web::Response& response) {
      ++replies;
      CAPF_INVARIANT(response.status == 200 || response.status == 400);
      CAPF_INVARIANT(response.content_type == "application/json" && response.body.ends_with("}\n"));
      google::protobuf::Struct any;
      CAPF_INVARIANT(google::protobuf::util::JsonStringToMessage(response.body, &any).ok());
    });
  }
  CAPF_INVARIANT(replies == 1);
  return 0;
}
