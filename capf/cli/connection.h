#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/verdict.h"
#include "capf/client/administrator.h"
#include "capf/client/site.h"
#include "capf/v1/admin.pb.h"
#include "capf/v1/monitor.pb.h"

// The calls of an administrator, by their names in the .proto files: service, then method.
// clang-format off
#define CAPF_CLI_CALLS(X)                                                                                  \
  X(admin, AddPhones) X(admin, ListPhones) X(admin, GetPhone) X(admin, RemovePhone) X(admin, BlockPhone)   \
  X(admin, SelectPhones) X(admin, ChangePhones) X(admin, CheckImport) X(admin, ImportPhones)               \
  X(admin, UnblockPhone) X(admin, UnlockPhone) X(admin, TracePhone)                                        \
  X(admin, RemovePhones) X(admin, BlockPhones) X(admin, UnblockPhones) X(admin, UnlockPhones)              \
  X(admin, TracePhones)                                                                                    \
  X(admin, AddProfile) X(admin, SetProfile) X(admin, RenameProfile) X(admin, RemoveProfile)                \
  X(admin, ListProfiles) X(admin, GetProfile) X(admin, ApplyProfile) X(admin, ChangePhoneSettings)         \
  X(admin, GetEffectiveSettings) X(admin, SetSecurityMode)                                                 \
  X(admin, AddLine) X(admin, ListLines) X(admin, GetLine) X(admin, RemoveLine)                             \
  X(admin, ListLimitedAddresses) X(admin, UnlockAddress)                                                   \
  X(admin, AddDigestUsers) X(admin, SetDigestPassword) X(admin, ListDigestUsers) X(admin, GetDigestUser)   \
  X(admin, RevealDigestPassword) X(admin, RemoveDigestUser) X(admin, SetPhoneDigestUser)                   \
  X(admin, LoginPhone) X(admin, LogoutPhone) X(admin, CheckDigestUsers) X(admin, SignFile)                 \
  X(admin, ImportConfigurations) X(admin, GetConfiguration) X(admin, CheckConfigurations)                  \
  X(admin, ExportConfiguration) X(admin, RemoveConfigurations)                                             \
  X(admin, ScheduleOperations) X(admin, ListOperations) X(admin, GetOperation) X(admin, CancelOperation)   \
  X(admin, ScheduleSelection) X(admin, CancelSelection)                                                    \
  X(admin, ListCertificates) X(admin, GetCertificate) X(admin, RevokeCertificates)                         \
  X(admin, VerifyCertificates) X(admin, SelectCertificates) X(admin, RevokeSelection) X(admin, RevokeKey)  \
  X(admin, ReleaseCertificates) X(admin, BlockCertificates) X(admin, UnblockCertificate)                   \
  X(admin, ListBlockedCertificates)                                                                        \
  X(admin, ListIssuers) X(admin, GetIssuer) X(admin, AddIssuer) X(admin, ActivateIssuer)                   \
  X(admin, RetireIssuer)                                                                                   \
  X(admin, AddAnchors) X(admin, ListAnchors) X(admin, RemoveAnchor) X(admin, ListTrustCandidates)          \
  X(admin, AddTrustedParty) X(admin, ListTrustedParties) X(admin, RemoveTrustedParty)                      \
  X(admin, AddTrustedCertificate) X(admin, ListTrustedCertificates) X(admin, RemoveTrustedCertificate)     \
  X(admin, AddAdministrator) X(admin, ListAdministrators)                                                  \
  X(admin, DisableAdministrator) X(admin, GetSite) X(admin, RecoverSite)                                   \
  X(admin, ListAudit) X(admin, ListSeals) X(monitor, GetSummary) X(monitor, ListPending)        \
  X(monitor, ClassifyCall)                                                                                 \
  X(admin, GetTrustLists) X(admin, ListTrustLists) X(admin, BuildTrustLists) X(admin, ExportTrustList)     \
  X(admin, ServeTrustList) X(admin, ReleaseTrustLists) X(admin, ActivateTrustedCertificate)                \
  X(admin, ReplaceListSigner)                                                                              \
  X(admin, CreateCampaign) X(admin, AddCampaignPhones) X(admin, StartCampaign) X(admin, ListCampaigns)     \
  X(admin, GetCampaign) X(admin, PauseCampaign) X(admin, ResumeCampaign) X(admin, CancelCampaign)          \
  X(admin, RenewAdministrator) X(admin, EnableAdministrator) X(admin, ChangeAdministrator)                 \
  X(admin, ListPhoneHistory) X(admin, MovePhones)
