#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "capf/domain/device.h"
#include "capf/files/trust_list.h"

// The names that phones ask a file server for, and nothing else. Source: specs/phone-files.md 1.

namespace capf::files {

enum class Wanted : std::uint8_t {
  kTrustList,      ///< CTL and ITL, each with SEP… or "File", ".tlv"
  kConfiguration,  ///< SEP….cnf.xml, also with ".sgn" or ".enc.sgn"
  kDefault,        ///< XMLDefault.cnf.xml
  kStatic,         ///< a file that the administrator put there: rings, locales, firmware
};
enum class Form : std::uint8_t { kPlain, kSigned, kEncrypted };

struct FileRequest {
  Wanted wanted = Wanted::kStatic;
  ListKind list = ListKind::kItl;      ///< of a trust list
  std::optional<DeviceName> device{};  ///< none where the name is for any device
  Form form = Form::kPlain;
  std::string path{};  ///< of a static file, relative, without ".sgn"
};

/// @param name without a slash in front, exactly as it was sent: nothing in it is decoded, because no name that phones
/// ask for has anything that would need it. Case counts.
/// @return nothing for any other name: one that climbs, is absolute or hidden, has an empty part or octets other than
/// letters, digits, '.', '_', '-', '+', or only looks like a trust list or a configuration.
std::optional<FileRequest> parse_file_name(std::string_view name);

}  // namespace capf::files
