#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/line.h"
#include "capf/domain/page.h"

namespace capf {

class LineStore {
 public:
  virtual ~LineStore() = default;
  /// @return false where there is a line of that name.
  virtual Result<bool> add(const std::string& name, const std::string& added_by) = 0;
  /// Adds those of these lines that there are not. @return their names
  virtual Result<std::vector<std::string>> add_all(std::span<const std::string> names, const std::string& added_by) = 0;
  virtual Result<std::optional<Line>> find(const std::string& name) = 0;
  /// The same, and until this transaction ends no other one changes the line or judges a change of its phones.
  virtual Result<std::optional<Line>> lock(const std::string& name) = 0;
  /// The lines of these names, in ascending order of id, each locked as by lock().
  virtual Result<std::vector<Line>> lock_all(std::span<const std::string> names) = 0;
  virtual Result<std::vector<Line>> list(const Page& page) = 0;
  /// The lines of these phones, in ascending order of id.
  virtual Result<std::vector<Line>> of_phones(std::span<const std::int64_t> phone_ids) = 0;
  /// The same, locked as by lock().
  virtual Result<std::vector<Line>> lock_of_phones(std::span<const std::int64_t> phone_ids) = 0;
  /// The names of a phone's lines, in order.
  virtual Result<std::vector<std::string>> names_of_phone(std::int64_t phone_id) = 0;
  /// The lines where phones of this profile, which is not the first one, are beside phones of others, and where no
  /// mixture is allowed.
  virtual Result<std::vector<Line>> of_profile(std::int64_t profile_id, const Page& page) = 0;
  /// Until this transaction ends no profile changes its mode.
  virtual Status hold_modes() = 0;
  /// Waits for everybody who holds the modes; this transaction changes one.
  virtual Status lock_modes() = 0;
  /// The phones of these lines, in the order of lines and then of names.
  virtual Result<std::vector<LineMember>> members(std::span<const std::int64_t> line_ids) = 0;
  /// The phones that share a line with these, where no mixture is allowed, and these. At most `limit`, in no order.
  virtual Result<std::vector<std::int64_t>> neighbours(std::span<const std::int64_t> phone_ids, std::size_t limit) = 0;
  /// Adds phones to a line, both locked. @return the names of those that were not on it.
  virtual Result<std::vector<std::string>> join(std::int64_t line_id, std::span<const std::int64_t> phone_ids) = 0;
  /// Adds the phone at each place to the line at that place, all locked. @return those that were not on it
  virtual Result<std::vector<LineMembership>> join_all(std::span<const std::int64_t> line_ids,
                                                       std::span<const std::int64_t> phone_ids) = 0;
  /// Takes the phone at each place off the line at that place, all locked. @return those that were on it
  virtual Result<std::vector<LineMembership>> leave_all(std::span<const std::int64_t> line_ids,
                                                        std::span<const std::int64_t> phone_ids) = 0;
  /// The names of those of these phones that are on more than kLinesOfPhone lines.
  virtual Result<std::vector<std::string>> with_too_many(std::span<const std::int64_t> phone_ids) = 0;
  virtual Status leave(std::int64_t line_id, std::span<const std::int64_t> phone_ids) = 0;
  virtual Status allow_mixed(std::span<const std::int64_t> line_ids) = 0;
  /// Removes a line, which is locked and has no phones.
  virtual Status remove(std::int64_t line_id) = 0;
};

}  // namespace capf
