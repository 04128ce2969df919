#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "capf/domain/audit.h"
#include "capf/domain/database.h"
#include "capf/domain/line_store.h"
#include "capf/rules/lines.h"

namespace capf::service {

/// The phones that --lines changes in one transaction.
inline constexpr std::size_t kPhonesOfLines = 1000;
inline constexpr std::size_t kMixedLinesTold = 20;

/// The lines that a change would leave mixed, and that may not be.
struct LineVerdict {
  std::vector<rules::MixedLine> lines;  ///< the first kMixedLinesTold
  bool more = false;                    ///< perhaps there are more

  /// For each of them: "line 2001 would have encrypted SEP1, others SEP2".
  std::vector<std::string> words() const;

  /// Errors: SHARED_LINE_MIXED, with lines and devices.
  Status check() const;
};

struct LineView {
  Line line;
  std::vector<LineMember> members;
  bool mixed = false;            ///< by the modes of the profiles
  bool mixed_in_effect = false;  ///< by the modes in effect
};

/// A page of lines, which may be short.
struct LinesPage {
  std::vector<LineView> lines;
  std::optional<std::int64_t> next;  ///< the id that the next page is behind; nothing at the end
};

/// Lines that have one of the mixtures asked for; every line where none is.
struct LineFilter {
  bool mixed = false;
  bool mixed_in_effect = false;
};

struct NewMembers {
  std::string line;
  std::vector<DeviceName> devices;
  bool allow_mixed = false;  ///< on record from then on, until the line is removed
};
/// The lines that a phone's configuration file names, and those that its file before named.
struct LinesOfFile {
  std::int64_t phone_id = 0;  ///< locked
  DeviceName device;
  std::set<std::string> names{};   ///< by check_line_name()
  std::set<std::string> former{};  ///< the same
};
/// A reason for which a phone cannot be on the lines that its file names.
struct LineObstacle {
  DeviceName device;
  Error error;
};

struct JoinedLine {
  LineView view;
  int added = 0;  ///< devices that were not on it
};

/// Lines that phones share: what is on them, and whether a change leaves an encrypted device beside one that is not.
///
/// A change of modes asks in its own transaction, before it writes, having locked in this order: the row of the profile
/// (for no key update where its mode changes), phones by id. judge() then locks their lines by id and holds the modes
/// of all profiles until the end; judge_profile() waits for all who hold them. So of two changes that together mix a
/// line the second one sees the first. Removing or blocking a phone asks nothing. Threads: any.
class SharedLines {
 public:
  explicit SharedLines(Database& database) : database_(database) {}

  // For use cases that change modes.

  /// @param phones locked; they will have the mode `next`
  static Result<LineVerdict> judge(Transaction& tx, std::span<const std::int64_t> phones, DeviceMode next);
  /// The same for all phones of a profile, which is not the first one. Looks at lines that have such a phone alone.
  static Result<LineVerdict> judge_profile(Transaction& tx, std::int64_t profile_id, DeviceMode next);
  /// The same without locks, for a dry run.
  static Result<LineVerdict> preview(Transaction& tx, std::span<const std::int64_t> phones, DeviceMode next);
  static Result<LineVerdict> preview_profile(Transaction& tx, std::int64_t profile_id, DeviceMode next);
  /// Judges, and refuses a mixture or, where an administrator allows it, puts that on record.
  /// Errors: SHARED_LINE_MIXED.
  static Status settle(Transaction& tx, const Actor& actor, std::span<const std::int64_t> phones, DeviceMode next,
                       bool allow_mixed);
  static Status settle_profile(Transaction& tx, const Actor& actor, std::int64_t profile_id, DeviceMode next,
                               bool allow_mixed);
  /// These phones with those that share a line with them, and those that share one with these, and so on, but for lines
  /// where a mixture is allowed. The caller locks them. @return in order. Errors: INVALID_REQUEST for more than
  /// kPhonesOfLines.
  static Result<std::vector<std::int64_t>> with_lines(Transaction& tx, std::span<const std::int64_t> phones);

  /// Puts phones on the lines that their files name, which are added where there are none, and takes them off those
  /// that their files named before. @return what is in the way, and the caller must then roll back: SHARED_LINE_MIXED,
  /// INVALID_REQUEST
  static Result<std::vector<LineObstacle>> follow_files(Transaction& tx, const Actor& actor,
                                                        std::span<const LinesOfFile> phones);

  // For administrators.

  /// Adds devices to a line, which is added where there is none. All or nothing; a device that is on it stays.
  /// Errors: INVALID_NAME, UNKNOWN_DEVICE, SHARED_LINE_MIXED; INVALID_REQUEST for a device that is named twice, too
  /// many devices, and a device on too many lines.
  Result<JoinedLine> add(const Actor& actor, const NewMembers& wanted);
  /// Looks at some lines behind a page's begin, so that its work is bounded.
  Result<LinesPage> list(const LineFilter& filter, const Page& page);
  /// Errors: UNKNOWN_LINE.
  Result<LineView> show(const std::string& name);
  /// Takes devices off a line, or removes it where none is named. @return how many devices left it.
  /// Errors: UNKNOWN_LINE; UNKNOWN_DEVICE for one that is not on it: then nothing is done.
  Result<int> remove(const Actor& actor, const std::string& name, const std::vector<DeviceName>& devices);

 private:
  Database& database_;
};

struct MixedCount {
  std::int64_t mixed = 0;
  std::int64_t in_effect = 0;  ///< by the modes in effect
};

/// Counts the mixed lines of a site, of which it looks at a part each time. Threads: one that looks, any that read.
class LineSurvey {
 public:
  explicit LineSurvey(SharedLines& lines) : lines_(lines) {}

  /// Looks at the next lines.
  Status look();
  /// As of the last time that it had looked at all of them.
  MixedCount last() const;
  /// The same in sentences; none where no line is mixed.
  std::vector<std::string> warnings() const;

 private:
  SharedLines& lines_;
  std::int64_t after_ = 0;
  MixedCount running_;
  mutable std::mutex mutex_;
  MixedCount last_;
};

}  // namespace capf::service
