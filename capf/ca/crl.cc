#include "capf/ca/crl.h"

#include <array>
#include <cstdio>

#include <openssl/x509v3.h>
#include <unistd.h>

#include "capf/ca/asn1.h"
#include "capf/ca/openssl.h"
#include "capf/ca/signature.h"

namespace capf::ca {
namespace {

using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

constexpr std::size_t kPiece = std::size_t{256} * 1024;
constexpr std::size_t kLargestSmallElement = 16384;  ///< a name, extensions, a signature
constexpr std::uint64_t kLargestCrl = std::uint64_t{4} << 30;
constexpr std::uint8_t kExplicit0 = 0xA0;
constexpr std::uint8_t kPointer0 = 0xA0;
constexpr std::uint8_t kUriTag = 0x86;

// RFC 5280 5.3.1: SEQUENCE { SEQUENCE { id-ce-cRLReasons 2.5.29.21, OCTET STRING { ENUMERATED reason }}}
constexpr std::array<std::uint8_t, 13> kReasonBefore{0x30, 0x0C, 0x30, 0x0A, 0x06, 0x03, 0x55,
                                                     0x1D, 0x15, 0x04, 0x03, 0x0A, 0x01};
constexpr std::array<std::uint8_t, 5> kAuthorityKeyId{0x06, 0x03, 0x55, 0x1D, 0x23};
constexpr std::array<std::uint8_t, 5> kCrlNumber{0x06, 0x03, 0x55, 0x1D, 0x14};
constexpr std::array<std::uint8_t, 5> kIssuingDistributionPoint{0x06, 0x03, 0x55, 0x1D, 0x1C};
constexpr std::array<std::uint8_t, 3> kTrue{kBoolean, 0x01, 0xFF};

template <class Octets>
void append(Bytes& to, const Octets& octets) {
  to.insert(to.end(), std::begin(octets), std::end(octets));
}

/// A non-negative INTEGER from its octets.
Bytes integer(BytesView magnitude) {
  while (magnitude.size() > 1 && magnitude[0] == 0) magnitude = magnitude.subspan(1);
  Bytes content;
  if ((magnitude[0] & 0x80) != 0) content.push_back(0);
  append(content, magnitude);
  return der_element(kInteger, content);
}

Bytes integer(std::int64_t value) {
  std::array<std::uint8_t, 8> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = static_cast<std::uint8_t>(value >> (8 * (7 - i)));
  return integer(BytesView(octets));
}

// RFC 5280 5.1.2.4
//    dates through the year 2049 as UTCTime, dates in 2050 or later as GeneralizedTime
std::string day_text(std::chrono::sys_days day) {
  const std::chrono::year_month_day date{day};
  const int year = static_cast<int>(date.year());
  char text[16];
  if (year < 2050) {
    std::snprintf(text, sizeof text, "%02d%02u%02u", year % 100, unsigned(date.month()), unsigned(date.day()));
  } else {
    std::snprintf(text, sizeof text, "%04d%02u%02u", year, unsigned(date.month()), unsigned(date.day()));
  }
  return text;
}

void append_two(Bytes& to, std::int64_t number) {
  to.push_back(static_cast<std::uint8_t>('0' + number / 10));
  to.push_back(static_cast<std::uint8_t>('0' + number % 10));
}

void append_time(Bytes& to, const std::string& day, std::chrono::seconds of_day) {
  to.push_back(day.size() == 6 ? kUtcTime : kGeneralizedTime);
  to.push_back(static_cast<std::uint8_t>(day.size() + 7));
  append(to, day);
  append_two(to, of_day.count() / 3600);
  append_two(to, of_day.count() / 60 % 60);
  append_two(to, of_day.count() % 60);
  to.push_back('Z');
}

Bytes time(TimePoint at) {
  const auto day = std::chrono::floor<std::chrono::days>(at);
  Bytes octets;
  append_time(octets, day_text(day), std::chrono::floor<std::chrono::seconds>(at - day));
  return octets;
}

// RFC 5280 5.2.1, 5.2.3, 5.2.5
//    IssuingDistributionPoint ::= SEQUENCE { distributionPoint [0] { fullName [0] { URI [6] }},
//                                            onlyContainsUserCerts [1] TRUE }, critical
Bytes extensions(const CrlTerms& terms, BytesView authority_key_id) {
  const Bytes key = der_element(kSequence, der_element(0x80, authority_key_id));
  const Bytes key_extension = der_element(kSequence, kAuthorityKeyId, der_element(kOctetString, key));
  const Bytes number = der_element(kSequence, kCrlNumber, der_element(kOctetString, integer(terms.number)));
  if (terms.url.empty()) return der_element(kExplicit0, der_element(kSequence, key_extension, number));
  const Bytes point =
      der_element(kSequence, der_element(kPointer0, der_element(kPointer0, der_element(kUriTag, as_bytes(terms.url)))),
                  Bytes{kContext1Primitive, 0x01, 0xFF});
  return der_element(kExplicit0, der_element(kSequence, key_extension, number,
                                             der_element(kSequence, kIssuingDistributionPoint, kTrue,
                                                         der_element(kOctetString, point))));
}

/// The parts of its issuer's certificate that a CRL needs.
struct IssuerFacts {
  Bytes name;  ///< whole, octet for octet
  Bytes key_id;
  X509Ptr certificate;
};

Result<IssuerFacts> facts_of(const IssuerRecord& issuer) {
  const ErrorQueue errors;
  IssuerFacts facts;
  facts.certificate = parse_x509(issuer.der);
  if (!facts.certificate) return fail_internal("the issuer's certificate: " + errors.text());
  facts.name = encode_der(i2d_X509_NAME, X509_get_subject_name(facts.certificate.get()));
  const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(facts.certificate.get());
  if (id == nullptr) return fail_internal("the issuer has no subject key identifier");
  facts.key_id.assign(ASN1_STRING_get0_data(id), ASN1_STRING_get0_data(id) + ASN1_STRING_length(id));
  return facts;
}

tl::unexpected<Error> check_failed(std::string cause) {
  return fail(Reason::kCrlCheckFailed, std::string(words(Reason::kCrlCheckFailed)), std::move(cause));
}

/// Passes a part of the file to `use`, piece by piece.
template <class Use>
Status for_pieces(const File& file, std::uint64_t begin, std::uint64_t end, Use use) {
  Bytes piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, end - begin)));
  while (begin < end) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), end - begin));
    CAPF_LET(const std::size_t count, file.read(begin, std::span(piece).first(wanted)));
    if (count != wanted) return check_failed("it was cut off");
    CAPF_TRY(use(BytesView(piece).first(wanted)));
    begin += wanted;
  }
  return {};
}

