#include "capf/cli/moving.h"

#include <algorithm>

#include "capf/base/utf8.h"
#include "capf/cli/convert.h"
#include "capf/domain/authstring.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

constexpr std::size_t kLargestBatch = 1024UL * 1024;  // octets of certificates in one call

bool is_by_string(const v1::MovedPhone& phone) {
  return phone.has_operation() && phone.operation().auth() == v1::AUTH_MODE_STRING;
}

}  // namespace

Mover::Mover(OtherServer& other, std::vector<std::string> issuers, TimePoint completes_by, MovingCalls calls)
    : other_(other), issuers_(std::move(issuers)), completes_by_(completes_by), calls_(std::move(calls)) {}

void Mover::note(std::size_t row, const std::string& device, const std::string& words) {
  left_out_.insert(row);
  noted_.push_back({row, device, words});
}

/// Reads all rows, and hands on those that can be sent. @param checks whether problems are noted: later they are known.
capf::Status Mover::each_batch(bool checks, const Send& send) {
  Batch batch;
  devices_.clear();
  const auto hand_on = [&]() -> capf::Status {
    for (const std::string& issuer : issuers_) batch.request.add_issuers(issuer);
    const capf::Status sent = send(batch);
    batch = Batch();
    return sent;
  };
  CAPF_TRY(other_.read([&](OtherPhone phone) -> capf::Status {
    if (!checks && left_out_.contains(phone.row)) return {};
    auto moved = moved_phone(phone);
    if (moved && !devices_.insert(lower_case(moved->device())).second) {
      moved = fail(Reason::kInvalidRequest, moved->device() + " is there twice; another case is no other phone");
    }
    if (!moved) {
      note(phone.row, "", std::string(to_string(moved.error().reason)) + ": " + moved.error().message);
      return {};
    }
    if (moved->has_operation()) set_time(*moved->mutable_operation()->mutable_completes_by(), completes_by_);
    batch.rows.push_back(phone.row);
    batch.octets += moved->certificate().size();
    *batch.request.add_phones() = *std::move(moved);
    const bool full = batch.rows.size() == kPhonesInBatch || batch.octets >= kLargestBatch;
    return full ? hand_on() : capf::Status();
  }));
  return batch.rows.empty() ? capf::Status() : hand_on();
}

Result<MovingResult> Mover::check() {
  MovingResult found;
  left_out_.clear();
  by_string_.clear();
  const auto tell = [&] {
    std::stable_sort(noted_.begin(), noted_.end(), [](const auto& a, const auto& b) { return a.row < b.row; });
    for (const MovingProblem& problem : noted_) calls_.tell(problem);
    noted_.clear();
  };
  const capf::Status read = each_batch(true, [&](Batch& batch) -> capf::Status {
    CAPF_TRY(check_batch(batch, found));
    tell();
    return {};
  });
  tell();
  CAPF_TRY(read);
  found.problems = static_cast<std::int64_t>(left_out_.size());
  found.rows += found.problems;
  return found;
}

capf::Status Mover::check_batch(Batch& batch, MovingResult& found) {
  batch.request.set_dry_run(true);
  CAPF_LET(const auto response, calls_.move(batch.request));
  std::set<int> wrong;
  for (const auto& problem : response.problems()) {
    if (problem.place() < 0 || problem.place() >= batch.request.phones_size()) {
      return fail_internal("the server has a problem with a phone that it was not sent");
    }
    if (!wrong.insert(problem.place()).second) continue;
    note(batch.rows[static_cast<std::size_t>(problem.place())], batch.request.phones(problem.place()).device(),
         problem.reason() + ": " + problem.message());
  }
  found.rows += batch.request.phones_size() - static_cast<std::int64_t>(wrong.size());
  found.added += response.added();
  found.certificates += response.certificates();
  found.scheduled += response.scheduled_size();
  const std::set<std::string> scheduled(response.scheduled().begin(), response.scheduled().end());
  for (const v1::MovedPhone& phone : batch.request.phones()) {
    if (is_by_string(phone) && scheduled.contains(phone.device())) by_string_.insert(phone.device());
  }
  calls_.progress(batch.request.phones_size());
  return {};
}

capf::Status Mover::move(StringsFile* file, Botan::RandomNumberGenerator& random, MovingResult& done) {
  return each_batch(false, [&](Batch& batch) { return move_batch(batch, file, random, done); });
}

capf::Status Mover::move_batch(Batch& batch, StringsFile* file, Botan::RandomNumberGenerator& random,
                               MovingResult& done) {
  CAPF_TRY(add_strings(batch.request, file, random));
  CAPF_LET(const auto response, calls_.move(batch.request));
  done.rows += batch.request.phones_size();
  done.added += response.added();
  done.certificates += response.certificates();
  done.scheduled += response.scheduled_size();
  calls_.progress(batch.request.phones_size());
  return {};
}

/// A phone by string that check() has not found waiting has an operation here, and gets none.
capf::Status Mover::add_strings(v1::MovePhonesRequest& request, StringsFile* file,
                                Botan::RandomNumberGenerator& random) {
  std::vector<DeviceString> made;
  for (v1::MovedPhone& phone : *request.mutable_phones()) {
    if (!is_by_string(phone)) continue;
    if (!by_string_.contains(phone.device())) {
      phone.clear_operation();
      continue;
    }
    const DeviceString* kept = file == nullptr ? nullptr : file->find(phone.device());
    if (kept == nullptr) {
      kept = &made.emplace_back(DeviceString{phone.device(), generate_auth_string(random), completes_by_, {}});
    }
    phone.mutable_operation()->set_auth_string(std::string(kept->digits.text()));
    set_time(*phone.mutable_operation()->mutable_completes_by(), kept->completes_by);
  }
  if (file != nullptr) return made.empty() ? capf::Status() : file->add(std::move(made));
  std::move(made.begin(), made.end(), std::back_inserter(shown_));
  return {};
}

}  // namespace capf::cli
