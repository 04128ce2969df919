#include <array>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <catch2/catch.hpp>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include "capf/rpc/access.h"
#include "capf/v1/access.pb.h"
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

// The same table as the options in the .proto files, written a second time: a letter for each role that may.
// a admin, o operator, u auditor, m monitor
const std::map<std::string, std::string> kExpected{
    {"capf.v1.PhoneService/GetPendingOperation", ""},
    {"capf.v1.PhoneService/IssueCertificate", ""},
    {"capf.v1.PhoneService/ConfirmCertificate", ""},
    {"capf.v1.PhoneService/DeleteCertificate", ""},
    {"capf.v1.PhoneService/HandOverCertificates", ""},
    {"capf.v1.PhoneService/ReportFailure", ""},
    {"capf.v1.PhoneService/Enrol", ""},
    {"capf.v1.AdminService/AddPhones", "ao"},
    {"capf.v1.AdminService/ListPhones", "aou"},
    {"capf.v1.AdminService/SelectPhones", "aou"},
    {"capf.v1.AdminService/ChangePhones", "ao"},
    {"capf.v1.AdminService/CheckImport", "ao"},
    {"capf.v1.AdminService/ImportPhones", "ao"},
    {"capf.v1.AdminService/GetPhone", "aou"},
    {"capf.v1.AdminService/RemovePhone", "ao"},
    {"capf.v1.AdminService/BlockPhone", "ao"},
    {"capf.v1.AdminService/UnblockPhone", "ao"},
    {"capf.v1.AdminService/UnlockPhone", "ao"},
    {"capf.v1.AdminService/TracePhone", "ao"},
    {"capf.v1.AdminService/RemovePhones", "ao"},
    {"capf.v1.AdminService/BlockPhones", "ao"},
    {"capf.v1.AdminService/UnblockPhones", "ao"},
    {"capf.v1.AdminService/UnlockPhones", "ao"},
    {"capf.v1.AdminService/TracePhones", "ao"},
    {"capf.v1.AdminService/AddProfile", "a"},
    {"capf.v1.AdminService/SetProfile", "a"},
    {"capf.v1.AdminService/RenameProfile", "a"},
    {"capf.v1.AdminService/RemoveProfile", "a"},
    {"capf.v1.AdminService/ListProfiles", "aou"},
    {"capf.v1.AdminService/GetProfile", "aou"},
    {"capf.v1.AdminService/ApplyProfile", "ao"},
    {"capf.v1.AdminService/ChangePhoneSettings", "ao"},
    {"capf.v1.AdminService/GetEffectiveSettings", "aou"},
    {"capf.v1.AdminService/SetSecurityMode", "a"},
    {"capf.v1.AdminService/GetTrustLists", "aou"},
    {"capf.v1.AdminService/ListTrustLists", "aou"},
    {"capf.v1.AdminService/BuildTrustLists", "a"},
    {"capf.v1.AdminService/ExportTrustList", "aou"},
    {"capf.v1.AdminService/ServeTrustList", "ao"},
    {"capf.v1.AdminService/ReleaseTrustLists", "a"},
    {"capf.v1.AdminService/ActivateTrustedCertificate", "a"},
    {"capf.v1.AdminService/ReplaceListSigner", "a"},
    {"capf.v1.AdminService/ListLimitedAddresses", "aou"},
    {"capf.v1.AdminService/UnlockAddress", "ao"},
    {"capf.v1.AdminService/AddLine", "ao"},
    {"capf.v1.AdminService/ListLines", "aou"},
    {"capf.v1.AdminService/GetLine", "aou"},
    {"capf.v1.AdminService/RemoveLine", "ao"},
    {"capf.v1.AdminService/AddDigestUsers", "ao"},
    {"capf.v1.AdminService/CheckDigestUsers", "ao"},
    {"capf.v1.AdminService/SetDigestPassword", "ao"},
    {"capf.v1.AdminService/ListDigestUsers", "aou"},
    {"capf.v1.AdminService/GetDigestUser", "aou"},
    {"capf.v1.AdminService/RevealDigestPassword", "a"},
    {"capf.v1.AdminService/RemoveDigestUser", "ao"},
    {"capf.v1.AdminService/ExportDigestUsers", "a"},
    {"capf.v1.AdminService/ExportFiles", "a"},
    {"capf.v1.AdminService/SignFile", "a"},
    {"capf.v1.AdminService/SetPhoneDigestUser", "ao"},
    {"capf.v1.AdminService/LoginPhone", "ao"},
    {"capf.v1.AdminService/LogoutPhone", "ao"},
    {"capf.v1.AdminService/ScheduleOperations", "ao"},
    {"capf.v1.AdminService/ListOperations", "aou"},
    {"capf.v1.AdminService/GetOperation", "aou"},
    {"capf.v1.AdminService/CancelOperation", "ao"},
    {"capf.v1.AdminService/ScheduleSelection", "ao"},
    {"capf.v1.AdminService/CancelSelection", "ao"},
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
    {"capf.v1.AdminService/ImportConfigurations", "ao"},
    {"capf.v1.AdminService/RemoveConfigurations", "ao"},
    {"capf.v1.AdminService/GetConfiguration", "aou"},
    {"capf.v1.AdminService/CheckConfigurations", "aou"},
    {"capf.v1.AdminService/ExportConfiguration", "ao"},
    {"capf.v1.AdminService/CreateCampaign", "ao"},
    {"capf.v1.AdminService/AddCampaignPhones", "ao"},
    {"capf.v1.AdminService/StartCampaign", "ao"},
    {"capf.v1.AdminService/ListCampaigns", "aou"},
    {"capf.v1.AdminService/GetCampaign", "aou"},
    {"capf.v1.AdminService/PauseCampaign", "ao"},
    {"capf.v1.AdminService/ResumeCampaign", "ao"},
    {"capf.v1.AdminService/CancelCampaign", "ao"},
    {"capf.v1.AdminService/WatchCampaign", "aoum"},
    {"capf.v1.AdminService/AddTrustedCertificate", "a"},
    {"capf.v1.AdminService/ListTrustedCertificates", "au"},
    {"capf.v1.AdminService/RemoveTrustedCertificate", "a"},
    {"capf.v1.AdminService/AddTrustedParty", "a"},
    {"capf.v1.AdminService/ListTrustedParties", "au"},
    {"capf.v1.AdminService/RemoveTrustedParty", "a"},
    {"capf.v1.AdminService/AddAdministrator", "a"},
    {"capf.v1.AdminService/ListAdministrators", "au"},
    {"capf.v1.AdminService/DisableAdministrator", "a"},
    {"capf.v1.AdminService/RenewAdministrator", "aoum"},
    {"capf.v1.AdminService/EnableAdministrator", "a"},
    {"capf.v1.AdminService/ChangeAdministrator", "a"},
    {"capf.v1.AdminService/ListPhoneHistory", "aou"},
    {"capf.v1.AdminService/MovePhones", "a"},
    {"capf.v1.AdminService/ListAudit", "au"},
    {"capf.v1.AdminService/ListSeals", "au"},
    {"capf.v1.MonitorService/ListPending", "aoum"},
    {"capf.v1.MonitorService/GetSummary", "aoum"},
    {"capf.v1.MonitorService/GetReadiness", "aoum"},
    {"capf.v1.MonitorService/ClassifyCall", "aoum"},
    {"capf.v1.MonitorService/WatchOperations", "aoum"},
    {"capf.v1.MonitorService/WatchSecurity", "aoum"},
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

AccessTable table_of_this_program() {
  auto table = AccessTable::read(*google::protobuf::DescriptorPool::generated_pool(), kGuardedServices);
  REQUIRE(table);
  return *std::move(table);
}

// A service "test.Service" with two methods. The second one is a good one.
class Described {
 public:
  Described() {
    file_.set_name("test.proto");
    file_.set_package("test");
    file_.set_syntax("proto3");
    file_.add_dependency("capf/v1/access.proto");
    file_.add_message_type()->set_name("Message");
    auto& service = *file_.add_service();
    service.set_name("Service");
    for (const char* name : {"First", "Second"}) {
      auto& method = *service.add_method();
      method.set_name(name);
      method.set_input_type(".test.Message");
      method.set_output_type(".test.Message");
      capf::v1::Access& access = option(service.method_size() - 1);
      access.set_action(std::string("test.") + name);
      access.set_effect(capf::v1::Access::CHANGES);
      access.add_callers(capf::v1::Access::ADMIN);
    }
  }
  capf::v1::Access& option(int method = 0) {
    return *file_.mutable_service(0)->mutable_method(method)->mutable_options()->MutableExtension(capf::v1::access);
  }
  void remove_option() { file_.mutable_service(0)->mutable_method(0)->clear_options(); }
  capf::Result<AccessTable> read(const char* service = "test.Service") const {
    google::protobuf::DescriptorPool pool(google::protobuf::DescriptorPool::generated_pool());
    REQUIRE(pool.BuildFile(file_) != nullptr);
    return AccessTable::read(pool, std::array{service});
  }
  std::string fault() const {
    const auto table = read();
    REQUIRE_FALSE(table);
    CHECK(table.error().reason == Reason::kInternal);
    return table.error().message;
  }

 private:
  google::protobuf::FileDescriptorProto file_;
};

}  // namespace

