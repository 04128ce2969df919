#pragma once

#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf::phone {

/// The largest configuration that a phone takes.
inline constexpr std::size_t kLargestConfiguration = 1 << 20;

/// The part of a configuration file that a phone in software goes by. Source: specs/phone-files.md 7.
struct Configuration {
  bool full = true;       ///< false: a stub, that announces an encrypted file
  int security_mode = 1;  ///< 1 nonsecure, 2 authenticated, 3 encrypted
  int transport = 0;      ///< 3: TLS
  int capf_mode = 0;      ///< 0 none, 1 authentication string, 2 null string, 3 LSC or else MIC, 4 MIC or else LSC
  std::vector<std::string> capf, tvs;  ///< "HOST:PORT", at most five each
  std::string certificate_hash;        ///< of the certificate that the phone is thought to have; may be empty
  bool encrypted = false;              ///< the next one is to be asked for as an encrypted file
  bool digest_password = false;        ///< whether a line has one
};

/// Takes UTF-8 without a document type and without control characters, with one element `device`.
/// Errors: PHONE_CONFIGURATION_MALFORMED.
Result<Configuration> read_configuration(BytesView xml);

}  // namespace capf::phone
