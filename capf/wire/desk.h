#pragma once

#include <functional>
#include <memory>

#include "capf/base/address.h"
#include "capf/wire/session.h"

namespace capf::wire {

/// The service behind one session: it remembers the phone and its proofs. answer() and refused() may block; all are
/// called one at a time, each from any thread, and do not throw.
class Desk {
 public:
  virtual ~Desk() = default;
  virtual Answer answer(const Question& question) = 0;
  /// Whether an administrator wants this device's dialogue in the log; known once Begin has been answered, also with a
  /// refusal.
  virtual bool traced() const { return false; }
  /// Records that the dialogue broke off, and why.
  virtual void refused(const Error& why) = 0;
};

/// Makes the desk of a session that begins. Must not block.
using OpenDesk = std::function<std::unique_ptr<Desk>(const Address& peer, std::uint32_t session_id)>;

}  // namespace capf::wire
