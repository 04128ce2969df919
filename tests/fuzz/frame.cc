#include "capf/wire/frame.h"

using namespace capf::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const capf::BytesView input(data, size);
  const Taken taken = take_frame(input);
  if (const auto* more = std::get_if<More>(&taken)) CAPF_INVARIANT(more->size > size);
  const auto* frame = std::get_if<Frame>(&taken);
  if (frame == nullptr) return 0;
  CAPF_INVARIANT(frame->size() <= size);
  capf::Bytes again;
  FrameWriter writer(again, frame->command, frame->session_id);
  capf::ElementReader reader(frame->elements);
  while (const auto element = reader.next()) writer.put(element->tag, element->value);
  CAPF_INVARIANT(writer.finish());
  CAPF_INVARIANT(reader.broken() || std::equal(again.begin(), again.end(), input.begin()));
  return 0;
}
