#include "capf/cli/selection.h"

#include <algorithm>
#include <iostream>
#include <set>

#include "capf/cli/convert.h"
#include "capf/cli/devices.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

constexpr int kSample = 20;
constexpr std::int64_t kMostUnasked = 100;

const std::vector<std::string> kModes{"nonsecure", "authenticated", "encrypted"};
const std::vector<std::string> kOpenStates{"pending", "in_progress", "issued"};

void add_lsc(const Arguments& arguments, v1::PhoneSelection& selection) {
  for (const std::string& status : arguments.list("--lsc")) selection.add_lsc(status);
  for (const std::string& issuer : arguments.list("--issuer")) selection.add_issuers(std::stoll(issuer));
  if (const auto time = arguments.time("--expires-before")) set_time(*selection.mutable_expires_before(), *time);
  if (const auto time = arguments.time("--issuer-expires-before")) {
    set_time(*selection.mutable_issuer_expires_before(), *time);
  }
}

void add_operation(const Arguments& arguments, v1::PhoneSelection& selection) {
  for (const std::string& auth : arguments.list("--auth")) selection.add_auths(auth_of(auth));
  for (const std::string& state : arguments.list("--operation")) {
    if (state == "pending") {  // as in `operation list`
      for (const std::string& open : kOpenStates) selection.add_operations(open);
    } else {
      selection.add_operations(state);
    }
  }
  for (const std::string& reason : arguments.list("--reason")) selection.add_reasons(reason);
  selection.set_tried(arguments.has("--tried"));
  for (const std::string& reason : arguments.list("--tried")) {
    if (!reason.empty()) selection.add_tried_reasons(reason);
  }
}

/// The properties of a selection without the devices that are named, and without excepted ones.
v1::PhoneSelection chosen_properties(const Arguments& arguments) {
  v1::PhoneSelection selection;
  selection.set_all(arguments.has("--all"));
  for (const std::string& pattern : arguments.list("--device")) {
    selection.add_patterns(as_device(pattern, arguments.has("--as-written")));
  }
  for (const std::string& tag : arguments.list("--tag")) selection.add_tags(tag);
  for (const std::string& model : arguments.list("--model")) selection.add_models(model);
  add_lsc(arguments, selection);
  add_operation(arguments, selection);
  if (const auto time = arguments.time("--not-seen-since")) set_time(*selection.mutable_not_seen_since(), *time);
  for (const std::string& profile : arguments.list("--profile")) selection.add_profiles(profile);
  for (const std::string& mode : arguments.list("--mode")) selection.add_modes(mode);
  for (const std::string& mode : arguments.list("--effective-mode")) selection.add_effective_modes(mode);
  for (const std::string& state : arguments.list("--renewal")) selection.add_renewals(state);
  if (arguments.has("--blocked")) selection.set_blocked(true);
  if (arguments.has("--locked")) selection.set_locked(true);
  return selection;
}

/// Errors: INVALID_REQUEST, also for a file without devices.
Result<std::set<std::string>> excepted_devices(const Arguments& arguments) {
  std::set<std::string> devices;
  if (!arguments.has("--except")) return devices;
  const std::string path = arguments.text("--except");
  if (path == "-" && arguments.text("--file") == "-") {
    return fail(Reason::kInvalidRequest, "one of --file and --except can be standard input");
  }
  CAPF_LET(const std::string file, read_input(path));
  DeviceList list = read_devices({}, file, arguments.has("--as-written"));
  CAPF_TRY(report_faults(list.faults, path));
  for (const std::string& remark : list.remarks) warn(remark);
  for (DeviceLine& line : list.devices) devices.insert(std::move(line.device));
  if (devices.empty()) return fail(Reason::kInvalidRequest, path + " names no device");
  return devices;
}

