#include <algorithm>
#include <iostream>
#include <iterator>
#include <sstream>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/cli/phone_import.h"
#include "capf/cli/progress.h"
#include "capf/cli/selection.h"
#include "capf/cli/settings.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

/// Makes calls over these devices, kPhonesInBatch in each. @param take is given each answer
template <class Request, class Take>
capf::Status call_for_all(Connection& server, const std::vector<DeviceLine>& devices, Take take) {
  for (std::size_t begin = 0; begin < devices.size(); begin += kPhonesInBatch) {
    Request request;
    const std::size_t end = std::min(begin + kPhonesInBatch, devices.size());
    for (std::size_t i = begin; i < end; ++i) {
      v1::ImportedPhone& phone = *request.add_phones();
      phone.set_device(devices[i].device);
      phone.set_model(devices[i].model);
    }
    CAPF_LET(const auto response, server.call(request));
    take(response);
  }
  return {};
}

/// Finds what is in the way of adding these devices, and tells the first ones.
capf::Status check_many(Connection& server, const std::vector<DeviceLine>& devices) {
  std::size_t problems = 0;
  CAPF_TRY(call_for_all<v1::CheckImportRequest>(server, devices, [&](const auto& response) {
    for (const auto& problem : response.problems()) {
      if (++problems <= kToldProblems) warn(problem.reason() + ": " + problem.message());
    }
  }));
  if (problems == 0) return {};
  return fail(Reason::kInvalidRequest,
              "nothing was added: " + std::to_string(problems) + " devices have problems" +
                  (problems > kToldProblems ? ", of which the first are shown; 'phone import' tells all of them" : ""));
}

/// Adds more phones than a transaction takes, in batches. A phone that is on record with this model is left, so that
/// the same command goes on where it was interrupted.
Result<int> add_many(const Arguments& arguments, Connection& server, const std::vector<DeviceLine>& devices) {
  CAPF_TRY(check_many(server, devices));
  std::int64_t added = 0;
  std::int64_t unchanged = 0;
  Progress progress("added", static_cast<std::int64_t>(devices.size()), arguments.has("--quiet"));
  const capf::Status done = call_for_all<v1::ImportPhonesRequest>(server, devices, [&](const auto& response) {
    added += response.added();
    unchanged += response.unchanged();
    progress.add(response.added() + response.unchanged());
  });
  if (!done) {
    if (added > 0) warn(std::to_string(added) + " phones are added; the same command goes on with the others");
    return fail(done.error());
  }
  show(std::cout, arguments.format(), Json::Object{{"added", added}, {"unchanged", unchanged}});
  return 0;
}

