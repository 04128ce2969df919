#include <fstream>
#include <iterator>

#include <botan/bigint.h>
#include <botan/ec_group.h>
#include <botan/ecdsa.h>
#include <botan/hash.h>
#include <botan/pubkey.h>
#include <botan/rsa.h>
#include <botan/system_rng.h>
#include <botan/x509self.h>
#include <catch2/catch.hpp>

#include "capf/ca/botan.h"
#include "capf/ca/certificate.h"
#include "capf/ca/proof.h"
#include "capf/wire/message.h"
#include "tests/support/wire.h"

namespace {

using Botan::BigInt;
using capf::Bytes;
using capf::BytesView;
using capf::DeviceName;
using capf::Reason;
using capf::Sha256;
using capf::ca::ProofClaim;
using capf::ca::ProofHash;
using capf::ca::verify_proof;
using namespace capf::wire;

constexpr std::uint32_t kSession = 0xC0FFEE42;
const std::string kSerialised("\x42\xEE\xFF\xC0", 4);  // little-endian

DeviceName device() { return DeviceName::parse("SEP001122334455").value(); }

Bytes read_pem(const std::string& file) {
  std::ifstream input(std::string(CAPF_TEST_DATA) + "/wire/" + file);
  const std::string text{std::istreambuf_iterator<char>(input), {}};
  return capf::ca::split_certificates(capf::as_bytes(text)).value().at(0);
}

Bytes hash(const std::string& name, BytesView data) {
  const auto value = Botan::HashFunction::create_or_throw(name)->process(data.data(), data.size());
  return {value.begin(), value.end()};
}

Bytes join(BytesView first, BytesView second) {
  Bytes both(first.begin(), first.end());
  both.insert(both.end(), second.begin(), second.end());
  return both;
}

/// A phone's certificate with its key, and its signatures.
struct Signer {
  std::unique_ptr<Botan::Private_Key> key;
  Bytes certificate;

  explicit Signer(std::unique_ptr<Botan::Private_Key> made) : key(std::move(made)) {
    const Botan::X509_Cert_Options options("CP-8861-SEP001122334455/XX/Phones");
    certificate = Botan::X509::create_self_signed_cert(options, *key, "SHA-256", Botan::system_rng()).BER_encode();
  }
  static Signer rsa(std::size_t bits = 1024) {
    return Signer(std::make_unique<Botan::RSA_PrivateKey>(Botan::system_rng(), bits));
  }
  static Signer ec() {
    return Signer(std::make_unique<Botan::ECDSA_PrivateKey>(Botan::system_rng(), Botan::EC_Group("secp256r1")));
  }

  Bytes sign(BytesView message, const std::string& padding) const {
    const auto format = key->algo_name() == "RSA" ? capf::ca::kPlainSignature : capf::ca::kDerSignature;
    Botan::PK_Signer signer(*key, Botan::system_rng(), padding, format);
    return signer.sign_message(message.data(), message.size(), Botan::system_rng());
  }
  /// As a phone signs.
  Bytes sign_digest(const std::string& digest, BytesView data) const {
    return sign(hash(digest, data), key->algo_name() == "RSA" ? "EMSA3(Raw)" : "Raw");
  }
  Bytes named() const { return join(capf::as_bytes(std::string_view("SEP001122334455\0", 16)), certificate); }
  Bytes challenged() const { return join(capf::as_bytes(kSerialised), certificate); }
};

/// A good proof whose parts a test exchanges.
struct Proof {
  Bytes certificate, sha1, sha2;
  ProofHash hash = ProofHash::kSha512;
  struct SudiPart {
    Bytes certificate, sha1, sha512;
  };
  std::optional<SudiPart> sudi;

  explicit Proof(const Signer& signer)
      : certificate(signer.certificate),
        sha1(signer.sign_digest("SHA-1", signer.named())),
        sha2(signer.sign_digest("SHA-512", signer.named())) {}
  Proof& with_sudi(const Signer& signer) {
    sudi = SudiPart{signer.certificate, signer.sign_digest("SHA-1", signer.challenged()),
                    signer.sign_digest("SHA-512", signer.challenged())};
    return *this;
  }

