#pragma once

#include <string_view>

#include "capf/domain/ha1.h"

namespace capf::ca {

/// RFC 7616 3.4.2, of the octets as they are: texts are UTF-8, and nothing normalises them.
/// @param user without ':', behind which the realm would begin
Ha1 make_ha1(std::string_view user, std::string_view realm, const Secret& password);

}  // namespace capf::ca
