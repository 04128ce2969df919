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

const std::string kEc = "wire-ec";
constexpr int kMost = 4;
/// RFC 5280 A.1: ub-common-name
constexpr std::size_t kLongestCommonName = 64;

/// "wire" for 1, "wire-2" for 2.
std::string name_of(const PinnedPort& port, int number) {
  return number == 1 ? port.first : port.first + "-" + std::to_string(number);
}

/// 1 for "wire", 2 for "wire-2"; nothing for another name.
std::optional<int> number_of(const PinnedPort& port, const std::string& name) {
  if (name == port.first) return 1;
  const std::string prefix = port.first + "-";
  if (!name.starts_with(prefix)) return std::nullopt;
  int number = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + prefix.size(), end, number);
  if (error != std::errc() || at != end || number < 2 || name != name_of(port, number)) return std::nullopt;
  return number;
}

Result<ca::CertificateFacts> facts_of(const SiteFiles& files, const std::string& name) {
  CAPF_LET(const auto chain, read_chain(files, name));
  return ca::read_certificate(chain.front());
}

Status check_there(const PinnedPort& port, const SiteFiles& files, const std::string& name) {
  std::error_code error;
  if (number_of(port, name) && fs::exists(files.certificate(name), error)) return {};
  std::string words = "there is no " + port.words + " '" + name + "' on this machine; there ";
  const auto present = names_of(port, files);
  words += present.empty() ? "is none" : "are";
  for (const std::string& each : present) words += " " + each;
  return fail(Reason::kInvalidRequest, words);
}

/// The record has the change before it is made.
/// @param key is to be the site's alone, from then on
Status on_record(const PinnedPort& port, const Machine& machine, const std::string& action, const std::string& name,
                 const ca::CertificateFacts& facts, const std::optional<KeyDigests>& key = {}) {
  return machine.database->write([&](Transaction& tx) -> Status {
    CAPF_TRY(service::check_clock(tx, *machine.clock));
    if (key) {
      CAPF_LET(const KeyRecord claimed, tx.keys().claim(*key, KeyOwner::kSite, 0));
      if (claimed.owner != KeyOwner::kSite)
        return fail(Reason::kKeyReserved, "the key of " + name + " is not the site's");
    }
    return tx.audit().add(service::done(
        {ActorKind::kSystem, "capfd " + port.command, ""}, port.action + "." + action, name,
        "SHA-256 " + to_hex(facts.sha256) + ", until " + to_rfc3339(facts.not_after) + ", on " + full_host_name()));
  });
}

}  // namespace

const PinnedPort& wire_pinned() {
  static const PinnedPort port{
      "wire", "wire certificate", "wire-certificate", "wire_certificate", "The phones' port of this machine", ""};
  return port;
}

const PinnedPort& tvs_pinned() {
  static const PinnedPort port{
      "tvs", "TVS certificate", "tvs-certificate", "tvs_certificate", "The Trust Verification Service of this machine",
      "TVS"};
  return port;
}

std::vector<std::string> names_of(const PinnedPort& port, const SiteFiles& files) {
  std::vector<std::pair<int, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator at(files.certificates(), error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != ".pem") continue;
    const std::string name = at->path().stem().string();
    if (const auto number = number_of(port, name)) found.emplace_back(*number, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [number, name] : found) names.push_back(std::move(name));
  return names;
}

Result<std::string> shown_on(const PinnedPort& port, const SiteFiles& files) {
  const fs::path path = files.shown(port.first);
  std::error_code error;
  if (!fs::exists(path, error)) return port.first;
  CAPF_LET(const Bytes file, read_file(path));
  std::string name(file.begin(), file.end());
  while (!name.empty() && name.back() == '\n') name.pop_back();
  if (number_of(port, name)) return name;
  return fail(Reason::kInvalidConfiguration, path.string() + " names no " + port.words);
}

Result<std::string> shown_wire(const SiteFiles& files) { return shown_on(wire_pinned(), files); }

