#include <filesystem>
#include <iostream>

#include <botan/system_rng.h>

#include "capf/cli/connection.h"
#include "capf/cli/convert.h"
#include "capf/cli/devices.h"
#include "capf/cli/moving.h"
#include "capf/cli/phone_import.h"
#include "capf/cli/progress.h"
#include "capf/cli/schedule.h"
#include "capf/client/key.h"
#include "capf/client/site.h"
#include "capf/domain/device.h"

namespace capf::cli {
namespace {

constexpr std::size_t kLargestIssuers = 131072;
constexpr std::size_t kMostIssuers = 8;
constexpr std::chrono::hours kCompletesWithin{30 * 24};

/// The CA certificates of the other server, DER. Errors: INVALID_REQUEST, INVALID_CERTIFICATE.
Result<std::vector<std::string>> read_issuers(const std::string& path) {
  CAPF_LET(const std::string text, client::read_file(path, kLargestIssuers));
  std::vector<std::string> issuers;
  if (text.find("-----BEGIN") == std::string::npos) {
    issuers.push_back(text);
  } else {
    CAPF_LET(const auto certificates, client::parse_certificates(text));
    for (const Bytes& der : certificates) issuers.emplace_back(as_text(der));
  }
  if (!issuers.empty() && issuers.size() <= kMostIssuers) return issuers;
  return fail(Reason::kInvalidCertificate, path + " has no certificate, or more than 8");
}

/// Trusts the issuers until the end, for phones that upgrade over their former LSCs. One that is there already stays as
/// it is. @return how many were added.
Result<int> trust(Connection& server, const std::vector<std::string>& issuers, const std::string& devices,
                  TimePoint ends) {
  CAPF_LET(const auto anchors, server.call(v1::ListAnchorsRequest()));
  std::set<std::string> trusted;
  for (const v1::Anchor& anchor : anchors.anchors()) trusted.insert(anchor.sha256());
  v1::AddAnchorsRequest request;
  request.set_store("lsc");
  for (const std::string& issuer : issuers) {
    if (!trusted.contains(to_hex(sha256(as_bytes(issuer))))) request.add_certificates(issuer);
  }
  if (request.certificates().empty()) return 0;
  request.set_devices(devices);
  set_time(*request.mutable_ends_at(), ends);
  CAPF_LET(const auto response, server.call(request));
  int added = 0;
  for (const auto& outcome : response.outcomes()) {
    if (outcome.added()) ++added;
    if (!outcome.added() && outcome.reason() != to_string(Reason::kAnchorExists)) {
      return fail(parse_reason(outcome.reason()),
                  "no phone was moved: " + outcome.subject() + ": " + outcome.message());
    }
  }
  return added;
}

/// Problems on standard error, the first ones in words.
class Problems {
 public:
  void tell(const MovingProblem& problem) {
    if (++told_ > kToldProblems) return;
    warn("row " + std::to_string(problem.row) + (problem.device.empty() ? "" : ", " + problem.device) + ": " +
         problem.words);
  }
  void finish() const {
    if (told_ > kToldProblems) warn(std::to_string(told_ - kToldProblems) + " problems more");
  }

