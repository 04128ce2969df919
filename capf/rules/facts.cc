#include "capf/rules/facts.h"

namespace capf::rules {

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::kGrpc: return "grpc";
    case Transport::kWire: return "wire";
  }
  CAPF_INVARIANT(false);
}

Actor actor_of(const Caller& caller) { return {ActorKind::kDevice, caller.device.text(), caller.address.to_string()}; }

}  // namespace capf::rules
