#include "storage/rounds.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "capf/base/log.h"
#include "storage/changes.h"
#include "storage/dossiers.h"
#include "storage/hearing.h"
#include "storage/refusals.h"

namespace capf::storage {
namespace {

constexpr std::chrono::minutes kAlone{10};
constexpr std::size_t kMostAlone = 1000;
constexpr std::chrono::seconds kHalving{1};  ///< as long as five locks may be waited for
constexpr std::size_t kMostRecorded = 256;   ///< refusals in one transaction
constexpr int kLoneAttempts = 6;             ///< of a lone write that collided, or whose session may be at fault

/// The place of a question, by what it costs about.
GatheringPlace place_of(Share share, std::int64_t key, std::size_t octets, const std::function<bool()>& gone) {
  return {static_cast<std::size_t>(share), key, octets, gone};
}

std::size_t octets_of(const Enquiry& enquiry) {
  constexpr std::size_t kDigest = 2 * std::tuple_size_v<Sha256>;
  return kDigest * (1 + enquiry.certificates.size() + enquiry.keys.size() + 2 * enquiry.claims.size());
}

std::size_t octets_of(const Change& change) {
  std::size_t octets = 0;
  for (const Write& write : change.writes) {
    octets += sizeof(Write);
    if (const auto* added = std::get_if<AddCertificate>(&write)) octets += 2 * added->certificate.der.size();
    if (const auto* mic = std::get_if<SetMic>(&write)) octets += 2 * mic->der.size();
    if (const auto* event = std::get_if<AddEvent>(&write)) octets += event->event.detail.size();
  }
  return octets;
}

/// Whether the same may succeed for one half of a round: one member's data may have been the cause. PostgreSQL names
/// the cause of a lock that was not had; a connection that did not come free has none, and each half would wait as
/// long.
bool may_be_one_members(const Error& error) {
  return error.reason == Reason::kInternal || error.reason == Reason::kChangedMeanwhile ||
         (error.reason == Reason::kOverloaded && !error.cause.empty());
}

/// Carries out the round; where that fails as a whole, each half, down to one member, whose error is its answer. Halves
/// that all wait for one lock would hold up the next round many times as long: after `until`, the error is that of all.
template <class Answer, class Question, class Once>
std::vector<Answer> in_halves(std::span<const Question* const> questions, const Once& once,
                              std::chrono::steady_clock::time_point until = std::chrono::steady_clock::now() +
                                                                            kHalving) {
  auto answers = once(questions);
  if (answers) {
    return {std::make_move_iterator(answers->begin()), std::make_move_iterator(answers->end())};
  }
  const bool is_late = std::chrono::steady_clock::now() >= until;
  if (questions.size() == 1 || is_late || !may_be_one_members(answers.error())) {
    return std::vector<Answer>(questions.size(), Answer(fail(answers.error())));
  }
  log_info("database.round_halved", {{"members", questions.size()}, {"cause", answers.error().cause}});
  const std::size_t half = questions.size() / 2;
  std::vector<Answer> all = in_halves<Answer>(questions.first(half), once, until);
  std::vector<Answer> rest = in_halves<Answer>(questions.subspan(half), once, until);
  all.insert(all.end(), std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
  return all;
}

/// Whether the connection was lost before the commit was sent: then nothing is written, and the caller looks again. The
/// next connection may lead to another server, which would refuse the basis.
bool is_lost(const RunResult& result) { return result.remedy == Remedy::kReconnect; }

Error error_of(const RunResult& result) {
  if (!is_lost(result)) return result.status.error();
  return fail(Reason::kChangedMeanwhile, std::string(words(Reason::kChangedMeanwhile)), result.cause).value();
}

Result<Written> written_of(const Member& member) {
  if (member.outcome == Outcome::kWritten) return member.written;
  return fail(member.outcome == Outcome::kLocked ? Reason::kOverloaded : Reason::kChangedMeanwhile);
}

}  // namespace

PostgresRounds::PostgresRounds(LinkSettings settings, int rounds, std::chrono::milliseconds answer,
                               std::chrono::milliseconds life, std::chrono::milliseconds lock_wait,
                               std::chrono::milliseconds wait)
    : runner_(std::move(settings), {3 * rounds + kLoneWrites + 1, answer, life}, wait),
      lock_wait_(lock_wait),
      looks_({.rounds = rounds, .members = kMostEnquiries, .wait = wait},
             [this](auto asked) { return look_round(asked); }),
      writes_({.rounds = rounds, .wait = wait}, [this](auto changes) { return write_round(changes); }),
      lone_({.rounds = kLoneWrites, .members = 1, .wait = wait},
            [this](auto lone) { return std::vector{write_alone(*lone.front())}; }),
      strings_({.rounds = rounds, .wait = wait}, [this](auto heard) { return hear_round(heard); }) {}

Result<Dossier> PostgresRounds::look(const Enquiry& enquiry, Share share, const std::function<bool()>& gone) {
  return looks_.ask(enquiry, place_of(share, 0, octets_of(enquiry), gone));
}

Result<Written> PostgresRounds::write(const Change& change, Share share, const std::function<bool()>& gone) {
  const std::int64_t phone = change.basis.phone_id;
  if (!goes_alone(phone)) {
    CAPF_LET(const auto written, writes_.ask(change, place_of(share, phone, octets_of(change), gone)));
    if (written) return *written;
  }
  return lone_.ask({change, gone}, place_of(share, phone, 0, gone));
}

Result<std::optional<Reason>> PostgresRounds::hear(const HeardString& heard) {
  return strings_.ask(heard, place_of(Share::kStranger, 0, heard.said.address_block.size(), {}));
}

std::vector<Result<Dossier>> PostgresRounds::look_round(std::span<const Enquiry* const> enquiries) {
  return in_halves<Result<Dossier>>(enquiries, [&](std::span<const Enquiry* const> members) {
    std::vector<Dossier> dossiers;
    const Status looked = runner_.run([&](Session& session) -> Status {
      CAPF_TRY(session.single(Access::kRead));
      CAPF_LET(dossiers, storage::look(session, members));
      return {};
    });
    return looked ? Result<std::vector<Dossier>>(std::move(dossiers)) : fail(looked.error());
  });
}

std::vector<PostgresRounds::MaybeReason> PostgresRounds::hear_round(std::span<const HeardString* const> heard) {
  return in_halves<MaybeReason>(heard, [&](std::span<const HeardString* const> members) {
    std::vector<std::optional<Reason>> limits;
    const Status done = runner_.run([&](Session& session) -> Status {
      CAPF_TRY(session.single(Access::kWrite));
      CAPF_LET(limits, storage::hear(session, members));
      return {};
    });
    return done ? Result<std::vector<std::optional<Reason>>>(std::move(limits)) : fail(done.error());
  });
}

std::vector<PostgresRounds::MaybeWritten> PostgresRounds::write_round(std::span<const Change* const> changes) {
  std::vector<MaybeWritten> answers =
      in_halves<MaybeWritten>(changes, [this](std::span<const Change* const> members) { return write_once(members); });
  // A member that made a round fail goes alone from now on.
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i] || !may_be_one_members(answers[i].error())) continue;
    if (answers[i].error().reason == Reason::kChangedMeanwhile) continue;
    send_alone(changes[i]->basis.phone_id);
    answers[i] = std::optional<Written>();
  }
  return answers;
}

