"""Where a rule is broken on purpose: which one, by which certificates, and why."""

import dataclasses
from typing import Tuple

from lint.certificate import ABOVE, ISSUER, LSC, WIRE


@dataclasses.dataclass(frozen=True)
class Override:
    rule: str
    roles: Tuple[str, ...]
    reason: str


OVERRIDES = (
    Override("certificate.servers_are_named_in_alternative_names", (LSC, WIRE),
             "phones and call managers look for a phone's name in the common name, where Cisco's LSCs have it; phones pin "
             "the wire's certificate whole and look at no name"),
    Override("certificate.no_ipsec_purposes", (LSC,),
             "Cisco's LSCs have id-kp-ipsecEndSystem, and VPN gateways are configured to ask for it"),
    Override("certificate.key_has_an_offered_size", (LSC,),
             "old phones make RSA keys of 1,024 bits and no others; only where allow_rsa_1024 is set"),
    Override("certificate.who_signed_it_is_a_ca", (WIRE,),
             "it is self-signed and pinned in phones' trust lists, and must be able to sign nothing else"),
    Override("certificate.key_usage_is_critical", (ISSUER, ABOVE),
             "a site's own CA, made elsewhere, is taken as it is: the rule is a SHOULD"),
    Override("certificate.hash_is_strong", (ABOVE,),
             "what signs a self-signed root is not judged: it is trusted because it was configured"),
)
