#include "capf/daemon/listeners.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "capf/base/contained.h"
#include "capf/base/endpoint.h"
#include "capf/base/log.h"
#include "capf/ca/ocsp.h"
#include "capf/net/tls.h"
#include "capf/web/calls.h"

namespace capf::daemon {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kStatusThreads = 2;
constexpr int kCallConnections = 1024;
constexpr int kCallsOfOnePhone = 8;

/// Leaves an eighth of the places for other addresses.
rpc::Capacity shared_by_addresses(int running, int waiting) {
  const int all = running + waiting;
  return {running, waiting, std::max(1, all - (all + 7) / 8)};
}

rpc::CallLimits call_limits(const Limits& limits) {
  return {
      .known = {limits.calls_in_flight, limits.calls_waiting, kCallsOfOnePhone},
      .strangers = shared_by_addresses(limits.unauthenticated_calls_in_flight, limits.unauthenticated_calls_waiting),
      .enrolments = static_cast<std::size_t>(limits.enrolments)};
}

net::ConnectionLimits connection_limits(const Limits& limits) {
  net::ConnectionLimits connections = rpc::kPhoneConnectionLimits;
  connections.all = static_cast<std::size_t>(limits.connections);
  connections.strangers = static_cast<std::size_t>(limits.unauthenticated_connections);
  connections.strangers_of_one = static_cast<std::size_t>(limits.unauthenticated_connections_per_address);
  return connections;
}

}  // namespace

void Listeners::add_wire(std::unique_ptr<WirePort> port) {
  wire_ = std::move(port);
  endpoints_.wire = dial_address(wire_->addresses());
}

void Listeners::add_tvs(std::unique_ptr<TvsPort> port) {
  tvs_ = std::move(port);
  endpoints_.tvs = dial_address(tvs_->addresses());
}

void Listeners::add_files_tls(std::unique_ptr<FilesTlsPort> port) {
  files_tls_ = std::move(port);
  endpoints_.files_tls = dial_address(files_tls_->addresses());
}

Status Listeners::open_files(const web::LaterRoute& route) {
  const Listener& listener = configuration_.files_listener;
  if (!listener.enabled) return {};
  const auto settings = file_port_settings(configuration_, listener, configuration_.files_port());
  CAPF_LET(files_, web::Server::start_later(settings, route));
  endpoints_.files = dial_address(files_->addresses());
  return {};
}

Status Listeners::open_phone(const rpc::UseCases& use_cases) {
  if (!configuration_.phone.enabled) return {};
  CAPF_LET(auto settings, certificates_.phone_port());
  settings.addresses = with_port(configuration_.phone.addresses, configuration_.phone_port());
  settings.proxies = configuration_.trusted_proxies;
  const Limits& limits = configuration_.limits;
  CAPF_LET(phone_, rpc::Server::start_phone(use_cases, settings, call_limits(limits), connection_limits(limits)));
  endpoints_.phone = dial_address(phone_->addresses());
  return {};
}

Status Listeners::open_admin(const rpc::UseCases& use_cases) {
  if (!configuration_.admin.enabled) return {};
  CAPF_LET(auto settings, certificates_.admin_port());
  settings.addresses = with_port(configuration_.admin.addresses, configuration_.admin_port());
  settings.proxies = configuration_.trusted_proxies;
  CAPF_LET(admin_, rpc::Server::start_admin(use_cases, settings));
  endpoints_.admin = dial_address(admin_->addresses());
  return {};
}

Status Listeners::open_status(const web::Publication& publication) {
  if (!configuration_.status_listener.enabled) return {};
  web::ServerSettings settings;
  settings.addresses = with_port(configuration_.status_listener.addresses, configuration_.status_port());
  settings.loopback_only = false;
  settings.threads = kStatusThreads;
  settings.largest_body = ca::kLargestOcspRequest;
  settings.connections = configuration_.status.connections;
  settings.connections_per_address = configuration_.status.connections_per_address;
  CAPF_LET(status_, web::Server::start_later(settings, web::publication_route(publication)));
  endpoints_.status = dial_address(status_->addresses());
  return {};
}

