#include <cstdio>
#include <map>

#include <openssl/x509v3.h>

#include "capf/ca/certificate.h"
#include "capf/ca/name.h"
#include "capf/ca/trust.h"
#include "tests/fuzz/der.h"
#include "tests/fuzz/signer.h"

using namespace capf;

namespace {

const fuzz::Signer* signer(std::uint8_t choice) {
  static const std::array kSigners{fuzz::Signer("manufacturer-sub"), fuzz::Signer("p-256"),
                                   fuzz::Signer("manufacturer"), fuzz::Signer("old-manufacturer")};
  return choice < 64 ? nullptr : &kSigners[choice % kSigners.size()];
}

struct Trusted {
  std::vector<TrustAnchor> anchors;
  std::unique_ptr<const ca::TrustStore> store;
};

/// The bits of `choice`: which issuers are anchors, and what they allow.
const Trusted& trusted(std::uint8_t choice) {
  static std::map<std::uint8_t, Trusted> known;
  if (const auto found = known.find(choice); found != known.end()) return found->second;
  Trusted made;
  std::vector<std::string> files{"mic/root.pem", "mic/old_root.pem", "lsc/issuer.pem"};
  if ((choice & 1) != 0) files.insert(files.end(), {"mic/sub.pem", "mic/sub_sub.pem"});
  for (const std::string& file : files) {
    TrustAnchor anchor = ca::read_anchor(test::read_der(file)).value();
    anchor.store = (choice & 16) != 0 ? TrustStoreName::kLsc : TrustStoreName::kMic;
    if ((choice & 2) != 0) anchor.allow_sha1 = true, anchor.min_rsa_bits = 1024;
    if ((choice & 4) != 0) anchor.allow_expired_until = test::test_now() + std::chrono::hours{24 * 365 * 30};
    if ((choice & 8) != 0)
      anchor.devices = Pattern::parse("SEP0011*").value(), anchor.models = Pattern::parse("CP-*").value();
    made.anchors.push_back(std::move(anchor));
  }
  made.store = ca::TrustStore::make(made.anchors);
  return known.emplace(choice, std::move(made)).first->second;
}

void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }
using StackPtr = std::unique_ptr<STACK_OF(X509), capf::Freed<free_stack>>;

/// OpenSSL trusts no certificate with an extension that it cannot read. Ours must be able to read those that limit its
/// use; others, such as the addresses of CRLs, may have any form.
bool openssl_cannot_read(X509* certificate) {
  if ((X509_get_extension_flags(certificate) & EXFLAG_INVALID) == 0) return false;
  for (const int type : {NID_basic_constraints, NID_key_usage, NID_ext_key_usage, NID_name_constraints}) {
    int found = 0;
    void* const read = X509_get_ext_d2i(certificate, type, &found, nullptr);
    CAPF_INVARIANT(read != nullptr || found == -1);
    ASN1_item_free(static_cast<ASN1_VALUE*>(read), ASN1_ITEM_ptr(X509V3_EXT_get_nid(type)->it));
  }
  return true;
}

/// Whether OpenSSL finds a path too over these others. It tries only the first that fits.
bool openssl_finds_path(X509_STORE* store, X509* leaf, STACK_OF(X509) * others, TimePoint now, bool expired) {
  const std::unique_ptr<X509_STORE_CTX, capf::Freed<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store, leaf, others);
  X509_VERIFY_PARAM* const wanted = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(wanted, std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
  X509_VERIFY_PARAM_set_auth_level(wanted, 0);
  if (expired) {
    X509_STORE_CTX_set_verify_cb(context.get(), [](int ok, X509_STORE_CTX* at) {
      const bool leaf_alone = X509_STORE_CTX_get_error_depth(at) == 0;
      return ok == 1 || (leaf_alone && X509_STORE_CTX_get_error(at) == X509_V_ERR_CERT_HAS_EXPIRED) ? 1 : 0;
    });
  }
  if (X509_verify_cert(context.get()) == 1) return true;
  std::fprintf(stderr, "OpenSSL: %s\n", X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  return false;
}

/// Whether OpenSSL finds a path too, or cannot tell. A phone may send another certificate of a known issuer.
bool openssl_accepts(X509* leaf, const std::vector<Bytes>& chain, const Trusted& trusted, TimePoint now, bool expired) {
  const std::unique_ptr<X509_STORE, capf::Freed<X509_STORE_free>> store(X509_STORE_new());
  const StackPtr sent_first(sk_X509_new_null());
  const StackPtr known_first(sk_X509_new_null());
  std::vector<ca::X509Ptr> owned;
  bool unreadable = openssl_cannot_read(leaf);
  const auto add = [&](const Bytes& der) {
    if (ca::X509Ptr certificate = ca::parse_x509(der)) {
      unreadable = openssl_cannot_read(certificate.get()) || unreadable;
      sk_X509_push(sent_first.get(), certificate.get());
      sk_X509_unshift(known_first.get(), certificate.get());
      owned.push_back(std::move(certificate));
    }
  };
  for (const Bytes& der : chain) add(der);
  for (const TrustAnchor& anchor : trusted.anchors) {
    add(anchor.der);
    if (X509_self_signed(owned.back().get(), 0) == 1) X509_STORE_add_cert(store.get(), owned.back().get());
  }
  return unreadable || openssl_finds_path(store.get(), leaf, sent_first.get(), now, expired) ||
         openssl_finds_path(store.get(), leaf, known_first.get(), now, expired);
}

std::string only_common_name(X509* certificate) {
  X509_NAME* const name = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  CAPF_INVARIANT(at >= 0 && X509_NAME_get_index_by_NID(name, NID_commonName, at) == -1);
  const ASN1_STRING* const value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<std::size_t>(ASN1_STRING_length(value))};
}

