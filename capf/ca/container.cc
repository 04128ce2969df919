#include "capf/ca/container.h"

#include <algorithm>
#include <array>
#include <optional>

#include <botan/base64.h>
#include <openssl/pkcs7.h>

#include "capf/ca/asn1.h"
#include "capf/ca/certificate.h"
#include "capf/ca/openssl.h"

namespace capf::ca {
namespace {

using Pkcs7Ptr = std::unique_ptr<PKCS7, Freed<PKCS7_free>>;

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kDashes = "-----";
constexpr std::size_t kLongestLabel = 40;
/// 1.2.840.113549.1.7.2, RFC 2315 14
constexpr std::array<std::uint8_t, 11> kSignedData{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02};

tl::unexpected<Error> unusable(std::string why, std::string cause = {}) {
  return fail(Reason::kInvalidCertificate, std::move(why), std::move(cause));
}

tl::unexpected<Error> too_many(std::size_t limit) {
  return unusable("more than " + std::to_string(limit) + " certificates");
}

/// Text of two octets a character, as Windows writes it: with a byte order mark, or known by the dashes of PEM.
bool is_utf16(BytesView file, bool little) {
  const std::array<std::uint8_t, 2> mark =
      little ? std::array<std::uint8_t, 2>{0xFF, 0xFE} : std::array<std::uint8_t, 2>{0xFE, 0xFF};
  const std::array<std::uint8_t, 2> dash =
      little ? std::array<std::uint8_t, 2>{'-', 0} : std::array<std::uint8_t, 2>{0, '-'};
  const auto begins = [file](const auto& with) {
    return file.size() >= 2 && file.size() % 2 == 0 && std::equal(with.begin(), with.end(), file.begin());
  };
  return begins(mark) || begins(dash);
}

/// PEM is ASCII; every other character becomes a question mark.
std::string from_utf16(BytesView file, bool little) {
  std::string text;
  for (std::size_t i = 0; i + 1 < file.size(); i += 2) {
    const std::uint8_t high = file[little ? i + 1 : i];
    const std::uint8_t low = file[little ? i : i + 1];
    text += high == 0 && low < 0x80 ? static_cast<char>(low) : '?';
  }
  return text;
}

/// The label behind the next "-----BEGIN ", and where its text begins.
struct PemBegin {
  std::string label;
  std::size_t body = 0;
};

std::optional<PemBegin> find_pem(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find(kBegin, from); at != std::string_view::npos; at = text.find(kBegin, at + 1)) {
    const std::size_t start = at + kBegin.size();
    const std::size_t end = text.find(kDashes, start);
    if (end == std::string_view::npos || end - start > kLongestLabel) continue;
    const std::string_view label = text.substr(start, end - start);
    const auto is_plain = [](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '#';
    };
    if (std::all_of(label.begin(), label.end(), is_plain)) return PemBegin{std::string(label), end + kDashes.size()};
  }
  return std::nullopt;
}

/// ContentInfo of signed data, in DER or with the indefinite lengths of BER.
bool is_pkcs7(BytesView data) {
  if (data.size() < 2 || data[0] != kSequence) return false;
  const std::size_t header = data[1] < 0x80 || data[1] == 0x80 ? 2 : 2 + static_cast<std::size_t>(data[1] & 0x7F);
  if (header > 6 || data.size() < header + kSignedData.size()) return false;
  return std::equal(kSignedData.begin(), kSignedData.end(), data.begin() + static_cast<std::ptrdiff_t>(header));
}

Result<std::vector<Bytes>> split_pkcs7(BytesView data, std::size_t limit) {
  const ErrorQueue errors;
  const unsigned char* at = data.data();
  const Pkcs7Ptr file(d2i_PKCS7(nullptr, &at, static_cast<long>(data.size())));
  if (!file || !PKCS7_type_is_signed(file.get()) || file->d.sign == nullptr) {
    return unusable("the PKCS #7 file cannot be read", errors.text());
  }
  std::vector<Bytes> certificates;
  const STACK_OF(X509)* list = file->d.sign->cert;
  const int count = list == nullptr ? 0 : sk_X509_num(list);
  if (static_cast<std::size_t>(count) > limit) return too_many(limit);
  for (int i = 0; i < count; ++i) certificates.push_back(encode_der(i2d_X509, sk_X509_value(list, i)));
  return certificates;
}

/// RFC 5280 4.1: a certificate begins with the SEQUENCE tbsCertificate.
bool may_be_certificate(const std::optional<DerElement>& element) {
  return element && element->tag == kSequence && DerReader(element->content).peek() == kSequence;
}

/// Adds the content of one PEM block.
Status add_pem(const std::string& label, BytesView der, std::size_t limit, std::vector<Bytes>& certificates) {
  if (is_pkcs7(der)) {
    CAPF_LET(const auto found, split_pkcs7(der, limit));
    certificates.insert(certificates.end(), found.begin(), found.end());
  } else {
    // A TRUSTED CERTIFICATE of OpenSSL has a second element: the purposes for which OpenSSL trusts it.
    DerReader reader(der);
    const auto element = reader.take(kSequence);
    if (!may_be_certificate(element) || (!reader.at_end() && label != "TRUSTED CERTIFICATE")) {
      return unusable("what stands in the PEM text is no certificate");
    }
    certificates.emplace_back(element->whole.begin(), element->whole.end());
  }
  if (certificates.size() > limit) return too_many(limit);
  return {};
}

Result<std::vector<Bytes>> split_pem(std::string_view text, std::size_t limit) {
  constexpr std::array<std::string_view, 6> kLabels{"CERTIFICATE", "X509 CERTIFICATE",    "TRUSTED CERTIFICATE",
                                                    "PKCS7",       "PKCS #7 SIGNED DATA", "CMS"};
  std::vector<Bytes> certificates;
  std::size_t at = 0;
  while (const auto begin = find_pem(text, at)) {
    at = begin->body;
    if (std::find(kLabels.begin(), kLabels.end(), begin->label) == kLabels.end()) continue;
    const std::size_t end = text.find("-----END " + begin->label + "-----", at);
    if (end == std::string_view::npos) return unusable("the PEM text is cut short");
    try {
      const auto der = Botan::base64_decode(text.data() + at, end - at, true);
      CAPF_TRY(add_pem(begin->label, BytesView(der.data(), der.size()), limit, certificates));
    } catch (const std::exception& error) {
      return unusable("the PEM text is damaged", error.what());
    }
    at = end;
  }
  return certificates;
}

Result<std::vector<Bytes>> split_der(BytesView data, std::size_t limit) {
  if (is_pkcs7(data)) return split_pkcs7(data, limit);
  std::vector<Bytes> certificates;
  DerReader reader(data);
  while (!reader.at_end()) {
    if (certificates.size() == limit) return too_many(limit);
    const auto element = reader.take(kSequence);
    if (!may_be_certificate(element)) return unusable("there is no certificate: this is " + describe_file(data));
    certificates.emplace_back(element->whole.begin(), element->whole.end());
  }
  return certificates;
}

std::string describe_pem(const std::string& label) {
  if (label.find("REQUEST") != std::string::npos) {
    return "a certification request, which a CA still has to make a certificate from";
  }
  if (label == "X509 CRL") return "a certificate revocation list";
  if (label == "OPENSSH PRIVATE KEY") {
    return "a key in OpenSSH's own form, which 'ssh-keygen -p -m PKCS8 -f FILE' rewrites in PEM";
  }
  if (label.find("PRIVATE KEY") != std::string::npos) return "a private key";
  if (label.find("PUBLIC KEY") != std::string::npos) return "a public key";
  if (label.find("CERTIFICATE") != std::string::npos) return "a certificate";
  if (label == "PKCS7" || label == "CMS") {
    return "a PKCS #7 file, which 'openssl pkcs7 -print_certs -in FILE' shows";
  }
  return "PEM of another kind, " + label;
}

bool is_base64(std::string_view text) {
  const auto is_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
           c == '=' || c == '\r' || c == '\n';
  };
  return text.size() >= 100 && std::all_of(text.begin(), text.end(), is_digit);
}

}  // namespace

