#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <botan/rng.h>

#include "capf/domain/audit.h"
#include "capf/domain/database.h"
#include "capf/domain/page.h"
#include "capf/domain/policy.h"
#include "capf/domain/summary_store.h"
#include "capf/domain/trust_list_store.h"
#include "capf/service/highwater.h"
#include "capf/service/phone_file.h"
#include "capf/service/phone_keys.h"
#include "capf/service/trust_list_contents.h"

namespace capf::service {

/// A list that was made, published or not.
struct BuiltList {
  PublishedList list;  ///< under SHA-512
  std::vector<std::string> warnings;
  bool followed = true;  ///< phones take it; where not, each needs a hand
};
struct BuildAnswer {
  std::vector<BuiltList> lists;  ///< those that differ from the present ones
  std::vector<std::string> left_out;
  bool published = false;
};

/// How far a certificate of a list has come to phones.
struct ListReach {
  TrustListKind kind = TrustListKind::kItl;
  std::int64_t generation = 0;  ///< the first list with it
  std::int64_t phones = 0;      ///< those that have fetched any list of this kind
  std::int64_t fetched = 0;     ///< those of them that have fetched this one or a later one

  int percent() const { return phones == 0 ? 100 : static_cast<int>(100 * fetched / phones); }
};

/// A record of the present list.
struct ListRecord {
  TrustRole role = TrustRole::kSast;
  std::string name;              ///< of an own certificate's file; empty for others
  bool in_use = false;           ///< it signs, or its port shows it, or an administrator has activated it
  std::optional<Sha256> sha256;  ///< absent: the record has no certificate
  std::string subject;
  std::optional<TimePoint> not_after;
  std::string dns;
  std::string address;
  ListReach reach;
};

struct ListView {
  PublishedList sha512;
  PublishedList sha1;
  std::vector<ListRecord> records;
  ListReach reach;  ///< of the list itself
};

struct ListsView {
  std::vector<ListView> lists;
  TrustListState state;
  std::vector<std::string> stale;  ///< what is to be done about the lists, in sentences
  std::vector<std::string> next;   ///< what an administrator may do next
};

enum class SignerStep : std::uint8_t {
  kBegin,   ///< the next signer joins the lists
  kFinish,  ///< it signs from now on
  kCancel,  ///< it leaves the lists again
};

struct Activation {
  Sha256 certificate{};
  std::vector<ListReach> reach;  ///< one for each kind of list that has it
};

struct ServedList {
  std::int64_t generation = 0;
  std::int64_t newest = 0;
  std::int64_t next = 0;  ///< the newest list that a phone with this one can follow
};

/// Whether so many phones have fetched the lists with this certificate that it may be used: of the site's own
/// certificates, for `capfd … activate`, and of others. Good where no phone has a list. Errors: TRUST_LIST_UNFIT where
/// it is in no list, and TRUST_LIST_NOT_FETCHED; `force` passes over both.
Result<Activation> check_activation(Transaction& tx, const SitePolicy& policy, const Sha256& certificate, bool force);
/// "38 of 40 phones (95 %) have fetched itl 7 or a later one"
std::string words_of(const ListReach& reach);

/// The trust lists of phones: builds them from what is on record and from this server's certificates, and gives them to
/// phones. Threads: any.
class TrustLists final : public PhoneFileSource {
 public:
  /// All of it outlives this.
  TrustLists(Database& database, const PhoneKeys& keys, const SitePolicy& policy, const HighWater& high_water,
             Botan::RandomNumberGenerator& random, const Clock& clock)
      : database_(database), keys_(keys), policy_(policy), high_water_(high_water), random_(random), clock_(clock) {}

  /// Answers trust lists alone. The generation of the file is the list's number, "5", and "05" of the same list under
  /// SHA-1, so that a phone whose digest becomes another one fetches it again.
  Result<std::optional<PhoneFile>> open(const files::FileRequest& request) override { return open_one(request); }
  void open_each(std::span<const files::FileRequest* const> requests, const Done& done) override;

  /// Publishes lists where they are not any more what is on record. For the server that has the lease of maintenance.
  /// @return nothing where this site has no list signer. Errors: LIST_SIGNER_ABSENT, those of
  /// files::check_publication(), CLOCK_SKEW, CHANGED_MEANWHILE where another server has published; DATABASE_BEHIND,
  /// because the database may have forgotten that a certificate was removed.
  Result<std::optional<BuildAnswer>> keep();

  // Administrators' use cases. Errors besides: as of keep().

