#include "capf/cli/selection.h"

#include <algorithm>
#include <iostream>

#include <google/protobuf/stubs/logging.h>

#include "capf/cli/arguments.h"
#include "capf/rpc/convert.h"

using namespace capf;

namespace {

/// The words of a command line, one each line.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

/// A command that changes the phones of a selection.
std::vector<cli::Command> change_command() {
  std::vector<cli::Command> commands = cli::all_commands();
  std::erase_if(commands, [](const cli::Command& command) { return command.path != "phone change"; });
  return commands;
}

void check_selection(const PhoneSelection& selection, const v1::PhoneSelection& said) {
  CAPF_INVARIANT(selection.check());
  CAPF_INVARIANT(selection.devices.size() == static_cast<std::size_t>(said.devices_size()));
  CAPF_INVARIANT(selection.patterns.size() == static_cast<std::size_t>(said.patterns_size()));
  CAPF_INVARIANT(selection.tags.size() == static_cast<std::size_t>(said.tags_size()));
  CAPF_INVARIANT(selection.lscs.size() == static_cast<std::size_t>(said.lsc_size()));
  CAPF_INVARIANT(selection.issuers.size() == static_cast<std::size_t>(said.issuers_size()));
  CAPF_INVARIANT(selection.expires_before.has_value() == said.has_expires_before());
  CAPF_INVARIANT(selection.not_seen_since.has_value() == said.has_not_seen_since());
  CAPF_INVARIANT(selection.refusals.empty() || selection.tried);
}

/// A selection that the server takes of a command line chooses by a property exactly where an option does, so that both
/// refuse a change without one.
void check_command_line(std::string_view text) {
  static const std::vector<cli::Command> kCommands = change_command();
  std::vector<std::string> words = words_of(text);
  words.insert(words.begin(), {"phone", "change"});
  const cli::Parsed parsed = cli::parse(words, kCommands);
  if (parsed.command == nullptr) return;
  if (parsed.arguments.has("--file") || parsed.arguments.has("--except")) return;  // a fuzzer reads no files
  const auto chosen = cli::chosen_phones(parsed.arguments);
  if (!chosen) return;
  CAPF_INVARIANT(!chosen->slices.empty() && (chosen->any || chosen->slices.size() == 1));
  for (const v1::PhoneSelection& slice : chosen->slices) {
    const auto selection = rpc::selection_from(slice);
    if (!selection) continue;
    check_selection(*selection, slice);
    CAPF_INVARIANT(selection->names_any() == chosen->any);
  }
}

void check_message(BytesView octets) {
  v1::PhoneSelection said;
  if (!said.ParseFromArray(octets.data(), static_cast<int>(octets.size()))) return;
  if (const auto selection = rpc::selection_from(said)) check_selection(*selection, said);
}

}  // namespace

// The first octet chooses whether the rest is a command line or the message that one becomes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Protobuf would write a line for every text that is not UTF-8, and capfctl one for every name that it corrects.
  [[maybe_unused]] static const auto kBefore = google::protobuf::SetLogHandler(nullptr);
  std::cerr.setstate(std::ios::failbit);
  if (size == 0) return 0;
  const BytesView octets(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    check_command_line(as_text(octets));
  } else {
    check_message(octets);
  }
  return 0;
}
