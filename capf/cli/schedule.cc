#include "capf/cli/schedule.h"

#include <filesystem>
#include <iostream>
#include <sstream>

#include <botan/mem_ops.h>
#include <botan/system_rng.h>

#include "capf/base/secret.h"
#include "capf/cli/convert.h"
#include "capf/cli/devices.h"
#include "capf/cli/handout.h"
#include "capf/cli/pages.h"
#include "capf/cli/progress.h"
#include "capf/client/argument.h"
#include "capf/domain/authstring.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

const std::set<std::string> kScheduleSkips{"open", "blocked", "unknown"};
const std::set<std::string> kCancelSkips{"none", "unknown"};
const std::vector<std::string> kBulkOptions{"--strings", "--sheet", "--problems", "--skip", "--replace", "--dry-run"};

std::string random_run(Botan::RandomNumberGenerator& random) {
  std::string run(kRunOctets, '\0');
  random.randomize(reinterpret_cast<std::uint8_t*>(run.data()), run.size());
  return run;
}

TimePoint time_of(const google::protobuf::Timestamp& time) {
  return TimePoint(std::chrono::seconds(time.seconds()) + std::chrono::microseconds(time.nanos() / 1000));
}

}  // namespace

capf::Status BulkStrings::open(const std::string& path, const std::string& command) {
  CAPF_LET(StringsFile file, StringsFile::open(path, command, random_));
  file_.emplace(std::move(file));
  return {};
}

std::string BulkStrings::run() {
  if (!file_) {
    if (run_.empty()) run_ = random_run(random_);
    return run_;
  }
  const auto octets = parse_hex(file_->run());
  CAPF_INVARIANT(octets.has_value());
  return {octets->begin(), octets->end()};
}

std::optional<TimePoint> BulkStrings::deadline() const {
  if (!file_ || file_->strings().empty()) return std::nullopt;
  return file_->strings().begin()->second.completes_by;
}

capf::Status BulkStrings::add(const BulkFound& found, const google::protobuf::RepeatedPtrField<std::string>& devices,
                              google::protobuf::RepeatedPtrField<v1::DeviceString>& strings) {
  std::vector<DeviceString> fresh;
  std::vector<std::string> taking;
  for (const std::string& device : devices) {
    const v1::BulkPhone& phone = found.phones.at(device);
    if (phone.auth() != v1::AUTH_MODE_STRING) continue;
    taking.push_back(device);
    if (find(device) != nullptr) continue;
    fresh.push_back({device, generate_auth_string(random_), time_of(phone.completes_by()), phone.description()});
  }
  if (file_) {
    CAPF_TRY(file_->add(std::move(fresh)));
  } else {
    for (DeviceString& each : fresh) shown_.emplace(each.device, std::move(each.digits));
  }
  for (const std::string& device : taking) {
    v1::DeviceString& string = *strings.Add();
    string.set_device(device);
    string.set_digits(std::string(find(device)->text()));
    const TimePoint end = file_ ? file_->find(device)->completes_by : time_of(found.phones.at(device).completes_by());
    set_time(*string.mutable_completes_by(), end);
  }
  return {};
}

const Secret* BulkStrings::find(const std::string& device) const {
  if (file_) {
    const DeviceString* const found = file_->find(device);
    return found == nullptr ? nullptr : &found->digits;
  }
  const auto found = shown_.find(device);
  return found == shown_.end() ? nullptr : &found->second;
}

capf::Status BulkStrings::write_sheet(const std::string& path, const BulkFound& found) const {
  std::vector<HandoutPhone> phones;
  for (const auto& [device, phone] : found.phones) {
    const DeviceString* const string = file_->find(device);
    if (string == nullptr) continue;
    phones.push_back({device,
                      string->digits,
                      string->completes_by,
                      phone.description(),
                      {phone.tags().begin(), phone.tags().end()}});
  }
  std::ostringstream sheet;
  write_handout(sheet, std::move(phones));
  std::string text = std::move(sheet).str();
  const capf::Status written = rewrite_secret_file(path, as_bytes(text));
  Botan::secure_scrub_memory(text.data(), text.size());
  return written;
}

