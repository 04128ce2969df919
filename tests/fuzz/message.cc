#include "capf/wire/message.h"

using namespace capf::wire;

// The first octet is the command, the rest its elements: the header in between would only be guessed at.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > kLongestElements) return 0;
  const auto read = read_message(Frame{data[0], 1, {data + 1, size - 1}});
  const auto* message = std::get_if<Message>(&read);
  if (message == nullptr) return 0;
  describe(*message);
  const auto octets = encode(*message);
  CAPF_INVARIANT(octets);
  const auto again = read_message(std::get<Frame>(take_frame(*octets)));
  CAPF_INVARIANT(*encode(std::get<Message>(again)) == *octets);
  return 0;
}
