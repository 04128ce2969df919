#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capf/net/acceptor.h"
#include "capf/net/places.h"
#include "capf/net/threads.h"

namespace capf::net {

/// One thread and the connections that live on it.
struct Worker {
  Worker(int handshakes, int asking) : places(handshakes), questions(asking), threads(1) {}

  // They outlive the connections, which end with the threads' context at the latest.
  Places places;     ///< for handshakes
  Places questions;  ///< for questions of strangers that are at the service, or wait there for its threads
  IoThreads threads;
};

/// The threads of a listener, and its acceptor, which gives each connection to the next one of them.
class Crew {
 public:
  /// Takes a connection over, on the worker's thread.
  using Take = std::function<void(tcp::socket socket, Connections::Place place, const Address& peer, Worker& worker)>;

  /// @param threads 0: as many as the machine has cores. @param handshakes at once, of all of them. @param questions of
  /// strangers at once, of each thread: as many as the service has threads for them
  Crew(int threads, int handshakes, int questions);

  /// Listens and accepts. @param connections outlive the crew. Errors: INVALID_CONFIGURATION.
  Status listen(const Acceptor::Settings& settings, Connections& connections, Take take);
  int port() const { return acceptor_->port(); }
  const std::vector<std::string>& addresses() const { return acceptor_->addresses(); }
  /// Accepts no more connections, and gives no more places for handshakes and questions.
  void close();
  /// Ends the threads.
  void stop();

 private:
  Worker& worker_of(tcp::socket& socket) const;

  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Acceptor> acceptor_;  ///< on the first worker
  std::size_t next_ = 0;
};

}  // namespace capf::net
