#include "capf/daemon/phone_certificates.h"

#include <algorithm>
#include <utility>

#include <botan/pem.h>

#include "capf/ca/asn1.h"
#include "capf/ca/certificate.h"
#include "capf/ca/listed.h"
#include "capf/ca/site.h"
#include "capf/ca/spki.h"
#include "capf/daemon/host.h"
#include "capf/daemon/issuers.h"
#include "capf/daemon/renewal.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/trust_list_store.h"
#include "capf/service/steps.h"
#include "capf/service/trust_lists.h"

namespace capf::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMost = 4;
/// RFC 5280 A.1: ub-common-name
constexpr std::size_t kLongestCommonName = 64;

/// Empty where the certificate gets a random name.
std::string subject_of(const KeyPurpose& purpose, const std::string& host) {
  if (purpose.unit.empty()) return {};
  return "CN=" + host.substr(0, kLongestCommonName) + ",OU=" + purpose.unit + ",O=CAPF";
}

/// The record has the change before it is made.
struct Change {
  const KeyPurpose& purpose;
  std::string action;
  std::string name;
  std::string detail;
  std::optional<KeyDigests> key{};  ///< is to be the site's alone, from then on

  Status record(const Machine& machine, const std::string& command) const {
    return machine.database->write([&](Transaction& tx) -> Status {
      CAPF_TRY(service::check_clock(tx, *machine.clock));
      if (key) CAPF_TRY(claim(tx));
      return tx.audit().add(service::done({ActorKind::kSystem, "capfd " + command, ""}, purpose.action + "." + action,
                                          name, detail + ", on " + full_host_name()));
    });
  }

 private:
  Status claim(Transaction& tx) const {
    CAPF_LET(const KeyRecord claimed, tx.keys().claim(*key, KeyOwner::kSite, 0));
    if (claimed.compromised) return fail(Reason::kKeyCompromised);
    if (claimed.owner == KeyOwner::kSite && !claimed.blocked) return {};
    return fail(Reason::kKeyReserved, "the key of " + name + " is not the site's");
  }
};

std::string detail_of(const ca::CertificateFacts& facts) {
  return "SHA-256 " + to_hex(facts.sha256) + ", until " + to_rfc3339(facts.not_after);
}

Result<ca::CertificateFacts> facts_of(const SiteFiles& files, const std::string& name) {
  CAPF_LET(const auto chain, read_chain(files, name));
  return ca::read_certificate(chain.front());
}

/// Whether phones take it in its role, and the key is of the kind that the purpose has.
Result<ca::ListedCertificate> judge(const KeyPurpose& purpose, BytesView der, TimePoint now) {
  CAPF_LET(auto judged, ca::judge_listed(der, {purpose.role}, now));
  const auto outline = ca::read_outline(der);
  if (!outline) return fail(Reason::kInvalidCertificate, "it cannot be read");
  CAPF_LET(const auto key, ca::read_spki(outline->public_key));
  const bool wants_ec = purpose.algorithm == ca::KeyAlgorithm::kP384;
  if ((key.type == ca::KeyType::kEc) == wants_ec) return judged;
  return fail(Reason::kInvalidCertificate,
              "a " + purpose.words + " has an " + (wants_ec ? "EC" : "RSA") + " key, and this one has another");
}

Status remove_files(std::initializer_list<fs::path> paths) {
  for (const fs::path& path : paths) {
    std::error_code error;
    fs::remove(path, error);
    if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  }
  return {};
}

Status sync(const SiteFiles& files) {
  CAPF_TRY(sync_folder(files.keys()));
  return sync_folder(files.certificates());
}

/// The certificate last: with it, the name is there.
Status keep(const Machine& machine, const std::string& name, const ca::ImportedAuthority& made) {
  const SiteFiles& files = machine.files;
  CAPF_TRY(remove_files({files.key(name), files.uri(name)}));  // of a try that did not come to its certificate
  CAPF_TRY(write_identity(files, name, *made.key, made.certificate, made.chain, machine.passphrase));
  return sync(files);
}

std::string place_of(const SiteFiles& files, const std::string& name) {
  std::error_code error;
  return (fs::exists(files.uri(name), error) ? files.uri(name) : files.key(name)).string();
}

Result<ca::ImportedAuthority> import(const NewCertificate& wanted) {
  Secret passphrase;
  if (!wanted.import_passphrase.empty()) {
    CAPF_LET(passphrase, read_secret(wanted.import_passphrase));
  }
  CAPF_LET(const Bytes certificates, read_file(wanted.import_certificate));
  CAPF_LET(const Secret key, read_secret_file(wanted.import_key));
  return ca::import_pem(certificates, key.view(), passphrase);
}

}  // namespace

