#include "capf/service/shared_lines.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "capf/domain/audit_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/policy.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::size_t kLinesAtOnce = 100;  // with up to kDevicesOfLine devices each
constexpr std::size_t kLinesInWords = 3;
constexpr std::size_t kDevicesInWords = 5;
constexpr std::size_t kLooks = 10;  // of a survey at once

std::vector<std::int64_t> ids_of(std::span<const Line> lines) {
  std::vector<std::int64_t> ids;
  for (const Line& line : lines) ids.push_back(line.id);
  return ids;
}

std::string words_of(const std::vector<DeviceName>& devices) {
  std::vector<std::string> names;
  for (const DeviceName& device : devices) names.push_back(device.text());
  return listed(names, kDevicesInWords);
}

std::string words_of(const rules::MixedLine& mixed) {
  return "encrypted " + words_of(mixed.encrypted) + ", others " + words_of(mixed.others);
}

/// Reads the members of some lines. @param use is given each line with its members.
template <class Use>
Status for_each_line(Transaction& tx, std::span<const Line> lines, Use use) {
  CAPF_LET(const std::vector<LineMember> all, tx.lines().members(ids_of(lines)));
  auto begin = all.begin();
  for (const Line& line : lines) {
    const auto end = std::find_if(begin, all.end(), [&](const LineMember& each) { return each.line_id != line.id; });
    use(line, std::span(begin, end));
    begin = end;
  }
  return {};
}

/// Adds the lines that may not be mixed and would be, until there are enough.
Status add_mixed(Transaction& tx, std::span<const Line> lines, const rules::LineChange& change, LineVerdict& verdict) {
  return for_each_line(tx, lines, [&](const Line& line, std::span<const LineMember> members) {
    if (line.allow_mixed || verdict.more) return;
    if (auto mixed = rules::mixture(line, members, change)) verdict.lines.push_back(*std::move(mixed));
    verdict.more = verdict.lines.size() == kMixedLinesTold;
  });
}

Result<LineVerdict> judge_lines(Transaction& tx, std::span<const Line> lines, const rules::LineChange& change) {
  LineVerdict verdict;
  while (!lines.empty() && !verdict.more) {
    const auto some = lines.first(std::min(lines.size(), kLinesAtOnce));
    CAPF_TRY(add_mixed(tx, some, change, verdict));
    lines = lines.subspan(some.size());
  }
  return verdict;
}

Status allow(Transaction& tx, const Actor& actor, const LineVerdict& verdict) {
  std::vector<std::int64_t> ids;
  std::vector<AuditEvent> events;
  for (const rules::MixedLine& mixed : verdict.lines) {
    ids.push_back(mixed.line.id);
    events.push_back(done(actor, "line.allow_mixed", mixed.line.name, words_of(mixed)));
  }
  if (ids.empty()) return {};
  CAPF_TRY(tx.lines().allow_mixed(ids));
  return tx.audit().add_all(events);
}

/// @param judge says what would be mixed, without lines where that is allowed by now
template <class Judge>
Status settle_by(Transaction& tx, const Actor& actor, bool allow_mixed, Judge judge) {
  for (bool more = true; more;) {
    CAPF_LET(const LineVerdict verdict, judge());
    if (!allow_mixed) return verdict.check();
    CAPF_TRY(allow(tx, actor, verdict));
    more = verdict.more;
  }
  return {};
}

LineView view_of(const Line& line, std::span<const LineMember> members) {
  return {line,
          {members.begin(), members.end()},
          rules::mixture(line, members).has_value(),
          rules::is_mixed_in_effect(members)};
}

Result<LineView> view_of(Transaction& tx, const Line& line) {
  CAPF_LET(const auto members, tx.lines().members(std::vector{line.id}));
  return view_of(line, members);
}

bool fits(const LineView& view, const LineFilter& filter) {
  if (!filter.mixed && !filter.mixed_in_effect) return true;
  return (filter.mixed && view.mixed) || (filter.mixed_in_effect && view.mixed_in_effect);
}

tl::unexpected<Error> unknown_line(const std::string& name) {
  return fail(Reason::kUnknownLine, "there is no line " + name);
}