capf::Status BulkStrings::finish() { return file_ ? file_->finish() : capf::Status{}; }

std::vector<Column> scheduled_columns() {
  return {{"DEVICE", "device"}, {"STRING", "auth_string"}, {"KIND", "kind"},
          {"AUTH", "auth"},     {"STATE", "state"},        {"COMPLETES BY", "completes_by"}};
}

std::string command_of(const Arguments& arguments) {
  return "operation schedule " + arguments.line({"--strings", "--sheet", "--problems", "--skip", "--replace",
                                                 "--dry-run", "--quiet", "--yes", "--output", "--time-zone"});
}

namespace {

/// A schedule while it is under way.
struct Schedule {
  const Arguments& arguments;
  Connection& server;
  const Chosen& chosen;
  v1::ScheduleSelectionRequest request{};  ///< what all calls have in common
  bool makes_strings = false;
  BulkStrings strings{Botan::system_rng()};
  BulkFound found{};
  std::int64_t scheduled = 0;
  std::int64_t with_string = 0;  ///< of those, the ones that were shown
  TimePoint latest{};            ///< deadline
};

/// Errors: INVALID_REQUEST for a string that belongs to another way to authenticate.
template <class Request>
capf::Status read_plan(const Arguments& arguments, Request& request) {
  request.set_kind(kind_of(arguments.text("KIND")));
  if (arguments.has("--auth")) request.set_auth(auth_of(arguments.text("--auth")));
  if (arguments.has("--string")) {
    CAPF_LET(const Secret digits, client::read_auth_string(arguments.text("--string")));
    request.set_auth_string(std::string(digits.text()));
  }
  if (arguments.has("--key-order")) request.mutable_key()->set_order(key_order_of(arguments.text("--key-order")));
  request.mutable_key()->set_rsa_bits(static_cast<std::int32_t>(arguments.number("--rsa-size").value_or(0)));
  request.mutable_key()->set_ec_bits(static_cast<std::int32_t>(arguments.number("--ec-size").value_or(0)));
  if (arguments.has("--ec-size") && request.key().order() == v1::KEY_ORDER_RSA) {
    warn("warning: --ec-size means nothing with --key-order rsa");
  }
  if (arguments.has("--rsa-size") && request.key().order() == v1::KEY_ORDER_EC) {
    warn("warning: --rsa-size means nothing with --key-order ec");
  }
  if (const auto time = arguments.deadline("--completes-by")) set_time(*request.mutable_completes_by(), *time);
  return {};
}

/// A few phones that are named need no first pass: one call does all of them or none, and the server makes the strings.
Result<int> schedule_few(const Arguments& arguments, Connection& server, const Chosen& chosen) {
  v1::ScheduleOperationsRequest request;
  CAPF_TRY(read_plan(arguments, request));
  *request.mutable_devices() = chosen.slices.front().devices();
  CAPF_LET(const auto response, server.call(request));
  for (const std::string& warning : response.warnings()) warn("warning: " + warning);
  report_small_letters({request.devices().begin(), request.devices().end()});
  // `capf-phone --strings` reads the first two columns.
  List list(std::cout, arguments.format(), scheduled_columns());
  for (const v1::ScheduledOperation& scheduled : response.operations()) list.add(to_json(scheduled));
  list.finish();
  return 0;
}

/// A file of strings that another option replaced would be lost.
bool is_same_file(const std::string& path, const std::string& other) {
  std::error_code error;
  const auto resolved = [&](const std::string& each) { return std::filesystem::weakly_canonical(each, error); };
  return !path.empty() && !other.empty() &&
         (std::filesystem::equivalent(path, other, error) || resolved(path) == resolved(other));
}

/// Two options that name one file, of which one is written; nothing where each has its own.
std::optional<std::string> shared_file(const Arguments& arguments) {
  const std::vector<std::string> written{"--strings", "--sheet", "--problems"};
  const std::vector<std::string> all{"--strings", "--sheet", "--problems", "--file", "--except"};
  for (std::size_t i = 0; i < written.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (!is_same_file(arguments.text(written[i]), arguments.text(all[j]))) continue;
      return written[i] + " and " + all[j] + " name the same file: each needs its own";
    }
  }
  return std::nullopt;
}