Result<Bytes> make_certificate(const KeyPurpose& purpose, const ca::SigningKey& key, const std::string& host,
                               TimePoint now, std::chrono::hours validity, Botan::RandomNumberGenerator& random) {
  ca::AuthorityRequest request{subject_of(purpose, host), now, validity};
  if (purpose.signs) return ca::make_signer_certificate(key, request, random);
  if (purpose.first == file_server_purpose().first) request.hosts = server_hosts(host);
  return ca::make_wire_certificate(key, request, random);
}

bool PhoneCertificates::waits(const SiteFiles& files) const {
  std::error_code error;
  return fs::exists(files.key(waiting()), error) || fs::exists(files.uri(waiting()), error);
}

Status PhoneCertificates::check(const NewCertificate& wanted) const {
  if (wanted.days < 1 || wanted.days > ca::kLongestValidity.count()) {
    return fail(Reason::kInvalidRequest, "--days is 1 to 36500");
  }
  if (wanted.key_uri.empty()) return {};
  if (!purpose_.signs) return fail(Reason::kInvalidRequest, "a port's key is in a file");
  return ca::check_token_uri(wanted.key_uri);
}

Status PhoneCertificates::check_there(const SiteFiles& files, const std::string& name) const {
  std::error_code error;
  if (number_of(purpose_, name) && fs::exists(files.certificate(name), error)) return {};
  std::string words = "there is no " + purpose_.words + " '" + name + "' on this machine; there ";
  const auto present = names_of(purpose_, files);
  words += present.empty() ? "is none" : "are";
  for (const std::string& each : present) words += " " + each;
  return fail(Reason::kInvalidRequest, words);
}

Result<std::string> PhoneCertificates::next_name(const SiteFiles& files) const {
  const auto present = names_of(purpose_, files);
  if (present.size() >= kMost) {
    return fail(Reason::kInvalidRequest,
                "there are four already: 'capfd " + purpose_.command + " remove' takes one away");
  }
  // A site begins with a wire certificate; one that is older than the others may be without them.
  const int first = purpose_.first == wire_purpose().first ? 2 : 1;
  return name_of(purpose_, present.empty() ? first : *number_of(purpose_, present.back()) + 1);
}

Result<std::unique_ptr<ca::SigningKey>> PhoneCertificates::make_key(const NewCertificate& wanted) const {
  if (wanted.key_uri.empty()) return ca::generate_key(purpose_.algorithm);
  CAPF_LET(auto access, token_access(configuration_.token));
  ca::Tokens tokens(std::move(access));
  return wanted.make_in_token ? tokens.generate(wanted.key_uri, purpose_.algorithm) : tokens.find(wanted.key_uri);
}

Result<ca::ImportedAuthority> PhoneCertificates::make(const Machine& machine, const NewCertificate& wanted,
                                                      Botan::RandomNumberGenerator& random) const {
  if (!wanted.import_certificate.empty()) return import(wanted);
  if (!wanted.certificate.empty()) {
    const SiteFiles& files = machine.files;
    if (!waits(files)) {
      return fail(Reason::kInvalidRequest,
                  "no request waits: 'capfd " + purpose_.command + " add --csr-only' makes one");
    }
    CAPF_LET(const Bytes certificates, read_file(wanted.certificate));
    CAPF_LET(const auto uri, read_uri(files, waiting()));
    if (uri) {
      CAPF_LET(auto access, token_access(configuration_.token));
      ca::Tokens tokens(std::move(access));
      CAPF_LET(auto key, tokens.find(*uri));
      return ca::import_certificates(certificates, std::move(key));
    }
    CAPF_LET(const Secret pem, read_secret_file(files.key(waiting())));
    CAPF_LET(auto key, ca::decrypt_key(pem.view(), machine.passphrase));
    return ca::import_certificates(certificates, std::move(key));
  }
  ca::ImportedAuthority made;
  CAPF_LET(made.key, make_key(wanted));
  CAPF_LET(made.certificate, make_certificate(purpose_, *made.key, public_host(configuration_), clock_.now(),
                                              std::chrono::hours(24) * wanted.days, random));
  return made;
}

