#include "capf/daemon/files.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>
#include <utility>

#include "capf/base/log.h"
#include "capf/daemon/endpoints.h"
#include "capf/daemon/key_purposes.h"
#include "capf/domain/phone_fetch_store.h"
#include "capf/net/tls.h"

namespace capf::daemon {
namespace {

constexpr int kIoThreads = 2;
constexpr int kMostCounted = 100'000;  // phones behind the present list

/// Each thread may hold a connection of the database's pool, of which others have half.
web::FileDesk::Limits desk_limits(const Configuration& configuration) {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  const int threads = std::min(std::max(2, processors), configuration.database.pool_size / 2);
  return {.threads = std::max(1, threads), .waiting = 2 * configuration.files.connections};
}

service::StaticFiles::Settings static_settings(const Configuration& configuration) {
  service::StaticFiles::Settings settings;
  const FilesSettings& wanted = configuration.files;
  if (!wanted.statics.empty()) settings.folder = configuration.state_directory / wanted.statics;
  if (configuration.policy.files_digest == FileDigest::kSha1) settings.digest = files::Digest::kSha1;
  settings.memory = static_cast<std::size_t>(wanted.memory_mib) * 1024 * 1024;
  return settings;
}

std::vector<service::PhoneFileSource*> with(std::vector<service::PhoneFileSource*> sources,
                                            service::PhoneFileSource& last) {
  sources.push_back(&last);
  return sources;
}

}  // namespace

FileService::FileService(const Uses& uses, service::StaticFiles::Signer signer, Sources sources, Sources exported)
    : uses_(uses),
      statics_(static_settings(uses.configuration), std::move(signer), uses.random, uses.clock),
      notes_(uses.reserved),
      files_(with(std::move(sources), statics_), notes_, uses.clock),
      exported_(with(std::move(exported), statics_), notes_, uses.clock),
      exports_(uses.reserved, exported_, statics_),
      desk_(files_, uses.metrics, desk_limits(uses.configuration)) {
  const bool sha1 = uses.configuration.policy.files_digest == FileDigest::kSha1;
  if (sha1 && !uses.configuration.files.statics.empty()) {
    log_warning("files.sha1", {{"words",
                                "files of files.static are signed under SHA-1, for which others can make two "
                                "files with one signature"}});
  }
}

Status FileService::count_behind_list() {
  CAPF_LET(const auto generation, files_.generation({.wanted = files::Wanted::kTrustList}));
  if (!generation) return {};
  std::int64_t number = 0;
  const auto parsed = std::from_chars(generation->data(), generation->data() + generation->size(), number);
  if (parsed.ec != std::errc{}) return {};
  CAPF_LET(const std::int64_t behind, in_read(uses_.reserved, [&](Transaction& tx) {
             return tx.phone_fetches().count_behind(number, kMostCounted);
           }));
  uses_.metrics.set_phones_behind_list(behind);
  return {};
}

void FileService::publish() {
  const std::filesystem::path& folder = uses_.configuration.files.publish;
  if (folder.empty()) return;
  const Status published = publish_to(uses_.configuration.state_directory / folder);
  if (!published && published.error().reason == Reason::kShuttingDown) return;
  publish_complaint_.report(published);
}

Status FileService::publish_to(const std::filesystem::path& folder) {
  CAPF_LET(Tree tree, Tree::open(folder));
  CAPF_TRY(exports_.walk(
      {}, [&](const std::string& name, const files::FileRequest& request) { return copy(tree, name, request); }));
  CAPF_LET(const int removed, tree.finish([](const std::string&) { return true; }));
  if (tree.written() + removed > 0) log_info("files.published", {{"written", tree.written()}, {"removed", removed}});
  return {};
}

/// A configuration that cannot be made leaves the phone its former one, and the others theirs.
Status FileService::copy(Tree& tree, const std::string& name, const files::FileRequest& request) {
  if (stopping_) return fail(Reason::kShuttingDown);
  if (request.wanted != files::Wanted::kTrustList) {
    const auto generation = exports_.generation(request);
    if (generation && !*generation) return {};
    if (generation && tree.has(name, **generation)) {
      tree.keep(name);
      return {};
    }
  }
  const auto file = exports_.open(request);
  if (!file) {
    if (file.error().code() == Code::kUnavailable) return fail(file.error());
    if (left_out_.admit(std::chrono::steady_clock::now())) log_warning("files.left", file.error());
    tree.keep(name);
    return {};
  }
  if (!*file) return {};
  return tree.put(name, (*file)->generation, *(*file)->octets, true);
}

web::ServerSettings file_port_settings(const Configuration& configuration, const Listener& listener, int port) {
  web::ServerSettings settings;
  settings.addresses = with_port(listener.addresses, port);
  settings.loopback_only = false;
  settings.threads = kIoThreads;
  settings.connections = configuration.files.connections;
  settings.connections_per_address = configuration.files.connections_per_address;
  return settings;
}

Result<std::unique_ptr<FilesTlsPort>> FilesTlsPort::start(const Configuration& configuration, const SiteFiles& files,
                                                          const Secret& passphrase, const web::LaterRoute& route) {
  std::unique_ptr<FilesTlsPort> port(new FilesTlsPort(files, passphrase));
  port->watcher_.changed();
  auto settings = file_port_settings(configuration, configuration.files_tls_listener, configuration.files_tls_port());
  CAPF_LET(settings.tls, port->open_tls());
  CAPF_LET(port->server_, web::Server::start_later(settings, route));
  return port;
}

Result<std::shared_ptr<const net::TlsContext>> FilesTlsPort::open_tls() const {
  if (names_of(file_server_purpose(), files_).empty()) {
    return fail(Reason::kInvalidConfiguration,
                "listen.files_tls needs a certificate: 'capfd init --phone-files' makes it");
  }
  CAPF_LET(const std::string name, shown_on(file_server_purpose(), files_));
  CAPF_LET(const Identity identity, open_identity(files_, name, passphrase_));
  CAPF_LET(Secret key_pem, identity.key->private_pem());
  net::TlsSettings settings;
  settings.identities.push_back({chain_pem(identity.chain), std::move(key_pem)});
  return net::TlsContext::make(settings);
}

Watcher::Paths FilesTlsPort::shown_files() const { return shown_paths(file_server_purpose(), files_); }

void FilesTlsPort::tick() {
  if (!watcher_.changed()) return;
  auto tls = open_tls();
  if (!tls) return log_error("files.certificate_kept", tls.error());
  server_->replace_tls(*std::move(tls));
  log_info("files.certificate_replaced");
}

}  // namespace capf::daemon
