#include <catch2/catch.hpp>

#include "capf/service/made_files.h"

using namespace capf;
using namespace capf::service;

namespace {

MadeFile made(std::size_t size, const std::string& generation = "1") {
  return {{std::make_shared<const Bytes>(size, 7), generation}, {1, 1}};
}

}  // namespace

TEST_CASE("a made file is found by its name, and another one of that name takes its place") {
  MadeFiles files({.files = 10, .octets = 100});
  CHECK_FALSE(files.find("a"));
  files.put("a", made(60));
  files.put("a", made(70, "2"));
  CHECK(files.find("a")->file.generation == "2");
  CHECK(files.find("a")->file.octets->size() == 70);
  files.put("b", made(30));
  CHECK(files.find("a"));
}

TEST_CASE("neither the number nor the octets of made files grow, and the one not asked for longest goes") {
  MadeFiles files({.files = 3, .octets = 100});
  for (const char* name : {"a", "b", "c"}) files.put(name, made(10));
  CHECK(files.find("a"));
  files.put("d", made(10));
  CHECK_FALSE(files.find("b"));
  CHECK(files.find("a"));
  files.put("large", made(85));
  CHECK(files.find("large"));
  CHECK(files.find("a"));
  CHECK_FALSE(files.find("c"));
  CHECK_FALSE(files.find("d"));
  files.put("too large", made(101));
  CHECK_FALSE(files.find("too large"));
  CHECK(files.find("large"));
}
