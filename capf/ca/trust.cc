#include "capf/ca/trust.h"

#include <algorithm>
#include <map>
#include <set>

#include <botan/certstor.h>
#include <botan/pk_keys.h>
#include <botan/x509cert.h>
#include <openssl/x509v3.h>

#include "capf/ca/asn1.h"
#include "capf/ca/botan.h"
#include "capf/ca/certificate.h"
#include "capf/ca/name.h"
#include "capf/ca/openssl.h"
#include "capf/ca/spki.h"

namespace capf::ca {
namespace {

using Botan::Certificate_Status_Code;
using Botan::X509_Certificate;

// The weakest keys that any store may allow; the anchors in the path narrow it.
constexpr std::size_t kLeastStrength = 80;  // RSA-1024, by Botan's estimate
// Botan 2 calls SHA-1 by its other name.
const std::set<std::string> kHashes{"SHA-1", "SHA-160", "SHA-224", "SHA-256", "SHA-384", "SHA-512"};
const std::string kSha1 = "SHA-1";
constexpr std::size_t kLongestKeyIdentifier = 32;  // of unknown issuers; RFC 5280 4.2.1.2 makes 20 octets

/// A certificate, and the form in which Botan reads it, which may be a copy (within_botan()).
struct Link {
  std::shared_ptr<const X509_Certificate> certificate;
  Bytes der;
  bool copied = false;
};

/// Throws where Botan cannot read it.
Link make_link(BytesView der) {
  const auto copy = within_botan(der);
  const bool copied = copy && *copy;
  const BytesView read = copied ? BytesView(**copy) : der;
  return {std::make_shared<const X509_Certificate>(read.data(), read.size()), Bytes(der.begin(), der.end()), copied};
}

/// Whether the certificate names `issuer` as its issuer, and its key where both say which one that is.
bool is_named(const Link& certificate, const Link& issuer) {
  const auto below = read_outline(certificate.der);
  const auto above = read_outline(issuer.der);
  if (!below || !above || !std::ranges::equal(below->issuer, above->subject)) return false;
  const auto& wanted = certificate.certificate->authority_key_id();
  const auto& key = issuer.certificate->subject_key_id();
  return wanted.empty() || key.empty() || wanted == key;
}

/// The anchors of one store.
struct Store {
  Botan::Certificate_Store_In_Memory roots;
  std::vector<X509_Certificate> intermediates;
  std::vector<Link> links;                ///< every anchor
  bool copied = false;                    ///< one of them is a copy
  std::map<Sha256, TrustAnchor> anchors;  ///< of all of them
};

/// A leaf with a valid path; its name is not yet checked.
struct JudgedPath {
  CertificateOutline leaf;  ///< refers to the octets of the leaf
  std::vector<const TrustAnchor*> anchors;
  std::vector<PathCertificate> issuers;
  bool expired = false;
  TimePoint holds_until = TimePoint::max();
};

/// The last moment at which the path's judgement is the same: see JudgedMic::holds_until.
TimePoint last_moment(const std::vector<Link>& path, const JudgedPath& judged) {
  TimePoint last = TimePoint::max();
  for (const Link& link : path) {
    if (judged.expired && &link == &path.front()) continue;
    const auto outline = read_outline(link.der);
    const auto not_after = outline ? read_time(outline->not_after) : std::nullopt;
    // A certificate is valid to the end of the second that it names.
    if (not_after) last = std::min<TimePoint>(last, *not_after + std::chrono::seconds(1) - Duration(1));
  }
  const auto trusted_before = [&last](const std::optional<TimePoint>& end) {
    if (end) last = std::min(last, *end - Duration(1));
  };
  for (const TrustAnchor* anchor : judged.anchors) {
    trusted_before(anchor->ends_at);
    if (judged.expired) trusted_before(anchor->allow_expired_until);
  }
  return last;
}

/// basicConstraints alone: Botan's is_CA_cert() asks for keyCertSign too.
bool says_ca(const X509_Certificate& certificate) {
  const auto* constraints =
      certificate.v3_extensions().get_extension_object_as<Botan::Cert_Extension::Basic_Constraints>();
  return constraints != nullptr && constraints->get_is_ca();
}

/// Whether both libraries can read the extension, where the certificate has it.
template <class Extension>
bool can_be_read(const X509_Certificate& certificate, const X509* other) {
  const Botan::Extensions& extensions = certificate.v3_extensions();
  const int type = OBJ_txt2nid(Extension::static_oid().to_string().c_str());
  int found = 0;
  void* const read = X509_get_ext_d2i(other, type, &found, nullptr);
  ASN1_item_free(static_cast<ASN1_VALUE*>(read), ASN1_ITEM_ptr(X509V3_EXT_get_nid(type)->it));
  if (!extensions.extension_set(Extension::static_oid())) return found == -1;
  return read != nullptr && extensions.get_extension_object_as<Extension>() != nullptr;
}

/// Refuses encodings that Botan accepts and other software reads otherwise: a certificate that OpenSSL cannot parse,
/// such as one with invalid object identifiers; a signature algorithm that differs between its two places; and one of
/// the four extensions below that cannot be decoded, which Botan ignores where it is not critical. These four limit the
/// certificate's use, and must mean the same to all software.
Status check_encoding(BytesView der, const X509_Certificate& certificate) {
  const ErrorQueue errors;
  const X509Ptr other = parse_x509(der);
  if (!other) return fail(Reason::kCertificateMalformed, "other software could not read it");
  // RFC 5280 4.1.1.2
  //    This field MUST contain the same algorithm identifier as the signature field in the sequence tbsCertificate
  const X509_ALGOR* outer = nullptr;
  X509_get0_signature(nullptr, &outer, other.get());
  if (X509_ALGOR_cmp(outer, X509_get0_tbs_sigalg(other.get())) != 0) {
    return fail(Reason::kCertificateMalformed, "it names two algorithms for its one signature");
  }
  namespace extension = Botan::Cert_Extension;
  if (can_be_read<extension::Basic_Constraints>(certificate, other.get()) &&
      can_be_read<extension::Key_Usage>(certificate, other.get()) &&
      can_be_read<extension::Extended_Key_Usage>(certificate, other.get()) &&
      can_be_read<extension::Name_Constraints>(certificate, other.get())) {
    return {};
  }
  return fail(Reason::kCertificateMalformed, "an extension that says what the certificate is for cannot be read");
}

/// The reason for a status of RFC 5280 6.1. The worst comes first: a forged and expired certificate is forged.
std::optional<Reason> reason_of(Certificate_Status_Code status) {
  if (status < Certificate_Status_Code::FIRST_ERROR_STATUS) return std::nullopt;
  switch (status) {
    case Certificate_Status_Code::SIGNATURE_METHOD_TOO_WEAK:
    case Certificate_Status_Code::UNTRUSTED_HASH: return Reason::kCertificateWeak;
    case Certificate_Status_Code::CERT_NOT_YET_VALID: return Reason::kCertificateNotYetValid;
    case Certificate_Status_Code::CERT_HAS_EXPIRED: return Reason::kCertificateExpired;
    case Certificate_Status_Code::UNKNOWN_CRITICAL_EXTENSION:
    case Certificate_Status_Code::DUPLICATE_CERT_EXTENSION:
    case Certificate_Status_Code::DUPLICATE_CERT_POLICY:
    case Certificate_Status_Code::EXT_IN_V1_V2_CERT:
    case Certificate_Status_Code::V2_IDENTIFIERS_IN_V1_CERT:
    case Certificate_Status_Code::CERT_PUBKEY_INVALID: return Reason::kCertificateMalformed;
    default: return Reason::kCertificateUnknownIssuer;  // a library's enumeration, open at its end
  }
}

tl::unexpected<Error> refuse(Reason reason, Certificate_Status_Code status) {
  return fail(reason, std::string(words(reason)), Botan::Path_Validation_Result::status_string(status));
}

/// The worst of the findings, in the order of the enumeration, from weak to forged.
Status overall(const std::vector<std::set<Certificate_Status_Code>>& found) {
  auto worst = Certificate_Status_Code::VERIFIED;
  for (const auto& statuses : found) {
    if (!statuses.empty()) worst = std::max(worst, *statuses.rbegin());
  }
  if (const auto reason = reason_of(worst)) return refuse(*reason, worst);
  return {};
}

/// The path of RFC 5280 6.1, and the findings on each certificate of it; without a path there are none.
struct Findings {
  std::vector<Link> path;
  std::vector<std::set<Certificate_Status_Code>> statuses;
  Certificate_Status_Code result = Certificate_Status_Code::CERT_ISSUER_NOT_FOUND;  ///< where there is no path
};

Findings judge_originals(const std::vector<Link>& shown, const Store& store, TimePoint now) {
  std::vector<X509_Certificate> certificates;
  for (const Link& link : shown) certificates.push_back(*link.certificate);
  certificates.insert(certificates.end(), store.intermediates.begin(), store.intermediates.end());
  const Botan::Path_Validation_Restrictions restrictions(false, kLeastStrength, false, kHashes);
  const auto result =
      Botan::x509_path_validate(certificates, restrictions, store.roots, "", Botan::Usage_Type::UNSPECIFIED,
                                std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
  Findings found{{}, result.all_statuses(), result.result()};
  for (const auto& certificate : path_of(result)) found.path.push_back({certificate, certificate->BER_encode()});
  return found;
}

using ContextPtr = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

void push(const X509StackPtr& stack, const Link& link) {
  X509Ptr certificate = parse_x509(link.der);
  if (certificate && sk_X509_push(stack.get(), certificate.get()) > 0) static_cast<void>(certificate.release());
}

/// Collects the findings of OpenSSL's callback on the certificates of the path: faults of dates are noted, others end
/// it.
struct Noted {
  std::map<int, Certificate_Status_Code> by_depth;
  std::optional<Certificate_Status_Code> end;

  static int note(int good, X509_STORE_CTX* context) {
    if (good == 1) return 1;
    auto& noted = *static_cast<Noted*>(X509_STORE_CTX_get_app_data(context));
    switch (X509_STORE_CTX_get_error(context)) {
      case X509_V_ERR_CERT_HAS_EXPIRED:
        noted.by_depth[X509_STORE_CTX_get_error_depth(context)] = Certificate_Status_Code::CERT_HAS_EXPIRED;
        return 1;
      case X509_V_ERR_CERT_NOT_YET_VALID:
        noted.by_depth[X509_STORE_CTX_get_error_depth(context)] = Certificate_Status_Code::CERT_NOT_YET_VALID;
        return 1;
      case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
        noted.end = Certificate_Status_Code::UNKNOWN_CRITICAL_EXTENSION;
        return 0;
      default: noted.end = Certificate_Status_Code::CERT_ISSUER_NOT_FOUND; return 0;
    }
  }
};

/// Validates a path with a copy in it. Botan would find the copy's signature wrong, and check nothing further. So
/// OpenSSL checks the original certificates, and this adds what Botan checks beyond OpenSSL.
Findings judge_copies(const std::vector<Link>& shown, const Store& store, TimePoint now) {
  const ErrorQueue errors;
  const X509StackPtr sent(sk_X509_new_null());
  const X509StackPtr anchors(sk_X509_new_null());
  const ContextPtr context(X509_STORE_CTX_new());
  CAPF_INVARIANT(sent && anchors && context);
  for (const Link& link : shown) push(sent, link);
  for (const Link& link : store.links) push(anchors, link);
  Findings found;
  if (sk_X509_num(sent.get()) == 0 ||
      X509_STORE_CTX_init(context.get(), nullptr, sk_X509_value(sent.get(), 0), sent.get()) != 1) {
    return found;
  }
  Noted noted;
  X509_STORE_CTX_set0_trusted_stack(context.get(), anchors.get());
  X509_STORE_CTX_set_app_data(context.get(), &noted);
  X509_STORE_CTX_set_verify_cb(context.get(), &Noted::note);
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
  X509_VERIFY_PARAM_set_depth(parameters, kLongestChain);
  if (X509_verify_cert(context.get()) != 1) {
    found.result = noted.end.value_or(Certificate_Status_Code::CERT_ISSUER_NOT_FOUND);
    return found;
  }
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    found.path.push_back(make_link(encode_der(i2d_X509, sk_X509_value(chain, i))));
    const X509_Certificate& certificate = *found.path.back().certificate;
    std::set<Certificate_Status_Code>& statuses = found.statuses.emplace_back();
    if (const auto date = noted.by_depth.find(i); date != noted.by_depth.end()) statuses.insert(date->second);
    const bool root = i + 1 == sk_X509_num(chain);
    if (!root && !kHashes.contains(signature_hash_of(found.path.back().der))) {
      statuses.insert(Certificate_Status_Code::UNTRUSTED_HASH);
    }
    // OpenSSL accepts as a CA a certificate that has keyCertSign alone.
    if (i > 0 && !certificate.is_CA_cert()) statuses.insert(Certificate_Status_Code::CA_CERT_NOT_FOR_CERT_ISSUER);
  }
  return found;
}

/// RFC 5280 6.1.3 (a)(4)
///    The certificate issuer name is the working_issuer_name.
/// Botan considers names equal whose attributes differ in order; OpenSSL compares as RFC 5280 7.1 says.
Status check_names(const std::vector<Link>& path) {
  const ErrorQueue errors;
  X509Ptr subject;
  for (const Link& link : path) {
    X509Ptr issuer = parse_x509(link.der);
    if (!issuer) return fail(Reason::kCertificateMalformed, "other software could not read it");
    if (subject && X509_NAME_cmp(X509_get_issuer_name(subject.get()), X509_get_subject_name(issuer.get())) != 0) {
      return fail(Reason::kCertificateUnknownIssuer, "a certificate's issuer has another name");
    }
    subject = std::move(issuer);
  }
  return {};
}

/// The limits of every anchor in the path, on every certificate of it.
Status check_limits(const std::vector<Link>& path, const std::vector<const TrustAnchor*>& anchors) {
  int least_bits = 1024;
  bool sha1 = true;
  for (const TrustAnchor* anchor : anchors) {
    least_bits = std::max(least_bits, anchor->min_rsa_bits);
    sha1 = sha1 && anchor->allow_sha1;
  }
  for (std::size_t i = 0; i < path.size(); ++i) {
    // A root's own signature is not verified: it is trusted by its digest.
    const bool root = i + 1 == path.size();
    const X509_Certificate& certificate = *path[i].certificate;
    if (!root && !sha1 && signature_hash_of(path[i].der) == kSha1) {
      return fail(Reason::kCertificateWeak, "a certificate of the chain is signed with SHA-1");
    }
    const auto key = read_spki(certificate.subject_public_key_info());
    if (!key) return fail(Reason::kCertificateMalformed, key.error().message);
    if (key->type == KeyType::kRsa && key->bits < least_bits) {
      return fail(Reason::kCertificateWeak, "a certificate of the chain has an RSA key of " +
                                                std::to_string(key->bits) + " bits; " + std::to_string(least_bits) +
                                                " are asked for");
    }
  }
  return {};
}

/// The one common name, of characters that a name can have.
Result<std::string> read_common_name(const std::vector<NameAttribute>& subject) {
  const auto names = values_of(subject, kCommonName);
  if (names.size() != 1) {
    return fail(Reason::kCertificateNameMismatch, "the certificate must have exactly one common name");
  }
  const auto is_visible = [](char c) { return c >= ' ' && c <= '~'; };
  if (!names[0] || !std::all_of(names[0]->begin(), names[0]->end(), is_visible)) {
    return fail(Reason::kCertificateNameMismatch, "the certificate's common name has characters that no name has");
  }
  return *names[0];
}

/// The subject's serialNumber where there is exactly one, in printable characters and within RFC 5280's length.
std::string read_serial_number(const std::vector<NameAttribute>& subject) {
  const auto numbers = values_of(subject, kSerialNumber);
  const auto is_visible = [](char c) { return c >= ' ' && c <= '~'; };
  if (numbers.size() != 1 || !numbers[0] || numbers[0]->size() > 64 ||
      !std::all_of(numbers[0]->begin(), numbers[0]->end(), is_visible)) {
    return {};
  }
  return *numbers[0];
}

class AnchoredTrust final : public TrustStore {
 public:
  explicit AnchoredTrust(const std::vector<TrustAnchor>& anchors) {
    for (const TrustAnchor& anchor : anchors) {
      // Rules may have become stricter since an anchor was added: leave out one that would be refused today.
      if (!read_anchor(anchor.der)) continue;
      try {
        Store& store = anchor.store == TrustStoreName::kMic ? mic_ : lsc_;
        Link link = make_link(anchor.der);
        if (link.copied) {
          store.copied = true;
        } else if (link.certificate->is_self_signed()) {
          store.roots.add_certificate(*link.certificate);
        } else {
          store.intermediates.push_back(*link.certificate);
        }
        store.links.push_back(std::move(link));
        store.anchors.emplace(capf::sha256(anchor.der), anchor);
      } catch (const std::exception&) {
        continue;
      }
    }
  }

