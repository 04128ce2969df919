#include "capf/rpc/convert_campaign.h"

#include "capf/rpc/convert.h"
#include "capf/rpc/convert_field.h"
#include "capf/rpc/status.h"

namespace capf::rpc {
namespace {

Result<std::optional<std::chrono::seconds>> seconds_from(bool present, const google::protobuf::Duration& duration) {
  if (!present) return std::nullopt;
  CAPF_LET(const Duration time, from_proto(duration));
  return std::optional(std::chrono::floor<std::chrono::seconds>(time));
}

}  // namespace

Result<CampaignTerms> terms_from(const v1::CreateCampaignRequest& request) {
  CampaignTerms terms;
  CAPF_LET(terms.auth, from_proto(request.auth()));
  if (!request.rate().empty()) {
    CAPF_LET(terms.rate, Rate::parse(request.rate()));
  }
  CAPF_LET(terms.spread, seconds_from(request.has_spread(), request.spread()));
  CAPF_LET(terms.patience, seconds_from(request.has_patience(), request.patience()));
  if (!request.window().empty()) terms.window = Hours{request.window(), request.time_zone()};
  if (request.window().empty() && !request.time_zone().empty()) return malformed("a time zone belongs to a window");
  terms.stop_at_percent = request.stop_at_percent();
  return terms;
}

Result<std::int64_t> release_cursor_from(const std::string& text, std::int64_t campaign) {
  if (text.empty() || text == "0") return 0;
  const std::size_t dash = text.find('-');
  const auto its = number_from<std::int64_t>(text.substr(0, dash));
  const auto number = dash == std::string::npos ? std::nullopt : number_from<std::int64_t>(text.substr(dash + 1));
  if (!its || !number) return fail(Reason::kInvalidPage);
  if (*its != campaign) return fail(Reason::kInvalidPage, "this cursor is of another campaign: begin without one");
  return *number;
}

void to_proto(const Campaign& campaign, v1::Campaign& out) {
  const CampaignTerms& terms = campaign.terms;
  out.set_name(campaign.name);
  out.set_state(std::string(to_string(campaign.state)));
  out.set_auth(to_proto(terms.auth));
  if (terms.rate) out.set_rate(terms.rate->text());
  if (terms.spread) out.mutable_spread()->set_seconds(terms.spread->count());
  if (terms.window) {
    out.set_window(terms.window->text);
    out.set_time_zone(terms.window->zone);
  }
  out.set_stop_at_percent(terms.stop_at_percent);
  if (terms.patience) out.mutable_patience()->set_seconds(terms.patience->count());
  out.set_why(to_utf8(campaign.why));
  out.set_created_by(campaign.created_by);
  to_proto(campaign.created_at, *out.mutable_created_at());
  if (campaign.ended_at) to_proto(*campaign.ended_at, *out.mutable_ended_at());
}

void to_proto(const service::CampaignView& view, v1::Campaign& out) {
  to_proto(view.campaign, out);
  for (const CampaignFigure& figure : view.figures) {
    v1::CampaignFigure& shown = *out.add_figures();
    shown.set_state(std::string(to_string(figure.state)));
    shown.set_reason(figure.reason);
    shown.set_phones(figure.phones);
  }
  if (view.opens_at) to_proto(*view.opens_at, *out.mutable_opens_at());
}

void to_proto(const service::WrittenDown& answer, v1::AddCampaignPhonesResponse& out) {
  out.set_selected(answer.selected);
  out.set_added(answer.added);
  for (const TakenPhone& taken : answer.left_out) {
    v1::TakenPhone& left_out = *out.add_left_out();
    left_out.set_device(taken.device);
    left_out.set_campaign(taken.campaign);
  }
  if (answer.next) out.set_cursor(to_text(*answer.next));
}

void to_proto(const PhoneRelease& release, std::int64_t campaign, v1::CampaignRelease& out) {
  out.set_device(release.device.text());
  to_proto(release.released_at, *out.mutable_released_at());
  out.set_late(release.late);
  out.set_cursor(std::to_string(campaign) + '-' + std::to_string(release.number));
}

}  // namespace capf::rpc
