#pragma once

#include "capf/rpc/guard.h"
#include "capf/v1/admin.grpc.pb.h"

namespace capf::rpc {

/// The methods of administrators; most parts have theirs in an admin_<part>.cc.
class AdminService final : public v1::AdminService::Service {
 public:
  AdminService(Guard& guard, const UseCases& use_cases) : guard_(guard), use_cases_(use_cases) {}

  grpc::Status AddPhones(grpc::ServerContext* context, const v1::AddPhonesRequest* request,
                         v1::AddPhonesResponse* response) override;
  grpc::Status ListPhones(grpc::ServerContext* context, const v1::ListPhonesRequest* request,
                          v1::ListPhonesResponse* response) override;
  grpc::Status SelectPhones(grpc::ServerContext* context, const v1::SelectPhonesRequest* request,
                            v1::SelectPhonesResponse* response) override;
  grpc::Status ChangePhones(grpc::ServerContext* context, const v1::ChangePhonesRequest* request,
                            v1::ChangePhonesResponse* response) override;
  grpc::Status CheckImport(grpc::ServerContext* context, const v1::CheckImportRequest* request,
                           v1::CheckImportResponse* response) override;
  grpc::Status ImportPhones(grpc::ServerContext* context, const v1::ImportPhonesRequest* request,
                            v1::ImportPhonesResponse* response) override;
  grpc::Status GetPhone(grpc::ServerContext* context, const v1::GetPhoneRequest* request,
                        v1::GetPhoneResponse* response) override;
  grpc::Status RemovePhone(grpc::ServerContext* context, const v1::RemovePhoneRequest* request,
                           v1::RemovePhoneResponse* response) override;
  grpc::Status BlockPhone(grpc::ServerContext* context, const v1::BlockPhoneRequest* request,
                          v1::BlockPhoneResponse* response) override;
  grpc::Status UnblockPhone(grpc::ServerContext* context, const v1::UnblockPhoneRequest* request,
                            v1::UnblockPhoneResponse* response) override;
  grpc::Status AddProfile(grpc::ServerContext* context, const v1::AddProfileRequest* request,
                          v1::AddProfileResponse* response) override;
  grpc::Status SetProfile(grpc::ServerContext* context, const v1::SetProfileRequest* request,
                          v1::SetProfileResponse* response) override;
  grpc::Status RenameProfile(grpc::ServerContext* context, const v1::RenameProfileRequest* request,
                             v1::RenameProfileResponse* response) override;
  grpc::Status RemoveProfile(grpc::ServerContext* context, const v1::RemoveProfileRequest* request,
                             v1::RemoveProfileResponse* response) override;
  grpc::Status ListProfiles(grpc::ServerContext* context, const v1::ListProfilesRequest* request,
                            v1::ListProfilesResponse* response) override;
  grpc::Status GetProfile(grpc::ServerContext* context, const v1::GetProfileRequest* request,
                          v1::GetProfileResponse* response) override;
  grpc::Status ApplyProfile(grpc::ServerContext* context, const v1::ApplyProfileRequest* request,
                            v1::ApplyProfileResponse* response) override;
  grpc::Status ChangePhoneSettings(grpc::ServerContext* context, const v1::ChangePhoneSettingsRequest* request,
                                   v1::ChangePhoneSettingsResponse* response) override;
  grpc::Status GetEffectiveSettings(grpc::ServerContext* context, const v1::GetEffectiveSettingsRequest* request,
                                    v1::GetEffectiveSettingsResponse* response) override;
  grpc::Status ListLimitedAddresses(grpc::ServerContext* context, const v1::ListLimitedAddressesRequest* request,
                                    v1::ListLimitedAddressesResponse* response) override;
  grpc::Status UnlockAddress(grpc::ServerContext* context, const v1::UnlockAddressRequest* request,
                             v1::UnlockAddressResponse* response) override;
  grpc::Status UnlockPhone(grpc::ServerContext* context, const v1::UnlockPhoneRequest* request,
                           v1::UnlockPhoneResponse* response) override;
  grpc::Status TracePhone(grpc::ServerContext* context, const v1::TracePhoneRequest* request,
                          v1::TracePhoneResponse* response) override;
  grpc::Status RemovePhones(grpc::ServerContext* context, const v1::RemovePhonesRequest* request,
                            v1::RemovePhonesResponse* response) override;
  grpc::Status BlockPhones(grpc::ServerContext* context, const v1::BlockPhonesRequest* request,
                           v1::BlockPhonesResponse* response) override;
  grpc::Status UnblockPhones(grpc::ServerContext* context, const v1::UnblockPhonesRequest* request,
                             v1::UnblockPhonesResponse* response) override;
  grpc::Status UnlockPhones(grpc::ServerContext* context, const v1::UnlockPhonesRequest* request,
                            v1::UnlockPhonesResponse* response) override;
  grpc::Status TracePhones(grpc::ServerContext* context, const v1::TracePhonesRequest* request,
                           v1::TracePhonesResponse* response) override;
  grpc::Status AddLine(grpc::ServerContext* context, const v1::AddLineRequest* request,
                       v1::AddLineResponse* response) override;
  grpc::Status ListLines(grpc::ServerContext* context, const v1::ListLinesRequest* request,
                         v1::ListLinesResponse* response) override;
  grpc::Status GetLine(grpc::ServerContext* context, const v1::GetLineRequest* request,
                       v1::GetLineResponse* response) override;
  grpc::Status RemoveLine(grpc::ServerContext* context, const v1::RemoveLineRequest* request,
                          v1::RemoveLineResponse* response) override;
  grpc::Status AddDigestUsers(grpc::ServerContext* context, const v1::AddDigestUsersRequest* request,
                              v1::AddDigestUsersResponse* response) override;
  grpc::Status CheckDigestUsers(grpc::ServerContext* context, const v1::CheckDigestUsersRequest* request,
                                v1::CheckDigestUsersResponse* response) override;
  grpc::Status SetDigestPassword(grpc::ServerContext* context, const v1::SetDigestPasswordRequest* request,
                                 v1::SetDigestPasswordResponse* response) override;
  grpc::Status ListDigestUsers(grpc::ServerContext* context, const v1::ListDigestUsersRequest* request,
                               v1::ListDigestUsersResponse* response) override;
  grpc::Status GetDigestUser(grpc::ServerContext* context, const v1::GetDigestUserRequest* request,
                             v1::GetDigestUserResponse* response) override;
  grpc::Status RevealDigestPassword(grpc::ServerContext* context, const v1::RevealDigestPasswordRequest* request,
                                    v1::RevealDigestPasswordResponse* response) override;
  grpc::Status RemoveDigestUser(grpc::ServerContext* context, const v1::RemoveDigestUserRequest* request,
                                v1::RemoveDigestUserResponse* response) override;
  grpc::Status ExportDigestUsers(grpc::ServerContext* context, const v1::ExportDigestUsersRequest* request,
                                 grpc::ServerWriter<v1::DigestExportRow>* writer) override;
  grpc::Status SetPhoneDigestUser(grpc::ServerContext* context, const v1::SetPhoneDigestUserRequest* request,
                                  v1::SetPhoneDigestUserResponse* response) override;
  grpc::Status LoginPhone(grpc::ServerContext* context, const v1::LoginPhoneRequest* request,
                          v1::LoginPhoneResponse* response) override;
  grpc::Status LogoutPhone(grpc::ServerContext* context, const v1::LogoutPhoneRequest* request,
                           v1::LogoutPhoneResponse* response) override;
  grpc::Status ScheduleOperations(grpc::ServerContext* context, const v1::ScheduleOperationsRequest* request,
                                  v1::ScheduleOperationsResponse* response) override;
  grpc::Status ListOperations(grpc::ServerContext* context, const v1::ListOperationsRequest* request,
                              v1::ListOperationsResponse* response) override;
  grpc::Status GetOperation(grpc::ServerContext* context, const v1::GetOperationRequest* request,
                            v1::GetOperationResponse* response) override;
  grpc::Status CancelOperation(grpc::ServerContext* context, const v1::CancelOperationRequest* request,
                               v1::CancelOperationResponse* response) override;
  grpc::Status ScheduleSelection(grpc::ServerContext* context, const v1::ScheduleSelectionRequest* request,
                                 v1::ScheduleSelectionResponse* response) override;
  grpc::Status CancelSelection(grpc::ServerContext* context, const v1::CancelSelectionRequest* request,
                               v1::CancelSelectionResponse* response) override;
  grpc::Status ListCertificates(grpc::ServerContext* context, const v1::ListCertificatesRequest* request,
                                v1::ListCertificatesResponse* response) override;
  grpc::Status GetCertificate(grpc::ServerContext* context, const v1::GetCertificateRequest* request,
                              v1::GetCertificateResponse* response) override;
  grpc::Status RevokeCertificates(grpc::ServerContext* context, const v1::RevokeCertificatesRequest* request,
                                  v1::RevokeCertificatesResponse* response) override;
  grpc::Status SelectCertificates(grpc::ServerContext* context, const v1::SelectCertificatesRequest* request,
                                  v1::SelectCertificatesResponse* response) override;
  grpc::Status RevokeSelection(grpc::ServerContext* context, const v1::RevokeSelectionRequest* request,
                               v1::RevokeSelectionResponse* response) override;
  grpc::Status RevokeKey(grpc::ServerContext* context, const v1::RevokeKeyRequest* request,
                         v1::RevokeKeyResponse* response) override;
  grpc::Status ReleaseCertificates(grpc::ServerContext* context, const v1::ReleaseCertificatesRequest* request,
                                   v1::ReleaseCertificatesResponse* response) override;
  grpc::Status BlockCertificates(grpc::ServerContext* context, const v1::BlockCertificatesRequest* request,
                                 v1::BlockCertificatesResponse* response) override;
  grpc::Status UnblockCertificate(grpc::ServerContext* context, const v1::UnblockCertificateRequest* request,
                                  v1::UnblockCertificateResponse* response) override;
  grpc::Status ListBlockedCertificates(grpc::ServerContext* context, const v1::ListBlockedCertificatesRequest* request,
                                       v1::ListBlockedCertificatesResponse* response) override;
  grpc::Status VerifyCertificates(grpc::ServerContext* context, const v1::VerifyCertificatesRequest* request,
                                  v1::VerifyCertificatesResponse* response) override;
  grpc::Status ListIssuers(grpc::ServerContext* context, const v1::ListIssuersRequest* request,
                           v1::ListIssuersResponse* response) override;
  grpc::Status GetIssuer(grpc::ServerContext* context, const v1::GetIssuerRequest* request,
                         v1::GetIssuerResponse* response) override;
  grpc::Status AddIssuer(grpc::ServerContext* context, const v1::AddIssuerRequest* request,
                         v1::AddIssuerResponse* response) override;
  grpc::Status ActivateIssuer(grpc::ServerContext* context, const v1::ActivateIssuerRequest* request,
                              v1::ActivateIssuerResponse* response) override;
  grpc::Status RetireIssuer(grpc::ServerContext* context, const v1::RetireIssuerRequest* request,
                            v1::RetireIssuerResponse* response) override;
  grpc::Status AddAnchors(grpc::ServerContext* context, const v1::AddAnchorsRequest* request,
                          v1::AddAnchorsResponse* response) override;
  grpc::Status ListAnchors(grpc::ServerContext* context, const v1::ListAnchorsRequest* request,
                           v1::ListAnchorsResponse* response) override;
  grpc::Status ListTrustCandidates(grpc::ServerContext* context, const v1::ListTrustCandidatesRequest* request,
                                   v1::ListTrustCandidatesResponse* response) override;
  grpc::Status RemoveAnchor(grpc::ServerContext* context, const v1::RemoveAnchorRequest* request,
                            v1::RemoveAnchorResponse* response) override;
  grpc::Status AddTrustedParty(grpc::ServerContext* context, const v1::AddTrustedPartyRequest* request,
                               v1::AddTrustedPartyResponse* response) override;
  grpc::Status ListTrustedParties(grpc::ServerContext* context, const v1::ListTrustedPartiesRequest* request,
                                  v1::ListTrustedPartiesResponse* response) override;
  grpc::Status RemoveTrustedParty(grpc::ServerContext* context, const v1::RemoveTrustedPartyRequest* request,
                                  v1::RemoveTrustedPartyResponse* response) override;
  grpc::Status AddTrustedCertificate(grpc::ServerContext* context, const v1::AddTrustedCertificateRequest* request,
                                     v1::AddTrustedCertificateResponse* response) override;
  grpc::Status ListTrustedCertificates(grpc::ServerContext* context, const v1::ListTrustedCertificatesRequest* request,
                                       v1::ListTrustedCertificatesResponse* response) override;
  grpc::Status RemoveTrustedCertificate(grpc::ServerContext* context,
                                        const v1::RemoveTrustedCertificateRequest* request,
                                        v1::RemoveTrustedCertificateResponse* response) override;
  grpc::Status AddAdministrator(grpc::ServerContext* context, const v1::AddAdministratorRequest* request,
                                v1::AddAdministratorResponse* response) override;
  grpc::Status ListAdministrators(grpc::ServerContext* context, const v1::ListAdministratorsRequest* request,
                                  v1::ListAdministratorsResponse* response) override;
  grpc::Status DisableAdministrator(grpc::ServerContext* context, const v1::DisableAdministratorRequest* request,
                                    v1::DisableAdministratorResponse* response) override;
  grpc::Status GetSite(grpc::ServerContext* context, const v1::GetSiteRequest* request,
                       v1::GetSiteResponse* response) override;
  grpc::Status RecoverSite(grpc::ServerContext* context, const v1::RecoverSiteRequest* request,
                           v1::RecoverSiteResponse* response) override;
  grpc::Status SetSecurityMode(grpc::ServerContext* context, const v1::SetSecurityModeRequest* request,
                               v1::SetSecurityModeResponse* response) override;
  grpc::Status ListSeals(grpc::ServerContext* context, const v1::ListSealsRequest* request,
                         v1::ListSealsResponse* response) override;
  grpc::Status ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override;
  grpc::Status GetTrustLists(grpc::ServerContext* context, const v1::GetTrustListsRequest* request,
                             v1::GetTrustListsResponse* response) override;
  grpc::Status ListTrustLists(grpc::ServerContext* context, const v1::ListTrustListsRequest* request,
                              v1::ListTrustListsResponse* response) override;
  grpc::Status BuildTrustLists(grpc::ServerContext* context, const v1::BuildTrustListsRequest* request,
                               v1::BuildTrustListsResponse* response) override;
  grpc::Status ExportTrustList(grpc::ServerContext* context, const v1::ExportTrustListRequest* request,
                               v1::ExportTrustListResponse* response) override;
  grpc::Status ServeTrustList(grpc::ServerContext* context, const v1::ServeTrustListRequest* request,
                              v1::ServeTrustListResponse* response) override;
  grpc::Status ReleaseTrustLists(grpc::ServerContext* context, const v1::ReleaseTrustListsRequest* request,
                                 v1::ReleaseTrustListsResponse* response) override;
  grpc::Status ActivateTrustedCertificate(grpc::ServerContext* context,
                                          const v1::ActivateTrustedCertificateRequest* request,
                                          v1::ActivateTrustedCertificateResponse* response) override;
  grpc::Status ReplaceListSigner(grpc::ServerContext* context, const v1::ReplaceListSignerRequest* request,
                                 v1::ReplaceListSignerResponse* response) override;

