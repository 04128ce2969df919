#include "capf/ca/token.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include <botan/auto_rng.h>
#include <botan/bigint.h>
#include <botan/hash.h>
#include <botan/pubkey.h>
#include <botan/rsa.h>
#include <botan/x509_key.h>

#include "capf/ca/asn1.h"
#include "capf/ca/pkcs11.h"
#include "capf/ca/signature.h"
#include "capf/ca/spki.h"

namespace capf::ca {
namespace {

using Session = Token::Session;

constexpr std::size_t kLargestAttribute = 1024;
const char* const kProofHash = "SHA-256";
constexpr std::chrono::milliseconds kGlance{1000};

/// @return the attribute; absent if the token does not have it, or does not let it be read.
std::optional<Bytes> attribute(const Module& module, const Session& session, CK_OBJECT_HANDLE object,
                               CK_ATTRIBUTE_TYPE type) {
  Bytes value(kLargestAttribute);
  CK_ATTRIBUTE wanted{type, value.data(), value.size()};
  const CK_RV code = module->C_GetAttributeValue(session.handle, object, &wanted, 1);
  if (code == CKR_ATTRIBUTE_SENSITIVE || code == CKR_ATTRIBUTE_TYPE_INVALID || code == CKR_BUFFER_TOO_SMALL) {
    return std::nullopt;
  }
  must("C_GetAttributeValue", code);
  if (wanted.ulValueLen > value.size()) return std::nullopt;
  value.resize(wanted.ulValueLen);
  return value;
}

/// At most two of the objects that match.
std::vector<CK_OBJECT_HANDLE> find_objects(const Module& module, const Session& session, CK_OBJECT_CLASS kind,
                                           std::vector<std::pair<CK_ATTRIBUTE_TYPE, Bytes>> wanted) {
  std::vector<CK_ATTRIBUTE> like{{CKA_CLASS, &kind, sizeof kind}};
  for (auto& [type, value] : wanted) like.push_back({type, value.data(), value.size()});
  must("C_FindObjectsInit", module->C_FindObjectsInit(session.handle, like.data(), like.size()));
  std::vector<CK_OBJECT_HANDLE> found(2);
  CK_ULONG count = 0;
  const CK_RV code = module->C_FindObjects(session.handle, found.data(), found.size(), &count);
  module->C_FindObjectsFinal(session.handle);
  must("C_FindObjects", code);
  if (count > found.size()) throw Refused{"C_FindObjects", CKR_GENERAL_ERROR};
  found.resize(count);
  return found;
}

std::vector<std::pair<CK_ATTRIBUTE_TYPE, Bytes>> attributes_of(const KeyUri& uri) {
  std::vector<std::pair<CK_ATTRIBUTE_TYPE, Bytes>> wanted;
  for (const CK_ATTRIBUTE_TYPE type : {CKA_LABEL, CKA_ID}) {
    if (auto value = uri_attribute(uri, type)) wanted.emplace_back(type, *std::move(value));
  }
  return wanted;
}

Result<CK_OBJECT_HANDLE> find_private(const Module& module, const Session& session, const KeyUri& uri) {
  const auto found = find_objects(module, session, CKO_PRIVATE_KEY, attributes_of(uri));
  if (found.empty()) {
    return fail(Reason::kIssuerKeyAbsent, "the token has no private key that the URI '" + uri.text + "' names");
  }
  if (found.size() > 1) return bad_uri(uri.text, "names two private keys; 'id=' tells them apart");
  return found.front();
}

/// SubjectPublicKeyInfo of the key, from its public object; an RSA key has its public half beside the private one too.
Result<Bytes> read_public(const Module& module, const Session& session, const KeyUri& uri,
                          CK_OBJECT_HANDLE private_key) {
  auto found = find_objects(module, session, CKO_PUBLIC_KEY, attributes_of(uri));
  if (found.empty()) {
    if (auto id = attribute(module, session, private_key, CKA_ID); id && !id->empty()) {
      found = find_objects(module, session, CKO_PUBLIC_KEY, {{CKA_ID, *std::move(id)}});
    }
  }
  const CK_OBJECT_HANDLE object = found.size() == 1 ? found.front() : private_key;
  const auto modulus = attribute(module, session, object, CKA_MODULUS);
  const auto exponent = attribute(module, session, object, CKA_PUBLIC_EXPONENT);
  const auto group = attribute(module, session, object, CKA_EC_PARAMS);
  const auto point = attribute(module, session, object, CKA_EC_POINT);
  try {
    if (modulus && exponent && !modulus->empty()) {
      return Botan::X509::BER_encode(Botan::RSA_PublicKey(Botan::BigInt(*modulus), Botan::BigInt(*exponent)));
    }
    if (group && point && !point->empty()) {
      // PKCS #11 2.40 2.3.3: CKA_EC_POINT is the DER encoding of the point, an OCTET STRING.
      const auto raw = DerReader(*point).take(kOctetString);
      if (!raw) return fail(Reason::kInvalidConfiguration, "the token's public key cannot be read", "CKA_EC_POINT");
      return der_element(kSequence, der_element(kSequence, Botan::OID("1.2.840.10045.2.1").BER_encode(), *group),
                         der_element(kBitString, Bytes{0}, raw->content));
    }
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the token's public key cannot be read", error.what());
  }
  return fail(Reason::kInvalidConfiguration,
              "the token has no public key beside the private one that the URI '" + uri.text + "' names");
}

/// The octets of a DigestInfo before the digest, RFC 8017 9.2 note 1. Throws for another hash.
Bytes digest_info(const std::string& hash) {
  struct Row {
    std::string_view hash;
    const char* oid;
    std::uint8_t size;
  };
  constexpr Row kRows[]{{"SHA-1", "1.3.14.3.2.26", 20},
                        {"SHA-256", "2.16.840.1.101.3.4.2.1", 32},
                        {"SHA-384", "2.16.840.1.101.3.4.2.2", 48},
                        {"SHA-512", "2.16.840.1.101.3.4.2.3", 64}};
  for (const Row& row : kRows) {
    if (row.hash != hash) continue;
    const Bytes algorithm = der_element(kSequence, Botan::OID(row.oid).BER_encode(), Bytes{kNull, 0});
    const Bytes whole = der_element(kSequence, algorithm, der_element(kOctetString, Bytes(row.size)));
    return {whole.begin(), whole.end() - row.size};
  }
  throw std::invalid_argument("no signature with " + hash);
}

Status check_kind(BytesView public_key) {
  const auto key = read_spki(public_key);
  const bool good = key && ((key->type == KeyType::kRsa && key->bits >= 2048 && key->bits <= 4096) ||
                            (key->type == KeyType::kEc && (key->bits == 256 || key->bits == 384)));
  if (!good)
    return fail(Reason::kInvalidConfiguration, "a token's key must be RSA of 2048 to 4096 bits, P-256 or P-384");
  return {};
}

}  // namespace

/// A key with its token, shared by the signature operations that use it.
class TokenSigner : public std::enable_shared_from_this<TokenSigner> {
 public:
  TokenSigner(std::shared_ptr<Token> token, KeyUri uri, std::unique_ptr<Botan::Public_Key> half)
      : token_(std::move(token)),
        uri_(std::move(uri)),
        half_(std::move(half)),
        rsa_(half_->algo_name() == "RSA"),
        size_(rsa_ ? (half_->key_length() + 7) / 8 : 2 * ((half_->key_length() + 7) / 8)) {}