std::vector<rpc::WireCertificate> trusted_wire(const SiteFiles& files) {
  const std::string shown = shown_wire(files).value_or("");
  std::vector<std::string> names{shown, kEc};
  for (const std::string& name : names_of(wire_pinned(), files)) {
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
  const auto present = names_of(port_, files);
  if (present.size() >= kMost) {
    return fail(Reason::kInvalidRequest, "there are four already: 'capfd " + port_.command + " remove' takes one away");
  }
  // A site begins with a wire certificate, and without the others.
  const int first = port_.first == wire_pinned().first ? 2 : 1;
  const std::string name = name_of(port_, present.empty() ? first : *number_of(port_, present.back()) + 1);
  CAPF_LET(const auto key, ca::generate_key(ca::KeyAlgorithm::kRsa2048));
  const ca::AuthorityRequest request{subject(), clock_.now(), std::chrono::hours(24) * days};
  CAPF_LET(const Bytes certificate, ca::make_wire_certificate(*key, request, random));
  CAPF_LET(const auto facts, ca::read_certificate(certificate));
  CAPF_TRY(on_record(port_, machine, "add", name, facts, ca::key_digests(key->public_key())));
  std::error_code error;
  fs::remove(files.key(name), error);  // of a try that did not come to its certificate
  CAPF_TRY(write_identity(files, name, *key, certificate, {}, machine.passphrase));
  CAPF_TRY(sync_folder(files.keys()));
  CAPF_TRY(sync_folder(files.certificates()));
  if (name == port_.first) return first_words(files, facts);
  return "The " + port_.words + " " + name + " is made, and valid until " + to_rfc3339(facts.not_after) +
         ".\n  certificate  " + files.certificate(name).string() + "\n  SHA-256      " + to_hex(facts.sha256) +
         "\nCopy it and " + files.key(name).string() +
         " to every other server of the site, and let every phone\ntrust it beside the present one" +
         (port_.unit.empty() ? ": 'capfctl issuer export --wire' prints both" : "") +
         ". Only then, on each server:\n'" + port_.command + " activate " + name + "'\n";
}

std::string WireCertificates::subject() const {
  if (port_.unit.empty()) return {};
  const std::string host = configuration_.public_host.substr(0, kLongestCommonName);
  return "CN=" + host + ",OU=" + port_.unit + ",O=CAPF";
}

std::string WireCertificates::first_words(const SiteFiles& files, const ca::CertificateFacts& facts) const {
  return "The " + port_.words + " " + port_.first + " is made, and valid until " + to_rfc3339(facts.not_after) +
         ".\n  certificate  " + files.certificate(port_.first).string() + "\n  SHA-256      " + to_hex(facts.sha256) +
         "\nCopy it and " + files.key(port_.first).string() +
         " to every other server of the site, and let every phone\ntrust it: its trust list is to have it in the "
         "role " +
         port_.unit + ".\n";
}

Result<std::string> WireCertificates::activate(const std::string& name) const {
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  CAPF_TRY(check_there(port_, files, name));
  CAPF_LET(const Identity identity, open_identity(files, name, machine.passphrase));
  CAPF_LET(const auto facts, ca::read_certificate(identity.chain.front()));
  const TimePoint now = clock_.now();
  if (now < facts.not_before || now >= facts.not_after) {
    return fail(Reason::kInvalidRequest, "the " + port_.words + " " + name + " is not valid now");
  }
  CAPF_TRY(on_record(port_, machine, "activate", name, facts, ca::key_digests(identity.key->public_key())));
  CAPF_TRY(rewrite_file(files.shown(port_.first), as_bytes(name + "\n")));
  return port_.shows + " shows " + name + " within 20 seconds, where a server runs.\nWhen every server shows it: '" +
         port_.command + " remove' takes the former one away.\n";
}

Result<std::string> WireCertificates::remove(const std::string& name) const {
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  CAPF_TRY(check_there(port_, files, name));
  CAPF_LET(const std::string shown, shown_on(port_, files));
  if (name == shown) {
    return fail(Reason::kInvalidRequest, "this server shows " + name + ": activate another one first");
  }
  CAPF_LET(const auto facts, facts_of(files, name));
  CAPF_TRY(on_record(port_, machine, "remove", name, facts));
  // The certificate last: without it, the name is not there to be removed again.
  for (const fs::path& path : {files.key(name), files.certificate(name)}) {
    std::error_code error;
    fs::remove(path, error);
    if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  }
  CAPF_TRY(sync_folder(files.keys()));
  CAPF_TRY(sync_folder(files.certificates()));
  return "The " + port_.words + " " + name + " and its key are gone from this machine.\n";
}

}  // namespace capf::daemon
