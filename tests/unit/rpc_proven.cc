#include <cstdint>

#include <catch2/catch.hpp>

#include "capf/rpc/admission/proven.h"

using namespace capf;

namespace {
Sha256 leaf(std::uint8_t number) {
  Sha256 sha256{};
  sha256[0] = number;
  return sha256;
}
}  // namespace

TEST_CASE("a certificate is proven from when it is added until it is forgotten") {
  rpc::ProvenCertificates proven(100);
  CHECK_FALSE(proven.contains(leaf(1)));
  proven.add(leaf(1));
  CHECK(proven.contains(leaf(1)));
  CHECK_FALSE(proven.contains(leaf(2)));
  proven.forget(leaf(1));
  CHECK_FALSE(proven.contains(leaf(1)));
}

TEST_CASE("of too many proven certificates those are forgotten that proved nothing lately") {
  rpc::ProvenCertificates proven(4);
  for (const std::uint8_t number : {1, 2, 3, 4}) proven.add(leaf(number));
  for (const std::uint8_t number : {1, 2, 3, 4}) CHECK(proven.contains(leaf(number)));
  proven.add(leaf(1));
  CHECK(proven.contains(leaf(1)));
  proven.add(leaf(5));
  CHECK(proven.contains(leaf(1)));
  CHECK(proven.contains(leaf(5)));
  CHECK_FALSE(proven.contains(leaf(2)));
}
