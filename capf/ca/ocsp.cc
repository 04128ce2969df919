#include "capf/ca/ocsp.h"

#include <algorithm>

#include <openssl/ec.h>
#include <openssl/ocsp.h>

#include "capf/ca/asn1.h"
#include "capf/ca/build.h"
#include "capf/ca/certificate.h"
#include "capf/ca/issuer.h"
#include "capf/ca/openssl.h"
#include "capf/ca/profile.h"

namespace capf::ca {
namespace {

using RequestPtr = std::unique_ptr<OCSP_REQUEST, Freed<OCSP_REQUEST_free>>;
using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, Freed<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, Freed<OCSP_BASICRESP_free>>;
using TimePtr = std::unique_ptr<ASN1_GENERALIZEDTIME, Freed<ASN1_GENERALIZEDTIME_free>>;

const char* const kOcspSigning = "1.3.6.1.5.5.7.3.9";

std::time_t seconds_of(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

TimePtr time_of(TimePoint time) { return TimePtr(ASN1_GENERALIZEDTIME_set(nullptr, seconds_of(time))); }

Bytes octets_of(const ASN1_STRING* string) {
  const unsigned char* data = ASN1_STRING_get0_data(string);
  return {data, data + ASN1_STRING_length(string)};
}

std::optional<SerialNumber> serial_of(const ASN1_INTEGER* number) {
  Bytes octets = octets_of(number);
  octets.erase(octets.begin(),
               std::find_if(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet != 0; }));
  const bool negative = ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER;
  if (negative || octets.empty() || octets.size() > kLongestSerial) return std::nullopt;
  return SerialNumber(octets);
}

// RFC 9654 2.1
//    Nonce ::= OCTET STRING(SIZE(1..128))
bool is_nonce(const X509_EXTENSION* extension) {
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(const_cast<X509_EXTENSION*>(extension));
  const BytesView octets(ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value)));
  DerReader reader(octets);
  const auto nonce = reader.take(kOctetString);
  return nonce && reader.at_end() && !nonce->content.empty() && nonce->content.size() <= kLongestOcspNonce;
}

// RFC 6960 4.4, RFC 5280 4.2
//    A certificate-using system MUST reject the certificate if it encounters a critical extension it does not recognize
/// @return whether the extension may be ignored, or is known.
bool may_stand(const X509_EXTENSION* extension) {
  if (X509_EXTENSION_get_critical(extension) == 0) return true;
  return OBJ_obj2nid(X509_EXTENSION_get_object(const_cast<X509_EXTENSION*>(extension))) == NID_id_pkix_OCSP_Nonce;
}

// RFC 3370 2.1, RFC 5754 2
//    Implementations MUST accept SHA-1 AlgorithmIdentifiers with absent parameters. Implementations MUST accept SHA-1
//    AlgorithmIdentifiers with NULL parameters.
/// @return whether the hash algorithm has no other parameters. An answer repeats them, and some clients refuse others.
bool has_plain_hash(OCSP_CERTID* id) {
  const Bytes der = encode_der(i2d_OCSP_CERTID, id);
  const auto whole = DerReader(der).take(kSequence);
  if (!whole) return false;
  const auto algorithm = DerReader(whole->content).take(kSequence);
  if (!algorithm) return false;
  DerReader parts(algorithm->content);
  if (!parts.take(kOid)) return false;
  if (parts.at_end()) return true;
  const auto null = parts.take(kNull);
  return null && null->content.empty() && parts.at_end();
}

/// Copies the nonce of the request, always as not critical, because clients need not understand it.
bool copy_nonce(OCSP_BASICRESP* answer, OCSP_REQUEST* request) {
  if (OCSP_copy_nonce(answer, request) != 1) return false;
  const int at = OCSP_BASICRESP_get_ext_by_NID(answer, NID_id_pkix_OCSP_Nonce, -1);
  return at >= 0 && X509_EXTENSION_set_critical(OCSP_BASICRESP_get_ext(answer, at), 0) == 1;
}

Bytes digest_of(const EVP_MD* digest, BytesView data) {
  Bytes hash(static_cast<std::size_t>(EVP_MD_get_size(digest)));
  CAPF_INVARIANT(EVP_Digest(data.data(), data.size(), hash.data(), nullptr, digest, nullptr) == 1);
  return hash;
}

}  // namespace

struct OcspRequest::Parsed {
  RequestPtr request;
};

struct OcspSigner::Keys {
  PkeyPtr key;
  X509Ptr certificate;
};

// OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, responseBytes [0] OPTIONAL }
Bytes encode_ocsp_error(OcspError error) { return {kSequence, 0x03, 0x0A, 0x01, static_cast<std::uint8_t>(error)}; }

OcspRequest::OcspRequest() : parsed_(std::make_unique<Parsed>()) {}
OcspRequest::OcspRequest(OcspRequest&&) noexcept = default;
OcspRequest& OcspRequest::operator=(OcspRequest&&) noexcept = default;
OcspRequest::~OcspRequest() = default;

std::optional<OcspRequest> OcspRequest::parse(BytesView der) {
  if (der.size() > kLargestOcspRequest || !is_one_der_element(der)) return std::nullopt;
  const ErrorQueue errors;
  OcspRequest parsed;
  const unsigned char* at = der.data();
  parsed.parsed_->request.reset(d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(der.size())));
  OCSP_REQUEST* request = parsed.parsed_->request.get();
  if (request == nullptr || at != der.data() + der.size()) return std::nullopt;
  const int count = OCSP_request_onereq_count(request);
  if (count < 1 || count > kMostOcspSerials) return std::nullopt;
  for (int i = 0; i < count; ++i) {
    OCSP_ONEREQ* one = OCSP_request_onereq_get0(request, i);
    for (int j = 0; j < OCSP_ONEREQ_get_ext_count(one); ++j) {
      const X509_EXTENSION* extension = OCSP_ONEREQ_get_ext(one, j);
      if (X509_EXTENSION_get_critical(extension) != 0) return std::nullopt;
    }
    OCSP_CERTID* id = OCSP_onereq_get0_id(one);
    ASN1_OCTET_STRING* name = nullptr;
    ASN1_OBJECT* hash = nullptr;
    ASN1_OCTET_STRING* key = nullptr;
    ASN1_INTEGER* serial = nullptr;
    if (OCSP_id_get0_info(&name, &hash, &key, &serial, id) != 1 || !has_plain_hash(id)) return std::nullopt;
    parsed.ids_.push_back({OBJ_obj2nid(hash), octets_of(name), octets_of(key), serial_of(serial)});
  }
  for (int i = 0; i < OCSP_REQUEST_get_ext_count(request); ++i) {
    if (!may_stand(OCSP_REQUEST_get_ext(request, i))) return std::nullopt;
  }
  const int nonce = OCSP_REQUEST_get_ext_by_NID(request, NID_id_pkix_OCSP_Nonce, -1);
  if (nonce >= 0) {
    if (!is_nonce(OCSP_REQUEST_get_ext(request, nonce))) return std::nullopt;
    if (OCSP_REQUEST_get_ext_by_NID(request, NID_id_pkix_OCSP_Nonce, nonce) >= 0) return std::nullopt;
    parsed.has_nonce_ = true;
  }
  return parsed;
}

OcspSigner::OcspSigner() : keys_(std::make_unique<Keys>()) {}
OcspSigner::~OcspSigner() = default;

Result<std::shared_ptr<const OcspSigner>> OcspSigner::make(const IssuerRecord& issuer, const SigningKey& key,
                                                           TimePoint now, std::chrono::hours validity,
                                                           Botan::RandomNumberGenerator& random) {
  if (now < issuer.not_before || now >= issuer.not_after) return fail(Reason::kIssuerExpired);
  const ErrorQueue errors;
  std::shared_ptr<OcspSigner> signer(new OcspSigner());
  signer->keys_->key.reset(EVP_EC_gen("P-256"));
  if (!signer->keys_->key) return fail_internal("generating a key: " + errors.text());
  signer->issuer_id_ = issuer.id;
  signer->public_key_ = encode_der(i2d_PUBKEY, signer->keys_->key.get());

  CertificatePlan plan;
  const X509Ptr above = parse_x509(issuer.der);
  if (!above) return fail_internal("the issuer's certificate: " + errors.text());
  try {
    const Botan::X509_Certificate certificate = parse_botan(issuer.der);
    plan.issuer = certificate.subject_dn();
    plan.authority_key_id = certificate.subject_key_id();
    plan.subject = subject_below(plan.issuer, "OCSP responder");
    plan.extended_key_usage = {Botan::OID(kOcspSigning)};
    plan.key_usage = kDigitalSignature;
    plan.ocsp_nocheck = true;
    plan.serial = make_serial(random);
    plan.public_key = signer->public_key_;
    const auto start = std::chrono::floor<std::chrono::seconds>(now);
    plan.not_before = std::max<TimePoint>(start - kBackdate, issuer.not_before);
    plan.not_after = std::min<TimePoint>(start + validity, issuer.not_after);
    signer->renew_at_ = start + (plan.not_after - start) / 2;
    CertificateSigner issuer_signer(key.botan(), random);
    CAPF_LET(signer->certificate_, build_certificate(plan, issuer_signer, random));
    CAPF_TRY(check_certificate(signer->certificate_, plan, key.botan()));
  } catch (const std::exception& error) {
    return signing_failed("making an OCSP responder's certificate", error);
  }
  signer->keys_->certificate = parse_x509(signer->certificate_);
  if (!signer->keys_->certificate) return fail_internal("parsing a certificate: " + errors.text());

  // RFC 6960 4.1.1: of the issuer's name, and of its key without tag, length and unused bits.
  const Bytes name = encode_der(i2d_X509_NAME, X509_get_subject_name(above.get()));
  const ASN1_BIT_STRING* bits = X509_get0_pubkey_bitstr(above.get());
  const Bytes issuer_key = octets_of(bits);
  signer->name_sha1_ = digest_of(EVP_sha1(), name);
  signer->name_sha256_ = digest_of(EVP_sha256(), name);
  signer->key_sha1_ = digest_of(EVP_sha1(), issuer_key);
  signer->key_sha256_ = digest_of(EVP_sha256(), issuer_key);
  return std::shared_ptr<const OcspSigner>(std::move(signer));
}

