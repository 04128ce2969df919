#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/administrator.h"
#include "capf/domain/audit.h"
#include "capf/domain/certificate.h"
#include "capf/domain/change.h"
#include "capf/domain/expiry.h"
#include "capf/domain/issuer.h"
#include "capf/domain/key.h"
#include "capf/domain/operation.h"
#include "capf/domain/page.h"
#include "capf/domain/phone.h"
#include "capf/domain/policy.h"
#include "capf/domain/revocation.h"
#include "capf/domain/rounds.h"
#include "capf/domain/seal.h"
#include "capf/domain/strings.h"
#include "capf/domain/withdrawal.h"

// The records as the services see them; `storage/` keeps them in PostgreSQL. Every method may also fail with
// DATABASE_UNAVAILABLE, CHANGED_MEANWHILE (the transaction is run again from its start) or INTERNAL. A change that is
// compare-and-set answers false where the row was not as expected.

namespace capf {

struct PhoneFilter {
  std::optional<Pattern> devices;
  std::optional<bool> blocked;
};

class PhoneStore {
 public:
  virtual ~PhoneStore() = default;
  /// Adds all of them. @return the names that exist already: the caller must then roll back.
  virtual Result<std::vector<std::string>> add(std::span<const DeviceName> devices, const std::string& model) = 0;
  virtual Result<std::optional<Phone>> find(const DeviceName& device) = 0;
  /// The same, and no other transaction changes the phone, its operation or its certificates before this one ends:
  /// issuing, revoking, cancelling, blocking, removing all hold this lock; see Transaction for the order.
  virtual Result<std::optional<Phone>> lock(const DeviceName& device) = 0;
  /// Locks several phones, always in ascending order of id, so that two transactions cannot deadlock.
  virtual Status lock_all(std::span<const std::int64_t> ids) = 0;
  /// The phones of these names that are on record, each locked as by lock().
  virtual Result<std::vector<Phone>> lock_all(std::span<const DeviceName> devices) = 0;
  virtual Result<std::optional<Phone>> find(std::int64_t id) = 0;
  /// A device whose name differs from this one in the case of letters alone; nothing where there is none.
  virtual Result<std::optional<DeviceName>> find_other_case(const DeviceName& device) = 0;
  /// In the order of their names, byte for byte.
  virtual Result<std::vector<Phone>> list(const PhoneFilter& filter, const PhonePage& page) = 0;
  virtual Status set_blocked(std::int64_t id, bool blocked) = 0;
  /// @return the names of the phones that were newly blocked.
  virtual Result<std::vector<std::string>> block_all(std::span<const std::int64_t> ids) = 0;
  virtual Status set_model(std::int64_t id, const std::string& model) = 0;
  /// @param fresh whether it was proven fresh. An empty `mic` clears both.
  virtual Status set_mic(std::int64_t id, const std::optional<Sha256>& mic, bool fresh) = 0;
  virtual Status set_self_service_stopped(std::int64_t id, bool stopped) = 0;
  /// @param until absent: no longer.
  virtual Status set_traced(std::int64_t id, const std::optional<TimePoint>& until) = 0;
  /// The name is free again; the records of the phone stay, and a phone added under the name is another one.
  virtual Status remove(std::int64_t id) = 0;
  /// Replaces the last attempt, unless that one was later: attempts are written down after they have been answered.
  virtual Status record_attempt(std::int64_t id, const Attempt& attempt) = 0;
};

struct OperationFilter {
  std::optional<OperationState> state;
  bool open = false;     ///< the three open states
  bool overdue = false;  ///< open, and past the deadline
  std::optional<OperationKind> kind;
  std::optional<DeviceName> device;
  std::optional<TimePoint> created_before;
};

/// An operation that ended together with others.
struct EndedOperation {
  std::int64_t id = 0;
  std::string device;
};

class OperationStore {
 public:
  virtual ~OperationStore() = default;
  /// An id for an operation that is yet to be added: the authentication string's hash contains it.
  virtual Result<std::int64_t> next_id() = 0;
  /// Adds it as pending, with created_at by the database's clock. @param strings_limit wrong strings in all.
  /// @return false where the phone has an open one.
  virtual Result<bool> add(const Operation& operation, int strings_limit) = 0;
  virtual Result<std::optional<Operation>> find(std::int64_t id) = 0;
  virtual Result<std::optional<Operation>> find_open(std::int64_t phone_id) = 0;
  /// The phone's newest one, open or not.
  virtual Result<std::optional<Operation>> find_last(std::int64_t phone_id) = 0;
  /// The phone's operation before that one.
  virtual Result<std::optional<Operation>> find_before(std::int64_t phone_id, std::int64_t id) = 0;
  virtual Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page) = 0;
  /// Records how the phone authenticated and moves to `to`: in_progress, which begins another session, or issued,
  /// which counts a certificate. @return the number of the session; nothing where the operation is not open any more.
  virtual Result<std::optional<std::int64_t>> advance(std::int64_t id, OperationState to, CredentialKind by,
                                                      const std::optional<Sha256>& certificate, bool expired_mic) = 0;
  /// Ends it: succeeded, failed, expired or cancelled; removes its string's hash. @return false where it is not open.
  virtual Result<bool> finish(std::int64_t id, OperationState to, std::optional<Reason> reason,
                              const std::string& message) = 0;
  /// Cancels the open ones of these phones.
  virtual Result<std::vector<EndedOperation>> cancel_all(std::span<const std::int64_t> phone_ids,
                                                         const std::string& message) = 0;
  /// @return how often the phone has reported failure now; 0 where the operation is not open.
  virtual Result<int> count_failure(std::int64_t id) = 0;
  /// Open ones whose deadline passed before `deadline`, oldest first, at most `limit`; skips rows that other
  /// transactions have locked.
  virtual Result<std::vector<Operation>> lock_overdue(TimePoint deadline, int limit) = 0;
};

