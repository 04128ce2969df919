#include "capf/ca/build.h"

#include <algorithm>

#include <arpa/inet.h>
#include <botan/bigint.h>

#include "capf/ca/asn1.h"
#include "capf/ca/botan.h"
#include "capf/ca/certificate.h"
#include "capf/ca/name.h"
#include "capf/ca/spki.h"

namespace capf::ca {
namespace {

namespace ext = Botan::Cert_Extension;

// RFC 5280 4.2.1.6 GeneralName
constexpr std::uint8_t kDnsName = 0x82;
constexpr std::uint8_t kUri = 0x86;
constexpr std::uint8_t kIpAddress = 0x87;
const char* const kSubjectAlternativeName = "2.5.29.17";
const char* const kCrlDistributionPoints = "2.5.29.31";
const char* const kAuthorityInformation = "1.3.6.1.5.5.7.1.1";
const char* const kOcsp = "1.3.6.1.5.5.7.48.1";
const char* const kOcspNoCheck = "1.3.6.1.5.5.7.48.1.5";
const char* const kCaIssuers = "1.3.6.1.5.5.7.48.2";

// RFC 5280 4.2.1.13
//    CRLDistributionPoints ::= SEQUENCE OF SEQUENCE { distributionPoint [0] { fullName [0] GeneralNames } }
Bytes crl_distribution_points(const std::string& url) {
  return der_element(kSequence,
                     der_element(kSequence, der_element(kContext0, der_element(kContext0, der_element(kUri, url)))));
}

// RFC 5280 4.2.2.1
//    AuthorityInfoAccessSyntax ::= SEQUENCE OF SEQUENCE { accessMethod OBJECT IDENTIFIER, accessLocation GeneralName }
Bytes authority_information(const std::string& ocsp, const std::string& issuer) {
  const auto description = [](const char* method, const std::string& url) {
    return der_element(kSequence, Botan::OID(method).BER_encode(), der_element(kUri, url));
  };
  return der_element(kSequence, description(kOcsp, ocsp), description(kCaIssuers, issuer));
}

/// The octets of an address in network order; empty where the text is no address.
Bytes address_octets(const std::string& host) {
  Bytes octets(4);
  if (inet_pton(AF_INET, host.c_str(), octets.data()) == 1) return octets;
  octets.resize(16);
  if (inet_pton(AF_INET6, host.c_str(), octets.data()) == 1) return octets;
  return {};
}

bool is_host_name(const std::string& host) {
  const auto accepted = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  };
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), accepted);
}

Bytes alternative_names(const std::vector<std::string>& hosts) {
  Bytes names;
  for (const std::string& host : hosts) {
    const Bytes octets = address_octets(host);
    const Bytes name = octets.empty() ? der_element(kDnsName, host) : der_element(kIpAddress, octets);
    names.insert(names.end(), name.begin(), name.end());
  }
  return der_element(kSequence, names);
}

struct PlannedExtension {
  std::unique_ptr<Botan::Certificate_Extension> extension;
  bool critical = false;
};

std::vector<PlannedExtension> extensions_of(const CertificatePlan& plan) {
  std::vector<PlannedExtension> list;
  list.push_back({std::make_unique<ext::Basic_Constraints>(plan.ca, 0), true});
  list.push_back({std::make_unique<ext::Key_Usage>(Botan::Key_Constraints(plan.key_usage)), true});
  if (!plan.extended_key_usage.empty()) {
    list.push_back({std::make_unique<ext::Extended_Key_Usage>(plan.extended_key_usage), false});
  }
  list.push_back({std::make_unique<ext::Subject_Key_ID>(key_identifier(plan.public_key)), false});
  if (!plan.authority_key_id.empty()) {
    list.push_back({std::make_unique<ext::Authority_Key_ID>(plan.authority_key_id), false});
  }
  if (!plan.crl_url.empty()) {
    list.push_back(
        {std::make_unique<RawExtension>(kCrlDistributionPoints, crl_distribution_points(plan.crl_url)), false});
  }
  if (!plan.ocsp_url.empty()) {
    list.push_back(
        {std::make_unique<RawExtension>(kAuthorityInformation, authority_information(plan.ocsp_url, plan.issuer_url)),
         false});
  }
  if (plan.ocsp_nocheck) list.push_back({std::make_unique<RawExtension>(kOcspNoCheck, Bytes{kNull, 0x00}), false});
  if (!plan.hosts.empty()) {
    list.push_back({std::make_unique<RawExtension>(kSubjectAlternativeName, alternative_names(plan.hosts)), false});
  }
  return list;
}