Result<std::string> PhoneCertificates::request(const Machine& machine, const NewCertificate& wanted,
                                               Botan::RandomNumberGenerator& random) const {
  const SiteFiles& files = machine.files;
  if (waits(files)) {
    return fail(Reason::kSiteExists, "a request waits already: " + files.request(waiting()).string() +
                                         ". To begin again, remove " + place_of(files, waiting()));
  }
  CAPF_LET(const auto key, make_key(wanted));
  CAPF_TRY(check_one_purpose(purpose_, ca::key_digests(key->public_key()), files));
  const std::string host = public_host(configuration_);
  // The wire's own certificates have random names, and a CA wants one that it knows.
  const std::string subject = purpose_.unit.empty() ? "CN=" + host.substr(0, kLongestCommonName) + ",OU=CAPF,O=CAPF"
                                                    : subject_of(purpose_, host);
  CAPF_LET(const Bytes der, ca::make_request(*key, subject, !purpose_.signs, random));
  const KeyDigests digests = ca::key_digests(key->public_key());
  const Change change{purpose_, "request", waiting(), "key SHA-256 " + to_hex(digests.sha256), digests};
  CAPF_TRY(change.record(machine, purpose_.command));
  CAPF_TRY(rewrite_file(files.request(waiting()), as_bytes(Botan::PEM_Code::encode(der, "CERTIFICATE REQUEST"))));
  CAPF_TRY(write_key(files, waiting(), *key, machine.passphrase));
  CAPF_TRY(sync(files));
  return "A request for the " + purpose_.words + " is in " + files.request(waiting()).string() +
         ".\nHave your CA sign it, then 'capfd " + purpose_.command +
         " add --certificate FILE', with FILE in PEM, goes on. The key waits\nin " + place_of(files, waiting()) + ".\n";
}

Result<std::string> PhoneCertificates::add(const NewCertificate& wanted, Botan::RandomNumberGenerator& random) const {
  CAPF_TRY(check(wanted));
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  CAPF_LET(const std::string name, next_name(files));
  if (wanted.csr_only) return request(machine, wanted, random);
  CAPF_LET(const auto made, make(machine, wanted, random));
  CAPF_LET(const auto judged, judge(purpose_, made.certificate, clock_.now()));
  CAPF_TRY(check_one_purpose(purpose_, judged.facts.key, files));
  const Change change{purpose_, "add", name, detail_of(judged.facts), judged.facts.key};
  CAPF_TRY(change.record(machine, purpose_.command));
  CAPF_TRY(keep(machine, name, made));
  if (!wanted.certificate.empty()) {
    CAPF_TRY(remove_files({files.key(waiting()), files.uri(waiting()), files.request(waiting())}));
    CAPF_TRY(sync(files));
  }
  std::string words = added_words(files, name, judged.facts);
  for (const std::string& warning : judged.warnings) words += "Warning: " + warning + "\n";
  return words;
}

std::string PhoneCertificates::added_words(const SiteFiles& files, const std::string& name,
                                           const ca::CertificateFacts& facts) const {
  std::string words = "The " + purpose_.words + " " + name + " is made, and valid until " +
                      to_rfc3339(facts.not_after) + ".\n  certificate  " + files.certificate(name).string() +
                      "\n  SHA-256      " + to_hex(facts.sha256) + "\nCopy it and " + place_of(files, name) +
                      " to every other server of the site, and let every phone\ntrust it";
  if (name == purpose_.first) {
    return words + ": its trust list is to have it in the role " + std::string(to_string(purpose_.role)) + ".\n";
  }
  const bool wire = purpose_.first == wire_purpose().first;
  words += " beside the present one" + std::string(wire ? ": 'capfctl issuer export --wire' prints both" : "");
  return words + ". Only then, on each server:\n'" + purpose_.command + " activate " + name + "'\n";
}

Result<std::string> PhoneCertificates::activate(const std::string& name, bool force) const {
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  CAPF_TRY(check_there(files, name));
  CAPF_LET(auto access, token_access(configuration_.token));
  ca::Tokens tokens(std::move(access));
  CAPF_LET(const Identity identity, open_identity(files, name, machine.passphrase, tokens));
  CAPF_TRY(identity.key->ready());
  CAPF_LET(const auto facts, ca::read_certificate(identity.chain.front()));
  const TimePoint now = clock_.now();
  if (now < facts.not_before || now >= facts.not_after) {
    return fail(Reason::kInvalidRequest, "the " + purpose_.words + " " + name + " is not valid now");
  }
  CAPF_TRY(check_one_purpose(purpose_, facts.key, files));
  CAPF_LET(const service::Activation known, in_read(*machine.database, [&](Transaction& tx) {
             return service::check_activation(tx, configuration_.policy, facts.sha256, force);
           }));
  const Change change{purpose_, "activate", name, detail_of(facts), ca::key_digests(identity.key->public_key())};
  CAPF_TRY(change.record(machine, purpose_.command));
  CAPF_TRY(rewrite_file(files.shown(purpose_.first), as_bytes(name + "\n")));
  std::string words;
  for (const service::ListReach& reach : known.reach) words += service::words_of(reach) + ".\n";
  return words + purpose_.uses + " " + name + " within 20 seconds, where a server runs.\nWhen every server does: '" +
         purpose_.command + " remove' takes the former one away.\n";
}

