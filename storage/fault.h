#pragma once

#include <cstdint>
#include <exception>

#include "capf/base/error.h"

namespace capf::storage {

/// What follows from a fault for the transaction in which it happened.
enum class Remedy : std::uint8_t {
  kGiveUp,     ///< the error is the answer
  kRepeat,     ///< run it again from its start
  kReconnect,  ///< the same, over another connection
  kRenew,      ///< the error may be the session's: once more, over a new one
  kPrimary,    ///< the same, over a connection to the primary; where a standby is what there is to be, the error
  kAsk,        ///< the commit was sent and not answered: nobody knows
};

/// Where in its transaction something failed.
enum class Phase : std::uint8_t { kBegin, kWork, kCommit };

struct Fault {
  Remedy remedy = Remedy::kGiveUp;
  Error error;
};

/// What an exception of libpqxx, or of reading a row, means: the only place that knows them.
/// @param connected whether the connection is still open.
Fault fault_of(const std::exception_ptr& exception, bool connected, Phase phase);

}  // namespace capf::storage
