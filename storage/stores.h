#pragma once

#include "capf/domain/check.h"
#include "capf/domain/dossier.h"
#include "capf/domain/store.h"
#include "storage/session.h"

// One store for each aggregate of capf/domain/store.h, each in a file of its own. They live as long as their
// transaction's session.

namespace capf::storage {

/// An operation as other aggregates' statements select it too; read_operation() takes the columns in this order.
inline constexpr char kOperationColumns[] =
    "o.id, o.phone_id, p.device, o.kind, o.state, o.auth, o.key_order, o.rsa_bits, o.ec_bits, o.self_service, "
    "o.created_by, microseconds(o.created_at), microseconds(o.completes_by), microseconds(o.finished_at), o.reason, "
    "o.message, coalesce(o.string_mac, ''), o.string_digits, o.certificates, o.failures, o.authenticated_by, "
    "o.authenticated_certificate, o.expired_mic, o.session";
Operation read_operation(Columns& columns);

/// The same of a certificate; read_certificate() takes the columns in this order.
std::string certificate_columns();
Certificate read_certificate(Columns& columns);
/// id, phone_id, device, serial, operation_id, key_sha256
RevocableLsc read_revocable(Columns& columns);

inline constexpr int kLargestRefusals = 400;  ///< rows of counted refusals in a minute

/// The same of a public key, by the alias k.
inline constexpr char kKeyColumns[] =
    "k.sha256, k.owner, k.phone_id, k.compromised, k.compromised "
    "or exists (select from blocked_certificates b where b.key_sha256 = k.sha256) "
    "or exists (select from blocked_certificates b where b.modulus_sha256 = k.sha256), k.modulus_sha256";
struct KeyRow {
  Sha256 sha256{};
  KeyRecord record;
};
KeyRow read_key(Columns& columns);
/// The records of a key and of its modulus as one, for the device that claims it.
std::optional<KeyRecord> record_of_claim(const std::vector<KeyRow>& rows, const KeyClaim& claim, std::int64_t phone_id);

/// The same of a phone, where device_strings s and phone_attempts t are joined to p.
std::string phone_columns();
Phone read_phone(Columns& columns);
/// The same of an issuer, by the alias i.
inline constexpr char kIssuerColumns[] =
    "i.id, i.subject, i.sha256, i.der, i.chain_der, microseconds(i.not_before), microseconds(i.not_after), i.active, "
    "i.shards, microseconds(i.added_at), microseconds(i.activated_at), microseconds(i.retired_at)";
IssuerRecord read_issuer(Columns& columns);

class Phones final : public PhoneStore {
 public:
  explicit Phones(Session& session) : session_(session) {}
  Result<std::vector<std::string>> add(std::span<const DeviceName> devices, const std::string& model) override;
  Result<std::optional<Phone>> find(const DeviceName& device) override;
  Result<std::optional<DeviceName>> find_other_case(const DeviceName& device) override;
  Result<std::optional<Phone>> lock(const DeviceName& device) override;
  Status lock_all(std::span<const std::int64_t> ids) override;
  Result<std::vector<Phone>> lock_all(std::span<const DeviceName> devices) override;
  Result<std::optional<Phone>> find(std::int64_t id) override;
  Result<std::vector<Phone>> list(const PhoneFilter& filter, const PhonePage& page) override;
  Status set_blocked(std::int64_t id, bool blocked) override;
  Result<std::vector<std::string>> block_all(std::span<const std::int64_t> ids) override;
  Status set_model(std::int64_t id, const std::string& model) override;
  Status set_mic(std::int64_t id, const std::optional<Sha256>& mic, bool fresh) override;
  Status set_self_service_stopped(std::int64_t id, bool stopped) override;
  Status set_traced(std::int64_t id, const std::optional<TimePoint>& until) override;
  Status remove(std::int64_t id) override;
  Status record_attempt(std::int64_t id, const Attempt& attempt) override;

 private:
  Session& session_;
};

class Operations final : public OperationStore {
 public:
  explicit Operations(Session& session) : session_(session) {}
  Result<std::int64_t> next_id() override;
  Result<bool> add(const Operation& operation, int strings_limit) override;
  Result<std::optional<Operation>> find(std::int64_t id) override;
  Result<std::optional<Operation>> find_open(std::int64_t phone_id) override;
  Result<std::optional<Operation>> find_last(std::int64_t phone_id) override;
  Result<std::optional<Operation>> find_before(std::int64_t phone_id, std::int64_t id) override;
  Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page) override;
  Result<std::optional<std::int64_t>> advance(std::int64_t id, OperationState to, CredentialKind by,
                                              const std::optional<Sha256>& certificate, bool expired_mic) override;
  Result<bool> finish(std::int64_t id, OperationState to, std::optional<Reason> reason,
                      const std::string& message) override;
  Result<std::vector<EndedOperation>> cancel_all(std::span<const std::int64_t> phone_ids,
                                                 const std::string& message) override;
  Result<int> count_failure(std::int64_t id) override;
  Result<std::vector<Operation>> lock_overdue(TimePoint deadline, int limit) override;

 private:
  Session& session_;
};

