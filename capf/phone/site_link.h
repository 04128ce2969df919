#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "capf/base/error.h"
#include "capf/client/site.h"
#include "capf/v1/phone.pb.h"

// The methods of PhoneService.
#define CAPF_PHONE_CALLS(X) \
  X(GetPendingOperation)    \
  X(IssueCertificate) X(ConfirmCertificate) X(DeleteCertificate) X(HandOverCertificates) X(ReportFailure)

namespace capf::phone {

/// The servers as a phone with one client certificate, or none, calls them: one at a time, the first one at random, the
/// next one where that is away or busy. Every call has a deadline, and is repeated, with growing pauses once every
/// server was tried: all calls may safely be repeated, on another server too.
class SiteLink {
 public:
  /// @param tries how often a call is tried, at least 1
  SiteLink(client::Endpoint endpoint, int tries);
  ~SiteLink();
  SiteLink(const SiteLink&) = delete;
  SiteLink& operator=(const SiteLink&) = delete;

#define CAPF_PHONE_DECLARE(method) Result<v1::method##Response> call(const v1::method##Request& request);
  CAPF_PHONE_CALLS(CAPF_PHONE_DECLARE)
#undef CAPF_PHONE_DECLARE

  /// The phone's reply to a message of the server; an error ends the dialogue, and is the result.
  using Reply = std::function<Result<v1::EnrolRequest>(const v1::EnrolResponse&)>;
  /// The whole dialogue of Enrol, repeated from its beginning.
  Result<v1::EnrolDone> enrol(const v1::Credential& credential, const Reply& reply);

 private:
  struct Stub;
  Stub& stub();
  struct Ended;
  Ended talk(const v1::Credential& credential, const Reply& reply);
  /// Turns to the next server; where all have been tried equally often, after a pause, at least as long as the last one
  /// asked.
  void go_on(int tried, const Error& error, std::chrono::milliseconds asked);

  client::Endpoint endpoint_;
  int tries_;
  std::size_t at_;                            ///< of the addresses
  std::vector<std::unique_ptr<Stub>> stubs_;  ///< for each address, once it is called
};

}  // namespace capf::phone
