#include "capf/daemon/key_purposes.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include <botan/data_src.h>
#include <botan/pem.h>

#include "capf/ca/certificate.h"
#include "capf/ca/spki.h"

namespace capf::daemon {
namespace {

namespace fs = std::filesystem;

const std::string kAudit = "audit";

/// A key by its certificate.
struct KeyOfFile {
  std::string name;     ///< of its file
  std::string purpose;  ///< the first name of its purpose; of a key that phones do not know its own
  bool of_phones = false;
  KeyDigests digests;
};

KeyOfFile key_of_file(const std::string& name, const KeyDigests& digests) {
  for (const KeyPurpose* purpose : key_purposes()) {
    if (!number_of(*purpose, name)) continue;
    return {name, purpose->first, purpose->first != wire_purpose().first, digests};
  }
  return {name, name, false, digests};
}

/// The record's key has no certificate.
std::optional<KeyDigests> audit_key(const SiteFiles& files) {
  const auto pem = read_file(files.audit_public_key());
  if (!pem) return std::nullopt;
  try {
    Botan::DataSource_Memory source(pem->data(), pem->size());
    const auto spki = Botan::PEM_Code::decode_check_label(source, "PUBLIC KEY");
    return ca::key_digests(BytesView(spki.data(), spki.size()));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// The keys of this machine, in the order of their names. A certificate that cannot be read is left out.
std::vector<KeyOfFile> keys_of(const SiteFiles& files) {
  std::vector<KeyOfFile> keys;
  std::error_code error;
  for (fs::directory_iterator at(files.certificates(), error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".pem") continue;
    const std::string name = at->path().stem().string();
    const auto chain = read_chain(files, name);
    if (!chain) continue;
    if (const auto facts = ca::read_certificate(chain->front())) keys.push_back(key_of_file(name, facts->key));
  }
  if (const auto audit = audit_key(files)) keys.push_back(key_of_file(kAudit, *audit));
  std::sort(keys.begin(), keys.end(), [](const KeyOfFile& a, const KeyOfFile& b) { return a.name < b.name; });
  return keys;
}

/// Somebody who holds an RSA key holds every other one of its modulus.
bool same_key(const KeyDigests& a, const KeyDigests& b) {
  return a.sha256 == b.sha256 || (a.modulus && a.modulus == b.modulus);
}

}  // namespace

const KeyPurpose& wire_purpose() {
  static const KeyPurpose purpose{
      .first = "wire",
      .words = "wire certificate",
      .command = "wire-certificate",
      .action = "wire_certificate",
      .uses = "The phones' port of this machine shows",
      .unit = {},
      .role = TrustRole::kCapf,
      .ends = {},
  };
  return purpose;
}

const KeyPurpose& tvs_purpose() {
  static const KeyPurpose purpose{
      .first = "tvs",
      .words = "TVS certificate",
      .command = "tvs-certificate",
      .action = "tvs_certificate",
      .uses = "The Trust Verification Service of this machine shows",
      .unit = "TVS",
      .role = TrustRole::kTvs,
      .ends = {},
  };
  return purpose;
}

const KeyPurpose& list_signer_purpose() {
  static const KeyPurpose purpose{
      .first = "list-signer",
      .words = "list signer",
      .command = "list-signer",
      .action = "list_signer",
      .uses = "Trust lists of this machine are signed with",
      .unit = "List signer",
      .role = TrustRole::kSast,
      .signs = true,
      .ends = ExpiryKind::kListSigner,
  };
  return purpose;
}

const KeyPurpose& file_signer_purpose() {
  static const KeyPurpose purpose{
      .first = "file-signer",
      .words = "file signer",
      .command = "file-signer",
      .action = "file_signer",
      .uses = "Files of this machine are signed with",
      .unit = "File signer",
      .role = TrustRole::kTftp,
      .signs = true,
      .ends = ExpiryKind::kFileSigner,
  };
  return purpose;
}

const KeyPurpose& file_server_purpose() {
  static const KeyPurpose purpose{
      .first = "file-server",
      .words = "file server certificate",
      .command = "file-server",
      .action = "file_server",
      .uses = "The file service of this machine shows",
      .unit = "File server",
      .role = TrustRole::kTftp,
      .algorithm = ca::KeyAlgorithm::kP384,
      .ends = ExpiryKind::kFileServer,
  };
  return purpose;
}

const KeyPurpose& recovery_signer_purpose() {
  static const KeyPurpose purpose{
      .first = "recovery-signer",
      .words = "recovery signer",
      .command = {},
      .action = "recovery_signer",
      .uses = {},
      .unit = "Recovery signer",
      .role = TrustRole::kSast,
      .signs = true,
      .ends = ExpiryKind::kRecoverySigner,
  };
  return purpose;
}

const std::vector<const KeyPurpose*>& key_purposes() {
  static const std::vector<const KeyPurpose*> all{
      &recovery_signer_purpose(), &wire_purpose(),        &tvs_purpose(),
      &list_signer_purpose(),     &file_signer_purpose(), &file_server_purpose(),
  };
  return all;
}

std::string name_of(const KeyPurpose& purpose, int number) {
  return number == 1 ? purpose.first : purpose.first + "-" + std::to_string(number);
}

std::optional<int> number_of(const KeyPurpose& purpose, const std::string& name) {
  if (name == purpose.first) return 1;
  const std::string prefix = purpose.first + "-";
  if (purpose.command.empty() || !name.starts_with(prefix)) return std::nullopt;
  int number = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + prefix.size(), end, number);
  if (error != std::errc() || at != end || number < 2 || name != name_of(purpose, number)) return std::nullopt;
  return number;
}

std::vector<std::string> names_of(const KeyPurpose& purpose, const SiteFiles& files) {
  std::vector<std::pair<int, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator at(files.certificates(), error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".pem") continue;
    const std::string name = at->path().stem().string();
    if (const auto number = number_of(purpose, name)) found.emplace_back(*number, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [number, name] : found) names.push_back(std::move(name));
  return names;
}

Result<std::string> shown_on(const KeyPurpose& purpose, const SiteFiles& files) {
  const fs::path path = files.shown(purpose.first);
  std::error_code error;
  if (!fs::exists(path, error)) return purpose.first;
  CAPF_LET(const Bytes file, read_file(path));
  std::string name(file.begin(), file.end());
  while (!name.empty() && name.back() == '\n') name.pop_back();
  if (number_of(purpose, name)) return name;
  return fail(Reason::kInvalidConfiguration, path.string() + " names no " + purpose.words);
}

Result<std::string> shown_wire(const SiteFiles& files) { return shown_on(wire_purpose(), files); }

std::vector<std::filesystem::path> shown_paths(const KeyPurpose& purpose, const SiteFiles& files) {
  std::vector<std::filesystem::path> paths{files.shown(purpose.first)};
  if (const auto name = shown_on(purpose, files)) {
    paths.push_back(files.key(*name));
    paths.push_back(files.certificate(*name));
  }
  return paths;
}

std::vector<rpc::WireCertificate> trusted_wire(const SiteFiles& files) {
  const std::string shown = shown_wire(files).value_or("");
  std::vector<std::string> names{shown, kWireEc};
  for (const std::string& name : names_of(wire_purpose(), files)) {
    if (name != shown) names.push_back(name);
  }
  std::vector<rpc::WireCertificate> certificates;
  for (const std::string& name : names) {
    auto chain = read_chain(files, name);
    if (chain) certificates.push_back({name, name == shown || name == kWireEc, std::move(chain->front())});
  }
  return certificates;
}

Status check_one_purpose(const KeyPurpose& purpose, const KeyDigests& key, const SiteFiles& files) {
  for (const KeyOfFile& other : keys_of(files)) {
    if (other.purpose == purpose.first || !same_key(key, other.digests)) continue;
    return fail(Reason::kKeyReserved,
                "the " + purpose.words + " needs a key of its own, and this one is that of " + other.name);
  }
  return {};
}

Status check_purposes(const SiteFiles& files) {
  std::map<Sha256, KeyOfFile> seen;
  for (const KeyOfFile& key : keys_of(files)) {
    for (const Sha256& digest : key.digests.all()) {
      const auto [at, added] = seen.emplace(digest, key);
      const KeyOfFile& other = at->second;
      if (added || other.purpose == key.purpose || !(other.of_phones || key.of_phones)) continue;
      return fail(Reason::kInvalidConfiguration, other.name + " and " + key.name + " in " +
                                                     files.certificates().string() +
                                                     " have one key: each purpose needs a key of its own");
    }
  }
  return {};
}

}  // namespace capf::daemon
