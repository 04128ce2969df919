#include "capf/daemon/issuers.h"

#include <system_error>

namespace capf::daemon {
namespace {

/// A file that an add without a record has left; it may hold the only copy of a key, so it is not removed.
Status set_aside(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  std::filesystem::rename(path, path.string() + ".leftover", error);
  if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  return {};
}

}  // namespace

Status IssuerFiles::keep(std::int64_t id, const ca::ImportedAuthority& authority) {
  const std::string name = issuer_name(id);
  CAPF_TRY(set_aside(files_.key(name)));
  CAPF_TRY(set_aside(files_.certificate(name)));
  CAPF_TRY(write_identity(files_, name, *authority.key, authority.certificate, authority.chain, passphrase_));
  CAPF_TRY(sync_folder(files_.keys()));
  return sync_folder(files_.certificates());
}

Result<std::unique_ptr<ca::SigningKey>> IssuerFiles::open(std::int64_t id) {
  const auto path = files_.key(issuer_name(id));
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return nullptr;
  CAPF_LET(const Secret pem, read_secret_file(path));
  auto key = ca::decrypt_key(pem.view(), passphrase_);
  if (!key) return fail(key.error().reason, path.string() + ": " + key.error().message, key.error().cause);
  return key;
}

}  // namespace capf::daemon
