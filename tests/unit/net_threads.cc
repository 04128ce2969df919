#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include <catch2/catch.hpp>

#include "capf/base/contained.h"
#include "capf/base/log.h"
#include "capf/net/coroutine.h"
#include "capf/net/threads.h"

using namespace capf;
using namespace capf::net;

namespace {

/// No std::exception.
struct Stone {};

/// The lines that this program writes when it runs this one of its tests.
std::string lines_of(const std::string& test) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = "'" + program + "' '" + test + "' 2>&1";
  FILE* const output = ::popen(command.c_str(), "r");
  REQUIRE(output != nullptr);
  std::string lines;
  std::array<char, 4096> octets{};
  while (const std::size_t got = std::fread(octets.data(), 1, octets.size(), output)) lines.append(octets.data(), got);
  CHECK(::pclose(output) == 0);
  return lines;
}

std::size_t count(const std::string& lines, const std::string& words) {
  std::size_t found = 0;
  for (auto at = lines.find(words); at != std::string::npos; at = lines.find(words, at + 1)) ++found;
  return found;
}

/// The exception that a coroutine gets where its work on the pool throws this.
template <class Thrown>
std::string thrown_by_work(Pool& pool, Thrown thrown) {
  asio::io_context context{1};
  const auto call = [](Pool* where, Thrown what) -> asio::awaitable<void> {
    const auto work = [what] { throw what; };
    co_await run_on(*where, work);
  };
  std::string cause = "nothing";
  asio::co_spawn(context, call(&pool, thrown), [&cause](const std::exception_ptr& failure) {
    if (failure) cause = cause_of(failure);
  });
  context.run();
  return cause;
}

}  // namespace

TEST_CASE("works and handlers that throw") {
  auto belongings = std::make_shared<int>(1);
  const std::weak_ptr<int> left = belongings;
  std::promise<void> after;
  Pool pool(1);
  pool.post([kept = std::move(belongings)] { throw std::bad_alloc(); });
  pool.post([] { throw Stone(); });
  pool.post([&] { after.set_value(); });
  after.get_future().wait();
  CHECK(left.expired());

  std::promise<void> handled;
  IoThreads threads(1);
  asio::post(threads.context(), [] { throw std::bad_alloc(); });
  asio::post(threads.context(), [] { throw Stone(); });
  asio::post(threads.context(), [&] { handled.set_value(); });
  handled.get_future().wait();
  CHECK(flush_log(std::chrono::seconds{10}));
}

TEST_CASE("work and handlers that throw are logged as errors, and their threads continue") {
  const std::string lines = lines_of("works and handlers that throw");
  INFO(lines);
  CHECK(count(lines, " error work.failed cause=std::bad_alloc\n") == 1);
  CHECK(count(lines, " error work.failed cause=\"something that is no exception was thrown\"\n") == 1);
  CHECK(count(lines, " error handler.failed cause=std::bad_alloc\n") == 1);
  CHECK(count(lines, " error handler.failed cause=\"something that is no exception was thrown\"\n") == 1);
}

TEST_CASE("coroutines that end by exceptions") {
  LogLimit limit(100);
  log_failure("coroutine.failed", std::make_exception_ptr(std::bad_alloc()), limit);
  log_failure("coroutine.failed", std::make_exception_ptr(Stone()), limit);
  log_failure("coroutine.failed", nullptr, limit);
  CHECK(flush_log(std::chrono::seconds{10}));
}

TEST_CASE("the exception that ends a coroutine is logged as an error, and none is not") {
  const std::string lines = lines_of("coroutines that end by exceptions");
  INFO(lines);
  CHECK(count(lines, " error coroutine.failed ") == 2);
  CHECK(count(lines, " error coroutine.failed cause=std::bad_alloc left_out=0\n") == 1);
  CHECK(count(lines, " error coroutine.failed cause=\"something that is no exception was thrown\" left_out=0\n") == 1);
}

TEST_CASE("a coroutine gets what its work on a pool throws") {
  Pool pool(1);
  CHECK(thrown_by_work(pool, std::bad_alloc()) == "std::bad_alloc");
  CHECK(thrown_by_work(pool, std::runtime_error("no such thing")) == "no such thing");
  CHECK(thrown_by_work(pool, Stone()) == "something that is no exception was thrown");
}
