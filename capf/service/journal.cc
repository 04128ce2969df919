#include "capf/service/journal.h"

namespace capf::service {
namespace {

const char* const kMark = "journal";
constexpr int kAtOnce = 1000;

}  // namespace

Status Journal::open() {
  CAPF_LET(const auto lines, lines_.read());
  for (const std::string& line : lines) {
    const auto withdrawal = Withdrawal::parse_line(line);
    if (!withdrawal) {
      return fail(Reason::kInvalidConfiguration, "the journal of withdrawals has a line that is none");
    }
    high_water_.withdrawn().take(*withdrawal);
    last_ = withdrawal->place;
  }
  return {};
}

Status Journal::follow() {
  const std::lock_guard lock(mutex_);
  return follow_locked();
}

Status Journal::follow_locked() {
  for (bool more = true; more;) {
    bool known = true;
    std::vector<Withdrawal> next;
    CAPF_TRY(database_.read([&](Transaction& tx) -> Status {
      if (last_.id != 0) {
        CAPF_LET(known, tx.withdrawals().has(last_));
      }
      if (!known) return {};
      CAPF_LET(next, tx.withdrawals().list(last_, kAtOnce));
      return {};
    }));
    if (!known) {
      const std::string lacking = "what was withdrawn last is not on record";
      high_water_.report(kMark, lacking);
      return fail(Reason::kDatabaseBehind, lacking);
    }
    high_water_.report(kMark, std::nullopt);
    std::vector<std::string> lines;
    for (const Withdrawal& withdrawal : next) lines.push_back(withdrawal.to_line());
    if (!lines.empty()) CAPF_TRY(lines_.append(lines));
    for (const Withdrawal& withdrawal : next) {
      high_water_.withdrawn().take(withdrawal);
      last_ = withdrawal.place;
    }
    more = next.size() == kAtOnce;
  }
  return {};
}

Status Journal::begin_anew() {
  const std::lock_guard lock(mutex_);
  CAPF_TRY(lines_.clear());
  high_water_.withdrawn().clear();
  last_ = {};
  return follow_locked();
}

}  // namespace capf::service
