#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/command.h"
#include "capf/cli/connection.h"
#include "capf/cli/output.h"
#include "capf/cli/progress.h"

namespace capf::cli {

/// The options of a command that takes a selection of phones: its own ones, and behind them those of every selection
/// but what it has by itself.
std::vector<Option> with_selection(std::vector<Option> options);

/// The phones of a command line, as the server is asked for them.
struct Chosen {
  std::vector<v1::PhoneSelection> slices;  ///< that make it up, at least one: of named devices, kPhonesInBatch each
  bool any = false;                        ///< whether an option chooses; --except alone does not
  bool named = false;                      ///< by DEVICE and --file alone
  std::map<std::string, std::size_t> lines = {};  ///< of named devices in the file; 0: the command line
};
/// The devices of DEVICE and --file and the properties, all of which must fit. Remarks and faults go to standard error.
/// Errors: INVALID_REQUEST.
Result<Chosen> chosen_phones(const Arguments& arguments);

/// The phones of a command that changes some. Errors: also INVALID_REQUEST where nothing chooses.
Result<Chosen> phones_to_change(const Arguments& arguments);

/// The same for a selection of certificates: the options of its own, and those of their phones whose names it leaves.
std::vector<Option> with_certificates(std::vector<Option> options);
/// Whether an option of with_certificates() is given that chooses.
bool chooses_certificates(const Arguments& arguments);
/// The selections that together make up the command line's, at least one: files of serial numbers and devices are cut
/// into slices. Errors: INVALID_SELECTION for a file without serial numbers, INVALID_REQUEST.
Result<std::vector<v1::CertificateSelection>> chosen_certificates(const Arguments& arguments);

/// The columns of a list of phones.
std::vector<Column> phone_columns();

/// Cuts named devices into slices of kPhonesInBatch, in the order of their names. @param properties of each slice
std::vector<v1::PhoneSelection> slices_of(const std::set<std::string>& devices, const v1::PhoneSelection& properties);

/// Lists what a change of them would change: a sample for people, all of it for programs. @param what "changed"
Result<int> list_chosen(const Arguments& arguments, Connection& server, const Chosen& chosen, const std::string& what);

struct ChosenCount {
  std::int64_t phones = 0;
  std::vector<std::int64_t> slices;  ///< of each
};
Result<ChosenCount> count_chosen(Connection& server, const Chosen& chosen);
/// Asks before many phones are changed that were chosen by a property; see confirm(). @param what "Change"
std::optional<int> confirm_bulk(const Arguments& arguments, const Chosen& chosen, std::int64_t phones,
                                const std::string& what);

/// Makes the calls of a bulk, batch by batch. @param request has all but selection, count and cursor. @param call makes
/// one, and may complete its request; @param take is given each answer.
template <class Request, class Call, class Take>
capf::Status run_batches(const Chosen& chosen, const ChosenCount& count, Request request, Call call, Take take) {
  for (std::size_t i = 0; i < chosen.slices.size(); ++i) {
    *request.mutable_selection() = chosen.slices[i];
    request.set_count(count.slices[i]);
    request.clear_cursor();
    do {
      CAPF_LET(const auto response, call(request));
      take(response);
      request.set_count(request.count() - response.selected());
      request.set_cursor(response.cursor());
    } while (!request.cursor().empty());
  }
  return {};
}

/// The same for people: says how far it is, and how many phones are done where a call fails. @param what "changed"
template <class Request, class Call, class Take>
capf::Status run_shown(const Arguments& arguments, const std::string& what, const Chosen& chosen,
                       const ChosenCount& count, const Request& request, Call call, Take take) {
  std::int64_t done = 0;
  std::optional<Progress> progress(std::in_place, what, count.phones, arguments.has("--quiet"));
  const capf::Status status = run_batches(chosen, count, request, call, [&](const auto& answer) {
    take(answer);
    done += answer.selected();
    progress->add(answer.selected());
  });
  progress.reset();
  if (!status && done > 0) warn(std::to_string(done) + " phones are done; the same command goes on with the others");
  return status;
}

}  // namespace capf::cli
