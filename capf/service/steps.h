#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "capf/domain/certificate_store.h"
#include "capf/domain/database.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/profile_store.h"
#include "capf/rules/endings.h"

// Steps that several use cases take inside their transactions.

namespace capf::service {

using rules::done;

/// CLOCK_SKEW where this server's clock is too far from the database's, because nobody can say whose is wrong, and
/// where both are before what the site has signed already.
/// @param now the database's
Status check_clock(TimePoint now, const Clock& clock);
inline Status check_clock(const Transaction& tx, const Clock& clock) { return check_clock(tx.now(), clock); }
/// The part of it that two clocks which agree cannot tell: what the site has signed of later than `now`, in words.
std::optional<std::string> signed_of_later(TimePoint now, const Clock& clock);
/// DATABASE_READ_ONLY on a standby, which may not know yet who was blocked and what was revoked. All that goes by such
/// rights asks, in a look too.
Status check_primary(const Transaction& tx);

/// in_write() for an administrator's act: strings that nobody hears, or a key whose certificate nobody gets, are worse
/// than nothing done. Errors: CALLER_GONE besides.
template <class Work>
auto in_write(Database& database, const Actor& actor, Work work) {
  return capf::in_write(database, [&](Transaction& tx) -> decltype(work(tx)) {
    auto result = work(tx);
    if (result && actor.gone && actor.gone()) return fail(Reason::kCallerGone);
    return result;
  });
}

/// ", but there is SEP001122334455: case counts" where a device has that name; or else nothing.
Result<std::string> name_in_other_case(Transaction& tx, const DeviceName& device);
/// UNKNOWN_DEVICE for an administrator, in words, with the name in another case where there is one.
/// @param before what was not done: "nothing was scheduled: "
tl::unexpected<Error> unknown_device(Transaction& tx, const DeviceName& device, const std::string& before = {});

/// UNKNOWN_PROFILE for an administrator, in words.
tl::unexpected<Error> unknown_profile(const std::string& name);
/// The profile of that name, which stays as it is until this transaction ends. Errors: UNKNOWN_PROFILE.
Result<Profile> held_profile(Transaction& tx, const std::string& name);

/// At least the first 8 hexadecimal digits of a SHA-256, in lower case. @param what they name: "an anchor".
/// Errors: INVALID_REQUEST.
Result<std::string> beginning_of_sha256(std::string text, std::string_view what);

/// Errors: KEY_RESERVED, with what to do instead, where the key is not to be taken back: an issuer's, a trust anchor's,
/// a server's or an administrator's.
Status check_takes_back(KeyOwner owner);

// How operations and certificates end is the rules' to say: what they draft is written in the transaction that has
// locked the phones.

std::vector<std::int64_t> ids_of(std::span<const SelectedPhone> phones);
/// A locked phone's open operation and live LSCs.
Result<rules::Draft> draft_of(Transaction& tx, const Actor& actor, const SelectedPhone& phone);
/// The same of different phones, in their order. Their records are not read: of `phone` there are id and name alone.
Result<std::vector<rules::Draft>> drafts_of(Transaction& tx, const Actor& actor, std::span<const SelectedPhone> phones);
Status write(Transaction& tx, const rules::Draft& draft);
/// Of different phones, in one statement.
Status write(Transaction& tx, std::span<const rules::Draft> drafts);

/// The ends of phones, one or many, all different and locked.
struct PhonesEnded {
  int changed = 0;  ///< phones that were not so before
  int revoked = 0;  ///< LSCs
};
/// Cancels their operations, revokes their LSCs, and refuses every way to authenticate. @param why for the record, or
/// empty where an administrator has just asked for it
Result<PhonesEnded> block_phones(Transaction& tx, const Actor& actor, std::span<const SelectedPhone> phones,
                                 const std::string& why = {});
/// Cancels their operations, revokes their LSCs, and frees their names. @param why as above
Result<PhonesEnded> remove_phones(Transaction& tx, const Actor& actor, std::span<const SelectedPhone> phones,
                                  const std::string& why = {});
/// Adds the same event for each of these devices to the record.
Status record(Transaction& tx, const Actor& actor, const std::string& action, std::span<const std::string> devices,
              const std::string& detail = {});

RevocableLsc revocable(const Certificate& certificate);
/// The record's line of a revocation that is written otherwise.
AuditEvent revoked(const Actor& actor, const RevocableLsc& lsc, RevocationReason reason);
/// Revokes live LSCs of locked phones; one on hold, for good.
Status revoke(Transaction& tx, const Actor& actor, std::span<const RevocableLsc> lscs, RevocationReason reason);
/// Cancels the open operations of these phones, none of which has issued more than one certificate. @return how many.
/// @param run of the bulk that cancels, or empty
Result<int> cancel_all(Transaction& tx, const Actor& actor, std::span<const std::int64_t> phone_ids,
                       const std::string& message, BytesView run = {});
/// Keys that are compromised, for ever, and their phones, whose MICs would bring them back: cancels and blocks. The
/// certificates are revoked. @return how many phones were not blocked before.
Result<int> block_compromised(Transaction& tx, const Actor& actor, std::span<const Sha256> keys,
                              std::span<const std::int64_t> phone_ids);

}  // namespace capf::service
