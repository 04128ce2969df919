#include "capf/rpc/admission/gate.h"

#include <algorithm>
#include <set>

#include "tests/support/http2.h"

// One connection: the first octet chooses its limits, then come events. gRPC is honest only in that it answers the
// calls that it has; its other frames may be anything.

using namespace capf;
using namespace capf::rpc;
using namespace capf::test;

namespace {

constexpr std::size_t kPortion = 16384;
/// A portion is exceeded by one frame at most.
constexpr std::size_t kMost = kPortion + 16384 + 9;

struct Input {
  BytesView rest;

  std::size_t take() {
    if (rest.empty()) return 0;
    const std::size_t octet = rest[0];
    rest = rest.subspan(1);
    return octet;
  }
  BytesView take_octets() {
    const std::size_t wanted = take() << 8 | take();
    const BytesView octets = rest.first(std::min(wanted, rest.size()));
    rest = rest.subspan(octets.size());
    return octets;
  }
};

class Connection {
 public:
  explicit Connection(std::size_t choice) : streams_(1 + choice % 4) {
    GateLimits limits;
    limits.streams = static_cast<std::uint32_t>(streams_);
    limits.resets = 8;
    limits.control_frames = 32;
    gate_ = Gate::make(limits, now_);
    if ((choice & 4U) != 0) client(http2::say("preface"));
    if ((choice & 8U) != 0) client(http2::say("settings"));
  }

  void event(Input& input) {
    switch (input.take() % 12) {
      case 0: return client(input.take_octets());
      case 1: {  // a frame with a head that fits
        const auto type = static_cast<std::uint8_t>(input.take());
        const auto flags = static_cast<std::uint8_t>(input.take());
        const auto stream = static_cast<std::uint32_t>(input.take());
        const BytesView payload = input.take_octets();
        return client(
            http2::frame(type, flags, stream, payload.first(std::min<std::size_t>(payload.size(), kPortion))));
      }
      case 2: {
        const std::string end = input.take() % 2 == 0 ? " end" : "";
        last_ += 2;
        return client(
            http2::say("headers " + std::to_string(last_) + end + " :method=POST :scheme=https :path=/x :authority=h"));
      }
      case 3:
        admitted_ = admitted_ || !refused_;
        if (!refused_) gate_->admit();
        break;
      case 4:
        refused_ = refused_ || !admitted_;
        if (!admitted_) gate_->refuse({{"grpc-status", "16"}});
        break;
      case 5: {  // gRPC answers the oldest call that it has
        if (calls_.empty()) break;
        const std::string stream = std::to_string(*calls_.begin());
        calls_.erase(calls_.begin());
        server(http2::say("headers " + stream + " :status=200"));
        server(http2::say("data " + stream + ' ' + std::to_string(input.take() * 60)));
        return server(http2::say("headers " + stream + " end grpc-status=0"));
      }
      case 6: return server(input.take_octets());
      case 7: gate_->call_started(1 + input.take() % 8); break;
      case 8: gate_->call_ended(1 + input.take() % 8); break;
      case 9:
        now_ += std::chrono::milliseconds(input.take() * 250);
        gate_->tick(now_);
        break;
      case 10: gate_->shut_down(now_); break;
      default:
        if (input.take() % 4 == 0) gate_->server_closed(now_);
        if (input.take() % 4 == 0) gate_->allow(static_cast<std::uint32_t>(streams_ = 4));
        break;
    }
    drain();
  }

 private:
  void client(BytesView octets) {
    gate_->take_from_client(octets, now_);
    drain();
  }
  void server(BytesView octets) {
    gate_->take_from_server(octets, now_);
    drain();
  }

  void drain() {
    for (;;) {
      const Bytes to_client = gate_->for_client(kPortion);
      const Bytes to_server = gate_->for_server(kPortion);
      CAPF_INVARIANT(to_client.size() <= kMost && to_server.size() <= kMost);
      CAPF_INVARIANT(admitted_ || to_server.empty());
      for (const std::string& line : server_.read(to_server)) note(line);
      if (to_client.empty() && to_server.empty()) break;
    }
    const bool broken = gate_->breach().has_value();
    CAPF_INVARIANT(!was_broken_ || broken);
    CAPF_INVARIANT(!broken || gate_->over());
    was_broken_ = broken;
  }

  /// Checks what gRPC gets: whole requests with their number, never more than the limit.
  void note(const std::string& line) {
    CAPF_INVARIANT(!line.ends_with("(broken)"));
    if (!line.starts_with("headers ") && !line.starts_with("rst ")) return;
    const int stream = std::stoi(line.substr(line.find(' ') + 1));
    if (line.starts_with("rst ")) {
      calls_.erase(stream);
    } else if (line.find(" :path=") != std::string::npos) {
      CAPF_INVARIANT(line.find(" capf-call=") != std::string::npos);
      calls_.insert(stream);
      CAPF_INVARIANT(calls_.size() <= std::max<std::size_t>(streams_, 4));
    }
  }

  std::size_t streams_;
  Gate::Moment now_{};
  std::unique_ptr<Gate> gate_;
  http2::Reader server_;
  std::set<int> calls_;
  int last_ = -1;
  bool admitted_ = false;
  bool refused_ = false;
  bool was_broken_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{{data, size}};
  Connection connection(input.take());
  while (!input.rest.empty()) connection.event(input);
  return 0;
}
