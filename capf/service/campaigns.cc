#include "capf/service/campaigns.h"

#include <algorithm>

#include "capf/domain/audit_store.h"
#include "capf/service/renewals.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kCleanedAtOnce = 10'000;
constexpr int kTakenTold = 10;

tl::unexpected<Error> unknown(const std::string& name) {
  return fail(Reason::kUnknownCampaign, "there is no campaign " + name);
}

tl::unexpected<Error> wrong_state(const Campaign& campaign, const std::string& words) {
  return fail(Reason::kCampaignState,
              "the campaign " + campaign.name + " is " + std::string(to_string(campaign.state)) + ": " + words);
}

std::string words_of(const CampaignTerms& terms) {
  std::string words = "by " + std::string(to_string(terms.auth));
  if (terms.rate) words += ", " + terms.rate->text();
  if (terms.spread) words += ", spread over " + std::to_string(terms.spread->count()) + " s";
  if (terms.window) words += ", " + terms.window->text + " " + terms.window->zone;
  if (terms.patience) words += ", patience " + std::to_string(terms.patience->count()) + " s";
  if (terms.stop_at_percent > 0) words += ", stops at " + std::to_string(terms.stop_at_percent) + " %";
  return words;
}

AuditEvent event_of(const Actor& actor, const std::string& action, const Campaign& campaign,
                    const std::string& detail) {
  return done(actor, action, campaign.name, detail);
}

Result<Campaign> locked(Transaction& tx, const std::string& name) {
  CAPF_LET(auto campaign, tx.campaigns().lock(name));
  if (!campaign) return unknown(name);
  return *std::move(campaign);
}

Result<CampaignView> view_of(Transaction& tx, Campaign campaign) {
  CampaignView view{.campaign = std::move(campaign), .figures = {}, .opens_at = {}};
  CAPF_LET(view.figures, tx.campaigns().figures(view.campaign.id, std::nullopt));
  const std::optional<Hours>& hours = view.campaign.terms.window;
  if (!hours || view.campaign.state != CampaignState::kRunning) return view;
  // A server that does not know the zone shows no time; the one that releases phones says so in its log.
  const auto window = Window::parse(hours->text, hours->zone);
  if (window && !window->contains(tx.now())) view.opens_at = window->next(tx.now());
  return view;
}

tl::unexpected<Error> taken_words(const std::vector<TakenPhone>& taken) {
  return fail(Reason::kPhoneInCampaign, taken.front().device + " is in the campaign " + taken.front().campaign +
                                            (taken.size() > 1 ? ", and there are others that campaigns have" : "") +
                                            ": 'campaign cancel' frees phones, --skip taken leaves them out");
}

Status check_room(Transaction& tx) {
  CAPF_LET(const auto under_way, tx.campaigns().under_way(kMostCampaigns));
  if (under_way.size() < static_cast<std::size_t>(kMostCampaigns)) return {};
  return fail(Reason::kCampaignState, "there are 100 campaigns that are not over: cancel one of them first");
}

}  // namespace

std::int64_t count_in(std::span<const CampaignFigure> figures, std::initializer_list<CampaignPhoneState> states) {
  std::int64_t phones = 0;
  for (const CampaignFigure& figure : figures) {
    if (std::find(states.begin(), states.end(), figure.state) != states.end()) phones += figure.phones;
  }
  return phones;
}

// Phones of a campaign that is over are dropped later than withdrawn.
Result<bool> clean_up(Transaction& tx, const Campaign& campaign) {
  CAPF_LET(const auto now, tx.campaigns().lock(campaign.id));
  if (!now || now->state != campaign.state) return true;
  if (campaign.state == CampaignState::kCancelled) {
    CAPF_LET(const int withdrawn, tx.campaigns().withdraw(campaign.id, kCleanedAtOnce));
    if (withdrawn > 0) return withdrawn < kCleanedAtOnce;
  }
  CAPF_LET(const int dropped, tx.campaigns().drop(campaign.id, kCleanedAtOnce));
  if (dropped == kCleanedAtOnce) return false;
  if (campaign.state == CampaignState::kNew) {
    CAPF_TRY(tx.campaigns().remove(campaign.id));
    CAPF_TRY(tx.audit().add(event_of(actor_of(campaign), "campaign.remove", campaign, "it was never started")));
  }
  return true;
}

