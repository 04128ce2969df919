#include <algorithm>
#include <iostream>

#include "capf/cli/convert.h"
#include "capf/cli/installs.h"
#include "capf/cli/pages.h"
#include "capf/cli/selection.h"
#include "capf/cli/settings.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

constexpr std::int64_t kMostUnasked = 100;
constexpr std::size_t kTold = 20;

template <class Texts>
void warn_all(const Texts& texts) {
  for (const std::string& words : texts) warn(words);
}

/// Fills what `profile add`, `copy` and `set` have in common.
template <class Request>
void add_change(const Arguments& arguments, Request& request) {
  if (arguments.has("--description")) request.set_description(arguments.text("--description"));
  request.set_mode(arguments.text("--mode"));
  add_settings(arguments, Owner::kProfile, request);
}

Result<int> add_profile(const Arguments& arguments, Connection& server, const v1::AddProfileRequest& request) {
  CAPF_LET(const auto response, server.call(request));
  warn_all(response.warnings());
  show(std::cout, arguments.format(), to_json(response.profile()));
  return 0;
}

Result<int> add(const Arguments& arguments, Connection& server) {
  v1::AddProfileRequest request;
  request.set_name(arguments.text("NAME"));
  add_change(arguments, request);
  return add_profile(arguments, server, request);
}

Result<int> copy(const Arguments& arguments, Connection& server) {
  v1::AddProfileRequest request;
  request.set_copy_of(arguments.text("PROFILE"));
  request.set_name(arguments.text("NAME"));
  add_change(arguments, request);
  return add_profile(arguments, server, request);
}

Json effect_to_json(const v1::SetProfileResponse& effect) {
  return Json::Object{{"profile", to_json(effect.profile())},
                      {"phones", effect.phones()},
                      {"mode_changes", effect.mode_changes()},
                      {"restarts", effect.restarts()}};
}

/// Looks at what follows first, and asks where many phones have the profile.
Result<int> set(const Arguments& arguments, Connection& server) {
  v1::SetProfileRequest request;
  request.set_name(arguments.text("PROFILE"));
  request.set_expected_revision(arguments.number("--revision").value_or(0));
  add_change(arguments, request);
  request.set_allow_mixed(arguments.has("--allow-mixed"));
  request.set_dry_run(true);
  CAPF_LET(const auto effect, server.call(request));
  warn_all(effect.warnings());
  if (arguments.has("--dry-run")) {
    show(std::cout, arguments.format(), effect_to_json(effect));
    warn("nothing was done");
    return 0;
  }
  if (effect.phones() > kMostUnasked) {
    const std::string phones = std::to_string(effect.phones()) + " phones";
    const std::string question = "Change the profile of " + phones + ", of which " +
                                 std::to_string(effect.mode_changes()) + " get another mode and " +
                                 std::to_string(effect.restarts()) + " go by it when they start again?";
    if (const auto code = confirm(arguments, question, "this is for " + phones)) return *code;
  }
  request.set_dry_run(false);
  // The profile is still as it was looked at.
  if (!arguments.has("--revision")) request.set_expected_revision(effect.profile().revision());
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.profile()));
  return 0;
}

Result<int> rename(const Arguments& arguments, Connection& server) {
  v1::RenameProfileRequest request;
  request.set_name(arguments.text("PROFILE"));
  request.set_new_name(arguments.text("NAME"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.profile()));
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  return print_pages(
      arguments, server, v1::ListProfilesRequest(),
      {{"NAME", "name"}, {"MODE", "mode"}, {"PHONES", "phones"}, {"DESCRIPTION", "description"}},
      [](const auto& response) -> auto& { return response.profiles(); });
}

Result<int> show_profile(const Arguments& arguments, Connection& server) {
  v1::GetProfileRequest request;
  request.set_name(arguments.text("PROFILE"));
  CAPF_LET(const auto response, server.call(request));
  warn_all(response.warnings());
  show(std::cout, arguments.format(), to_json(response.profile()));
  return 0;
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  v1::RemoveProfileRequest request;
  request.set_name(arguments.text("PROFILE"));
  if (const auto code = confirm(arguments, "Remove the profile " + request.name() + "?")) return *code;
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"removed", request.name()}});
  return 0;
}

// Applying -----------------------------------------------------------------------------------------------------------

/// The findings of a first pass over the phones.
struct ApplyFound {
  ChosenCount count;
  v1::ApplyProfileResponse sum;
};

