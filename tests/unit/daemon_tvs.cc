#include <catch2/catch.hpp>

#include "capf/daemon/tvs.h"
#include "tests/support/no_database.h"
#include "tests/support/phone_keys.h"

using namespace capf;
using namespace capf::test;

namespace {

/// A server with the keys of a site, and a database that is away.
struct Sources {
  Sources() { keys.add_all(); }

  PhoneKeysInMemory keys;
  NoDatabase database;
  service::TrustedCertificates others{database};
  service::HighWater high_water;
  SystemClock clock;
  daemon::VouchedCertificates source{others, keys, high_water, clock};
};

}  // namespace

TEST_CASE("TVS vouches for each certificate of this server's own that phones are to trust, in its role") {
  Sources sources;
  for (const service::OwnCertificate& own : sources.keys.own) {
    CAPTURE(own.name);
    const auto found = sources.source.find_by_digest(sha256(own.der)).value();
    REQUIRE(found);
    CHECK(found->der == own.der);
    CHECK(found->roles == own.roles);
    CHECK_FALSE(found->withdrawn);
    const auto facts = ca::read_certificate(own.der).value();
    CHECK(found->issuer == facts.issuer);
    CHECK(found->not_after == facts.not_after);
  }
  // The record is asked about any other.
  const Bytes other = read_der("phone-files/certs/ccm.crt");
  CHECK(sources.source.find_by_digest(sha256(other)).error().reason == Reason::kDatabaseUnavailable);
}

TEST_CASE("TVS answers nothing from a database that is behind") {
  Sources sources;
  sources.high_water.report(sources.high_water.epoch(), "seals", "seal 7");
  const Bytes& own = sources.keys.own.front().der;
  CHECK(sources.source.find_by_digest(sha256(own)).error().reason == Reason::kDatabaseBehind);
  const Bytes serial = ca::read_certificate(own).value().serial;
  CHECK(sources.source.find_by_serial(serial).error().reason == Reason::kDatabaseBehind);
}