Status check_devices(const std::vector<DeviceName>& devices) {
  if (devices.empty() || devices.size() > kDevicesOfLine) {
    return fail(Reason::kInvalidRequest, "1 to " + std::to_string(kDevicesOfLine) + " devices are named at once");
  }
  std::set<DeviceName> seen;
  for (const DeviceName& device : devices) {
    if (!seen.insert(device).second) return fail(Reason::kInvalidRequest, device.text() + " is named twice");
  }
  return {};
}

/// Locks phones of these names. @return their ids. Errors: UNKNOWN_DEVICE.
Result<std::vector<std::int64_t>> lock_devices(Transaction& tx, const std::vector<DeviceName>& devices) {
  CAPF_LET(const std::vector<Phone> phones, tx.phones().lock_all(devices));
  std::vector<std::int64_t> ids;
  std::set<DeviceName> missing(devices.begin(), devices.end());
  for (const Phone& phone : phones) {
    ids.push_back(phone.id);
    missing.erase(phone.device);
  }
  if (missing.size() == 1) return unknown_device(tx, *missing.begin());
  if (missing.empty()) return ids;
  return fail(Reason::kUnknownDevice, "there are no devices " + words_of({missing.begin(), missing.end()}));
}

/// Adds the line where there is none, and locks it.
Result<Line> lock_or_add(Transaction& tx, const std::string& name, const Actor& actor) {
  CAPF_LET(const bool added, tx.lines().add(name, actor.name));
  if (added) CAPF_TRY(tx.audit().add(done(actor, "line.add", name)));
  CAPF_LET(const auto line, tx.lines().lock(name));
  if (!line) return fail(Reason::kChangedMeanwhile, "the line " + name + " was removed meanwhile");
  return *line;
}

Status check_room(Transaction& tx, const LineView& view, std::span<const std::int64_t> phones) {
  if (view.members.size() > kDevicesOfLine) {
    return fail(Reason::kInvalidRequest, "a line has at most " + std::to_string(kDevicesOfLine) + " devices, and " +
                                             view.line.name + " would have " + std::to_string(view.members.size()));
  }
  CAPF_LET(const std::vector<std::string> full, tx.lines().with_too_many(phones));
  if (full.empty()) return {};
  return fail(Reason::kInvalidRequest,
              listed(full) + " would be on more than " + std::to_string(kLinesOfPhone) + " lines");
}

/// The members with these names, or all where none is named. Errors: UNKNOWN_DEVICE.
Result<std::vector<LineMember>> members_named(const LineView& view, const std::vector<DeviceName>& devices) {
  if (devices.empty()) return view.members;
  std::set<DeviceName> missing(devices.begin(), devices.end());
  std::vector<LineMember> named;
  for (const LineMember& member : view.members) {
    if (missing.erase(member.device) > 0) named.push_back(member);
  }
  if (missing.empty()) return named;
  return fail(Reason::kUnknownDevice,
              "nothing was done: the line " + view.line.name + " has no " + words_of({missing.begin(), missing.end()}));
}

Status take_off(Transaction& tx, const Actor& actor, const Line& line, std::span<const LineMember> members) {
  std::vector<std::int64_t> ids;
  std::vector<std::string> names;
  for (const LineMember& member : members) {
    ids.push_back(member.phone_id);
    names.push_back(member.device.text());
  }
  CAPF_TRY(tx.lines().leave(line.id, ids));
  return record(tx, actor, "line.leave", names, "line " + line.name);
}

/// Places of phones and lines, as LineStore takes them.
struct Memberships {
  std::vector<std::int64_t> lines;
  std::vector<std::int64_t> phones;

  void add(std::int64_t line, std::int64_t phone) {
    lines.push_back(line);
    phones.push_back(phone);
  }
};

Status record_moves(Transaction& tx, const Actor& actor, const std::string& action,
                    std::span<const LineMembership> moves) {
  std::vector<AuditEvent> events;
  for (const LineMembership& each : moves) events.push_back(done(actor, action, each.device, "line " + each.line));
  return tx.audit().add_all(events);
}

