#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/phone/trust_list.h"

// The questions of a phone to the Trust Verification Service, and its answers. Source: specs/phone-files.md 6.

namespace capf::phone {

/// Whether a certificate that a server shows may be trusted.
Bytes ask_for_certificate(const std::string& device, const Certificate& certificate);
/// The certificate of a file's signer.
Bytes ask_for_signer(const std::string& device, const Header& file);

/// An answer begins with these octets, whose last two say how many follow.
inline constexpr std::size_t kAnswerHead = 10;

struct Answer {
  bool valid = false;
  std::optional<Certificate> certificate;  ///< of a signer
  std::vector<Role> roles;

  bool has(std::initializer_list<Role> any) const;
};
/// @param question that it answers. Errors: MESSAGE_MALFORMED.
Result<Answer> read_answer(BytesView answer, BytesView question);

}  // namespace capf::phone