class Certificates final : public CertificateStore {
 public:
  explicit Certificates(Session& session) : session_(session) {}
  Result<std::int64_t> add(const Certificate& certificate) override;
  Result<std::optional<Certificate>> find_lsc(const Sha256& sha256) override;
  Result<std::vector<Certificate>> find_serial(BytesView serial) override;
  Result<std::optional<Certificate>> find_issued(std::int64_t operation_id, const Sha256& key_sha256) override;
  Result<std::vector<Certificate>> live(std::int64_t phone_id) override;
  Result<LscHistory> history(std::int64_t phone_id) override;
  Result<std::vector<std::int64_t>> phones_with_lsc(std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<Certificate>> live_of_issuer(std::int64_t issuer_id, int limit) override;
  Result<std::vector<Certificate>> of_phone(std::int64_t phone_id, int limit) override;
  Result<std::vector<Certificate>> list(const CertificateFilter& filter, const Page& page) override;
  Result<bool> confirm(std::int64_t id) override;
  Result<bool> supersede(std::int64_t id) override;
  Result<bool> revoke(const Certificate& certificate, RevocationReason reason) override;
  Result<bool> release(std::int64_t id) override;
  Result<std::vector<std::int64_t>> superseded_phones(TimePoint before, int limit) override;
  Result<SelectionCount> count(const CertificateSelection& selection) override;
  Result<std::vector<Certificate>> list_selected(const CertificateSelection& selection, const Page& page) override;
  Result<std::optional<SerialNumber>> find_missing(std::span<const SerialNumber> serials) override;
  Result<std::vector<std::int64_t>> selected_phones(const CertificateSelection& selection, std::int64_t after,
                                                    int limit) override;
  Result<std::vector<RevocableLsc>> selected(const CertificateSelection& selection,
                                             std::span<const std::int64_t> phone_ids) override;
  Result<int> revoke_all(std::span<const std::int64_t> ids, RevocationReason reason) override;
  Result<std::vector<SerialStatus>> statuses(std::int64_t issuer_id, std::span<const SerialNumber> serials) override;

 private:
  Session& session_;
};

class Keys final : public KeyStore {
 public:
  explicit Keys(Session& session) : session_(session) {}
  Result<KeyRecord> claim(const KeyDigests& key, KeyOwner owner, std::int64_t phone_id) override;
  Result<std::optional<KeyRecord>> find(const KeyDigests& key) override;
  Status mark_compromised(std::span<const Sha256> keys) override;
  Result<std::vector<SharedModulus>> learn_moduli(std::span<const KeyDigests> keys) override;

 private:
  Session& session_;
};

class Blocks final : public BlockStore {
 public:
  explicit Blocks(Session& session) : session_(session) {}
  Status lock() override;
  Result<bool> add(const BlockedCertificate& certificate) override;
  Result<std::optional<BlockedCertificate>> find(const Sha256& sha256) override;
  Result<std::vector<BlockedCertificate>> find_beginning(const std::string& hexadecimal) override;
  Status remove(std::int64_t id) override;
  Result<std::vector<BlockedCertificate>> list(const Page& page) override;
  Result<bool> bring_back(const std::string& row) override;
  Result<bool> refuses(std::span<const Sha256> certificates, std::span<const Sha256> keys) override;

 private:
  Session& session_;
};

class Strings final : public StringStore {
 public:
  explicit Strings(Session& session) : session_(session) {}
  Result<std::optional<Reason>> count(std::int64_t phone_id, std::int64_t operation_id, const StringTry& said) override;
  Result<std::optional<Reason>> count_stranger(const StringTry& said) override;
  Result<std::vector<LimitedAddress>> limited(int strings) override;
  Result<bool> unlock_address(const std::string& address_block) override;
  Status forgive(std::int64_t phone_id) override;
  Status unlock(std::int64_t phone_id) override;
  Status prune() override;

 private:
  Session& session_;
};

class Issuers final : public IssuerStore {
 public:
  explicit Issuers(Session& session) : session_(session) {}
  Result<std::int64_t> lock() override;
  Result<std::int64_t> add(const IssuerRecord& issuer) override;
  Result<std::optional<IssuerRecord>> active() override;
  Result<std::optional<std::int64_t>> active_id() override;
  Result<std::optional<IssuerRecord>> find(std::int64_t id) override;
  Result<bool> activate(std::int64_t id) override;
  Result<bool> retire(std::int64_t id) override;
  Result<IssuerUse> use(std::int64_t id) override;
  Result<std::vector<IssuerRecord>> list() override;

 private:
  Session& session_;
};

class Servers final : public ServerStore {
 public:
  explicit Servers(Session& session) : session_(session) {}
  Status see(const ServerRecord& server) override;
  Status remove(const std::string& name) override;
  Result<std::vector<ServerRecord>> alive() override;
  Result<std::vector<ServerRecord>> silent() override;

