#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/command.h"
#include "capf/cli/phone_rows.h"
#include "capf/cli/table.h"
#include "capf/v1/admin.pb.h"

namespace capf::cli {

inline constexpr std::size_t kToldProblems = 20;  ///< on standard error; the others are counted

/// A problem that keeps a row from being imported, by its word of --skip.
enum class Obstacle : std::uint8_t {
  kExists,   ///< a phone that is on record otherwise
  kCase,     ///< a phone on record whose name differs in the case of letters alone
  kRefused,  ///< a name that the site has no devices of
  kInvalid,  ///< the row itself
};
/// "exists,case". Errors: INVALID_REQUEST.
Result<std::set<Obstacle>> obstacles_from(std::string_view text);

/// The server, and whoever reads what an import says.
struct ImportCalls {
  std::function<Result<v1::CheckImportResponse>(const v1::CheckImportRequest&)> check;
  std::function<Result<v1::ImportPhonesResponse>(const v1::ImportPhonesRequest&)> send;
  std::function<void(const RowProblem&)> tell;  ///< each problem, in the order of lines
  std::function<void(std::int64_t)> progress;   ///< phones that one more call has done
};

struct ImportResult {
  std::int64_t added = 0;
  std::int64_t changed = 0;
  std::int64_t unchanged = 0;
  std::int64_t skipped = 0;   ///< rows with a problem of --skip
  std::int64_t problems = 0;  ///< rows with another one
};

/// The import of a file: a pass that finds every problem and changes nothing, and one that imports, in batches of
/// kPhonesInBatch, each one call and one transaction. Threads: one.
class PhoneImporter {
 public:
  /// @param file, options outlive this.
  PhoneImporter(TableFile& file, const ImportOptions& options, bool update, std::set<Obstacle> skipped,
                ImportCalls calls);
  /// @return what import() would do. Errors: those of the file's form and of the server.
  Result<ImportResult> check();
  /// Imports what check() has found good. @param done counts what is done, also where an error ends it.
  capf::Status import(ImportResult& done);

 private:
  capf::Status check_batch(const std::vector<PhoneRow>& rows, const PhoneRows& columns);
  capf::Status import_batch(const std::vector<PhoneRow>& rows, const PhoneRows& columns, ImportResult& done);
  void tell_noted();

  TableFile& file_;
  const ImportOptions& options_;
  bool update_;
  std::set<Obstacle> skipped_;
  ImportCalls calls_;
  ImportResult found_;
  std::vector<RowProblem> noted_;   ///< of the batch that is read
  std::set<std::size_t> left_out_;  ///< the lines that the server has a problem with
};

Command phone_import_command();

}  // namespace capf::cli