/// Adds what is in the way of the phones that have joined this line.
void add_obstacles(const Line& line, std::span<const LineMember> members, const std::set<std::string>& joined,
                   std::vector<LineObstacle>& obstacles) {
  LineVerdict verdict;
  if (const auto mixed = rules::mixture(line, members); mixed && !line.allow_mixed) verdict.lines.push_back(*mixed);
  const bool full = members.size() > kDevicesOfLine;
  if (verdict.lines.empty() && !full) return;
  const Error why = full ? Error{Reason::kInvalidRequest, "the line " + line.name + " would have more than " +
                                                              std::to_string(kDevicesOfLine) + " devices"}
                         : Error{Reason::kSharedLineMixed, verdict.words().front()};
  for (const LineMember& member : members) {
    if (joined.contains(member.device.text())) obstacles.push_back({member.device, why});
  }
}

/// Looks at the lines that phones have joined.
Result<std::vector<LineObstacle>> obstacles_of(Transaction& tx, std::span<const Line> lines,
                                               std::span<const LineMembership> joined,
                                               std::span<const LinesOfFile> phones) {
  std::map<std::string, std::set<std::string>> by_line;
  for (const LineMembership& each : joined) by_line[each.line].insert(each.device);
  std::vector<Line> changed;
  std::copy_if(lines.begin(), lines.end(), std::back_inserter(changed),
               [&](const Line& line) { return by_line.contains(line.name); });
  std::vector<LineObstacle> obstacles;
  for (std::span<const Line> rest = changed; !rest.empty();) {
    const auto some = rest.first(std::min(rest.size(), kLinesAtOnce));
    CAPF_TRY(for_each_line(tx, some, [&](const Line& line, std::span<const LineMember> members) {
      add_obstacles(line, members, by_line.at(line.name), obstacles);
    }));
    rest = rest.subspan(some.size());
  }
  std::vector<std::int64_t> ids;
  for (const LinesOfFile& phone : phones) ids.push_back(phone.phone_id);
  CAPF_LET(const std::vector<std::string> full, tx.lines().with_too_many(ids));
  for (const LinesOfFile& phone : phones) {
    if (std::find(full.begin(), full.end(), phone.device.text()) == full.end()) continue;
    obstacles.push_back(
        {phone.device,
         {Reason::kInvalidRequest, "it would be on more than " + std::to_string(kLinesOfPhone) + " lines"}});
  }
  return obstacles;
}

}  // namespace

std::vector<std::string> LineVerdict::words() const {
  std::vector<std::string> each;
  for (const rules::MixedLine& mixed : lines)
    each.push_back("line " + mixed.line.name + " would have " + words_of(mixed));
  return each;
}

Status LineVerdict::check() const {
  if (lines.empty()) return {};
  const std::vector<std::string> each = words();
  std::string told;
  for (std::size_t i = 0; i < std::min(each.size(), kLinesInWords); ++i) told += (i > 0 ? "; " : "") + each[i];
  if (each.size() > kLinesInWords) {
    told += "; and " + std::to_string(each.size() - kLinesInWords) + (more ? " or more" : " more") + " lines";
  }
  return fail(Reason::kSharedLineMixed, "nothing was done: " + told);
}

Result<LineVerdict> SharedLines::judge(Transaction& tx, std::span<const std::int64_t> phones, DeviceMode next) {
  CAPF_LET(std::vector<Line> lines, tx.lines().lock_of_phones(phones));
  CAPF_TRY(tx.lines().hold_modes());
  std::erase_if(lines, [](const Line& line) { return line.allow_mixed; });  // a pass before has settled them
  return judge_lines(tx, lines, {.phones = {phones.begin(), phones.end()}, .next = next});
}

Result<LineVerdict> SharedLines::preview(Transaction& tx, std::span<const std::int64_t> phones, DeviceMode next) {
  CAPF_LET(const std::vector<Line> lines, tx.lines().of_phones(phones));
  return judge_lines(tx, lines, {.phones = {phones.begin(), phones.end()}, .next = next});
}

