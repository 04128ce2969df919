#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/setting.h"

namespace capf {

enum class TrustListKind : std::uint8_t { kItl, kCtl };
inline constexpr std::array<TrustListKind, 2> kTrustListKinds{TrustListKind::kItl, TrustListKind::kCtl};
/// "itl", "ctl"
std::string_view to_string(TrustListKind kind);
std::optional<TrustListKind> parse_trust_list_kind(std::string_view text);

/// Each generation of a list is signed under both.
enum class ListDigest : std::uint8_t { kSha1, kSha512 };
inline constexpr std::array<ListDigest, 2> kListDigests{ListDigest::kSha1, ListDigest::kSha512};
/// "sha1", "sha512"
std::string_view to_string(ListDigest digest);
std::optional<ListDigest> parse_list_digest(std::string_view text);
/// The digest for a phone of this model: where it is left to the model, SHA-1 for the series that are known to verify
/// nothing else (6900, 7900, 8900, 9900), and SHA-512 for others and where the model is not known.
ListDigest digest_of(FileDigest wanted, std::string_view model);

/// A published list.
struct PublishedList {
  TrustListKind kind = TrustListKind::kItl;
  std::int64_t generation = 0;  ///< of its kind: 1, 2, ...
  ListDigest digest = ListDigest::kSha512;
  Bytes octets{};
  std::string sha1{};   ///< of the file, in lower case, as some phones show it
  std::string md5{};    ///< the same, as others show it
  Sha256 signer{};      ///< of the certificate
  TimePoint made_at{};  ///< as the list says it
  std::string made_by{};
};

/// A generation without its octets.
struct ListGeneration {
  std::int64_t generation = 0;
  std::string sha1_sha1;  ///< the checksums of the list that is signed under SHA-1
  std::string sha1_md5;
  std::string sha512_sha1;
  std::string sha512_md5;
  Sha256 signer{};
  TimePoint made_at;
  std::string made_by;
};

struct TrustListState {
  std::optional<Sha256> signer{};       ///< of the certificate; absent before the first list
  std::optional<Sha256> next_signer{};  ///< it is in the lists beside the other one, which it is to replace
  bool released = false;                ///< lists let phones go

  bool operator==(const TrustListState&) const = default;
};

/// A certificate of the present list.
struct ListedSince {
  Sha256 sha256{};
  std::int64_t generation = 0;  ///< it is in all lists from this one on
};

/// The facts by which the list for a phone is chosen.
struct PhoneList {
  std::string model;
  Settings profile;  ///< its values
  Settings own;
  std::int64_t generation = 0;  ///< 0: there is no list
};

/// A device whose list is asked for.
struct PhoneListQuestion {
  DeviceName device;
  TrustListKind kind = TrustListKind::kItl;
};

/// A list that some phones get though there are newer ones.
struct OlderList {
  TrustListKind kind = TrustListKind::kItl;
  std::int64_t generation = 0;
};

/// Phones that fetched a list of this generation last.
struct ListFetches {
  std::int64_t generation = 0;
  std::int64_t phones = 0;
};

}  // namespace capf