Status Campaigns::check(const std::string& name, CampaignTerms terms) {
  CAPF_TRY(check_campaign_name(name));
  CAPF_TRY(terms.check());
  return in_read(database_, [&](Transaction& tx) -> Status {
    CAPF_TRY(check_room(tx));
    CAPF_LET(const auto known, tx.campaigns().find(name));
    if (known) return fail(Reason::kCampaignExists, "there is a campaign " + name + " already");
    return {};
  });
}

Result<Campaign> Campaigns::create(const Actor& actor, const std::string& name, CampaignTerms terms) {
  CAPF_TRY(check_campaign_name(name));
  CAPF_TRY(terms.check());
  Campaign campaign{.name = name, .terms = std::move(terms), .run = {}};
  campaign.run.resize(kRunOctets);
  random_.randomize(campaign.run.data(), campaign.run.size());
  campaign.created_by = actor.name;
  return in_write(database_, actor, [&](Transaction& tx) -> Result<Campaign> {
    CAPF_TRY(check_room(tx));
    CAPF_LET(const auto id, tx.campaigns().add(campaign));
    if (!id) return fail(Reason::kCampaignExists, "there is a campaign " + name + " already");
    campaign.id = *id;
    CAPF_TRY(tx.audit().add(event_of(actor, "campaign.create", campaign, words_of(campaign.terms))));
    return campaign;
  });
}

Result<WrittenDown> Campaigns::add_phones(const Actor& actor, const std::string& name, Bulk phones, bool leaves_taken) {
  phones.most = kPhonesWrittenDown;
  return in_write(database_, actor, [&](Transaction& tx) -> Result<WrittenDown> {
    CAPF_LET(const Campaign campaign, locked(tx, name));
    if (campaign.state != CampaignState::kNew) return wrong_state(campaign, "it takes no more phones");
    CAPF_LET(const Preview preview, preview_batch(tx, phones));
    CAPF_LET(const auto selected, tx.phones().still_selected(phones.selection, preview.ids));
    if (std::max(preview.count, static_cast<std::int64_t>(selected.size())) > phones.count) {
      return fail(Reason::kSelectionChanged, "more phones are in it now than were counted: count again");
    }
    std::vector<CampaignPhone> written;
    for (const SelectedPhone& phone : selected) {
      written.push_back({phone.id, phone.device, place_of(phone.device, campaign.name)});
    }
    WrittenDown answer{.selected = static_cast<int>(selected.size()), .added = 0, .left_out = {}, .next = preview.next};
    CAPF_LET(answer.added, tx.campaigns().add_phones(campaign.id, written));
    if (answer.added < answer.selected) {
      CAPF_LET(answer.left_out, tx.campaigns().taken(campaign.id, ids_of(selected), kTakenTold));
      if (!answer.left_out.empty() && !leaves_taken) return taken_words(answer.left_out);
    }
    CAPF_TRY(tx.campaigns().set(campaign));
    CAPF_TRY(
        tx.audit().add(event_of(actor, "campaign.add_phones", campaign, std::to_string(answer.added) + " phones")));
    return answer;
  });
}

Result<CampaignView> Campaigns::change(const Actor& actor, const std::string& name, const std::string& action,
                                       const std::function<Status(Transaction&, Campaign&)>& work) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<CampaignView> {
    CAPF_LET(Campaign campaign, locked(tx, name));
    CAPF_TRY(work(tx, campaign));
    CAPF_TRY(tx.campaigns().set(campaign));
    CAPF_TRY(tx.audit().add(event_of(actor, action, campaign, {})));
    return view_of(tx, std::move(campaign));
  });
}

