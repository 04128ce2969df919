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
  explicit Worker(int handshakes) : places(handshakes), threads(1) {}

  Places places;  ///< outlives the connections, which end with the threads' context at the latest
  IoThreads threads;
};

/// The threads of a listener, and its acceptor, which gives each connection to the next one of them.
class Crew {
 public:
  /// Takes a connection over, on the worker's thread.
  using Take = std::function<void(tcp::socket socket, Connections::Place place, const Address& peer, Worker& worker)>;

  /// @param threads 0: as many as the machine has cores. @param handshakes at once, of all of them
  Crew(int threads, int handshakes);

  /// Listens and accepts. @param connections outlive the crew. Errors: INVALID_CONFIGURATION.
  Status listen(const Acceptor::Settings& settings, Connections& connections, Take take);
  int port() const { return acceptor_->port(); }
  const std::vector<std::string>& addresses() const { return acceptor_->addresses(); }
  /// Accepts no more connections, and gives no more places for handshakes.
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
