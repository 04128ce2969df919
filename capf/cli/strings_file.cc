#include "capf/cli/strings_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/file.h"
#include "capf/cli/secret_file.h"
#include "capf/cli/table.h"
#include "capf/client/text.h"
#include "capf/domain/authstring.h"
#include "capf/domain/device.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

constexpr std::string_view kBegin = "# capfctl run=";
constexpr std::string_view kCommand = " command=";
constexpr std::string_view kTitles = "device,string,completes_by,description";
constexpr std::string_view kFinished = "# finished";
constexpr const char* kNotSent = "the strings are not on disk, so they are not sent";
constexpr std::uint64_t kLargest = std::uint64_t{2} << 30U;

using Octets = Botan::secure_vector<std::uint8_t>;

void append_text(Octets& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

std::string first_lines(const StringsRun& run) {
  return std::string(kBegin) + run.id + std::string(kCommand) + run.command + '\n' + std::string(kTitles) + '\n';
}

/// Terminals and spreadsheets show the description: neither finds a control character or a formula in it.
void append_line(Octets& out, const DeviceString& each) {
  append_text(out, each.device + ',');
  append_text(out, each.digits.text());
  append_text(out, ',' + to_rfc3339(each.completes_by) + ',' +
                       to_cell(client::printable(each.description, client::Backslash::kKept)) + '\n');
}

/// The line without its end, which has been found to be there.
std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

Result<StringsRun> parse_run(std::string_view line) {
  const auto at = line.find(kCommand);
  if (line.starts_with(kBegin) && at != std::string_view::npos) {
    const std::string_view id = line.substr(kBegin.size(), at - kBegin.size());
    if (id.size() == 2 * kRunOctets && parse_hex(id)) {
      return StringsRun{std::string(id), std::string(line.substr(at + kCommand.size()))};
    }
  }
  return fail(Reason::kInvalidRequest, "its first line names no run of capfctl");
}

/// The text of a cell as append_line() writes it, which has no line end.
std::string text_of_cell(std::string_view cell) {
  if (!cell.starts_with('"')) return std::string(from_spreadsheet(cell));
  std::string text;
  for (std::size_t i = 1; i + 1 < cell.size(); ++i) {
    text += cell[i];
    if (cell[i] == '"') ++i;  // the second of two
  }
  return std::string(from_spreadsheet(text));
}

Result<DeviceString> parse_line(std::string_view line) {
  std::array<std::string_view, 3> cells;
  for (std::string_view& cell : cells) {
    const auto comma = line.find(',');
    if (comma == std::string_view::npos) return fail(Reason::kInvalidRequest);
    cell = line.substr(0, comma);
    line.remove_prefix(comma + 1);
  }
  CAPF_LET(const DeviceName device, DeviceName::parse(cells[0]));
  CAPF_TRY(check_auth_string(cells[1]));
  CAPF_LET(const TimePoint completes_by, parse_rfc3339(cells[2]));
  return DeviceString{device.text(), Secret(cells[1]), completes_by, text_of_cell(line)};
}

/// The first line holds one line of text, and no other program's controls.
std::string one_line(const std::string& command) { return client::printable(command, client::Backslash::kKept); }

}  // namespace

Result<StringsText> parse_strings(std::string_view text) {
  StringsText parsed;
  parsed.whole = text.rfind('\n') + 1;  // npos + 1 is 0
  text = text.substr(0, parsed.whole);
  if (text.empty()) return fail(Reason::kInvalidRequest, "its first line names no run of capfctl");
  CAPF_LET(parsed.run, parse_run(take_line(text)));
  if (text.empty() || take_line(text) != kTitles) {
    return fail(Reason::kInvalidRequest, "its second line does not name the columns");
  }
  for (std::size_t number = 3; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (line == kFinished && text.empty()) {
      parsed.finished = true;
      continue;
    }
    auto each = parse_line(line);
    if (!each) {
      return fail(Reason::kInvalidRequest, "line " + std::to_string(number) + " is not as capfctl has written it");
    }
    parsed.strings.push_back(*std::move(each));
  }
  return parsed;
}

Result<StringsFile> StringsFile::open(const std::string& path, const std::string& command,
                                      Botan::RandomNumberGenerator& random) {
  const int fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return begin(path, command, random);
  if (fd < 0) return fail_errno(Reason::kInvalidRequest, path);
  StringsFile file(path, Descriptor(fd));
  CAPF_TRY(file.lock());
  CAPF_TRY(file.resume(command));
  return file;
}

