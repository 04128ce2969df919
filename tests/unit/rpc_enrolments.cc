#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/rpc/enrolments.h"
#include "tests/support/no_database.h"

using namespace capf;
using namespace capf::rpc;

namespace {

/// A call that notes how it is ended.
class NotedCall final : public OpenEnrolment {
 public:
  void tick(Moment) override { ticked_.release(); }
  void end(const Error& why) override {
    {
      const std::lock_guard lock(mutex_);
      ends_.push_back(why.reason);
    }
    ended_.release();
  }

  std::vector<Reason> ends() const {
    const std::lock_guard lock(mutex_);
    return ends_;
  }
  void wait_for_tick() { ticked_.acquire(); }
  void wait_for_end() { ended_.acquire(); }

 private:
  mutable std::mutex mutex_;
  std::vector<Reason> ends_;
  std::counting_semaphore<> ticked_{0};
  std::counting_semaphore<> ended_{0};
};

/// A server's calls, without a server.
struct Calls {
  explicit Calls(std::size_t most) : enrolments(readiness, most) {}

  std::shared_ptr<NotedCall> add() {
    auto call = std::make_shared<NotedCall>();
    enrolments.add(call);
    return call;
  }
  /// @return why it may not go on
  std::optional<Reason> enter(const OpenEnrolment& call, std::int64_t phone_id, const DialogueNumber& number) {
    const Status entered = enrolments.enter(call, phone_id, number);
    return entered ? std::nullopt : std::optional(entered.error().reason);
  }

  test::NoDatabase database;
  SystemClock clock;
  ca::Issuers issuers;
  service::HighWater high_water;
  service::RecordState record;
  service::CrlState crls;
  service::OwnCertificates own;
  service::Monitor monitor{database, clock, issuers, high_water, record, crls, own, {}};
  Readiness readiness{monitor};
  Enrolments enrolments;
};

constexpr std::int64_t kPhone = 7;
const std::vector<Reason> kGoesOn;
const std::vector<Reason> kReplaced{Reason::kSessionReplaced};
const std::vector<Reason> kShutDown{Reason::kShuttingDown};

}  // namespace

TEST_CASE("of two dialogues of a phone the later one wins, whichever operation counts more sessions") {
  struct Pair {
    const char* name;
    DialogueNumber earlier;
    DialogueNumber later;
  };
  for (const Pair& pair : {Pair{"of one operation", {3, 1}, {3, 2}}, Pair{"of a later operation", {3, 9}, {4, 1}}}) {
    CAPTURE(pair.name);
    Calls calls(10);
    const auto earlier = calls.add();
    const auto later = calls.add();
    REQUIRE_FALSE(calls.enter(*earlier, kPhone, pair.earlier));
    CHECK_FALSE(calls.enter(*later, kPhone, pair.later));
    CHECK(earlier->ends() == kReplaced);
    CHECK(later->ends() == kGoesOn);

    const auto overtaken = calls.add();
    CHECK(calls.enter(*overtaken, kPhone, pair.earlier) == Reason::kSessionReplaced);
    CHECK(later->ends() == kGoesOn);
  }
}

TEST_CASE("so many phones enrol at once, and a phone that calls again takes no further place") {
  Calls calls(1);
  const auto first = calls.add();
  const auto again = calls.add();
  const auto other = calls.add();  // a stranger's so far: it takes no place
  REQUIRE_FALSE(calls.enter(*first, kPhone, {1, 1}));
  CHECK(calls.enter(*other, kPhone + 1, {2, 1}) == Reason::kOverloaded);
  CHECK_FALSE(calls.enter(*again, kPhone, {1, 2}));
  calls.enrolments.leave(*first);
  CHECK(calls.enter(*other, kPhone + 1, {2, 1}) == Reason::kOverloaded);
  calls.enrolments.leave(*again);
  CHECK_FALSE(calls.enter(*other, kPhone + 1, {2, 1}));
}

TEST_CASE("a call that was replaced leaves nothing of its successor's") {
  Calls calls(10);
  const auto earlier = calls.add();
  const auto later = calls.add();
  REQUIRE_FALSE(calls.enter(*earlier, kPhone, {1, 1}));
  REQUIRE_FALSE(calls.enter(*later, kPhone, {1, 2}));
  calls.enrolments.leave(*earlier);
  calls.enrolments.leave(*earlier);  // a second time changes nothing
  CHECK(calls.enter(*calls.add(), kPhone, {1, 1}) == Reason::kSessionReplaced);
  CHECK(later->ends() == kGoesOn);
}

TEST_CASE("calls are ended where they are closed, and each that comes later") {
  Calls calls(10);
  const auto phone = calls.add();
  const auto stranger = calls.add();
  const auto gone = calls.add();
  REQUIRE_FALSE(calls.enter(*phone, kPhone, {1, 1}));
  calls.enrolments.leave(*gone);
  CHECK_FALSE(calls.enrolments.closed_for(std::chrono::milliseconds{0}));
  calls.enrolments.close();
  CHECK(calls.enrolments.closed_for(std::chrono::milliseconds{0}));
  CHECK_FALSE(calls.enrolments.closed_for(std::chrono::hours{1}));
  CHECK(phone->ends() == kShutDown);
  CHECK(stranger->ends() == kShutDown);
  CHECK(gone->ends() == kGoesOn);
  CHECK(calls.add()->ends() == kShutDown);
}

TEST_CASE("calls are looked at again and again, and end when the server drains") {
  Calls calls(10);
  const auto call = calls.add();
  call->wait_for_tick();
  call->wait_for_tick();
  calls.readiness.drain();
  call->wait_for_end();
  CHECK(call->ends() == kShutDown);
}
