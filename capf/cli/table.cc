#include "capf/cli/table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include <csv.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/file.h"
#include "capf/base/utf8.h"

namespace capf::cli {
namespace {

constexpr std::size_t kPiece = 4096;  // how far a cell may outgrow its limit before that is seen
constexpr std::size_t kRead = 65536;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr const char* kSaveAs = "save it as UTF-8, which spreadsheets call \"CSV UTF-8\"";

// '=', '+', '-' and '@' of full width are taken for the others where Japanese is written.
constexpr std::array<std::string_view, 11> kFormulas{
    "=", "+", "-", "@", "\t", "\r", "\n", "\xEF\xBC\x9D", "\xEF\xBC\x8B", "\xEF\xBC\x8D", "\xEF\xBC\xA0"};

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

/// Of four octets or the whole file: ASCII in UTF-16 has a NUL beside each letter.
bool is_utf16(std::string_view head) {
  if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF")) return true;
  return head.size() >= 2 && (head[0] == '\0') != (head[1] == '\0');
}

/// CR LF is one.
std::size_t line_breaks(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' || (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))) ++count;
  }
  return count;
}

/// Whether it may be run as a formula once its leading apostrophes are gone.
bool is_guarded(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('\''), text.size()));
  return std::any_of(kFormulas.begin(), kFormulas.end(), [&](std::string_view sign) { return text.starts_with(sign); });
}

tl::unexpected<Error> fault_at(std::size_t line, const std::string& words) {
  return fail(Reason::kInvalidRequest, "line " + std::to_string(line) + words);
}

}  // namespace