Result<LineVerdict> SharedLines::judge_profile(Transaction& tx, std::int64_t profile_id, DeviceMode next) {
  CAPF_TRY(tx.lines().lock_modes());
  return preview_profile(tx, profile_id, next);
}

Result<LineVerdict> SharedLines::preview_profile(Transaction& tx, std::int64_t profile_id, DeviceMode next) {
  const rules::LineChange change{.profile_id = profile_id, .next = next};
  LineVerdict verdict;
  Page page{.limit = static_cast<int>(kLinesAtOnce)};
  while (!verdict.more) {
    CAPF_LET(const std::vector<Line> lines, tx.lines().of_profile(profile_id, page));
    CAPF_TRY(add_mixed(tx, lines, change, verdict));
    if (lines.size() < kLinesAtOnce) break;
    page.after = lines.back().id;
  }
  return verdict;
}

Status SharedLines::settle(Transaction& tx, const Actor& actor, std::span<const std::int64_t> phones, DeviceMode next,
                           bool allow_mixed) {
  return settle_by(tx, actor, allow_mixed, [&] { return judge(tx, phones, next); });
}

Status SharedLines::settle_profile(Transaction& tx, const Actor& actor, std::int64_t profile_id, DeviceMode next,
                                   bool allow_mixed) {
  return settle_by(tx, actor, allow_mixed, [&] { return judge_profile(tx, profile_id, next); });
}

Result<std::vector<std::int64_t>> SharedLines::with_lines(Transaction& tx, std::span<const std::int64_t> phones) {
  std::set<std::int64_t> all(phones.begin(), phones.end());
  std::vector<std::int64_t> added(all.begin(), all.end());
  while (!added.empty()) {
    CAPF_LET(const auto neighbours, tx.lines().neighbours(added, kPhonesOfLines + 1));
    added.clear();
    for (const std::int64_t id : neighbours) {
      if (all.insert(id).second) added.push_back(id);
    }
    if (all.size() > kPhonesOfLines) {
      return fail(Reason::kInvalidRequest,
                  "nothing was done: these phones and those that share their lines are more than " +
                      std::to_string(kPhonesOfLines));
    }
  }
  return std::vector<std::int64_t>(all.begin(), all.end());
}

Result<JoinedLine> SharedLines::add(const Actor& actor, const NewMembers& wanted) {
  CAPF_TRY(check_line_name(wanted.line));
  CAPF_TRY(check_devices(wanted.devices));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<JoinedLine> {
    CAPF_LET(const auto phones, lock_devices(tx, wanted.devices));
    CAPF_LET(const Line line, lock_or_add(tx, wanted.line, actor));
    CAPF_TRY(tx.lines().hold_modes());
    CAPF_LET(const std::vector<std::string> joined, tx.lines().join(line.id, phones));
    CAPF_TRY(record(tx, actor, "line.join", joined, "line " + line.name));
    CAPF_LET(LineView view, view_of(tx, line));
    CAPF_TRY(check_room(tx, view, phones));
    if (wanted.allow_mixed && !line.allow_mixed) {
      CAPF_TRY(tx.lines().allow_mixed(std::vector{line.id}));
      CAPF_TRY(tx.audit().add(done(actor, "line.allow_mixed", line.name)));
      view.line.allow_mixed = true;
    }
    LineVerdict verdict;
    const auto mixed = rules::mixture(view.line, view.members);
    if (mixed && !view.line.allow_mixed) verdict.lines.push_back(*mixed);
    CAPF_TRY(verdict.check());
    return JoinedLine{std::move(view), static_cast<int>(joined.size())};
  });
}

