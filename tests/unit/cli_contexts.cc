#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "capf/cli/contexts.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::cli;
using namespace capf::test;

namespace {

const Context kMunich{"capf.example.com:3806", "/k/site-ca.pem", "/k/olga.pem", "/k/olga.key"};

Contexts two() {
  return {"munich", {{"munich", kMunich}, {"rome", {"rome:3806,rome2:3806", "/r/ca.pem", "/r/o.pem", "/r/o.key"}}}};
}

std::string fault_of(std::string_view toml) {
  const auto contexts = Contexts::parse(toml);
  if (contexts) return "none";
  CHECK(contexts.error().reason == Reason::kInvalidConfiguration);
  return contexts.error().message;
}

/// The options of the program, as parse() gives them.
Arguments options(const std::vector<std::pair<std::string, std::string>>& given) {
  Arguments arguments;
  for (const auto& [name, value] : given) arguments.set(name, {value});
  return arguments;
}

}  // namespace

TEST_CASE("contexts are read as they are written") {
  Contexts contexts = two();
  contexts.sites["odd"] = {"[::1]:3806", "/a b/\"c\"\\.pem", "/\xC3\xA4.pem", "/k"};
  const auto read = Contexts::parse(contexts.to_toml());
  REQUIRE(read);
  CHECK(read->current == "munich");
  CHECK(read->sites == contexts.sites);
  const auto none = Contexts::parse(Contexts().to_toml());
  REQUIRE(none);
  CHECK((none->current.empty() && none->sites.empty()));
  CHECK(Contexts::parse(""));
}

TEST_CASE("a context that is not whole is refused with its fault") {
  const std::string good = two().to_toml();
  CHECK(fault_of("current = \"paris\"\n") == "there is no context paris, which is the current one");
  CHECK(fault_of("[contexts.a]\nserver = \"a:1\"\n") == "the context a has no certificate");
  CHECK(fault_of(good + "[contexts.b]\npassword = \"x\"\n").find("nothing else") != std::string::npos);
  CHECK(fault_of("[contexts.b]\nserver = 7\n").find("each a text") != std::string::npos);
  CHECK(fault_of("[contexts.\"../b\"]\n").find("no such name") != std::string::npos);
  CHECK(fault_of("contexts = 7\n").find("a table") != std::string::npos);
  CHECK(fault_of("current = \n").find("line 1") != std::string::npos);
}

TEST_CASE("a state directory or an option beats the current context") {
  const Contexts contexts = two();
  const Place place = place_of({}, contexts);
  CHECK(place.context == "munich");
  CHECK(place.server == kMunich.server);
  CHECK(place.trust == kMunich.trust);
  CHECK(place.certificate == kMunich.certificate);
  CHECK(place.key == kMunich.key);

  const Place state = place_of(options({{"--state", "/site"}}), contexts);
  CHECK((state.context.empty() && state.server.empty() && state.certificate.empty()));
  CHECK(state.state == "/site");

  const Place option = place_of(options({{"--server", "other:3806"}, {"--key", "/x.key"}}), contexts);
  CHECK(option.server == "other:3806");
  CHECK(option.key == "/x.key");
  CHECK(option.trust == kMunich.trust);

  // Another administrator's files are beside those of the context.
  const Place other = place_of(options({{"--administrator", "anna"}}), contexts);
  CHECK(other.certificate == "/k/anna.pem");
  CHECK(other.key == "/k/anna.key");

  const Place without = place_of({}, Contexts());
  CHECK((without.state == "var" && without.server.empty() && without.administrator == "admin"));
}

TEST_CASE("contexts are kept in a file of the caller's own") {
  const Folder folder;
  const auto file = folder.path() / "config" / "capf" / "contexts.toml";
  REQUIRE(read_contexts(file));
  CHECK(read_contexts(file)->sites.empty());
  REQUIRE(write_contexts(file, two()));
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600U);
  const auto read = read_contexts(file);
  REQUIRE(read);
  CHECK(read->sites == two().sites);
  // It says which server to trust.
  REQUIRE(::chmod(file.c_str(), 0666) == 0);
  const auto refused = read_contexts(file);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kInvalidConfiguration);
  CHECK_FALSE(write_contexts({}, two()));
}
