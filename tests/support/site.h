#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <botan/system_rng.h>

#include "capf/base/metrics.h"
#include "capf/base/time.h"
#include "capf/ca/certificate.h"
#include "capf/ca/issuers.h"
#include "capf/ca/site.h"
#include "capf/ca/vault.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/page.h"
#include "capf/domain/secrets_key_store.h"
#include "capf/service/addresses.h"
#include "capf/service/authenticator.h"
#include "capf/service/certificates.h"
#include "capf/service/digest_users.h"
#include "capf/service/dossiers.h"
#include "capf/service/enrolment.h"
#include "capf/service/issuers.h"
#include "capf/service/maintenance.h"
#include "capf/service/monitor.h"
#include "capf/service/operations.h"
#include "capf/service/phones.h"
#include "capf/service/profiles.h"
#include "capf/service/shared_lines.h"
#include "capf/service/trust.h"
#include "tests/support/database.h"
#include "tests/support/pki.h"

namespace capf::test {

template <class T>
T must(Result<T> result) {
  if (!result)
    throw std::runtime_error(std::string(to_string(result.error().reason)) + ": " + result.error().message + " (" +
                             result.error().cause + ")");
  return *std::move(result);
}
inline void must(const Status& status) {
  if (!status)
    throw std::runtime_error(std::string(to_string(status.error().reason)) + ": " + status.error().message + " (" +
                             status.error().cause + ")");
}

/// The keys of issuers on one server; several may share them.
class KeyFolder final : public service::IssuerFolder {
 public:
  Status keep(std::int64_t id, const ca::ImportedAuthority& authority) override {
    CAPF_LET(keys_[id], authority.key->private_pem());
    return {};
  }
  Result<std::unique_ptr<ca::SigningKey>> open(const IssuerRecord& record) override {
    if (!keys_.contains(record.id)) return nullptr;
    return ca::decrypt_key(keys_.at(record.id).view(), Secret());
  }
  Result<std::unique_ptr<ca::SigningKey>> open_in_token(const std::string&, std::optional<ca::KeyAlgorithm>) override {
    return fail(Reason::kTokenUnavailable);
  }
  Status keep_waiting(const ca::SigningKey& key) override {
    if (keys_.contains(kWaiting)) return fail(Reason::kSiteExists);
    CAPF_LET(keys_[kWaiting], key.private_pem());
    return {};
  }
  Result<std::unique_ptr<ca::SigningKey>> open_waiting() override {
    if (!keys_.contains(kWaiting)) return nullptr;
    return ca::decrypt_key(keys_.at(kWaiting).view(), Secret());
  }
  Status forget_waiting() override {
    keys_.erase(kWaiting);
    return {};
  }
  /// Copies a key from another server, as an administrator would.
  void copy(const KeyFolder& other, std::int64_t id) { keys_[id] = Secret(other.keys_.at(id).view()); }

 private:
  static constexpr std::int64_t kWaiting = 0;
  std::map<std::int64_t, Secret> keys_;
};

/// The use cases of one site over a real database, put together as capfd does it.
class Site {
 public:
  Database& database() { return *database_; }
  ca::Issuers& issuer_keys() { return *issuers_; }
  ca::Vault& vault() { return *vault_; }
  /// Runs SQL, as the owner of the schema unless another role is named.
  void sql(const std::string& text, const std::string& role = "capf_owner") { fresh_.sql(text, role); }
  /// With every refusal on record.
  std::string value(const std::string& query) {
    record();
    return value_now(query);
  }
  /// While something is held that those who record wait for.
  std::string value_now(const std::string& query) { return fresh_.sql(query); }
  void record() {
    if (!authenticator.attempts().drain(std::chrono::minutes{2})) throw std::runtime_error("nothing is recorded");
  }

