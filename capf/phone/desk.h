#pragma once

#include <cstdint>
#include <optional>

#include "capf/phone/folder.h"
#include "capf/phone/keys.h"
#include "capf/phone/visit.h"
#include "capf/wire/message.h"

namespace capf::phone {

/// A desk phone's side of the CAPF protocol: its answer to each message of the server. Its only I/O is its folder,
/// which outlives a session that breaks.
class DeskPhone {
 public:
  /// @param version wire::kVersion2 or wire::kVersion3. @param sudi proofs sign the session's id
  DeskPhone(const Phone& phone, std::uint8_t version, bool sudi, const Folder& folder, KeySource& keys)
      : phone_(phone), version_(version), sudi_(sudi), folder_(folder), keys_(keys) {}

  const std::string& device() const { return phone_.device; }
  /// Starts a session from the top, as after a power cut.
  void restart();
  /// The answer to any message but *end session*. Errors: MESSAGE_UNEXPECTED for a message out of turn, and those of
  /// the proof and the folder.
  Result<Bytes> answer(const wire::Message& message);
  /// "The request is in progress", which may be sent any number of times before a key.
  Result<Bytes> in_progress() const;
  /// The result, once the server ends the session. Errors: the server's reasons in words.
  Result<Done> end(const wire::Message& message);

 private:
  Result<Bytes> authenticate();
  Result<Bytes> generate(const wire::Message& message);
  Result<Bytes> store(const wire::Message& message);
  Result<Done> install(const wire::Message& message);
  Result<Bytes> hand_over();
  Result<Bytes> remove();
  wire::Message reply(wire::Command command) const;
  /// An answer with the reason alone: done, or not because of failure_.
  Result<Bytes> say(wire::Command command) const;

  const Phone& phone_;
  std::uint8_t version_;
  bool sudi_;
  const Folder& folder_;
  KeySource& keys_;

  std::optional<std::uint32_t> session_id_;
  bool asked_ = false;  ///< the server wanted something beyond authentication
  std::optional<client::PrivateKey> key_;
  std::optional<Error> failure_;  ///< the failure that was reported to the server
  std::optional<Done> done_;
};

}  // namespace capf::phone