/// Which options do not go together; nothing where they do.
std::optional<std::string> misuse_of(const Arguments& arguments) {
  const bool by_string = arguments.text("--auth") == "string";
  if (arguments.has("--string") && !by_string) return "--string belongs to --auth string";
  if (arguments.has("--strings") && ((arguments.has("--auth") && !by_string) || arguments.has("--string"))) {
    return "--strings belongs to --auth string, where each phone has a string of its own";
  }
  if (arguments.has("--sheet") && !arguments.has("--strings"))
    return "--sheet needs --strings, which keeps what it shows";
  return shared_file(arguments);
}

/// Continues the run of a file that is there, with its deadline: where a run was told one, it has one.
capf::Status resume(Schedule& schedule) {
  const std::string path = schedule.arguments.text("--strings");
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(std::filesystem::symlink_status(path, error))) return {};
  CAPF_TRY(schedule.strings.open(path, command_of(schedule.arguments)));
  const auto deadline = schedule.strings.deadline();
  if (deadline && schedule.arguments.has("--completes-by")) {
    set_time(*schedule.request.mutable_completes_by(), *deadline);
  }
  return {};
}

/// The first pass over the phones that are chosen now, and over those that the file has a string for already.
capf::Status find_all(Schedule& schedule) {
  schedule.request.mutable_bulk()->set_run(schedule.strings.run());
  CAPF_TRY(find_phones(schedule.server, schedule.chosen.slices, schedule.request, schedule.found));
  if (schedule.strings.file() == nullptr) return {};
  std::set<std::string> devices;
  for (const auto& [device, string] : schedule.strings.file()->strings()) devices.insert(device);
  return find_phones(schedule.server, slices_of(devices, {}), schedule.request, schedule.found);
}

capf::Status schedule_batches(Schedule& schedule, const std::vector<std::string>& devices) {
  Progress progress("scheduled", static_cast<std::int64_t>(devices.size()), schedule.arguments.has("--quiet"));
  List list(std::cout, schedule.arguments.format(), scheduled_columns());
  const bool shows = schedule.makes_strings && schedule.strings.file() == nullptr;
  const auto prepare = [&](v1::ScheduleSelectionRequest& request) -> capf::Status {
    if (!schedule.makes_strings) return {};
    return schedule.strings.add(schedule.found, request.bulk().selection().devices(), *request.mutable_strings());
  };
  const auto take = [&](const v1::ScheduleSelectionResponse& response) {
    schedule.scheduled += response.operations_size();
    schedule.latest = std::max(schedule.latest, time_of(response.completes_by()));
    progress.add(response.operations_size());
    for (v1::ScheduledOperation scheduled : response.operations()) {
      const Secret* const digits = schedule.strings.find(scheduled.operation().device());
      if (!scheduled.auth_string().empty()) {
        warn("the settings of " + scheduled.operation().device() +
             " were changed meanwhile: 'operation schedule --replace' gives it a string");
      }
      if (!shows || digits == nullptr) continue;
      scheduled.set_auth_string(std::string(digits->text()));
      list.add(to_json(scheduled));
      ++schedule.with_string;
    }
    // Phones that were skipped in the meantime have no operation, and so no place on the sheet.
    for (const v1::OperationProblem& problem : response.problems()) schedule.found.phones.erase(problem.device());
  };
  CAPF_TRY(do_batches(schedule.server, devices, schedule.request, prepare, take));
  if (shows) list.finish();
  return {};
}