  const std::string& uri() const { return uri_.text; }
  std::size_t size() const { return size_; }
  bool rsa() const { return rsa_; }

  /// @param digest made with `hash`
  Result<Bytes> sign(const std::string& hash, BytesView digest) {
    return token_->perform([self = shared_from_this(), hash, digest = Bytes(digest.begin(), digest.end())](
                               const Module& module, const Session& session) -> Result<Bytes> {
      CAPF_LET(const CK_OBJECT_HANDLE key, self->handle(module, session));
      return self->sign_with(module, session, key, hash, digest);
    });
  }

  /// Checks that the token has the key, by a signature where the token has been away.
  Status prove() {
    return token_->perform([self = shared_from_this()](const Module& module, const Session& session) {
      return self->look(module, session);
    });
  }

  /// The same without waiting: a busy or slow token counts as available until it hangs.
  Status ready() {
    CAPF_TRY(token_->answers());
    if (token_->busy()) return {};
    const auto seen =
        token_->perform_within(kGlance, [self = shared_from_this()](const Module& module, const Session& session) {
          return self->look(module, session);
        });
    return seen ? *seen : token_->answers();
  }

 private:
  Status look(const Module& module, const Session& session) {
    CK_SESSION_INFO info{};
    must("C_GetSessionInfo", module->C_GetSessionInfo(session.handle, &info));
    CAPF_TRY(handle(module, session));
    return {};
  }