/// The file gets its name when its first lines are on disk: one that is there can be continued, whenever capfctl ends.
Result<StringsFile> StringsFile::begin(const std::string& path, const std::string& command,
                                       Botan::RandomNumberGenerator& random) {
  std::string nameless = path + ".XXXXXX";
  const int fd = ::mkostemp(nameless.data(), O_APPEND | O_CLOEXEC);  // for its owner alone
  if (fd < 0) return fail_errno(Reason::kInvalidRequest, path);
  StringsFile file(path, Descriptor(fd));
  Status begun = file.write_first_lines(command, random);
  if (begun && ::link(nameless.c_str(), path.c_str()) != 0) begun = fail_errno(Reason::kInvalidRequest, path);
  ::unlink(nameless.c_str());
  CAPF_TRY(begun);
  CAPF_TRY(sync_folder(path));
  return file;
}

Status StringsFile::write_first_lines(const std::string& command, Botan::RandomNumberGenerator& random) {
  CAPF_TRY(lock());
  std::array<std::uint8_t, kRunOctets> id;
  random.randomize(id.data(), id.size());
  run_ = {to_hex(id), one_line(command)};
  return append(as_bytes(first_lines(run_)), kNotSent);
}

Status StringsFile::lock() const {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  return refuse("another capfctl is writing it");
}

Status StringsFile::resume(const std::string& command) {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return fail_errno(Reason::kInvalidRequest, path_);
  if (!S_ISREG(status.st_mode)) return refuse("it is no file");
  if ((status.st_mode & 077U) != 0) {
    return fail(Reason::kSecretExposed, path_ + " is open to its group or to everybody");
  }
  CAPF_LET(const Secret text, read());
  auto parsed = parse_strings(text.text());
  if (!parsed) return refuse(parsed.error().message);
  if (parsed->finished) return refuse("its run is finished");
  if (parsed->run.command != one_line(command)) {
    return refuse("it is of another command, \"" + parsed->run.command + '"');
  }
  for (DeviceString& each : parsed->strings) {
    const std::string device = each.device;
    if (!strings_.emplace(device, std::move(each)).second) return refuse("it has two strings for " + device);
  }
  run_ = std::move(parsed->run);
  continued_ = true;
  size_ = parsed->whole;
  // The capfctl that wrote these strings may have been killed before they were on disk.
  if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0 || ::fsync(file_.get()) != 0) {
    return fail_errno(Reason::kInvalidRequest, path_);
  }
  return sync_folder(path_);
}

Result<Secret> StringsFile::read() const {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return fail_errno(Reason::kInvalidRequest, path_);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > kLargest) return refuse("it has more than 2 GiB");
  Octets octets(size);
  for (std::size_t filled = 0; filled < size;) {
    const ssize_t count =
        ::pread(file_.get(), octets.data() + filled, octets.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(Reason::kInvalidRequest, path_);
    if (count == 0) return refuse("it became shorter while it was read");
    filled += static_cast<std::size_t>(count);
  }
  return Secret(std::move(octets));
}

const DeviceString* StringsFile::find(std::string_view device) const {
  const auto found = strings_.find(device);
  return found == strings_.end() ? nullptr : &found->second;
}

Status StringsFile::add(std::vector<DeviceString> batch) {
  Octets lines;
  for (const DeviceString& each : batch) {
    CAPF_INVARIANT(find(each.device) == nullptr);
    append_line(lines, each);
  }
  CAPF_TRY(append(lines, kNotSent));
  for (DeviceString& each : batch) {
    const std::string device = each.device;
    strings_.emplace(device, std::move(each));
  }
  return {};
}

Status StringsFile::finish() {
  return append(as_bytes(std::string(kFinished) + '\n'), "every phone is done, but the file does not say so");
}

/// All of it and on disk, or nothing. @param otherwise what that means, in words
Status StringsFile::append(std::span<const std::uint8_t> data, const char* otherwise) {
  const std::uint64_t size = size_ + data.size();
  int error = 0;
  while (!data.empty() && error == 0) {
    const ssize_t count = ::write(file_.get(), data.data(), data.size());
    if (count < 0 && errno != EINTR) error = errno;
    if (count > 0) data = data.subspan(static_cast<std::size_t>(count));
  }
  if (error == 0 && ::fsync(file_.get()) != 0) error = errno;
  if (error == 0) {
    size_ = size;
    return {};
  }
  std::string words = path_ + ": " + errno_words(error) + ": " + otherwise;
  if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) words += "; the file has lines that nobody was sent";
  return fail(Reason::kInvalidRequest, std::move(words));
}

tl::unexpected<Error> StringsFile::refuse(const std::string& words) const {
  return fail(Reason::kInvalidRequest,
              path_ + " is there and is not continued: " + words + "; name a file that does not exist");
}

}  // namespace capf::cli
