#pragma once

#include <cstdint>
#include <exception>

#include "capf/base/error.h"

namespace capf::storage {

/// The remedy for a transaction in which a fault happened.
enum class Remedy : std::uint8_t {
  kGiveUp,     ///< the error is the answer
  kRepeat,     ///< run it again from its start
  kReconnect,  ///< the same, over another connection
  kRenew,      ///< the error may be due to the session: once more, over a new one
  kPrimary,    ///< the same, over a connection to the primary; the error where only a standby is to be had
  kAsk,        ///< the commit was sent and not answered: it is in doubt
};

/// The phase of a transaction in which a fault happened.
enum class Phase : std::uint8_t { kBegin, kWork, kCommit };

struct Fault {
  Remedy remedy = Remedy::kGiveUp;
  Error error;
};

/// The fault for an exception of libpqxx, or of reading a row; the only place that knows these exceptions.
/// @param connected whether the connection is still open.
Fault fault_of(const std::exception_ptr& exception, bool connected, Phase phase);

}  // namespace capf::storage