Result<int> add(const Arguments& arguments, Connection& server) {
  const auto devices = named_devices(arguments);
  if (!devices) return report_usage(devices.error().message);
  if (devices->size() > static_cast<std::size_t>(kPhonesInBatch)) return add_many(arguments, server, *devices);
  v1::AddPhonesRequest request;
  const std::string& model = devices->front().model;
  const bool same =
      std::all_of(devices->begin(), devices->end(), [&](const auto& each) { return each.model == model; });
  for (const DeviceLine& device : *devices) {
    request.add_devices(device.device);
    if (!same) request.add_models(device.model);
  }
  if (same) request.set_model(model);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"added", response.added()}});
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  const auto chosen = chosen_phones(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  std::vector<v1::ListPhonesRequest> requests;
  for (const v1::PhoneSelection& slice : chosen->slices) *requests.emplace_back().mutable_selection() = slice;
  return print_pages(
      arguments, server, std::move(requests), phone_columns(),
      [](const auto& response) -> auto& { return response.phones(); });
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

/// Errors: INVALID_REQUEST for options that do not go together, and for none.
Result<v1::ChangePhonesRequest> wanted_change(const Arguments& arguments) {
  const bool adds = arguments.has("--add-tags") || arguments.has("--remove-tags");
  if (adds && arguments.has("--set-tags")) {
    return fail(Reason::kInvalidRequest, "either --set-tags, or --add-tags and --remove-tags");
  }
  if (!adds && !arguments.has("--set-tags") && !arguments.has("--description")) {
    return fail(Reason::kInvalidRequest, "say what to change: --description, --add-tags, --remove-tags or --set-tags");
  }
  v1::ChangePhonesRequest request;
  if (arguments.has("--description")) request.set_description(arguments.text("--description"));
  request.set_sets_tags(arguments.has("--set-tags"));
  for (const char* option : {"--add-tags", "--set-tags"}) {
    for (const std::string& tag : words_of(arguments.text(option))) request.add_added_tags(tag);
  }
  for (const std::string& tag : words_of(arguments.text("--remove-tags"))) request.add_removed_tags(tag);
  return request;
}

/// The device that is named alone, for a call of its own; nothing for every other selection.
std::optional<std::string> only_device(const Arguments& arguments, const Chosen& chosen) {
  if (!chosen.named || chosen.lines.size() != 1) return std::nullopt;
  if (arguments.has("--file") || arguments.has("--dry-run")) return std::nullopt;
  return chosen.lines.begin()->first;
}

/// How a bulk is spoken of.
struct BulkWords {
  std::string question;    ///< "Change"
  std::string done;        ///< "changed"
  std::string takes = {};  ///< what it takes from any phones, so that it always asks: " and revoke ..."
};

template <class Response>
void add_to(Response& sum, const Response& answer) {
  sum.set_selected(sum.selected() + answer.selected());
  sum.set_changed(sum.changed() + answer.changed());
  if constexpr (requires { sum.revoked(); }) sum.set_revoked(sum.revoked() + answer.revoked());
  if constexpr (requires { sum.has_until(); }) {
    if (answer.has_until()) *sum.mutable_until() = answer.until();
  }
}

template <class Response>
Json sum_to_json(const Response& sum) {
  Json::Object members{{"selected", sum.selected()}, {"changed", sum.changed()}};
  if constexpr (requires { sum.revoked(); }) members.emplace_back("revoked", sum.revoked());
  if constexpr (requires { sum.has_until(); }) {
    v1::TracePhoneResponse trace;
    if (sum.has_until()) *trace.mutable_until() = sum.until();
    const Json shown = to_json(trace);
    for (const auto& member : *shown.object()) members.push_back(member);
  }
  return members;
}

std::optional<int> confirm_change(const Arguments& arguments, const Chosen& chosen, std::int64_t phones,
                                  const BulkWords& words) {
  if (words.takes.empty()) return confirm_bulk(arguments, chosen, phones, words.question);
  return confirm(arguments, words.question + " " + std::to_string(phones) + " phones" + words.takes + "?");
}

/// Makes the calls of a bulk over phones. @param request has all but selection, count and cursor
template <class Request>
Result<int> change_all(const Arguments& arguments, Connection& server, const Chosen& chosen, const Request& request,
                       const BulkWords& words) {
  if (arguments.has("--dry-run")) return list_chosen(arguments, server, chosen, words.done);
  CAPF_LET(const ChosenCount count, count_chosen(server, chosen));
  if (chosen.named && count.phones < static_cast<std::int64_t>(chosen.lines.size())) {
    warn(std::to_string(static_cast<std::int64_t>(chosen.lines.size()) - count.phones) +
         " of the named devices are not on record");
  }
  if (const auto code = confirm_change(arguments, chosen, count.phones, words)) return *code;
  std::remove_cvref_t<decltype(*server.call(request))> sum;
  CAPF_TRY(run_shown(
      arguments, words.done, chosen, count, request, [&](const Request& next) { return server.call(next); },
      [&](const auto& answer) { add_to(sum, answer); }));
  show(std::cout, arguments.format(), sum_to_json(sum));
  return 0;
}

Result<int> change(const Arguments& arguments, Connection& server) {
  const auto request = wanted_change(arguments);
  if (!request) return report_usage(request.error().message);
  const auto chosen = phones_to_change(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  return change_all(arguments, server, *chosen, *request, {"Change", "changed"});
}

Result<int> set(const Arguments& arguments, Connection& server) {
  v1::ChangePhoneSettingsRequest request;
  add_settings(arguments, Owner::kPhone, request);
  if (request.settings().empty() && request.unset().empty()) {
    return report_usage("say what to set: an option of a setting with its value, or --unset SETTING");
  }
  const Arguments others = without_settings(arguments, Owner::kPhone);
  const auto chosen = phones_to_change(others);
  if (!chosen) return report_usage(chosen.error().message);
  return change_all(others, server, *chosen, request, {"Set values of", "set"});
}

Result<int> show_phone(const Arguments& arguments, Connection& server) {
  v1::GetPhoneRequest request;
  request.set_device(named_device(arguments));
  CAPF_LET(const auto response, server.call(request));
  const Json phone = arguments.format().is_json() ? to_json(response) : with_settings_in_words(response);
  show(std::cout, arguments.format(), phone);
  return 0;
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  auto chosen = phones_to_change(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  const std::optional<std::string> device = only_device(arguments, *chosen);
  if (!device) {
    // The same command goes on after it was interrupted, with names that are free by then.
    for (v1::PhoneSelection& slice : chosen->slices) slice.set_leaves_unknown(true);
    return change_all(arguments, server, *chosen, v1::RemovePhonesRequest(),
                      {"Remove", "removed", " and revoke their certificates"});
  }
  if (const auto code = confirm(arguments, "Remove " + *device + " and revoke its certificates?")) return *code;
  v1::RemovePhoneRequest request;
  request.set_device(*device);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"removed", *device}, {"revoked", response.revoked()}});
  return 0;
}