void add_to(v1::ApplyProfileResponse& sum, const v1::ApplyProfileResponse& answer) {
  sum.set_selected(sum.selected() + answer.selected());
  sum.set_changed(sum.changed() + answer.changed());
  sum.set_waiting(sum.waiting() + answer.waiting());
  sum.mutable_problems()->MergeFrom(answer.problems());
  sum.mutable_remarks()->MergeFrom(answer.remarks());
}

Result<ApplyFound> look(Connection& server, const Chosen& chosen, v1::ApplyProfileRequest request, Installs& installs) {
  ApplyFound found;
  request.set_dry_run(true);
  for (const v1::PhoneSelection& slice : chosen.slices) {
    *request.mutable_selection() = slice;
    request.clear_cursor();
    std::int64_t phones = 0;
    do {
      CAPF_LET(const auto answer, server.call(request));
      phones += answer.count();
      add_to(found.sum, answer);
      installs.find(answer);
      request.set_cursor(answer.cursor());
    } while (!request.cursor().empty());
    found.count.slices.push_back(phones);
    found.count.phones += phones;
  }
  return found;
}

/// Tells the first problems. Errors: that of the first one.
capf::Status report_problems(const v1::ApplyProfileResponse& sum) {
  if (sum.problems().empty()) return {};
  const std::size_t problems = static_cast<std::size_t>(sum.problems_size());
  const v1::OperationProblem& first = sum.problems(0);
  if (std::all_of(sum.problems().begin(), sum.problems().end(),
                  [](const auto& each) { return parse_reason(each.reason()) == Reason::kNoCertificate; })) {
    warn(
        "--install schedules it in the same step; --anyway applies it all the same: such phones are nonsecure until "
        "they have confirmed an LSC");
  }
  if (problems == 1) return fail(parse_reason(first.reason()), "nothing was applied: " + first.message());
  for (std::size_t i = 0; i < std::min(problems, kTold); ++i) {
    const v1::OperationProblem& problem = sum.problems(static_cast<int>(i));
    warn(problem.reason() + ": " + problem.message());
  }
  return fail(parse_reason(first.reason()), "nothing was applied: there are " + std::to_string(problems) + " problems" +
                                                (problems > kTold ? ", of which the first are shown" : ""));
}

void report_remarks(const v1::ApplyProfileResponse& sum) {
  if (sum.waiting() > 0) {
    warn(std::to_string(sum.waiting()) +
         " of the phones are nonsecure until they have confirmed an LSC; then the profile's mode is in effect by "
         "itself");
  }
  for (int i = 0; i < std::min(sum.remarks_size(), static_cast<int>(kTold)); ++i) warn(sum.remarks(i).message());
  if (sum.remarks_size() > static_cast<int>(kTold)) {
    warn("and " + std::to_string(sum.remarks_size() - static_cast<int>(kTold)) + " more");
  }
}

Json::Object sum_of(const v1::ApplyProfileResponse& sum) {
  return Json::Object{{"selected", sum.selected()}, {"changed", sum.changed()}, {"waiting", sum.waiting()}};
}

/// Shows the sum, with the operations whose strings are nowhere else.
void show_applied(const Arguments& arguments, const v1::ApplyProfileResponse& applied, const Installs& installs) {
  Json::Object sum = sum_of(applied);
  if (installs.wanted()) sum.emplace_back("scheduled", installs.scheduled());
  if (arguments.format().is_json()) {
    if (installs.wanted())
      sum.emplace_back("operations", Json::Array(installs.shown().begin(), installs.shown().end()));
  } else if (!installs.shown().empty()) {
    List list(std::cout, arguments.format(), scheduled_columns());
    for (const Json& operation : installs.shown()) list.add(operation);
    list.finish();
  }
  show(std::cout, arguments.format(), sum);
}

