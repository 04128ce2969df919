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

Basis basis_of(const Facts& facts) {
  Basis basis;
  if (facts.dossier.phone) basis.phone_id = facts.dossier.phone->id;
  basis.revision = facts.dossier.revision;
  basis.postmaster_start = facts.dossier.postmaster_start;
  basis.looked_at = facts.dossier.now;
  return basis;
}

}  // namespace capf::rules