  Result<JudgedMic> judge_mic(BytesView leaf, std::span<const Bytes> chain, const DeviceName& device,
                              TimePoint now) const override {
    CAPF_LET(const JudgedPath path, judge_path(mic_, leaf, chain, now, true));
    const auto subject = read_name(path.leaf.subject);
    if (!subject) return fail(Reason::kCertificateMalformed);
    CAPF_LET(const std::string name, read_common_name(*subject));
    const std::size_t hyphen = name.rfind('-');
    if (hyphen == std::string::npos || hyphen == 0) {
      return fail(Reason::kCertificateNameMismatch,
                  "the certificate's common name is not MODEL-DEVICE, as that of a MIC");
    }
    if (name.substr(hyphen + 1) != device.text()) return fail(Reason::kCertificateNameMismatch);
    JudgedMic mic;
    mic.model = name.substr(0, hyphen);
    for (const TrustAnchor* anchor : path.anchors) {
      if (!anchor->devices.matches(device.text()) || !anchor->models.matches(mic.model)) {
        return fail(Reason::kCertificateOutsideAnchor);
      }
    }
    mic.serial_number = read_serial_number(*subject);
    mic.sha256 = capf::sha256(leaf);
    mic.der.assign(leaf.begin(), leaf.end());
    mic.not_before = read_time(path.leaf.not_before).value_or(TimePoint{});
    mic.not_after = read_time(path.leaf.not_after).value_or(TimePoint{});
    mic.key = key_digests(path.leaf.public_key);
    mic.expired = path.expired;
    mic.issuers = path.issuers;
    mic.holds_until = path.holds_until;
    return mic;
  }