std::vector<Option> selection_options() {
  using Kind = Option::Kind;
  Option tried{
      "--tried", Kind::kText,
      "phones that were refused since their open operation was scheduled; with reasons: the last time for one of them"};
  tried.value_optional = true;
  return {
      devices_file_option(),
      as_written_option(),
      pattern_option("phones whose names match this pattern: 'SEP0011*'", true),
      {"--tag", Kind::kText, "phones with this tag", false, true},
      {"--model", Kind::kText, "phones of models that match this pattern", false, true},
      {"--lsc", Kind::kChoice, "phones with such an LSC", false, true, {"none", "valid", "expired", "revoked", "held"}},
      {"--expires-before", Kind::kTime, "phones whose LSC ends before then and is not revoked: +30d"},
      {"--issuer", Kind::kNumber, "phones with an LSC of this issuer, by its id", false, true},
      {"--issuer-expires-before", Kind::kTime, "phones with an LSC of an issuer that ends before then"},
      {"--auth",
       Kind::kChoice,
       "phones whose open operation, or else the last one, has it",
       false,
       true,
       {"string", "null", "lsc", "mic"}},
      {"--operation",
       Kind::kChoice,
       "phones whose open operation, or else the last one, is so; pending: the three open states",
       false,
       true,
       {"none", "pending", "overdue", "in_progress", "issued", "succeeded", "failed", "expired", "cancelled"}},
      {"--reason", Kind::kText, "phones whose operation ended for this reason: AUTH_STRING_EXHAUSTED", false, true},
      std::move(tried),
      {"--not-seen-since", Kind::kTime, "phones that have not proven who they are since then: -30d"},
      {"--profile", Kind::kText, "phones that have this profile", false, true},
      {"--mode", Kind::kChoice, "phones whose profile has this mode", false, true, kModes},
      {"--effective-mode", Kind::kChoice, "phones for which this mode is in effect now", false, true, kModes},
      {"--renewal",
       Kind::kChoice,
       "phones whose LSC the server renews, and how far that is; late: it should have another one by now",
       false,
       true,
       {"waiting", "released", "late", "succeeded", "failed", "cancelled", "skipped"}},
      {"--blocked", Kind::kFlag, "blocked phones"},
      {"--locked", Kind::kFlag, "phones that are locked after wrong strings"},
      {"--except", Kind::kFile, "none of the devices of this file, in the form of --file"},
      {"--all", Kind::kFlag, "every phone"},
  };
}

/// Of the certificates themselves, also where a phone's property has the same name.
std::vector<Option> certificate_options() {
  using Kind = Option::Kind;
  return {
      pattern_option("certificates of devices that match this pattern: 'SEP0011*'"),
      {"--model", Kind::kText, "certificates of models that match this pattern"},
      {"--issuer", Kind::kNumber, "certificates of this issuer, by its id"},
      {"--issued-after", Kind::kTime, "certificates issued then or later"},
      {"--issued-before", Kind::kTime, "certificates issued before then"},
      {"--expires-before", Kind::kTime, "certificates that expire before then"},
      {"--state", Kind::kChoice, "certificates in this state", false, false, {"issued", "confirmed", "superseded"}},
      {"--serials", Kind::kFile, "certificates of a file, one serial number a line; '-' for standard input"},
  };
}

/// Adds those that are not there yet.
void add_options(std::vector<Option>& options, std::vector<Option> more) {
  for (Option& option : more) {
    const bool own =
        std::any_of(options.begin(), options.end(), [&](const Option& each) { return each.name == option.name; });
    if (!own) options.push_back(std::move(option));
  }
}

/// The command line without what means the certificates, or their revocation.
Arguments without_certificates(Arguments arguments) {
  for (const Option& option : certificate_options()) arguments = arguments.without(option.name);
  return arguments.without("--reason");
}

/// The serial numbers of --serials, each once. Errors: INVALID_SELECTION where there is none, INVALID_REQUEST.
Result<std::set<std::string>> chosen_serials(const Arguments& arguments) {
  const std::string path = arguments.text("--serials");
  if (path == "-" && (arguments.text("--file") == "-" || arguments.text("--except") == "-")) {
    return fail(Reason::kInvalidRequest, "one of --serials, --file and --except can be standard input");
  }
  CAPF_LET(const std::string text, read_input(path));
  static const std::vector<SheetColumn> columns{{"serial", {"serial number"}}};
  const Sheet sheet = read_sheet(text, columns);
  CAPF_TRY(report_faults(sheet.faults, path));
  std::set<std::string> serials;
  for (const Sheet::Row& row : sheet.rows) serials.insert(serial_or_device(row.cells.front()));
  if (serials.empty()) return fail(Reason::kInvalidSelection, path + " has no serial number");
  return serials;
}

v1::CertificateSelection certificate_properties(const Arguments& arguments) {
  v1::CertificateSelection selection;
  selection.set_devices(named_device(arguments, "--device"));
  selection.set_models(arguments.text("--model"));
  selection.set_state(arguments.text("--state"));
  if (const auto issuer = arguments.number("--issuer")) selection.set_issuer(*issuer);
  if (const auto time = arguments.time("--issued-after")) set_time(*selection.mutable_issued_after(), *time);
  if (const auto time = arguments.time("--issued-before")) set_time(*selection.mutable_issued_before(), *time);
  if (const auto time = arguments.time("--expires-before")) set_time(*selection.mutable_expires_before(), *time);
  return selection;
}

}  // namespace

std::vector<Option> with_selection(std::vector<Option> options) {
  add_options(options, selection_options());
  return options;
}

std::vector<Option> with_certificates(std::vector<Option> options) {
  add_options(options, certificate_options());
  return with_selection(std::move(options));
}

bool chooses_certificates(const Arguments& arguments) {
  const std::vector<Option> options = with_certificates({});
  return std::any_of(options.begin(), options.end(), [&](const Option& option) {
    return option.name != "--reason" && option.name != "--as-written" && arguments.has(option.name);
  });
}