  capf::Result<capf::ca::ProvenCertificates> verify(std::uint32_t session = kSession) const {
    ProofClaim claim{certificate, sha1, sha2, hash, {}};
    if (sudi) claim.sudi = ProofClaim::Sudi{sudi->certificate, sudi->sha1, sudi->sha512};
    return verify_proof(claim, device(), session);
  }
  Reason refusal() const {
    const auto proven = verify();
    REQUIRE_FALSE(proven);
    return proven.error().reason;
  }
};

/// The proof of a message of the protocol's description.
capf::Result<capf::ca::ProvenCertificates> verify_sample(const std::string& name) {
  const Bytes octets = capf::test::wire_sample(name);
  const auto message = std::get<Message>(read_message(std::get<Frame>(take_frame(octets))));
  ProofClaim claim{
      message.certificate->der, *message.signed_data, message.sha2_signed_data->signature, ProofHash::kSha512, {}};
  if (message.sudi) {
    claim.sudi = {message.sudi->certificate, message.sudi->sha1_signature, message.sudi->sha512_signature};
  }
  return verify_proof(claim, device(), message.session_id);
}

TEST_CASE("the protocol's own proofs are right or wrong as they say") {
  const auto mic = verify_sample("auth response proving the MIC, SUDI included");
  REQUIRE(mic);
  CHECK(mic->certificate == read_pem("mic.pem"));
  CHECK(mic->fresh);
  CHECK_FALSE(mic->sudi);

  const auto lsc = verify_sample("auth response proving the EC LSC");
  REQUIRE(lsc);
  CHECK(lsc->certificate == read_pem("lsc.pem"));
  CHECK_FALSE(lsc->fresh);

  CHECK(verify_sample("auth response, SUDI signed for another session id (a replay)").error().reason ==
        Reason::kProofInvalid);
  CHECK(verify_sample("auth response, MIC proof signed with another key").error().reason == Reason::kProofInvalid);
  // Another phone's: the keys are proven; the trust store says to whom they belong.
  const auto other = verify_sample("auth response proving another phone's MIC");
  REQUIRE(other);
  CHECK(other->certificate != read_pem("mic.pem"));
}

TEST_CASE("a proof is fresh only where the certificate that authenticates signed this session's id") {
  const Signer mic = Signer::rsa();
  CHECK_FALSE(Proof(mic).verify()->fresh);
  CHECK(Proof(mic).with_sudi(mic).verify()->fresh);
  CHECK(Proof(mic).with_sudi(mic).verify(kSession + 1).error().reason == Reason::kProofInvalid);

  const Signer lsc = Signer::ec();
  const auto both = Proof(lsc).with_sudi(mic).verify();
  REQUIRE(both);
  CHECK_FALSE(both->fresh);
  CHECK(both->certificate == lsc.certificate);
  CHECK(both->sudi == mic.certificate);
}

TEST_CASE("no part of a proof may be missing, and SHA-1 alone proves nothing") {
  const Signer signer = Signer::rsa();
  Proof good = Proof(signer).with_sudi(signer);
  REQUIRE(good.verify());
  Proof proof = good;
  proof.certificate.clear();
  CHECK(proof.refusal() == Reason::kProofInvalid);
  proof = good;
  proof.sha1.clear();
  CHECK(proof.refusal() == Reason::kProofInvalid);
  proof = good;
  proof.sha2.clear();
  CHECK(proof.refusal() == Reason::kProofInvalid);
  proof = good;
  proof.sha2 = proof.sha1;
  proof.hash = ProofHash::kSha1;
  CHECK(proof.refusal() == Reason::kProofInvalid);
  proof = good;
  proof.sha2 = proof.sha1;
  CHECK(proof.refusal() == Reason::kProofInvalid);
  proof = good;
  proof.sudi->sha1.clear();
  CHECK(proof.refusal() == Reason::kProofInvalid);
  proof = good;
  proof.sudi->sha512 = proof.sudi->sha1;
  CHECK(proof.refusal() == Reason::kProofInvalid);
  proof = good;  // the name's signatures in place of the session's
  proof.sudi->sha1 = good.sha1;
  proof.sudi->sha512 = good.sha2;
  CHECK(proof.refusal() == Reason::kProofInvalid);
}

TEST_CASE("a SHA-2 signature may be one with SHA-256, where it says so") {
  for (const Signer& signer : {Signer::rsa(), Signer::ec()}) {
    Proof proof(signer);
    proof.sha2 = signer.sign_digest("SHA-256", signer.named());
    CHECK(proof.refusal() == Reason::kProofInvalid);
    proof.hash = ProofHash::kSha256;
    CHECK(proof.verify());
  }
}

TEST_CASE("one bit more or less makes any signature wrong") {
  const Signer mic = Signer::rsa();
  const Signer lsc = Signer::ec();
  Proof proof = Proof(lsc).with_sudi(mic);
  for (Bytes* part : {&proof.sha1, &proof.sha2, &proof.sudi->sha1, &proof.sudi->sha512}) {
    for (std::size_t at = 0; at < part->size(); at += 7) {
      (*part)[at] ^= 0x10;
      CHECK_FALSE(proof.verify());
      (*part)[at] ^= 0x10;
    }
    part->push_back(0);
    CHECK_FALSE(proof.verify());
    part->pop_back();
  }
  CHECK(proof.verify());
}

TEST_CASE("RSA signatures are the bare digest in the whole padding, and nothing else") {
  const Signer signer = Signer::rsa();
  const Bytes digest = hash("SHA-512", signer.named());
  const std::size_t size = 128;
  Proof proof(signer);

  Bytes block(size, 0xFF);
  const auto set_block = [&](std::size_t zero) {
    block.assign(size, 0xFF);
    block[0] = 0;
    block[1] = 1;
    block[zero] = 0;
    std::copy(digest.begin(), digest.end(), block.end() - 64);
  };
  const auto taken = [&] {
    proof.sha2 = signer.sign(block, "Raw");
    return proof.verify().has_value();
  };
  set_block(size - 65);
  CHECK(taken());
  block[1] = 2;
  CHECK_FALSE(taken());
  set_block(size - 65);
  block[20] = 0xFE;
  CHECK_FALSE(taken());
  set_block(20);  // the padding ends early
  CHECK_FALSE(taken());
  block.assign(size, 0);  // the last octets alone
  std::copy(digest.begin(), digest.end(), block.end() - 64);
  CHECK_FALSE(taken());
  set_block(10);  // the digest behind eight octets of padding, then anything
  std::copy(digest.begin(), digest.end(), block.begin() + 11);
  CHECK_FALSE(taken());

  proof.sha2 = signer.sign(digest, "EMSA3(Raw,SHA-512)");  // with DigestInfo
  CHECK(proof.refusal() == Reason::kProofInvalid);

  // The same number modulo n, but not below n.
  const auto& rsa = dynamic_cast<const Botan::RSA_PrivateKey&>(*signer.key);
  const BigInt above = BigInt::decode(Proof(signer).sha2.data(), size) + rsa.get_n();
  proof.sha2 = BigInt::encode(above);
  CHECK(proof.refusal() == Reason::kProofInvalid);
}

BigInt cube_root(const BigInt& value) {
  BigInt low(0);
  BigInt high = BigInt(1) << (value.bits() / 3 + 2);
  while (low + 1 < high) {
    const BigInt middle = (low + high) >> 1;
    (middle * middle * middle <= value ? low : high) = middle;
  }
  return low;
}

TEST_CASE("for a key with exponent 3 cube roots are no signatures") {
  const Bytes certificate = read_pem("rsa_e3.pem");
  const Bytes named = join(capf::as_bytes(std::string_view("SEP001122334455\0", 16)), certificate);
  const std::size_t size = 256;
  // A signature whose block ends in the digest: the inverse of 3 modulo 2^(k-2) is an exponent that takes the root
  // modulo 2^k.
  const auto ends_in = [&](const Bytes& digest) {
    const std::size_t bits = digest.size() * 8;
    const BigInt modulus = BigInt(1) << bits;
    BigInt root(1);
    const BigInt wanted = BigInt::decode(digest.data(), digest.size());
    REQUIRE(wanted.is_odd());
    for (std::size_t bit = 1; bit < bits; ++bit) {
      const BigInt error = (root * root * root - wanted) % modulus;
      if (error.get_bit(bit)) root.set_bit(bit);
    }
    const BigInt cube = root * root * root;
    REQUIRE(cube % modulus == wanted);
    Bytes signature(size);
    root.binary_encode(signature.data(), size);
    return signature;
  };
  // A signature whose block begins with padding and digest, then anything (Bleichenbacher, 2006).
  const auto begins_with = [&](const Bytes& digest) {
    Bytes block(size, 0xFF);
    block[0] = 0;
    block[1] = 1;
    block[10] = 0;
    std::copy(digest.begin(), digest.end(), block.begin() + 11);
    const BigInt root = cube_root(BigInt::decode(block.data(), size));
    Bytes opened(size);
    BigInt(root * root * root).binary_encode(opened.data(), size);
    REQUIRE(std::equal(block.begin(), block.begin() + 11 + static_cast<std::ptrdiff_t>(digest.size()), opened.begin()));
    Bytes signature(size);
    root.binary_encode(signature.data(), size);
    return signature;
  };
  const Bytes sha1 = hash("SHA-1", named);
  const Bytes sha512 = hash("SHA-512", named);
  for (const auto& [first, second] :
       {std::pair{ends_in(sha1), ends_in(sha512)}, std::pair{begins_with(sha1), begins_with(sha512)}}) {
    const ProofClaim claim{certificate, first, second, ProofHash::kSha512, {}};
    CHECK(verify_proof(claim, device(), kSession).error().reason == Reason::kProofInvalid);
  }
}

TEST_CASE("a SUDI part is for RSA keys only") {
  const Signer signer = Signer::ec();
  CHECK(Proof(signer).with_sudi(signer).refusal() == Reason::kProofInvalid);
}

TEST_CASE("a certificate that cannot be one is refused before anything is computed with it") {
  const Signer signer = Signer::rsa();
  Proof proof(signer);
  proof.certificate.assign(60000, 0x30);
  CHECK(proof.refusal() == Reason::kCertificateMalformed);
  proof.certificate = {0x30, 0x00};
  CHECK(proof.refusal() == Reason::kCertificateMalformed);
  proof = Proof(signer).with_sudi(signer);
  proof.sudi->certificate.resize(100);
  CHECK(proof.refusal() == Reason::kCertificateMalformed);
}

}  // namespace
