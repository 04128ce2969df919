#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/service/records.h"

namespace capf::rpc {

/// A sealed batch as a line of the archive, without a newline: the message SealedBatch in protobuf's JSON.
Result<std::string> archive_line(const service::SealedBatch& batch);
/// The seal of an archived batch. Its signature distinguishes it from another one with its number.
struct ArchivedSeal {
  std::int64_t number = 0;
  Bytes signature{};
};
/// The seal in such a line. Errors: INVALID_REQUEST.
Result<ArchivedSeal> archived_seal(std::string_view line);

}  // namespace capf::rpc