  Bytes sign_with(const Module& module, const Session& session, CK_OBJECT_HANDLE key, const std::string& hash,
                  BytesView digest) {
    Bytes input;
    // RFC 8017 9.2: the digest is wrapped in a DigestInfo; the token pads it.
    if (rsa_) input = digest_info(hash);
    input.insert(input.end(), digest.begin(), digest.end());
    CK_MECHANISM mechanism{rsa_ ? CKM_RSA_PKCS : CKM_ECDSA, nullptr, 0};
    must("C_SignInit", module->C_SignInit(session.handle, &mechanism, key));
    Bytes signature(size_);
    CK_ULONG size = signature.size();
    must("C_Sign", module->C_Sign(session.handle, input.data(), input.size(), signature.data(), &size));
    if (size != size_) throw Refused{"C_Sign", CKR_FUNCTION_FAILED};
    return signature;
  }

  /// Searched for once in each login; a signature then shows that it is the key of our certificate.
  Result<CK_OBJECT_HANDLE> handle(const Module& module, const Session& session) {
    const std::lock_guard lock(mutex_);
    if (epoch_ == session.epoch) return handle_;
    CAPF_LET(const CK_OBJECT_HANDLE found, find_private(module, session, uri_));
    Bytes challenge(32);
    random_.randomize(challenge.data(), challenge.size());
    const auto hash = Botan::HashFunction::create_or_throw(kProofHash);
    const auto digest = hash->process(challenge.data(), challenge.size());
    const Bytes proof = sign_with(module, session, found, kProofHash, {digest.data(), digest.size()});
    Botan::PK_Verifier verifier(*half_, std::string(rsa_ ? "EMSA3(" : "EMSA1(") + kProofHash + ")");
    if (!verifier.verify_message(challenge.data(), challenge.size(), proof.data(), proof.size())) {
      return fail(Reason::kInvalidConfiguration,
                  "the key that the URI '" + uri_.text + "' names is not the key of its certificate");
    }
    handle_ = found;
    epoch_ = session.epoch;
    return handle_;
  }

  const std::shared_ptr<Token> token_;
  const KeyUri uri_;
  const std::unique_ptr<Botan::Public_Key> half_;
  const bool rsa_;
  const std::size_t size_;
  std::mutex mutex_;
  Botan::AutoSeeded_RNG random_;
  unsigned epoch_ = 0;
  CK_OBJECT_HANDLE handle_ = 0;
};

namespace {

class TokenSignature final : public SignatureOperation {
 public:
  TokenSignature(std::shared_ptr<TokenSigner> signer, const std::string& parameters)
      : SignatureOperation(hash_of(parameters), signer->rsa()),
        signer_(std::move(signer)),
        hash_(Botan::HashFunction::create_or_throw(hash())) {}

  std::size_t signature_length() const override { return signer_->size(); }
  void take(BytesView data) override { hash_->update(data.data(), data.size()); }

  Bytes make() override {
    const auto digest = hash_->final();
    auto signature = signer_->sign(hash(), {digest.data(), digest.size()});
    if (signature) return *std::move(signature);
    // The caller can only retry, whatever the cause: report TOKEN_UNAVAILABLE.
    Error error = signature.error();
    if (error.reason != Reason::kTokenUnavailable) {
      error = unavailable(std::string(to_string(error.reason)) + ": " + error.message).value();
    }
    throw SigningError(std::move(error));
  }

 private:
  const std::shared_ptr<TokenSigner> signer_;
  const std::unique_ptr<Botan::HashFunction> hash_;
};

class TokenKey final : public SigningKey {
 public:
  TokenKey(std::shared_ptr<TokenSigner> signer, BytesView public_key)
      : signer_(std::move(signer)),
        public_key_(public_key.begin(), public_key.end()),
        botan_(make_botan_key(public_key, [signer = signer_](const std::string& parameters) {
          return std::make_unique<TokenSignature>(signer, parameters);
        })) {}

