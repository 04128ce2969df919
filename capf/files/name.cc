#include "capf/files/name.h"

#include <algorithm>

#include "capf/base/utf8.h"

namespace capf::files {
namespace {

constexpr std::size_t kLongestName = 255;
constexpr std::size_t kMostParts = 8;
constexpr std::string_view kPhone = "SEP";
constexpr std::size_t kPhoneDigits = 12;

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

/// "SEP" and the twelve digits of a MAC address, in upper case as phones write them.
std::optional<DeviceName> parse_phone(std::string_view text) {
  const std::string_view digits = text.substr(std::min(text.size(), kPhone.size()));
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  if (!text.starts_with(kPhone) || digits.size() != kPhoneDigits ||
      !std::all_of(digits.begin(), digits.end(), is_digit)) {
    return std::nullopt;
  }
  return DeviceName::parse(text).value();
}

std::optional<FileRequest> parse_trust_list(std::string_view name) {
  FileRequest request{.wanted = Wanted::kTrustList};
  if (!take_suffix(name, ".tlv")) return std::nullopt;
  if (take_prefix(name, "CTL")) {
    request.list = ListKind::kCtl;
  } else if (!take_prefix(name, "ITL")) {
    return std::nullopt;
  }
  if (name == "File") return request;
  request.device = parse_phone(name);
  return request.device ? std::optional(request) : std::nullopt;
}

std::optional<FileRequest> parse_configuration(std::string_view name) {
  if (name == "XMLDefault.cnf.xml") return FileRequest{.wanted = Wanted::kDefault};
  FileRequest request{.wanted = Wanted::kConfiguration};
  if (take_suffix(name, ".enc.sgn")) {
    request.form = Form::kEncrypted;
  } else if (take_suffix(name, ".sgn")) {
    request.form = Form::kSigned;
  }
  if (!take_suffix(name, ".cnf.xml")) return std::nullopt;
  request.device = parse_phone(name);
  return request.device ? std::optional(request) : std::nullopt;
}

/// Whether a name is one of those that this server makes itself, in any case of its letters. No file of the
/// administrator's is served under such a name.
bool is_reserved(std::string_view name) {
  const std::string lower = lower_case(std::string(name));
  std::string_view rest = lower;
  take_suffix(rest, ".sgn");
  return rest.ends_with(".tlv") || rest.ends_with(".cnf.xml") || rest.ends_with(".enc") || rest.ends_with(".sgn");
}

bool is_part(std::string_view part) {
  const auto is_plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("._-+").find(c) != std::string_view::npos;
  };
  return !part.empty() && part.front() != '.' && std::all_of(part.begin(), part.end(), is_plain);
}

std::optional<FileRequest> parse_static(std::string_view name) {
  if (is_reserved(name)) return std::nullopt;
  FileRequest request{.wanted = Wanted::kStatic};
  if (take_suffix(name, ".sgn")) request.form = Form::kSigned;
  request.path = name;
  for (std::size_t parts = 1; parts <= kMostParts; ++parts) {
    const std::size_t slash = name.find('/');
    if (!is_part(name.substr(0, slash))) return std::nullopt;
    if (slash == std::string_view::npos) return request;
    name.remove_prefix(slash + 1);
  }
  return std::nullopt;
}

}  // namespace

std::optional<FileRequest> parse_file_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return std::nullopt;
  if (auto list = parse_trust_list(name)) return list;
  if (auto configuration = parse_configuration(name)) return configuration;
  return parse_static(name);
}

}  // namespace capf::files
