#include "capf/files/trust_list.h"

#include <algorithm>

#include "capf/ca/listed.h"
#include "capf/files/element.h"

namespace capf::files {
namespace {

enum Tag : std::uint8_t {
  kRecordLength = 0x01,
  kDns = 0x02,
  kSubject = 0x03,
  kRole = 0x04,
  kIssuer = 0x05,
  kSerial = 0x06,
  kPublicKey = 0x07,
  kSignature = 0x08,
  kCertificate = 0x09,
  kAddress = 0x0A,
};

constexpr std::size_t kLengthElement = 5;  // octets of a record's first element, which counts itself
constexpr std::size_t kMostSigners = 2;
constexpr std::size_t kLongestDns = 255;

bool same(BytesView a, BytesView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

Result<TrustRole> read_role(BytesView value) {
  CAPF_LET(const std::uint32_t code, read_number(value, 2));
  if (const auto role = trust_role_of(static_cast<int>(code))) return *role;
  return malformed("role " + std::to_string(code) + " is not known");
}

/// Whether a record repeats its certificate's parts rightly. The signature may be absent, as in older lists.
Status check_repeated(const Elements& elements, const Certificate& certificate) {
  for (const std::uint8_t tag : {kSubject, kIssuer, kSerial, kPublicKey}) {
    if (!elements.contains(tag)) return malformed("a record lacks element " + std::to_string(tag));
  }
  CAPF_LET(const std::string subject, read_text(elements.at(kSubject)));
  CAPF_LET(const std::string issuer, read_text(elements.at(kIssuer)));
  if (!certificate.is_subject(subject)) return malformed("a record's subject is not its certificate's");
  if (!certificate.is_issuer(issuer)) return malformed("a record's issuer is not its certificate's");
  if (!same(elements.at(kSerial), certificate.serial())) {
    return malformed("a record's serial number is not its certificate's");
  }
  if (!same(elements.at(kPublicKey), certificate.key())) {
    return malformed("a record's public key is not its certificate's");
  }
  const auto signature = elements.find(kSignature);
  if (signature != elements.end() && !same(signature->second, certificate.signature())) {
    return malformed("a record's signature is not its certificate's");
  }
  return {};
}

Status read_certificate(const Elements& elements, Record& record) {
  const auto found = elements.find(kCertificate);
  if (found == elements.end()) {
    for (const std::uint8_t tag : {kSubject, kIssuer, kSerial, kPublicKey, kSignature}) {
      if (elements.contains(tag)) return malformed("a record lacks the certificate that it names");
    }
    return {};
  }
  auto certificate = Certificate::read(found->second);
  if (!certificate) return malformed("a record's certificate is none: " + certificate.error().message);
  CAPF_TRY(check_repeated(elements, *certificate));
  record.certificate = *std::move(certificate);
  return {};
}

/// @param content of the record, behind the element of its length
Result<Record> read_record(BytesView content) {
  CAPF_LET(const Elements elements, read_elements(content));
  for (const auto& [tag, value] : elements) {
    if (tag < kDns || tag > kAddress) return malformed("a record has element " + std::to_string(tag));
  }
  Record record;
  const auto role = elements.find(kRole);
  if (role == elements.end()) return malformed("a record has no role");
  CAPF_LET(record.role, read_role(role->second));
  if (const auto dns = elements.find(kDns); dns != elements.end()) {
    CAPF_LET(record.dns, read_text(dns->second));
  }
  if (const auto address = elements.find(kAddress); address != elements.end()) {
    Ipv4 octets{};
    if (address->second.size() != octets.size()) return malformed("a record's address does not have 4 octets");
    std::copy(address->second.begin(), address->second.end(), octets.begin());
    record.address = octets;
  }
  CAPF_TRY(read_certificate(elements, record));
  return record;
}

Result<std::vector<Record>> read_records(BytesView body) {
  std::vector<Record> records;
  while (!body.empty()) {
    ElementReader reader(body);
    CAPF_LET(const BytesView length_value, reader.take(kRecordLength));
    CAPF_LET(const std::uint32_t length, read_number(length_value, 2));
    if (length < kLengthElement || length > body.size()) return malformed("a record's length is wrong");
    CAPF_LET(Record record, read_record(body.subspan(kLengthElement, length - kLengthElement)));
    records.push_back(std::move(record));
    body = body.subspan(length);
  }
  return records;
}

/// The record of the one who signed the list: a SAST with the header's serial number and names.
Result<std::size_t> find_signer(const Header& header, const std::vector<Record>& records) {
  std::optional<std::size_t> found;
  std::size_t signers = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& record = records[i];
    if (record.role != TrustRole::kSast) continue;
    ++signers;
    if (!record.certificate) return malformed("a SAST has no certificate");
    if (found || record.certificate->serial() != header.serial) continue;
    if (record.certificate->is_subject(header.signer) && record.certificate->is_issuer(header.issuer)) found = i;
  }
  if (signers == 0 || signers > kMostSigners) {
    return malformed("a list has one or two SAST, this one has " + std::to_string(signers));
  }
  if (!found) return fail(Reason::kFileSignature, "the signer is not among the SAST of the list");
  return *found;
}

Status check_dns(std::string_view dns) {
  const bool plain = std::all_of(dns.begin(), dns.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (dns.size() <= kLongestDns && plain) return {};
  return fail(Reason::kInvalidRequest, "a server's name in a list has up to 255 printable characters of ASCII");
}

// The order is the call manager's.
Bytes write_record(const Listed& listed, TrustRole role, const std::optional<Certificate>& certificate) {
  Bytes content;
  if (!listed.dns.empty()) put_text(content, kDns, listed.dns);
  if (certificate) put_text(content, kSubject, certificate->subject());
  put_number(content, kRole, static_cast<std::uint32_t>(role), 2);
  if (certificate) {
    put_text(content, kIssuer, certificate->issuer());
    put(content, kSerial, certificate->serial());
    put(content, kPublicKey, certificate->key());
    put(content, kSignature, certificate->signature());
    put(content, kCertificate, certificate->der());
  }
  if (listed.address) put(content, kAddress, *listed.address);
  Bytes record;
  put_number(record, kRecordLength, static_cast<std::uint32_t>(kLengthElement + content.size()), 2);
  record.insert(record.end(), content.begin(), content.end());
  return record;
}

Status append_records(const Listed& listed, Bytes& body) {
  CAPF_TRY(check_dns(listed.dns));
  std::optional<Certificate> certificate;
  if (!listed.certificate.empty()) {
    CAPF_LET(certificate, Certificate::read(listed.certificate));
  }
  for (const TrustRole role : listed.roles) {
    const Bytes record = write_record(listed, role, certificate);
    body.insert(body.end(), record.begin(), record.end());
    if (body.size() > kLargestList) return fail(Reason::kTrustListUnfit, "the list has more than 65535 octets");
  }
  return {};
}

void refuse(Findings& findings, Reason reason, std::string message) {
  findings.refusals.push_back({reason, std::move(message)});
}

/// Whether phones have this certificate in this role.
bool has_record(const Result<TrustList>& present, const Record& record) {
  if (!present) return false;
  return std::any_of(present->records.begin(), present->records.end(), [&](const Record& its) {
    return its.role == record.role && its.certificate && same(its.certificate->der(), record.certificate->der());
  });
}

/// Judges a certificate that has expired as of its last moment where phones have it in this role: refused, it would
/// keep back the certificate that is to come after it, and whatever is to be taken from phones.
Findings check_record(const Record& record, const Result<TrustList>& present, TimePoint now) {
  const Certificate& certificate = *record.certificate;
  if (certificate.not_after() > now || !has_record(present, record)) return check_role(certificate, record.role, now);
  Findings findings = check_role(certificate, record.role, certificate.not_after() - std::chrono::seconds(1));
  findings.warnings.push_back(certificate.subject() + " as " + std::string(to_string(record.role)) +
                              ": it expired at " + to_rfc3339(certificate.not_after()));
  return findings;
}

void check_records(const Publication& publication, const TrustList& list, Findings& findings) {
  const auto present = read_trust_list(publication.present, publication.kind);
  bool capf = false;
  for (const Record& record : list.records) {
    if (!record.certificate) continue;
    capf = capf || (record.role == TrustRole::kCapf && same(record.certificate->der(), publication.capf));
    Findings of_record = check_record(record, present, publication.now);
    std::move(of_record.refusals.begin(), of_record.refusals.end(), std::back_inserter(findings.refusals));
    std::move(of_record.warnings.begin(), of_record.warnings.end(), std::back_inserter(findings.warnings));
  }
  if (!capf) refuse(findings, Reason::kTrustListUnfit, "the present certificate of CAPF is not in the list");
  if (list.records.size() > kMostListed) {
    refuse(findings, Reason::kTrustListUnfit,
           "phones take fewer than 39 certificates, the list has " + std::to_string(list.records.size()));
  }
}

void check_succession(const Publication& publication, const TrustList& list, Findings& findings) {
  if (publication.present.empty()) return;
  const auto present = read_trust_list(publication.present, publication.kind);
  if (!present) {
    refuse(findings, Reason::kTrustListNotFollowed, "the present list cannot be read: " + present.error().message);
    return;
  }
  if (list.header.made_at < present->header.made_at) {
    refuse(findings, Reason::kTrustListUnfit, "the list is older than the present one");
  }
  if (!follows(*present, list)) findings.refusals.push_back(Error::of(Reason::kTrustListNotFollowed));
}

}  // namespace

std::string_view file_name(ListKind kind) { return kind == ListKind::kItl ? "ITLFile.tlv" : "CTLFile.tlv"; }

Result<TrustList> read_trust_list(BytesView file, ListKind kind) {
  if (file.size() > kLargestList) return malformed("a trust list has at most 65535 octets");
  CAPF_LET(Parts parts, read_header(file));
  if (parts.header.kind != FileKind::kTrustList) return malformed("the file is no trust list");
  if (parts.header.file_name != file_name(kind)) return fail(Reason::kFileNameMismatch);
  TrustList list;
  CAPF_LET(list.records, read_records(parts.body));
  CAPF_LET(list.signer, find_signer(parts.header, list.records));
  CAPF_TRY(verify_signature(parts, *list.records[list.signer].certificate));
  list.header = std::move(parts.header);
  return list;
}

bool follows(const TrustList& present, const TrustList& next) {
  const Bytes& signer = next.records[next.signer].certificate->der();
  return std::any_of(present.records.begin(), present.records.end(), [&](const Record& record) {
    return record.role == TrustRole::kSast && record.certificate->der() == signer;
  });
}

const Record* find_file_signer(const TrustList& list, const Header& header) {
  for (const Record& record : list.records) {
    const bool signs_files = record.role == TrustRole::kTftp || record.role == TrustRole::kCcmTftp;
    if (signs_files && record.certificate && record.certificate->serial() == header.serial &&
        record.certificate->is_subject(header.signer) && record.certificate->is_issuer(header.issuer)) {
      return &record;
    }
  }
  return nullptr;
}

Findings check_role(const Certificate& certificate, TrustRole role, TimePoint now) {
  Findings findings;
  const std::string words = certificate.subject() + " as " + std::string(to_string(role)) + ": ";
  const auto judged = ca::judge_listed(certificate.der(), {role}, now);
  if (!judged) {
    refuse(findings, Reason::kCertificateRole, words + judged.error().message);
    return findings;
  }
  for (const std::string& warning : judged->warnings) findings.warnings.push_back(words + warning);
  return findings;
}

Result<Bytes> build_trust_list(const ListTerms& terms, std::span<const Listed> listed, const FileSigner& signer) {
  Bytes body;
  for (const Listed& each : listed) CAPF_TRY(append_records(each, body));
  Header header{.kind = FileKind::kTrustList,
                .https = terms.https,
                .digest = terms.digest,
                .file_name = std::string(file_name(terms.kind)),
                .made_at = terms.made_at};
  CAPF_LET(Bytes file, sign_file(std::move(header), body, signer));
  CAPF_TRY(read_trust_list(file, terms.kind));
  return file;
}

Findings check_publication(const Publication& publication) {
  Findings findings;
  const auto list = read_trust_list(publication.list, publication.kind);
  if (!list) {
    findings.refusals.push_back(list.error());
    return findings;
  }
  check_records(publication, *list, findings);
  check_succession(publication, *list, findings);
  return findings;
}

}  // namespace capf::files
