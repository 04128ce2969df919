"""What a rule is. Each is a function of what is linted; it returns what is wrong, or nothing. Its docstring begins with
the section that it holds against, or with "Ours"."""

import dataclasses
from typing import Callable, Dict

CERTIFICATE, CRL, OCSP = "certificate", "crl", "ocsp"


@dataclasses.dataclass(frozen=True)
class Rule:
    name: str
    section: str
    words: str
    check: Callable


@dataclasses.dataclass(frozen=True)
class Finding:
    rule: str
    words: str
    excuse: str = ""  # the reason, where it is so on purpose

    def __str__(self):
        return f"{self.rule}: {self.words}" + (f" (so on purpose: {self.excuse})" if self.excuse else "")


RULES: Dict[str, Rule] = {}


def rule(kind):
    def register(check):
        section, colon, words = " ".join(check.__doc__.split()).partition(": ")
        if not colon:
            raise ValueError(f"{check.__name__} does not begin with its section")
        name = f"{kind}.{check.__name__}"
        if name in RULES:
            raise ValueError(f"{name} is there twice")
        RULES[name] = Rule(name, section, words, check)
        return check
    return register


def broken(kind, thing):
    """The findings of every rule of a kind."""
    found = []
    for name, one in RULES.items():
        if name.startswith(kind + "."):
            try:
                words = one.check(thing)
            except (ValueError, TypeError, IndexError, AttributeError) as error:  # not of the shape that it should have
                words = f"cannot be judged: {error!r}"
            if words:
                found.append(Finding(name, words if isinstance(words, str) else f"not so: {one.words}"))
    return found
