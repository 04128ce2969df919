#include "capf/daemon/archive.h"

#include <cerrno>
#include <regex>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/file.h"
#include "capf/base/log.h"
#include "capf/base/secret.h"
#include "capf/ca/audit.h"
#include "capf/daemon/site.h"
#include "capf/rpc/archive.h"
#include "storage/archive.h"
#include "storage/migrate.h"

namespace capf::daemon {
namespace {

constexpr off_t kLongestLine = off_t{64} * 1024 * 1024;
constexpr std::size_t kPiece = 65536;

tl::unexpected<Error> failed(const std::filesystem::path& path) {
  return fail_errno(Reason::kInvalidConfiguration, path);
}

/// The offset behind the last newline before `end`; 0 where there is none.
Result<off_t> line_start(int fd, off_t end, const std::filesystem::path& path) {
  Bytes piece(kPiece);
  for (off_t at = end; at > 0;) {
    const off_t from = std::max<off_t>(0, at - static_cast<off_t>(piece.size()));
    const ssize_t count = ::pread(fd, piece.data(), static_cast<std::size_t>(at - from), from);
    if (count != at - from) return failed(path);
    for (ssize_t i = count; i > 0; --i) {
      if (piece[static_cast<std::size_t>(i - 1)] == '\n') return from + i;
    }
    at = from;
  }
  return 0;
}

template <class Read, class Remove>
Result<std::int64_t> move_rows(MonthFiles& files, const std::string& kind, Read read, Remove remove) {
  std::int64_t moved = 0;
  for (storage::Archive::Cursor cursor;;) {
    CAPF_LET(const std::vector<storage::Archive::Row> rows, read(cursor));
    if (rows.empty()) return moved;
    for (const storage::Archive::Row& row : rows) CAPF_TRY(files.append(kind, row.month, row.json));
    CAPF_TRY(files.sync());
    CAPF_TRY(remove(rows));
    moved += static_cast<std::int64_t>(rows.size());
    cursor = {rows.back().at, rows.back().id};
  }
}

/// The number of the last seal in the files; 0 where there is none. Errors: RECORD_BROKEN where the record is not the
/// one that the files are of.
Result<std::int64_t> last_archived(MonthFiles& files, storage::Archive& database) {
  CAPF_LET(const std::string line, files.last_line("audit"));
  if (line.empty()) return 0;
  CAPF_LET(const rpc::ArchivedSeal last, rpc::archived_seal(line));
  CAPF_LET(const bool continues, database.continues(last.number, last.signature));
  if (continues) return last.number;
  return fail(Reason::kRecordBroken,
              "the archive ends with seal " + std::to_string(last.number) +
                  ", which is not the one on record: the database was restored since, or it is another site's. Move "
                  "the files audit-*.jsonl to another folder; the next run begins new ones");
}

Result<std::int64_t> move_events(MonthFiles& files, storage::Archive& database, std::chrono::days age) {
  CAPF_LET(std::int64_t written, last_archived(files, database));
  CAPF_LET(const auto key, database.audit_key());
  const auto is_good = [&](const AuditSeal& seal) { return !key || ca::is_good(*key, seal); };
  std::int64_t moved = 0;
  while (true) {
    CAPF_LET(const auto batch, database.seals(age, is_good));
    if (batch.empty()) return moved;
    for (const storage::Archive::Sealed& sealed : batch) {
      // Written by an earlier run whose deletion was cut off.
      if (sealed.seal.number <= written) continue;
      CAPF_LET(const std::string line, rpc::archive_line({sealed.seal, sealed.events, sealed.remarks}));
      CAPF_TRY(files.append("audit", sealed.month, line));
      written = sealed.seal.number;
      moved += static_cast<std::int64_t>(sealed.events.size());
    }
    CAPF_TRY(files.sync());
    CAPF_TRY(database.remove_seals(batch.back()));
  }
}

}  // namespace

MonthFiles::~MonthFiles() {
  for (const auto& [name, fd] : open_) ::close(fd);
}

Status MonthFiles::open() {
  std::error_code error;
  if (!std::filesystem::exists(folder_, error) && ::mkdir(folder_.c_str(), 0700) != 0) return failed(folder_);
  return check_private(folder_);
}

Result<int> MonthFiles::file(const std::string& name) {
  if (const auto found = open_.find(name); found != open_.end()) return found->second;
  const auto path = folder_ / name;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return failed(path);
  open_[name] = fd;
  struct stat status {};
  if (::fstat(fd, &status) != 0) return failed(path);
  CAPF_LET(const off_t whole, line_start(fd, status.st_size, path));
  if (whole != status.st_size && ::ftruncate(fd, whole) != 0) return failed(path);
  CAPF_TRY(sync_folder(folder_));
  return fd;
}

Status MonthFiles::append(const std::string& kind, const std::string& month, const std::string& line) {
  const std::string name = kind + '-' + month + ".jsonl";
  CAPF_LET(const int fd, file(name));
  const std::string text = line + '\n';
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) return failed(folder_ / name);
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  changed_.insert(fd);
  return {};
}

