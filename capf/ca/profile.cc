#include "capf/ca/profile.h"

#include <algorithm>
#include <array>

#include "capf/ca/name.h"

namespace capf::ca {
namespace {

const char* const kCountry = "2.5.4.6";
const char* const kOrganization = "2.5.4.10";
const char* const kUnit = "2.5.4.11";
constexpr std::size_t kLongestCommonName = 64;    // RFC 5280 appendix A, ub-common-name
constexpr std::size_t kLongestSerialNumber = 64;  // RFC 5280 appendix A, ub-serial-number

// id-kp-serverAuth, id-kp-clientAuth (RFC 5280 4.2.1.12), id-kp-ipsecEndSystem, as in Cisco's LSCs
const std::array kPurposes{"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.5"};

// X.680 41.4, less what Botan writes as UTF8String
bool is_printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
}

/// The subject of Cisco's own LSCs: serialNumber, C, O, OU, CN=<model>-<device>.
Botan::X509_DN cisco_subject(const Botan::X509_DN& issuer, const LscRequest& request) {
  Botan::X509_DN subject;
  const std::string& number = request.serial_number;
  if (!number.empty() && number.size() <= kLongestSerialNumber && is_printable(number)) {
    subject.add_attribute(Botan::OID(kSerialNumber), Botan::ASN1_String(number));
  }
  for (const char* type : {kCountry, kOrganization, kUnit}) {
    for (const auto& [oid, value] : issuer.dn_info()) {
      if (oid.to_string() == type) subject.add_attribute(oid, value);
    }
  }
  subject.add_attribute(Botan::OID(kCommonName), Botan::ASN1_String(request.model + '-' + request.device.text()));
  return subject;
}

Botan::X509_DN subject_for(const Botan::X509_DN& issuer, const LscRequest& request) {
  const bool named = !request.model.empty() && is_printable(request.model) &&
                     request.model.size() + 1 + request.device.text().size() <= kLongestCommonName;
  switch (request.form) {
    case SubjectForm::kPlain: return subject_below(issuer, request.device.text());
    case SubjectForm::kCisco:
      return named ? cisco_subject(issuer, request) : subject_below(issuer, request.device.text());
  }
  CAPF_INVARIANT(false);
}

}  // namespace

Botan::X509_DN subject_below(const Botan::X509_DN& issuer, const std::string& common_name) {
  constexpr std::array kKept{"2.5.4.10", "2.5.4.11", "2.5.4.7", "2.5.4.8", "2.5.4.6"};
  Botan::X509_DN subject;
  bool named = false;
  for (const auto& [oid, value] : issuer.dn_info()) {
    const std::string type = oid.to_string();
    if (type == kCommonName && !named) {
      subject.add_attribute(oid, Botan::ASN1_String(common_name));
      named = true;
    } else if (std::find(kKept.begin(), kKept.end(), type) != kKept.end()) {
      subject.add_attribute(oid, value);
    }
  }
  if (!named) subject.add_attribute(Botan::OID(kCommonName), Botan::ASN1_String(common_name));
  return subject;
}

std::string crl_url(const std::string& status_url, std::int64_t issuer_id, int shard) {
  return status_url + "/crl/" + std::to_string(issuer_id) + '/' + std::to_string(shard) + ".crl";
}

int shard_of(BytesView serial, int shards) {
  CAPF_INVARIANT(serial.size() >= 2 && shards >= 1);
  const int tail = serial[serial.size() - 2] << 8 | serial[serial.size() - 1];
  return tail % shards;
}

Result<CertificatePlan> plan_lsc(const LscProfile& profile, const LscRequest& request, Bytes serial) {
  if (request.now < profile.not_before || request.now >= profile.not_after) return fail(Reason::kIssuerExpired);
  if (request.validity <= std::chrono::hours{0}) return fail_internal("an LSC without validity was asked for");
  CertificatePlan plan;
  try {
    plan.issuer = profile.issuer.subject_dn();
    plan.subject = subject_for(plan.issuer, request);
    for (const char* purpose : kPurposes) plan.extended_key_usage.emplace_back(purpose);
    plan.authority_key_id = profile.issuer.subject_key_id();
  } catch (const std::exception& error) {
    return fail_internal(std::string("planning an LSC: ") + error.what());
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(request.now);
  plan.not_before = std::max<TimePoint>(now - kBackdate, profile.not_before);
  plan.not_after = std::min<TimePoint>(now + request.validity, profile.not_after);
  plan.public_key = request.public_key;
  CAPF_LET(plan.key_usage, end_entity_usage(request.public_key));
  const std::string id = std::to_string(profile.issuer_id);
  plan.crl_url = crl_url(profile.status_url, profile.issuer_id, shard_of(serial, profile.shards));
  plan.ocsp_url = profile.status_url + "/ocsp";
  plan.issuer_url = profile.status_url + "/ca/" + id + ".cer";
  plan.serial = std::move(serial);
  return plan;
}

Status check_lsc(BytesView der, const CertificatePlan& plan, const LscProfile& profile,
                 const Botan::Public_Key& issuer_key) {
  if (der.size() > kLargestLsc) return fail(Reason::kCertificateTooLarge);
  CAPF_TRY(check_certificate(der, plan, issuer_key));
  const bool sound = !plan.ca && (plan.key_usage & (kKeyCertSign | kCrlSign)) == 0 && plan.serial.size() == 16 &&
                     plan.not_before >= profile.not_before && plan.not_after <= profile.not_after &&
                     plan.not_before < plan.not_after && plan.issuer == profile.issuer.subject_dn();
  if (!sound) {
    return fail(Reason::kCertificateCheckFailed, std::string(words(Reason::kCertificateCheckFailed)),
                "the plan is not an LSC's");
  }
  return {};
}

}  // namespace capf::ca
