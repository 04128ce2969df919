#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/device.h"
#include "capf/domain/page.h"
#include "capf/domain/trust_list.h"

namespace capf {

class TrustListStore {
 public:
  virtual ~TrustListStore() = default;
  virtual Result<TrustListState> state() = 0;
  /// The same, and until this transaction ends no other one changes it or adds a list.
  virtual Result<TrustListState> lock() = 0;
  virtual Status set_state(const TrustListState& state) = 0;

  /// The number of the newest list; 0 where there is none.
  virtual Result<std::int64_t> newest(TrustListKind kind) = 0;
  virtual Result<std::optional<PublishedList>> find(TrustListKind kind, std::int64_t generation, ListDigest digest) = 0;
  /// In ascending order, behind `page.after`.
  virtual Result<std::vector<ListGeneration>> list(TrustListKind kind, const Page& page) = 0;
  /// Errors: CHANGED_MEANWHILE where the generation is there already.
  virtual Status add(const PublishedList& list) = 0;

  /// Notes that the list of this generation, the newest, has exactly these certificates.
  virtual Status note(TrustListKind kind, std::int64_t generation, std::span<const Sha256> certificates) = 0;
  virtual Result<std::vector<ListedSince>> listed(TrustListKind kind) = 0;

  /// @return an answer for each question, in their order: nothing for a device that is not present
  virtual Result<std::vector<std::optional<PhoneList>>> of_phones(std::span<const PhoneListQuestion> asked) = 0;
  /// Gives a phone a list of its own, or, without a generation, the newest one again.
  virtual Status serve(std::int64_t phone_id, TrustListKind kind, std::optional<std::int64_t> generation) = 0;
  /// The lists that phones get in place of the newest, each once.
  virtual Result<std::vector<OlderList>> older() = 0;
  /// Gives the newest list again to the phones that get this one. @return their names
  virtual Result<std::vector<std::string>> serve_newest(const OlderList& in_place_of) = 0;
  /// Phones on record by the list that they fetched last. Reads the notes of all of them.
  virtual Result<std::vector<ListFetches>> fetches(TrustListKind kind) = 0;
};

}  // namespace capf
