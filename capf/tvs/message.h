#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <variant>

#include "capf/base/bytes.h"
#include "capf/domain/trust_role.h"
#include "capf/tvs/frame.h"

// The questions of phones to the Trust Verification Service, and the answers: `capf/tvs/README.md`. Pure.

namespace capf::tvs {

inline constexpr std::size_t kLongestDevice = 128;  ///< octets of the name behind its leading 01
inline constexpr std::size_t kLongestName = 2048;   ///< octets of a subject or issuer, with its NUL
inline constexpr std::size_t kLongestSerial = 20;   ///< RFC 5280 4.1.2.2

/// CERT_VERIFICATION_REQ: may this certificate be trusted?
struct Verify {
  BytesView certificate;  ///< as it was sent: neither bounded nor parsed
};

/// QUERY_CERT_REQ: which certificate has this issuer and serial number?
struct Query {
  std::string_view issuer;  ///< without its NUL, as the phone spells it
  BytesView serial;         ///< big-endian, without leading zeros
};

/// A phone's question. It lives no longer than the octets that it was read from.
struct Question {
  std::uint32_t session = 0;
  std::string_view device;  ///< "CP-8861-SEP001122334455": printable ASCII, and nothing that anybody has proven
  std::variant<Verify, Query> what;
};

/// Reads a message of a phone. Elements that are not known are passed over in a verification, because a phone may know
/// more of them; issuer and serial number are told apart by their form, because nobody has published their numbers.
std::variant<Question, Malformed> read_question(const Frame& frame);

/// The outcome of a question.
enum class Outcome : std::uint8_t { kValid, kUnknown, kExpired, kNotYetValid, kWithdrawn };
/// "valid", "unknown", "expired", "not_yet_valid", "withdrawn"
std::string_view to_string(Outcome outcome);

/// A phone hears `invalid` for every outcome but the first.
struct Answer {
  Outcome outcome = Outcome::kUnknown;
  Bytes certificate{};  ///< where it is valid: DER
  TrustRoles roles{};
  std::chrono::seconds lifetime{};  ///< for which the phone may keep the answer
};

/// The message with which the server answers.
Bytes encode(const Question& question, const Answer& answer);

}  // namespace capf::tvs
