#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <malloc.h>

#include "capf/rpc/admission/gate.h"
#include "tests/support/http2.h"

// Plays the files in tests/data/gate; their README says how they are written.

using namespace capf;
using namespace capf::rpc;
using namespace capf::test;
using Lines = std::vector<std::string>;

namespace {

std::vector<std::filesystem::path> scenario_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(CAPF_TEST_DATA "/gate")) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// A gate between a client and a gRPC, both of which are text.
class Play {
 public:
  /// @param piece octets that arrive at once
  explicit Play(std::size_t piece) : piece_(piece) {}

  Lines output;

  void say(const std::string& line) {
    output.push_back(line);
    const auto space = line.find(' ');
    const std::string verb = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (verb == "client" || verb == "server") {
      arrive(verb == "client", http2::say(rest));
    } else if (verb == "setting") {
      set(rest);
    } else if (verb == "admit") {
      gate().admit();
    } else if (verb == "refuse") {
      gate().refuse({{"grpc-status", rest}});
    } else if (verb == "allow") {
      gate().allow(static_cast<std::uint32_t>(std::stoul(rest)));
    } else if (verb == "started") {
      gate().call_started(std::stoul(rest));
    } else if (verb == "ended") {
      gate().call_ended(std::stoul(rest));
    } else if (verb == "ageless") {
      gate().hold();
    } else if (verb == "aging" || verb == "leaving") {
      gate().release(verb == "aging", now_);
    } else if (verb == "time") {
      now_ += std::chrono::milliseconds(std::stol(rest));
      gate().tick(now_);
    } else if (verb == "shutdown") {
      gate().shut_down(now_);
    } else if (verb == "gone") {
      gate().server_closed(now_);
    } else if (verb == "windows") {
      windows_ = true;
    } else if (verb == "hold") {
      held_ = true;
    } else if (verb == "release") {
      held_ = false;
    } else {
      FAIL("not a line of a scenario: " << line);
    }
    tell();
  }

 private:
  Gate& gate() {
    if (!gate_) gate_ = Gate::make(limits_, now_);
    return *gate_;
  }

  void set(const std::string& setting) {
    const auto number = std::stol(setting.substr(setting.find('=') + 1));
    if (setting.starts_with("streams=")) limits_.streams = static_cast<std::uint32_t>(number);
    if (setting.starts_with("resets=")) limits_.resets = static_cast<int>(number);
    if (setting.starts_with("control_frames=")) limits_.control_frames = static_cast<int>(number);
  }

  void arrive(bool client, const Bytes& octets) {
    for (std::size_t at = 0; at < octets.size(); at += piece_) {
      const BytesView piece = BytesView(octets).subspan(at, std::min(piece_, octets.size() - at));
      client ? gate().take_from_client(piece, now_) : gate().take_from_server(piece, now_);
    }
  }

  void tell() {
    if (!gate_) return;
    for (bool more = !held_; more;) {
      const Bytes to_client = gate().for_client(1);
      const Bytes to_server = gate().for_server(1);
      tell("< ", client_.read(to_client));
      tell("> ", server_.read(to_server));
      more = !to_client.empty() || !to_server.empty();
    }
    if (gate().breach()) {
      tell_once("= breach " + std::string(to_string(gate().breach()->reason)) + ": " + gate().breach()->message);
    }
    if (gate().asks()) tell_once("= asks");
    if (gate().over()) tell_once("= over");
  }

  /// Writes windows only where the scenario is about them.
  void tell(const std::string& side, const Lines& lines) {
    for (const std::string& line : lines) {
      if (windows_ || !line.starts_with("window")) output.push_back(side + line);
    }
  }

  void tell_once(const std::string& line) {
    if (std::find(output.begin(), output.end(), line) == output.end()) output.push_back(line);
  }

  const std::size_t piece_;
  GateLimits limits_;
  Gate::Moment now_{};
  std::unique_ptr<Gate> gate_;
  http2::Reader client_;
  http2::Reader server_;
  bool held_ = false;
  bool windows_ = false;
};

bool is_output(const std::string& line) {
  return line.starts_with('<') || line.starts_with('>') || line.starts_with('=');
}

Lines lines_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  Lines lines;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && !line.starts_with('#')) lines.push_back(line);
  }
  return lines;
}

Lines played(const Lines& wanted, std::size_t piece) {
  Play play(piece);
  for (const std::string& line : wanted) {
    if (!is_output(line)) play.say(line);
  }
  return play.output;
}

/// Octets of the heap in use. A sanitizer has a heap of its own, of which this knows nothing.
std::size_t heap_in_use() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

}  // namespace

TEST_CASE("what a client and gRPC say to each other through the gate is as the scenarios have it") {
  for (const auto& file : scenario_files()) {
    const Lines wanted = lines_of(file);
    for (const std::size_t piece : {std::size_t{1} << 20, std::size_t{1}}) {
      INFO(file.filename().string() << (piece == 1 ? ", octet by octet" : ""));
      const Lines got = played(wanted, piece);
      const auto differs = std::mismatch(wanted.begin(), wanted.end(), got.begin(), got.end());
      INFO("line " << differs.first - wanted.begin() + 1);
      CHECK((differs.first == wanted.end() ? "" : *differs.first) ==
            (differs.second == got.end() ? "" : *differs.second));
    }
  }
}

TEST_CASE("an answer of which something always waits keeps nothing of what the client has taken") {
  constexpr std::size_t kPortion = 16384;
  constexpr std::size_t kPortions = 2000;
  const Gate::Moment now{};
  const auto gate = Gate::make(GateLimits(), now);
  const auto client = [&](const std::string& line) { gate->take_from_client(http2::say(line), now); };
  const auto server = [&](const std::string& line) { gate->take_from_server(http2::say(line), now); };
  client("preface");
  client("settings");
  client("headers 1 end :method=POST :scheme=https :path=/a :authority=h");
  gate->admit();
  gate->for_server(kPortion);
  server("settings");
  server("headers 1 :status=200");
  server("data 1 16384");
  const std::size_t before = heap_in_use();
  for (std::size_t i = 0; i < kPortions; ++i) {
    server("data 1 16384");
    client("window 0 16384");
    client("window 1 16384");
    REQUIRE(gate->for_client(kPortion).size() > kPortion);
    gate->for_server(kPortion);
  }
  CHECK_FALSE(gate->breach());
  CHECK(heap_in_use() < before + kPortions * kPortion / 10);
}
