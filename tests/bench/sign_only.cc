// sign_only SECONDS [rsa2048|p256] [THREADS]: prints how many private-key operations an otherwise idle machine does in
// a second, on every core by default. OpenSSL signs a SHA-256 digest, with one context for each thread, as our signers
// do.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "capf/base/handle.h"

namespace {

using Time = std::chrono::steady_clock;
using Key = std::unique_ptr<EVP_PKEY, capf::Freed<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, capf::Freed<EVP_PKEY_CTX_free>>;

[[noreturn]] void stop(const char* why, int code) {
  std::fprintf(stderr, "sign_only: %s\n", why);
  std::exit(code);
}

Key make_key(const std::string& kind) {
  EVP_PKEY* key = nullptr;
  if (kind == "rsa2048") key = EVP_RSA_gen(2048);
  if (kind == "p256") key = EVP_EC_gen("P-256");
  if (key == nullptr) stop("no such key", 2);
  return Key(key);
}

/// Signs until that time. @return how often
std::uint64_t sign(EVP_PKEY* key, bool rsa, Time::time_point until) {
  const Context context(EVP_PKEY_CTX_new(key, nullptr));
  if (!context || EVP_PKEY_sign_init(context.get()) != 1 ||
      (rsa && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1) ||
      EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) != 1)
    stop("signing cannot be set up", 1);
  unsigned char digest[32]{};
  std::vector<unsigned char> signature(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::uint64_t count = 0;
  for (; Time::now() < until; ++count) {
    ++digest[count % sizeof digest];
    std::size_t size = signature.size();
    if (EVP_PKEY_sign(context.get(), signature.data(), &size, digest, sizeof digest) != 1) stop("no signature", 1);
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0;
  const std::string kind = argc > 2 ? argv[2] : "rsa2048";
  const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : std::thread::hardware_concurrency();
  if (seconds <= 0 || threads == 0) stop("usage: sign_only SECONDS [rsa2048|p256] [THREADS]", 2);

  const Key key = make_key(kind);
  std::atomic<std::uint64_t> signatures{0};
  std::vector<std::thread> running;
  const auto begin = Time::now();
  const auto until = begin + std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
  for (unsigned i = 0; i < threads; ++i) {
    running.emplace_back([&] { signatures += sign(key.get(), kind == "rsa2048", until); });
  }
  for (std::thread& thread : running) thread.join();
  const std::chrono::duration<double> took = Time::now() - begin;
  std::printf("%.1f\n", static_cast<double>(signatures) / took.count());
  return 0;
}
