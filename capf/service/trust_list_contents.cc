#include "capf/service/trust_list_contents.h"

#include <algorithm>
#include <tuple>

namespace capf::service {
namespace {

/// A certificate that may be in a list.
struct Candidate {
  Bytes der;
  TrustRoles roles;
  std::string dns{};
  std::optional<files::Ipv4> address{};
};

/// An IPv6 address gives nothing, because no list can say one. The programs record none, but somebody may write to the
/// database.
std::optional<files::Ipv4> ipv4(const std::optional<Address>& address) {
  if (!address || !address->is_ipv4()) return std::nullopt;
  files::Ipv4 octets{};
  const std::string text = address->to_string();
  std::size_t begin = 0;
  for (std::uint8_t& octet : octets) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    octet = static_cast<std::uint8_t>(std::stoi(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return octets;
}

/// Whether a phone that gets this list is to find the server of this role without a certificate, and so without TLS or
/// signed files.
bool is_emptied(TrustListKind kind, const ListInputs& inputs, TrustRole role) {
  if (kind == TrustListKind::kCtl) {
    return inputs.site == SiteMode::kNonsecure && (role == TrustRole::kCcm || role == TrustRole::kCcmTftp);
  }
  return inputs.released && (role == TrustRole::kTftp || role == TrustRole::kCcmTftp || role == TrustRole::kTvs);
}

class Writer {
 public:
  Writer(TrustListKind kind, const ListInputs& inputs) : kind_(kind), inputs_(inputs) {}

  /// Adds a certificate in all of its roles but that of a signer.
  Status add(const Candidate& candidate) {
    CAPF_LET(const files::Certificate certificate, files::Certificate::read(candidate.der));
    for (const TrustRole role : candidate.roles) {
      if (role == TrustRole::kSast || (kind_ == TrustListKind::kCtl && role == TrustRole::kTvs)) continue;
      const bool emptied = is_emptied(kind_, inputs_, role);
      add(emptied ? Bytes() : candidate.der, role, candidate);
      if (!emptied && role == TrustRole::kTftp && certificate.key_type() == ca::KeyType::kEc) contents_.https = true;
    }
    return {};
  }
  void add_signer(const Bytes& der) { add(der, TrustRole::kSast, {}); }
  void leave_out(const files::Certificate& certificate, const std::string& why) {
    contents_.left_out.push_back(certificate.subject() + " is not in it: " + why);
  }
  ListContents take() { return std::move(contents_); }

 private:
  /// One record for each, however many certificates lead to it.
  void add(const Bytes& der, TrustRole role, const Candidate& candidate) {
    const auto same = [&](const files::Listed& listed) {
      return listed.certificate == der && listed.roles.front() == role && listed.dns == candidate.dns &&
             listed.address == candidate.address;
    };
    if (std::any_of(contents_.listed.begin(), contents_.listed.end(), same)) return;
    contents_.listed.push_back({der, {role}, candidate.dns, candidate.address});
  }

  const TrustListKind kind_;
  const ListInputs& inputs_;
  ListContents contents_;
};

/// The other SAST: phones take two.
Result<std::optional<Bytes>> second_signer(const ListInputs& inputs, TimePoint now) {
  if (inputs.next_signer) {
    const OwnCertificate* next = find_own(inputs.own, *inputs.next_signer);
    return next == nullptr ? std::nullopt : std::optional(next->der);
  }
  for (const OwnCertificate& own : inputs.own) {
    if (own.name != kRecoverySigner || sha256(own.der) == inputs.signer) continue;
    CAPF_LET(const files::Certificate certificate, files::Certificate::read(own.der));
    if (certificate.not_after() > now) return own.der;
  }
  return std::nullopt;
}

using Row = std::tuple<int, Bytes, std::string, std::optional<files::Ipv4>>;

}  // namespace

const OwnCertificate* find_own(const std::vector<OwnCertificate>& own, const Sha256& certificate) {
  for (const OwnCertificate& each : own) {
    if (sha256(each.der) == certificate) return &each;
  }
  return nullptr;
}

Result<ListContents> contents_of(TrustListKind kind, const ListInputs& inputs, TimePoint now) {
  Writer writer(kind, inputs);
  if (const OwnCertificate* signer = find_own(inputs.own, inputs.signer)) writer.add_signer(signer->der);
  CAPF_LET(const auto second, second_signer(inputs, now));
  if (second) writer.add_signer(*second);
  for (const OwnCertificate& own : inputs.own) {
    CAPF_LET(const files::Certificate certificate, files::Certificate::read(own.der));
    if (!own.in_use && certificate.not_after() <= now) {
      writer.leave_out(certificate, "it has expired");
      continue;
    }
    CAPF_TRY(writer.add({own.der, own.roles}));
  }
  for (const TrustedCertificate& other : inputs.trusted) {
    CAPF_LET(const files::Certificate certificate, files::Certificate::read(other.der));
    if (other.blocked || other.not_after <= now) {
      writer.leave_out(certificate, other.blocked ? "it is blocked" : "it has expired");
      continue;
    }
    if (has_role(other.roles, TrustRole::kSast)) writer.leave_out(certificate, "as SAST, of which phones take two");
    CAPF_TRY(writer.add({other.der, other.roles, other.dns, ipv4(other.address)}));
  }
  return writer.take();
}

bool says(const files::TrustList& list, const ListContents& contents) {
  std::vector<Row> has;
  std::vector<Row> wanted;
  for (const files::Record& record : list.records) {
    has.emplace_back(static_cast<int>(record.role), record.certificate ? record.certificate->der() : Bytes(),
                     record.dns, record.address);
  }
  for (const files::Listed& listed : contents.listed) {
    wanted.emplace_back(static_cast<int>(listed.roles.front()), listed.certificate, listed.dns, listed.address);
  }
  std::sort(has.begin(), has.end());
  std::sort(wanted.begin(), wanted.end());
  return has == wanted && list.header.https == contents.https;
}

}  // namespace capf::service
