#include "capf/ca/path.h"

#include <utility>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "capf/base/utf8.h"
#include "capf/ca/openssl.h"

namespace capf::ca {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using ConstraintsPtr = std::unique_ptr<NAME_CONSTRAINTS, Freed<NAME_CONSTRAINTS_free>>;
using ContextPtr = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

int purpose_of(PathPurpose purpose) {
  switch (purpose) {
    case PathPurpose::kTlsServer: return X509_PURPOSE_SSL_SERVER;
    case PathPurpose::kTlsClient: return X509_PURPOSE_SSL_CLIENT;
    case PathPurpose::kOcspResponder: return X509_PURPOSE_OCSP_HELPER;
  }
  CAPF_INVARIANT(false);
}

std::string words_of(int error) {
  switch (error) {
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX: return "is not allowed by the name constraints of a CA above it";
    case X509_V_ERR_NO_EXPLICIT_POLICY: return "has no certificate policy, which a CA above it requires";
    case X509_V_ERR_INVALID_PURPOSE: return "is for what the extended key usage of a CA above it does not allow";
    default: return std::string("is refused: ") + X509_verify_cert_error_string(error);
  }
}

/// OpenSSL checks the purposes of the responder alone; other libraries want each CA below the root to allow its
/// purpose.
bool may_sign_answers(std::span<const Bytes> above) {
  for (std::size_t i = 0; i + 1 < above.size(); ++i) {
    const X509Ptr ca = parse_x509(above[i]);
    const std::uint32_t purposes =
        ca ? X509_get_extended_key_usage(ca.get()) : 0;  // all bits where there is no such extension
    if ((purposes & (XKU_OCSP_SIGN | XKU_ANYEKU)) == 0) return false;
  }
  return true;
}

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

// RFC 5280 4.2.1.10
//    Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side of the name
//    satisfies the name constraint.
bool is_within(std::string host, std::string base) {
  host = lower_case(std::move(host));
  base = lower_case(std::move(base));
  if (base.starts_with('.')) base.erase(0, 1);
  return base.empty() || host == base || host.ends_with('.' + base);
}

/// Whether a list of subtrees has DNS names, and whether one of them has the host in it.
std::pair<bool, bool> find_host(const STACK_OF(GENERAL_SUBTREE) * subtrees, const std::string& host) {
  std::pair<bool, bool> found{false, false};
  for (int i = 0; subtrees != nullptr && i < sk_GENERAL_SUBTREE_num(subtrees); ++i) {
    const GENERAL_NAME* base = sk_GENERAL_SUBTREE_value(subtrees, i)->base;
    if (base->type != GEN_DNS) continue;
    found.first = true;
    found.second = found.second || is_within(host, std::string(text_of(base->d.dNSName)));
  }
  return found;
}

/// OpenSSL treats a common name with a dot in it as a host name; GnuTLS does so for every server without alternative
/// names.
bool may_be_server(X509* leaf, std::span<const Bytes> above) {
  const X509_NAME* subject = X509_get_subject_name(leaf);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) >= 0) return true;
  const std::string host(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  for (const Bytes& der : above) {
    const X509Ptr ca = parse_x509(der);
    const ConstraintsPtr constraints(
        ca ? static_cast<NAME_CONSTRAINTS*>(X509_get_ext_d2i(ca.get(), NID_name_constraints, nullptr, nullptr))
           : nullptr);
    if (!constraints) continue;
    const auto [limited, permitted] = find_host(constraints->permittedSubtrees, host);
    if ((limited && !permitted) || find_host(constraints->excludedSubtrees, host).second) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> path_fault(BytesView certificate, std::span<const Bytes> above, PathPurpose purpose,
                                      std::optional<TimePoint> now) {
  const ErrorQueue errors;
  if (above.empty()) return "has no issuer";
  const X509Ptr leaf = parse_x509(certificate);
  const X509StackPtr between(sk_X509_new_null());
  const StorePtr store(X509_STORE_new());
  const ContextPtr context(X509_STORE_CTX_new());
  CAPF_INVARIANT(between && store && context);
  for (const Bytes& der : above.first(above.size() - 1)) {
    X509Ptr ca = parse_x509(der);
    if (!ca || sk_X509_push(between.get(), ca.get()) == 0) return "stands under a CA that cannot be read";
    static_cast<void>(ca.release());
  }
  const X509Ptr root = parse_x509(above.back());
  if (!leaf || !root || X509_STORE_add_cert(store.get(), root.get()) != 1) return "cannot be read, or its root cannot";
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), between.get()) != 1) return "cannot be judged";
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_POLICY_CHECK | (now ? 0UL : X509_V_FLAG_NO_CHECK_TIME));
  if (now) {
    X509_VERIFY_PARAM_set_time(parameters, std::chrono::floor<std::chrono::seconds>(*now).time_since_epoch().count());
  }
  if (X509_VERIFY_PARAM_set_purpose(parameters, purpose_of(purpose)) != 1) return "cannot be judged";
  if (X509_verify_cert(context.get()) != 1) return words_of(X509_STORE_CTX_get_error(context.get()));
  if (purpose == PathPurpose::kTlsServer && !may_be_server(leaf.get(), above)) {
    return words_of(X509_V_ERR_PERMITTED_VIOLATION);
  }
  if (purpose == PathPurpose::kOcspResponder && !may_sign_answers(above)) return words_of(X509_V_ERR_INVALID_PURPOSE);
  return std::nullopt;
}

}  // namespace capf::ca
