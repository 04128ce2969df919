#include "capf/service/journal.h"

#include "capf/domain/withdrawal_store.h"

namespace capf::service {
namespace {

const char* const kMark = "journal";
constexpr int kAtOnce = 1000;
constexpr std::size_t kFewest = 10'000;  ///< entries that are not worth condensing

std::vector<std::string> lines_of(const std::vector<Withdrawal>& withdrawals) {
  std::vector<std::string> lines;
  lines.reserve(withdrawals.size());
  for (const Withdrawal& withdrawal : withdrawals) lines.push_back(withdrawal.to_line());
  return lines;
}

}  // namespace

Result<std::vector<Withdrawal>> Journal::read() {
  CAPF_LET(const auto lines, lines_.read());
  std::vector<Withdrawal> journal;
  journal.reserve(lines.size());
  for (const std::string& line : lines) {
    auto withdrawal = Withdrawal::parse_line(line);
    if (!withdrawal) {
      return fail(Reason::kInvalidConfiguration, "the journal of withdrawals has a line that is none");
    }
    journal.push_back(*std::move(withdrawal));
  }
  return journal;
}

Status Journal::condense_when_due(std::vector<Withdrawal> journal) {
  size_ = journal.size();
  if (size_ >= due_) {
    const auto counting = condense(journal);
    if (counting.size() < size_) {
      CAPF_TRY(lines_.replace(lines_of(counting)));
      size_ = counting.size();
    }
    due_ = 2 * size_ + kFewest;
  }
  return {};
}

Status Journal::open() {
  CAPF_LET(auto journal, read());
  for (const Withdrawal& withdrawal : journal) {
    high_water_.withdrawn().take(withdrawal);
    last_ = withdrawal;
  }
  due_ = kFewest;
  return condense_when_due(std::move(journal));
}

Status Journal::follow() {
  const std::lock_guard lock(mutex_);
  return follow_locked();
}

Status Journal::follow_locked() {
  const std::uint64_t epoch = high_water_.epoch();
  for (bool more = true; more;) {
    bool known = true;
    std::vector<Withdrawal> next;
    CAPF_TRY(database_.read([&](Transaction& tx) -> Status {
      // Another one in its place shows, too, that the database was set back, and has gone on since.
      if (last_) {
        CAPF_LET(const auto found, tx.withdrawals().find(last_->place));
        known = found == last_;
      }
      if (!known) return {};
      CAPF_LET(next, tx.withdrawals().list(last_ ? last_->place : ChangeCursor{}, kAtOnce));
      return {};
    }));
    if (!known) {
      const std::string lacking = "what was withdrawn last is not on record";
      high_water_.report(epoch, kMark, lacking);
      return fail(Reason::kDatabaseBehind, lacking);
    }
    high_water_.report(epoch, kMark, std::nullopt);
    if (!next.empty()) CAPF_TRY(lines_.append(lines_of(next)));
    size_ += next.size();
    for (const Withdrawal& withdrawal : next) {
      high_water_.withdrawn().take(withdrawal);
      last_ = withdrawal;
    }
    more = next.size() == kAtOnce;
  }
  if (size_ < due_) return {};
  CAPF_LET(auto journal, read());
  return condense_when_due(std::move(journal));
}

Status Journal::begin_anew() {
  const std::lock_guard lock(mutex_);
  CAPF_TRY(lines_.replace({}));
  high_water_.withdrawn().clear();
  last_.reset();
  size_ = 0;
  due_ = kFewest;
  return follow_locked();
}

}  // namespace capf::service
