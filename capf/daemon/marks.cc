#include "capf/daemon/marks.h"

#include <sstream>

#include "capf/base/file.h"
#include "capf/base/secret.h"
#include "capf/daemon/site.h"

namespace capf::daemon {
namespace {

constexpr std::uint64_t kLargestJournal = std::uint64_t{1} << 30;  ///< far more than withdrawals of a million phones

std::string joined(std::span<const std::string> lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

}  // namespace

Result<std::map<std::string, std::string>> MarksFile::read() const {
  std::map<std::string, std::string> marks;
  std::error_code error;
  if (!std::filesystem::exists(path_, error)) return marks;
  CAPF_LET(const Bytes data, read_file(path_));
  std::istringstream lines{std::string(as_text(data))};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) {
      return fail(Reason::kInvalidConfiguration, path_.string() + " is not a file of high-water marks");
    }
    marks[line.substr(0, space)] = line.substr(space + 1);
  }
  return marks;
}

Result<std::optional<std::string>> MarksFile::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  CAPF_LET(const auto marks, read());
  const auto found = marks.find(name);
  if (found == marks.end()) return std::nullopt;
  return found->second;
}

Status MarksFile::set(const std::string& name, const std::string& value) {
  const std::lock_guard lock(mutex_);
  CAPF_LET(auto marks, read());
  marks[name] = value;
  std::string text;
  for (const auto& [mark, its_value] : marks) text.append(mark).append(" ").append(its_value).append("\n");
  return rewrite_secret_file(path_, as_bytes(text));
}

Result<std::vector<std::string>> JournalFile::read() {
  std::vector<std::string> lines;
  std::error_code error;
  if (!std::filesystem::exists(path_, error)) return lines;
  CAPF_TRY(check_private(path_));
  CAPF_LET(const File file, File::open(path_));
  CAPF_LET(const std::uint64_t size, file.size());
  if (size > kLargestJournal) {
    return fail(Reason::kInvalidConfiguration, path_.string() + " is larger than 1 GiB");
  }
  Bytes data(static_cast<std::size_t>(size));
  CAPF_LET(const std::size_t count, file.read(0, data));
  data.resize(count);
  const std::string_view text = as_text(data);
  std::size_t start = 0;
  for (std::size_t end; (end = text.find('\n', start)) != std::string_view::npos; start = end + 1) {
    lines.emplace_back(text.substr(start, end - start));
  }
  if (start != text.size()) std::filesystem::resize_file(path_, start, error);
  if (error) return fail(Reason::kInvalidConfiguration, path_.string() + ": " + error.message());
  return lines;
}

Status JournalFile::append(std::span<const std::string> lines) {
  const std::string text = joined(lines);
  CAPF_LET(File file, File::open_to_append(path_));
  CAPF_LET(const std::uint64_t before, file.size());
  Status written = file.write(as_bytes(text));
  if (written) written = file.sync();
  if (!written) {
    // Remove a part of a line, which would spoil the next one.
    std::error_code error;
    std::filesystem::resize_file(path_, before, error);
    return written;
  }
  return sync_folder(path_.parent_path());
}

Status JournalFile::replace(std::span<const std::string> lines) {
  return rewrite_secret_file(path_, as_bytes(joined(lines)));
}

Result<Secret> make_recovery_word(const std::filesystem::path& path, Botan::RandomNumberGenerator& random) {
  Bytes octets(16);
  random.randomize(octets.data(), octets.size());
  const Secret word(to_hex(octets));
  std::error_code error;
  std::filesystem::remove(path, error);
  CAPF_TRY(write_new_secret_file(path, word.view()));
  return word;
}

}  // namespace capf::daemon