 private:
  std::size_t told_ = 0;
};

Json::Object to_json(const MovingResult& result) {
  return Json::Object{{"rows", result.rows},
                      {"added", result.added},
                      {"certificates", result.certificates},
                      {"scheduled", result.scheduled},
                      {"left_out", result.problems}};
}

Json strings_of(const std::vector<DeviceString>& shown) {
  Json::Array strings;
  for (const DeviceString& each : shown) {
    strings.emplace_back(Json::Object{{"device", each.device},
                                      {"auth_string", std::string(each.digits.text())},
                                      {"completes_by", to_rfc3339(each.completes_by)}});
  }
  return strings;
}

std::string command_line(const Arguments& arguments) {
  return "site import-capfd " +
         arguments.line({"--strings", "--skip", "--dry-run", "--quiet", "--output", "--time-zone"});
}

/// The error that stops the move after its first pass; absent where it goes on.
std::optional<Error> obstacle_of(const Arguments& arguments, const MovingResult& found, std::size_t by_string) {
  if (found.problems > 0 && !arguments.has("--skip")) {
    return fail(Reason::kInvalidRequest, "nothing was done: " + std::to_string(found.problems) +
                                             (found.problems == 1 ? " row has a problem" : " rows have problems") +
                                             "; --skip leaves them out")
        .value();
  }
  if (by_string > kMostShown && !arguments.has("--strings") && !arguments.has("--dry-run")) {
    return fail(Reason::kInvalidRequest, "nothing was done: each of " + std::to_string(by_string) +
                                             " phones gets a new string: --strings FILE keeps them")
        .value();
  }
  return std::nullopt;
}

/// The second pass. @param added how many issuers are trusted now that were not before. @param progress ends before
/// anything is printed.
Result<int> move_all(const Arguments& arguments, Mover& mover, const MovingResult& found, int added,
                     std::optional<Progress>& progress) {
  std::optional<StringsFile> file;
  if (arguments.has("--strings") && !mover.by_string().empty()) {
    CAPF_LET(StringsFile opened,
             StringsFile::open(arguments.text("--strings"), command_line(arguments), Botan::system_rng()));
    file.emplace(std::move(opened));
  }
  MovingResult done;
  const capf::Status moved = mover.move(file ? &*file : nullptr, Botan::system_rng(), done);
  progress.reset();
  if (!moved) {
    if (done.rows > 0) warn(std::to_string(done.rows) + " rows are done; the same command goes on with the others");
    if (!mover.shown().empty())
      show(std::cout, arguments.format(), Json::Object{{"strings", strings_of(mover.shown())}});
    return fail(moved.error());
  }
  if (file) CAPF_TRY(file->finish());
  done.rows = found.rows;
  done.problems = found.problems;
  Json::Object summary = to_json(done);
  summary.emplace_back("issuers", added);
  if (file) summary.emplace_back("strings", arguments.text("--strings"));
  if (!mover.shown().empty()) summary.emplace_back("strings", strings_of(mover.shown()));
  show(std::cout, arguments.format(), summary);
  return 0;
}

Result<int> import_capfd(const Arguments& arguments, Connection& server) {
  const std::string devices = arguments.has("--device") ? named_device(arguments, "--device") : "SEP*";
  const auto pattern = Pattern::parse(devices);
  if (!pattern) return report_usage("--device: " + pattern.error().message);
  const TimePoint ends = arguments.deadline("--ends").value();
  CAPF_LET(const std::vector<std::string> issuers, read_issuers(arguments.text("--issuer")));
  CAPF_LET(OtherServer other, OtherServer::open(arguments.text("FILE")));
  const TimePoint completes_by = arguments.deadline("--completes-by").value_or(SystemClock().now() + kCompletesWithin);
  Problems problems;
  const bool quiet = arguments.has("--quiet");
  std::optional<Progress> progress(std::in_place, "phones checked", 0, quiet);
  Mover mover(other, issuers, completes_by,
              {[&](const v1::MovePhonesRequest& request) { return server.call(request); },
               [&](const MovingProblem& problem) {
                 progress->clear();
                 problems.tell(problem);
               },
               [&](std::int64_t done) { progress->add(done); }});
  const auto found = mover.check();
  progress->clear();
  problems.finish();
  if (!found) return fail(found.error());
  if (const auto obstacle = obstacle_of(arguments, *found, mover.by_string().size())) return fail(*obstacle);
  if (arguments.has("--dry-run")) {
    show(std::cout, arguments.format(), to_json(*found));
    warn("this is what would be done; nothing was done");
    return 0;
  }
  CAPF_LET(const int added, trust(server, issuers, devices, ends));
  progress.emplace("phones moved", found->rows - found->problems, quiet);
  return move_all(arguments, mover, *found, added, progress);
}

}  // namespace

std::vector<Command> moving_commands() {
  using Kind = Option::Kind;
  return {
      {"site import-capfd",
       "Takes in the phones of the open CAPF server: its issuer until a time, certificates, open operations",
       "capfctl site import-capfd capf.sqlite3 --issuer capf.pem --ends +90d --strings new-strings.csv",
       {{"FILE", Kind::kFile, "its SQLite database, which is only read", true},
        {"--issuer", Kind::kFile, "PEM of the certificate that signed its LSCs", true},
        {"--ends", Kind::kDeadline, "until then a phone can upgrade over its former LSC", true},
        pattern_option("pattern of the names for which those LSCs count (default: SEP*)"),
        as_written_option(),
        {"--completes-by", Kind::kDeadline, "of the operations (default: +30d)"},
        {"--strings", Kind::kFile, "the new file for the phones' new strings; one that was interrupted is continued"},
        {"--skip", Kind::kFlag, "leave out rows with problems"},
        {"--dry-run", Kind::kFlag, "say what would be done, and do nothing"},
        {"--quiet", Kind::kFlag, "do not say how far it is"},
        output_option()},
       import_capfd}};
}

}  // namespace capf::cli
