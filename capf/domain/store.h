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
#include "capf/domain/crl.h"
#include "capf/domain/expiry.h"
#include "capf/domain/issuer.h"
#include "capf/domain/operation.h"
#include "capf/domain/phone.h"
#include "capf/domain/policy.h"
#include "capf/domain/seal.h"
#include "capf/domain/withdrawal.h"

// The records as the services see them; `storage/` keeps them in PostgreSQL. Every method may also fail with
// DATABASE_UNAVAILABLE, CHANGED_MEANWHILE (the transaction is run again from its start) or INTERNAL. A change that is
// compare-and-set answers false where the row was not as expected.

namespace capf {

/// A slice of a list, in the order of the rows' ids, so that pages stay right while rows change.
struct Page {
  std::int64_t after = 0;  ///< rows with a greater id
  int limit = 100;         ///< 1 to 1000
};

struct PhoneFilter {
  std::optional<Pattern> devices;
  std::optional<bool> blocked;
};

class PhoneStore {
 public:
  virtual ~PhoneStore() = default;
  /// Adds all of them. @return the names that exist already: then the caller gives up the transaction.
  virtual Result<std::vector<std::string>> add(std::span<const DeviceName> devices, const std::string& model) = 0;
  virtual Result<std::optional<Phone>> find(const DeviceName& device) = 0;
  /// The same, and nobody else changes the phone, its operation or its certificates before this transaction ends:
  /// issuing, revoking, cancelling, blocking, removing all take this lock first.
  virtual Result<std::optional<Phone>> lock(const DeviceName& device) = 0;
  /// The same for some of them by their ids, in the one order in which several phones are ever locked.
  virtual Status lock_all(std::span<const std::int64_t> ids) = 0;
  /// Those of these names that are on record, each locked as lock() does it.
  virtual Result<std::vector<Phone>> lock_all(std::span<const DeviceName> devices) = 0;
  virtual Result<std::optional<Phone>> find(std::int64_t id) = 0;
  virtual Result<std::vector<Phone>> list(const PhoneFilter& filter, const Page& page) = 0;
  virtual Status set_blocked(std::int64_t id, bool blocked) = 0;
  /// @return the names of those that were not blocked and are now.
  virtual Result<std::vector<std::string>> block_all(std::span<const std::int64_t> ids) = 0;
  virtual Status set_model(std::int64_t id, const std::string& model) = 0;
  /// @param fresh whether it was proven fresh; nothing forgets that too.
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
  /// Ends it: succeeded, failed, expired or cancelled; its string's hash goes. @return false where it is not open.
  virtual Result<bool> finish(std::int64_t id, OperationState to, std::optional<Reason> reason,
                              const std::string& message) = 0;
  /// Cancels the open ones of these phones.
  virtual Result<std::vector<EndedOperation>> cancel_all(std::span<const std::int64_t> phone_ids,
                                                         const std::string& message) = 0;
  /// @return how often the phone has reported failure now; 0 where the operation is not open.
  virtual Result<int> count_failure(std::int64_t id) = 0;
  /// Open ones whose deadline passed before `deadline`, oldest first, at most `limit`; rows that others hold are left.
  virtual Result<std::vector<Operation>> lock_overdue(TimePoint deadline, int limit) = 0;
};

struct CertificateFilter {
  std::optional<std::int64_t> issuer_id;
  std::optional<DeviceName> device;
  std::optional<CertificateState> state;
  std::optional<TimePoint> expires_before;
  std::optional<CertificateKind> kind;
};

/// LSCs that have not expired and are not revoked for good, by their properties: all that are named must fit.
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

