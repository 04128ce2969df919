#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "capf/base/handle.h"
#include "capf/rpc/admission/gate.h"

// Owners for libnghttp2's objects, and its forms of our values.

namespace capf::rpc {

using SessionPtr = std::unique_ptr<nghttp2_session, Freed<nghttp2_session_del>>;
using OptionPtr = std::unique_ptr<nghttp2_option, Freed<nghttp2_option_del>>;
using CallbacksPtr = std::unique_ptr<nghttp2_session_callbacks, Freed<nghttp2_session_callbacks_del>>;

/// The options of both sessions of a gate: it opens flow control's windows itself, keeps no closed streams, and limits
/// the settings of one frame and the acknowledgements that wait to be sent.
OptionPtr make_option();
/// Without a callback. Sessions copy them.
CallbacksPtr make_callbacks();

/// The fields as they are submitted. They point into `fields`, which outlives them; nghttp2 copies them.
std::vector<nghttp2_nv> name_values(const Gate::Fields& fields);
/// A view of octets of nghttp2's.
std::string_view text_of(const std::uint8_t* octets, std::size_t size);
bool ends_stream(const nghttp2_frame& frame);

}  // namespace capf::rpc