TEST_CASE("each role may call what the table says and nothing else") {
  const AccessTable table = table_of_this_program();
  for (const std::string& method : every_method()) {
    CAPTURE(method);
    REQUIRE(kExpected.contains(method));
    const Access* access = table.find(method);
    REQUIRE(access != nullptr);
    CHECK(access->method == method);
    for (const auto& [role, letter] : kLetters) {
      CAPTURE(letter);
      const bool expected = kExpected.at(method).find(letter) != std::string::npos;
      const auto answer = may_call(*access, role);
      CHECK(answer.has_value() == expected);
      if (!answer) CHECK(answer.error().reason == Reason::kRoleDenied);
    }
  }
}

TEST_CASE("the table has every method of the descriptors and no other") {
  const AccessTable table = table_of_this_program();
  std::set<std::string> in_table;
  for (const Access& row : table.rows()) CHECK(in_table.insert(row.method).second);
  CHECK(in_table == every_method());
}

TEST_CASE("phones alone may call the methods of PhoneService, and everybody reflection") {
  const AccessTable table = table_of_this_program();
  for (const Access& row : table.rows()) {
    CAPTURE(row.method);
    CHECK((row.callers == Callers::kPhones) == row.method.starts_with("capf.v1.PhoneService/"));
    CHECK((row.callers == Callers::kEverybody) == row.method.starts_with("grpc.reflection."));
  }
}