  /// Whether a property is named.
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

/// An LSC as far as revoking it needs to know.
struct RevocableLsc {
  std::int64_t id = 0;
  std::int64_t phone_id = 0;
  std::string device;
  Bytes serial;
  std::int64_t operation_id = 0;
  Sha256 key_sha256{};
};

/// What an LSC of ours has been to a phone.
struct LscHistory {
  bool valid = false;           ///< one is, as Certificate::valid() has it
  bool ever_confirmed = false;  ///< one was confirmed by the phone, whatever became of it
};

class CertificateStore {
 public:
  virtual ~CertificateStore() = default;
  /// @return its id. A second one with its SHA-256 that was handed over replaces nothing and is no error.
  virtual Result<std::int64_t> add(const Certificate& certificate) = 0;
  /// An LSC of ours by its SHA-256.
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
  /// Its successor was confirmed, and its revocation comes later. @return false where it is superseded or revoked
  /// already.
  virtual Result<bool> supersede(std::int64_t id) = 0;
  /// Writes the revocation (narrow table, for CRLs) and marks the certificate, also as superseded where that is the
  /// reason. One on hold is revoked for good, with the time of the hold (X.509 8.5.2.2). @return false where it is
  /// revoked already.
  virtual Result<bool> revoke(const Certificate& certificate, RevocationReason reason) = 0;
  /// Takes the hold back. @return false where it is not on hold or has expired.
  virtual Result<bool> release(std::int64_t id) = 0;

  // Selections: their phones by pages, which the caller locks, then what is selected of those phones, then all of it.

  /// Phones with an LSC that was superseded then or before and is not revoked yet, at most `limit`.
  virtual Result<std::vector<std::int64_t>> superseded_phones(TimePoint before, int limit) = 0;
  virtual Result<SelectionCount> count(const CertificateSelection& selection) = 0;
  virtual Result<std::vector<Certificate>> list_selected(const CertificateSelection& selection, const Page& page) = 0;
  /// Of these serial numbers one that no LSC has.
  virtual Result<std::optional<SerialNumber>> find_missing(std::span<const SerialNumber> serials) = 0;
  /// Phones with a selected certificate, by their ids after `after`.
  virtual Result<std::vector<std::int64_t>> selected_phones(const CertificateSelection& selection, std::int64_t after,
                                                            int limit) = 0;
  /// Selected certificates of these phones; an empty selection is everything revocable of theirs.
  virtual Result<std::vector<RevocableLsc>> selected(const CertificateSelection& selection,
                                                     std::span<const std::int64_t> phone_ids) = 0;
  /// revoke() for all of them. @return how many.
  virtual Result<int> revoke_all(std::span<const std::int64_t> ids, RevocationReason reason) = 0;
  /// What is on record of these LSCs of an issuer, if only that it is revoked; nothing of those that it never issued.
  /// In no order.
  virtual Result<std::vector<SerialStatus>> statuses(std::int64_t issuer_id, std::span<const SerialNumber> serials) = 0;
};

/// How far the CRLs of a shard have come, as somebody beside the database remembers it.
struct CrlMark {
  CrlShard shard;
  std::int64_t number = 0;
};

/// What a CRL brought back to a database that had forgotten it.
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
  /// A CRL has them now.
  virtual Status forget_changes(const CrlShard& shard, std::span<const std::int64_t> ids) = 0;
  /// Writes a CRL down, and drops the pieces of those before its predecessor.
  /// @return false where its number is not greater than those before: somebody else has published.
  virtual Result<bool> add(const CrlRecord& crl) = 0;
  /// Its DER, in order, in pieces of at most kLargestCrlPiece octets.
  virtual Status add_piece(const CrlRecord& crl, int position, BytesView data) = 0;
  virtual Result<std::optional<Bytes>> piece(const CrlRecord& crl, int position) = 0;
  /// After a restore: writes down what is revoked by these entries and not on record, with the entries' times; a hold
  /// that has become final is final. @param expires_at of LSCs that are not on record any more
  virtual Result<BroughtBack> bring_back(const CrlShard& shard, std::span<const Revocation> entries,
                                         TimePoint expires_at) = 0;
};
inline constexpr std::size_t kLargestCrlPiece = 1024 * 1024;

/// Whose a public key is. A key belongs to one of them for ever.
enum class KeyOwner : std::uint8_t { kPhone, kMic, kIssuer, kSite, kAdministrator, kBlocked };
std::string_view to_string(KeyOwner owner);
std::optional<KeyOwner> parse_key_owner(std::string_view text);

struct KeyRecord {
  KeyOwner owner = KeyOwner::kPhone;
  std::int64_t phone_id = 0;  ///< for kPhone and kMic; 0 for a MIC that no phone has shown
  bool compromised = false;
  bool blocked = false;  ///< compromised, or that of a blocked certificate: it serves nobody
};