struct CertificateFilter {
  std::optional<std::int64_t> issuer_id;
  std::optional<DeviceName> device;
  std::optional<CertificateState> state;
  std::optional<TimePoint> expires_before;
  std::optional<CertificateKind> kind;
};

/// LSCs that have not expired and are not revoked for good, by their properties: all those given must match.
struct CertificateSelection {
  std::optional<Pattern> devices;
  std::optional<Pattern> models;
  std::optional<std::int64_t> issuer_id;
  std::optional<TimePoint> issued_after;   ///< then or later
  std::optional<TimePoint> issued_before;  ///< before then
  std::optional<TimePoint> expires_before;
  std::optional<CertificateState> state;
  std::optional<TimePoint> superseded_before;  ///< then or before, and not revoked yet
  std::vector<SerialNumber> serials;           ///< without leading zero octets
  bool held = true;                            ///< those on hold too
  std::optional<std::int64_t> through;         ///< none with a greater id

  /// Whether a property is given.
  bool names_any() const {
    return devices || models || issuer_id || issued_after || issued_before || expires_before || state ||
           superseded_before || !serials.empty();
  }
};

struct SelectionCount {
  std::int64_t certificates = 0;
  std::int64_t phones = 0;
  std::int64_t last_id = 0;  ///< the greatest
};

/// The parts of an LSC's record that revoking needs.
struct RevocableLsc {
  std::int64_t id = 0;
  std::int64_t phone_id = 0;
  std::string device;
  Bytes serial;
  std::int64_t operation_id = 0;
  Sha256 key_sha256{};
};