/// The hash that CertificateSigner chooses for this key, and the AlgorithmIdentifier that names it.
struct Signing {
  const EVP_MD* digest;
  Bytes algorithm;
};

std::optional<Signing> signing_of(const EVP_PKEY* key) {
  const auto ecdsa = [](std::uint8_t last) {  // ecdsa-with-SHA256 and so on, RFC 5758 3.2
    return der_element(kSequence, Bytes{kOid, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, last});
  };
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {  // sha256WithRSAEncryption, RFC 4055 5
    return Signing{EVP_sha256(),
                   der_element(kSequence, Bytes{kOid, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B},
                               Bytes{kNull, 0x00})};
  }
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return std::nullopt;
  const int bits = EVP_PKEY_get_bits(key);
  if (bits <= 256) return Signing{EVP_sha256(), ecdsa(2)};
  if (bits <= 384) return Signing{EVP_sha384(), ecdsa(3)};
  return Signing{EVP_sha512(), ecdsa(4)};
}

/// The URI of an IssuingDistributionPoint as extensions() writes it.
std::optional<std::string> url_of(BytesView point) {
  DerReader file(point);
  const auto sequence = file.take(kSequence);
  if (!sequence) return std::nullopt;
  DerReader fields(sequence->content);
  const auto name = fields.take(kPointer0);
  if (!name) return std::nullopt;
  const auto full = DerReader(name->content).take(kPointer0);
  if (!full) return std::nullopt;
  const auto uri = DerReader(full->content).take(kUriTag);
  if (!uri) return std::nullopt;
  return std::string(as_text(uri->content));
}

std::optional<std::int64_t> number_of(BytesView octets) {
  const auto element = DerReader(octets).take(kInteger);
  const auto magnitude = element ? read_unsigned(*element) : std::nullopt;
  if (!magnitude || count_bits(*magnitude) > 63) return std::nullopt;
  std::int64_t number = 0;
  for (const std::uint8_t octet : *magnitude) number = number << 8 | octet;
  return number;
}