TimePoint time_of(const ASN1_TIME* time) {
  std::tm parts{};
  CAPF_INVARIANT(ASN1_TIME_to_tm(time, &parts) == 1);
  return TimePoint(std::chrono::seconds(::timegm(&parts)));
}

void check_facts(BytesView der) {
  CAPF_INVARIANT(der.size() > ca::kLargestCertificate || ca::is_one_der_element(der) || !ca::scan_certificate(der));
  const auto facts = ca::read_certificate(der);
  if (const auto anchor = ca::read_anchor(der)) {
    CAPF_INVARIANT(facts && std::equal(der.begin(), der.end(), anchor->der.begin(), anchor->der.end()));
    const ca::X509Ptr other = ca::parse_x509(der);
    CAPF_INVARIANT(other && X509_get_version(other.get()) == X509_VERSION_3);
    CAPF_INVARIANT(openssl_cannot_read(other.get()) || X509_check_ca(other.get()) == 1);
  }
  if (!facts) return;
  CAPF_INVARIANT(ca::scan_certificate(der));
  const ca::X509Ptr other = ca::parse_x509(der);
  if (!other) return;
  CAPF_INVARIANT(time_of(X509_get0_notBefore(other.get())) == facts->not_before);
  CAPF_INVARIANT(time_of(X509_get0_notAfter(other.get())) == facts->not_after);
  const auto outline = ca::read_outline(der);
  const auto name = ca::read_name(outline->subject);
  const auto entries = static_cast<std::size_t>(X509_NAME_entry_count(X509_get_subject_name(other.get())));
  CAPF_INVARIANT(!name || name->size() == entries);  // OpenSSL takes an empty RDN too
}

void check_files(const std::vector<Bytes>& ders) {
  std::string pem = "text in front\n";
  Bytes together;
  bool sequences = true;  // as certificates are
  bool wrapped = false;   // as in PKCS #7
  for (const Bytes& der : ders) {
    pem += ca::to_pem(der);
    together.insert(together.end(), der.begin(), der.end());
    ca::DerReader reader(der);
    const auto element = reader.take(ca::kSequence);
    const auto first = element ? ca::DerReader(element->content).peek() : std::nullopt;
    sequences = sequences && first == ca::kSequence && reader.at_end();
    wrapped = wrapped || first == ca::kOid;
  }
  const auto of_pem = ca::split_certificates(as_bytes(pem), ders.size());
  const auto of_der = ca::split_certificates(together, ders.size());
  CAPF_INVARIANT(sequences ? of_pem && *of_pem == ders : wrapped || !of_pem);
  CAPF_INVARIANT(!sequences || (of_der && *of_der == ders));
}

}  // namespace

// Options: who signs the leaf again, which anchors, who signs the next one of the chain again, the time. The elements
// are the leaf and what the phone sends beside it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kDevice = DeviceName::parse("SEP001122334455").value();
  const fuzz::DerInput input = fuzz::read_input({data, size});
  if (input.elements.empty()) return 0;
  const ca::ErrorQueue errors;
  std::vector<Bytes> ders;
  for (const BytesView element : input.elements) {
    ders.emplace_back(element.begin(), element.end());
    const auto* again = ders.size() == 1   ? signer(input.options[0])
                        : ders.size() == 2 ? signer(input.options[2])
                                           : nullptr;
    if (again == nullptr) continue;
    if (auto changed = fuzz::sign_again(ders.back(), *again)) ders.back() = *std::move(changed);
  }
  for (const Bytes& der : ders) check_facts(der);
  check_files(ders);

  const Bytes leaf = ders[0];
  const std::vector<Bytes> chain(ders.begin() + 1, ders.end());
  const Trusted& store = trusted(input.options[1] & 31);
  const TimePoint now = test::test_now() + std::chrono::hours{24 * 365 * 5} * (input.options[3] % 8);
  const auto mic = store.store->judge_mic(leaf, chain, kDevice, now);
  const auto lsc = store.store->judge_foreign_lsc(leaf, chain, kDevice, now);
  if (!mic && !lsc) return 0;
  CAPF_INVARIANT(chain.size() < ca::kLongestChain && ca::scan_certificate(leaf));
  const ca::X509Ptr other = ca::parse_x509(leaf);
  CAPF_INVARIANT(other && openssl_accepts(other.get(), chain, store, now, mic && mic->expired));
  const std::string name = only_common_name(other.get());
  if (mic) {
    CAPF_INVARIANT((input.options[1] & 16) == 0 && name == mic->model + '-' + kDevice.text());
    CAPF_INVARIANT(mic->sha256 == sha256(leaf));
    CAPF_INVARIANT(!mic->expired || (input.options[1] & 4) != 0);
    CAPF_INVARIANT((input.options[1] & 8) == 0 || mic->model.starts_with("CP-"));
  }
  if (lsc) CAPF_INVARIANT((input.options[1] & 16) != 0 && name.ends_with(kDevice.text()));
  const ca::PkeyPtr key(X509_get_pubkey(other.get()));
  CAPF_INVARIANT(key && sha256(ca::encode_der(i2d_PUBKEY, key.get())) == (mic ? mic->key.sha256 : lsc->key.sha256));
  return 0;
}
