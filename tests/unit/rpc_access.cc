#include <map>
#include <regex>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "capf/rpc/access.h"
#include "capf/v1/admin.pb.h"
#include "capf/v1/monitor.pb.h"
#include "capf/v1/phone.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"

using capf::AuthMode;
using capf::Reason;
using capf::Role;
using namespace capf::rpc;

namespace {

// The same table as capf/rpc/access.h, written a second time: a letter for each role that may.
// a admin, o operator, u auditor, m monitor
const std::map<std::string, std::string> kExpected{
    {"capf.v1.PhoneService/GetPendingOperation", ""},
    {"capf.v1.PhoneService/IssueCertificate", ""},
    {"capf.v1.PhoneService/ConfirmCertificate", ""},
    {"capf.v1.PhoneService/DeleteCertificate", ""},
    {"capf.v1.PhoneService/HandOverCertificates", ""},
    {"capf.v1.PhoneService/ReportFailure", ""},
    {"capf.v1.AdminService/AddPhones", "ao"},
    {"capf.v1.AdminService/ListPhones", "aou"},
    {"capf.v1.AdminService/GetPhone", "aou"},
    {"capf.v1.AdminService/RemovePhone", "ao"},
    {"capf.v1.AdminService/BlockPhone", "ao"},
    {"capf.v1.AdminService/UnblockPhone", "ao"},
    {"capf.v1.AdminService/UnlockPhone", "ao"},
    {"capf.v1.AdminService/TracePhone", "ao"},
    {"capf.v1.AdminService/ListLimitedAddresses", "aou"},
    {"capf.v1.AdminService/UnlockAddress", "ao"},
    {"capf.v1.AdminService/ScheduleOperations", "ao"},
    {"capf.v1.AdminService/ListOperations", "aou"},
    {"capf.v1.AdminService/GetOperation", "aou"},
    {"capf.v1.AdminService/CancelOperation", "ao"},
    {"capf.v1.AdminService/ListCertificates", "aou"},
    {"capf.v1.AdminService/GetCertificate", "aou"},
    {"capf.v1.AdminService/RevokeCertificates", "ao"},
    {"capf.v1.AdminService/SelectCertificates", "aou"},
    {"capf.v1.AdminService/RevokeSelection", "ao"},
    {"capf.v1.AdminService/RevokeKey", "ao"},
    {"capf.v1.AdminService/ReleaseCertificates", "ao"},
    {"capf.v1.AdminService/BlockCertificates", "ao"},
    {"capf.v1.AdminService/UnblockCertificate", "ao"},
    {"capf.v1.AdminService/ListBlockedCertificates", "aou"},
    {"capf.v1.AdminService/VerifyCertificates", "au"},
    {"capf.v1.AdminService/ListIssuers", "aou"},
    {"capf.v1.AdminService/GetIssuer", "aou"},
    {"capf.v1.AdminService/AddIssuer", "a"},
    {"capf.v1.AdminService/ActivateIssuer", "a"},
    {"capf.v1.AdminService/RetireIssuer", "a"},
    {"capf.v1.AdminService/GetSite", "au"},
    {"capf.v1.AdminService/RecoverSite", "a"},
    {"capf.v1.AdminService/AddAnchors", "a"},
    {"capf.v1.AdminService/ListAnchors", "au"},
    {"capf.v1.AdminService/ListTrustCandidates", "aou"},
    {"capf.v1.AdminService/RemoveAnchor", "a"},
    {"capf.v1.AdminService/AddAdministrator", "a"},
    {"capf.v1.AdminService/ListAdministrators", "au"},
    {"capf.v1.AdminService/DisableAdministrator", "a"},
    {"capf.v1.AdminService/ListAudit", "au"},
    {"capf.v1.AdminService/ListSeals", "au"},
    {"capf.v1.MonitorService/ListPending", "aoum"},
    {"capf.v1.MonitorService/GetSummary", "aoum"},
    {"capf.v1.MonitorService/GetReadiness", "aoum"},
    {"capf.v1.MonitorService/WatchOperations", "aoum"},
    {"grpc.health.v1.Health/Check", "aoum"},
    {"grpc.health.v1.Health/Watch", "aoum"},
    {"grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "aoum"},
};

const std::map<Role, char> kLetters{
    {Role::kAdmin, 'a'}, {Role::kOperator, 'o'}, {Role::kAuditor, 'u'}, {Role::kMonitor, 'm'}};

std::set<std::string> methods_of(const google::protobuf::FileDescriptor& file) {
  std::set<std::string> names;
  for (int s = 0; s < file.service_count(); ++s) {
    const auto& service = *file.service(s);
    for (int m = 0; m < service.method_count(); ++m) {
      names.insert(service.full_name() + "/" + service.method(m)->name());
    }
  }
  return names;
}

std::set<std::string> every_method() {
  std::set<std::string> all;
  for (const auto* file :
       {capf::v1::GetPendingOperationRequest::descriptor()->file(), capf::v1::AddPhonesRequest::descriptor()->file(),
        capf::v1::ListPendingRequest::descriptor()->file(), grpc::health::v1::HealthCheckRequest::descriptor()->file(),
        grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()->file()}) {
    all.merge(methods_of(*file));
  }
  return all;
}

}  // namespace

TEST_CASE("each role may call what the table says and nothing else") {
  for (const std::string& method : every_method()) {
    CAPTURE(method);
    REQUIRE(kExpected.contains(method));
    for (const auto& [role, letter] : kLetters) {
      CAPTURE(letter);
      const bool expected = kExpected.at(method).find(letter) != std::string::npos;
      const auto answer = may_call(method, role);
      CHECK(answer.has_value() == expected);
      if (!answer) CHECK(answer.error().reason == Reason::kRoleDenied);
    }
  }
}

TEST_CASE("the table has every method of the descriptors and no other") {
  std::set<std::string> in_table;
  for (const Access& row : kAccessTable) CHECK(in_table.insert(std::string(row.method)).second);
  CHECK(in_table == every_method());
}

TEST_CASE("phones may call the methods of PhoneService and reflection") {
  for (const Access& row : kAccessTable) {
    CAPTURE(row.method);
    const bool expected = row.method.starts_with("capf.v1.PhoneService/") || row.method.starts_with("grpc.reflection.");
    CHECK(includes(row.callers, Callers::kPhones) == expected);
  }
}

TEST_CASE("a method that nobody thought of is nobody's") {
  for (const auto& [role, letter] : kLetters) {
    CHECK_FALSE(may_call("capf.v1.AdminService/Shutdown", role));
    CHECK_FALSE(may_call("", role));
    CHECK_FALSE(may_call("/capf.v1.AdminService/ListPhones", role));
  }
  CHECK(find_access("capf.v1.AdminService/listphones") == nullptr);
}

TEST_CASE("what changes something is told from what reads, and each has a name that the record takes") {
  std::set<std::string_view> actions;
  for (const Access& row : kAccessTable) {
    CAPTURE(row.method);
    const auto name = row.method.substr(row.method.find('/') + 1);
    const bool reads = name.starts_with("List") || name.starts_with("Get") || name.starts_with("Watch") ||
                       name.starts_with("Check") || name.starts_with("Verify") || name.starts_with("Select") ||
                       name.starts_with("ServerReflection");
    CHECK((row.effect == Effect::kReads) == reads);
    CHECK(std::regex_match(std::string(row.action), std::regex("[a-z_]+\\.[a-z_]+")));
    CHECK(actions.insert(row.action).second);
  }
}

TEST_CASE("null string is scheduled by the role admin alone") {
  CHECK(may_schedule(Role::kAdmin, AuthMode::kNull));
  for (const Role role : {Role::kOperator, Role::kAuditor, Role::kMonitor}) {
    CHECK(may_schedule(role, AuthMode::kNull).error().reason == Reason::kRoleDenied);
  }
  for (const AuthMode mode : {AuthMode::kString, AuthMode::kLsc, AuthMode::kMic}) {
    CHECK(may_schedule(Role::kOperator, mode));
  }
}
