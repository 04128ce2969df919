#include "capf/ca/blacklist.h"

#include <algorithm>
#include <string>
#include <utility>

namespace capf::ca {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

std::optional<ListedModulus> read_line(std::string_view line) {
  ListedModulus modulus{};
  if (line.size() != 2 * modulus.size()) return std::nullopt;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const std::size_t digit = kDigits.find(line[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    modulus[i / 2] = static_cast<std::uint8_t>(modulus[i / 2] << 4 | digit);
  }
  return modulus;
}

}  // namespace

Result<std::vector<ListedModulus>> read_blacklist(std::string_view text) {
  std::vector<ListedModulus> moduli;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const auto modulus = read_line(line);
    if (!modulus) {
      return fail(Reason::kInvalidConfiguration, "line " + std::to_string(number) +
                                                     " is no modulus as openssl-vulnkey(1) writes them: 20 lower-case "
                                                     "hexadecimal digits");
    }
    moduli.push_back(*modulus);
  }
  return moduli;
}

void Blacklist::replace(std::vector<ListedModulus> moduli) {
  std::sort(moduli.begin(), moduli.end());
  auto made = std::make_shared<const Moduli>(std::move(moduli));
  const std::lock_guard lock(mutex_);
  moduli_ = std::move(made);
}

std::shared_ptr<const Blacklist::Moduli> Blacklist::now() const {
  const std::lock_guard lock(mutex_);
  return moduli_;
}

bool Blacklist::empty() const { return now()->empty(); }

Status Blacklist::check(const KeyDigests& key) const {
  if (!key.listed) return {};
  const auto moduli = now();
  if (!std::binary_search(moduli->begin(), moduli->end(), *key.listed)) return {};
  return fail(Reason::kKeyListed);
}

}  // namespace capf::ca
