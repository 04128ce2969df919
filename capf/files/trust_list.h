#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/domain/setting.h"
#include "capf/domain/trust_role.h"
#include "capf/files/header.h"

// Trust lists: the certificates that a phone believes, each for one purpose. Source: specs/phone-files.md 3.

namespace capf::files {

/// Every phone that knows the first one gets it; those of a site in mixed mode get the second one too.
enum class ListKind : std::uint8_t { kItl, kCtl };
/// The name inside a list, also inside one that is made for one device: "ITLFile.tlv".
std::string_view file_name(ListKind kind);

using Ipv4 = std::array<std::uint8_t, 4>;

/// A server in a list. Without a certificate it is one that phones shall not use TLS with, or no longer believe.
struct Listed {
  Bytes certificate;  ///< DER; may be empty
  TrustRoles roles;   ///< one record each
  std::string dns{};  ///< a name or an address in text; may be empty
  std::optional<Ipv4> address{};
};

/// A record as it was read.
struct Record {
  TrustRole role = TrustRole::kSast;
  std::optional<Certificate> certificate;
  std::string dns;
  std::optional<Ipv4> address;
};

struct TrustList {
  Header header;
  std::vector<Record> records;
  std::size_t signer = 0;  ///< the record of the signer
};

/// Reads a list and checks all that a list can show by itself: its name, that each record is what its certificate says,
/// one or two SAST, the signer among them, its signature, and the size that phones take.
/// Errors: FILE_MALFORMED, FILE_NAME_MISMATCH, FILE_SIGNATURE.
Result<TrustList> read_trust_list(BytesView file, ListKind kind);

/// Whether a phone that has `present` takes `next`: its signer is a SAST of `present`.
bool follows(const TrustList& present, const TrustList& next);
/// The record with the certificate that may have signed this file: TFTP or CCM+TFTP. Null where the list has none.
const Record* find_file_signer(const TrustList& list, const Header& header);

/// Judges a certificate for a role by ca::judge_listed(). A refusal has the reason CERTIFICATE_ROLE.
Findings check_role(const Certificate& certificate, TrustRole role, TimePoint now);

struct ListTerms {
  ListKind kind = ListKind::kItl;
  Digest digest = Digest::kSha512;
  bool https = false;
  TimePoint made_at{};
};
/// Writes and signs a list, and reads it back. The signer must be listed as SAST.
/// Errors: INVALID_CERTIFICATE, INVALID_REQUEST, those of sign_file() and read_trust_list().
Result<Bytes> build_trust_list(const ListTerms& terms, std::span<const Listed> listed, const FileSigner& signer);

/// Phones of a list with more certificates, or of more octets, fail to load it.
inline constexpr std::size_t kMostListed = 38;
inline constexpr std::size_t kLargestList = 65535;

struct Publication {
  BytesView list;
  ListKind kind = ListKind::kItl;
  BytesView present;  ///< the list that phones have; empty where there is none
  BytesView capf;     ///< the certificate of CAPF in use, DER
  TimePoint now{};
};
/// Judges a list before it takes the place of the present one. A certificate that has expired is refused unless phones
/// have it in its role. Reasons: TRUST_LIST_UNFIT, CERTIFICATE_ROLE and those of read_trust_list();
/// TRUST_LIST_NOT_FOLLOWED, which alone an administrator may pass over.
Findings check_publication(const Publication& publication);

}  // namespace capf::files
