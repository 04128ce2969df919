#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "capf/ca/key.h"

// Keys in PKCS #11 tokens (version 2.40), named by RFC 7512 URIs: "pkcs11:token=capf;object=issuer". The library is the
// setting's, or the URI's own: "…?module-path=/usr/lib/softhsm/libsofthsm2.so". A URI never carries a PIN.

namespace capf::ca {

/// Settings for the access to tokens.
struct TokenAccess {
  std::string module;  ///< path of the PKCS #11 library; a URI's module-path has precedence
  /// The user's PIN, asked for at every login. A PIN that a token has refused is not tried again.
  std::function<Result<Secret>()> pin;
  int sessions = 8;                          ///< at most, with one token at once
  std::chrono::milliseconds patience{5000};  ///< how long to wait for a free session
  std::chrono::milliseconds pause{1000};     ///< between two searches for a token that is away
  std::chrono::milliseconds limit{5000};     ///< of one call: a token that takes longer counts as away until it returns
  std::chrono::milliseconds make_limit{120'000};  ///< the same for making a key pair, which takes a smart card a minute
};

/// Whether it names a key in a token. Errors: INVALID_CONFIGURATION.
Status check_token_uri(const std::string& uri);
/// The module-path of the URI; empty where there is none, or it is no PKCS #11 URI.
std::string module_of(const std::string& uri);

class Module;
class Token;
class TokenSigner;
struct KeyUri;

/// Whether a thread of this process is in a PKCS #11 library, which may hang. Then the process ends by _Exit(): exit()
/// might wait for that thread in a destructor of the library.
bool token_calls_left();

/// The tokens in which this process has keys. A token may go away and come back: its keys answer TOKEN_UNAVAILABLE
/// meanwhile, and log in again by themselves. Its library may hang: no caller waits longer than TokenAccess::limit, and
/// further calls meanwhile fail at once with TOKEN_UNAVAILABLE. Keys: RSA 2048 to 4096, P-256, P-384. Threads: any.
class Tokens {
 public:
  explicit Tokens(TokenAccess access);
  ~Tokens();

  /// The private key with this public half (SubjectPublicKeyInfo). It proves to be that key, by a signature, whenever
  /// the token has been away. The token may be away now. Errors: INVALID_CONFIGURATION, WRONG_PIN, ISSUER_KEY_ABSENT.
  Result<std::unique_ptr<SigningKey>> open(const std::string& uri, BytesView public_key);
  /// A key whose token is available now. Errors: the same, and TOKEN_UNAVAILABLE.
  Result<std::unique_ptr<SigningKey>> find(const std::string& uri);
  /// A new key, which never leaves the token. Errors: as find(); INVALID_CONFIGURATION where there is one already.
  Result<std::unique_ptr<SigningKey>> generate(const std::string& uri, KeyAlgorithm algorithm);

 private:
  Result<std::shared_ptr<Token>> token_of(const KeyUri& uri);
  Result<std::shared_ptr<TokenSigner>> make_signer(KeyUri uri, std::shared_ptr<Token> token, BytesView public_key);

  const TokenAccess access_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Module>> modules_;  ///< by path
  std::map<std::string, std::shared_ptr<Token>> tokens_;    ///< by the module's path and the token's name
};

}  // namespace capf::ca