  Result<JudgedLsc> judge_foreign_lsc(BytesView leaf, std::span<const Bytes> chain, const DeviceName& device,
                                      TimePoint now) const override {
    CAPF_LET(const JudgedPath path, judge_path(lsc_, leaf, chain, now, false));
    const auto subject = read_name(path.leaf.subject);
    if (!subject) return fail(Reason::kCertificateMalformed);
    CAPF_LET(const std::string name, read_common_name(*subject));
    if (name != device.text() && !name.ends_with('-' + device.text())) return fail(Reason::kCertificateNameMismatch);
    for (const TrustAnchor* anchor : path.anchors) {
      if (!anchor->devices.matches(device.text())) return fail(Reason::kCertificateOutsideAnchor);
    }
    return JudgedLsc{capf::sha256(leaf), key_digests(path.leaf.public_key), path.issuers, path.holds_until};
  }

  std::optional<UnknownIssuer> find_unknown_issuer(BytesView leaf, std::span<const Bytes> chain) const override {
    const CertificateWords shown = describe_certificate(leaf);
    std::vector<Link> above;
    try {
      for (const Bytes& der : chain) above.push_back(make_link(der));
      above.insert(above.end(), mic_.links.begin(), mic_.links.end());
      above.insert(above.end(), lsc_.links.begin(), lsc_.links.end());
      Link top = make_link(leaf);
      for (std::size_t length = 1; length <= kLongestChain; ++length) {
        const bool is_root = is_named(top, top);
        if (is_root && (length == 1 || is_anchor(top))) return std::nullopt;
        const auto issuer =
            std::find_if(above.begin(), above.end(), [&](const Link& link) { return is_named(top, link); });
        if (is_root || issuer == above.end()) {
          const X509_Certificate& last = *top.certificate;
          const auto& key = is_root ? last.subject_key_id() : last.authority_key_id();
          const auto end = key.begin() + static_cast<std::ptrdiff_t>(std::min(key.size(), kLongestKeyIdentifier));
          return UnknownIssuer{
              describe_certificate(top.der).issuer, {key.begin(), end}, shown.subject, capf::sha256(leaf)};
        }
        top = *issuer;
      }
    } catch (const std::exception&) {
      return std::nullopt;
    }
    return std::nullopt;
  }

