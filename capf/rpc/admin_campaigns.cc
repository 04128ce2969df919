#include "capf/rpc/admin.h"
#include "capf/rpc/admission/cutoff.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/convert_campaign.h"
#include "capf/service/campaigns.h"

namespace capf::rpc {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{2000};
constexpr int kReleasesAtOnce = 500;

}  // namespace

grpc::Status AdminService::CreateCampaign(grpc::ServerContext* context, const v1::CreateCampaignRequest* request,
                                          v1::CreateCampaignResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(CampaignTerms terms, terms_from(*request));
    if (request->check_only()) return use_cases_.campaigns.check(request->name(), std::move(terms));
    CAPF_LET(const Campaign campaign, use_cases_.campaigns.create(call.actor, request->name(), std::move(terms)));
    to_proto(campaign, *response->mutable_campaign());
    return {};
  });
}

grpc::Status AdminService::AddCampaignPhones(grpc::ServerContext* context, const v1::AddCampaignPhonesRequest* request,
                                             v1::AddCampaignPhonesResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::Bulk bulk, bulk_from(request->selection(), request->count(), request->cursor()));
    CAPF_LET(const service::WrittenDown answer,
             use_cases_.campaigns.add_phones(call.actor, request->name(), bulk, request->leaves_taken()));
    to_proto(answer, *response);
    return {};
  });
}

grpc::Status AdminService::StartCampaign(grpc::ServerContext* context, const v1::StartCampaignRequest* request,
                                         v1::StartCampaignResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::CampaignView view, use_cases_.campaigns.start(call.actor, request->name()));
    to_proto(view, *response->mutable_campaign());
    return {};
  });
}

grpc::Status AdminService::ListCampaigns(grpc::ServerContext* context, const v1::ListCampaignsRequest* request,
                                         v1::ListCampaignsResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const Page page, from_proto(request->page()));
    CAPF_LET(const std::vector<Campaign> campaigns, use_cases_.campaigns.list(page));
    for (const Campaign& campaign : campaigns) to_proto(campaign, *response->add_campaigns());
    response->set_next_page_token(next_page_token(campaigns, page));
    return {};
  });
}

grpc::Status AdminService::GetCampaign(grpc::ServerContext* context, const v1::GetCampaignRequest* request,
                                       v1::GetCampaignResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall&) -> Status {
    CAPF_LET(const service::CampaignView view, use_cases_.campaigns.show(request->name()));
    to_proto(view, *response->mutable_campaign());
    return {};
  });
}

grpc::Status AdminService::PauseCampaign(grpc::ServerContext* context, const v1::PauseCampaignRequest* request,
                                         v1::PauseCampaignResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::CampaignView view, use_cases_.campaigns.pause(call.actor, request->name()));
    to_proto(view, *response->mutable_campaign());
    return {};
  });
}

grpc::Status AdminService::ResumeCampaign(grpc::ServerContext* context, const v1::ResumeCampaignRequest* request,
                                          v1::ResumeCampaignResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::CampaignView view, use_cases_.campaigns.resume(call.actor, request->name()));
    to_proto(view, *response->mutable_campaign());
    return {};
  });
}

grpc::Status AdminService::CancelCampaign(grpc::ServerContext* context, const v1::CancelCampaignRequest* request,
                                          v1::CancelCampaignResponse* response) {
  return guard_.admin(*context, {kService, __func__}, *request, [&](const AdminCall& call) -> Status {
    CAPF_LET(const service::CampaignView view, use_cases_.campaigns.cancel(call.actor, request->name()));
    to_proto(view, *response->mutable_campaign());
    return {};
  });
}

grpc::Status AdminService::WatchCampaign(grpc::ServerContext* context, const v1::WatchCampaignRequest* request,
                                         grpc::ServerWriter<v1::CampaignRelease>* writer) {
  return guard_.admin_stream(*context, {kService, __func__}, campaign_streams_, [&](Stream& stream) -> Status {
    CAPF_LET(const service::CampaignView begin, use_cases_.campaigns.show(request->name()));
    CAPF_LET(std::int64_t after, release_cursor_from(request->cursor(), begin.campaign.id));
    while (true) {
      // Looked at first: phones that are released before its end are read below.
      CAPF_LET(const service::CampaignView view, use_cases_.campaigns.show(request->name()));
      CAPF_LET(const auto releases, use_cases_.campaigns.released(view.campaign.id, after, kReleasesAtOnce));
      for (const PhoneRelease& release : releases) {
        v1::CampaignRelease out;
        to_proto(release, view.campaign.id, out);
        if (!write_soon(*context, *writer, out)) return fail(Reason::kCallerGone);
        after = release.number;
        CAPF_TRY(stream.pause(std::chrono::milliseconds{0}));  // a caller who reads slowly is judged meanwhile
      }
      const bool all = static_cast<int>(releases.size()) < kReleasesAtOnce;
      if (all && is_over(view.campaign.state)) return {};
      CAPF_TRY(stream.pause(all ? kBetweenLooks : std::chrono::milliseconds{0}));
    }
  });
}

}  // namespace capf::rpc