Result<int> apply(const Arguments& arguments, Connection& server) {
  Installs installs(arguments);
  if (const auto words = installs.misuse()) return report_usage(*words);
  const auto chosen = phones_to_change(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  v1::ApplyProfileRequest request;
  request.set_profile(arguments.text("PROFILE"));
  request.set_anyway(arguments.has("--anyway"));
  request.set_lines(arguments.has("--lines"));
  request.set_allow_mixed(arguments.has("--allow-mixed"));
  CAPF_TRY(installs.resume());
  installs.wish(request);
  CAPF_LET(const ApplyFound found, look(server, *chosen, request, installs));
  CAPF_TRY(report_problems(found.sum));
  report_remarks(found.sum);
  if (arguments.has("--dry-run")) {
    show(std::cout, arguments.format(), sum_of(found.sum));
    warn(std::to_string(found.sum.changed()) + " phones would get the profile; nothing was done");
    return 0;
  }
  if (const auto words = installs.refusal()) return report_usage(*words);
  if (const auto code = confirm_bulk(arguments, *chosen, found.count.phones, "Apply the profile to")) return *code;
  CAPF_TRY(installs.begin(request));
  v1::ApplyProfileResponse sum;
  const capf::Status done = run_shown(
      arguments, "applied", *chosen, found.count, request,
      [&](v1::ApplyProfileRequest& next) -> Result<v1::ApplyProfileResponse> {
        CAPF_TRY(installs.prepare(next));
        return call_surely(server, next);
      },
      [&](const v1::ApplyProfileResponse& answer) {
        add_to(sum, answer);
        installs.take(answer);
      });
  if (!done) {
    if (!installs.shown().empty()) show_applied(arguments, sum, installs);
    return fail(done.error());
  }
  show_applied(arguments, sum, installs);
  CAPF_TRY(installs.finish());
  return 0;
}

std::vector<Option> with_settings(std::vector<Option> options) {
  options.push_back({"--mode",
                     Option::Kind::kChoice,
                     "what its phones are (authenticated is old: call managers that take AES-256-GCM alone refuse it)",
                     false,
                     false,
                     {"nonsecure", "authenticated", "encrypted"}});
  options.push_back({"--description", Option::Kind::kText, "up to 200 characters; '' for none"});
  for (Option& option : setting_options(Owner::kProfile)) options.push_back(std::move(option));
  options.push_back(output_option());
  return options;
}

}  // namespace

std::vector<Command> profile_commands() {
  const Option profile{"PROFILE", Option::Kind::kText, "the profile's name", true};
  const Option name{"NAME", Option::Kind::kText, "the new name: 1 to 64 characters", true};
  return {
      {"profile add", "Adds a profile, which begins hardened", "capfctl profile add desks --mode encrypted",
       with_settings({name}), add},
      {"profile copy", "Adds a profile that is as another one, but for what is said",
       "capfctl profile copy desks lobby --pc-port off", with_settings({profile, name}), copy},
      {"profile set", "Changes a profile, for every phone that has it",
       "capfctl profile set desks --encrypted-config on --dry-run",
       with_settings({profile,
                      {"--revision", Option::Kind::kNumber, "only if it is of this revision, as 'profile show' says"},
                      allow_mixed_option(),
                      {"--dry-run", Option::Kind::kFlag, "say how many phones it reaches, and do nothing"},
                      yes_option()}),
       set},
      {"profile rename",
       "Gives a profile another name; phones keep it",
       "capfctl profile rename desks office",
       {profile, name, output_option()},
       rename},
      {"profile list", "Lists profiles", "capfctl profile list", {limit_option(), output_option()}, list},
      {"profile show",
       "Shows a profile, how many phones have it, and what its settings take from them",
       "capfctl profile show desks",
       {profile, output_option()},
       show_profile},
      {"profile remove",
       "Removes a profile that no phone has",
       "capfctl profile remove desks --yes",
       {profile, yes_option(), output_option()},
       remove},
      {"profile apply", "Gives phones a profile; all that is wrong is told before the first one",
       "capfctl profile apply desks --tag floor-2 --dry-run",
       with_selection({profile,
                       {"DEVICE", Option::Kind::kText, "device names", false, true},
                       {"--anyway", Option::Kind::kFlag,
                        "also to phones without a certificate and without an operation: they are nonsecure until then"},
                       {"--install", Option::Kind::kFlag,
                        "schedule an install, in the same step, for those that have no LSC and no operation"},
                       {"--strings", Option::Kind::kFile,
                        "with --install: the new file for the phones' strings; one of this command that was "
                        "interrupted is continued"},
                       {"--lines", Option::Kind::kFlag, "also to the phones that share lines with them"},
                       allow_mixed_option(),
                       {"--dry-run", Option::Kind::kFlag, "say what would be, and do nothing"},
                       {"--quiet", Option::Kind::kFlag, "do not say how far it is"},
                       yes_option(),
                       output_option()}),
       apply},
  };
}

}  // namespace capf::cli
