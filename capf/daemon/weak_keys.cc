#include "capf/daemon/weak_keys.h"

#include <algorithm>
#include <utility>

#include "capf/base/log.h"
#include "capf/base/secret.h"

namespace capf::daemon {
namespace {

constexpr std::size_t kLargestList = 64UL * 1024 * 1024;  ///< octets: three million keys

}  // namespace

Status WeakKeyFiles::open() {
  if (paths_.empty()) return {};
  const auto changed = newest();
  std::vector<ListedModulus> all;
  for (const auto& path : paths_) {
    CAPF_LET(const Bytes text, read_trusted_file(path, kLargestList));
    const auto moduli = ca::read_blacklist(as_text(text));
    if (!moduli) return fail(Reason::kInvalidConfiguration, path.string() + ": " + moduli.error().message);
    all.insert(all.end(), moduli->begin(), moduli->end());
  }
  log_info("weak_keys.read", {{"keys", all.size()}});
  list_.replace(std::move(all));
  read_ = changed;
  return {};
}

void WeakKeyFiles::tick() {
  const auto changed = newest();
  if (paths_.empty() || changed == read_) return;
  if (const Status opened = open(); !opened) {
    log_error("weak_keys.kept", opened.error());
    read_ = changed;  // said once for each change
  }
}

std::filesystem::file_time_type WeakKeyFiles::newest() const {
  auto newest = std::filesystem::file_time_type::min();  // its epoch lies in the future
  for (const auto& path : paths_) {
    std::error_code error;
    const auto time = std::filesystem::last_write_time(path, error);
    if (!error) newest = std::max(newest, time);
  }
  return newest;
}

}  // namespace capf::daemon