/// The value of one of the extensions of our CRLs.
std::optional<BytesView> extension_value(BytesView list, BytesView oid) {
  DerReader extensions(list);
  while (const auto extension = extensions.take(kSequence)) {
    DerReader fields(extension->content);
    const auto id = fields.take(kOid);
    fields.take(kBoolean);
    const auto value = fields.take(kOctetString);
    if (id && value && std::equal(oid.begin(), oid.end(), id->whole.begin(), id->whole.end())) return value->content;
  }
  return std::nullopt;
}

}  // namespace

Result<CrlBuilder> CrlBuilder::begin(const std::filesystem::path& path) {
  const std::string aside = path.string() + ".entries";
  CAPF_LET(File entries, File::create(aside));
  ::unlink(aside.c_str());
  return CrlBuilder(path, std::move(entries));
}

// RFC 5280 5.1.2.6 SEQUENCE { userCertificate, revocationDate, crlEntryExtensions OPTIONAL }
Status CrlBuilder::add(const Revocation& revocation) {
  const auto day = std::chrono::floor<std::chrono::days>(revocation.revoked_at);
  if (day != day_) {
    day_ = day;
    day_digits_ = day_text(day);
  }
  const BytesView serial = revocation.serial.view();
  const bool padded = (serial[0] & 0x80) != 0;
  // RFC 5280 5.3.1
  //    the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0) reasonCode value.
  const bool reasoned = revocation.reason != RevocationReason::kUnspecified;
  const std::size_t size = 2 + serial.size() + (padded ? 1 : 0) + 2 + day_digits_.size() + 7 + (reasoned ? 14 : 0);
  buffer_.push_back(kSequence);
  buffer_.push_back(static_cast<std::uint8_t>(size));  // below 128: a serial number has at most 20 octets
  buffer_.push_back(kInteger);
  buffer_.push_back(static_cast<std::uint8_t>(serial.size() + (padded ? 1 : 0)));
  if (padded) buffer_.push_back(0);
  append(buffer_, serial);
  append_time(buffer_, day_digits_, std::chrono::floor<std::chrono::seconds>(revocation.revoked_at - day));
  if (reasoned) {
    append(buffer_, kReasonBefore);
    buffer_.push_back(static_cast<std::uint8_t>(revocation.reason));
  }
  return buffer_.size() < kPiece ? Status() : flush();
}

Status CrlBuilder::flush() {
  CAPF_TRY(entries_.write(buffer_));
  entries_size_ += buffer_.size();
  buffer_.clear();
  return {};
}

// CertificateList ::= SEQUENCE { tbsCertList SEQUENCE { version 1, signature, issuer, thisUpdate, nextUpdate,
//                                    revokedCertificates SEQUENCE OF OPTIONAL, crlExtensions [0] },
//                                signatureAlgorithm, signatureValue }
Status CrlBuilder::finish(const CrlTerms& terms, const IssuerRecord& issuer, const SigningKey& key,
                          Botan::RandomNumberGenerator& random) {
  CAPF_TRY(flush());
  CAPF_LET(const IssuerFacts facts, facts_of(issuer));
  try {
    CertificateSigner signer(key.botan(), random);
    const Bytes algorithm = signer.algorithm.BER_encode();
    Bytes before = integer(1);
    append(before, algorithm);
    append(before, facts.name);
    append(before, time(terms.this_update));
    append(before, time(terms.next_update));
    // RFC 5280 5.1.2.6
    //    When there are no revoked certificates, the revoked certificates list MUST be absent.
    if (entries_size_ > 0) append(before, der_header(kSequence, entries_size_));
    const Bytes after = extensions(terms, facts.key_id);
    Bytes begin = der_header(kSequence, before.size() + entries_size_ + after.size());
    append(begin, before);

    signer.signer->update(begin);
    CAPF_TRY(for_pieces(entries_, 0, entries_size_, [&](BytesView piece) -> Status {
      signer.signer->update(piece.data(), piece.size());
      return {};
    }));
    signer.signer->update(after);
    Bytes end = after;
    append(end, algorithm);
    append(end, der_element(kBitString, Bytes{0}, signer.signer->signature(random)));

    CAPF_LET(File file, File::create(path_));
    CAPF_TRY(file.write(der_header(kSequence, begin.size() + entries_size_ + end.size())));
    CAPF_TRY(file.write(begin));
    CAPF_TRY(for_pieces(entries_, 0, entries_size_, [&](BytesView piece) { return file.write(piece); }));
    CAPF_TRY(file.write(end));
    return file.sync();
  } catch (const std::exception& error) {
    return signing_failed("signing a CRL", error);
  }
}