Result<CampaignView> Campaigns::start(const Actor& actor, const std::string& name) {
  return change(actor, name, "campaign.start", [](Transaction& tx, Campaign& campaign) -> Status {
    if (campaign.state != CampaignState::kNew) return wrong_state(campaign, "it was started before");
    CAPF_LET(const auto figures, tx.campaigns().figures(campaign.id, std::nullopt));
    if (count_in(figures, {CampaignPhoneState::kWaiting}) == 0) return wrong_state(campaign, "it has no phones");
    campaign.state = CampaignState::kRunning;
    return {};
  });
}

Result<std::vector<Campaign>> Campaigns::list(const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.campaigns().list(page); });
}

Result<CampaignView> Campaigns::show(const std::string& name) {
  return in_read(database_, [&](Transaction& tx) -> Result<CampaignView> {
    CAPF_LET(auto campaign, tx.campaigns().find(name));
    if (!campaign) return unknown(name);
    return view_of(tx, *std::move(campaign));
  });
}

Result<CampaignView> Campaigns::pause(const Actor& actor, const std::string& name) {
  return change(actor, name, "campaign.pause", [](Transaction&, Campaign& campaign) -> Status {
    if (campaign.state != CampaignState::kRunning) return wrong_state(campaign, "only a running one can be paused");
    campaign.state = CampaignState::kPaused;
    campaign.round_at = std::nullopt;
    return {};
  });
}

Result<CampaignView> Campaigns::resume(const Actor& actor, const std::string& name) {
  return change(actor, name, "campaign.resume", [](Transaction&, Campaign& campaign) -> Status {
    if (campaign.state == CampaignState::kStopped) {
      ++campaign.attempt;
    } else if (campaign.state != CampaignState::kPaused) {
      return wrong_state(campaign, "only a paused or a stopped one can go on");
    }
    campaign.state = CampaignState::kRunning;
    campaign.round_at = std::nullopt;
    campaign.why.clear();
    return {};
  });
}

// Many phones take several transactions. Where they are cut off, the next round goes on with them.
Result<CampaignView> Campaigns::cancel(const Actor& actor, const std::string& name) {
  CAPF_LET(CampaignView view, change(actor, name, "campaign.cancel", [](Transaction& tx, Campaign& campaign) -> Status {
             if (campaign.id == kRenewalCampaign) {
               return fail(Reason::kCampaignState, "the campaign renewal is always there: it can be paused");
             }
             if (is_over(campaign.state)) return wrong_state(campaign, "it is over");
             if (campaign.state == CampaignState::kNew) return {};
             campaign.state = CampaignState::kCancelled;
             campaign.round_at = std::nullopt;
             campaign.ended_at = tx.now();
             return {};
           }));
  const Campaign campaign = view.campaign;
  for (bool clean = false; !clean;) {
    CAPF_LET(clean, in_write(database_, [&](Transaction& tx) -> Result<bool> {
               if (campaign.state == CampaignState::kNew) return clean_up(tx, campaign);
               CAPF_LET(const int withdrawn, tx.campaigns().withdraw(campaign.id, kCleanedAtOnce));
               return withdrawn < kCleanedAtOnce;
             }));
  }
  if (campaign.state != CampaignState::kNew) return show(name);
  CAPF_LET(const auto left, in_read(database_, [&](Transaction& tx) { return tx.campaigns().find(name); }));
  if (left && left->id == campaign.id) return wrong_state(*left, "it was started meanwhile: cancel it again");
  return view;
}

Result<std::vector<PhoneRelease>> Campaigns::released(std::int64_t campaign, std::int64_t after, int limit) {
  return in_read(database_, [&](Transaction& tx) { return tx.campaigns().released(campaign, after, limit); });
}

}  // namespace capf::service