Result<int> end(Schedule& schedule) {
  const Arguments& arguments = schedule.arguments;
  if (arguments.has("--sheet")) CAPF_TRY(schedule.strings.write_sheet(arguments.text("--sheet"), schedule.found));
  CAPF_TRY(schedule.strings.finish());
  if (schedule.makes_strings && schedule.strings.file() == nullptr) {
    const std::int64_t others = schedule.scheduled - schedule.with_string;
    if (others > 0) warn(std::to_string(others) + " more are scheduled, without a string");
    return 0;
  }
  Json::Object summary{
      {"scheduled", schedule.scheduled},
      {"completes_by", to_rfc3339(schedule.scheduled > 0 ? schedule.latest : time_of(*schedule.found.completes_by))}};
  if (schedule.strings.file() != nullptr) summary.emplace_back("strings", arguments.text("--strings"));
  show(std::cout, arguments.format(), summary);
  return 0;
}

std::size_t count_with_string(const BulkFound& found, const std::vector<std::string>& devices) {
  return static_cast<std::size_t>(std::count_if(devices.begin(), devices.end(), [&](const std::string& device) {
    return found.phones.at(device).auth() == v1::AUTH_MODE_STRING;
  }));
}

Result<int> schedule_many(Schedule schedule) {
  const Arguments& arguments = schedule.arguments;
  const auto skipped = skipped_reasons(arguments, kScheduleSkips);
  if (!skipped) return report_usage(skipped.error().message);
  schedule.request.mutable_bulk()->mutable_skipped()->Add(skipped->begin(), skipped->end());
  schedule.request.set_replace(arguments.has("--replace"));
  CAPF_TRY(read_plan(arguments, schedule.request));
  const bool dry_run = arguments.has("--dry-run");
  CAPF_TRY(resume(schedule));
  CAPF_TRY(find_all(schedule));
  CAPF_TRY(report_problems(arguments, schedule.chosen, schedule.found, *skipped, "nothing was scheduled: "));
  report_prospects(schedule.found, schedule.request.auth());
  if (dry_run) return list_found(arguments, schedule.found, "scheduled");
  const std::vector<std::string> devices = schedule.found.to_do();
  if (devices.empty()) warn("there is no phone to schedule for");
  const std::size_t with_string = count_with_string(schedule.found, devices);
  schedule.makes_strings = schedule.makes_strings && (with_string > 0 || schedule.strings.file() != nullptr);
  if (schedule.makes_strings && !arguments.has("--strings") && with_string > kMostShown) {
    return report_usage("each of " + std::to_string(with_string) +
                        " phones would have a string of its own: --strings FILE keeps them");
  }
  const auto phones = static_cast<std::int64_t>(devices.size());
  if (const auto code = confirm_bulk(arguments, schedule.chosen, phones, "Schedule for")) return *code;
  if (arguments.has("--strings") && schedule.strings.file() == nullptr) {
    CAPF_TRY(schedule.strings.open(arguments.text("--strings"), command_of(arguments)));
    schedule.request.mutable_bulk()->set_run(schedule.strings.run());
  }
  const capf::Status done = schedule_batches(schedule, devices);
  if (!done) {
    const char* const how = schedule.strings.file() != nullptr ? "the same command goes on with the others"
                                                               : "--skip open goes on with the others";
    if (schedule.scheduled > 0) warn(std::to_string(schedule.scheduled) + " phones are done; " + how);
    return fail(done.error());
  }
  return end(schedule);
}

}  // namespace