/// The position of an element in the file.
struct CrlReader::Element {
  std::uint8_t tag;
  std::uint64_t content;
  std::uint64_t end;
};

Result<CrlReader> CrlReader::open(const std::filesystem::path& path) {
  CAPF_LET(File file, File::open(path));
  CrlReader reader(std::move(file));
  CAPF_TRY(reader.read_frame());
  return reader;
}

/// The header of the element at `offset`, which must not reach beyond `end`.
Result<CrlReader::Element> CrlReader::element_at(std::uint64_t offset, std::uint64_t end) const {
  std::array<std::uint8_t, 6> octets{};
  if (offset >= end) return check_failed("it ends too early");
  CAPF_LET(const std::size_t count, file_.read(offset, octets));
  Element found{octets[0], offset + 2, 0};
  std::uint64_t length = octets[1];
  if (length >= 0x80) {
    const std::size_t more = length & 0x7F;
    if (more == 0 || more > 4) return check_failed("a length that is not DER");
    length = 0;
    for (std::size_t i = 0; i < more; ++i) length = length << 8 | octets[2 + i];
    found.content += more;
    if (length < 0x80 || octets[2] == 0) return check_failed("a length that is not DER");
  }
  found.end = found.content + length;
  if (count < found.content - offset || found.end > end) return check_failed("an element reaches too far");
  return found;
}

/// The whole of an element with this tag, and `offset` behind it.
Result<Bytes> CrlReader::small_element(std::uint64_t& offset, std::uint64_t end, std::uint8_t tag) const {
  CAPF_LET(const Element found, element_at(offset, end));
  if (found.tag != tag || found.end - offset > kLargestSmallElement) return check_failed("an unexpected element");
  Bytes whole(static_cast<std::size_t>(found.end - offset));
  CAPF_LET(const std::size_t count, file_.read(offset, whole));
  if (count != whole.size()) return check_failed("it was cut off");
  offset = found.end;
  return whole;
}

Status CrlReader::read_frame() {
  CAPF_LET(size_, file_.size());
  if (size_ > kLargestCrl) return check_failed("it is too large");
  CAPF_LET(const Element outer, element_at(0, size_));
  if (outer.tag != kSequence || outer.end != size_) return check_failed("it is no SEQUENCE");
  CAPF_LET(const Element tbs, element_at(outer.content, outer.end));
  if (tbs.tag != kSequence) return check_failed("no tbsCertList");
  tbs_begin_ = outer.content;
  tbs_end_ = tbs.end;
  std::uint64_t at = tbs.end;
  CAPF_LET(algorithm_, small_element(at, outer.end, kSequence));
  CAPF_LET(const Bytes signature, small_element(at, outer.end, kBitString));
  const auto bits = DerReader(signature).take(kBitString);
  if (at != outer.end || !bits || bits->content.size() < 2 || bits->content[0] != 0) return check_failed("signature");
  signature_.assign(bits->content.begin() + 1, bits->content.end());

  at = tbs.content;
  CAPF_LET(const Bytes version, small_element(at, tbs.end, kInteger));
  if (version != integer(1)) return check_failed("version");
  CAPF_LET(const Bytes inner_algorithm, small_element(at, tbs.end, kSequence));
  if (inner_algorithm != algorithm_) return check_failed("two algorithms");
  CAPF_LET(issuer_, small_element(at, tbs.end, kSequence));
  for (TimePoint* when : {&terms_.this_update, &terms_.next_update}) {
    CAPF_LET(const Element place, element_at(at, tbs.end));
    CAPF_LET(const Bytes whole, small_element(at, tbs.end, place.tag));
    const auto read = DerReader(whole).next();
    const auto found = read ? read_time(*read) : std::nullopt;
    if (!found) return check_failed("a time");
    *when = *found;
  }
  CAPF_LET(const Element entries, element_at(at, tbs.end));
  at_ = entries_end_ = at;
  if (entries.tag == kSequence) {
    if (entries.end == entries.content) return check_failed("an empty list of entries");
    at_ = entries.content;
    entries_end_ = at = entries.end;
  }
  CAPF_LET(extensions_, small_element(at, tbs.end, kExplicit0));
  if (at != tbs.end) return check_failed("something behind the extensions");

  const auto wrapped = DerReader(extensions_).take(kExplicit0);
  const auto list = wrapped ? DerReader(wrapped->content).take(kSequence) : std::nullopt;
  if (!list) return check_failed("extensions");
  const auto number = extension_value(list->content, kCrlNumber);
  const auto point = extension_value(list->content, kIssuingDistributionPoint);
  const auto read_number = number ? number_of(*number) : std::nullopt;
  const auto url = point ? url_of(*point) : std::make_optional<std::string>();
  if (!read_number || !url) return check_failed("CRL number or issuing distribution point");
  terms_.number = *read_number;
  terms_.url = *url;
  return {};
}

