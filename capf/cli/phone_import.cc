#include "capf/cli/phone_import.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include "capf/cli/connection.h"
#include "capf/cli/devices.h"
#include "capf/cli/progress.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

Result<Obstacle> obstacle_from(std::string_view word) {
  if (word == "exists") return Obstacle::kExists;
  if (word == "case") return Obstacle::kCase;
  if (word == "refused") return Obstacle::kRefused;
  if (word == "invalid") return Obstacle::kInvalid;
  return fail(Reason::kInvalidRequest,
              '"' + std::string(word) + "\" is nothing to skip: there are exists, case, refused, invalid");
}

Obstacle obstacle_of(const std::string& reason) {
  if (reason == to_string(Reason::kDeviceExists)) return Obstacle::kExists;
  if (reason == to_string(Reason::kDeviceOtherCase)) return Obstacle::kCase;
  if (reason == to_string(Reason::kDeviceNameRefused)) return Obstacle::kRefused;
  return Obstacle::kInvalid;
}

/// Says of a phone what the file has columns for.
void set_phone(const PhoneRow& row, const PhoneRows& columns, v1::ImportedPhone& phone) {
  phone.set_device(row.device);
  phone.set_model(row.model);
  if (columns.has(PhoneSetting::kDescription)) phone.set_description(row.description);
  if (!columns.has(PhoneSetting::kTags)) return;
  auto& tags = *phone.mutable_tags();
  for (const std::string& tag : row.tags) tags.add_tags(tag);
}

/// A batch of rows is handed on when it is full, and at the end. After a fault no further one is.
class Batches final : public TableUser {
 public:
  using Send = std::function<capf::Status(const std::vector<PhoneRow>&, const PhoneRows&)>;

  Batches(const ImportOptions& options, Send send, std::function<void(const RowProblem&)> on_problem)
      : send_(std::move(send)),
        on_problem_(std::move(on_problem)),
        rows_(
            options, [this](PhoneRow row) { batch_.push_back(std::move(row)); },
            [this](const RowProblem& problem) {
              ++problems_;
              on_problem_(problem);
            }) {}

  capf::Status take_titles(const TableRow& titles) override { return rows_.take_titles(titles); }
  void take_row(TableRow row) override {
    if (!sent_) return;
    rows_.take_row(std::move(row));
    if (batch_.size() == kPhonesInBatch || problems_ == kPhonesInBatch) send();
  }
  /// Hands on the rest. Errors: the first one of `send`.
  capf::Status finish() {
    if (sent_) send();
    return sent_;
  }

 private:
  void send() {
    sent_ = send_(batch_, rows_);
    batch_.clear();
    problems_ = 0;
  }

  Send send_;
  std::function<void(const RowProblem&)> on_problem_;
  PhoneRows rows_;
  std::vector<PhoneRow> batch_;
  std::size_t problems_ = 0;
  capf::Status sent_;
};

}  // namespace

Result<std::set<Obstacle>> obstacles_from(std::string_view text) {
  std::set<Obstacle> obstacles;
  for (bool more = !text.empty(); more;) {
    const auto comma = text.find(',');
    CAPF_LET(const Obstacle obstacle, obstacle_from(text.substr(0, comma)));
    obstacles.insert(obstacle);
    more = comma != std::string_view::npos;
    text.remove_prefix(more ? comma + 1 : text.size());
  }
  return obstacles;
}

PhoneImporter::PhoneImporter(TableFile& file, const ImportOptions& options, bool update, std::set<Obstacle> skipped,
                             ImportCalls calls)
    : file_(file), options_(options), update_(update), skipped_(std::move(skipped)), calls_(std::move(calls)) {}

Result<ImportResult> PhoneImporter::check() {
  found_ = {};
  left_out_.clear();
  std::size_t last = 0;  // a row is counted once, whatever number of problems it has
  Batches batches(
      options_, [this](const auto& rows, const PhoneRows& columns) { return check_batch(rows, columns); },
      [&](const RowProblem& problem) {
        if (problem.line != last) ++(skipped_.contains(Obstacle::kInvalid) ? found_.skipped : found_.problems);
        last = problem.line;
        noted_.push_back(problem);
      });
  const capf::Status read = file_.read(batches);
  if (read) CAPF_TRY(batches.finish());
  tell_noted();
  CAPF_TRY(read);
  return found_;
}

