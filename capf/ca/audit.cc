#include "capf/ca/audit.h"

#include <botan/pem.h>
#include <botan/pubkey.h>
#include <botan/x509_key.h>

#include "capf/ca/signature.h"

namespace capf::ca {

Result<Bytes> sign_seal(const SigningKey& key, BytesView text, Botan::RandomNumberGenerator& random) {
  try {
    CertificateSigner signer(key.botan(), random);
    return signer.signer->sign_message(text.data(), text.size(), random);
  } catch (const std::exception& error) {
    return fail_internal(std::string("sealing the record: ") + error.what());
  }
}

bool is_sealed(BytesView spki, BytesView text, BytesView signature) {
  try {
    const Bytes encoded(spki.begin(), spki.end());
    const std::unique_ptr<Botan::Public_Key> key(Botan::X509::load_key(encoded));
    Botan::PK_Verifier verifier(*key, "EMSA1(SHA-256)", kDerSignature);
    return verifier.verify_message(text.data(), text.size(), signature.data(), signature.size());
  } catch (const std::exception&) {
    return false;
  }
}

bool is_good(BytesView spki, const AuditSeal& seal) {
  const Bytes text = seal_text(seal);
  return sha256(text) == seal.sha256 && is_sealed(spki, text, seal.signature);
}

std::string public_key_pem(BytesView spki) { return Botan::PEM_Code::encode(spki.data(), spki.size(), "PUBLIC KEY"); }

}  // namespace capf::ca
