#pragma once

#include <cstdint>
#include <memory>

#include "capf/base/metrics.h"
#include "capf/service/phone_files.h"
#include "capf/web/server.h"

namespace capf::web {

/// Phones' files over HTTP: GET and HEAD of names as files::parse_file_name() takes them, exactly as they are sent,
/// with ETag and If-None-Match. Any other name, a device that is not known and a file that there is not answer the
/// same. Answers are made on threads of its own, because a file may have to be read from the database and signed;
/// static files on another one, because reading and signing a large one takes as long as many lists, and anybody can
/// ask for it. Addresses that wait have the next answer in turn; a thread takes some at a time, so that the database is
/// asked once for all of them.
class FileDesk {
 public:
  struct Limits {
    int threads = 2;       ///< for lists and configurations; static files have one
    int waiting = 20'000;  ///< requests of each sort; further ones are answered with 503
  };
  /// Both outlive this.
  FileDesk(service::PhoneFiles& files, Metrics& metrics, const Limits& limits);
  ~FileDesk();
  FileDesk(const FileDesk&) = delete;
  FileDesk& operator=(const FileDesk&) = delete;

  enum class Channel : std::uint8_t {
    kPlain,
    kTls,  ///< there phones ask for a signed configuration and want the unsigned one: specs/phone-files.md 1
  };
  /// The desk outlives it.
  LaterRoute route(Channel channel);
  /// Finishes the answers that are being made, and tells whoever waits to come again. Call it while the servers are
  /// there.
  void stop();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace capf::web