class CertificateStore {
 public:
  virtual ~CertificateStore() = default;
  /// @return its id. A second one with its SHA-256 that was handed over replaces nothing and is no error.
  virtual Result<std::int64_t> add(const Certificate& certificate) = 0;
  /// One of our LSCs, by its SHA-256.
  virtual Result<std::optional<Certificate>> find_lsc(const Sha256& sha256) = 0;
  virtual Result<std::vector<Certificate>> find_serial(BytesView serial) = 0;
  /// The LSC that was issued for this key in this operation and is not revoked for good: it may be on hold.
  virtual Result<std::optional<Certificate>> find_issued(std::int64_t operation_id, const Sha256& key_sha256) = 0;
  /// The phone's LSCs that are neither expired nor revoked for good, oldest first: some may be on hold, or superseded
  /// and in their grace.
  virtual Result<std::vector<Certificate>> live(std::int64_t phone_id) = 0;
  virtual Result<LscHistory> history(std::int64_t phone_id) = 0;
  /// Those of these phones that have an LSC that is in time, not revoked, not on hold and not superseded.
  virtual Result<std::vector<std::int64_t>> phones_with_lsc(std::span<const std::int64_t> phone_ids) = 0;
  /// The issuer's LSCs that are neither expired nor revoked for good, by phone, at most `limit`.
  virtual Result<std::vector<Certificate>> live_of_issuer(std::int64_t issuer_id, int limit) = 0;
  /// The phone's certificates of every kind and state, newest first, at most `limit`.
  virtual Result<std::vector<Certificate>> of_phone(std::int64_t phone_id, int limit) = 0;
  virtual Result<std::vector<Certificate>> list(const CertificateFilter& filter, const Page& page) = 0;
  /// @return false where it was confirmed before.
  virtual Result<bool> confirm(std::int64_t id) = 0;
  /// Marks it: its successor was confirmed, and its revocation follows later. @return false where it is superseded or
  /// revoked already.
  virtual Result<bool> supersede(std::int64_t id) = 0;
  /// Writes the revocation (narrow table, for CRLs) and marks the certificate, also as superseded where that is the
  /// reason. One on hold is revoked for good, with the time of the hold (X.509 8.5.2.2). @return false where it is
  /// revoked already.
  virtual Result<bool> revoke(const Certificate& certificate, RevocationReason reason) = 0;
  /// Ends the hold. @return false where it is not on hold or has expired.
  virtual Result<bool> release(std::int64_t id) = 0;

  // Selections: their phones by pages, which the caller locks, then what is selected of those phones, then all of it.

  /// Phones with an LSC that was superseded then or before and is not revoked yet, at most `limit`.
  virtual Result<std::vector<std::int64_t>> superseded_phones(TimePoint before, int limit) = 0;
  virtual Result<SelectionCount> count(const CertificateSelection& selection) = 0;
  virtual Result<std::vector<Certificate>> list_selected(const CertificateSelection& selection, const Page& page) = 0;
  /// One of these serial numbers that no LSC has.
  virtual Result<std::optional<SerialNumber>> find_missing(std::span<const SerialNumber> serials) = 0;
  /// Phones with a selected certificate, by their ids after `after`.
  virtual Result<std::vector<std::int64_t>> selected_phones(const CertificateSelection& selection, std::int64_t after,
                                                            int limit) = 0;
  /// Selected certificates of these phones; an empty selection selects all of their revocable ones.
  virtual Result<std::vector<RevocableLsc>> selected(const CertificateSelection& selection,
                                                     std::span<const std::int64_t> phone_ids) = 0;
  /// revoke() for all of them. @return how many.
  virtual Result<int> revoke_all(std::span<const std::int64_t> ids, RevocationReason reason) = 0;
  /// The status of these LSCs of an issuer, also where only the revocation is on record; none for those that it never
  /// issued. In no order.
  virtual Result<std::vector<SerialStatus>> statuses(std::int64_t issuer_id, std::span<const SerialNumber> serials) = 0;
};

/// The newest CRL of a shard as recorded outside the database.
struct CrlMark {
  CrlShard shard;
  std::int64_t number = 0;
};

/// The revocations that a CRL brought back into a database that had been set back.
struct BroughtBack {
  struct Known {
    RevocableLsc lsc;
    RevocationReason reason = RevocationReason::kUnspecified;
  };
  std::vector<Known> known;
  std::int64_t unknown = 0;  ///< of LSCs that are not on record any more
};

class CrlStore {
 public:
  virtual ~CrlStore() = default;
  virtual Result<std::optional<CrlRecord>> newest(const CrlShard& shard) = 0;
  /// Whether a mark is ahead of what is on record.
  virtual Result<bool> behind(std::span<const CrlMark> marks) = 0;
  /// The revoked certificates of the shard that expire after `expires_after`, in the order of their serial numbers.
  virtual Result<std::vector<Revocation>> revocations(const CrlShard& shard, TimePoint expires_after,
                                                      const std::optional<SerialNumber>& after, int limit) = 0;
  /// Changes of the shard's revocations that no CRL has, oldest first, as ids.
  virtual Result<std::vector<std::int64_t>> changes(const CrlShard& shard, int limit) = 0;
  /// Drops changes that a CRL now has.
  virtual Status forget_changes(const CrlShard& shard, std::span<const std::int64_t> ids) = 0;
  /// Stores a CRL, and drops the pieces of those before its predecessor.
  /// @return false where its number is not greater than those before, because another server has published.
  virtual Result<bool> add(const CrlRecord& crl) = 0;
  /// Its DER, in order, in pieces of at most kLargestCrlPiece octets.
  virtual Status add_piece(const CrlRecord& crl, int position, BytesView data) = 0;
  virtual Result<std::optional<Bytes>> piece(const CrlRecord& crl, int position) = 0;
  /// After a restore: records the revocations of these entries that are missing, with the entries' times; a hold on
  /// record becomes final where the entry is. @param expires_at of LSCs that are not on record any more
  virtual Result<BroughtBack> bring_back(const CrlShard& shard, std::span<const Revocation> entries,
                                         TimePoint expires_at) = 0;
};
inline constexpr std::size_t kLargestCrlPiece = std::size_t{1024} * 1024;

