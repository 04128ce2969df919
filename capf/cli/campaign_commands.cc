#include <charconv>
#include <iostream>

#include "capf/cli/pages.h"
#include "capf/cli/selection.h"

namespace capf::cli {
namespace {

/// "10%", "10"; nothing for any other text.
std::optional<std::int32_t> percent_of(std::string_view text) {
  if (text.ends_with('%')) text.remove_suffix(1);
  std::int32_t percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error != std::errc() || end != text.data() + text.size() || percent < 1 || percent > 100) return std::nullopt;
  return percent;
}

/// Errors: INVALID_REQUEST.
Result<v1::CreateCampaignRequest> wanted_campaign(const Arguments& arguments) {
  v1::CreateCampaignRequest request;
  request.set_name(arguments.text("NAME"));
  request.set_auth(auth_of(arguments.text("--auth")));
  request.set_rate(arguments.text("--rate"));
  request.set_window(arguments.text("--window"));
  request.set_time_zone(arguments.text("--time-zone"));
  if (const auto spread = arguments.age("--spread")) request.mutable_spread()->set_seconds(spread->count());
  if (const auto patience = arguments.age("--patience")) request.mutable_patience()->set_seconds(patience->count());
  if (arguments.has("--stop-at")) {
    const auto percent = percent_of(arguments.text("--stop-at"));
    if (!percent) return fail(Reason::kInvalidRequest, "--stop-at takes 1% to 100%");
    request.set_stop_at_percent(*percent);
  }
  return request;
}

/// Writes the phones down, and lets the campaign begin.
Result<v1::Campaign> fill(const Arguments& arguments, Connection& server, const Chosen& chosen,
                          const ChosenCount& count) {
  v1::AddCampaignPhonesRequest request;
  request.set_name(arguments.text("NAME"));
  request.set_leaves_taken(arguments.has("--skip"));
  std::int64_t left_out = 0;
  {
    Progress progress("written down", count.phones, arguments.has("--quiet"));
    CAPF_TRY(run_batches(
        chosen, count, request, [&](const auto& call) { return server.call(call); },
        [&](const v1::AddCampaignPhonesResponse& answer) {
          progress.add(answer.selected());
          if (!answer.left_out().empty()) left_out += answer.selected() - answer.added();
        }));
  }
  if (left_out > 0) warn(std::to_string(left_out) + " phones are left out: other campaigns have them");
  v1::StartCampaignRequest start;
  start.set_name(request.name());
  CAPF_LET(const auto response, server.call(start));
  return response.campaign();
}

Result<int> create(const Arguments& arguments, Connection& server) {
  const auto wanted = wanted_campaign(arguments);
  if (!wanted) return report_usage(wanted.error().message);
  const auto chosen = phones_to_change(arguments.without("--auth"));
  if (!chosen) return report_usage(chosen.error().message);
  if (arguments.has("--dry-run")) {
    v1::CreateCampaignRequest check = *wanted;
    check.set_check_only(true);
    CAPF_TRY(server.call(check));
    return list_chosen(arguments, server, *chosen, "in the campaign");
  }
  CAPF_LET(const ChosenCount count, count_chosen(server, *chosen));
  if (count.phones == 0) return fail(Reason::kInvalidSelection, "a campaign needs a phone");
  if (const auto code = confirm_bulk(arguments, *chosen, count.phones, "Begin a campaign over")) return *code;
  CAPF_TRY(server.call(*wanted));
  const auto campaign = fill(arguments, server, *chosen, count);
  if (!campaign) {
    v1::CancelCampaignRequest cancel;
    cancel.set_name(wanted->name());
    if (!server.call(cancel)) warn("the campaign without all of its phones is removed within two hours");
    return fail(campaign.error());
  }
  warn("phones come when they are restarted: capfctl campaign watch " + wanted->name());
  show(std::cout, arguments.format(), to_json(*campaign));
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  return print_pages(
      arguments, server, v1::ListCampaignsRequest(),
      {{"NAME", "name"},
       {"STATE", "state"},
       {"AUTH", "auth"},
       {"RATE", "rate"},
       {"WINDOW", "window"},
       {"TIME ZONE", "time_zone"},
       {"CREATED AT", "created_at"},
       {"ENDED AT", "ended_at"},
       {"WHY", "why"}},
      [](const auto& response) -> auto& { return response.campaigns(); });
}

/// Makes a call that names the campaign, and shows what it is then.
template <class Request>
Result<int> call_for(const Arguments& arguments, Connection& server) {
  Request request;
  request.set_name(arguments.text("CAMPAIGN"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.campaign()));
  return 0;
}

Result<int> cancel(const Arguments& arguments, Connection& server) {
  if (const auto code = confirm(arguments, "Cancel the campaign " + arguments.text("CAMPAIGN") + "?")) return *code;
  return call_for<v1::CancelCampaignRequest>(arguments, server);
}

/// One line, or one JSON object, for each phone. Ends with the campaign.
Result<int> watch(const Arguments& arguments, Connection& server) {
  std::int64_t left = arguments.number("--limit").value_or(-1);
  const Style style = arguments.format();
  const auto each = [&](const v1::CampaignRelease& release) {
    const Json row = to_json(release);
    if (style.is_json()) {
      std::cout << row.dump() << std::endl;
    } else {
      std::cout << line_of(style, {row["device"], row["cursor"], row["released_at"], row["late"]}) << std::endl;
    }
    return left < 0 || --left > 0;
  };
  CAPF_TRY(server.watch(arguments.text("CAMPAIGN"), arguments.text("--cursor"), each));
  return 0;
}

std::vector<Option> create_options() {
  using Kind = Option::Kind;
  return with_selection({
      {"NAME", Kind::kText, "a name of its own: letters, digits, '.', '_' and '-'", true},
      {"DEVICE", Kind::kText, "device names", false, true},
      {"--auth", Kind::kChoice, "how the phones prove themselves", true, false, {"lsc", "mic"}},
      {"--rate", Kind::kText, "how many phones are released: 10/min, 500/h, 2000/d (default: all at once)"},
      {"--spread", Kind::kAge, "the time over which they are released, by the hash of their names: 90m, 6h, 10d"},
      {"--window", Kind::kText, "when they are released: 20:00-05:00, 'Mon-Fri 20:00-05:00', 'Sat,Sun 00:00-24:00'"},
      {"--time-zone", Kind::kZone,
       "whose wall clock the window means, and the times shown: Europe/Berlin (default: UTC)"},
      {"--stop-at", Kind::kText, "stop when more than this share fails, once 20 phones have ended: 10%"},
      {"--patience", Kind::kAge, "a phone that has not come by then counts as failed: 30m (default: its deadline)"},
      {"--skip", Kind::kChoice, "leave out phones that other campaigns have", false, false, {"taken"}},
      {"--dry-run", Kind::kFlag, "say what is chosen, and do nothing"},
      {"--quiet", Kind::kFlag, "do not say how far it is"},
      yes_option(),
      output_option(),
  });
}

}  // namespace

