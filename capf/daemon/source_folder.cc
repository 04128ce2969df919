#include "capf/daemon/source_folder.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "capf/base/file.h"
#include "capf/base/log.h"
#include "capf/domain/lease_store.h"
#include "capf/files/name.h"
#include "capf/service/lease.h"

namespace capf::daemon {
namespace {

constexpr std::size_t kFilesOfBatch = 100;
constexpr std::chrono::seconds kPeriod{15};
constexpr std::chrono::seconds kLeasePeriod{service::kLeaseSeconds};  ///< where another server has it
const char* const kLease = "maintenance";

bool is_configuration(const std::string& name) {
  const auto request = files::parse_file_name(name);
  if (!request || request->form != files::Form::kPlain) return false;
  return request->wanted == files::Wanted::kConfiguration || request->wanted == files::Wanted::kDefault;
}

/// The whole file; one octet more than a configuration may have where it is larger. Empty: there is none any more.
Result<Secret> read_file(const std::filesystem::path& folder, const std::string& name) {
  CAPF_LET(const auto file, File::open_beneath(folder, name));
  if (!file) return Secret();
  CAPF_LET(const std::uint64_t size, file->size());
  Botan::secure_vector<std::uint8_t> octets(std::min<std::uint64_t>(size, kLargestConfiguration + 1));
  CAPF_LET(const std::size_t read, file->read(0, octets));
  octets.resize(read);
  return Secret(std::move(octets));
}

}  // namespace

std::chrono::milliseconds SourceFolder::read() {
  const auto mine = holds_lease();
  if (!mine || !*mine) {
    complaint_.report(mine);
    return kLeasePeriod;
  }
  complaint_.report(read_all());
  return kPeriod;
}

Result<bool> SourceFolder::holds_lease() {
  return in_write(database_,
                  [&](Transaction& tx) { return tx.leases().hold(kLease, holder_, service::kLeaseSeconds); });
}

Status SourceFolder::read_all() {
  batch_.clear();
  stamps_.clear();
  octets_ = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code gone;
    const auto changed = entry->last_write_time(gone);
    const auto size = gone ? 0 : entry->file_size(gone);
    if (gone || !is_configuration(name)) continue;
    const Stamp stamp{changed.time_since_epoch().count(), size};
    const auto known = seen_.find(name);
    if (known == seen_.end() || known->second != stamp) CAPF_TRY(take(name, stamp));
  }
  if (error) return fail(Reason::kInvalidConfiguration, "files.source, " + folder_.string() + ": " + error.message());
  return import();
}

Status SourceFolder::take(const std::string& name, const Stamp& stamp) {
  CAPF_LET(Secret xml, read_file(folder_, name));
  if (xml.empty()) return {};
  if (batch_.size() == kFilesOfBatch || octets_ + xml.view().size() > kConfigurationOctetsAtOnce) CAPF_TRY(import());
  octets_ += xml.view().size();
  stamps_[name] = stamp;
  batch_.push_back({name, std::move(xml)});
  return {};
}

Status SourceFolder::import() {
  const Actor actor{ActorKind::kSystem, "capfd", ""};
  while (!batch_.empty()) {
    CAPF_LET(const auto outcome, configurations_.import(actor, batch_, false));
    std::set<std::string> bad;
    for (const auto& problem : outcome.problems) {
      const std::string& name = batch_.at(problem.place).name;
      if (bad.insert(name).second) complain(name, problem.error);
    }
    std::erase_if(batch_, [&](const auto& file) { return bad.contains(file.name); });
    if (!bad.empty()) continue;
    for (const auto& file : batch_) {
      seen_[file.name] = stamps_.at(file.name);
      complained_.erase(file.name);
    }
    batch_.clear();
    if (outcome.added + outcome.changed == 0) break;
    log_info("configurations.imported", {{"added", outcome.added}, {"changed", outcome.changed}});
  }
  stamps_.clear();
  octets_ = 0;
  return {};
}

void SourceFolder::complain(const std::string& name, const Error& error) {
  // Only another file makes this good.
  if (error.reason == Reason::kPhoneConfigurationMalformed) seen_[name] = stamps_.at(name);
  const auto [former, fresh] = complained_.emplace(name, error.reason);
  if (!fresh && former->second == error.reason) return;
  former->second = error.reason;
  log_warning("configuration.refused", error, {{"file", name}});
}

}  // namespace capf::daemon
