#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <botan/pkcs8.h>
#include <grpcpp/grpcpp.h>

#include "capf/domain/administrator_store.h"
#include "capf/rpc/server.h"
#include "capf/service/administrators.h"
#include "capf/service/calls.h"
#include "capf/service/campaigns.h"
#include "capf/service/checker.h"
#include "capf/service/configurations.h"
#include "capf/service/file_exports.h"
#include "capf/service/monitor.h"
#include "capf/service/moving.h"
#include "capf/service/records.h"
#include "capf/service/recovery.h"
#include "capf/service/trust_lists.h"
#include "capf/service/trusted_certificates.h"
#include "capf/v1/admin.grpc.pb.h"
#include "capf/v1/monitor.grpc.pb.h"
#include "capf/v1/phone.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/folder.h"
#include "tests/support/marks.h"
#include "tests/support/phone_keys.h"
#include "tests/support/site.h"

namespace capf::test {

/// A key with a certificate: of its own making, or under the site CA; an administrator's once it is on record.
struct Identity {
  Identity(const std::string& name, const ca::SiteAuthority& authority) {
    const PhoneKey key;
    der = must(ca::make_administrator_certificate(authority, key.botan().subject_public_key(), name,
                                                  SystemClock().now(), std::chrono::hours{24}, Botan::system_rng()));
    certificate_pem = ca::to_pem(der);
    key_pem = Botan::PKCS8::PEM_encode(key.botan());
  }
  explicit Identity(const std::string& name) {
    const PhoneKey key;
    Botan::X509_Cert_Options options(name + "/XX/Tests");
    const auto now = std::chrono::system_clock::now();
    options.start = Botan::X509_Time(now - std::chrono::hours{1});
    options.end = Botan::X509_Time(now + std::chrono::hours{24});
    const auto certificate = Botan::X509::create_self_signed_cert(options, key.botan(), "SHA-256", Botan::system_rng());
    der = certificate.BER_encode();
    certificate_pem = certificate.PEM_encode();
    key_pem = Botan::PKCS8::PEM_encode(key.botan());
  }
  Bytes der;
  std::string certificate_pem;
  std::string key_pem;
};

/// A site with both servers.
struct Servers {
  Servers() {
    for (const Role role : kRoles) enlist(role);
  }