/// Two devices whose keys, made before moduli were looked at, have one modulus.
struct SharedModulus {
  std::string device;
  std::string other;
};

class KeyStore {
 public:
  virtual ~KeyStore() = default;
  /// Writes the key and its modulus down for their owner unless they are on record. @return what is on record now:
  /// another owner's record where one of the two is another's; compromised and blocked where one of the two is.
  virtual Result<KeyRecord> claim(const KeyDigests& key, KeyOwner owner, std::int64_t phone_id) = 0;
  /// The key's record, or that of its modulus with another exponent.
  virtual Result<std::optional<KeyRecord>> find(const KeyDigests& key) = 0;
  /// For ever, with the moduli that are on record of them, also where nobody has shown the key yet.
  virtual Status mark_compromised(std::span<const Sha256> keys) = 0;
  /// Writes down the moduli of keys that are on record without. @return devices that turn out to share one.
  virtual Result<std::vector<SharedModulus>> learn_moduli(std::span<const KeyDigests> keys) = 0;
};

/// A certificate of another issuer that is refused, and its key with it.
struct BlockedCertificate {
  std::int64_t id = 0;  ///< given by the store
  Sha256 sha256{};
  KeyDigests key;
  Bytes serial;
  std::string subject;
  std::string issuer;
  TimePoint not_after;
  TimePoint blocked_at;
  std::string blocked_by;
};

class BlockStore {
 public:
  virtual ~BlockStore() = default;
  /// Until this transaction ends, no other one that acts on a certificate's authority can continue.
  virtual Status lock() = 0;
  /// @return false where it is blocked already.
  virtual Result<bool> add(const BlockedCertificate& certificate) = 0;
  virtual Result<std::optional<BlockedCertificate>> find(const Sha256& sha256) = 0;
  /// Those whose SHA-256 begins with it, at most two.
  virtual Result<std::vector<BlockedCertificate>> find_beginning(const std::string& hexadecimal) = 0;
  virtual Status remove(std::int64_t id) = 0;
  virtual Result<std::vector<BlockedCertificate>> list(const Page& page) = 0;
  /// Blocks it by its row, as kept in a withdrawal. @return false where it is blocked already.
  virtual Result<bool> bring_back(const std::string& row) = 0;
  /// Whether one of the certificates is blocked, or one of the keys is, or was revoked as compromised.
  virtual Result<bool> refuses(std::span<const Sha256> certificates, std::span<const Sha256> keys) = 0;
};

/// Wrong strings of one address that reached a limit.
struct LimitedAddress {
  std::string address_block;
  std::string device;  ///< empty: for all devices
  int strings = 0;
  TimePoint until;  ///< when it may try again
};

class StringStore {
 public:
  virtual ~StringStore() = default;
  /// Counts a string before it is compared: for the address, unless it has said this one within the hour, the address
  /// on this device, the device and the operation.
  /// @return nothing where it may be compared; else ADDRESS_LIMITED (then nothing is counted for the device),
  /// AUTH_STRING_LOCKED or AUTH_STRING_EXHAUSTED (the operation's limit is used up: the caller fails it).
  virtual Result<std::optional<Reason>> count(std::int64_t phone_id, std::int64_t operation_id,
                                              const StringTry& said) = 0;
  /// The same for a string that has nothing to be compared with, because there is no such device or operation.
  /// @return nothing or ADDRESS_LIMITED.
  virtual Result<std::optional<Reason>> count_stranger(const StringTry& said) = 0;
  /// Addresses that said `strings` or more in all, or used up one device's, those with the most first, at most 1,000.
  virtual Result<std::vector<LimitedAddress>> limited(int strings) = 0;
  /// *address unlock*: clears the counts of the address, for all devices. @return whether there were any.
  virtual Result<bool> unlock_address(const std::string& address_block) = 0;
  /// A string was right: clears the device's count of the wrong ones. The caller undoes the count of the right one by
  /// rolling its transaction back.
  virtual Status forgive(std::int64_t phone_id) = 0;
  /// *phone unlock*: clears the counts of the device, from every address.
  virtual Status unlock(std::int64_t phone_id) = 0;
  /// Drops counts that are older than their window.
  virtual Status prune() = 0;
};

