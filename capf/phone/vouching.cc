#include "capf/phone/vouching.h"

#include <algorithm>

namespace capf::phone {
namespace {

constexpr std::uint8_t kProtocol = 0x57;
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kSession = 1;
constexpr std::size_t kEchoed = 4;  // where the session begins, which has four octets

enum Message : std::uint8_t { kVerify = 1, kQuery = 3 };

// The numbers of issuer and serial number are those of a log: nobody has published them.
enum Tag : std::uint8_t {
  kDevice = 1,
  kCertificate = 2,
  kSubject = 3,
  kIssuer = 4,
  kSerial = 5,
  kStatus = 7,
  kRoles = 8,
  kLifetime = 9,
};

void append(Bytes& octets, BytesView more) { octets.insert(octets.end(), more.begin(), more.end()); }

void append_size(Bytes& octets, std::size_t size) {
  octets.push_back(static_cast<std::uint8_t>(size >> 8));
  octets.push_back(static_cast<std::uint8_t>(size));
}

void append_element(Bytes& octets, Tag tag, BytesView value) {
  octets.push_back(tag);
  append_size(octets, value.size());
  append(octets, value);
}

/// With its NUL.
BytesView text_of(const std::string& text) { return as_bytes({text.c_str(), text.size() + 1}); }

Bytes message(Message kind, const std::string& device, const Bytes& elements) {
  Bytes all;
  const std::string named = "\1CP-8861-" + device;
  append_element(all, kDevice, as_bytes(named));
  append(all, elements);
  Bytes octets{kProtocol, kVersion, kind, 0, 0, 0, 0, kSession};
  append_size(octets, all.size());
  append(octets, all);
  return octets;
}

tl::unexpected<Error> bad() {
  return fail(Reason::kMessageMalformed, "the answer of the Trust Verification Service breaks the protocol");
}

}  // namespace

Bytes ask_for_certificate(const std::string& device, const Certificate& certificate) {
  Bytes elements;
  append_element(elements, kCertificate, certificate.der());
  return message(kVerify, device, elements);
}

Bytes ask_for_signer(const std::string& device, const Header& file) {
  Bytes elements;
  append_element(elements, kSubject, text_of(file.signer));
  append_element(elements, kIssuer, text_of(file.issuer));
  append_element(elements, kSerial, file.serial);
  return message(kQuery, device, elements);
}

bool Answer::has(std::initializer_list<Role> any) const {
  return std::find_first_of(roles.begin(), roles.end(), any.begin(), any.end()) != roles.end();
}

Result<Answer> read_answer(BytesView answer, BytesView question) {
  CAPF_INVARIANT(question.size() >= kAnswerHead);
  if (answer.size() < kAnswerHead || answer[0] != kProtocol || answer[1] != kVersion || answer[2] != question[2] + 1 ||
      !std::equal(answer.begin() + kEchoed, answer.begin() + kEchoed + 4, question.begin() + kEchoed) ||
      read_number(answer.subspan(8, 2), 2) != answer.size() - kAnswerHead) {
    return bad();
  }
  const auto values = read_elements(answer.subspan(kAnswerHead));
  if (!values || !values->contains(kStatus)) return bad();
  const auto status = read_number(values->at(kStatus), 1);
  if (!status || *status > 1) return bad();
  Answer found;
  found.valid = *status == 0;
  if (!found.valid) return found;
  if (!values->contains(kRoles) || !values->contains(kLifetime) || !read_number(values->at(kLifetime), 4)) return bad();
  for (const std::uint8_t role : values->at(kRoles)) found.roles.push_back(static_cast<Role>(role));
  if (question[2] != kQuery) return found;
  if (!values->contains(kCertificate)) return bad();
  auto certificate = Certificate::read(values->at(kCertificate));
  if (!certificate) return bad();
  found.certificate = *std::move(certificate);
  return found;
}

}  // namespace capf::phone
