#include "capf/client/administrator.h"

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

}  // namespace

Result<AdministratorFiles> make_administrator(const fs::path& folder, const std::string& name, const Certify& certify) {
  if (!is_file_name(name)) return fail(Reason::kInvalidName, "this name cannot be the name of a file");
  CAPF_TRY(make_folder(folder));
  const AdministratorFiles files{folder / (name + ".pem"), folder / (name + ".key")};
  std::error_code error;
  if (fs::exists(files.certificate, error)) {
    return fail(Reason::kAdministratorExists, files.certificate.string() + " exists already; nothing is overwritten");
  }
  CAPF_LET(const auto key, PrivateKey::generate({KeyKind::Type::kEc, 256}));
  CAPF_LET(const Bytes request, key.certification_request(name));
  if (auto written = write_new_secret_file(files.key, key.pem().view()); !written) {
    const bool exists = written.error().reason == Reason::kSiteExists;
    return fail(exists ? Reason::kAdministratorExists : Reason::kInvalidRequest, written.error().message);
  }
  const auto certificates = certify(request);
  if (!certificates) {
    fs::remove(files.key, error);
    return tl::unexpected<Error>(certificates.error());
  }
  std::string chain;
  for (const Bytes& certificate : *certificates) chain += certificate_pem(certificate);
  CAPF_TRY(write_new_file(files.certificate, as_bytes(chain)));
  return files;
}

}  // namespace capf::client
