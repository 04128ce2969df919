#include "capf/ca/crl.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/der.h"
#include "tests/fuzz/signer.h"
#include "tests/support/crl.h"

using namespace capf;

namespace {

/// A file without a disk.
class MemoryFile {
 public:
  explicit MemoryFile(BytesView data) : fd_(::memfd_create("crl", MFD_CLOEXEC)) {
    CAPF_INVARIANT(fd_ >= 0 && ::write(fd_, data.data(), data.size()) == static_cast<ssize_t>(data.size()));
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace

// The first element is a CRL; with the first option above 63 the issuer signs it again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::Signer kSigner("rsa-2048");
  static const IssuerRecord kIssuer = test::crl_issuer();
  const fuzz::DerInput input = fuzz::read_input({data, size});
  if (input.elements.empty()) return 0;
  const ca::ErrorQueue errors;
  Bytes der(input.elements[0].begin(), input.elements[0].end());
  if (input.options[0] >= 64) {
    if (auto again = fuzz::sign_again(der, kSigner)) der = *std::move(again);
  }
  const MemoryFile file(der);
  auto reader = ca::CrlReader::open(file.path());
  if (!reader) return 0;
  CAPF_INVARIANT(reader->size() == der.size() && *reader->digest() == sha256(der));
  std::vector<Revocation> entries;
  bool whole = false;
  while (const auto entry = reader->next()) {
    if (!*entry) {
      whole = true;
      break;
    }
    CAPF_INVARIANT(entries.empty() || entries.back().serial < (*entry)->serial);
    entries.push_back(**entry);
  }
  if (!whole || !reader->check_issuer(kIssuer)) return 0;
  // OpenSSL reads the same.
  const unsigned char* at = der.data();
  const std::unique_ptr<X509_CRL, capf::Freed<X509_CRL_free>> other(
      d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  CAPF_INVARIANT(other && at == der.data() + der.size());
  CAPF_INVARIANT(X509_CRL_verify(other.get(), kSigner.get()) == 1);
  const int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(other.get()));
  CAPF_INVARIANT(entries.size() == static_cast<std::size_t>(std::max(count, 0)));
  return 0;
}
