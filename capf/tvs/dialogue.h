#pragma once

#include <chrono>
#include <string_view>
#include <variant>

#include "capf/tvs/message.h"
#include "capf/tvs/source.h"

// The dialogue of one connection: a question, its answer, and the end. Without I/O.

namespace capf::tvs {

/// Reads the octets of a phone so far: part of a question, a question, or nothing that ever becomes one. A question
/// lives no longer than the octets; what stands behind it is ignored, because a connection has one question.
std::variant<More, Question, Malformed> hear(BytesView arrived);

/// Whether two spellings name the same issuer. Phones repeat the one of their list, where the parts are divided by `;`
/// or `,`, with or without blanks, in either order; quoted by `\` as RFC 4514 has it or not at all.
bool is_same_name(std::string_view said, std::string_view rfc4514);

/// Answers for the site about the certificate that was asked for: valid only for the very octets of a certificate of
/// the source, in its time, and not withdrawn. Errors: those of the source.
/// @param lifetime of a valid answer; shortened so that it does not outlive the certificate.
Result<Answer> judge(const Question& question, CertificateSource& source, TimePoint now, std::chrono::seconds lifetime);

}  // namespace capf::tvs
