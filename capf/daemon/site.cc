#include "capf/daemon/site.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "capf/base/file.h"
#include "capf/ca/asn1.h"
#include "capf/ca/certificate.h"
#include "capf/daemon/key_purposes.h"

namespace capf::daemon {
namespace {

constexpr std::uintmax_t kLargestFile = std::uintmax_t{1024} * 1024;

}  // namespace

Result<Identity> open_identity(const SiteFiles& files, const std::string& name, const Secret& passphrase) {
  const auto key_path = files.key(name);
  const auto name_the_file = [&](Error error) {
    error.message = key_path.string() + ": " + error.message;
    return fail(std::move(error));
  };
  CAPF_LET(const Secret pem, read_secret_file(key_path));
  Identity identity;
  auto key = ca::decrypt_key(pem.view(), passphrase);
  if (!key) return name_the_file(std::move(key).error());
  identity.key = *std::move(key);

  const auto certificate_path = files.certificate(name);
  CAPF_LET(identity.chain, read_chain(files, name));
  const auto facts = ca::read_certificate(identity.chain.front());
  if (!facts) return fail(Reason::kInvalidConfiguration, certificate_path.string() + ": " + facts.error().message);
  if (facts->key.sha256 != sha256(identity.key->public_key())) {
    return fail(Reason::kInvalidConfiguration,
                key_path.string() + " is not the key of the certificate in " + certificate_path.string());
  }
  return identity;
}

Result<Identity> open_identity(const SiteFiles& files, const std::string& name, const Secret& passphrase,
                               ca::Tokens& tokens) {
  CAPF_LET(const auto uri, read_uri(files, name));
  if (!uri) return open_identity(files, name, passphrase);
  Identity identity;
  CAPF_LET(identity.chain, read_chain(files, name));
  const auto outline = ca::read_outline(identity.chain.front());
  if (!outline) {
    return fail(Reason::kInvalidConfiguration, files.certificate(name).string() + " holds no certificate");
  }
  CAPF_LET(identity.key, tokens.open(*uri, outline->public_key));
  return identity;
}

Result<std::vector<Bytes>> read_chain(const SiteFiles& files, const std::string& name) {
  const auto path = files.certificate(name);
  CAPF_LET(const Bytes pem, read_file(path));
  auto chain = ca::split_certificates(pem, ca::kLongestChain);
  if (chain && !chain->empty()) return *std::move(chain);
  return fail(Reason::kInvalidConfiguration, path.string() + " holds no certificate in PEM");
}

std::string issuer_name(std::int64_t id) { return "issuer-" + std::to_string(id); }

Bytes chain_pem(const std::vector<Bytes>& chain) {
  std::string pem;
  for (const Bytes& certificate : chain) pem += ca::to_pem(certificate);
  return {pem.begin(), pem.end()};
}

Status write_key(const SiteFiles& files, const std::string& name, const ca::SigningKey& key, const Secret& passphrase) {
  if (const std::string uri = key.uri(); !uri.empty()) {
    return write_new_secret_file(files.uri(name), as_bytes(uri + "\n"));
  }
  CAPF_LET(const Bytes encrypted, ca::encrypt_key(key, passphrase));
  return write_new_secret_file(files.key(name), encrypted);
}

Result<std::optional<std::string>> read_uri(const SiteFiles& files, const std::string& name) {
  const auto path = files.uri(name);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  if (std::filesystem::exists(files.key(name), error)) {
    return fail(Reason::kInvalidConfiguration,
                path.string() + " and " + files.key(name).string() + " are both there: which is the key?");
  }
  CAPF_LET(const Secret file, read_secret_file(path));  // private: it decides on the key
  std::string uri(file.text());
  while (!uri.empty() && (uri.back() == '\n' || uri.back() == '\r')) uri.pop_back();
  return uri;
}

Status write_identity(const SiteFiles& files, const std::string& name, const ca::SigningKey& key, BytesView certificate,
                      const std::vector<Bytes>& above, const Secret& passphrase) {
  CAPF_TRY(write_key(files, name, key, passphrase));
  std::vector<Bytes> chain{Bytes(certificate.begin(), certificate.end())};
  chain.insert(chain.end(), above.begin(), above.end());
  return write_new_file(files.certificate(name), chain_pem(chain));
}

Result<Secrets> open_secrets(const SiteFiles& files, const Secret& passphrase) {
  std::error_code error;
  if (!std::filesystem::is_directory(files.keys(), error)) {
    return fail(Reason::kNoSite, "there is no site in " + files.root.string() + "; 'capfd init' makes one");
  }
  CAPF_TRY(check_private(files.keys()));
  if (std::filesystem::exists(files.administrators(), error)) CAPF_TRY(check_private(files.administrators()));
  CAPF_LET(Secret string_key, read_secret_file(files.string_key(), 32));
  CAPF_LET(auto strings, ca::StringKey::make(std::move(string_key)));
  CAPF_LET(Identity site_ca, open_identity(files, "site-ca", passphrase));
  CAPF_LET(Identity server, open_identity(files, "server", passphrase));
  CAPF_LET(const std::string shown, shown_wire(files));
  CAPF_LET(Identity wire, open_identity(files, shown, passphrase));
  return Secrets{std::move(site_ca), std::move(server), std::move(wire), std::move(strings)};
}

Result<Bytes> read_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  if (size > kLargestFile) return fail(Reason::kInvalidConfiguration, path.string() + " is larger than 1 MiB");
  std::ifstream in(path, std::ios::binary);
  Bytes data{std::istreambuf_iterator<char>(in), {}};
  if (!in) return fail(Reason::kInvalidConfiguration, path.string() + " cannot be read");
  return data;
}

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno(Reason::kInvalidConfiguration, folder);
  FolderLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return fail(Reason::kInvalidConfiguration, folder.string() + " is in use by another capfd");
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

Status sync_folder(const std::filesystem::path& folder) {
  return capf::sync_folder(folder, Reason::kInvalidConfiguration);
}

}  // namespace capf::daemon