Result<int> block(const Arguments& arguments, Connection& server) {
  const auto chosen = phones_to_change(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  const std::optional<std::string> device = only_device(arguments, *chosen);
  if (!device) return change_all(arguments, server, *chosen, v1::BlockPhonesRequest(), {"Block", "blocked"});
  v1::BlockPhoneRequest request;
  request.set_device(*device);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"blocked", *device}, {"revoked", response.revoked()}});
  return 0;
}

Result<int> unblock(const Arguments& arguments, Connection& server) {
  const auto chosen = phones_to_change(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  const std::optional<std::string> device = only_device(arguments, *chosen);
  if (!device) return change_all(arguments, server, *chosen, v1::UnblockPhonesRequest(), {"Unblock", "unblocked"});
  v1::UnblockPhoneRequest request;
  request.set_device(*device);
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"unblocked", *device}});
  return 0;
}

Result<int> unlock(const Arguments& arguments, Connection& server) {
  const auto chosen = phones_to_change(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  const bool forget_mic = arguments.has("--forget-mic");
  const std::optional<std::string> device = only_device(arguments, *chosen);
  if (!device) {
    v1::UnlockPhonesRequest request;
    request.set_forget_mic(forget_mic);
    return change_all(arguments, server, *chosen, request, {"Unlock", "unlocked"});
  }
  v1::UnlockPhoneRequest request;
  request.set_device(*device);
  request.set_forget_mic(forget_mic);
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"unlocked", *device}});
  return 0;
}

/// A trace of one phone or of a selection, without the phones.
template <class Request>
Request wanted_trace(const Arguments& arguments) {
  Request request;
  request.set_off(arguments.has("--off"));
  if (const auto until = arguments.deadline("--until")) set_time(*request.mutable_until(), *until);
  return request;
}

