#include "capf/service/digest_users.h"

#include <set>
#include <utility>

#include "capf/ca/digest.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/server_store.h"
#include "capf/service/secrets.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kShownDevices = 100;
constexpr int kExportedAtOnce = 500;
constexpr std::size_t kMd5Digits = 32;
constexpr std::size_t kSha256Digits = 64;

const char* const kTable = "digest_users";

ca::Cell password_of(std::int64_t id) { return {kTable, "password", id}; }
ca::Cell ha1_of(std::int64_t id) { return {kTable, "ha1", id}; }

Secret join(const Ha1& ha1) {
  Botan::secure_vector<std::uint8_t> digits;
  for (const Secret* part : {&ha1.md5, &ha1.sha256, &ha1.sha512_256}) {
    digits.insert(digits.end(), part->view().begin(), part->view().end());
  }
  return Secret(std::move(digits));
}

Result<Ha1> split(const Secret& joined) {
  const BytesView digits = joined.view();
  if (digits.size() != kMd5Digits + 2 * kSha256Digits) return fail(Reason::kSecretBroken);
  return Ha1{Secret(digits.first(kMd5Digits)), Secret(digits.subspan(kMd5Digits, kSha256Digits)),
             Secret(digits.last(kSha256Digits))};
}

Result<DigestUser> known(Result<std::optional<DigestUser>> found, const std::string& name) {
  if (!found) return fail(std::move(found).error());
  if (!*found) return fail(Reason::kUnknownDigestUser, "there is no digest user " + name);
  return **std::move(found);
}

Result<Phone> locked_phone(Transaction& tx, const DeviceName& device) {
  CAPF_LET(std::optional<Phone> phone, tx.phones().lock(device));
  if (!phone) return unknown_device(tx, device);
  return *std::move(phone);
}

Status check_count(std::size_t users) {
  if (users > 0 && users <= kPhonesInBatch) return {};
  return fail(Reason::kInvalidRequest, "1 to " + std::to_string(kPhonesInBatch) + " digest users can be added at once");
}

Status check_users(const std::vector<DigestPassword>& users) {
  CAPF_TRY(check_count(users.size()));
  std::set<std::string> seen;
  for (const DigestPassword& user : users) {
    CAPF_TRY(check_digest_user(user.name));
    if (!user.password.empty()) CAPF_TRY(check_digest_password(user.password.text()));
    if (!seen.insert(user.name).second) return fail(Reason::kInvalidRequest, user.name + " is named twice");
  }
  return {};
}

std::string words_of(bool generated, bool hash_only) {
  return std::string(generated ? "a generated password" : "a given password") +
         (hash_only ? ", of which HA1s alone are kept" : "");
}

}  // namespace

Status DigestUsers::adopt_realm() {
  const std::string& realm = policy_.digest_realm;
  CAPF_LET(const auto present, in_read(database_, [](Transaction& tx) { return tx.digest().realm(); }));
  if (present == realm) return {};
  const Status adopted = capf::in_write(database_, [&](Transaction& tx) -> Status {
    CAPF_LET(const auto former, tx.digest().realm());
    if (former == realm) return {};
    CAPF_LET(const auto servers, tx.servers().alive());
    if (former && !servers.empty()) {
      return fail(Reason::kInvalidConfiguration, "digest.realm is \"" + realm + "\" here, and \"" + *former + "\" on " +
                                                     servers.front().name +
                                                     ", which ran within the last 30 seconds: all servers of a site "
                                                     "have the same one");
    }
    CAPF_LET(const std::int64_t others, tx.digest().count_of_other_realms(realm));
    if (others > 0) {
      return fail(Reason::kInvalidConfiguration,
                  "digest.realm is \"" + realm + "\", but of " + std::to_string(others) +
                      " digest users or more only HA1s of another realm are kept: keep the realm, or remove them");
    }
    CAPF_LET(const bool set, tx.digest().set_realm(former, realm));
    if (!set) {
      // Another server has started meanwhile, for whose row this one has waited.
      CAPF_LET(const auto others_realm, tx.digest().realm());
      if (others_realm == realm) return {};
      return fail(Reason::kChangedMeanwhile, "another server has started with another digest.realm");
    }
    return tx.audit().add(
        done({ActorKind::kSystem, "capfd", ""}, "site.digest_realm", realm, former ? "before: " + *former : ""));
  });
  // A standby of a site whose primary no server of this version has seen yet.
  if (!adopted && !present && adopted.error().reason == Reason::kDatabaseReadOnly) return {};
  return adopted;
}