  /// @param window octets that the server may send in a call before the client reads; 0: gRPC's own
  std::shared_ptr<grpc::Channel> channel(const rpc::Server& server, const Identity* client, int window = 0) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca::to_pem(site_certificate);
    if (client != nullptr) {
      options.pem_cert_chain = client->certificate_pem;
      options.pem_private_key = client->key_pem;
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("localhost");
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    if (window > 0) {
      arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, window);
      arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    }
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server.port()), grpc::SslCredentials(options),
                                     arguments);
  }
  auto phones(const Identity* client = nullptr) const { return v1::PhoneService::NewStub(channel(*phone, client)); }
  auto administration(const Identity* client) const { return v1::AdminService::NewStub(channel(*admin, client)); }
  auto monitoring(const Identity* client) const { return v1::MonitorService::NewStub(channel(*admin, client)); }
  auto health(const Identity* client) const { return grpc::health::v1::Health::NewStub(channel(*admin, client)); }

  /// Under the site CA; on record nowhere.
  Identity identity(const std::string& name) const { return {name, {*site_key, site_certificate}}; }
  const Identity& of(Role role) const { return administrators_by_role.at(role); }

  Site site;
  SystemClock clock;
  Metrics metrics;
  std::unique_ptr<ca::SigningKey> site_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  Bytes site_certificate = must(ca::make_site_ca(*site_key, {"CN=Site CA", clock.now()}, Botan::system_rng()));
  service::Administrators administrators{site.database(), *site_key,      site_certificate,   clock,
                                         site.high_water, site.blacklist, Botan::system_rng()};
  service::Records records{site.database()};
  service::Campaigns campaigns{site.database(), Botan::system_rng()};
  service::Moving moving{site.database(), site.policy, site.operations};
  service::Checker checker{site.database(), "test"};
  service::Calls calls{site.database(), site.high_water, metrics};
  service::TrustedCertificates trusted_certificates{site.database()};
  FileSignerAlone phone_keys;
  service::TrustLists trust_lists{site.database(), phone_keys,          site.policy,
                                  site.high_water, Botan::system_rng(), clock};
  service::StaticFiles statics{
      {}, [] { return std::shared_ptr<const service::PhoneKey>(); }, Botan::system_rng(), clock};
  service::FileExports file_exports{site.database(), statics, statics};
  service::Configurations configurations{site.database(), site.vault(),        phone_keys, site.policy,
                                         site.high_water, Botan::system_rng(), clock,      {.capf = {"capf.example"}}};
  service::OwnCertificates own;
  service::RecordState record;
  service::CrlState crls;
  service::Monitor monitor{site.database(), clock, site.issuer_keys(), site.high_water, record, crls, own, {}};
  rpc::Readiness readiness{monitor};
  Folder folder;
  std::unique_ptr<service::PublishedCrls> published = must(service::PublishedCrls::open(folder.path() / "crls"));
  MarksInMemory marks;
  std::unique_ptr<ca::SigningKey> audit_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  service::SiteClock site_clock{clock, TimePoint()};
  service::Sealer sealer{site.database(), *audit_key, marks,  site.high_water,
                         record,          site_clock, "test", Botan::system_rng()};
  LinesInMemory lines;
  service::Journal journal{site.database(), lines, site.high_water};
  Secret recovery_word{std::string_view("word of the machine")};
  std::vector<rpc::WireCertificate> wire_certificates;
  service::Recovery recovery{site.database(), *published, marks, site.high_water, site_clock, sealer, journal};
  service::LineSurvey line_survey{site.lines};
  rpc::UseCases use_cases{site.enrolment,
                          site.phones,
                          site.profiles,
                          site.lines,
                          line_survey,
                          site.addresses,
                          site.digest_users,
                          calls,
                          site.operations,
                          campaigns,
                          site.certificates,
                          checker,
                          configurations,
                          site.trust,
                          trusted_certificates,
                          trust_lists,
                          file_exports,
                          moving,
                          site.issuers,
                          administrators,
                          site.authenticator.attempts(),
                          records,
                          recovery,
                          monitor,
                          readiness,
                          metrics,
                          clock,
                          [this] { return wire_certificates; },
                          recovery_word};
  rpc::ListenSettings listen(const char* address) const {
    const auto key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
    const std::string pem =
        ca::to_pem(must(ca::make_server_certificate({*site_key, site_certificate}, key->public_key(), {"localhost"},
                                                    clock.now(), std::chrono::hours{24}, Botan::system_rng())));
    const std::string authority = ca::to_pem(site_certificate);
    return {
        {address}, Bytes(pem.begin(), pem.end()), must(key->private_pem()), Bytes(authority.begin(), authority.end())};
  }
  std::unique_ptr<rpc::Server> phone = must(rpc::Server::start_phone(use_cases, listen("127.0.0.1:0")));
  std::unique_ptr<rpc::Server> admin = must(rpc::Server::start_admin(use_cases, listen("127.0.0.1:0")));

 private:
  void enlist(Role role) {
    const Identity& made = administrators_by_role.emplace(role, identity("administrator")).first->second;
    const Administrator administrator{std::string(to_string(role)),
                                      role,
                                      sha256(made.der),
                                      clock.now() + std::chrono::hours{24},
                                      clock.now(),
                                      "tester",
                                      {}};
    must(site.database().write([&](Transaction& tx) -> Status {
      CAPF_TRY(tx.administrators().add(administrator));
      return {};
    }));
  }
  std::map<Role, Identity> administrators_by_role;
};

inline std::string reason_of(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details().empty()) return "";
  details.details(0).UnpackTo(&info);
  return info.reason();
}

inline grpc::Status list_phones(v1::AdminService::StubInterface& stub) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
  v1::ListPhonesResponse response;
  return stub.ListPhones(&context, {}, &response);
}

}  // namespace capf::test
