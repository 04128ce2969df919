#include "capf/tvs/dialogue.h"

#include <algorithm>
#include <string>
#include <utility>

namespace capf::tvs {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  return first == std::string_view::npos ? std::string_view{}
                                         : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// The parts between separators that no '\' quotes, without these quotes, sorted.
std::vector<std::string> parts_of(std::string_view name, char separator) {
  std::vector<std::string> parts(1);
  for (std::size_t at = 0; at < name.size(); ++at) {
    if (name[at] == '\\' && at + 1 < name.size()) {
      parts.back() += name[++at];
    } else if (name[at] == separator) {
      parts.emplace_back();
    } else {
      parts.back() += name[at];
    }
  }
  for (std::string& part : parts) part = std::string(trim(part));
  std::sort(parts.begin(), parts.end());
  return parts;
}

Outcome outcome_of(const Vouched& certificate, TimePoint now) {
  if (certificate.withdrawn) return Outcome::kWithdrawn;
  if (now < certificate.not_before) return Outcome::kNotYetValid;
  if (now > certificate.not_after) return Outcome::kExpired;
  return certificate.roles.empty() ? Outcome::kUnknown : Outcome::kValid;
}

Answer answer_of(const Vouched& certificate, TimePoint now, std::chrono::seconds lifetime) {
  const Outcome outcome = outcome_of(certificate, now);
  if (outcome != Outcome::kValid) return {outcome};
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(certificate.not_after - now);
  return {outcome, certificate.der, certificate.roles, std::max(std::chrono::seconds(1), std::min(lifetime, left))};
}

bool is_same(BytesView a, BytesView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

}  // namespace

std::variant<More, Question, Malformed> hear(BytesView arrived) {
  const Taken taken = take_frame(arrived, kLongestAccepted);
  if (const auto* more = std::get_if<More>(&taken)) return *more;
  if (const auto* malformed = std::get_if<Malformed>(&taken)) return *malformed;
  const auto read = read_question(std::get<Frame>(taken));
  if (const auto* malformed = std::get_if<Malformed>(&read)) return *malformed;
  return std::get<Question>(read);
}

bool is_same_name(std::string_view said, std::string_view rfc4514) {
  const std::vector<std::string> name = parts_of(rfc4514, ',');
  return parts_of(said, ';') == name || parts_of(said, ',') == name;
}

Result<Answer> judge(const Question& question, CertificateSource& source, TimePoint now,
                     std::chrono::seconds lifetime) {
  if (const auto* verify = std::get_if<Verify>(&question.what)) {
    CAPF_LET(const auto found, source.find_by_digest(sha256(verify->certificate)));
    return found && is_same(found->der, verify->certificate) ? answer_of(*found, now, lifetime) : Answer{};
  }
  const auto& query = std::get<Query>(question.what);
  CAPF_LET(const auto found, source.find_by_serial(query.serial));
  const auto one = std::find_if(found.begin(), found.end(), [&](const Vouched& certificate) {
    return is_same_name(query.issuer, certificate.issuer);
  });
  return one == found.end() ? Answer{} : answer_of(*one, now, lifetime);
}

}  // namespace capf::tvs
