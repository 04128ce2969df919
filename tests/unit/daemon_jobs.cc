#include <future>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/daemon/jobs.h"

using namespace capf::daemon;
using std::chrono::hours;

TEST_CASE("jobs stop one after the other, the last one first, and each leaves when its last call is over") {
  std::vector<std::string> order;
  std::promise<void> first_ran;
  std::promise<void> second_runs;
  std::promise<void> hurried;
  Jobs jobs;
  jobs.start({"first", every(hours{1}, [&] { first_ran.set_value(); }), {}, [&] { order.emplace_back("first left"); }});
  jobs.start({"second",
              [&] {
                second_runs.set_value();
                hurried.get_future().wait();
                order.emplace_back("second's call ended");
                return hours{1};
              },
              [&] {
                order.emplace_back("second is hurried");
                hurried.set_value();
              },
              [&] { order.emplace_back("second left"); }});
  first_ran.get_future().wait();
  second_runs.get_future().wait();
  jobs.stop();
  const std::vector<std::string> wanted{"second is hurried", "second's call ended", "second left", "first left"};
  CHECK(order == wanted);
  jobs.stop();
  CHECK(order == wanted);
}

TEST_CASE("a job is called again after the time that its last call returned") {
  int calls = 0;
  std::promise<void> third;
  Jobs jobs;
  jobs.start({"job", [&] {
                if (++calls == 3) third.set_value();
                return calls < 3 ? std::chrono::milliseconds{0} : std::chrono::milliseconds{hours{1}};
              }});
  third.get_future().wait();
  jobs.stop();
  CHECK(calls == 3);
}
