#pragma once

#include <array>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/ca/asn1.h"

// Octets of DER that get past the first length are rare among random ones. Fuzzers of DER take a few octets of options
// and then elements one after the other; der.cc, linked into them alone, mutates the tree and writes its lengths again.

namespace capf::fuzz {

inline constexpr std::size_t kOptions = 4;

struct DerInput {
  std::array<std::uint8_t, kOptions> options{};
  std::vector<BytesView> elements;  ///< the last one may be no DER
};

inline DerInput read_input(BytesView data) {
  DerInput input;
  const std::size_t options = std::min(data.size(), kOptions);
  std::copy_n(data.begin(), options, input.options.begin());
  BytesView rest = data.subspan(options);
  while (!rest.empty()) {
    const auto element = ca::DerReader(rest).next();
    input.elements.push_back(element ? element->whole : rest);
    rest = rest.subspan(input.elements.back().size());
  }
  return input;
}

/// Of so many octets, shortest form.
inline void append_length(Bytes& der, std::size_t length) {
  if (length < 0x80) {
    der.push_back(static_cast<std::uint8_t>(length));
    return;
  }
  int octets = 1;
  while (length >> (8 * octets) != 0) ++octets;
  der.push_back(static_cast<std::uint8_t>(0x80 | octets));
  while (octets-- > 0) der.push_back(static_cast<std::uint8_t>(length >> (8 * octets)));
}

inline Bytes make_element(std::uint8_t tag, BytesView content) {
  Bytes der{tag};
  append_length(der, content.size());
  der.insert(der.end(), content.begin(), content.end());
  return der;
}

/// The same certificate, request or CRL with another signature: `sign` makes one over the signed part. Nothing unless
/// it has the form SEQUENCE { SEQUENCE, SEQUENCE, BIT STRING }.
template <class Sign>
std::optional<Bytes> sign_again(BytesView der, const Sign& sign) {
  const auto whole = ca::DerReader(der).take(ca::kSequence);
  if (!whole) return std::nullopt;
  ca::DerReader parts(whole->content);
  const auto body = parts.take(ca::kSequence);
  const auto algorithm = parts.take(ca::kSequence);
  if (!body || !algorithm) return std::nullopt;
  const Bytes signature = sign(body->whole, algorithm->whole);
  Bytes content(body->whole.begin(), body->whole.end());
  content.insert(content.end(), algorithm->whole.begin(), algorithm->whole.end());
  Bytes bits{0};
  bits.insert(bits.end(), signature.begin(), signature.end());
  const Bytes last = make_element(ca::kBitString, bits);
  content.insert(content.end(), last.begin(), last.end());
  return make_element(ca::kSequence, content);
}

}  // namespace capf::fuzz