// clang-format on

namespace grpc {
class ClientContext;
class Status;
}  // namespace grpc

namespace capf::cli {

/// The command line's server and client certificate. Empty fields come from the state directory.
struct Place {
  std::string state;
  std::string server;  ///< HOST:PORT, or several with commas
  std::string trust;
  std::string certificate;
  std::string key;
  std::string administrator;  ///< whose files in DIR/admin
  std::string context{};      ///< from which the others come; empty: none
};
/// The files of the administrator's certificate and key.
client::AdministratorFiles own_files(const Place& place);
/// Errors: NO_SITE, SERVER_NOT_REACHED, SECRET_EXPOSED, INVALID_REQUEST.
Result<client::Endpoint> find_endpoint(const Place& place);

/// A server as an administrator calls it: connects at the first call, to the first of several that answers, and gives
/// every call a deadline.
class Connection {
 public:
  explicit Connection(Place place);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

#define CAPF_CLI_DECLARE(service, method) Result<v1::method##Response> call(const v1::method##Request& request);
  CAPF_CLI_CALLS(CAPF_CLI_DECLARE)
#undef CAPF_CLI_DECLARE

  /// Calls `each` for every change until it returns false, the stream breaks, or the server ends it. A stream that has
  /// lasted an hour is continued where it ended.
  capf::Status watch(std::string cursor, const std::function<bool(const v1::OperationChange&)>& each);
  /// Calls `each` for every row of the export of digest users, until it fails.
  capf::Status export_digest_users(const std::function<capf::Status(v1::DigestExportRow&)>& each);
  capf::Status watch(std::string cursor, const std::function<bool(const v1::SecurityChange&)>& each);
  /// The releases of a campaign; without a cursor, all of phones that are under way.
  capf::Status watch(const std::string& campaign, std::string cursor,
                     const std::function<bool(const v1::CampaignRelease&)>& each);
  /// Calls `each` for every part of every file of an export, until it fails.
  capf::Status export_files(const v1::ExportFilesRequest& request,
                            const std::function<capf::Status(const v1::ExportedFile&)>& each);
  /// The health of each server of the place, all asked at the same time. Errors: those of find_endpoint().
  Result<std::vector<Health>> health();
  /// From now on all calls together, with connecting, must end within this time.
  void set_patience(std::chrono::milliseconds patience) { give_up_at_ = std::chrono::system_clock::now() + patience; }

  const Place& place() const { return place_; }
  /// Whether the error is the last one that the server answered with.
  bool has_refused(const Error& error) const;

 private:
  struct Stubs;
  Error refusal(const grpc::Status& status);
  capf::Status connect();
  void add_words(grpc::ClientContext& context) const;
  /// @param open takes a context and a cursor, returns the stream
  template <class Change, class Open>
  capf::Status watch(std::string cursor, const std::function<bool(const Change&)>& each, Open open);
  /// The time at which a call that may take so long is given up.
  std::chrono::system_clock::time_point until(std::chrono::milliseconds length) const;

  Place place_;
  std::optional<std::chrono::system_clock::time_point> give_up_at_;
  std::unique_ptr<Stubs> stubs_;
  std::optional<Error> refusal_;
  std::vector<Secret> words_;  ///< of the state directory, for changes while a database is behind
};

}  // namespace capf::cli