TableParser::TableParser(TableUser& user) : user_(user), parser_(std::make_unique<csv_parser>()) {
  if (csv_init(parser_.get(), CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  csv_set_blk_size(parser_.get(), kPiece);
}

TableParser::~TableParser() { csv_free(parser_.get()); }

Status TableParser::take(std::string_view octets) {
  if (begun_) return parse(octets);
  head_ += octets;
  const bool enough = find_separator() || head_.size() > kMostCellOctets;
  return enough && head_.size() >= 4 ? begin() : Status();
}

Status TableParser::finish() {
  if (!begun_) CAPF_TRY(begin());
  const auto on_cell = [](void* cell, std::size_t size, void* self) {
    static_cast<TableParser*>(self)->take_cell({static_cast<const char*>(cell), size});
  };
  const auto on_row = [](int /*end*/, void* self) { static_cast<TableParser*>(self)->end_row(); };
  if (csv_fini(parser_.get(), on_cell, on_row, this) != 0) {
    return fault_at(row_.line, ": a quote is opened here that nothing closes before the end of the file");
  }
  CAPF_TRY(outcome());
  if (titled_) return {};
  return fail(Reason::kInvalidRequest, "it has no line with text: the first one must name the columns");
}

/// Looks on from where it stopped. @return whether the separator is known.
bool TableParser::find_separator() {
  for (; !separator_ && scanned_ < head_.size(); ++scanned_) {
    const char c = head_[scanned_];
    if (c == '"') quoted_ = !quoted_;
    if (quoted_) continue;
    if (c == ',' || c == ';' || c == '\t') separator_ = c;
    if (is_line_end(c) && in_text_) separator_ = ',';  // a title alone
    if (!is_line_end(c) && c != ' ') in_text_ = true;
  }
  return separator_.has_value();
}

Status TableParser::begin() {
  begun_ = true;
  if (is_utf16(head_)) return fail(Reason::kInvalidRequest, std::string("it is in UTF-16: ") + kSaveAs);
  csv_set_delim(parser_.get(), static_cast<unsigned char>(separator_.value_or(',')));
  const std::string head = std::exchange(head_, {});
  return parse(std::string_view(head).substr(head.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0));
}

/// Gives libcsv up to one line at once, so that the line of each row is known.
Status TableParser::parse(std::string_view octets) {
  while (!octets.empty()) {
    if (after_cr_ && octets.front() == '\n') {  // the rest of CR LF
      after_cr_ = false;
      --line_;
    }
    const std::string_view part = octets.substr(0, kPiece);
    const auto end = part.find_first_of("\r\n");
    const std::string_view piece = part.substr(0, end == std::string_view::npos ? end : end + 1);
    CAPF_TRY(parse_piece(piece));
    octets.remove_prefix(piece.size());
    after_cr_ = piece.back() == '\r';
    if (is_line_end(piece.back())) ++line_;
  }
  return {};
}

Status TableParser::parse_piece(std::string_view piece) {
  if (line_ > kMostLines) {
    return fault_at(line_, " is one too many: a file has up to " + std::to_string(kMostLines) + " lines; part it");
  }
  if (piece.find('\0') != std::string_view::npos) return fault_at(line_, " has a NUL octet: this is no text");
  if (!in_row_ && piece.find_first_not_of(" \r\n") != std::string_view::npos) {
    row_.line = line_;
    in_row_ = true;
  }
  const auto on_cell = [](void* cell, std::size_t size, void* self) {
    static_cast<TableParser*>(self)->take_cell({static_cast<const char*>(cell), size});
  };
  const auto on_row = [](int /*end*/, void* self) { static_cast<TableParser*>(self)->end_row(); };
  const std::size_t taken = csv_parse(parser_.get(), piece.data(), piece.size(), on_cell, on_row, this);
  CAPF_TRY(outcome());
  if (taken != piece.size()) {
    if (csv_error(parser_.get()) == CSV_ENOMEM) throw std::bad_alloc();
    return fault_at(row_.line,
                    ": a quote that opens nothing, or that nothing closes; a cell with a quote in it is written "
                    "\"like \"\"this\"\"\"");
  }
  if (parser_->entry_pos > kMostCellOctets) take_cell({});
  return outcome();
}

void TableParser::take_cell(std::string_view cell) {
  const std::size_t line = row_.line + breaks_;
  if (row_.cells.size() == kMostColumns) {
    fault(row_.line,
          " has more than " + std::to_string(kMostColumns) + " columns: leave out those that are not needed");
  } else if (std::max(cell.size(), parser_->entry_pos) > kMostCellOctets) {
    fault(line, " has a cell of more than 64 KiB: perhaps a quote that nothing closes");
  } else if (const auto at = find_not_utf8(cell)) {
    fault(line + line_breaks(cell.substr(0, *at)), std::string(" is not UTF-8, but perhaps Latin-1: ") + kSaveAs);
  } else {
    breaks_ += line_breaks(cell);
    row_.cells.emplace_back(cell);
  }
}

void TableParser::end_row() {
  TableRow row = std::exchange(row_, {});
  in_row_ = false;
  breaks_ = 0;
  while (!row.cells.empty() && row.cells.back().empty()) row.cells.pop_back();  // as spreadsheets append them
  if (fault_ || row.cells.empty()) return;
  if (titled_) return user_.take_row(std::move(row));
  titled_ = true;
  if (const Status known = user_.take_titles(row); !known) fault_ = known.error().message;
}

/// Notes the first one.
void TableParser::fault(std::size_t line, const std::string& words) {
  if (!fault_) fault_ = "line " + std::to_string(line) + words;
}

Status TableParser::outcome() const {
  if (fault_) return fail(Reason::kInvalidRequest, *fault_);
  return {};
}

Result<TableFile> TableFile::open(const std::string& path) {
  const bool input = path == "-";
  const std::string name = input ? "standard input" : path;
  TableFile file(name, Descriptor(input ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
  if (file.file_.get() < 0) return fail_errno(Reason::kInvalidRequest, name);
  struct stat status {};
  if (::fstat(file.file_.get(), &status) != 0) return fail_errno(Reason::kInvalidRequest, name);
  if (S_ISDIR(status.st_mode)) return fail(Reason::kInvalidRequest, name + " is a folder: name the file in it");
  CAPF_LET(file.opened_, file.state());
  return file;
}

Result<TableFile::State> TableFile::state() const {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return fail_errno(Reason::kInvalidRequest, name_);
  if (!S_ISREG(status.st_mode)) return State();
  return State{true, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

Status TableFile::check_unchanged() const {
  CAPF_LET(const State now, state());
  if (now == opened_) return {};
  return fail(Reason::kInvalidRequest,
              name_ + " was changed while it was read: give the command a copy that nobody writes to");
}

Status TableFile::read(TableUser& user) {
  if (read_ && !opened_.regular) return fail(Reason::kInvalidRequest, name_ + " can be read once: name a file on disk");
  if (read_ && ::lseek(file_.get(), 0, SEEK_SET) != 0) return fail_errno(Reason::kInvalidRequest, name_);
  read_ = true;
  TableParser parser(user);
  std::vector<char> octets(kRead);
  for (;;) {
    const ssize_t count = ::read(file_.get(), octets.data(), octets.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(Reason::kInvalidRequest, name_);
    CAPF_TRY(check_unchanged());
    if (count == 0) break;
    const Status taken = parser.take({octets.data(), static_cast<std::size_t>(count)});
    if (!taken) return fail(Reason::kInvalidRequest, name_ + ": " + taken.error().message);
  }
  const Status finished = parser.finish();
  if (!finished) return fail(Reason::kInvalidRequest, name_ + ": " + finished.error().message);
  return {};
}

std::string folded_title(std::string_view title) {
  std::string folded;
  for (const char c : title) {
    if (c == ' ' || c == '_' || c == '-') continue;
    folded += lower_case(c);
  }
  return folded;
}

std::string to_cell(std::string_view text) {
  const std::string guarded = (is_guarded(text) ? "'" : "") + std::string(text);
  const bool blank = text.starts_with(' ') || text.ends_with(' ');
  if (!blank && guarded.find_first_of(",;\t\"\r\n") == std::string::npos) return guarded;
  std::string quoted = "\"";
  for (const char c : guarded) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string_view from_spreadsheet(std::string_view cell) {
  if (cell.starts_with('\'') && is_guarded(cell)) cell.remove_prefix(1);
  return cell;
}

}  // namespace capf::cli
