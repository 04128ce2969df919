#include "capf/cli/bulk.h"

#include <algorithm>
#include <iostream>
#include <sstream>

#include "capf/base/secret.h"
#include "capf/cli/convert.h"
#include "capf/cli/devices.h"
#include "capf/cli/table.h"
#include "capf/client/text.h"

namespace capf::cli {
namespace {

constexpr std::size_t kShown = 20;

const std::map<std::string, std::string> kProblems{{"open", "OPERATION_PENDING"},
                                                   {"blocked", "DEVICE_BLOCKED"},
                                                   {"unknown", "UNKNOWN_DEVICE"},
                                                   {"none", "NO_PENDING_OPERATION"}};

/// "phones.csv, line 7: " for a device of a file.
std::string place_of(const Arguments& arguments, const Chosen& chosen, const std::string& device) {
  const auto line = chosen.lines.find(device);
  if (line == chosen.lines.end() || line->second == 0) return {};
  const std::string path = arguments.text("--file");
  return (path == "-" ? "standard input" : path) + ", line " + std::to_string(line->second) + ": ";
}

capf::Status write_problems(const std::string& path, const Chosen& chosen, const BulkFound& found) {
  std::string text = "line,device,reason,message\n";
  for (const auto& [device, problem] : found.problems) {
    const auto line = chosen.lines.find(device);
    if (line != chosen.lines.end() && line->second > 0) text += std::to_string(line->second);
    text += ',' + device + ',' + problem.reason() + ',' +
            to_cell(client::printable(problem.message(), client::Backslash::kKept)) + '\n';
  }
  return rewrite_file(path, as_bytes(text));
}

std::string phones_in_words(std::int64_t count) { return std::to_string(count) + (count == 1 ? " phone" : " phones"); }

void say(std::int64_t count, const std::string& words) {
  if (count > 0) warn("warning: " + phones_in_words(count) + words);
}

}  // namespace

std::vector<std::string> BulkFound::to_do() const {
  std::vector<std::string> devices;
  for (const auto& [device, phone] : phones) {
    if (!phone.done()) devices.push_back(device);
  }
  return devices;
}

Result<std::set<std::string>> skipped_reasons(const Arguments& arguments, const std::set<std::string>& words) {
  std::set<std::string> reasons;
  std::istringstream list(arguments.text("--skip"));
  for (std::string word; std::getline(list, word, ',');) {
    if (!words.contains(word)) {
      std::string known;
      for (const std::string& each : words) known += (known.empty() ? "" : ", ") + each;
      return fail(Reason::kInvalidRequest, "--skip takes " + known + ", with commas between them");
    }
    reasons.insert(kProblems.at(word));
  }
  return reasons;
}

capf::Status report_problems(const Arguments& arguments, const Chosen& chosen, const BulkFound& found,
                             const std::set<std::string>& skipped, const std::string& before) {
  if (arguments.has("--problems")) CAPF_TRY(write_problems(arguments.text("--problems"), chosen, found));
  std::vector<const v1::OperationProblem*> faults;
  for (const auto& [device, problem] : found.problems) {
    if (!skipped.contains(problem.reason())) faults.push_back(&problem);
  }
  const auto left_out = static_cast<std::int64_t>(found.problems.size() - faults.size());
  if (left_out > 0) warn(phones_in_words(left_out) + " are left out, as --skip says");
  if (faults.empty()) return {};
  const v1::OperationProblem& first = *faults.front();
  if (faults.size() == 1) {
    return fail(parse_reason(first.reason()), before + place_of(arguments, chosen, first.device()) + first.message());
  }
  for (std::size_t i = 0; i < std::min(faults.size(), kShown); ++i) {
    warn(place_of(arguments, chosen, faults[i]->device()) + faults[i]->reason() + ": " + faults[i]->message());
  }
  return fail(parse_reason(first.reason()),
              before + phones_in_words(static_cast<std::int64_t>(faults.size())) + " have problems" +
                  (faults.size() > kShown ? ", of which the first are shown; --problems FILE has all of them" : "") +
                  "; --skip leaves them out");
}

void report_small_letters(const std::vector<std::string>& devices) {
  const auto small = std::count_if(devices.begin(), devices.end(), [](const std::string& device) {
    return device.starts_with("sep") && name_of_mac(device);
  });
  say(small, " named in small letters: desk phones come by a name in capital letters, and case counts");
}

void report_prospects(const BulkFound& found, v1::AuthMode auth) {
  for (const std::string& words : found.warnings) warn("warning: " + words);
  std::int64_t no_anchor = 0;
  std::int64_t without_lsc = 0;
  for (const auto& [device, phone] : found.phones) {
    if (phone.done()) continue;
    no_anchor += phone.no_anchor() ? 1 : 0;
    without_lsc += phone.without_lsc() ? 1 : 0;
  }
  say(no_anchor, std::string(auth == v1::AUTH_MODE_LSC ? " without an LSC" : "") +
                     " will be refused: no trust anchor is for their MIC; see 'trust add'");
  say(without_lsc, " without an LSC on record that could be deleted");
  report_small_letters(found.to_do());
}

int list_found(const Arguments& arguments, const BulkFound& found, const std::string& what) {
  const bool all = arguments.format().for_programs();
  const std::vector<std::string> devices = found.to_do();
  List list(std::cout, arguments.format(), {{"DEVICE", "device"}, {"DESCRIPTION", "description"}, {"TAGS", "tags"}});
  for (std::size_t i = 0; i < devices.size() && (all || i < kShown); ++i) {
    list.add(to_json(found.phones.at(devices[i])));
  }
  list.finish();
  warn(phones_in_words(static_cast<std::int64_t>(devices.size())) + " would be " + what + "; nothing was done");
  return 0;
}

std::vector<Option> with_bulk(std::vector<Option> options) {
  using Kind = Option::Kind;
  for (Option& option : std::vector<Option>{
           {"--problems", Kind::kFile, "write every problem to this CSV file: line, device, reason, words"},
           {"--dry-run", Kind::kFlag, "say what is chosen, and do nothing"},
           {"--quiet", Kind::kFlag, "do not say how far it is"},
           yes_option(),
           output_option()}) {
    options.push_back(std::move(option));
  }
  return with_selection(std::move(options));
}

}  // namespace capf::cli