 private:
  bool is_anchor(const Link& link) const {
    const Sha256 digest = capf::sha256(link.der);
    return mic_.anchors.contains(digest) || lsc_.anchors.contains(digest);
  }

  static Result<JudgedPath> judge_path(const Store& store, BytesView leaf, std::span<const Bytes> chain, TimePoint now,
                                       bool may_be_expired) {
    if (chain.size() >= kLongestChain) return fail(Reason::kCertificateMalformed, "the chain is too long");
    CAPF_TRY(scan_certificate(leaf));
    for (const Bytes& der : chain) CAPF_TRY(scan_certificate(der));
    const auto outline = read_outline(leaf);
    if (!outline) return fail(Reason::kCertificateMalformed);
    CAPF_TRY(within_botan(leaf));
    for (const Bytes& der : chain) CAPF_TRY(within_botan(der));
    std::vector<Link> shown;
    try {
      shown.push_back(make_link(leaf));
      for (const Bytes& der : chain) shown.push_back(make_link(der));
    } catch (const std::exception& error) {
      return fail(Reason::kCertificateMalformed, std::string(words(Reason::kCertificateMalformed)), error.what());
    }
    for (const Link& link : shown) CAPF_TRY(check_encoding(link.der, *link.certificate));
    if (says_ca(*shown[0].certificate)) {
      return fail(Reason::kCertificateMalformed, "a CA's own certificate is no device's");
    }
    try {
      return validate(store, *outline, shown, now, may_be_expired);
    } catch (const std::exception& error) {
      return fail(Reason::kCertificateMalformed, std::string(words(Reason::kCertificateMalformed)), error.what());
    }
  }