/// The LSCs that are left under an issuer.
struct IssuerUse {
  std::int64_t valid = 0;                ///< LSCs that are neither expired nor revoked for good
  std::int64_t revoked = 0;              ///< revoked ones that have not expired: its CRL needs them
  std::optional<TimePoint> last_expiry;  ///< of the valid ones
};

class IssuerStore {
 public:
  virtual ~IssuerStore() = default;
  /// No other transaction adds, activates or retires one, or writes an LSC by Rounds::write(), before this one ends.
  /// Before activate() and retire(). @return the id that the next one gets.
  virtual Result<std::int64_t> lock() = 0;
  /// @return its id.
  virtual Result<std::int64_t> add(const IssuerRecord& issuer) = 0;
  virtual Result<std::optional<IssuerRecord>> active() = 0;
  virtual Result<std::optional<std::int64_t>> active_id() = 0;
  virtual Result<std::optional<IssuerRecord>> find(std::int64_t id) = 0;
  /// Activates it; the active one becomes a former one. @return false where there is none of this id, or it is retired.
  virtual Result<bool> activate(std::int64_t id) = 0;
  /// @return false where it is active or retired.
  virtual Result<bool> retire(std::int64_t id) = 0;
  /// Counts every row: for an administrator's question, too slow for a job that runs again and again.
  virtual Result<IssuerUse> use(std::int64_t id) = 0;
  virtual Result<std::vector<IssuerRecord>> list() = 0;
};

/// A capfd that serves the site.
struct ServerRecord {
  std::string name;  ///< of one process, never used again by a later one
  std::string version;
  TimePoint started_at;
  TimePoint seen_at;
  std::vector<std::int64_t> issuers;  ///< issuers whose keys it has
};

class ServerStore {
 public:
  virtual ~ServerStore() = default;
  /// Records that the server is alive, by the database's clock. Forgets those that were not seen for an hour.
  virtual Status see(const ServerRecord& server) = 0;
  virtual Status remove(const std::string& name) = 0;
  /// Those that were seen in the last 30 seconds, by name.
  virtual Result<std::vector<ServerRecord>> alive() = 0;
  /// Those that fell silent in the last hour without an end of their own, and whose machine has started none since.
  virtual Result<std::vector<ServerRecord>> silent() = 0;
};

class AnchorStore {
 public:
  virtual ~AnchorStore() = default;
  /// @return false where it is in a store already.
  virtual Result<bool> add(const TrustAnchor& anchor) = 0;
  virtual Result<std::vector<TrustAnchor>> list() = 0;
  /// @return false where there is none.
  virtual Result<bool> remove(const Sha256& sha256) = 0;
  /// Changes with every add and remove: anchors that were read under one number are still right under the same number.
  virtual Result<std::int64_t> revision() = 0;
  /// The same, and no anchor comes or goes before this transaction ends.
  virtual Result<std::int64_t> lock_revision() = 0;
  /// Counts a certificate that was refused for its unknown issuer. Beyond kMostCandidates the oldest issuer goes that
  /// was first shown from the address block (Address::block()) with the most of them.
  virtual Status note_candidate(const UnknownIssuer& issuer, const std::string& device, const std::string& address,
                                const std::string& address_block) = 0;
  /// Those that were shown in the last 24 hours, those with the most certificates first.
  virtual Result<std::vector<TrustCandidate>> candidates() = 0;
  /// Drops those that were not.
  virtual Status prune_candidates() = 0;
};

