#include "capf/daemon/weak_keys.h"

#include <utility>

#include "capf/base/log.h"
#include "capf/base/secret.h"

namespace capf::daemon {
namespace {

constexpr std::size_t kLargestList = 64UL * 1024 * 1024;  ///< octets: three million keys

}  // namespace

Status WeakKeyFiles::open() {
  watcher_.changed();
  return read();
}

void WeakKeyFiles::tick() {
  if (!watcher_.changed()) return;
  if (const Status done = read(); !done) log_error("weak_keys.kept", done.error());
}

Status WeakKeyFiles::read() {
  if (paths_.empty()) return {};
  std::vector<ListedModulus> all;
  for (const auto& path : paths_) {
    CAPF_LET(const Bytes text, read_trusted_file(path, kLargestList));
    const auto moduli = ca::read_blacklist(as_text(text));
    if (!moduli) return fail(Reason::kInvalidConfiguration, path.string() + ": " + moduli.error().message);
    all.insert(all.end(), moduli->begin(), moduli->end());
  }
  log_info("weak_keys.read", {{"keys", all.size()}});
  list_.replace(std::move(all));
  return {};
}

}  // namespace capf::daemon