Result<std::optional<Revocation>> CrlReader::next() {
  if (at_ == entries_end_) return std::nullopt;
  constexpr std::size_t kLargestEntry = 128;
  const std::uint64_t left = entries_end_ - at_;
  const std::uint64_t window_end = window_begin_ + window_.size();
  if (at_ < window_begin_ || at_ + std::min<std::uint64_t>(left, kLargestEntry) > window_end) {
    window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece)));
    window_begin_ = at_;
    CAPF_LET(const std::size_t count, file_.read(at_, window_));
    if (count != window_.size()) return check_failed("it was cut off");
  }
  DerReader list(BytesView(window_).subspan(static_cast<std::size_t>(at_ - window_begin_)));
  const auto entry = list.take(kSequence);
  if (!entry || entry->whole.size() > kLargestEntry) return check_failed("an entry");
  DerReader fields(entry->content);
  const auto serial = fields.take(kInteger);
  const auto when = fields.next();
  const auto magnitude = serial ? read_unsigned(*serial) : std::nullopt;
  const auto revoked_at = when ? read_time(*when) : std::nullopt;
  if (!magnitude || magnitude->size() > kLongestSerial || !revoked_at) return check_failed("an entry");
  Revocation revocation{SerialNumber(*magnitude), *revoked_at, RevocationReason::kUnspecified};
  if (const auto extension = fields.next()) {
    const BytesView whole = extension->whole;
    const auto reason = whole.size() == kReasonBefore.size() + 1 &&
                                std::equal(kReasonBefore.begin(), kReasonBefore.end(), whole.begin())
                            ? revocation_reason_from_code(whole.back())
                            : std::nullopt;
    if (!reason || *reason == RevocationReason::kUnspecified) return check_failed("a reason");
    revocation.reason = *reason;
  }
  if (!fields.at_end()) return check_failed("something behind an entry");
  if (last_ && !(*last_ < revocation.serial)) return check_failed("entries out of order");
  last_ = revocation.serial;
  at_ += entry->whole.size();
  return revocation;
}

Status CrlReader::check_issuer(const IssuerRecord& issuer) const {
  CAPF_LET(const IssuerFacts facts, facts_of(issuer));
  if (issuer_ != facts.name) return check_failed("another issuer's name");
  if (extensions_ != extensions(terms_, facts.key_id)) return check_failed("extensions");
  const ErrorQueue errors;
  EVP_PKEY* key = X509_get0_pubkey(facts.certificate.get());
  const auto signing = key == nullptr ? std::nullopt : signing_of(key);
  if (!signing || algorithm_ != signing->algorithm) return check_failed("signature algorithm");
  const DigestContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, signing->digest, nullptr, key) != 1) {
    return fail_internal("EVP_DigestVerifyInit: " + errors.text());
  }
  CAPF_TRY(for_pieces(file_, tbs_begin_, tbs_end_, [&](BytesView piece) -> Status {
    if (EVP_DigestVerifyUpdate(context.get(), piece.data(), piece.size()) != 1) return fail_internal(errors.text());
    return {};
  }));
  if (EVP_DigestVerifyFinal(context.get(), signature_.data(), signature_.size()) != 1) return check_failed("signature");
  return {};
}

Result<Sha256> CrlReader::digest() const {
  const DigestContext context(EVP_MD_CTX_new());
  Sha256 digest{};
  unsigned size = 0;
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return fail_internal("EVP_DigestInit_ex");
  CAPF_TRY(for_pieces(file_, 0, size_, [&](BytesView piece) -> Status {
    if (EVP_DigestUpdate(context.get(), piece.data(), piece.size()) != 1) return fail_internal("EVP_DigestUpdate");
    return {};
  }));
  if (EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1) return fail_internal("EVP_DigestFinal_ex");
  return digest;
}

}  // namespace capf::ca