Result<std::vector<v1::CertificateSelection>> chosen_certificates(const Arguments& arguments) {
  const v1::CertificateSelection properties = certificate_properties(arguments);
  std::set<std::string> serials;
  if (arguments.has("--serials")) {
    CAPF_LET(serials, chosen_serials(arguments));
  }
  CAPF_LET(const Chosen phones, chosen_phones(without_certificates(arguments)));
  std::vector<v1::CertificateSelection> slices;
  for (const v1::PhoneSelection& some : phones.slices) {
    v1::CertificateSelection slice = properties;
    if (some.ByteSizeLong() > 0) *slice.mutable_phones() = some;
    int count = 0;
    for (const std::string& serial : serials) {
      if (count++ % kMostSerialsAtOnce == 0) slices.push_back(slice);
      slices.back().add_serials(serial);
    }
    if (serials.empty()) slices.push_back(slice);
  }
  return slices;
}

std::vector<v1::PhoneSelection> slices_of(const std::set<std::string>& devices, const v1::PhoneSelection& properties) {
  std::vector<v1::PhoneSelection> slices;
  int count = 0;
  for (const std::string& device : devices) {
    if (count++ % kPhonesInBatch == 0) slices.push_back(properties);
    slices.back().add_devices(device);
  }
  return slices;
}

Result<Chosen> chosen_phones(const Arguments& arguments) {
  const v1::PhoneSelection properties = chosen_properties(arguments);
  CAPF_LET(const std::set<std::string> excepted, excepted_devices(arguments));
  const bool by_property = properties.ByteSizeLong() > 0;
  if (!arguments.has("DEVICE") && !arguments.has("--file")) {
    Chosen chosen{{properties}, by_property, false};
    for (const std::string& device : excepted) chosen.slices.front().add_excepts(device);
    return chosen;
  }
  CAPF_LET(const std::vector<DeviceLine> named, named_devices(arguments));
  std::set<std::string> devices;
  Chosen chosen{{}, true, !by_property};
  for (const DeviceLine& line : named) {
    if (excepted.contains(line.device)) continue;
    devices.insert(line.device);
    chosen.lines.emplace(line.device, line.line);
  }
  if (devices.empty()) return fail(Reason::kInvalidRequest, "--except leaves none of the devices");
  chosen.slices = slices_of(devices, properties);
  return chosen;
}

Result<Chosen> phones_to_change(const Arguments& arguments) {
  CAPF_LET(Chosen chosen, chosen_phones(arguments));
  if (chosen.any) return chosen;
  return fail(Reason::kInvalidRequest, "name phones, or choose them by an option; --all chooses every phone");
}

std::vector<Column> phone_columns() {
  return {{"DEVICE", "device"},
          {"MODEL", "model", 4},
          {"DESCRIPTION", "description", 2},
          {"TAGS", "tags", 4},
          {"PROFILE", "profile", 3},
          {"MODE", "mode", 2},
          {"IN EFFECT", "effective_mode", 1},
          {"LSC", "lsc_status"},
          {"LSC NOT AFTER", "lsc_not_after", 1},
          {"LAST SEEN", "last_seen", 3},
          {"BLOCKED", "blocked", 1},
          {"STRING LOCKED UNTIL", "string_locked_until", 5}};
}

Result<int> list_chosen(const Arguments& arguments, Connection& server, const Chosen& chosen, const std::string& what) {
  const bool all = arguments.format().for_programs();
  List list(std::cout, arguments.format(), phone_columns());
  std::int64_t count = 0;
  int shown = 0;
  for (const v1::PhoneSelection& slice : chosen.slices) {
    v1::SelectPhonesRequest request;
    *request.mutable_selection() = slice;
    request.mutable_page()->set_size(all ? kLargestPage : kSample);
    do {
      CAPF_LET(const auto response, server.call(request));
      count += response.count();
      for (const v1::Phone& phone : response.phones()) {
        if (all || shown < kSample) list.add(to_json(phone));
        ++shown;
      }
      request.mutable_page()->set_token(response.next_page_token());
    } while ((all || shown < kSample) && !request.page().token().empty());
  }
  list.finish();
  warn(std::to_string(count) + " phones would be " + what + "; nothing was done");
  return 0;
}

Result<ChosenCount> count_chosen(Connection& server, const Chosen& chosen) {
  ChosenCount count;
  for (const v1::PhoneSelection& slice : chosen.slices) {
    v1::SelectPhonesRequest request;
    *request.mutable_selection() = slice;
    request.mutable_page()->set_size(1);
    CAPF_LET(const auto response, server.call(request));
    count.slices.push_back(response.count());
    count.phones += response.count();
  }
  if (count.phones == 0) warn("there is no phone in this selection");
  return count;
}

std::optional<int> confirm_bulk(const Arguments& arguments, const Chosen& chosen, std::int64_t phones,
                                const std::string& what) {
  if (chosen.named || phones <= kMostUnasked) return std::nullopt;
  const std::string words = std::to_string(phones) + " phones";
  return confirm(arguments, what + " " + words + "?", "this is for " + words);
}

}  // namespace capf::cli