std::vector<Command> campaign_commands() {
  const Option name{"CAMPAIGN", Option::Kind::kText, "its name; renewal is always there", true};
  return {
      {"campaign create", "Schedules installs for many phones, some at a time, and stops where too many fail",
       "capfctl campaign create next-issuer --issuer 1 --auth lsc --rate 10/min --window 'Mon-Fri 20:00-05:00' "
       "--time-zone Europe/Berlin --stop-at 10% --patience 30m",
       create_options(), create},
      {"campaign list", "Lists campaigns", "capfctl campaign list", {limit_option(), output_option()}, list},
      {"campaign show",
       "Shows a campaign: how far it is, and why phones failed",
       "capfctl campaign show next-issuer",
       {name, output_option()},
       call_for<v1::GetCampaignRequest>},
      {"campaign pause",
       "Releases no more phones until the campaign is resumed",
       "capfctl campaign pause next-issuer",
       {name, output_option()},
       call_for<v1::PauseCampaignRequest>},
      {"campaign resume",
       "Lets a campaign go on that was paused, or has stopped because phones failed",
       "capfctl campaign resume next-issuer",
       {name, output_option()},
       call_for<v1::ResumeCampaignRequest>},
      {"campaign cancel",
       "Ends a campaign: phones that wait are free, operations that are open stay",
       "capfctl campaign cancel next-issuer --yes",
       {name, yes_option(), output_option()},
       cancel},
      {"campaign watch",
       "Prints the phones that a campaign releases, for a call manager to restart them; ends with the campaign",
       "capfctl campaign watch next-issuer",
       {name,
        {"--cursor", Option::Kind::kText, "where an earlier watch ended (default: all phones that are under way)"},
        limit_option(),
        output_option()},
       watch},
  };
}

}  // namespace capf::cli
