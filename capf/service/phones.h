#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/domain/database.h"
#include "capf/domain/digest.h"
#include "capf/domain/phone_fetch.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/policy.h"
#include "capf/domain/setting.h"
#include "capf/service/bulk.h"

namespace capf::service {

inline constexpr std::chrono::minutes kUsualTrace{30};
inline constexpr std::chrono::hours kLongestTrace{24};

struct PhoneView {
  Phone phone;
  std::optional<Operation> operation;           ///< the open one, or the last
  std::vector<Certificate> certificates;        ///< newest first, at most 20
  std::string status;                           ///< in Cisco's words
  std::optional<EffectiveSettings> settings{};  ///< each with its owner
  std::vector<std::string> lines{};             ///< names, in order
  PhoneDigest digest;
  std::optional<PhoneFetch> fetched{};  ///< absent: nothing yet
};

/// A page of phones, which may be short.
struct PhonesPage {
  std::vector<Phone> phones;
  std::optional<DeviceName> next;  ///< the next page is behind it; nothing at the end
};

struct PhoneSelectionView {
  std::int64_t count = 0;  ///< of all pages, on the first one
  PhonesPage page;
};

/// The answer of a call of a bulk.
struct ChangeAnswer {
  int selected = 0;                ///< phones of this batch
  int changed = 0;                 ///< those of them that are otherwise than before, or on record as asked for
  int revoked = 0;                 ///< LSCs, where phones are blocked or removed
  std::optional<TimePoint> until;  ///< of traces that began
  std::optional<BulkCursor> next;  ///< absent: the bulk is done
};

/// A trace of phones: every server logs their dialogues on the wire.
struct TraceRequest {
  bool off = false;                ///< ends it
  std::optional<TimePoint> until;  ///< absent: kUsualTrace from now; kLongestTrace at most
};

/// Phones of a file, or a part of them.
struct PhoneImport {
  std::vector<ImportedPhone> phones;  ///< 1 to kPhonesInBatch, each of another name
  bool update = false;                ///< changes phones that are on record
};

struct ImportCount {
  int added = 0;
  int changed = 0;
  int unchanged = 0;  ///< on record as the import has them: an import that was interrupted can be started again
};

struct ImportProblem {
  std::size_t place = 0;  ///< of the phone in the import, from 0
  Error error;            ///< INVALID_REQUEST, DEVICE_NAME_REFUSED, DEVICE_EXISTS, DEVICE_OTHER_CASE
};

/// The effect that an import would have, and the problems in its way.
struct ImportPlan {
  ImportCount count;
  std::vector<ImportProblem> problems;
};

/// A phone to be added.
struct NewPhone {
  DeviceName device;
  std::string model;  ///< may be empty
};

/// The administrator's use cases of phones. Threads: any.
class Phones {
 public:
  Phones(Database& database, const SitePolicy& policy) : database_(database), policy_(policy) {}

  /// All or nothing. Errors: DEVICE_EXISTS (the message names them), INVALID_REQUEST for none, too many or duplicates.
  Status add(const Actor& actor, std::vector<NewPhone> phones);
  /// The same for phones of one model.
  Status add(const Actor& actor, const std::vector<DeviceName>& devices, const std::string& model);
  /// Says what import_phones() would do, and changes nothing. Errors: INVALID_REQUEST for none, too many or duplicates.
  Result<ImportPlan> check_import(const PhoneImport& batch);
  /// Adds those phones of an import that are not on record and, with `update`, changes the others, in one transaction.
  /// Errors: those of check_import() and of its problems, but DEVICE_OTHER_CASE. Then nothing is done.
  Result<ImportCount> import_phones(const Actor& actor, const PhoneImport& batch);
  Result<PhonesPage> list(const PhoneSelection& selection, const PhonePage& page);
  /// The phones that a bulk would change. Errors: those of check_selection().
  Result<PhoneSelectionView> select(const PhoneSelection& selection, const PhonePage& page);
  /// Changes the next batch of a bulk. Errors: those of take_batch(); INVALID_REQUEST where a phone would have too many
  /// tags: then this call has changed none.
  Result<ChangeAnswer> change(const Actor& actor, const Bulk& bulk, const PhoneChange& change);
  Result<PhoneView> show(const DeviceName& device);
  /// Cancels its operation and revokes its certificates. @return how many were revoked.
  Result<int> remove(const Actor& actor, const DeviceName& device);
  /// The same for the next batch of a bulk, as every method with a bulk below. Errors: those of take_batch().
  Result<ChangeAnswer> remove(const Actor& actor, const Bulk& bulk);
  /// Cancels its operation, revokes its certificates, and refuses every way to authenticate until unblock(). Blocking
  /// again is no error.
  Result<int> block(const Actor& actor, const DeviceName& device);
  Result<ChangeAnswer> block(const Actor& actor, const Bulk& bulk);
  /// Errors: DEVICE_NOT_BLOCKED; a bulk leaves such phones.
  Status unblock(const Actor& actor, const DeviceName& device);
  Result<ChangeAnswer> unblock(const Actor& actor, const Bulk& bulk);
  /// Clears the counts of wrong strings and a stop of self-service, and on request the remembered MIC.
  Status unlock(const Actor& actor, const DeviceName& device, bool forget_mic);
  Result<ChangeAnswer> unlock(const Actor& actor, const Bulk& bulk, bool forget_mic);
  /// @return until when; absent where it ends. Errors: INVALID_REQUEST.
  Result<std::optional<TimePoint>> trace(const Actor& actor, const DeviceName& device, const TraceRequest& request);
  Result<ChangeAnswer> trace(const Actor& actor, const Bulk& bulk, const TraceRequest& request);

 private:
  Database& database_;
  const SitePolicy& policy_;
};

}  // namespace capf::service