  grpc::Status ExportFiles(grpc::ServerContext* context, const v1::ExportFilesRequest* request,
                           grpc::ServerWriter<v1::ExportedFile>* writer) override;
  grpc::Status SignFile(grpc::ServerContext* context, const v1::SignFileRequest* request,
                        v1::SignFileResponse* response) override;
  grpc::Status ImportConfigurations(grpc::ServerContext* context, const v1::ImportConfigurationsRequest* request,
                                    v1::ImportConfigurationsResponse* response) override;
  grpc::Status RemoveConfigurations(grpc::ServerContext* context, const v1::RemoveConfigurationsRequest* request,
                                    v1::RemoveConfigurationsResponse* response) override;
  grpc::Status GetConfiguration(grpc::ServerContext* context, const v1::GetConfigurationRequest* request,
                                v1::GetConfigurationResponse* response) override;
  grpc::Status CheckConfigurations(grpc::ServerContext* context, const v1::CheckConfigurationsRequest* request,
                                   v1::CheckConfigurationsResponse* response) override;
  grpc::Status ExportConfiguration(grpc::ServerContext* context, const v1::ExportConfigurationRequest* request,
                                   v1::ExportConfigurationResponse* response) override;
  grpc::Status CreateCampaign(grpc::ServerContext* context, const v1::CreateCampaignRequest* request,
                              v1::CreateCampaignResponse* response) override;
  grpc::Status AddCampaignPhones(grpc::ServerContext* context, const v1::AddCampaignPhonesRequest* request,
                                 v1::AddCampaignPhonesResponse* response) override;
  grpc::Status StartCampaign(grpc::ServerContext* context, const v1::StartCampaignRequest* request,
                             v1::StartCampaignResponse* response) override;
  grpc::Status ListCampaigns(grpc::ServerContext* context, const v1::ListCampaignsRequest* request,
                             v1::ListCampaignsResponse* response) override;
  grpc::Status GetCampaign(grpc::ServerContext* context, const v1::GetCampaignRequest* request,
                           v1::GetCampaignResponse* response) override;
  grpc::Status PauseCampaign(grpc::ServerContext* context, const v1::PauseCampaignRequest* request,
                             v1::PauseCampaignResponse* response) override;
  grpc::Status ResumeCampaign(grpc::ServerContext* context, const v1::ResumeCampaignRequest* request,
                              v1::ResumeCampaignResponse* response) override;
  grpc::Status CancelCampaign(grpc::ServerContext* context, const v1::CancelCampaignRequest* request,
                              v1::CancelCampaignResponse* response) override;
  grpc::Status WatchCampaign(grpc::ServerContext* context, const v1::WatchCampaignRequest* request,
                             grpc::ServerWriter<v1::CampaignRelease>* writer) override;
  grpc::Status RenewAdministrator(grpc::ServerContext* context, const v1::RenewAdministratorRequest* request,
                                  v1::RenewAdministratorResponse* response) override;
  grpc::Status EnableAdministrator(grpc::ServerContext* context, const v1::EnableAdministratorRequest* request,
                                   v1::EnableAdministratorResponse* response) override;
  grpc::Status ChangeAdministrator(grpc::ServerContext* context, const v1::ChangeAdministratorRequest* request,
                                   v1::ChangeAdministratorResponse* response) override;
  grpc::Status ListPhoneHistory(grpc::ServerContext* context, const v1::ListPhoneHistoryRequest* request,
                                v1::ListPhoneHistoryResponse* response) override;
  grpc::Status MovePhones(grpc::ServerContext* context, const v1::MovePhonesRequest* request,
                          v1::MovePhonesResponse* response) override;

 private:
  static constexpr std::string_view kService = "capf.v1.AdminService/";

  Guard& guard_;
  const UseCases& use_cases_;
  Limiter exports_{{.running = 2}};
  Limiter campaign_streams_{{.running = 16}};
};

}  // namespace capf::rpc