Result<std::vector<LineObstacle>> SharedLines::follow_files(Transaction& tx, const Actor& actor,
                                                            std::span<const LinesOfFile> phones) {
  std::set<std::string> named;
  std::set<std::string> all;
  for (const LinesOfFile& phone : phones) {
    named.insert(phone.names.begin(), phone.names.end());
    all.insert(phone.former.begin(), phone.former.end());
  }
  all.insert(named.begin(), named.end());
  if (all.empty()) return std::vector<LineObstacle>();
  CAPF_LET(const auto added, tx.lines().add_all(std::vector(named.begin(), named.end()), actor.name));
  CAPF_TRY(record(tx, actor, "line.add", added));
  CAPF_LET(const std::vector<Line> lines, tx.lines().lock_all(std::vector(all.begin(), all.end())));
  CAPF_TRY(tx.lines().hold_modes());
  Memberships come;
  Memberships go;
  for (const LinesOfFile& phone : phones) {
    for (const Line& line : lines) {
      if (phone.names.contains(line.name)) {
        come.add(line.id, phone.phone_id);
      } else if (phone.former.contains(line.name)) {
        go.add(line.id, phone.phone_id);
      }
    }
  }
  CAPF_LET(const auto left, tx.lines().leave_all(go.lines, go.phones));
  CAPF_TRY(record_moves(tx, actor, "line.leave", left));
  CAPF_LET(const auto joined, tx.lines().join_all(come.lines, come.phones));
  CAPF_TRY(record_moves(tx, actor, "line.join", joined));
  return obstacles_of(tx, lines, joined, phones);
}

Result<LinesPage> SharedLines::list(const LineFilter& filter, const Page& page) {
  return in_read(database_, [&](Transaction& tx) -> Result<LinesPage> {
    const int limit = std::min(page.limit, static_cast<int>(kLinesAtOnce));
    CAPF_LET(const std::vector<Line> lines, tx.lines().list({page.after, limit}));
    LinesPage found;
    CAPF_TRY(for_each_line(tx, lines, [&](const Line& line, std::span<const LineMember> members) {
      LineView view = view_of(line, members);
      if (fits(view, filter)) found.lines.push_back(std::move(view));
    }));
    if (static_cast<int>(lines.size()) == limit) found.next = lines.back().id;
    return found;
  });
}

Result<LineView> SharedLines::show(const std::string& name) {
  return in_read(database_, [&](Transaction& tx) -> Result<LineView> {
    CAPF_LET(const auto line, tx.lines().find(name));
    if (!line) return unknown_line(name);
    return view_of(tx, *line);
  });
}

Result<int> SharedLines::remove(const Actor& actor, const std::string& name, const std::vector<DeviceName>& devices) {
  if (!devices.empty()) CAPF_TRY(check_devices(devices));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<int> {
    CAPF_LET(const auto line, tx.lines().lock(name));
    if (!line) return unknown_line(name);
    CAPF_LET(const LineView view, view_of(tx, *line));
    CAPF_LET(const auto leaving, members_named(view, devices));
    CAPF_TRY(take_off(tx, actor, *line, leaving));
    if (devices.empty()) {
      CAPF_TRY(tx.lines().remove(line->id));
      CAPF_TRY(tx.audit().add(done(actor, "line.remove", name)));
    }
    return static_cast<int>(leaving.size());
  });
}

Status LineSurvey::look() {
  for (std::size_t i = 0; i < kLooks; ++i) {
    CAPF_LET(const LinesPage page, lines_.list({true, true}, {after_, static_cast<int>(kLinesAtOnce)}));
    for (const LineView& view : page.lines) {
      running_.mixed += view.mixed ? 1 : 0;
      running_.in_effect += view.mixed_in_effect ? 1 : 0;
    }
    after_ = page.next.value_or(0);
    if (page.next) continue;
    const std::lock_guard lock(mutex_);
    last_ = running_;
    running_ = {};
    return {};
  }
  return {};
}

MixedCount LineSurvey::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

std::vector<std::string> LineSurvey::warnings() const {
  const MixedCount mixed = last();
  std::vector<std::string> warnings;
  const auto add = [&](std::int64_t count, const char* how) {
    if (count == 0) return;
    warnings.push_back(std::to_string(count) + (count == 1 ? " shared line has" : " shared lines have") +
                       " encrypted devices and others " + how + ", see 'capfctl line list --mixed'");
  };
  add(mixed.mixed, "by their profiles");
  add(mixed.in_effect, "in effect");
  return warnings;
}

}  // namespace capf::service
