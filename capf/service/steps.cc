#include "capf/service/steps.h"

#include <map>
#include <utility>

#include "capf/base/utf8.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/policy.h"

namespace capf::service {
namespace {

/// As much of the record as the rules of endings need.
Certificate certificate_of(const RevocableLsc& lsc) {
  Certificate certificate;
  certificate.id = lsc.id;
  certificate.serial = lsc.serial;
  certificate.phone_id = lsc.phone_id;
  certificate.device = lsc.device;
  certificate.operation_id = lsc.operation_id;
  certificate.key_sha256 = lsc.key_sha256;
  return certificate;
}

/// Cancels the open operations of these phones, and revokes their LSCs. @return how many
Result<int> end_all(Transaction& tx, const Actor& actor, std::span<const SelectedPhone> phones,
                    const std::string& message, RevocationReason reason) {
  CAPF_LET(std::vector<rules::Draft> drafts, drafts_of(tx, actor, phones));
  int revoked = 0;
  for (rules::Draft& draft : drafts) {
    rules::cancel_open(draft, message);
    revoked += rules::revoke_all(draft, reason);
  }
  CAPF_TRY(write(tx, drafts));
  return revoked;
}

}  // namespace

Status check_clock(TimePoint now, const Clock& clock) {
  const auto skew = now - clock.now();
  if (skew > kLargestClockSkew || skew < -kLargestClockSkew) return fail(Reason::kClockSkew);
  const auto later = signed_of_later(now, clock);
  if (later) return fail(Reason::kClockSkew, *later);
  return {};
}

std::optional<std::string> signed_of_later(TimePoint now, const Clock& clock) {
  const TimeBound bound = clock.bound();
  if (now >= bound.at - kLargestClockSkew) return std::nullopt;
  return "the clocks of the server and of its database say " + to_rfc3339(now) + ", and " + bound.what + " is of " +
         to_rfc3339(bound.at);
}

Status check_primary(const Transaction& tx) {
  if (tx.standby()) return fail(Reason::kDatabaseReadOnly);
  return {};
}

Status check_takes_back(KeyOwner owner) {
  switch (owner) {
    case KeyOwner::kPhone:
    case KeyOwner::kMic:
    case KeyOwner::kBlocked: return {};
    case KeyOwner::kIssuer:
      return fail(Reason::kKeyReserved,
                  "the key is a trust anchor's or an issuer's: 'capfctl trust remove' and 'capfctl issuer retire' end "
                  "what it vouches for");
    case KeyOwner::kSite:
      return fail(Reason::kKeyReserved,
                  "the key is one of the site's own servers: 'capfd certificate renew' and "
                  "'capfctl wire-certificate' put another one in its place");
    case KeyOwner::kAdministrator:
      return fail(Reason::kKeyReserved,
                  "the key is an administrator's: 'capfctl administrator disable' refuses its certificate");
  }
  CAPF_INVARIANT(false);
}

Result<std::string> beginning_of_sha256(std::string text, std::string_view what) {
  text = lower_case(std::move(text));
  if (text.size() < 8 || text.size() > 64 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return fail(Reason::kInvalidRequest,
                std::string(what) + " is named by the first 8 or more hexadecimal digits of its SHA-256");
  }
  return text;
}

Result<std::string> name_in_other_case(Transaction& tx, const DeviceName& device) {
  CAPF_LET(const auto other, tx.phones().find_other_case(device));
  return other ? ", but there is " + other->text() + ": case counts" : std::string();
}

tl::unexpected<Error> unknown_device(Transaction& tx, const DeviceName& device, const std::string& before) {
  auto other = name_in_other_case(tx, device);
  if (!other) return fail(std::move(other.error()));
  return fail(Reason::kUnknownDevice, before + "there is no device " + device.text() + *other);
}

tl::unexpected<Error> unknown_profile(const std::string& name) {
  return fail(Reason::kUnknownProfile, "there is no profile \"" + name + "\"");
}

Result<Profile> held_profile(Transaction& tx, const std::string& name) {
  CAPF_LET(auto profile, tx.profiles().hold(name));
  if (!profile) return unknown_profile(name);
  return *std::move(profile);
}

std::vector<std::int64_t> ids_of(std::span<const SelectedPhone> phones) {
  std::vector<std::int64_t> ids;
  for (const SelectedPhone& phone : phones) ids.push_back(phone.id);
  return ids;
}

Result<rules::Draft> draft_of(Transaction& tx, const Actor& actor, const SelectedPhone& phone) {
  CAPF_LET(std::vector<rules::Draft> drafts, drafts_of(tx, actor, std::span(&phone, 1)));
  return std::move(drafts.front());
}

Result<std::vector<rules::Draft>> drafts_of(Transaction& tx, const Actor& actor,
                                            std::span<const SelectedPhone> phones) {
  std::map<std::int64_t, std::size_t> places;
  std::vector<rules::Draft> drafts;
  for (const SelectedPhone& phone : phones) {
    places.emplace(phone.id, drafts.size());
    drafts.push_back({.actor = actor, .phone = {.id = phone.id, .device = phone.device}, .now = tx.now()});
  }
  const std::vector<std::int64_t> ids = ids_of(phones);
  CAPF_LET(std::vector<Operation> open, tx.operations().find_all_open(ids));
  for (Operation& operation : open) drafts[places.at(operation.phone_id)].open = std::move(operation);
  CAPF_LET(std::vector<Certificate> live, tx.certificates().live_of_all(ids));
  for (Certificate& lsc : live) drafts[places.at(lsc.phone_id)].live.push_back(std::move(lsc));
  return drafts;
}

Status write(Transaction& tx, const rules::Draft& draft) {
  if (draft.writes.empty()) return {};
  CAPF_TRY(tx.write(draft.phone.id, draft.writes));
  return {};
}

Status write(Transaction& tx, std::span<const rules::Draft> drafts) {
  std::vector<PhoneWrites> phones;
  for (const rules::Draft& draft : drafts) {
    if (!draft.writes.empty()) phones.push_back({draft.phone.id, draft.writes});
  }
  if (phones.empty()) return {};
  CAPF_TRY(tx.write(phones));
  return {};
}

Result<PhonesEnded> block_phones(Transaction& tx, const Actor& actor, std::span<const SelectedPhone> phones,
                                 const std::string& why) {
  CAPF_LET(const auto blocked, tx.phones().block_all(ids_of(phones)));
  CAPF_LET(const int revoked, end_all(tx, actor, phones, why.empty() ? "the phone was blocked" : why,
                                      RevocationReason::kPrivilegeWithdrawn));
  CAPF_TRY(record(tx, actor, "phone.block", blocked, why));
  return PhonesEnded{static_cast<int>(blocked.size()), revoked};
}

Result<PhonesEnded> remove_phones(Transaction& tx, const Actor& actor, std::span<const SelectedPhone> phones,
                                  const std::string& why) {
  CAPF_LET(const int revoked, end_all(tx, actor, phones, why.empty() ? "the phone was removed" : why,
                                      RevocationReason::kCessationOfOperation));
  CAPF_TRY(tx.phones().remove_all(ids_of(phones)));
  std::vector<std::string> devices;
  for (const SelectedPhone& phone : phones) devices.push_back(phone.device.text());
  CAPF_TRY(record(tx, actor, "phone.remove", devices, why));
  return PhonesEnded{static_cast<int>(devices.size()), revoked};
}

Status record(Transaction& tx, const Actor& actor, const std::string& action, std::span<const std::string> devices,
              const std::string& detail) {
  std::vector<AuditEvent> events;
  for (const std::string& device : devices) events.push_back(done(actor, action, device, detail));
  return tx.audit().add_all(events);
}

RevocableLsc revocable(const Certificate& certificate) {
  return {certificate.id,     certificate.phone_id,     certificate.device,
          certificate.serial, certificate.operation_id, certificate.key_sha256};
}

AuditEvent revoked(const Actor& actor, const RevocableLsc& lsc, RevocationReason reason) {
  return rules::revoked(actor, certificate_of(lsc), reason);
}

Status revoke(Transaction& tx, const Actor& actor, std::span<const RevocableLsc> lscs, RevocationReason reason) {
  std::map<std::int64_t, std::size_t> places;
  std::vector<rules::Draft> drafts;
  for (const RevocableLsc& lsc : lscs) {
    const auto [place, added] = places.try_emplace(lsc.phone_id, drafts.size());
    if (added) {
      CAPF_LET(const DeviceName device, DeviceName::parse(lsc.device));
      drafts.push_back({.actor = actor, .phone = {.id = lsc.phone_id, .device = device}, .now = tx.now()});
    }
    rules::Draft& draft = drafts[place->second];
    draft.live.push_back(certificate_of(lsc));
    rules::revoke(draft, Certificate(draft.live.back()), reason);
  }
  return write(tx, drafts);
}

Result<int> cancel_all(Transaction& tx, const Actor& actor, std::span<const std::int64_t> phone_ids,
                       const std::string& message, BytesView run) {
  CAPF_LET(const auto cancelled, tx.operations().cancel_all(phone_ids, message, run));
  std::vector<AuditEvent> events;
  for (const EndedOperation& operation : cancelled) {
    events.push_back(done(actor, "operation.cancel", operation.device, message));
    events.back().operation_id = operation.id;
  }
  CAPF_TRY(tx.audit().add_all(events));
  return static_cast<int>(cancelled.size());
}

Result<int> block_compromised(Transaction& tx, const Actor& actor, std::span<const Sha256> keys,
                              std::span<const std::int64_t> phone_ids) {
  CAPF_TRY(tx.keys().mark_compromised(keys));
  CAPF_TRY(cancel_all(tx, actor, phone_ids, "the phone's key was revoked as compromised"));
  CAPF_LET(const auto blocked, tx.phones().block_all(phone_ids));
  CAPF_TRY(record(tx, actor, "phone.block", blocked, "its key was revoked as compromised"));
  return static_cast<int>(blocked.size());
}

}  // namespace capf::service