class AdministratorStore {
 public:
  virtual ~AdministratorStore() = default;
  /// @return false where the name or the certificate is taken.
  virtual Result<bool> add(const Administrator& administrator) = 0;
  virtual Result<std::optional<Administrator>> find(const std::string& name) = 0;
  virtual Result<std::optional<Administrator>> find_certificate(const Sha256& sha256) = 0;
  virtual Result<std::vector<Administrator>> list() = 0;
  /// @return false where they are disabled already.
  virtual Result<bool> disable(const std::string& name) = 0;
  /// How many enabled administrators with a certificate that is valid now have the role admin. No other transaction
  /// disables one before this one ends.
  virtual Result<int> lock_admins() = 0;
};

struct AuditFilter {
  std::optional<std::string> subject;
  std::optional<std::string> actor;
  std::optional<std::string> action;  ///< or its first part: "operation"
  std::optional<TimePoint> since;
};

struct OperationChange {
  AuditEvent event;
  std::optional<Operation> operation;  ///< as it is now
  ChangeCursor cursor;
};

/// Events of one kind by one actor in a minute.
inline constexpr int kActsInAMinute = 5;

class AuditStore {
 public:
  virtual ~AuditStore() = default;
  virtual Status add(const AuditEvent& event) = 0;
  /// All of them at once, in their order.
  virtual Status add_all(std::span<const AuditEvent> events) = 0;
  /// Adds an event that an authenticated caller can cause again and again: at most kActsInAMinute of an actor, action
  /// and reason in one minute, over all servers. Further ones are counted, and one event says how many they were when
  /// the minute is over.
  /// @return whether it is an event of its own
  virtual Result<bool> add_repeated(const AuditEvent& event) = 0;
  /// Adds the events for the minutes that are over.
  virtual Status report_repeated() = 0;
  virtual Result<std::vector<AuditEvent>> list(const AuditFilter& filter, const Page& page) = 0;
  /// The position at which the record ends now.
  virtual Result<ChangeCursor> end() = 0;
  /// Events about operations after `cursor` that no running transaction can still precede, in order.
  virtual Result<std::vector<OperationChange>> changes(const ChangeCursor& cursor, int limit) = 0;
  /// Counts a refusal before authentication. @param device empty for a name that is not known. Beyond 400 rows
  /// in one minute, or 800 in ten, further ones go into one row for each reason, with the address block "*".
  virtual Status count_refusal(const std::string& address_block, Reason reason, const std::string& device) = 0;
  /// The oldest first. @param device empty: of all. @param page behind its first `after` rows
  virtual Result<std::vector<RefusalCount>> refusals(TimePoint since, const std::optional<std::string>& device,
                                                     const Page& page) = 0;
  /// Drops counted refusals of before `until`, some thousands at a time.
  virtual Status prune_refusals(TimePoint until) = 0;
};

class CheckStore;  // capf/domain/check.h

/// The days for which Summary::lscs_expiring always has a number.
inline constexpr std::array<int, 3> kExpiryDays{1, 7, 30};

/// Everything that monitoring asks for, in one answer.
struct Summary {
  std::map<OperationState, std::int64_t> operations;  ///< open ones; ended ones of the last 24 hours
  std::map<std::string, std::int64_t> reasons;        ///< of failed ones in the last 24 hours
  std::map<std::string, std::int64_t> refusals;       ///< by reason, in the last hour
  std::int64_t overdue = 0;
  std::optional<TimePoint> oldest_pending;  ///< created_at
  std::int64_t phones = 0;
  std::map<int, std::int64_t> lscs_expiring;  ///< by days: live LSCs that expire within so many
  std::int64_t lscs_expired = 0;              ///< their phones, which are on record, have no live one
  std::int64_t lscs_unconfirmed = 0;          ///< their operation ended without a confirmation
  std::optional<TimePoint> issuer_not_after;  ///< of the active one
  std::vector<Expiry> expiries;               ///< issuers and administrators, the first end first
};

class SummaryStore {
 public:
  virtual ~SummaryStore() = default;
  /// @param days for lscs_expiring; it also has those of kExpiryDays.
  virtual Result<Summary> summary(std::span<const int> days) = 0;
};

