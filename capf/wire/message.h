#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/wire/frame.h"

// The contents of the CAPF protocol's messages. Codes and sizes are those of `capf/wire/README.md`; codes that it calls
// "not observed" have no meaning here either.

namespace capf::wire {

enum class Command : std::uint8_t {
  kAuthRequest = 1,
  kAuthResponse = 2,
  kKeyGenerateRequest = 3,
  kKeyGenerateResponse = 4,
  kStoreRequest = 9,
  kStoreResponse = 10,
  kFetchRequest = 11,
  kFetchResponse = 12,
  kDeleteRequest = 13,
  kDeleteResponse = 14,
  kEndSession = 15,
  kRequestInProgress = 17,
};

enum class Tag : std::uint8_t {
  kReason = 1,
  kCertificateType = 3,
  kCertificate = 4,
  kSignedData = 6,
  kVersion = 7,
  kPublicKey = 9,
  kKeySize = 10,
  kPassword = 11,
  kDeviceName = 13,
  kSudiData = 16,
  kKeyType = 17,
  kCurve = 18,
  kSha2SignedData = 20,
};

inline constexpr std::uint8_t kReasonNoAction = 0;
inline constexpr std::uint8_t kReasonUpdated = 1;  ///< from a phone: stored, deleted, here it is
inline constexpr std::uint8_t kReasonInvalidElement = 7;
inline constexpr std::uint8_t kReasonUnknownDevice = 9;

inline constexpr std::uint8_t kTypeLsc = 1;
inline constexpr std::uint8_t kTypeMic = 2;
inline constexpr std::uint8_t kKeyRsa = 0;
inline constexpr std::uint8_t kKeyEc = 1;
inline constexpr std::uint8_t kVersion2 = 2;
inline constexpr std::uint8_t kVersion3 = 3;
inline constexpr std::uint8_t kHashSha1 = 1;
inline constexpr std::uint8_t kHashSha256 = 2;
inline constexpr std::uint8_t kHashSha512 = 3;

struct CertificateElement {
  std::uint8_t type = 0;  ///< kTypeLsc, kTypeMic
  BytesView der;
};

struct Sha2Signature {
  std::uint8_t hash = 0;  ///< kHashSha256, kHashSha512; also kHashSha1
  BytesView signature;
};

struct Sudi {
  BytesView certificate;  ///< DER
  BytesView sha1_signature;
  BytesView sha512_signature;
};

/// Any message. Views point into the octets that it was read from.
struct Message {
  Command command = Command::kRequestInProgress;
  std::uint32_t session_id = 0;

  std::optional<std::uint8_t> reason{};
  std::optional<std::uint8_t> version{};
  std::optional<std::string_view> password{};  ///< without its NUL; empty where there is none
  std::optional<std::uint16_t> key_size{};     ///< bits
  std::optional<std::uint8_t> key_type{};
  std::optional<std::uint8_t> curve{};
  std::optional<std::string_view> device{};  ///< without its NUL; may contain any other octets
  std::optional<std::uint8_t> certificate_type{};
  std::optional<CertificateElement> certificate{};
  std::optional<BytesView> signed_data{};
  std::optional<Sha2Signature> sha2_signed_data{};
  std::optional<Sudi> sudi{};
  std::optional<BytesView> public_key{};  ///< SubjectPublicKeyInfo
};

/// Reads the elements that count in a message of that command and ignores the others. Malformed: an element runs past
/// the end, one that counts is there twice or has another size or form than it must. A command that is not in Command
/// is no fault here: all its elements are ignored.
std::variant<Message, Malformed> read_message(const Frame& frame);

/// The message on the wire, its elements in the order in which Cisco's own sides send them.
/// Errors: REQUEST_TOO_LARGE.
Result<Bytes> encode(const Message& message);

/// "key_generate_request key_size=2048 key_type=rsa": for the trace and for tests. Never the password, and of long
/// elements only their sizes; a stranger's text is escaped.
std::string describe(const Message& message);
/// "auth_response", or "command_8" for one that is not in Command.
std::string describe(Command command);

/// 256, 384, 521 bits from the curve's code; nothing for any other code.
std::optional<int> curve_bits(std::uint8_t curve);
std::optional<std::uint8_t> curve_of_bits(int bits);

}  // namespace capf::wire
