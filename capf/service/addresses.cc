#include "capf/service/addresses.h"

#include <algorithm>

#include "capf/domain/audit_store.h"
#include "capf/domain/strings.h"
#include "capf/service/steps.h"

namespace capf::service {

Result<std::vector<AddressView>> Addresses::limited() {
  return in_read(database_, [&](Transaction& tx) -> Result<std::vector<AddressView>> {
    int least = policy_.wrong_strings_per_address;
    for (const StringLimit& limit : policy_.wrong_strings_networks) least = std::min(least, limit.strings);
    CAPF_LET(const auto reached, tx.strings().limited(least));
    std::vector<AddressView> views;
    for (const LimitedAddress& each : reached) {
      int limit = kStringsPerAddressAndDevice;
      if (each.device.empty()) {
        CAPF_LET(const Address address, Address::parse(each.address_block.substr(0, each.address_block.find('/'))));
        limit = policy_.wrong_strings_of(address);
        if (each.strings < limit) continue;
      }
      views.push_back({each, limit});
    }
    return views;
  });
}

Result<bool> Addresses::unlock(const Actor& actor, const Address& address) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<bool> {
    CAPF_LET(const bool limited, tx.strings().unlock_address(address.block()));
    CAPF_TRY(tx.audit().add(done(actor, "address.unlock", address.block())));
    return limited;
  });
}

}  // namespace capf::service