// PFX ::= SEQUENCE { version INTEGER {v3(3)}, authSafe ContentInfo, macData OPTIONAL }
bool is_pkcs12(BytesView file) {
  constexpr std::array<std::uint8_t, 3> kVersion3{kInteger, 0x01, 0x03};
  if (file.size() < 8 || file[0] != kSequence) return false;
  const std::size_t header = file[1] <= 0x80 ? 2 : 2 + static_cast<std::size_t>(file[1] & 0x7F);
  return header <= 6 && file.size() > header + kVersion3.size() &&
         std::equal(kVersion3.begin(), kVersion3.end(), file.begin() + static_cast<std::ptrdiff_t>(header)) &&
         file[header + kVersion3.size()] == kSequence;
}

std::string describe_file(BytesView file) {
  constexpr std::array<std::uint8_t, 4> kJavaKeystore{0xFE, 0xED, 0xFE, 0xED};
  if (file.empty()) return "an empty file";
  if (is_utf16(file, true) || is_utf16(file, false)) return "UTF-16 text; save it as UTF-8 or ASCII";
  if (const auto begin = find_pem(as_text(file), 0)) return describe_pem(begin->label);
  if (is_pkcs12(file)) {
    return "a PKCS #12 file; 'openssl pkcs12 -in FILE -nokeys' takes the certificates out of it";
  }
  if (is_pkcs7(file)) return "a PKCS #7 file; 'openssl pkcs7 -inform DER -print_certs -in FILE' shows what is in it";
  if (file.size() >= 4 && std::equal(kJavaKeystore.begin(), kJavaKeystore.end(), file.begin())) {
    return "a Java keystore; 'keytool -importkeystore -srckeystore FILE -destkeystore NEW -deststoretype PKCS12' "
           "makes PKCS #12 of it";
  }
  if (is_base64(as_text(file))) {
    return "Base64 without the lines that begin and end PEM; 'openssl base64 -d -A -in FILE' makes DER of it";
  }
  if (as_text(file).starts_with("ssh-") || as_text(file).starts_with("ecdsa-")) return "a public key of SSH";
  if (file[0] == '<') return "HTML or XML";
  DerReader reader(file);
  const auto element = reader.take(kSequence);
  if (!element) return "neither PEM nor DER";
  const auto first = DerReader(element->content).peek();
  if (first == kInteger) return "a key in DER; 'openssl pkey -inform DER -in FILE' makes PEM of a private one";
  return first == kSequence ? "a certificate, a request or a public key in DER" : "DER of another kind";
}

Result<std::vector<Bytes>> split_certificates(BytesView file, std::size_t limit) {
  for (const bool little : {true, false}) {
    if (is_utf16(file, little)) return split_certificates(as_bytes(from_utf16(file, little)), limit);
  }
  const std::string_view text = as_text(file);
  // A DER certificate may contain lines of PEM in a text field.
  const bool der = is_pkcs7(file) || may_be_certificate(DerReader(file).take(kSequence));
  const bool pem = !der && find_pem(text, 0).has_value();
  CAPF_LET(auto certificates, pem ? split_pem(text, limit) : split_der(file, limit));
  if (certificates.empty()) return unusable("there is no certificate in it: this is " + describe_file(file));
  return certificates;
}

}  // namespace capf::ca