  DeviceName add_phone(const std::string& name) {
    const DeviceName device = must(DeviceName::parse(name));
    must(phones.add(administrator, {device}, ""));
    return device;
  }
  /// Adds SEP1000, SEP1001, ... @return their names
  std::vector<DeviceName> add_phones(int count) {
    std::vector<DeviceName> devices;
    for (int begin = 0; begin < count; begin += kPhonesInBatch) {
      std::vector<DeviceName> some;
      for (int i = begin; i < std::min(begin + kPhonesInBatch, count); ++i) {
        some.push_back(must(DeviceName::parse("SEP" + std::to_string(1000 + i))));
      }
      must(phones.add(administrator, some, "CP-8861"));
      devices.insert(devices.end(), some.begin(), some.end());
    }
    return devices;
  }
  /// Schedules for a key on P-256, which is quick. @return the authentication string, where there is one.
  std::string schedule(const DeviceName& device, OperationKind kind, AuthMode auth) {
    service::ScheduleRequest request;
    request.devices = {device};
    request.kind = kind;
    request.auth = auth;
    request.key = {KeyOrder::kEc, 2048, 256};
    request.role = Role::kAdmin;
    const auto answer = must(operations.schedule(administrator, request));
    return std::string(answer.operations.front().auth_string.text());
  }
  static service::Caller caller(const DeviceName& device, const std::string& address = "192.0.2.1") {
    return {device, {}, {}, must(Address::parse(address)), rules::Transport::kGrpc};
  }
  static service::Caller with_string(const DeviceName& device, const std::string& digits,
                                     const std::string& address = "192.0.2.1") {
    service::Caller caller = Site::caller(device, address);
    caller.auth_string = Secret(std::string_view(digits));
    return caller;
  }
  static service::Caller with_certificate(const DeviceName& device, const Bytes& leaf) {
    service::Caller caller = Site::caller(device);
    caller.certificate = service::PresentedCertificate{leaf, {}};
    return caller;
  }
  /// Install by string and confirmation. @return the LSC.
  Bytes enrol(const DeviceName& device, const PhoneKey& key) {
    const std::string digits = schedule(device, OperationKind::kInstall, AuthMode::kString);
    const auto issued = must(enrolment.issue(with_string(device, digits), key.request()));
    must(enrolment.confirm(with_string(device, digits), sha256(issued.certificate)));
    return issued.certificate;
  }
  Operation last_operation(const DeviceName& device) { return must(operations.show(device)); }
  CertificateState state_of(const Bytes& lsc) {
    return must(in_read(database(), [&](Transaction& tx) -> Result<CertificateState> {
      CAPF_LET(const auto record, tx.certificates().find_lsc(sha256(lsc)));
      if (!record) return fail(Reason::kUnknownCertificate);
      return record->state(tx.now());
    }));
  }
  /// The record of the last refusal in the device's name.
  std::optional<Attempt> last_attempt(const DeviceName& device) {
    record();
    return must(phones.show(device)).phone.last_attempt;
  }

  const Actor administrator{ActorKind::kAdministrator, "tester", "127.0.0.1"};
  SitePolicy policy = [] {
    SitePolicy made;
    made.null_string_networks = {*Network::parse("127.0.0.0/8")};
    made.device_names = {Pattern::any()};
    return made;
  }();

 private:
  std::unique_ptr<ca::Issuers> make_issuers() {
    auto key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
    IssuerRecord record;
    record.der = must(ca::make_capf_certificate(*key, {"CN=CAPF-0123ABCD,O=Tests", clock_.now()}, Botan::system_rng()));
    const auto facts = must(ca::read_certificate(record.der));
    record.subject = facts.subject;
    record.sha256 = facts.sha256;
    record.not_before = facts.not_before;
    record.not_after = facts.not_after;
    record.active = true;
    must(in_write(database(), [&](Transaction& tx) -> Status {
      CAPF_LET(record.id, tx.issuers().add(record));
      CAPF_TRY(tx.keys().claim(facts.key, KeyOwner::kIssuer, 0));
      return {};
    }));
    auto made = std::make_unique<ca::Issuers>();
    made->put(must(ca::Issuer::make(record, std::move(key), "http://capf.example:3807")));
    return made;
  }

  /// With the first key for secrets, which is active.
  std::unique_ptr<ca::Vault> make_vault() {
    auto made = std::make_unique<ca::Vault>();
    const Secret key = ca::generate_secrets_key(Botan::system_rng());
    must(made->add(1, key));
    must(in_write(database(), [&](Transaction& tx) -> Status {
      CAPF_TRY(tx.secrets_keys().add({1, *ca::check_value_of(key), true}));
      return {};
    }));
    return made;
  }

  FreshDatabase fresh_;
  std::unique_ptr<storage::PostgresDatabase> database_ = fresh_.open();
  SystemClock clock_;
  ca::StringKey strings_ = must(ca::StringKey::make(Secret(Bytes(32, 7))));
  std::unique_ptr<ca::Issuers> issuers_ = make_issuers();
  std::unique_ptr<ca::Vault> vault_ = make_vault();

 public:
  service::HighWater high_water;
  ca::Blacklist blacklist;
  Metrics metrics;
  service::Dossiers dossiers{database(), policy, clock_, high_water, blacklist};
  service::Authenticator authenticator{database().rounds(), strings_, policy, {}};
  service::Enrolment enrolment{database().rounds(), dossiers, authenticator, *issuers_, policy, metrics,
                               Botan::system_rng()};
  service::Phones phones{database(), policy};
  service::Operations operations{database(), strings_, policy, Botan::system_rng()};
  service::Profiles profiles{database(), policy, operations};
  service::SharedLines lines{database()};
  service::Addresses addresses{database(), policy};
  service::DigestUsers digest_users{database(), *vault_, policy, Botan::system_rng()};
  service::Certificates certificates{database()};
  service::Trust trust{database(), blacklist};
  KeyFolder key_folder;
  service::Issuers issuers{
      database(),          clock_,    *issuers_, key_folder,         "this server", "http://capf.example:3807",
      SubjectForm::kPlain, blacklist, *vault_,   Botan::system_rng()};
};

/// Waits until so many sessions wait for locks.
inline void await_waiting(Site& site, int sessions) {
  // Only its own role sees for what a session waits; all see that it waits.
  const std::string waiting =
      "select count(*) from pg_locks join pg_stat_activity using (pid) where not granted and "
      "datname = current_database()";
  int looks = 0;
  while (std::stoi(site.value_now(waiting)) < sessions) {
    if (++looks == 10'000) throw std::runtime_error("nobody waits");
  }
}

}  // namespace capf::test
