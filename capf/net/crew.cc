#include "capf/net/crew.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace capf::net {

Crew::Crew(int threads, int handshakes, int questions) {
  if (threads <= 0) threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  for (int i = 0; i < threads; ++i) {
    workers_.push_back(std::make_unique<Worker>(std::max(1, handshakes / threads), std::max(1, questions)));
  }
}

Status Crew::listen(const Acceptor::Settings& settings, Connections& connections, Take take) {
  CAPF_LET(acceptor_, Acceptor::listen(workers_.front()->threads.context(), settings, connections));
  acceptor_->open([this] { return workers_[next_++ % workers_.size()]->threads.context().get_executor(); },
                  [this, take = std::move(take)](tcp::socket socket, Connections::Place place, const Endpoint& peer) {
                    Worker& worker = worker_of(socket);
                    take(std::move(socket), std::move(place), peer.address, worker);
                  });
  return {};
}

void Crew::close() {
  if (acceptor_) acceptor_->close();
  for (const auto& worker : workers_) {
    asio::post(worker->threads.context(), [&places = worker->places, &questions = worker->questions] {
      places.close();
      questions.close();
    });
  }
}

void Crew::stop() {
  for (const auto& worker : workers_) worker->threads.stop();
}

Worker& Crew::worker_of(tcp::socket& socket) const {
  const auto& context = asio::query(socket.get_executor(), asio::execution::context);
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [&](const auto& worker) { return &worker->threads.context() == &context; });
  CAPF_INVARIANT(found != workers_.end());
  return **found;
}

}  // namespace capf::net