  /// RFC 5280 6.1 at `now`. An anchor's leave for an expired MIC is applied to the leaf's findings afterwards, so that
  /// it covers the leaf's expiry alone.
  static Result<JudgedPath> validate(const Store& store, const CertificateOutline& leaf, const std::vector<Link>& shown,
                                     TimePoint now, bool may_be_expired) {
    const bool copied = std::any_of(shown.begin(), shown.end(), [](const Link& link) { return link.copied; });
    Findings findings;
    if (!copied) findings = judge_originals(shown, store, now);
    if (copied || (findings.statuses.empty() && store.copied)) findings = judge_copies(shown, store, now);
    const std::vector<Link>& path = findings.path;
    auto& found = findings.statuses;
    // Without a path there are no findings; a leaf that is its own anchor is no device certificate.
    if (found.empty() || path.size() < 2) {
      return refuse(reason_of(findings.result).value_or(Reason::kCertificateUnknownIssuer), findings.result);
    }
    if (path.size() > kLongestChain) return fail(Reason::kCertificateUnknownIssuer, "the chain is too long");
    CAPF_TRY(check_names(path));

    JudgedPath judged{leaf, {}, {}, false, TimePoint::max()};
    for (std::size_t i = 0; i < path.size(); ++i) {
      const Sha256 digest = capf::sha256(path[i].der);
      if (i > 0) judged.issuers.push_back({digest, key_digests(path[i].certificate->subject_public_key_info())});
      const auto anchor = store.anchors.find(digest);
      if (anchor != store.anchors.end()) judged.anchors.push_back(&anchor->second);
    }
    const auto all = [&judged](auto condition) {
      return !judged.anchors.empty() && std::all_of(judged.anchors.begin(), judged.anchors.end(), condition);
    };
    if (!all([now](const TrustAnchor* anchor) { return !anchor->ends_at || now < *anchor->ends_at; })) {
      return fail(Reason::kCertificateUnknownIssuer, "the trust in the certificate's issuer has ended");
    }
    const bool excused = may_be_expired && all([now](const TrustAnchor* anchor) {
                           return anchor->allow_expired_until && now < *anchor->allow_expired_until;
                         });
    if (excused) judged.expired = found[0].erase(Certificate_Status_Code::CERT_HAS_EXPIRED) != 0;
    CAPF_TRY(overall(found));
    CAPF_TRY(check_limits(path, judged.anchors));
    judged.holds_until = last_moment(path, judged);
    return judged;
  }