TEST_CASE("a method that nobody thought of is nobody's") {
  const AccessTable table = table_of_this_program();
  for (const char* method : {"capf.v1.AdminService/Shutdown", "", "/capf.v1.AdminService/ListPhones",
                             "capf.v1.AdminService/listphones", "capf.v1.AdminService/", "~"}) {
    CAPTURE(method);
    CHECK(table.find(method) == nullptr);
  }
}

TEST_CASE("what changes something is told from what reads, and each has a name that the record takes") {
  const AccessTable table = table_of_this_program();
  std::set<std::string_view> actions;
  for (const Access& row : table.rows()) {
    CAPTURE(row.method);
    const auto name = row.method.substr(row.method.find('/') + 1);
    const bool reads = name.starts_with("List") || name.starts_with("Get") || name.starts_with("Watch") ||
                       name.starts_with("Check") || name.starts_with("Verify") || name.starts_with("Classify") ||
                       name.starts_with("Select") || name.starts_with("ServerReflection") ||
                       name == "ExportTrustList" || name == "ExportConfiguration";  // they hold nothing secret
    CHECK((row.effect == Effect::kReads) == reads);
    CHECK(std::regex_match(row.action, std::regex("[a-z_]+\\.[a-z_]+")));
    CHECK(actions.insert(row.action).second);
  }
}

TEST_CASE("the option of a method becomes its row") {
  Described described;
  described.option().set_effect(capf::v1::Access::TAKES_BACK);
  described.option().add_callers(capf::v1::Access::MONITOR);
  const auto table = described.read();
  REQUIRE(table);
  REQUIRE(table->rows().size() == 2);
  const Access* access = table->find("test.Service/First");
  REQUIRE(access != nullptr);
  CHECK(access->action == "test.First");
  CHECK(access->effect == Effect::kTakesBack);
  CHECK(access->callers == (Callers::kAdmin | Callers::kMonitor));
  CHECK(access->short_name() == "Service/First");
}

TEST_CASE("a method without an option, or with one that contradicts itself, has no table") {
  using Option = capf::v1::Access;
  Described described;
  Option& option = described.option();
  SECTION("none") {
    described.remove_option();
    CHECK(described.fault() == "the method test.Service/First has no option (capf.v1.access)");
  }
  SECTION("no action") {
    option.clear_action();
    CHECK(described.fault() == "the method test.Service/First has an option without an action");
  }
  SECTION("another method's action") {
    option.set_action(described.option(1).action());
    CHECK(described.fault() ==
          "the method test.Service/Second has the action test.Second, which is that of test.Service/First");
  }
  SECTION("no effect") {
    option.clear_effect();
    CHECK(described.fault() == "the method test.Service/First has an option without an effect, or with an unknown one");
  }
  SECTION("no caller") {
    option.clear_callers();
    CHECK(described.fault() == "the method test.Service/First has an option without a caller");
  }
  SECTION("an unspecified caller") {
    option.add_callers(Option::CALLER_UNSPECIFIED);
    CHECK(described.fault() == "the method test.Service/First has an option with an unknown caller");
  }
  SECTION("an unknown caller") {
    option.add_callers(static_cast<Option::Caller>(77));
    CHECK(described.fault() == "the method test.Service/First has an option with an unknown caller");
  }
  SECTION("a caller twice") {
    option.add_callers(Option::ADMIN);
    CHECK(described.fault() == "the method test.Service/First has an option that names a caller twice");
  }
  SECTION("everybody and a role") {
    option.add_callers(Option::EVERYBODY);
    CHECK(described.fault() == "the method test.Service/First has an option that names a caller twice");
  }
  SECTION("a phone and a role") {
    option.add_callers(Option::PHONE);
    CHECK(described.fault() == "the method test.Service/First has an option that names a phone beside a role");
  }
  SECTION("no service") { CHECK(described.read("test.Other").error().message == "there is no service test.Other"); }
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
