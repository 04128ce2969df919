#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/descriptor.h"
#include "capf/base/lines.h"
#include "tests/support/folder.h"

// Lines while they are not read, and afterwards.

namespace {

using capf::Descriptor;
using capf::LineQueue;
using capf::test::Folder;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLong{20'000};

/// Takes lines from a descriptor.
class Reader {
 public:
  explicit Reader(int descriptor) : descriptor_(descriptor) {}
  /// The next line, without its newline; nothing where none comes.
  std::string line() {
    while (rest_.find('\n') == std::string::npos) {
      pollfd ready{descriptor_.get(), POLLIN, 0};
      if (::poll(&ready, 1, static_cast<int>(kLong.count())) != 1) return {};
      char octets[4096];
      const ssize_t count = ::read(descriptor_.get(), octets, sizeof octets);
      if (count <= 0) return {};
      rest_.append(octets, static_cast<std::size_t>(count));
    }
    const std::size_t end = rest_.find('\n');
    std::string taken = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    return taken;
  }

 private:
  Descriptor descriptor_;
  std::string rest_;
};

/// A pipe that takes some forty lines.
struct Pipe {
  Pipe() : Pipe(make()) {}
  std::string line() { return reader.line(); }

  Reader reader;
  Descriptor writer;

 private:
  explicit Pipe(std::array<int, 2> ends) : reader(ends[0]), writer(ends[1]) {}
  static std::array<int, 2> make() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096);
    return ends;
  }
};

std::string numbered(int number) { return "line " + std::to_string(number) + ' ' + std::string(100, 'x'); }

TEST_CASE("lines come at once, in their order") {
  Pipe pipe;
  LineQueue queue(pipe.writer.get(), 1 << 20);
  for (int i = 0; i < 1000; ++i) {
    queue.push(numbered(i));
    CHECK(pipe.line() == numbered(i));
  }
  CHECK(queue.dropped() == 0);
}

TEST_CASE("where nobody reads nobody waits, and the first line afterwards says how many are missing") {
  Pipe pipe;
  LineQueue queue(pipe.writer.get(), 10'000);
  constexpr int kPushed = 20'000;
  const auto begun = steady_clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kPushed / 4; ++i) queue.push(numbered(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(queue.flush(milliseconds(50)));
  CHECK(steady_clock::now() - begun < kLong);
  const auto dropped = static_cast<int>(queue.dropped());
  // Of 100 octets and more: 4,096 in the pipe, 10,000 in the queue.
  CHECK(dropped > kPushed - 141);
  CHECK(dropped < kPushed);

  for (int i = 0; i < kPushed - dropped; ++i) CHECK(pipe.line().starts_with("line "));
  CHECK(pipe.line().ends_with(" warning log.dropped count=" + std::to_string(dropped)));
  queue.push("all is well");
  CHECK(pipe.line() == "all is well");
  CHECK(queue.flush(kLong));
  CHECK(static_cast<int>(queue.dropped()) == dropped);
}

TEST_CASE("lines whose reader is gone are dropped and end nothing, and the next reader hears how many") {
  Folder folder;
  const std::string path = folder.path() / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  std::optional<Descriptor> reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const Descriptor writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  LineQueue queue(writer.get(), 1 << 20);
  reader.reset();
  for (int i = 0; i < 100; ++i) queue.push(numbered(i));
  CHECK(queue.flush(kLong));
  CHECK(queue.dropped() == 100);

  Reader next(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  queue.push("all is well");
  CHECK(next.line().ends_with(" warning log.dropped count=100"));
  CHECK(next.line() == "all is well");
}

TEST_CASE("a disk without room keeps no line") {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  LineQueue queue(full.get(), 1 << 20);
  for (int i = 0; i < 10; ++i) queue.push(numbered(i));
  CHECK(queue.flush(kLong));
  CHECK(queue.dropped() == 10);
}

TEST_CASE("a descriptor that does not block gets every line") {
  Pipe pipe;
  REQUIRE(::fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK) == 0);
  LineQueue queue(pipe.writer.get(), 1 << 20);
  for (int i = 0; i < 1000; ++i) queue.push(numbered(i));
  for (int i = 0; i < 1000; ++i) CHECK(pipe.line() == numbered(i));
  CHECK(queue.dropped() == 0);
}

TEST_CASE("the descriptor's own flags stay as they are") {
  Pipe pipe;
  const int before = ::fcntl(pipe.writer.get(), F_GETFL);
  LineQueue queue(pipe.writer.get(), 1 << 20);
  queue.push("a line");
  CHECK(pipe.line() == "a line");
  CHECK(::fcntl(pipe.writer.get(), F_GETFL) == before);
}

TEST_CASE("the end of a queue waits for nobody, and what waits in it is still written") {
  Pipe pipe;
  const auto begun = steady_clock::now();
  {
    LineQueue queue(pipe.writer.get(), 1 << 20);
    for (int i = 0; i < 1000; ++i) queue.push(numbered(i));
  }
  CHECK(steady_clock::now() - begun < kLong);
  for (int i = 0; i < 1000; ++i) CHECK(pipe.line() == numbered(i));
}

TEST_CASE("without a descriptor every line is dropped") {
  LineQueue queue(-1, 1 << 20);
  queue.push("a line");
  CHECK(queue.flush(kLong));
  CHECK(queue.dropped() == 1);
}

}  // namespace
