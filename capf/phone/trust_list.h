#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/phone/header.h"

// Trust lists as a phone reads and believes them. Source: specs/phone-files.md 3.

namespace capf::phone {

/// The purpose of a certificate in a list, by its code.
enum class Role : std::uint16_t {
  kSast = 0,
  kCcm = 1,
  kCcmTftp = 2,
  kTftp = 3,
  kCapf = 4,
  kAppServer = 7,
  kTvs = 21,
};

struct TrustList {
  struct Record {
    Role role = Role::kSast;
    std::optional<Certificate> certificate;  ///< none: TLS is not to be used with this server
  };

  Bytes octets;
  bool https = false;
  std::vector<Record> records;
  std::size_t signer = 0;  ///< its record

  const Certificate& signer_certificate() const { return *records[signer].certificate; }
  std::size_t certificates() const;
};

/// The largest list that phones take.
inline constexpr std::size_t kLargestList = 65535;

/// Reads a list and checks all that it shows by itself: its name, that each record is what its certificate says, one or
/// two SAST, its signer among them, its signature.
/// @param name "CTLFile.tlv" or "ITLFile.tlv". Errors: FILE_MALFORMED, FILE_NAME_MISMATCH, FILE_SIGNATURE.
Result<TrustList> read_trust_list(Bytes octets, std::string_view name);

/// The lists that a phone has.
struct TrustLists {
  std::optional<TrustList> ctl, itl;

  /// The certificates in one of these roles.
  std::vector<const Certificate*> find(std::initializer_list<Role> roles) const;
  bool has(const Certificate& certificate, std::initializer_list<Role> roles) const;
  bool https() const { return (itl && itl->https) || (ctl && ctl->https); }
  /// Whether configurations must be signed: a list names somebody who signs them.
  bool wants_signatures() const;
  /// The ITL has been emptied of all servers for files and trust, so that any next one is taken: phones leave a site
  /// so.
  bool is_released() const;
};

}  // namespace capf::phone
