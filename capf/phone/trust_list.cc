#include "capf/phone/trust_list.h"

#include <algorithm>
#include <array>

namespace capf::phone {
namespace {

enum Tag : std::uint8_t {
  kRecordLength = 0x01,
  kDnsName = 0x02,
  kSubject = 0x03,
  kRole = 0x04,
  kIssuer = 0x05,
  kSerial = 0x06,
  kKey = 0x07,
  kSignature = 0x08,
  kCertificate = 0x09,
  kAddress = 0x0A,
};

constexpr std::size_t kRecordHead = 5;  // the element of its length
constexpr std::array kRoles{Role::kSast, Role::kCcm,       Role::kCcmTftp, Role::kTftp,
                            Role::kCapf, Role::kAppServer, Role::kTvs};

using Values = std::map<std::uint8_t, BytesView>;

tl::unexpected<Error> bad(const std::string& why) { return fail(Reason::kFileMalformed, why); }

bool same(BytesView a, BytesView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

/// Checks that the record says what its certificate says.
bool agrees(const Values& values, const Certificate& certificate) {
  for (const std::uint8_t tag : {kSubject, kIssuer, kSerial, kKey}) {
    if (!values.contains(tag)) return false;
  }
  const auto subject = read_text(values.at(kSubject));
  const auto issuer = read_text(values.at(kIssuer));
  const auto signature = values.find(kSignature);
  return subject && certificate.has_subject(*subject) && issuer && certificate.has_issuer(*issuer) &&
         same(values.at(kSerial), certificate.serial()) && same(values.at(kKey), certificate.key()) &&
         (signature == values.end() || same(signature->second, certificate.signature()));
}

Result<TrustList::Record> read_record(BytesView octets) {
  const auto values = read_elements(octets);
  if (!values) return bad("a record's element is there twice, or does not end");
  for (const auto& [tag, value] : *values) {
    if (tag < kDnsName || tag > kAddress) return bad("a record has an element that phones do not know");
  }
  if (!values->contains(kRole)) return bad("a record has no role");
  const auto code = read_number(values->at(kRole), 2);
  const auto role =
      std::find_if(kRoles.begin(), kRoles.end(), [&](Role each) { return code == static_cast<std::uint32_t>(each); });
  if (role == kRoles.end()) return bad("a record has a role that phones do not know");
  if (const auto dns = values->find(kDnsName); dns != values->end() && !read_text(dns->second)) {
    return bad("a record has a broken host name");
  }
  if (const auto address = values->find(kAddress); address != values->end() && address->second.size() != 4) {
    return bad("a record has a broken address");
  }
  TrustList::Record record{*role, std::nullopt};
  if (!values->contains(kCertificate)) {
    for (const std::uint8_t tag : {kSubject, kIssuer, kSerial, kKey, kSignature}) {
      if (values->contains(tag)) return bad("a record lacks its certificate");
    }
    return record;
  }
  auto certificate = Certificate::read(values->at(kCertificate));
  if (!certificate) return bad("the certificate of a record cannot be read");
  if (!agrees(*values, *certificate)) return bad("a record says something else than its certificate");
  record.certificate = *std::move(certificate);
  return record;
}

Result<std::vector<TrustList::Record>> read_records(BytesView body) {
  std::vector<TrustList::Record> records;
  for (Octets rest(body); !rest.empty();) {
    const auto head = rest.element();
    const auto size = head && head->tag == kRecordLength ? read_number(head->value, 2) : std::nullopt;
    if (!size || *size < kRecordHead) return bad("no record begins where one must");
    const auto octets = rest.take(*size - kRecordHead);
    if (!octets) return bad("a record is cut off");
    CAPF_LET(TrustList::Record record, read_record(*octets));
    records.push_back(std::move(record));
  }
  return records;
}

bool is_one_of(Role role, std::initializer_list<Role> roles) {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

}  // namespace

std::size_t TrustList::certificates() const {
  return static_cast<std::size_t>(std::count_if(records.begin(), records.end(),
                                                [](const Record& record) { return record.certificate.has_value(); }));
}

Result<TrustList> read_trust_list(Bytes octets, std::string_view name) {
  if (octets.size() > kLargestList) return bad("the list is larger than phones take");
  TrustList list;
  list.octets = std::move(octets);
  CAPF_LET(const Header header, read_header(list.octets, name));
  if (header.kind != Header::Kind::kList) return bad("it is no trust list");
  list.https = header.https;
  CAPF_LET(list.records, read_records(header.body));
  int signers = 0;
  for (const TrustList::Record& record : list.records) {
    if (record.role != Role::kSast) continue;
    if (++signers > 2 || !record.certificate)
      return bad("it has too many who may sign lists, or one without a certificate");
  }
  const auto signer = std::find_if(list.records.begin(), list.records.end(), [&](const TrustList::Record& record) {
    return record.role == Role::kSast && header.is_signed_by(*record.certificate);
  });
  if (signer == list.records.end()) return fail(Reason::kFileSignature, "no SAST of its own has signed the list");
  list.signer = static_cast<std::size_t>(signer - list.records.begin());
  return list;
}

std::vector<const Certificate*> TrustLists::find(std::initializer_list<Role> roles) const {
  std::vector<const Certificate*> found;
  for (const auto* list : {&ctl, &itl}) {
    if (!*list) continue;
    for (const TrustList::Record& record : (*list)->records) {
      if (record.certificate && is_one_of(record.role, roles)) found.push_back(&*record.certificate);
    }
  }
  return found;
}

bool TrustLists::has(const Certificate& certificate, std::initializer_list<Role> roles) const {
  const auto found = find(roles);
  return std::any_of(found.begin(), found.end(),
                     [&](const Certificate* each) { return each->der() == certificate.der(); });
}

bool TrustLists::wants_signatures() const {
  const auto signers = find({Role::kTftp, Role::kCcmTftp});
  return std::any_of(signers.begin(), signers.end(), [](const Certificate* each) { return each->rsa_bits() != 0; });
}

bool TrustLists::is_released() const {
  if (!itl) return false;
  bool emptied = false;
  for (const TrustList::Record& record : itl->records) {
    if (!is_one_of(record.role, {Role::kTftp, Role::kCcmTftp, Role::kTvs})) continue;
    if (record.certificate) return false;
    emptied = true;
  }
  return emptied;
}

}  // namespace capf::phone
