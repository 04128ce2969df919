"""DER as it stands: a tree of elements, and what in it is not the one way in which DER writes things (X.690 10, 11)."""

import re

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A
UTF8, PRINTABLE, IA5, UTC_TIME, GENERALIZED_TIME = 0x0C, 0x13, 0x16, 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
_CONSTRUCTED = 0x20
_DEEPEST = 30


class Broken(ValueError):
    """These octets are no DER, nor BER of definite lengths."""


class Element:
    """One element. Constructed ones have `children`, the others `content`; both may be changed and encoded again."""

    def __init__(self, tag, content=b"", children=None):
        self.tag, self._content, self.children = tag, content, children

    @property
    def content(self):
        return self._content if self.children is None else b"".join(child.encode() for child in self.children)

    @content.setter
    def content(self, octets):
        self._content, self.children = octets, None

    def encode(self):
        content = self.content
        return bytes([self.tag]) + encode_length(len(content)) + content

    def __getitem__(self, place):
        return self.children[place]

    def __setitem__(self, place, element):
        self.children[place] = element


def encode_length(length):
    if length < 0x80:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def read(octets, faults=None):
    """The tree of one element; what is odd about it is added to the list `faults`. Raises Broken."""
    faults = [] if faults is None else faults
    element, rest = _take(octets, faults, 0)
    if rest:
        faults.append(f"{len(rest)} octets behind the end")
    return element


def read_all(octets):
    """Elements that stand one behind the other. Raises Broken."""
    return _take_all(octets, [], 0)


def _take_all(octets, faults, depth):
    elements = []
    while octets:
        element, octets = _take(octets, faults, depth)
        elements.append(element)
    return elements


def _take(octets, faults, depth):
    if len(octets) < 2 or depth > _DEEPEST:
        raise Broken("it is cut short, or nested too deep")
    tag, length, begin = octets[0], octets[1], 2
    if tag & 0x1F == 0x1F:
        raise Broken("a tag of several octets")
    if length == 0x80:
        raise Broken("an indefinite length")
    if length > 0x80:
        begin += length & 0x7F
        length = int.from_bytes(octets[2:begin], "big")
        if begin > 6 or octets[1:begin] != encode_length(length):
            faults.append("a length is not written in the shortest way")
    if len(octets) < begin + length:
        raise Broken("an element is longer than what it stands in")
    content = octets[begin:begin + length]
    element = Element(tag, content)
    if tag & _CONSTRUCTED:
        element.children = _take_all(content, faults, depth + 1)
    _check(element, faults, depth)
    return element, octets[begin + length:]


def _check(element, faults, depth):
    tag, content = element.tag, element._content
    if tag in (BIT_STRING | _CONSTRUCTED, OCTET_STRING | _CONSTRUCTED) or (
            tag < 0x40 and tag & _CONSTRUCTED and tag not in (SEQUENCE, SET)):
        faults.append(f"tag {tag:#04x}: strings in pieces")
    elif tag == BOOLEAN and content not in (b"\x00", b"\xff"):
        faults.append("a BOOLEAN is neither 00 nor FF")
    elif tag in (INTEGER, ENUMERATED) and (not content or (len(content) > 1 and (
            content[0] == 0 and content[1] < 0x80 or content[0] == 0xFF and content[1] >= 0x80))):
        faults.append("an INTEGER is not written in the shortest way")
    elif tag == BIT_STRING and (not content or content[0] > 7 or (len(content) == 1 and content[0]) or (
            len(content) > 1 and content[-1] & ((1 << content[0]) - 1))):
        faults.append("unused bits of a BIT STRING are not zero")
    elif tag == NULL and content:
        faults.append("a NULL has content")
    elif tag == OID and (not content or content[-1] >= 0x80 or re.search(rb"(^|[\x00-\x7f])\x80", content)):
        faults.append("an OBJECT IDENTIFIER is not written in the shortest way")
    elif tag == SET and [child.encode() for child in element.children] != sorted(
            child.encode() for child in element.children):
        faults.append("a SET OF is not in order")
    elif tag == SEQUENCE and len(element.children) in (2, 3) and element[0].tag == OID and element[-1].tag == OCTET_STRING:
        try:  # Extension, or ResponseBytes of OCSP: the octets contain DER again
            inside, rest = _take(element[-1].content, faults, depth + 1)
            if rest:
                faults.append("octets behind what stands in an OCTET STRING")
        except Broken as broken:
            faults.append(f"in an OCTET STRING: {broken}")


def oid_text(content):
    """2.5.4.3 for 55 04 03."""
    numbers, number = [], 0
    for octet in content:
        number = number << 7 | octet & 0x7F
        if octet < 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def oid_content(text):
    first, second, *rest = map(int, text.split("."))
    octets = b""
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        octets += bytes(reversed(groups))
    return octets


# Making elements

def sequence(*children):
    return Element(SEQUENCE, children=list(children))


def tagged(tag, *children):
    return Element(tag, children=list(children))


def number(value):
    return Element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def identifier(text):
    return Element(OID, oid_content(text))
