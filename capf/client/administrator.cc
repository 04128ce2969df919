#include "capf/client/administrator.h"

#include "capf/base/file.h"
#include "capf/base/secret.h"
#include "capf/client/key.h"

namespace capf::client {
namespace {

namespace fs = std::filesystem;

bool is_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

Status make_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return fail(Reason::kInvalidRequest, folder.string() + ": " + error.message());
  return {};
}

/// The path for the certificate, in a folder that is made if need be.
Result<fs::path> free_place(const fs::path& folder, const std::string& name) {
  if (!is_file_name(name)) return fail(Reason::kInvalidName, "this name cannot be the name of a file");
  CAPF_TRY(make_folder(folder));
  fs::path path = folder / (name + ".pem");
  std::error_code error;
  if (fs::exists(path, error)) {
    return fail(Reason::kAdministratorExists, path.string() + " exists already; nothing is overwritten");
  }
  return path;
}

Status write_chain(const fs::path& path, const std::vector<Bytes>& certificates) {
  std::string chain;
  for (const Bytes& certificate : certificates) chain += certificate_pem(certificate);
  return write_new_file(path, as_bytes(chain));
}

}  // namespace

Result<AdministratorFiles> make_administrator(const fs::path& folder, const std::string& name, const Certify& certify) {
  CAPF_LET(const fs::path certificate, free_place(folder, name));
  const AdministratorFiles files{certificate, folder / (name + ".key")};
  CAPF_LET(const auto key, PrivateKey::generate({KeyKind::Type::kEc, 256}));
  CAPF_LET(const Bytes request, key.certification_request(name));
  if (auto written = write_new_secret_file(files.key, key.pem().view()); !written) {
    const bool exists = written.error().reason == Reason::kSiteExists;
    return fail(exists ? Reason::kAdministratorExists : Reason::kInvalidRequest, written.error().message);
  }
  const auto certificates = certify(request);
  if (!certificates) {
    std::error_code error;
    fs::remove(files.key, error);
    return fail(certificates.error());
  }
  CAPF_TRY(write_chain(files.certificate, *certificates));
  return files;
}

Result<AdministratorFiles> request_administrator(const fs::path& folder, const std::string& name) {
  CAPF_TRY(free_place(folder, name));
  const AdministratorFiles files{folder / (name + ".csr"), folder / (name + ".key")};
  CAPF_LET(const auto key, PrivateKey::generate({KeyKind::Type::kEc, 256}));
  CAPF_LET(const Bytes request, key.certification_request(name));
  const auto renamed = [](const Error& error) {
    const bool exists = error.reason == Reason::kSiteExists;
    return fail(exists ? Reason::kAdministratorExists : Reason::kInvalidRequest, error.message);
  };
  if (const auto written = write_new_secret_file(files.key, key.pem().view()); !written) {
    return renamed(written.error());
  }
  if (const auto written = write_new_file(files.certificate, as_bytes(request_pem(request))); !written) {
    std::error_code error;
    fs::remove(files.key, error);
    return renamed(written.error());
  }
  return files;
}

Status renew_administrator(const AdministratorFiles& files, const std::string& name, const Certify& certify) {
  std::error_code error;
  if (fs::equivalent(files.certificate, files.key, error)) {
    return fail(Reason::kInvalidRequest, files.key.string() + " holds the certificate too; --out DIR makes new files");
  }
  const AdministratorFiles next{files.certificate.string() + ".new", files.key.string() + ".new"};
  if (fs::exists(next.certificate, error)) {
    return fail(Reason::kInvalidRequest, next.certificate.string() +
                                             " is of a renewal that was cut off, and may be the one that counts: put "
                                             "it and its key in place, or remove it");
  }
  fs::remove(next.key, error);  // of one that was cut off before: the former certificate still counts
  CAPF_LET(const auto key, PrivateKey::generate({KeyKind::Type::kEc, 256}));
  CAPF_LET(const Bytes request, key.certification_request(name));
  if (const auto written = write_new_secret_file(next.key, key.pem().view()); !written) {
    return fail(Reason::kInvalidRequest, written.error().message);
  }
  const auto certificates = certify(request);
  if (!certificates) {
    fs::remove(next.key, error);
    return fail(certificates.error());
  }
  if (const auto written = write_chain(next.certificate, *certificates); !written) {
    return fail(Reason::kInvalidRequest, written.error().message + "; the former certificate counts for a day");
  }
  for (const auto& [from, to] : {std::pair{files.key, fs::path(files.key.string() + ".old")},
                                 std::pair{files.certificate, fs::path(files.certificate.string() + ".old")},
                                 std::pair{next.key, files.key}, std::pair{next.certificate, files.certificate}}) {
    fs::rename(from, to, error);
    if (error) {
      return fail(Reason::kInvalidRequest, from.string() + " cannot become " + to.string() + ": " + error.message() +
                                               "; the renewed files end in .new, the former ones in .old");
    }
  }
  return {};
}

Result<fs::path> write_administrator(const fs::path& folder, const std::string& name,
                                     const std::function<Result<std::vector<Bytes>>()>& certify) {
  CAPF_LET(fs::path path, free_place(folder, name));
  CAPF_TRY(check_room(folder));
  CAPF_LET(const std::vector<Bytes> certificates, certify());
  CAPF_TRY(write_chain(path, certificates));
  return path;
}

}  // namespace capf::client
