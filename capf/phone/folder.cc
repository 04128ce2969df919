#include "capf/phone/folder.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/descriptor.h"
#include "capf/base/file.h"
#include "capf/client/key.h"
#include "capf/client/site.h"

namespace capf::phone {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestFile = 131072;
constexpr std::size_t kLargestGiven = 1 << 20;
constexpr std::string_view kOperation = "operation ";

tl::unexpected<Error> failed(const fs::path& path) { return fail_errno(Reason::kPhoneRefused, path); }

bool is_alphanumeric(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

const char* ending_of(Folder::Given which) {
  switch (which) {
    case Folder::Given::kCtl: return ".ctl.tlv";
    case Folder::Given::kItl: return ".itl.tlv";
    case Folder::Given::kConfiguration: return ".cnf.xml";
  }
  CAPF_INVARIANT(false);
}

bool belongs(const std::vector<Bytes>& certificates, const Secret& key_pem) {
  const auto key = client::PrivateKey::parse(key_pem.text());
  if (certificates.empty() || !key) return false;
  const auto facts = client::read_certificate(certificates.front());
  return facts && facts->public_key == key->public_key();
}

}  // namespace

bool is_device_name(std::string_view name) {
  return !name.empty() && name.size() <= 50 && is_alphanumeric(name.front()) && is_alphanumeric(name.back()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Secret encode(const PendingRequest& pending) {
  const std::string head = std::string(kOperation) + std::to_string(pending.operation_id) + "\n";
  const std::string request = client::request_pem(pending.request);
  Botan::secure_vector<std::uint8_t> text(head.begin(), head.end());
  text.insert(text.end(), pending.key_pem.view().begin(), pending.key_pem.view().end());
  text.insert(text.end(), request.begin(), request.end());
  return Secret(std::move(text));
}

Result<PendingRequest> decode(std::string_view text) {
  PendingRequest pending;
  const auto end = text.find('\n');
  if (text.substr(0, kOperation.size()) != kOperation || end == std::string_view::npos) {
    return fail(Reason::kInvalidRequest);
  }
  const std::string_view number = text.substr(kOperation.size(), end - kOperation.size());
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), pending.operation_id);
  if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size() || pending.operation_id < 0) {
    return fail(Reason::kInvalidRequest);
  }
  CAPF_LET(const auto key, client::PrivateKey::parse(text));
  CAPF_LET(pending.request, client::parse_request(text));
  CAPF_LET(pending.public_key, client::public_key_of_request(pending.request));
  if (pending.public_key != key.public_key()) return fail(Reason::kInvalidRequest);
  pending.key_pem = key.pem();
  return pending;
}

Result<Folder> Folder::open(const fs::path& path, bool durable) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    fs::create_directories(path, error);
    if (!error) fs::permissions(path, fs::perms::owner_all, error);
    if (error) return fail(Reason::kInvalidRequest, path.string() + ": " + error.message());
  }
  Folder folder;
  folder.path_ = path;
  folder.kept_ = true;
  folder.durable_ = durable;
  return folder;
}

fs::path Folder::path_of(const std::string& device, const char* ending) const {
  CAPF_INVARIANT(is_device_name(device));
  return path_ / (device + ending);
}

std::string Folder::certificate_path(const std::string& device) const {
  return kept_ ? path_of(device, ".pem").string() : std::string();
}

Result<std::optional<Installed>> Folder::installed(const std::string& device) const {
  std::error_code error;
  if (!kept_ || !fs::exists(path_of(device, ".pem"), error)) return std::nullopt;
  Installed installed;
  CAPF_LET(installed.certificate_pem, client::read_file(path_of(device, ".pem"), kLargestFile));
  CAPF_LET(installed.certificates, client::parse_certificates(installed.certificate_pem));
  if (fs::exists(path_of(device, ".key"), error)) {
    CAPF_LET(installed.key_pem, read_secret_file(path_of(device, ".key")));
    if (belongs(installed.certificates, installed.key_pem)) return installed;
  }
  CAPF_LET(const auto under_way, pending(device));
  if (!under_way || !belongs(installed.certificates, under_way->key_pem)) {
    return fail(Reason::kInvalidCertificate, path_of(device, ".pem").string() + " and its key do not belong together");
  }
  CAPF_TRY(write(path_of(device, ".key"), under_way->key_pem.view()));
  installed.key_pem = under_way->key_pem;
  return installed;
}

Result<std::optional<PendingRequest>> Folder::pending(const std::string& device) const {
  std::error_code error;
  const fs::path path = path_of(device, ".pending");
  if (!kept_ || !fs::exists(path, error)) return std::nullopt;
  CAPF_LET(const Secret text, read_secret_file(path, kLargestFile));
  auto pending = decode(text.text());
  if (!pending) return std::nullopt;
  return *std::move(pending);
}

Status Folder::keep(const std::string& device, const PendingRequest& pending) const {
  return write(path_of(device, ".pending"), encode(pending).view());
}

// The certificate first: a key without its certificate would look like a damaged pair, while the key of this
// certificate is still in the pending request.
Status Folder::install(const std::string& device, const std::string& certificate_pem, const Secret& key_pem) const {
  if (certificate_pem.size() > kLargestFile) {
    return fail(Reason::kInvalidCertificate, "the certificate and those above it are larger than 128 KiB");
  }
  CAPF_TRY(write(path_of(device, ".pem"), as_bytes(certificate_pem)));
  return write(path_of(device, ".key"), key_pem.view());
}

Status Folder::forget_pending(const std::string& device) const { return unlink(path_of(device, ".pending")); }

Result<std::optional<Secret>> Folder::given(const std::string& device, Given which) const {
  std::error_code error;
  const fs::path path = path_of(device, ending_of(which));
  if (!kept_ || !fs::exists(path, error)) return std::nullopt;
  CAPF_LET(Secret octets, read_secret_file(path, kLargestGiven));
  return octets;
}

Status Folder::keep(const std::string& device, Given which, BytesView octets) const {
  return write(path_of(device, ending_of(which)), octets);
}

Status Folder::remove(const std::string& device) const {
  for (const char* ending : {".pem", ".key", ".pending"}) CAPF_TRY(unlink(path_of(device, ending)));
  return {};
}

Status Folder::write(const fs::path& path, BytesView data) const {
  if (!kept_) return {};
  const fs::path temporary = path.string() + ".new";
  // One that is there is of a try that was cut off, or somebody else's, who would read the key: never written into.
  CAPF_TRY(unlink(temporary));
  {
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
    if (file.get() < 0) return failed(temporary);
    std::size_t written = 0;
    while (written < data.size()) {
      const ssize_t count = ::write(file.get(), data.data() + written, data.size() - written);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed(temporary);
      written += static_cast<std::size_t>(count);
    }
    if (durable_ && ::fsync(file.get()) != 0) return failed(temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed(path);
  if (durable_) {
    const Descriptor folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0 || ::fsync(folder.get()) != 0) return failed(path_);
  }
  return {};
}

Status Folder::unlink(const fs::path& path) const {
  if (kept_ && ::unlink(path.c_str()) != 0 && errno != ENOENT) return failed(path);
  return {};
}

}  // namespace capf::phone
