#include "capf/ca/site.h"

#include <algorithm>
#include <memory>

#include <botan/pkcs10.h>
#include <openssl/x509v3.h>

#include "capf/ca/asn1.h"
#include "capf/ca/botan.h"
#include "capf/ca/build.h"
#include "capf/ca/certificate.h"
#include "capf/ca/issuer.h"
#include "capf/ca/name.h"
#include "capf/ca/ocsp.h"
#include "capf/ca/openssl.h"
#include "capf/ca/path.h"
#include "capf/ca/profile.h"
#include "capf/ca/request.h"
#include "capf/ca/spki.h"
#include "capf/domain/administrator.h"

namespace capf::ca {
namespace {

namespace ext = Botan::Cert_Extension;

const char* const kServerAuth = "1.3.6.1.5.5.7.3.1";
const char* const kClientAuth = "1.3.6.1.5.5.7.3.2";

std::string random_hex(Botan::RandomNumberGenerator& random) {
  Bytes octets(4);
  random.randomize(octets.data(), octets.size());
  std::string digits = to_hex(octets);
  std::transform(digits.begin(), digits.end(), digits.begin(),
                 [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c; });
  return digits;
}

Status set_validity(CertificatePlan& plan, TimePoint now, std::chrono::hours validity) {
  if (validity <= std::chrono::hours{0} || validity > kLongestValidity) {
    return fail(Reason::kInvalidConfiguration, "a certificate is valid for 1 hour to 100 years");
  }
  const auto start = std::chrono::floor<std::chrono::seconds>(now);
  plan.not_before = start - kBackdate;
  plan.not_after = start + validity;
  return {};
}

/// Signs the plan and checks the certificate against it.
Result<Bytes> sign_and_check(const CertificatePlan& plan, const SigningKey& key, Botan::RandomNumberGenerator& random) {
  try {
    CertificateSigner signer(key.botan(), random);
    CAPF_LET(Bytes der, build_certificate(plan, signer, random));
    CAPF_TRY(check_certificate(der, plan, key.botan()));
    return der;
  } catch (const std::exception& error) {
    return signing_failed("signing a certificate", error);
  }
}

/// Signs a request, and reads it back.
Result<Bytes> sign_request(const SigningKey& key, const Botan::X509_DN& name, const Botan::Extensions& wanted,
                           Botan::RandomNumberGenerator& random) {
  try {
    const Botan::Private_Key& botan = key.botan();
    Bytes der = Botan::PKCS10_Request::create(botan, name, wanted, signature_hash(botan), random, x509_padding(botan))
                    .BER_encode();
    CAPF_LET(const OfferedKey read_back, read_request(der));
    if (read_back.public_key != key.public_key()) return fail_internal("a request has another key");
    return der;
  } catch (const std::exception& error) {
    return signing_failed("signing a request", error);
  }
}

/// The common fields of the self-signed certificates.
Result<CertificatePlan> plan_self_signed(const SigningKey& key, const AuthorityRequest& request,
                                         const std::string& default_subject, Botan::RandomNumberGenerator& random) {
  CertificatePlan plan;
  CAPF_TRY(set_validity(plan, request.now, request.validity));
  CAPF_LET(plan.subject, parse_subject(request.subject.empty() ? default_subject : request.subject));
  plan.issuer = plan.subject;
  plan.public_key = key.public_key();
  plan.authority_key_id = key_identifier(plan.public_key);
  plan.serial = make_serial(random);
  return plan;
}

Result<CertificatePlan> plan_under(const SiteAuthority& authority, BytesView public_key, TimePoint now,
                                   std::chrono::hours validity, Botan::RandomNumberGenerator& random) {
  CertificatePlan plan;
  CAPF_LET(const CertificateFacts facts, read_certificate(authority.certificate));
  if (now < facts.not_before || now >= facts.not_after) return fail(Reason::kIssuerExpired);
  CAPF_TRY(set_validity(plan, now, validity));
  plan.not_before = std::max(plan.not_before, facts.not_before);
  plan.not_after = std::min(plan.not_after, facts.not_after);
  CAPF_TRY(read_spki(public_key));
  plan.public_key.assign(public_key.begin(), public_key.end());
  plan.serial = make_serial(random);
  try {
    const Botan::X509_Certificate issuer(authority.certificate.data(), authority.certificate.size());
    if (!issuer.is_CA_cert() || issuer.subject_public_key_info() != authority.key.public_key()) {
      return fail(Reason::kInvalidConfiguration, "the site CA's key and certificate do not belong together");
    }
    plan.issuer = issuer.subject_dn();
    plan.authority_key_id = issuer.subject_key_id();
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the site CA's certificate cannot be read", error.what());
  }
  return plan;
}

/// A root, a policy CA and an issuing CA. With the LSC and its issuer, that is one more than phones are given. They
/// need no root from this server: Issuer::make() leaves it out then.
constexpr std::size_t kMostAbove = 3;

tl::unexpected<Error> unfit(std::string why, std::string cause = {}) {
  return fail(Reason::kInvalidCertificate, "the certificate cannot be a CAPF issuer: " + std::move(why),
              std::move(cause));
}

/// Checks what every certificate of an issuer's chain must have. @param below how many CA certificates are below it.
Status check_authority(const Botan::X509_Certificate& certificate, BytesView der, std::size_t below, TimePoint now) {
  const std::string name = name_text(certificate.raw_subject_dn());
  CAPF_LET(const CertificateFacts facts, read_certificate(der).map_error([](const Error& error) {
    return Error{Reason::kInvalidCertificate, error.message, error.cause};
  }));
  if (certificate.x509_version() != 3 || !certificate.is_CA_cert()) return unfit(name + " is not marked as a CA");
  if (!certificate.has_constraints(Botan::Key_Constraints(kKeyCertSign))) return unfit(name + " has no keyCertSign");
  if (certificate.path_limit() < below) return unfit(name + " does not allow as many CAs below it");
  if (now < facts.not_before) return unfit(name + " is not valid yet");
  if (now >= facts.not_after) return unfit(name + " has expired");
  const auto key = read_spki(certificate.subject_public_key_info());
  if (!key) return unfit(name + ": " + key.error().message);
  if (key->type == KeyType::kRsa && key->bits < 2048) return unfit(name + " has an RSA key of less than 2048 bits");
  return {};
}

/// Makes LSCs and an OCSP responder's certificate on trial, and lets OpenSSL check them, because only it evaluates the
/// name constraints, policies and purposes of a chain.
Status check_products(const ImportedAuthority& authority, SubjectForm form, TimePoint now,
                      Botan::RandomNumberGenerator& random) {
  CAPF_LET(const CertificateFacts facts, read_certificate(authority.certificate));
  IssuerRecord record;
  record.id = 1;
  record.der = authority.certificate;
  record.not_before = facts.not_before;
  record.not_after = facts.not_after;
  CAPF_LET(const auto phone, generate_key(KeyAlgorithm::kP256));
  const auto device = DeviceName::parse("SEP001122334455");
  CAPF_INVARIANT(device);
  // Of a phone whose model is not known and, where its LSC has another subject, of one whose model is.
  LscRequest request{*device, {}, {}, phone->public_key(), now, std::chrono::hours{24}, form};
  std::vector<LscRequest> requests{request};
  if (form == SubjectForm::kCisco) {
    request.model = "CP-8861";
    request.serial_number = "PID:CP-8861 SN:FCH00000000";
    requests.push_back(request);
  }
  std::vector<Bytes> lscs;
  try {
    const LscProfile profile{parse_botan(record.der), record.not_before, record.not_after, 1, 1,
                             "http://status.invalid"};
    for (const LscRequest& each : requests) {
      CAPF_LET(const CertificatePlan plan, plan_lsc(profile, each, make_serial(random)));
      CertificateSigner signer(authority.key->botan(), random);
      CAPF_LET(Bytes lsc, build_certificate(plan, signer, random));
      lscs.push_back(std::move(lsc));
    }
  } catch (const std::exception& error) {
    return signing_failed("making an LSC on trial", error);
  }
  CAPF_LET(const auto responder, OcspSigner::make(record, *authority.key, now, std::chrono::hours{24}, random));

  std::vector<Bytes> above{authority.certificate};
  above.insert(above.end(), authority.chain.begin(), authority.chain.end());
  for (std::size_t i = 0; i < lscs.size(); ++i) {
    const std::string what = i == 0 ? "an LSC under it " : "an LSC under it, its subject in Cisco's form, ";
    for (const PathPurpose purpose : {PathPurpose::kTlsServer, PathPurpose::kTlsClient}) {
      if (const auto why = path_fault(lscs[i], above, purpose, now)) return unfit(what + *why);
    }
  }
  if (const auto why = path_fault(responder->certificate(), above, PathPurpose::kOcspResponder, now)) {
    return unfit("an OCSP responder under it " + *why);
  }
  return {};
}

}  // namespace

Status check_subject(const std::string& subject) {
  CAPF_TRY(parse_subject(subject));
  return {};
}

Result<Bytes> make_capf_certificate(const SigningKey& key, const AuthorityRequest& request,
                                    Botan::RandomNumberGenerator& random) {
  CAPF_LET(CertificatePlan plan, plan_self_signed(key, request, "CN=CAPF-" + random_hex(random) + ",O=CAPF", random));
  plan.ca = true;
  plan.key_usage = kDigitalSignature | kKeyCertSign | kCrlSign;
  return sign_and_check(plan, key, random);
}

Result<Bytes> make_capf_request(const SigningKey& key, const std::string& subject,
                                Botan::RandomNumberGenerator& random) {
  CAPF_LET(const Botan::X509_DN name,
           parse_subject(subject.empty() ? "CN=CAPF-" + random_hex(random) + ",O=CAPF" : subject));
  const auto usage = Botan::Key_Constraints(kDigitalSignature | kKeyCertSign | kCrlSign);
  Botan::Extensions wanted;
  add_extension(wanted, std::make_unique<ext::Basic_Constraints>(true, 0), true);
  add_extension(wanted, std::make_unique<ext::Key_Usage>(usage), true);
  return sign_request(key, name, wanted, random);
}

Result<Bytes> make_request(const SigningKey& key, const std::string& subject, bool server,
                           Botan::RandomNumberGenerator& random) {
  CAPF_LET(const Botan::X509_DN name, parse_subject(subject));
  unsigned usage = kDigitalSignature;
  if (server) {
    CAPF_LET(usage, end_entity_usage(key.public_key()));
  }
  Botan::Extensions wanted;
  add_extension(wanted, std::make_unique<ext::Basic_Constraints>(false), true);
  add_extension(wanted, std::make_unique<ext::Key_Usage>(Botan::Key_Constraints(usage)), true);
  if (server) {
    add_extension(wanted, std::make_unique<ext::Extended_Key_Usage>(std::vector{Botan::OID(kServerAuth)}), false);
  }
  return sign_request(key, name, wanted, random);
}

Status check_capf_certificate(const ImportedAuthority& authority, SubjectForm form, TimePoint now,
                              Botan::RandomNumberGenerator& random) {
  if (authority.chain.size() > kMostAbove) {
    return unfit("more than " + std::to_string(kMostAbove) + " CAs stand above it, the root among them");
  }
  try {
    std::vector<Bytes> ders{authority.certificate};
    ders.insert(ders.end(), authority.chain.begin(), authority.chain.end());
    std::vector<Botan::X509_Certificate> path;
    for (const Bytes& der : ders) {
      CAPF_TRY(read_certificate(der).map_error([](const Error& error) {
        return Error{Reason::kInvalidCertificate, error.message, error.cause};
      }));
      path.push_back(parse_botan(der));
    }
    for (std::size_t i = 0; i < path.size(); ++i) {
      CAPF_TRY(check_authority(path[i], ders[i], i, now));
      const bool last = i + 1 == path.size();
      if (last && path[i].subject_dn() != path[i].issuer_dn()) {
        return unfit("its chain does not end at a self-signed certificate");
      }
      if (!is_signed_by(ders[i], last ? ders[i] : ders[i + 1])) return unfit("a signature in its chain is wrong");
      const std::string hash = signature_hash_of(ders[i]);
      if (!last && !hash.starts_with("SHA-2") && hash != "SHA-384" && hash != "SHA-512") {
        return unfit("a certificate of its chain is signed with " + hash);
      }
    }
    if (!path[0].has_constraints(Botan::Key_Constraints(kCrlSign)))
      return unfit("it has no cRLSign, and could not revoke");
    if (path[0].subject_key_id().empty()) return unfit("it has no subject key identifier");
    if (path[0].subject_public_key_info() != authority.key->public_key()) return unfit("the key is not its own");
  } catch (const std::exception& error) {
    return unfit("it cannot be read", error.what());
  }
  return check_products(authority, form, now, random);
}

Result<Bytes> make_site_ca(const SigningKey& key, const AuthorityRequest& request,
                           Botan::RandomNumberGenerator& random) {
  CAPF_LET(CertificatePlan plan,
           plan_self_signed(key, request, "CN=Site CA " + random_hex(random) + ",O=CAPF", random));
  plan.ca = true;
  plan.key_usage = kKeyCertSign | kCrlSign;
  return sign_and_check(plan, key, random);
}

Result<Bytes> make_wire_certificate(const SigningKey& key, const AuthorityRequest& request,
                                    Botan::RandomNumberGenerator& random) {
  CAPF_LET(CertificatePlan plan,
           plan_self_signed(key, request, "CN=CAPF-" + random_hex(random) + ",OU=CAPF,O=CAPF", random));
  CAPF_LET(plan.key_usage, end_entity_usage(plan.public_key));
  plan.extended_key_usage = {Botan::OID(kServerAuth)};
  plan.hosts = request.hosts;
  return sign_and_check(plan, key, random);
}

Result<Bytes> make_signer_certificate(const SigningKey& key, const AuthorityRequest& request,
                                      Botan::RandomNumberGenerator& random) {
  CAPF_LET(CertificatePlan plan, plan_self_signed(key, request, request.subject, random));
  plan.key_usage = kDigitalSignature;
  return sign_and_check(plan, key, random);
}

Result<Bytes> make_server_certificate(const SiteAuthority& authority, BytesView public_key,
                                      const std::vector<std::string>& hosts, TimePoint now, std::chrono::hours validity,
                                      Botan::RandomNumberGenerator& random) {
  if (hosts.empty()) return fail(Reason::kInvalidConfiguration, "a server certificate needs a host");
  CAPF_LET(CertificatePlan plan, plan_under(authority, public_key, now, validity, random));
  for (const std::string& host : hosts) {
    if (std::find(plan.hosts.begin(), plan.hosts.end(), host) == plan.hosts.end()) plan.hosts.push_back(host);
  }
  CAPF_LET(plan.key_usage, end_entity_usage(public_key));
  plan.extended_key_usage = {Botan::OID(kServerAuth)};
  try {
    plan.subject.add_attribute("X520.OrganizationalUnit", "Servers");
    plan.subject.add_attribute("X520.CommonName", hosts.front().substr(0, 64));
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the host cannot stand in a certificate", error.what());
  }
  return sign_and_check(plan, authority.key, random);
}

bool names_host(BytesView certificate, const std::string& host) {
  const ErrorQueue errors;
  const X509Ptr read = parse_x509(certificate);
  if (!read) return false;
  return X509_check_ip_asc(read.get(), host.c_str(), 0) == 1 ||
         X509_check_host(read.get(), host.c_str(), host.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

Result<Bytes> make_administrator_certificate(const SiteAuthority& authority, BytesView public_key,
                                             const std::string& name, TimePoint now, std::chrono::hours validity,
                                             Botan::RandomNumberGenerator& random) {
  CAPF_TRY(check_administrator_name(name));
  CAPF_LET(CertificatePlan plan, plan_under(authority, public_key, now, validity, random));
  plan.key_usage = kDigitalSignature;
  plan.extended_key_usage = {Botan::OID(kClientAuth)};
  try {
    plan.subject.add_attribute("X520.OrganizationalUnit", "Administrators");
    plan.subject.add_attribute("X520.CommonName", name);
  } catch (const std::exception& error) {
    return fail_internal(error.what());
  }
  return sign_and_check(plan, authority.key, random);
}

}  // namespace capf::ca