Result<DigestSecret> DigestUsers::encrypted(Transaction& tx, std::int64_t id, const DigestPassword& user,
                                            bool hash_only) const {
  CAPF_LET(const SecretsWriter writer, SecretsWriter::begin(tx, vault_, random_));
  DigestSecret secret;
  if (hash_only) {
    secret.realm = policy_.digest_realm;
    const Secret joined = join(ca::make_ha1(user.name, secret.realm, user.password));
    CAPF_LET(secret.ha1, writer.encrypt(ha1_of(id), joined));
  } else {
    CAPF_LET(secret.password, writer.encrypt(password_of(id), user.password));
  }
  return secret;
}

Result<std::vector<DigestPassword>> DigestUsers::add(const Actor& actor, std::vector<DigestPassword> users,
                                                     bool hash_only) {
  CAPF_TRY(check_users(users));
  std::vector<DigestPassword> generated;
  std::vector<AuditEvent> events;
  for (DigestPassword& user : users) {
    const bool made = user.password.empty();
    if (made) user.password = generate_digest_password(random_);
    if (made) generated.push_back(user);
    events.push_back(done(actor, "digest_user.add", user.name, words_of(made, hash_only)));
  }
  const Status added = in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const auto ids, tx.digest().next_ids(static_cast<int>(users.size())));
    std::vector<NewDigestUser> fresh;
    for (std::size_t i = 0; i < users.size(); ++i) {
      CAPF_LET(DigestSecret secret, encrypted(tx, ids[i], users[i], hash_only));
      fresh.push_back({ids[i], users[i].name, std::move(secret)});
    }
    CAPF_LET(const auto existing, tx.digest().add(fresh));
    if (!existing.empty()) {
      return fail(Reason::kDigestUserExists, "nothing was added: there is " + listed(existing) + " already");
    }
    return tx.audit().add_all(events);
  });
  if (!added) return fail(added.error());
  return generated;
}

Result<std::vector<DigestProblem>> DigestUsers::check(const std::vector<std::string>& names) {
  CAPF_TRY(check_count(names.size()));
  CAPF_LET(const auto found, in_read(database_, [&](Transaction& tx) { return tx.digest().existing(names); }));
  const std::set<std::string> existing(found.begin(), found.end());
  std::set<std::string> seen;
  std::vector<DigestProblem> problems;
  for (const std::string& name : names) {
    if (const Status good = check_digest_user(name); !good) {
      problems.push_back({name, good.error().reason, good.error().message});
    } else if (!seen.insert(name).second) {
      problems.push_back({name, Reason::kInvalidRequest, name + " is named twice"});
    } else if (existing.contains(name)) {
      problems.push_back({name, Reason::kDigestUserExists, "there is a digest user " + name + " already"});
    }
  }
  return problems;
}

Result<Secret> DigestUsers::set_password(const Actor& actor, const DigestPassword& user, bool hash_only) {
  if (!user.password.empty()) CAPF_TRY(check_digest_password(user.password.text()));
  const bool made = user.password.empty();
  const DigestPassword next{user.name, made ? generate_digest_password(random_) : user.password};
  const Status set = in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const DigestUser present, known(tx.digest().lock(user.name), user.name));
    CAPF_LET(const DigestSecret secret, encrypted(tx, present.id, next, hash_only));
    CAPF_TRY(tx.digest().set_secret(present.id, secret));
    return tx.audit().add(done(actor, "digest_user.set", user.name, words_of(made, hash_only)));
  });
  if (!set) return fail(set.error());
  return made ? next.password : Secret();
}

Result<std::vector<DigestUser>> DigestUsers::list(const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.digest().list(page); });
}

Result<DigestUserView> DigestUsers::show(const std::string& name) {
  return in_read(database_, [&](Transaction& tx) -> Result<DigestUserView> {
    DigestUserView view;
    CAPF_LET(view.user, known(tx.digest().find(name), name));
    CAPF_LET(view.phones, tx.digest().count_phones(view.user.id));
    CAPF_LET(view.devices, tx.digest().phones_of(view.user.id, kShownDevices));
    return view;
  });
}

