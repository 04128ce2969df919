#include <string>

#include <catch2/catch.hpp>

#include "capf/rpc/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

using capf::Error;
using capf::Reason;
using capf::rpc::to_grpc;
using capf::rpc::to_utf8;

namespace {

struct Details {
  google::rpc::Status status;
  google::rpc::ErrorInfo info;
  bool retry = false;
};

Details details_of(const grpc::Status& status) {
  Details details;
  REQUIRE(details.status.ParseFromString(status.error_details()));
  REQUIRE(details.status.details_size() >= 1);
  REQUIRE(details.status.details(0).UnpackTo(&details.info));
  if (details.status.details_size() > 1) {
    google::rpc::RetryInfo retry;
    REQUIRE(details.status.details(1).UnpackTo(&retry));
    details.retry = retry.retry_delay().seconds() == 1;
  }
  return details;
}

}  // namespace

TEST_CASE("each code of ours is the code of gRPC that says the same") {
  struct Row {
    Reason reason;
    grpc::StatusCode code;
    bool retry;
  };
  const Row rows[] = {
      {Reason::kInvalidDeviceName, grpc::INVALID_ARGUMENT, false},
      {Reason::kAuthenticationFailed, grpc::UNAUTHENTICATED, false},
      {Reason::kRoleDenied, grpc::PERMISSION_DENIED, false},
      {Reason::kUnknownDevice, grpc::NOT_FOUND, false},
      {Reason::kDeviceExists, grpc::ALREADY_EXISTS, false},
      {Reason::kDeadlinePassed, grpc::FAILED_PRECONDITION, false},
      {Reason::kChangedMeanwhile, grpc::ABORTED, true},
      {Reason::kDatabaseUnavailable, grpc::UNAVAILABLE, true},
      {Reason::kShuttingDown, grpc::UNAVAILABLE, true},
      {Reason::kOverloaded, grpc::RESOURCE_EXHAUSTED, true},
      {Reason::kCommitInDoubt, grpc::UNAVAILABLE, true},
      {Reason::kInternal, grpc::INTERNAL, false},
  };
  for (const Row& row : rows) {
    CAPTURE(to_string(row.reason));
    const grpc::Status status = to_grpc(Error{row.reason, "some words", ""});
    CHECK(status.error_code() == row.code);
    CHECK(status.error_message() == "some words");
    const Details details = details_of(status);
    CHECK(details.status.code() == row.code);
    CHECK(details.status.message() == "some words");
    CHECK(details.info.reason() == to_string(row.reason));
    CHECK(details.info.domain() == "capf");
    CHECK(details.retry == row.retry);
  }
}

TEST_CASE("the cause of a fault stays in the server") {
  const grpc::Status status = to_grpc(capf::fail_internal("password=hunter2").value());
  CHECK(status.error_message() == "internal error");
  CHECK(status.error_details().find("hunter2") == std::string::npos);
}

TEST_CASE("words that are too long for a trailer are cut between characters") {
  std::string words;
  for (int i = 0; i < 1000; ++i) words += "\xC3\xA9";
  const grpc::Status status = to_grpc(Error{Reason::kDeviceExists, words, ""});
  CHECK(status.error_message().size() == 1000);
  CHECK(status.error_message() == words.substr(0, 1000));
}

TEST_CASE("text that is not UTF-8 becomes text that protobuf takes") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(to_utf8("CN=M\xC3\xBCller") == "CN=M\xC3\xBCller");
  CHECK(to_utf8("CN=M\xFCller") == "CN=M" + bad + "ller");
  CHECK(to_utf8("a\nb") == "a" + bad + "b");
  CHECK(to_utf8(std::string_view("a\0b", 3)) == "a" + bad + "b");
  CHECK(to_utf8("\xC0\x80") == bad + bad);                      // longer than it needs
  CHECK(to_utf8("\xED\xA0\x80") == bad + bad + bad);            // a surrogate
  CHECK(to_utf8("\xF4\x90\x80\x80") == bad + bad + bad + bad);  // above U+10FFFF
  CHECK(to_utf8("\xF0\x9F\x93\x9E") == "\xF0\x9F\x93\x9E");
  CHECK(to_utf8("\xE2\x82") == bad + bad);  // cut off
}
