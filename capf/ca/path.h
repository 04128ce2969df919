#pragma once

#include <optional>
#include <span>
#include <string>

#include "capf/base/bytes.h"
#include "capf/base/time.h"

namespace capf::ca {

/// The purpose of a certificate under an issuer.
enum class PathPurpose : std::uint8_t { kTlsServer, kTlsClient, kOcspResponder };

/// Whether a relying party that trusts the last of `above` accepts the certificate: RFC 5280 6.1 by OpenSSL, with name
/// constraints, policies, and the extended key usage of every CA of the path.
/// @param above its issuer first, then the CAs above that, to the root.
/// @param now absent: dates are not checked.
/// @return why not, in words that follow the certificate's name; nothing where it is accepted.
std::optional<std::string> path_fault(BytesView certificate, std::span<const Bytes> above, PathPurpose purpose,
                                      std::optional<TimePoint> now);

}  // namespace capf::ca