/// By the database's clock. PostgreSQL ends a transaction that took or holds a lease and then is idle for seconds.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  /// Takes or keeps the lease for `seconds` from now. @return false, without waiting, while another holder has it or a
  /// transaction holds it.
  virtual Result<bool> take(const std::string& name, const std::string& holder, int seconds) = 0;
  /// Keeps a lease that no other holder has taken since; none can take it before this transaction ends.
  /// @return false where another holder took it, even if it was given back: work begun under the lease must not be
  /// finished.
  virtual Result<bool> hold(const std::string& name, const std::string& holder, int seconds) = 0;
  /// Releases the lease at once, if `holder` has it.
  virtual Status give_back(const std::string& name, const std::string& holder) = 0;
  /// How far a job over all certificates is, which the next holder goes on with: the id of the last that it has seen.
  virtual Result<std::int64_t> place(const std::string& job) = 0;
  virtual Status set_place(const std::string& job, std::int64_t certificate_id) = 0;
};

/// One transaction. Not shared between threads. The order of locks: the issuers' lock; phones, several of them at once
/// by lock_all(), in ascending order of id; the trust anchors' lock; keys; operations and certificates of these phones;
/// counts of authentication strings, which are locked for one statement where nothing else is held.
class Transaction {
 public:
  virtual ~Transaction() = default;
  /// The database's clock at the start of the transaction.
  virtual TimePoint now() const = 0;
  /// Dossier::database_start.
  virtual TimePoint database_start() const = 0;
  /// Whether the database is a standby: its records may be old, and it cannot be written.
  virtual bool standby() const = 0;
  virtual PhoneStore& phones() = 0;
  virtual OperationStore& operations() = 0;
  virtual CertificateStore& certificates() = 0;
  virtual KeyStore& keys() = 0;
  virtual BlockStore& blocks() = 0;
  virtual StringStore& strings() = 0;
  virtual IssuerStore& issuers() = 0;
  virtual ServerStore& servers() = 0;
  virtual AnchorStore& anchors() = 0;
  virtual AdministratorStore& administrators() = 0;
  virtual AuditStore& audit() = 0;
  virtual SealStore& seals() = 0;
  virtual WithdrawalStore& withdrawals() = 0;
  virtual CheckStore& checks() = 0;
  virtual SummaryStore& summary() = 0;
  virtual LeaseStore& leases() = 0;
  virtual CrlStore& crls() = 0;
  /// Carries out the writes of a phone that this transaction has locked. Of what they rest on only the owners of keys
  /// are compared. Errors: CHANGED_MEANWHILE where a row is not as they expect it.
  virtual Result<Written> write(std::int64_t phone_id, std::span<const Write> writes) = 0;
  /// The same for many different phones, in one statement. @return one for each, in their order
  virtual Result<std::vector<Written>> write(std::span<const PhoneWrites> phones) = 0;
};

/// Threads: any.
class Database {
 public:
  virtual ~Database() = default;
  /// Runs `work` in a transaction and commits it, or rolls back where `work` fails. `work` may be run several times:
  /// from its start after a serialization failure, a deadlock or a connection that was lost before the commit was
  /// sent. COMMIT_IN_DOUBT where the connection was lost during the commit. DATABASE_READ_ONLY on a standby.
  virtual Status write(const std::function<Status(Transaction&)>& work) = 0;
  /// The same without the right to write; on a standby where there is no primary and the site's settings allow it.
  virtual Status read(const std::function<Status(Transaction&)>& work) = 0;
  /// Looks and writes of phones, many together.
  virtual Rounds& rounds() = 0;
};

/// in_transaction(&Database::write, db, [&](Transaction& tx) -> Result<Phone> { … }): the value of the work.
template <class Work>
auto in_transaction(Status (Database::*how)(const std::function<Status(Transaction&)>&), Database& database, Work work)
    -> std::invoke_result_t<Work&, Transaction&> {
  using Answer = std::invoke_result_t<Work&, Transaction&>;
  std::optional<Answer> answer;
  const Status status = (database.*how)([&](Transaction& tx) -> Status {
    answer.emplace(work(tx));
    if (!*answer) return fail(answer->error());
    return {};
  });
  if (!status) return fail(status.error());
  return *std::move(answer);
}
template <class Work>
auto in_write(Database& database, Work work) {
  return in_transaction(&Database::write, database, std::move(work));
}
template <class Work>
auto in_read(Database& database, Work work) {
  return in_transaction(&Database::read, database, std::move(work));
}

}  // namespace capf
