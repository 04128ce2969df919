#include "capf/client/legacy.h"

#include <memory>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>

#include "capf/base/handle.h"

namespace capf::client {
namespace {

// The configuration that OPENSSL_CONF would name, without a file: every SSL_CTX begins with "system_default".
constexpr std::string_view kConfiguration = R"(openssl_conf = program
[program]
ssl_conf = tls
[tls]
system_default = legacy
[legacy]
CipherString = DEFAULT:@SECLEVEL=0
)";

}  // namespace

Status allow_legacy_certificates() {
  // The machine's own configuration first: loaded later it would win.
  OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);
  const std::unique_ptr<CONF, Freed<NCONF_free>> configuration(NCONF_new(nullptr));
  const std::unique_ptr<BIO, Freed<BIO_free_all>> text(
      BIO_new_mem_buf(kConfiguration.data(), static_cast<int>(kConfiguration.size())));
  long line = 0;
  if (NCONF_load_bio(configuration.get(), text.get(), &line) <= 0 ||
      CONF_modules_load(configuration.get(), nullptr, 0) <= 0) {
    return fail_internal("OpenSSL did not take its security level");
  }
  return {};
}

}  // namespace capf::client
