#include "capf/cli/installs.h"

#include <algorithm>
#include <filesystem>

#include <botan/system_rng.h>

#include "capf/cli/convert.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

constexpr std::size_t kMostWithLines = 1000;  // the server's limit for the phones of --lines in one call

}  // namespace

Installs::Installs(const Arguments& arguments)
    : arguments_(arguments), wanted_(arguments.has("--install")), strings_(Botan::system_rng()) {}

std::string Installs::command() const {
  return "profile apply " + arguments_.line({"--strings", "--dry-run", "--quiet", "--yes", "--output", "--time-zone"});
}

std::optional<std::string> Installs::misuse() const {
  if (!arguments_.has("--strings") || wanted_) return std::nullopt;
  return "--strings belongs to --install, which schedules operations";
}

capf::Status Installs::resume() {
  const std::string path = arguments_.text("--strings");
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(std::filesystem::symlink_status(path, error))) return {};
  return strings_.open(path, command());
}

void Installs::wish(v1::ApplyProfileRequest& request) {
  if (!wanted_) return;
  request.set_install(true);
  request.set_run(strings_.run());
}

void Installs::find(const v1::ApplyProfileResponse& answer) {
  for (const v1::BulkPhone& phone : answer.installs()) {
    found_.phones[phone.device()] = phone;
    if (phone.auth() == v1::AUTH_MODE_STRING) waiting_.insert(phone.device());
  }
}

std::optional<std::string> Installs::refusal() const {
  if (!arguments_.has("--strings") && waiting_.size() > kMostShown) {
    return "each of " + std::to_string(waiting_.size()) +
           " phones would have a string of its own: --strings FILE keeps them";
  }
  if (arguments_.has("--lines") && waiting_.size() > kMostWithLines) {
    return "--lines and --install go together for up to " + std::to_string(kMostWithLines) +
           " phones with strings: schedule the installs first";
  }
  return std::nullopt;
}

capf::Status Installs::begin(v1::ApplyProfileRequest& request) {
  if (!arguments_.has("--strings") || waiting_.empty() || strings_.file() != nullptr) return {};
  CAPF_TRY(strings_.open(arguments_.text("--strings"), command()));
  request.set_run(strings_.run());
  return {};
}

// A call takes the next phones in the order of their names, and so among those of the next kPhonesInBatch strings, but
// for phones that their lines bring along.
capf::Status Installs::prepare(v1::ApplyProfileRequest& request) {
  request.clear_strings();
  const std::size_t most = arguments_.has("--lines") ? kMostWithLines : std::size_t{kPhonesInBatch};
  google::protobuf::RepeatedPtrField<std::string> devices;
  for (auto device = waiting_.begin(); device != waiting_.end() && devices.size() < static_cast<int>(most); ++device) {
    devices.Add(std::string(*device));
  }
  if (devices.empty()) return {};
  return strings_.add(found_, devices, *request.mutable_strings());
}

void Installs::take(const v1::ApplyProfileResponse& answer) {
  scheduled_ += answer.operations_size();
  for (v1::ScheduledOperation scheduled : answer.operations()) {
    const std::string device = scheduled.operation().device();
    if (waiting_.erase(device) == 0 || strings_.file() != nullptr) continue;
    scheduled.set_auth_string(std::string(strings_.find(device)->text()));
    shown_.push_back(to_json(scheduled));
  }
}

capf::Status Installs::finish() {
  const auto lost = std::count_if(waiting_.begin(), waiting_.end(),
                                  [&](const std::string& device) { return strings_.find(device) != nullptr; });
  if (lost > 0) {
    warn(std::to_string(lost) +
         " phones were scheduled otherwise or came by an LSC meanwhile: their strings are of no use");
  }
  return strings_.finish();
}

}  // namespace capf::cli