Result<int> trace(const Arguments& arguments, Connection& server) {
  if (arguments.has("--until") && arguments.has("--off")) return report_usage("either --until or --off");
  const auto chosen = phones_to_change(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  const std::optional<std::string> device = only_device(arguments, *chosen);
  if (!device) {
    return change_all(arguments, server, *chosen, wanted_trace<v1::TracePhonesRequest>(arguments),
                      {"Trace", arguments.has("--off") ? "traced no longer" : "traced"});
  }
  auto request = wanted_trace<v1::TracePhoneRequest>(arguments);
  request.set_device(*device);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response));
  return 0;
}

/// The options of a command that changes the phones of a selection.
std::vector<Option> with_change(std::vector<Option> own) {
  own.insert(own.begin(), {"DEVICE", Option::Kind::kText, "device names", false, true});
  own.push_back({"--dry-run", Option::Kind::kFlag, "say what is chosen, and do nothing"});
  own.push_back({"--quiet", Option::Kind::kFlag, "do not say how far it is"});
  own.push_back(yes_option());
  own.push_back(output_option());
  return with_selection(std::move(own));
}

}  // namespace

std::vector<Command> phone_commands() {
  const Option device{"DEVICE", Option::Kind::kDevice, "the device name", true};
  return {
      {"phone add",
       "Adds phones: up to 500 all or none, more in batches that the same command continues",
       "capfctl phone add SEP001122334455 SEP001122334456 --model CP-8861",
       {{"DEVICE", Option::Kind::kText, "device names", false, true},
        devices_file_option(),
        as_written_option(),
        {"--model", Option::Kind::kText, "the model, where the file has no second column with it"},
        {"--quiet", Option::Kind::kFlag, "do not say how far it is"},
        output_option()},
       add},
      phone_import_command(),
      {"phone list", "Lists phones", "capfctl phone list --device 'SEP0011*' --lsc none --lsc expired",
       with_selection({limit_option(), output_option()}), list},
      {"phone show",
       "Shows a phone, its mode and why, its settings and whose they are, its operation, certificates, last attempt",
       "capfctl phone show SEP001122334455",
       {device, as_written_option(), output_option()},
       show_phone},
      {"phone change",
       "Changes descriptions and tags; an option given twice chooses phones by either value, different ones by both",
       "capfctl phone change --lsc expired --add-tags 'visit floor-2' --dry-run",
       with_change({{"--description", Option::Kind::kText, "up to 128 characters; '' for none"},
                    {"--add-tags", Option::Kind::kText, "tags with blanks between them"},
                    {"--remove-tags", Option::Kind::kText, "tags with blanks between them"},
                    {"--set-tags", Option::Kind::kText, "these tags alone; '' for none"}}),
       change},
      {"phone set", "Gives phones values of their own, which come before their profile's",
       "capfctl phone set SEP001122334455 --auth mic", with_change(setting_options(Owner::kPhone)), set},
      {"phone remove", "Removes phones and revokes their certificates; named devices that are not on record are left",
       "capfctl phone remove SEP001122334455 --yes", with_change({}), remove},
      {"phone block", "Cancels, revokes, and refuses every way to authenticate until 'phone unblock'",
       "capfctl phone block SEP001122334455", with_change({}), block},
      {"phone unblock", "Lets blocked phones come again", "capfctl phone unblock SEP001122334455", with_change({}),
       unblock},
      {"phone unlock", "Clears the counts of wrong authentication strings and a stop of self-service",
       "capfctl phone unlock SEP001122334455",
       with_change({{"--forget-mic", Option::Kind::kFlag,
                     "also forget the MICs: the next ones that authenticate are remembered"}}),
       unlock},
      {"phone trace",
       "Logs the phones' dialogues on the wire, at whichever server they come to; never an authentication string",
       "capfctl phone trace SEP001122334455 --until +2h",
       with_change(
           {{"--until", Option::Kind::kDeadline, "2030-12-31T23:59:59Z, or +90m, +12h (default: +30m; at most +24h)"},
            {"--off", Option::Kind::kFlag, "no longer"}}),
       trace},
  };
}

}  // namespace capf::cli