Result<std::string> PhoneCertificates::remove(const std::string& name) const {
  CAPF_LET(const Machine machine, Machine::open(configuration_, passphrase_, clock_));
  const SiteFiles& files = machine.files;
  CAPF_TRY(check_there(files, name));
  CAPF_LET(const std::string shown, shown_on(purpose_, files));
  if (name == shown) {
    return fail(Reason::kInvalidRequest, "this server uses " + name + ": activate another one first");
  }
  CAPF_LET(const auto facts, facts_of(files, name));
  CAPF_LET(const TrustListState lists,
           in_read(*machine.database, [](Transaction& tx) { return tx.trust_lists().state(); }));
  if (!lists.released && (lists.signer == facts.sha256 || lists.next_signer == facts.sha256)) {
    return fail(Reason::kInvalidRequest, "the site's trust lists are signed with " + name +
                                             ", or are to be: 'capfctl trust-list signer replace' comes first");
  }
  CAPF_TRY((Change{purpose_, "remove", name, detail_of(facts)}.record(machine, purpose_.command)));
  // The certificate last: without it, the name is not there to be removed again.
  CAPF_TRY(remove_files({files.key(name), files.uri(name), files.certificate(name)}));
  CAPF_TRY(sync(files));
  return "The " + purpose_.words + " " + name + " and its key are gone from this machine.\n";
}

Result<std::string> PhoneCertificates::list() const {
  const SiteFiles files{configuration_.state_directory};
  CAPF_LET(const std::string shown, shown_on(purpose_, files));
  std::string words;
  for (const std::string& name : names_of(purpose_, files)) {
    CAPF_LET(const auto facts, facts_of(files, name));
    words += name + (name == shown ? "  in use  " : "  kept  ") + to_rfc3339(facts.not_before) + " to " +
             to_rfc3339(facts.not_after) + "  " + facts.subject + "\n  SHA-256  " + to_hex(facts.sha256) +
             "\n  key      " + place_of(files, name) + "\n";
  }
  if (words.empty()) words = "There is no " + purpose_.words + " on this machine.\n";
  if (waits(files)) words += "A request waits for its certificate: " + files.request(waiting()).string() + "\n";
  return words;
}

Result<std::string> make_phone_keys(const Configuration& configuration, const std::optional<std::string>& passphrase,
                                    const RecoveryKeyPlace& recovery, const Clock& clock,
                                    Botan::RandomNumberGenerator& random) {
  CAPF_LET(const Machine machine, Machine::open(configuration, passphrase, clock));
  const SiteFiles& files = machine.files;
  std::string made;
  std::string there;
  for (const KeyPurpose* purpose : key_purposes()) {
    if (const auto present = names_of(*purpose, files); !present.empty()) {
      for (const std::string& name : present) there += " " + name;
      continue;
    }
    ca::ImportedAuthority identity;
    CAPF_LET(identity.key, ca::generate_key(purpose->algorithm));
    CAPF_LET(identity.certificate, make_certificate(*purpose, *identity.key, public_host(configuration), clock.now(),
                                                    kServerValidity, random));
    CAPF_LET(const auto facts, ca::read_certificate(identity.certificate));
    const bool recovers = purpose == &recovery_signer_purpose();
    if (recovers) CAPF_TRY(write_recovery_key(*identity.key, recovery, random));
    const Change change{*purpose, "add", purpose->first, detail_of(facts), facts.key};
    Status kept = change.record(machine, "init");
    if (kept) {
      kept = recovers ? write_new_file(files.certificate(purpose->first), chain_pem({identity.certificate}))
                      : keep(machine, purpose->first, identity);
    }
    if (!kept) {
      // Without its certificate the key is nobody's, and the next try would not make another one beside it.
      if (recovers && names_of(*purpose, files).empty()) remove_recovery_key(recovery);
      return fail(kept.error());
    }
    made +=
        "  " + purpose->first + ", until " + to_rfc3339(facts.not_after) + ", SHA-256 " + to_hex(facts.sha256) + "\n";
    if (recovers) made += words_of(recovery);
  }
  CAPF_TRY(sync(files));
  std::string words = made.empty() ? "Nothing is missing.\n" : "Made in " + files.root.string() + ":\n" + made;
  if (!there.empty()) words += "There already, and as before:" + there + ".\n";
  if (made.empty()) return words;
  return words + "With several servers, copy the new files of keys/ and certificates/ to every other one.\n";
}

}  // namespace capf::daemon
