#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/metrics.h"
#include "capf/base/tree.h"
#include "capf/daemon/complaint.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/daemon/watcher.h"
#include "capf/domain/database.h"
#include "capf/service/fetch_notes.h"
#include "capf/service/file_exports.h"
#include "capf/service/phone_files.h"
#include "capf/service/static_files.h"
#include "capf/web/files.h"
#include "capf/web/server.h"

namespace capf::daemon {

/// The files of phones, as this server gives them out, and the regular work around them. Threads: one for each
/// function.
class FileService {
 public:
  /// All of it outlives this.
  struct Uses {
    const Configuration& configuration;
    Database& reserved;  ///< for regular work and administrators
    Metrics& metrics;
    const Clock& clock;
    Botan::RandomNumberGenerator& random;
  };
  using Sources = std::vector<service::PhoneFileSource*>;
  /// @param sources of everything but static files, for phones. @param exported the same for folders and exports
  FileService(const Uses& uses, service::StaticFiles::Signer signer, Sources sources, Sources exported);

  web::FileDesk& desk() { return desk_; }
  service::FileExports& exports() { return exports_; }

  /// Writes down who fetched what.
  void write_notes() { notes_complaint_.report(notes_.write()); }
  /// Counts the phones that have an earlier trust list than the present one.
  void count_behind() { behind_complaint_.report(count_behind_list()); }
  /// Brings the folder files.publish up to date, where there is one.
  void publish();
  /// A running publish() ends soon.
  void stop_publishing() { stopping_ = true; }

 private:
  Status count_behind_list();
  Status publish_to(const std::filesystem::path& folder);
  Status copy(Tree& tree, const std::string& name, const files::FileRequest& request);

  const Uses uses_;
  service::StaticFiles statics_;
  service::FetchNotes notes_;
  service::PhoneFiles files_;
  service::PhoneFiles exported_;
  service::FileExports exports_;
  web::FileDesk desk_;
  std::atomic<bool> stopping_{false};
  LogLimit left_out_{1};  ///< a second
  Complaint notes_complaint_{"fetches.not_recorded"};
  Complaint behind_complaint_{"fetches.not_counted"};
  Complaint publish_complaint_{"files.not_published"};
};

/// The settings of a port for phones' files.
web::ServerSettings file_port_settings(const Configuration& configuration, const Listener& listener, int port);

/// The port for phones' files over HTTPS, with the certificate that it shows.
class FilesTlsPort {
 public:
  /// Opens the site's certificate of the file server that is to be shown, and listens.
  /// @param passphrase of the key; it outlives the port, which opens it again when its files change.
  /// Errors: INVALID_CONFIGURATION, those of opening keys.
  static Result<std::unique_ptr<FilesTlsPort>> start(const Configuration& configuration, const SiteFiles& files,
                                                     const Secret& passphrase, const web::LaterRoute& route);

  const std::vector<std::string>& addresses() const { return server_->addresses(); }
  /// To be called from time to time: takes over a certificate that has been replaced.
  void tick();
  void stop() { server_->stop(); }

 private:
  FilesTlsPort(SiteFiles files, const Secret& passphrase) : files_(std::move(files)), passphrase_(passphrase) {}

  Result<std::shared_ptr<const net::TlsContext>> open_tls() const;
  Watcher::Paths shown_files() const;

  const SiteFiles files_;
  const Secret& passphrase_;
  Watcher watcher_{[this] { return shown_files(); }};
  std::unique_ptr<web::Server> server_;
};

}  // namespace capf::daemon
