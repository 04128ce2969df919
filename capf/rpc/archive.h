#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "capf/service/records.h"

namespace capf::rpc {

/// A sealed batch as a line of the archive, without a newline: the message SealedBatch in protobuf's JSON.
Result<std::string> archive_line(const service::SealedBatch& batch);
/// The number of the seal in such a line. Errors: INVALID_REQUEST.
Result<std::int64_t> archived_seal(std::string_view line);

}  // namespace capf::rpc
