#include "capf/phone/site_link.h"

#include <chrono>
#include <optional>

#include <botan/system_rng.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "capf/client/channel.h"
#include "capf/phone/pause.h"
#include "capf/v1/phone.grpc.pb.h"

namespace capf::phone {
namespace {

constexpr std::chrono::seconds kDeadline{30};
constexpr std::chrono::minutes kLongestDialogue{40};  // with the making of a key
constexpr std::chrono::milliseconds kFirstPause{250};
constexpr std::chrono::milliseconds kLongestAsked{30'000};

/// Waits at least as long as the server asks for. Half of the pause is random, so that phones that were refused
/// together do not come back together.
void pause(int tried, std::chrono::milliseconds asked) {
  const auto half = std::max(kFirstPause * (1 << std::min(tried - 1, 6)) / 2, std::min(asked, kLongestAsked));
  const auto part = half + half * Botan::system_rng().next_byte() / 255;
  wait_until(std::chrono::steady_clock::now() + part);
}

}  // namespace

struct SiteLink::Stub {
  std::unique_ptr<v1::PhoneService::Stub> service;
};

SiteLink::SiteLink(client::Endpoint endpoint, int tries)
    : endpoint_(std::move(endpoint)), tries_(tries), stubs_(endpoint_.addresses.size()) {
  CAPF_INVARIANT(!stubs_.empty());
  at_ = Botan::system_rng().next_byte() % stubs_.size();
}
SiteLink::~SiteLink() = default;

SiteLink::Stub& SiteLink::stub() {
  auto& stub = stubs_[at_];
  if (stub == nullptr) {
    const auto channel = client::make_channel(endpoint_, endpoint_.addresses[at_]);
    stub = std::make_unique<Stub>(Stub{v1::PhoneService::NewStub(channel)});
  }
  return *stub;
}

void SiteLink::go_on(int tried, const Error& error, std::chrono::milliseconds asked) {
  const int servers = static_cast<int>(stubs_.size());
  // gRPC drives a new connection only while a call waits for it; on a failed channel calls do not wait, so that all its
  // handshakes would time out. A new channel's first call waits.
  if (error.reason == Reason::kServerNotReached) stubs_[at_].reset();
  at_ = (at_ + 1) % stubs_.size();
  if (tried % servers == 0) pause(tried / servers, asked);
}

#define CAPF_PHONE_DEFINE(method)                                                           \
  Result<v1::method##Response> SiteLink::call(const v1::method##Request& request) {         \
    for (int tried = 1;; ++tried) {                                                         \
      grpc::ClientContext context;                                                          \
      context.set_deadline(std::chrono::system_clock::now() + kDeadline);                   \
      v1::method##Response response;                                                        \
      const grpc::Status status = stub().service->method(&context, request, &response);     \
      if (status.ok()) return response;                                                     \
      Error error = client::to_error(status);                                               \
      if (tried >= tries_ || !may_be_repeated(error.code())) return fail(std::move(error)); \
      go_on(tried, error, client::retry_delay(status));                                     \
    }                                                                                       \
  }
CAPF_PHONE_CALLS(CAPF_PHONE_DEFINE)
#undef CAPF_PHONE_DEFINE

/// How one dialogue has ended.
struct SiteLink::Ended {
  grpc::Status status;
  std::optional<v1::EnrolDone> done{};
  std::optional<Error> own{};  ///< the phone has ended it
};

SiteLink::Ended SiteLink::talk(const v1::Credential& credential, const Reply& reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kLongestDialogue);
  const auto stream = stub().service->Enrol(&context);
  v1::EnrolRequest said;
  *said.mutable_credential() = credential;
  Ended ended;
  bool open = stream->Write(said);
  for (v1::EnrolResponse heard; open && stream->Read(&heard);) {
    if (heard.has_done()) {
      ended.done = heard.done();
      continue;
    }
    auto answer = reply(heard);
    if (!answer) {
      ended.own = std::move(answer).error();
      context.TryCancel();
      break;
    }
    open = stream->Write(*answer);
  }
  ended.status = stream->Finish();
  return ended;
}

Result<v1::EnrolDone> SiteLink::enrol(const v1::Credential& credential, const Reply& reply) {
  for (int tried = 1;; ++tried) {
    Ended ended = talk(credential, reply);
    if (ended.own) return tl::unexpected<Error>(*std::move(ended.own));
    if (ended.done && ended.status.ok()) return *std::move(ended.done);
    Error error = ended.status.ok() ? Error::of(Reason::kServerNotReached) : client::to_error(ended.status);
    if (tried >= tries_ || !may_be_repeated(error.code())) return tl::unexpected<Error>(std::move(error));
    go_on(tried, error, client::retry_delay(ended.status));
  }
}

}  // namespace capf::phone