class KeyStore {
 public:
  virtual ~KeyStore() = default;
  /// Writes the key down for its owner unless it is on record. @return what is on record now.
  virtual Result<KeyRecord> claim(const Sha256& key_sha256, KeyOwner owner, std::int64_t phone_id) = 0;
  virtual Result<std::optional<KeyRecord>> find(const Sha256& key_sha256) = 0;
  /// For ever, also where nobody has shown the key yet.
  virtual Status mark_compromised(std::span<const Sha256> keys) = 0;
};

/// A certificate of another issuer that is refused, and its key with it.
struct BlockedCertificate {
  std::int64_t id = 0;  ///< given by the store
  Sha256 sha256{};
  Sha256 key_sha256{};
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
  /// No transaction that changes something by a certificate's authority runs before this one ends.
  virtual Status lock() = 0;
  /// @return false where it is blocked already.
  virtual Result<bool> add(const BlockedCertificate& certificate) = 0;
  virtual Result<std::optional<BlockedCertificate>> find(const Sha256& sha256) = 0;
  /// Those whose SHA-256 begins so, at most two.
  virtual Result<std::vector<BlockedCertificate>> find_beginning(const std::string& hexadecimal) = 0;
  virtual Status remove(std::int64_t id) = 0;
  virtual Result<std::vector<BlockedCertificate>> list(const Page& page) = 0;
  /// Blocks it by its row, as a withdrawal has it. @return false where it is blocked already.
  virtual Result<bool> bring_back(const std::string& row) = 0;
  /// Whether one of the certificates is blocked, or one of the keys is, or was revoked as compromised.
  virtual Result<bool> refuses(std::span<const Sha256> certificates, std::span<const Sha256> keys) = 0;
};

/// Limits on wrong authentication strings, over all servers, by the database's clock.
inline constexpr int kStringsPerDevice = 10;  ///< then locked for kStringLock
inline constexpr std::chrono::minutes kStringLock{10};
inline constexpr int kStringsPerAddressAndDevice = 5;  ///< in an hour

/// A string that somebody says, as the limits know it.
struct StringTry {
  std::string address_block;
  std::int64_t string = 0;  ///< of its keyed hash over device and digits: tells it from the device's others
  int per_address = kStringsPerAddress;  ///< the limit of that address in an hour
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
  /// The same for a string that is compared with nothing, since there is no such device or operation.
  /// @return nothing or ADDRESS_LIMITED.
  virtual Result<std::optional<Reason>> count_stranger(const StringTry& said) = 0;
  /// Addresses that said `strings` or more in all, or used up one device's, those with the most first, at most 1,000.
  virtual Result<std::vector<LimitedAddress>> limited(int strings) = 0;
  /// *address unlock*: clears the counts of the address, for all devices. @return whether there were any.
  virtual Result<bool> unlock_address(const std::string& address_block) = 0;
  /// A string was right: clears the device's count of the wrong ones. What was counted for that one is taken back by
  /// rolling its transaction back.
  virtual Status forgive(std::int64_t phone_id) = 0;
  /// *phone unlock*: clears the counts of the device, from every address.
  virtual Status unlock(std::int64_t phone_id) = 0;
  /// Drops counts that are older than their window.
  virtual Status prune() = 0;
};

/// What is left under an issuer.
struct IssuerUse {
  std::int64_t valid = 0;                ///< LSCs that are neither expired nor revoked for good
  std::int64_t revoked = 0;              ///< revoked ones that have not expired: its CRL needs them
  std::optional<TimePoint> last_expiry;  ///< of the valid ones
};

class IssuerStore {
 public:
  virtual ~IssuerStore() = default;
  /// Nobody else adds, activates or retires one before this transaction ends. @return the id that the next one gets.
  virtual Result<std::int64_t> lock() = 0;
  /// @return its id.
  virtual Result<std::int64_t> add(const IssuerRecord& issuer) = 0;
  virtual Result<std::optional<IssuerRecord>> active() = 0;
  virtual Result<std::optional<std::int64_t>> active_id() = 0;
  virtual Result<std::optional<IssuerRecord>> find(std::int64_t id) = 0;
  /// The one that is active becomes a former one. @return false where there is none of this id, or it is retired.
  virtual Result<bool> activate(std::int64_t id) = 0;
  /// @return false where it is active or retired.
  virtual Result<bool> retire(std::int64_t id) = 0;
  /// Counts every row: for people who ask, not for what runs by itself.
  virtual Result<IssuerUse> use(std::int64_t id) = 0;
  virtual Result<std::vector<IssuerRecord>> list() = 0;
};

