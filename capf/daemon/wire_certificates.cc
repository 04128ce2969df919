#include "capf/daemon/wire_certificates.h"

#include <algorithm>
#include <charconv>

#include "capf/ca/certificate.h"
#include "capf/ca/site.h"
#include "capf/ca/spki.h"
#include "capf/daemon/host.h"
#include "capf/daemon/machine.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/key_store.h"
#include "capf/service/steps.h"

namespace capf::daemon {
namespace {

namespace fs = std::filesystem;

const std::string kFirst = "wire";
const std::string kPrefix = "wire-";
const std::string kEc = "wire-ec";
constexpr int kMost = 4;

/// 1 for "wire", 2 for "wire-2"; nothing for another name.
std::optional<int> number_of(const std::string& name) {
  if (name == kFirst) return 1;
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int number = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + kPrefix.size(), end, number);
  if (error != std::errc() || at != end || number < 2 || name != kPrefix + std::to_string(number)) return std::nullopt;
  return number;
}

/// The names that are there, by their numbers.
std::vector<std::string> names_in(const SiteFiles& files) {
  std::vector<std::pair<int, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator at(files.certificates(), error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".pem") continue;
    const std::string name = at->path().stem().string();
    if (const auto number = number_of(name)) found.emplace_back(*number, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [number, name] : found) names.push_back(std::move(name));
  return names;
}

Result<ca::CertificateFacts> facts_of(const SiteFiles& files, const std::string& name) {
  CAPF_LET(const auto chain, read_chain(files, name));
  return ca::read_certificate(chain.front());
}

Status check_there(const SiteFiles& files, const std::string& name) {
  std::error_code error;
  if (number_of(name) && fs::exists(files.certificate(name), error)) return {};
  std::string words = "there is no wire certificate '" + name + "' on this machine; there are";
  for (const std::string& present : names_in(files)) words += " " + present;
  return fail(Reason::kInvalidRequest, words);
}

/// The record has the change before it is made.
/// @param key is to be the site's alone, from then on
Status on_record(const Machine& machine, const std::string& action, const std::string& name,
                 const ca::CertificateFacts& facts, const std::optional<KeyDigests>& key = {}) {
  return machine.database->write([&](Transaction& tx) -> Status {
    CAPF_TRY(service::check_clock(tx, *machine.clock));
    if (key) {
      CAPF_LET(const KeyRecord claimed, tx.keys().claim(*key, KeyOwner::kSite, 0));
      if (claimed.owner != KeyOwner::kSite)
        return fail(Reason::kKeyReserved, "the key of " + name + " is not the site's");
    }
    return tx.audit().add(service::done(
        {ActorKind::kSystem, "capfd wire-certificate", ""}, "wire_certificate." + action, name,
        "SHA-256 " + to_hex(facts.sha256) + ", until " + to_rfc3339(facts.not_after) + ", on " + full_host_name()));
  });
}

}  // namespace

Result<std::string> shown_wire(const SiteFiles& files) {
  std::error_code error;
  if (!fs::exists(files.wire_shown(), error)) return kFirst;
  CAPF_LET(const Bytes file, read_file(files.wire_shown()));
  std::string name(file.begin(), file.end());
  while (!name.empty() && name.back() == '\n') name.pop_back();
  if (number_of(name)) return name;
  return fail(Reason::kInvalidConfiguration, files.wire_shown().string() + " names no wire certificate");
}

std::vector<rpc::WireCertificate> trusted_wire(const SiteFiles& files) {
  const std::string shown = shown_wire(files).value_or("");
  std::vector<std::string> names{shown, kEc};
  for (const std::string& name : names_in(files)) {
    if (name != shown) names.push_back(name);
  }
  std::vector<rpc::WireCertificate> certificates;
  for (const std::string& name : names) {
    auto chain = read_chain(files, name);
    if (chain) certificates.push_back({name, name == shown || name == kEc, std::move(chain->front())});
  }
  return certificates;
}

Result<std::string> WireCertificates::add(int days, Botan::RandomNumberGenerator& random) const {
  if (days < 1 || days > ca::kLongestValidity.count()) return fail(Reason::kInvalidRequest, "--days is 1 to 36500");
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  const auto present = names_in(files);
  if (present.size() >= kMost) {
    return fail(Reason::kInvalidRequest, "there are four already: 'capfd wire-certificate remove' takes one away");
  }
  const std::string name = kPrefix + std::to_string(present.empty() ? 2 : *number_of(present.back()) + 1);
  CAPF_LET(const auto key, ca::generate_key(ca::KeyAlgorithm::kRsa2048));
  const ca::AuthorityRequest request{"", clock_.now(), std::chrono::hours(24) * days};
  CAPF_LET(const Bytes certificate, ca::make_wire_certificate(*key, request, random));
  CAPF_LET(const auto facts, ca::read_certificate(certificate));
  CAPF_TRY(on_record(machine, "add", name, facts, ca::key_digests(key->public_key())));
  std::error_code error;
  fs::remove(files.key(name), error);  // of a try that did not come to its certificate
  CAPF_TRY(write_identity(files, name, *key, certificate, {}, machine.passphrase));
  CAPF_TRY(sync_folder(files.keys()));
  CAPF_TRY(sync_folder(files.certificates()));
  return "The wire certificate " + name + " is made, and valid until " + to_rfc3339(facts.not_after) +
         ".\n  certificate  " + files.certificate(name).string() + "\n  SHA-256      " + to_hex(facts.sha256) +
         "\nCopy it and " + files.key(name).string() +
         " to every other server of the site, and let every phone\ntrust it beside the present one: 'capfctl issuer "
         "export --wire' prints both. Only then, on each server:\n'wire-certificate activate " +
         name + "'\n";
}

Result<std::string> WireCertificates::activate(const std::string& name) const {
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  CAPF_TRY(check_there(files, name));
  CAPF_LET(const Identity identity, open_identity(files, name, machine.passphrase));
  CAPF_LET(const auto facts, ca::read_certificate(identity.chain.front()));
  const TimePoint now = clock_.now();
  if (now < facts.not_before || now >= facts.not_after) {
    return fail(Reason::kInvalidRequest, "the wire certificate " + name + " is not valid now");
  }
  CAPF_TRY(on_record(machine, "activate", name, facts, ca::key_digests(identity.key->public_key())));
  CAPF_TRY(rewrite_file(files.wire_shown(), as_bytes(name + "\n")));
  return "The phones' port of this machine shows " + name +
         " within 20 seconds, where a server runs.\nWhen every server shows it: 'wire-certificate remove' takes the "
         "former one away.\n";
}

Result<std::string> WireCertificates::remove(const std::string& name) const {
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  CAPF_TRY(check_there(files, name));
  CAPF_LET(const std::string shown, shown_wire(files));
  if (name == shown) {
    return fail(Reason::kInvalidRequest, "this server shows " + name + ": activate another one first");
  }
  CAPF_LET(const auto facts, facts_of(files, name));
  CAPF_TRY(on_record(machine, "remove", name, facts));
  // The certificate last: without it, the name is not there to be removed again.
  for (const fs::path& path : {files.key(name), files.certificate(name)}) {
    std::error_code error;
    fs::remove(path, error);
    if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  }
  CAPF_TRY(sync_folder(files.keys()));
  CAPF_TRY(sync_folder(files.certificates()));
  return "The wire certificate " + name + " and its key are gone from this machine.\n";
}

}  // namespace capf::daemon
