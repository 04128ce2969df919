#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/command.h"
#include "capf/cli/connection.h"
#include "capf/cli/selection.h"
#include "capf/domain/page.h"

// Bulks over operations: a first pass finds every problem and the phones; calls over these phones follow, batch by
// batch.

namespace capf::cli {

/// The findings of the first pass.
struct BulkFound {
  std::map<std::string, v1::BulkPhone> phones;           ///< by device: those without a problem
  std::map<std::string, v1::OperationProblem> problems;  ///< by device
  std::set<std::string> warnings;
  std::optional<google::protobuf::Timestamp> completes_by;  ///< for the calls that follow

  /// Devices that this run has not done yet, in order.
  std::vector<std::string> to_do() const;
};

/// The reasons that --skip leaves out: "open,blocked". Errors: INVALID_REQUEST for a word that is none of `words`.
Result<std::set<std::string>> skipped_reasons(const Arguments& arguments, const std::set<std::string>& words);
/// Tells the problems: the first ones on standard error, and all of them in the file of --problems. Errors: that of a
/// problem that is not skipped; INVALID_CONFIGURATION for a file that cannot be written.
capf::Status report_problems(const Arguments& arguments, const Chosen& chosen, const BulkFound& found,
                             const std::set<std::string>& skipped, const std::string& before);
/// Warns of names that begin with "sep": desk phones come by names in capital letters.
void report_small_letters(const std::vector<std::string>& devices);
/// Says once and with a count what the records say against operations of these phones.
void report_prospects(const BulkFound& found, v1::AuthMode auth);
/// Lists what a bulk would do: a sample for people, all of it for programs. @param what "scheduled"
int list_found(const Arguments& arguments, const BulkFound& found, const std::string& what);

/// The options of every bulk over operations.
std::vector<Option> with_bulk(std::vector<Option> options);

/// Makes a call, and makes it again where its answer was lost: the server does a call of a run once.
template <class Request>
auto call_surely(Connection& server, const Request& request) -> decltype(server.call(request)) {
  auto response = server.call(request);
  if (!response && may_be_repeated(response.error().code())) response = server.call(request);
  return response;
}

inline void add_answer(const v1::ScheduleSelectionResponse& response, BulkFound& found) {
  found.warnings.insert(response.warnings().begin(), response.warnings().end());
  found.completes_by = response.completes_by();
}
inline void add_answer(const v1::CancelSelectionResponse&, BulkFound&) {}

/// The first pass over these slices. @param request has all but selection, count and cursor.
template <class Request>
capf::Status find_phones(Connection& server, const std::vector<v1::PhoneSelection>& slices, Request request,
                         BulkFound& found) {
  request.mutable_bulk()->set_dry_run(true);
  for (const v1::PhoneSelection& slice : slices) {
    *request.mutable_bulk()->mutable_selection() = slice;
    request.mutable_bulk()->clear_cursor();
    do {
      CAPF_LET(const auto response, server.call(request));
      for (const v1::BulkPhone& phone : response.phones()) found.phones[phone.device()] = phone;
      for (const v1::OperationProblem& problem : response.problems()) found.problems[problem.device()] = problem;
      add_answer(response, found);
      request.mutable_bulk()->set_cursor(response.cursor());
    } while (!request.bulk().cursor().empty());
  }
  return {};
}

/// Makes the calls over these devices, kPhonesInBatch in each. @param prepare completes each request, with the devices
/// named; @param take is given each answer.
template <class Request, class Prepare, class Take>
capf::Status do_batches(Connection& server, const std::vector<std::string>& devices, const Request& common,
                        Prepare prepare, Take take) {
  for (std::size_t begin = 0; begin < devices.size(); begin += kPhonesInBatch) {
    const std::size_t end = std::min(begin + kPhonesInBatch, devices.size());
    Request request = common;
    for (std::size_t i = begin; i < end; ++i) request.mutable_bulk()->mutable_selection()->add_devices(devices[i]);
    request.mutable_bulk()->set_count(static_cast<std::int64_t>(end - begin));
    CAPF_TRY(prepare(request));
    CAPF_LET(const auto response, call_surely(server, request));
    take(response);
  }
  return {};
}

}  // namespace capf::cli
