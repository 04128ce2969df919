#include "capf/daemon/calls.h"

#include <utility>

#include "capf/rpc/call_status.h"

namespace capf::daemon {
namespace {

Result<std::string> classify(service::Calls& calls, const Actor& actor, const web::CallQuestion& question) {
  CAPF_LET(const CallEnquiry enquiry,
           question.device.empty() ? rpc::enquiry_from_json(question.json) : rpc::enquiry_of_device(question.device));
  CAPF_LET(const rules::CallAnswer answer, calls.classify(actor, enquiry));
  return rpc::to_json(enquiry, answer);
}

Result<Actor> recognise(const CallServices& services, const Sha256& certificate, const Address& peer) {
  const auto known = services.administrators.recognise(certificate);
  if (!known) {
    if (!is_servers_fault(known.error().code())) {
      services.metrics.count_refusal(known.error().reason);
      services.attempts.add(peer, known.error());
    }
    return fail(known.error());
  }
  Actor actor{ActorKind::kAdministrator, known->administrator.name, peer.to_string()};
  if (const Status may = rpc::may_classify_calls(known->administrator.role); !may) {
    services.records.refused(actor, "call.classify", {}, may.error());
    return fail(may.error());
  }
  return actor;
}

}  // namespace

web::CallStatus call_status(const CallServices& services) {
  return {.classify = [&calls = services.calls](
                          const Actor& actor,
                          const web::CallQuestion& question) { return classify(calls, actor, question); },
          .recognise = [services](const Sha256& certificate,
                                  const Address& peer) { return recognise(services, certificate, peer); },
          .metrics = services.metrics};
}

void note_refused(const CallServices& services, const Address& peer, Reason reason) {
  services.metrics.count_refusal(reason);
  services.attempts.add(peer, Error::of(reason));
}

}  // namespace capf::daemon