  /// The same at once, and ends a release. @param force publishes a list that phones cannot follow, signed by the list
  /// signer of this server, or one that has lost all file signers or TVS.
  Result<BuildAnswer> build(const Actor& actor, bool dry_run, bool force);
  Result<ListsView> show();
  Result<std::vector<ListGeneration>> list(TrustListKind kind, const Page& page);
  /// @param generation absent: the newest. Errors: UNKNOWN_TRUST_LIST.
  Result<PublishedList> find(TrustListKind kind, std::optional<std::int64_t> generation, ListDigest digest);
  /// Gives a phone this list from its next fetch on, until it is given the newest, or a certificate of this list or its
  /// key is blocked. Errors: UNKNOWN_DEVICE, UNKNOWN_TRUST_LIST; INVALID_REQUEST for a list of an earlier release,
  /// which takes another role to be published, and for one with a certificate that is blocked or has a blocked key.
  Result<ServedList> serve(const Actor& actor, const DeviceName& device, TrustListKind kind, std::int64_t generation);
  /// Publishes an ITL with which phones take any file and any next list.
  Result<BuildAnswer> release(const Actor& actor);
  /// Errors: INVALID_REQUEST where the step is not the next one; TRUST_LIST_NOT_FETCHED, which `force` passes over.
  Result<BuildAnswer> replace_signer(const Actor& actor, SignerStep step, bool force);
  /// Notes that a certificate of others may be used from now on. @param sha256 at least its first 8 digits. Errors:
  /// UNKNOWN_CERTIFICATE, INVALID_REQUEST and those of check_activation().
  Result<Activation> activate(const Actor& actor, const std::string& sha256, bool force);
  /// Brings a site back whose list signer is lost: publishes a list with the recovery signer and this server's list
  /// signer, signed by the former. Errors: INVALID_REQUEST for a key that is not the recovery signer's.
  Result<BuildAnswer> recover(const Actor& actor, const std::shared_ptr<const ca::SigningKey>& key);

  /// Whether the site may become mixed: the list has a CCM certificate and a file signer, and is not older than the
  /// certificates on record. Good for a site that is mixed. Errors: TRUST_LIST_UNFIT.
  Status check_mixed();
  /// Conditions of the lists that an administrator should look at, each in a sentence.
  Result<std::vector<std::string>> warnings();

 private:
  struct Sight;
  struct Signer;
  struct Draft;
  struct Plan;

  Result<Sight> look();
  static Result<Sight> look(Transaction& tx);
  Result<std::vector<std::optional<PhoneList>>> lists_of(std::span<const PhoneListQuestion> asked);
  Result<std::optional<PhoneFile>> open_newest(TrustListKind kind);
  Result<std::optional<PhoneFile>> open_list(TrustListKind kind, std::int64_t generation, ListDigest digest);
  std::optional<Signer> signer_of(const Sha256& certificate) const;
  std::optional<Signer> signer_in_use() const;
  Result<Plan> plan_of(const Sight& sight) const;
  ListInputs inputs_of(const Sight& sight, const TrustListState& state) const;
  Result<std::optional<Draft>> draft(const Sight& sight, const Plan& plan, TrustListKind kind,
                                     std::vector<std::string>& left_out);
  Status sign(const Sight& sight, const Plan& plan, Draft& draft);
  Result<BuildAnswer> publish(const Actor& actor, const Sight& sight, const Plan& plan, bool dry_run = false);
  Status write(Transaction& tx, const Actor& actor, const Sight& sight, const Plan& plan,
               const std::vector<Draft>& drafts);
  Result<ListView> view_of(Transaction& tx, const Sight& sight, const PublishedList& present) const;
  std::vector<std::string> stale(const Sight& sight) const;
  std::vector<std::string> next_steps(const Sight& sight, const ListsView& view) const;
  Status check_mixed(const Sight& sight) const;

  using Key = std::tuple<std::uint64_t, TrustListKind, std::int64_t, ListDigest>;  ///< first HighWater::epoch()

  Database& database_;
  const PhoneKeys& keys_;
  const SitePolicy& policy_;
  const HighWater& high_water_;
  Botan::RandomNumberGenerator& random_;
  const Clock& clock_;
  std::mutex mutex_;  ///< of what follows
  std::map<Key, std::shared_ptr<const Bytes>> kept_;
  std::optional<Error> fault_;  ///< of the last keep()
};

/// Adds the generations of the present lists, and the ends of all of their certificates, each once.
Status sum_up_lists(Transaction& tx, Summary& summary);

}  // namespace capf::service