Result<int> schedule_operations(const Arguments& arguments, Connection& server) {
  if (const auto words = misuse_of(arguments)) return report_usage(*words);
  const auto chosen = chosen_phones(arguments.without("--auth"));
  if (!chosen) return report_usage(chosen.error().message);
  if (!chosen->any) {
    return report_usage(
        "name at least one DEVICE, or a --file of them, or choose phones by an option; --all chooses "
        "every phone");
  }
  const bool by_string = !arguments.has("--auth") || arguments.text("--auth") == "string";
  const bool makes_strings = by_string && !arguments.has("--string");
  const std::size_t most = makes_strings ? kMostShown : static_cast<std::size_t>(kPhonesInBatch);
  const bool bulk = std::any_of(kBulkOptions.begin(), kBulkOptions.end(),
                                [&](const std::string& option) { return arguments.has(option); });
  if (!bulk && chosen->named && chosen->lines.size() <= most) return schedule_few(arguments, server, *chosen);
  return schedule_many({.arguments = arguments, .server = server, .chosen = *chosen, .makes_strings = makes_strings});
}

namespace {

Result<int> cancel_one(const Arguments& arguments, Connection& server, const std::string& device) {
  v1::CancelOperationRequest request;
  request.set_device(device);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.operation()));
  return 0;
}

/// Of phones that are chosen by a property, those with an open operation are meant.
void choose_open(const Arguments& arguments, Chosen& chosen) {
  if (!chosen.lines.empty() || arguments.has("--operation")) return;
  for (v1::PhoneSelection& slice : chosen.slices) {
    for (const char* const state : {"pending", "in_progress", "issued"}) slice.add_operations(state);
  }
}

Result<int> cancel_many(const Arguments& arguments, Connection& server, Chosen chosen) {
  if (const auto words = shared_file(arguments)) return report_usage(*words);
  const auto skipped = skipped_reasons(arguments, kCancelSkips);
  if (!skipped) return report_usage(skipped.error().message);
  choose_open(arguments, chosen);
  v1::CancelSelectionRequest request;
  request.mutable_bulk()->set_run(random_run(Botan::system_rng()));
  BulkFound found;
  CAPF_TRY(find_phones(server, chosen.slices, request, found));
  CAPF_TRY(report_problems(arguments, chosen, found, *skipped, "nothing was cancelled: "));
  if (arguments.has("--dry-run")) return list_found(arguments, found, "cancelled");
  const std::vector<std::string> devices = found.to_do();
  if (devices.empty()) warn("there is no phone with an open operation in this selection");
  const auto phones = static_cast<std::int64_t>(devices.size());
  if (const auto code = confirm_bulk(arguments, chosen, phones, "Cancel for")) return *code;
  // A phone that has finished or gone meanwhile is no fault: there is nothing left to cancel.
  for (const char* const reason : {"NO_PENDING_OPERATION", "UNKNOWN_DEVICE"})
    request.mutable_bulk()->add_skipped(reason);
  std::int64_t cancelled = 0;
  Progress progress("cancelled", phones, arguments.has("--quiet"));
  const capf::Status done = do_batches(
      server, devices, request, [](const v1::CancelSelectionRequest&) { return capf::Status{}; },
      [&](const v1::CancelSelectionResponse& response) {
        cancelled += response.operations_size();
        progress.add(response.selected());
      });
  if (!done) {
    if (cancelled > 0) warn(std::to_string(cancelled) + " phones are done; --skip none goes on with the others");
    return fail(done.error());
  }
  show(std::cout, arguments.format(), Json::Object{{"cancelled", cancelled}});
  return 0;
}

}  // namespace

Result<int> cancel_operations(const Arguments& arguments, Connection& server) {
  const auto chosen = chosen_phones(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  if (!chosen->any) return report_usage("name phones, or choose them by an option; --all chooses every phone");
  const bool bulk = std::any_of(kBulkOptions.begin(), kBulkOptions.end(),
                                [&](const std::string& option) { return arguments.has(option); });
  if (!bulk && chosen->named && chosen->lines.size() == 1) {
    return cancel_one(arguments, server, chosen->lines.begin()->first);
  }
  return cancel_many(arguments, server, *chosen);
}

}  // namespace capf::cli
