#include "capf/net/handshake.h"

#include <utility>

namespace capf::net {
namespace {

/// How long a handshake may hold its place while the server waits for the client: far longer than the server's part of
/// it takes.
constexpr std::chrono::milliseconds kPromptly{100};

Moment after(Duration duration) { return asio::steady_timer::clock_type::now() + duration; }

}  // namespace

asio::awaitable<TlsStream::End> shake_hands(TlsStream& stream, Places& places, std::string block, Duration patience,
                                            std::atomic<std::int64_t>& running) {
  TlsStream::End end = co_await stream.wait_for_hello(after(patience));
  if (end != TlsStream::End::kDone) co_return end;
  if (!co_await places.take(stream.socket().get_executor(), std::move(block), after(kInLine)))
    co_return TlsStream::End::kTimeout;
  {
    struct Place {
      Places& places;
      std::atomic<std::int64_t>& running;
      Place(Places& from, std::atomic<std::int64_t>& count) : places(from), running(count) { ++running; }
      ~Place() {
        --running;
        places.give();
      }
    };
    const Place place(places, running);
    end = co_await stream.accept(after(kPromptly));
  }
  // A slow client keeps only its own place; give it the rest of its time.
  if (end == TlsStream::End::kTimeout) end = co_await stream.accept(after(patience));
  co_return end;
}

}  // namespace capf::net
