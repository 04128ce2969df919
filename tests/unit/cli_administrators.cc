#include <filesystem>
#include <fstream>
#include <iterator>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <sys/stat.h>

#include "capf/base/handle.h"
#include "capf/ca/certificate.h"
#include "capf/ca/key.h"
#include "capf/ca/request.h"
#include "capf/ca/site.h"
#include "capf/client/administrator.h"
#include "capf/client/container.h"
#include "capf/client/key.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::test;
using client::AdministratorFiles;

namespace {

/// A site CA that certifies requests as a server does.
struct Authority {
  std::unique_ptr<ca::SigningKey> key = *ca::generate_key(ca::KeyAlgorithm::kP256);
  Bytes certificate = *ca::make_site_ca(*key, {"CN=Site CA", SystemClock().now()}, Botan::system_rng());
  int asked = 0;

  client::Certify certify(bool refuses = false) {
    return [this, refuses](BytesView request) -> Result<std::vector<Bytes>> {
      ++asked;
      if (refuses) return fail(Reason::kServerNotReached);
      CAPF_LET(const ca::OfferedKey offered, ca::read_request(request));
      CAPF_LET(const Bytes made,
               ca::make_administrator_certificate({*key, certificate}, offered.public_key, "olga", SystemClock().now(),
                                                  std::chrono::hours{24}, Botan::system_rng()));
      return std::vector<Bytes>{made, certificate};
    };
  }
};

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777U;
}

bool fit(const AdministratorFiles& files) {
  return client::check_pair(text_of(files.certificate), text_of(files.key)).has_value();
}

}  // namespace

TEST_CASE("a request is made where its owner is, with a key for its owner alone, and overwrites nothing") {
  const Folder folder;
  const auto files = client::request_administrator(folder.path(), "olga");
  REQUIRE(files);
  CHECK(mode_of(files->key) == 0600U);
  const auto request = client::parse_request(text_of(files->certificate));
  REQUIRE(request);
  const auto key = client::PrivateKey::parse(text_of(files->key));
  REQUIRE(key);
  CHECK(*client::public_key_of_request(*request) == key->public_key());
  const std::string before = text_of(files->key);
  const auto again = client::request_administrator(folder.path(), "olga");
  REQUIRE_FALSE(again);
  CHECK(again.error().reason == Reason::kAdministratorExists);
  CHECK(text_of(files->key) == before);
  // A request that cannot be written leaves no key behind.
  std::filesystem::remove(files->key);
  CHECK_FALSE(client::request_administrator(folder.path(), "olga"));
  CHECK_FALSE(std::filesystem::exists(files->key));
  CHECK_FALSE(client::request_administrator(folder.path(), "../olga"));
}

TEST_CASE("a renewal puts a new pair in place of the former one, which stays beside it") {
  const Folder folder;
  Authority authority;
  const auto files = client::make_administrator(folder.path(), "olga", authority.certify());
  REQUIRE(files);
  const std::string former = text_of(files->certificate);
  const std::string former_key = text_of(files->key);

  const auto refused = client::renew_administrator(*files, "olga", authority.certify(true));
  REQUIRE_FALSE(refused);
  CHECK(text_of(files->certificate) == former);
  CHECK(text_of(files->key) == former_key);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);

  // The leftovers of a renewal that was cut off are in nobody's way.
  std::ofstream(files->key.string() + ".new") << "cut off";
  REQUIRE(client::renew_administrator(*files, "olga", authority.certify()));
  CHECK(text_of(files->certificate) != former);
  CHECK(text_of(files->key) != former_key);
  CHECK(fit(*files));
  CHECK(mode_of(files->key) == 0600U);
  CHECK(fit({files->certificate.string() + ".old", files->key.string() + ".old"}));
  CHECK(text_of(files->certificate.string() + ".old") == former);
  CHECK(mode_of(files->key.string() + ".old") == 0600U);
  // The next one too.
  REQUIRE(client::renew_administrator(*files, "olga", authority.certify()));
  CHECK(fit(*files));
  CHECK(client::renew_administrator({files->key, files->key}, "olga", authority.certify()).error().reason ==
        Reason::kInvalidRequest);
}

TEST_CASE("a container for browsers has certificate, chain and key, and opens with its passphrase alone") {
  const Folder folder;
  Authority authority;
  const auto files = client::make_administrator(folder.path(), "olga", authority.certify());
  REQUIRE(files);
  const Secret passphrase(std::string_view("correct horse battery"));
  const auto container = client::make_pkcs12(text_of(files->certificate), text_of(files->key), passphrase, "olga");
  REQUIRE(container);
  const auto* at = container->view().data();
  const std::unique_ptr<PKCS12, Freed<PKCS12_free>> parsed(
      d2i_PKCS12(nullptr, &at, static_cast<long>(container->view().size())));
  REQUIRE(parsed);
  CHECK(PKCS12_verify_mac(parsed.get(), "wrong", -1) == 0);
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* chain = nullptr;
  REQUIRE(PKCS12_parse(parsed.get(), "correct horse battery", &key, &certificate, &chain) == 1);
  CHECK(X509_check_private_key(certificate, key) == 1);
  CHECK(sk_X509_num(chain) == 1);
  sk_X509_pop_free(chain, X509_free);
  X509_free(certificate);
  EVP_PKEY_free(key);
  // The key is not in the clear.
  CHECK(as_text(container->view()).find("PRIVATE KEY") == std::string_view::npos);

  const auto other = client::make_administrator(folder.path() / "other", "olga", authority.certify());
  REQUIRE(other);
  CHECK_FALSE(client::make_pkcs12(text_of(files->certificate), text_of(other->key), passphrase, "olga"));
}
