#pragma once

#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "capf/base/error.h"
#include "capf/rpc/readiness.h"

namespace capf::rpc {

/// Names a dialogue of a phone. Of two the larger one is the later: ids of operations grow, and each operation counts
/// its sessions from 1.
struct DialogueNumber {
  std::int64_t operation_id = 0;
  std::int64_t session = 0;

  auto operator<=>(const DialogueNumber&) const = default;  // NOLINT(modernize-use-nullptr): it has none
};

/// One call of Enrol, as it is watched over. Threads: any.
class OpenEnrolment {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  virtual ~OpenEnrolment() = default;
  /// Ends what must not last. Called about four times a second.
  virtual void tick(Moment now) = 0;
  /// Ends the call, after the message that is being worked on.
  virtual void end(const Error& why) = 0;
};

/// The calls of Enrol that are open on this server: one of a device at most, and a limited number. Strangers' calls,
/// which end by themselves, do not count. Threads: any.
class Enrolments {
 public:
  /// @param most calls of phones that have proven who they are
  Enrolments(const Readiness& readiness, std::size_t most);
  ~Enrolments();
  Enrolments(const Enrolments&) = delete;
  Enrolments& operator=(const Enrolments&) = delete;

  /// A call has begun.
  void add(const std::shared_ptr<OpenEnrolment>& call);
  /// It has begun that dialogue of the phone. A call with an earlier one of the phone ends with SESSION_REPLACED.
  /// Errors: SESSION_REPLACED where a later one is here, OVERLOADED.
  Status enter(const OpenEnrolment& call, std::int64_t phone_id, const DialogueNumber& number);
  void leave(const OpenEnrolment& call);
  /// Ends all, and each that comes later, with SHUTTING_DOWN.
  void close();
  /// Whether close() was called so long ago.
  bool closed_for(std::chrono::milliseconds time) const;

 private:
  struct Entry {
    std::weak_ptr<OpenEnrolment> call;
    std::int64_t phone_id = 0;  ///< 0: a stranger's
  };
  struct Dialogue {
    const OpenEnrolment* call = nullptr;
    DialogueNumber number;
  };
  void watch();
  void look_around();

  const Readiness& readiness_;
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const OpenEnrolment*, Entry> calls_;
  std::map<std::int64_t, Dialogue> dialogues_;   ///< by the phone
  std::optional<OpenEnrolment::Moment> closed_;  ///< since when
  bool stopping_ = false;
  std::thread watcher_;  ///< last: it uses what stands above
};

}  // namespace capf::rpc