capf::Status PhoneImporter::check_batch(const std::vector<PhoneRow>& rows, const PhoneRows& columns) {
  if (!rows.empty()) {
    v1::CheckImportRequest request;
    request.set_update(update_);
    for (const PhoneRow& row : rows) set_phone(row, columns, *request.add_phones());
    CAPF_LET(const auto response, calls_.check(request));
    found_.added += response.added();
    found_.changed += response.changed();
    found_.unchanged += response.unchanged();
    for (const auto& problem : response.problems()) {
      const auto place = static_cast<std::size_t>(problem.place());
      if (place >= rows.size()) return fail_internal("the server has a problem with a phone that it was not sent");
      left_out_.insert(rows[place].line);
      noted_.push_back({rows[place].line, rows[place].device, problem.reason() + ": " + problem.message()});
      ++(skipped_.contains(obstacle_of(problem.reason())) ? found_.skipped : found_.problems);
    }
  }
  tell_noted();
  calls_.progress(static_cast<std::int64_t>(rows.size()));
  return {};
}

void PhoneImporter::tell_noted() {
  std::stable_sort(noted_.begin(), noted_.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
  for (const RowProblem& problem : noted_) calls_.tell(problem);
  noted_.clear();
}

capf::Status PhoneImporter::import(ImportResult& done) {
  done.skipped = found_.skipped;
  Batches batches(
      options_, [&](const auto& rows, const PhoneRows& columns) { return import_batch(rows, columns, done); },
      [](const RowProblem&) {});
  CAPF_TRY(file_.read(batches));
  return batches.finish();
}

capf::Status PhoneImporter::import_batch(const std::vector<PhoneRow>& rows, const PhoneRows& columns,
                                         ImportResult& done) {
  v1::ImportPhonesRequest request;
  request.set_update(update_);
  for (const PhoneRow& row : rows) {
    if (!left_out_.contains(row.line)) set_phone(row, columns, *request.add_phones());
  }
  if (request.phones().empty()) return {};
  CAPF_LET(const auto response, calls_.send(request));
  done.added += response.added();
  done.changed += response.changed();
  done.unchanged += response.unchanged();
  calls_.progress(request.phones_size());
  return {};
}

namespace {

/// The file of --problems, or the first ones on standard error.
class ProblemList {
 public:
  /// Errors: INVALID_REQUEST.
  static Result<ProblemList> open(const std::string& path, const std::string& imported) {
    ProblemList list;
    if (path.empty()) return list;
    std::error_code error;
    if (std::filesystem::equivalent(path, imported, error)) {
      return fail(Reason::kInvalidRequest, path + " is the file that is imported: name another one for its problems");
    }
    list.path_ = path;
    list.file_.emplace(path, std::ios::binary | std::ios::trunc);
    *list.file_ << problem_titles() << std::flush;
    CAPF_TRY(list.check());
    return list;
  }
  void add(const RowProblem& problem) {
    if (file_) {
      *file_ << to_line(problem);
    } else if (++told_ <= kToldProblems) {
      warn("line " + std::to_string(problem.line) + (problem.device.empty() ? "" : ", " + problem.device) + ": " +
           problem.words);
    }
  }
  /// Says how many were not told. Errors: INVALID_REQUEST where the file could not be written.
  capf::Status finish() {
    if (told_ > kToldProblems) {
      warn(std::to_string(told_ - kToldProblems) + " problems more; --problems FILE has all of them");
    }
    return check();
  }

 private:
  capf::Status check() {
    if (!file_ || file_->flush()) return {};
    return fail(Reason::kInvalidRequest, path_ + " cannot be written");
  }

  std::string path_;
  std::optional<std::ofstream> file_;
  std::size_t told_ = 0;
};

/// Errors: INVALID_REQUEST.
Result<ImportOptions> wanted_options(const Arguments& arguments) {
  ImportOptions options;
  std::vector<std::string> presets;
  for (const std::string& map : arguments.list("--map")) {
    if (map.find('=') == std::string::npos) {
      presets.push_back(map);
    } else {
      CAPF_TRY(options.columns.map(map));
    }
  }
  for (const std::string& column : arguments.list("--ignore")) CAPF_TRY(options.columns.ignore(column));
  for (const std::string& path : presets) {
    CAPF_LET(const std::string text, read_input(path));
    const capf::Status added = options.columns.add_preset(text);
    if (!added) return fail(added.error().reason, path + ": " + added.error().message);
  }
  if (arguments.has("--prefix")) {
    options.prefix = arguments.text("--prefix");
    CAPF_TRY(check_prefix(options.prefix));
  }
  options.as_written = arguments.has("--as-written");
  return options;
}

Json to_json(const ImportResult& result) {
  return Json::Object{{"added", result.added},
                      {"changed", result.changed},
                      {"unchanged", result.unchanged},
                      {"skipped", result.skipped}};
}

/// The error where problems stop an import.
Error stopped_by(std::int64_t problems, bool update) {
  const std::string rows = problems == 1 ? "a row has a problem" : std::to_string(problems) + " rows have problems";
  return fail(Reason::kInvalidRequest, "nothing was done: " + rows +
                                           (update ? "" : "; --update changes phones that exist") +
                                           "; --skip leaves rows out: exists, case, refused, invalid")
      .value();
}

struct ImportWishes {
  ImportOptions options;
  std::set<Obstacle> skipped;
  TableFile file;
  ProblemList problems;
};
/// Errors: INVALID_REQUEST.
Result<ImportWishes> wishes_of(const Arguments& arguments) {
  CAPF_LET(ImportOptions options, wanted_options(arguments));
  CAPF_LET(std::set<Obstacle> skipped, obstacles_from(arguments.text("--skip")));
  CAPF_LET(TableFile file, TableFile::open(arguments.text("FILE")));
  CAPF_LET(ProblemList problems, ProblemList::open(arguments.text("--problems"), arguments.text("FILE")));
  return ImportWishes{std::move(options), std::move(skipped), std::move(file), std::move(problems)};
}

Result<int> import_phones(const Arguments& arguments, Connection& server) {
  auto wishes = wishes_of(arguments);
  if (!wishes) return report_usage(wishes.error().message);
  const bool update = arguments.has("--update");
  const bool quiet = arguments.has("--quiet");
  std::optional<Progress> progress(std::in_place, "phones checked", 0, quiet);
  ImportCalls calls{[&](const auto& request) { return server.call(request); },
                    [&](const auto& request) { return server.call(request); },
                    [&](const RowProblem& problem) {
                      progress->clear();
                      wishes->problems.add(problem);
                    },
                    [&](std::int64_t done) { progress->add(done); }};
  PhoneImporter importer(wishes->file, wishes->options, update, wishes->skipped, std::move(calls));
  const auto found = importer.check();
  progress->clear();
  CAPF_TRY(wishes->problems.finish());
  if (!found) return fail(found.error());
  if (found->problems > 0) return fail(stopped_by(found->problems, update));
  if (arguments.has("--dry-run")) {
    show(std::cout, arguments.format(), to_json(*found));
    warn("this is what would be done; nothing was done");
    return 0;
  }
  progress.emplace("phones imported", found->added + found->changed + found->unchanged, quiet);
  ImportResult done;
  const capf::Status imported = importer.import(done);
  progress.reset();
  if (!imported) {
    const std::int64_t phones = done.added + done.changed + done.unchanged;
    if (phones > 0) warn(std::to_string(phones) + " phones are done; the same command goes on with the others");
    return fail(imported.error());
  }
  show(std::cout, arguments.format(), to_json(done));
  return 0;
}

}  // namespace

Command phone_import_command() {
  using Kind = Option::Kind;
  return {"phone import",
          "Adds the phones of a CSV file whose first line names its columns: device or mac, model, description, tags",
          "capfctl phone import phones.csv --map Standort=description --ignore Room --dry-run",
          {{"FILE", Kind::kFile, "CSV in UTF-8; '-' for standard input, for --dry-run alone", true},
           {"--map", Kind::kFile, "COLUMN=SETTING, or a file of such lines: import/cucm.map", false, true},
           {"--ignore", Kind::kText, "a column to leave out", false, true},
           {"--prefix", Kind::kText, "what device names have before their MAC address (default: SEP)"},
           as_written_option(),
           {"--update", Kind::kFlag, "change phones that are on record, in what the file has a column for"},
           {"--skip", Kind::kText, "leave out rows with such problems: exists,case,refused,invalid"},
           {"--problems", Kind::kFile, "write the problems to this file, as CSV"},
           {"--dry-run", Kind::kFlag, "say what would be done, and do nothing"},
           {"--quiet", Kind::kFlag, "do not say how far it is"},
           output_option()},
          import_phones};
}

}  // namespace capf::cli
