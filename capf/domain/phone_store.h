#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/page.h"
#include "capf/domain/phone.h"
#include "capf/domain/selection.h"

namespace capf {

struct SelectedPhone {
  std::int64_t id = 0;
  DeviceName device;
};

/// A page of a selection, in the order of the phones' names.
struct SelectedPhones {
  std::vector<std::int64_t> ids;
  std::optional<DeviceName> next;  ///< the next page is behind it, also where this one is short; nothing at the end
};

struct PhoneCount {
  std::int64_t phones = 0;
  std::int64_t last_id = 0;  ///< the greatest id of them: a phone that is added later has a greater one
};

class PhoneStore {
 public:
  virtual ~PhoneStore() = default;
  /// Adds all of them. @return the names that exist already: the caller must then roll back.
  virtual Result<std::vector<std::string>> add(std::span<const DeviceName> devices, const std::string& model) = 0;
  /// Adds those of these phones, each of another name, that are not on record, with their tags. @return their names
  virtual Result<std::set<DeviceName>> add_missing(std::span<const ImportedPhone> phones) = 0;
  /// Gives phones that are on record, each of another name and locked, what these say.
  virtual Status update(std::span<const ImportedPhone> phones) = 0;
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
  /// The same of several names, by those for which there is one.
  virtual Result<std::map<DeviceName, DeviceName>> find_other_cases(std::span<const DeviceName> devices) = 0;
  /// The phones of a selection that are present, in the order of their names, byte for byte. Its work is bounded: a
  /// page may be short, or empty, and not the last.
  virtual Result<SelectedPhones> select(const PhoneSelection& selection, const PhonePage& page) = 0;
  virtual Result<PhoneCount> count(const PhoneSelection& selection) = 0;
  /// Those of these phones that are selected now, in the order of their names: after lock_all(), as they stay.
  virtual Result<std::vector<SelectedPhone>> still_selected(const PhoneSelection& selection,
                                                            std::span<const std::int64_t> ids) = 0;
  /// Those of these names that no phone has, in order.
  virtual Result<std::vector<DeviceName>> missing(std::span<const DeviceName> devices) = 0;
  /// Those of these phones that are present, in the order of their names, byte for byte.
  virtual Result<std::vector<Phone>> find_all(std::span<const std::int64_t> ids) = 0;
  /// The same, in any order, of the phones of these names.
  virtual Result<std::vector<Phone>> find_all(std::span<const DeviceName> devices) = 0;
  /// Changes these phones, by a PhoneChange that was checked. @return those that are otherwise than before, in order.
  /// Errors: INVALID_REQUEST where one would have more than kMostTags, and the caller must then roll back.
  virtual Result<std::vector<std::int64_t>> change(std::span<const std::int64_t> ids, const PhoneChange& change) = 0;
  /// @return the names of the phones that were newly blocked.
  virtual Result<std::vector<std::string>> block_all(std::span<const std::int64_t> ids) = 0;
  /// @return the names of the phones that were blocked.
  virtual Result<std::vector<std::string>> unblock_all(std::span<const std::int64_t> ids) = 0;
  /// As if the phones had never proven themselves by a MIC: see SetMic.
  virtual Status forget_mics(std::span<const std::int64_t> ids) = 0;
  /// Undoes StopSelfService.
  virtual Status allow_self_service(std::span<const std::int64_t> ids) = 0;
  /// @param until absent: no longer.
  virtual Status set_traced(std::span<const std::int64_t> ids, const std::optional<TimePoint>& until) = 0;
  /// The names are free again; the records of the phones stay, and a phone added under such a name is another one.
  virtual Status remove_all(std::span<const std::int64_t> ids) = 0;
};

}  // namespace capf