 private:
  Session& session_;
};

class Anchors final : public AnchorStore {
 public:
  explicit Anchors(Session& session) : session_(session) {}
  Result<bool> add(const TrustAnchor& anchor) override;
  Result<std::vector<TrustAnchor>> list() override;
  Result<bool> remove(const Sha256& sha256) override;
  Result<std::int64_t> revision() override;
  Result<std::int64_t> lock_revision() override;
  Status note_candidate(const UnknownIssuer& issuer, const std::string& device, const std::string& address,
                        const std::string& address_block) override;
  Result<std::vector<TrustCandidate>> candidates() override;
  Status prune_candidates() override;

 private:
  Session& session_;
};

class Administrators final : public AdministratorStore {
 public:
  explicit Administrators(Session& session) : session_(session) {}
  Result<bool> add(const Administrator& administrator) override;
  Result<std::optional<Administrator>> find(const std::string& name) override;
  Result<std::optional<Administrator>> find_certificate(const Sha256& sha256) override;
  Result<std::vector<Administrator>> list() override;
  Result<bool> disable(const std::string& name) override;
  Result<int> lock_admins() override;

 private:
  Session& session_;
};

class Audit final : public AuditStore {
 public:
  explicit Audit(Session& session) : session_(session) {}
  Status add(const AuditEvent& event) override;
  Status add_all(std::span<const AuditEvent> events) override;
  Result<bool> add_repeated(const AuditEvent& event) override;
  Status report_repeated() override;
  Result<std::vector<AuditEvent>> list(const AuditFilter& filter, const Page& page) override;
  Result<ChangeCursor> end() override;
  Result<std::vector<OperationChange>> changes(const ChangeCursor& cursor, int limit) override;
  Status count_refusal(const std::string& address_block, Reason reason, const std::string& device) override;
  Result<std::vector<RefusalCount>> refusals(TimePoint since, const std::optional<std::string>& device,
                                             const Page& page) override;
  Status prune_refusals(TimePoint until) override;

 private:
  Session& session_;
};

class Seals final : public SealStore {
 public:
  explicit Seals(Session& session) : session_(session) {}
  Result<bool> adopt_cluster() override;
  Status lock() override;
  Result<std::optional<AuditSeal>> last() override;
  Result<std::optional<AuditSeal>> find(std::int64_t number) override;
  Result<std::vector<AuditSeal>> list(std::int64_t after, int limit) override;
  Status add(const AuditSeal& seal) override;
  Status add_remark(const SealRemark& remark) override;
  Result<std::vector<SealRemark>> remarks(std::int64_t first, std::int64_t last) override;
  Status try_place() override;
  Result<std::vector<PlacedRecord>> unsealed(const ChangeCursor& after, int limit) override;
  Result<std::vector<PlacedRecord>> events(const ChangeCursor& after, const ChangeCursor& last, int limit) override;
  Result<UnsealedEvents> after(const ChangeCursor& cursor) override;
  Result<std::optional<Bytes>> key() override;
  Result<bool> set_key(BytesView spki) override;

 private:
  Session& session_;
};

class Withdrawals final : public WithdrawalStore {
 public:
  explicit Withdrawals(Session& session) : session_(session) {}
  Result<std::vector<Withdrawal>> list(const ChangeCursor& after, int limit) override;
  Result<std::optional<Withdrawal>> find(const ChangeCursor& place) override;

 private:
  Session& session_;
};

class Checks final : public CheckStore {
 public:
  explicit Checks(Session& session) : session_(session) {}
  Result<std::vector<IssuedRecord>> issued(TimePoint since, std::int64_t after, int limit) override;
  Result<std::optional<TimePoint>> oldest_event() override;

 private:
  Session& session_;
};

class Overview final : public SummaryStore {
 public:
  explicit Overview(Session& session) : session_(session) {}
  Result<Summary> summary(std::span<const int> days) override;

 private:
  Session& session_;
};

class Crls final : public CrlStore {
 public:
  explicit Crls(Session& session) : session_(session) {}
  Result<std::optional<CrlRecord>> newest(const CrlShard& shard) override;
  Result<bool> behind(std::span<const CrlMark> marks) override;
  Result<std::vector<Revocation>> revocations(const CrlShard& shard, TimePoint expires_after,
                                              const std::optional<SerialNumber>& after, int limit) override;
  Result<std::vector<std::int64_t>> changes(const CrlShard& shard, int limit) override;
  Status forget_changes(const CrlShard& shard, std::span<const std::int64_t> ids) override;
  Result<bool> add(const CrlRecord& crl) override;
  Status add_piece(const CrlRecord& crl, int position, BytesView data) override;
  Result<std::optional<Bytes>> piece(const CrlRecord& crl, int position) override;
  Result<BroughtBack> bring_back(const CrlShard& shard, std::span<const Revocation> entries,
                                 TimePoint expires_at) override;

 private:
  Session& session_;
};

class Leases final : public LeaseStore {
 public:
  explicit Leases(Session& session) : session_(session) {}
  Result<bool> take(const std::string& name, const std::string& holder, int seconds) override;
  Result<bool> hold(const std::string& name, const std::string& holder, int seconds) override;
  Status give_back(const std::string& name, const std::string& holder) override;
  Result<std::int64_t> place(const std::string& job) override;
  Status set_place(const std::string& job, std::int64_t certificate_id) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
