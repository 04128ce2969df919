#include <catch2/catch.hpp>

#include "capf/domain/trust_list.h"

using namespace capf;

TEST_CASE("models that verify nothing else get SHA-1, others and unknown ones SHA-512") {
  for (const char* model : {"CP-7965G", "Cisco 7906", "CP-8961", "CP-9971", "CP-7940"}) {
    CAPTURE(model);
    CHECK(digest_of(FileDigest::kAuto, model) == ListDigest::kSha1);
  }
  for (const char* model : {"CP-7841", "CP-8861", "CP-8865NR", "", "Jabber", "CP-79651", "ATA 191"}) {
    CAPTURE(model);
    CHECK(digest_of(FileDigest::kAuto, model) == ListDigest::kSha512);
  }
}

TEST_CASE("a phone's own digest counts more than its model") {
  CHECK(digest_of(FileDigest::kSha512, "CP-7965G") == ListDigest::kSha512);
  CHECK(digest_of(FileDigest::kSha1, "CP-8861") == ListDigest::kSha1);
}

TEST_CASE("kinds and digests of lists have one spelling") {
  for (const TrustListKind kind : kTrustListKinds) CHECK(parse_trust_list_kind(to_string(kind)) == kind);
  for (const ListDigest digest : kListDigests) CHECK(parse_list_digest(to_string(digest)) == digest);
  CHECK_FALSE(parse_trust_list_kind("ITL"));
  CHECK_FALSE(parse_list_digest("sha256"));
}