Botan::X509_Time to_botan(TimePoint time) {
  return Botan::X509_Time(std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
}

bool same(BytesView a, BytesView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

/// Names the field outside the extensions that differs from the plan; null where none does.
const char* differing_field(const CertificateOutline& outline, const CertificatePlan& plan) {
  if (outline.version != 3) return "version";
  if (!same(outline.serial, plan.serial)) return "serial number";
  if (!same(outline.issuer, encode_name(plan.issuer))) return "issuer";
  if (!same(outline.subject, encode_name(plan.subject))) return "subject";
  if (!same(outline.public_key, plan.public_key)) return "public key";
  if (read_time(outline.not_before) != plan.not_before) return "notBefore";
  if (read_time(outline.not_after) != plan.not_after) return "notAfter";
  return nullptr;
}

using Urls = std::vector<std::string>;

/// Every name of every distribution point.
Urls crl_urls(const Botan::Extensions& extensions) {
  Urls urls;
  if (const auto* points = extensions.get_extension_object_as<ext::CRL_Distribution_Points>()) {
    for (const auto& point : points->distribution_points()) {
      for (const auto& [kind, name] : names_of(point)) urls.push_back(kind == "URI" ? name : kind);
    }
  }
  return urls;
}

const char* differing_extension(const Botan::X509_Certificate& certificate, const CertificatePlan& plan) {
  const Botan::Extensions& present = certificate.v3_extensions();
  const std::vector<PlannedExtension> planned = extensions_of(plan);
  if (present.get_extension_oids().size() != planned.size()) return "number of extensions";
  for (const auto& [extension, critical] : planned) {
    if (!present.extension_set(extension->oid_of())) return "an extension is missing";
    if (present.critical_extension_set(extension->oid_of()) != critical) return "criticality";
  }
  // Botan's is_CA_cert() also asks for the key usage, so it would miss CA:TRUE without keyCertSign.
  const auto* constraints = present.get_extension_object_as<ext::Basic_Constraints>();
  if (constraints == nullptr || constraints->get_is_ca() != plan.ca) return "basicConstraints";
  if (plan.ca && certificate.path_limit() != 0) return "path length";
  if (bits_of(certificate.constraints()) != plan.key_usage) return "keyUsage";
  if (certificate.extended_key_usage() != plan.extended_key_usage) return "extendedKeyUsage";
  if (certificate.subject_key_id() != key_identifier(plan.public_key)) return "subject key identifier";
  if (certificate.authority_key_id() != plan.authority_key_id) return "authority key identifier";
  if (crl_urls(present) != (plan.crl_url.empty() ? Urls{} : Urls{plan.crl_url})) return "CRL distribution point";
  if (certificate.ocsp_responder() != plan.ocsp_url) return "OCSP responder";
  if (certificate.ca_issuers() != (plan.issuer_url.empty() ? Urls{} : Urls{plan.issuer_url})) return "caIssuers";
  if (plan.ocsp_nocheck && present.get_extension_bits(Botan::OID(kOcspNoCheck)) != Bytes{kNull, 0x00}) {
    return "id-pkix-ocsp-nocheck";
  }
  if (!plan.hosts.empty() &&
      present.get_extension_bits(Botan::OID(kSubjectAlternativeName)) != alternative_names(plan.hosts)) {
    return "subject alternative names";
  }
  return nullptr;
}

/// The signature algorithm of that key, by signature_hash(): RFC 4055 5, RFC 5758 3.2.
Botan::OID expected_algorithm(const Botan::Public_Key& issuer_key) {
  if (issuer_key.algo_name() == "RSA") return Botan::OID("1.2.840.113549.1.1.11");
  const std::string hash = signature_hash(issuer_key);
  return Botan::OID(hash == "SHA-256"   ? "1.2.840.10045.4.3.2"
                    : hash == "SHA-384" ? "1.2.840.10045.4.3.3"
                                        : "1.2.840.10045.4.3.4");
}

tl::unexpected<Error> check_failed(std::string cause) {
  return fail(Reason::kCertificateCheckFailed, std::string(words(Reason::kCertificateCheckFailed)), std::move(cause));
}

}  // namespace

Result<unsigned> end_entity_usage(BytesView public_key) {
  CAPF_LET(const PublicKeyOutline key, read_spki(public_key));
  const unsigned second = key.type == KeyType::kRsa ? kKeyEncipherment : kKeyAgreement;
  return kDigitalSignature | second;
}

// RFC 5280 4.1.2.2
//    Conforming CAs MUST NOT use serialNumber values longer than 20 octets.
// With the top bit clear and the next one set a number is positive, and has as many octets as any other.
Bytes make_serial(Botan::RandomNumberGenerator& random) {
  Bytes serial(16);
  random.randomize(serial.data(), serial.size());
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7F) | 0x40);
  return serial;
}

Result<Bytes> build_certificate(const CertificatePlan& plan, CertificateSigner& signer,
                                Botan::RandomNumberGenerator& random) {
  for (const std::string& host : plan.hosts) {
    if (address_octets(host).empty() && !is_host_name(host)) {
      return fail(Reason::kInvalidConfiguration, "a certificate cannot name this host: '" + host + "'");
    }
  }
  try {
    Botan::Extensions extensions;
    for (PlannedExtension& planned : extensions_of(plan)) {
      add_extension(extensions, std::move(planned.extension), planned.critical);
    }
    const Botan::X509_Certificate certificate = make_signed_certificate(
        *signer.signer, random, Botan::BigInt(plan.serial), signer.algorithm, plan.public_key,
        to_botan(plan.not_before), to_botan(plan.not_after), plan.issuer, plan.subject, extensions);
    return certificate.BER_encode();
  } catch (const std::exception& error) {
    return signing_failed("building a certificate", error);
  }
}

Status check_certificate(BytesView der, const CertificatePlan& plan, const Botan::Public_Key& issuer_key) {
  if (const Status scanned = scan_certificate(der); !scanned) return check_failed(scanned.error().message);
  const auto outline = read_outline(der);
  if (!outline) return check_failed("outline");
  if (const char* field = differing_field(*outline, plan)) return check_failed(field);
  try {
    const Botan::X509_Certificate certificate(der.data(), der.size());
    if (const char* field = differing_extension(certificate, plan)) return check_failed(field);
    if (!same(der_element(kOid, outline->algorithm), expected_algorithm(issuer_key).BER_encode())) {
      return check_failed("signature algorithm");
    }
    if (!certificate.check_signature(issuer_key)) return check_failed("signature");
  } catch (const std::exception& error) {
    return check_failed(error.what());
  }
  return {};
}

}  // namespace capf::ca
