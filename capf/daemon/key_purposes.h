#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "capf/ca/key.h"
#include "capf/daemon/site.h"
#include "capf/domain/expiry.h"
#include "capf/domain/key.h"
#include "capf/domain/trust_role.h"
#include "capf/rpc/server.h"

// The purposes of the keys whose certificates phones know by their trust lists. Each has files of its own: "wire" of
// the CAPF protocol, "tvs", "list-signer", "file-signer", "file-server", "recovery-signer". Phones pin certificates, so
// the next one ("wire-2", "wire-3") is kept beside the one in use until every phone trusts both.

namespace capf::daemon {

/// The phones' port shows it too, where an administrator has put it there.
inline const std::string kWireEc = "wire-ec";

/// A purpose of keys whose certificates phones pin. No key serves two.
struct KeyPurpose {
  std::string first;    ///< the name of the first one: "wire"; the second one is "wire-2"
  std::string words;    ///< "wire certificate"
  std::string command;  ///< "wire-certificate"; empty where there is but one for ever
  std::string action;   ///< of the record: "wire_certificate"
  std::string uses;     ///< who uses it, before its name: "The phones' port of this machine shows"
  std::string unit;     ///< the OU of its subject, which has the site's host; empty: a random name
  TrustRole role = TrustRole::kCapf;
  ca::KeyAlgorithm algorithm = ca::KeyAlgorithm::kRsa2048;
  bool signs = false;              ///< files, so that it may be in a token; else a port shows it
  std::optional<ExpiryKind> ends;  ///< how its ends are reported; absent where its port does
};
const KeyPurpose& wire_purpose();
const KeyPurpose& tvs_purpose();
const KeyPurpose& list_signer_purpose();
const KeyPurpose& file_signer_purpose();
const KeyPurpose& file_server_purpose();
/// Only its certificate is on the machine: its key brings back a site that has lost the list signer's.
const KeyPurpose& recovery_signer_purpose();
/// All of them, the recovery signer's first: an init that cannot write its key makes no other.
const std::vector<const KeyPurpose*>& key_purposes();

/// "wire" for 1, "wire-2" for 2.
std::string name_of(const KeyPurpose& purpose, int number);
/// 1 for "wire", 2 for "wire-2"; nothing for another name.
std::optional<int> number_of(const KeyPurpose& purpose, const std::string& name);
/// The names that are there, by their numbers.
std::vector<std::string> names_of(const KeyPurpose& purpose, const SiteFiles& files);
/// The name of the one that this server uses. Errors: INVALID_CONFIGURATION.
Result<std::string> shown_on(const KeyPurpose& purpose, const SiteFiles& files);
Result<std::string> shown_wire(const SiteFiles& files);
/// The files that say what this server uses: the one with its name, its key and its certificate.
std::vector<std::filesystem::path> shown_paths(const KeyPurpose& purpose, const SiteFiles& files);
/// The certificates of the phones' port that phones are to trust, "wire-ec" among them: those that are shown first, RSA
/// before EC. One that cannot be read is left out.
std::vector<rpc::WireCertificate> trusted_wire(const SiteFiles& files);

/// Whether the key is in no certificate of this machine with another purpose. Errors: KEY_RESERVED.
Status check_one_purpose(const KeyPurpose& purpose, const KeyDigests& key, const SiteFiles& files);
/// The same for every certificate of this machine. The wire's keys and those of others are told apart where that
/// matters: see WirePort. Errors: INVALID_CONFIGURATION.
Status check_purposes(const SiteFiles& files);

}  // namespace capf::daemon
