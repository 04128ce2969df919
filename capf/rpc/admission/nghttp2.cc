#include "capf/rpc/admission/nghttp2.h"

#include <string>

#include "capf/base/error.h"

namespace capf::rpc {
namespace {

constexpr std::size_t kMostSettings = 16;  ///< in one frame
constexpr std::size_t kMostUnsentAcks = 64;

}  // namespace

OptionPtr make_option() {
  nghttp2_option* made = nullptr;
  CAPF_INVARIANT(nghttp2_option_new(&made) == 0);
  OptionPtr option(made);
  nghttp2_option_set_no_auto_window_update(made, 1);
  nghttp2_option_set_no_closed_streams(made, 1);
  nghttp2_option_set_max_settings(made, kMostSettings);
  nghttp2_option_set_max_outbound_ack(made, kMostUnsentAcks);
  return option;
}

CallbacksPtr make_callbacks() {
  nghttp2_session_callbacks* made = nullptr;
  CAPF_INVARIANT(nghttp2_session_callbacks_new(&made) == 0);
  return CallbacksPtr(made);
}

std::vector<nghttp2_nv> name_values(const Gate::Fields& fields) {
  const auto octets = [](const std::string& text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // nghttp2 copies them
  };
  std::vector<nghttp2_nv> pairs;
  pairs.reserve(fields.size());
  for (const auto& [name, value] : fields) {
    pairs.push_back({octets(name), octets(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return pairs;
}

std::string_view text_of(const std::uint8_t* octets, std::size_t size) {
  return {reinterpret_cast<const char*>(octets), size};
}

bool ends_stream(const nghttp2_frame& frame) { return (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0; }

}  // namespace capf::rpc