bool OcspSigner::answers_for(const OcspRequest::CertId& id) const {
  return (id.hash == NID_sha1 && id.issuer_name_hash == name_sha1_ && id.issuer_key_hash == key_sha1_) ||
         (id.hash == NID_sha256 && id.issuer_name_hash == name_sha256_ && id.issuer_key_hash == key_sha256_);
}

Result<Bytes> OcspSigner::sign(const OcspRequest& request, std::span<const OcspStatus> statuses, TimePoint produced_at,
                               TimePoint next_update) const {
  CAPF_INVARIANT(statuses.size() == request.ids().size());
  TimePoint this_update = produced_at - kBackdate;
  for (const OcspStatus& status : statuses) {
    if (status.state == OcspStatus::State::kRevoked) this_update = std::max(this_update, status.revoked_at);
  }
  const ErrorQueue errors;
  const auto failed = [&](const char* what) { return fail_internal(std::string(what) + ": " + errors.text()); };
  const BasicPtr basic(OCSP_BASICRESP_new());
  const TimePtr from = time_of(this_update);
  const TimePtr until = time_of(next_update);
  if (!basic || !from || !until) return failed("OCSP_BASICRESP_new");
  OCSP_REQUEST* asked = request.parsed_->request.get();
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    const OcspStatus& status = statuses[i];
    int state = V_OCSP_CERTSTATUS_UNKNOWN;
    int reason = OCSP_REVOKED_STATUS_NOSTATUS;
    TimePtr revoked_at;
    switch (status.state) {
      case OcspStatus::State::kGood: state = V_OCSP_CERTSTATUS_GOOD; break;
      case OcspStatus::State::kUnknown: break;
      case OcspStatus::State::kRevoked:
        state = V_OCSP_CERTSTATUS_REVOKED;
        if (status.reason != RevocationReason::kUnspecified) reason = static_cast<int>(status.reason);
        revoked_at = time_of(status.revoked_at);
        break;
    }
    OCSP_CERTID* id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(asked, static_cast<int>(i)));
    if (OCSP_basic_add1_status(basic.get(), id, state, reason, revoked_at.get(), from.get(), until.get()) == nullptr) {
      return failed("OCSP_basic_add1_status");
    }
  }
  if (request.has_nonce() && !copy_nonce(basic.get(), asked)) return failed("OCSP_copy_nonce");
  // OpenSSL fills it from the machine's clock, and has no function to set this field.
  auto* produced = const_cast<ASN1_GENERALIZEDTIME*>(OCSP_resp_get0_produced_at(basic.get()));
  if (ASN1_GENERALIZEDTIME_set(produced, seconds_of(produced_at)) == nullptr ||
      OCSP_basic_sign(basic.get(), keys_->certificate.get(), keys_->key.get(), EVP_sha256(), nullptr,
                      OCSP_RESPID_KEY | OCSP_NOTIME) != 1) {
    return failed("OCSP_basic_sign");
  }
  const ResponsePtr response(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
  Bytes der = response ? encode_der(i2d_OCSP_RESPONSE, response.get()) : Bytes();
  if (der.empty()) return failed("OCSP_response_create");
  return der;
}

}  // namespace capf::ca