  Store mic_;
  Store lsc_;
};

tl::unexpected<Error> unfit(std::string why, std::string cause = {}) {
  return fail(Reason::kInvalidCertificate, "this certificate cannot be trusted as an issuer: " + std::move(why),
              std::move(cause));
}

}  // namespace

std::unique_ptr<const TrustStore> TrustStore::make(const std::vector<TrustAnchor>& anchors) {
  return std::make_unique<AnchoredTrust>(anchors);
}

Result<TrustAnchor> read_anchor(BytesView der) {
  if (const Status scanned = scan_certificate(der); !scanned) return unfit(scanned.error().message);
  const auto facts = read_certificate(der);
  if (!facts) return unfit(facts.error().message, facts.error().cause);
  try {
    const X509_Certificate certificate = parse_botan(der);
    if (const Status read = check_encoding(der, certificate); !read) return unfit(read.error().message);
    const std::string hash = signature_hash_of(der);
    if (!kHashes.contains(hash)) return unfit("it is signed with " + hash);
    const auto key = read_spki(certificate.subject_public_key_info());
    if (!key) return unfit(key.error().message);
    if (key->type == KeyType::kRsa && key->bits < 1024) {
      return unfit("its RSA key has " + std::to_string(key->bits) + " bits");
    }
    // RFC 5280 4.2.1.9
    //    Conforming CAs MUST include this extension in all CA certificates
    if (certificate.x509_version() != 3 || !certificate.v3_extensions().extension_set(Botan::OID("2.5.29.19"))) {
      return unfit("it has no basicConstraints, so it does not say that it is a CA's");
    }
    if (!says_ca(certificate)) {
      return unfit("it belongs to a device or a server, not to a CA (CA:FALSE)");
    }
    if (!certificate.is_CA_cert()) return unfit("its key usage does not include keyCertSign");
    if (certificate.subject_dn() == certificate.issuer_dn() && !is_signed_by(der, der)) {
      return unfit("its own signature is wrong");
    }
  } catch (const std::exception& error) {
    return unfit("it cannot be read", error.what());
  }
  TrustAnchor anchor;
  anchor.der.assign(der.begin(), der.end());
  anchor.sha256 = facts->sha256;
  anchor.subject = facts->subject;
  anchor.not_before = facts->not_before;
  anchor.not_after = facts->not_after;
  return anchor;
}

}  // namespace capf::ca