Status MonthFiles::sync() {
  for (const int fd : changed_) {
    if (::fsync(fd) != 0) return failed(folder_);
  }
  changed_.clear();
  return {};
}

Result<std::string> MonthFiles::last_line(const std::string& kind) {
  const std::regex pattern(kind + "-[0-9]{4}-[0-9]{2}\\.jsonl");
  std::string latest;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename();
    if (std::regex_match(name, pattern)) latest = std::max(latest, name);
  }
  if (error) return fail(Reason::kInvalidConfiguration, folder_.string() + ": " + error.message());
  if (latest.empty()) return std::string();
  CAPF_LET(const int fd, file(latest));
  struct stat status {};
  if (::fstat(fd, &status) != 0) return failed(folder_ / latest);
  if (status.st_size == 0) return std::string();
  CAPF_LET(const off_t start, line_start(fd, status.st_size - 1, folder_ / latest));
  const off_t size = status.st_size - 1 - start;
  if (size > kLongestLine) return fail(Reason::kInvalidConfiguration, (folder_ / latest).string() + " has no lines");
  std::string line(static_cast<std::size_t>(size), '\0');
  if (::pread(fd, line.data(), line.size(), start) != size) return failed(folder_ / latest);
  return line;
}

Status archive(const Configuration& configuration) {
  CAPF_TRY(storage::check_schema(configuration.database.owner));
  const auto folder = (configuration.state_directory / configuration.archive.directory).lexically_normal();
  MonthFiles files(folder);
  CAPF_TRY(files.open());
  CAPF_LET(const auto database, storage::Archive::open(configuration.database.owner));
  CAPF_LET(const std::int64_t events, move_events(files, *database, configuration.archive.audit));
  CAPF_LET(const std::int64_t certificates,
           move_rows(
               files, "certificates",
               [&](const auto& after) { return database->certificates(after, configuration.archive.certificates); },
               [&](const auto& rows) { return database->remove_certificates(rows); }));
  CAPF_LET(const std::int64_t operations,
           move_rows(
               files, "operations",
               [&](const auto& after) { return database->operations(after, configuration.archive.operations); },
               [&](const auto& rows) { return database->remove_operations(rows); }));
  if (events + certificates + operations > 0) {
    AuditEvent event;
    event.actor = {ActorKind::kSystem, "capfd archive", ""};
    event.action = "site.archive";
    event.subject = folder.string();
    event.detail = std::to_string(events) + " events, " + std::to_string(certificates) + " certificates, " +
                   std::to_string(operations) + " operations";
    CAPF_TRY(database->record(event));
  }
  log_info("archive.done", {{"events", events}, {"certificates", certificates}, {"operations", operations}});
  return {};
}

}  // namespace capf::daemon