Status Listeners::open_metrics(const web::Route& route) {
  if (!configuration_.metrics.enabled) return {};
  web::ServerSettings settings;
  settings.addresses = with_port(configuration_.metrics.addresses, configuration_.metrics_port());
  CAPF_LET(metrics_, web::Server::start(settings, route));
  endpoints_.metrics = dial_address(metrics_->addresses());
  return {};
}

Status Listeners::open_calls(const web::LaterRoute& route,
                             std::function<void(const Address& peer, Reason reason)> refused) {
  if (!configuration_.calls.enabled) return {};
  web::ServerSettings settings;
  settings.addresses = with_port(configuration_.calls.addresses, configuration_.calls_port());
  settings.largest_body = web::kLargestCallQuestion;
  settings.connections = kCallConnections;
  settings.connections_per_address = kCallConnections;
  for (const std::string& address : settings.addresses) {
    CAPF_LET(const Endpoint endpoint, Endpoint::parse(address));
    calls_have_tls_ = calls_have_tls_ || !endpoint.is_loopback();
  }
  settings.loopback_only = !calls_have_tls_;
  if (calls_have_tls_) {
    CAPF_LET(settings.tls, calls_tls());
    settings.connections_per_address = kCallConnections - kCallConnections / 8;  // an address may be anybody's
    settings.refused = std::move(refused);
  }
  CAPF_LET(calls_, web::Server::start_later(settings, route));
  endpoints_.calls = dial_address(calls_->addresses());
  return {};
}

Result<std::shared_ptr<const net::TlsContext>> Listeners::calls_tls() const {
  CAPF_LET(auto port, certificates_.admin_port());
  net::TlsSettings tls;
  tls.identities.push_back({std::move(port.certificate_pem), std::move(port.key_pem)});
  tls.client = net::TlsSettings::Client::kRequired;
  tls.client_authorities_pem = std::move(port.client_authorities_pem);
  return net::TlsContext::make(tls);
}

Status Listeners::replace_certificates() {
  if (calls_ && calls_have_tls_) {
    CAPF_LET(auto tls, calls_tls());
    calls_->replace_tls(std::move(tls));
  }
  if (phone_) {
    CAPF_LET(const auto settings, certificates_.phone_port());
    CAPF_TRY(phone_->replace_certificate(settings));
  }
  if (admin_) {
    CAPF_LET(const auto settings, certificates_.admin_port());
    CAPF_TRY(admin_->replace_certificate(settings));
  }
  return {};
}

void Listeners::tick() {
  if (wire_) wire_->tick();
  if (tvs_) tvs_->tick();
  if (files_tls_) files_tls_->tick();
}

void Listeners::stop_calls(milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  const auto stop = [deadline](auto* port) {
    if (port == nullptr) return;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    port->stop(std::max(left, milliseconds{0}));
  };
  std::thread beside;  // the others: one deadline for all
  try {
    beside = std::thread([&] { run_contained("work.failed", [&] { stop(wire_.get()); }); });
  } catch (const std::system_error& error) {
    log_warning("thread.refused", {{"cause", error.what()}, {"words", "the ports are closed one after another"}});
    stop(wire_.get());
  }
  stop(phone_.get());
  stop(admin_.get());
  stop(tvs_.get());
  if (beside.joinable()) beside.join();
}

void Listeners::stop_status() {
  if (status_) status_->stop();
}

void Listeners::stop_calls_port() {
  if (calls_) calls_->stop();
}

void Listeners::stop_files() {
  if (files_) files_->stop();
  if (files_tls_) files_tls_->stop();
}

void Listeners::stop_metrics() {
  if (metrics_) metrics_->stop();
}

}  // namespace capf::daemon
