#pragma once

#include <optional>

#include "capf/base/error.h"
#include "capf/domain/change.h"

namespace capf::rules {

/// A rule's answer, and what must be written before it is given. An error after authentication has a change too, where
/// it is to be on record.
template <class Answer>
struct Decision {
  Result<Answer> answer;
  std::optional<Change> change{};  ///< absent: nothing is to be written
};

}  // namespace capf::rules