Result<Secret> DigestUsers::reveal(const Actor& actor, const std::string& name) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<Secret> {
    CAPF_LET(const DigestUser user, known(tx.digest().hold(name), name));
    CAPF_LET(const DigestSecret secret, tx.digest().secret(user.id));
    if (!secret.password) return fail(Reason::kPasswordNotKept);
    CAPF_LET(Secret password, vault_.decrypt(password_of(user.id), *secret.password));
    CAPF_TRY(tx.audit().add(done(actor, "digest_user.reveal", name)));
    return password;
  });
}

Status DigestUsers::remove(const Actor& actor, const std::string& name) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const DigestUser user, known(tx.digest().lock(name), name));
    CAPF_LET(const std::int64_t phones, tx.digest().count_phones(user.id));
    if (phones > 0) {
      CAPF_LET(const auto some, tx.digest().phones_of(user.id, kShownDevices));
      return fail(Reason::kDigestUserInUse,
                  name + " is the digest user of " + std::to_string(phones) + " phones: " + listed(some, 3));
    }
    CAPF_TRY(tx.digest().remove(user.id));
    return tx.audit().add(done(actor, "digest_user.remove", name));
  });
}

Status DigestUsers::set_phone(const Actor& actor, const DeviceName& device, const std::optional<std::string>& user) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const Phone phone, locked_phone(tx, device));
    std::optional<std::int64_t> user_id;
    if (user) {
      CAPF_LET(const DigestUser present, known(tx.digest().hold(*user), *user));
      user_id = present.id;
    }
    CAPF_LET(const bool changed, tx.digest().set_phone(phone.id, user_id));
    if (!changed) return {};
    return tx.audit().add(done(actor, "phone.digest", device.text(), user ? "digest user " + *user : "no digest user"));
  });
}

Result<std::string> DigestUsers::log_in(const Actor& actor, const DeviceName& device, const std::string& user) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<std::string> {
    CAPF_LET(const Phone phone, locked_phone(tx, device));
    CAPF_LET(const PhoneDigest before, tx.digest().of_phone(phone.id));
    CAPF_LET(const DigestUser present, known(tx.digest().hold(user), user));
    CAPF_TRY(tx.digest().log_in(phone.id, present.id));
    CAPF_TRY(tx.audit().add(done(actor, "phone.login", device.text(), user)));
    return before.login;
  });
}

Result<std::string> DigestUsers::log_out(const Actor& actor, const DeviceName& device) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<std::string> {
    CAPF_LET(const Phone phone, locked_phone(tx, device));
    CAPF_LET(const PhoneDigest before, tx.digest().of_phone(phone.id));
    if (before.login.empty()) return std::string();
    CAPF_TRY(tx.digest().log_out(phone.id));
    CAPF_TRY(tx.audit().add(done(actor, "phone.logout", device.text(), before.login)));
    return before.login;
  });
}

Status DigestUsers::begin_export(const Actor& actor) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    return tx.audit().add(done(actor, "digest_user.export", policy_.digest_realm));
  });
}

Result<DigestExportRow> DigestUsers::opened(const DigestAssignment& assignment) const {
  DigestExportRow row{assignment.user.name, policy_.digest_realm, {},
                      assignment.device,    assignment.mode,      assignment.lsc};
  const std::int64_t id = assignment.user.id;
  if (assignment.secret.password) {
    CAPF_LET(const Secret password, vault_.decrypt(password_of(id), *assignment.secret.password));
    row.ha1 = ca::make_ha1(row.user, row.realm, password);
    return row;
  }
  row.realm = assignment.secret.realm;
  CAPF_LET(const Secret joined, vault_.decrypt(ha1_of(id), assignment.secret.ha1.value_or(Bytes{})));
  CAPF_LET(row.ha1, split(joined));
  return row;
}

Result<DigestExportPage> DigestUsers::export_page(const DigestCursor& after) {
  CAPF_LET(const auto assignments,
           in_read(database_, [&](Transaction& tx) { return tx.digest().assignments(after, kExportedAtOnce); }));
  DigestExportPage page;
  for (const DigestAssignment& assignment : assignments) {
    auto row = opened(assignment);
    if (!row) {
      const Error& error = row.error();
      return fail(error.reason, "digest user " + assignment.user.name + ": " + error.message, error.cause);
    }
    page.rows.push_back(*std::move(row));
  }
  if (assignments.size() == kExportedAtOnce) {
    page.next = DigestCursor{assignments.back().user.id, assignments.back().phone_id};
  }
  return page;
}

}  // namespace capf::service
