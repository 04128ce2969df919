#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>

#include "capf/domain/store.h"
#include "capf/service/caller.h"

// Steps that several use cases take inside their transactions. The phone's row is locked.

namespace capf::service {

/// CLOCK_SKEW where this server's clock is too far from the database's, because nobody can say whose is wrong, and
/// where both are before what the site has signed already.
/// @param now the database's
Status check_clock(TimePoint now, const Clock& clock);
inline Status check_clock(const Transaction& tx, const Clock& clock) { return check_clock(tx.now(), clock); }
/// The part of it that two clocks which agree cannot tell: what the site has signed of later than `now`, in words.
std::optional<std::string> signed_of_later(TimePoint now, const Clock& clock);

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

Actor device_actor(const Caller& caller);

/// ", but there is SEP001122334455: case counts" where a device has that name; or else nothing.
Result<std::string> name_in_other_case(Transaction& tx, const DeviceName& device);
/// UNKNOWN_DEVICE for an administrator, in words, with the name in another case where there is one.
/// @param before what was not done: "nothing was scheduled: "
tl::unexpected<Error> unknown_device(Transaction& tx, const DeviceName& device, const std::string& before = {});

/// One line of the record that says it was done.
AuditEvent done(const Actor& actor, std::string action, std::string subject, std::string detail = {});
/// The same about an operation.
AuditEvent done(const Actor& actor, std::string action, const Operation& operation, std::string detail = {});

/// The same about an LSC that was revoked.
AuditEvent revoked(const Actor& actor, const RevocableLsc& lsc, RevocationReason reason);
RevocableLsc revocable(const Certificate& certificate);

/// The issuer's certificate and what stands above it, DER; nothing for a certificate that is not ours, whose id is 0.
Result<std::vector<Bytes>> issuer_chain(Transaction& tx, std::int64_t issuer_id);

/// Errors: KEY_RESERVED, with what to do instead, where the key is not to be taken back: an issuer's, a trust anchor's,
/// a server's or an administrator's.
Status check_takes_back(KeyOwner owner);

/// Revokes one LSC and writes it down; one on hold, for good. @return false where it was revoked already.
Result<bool> revoke(Transaction& tx, const Actor& actor, const Certificate& certificate, RevocationReason reason);
/// The same for many at once, whose phones are locked.
Status revoke(Transaction& tx, const Actor& actor, std::span<const RevocableLsc> lscs, RevocationReason reason);
/// Revokes every live LSC of the phone. @return how many.
Result<int> revoke_all(Transaction& tx, const Actor& actor, const Phone& phone, RevocationReason reason);
/// Ends the operation. Where it issued certificates and none was confirmed, all but the last are revoked: the phone
/// may hold the last. @return false where it is not open any more.
Result<bool> end_operation(Transaction& tx, const Actor& actor, const Operation& operation, OperationState to,
                           std::optional<Reason> reason, const std::string& message);
/// Cancels the phone's open operation, if there is one. @return it, as it was.
Result<std::optional<Operation>> cancel_open(Transaction& tx, const Actor& actor, const Phone& phone,
                                             const std::string& message);
/// Cancels the open operations of these phones, none of which has issued more than one certificate. @return how many.
Result<int> cancel_all(Transaction& tx, const Actor& actor, std::span<const std::int64_t> phone_ids,
                       const std::string& message);
/// Keys that are compromised, for ever, and their phones, whose MICs would bring them back: cancels and blocks. The
/// certificates are revoked. @return how many phones were not blocked before.
Result<int> block_compromised(Transaction& tx, const Actor& actor, std::span<const Sha256> keys,
                              std::span<const std::int64_t> phone_ids);
/// The phone holds this LSC: it is confirmed, what it replaces is superseded, and the operation that issued it has
/// succeeded. Does nothing the second time. @param grace until what earlier operations issued is revoked; what is on
/// hold, and what the same operation issued, is revoked at once.
Status settle(Transaction& tx, const Actor& actor, const Phone& phone, const Certificate& certificate,
              const std::optional<Operation>& open, std::chrono::hours grace);

}  // namespace capf::service
