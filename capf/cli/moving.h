#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/error.h"
#include "capf/cli/other_server.h"
#include "capf/cli/strings_file.h"
#include "capf/v1/admin.pb.h"

namespace capf::cli {

/// A row that cannot move in.
struct MovingProblem {
  std::size_t row = 0;
  std::string device;
  std::string words;
};

/// The server, and whoever reads what the move says.
struct MovingCalls {
  std::function<Result<v1::MovePhonesResponse>(const v1::MovePhonesRequest&)> move;
  std::function<void(const MovingProblem&)> tell;  ///< each problem, in the order of rows
  std::function<void(std::int64_t)> progress;      ///< rows that one more call has done
};

struct MovingResult {
  std::int64_t rows = 0;
  std::int64_t added = 0;         ///< phones
  std::int64_t certificates = 0;  ///< kept
  std::int64_t scheduled = 0;     ///< operations
  std::int64_t problems = 0;      ///< rows
};

/// The move of another server's phones: a pass that finds every problem and changes nothing, and one that moves, in
/// batches, each one call and one transaction. Threads: one.
class Mover {
 public:
  /// @param other outlives this. @param issuers DER
  Mover(OtherServer& other, std::vector<std::string> issuers, TimePoint completes_by, MovingCalls calls);

  /// @return what move() would do. Errors: those of the database and of the server.
  Result<MovingResult> check();
  /// Devices whose operation is by string, after check().
  const std::set<std::string>& by_string() const { return by_string_; }
  /// Moves what check() has found good. Each string is on disk before the server hears it, where there is a file, or in
  /// `shown`. @param done counts what is done, also where an error ends it.
  capf::Status move(StringsFile* file, Botan::RandomNumberGenerator& random, MovingResult& done);
  /// The strings of a move without a file.
  const std::vector<DeviceString>& shown() const { return shown_; }

 private:
  struct Batch {
    v1::MovePhonesRequest request;
    std::vector<std::size_t> rows;
    std::size_t octets = 0;
  };
  using Send = std::function<capf::Status(Batch&)>;
  capf::Status each_batch(bool checks, const Send& send);
  void note(std::size_t row, const std::string& device, const std::string& words);
  capf::Status check_batch(Batch& batch, MovingResult& found);
  capf::Status move_batch(Batch& batch, StringsFile* file, Botan::RandomNumberGenerator& random, MovingResult& done);
  capf::Status add_strings(v1::MovePhonesRequest& request, StringsFile* file, Botan::RandomNumberGenerator& random);

  OtherServer& other_;
  std::vector<std::string> issuers_;
  TimePoint completes_by_;
  MovingCalls calls_;
  std::set<std::size_t> left_out_;    ///< rows with a problem
  std::set<std::string> devices_;     ///< of the pass that runs
  std::set<std::string> by_string_;   ///< to be scheduled so
  std::vector<MovingProblem> noted_;  ///< of the batch that is read
  std::vector<DeviceString> shown_;
};

}  // namespace capf::cli
