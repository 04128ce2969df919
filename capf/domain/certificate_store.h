#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/certificate.h"
#include "capf/domain/device.h"
#include "capf/domain/page.h"
#include "capf/domain/revocation.h"
#include "capf/domain/selection.h"
#include "capf/domain/serial.h"

namespace capf {

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
  std::optional<PhoneSelection> phones;        ///< of these phones; absent: also of removed ones
  bool held = true;                            ///< those on hold too
  std::optional<std::int64_t> through;         ///< none with a greater id

  /// Whether a property is given.
  bool names_any() const {
    return devices || models || issuer_id || issued_after || issued_before || expires_before || state ||
           superseded_before || !serials.empty() || (phones && phones->names_any());
  }
};

struct SelectionCount {
  std::int64_t certificates = 0;
  std::int64_t phones = 0;
  std::int64_t last_id = 0;  ///< the greatest
};

/// A page of what is selected. It may be short, or empty, where there is more behind it.
template <class Row>
struct SelectedPage {
  std::vector<Row> rows;
  std::optional<std::int64_t> next;  ///< where the next page begins; absent: this was the last one
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
  /// One of our LSCs, by its SHA-256.
  virtual Result<std::optional<Certificate>> find_lsc(const Sha256& sha256) = 0;
  virtual Result<std::vector<Certificate>> find_serial(BytesView serial) = 0;
  /// The phone's LSCs that are neither expired nor revoked for good, oldest first: some may be on hold, or superseded
  /// and in their grace.
  virtual Result<std::vector<Certificate>> live(std::int64_t phone_id) = 0;
  /// The same of several phones, oldest first.
  virtual Result<std::vector<Certificate>> live_of_all(std::span<const std::int64_t> phone_ids) = 0;
  /// Those of these phones that have an LSC that is in time, not revoked, not on hold and not superseded.
  virtual Result<std::vector<std::int64_t>> phones_with_lsc(std::span<const std::int64_t> phone_ids) = 0;
  /// The issuer's LSCs that are neither expired nor revoked for good, by phone, at most `limit`.
  virtual Result<std::vector<Certificate>> live_of_issuer(std::int64_t issuer_id, int limit) = 0;
  /// The phone's certificates of every kind and state, newest first, at most `limit`.
  virtual Result<std::vector<Certificate>> of_phone(std::int64_t phone_id, int limit) = 0;
  /// The certificates that these phones, or their former server, handed over: phone and SHA-256.
  virtual Result<std::vector<std::pair<std::int64_t, Sha256>>> handed_over(std::span<const std::int64_t> phone_ids) = 0;
  virtual Result<std::vector<Certificate>> list(const CertificateFilter& filter, const Page& page) = 0;
  /// Ends the hold. @return false where it is not on hold or has expired.
  virtual Result<bool> release(std::int64_t id) = 0;

  // Selections: their phones by pages, which the caller locks, then what is selected of those phones, then all of it.

  /// Phones with an LSC that was superseded then or before and is not revoked yet, at most `limit`.
  virtual Result<std::vector<std::int64_t>> superseded_phones(TimePoint before, int limit) = 0;
  virtual Result<SelectionCount> count(const CertificateSelection& selection) = 0;
  /// By their ids.
  virtual Result<SelectedPage<Certificate>> list_selected(const CertificateSelection& selection, const Page& page) = 0;
  /// One of these serial numbers that no LSC has.
  virtual Result<std::optional<SerialNumber>> find_missing(std::span<const SerialNumber> serials) = 0;
  /// Phones with a selected certificate, by their ids after `after`.
  virtual Result<SelectedPage<std::int64_t>> selected_phones(const CertificateSelection& selection,
                                                             const Page& page) = 0;
  /// Selected certificates of these phones; an empty selection selects all of their revocable ones.
  virtual Result<std::vector<RevocableLsc>> selected(const CertificateSelection& selection,
                                                     std::span<const std::int64_t> phone_ids) = 0;
  /// The status of these LSCs of an issuer, also where only the revocation is on record; none for those that it never
  /// issued. In no order.
  virtual Result<std::vector<SerialStatus>> statuses(std::int64_t issuer_id, std::span<const SerialNumber> serials) = 0;
};

}  // namespace capf