/// A capfd that serves the site.
struct ServerRecord {
  std::string name;  ///< of one process, and of no later one
  std::string version;
  TimePoint started_at;
  TimePoint seen_at;
  std::vector<std::int64_t> issuers;  ///< whose keys it has
};

class ServerStore {
 public:
  virtual ~ServerStore() = default;
  /// The server is alive; the times are the database's. Forgets those that were not seen for an hour.
  virtual Status see(const ServerRecord& server) = 0;
  virtual Status remove(const std::string& name) = 0;
  /// Those that were seen in the last 30 seconds, by name.
  virtual Result<std::vector<ServerRecord>> alive() = 0;
};

class AnchorStore {
 public:
  virtual ~AnchorStore() = default;
  /// @return false where it is in a store already.
  virtual Result<bool> add(const TrustAnchor& anchor) = 0;
  virtual Result<std::vector<TrustAnchor>> list() = 0;
  /// @return false where there is none.
  virtual Result<bool> remove(const Sha256& sha256) = 0;
  /// Changes with every add and remove: what was read under one number is still right under the same number.
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
  /// How many enabled ones with a certificate that is valid now have the role admin; nobody else disables one before
  /// this transaction ends.
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
  /// Adds what one who is known can do again and again: kActsInAMinute of an actor, action and reason in one minute,
  /// over all servers. The others are counted, and one event says how many they were, when the minute is over.
  /// @return whether it is an event of its own
  virtual Result<bool> add_repeated(const AuditEvent& event) = 0;
  /// Adds the events for the minutes that are over.
  virtual Status tell_repeated() = 0;
  virtual Result<std::vector<AuditEvent>> list(const AuditFilter& filter, const Page& page) = 0;
  /// Where the record ends now.
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

/// For which Summary::lscs_expiring is always told.
inline constexpr std::array<int, 3> kExpiryDays{1, 7, 30};

/// What monitoring asks at once.
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

/// Time is the database's. A transaction that took or holds a lease and then stands still for seconds is ended.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  /// Takes or keeps the lease for `seconds` from now. @return false while somebody else has it, or a transaction holds
  /// it; waits for nobody.
  virtual Result<bool> take(const std::string& name, const std::string& holder, int seconds) = 0;
  /// Keeps a lease that nobody else has taken since, and nobody takes it before this transaction ends.
  /// @return false where somebody took it, whether or not they have it still: what was begun under it must not be
  /// finished.
  virtual Result<bool> hold(const std::string& name, const std::string& holder, int seconds) = 0;
  /// Others may have it at once, where it is the holder's.
  virtual Status give_back(const std::string& name, const std::string& holder) = 0;
};

/// One transaction. Not shared between threads. Whoever locks takes, in this order: phones, several of them at once by
/// lock_all(), which goes by id; the trust anchors' lock; keys; operations and certificates of these phones; counts of
/// authentication strings, which are locked for one statement where nothing else is held.
class Transaction {
 public:
  virtual ~Transaction() = default;
  /// The database's clock at the start of the transaction.
  virtual TimePoint now() const = 0;
  /// Whether the database is a standby: what it says may be old, and it cannot be written.
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
};

/// in_transaction(&Database::write, db, [&](Transaction& tx) -> Result<Phone> { … }): the value of the work.
template <class Work>
auto in_transaction(Status (Database::*how)(const std::function<Status(Transaction&)>&), Database& database, Work work)
    -> std::invoke_result_t<Work&, Transaction&> {
  using Answer = std::invoke_result_t<Work&, Transaction&>;
  std::optional<Answer> answer;
  const Status status = (database.*how)([&](Transaction& tx) -> Status {
    answer.emplace(work(tx));
    if (!*answer) return tl::unexpected<Error>(answer->error());
    return {};
  });
  if (!status) return tl::unexpected<Error>(status.error());
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
