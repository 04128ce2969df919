#include "capf/wire/session.h"

#include <algorithm>
#include <array>

using namespace capf::wire;

namespace {

constexpr std::array kErrors{capf::Reason::kUnknownDevice,        capf::Reason::kNoPendingOperation,
                             capf::Reason::kAuthenticationFailed, capf::Reason::kDatabaseUnavailable,
                             capf::Reason::kCommitInDoubt,        capf::Reason::kChangedMeanwhile,
                             capf::Reason::kOperationEnded,       capf::Reason::kInternal};

/// The rest of the input.
struct Input {
  capf::BytesView rest;

  std::size_t take() {
    if (rest.empty()) return 0;
    const std::size_t octet = rest[0];
    rest = rest.subspan(1);
    return octet;
  }
  capf::BytesView take_octets() {
    const std::size_t wanted = take() << 8 | take();
    const capf::BytesView octets = rest.first(std::min(wanted, rest.size()));
    rest = rest.subspan(octets.size());
    return octets;
  }
};

/// One session and a phone that sends anything; the service gives any answer, but only when it is asked.
class Dialogue {
 public:
  Dialogue() { take(session_.start()); }

  void event(Input& input) {
    switch (input.take() % 8) {
      case 0: {
        const std::size_t choice = input.take();
        Begun begun;
        begun.kind = capf::kOperationKinds[choice % 3];
        begun.key.order = capf::kKeyOrders[choice / 3 % 3];
        begun.failures = static_cast<int>(choice / 9 % 2);
        return answer(begun);
      }
      case 1: return answer(Issued{capf::Bytes(1 + input.take() * 300, 0x30)});
      case 2: return answer(Done{});
      case 3: return answer(capf::fail(kErrors[input.take() % kErrors.size()]).value());
      case 4: return waiting() ? take(session_.timeout()) : void();
      case 5: return take(session_.closed());
      case 6: {  // a message with a header that fits
        const auto command = static_cast<std::uint8_t>(input.take());
        const capf::BytesView elements = input.take_octets();
        FrameWriter writer(arrived_, command, session_.id());
        CAPF_INVARIANT(writer.finish());
        arrived_[arrived_.size() - 2] = static_cast<std::uint8_t>(elements.size() >> 8);
        arrived_[arrived_.size() - 1] = static_cast<std::uint8_t>(elements.size());
        arrived_.insert(arrived_.end(), elements.begin(), elements.end());
        return receive();
      }
      default: {
        const capf::BytesView octets = input.take_octets();
        arrived_.insert(arrived_.end(), octets.begin(), octets.end());
        return receive();
      }
    }
  }

 private:
  bool waiting() const { return step_.then == Step::Then::kWait; }

  void answer(const Answer& answer) {
    if (step_.then != Step::Then::kAsk) return;
    drop();
    take(session_.answer(answer));
    receive();
  }

  void receive() {
    while (waiting() && !arrived_.empty()) {
      take(session_.receive(arrived_, {}));
      if (!waiting()) return;
      if (step_.used == 0) return;
      drop();
    }
  }

  void drop() {
    arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<std::ptrdiff_t>(step_.used));
    step_.used = 0;
  }

  void take(Step step) {
    const bool was_closed = step_.then == Step::Then::kClose;
    CAPF_INVARIANT(!was_closed || (step.then == Step::Then::kClose && step.send.empty()));
    CAPF_INVARIANT((step.then == Step::Then::kClose) == (session_.state() == State::kEnded));
    CAPF_INVARIANT((step.then == Step::Then::kAsk) == step.ask.has_value());
    CAPF_INVARIANT(step.used <= arrived_.size());
    if (!step.send.empty()) {
      const Taken taken = take_frame(step.send);
      CAPF_INVARIANT(std::holds_alternative<Frame>(taken));
      CAPF_INVARIANT(std::holds_alternative<Message>(read_message(std::get<Frame>(taken))));
      CAPF_INVARIANT(step.then != Step::Then::kWait || step.wait);
    }
    step_ = std::move(step);
  }

  SessionSettings settings_;
  Session session_{0xC0FFEE42, settings_};
  capf::Bytes arrived_;
  Step step_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Dialogue dialogue;
  for (Input input{{data, size}}; !input.rest.empty();) dialogue.event(input);
  return 0;
}