  std::string uri() const override { return signer_->uri(); }
  Status ready() const override { return signer_->ready(); }
  const Botan::Private_Key& botan() const override { return *botan_; }
  Bytes public_key() const override { return public_key_; }
  Result<Secret> private_pem() const override {
    return fail(Reason::kInvalidConfiguration, "a key in a token does not leave it: " + signer_->uri());
  }

 private:
  const std::shared_ptr<TokenSigner> signer_;
  const Bytes public_key_;
  const std::unique_ptr<Botan::Private_Key> botan_;
};

/// A read-write session, closed on destruction.
class WritableSession {
 public:
  WritableSession(const Module& module, CK_SLOT_ID slot) : module_(module) {
    must("C_OpenSession",
         module_->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle_));
  }
  WritableSession(const WritableSession&) = delete;
  WritableSession& operator=(const WritableSession&) = delete;
  ~WritableSession() { module_->C_CloseSession(handle_); }
  CK_SESSION_HANDLE handle() const { return handle_; }

 private:
  const Module& module_;
  CK_SESSION_HANDLE handle_ = 0;
};

/// Makes a key that can never leave the token, and only signs.
void generate_pair(const Module& module, CK_SESSION_HANDLE session, const KeyUri& uri, KeyAlgorithm algorithm) {
  const std::string name(to_string(algorithm));
  const bool rsa = name.starts_with("rsa-");
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  CK_ULONG bits = rsa ? std::stoul(name.substr(4)) : 0;
  Bytes exponent{0x01, 0x00, 0x01};
  Bytes group;
  if (!rsa) {
    // RFC 5480 2.1.1.1: secp256r1, secp384r1
    group = Botan::OID(algorithm == KeyAlgorithm::kP256 ? "1.2.840.10045.3.1.7" : "1.3.132.0.34").BER_encode();
  }
  Bytes id(8);
  Botan::AutoSeeded_RNG().randomize(id.data(), id.size());
  id = uri_attribute(uri, CKA_ID).value_or(id);
  std::optional<Bytes> label = uri_attribute(uri, CKA_LABEL);

  std::vector<CK_ATTRIBUTE> public_half{{CKA_TOKEN, &yes, sizeof yes}, {CKA_VERIFY, &yes, sizeof yes}};
  std::vector<CK_ATTRIBUTE> private_half{{CKA_TOKEN, &yes, sizeof yes},
                                         {CKA_PRIVATE, &yes, sizeof yes},
                                         {CKA_SENSITIVE, &yes, sizeof yes},
                                         {CKA_EXTRACTABLE, &no, sizeof no},
                                         {CKA_SIGN, &yes, sizeof yes}};
  if (rsa) {
    public_half.push_back({CKA_MODULUS_BITS, &bits, sizeof bits});
    public_half.push_back({CKA_PUBLIC_EXPONENT, exponent.data(), exponent.size()});
    private_half.push_back({CKA_DECRYPT, &no, sizeof no});
    private_half.push_back({CKA_UNWRAP, &no, sizeof no});
  } else {
    public_half.push_back({CKA_EC_PARAMS, group.data(), group.size()});
    private_half.push_back({CKA_DERIVE, &no, sizeof no});
  }
  for (auto* half : {&public_half, &private_half}) {
    half->push_back({CKA_ID, id.data(), id.size()});
    if (label) half->push_back({CKA_LABEL, label->data(), label->size()});
  }
  CK_MECHANISM mechanism{rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_handle = 0;
  CK_OBJECT_HANDLE private_handle = 0;
  must("C_GenerateKeyPair",
       module->C_GenerateKeyPair(session, &mechanism, public_half.data(), public_half.size(), private_half.data(),
                                 private_half.size(), &public_handle, &private_handle));
}

/// The part of the URI that names the token, without the one that names the key.
std::string token_name(const KeyUri& uri) {
  std::string name;
  for (std::size_t at = uri.text.find(':') + 1; at <= uri.text.size();) {
    const std::size_t end = std::min(uri.text.find_first_of(";?", at), uri.text.size());
    const std::string part = uri.text.substr(at, end - at);
    const bool of_key = part.starts_with("object=") || part.starts_with("id=") || part.starts_with("type=");
    if (!of_key) name += part + ";";
    if (end < uri.text.size() && uri.text[end] == '?') break;
    at = end + 1;
  }
  return name;
}

/// A shared copy, for work that may outlive the call.
Result<std::shared_ptr<const KeyUri>> shared(const std::string& text) {
  CAPF_LET(KeyUri uri, parse_uri(text));
  return std::make_shared<const KeyUri>(std::move(uri));
}

Result<std::unique_ptr<SigningKey>> make_key(std::shared_ptr<TokenSigner> signer, BytesView public_key) {
  try {
    return std::make_unique<TokenKey>(std::move(signer), public_key);
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the key cannot be used", error.what());
  }
}

}  // namespace

bool token_calls_left() { return Calls::left_behind(); }

Status check_token_uri(const std::string& uri) {
  CAPF_TRY(parse_uri(uri));
  return {};
}

std::string module_of(const std::string& uri) {
  const auto parsed = parse_uri(uri);
  return parsed ? parsed->module : "";
}

Tokens::Tokens(TokenAccess access) : access_(std::move(access)) {}
Tokens::~Tokens() = default;

Result<std::shared_ptr<Token>> Tokens::token_of(const KeyUri& uri) {
  const std::lock_guard lock(mutex_);
  const std::string path = uri.module.empty() ? access_.module : uri.module;
  auto& module = modules_[path];
  if (!module) {
    CAPF_LET(module, Module::load(path, access_.limit));
  }
  auto& token = tokens_[path + '\n' + token_name(uri)];
  if (!token) {
    CAPF_LET(KeyUri own, parse_uri(uri.text));
    token = std::make_shared<Token>(module, std::move(own), access_);
  }
  return token;
}

Result<std::shared_ptr<TokenSigner>> Tokens::make_signer(KeyUri uri, std::shared_ptr<Token> token,
                                                         BytesView public_key) {
  CAPF_TRY(check_kind(public_key));
  try {
    std::unique_ptr<Botan::Public_Key> half(Botan::X509::load_key(Bytes(public_key.begin(), public_key.end())));
    return std::make_shared<TokenSigner>(std::move(token), std::move(uri), std::move(half));
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the key cannot be used", error.what());
  }
}

Result<std::unique_ptr<SigningKey>> Tokens::open(const std::string& text, BytesView public_key) {
  CAPF_LET(KeyUri uri, parse_uri(text));
  CAPF_LET(auto token, token_of(uri));
  CAPF_LET(auto signer, make_signer(std::move(uri), std::move(token), public_key));
  const Status proven = signer->prove();
  if (!proven && proven.error().reason != Reason::kTokenUnavailable) return fail(proven.error());
  return make_key(std::move(signer), public_key);
}

Result<std::unique_ptr<SigningKey>> Tokens::find(const std::string& text) {
  CAPF_LET(KeyUri uri, parse_uri(text));
  CAPF_LET(auto token, token_of(uri));
  CAPF_LET(auto wanted, shared(text));
  CAPF_LET(const Bytes public_key,
           token->perform([wanted](const Module& module, const Session& session) -> Result<Bytes> {
             CAPF_LET(const CK_OBJECT_HANDLE key, find_private(module, session, *wanted));
             return read_public(module, session, *wanted, key);
           }));
  CAPF_LET(auto signer, make_signer(std::move(uri), std::move(token), public_key));
  CAPF_TRY(signer->prove());
  return make_key(std::move(signer), public_key);
}

Result<std::unique_ptr<SigningKey>> Tokens::generate(const std::string& text, KeyAlgorithm algorithm) {
  CAPF_LET(const auto uri, shared(text));
  CAPF_LET(auto token, token_of(*uri));
  CAPF_TRY(
      token->perform_for(access_.make_limit, [uri, algorithm](const Module& module, const Session& session) -> Status {
        if (!find_objects(module, session, CKO_PRIVATE_KEY, attributes_of(*uri)).empty()) {
          return bad_uri(uri->text,
                         "names a private key that is in the token already; without a kind of key, that one is used");
        }
        const WritableSession writable(module, session.slot);
        generate_pair(module, writable.handle(), *uri, algorithm);
        return {};
      }));
  return find(text);
}

}  // namespace capf::ca