Result<std::vector<PostgresRounds::MaybeWritten>> PostgresRounds::write_once(std::span<const Change* const> changes) {
  std::vector<MaybeWritten> answers;
  const RunResult result = runner_.run_once([&](Session& session) -> Status {
    CAPF_TRY(session.begin(Access::kWrite));
    CAPF_LET(const auto members, storage::write(session, changes, false));
    for (const Member& member : members) {
      if (member.outcome == Outcome::kLocked) {
        answers.emplace_back(std::optional<Written>());
      } else {
        answers.push_back(written_of(member).map([](const Written& written) { return std::optional(written); }));
      }
    }
    if (session.fault()) return fail(session.fault()->error);
    const bool any = std::ranges::any_of(members, [](const Member& m) { return m.outcome == Outcome::kWritten; });
    return any ? session.commit() : Status{};
  });
  if (result.status) return answers;
  // Each member has its answer, so that no half of them is written.
  if (is_lost(result)) return std::vector<MaybeWritten>(changes.size(), fail(error_of(result)));
  return fail(result.status.error());
}

Result<Written> PostgresRounds::write_alone(const LoneWrite& lone) {
  const auto end = std::chrono::steady_clock::now() + lock_wait_;
  const Change* const change = &lone.change;
  for (int collisions = 0;;) {
    Written written;
    const RunResult result = runner_.run_once([&](Session& session) -> Status {
      CAPF_TRY(session.begin(Access::kWrite));
      CAPF_LET(const auto members, storage::write(session, {&change, 1}, true));
      CAPF_LET(written, written_of(members.front()));
      if (lone.gone && lone.gone()) return fail(Reason::kCallerGone);
      return session.commit();
    });
    if (result.status) return written;
    const Error error = error_of(result);
    const bool again = result.remedy == Remedy::kRepeat || result.remedy == Remedy::kRenew;
    const bool collided = again && ++collisions < kLoneAttempts;
    const bool waits = error.reason == Reason::kOverloaded && std::chrono::steady_clock::now() < end;
    if (!collided && !waits) return fail(error);
    if (lone.gone && lone.gone()) return fail(Reason::kCallerGone);
  }
}

/// Others hold the rows for moments; what is not written is lost, so this waits as long as a lone write.
Status PostgresRounds::record(std::span<const RefusalRecord> refusals) {
  const auto end = std::chrono::steady_clock::now() + lock_wait_;
  const auto waits = [end](const Status& done) {
    return !done && done.error().reason == Reason::kOverloaded && std::chrono::steady_clock::now() < end;
  };
  Status all;
  while (!refusals.empty()) {
    std::vector<const RefusalRecord*> members;
    for (const RefusalRecord& refusal : refusals.first(std::min(refusals.size(), kMostRecorded))) {
      members.push_back(&refusal);
    }
    refusals = refusals.subspan(members.size());
    const auto answers = in_halves<Status>(std::span<const RefusalRecord* const>(members), [&](auto some) {
      Status done;
      do {
        done = runner_.run([&](Session& session) -> Status {
          CAPF_TRY(session.begin(Access::kWrite));
          CAPF_TRY(storage::record(session, some));
          return session.commit();
        });
      } while (waits(done));
      return done ? Result<std::vector<Status>>(some.size()) : fail(done.error());
    });
    for (const Status& status : answers) {
      if (!status) all = status;
    }
  }
  return all;
}

bool PostgresRounds::goes_alone(std::int64_t phone_id) {
  const std::lock_guard lock(mutex_);
  const auto found = alone_.find(phone_id);
  if (found == alone_.end()) return false;
  if (std::chrono::steady_clock::now() < found->second) return true;
  alone_.erase(found);
  return false;
}

void PostgresRounds::send_alone(std::int64_t phone_id) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  std::erase_if(alone_, [&](const auto& phone) { return phone.second <= now; });
  if (alone_.size() < kMostAlone) alone_.insert_or_assign(phone_id, now + kAlone);
}

}  // namespace capf::storage
