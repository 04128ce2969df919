#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "capf/base/gathering.h"
#include "capf/domain/rounds.h"
#include "storage/runner.h"

namespace capf::storage {

/// The most that a round of several waits for a lock; a lone member waits so long at a time, and then asks whether its
/// caller is still there.
inline constexpr std::chrono::milliseconds kRoundsLockWait{200};
/// Lone writes at a time: of phones that others have locked, or whose writes made rounds fail.
inline constexpr int kLoneWrites = 4;

/// Rounds over connections of their own. Threads: any.
class PostgresRounds final : public Rounds {
 public:
  /// @param settings as link_settings() makes them, with kRoundsLockWait
  /// @param rounds at a time, of looks, of writes and of strings each
  /// @param lock_wait of a lone write. @param wait for a connection, and for a round to begin
  PostgresRounds(LinkSettings settings, int rounds, std::chrono::milliseconds answer, std::chrono::milliseconds life,
                 std::chrono::milliseconds lock_wait, std::chrono::milliseconds wait);

  Result<Dossier> look(const Enquiry& enquiry, Share share, const std::function<bool()>& gone) override;
  Result<Written> write(const Change& change, Share share, const std::function<bool()>& gone) override;
  Result<std::optional<Reason>> hear(const HeardString& heard) override;
  Status record(std::span<const RefusalRecord> refusals) override;

  PoolUse use() const { return runner_.use(); }
  /// Questions that wait for a round.
  std::size_t waiting() const { return looks_.waiting() + writes_.waiting() + lone_.waiting() + strings_.waiting(); }

 private:
  /// A lone write's question.
  struct LoneWrite {
    const Change& change;
    const std::function<bool()>& gone;
  };
  /// Nothing: it is to be written alone.
  using MaybeWritten = Result<std::optional<Written>>;
  using MaybeReason = Result<std::optional<Reason>>;

  std::vector<Result<Dossier>> look_round(std::span<const Enquiry* const> enquiries);
  std::vector<MaybeWritten> write_round(std::span<const Change* const> changes);
  Result<std::vector<MaybeWritten>> write_once(std::span<const Change* const> changes);
  std::vector<MaybeReason> hear_round(std::span<const HeardString* const> heard);
  Result<Written> write_alone(const LoneWrite& lone);

  bool goes_alone(std::int64_t phone_id);
  void send_alone(std::int64_t phone_id);

  Runner runner_;
  const std::chrono::milliseconds lock_wait_;
  Gathering<Enquiry, Result<Dossier>> looks_;
  Gathering<Change, MaybeWritten> writes_;
  Gathering<LoneWrite, Result<Written>> lone_;
  Gathering<HeardString, MaybeReason> strings_;
  std::mutex mutex_;
  std::map<std::int64_t, std::chrono::steady_clock::time_point> alone_;  ///< phones whose writes go alone, until then
};

}  // namespace capf::storage
