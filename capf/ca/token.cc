#include "capf/ca/token.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <optional>
#include <shared_mutex>
#include <utility>
#include <vector>

#include <botan/auto_rng.h>
#include <botan/ber_dec.h>
#include <botan/bigint.h>
#include <botan/der_enc.h>
#include <botan/ec_group.h>
#include <botan/hash.h>
#include <botan/hash_id.h>
#include <botan/pk_ops.h>
#include <botan/pubkey.h>
#include <botan/rsa.h>
#include <botan/x509_key.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "capf/base/log.h"
#include "capf/ca/signature.h"
#include "capf/ca/spki.h"

namespace capf::ca {

using std::chrono::steady_clock;

using UriPtr = std::unique_ptr<P11KitUri, Freed<p11_kit_uri_free>>;

/// A checked URI.
struct KeyUri {
  std::string text;
  UriPtr parsed;
  std::string module;  ///< path; empty where it has none
};

namespace {

constexpr std::size_t kLongestUri = 1024;
constexpr std::chrono::milliseconds kBeginAgainPatience{1000};
constexpr CK_ULONG kMostSlots = 256;
constexpr std::size_t kLargestAttribute = 1024;
const char* const kProofHash = "SHA-256";

/// What a PKCS #11 function has answered where it did not do what it was asked.
struct Refused {
  const char* function;
  CK_RV code;

  std::string text() const { return std::string(function) + ": " + p11_kit_strerror(code); }
};

void must(const char* function, CK_RV code) {
  if (code != CKR_OK) throw Refused{function, code};
}

/// Whether everything with the token is to be begun anew: it was taken away, restarted, or forgot us.
bool is_lost(CK_RV code) {
  static constexpr std::array kLost{CKR_GENERAL_ERROR,         CKR_FUNCTION_FAILED,          CKR_DEVICE_ERROR,
                                    CKR_DEVICE_MEMORY,         CKR_DEVICE_REMOVED,           CKR_KEY_HANDLE_INVALID,
                                    CKR_OBJECT_HANDLE_INVALID, CKR_SESSION_CLOSED,           CKR_SESSION_HANDLE_INVALID,
                                    CKR_SLOT_ID_INVALID,       CKR_TOKEN_NOT_PRESENT,        CKR_TOKEN_NOT_RECOGNIZED,
                                    CKR_USER_NOT_LOGGED_IN,    CKR_CRYPTOKI_NOT_INITIALIZED, CKR_OPERATION_ACTIVE};
  return std::find(kLost.begin(), kLost.end(), code) != kLost.end();
}

tl::unexpected<Error> unavailable(std::string cause) {
  return fail(Reason::kTokenUnavailable, std::string(words(Reason::kTokenUnavailable)), std::move(cause));
}

tl::unexpected<Error> bad_uri(const std::string& text, const std::string& why) {
  return fail(Reason::kInvalidConfiguration, "the key's URI '" + text.substr(0, 200) + "' " + why);
}

Result<KeyUri> parse_uri(const std::string& text) {
  KeyUri uri{text, UriPtr(p11_kit_uri_new()), ""};
  if (text.size() > kLongestUri || text.find('\0') != std::string::npos) return bad_uri(text, "is too long");
  // Its own words first: the PIN must not stand in a message.
  if (text.find("pin-value") != std::string::npos) {
    return fail(Reason::kInvalidConfiguration, "a PIN does not stand in a URI; 'token.pin' says where it is");
  }
  const int code = p11_kit_uri_parse(text.c_str(), P11_KIT_URI_FOR_ANY, uri.parsed.get());
  if (code != P11_KIT_URI_OK)
    return bad_uri(text, std::string("is not as RFC 7512 has it: ") + p11_kit_uri_message(code));
  if (p11_kit_uri_get_pin_source(uri.parsed.get()) != nullptr) {
    return bad_uri(text, "has a pin-source; 'token.pin' says where the PIN is");
  }
  if (p11_kit_uri_any_unrecognized(uri.parsed.get()) != 0 || p11_kit_uri_get_module_name(uri.parsed.get()) != nullptr) {
    return bad_uri(text, "has an attribute that is not known here");
  }
  if (p11_kit_uri_get_attribute(uri.parsed.get(), CKA_LABEL) == nullptr &&
      p11_kit_uri_get_attribute(uri.parsed.get(), CKA_ID) == nullptr) {
    return bad_uri(text, "names no key: 'object=' or 'id='");
  }
  const char* module = p11_kit_uri_get_module_path(uri.parsed.get());
  uri.module = module == nullptr ? "" : module;
  return uri;
}

/// A fixed field of PKCS #11, padded with blanks.
template <std::size_t kSize>
std::string text_of(const unsigned char (&field)[kSize]) {
  std::string text(reinterpret_cast<const char*>(field), kSize);
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string name_of(const CK_TOKEN_INFO& info) {
  return text_of(info.label) + "/" + text_of(info.serialNumber) + "/" + text_of(info.manufacturerID);
}

std::optional<Bytes> uri_attribute(const KeyUri& uri, CK_ATTRIBUTE_TYPE type) {
  const CK_ATTRIBUTE* found = p11_kit_uri_get_attribute(uri.parsed.get(), type);
  if (found == nullptr) return std::nullopt;
  const auto* data = static_cast<const std::uint8_t*>(found->pValue);
  return Bytes(data, data + found->ulValueLen);
}

}  // namespace

/// A PKCS #11 library, initialised as long as this is there. Threads: any.
class Module {
 public:
  static Result<std::shared_ptr<Module>> load(const std::string& path) {
    std::error_code error;
    if (!std::filesystem::path(path).is_absolute() || !std::filesystem::is_regular_file(path, error)) {
      return fail(Reason::kInvalidConfiguration,
                  path.empty() ? "no PKCS #11 library is named: 'token.module', or module-path in the key's URI"
                               : "the PKCS #11 library '" + path + "' is no file with an absolute path");
    }
    CK_FUNCTION_LIST* functions = p11_kit_module_load(path.c_str(), P11_KIT_MODULE_UNMANAGED);
    if (functions == nullptr) {
      const char* why = p11_kit_message();
      return fail(Reason::kInvalidConfiguration, path + " cannot be loaded as a PKCS #11 library",
                  why == nullptr ? "" : why);
    }
    auto module = std::shared_ptr<Module>(new Module(functions));
    if (const CK_RV code = module->initialize(); code != CKR_OK) {
      return fail(Reason::kInvalidConfiguration, path + " cannot be initialised", Refused{"C_Initialize", code}.text());
    }
    return module;
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  ~Module() {
    if (initialized_) functions_->C_Finalize(nullptr);
    p11_kit_module_release(functions_);
  }

  const CK_FUNCTION_LIST* operator->() const { return functions_; }

  /// Held by whoever calls into the library.
  std::shared_lock<std::shared_timed_mutex> use() { return std::shared_lock(calls_); }
  /// Goes up when every handle becomes void; not while anybody has use().
  unsigned generation() const { return generation_; }

  /// Libraries that look for their slots once only find a token that has come back when they begin again. Not while
  /// another token of theirs is at work.
  void begin_again() {
    const std::unique_lock lock(calls_, kBeginAgainPatience);
    if (!lock || connected_ > 0) return;
    ++generation_;
    if (initialized_) functions_->C_Finalize(nullptr);
    initialize();
  }
  void count_connected(int difference) { connected_ += difference; }

  /// The PIN that each token has refused. Held by whoever logs in.
  std::mutex login;
  std::map<std::string, Secret> refused_pins;

 private:
  explicit Module(CK_FUNCTION_LIST* functions) : functions_(functions) {}

  CK_RV initialize() {
    CK_C_INITIALIZE_ARGS arguments{};
    arguments.flags = CKF_OS_LOCKING_OK;
    const CK_RV code = functions_->C_Initialize(&arguments);
    // Somebody else's in this process ends it too.
    initialized_ = code == CKR_OK;
    return code == CKR_CRYPTOKI_ALREADY_INITIALIZED ? CKR_OK : code;
  }

  CK_FUNCTION_LIST* const functions_;
  std::shared_timed_mutex calls_;
  std::atomic<unsigned> generation_{0};
  bool initialized_ = false;
  std::atomic<int> connected_{0};
};

/// One token: found, logged in to, and a bounded number of sessions with it. Threads: any.
class Token {
 public:
  struct Session {
    CK_SESSION_HANDLE handle = 0;
    CK_SLOT_ID slot = 0;
    unsigned epoch = 0;       ///< which login it belongs to; handles of objects hold as long
    unsigned generation = 0;  ///< of the library
  };

  /// @param uri of any key in it
  Token(std::shared_ptr<Module> module, KeyUri uri, const TokenAccess& access)
      : module_(std::move(module)), uri_(std::move(uri)), access_(access) {}
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;
  ~Token() { close(disconnect()); }

  const Module& module() const { return *module_; }

  /// Lends `work` a session, for it alone. Where the token turns out to be lost, everything is begun anew, once.
  /// `work` may throw Refused.
  template <class Work>
  std::invoke_result_t<Work&, const Session&> perform(Work work) {
    for (bool again = false;; again = true) {
      CAPF_LET(const Session session, take());
      std::optional<Refused> refused;
      std::optional<std::invoke_result_t<Work&, const Session&>> done;
      {
        const auto use = module_->use();
        try {
          // The library may have begun again since: the handle is nobody's, or somebody else's.
          if (session.generation != module_->generation()) throw Refused{"C_OpenSession", CKR_SESSION_CLOSED};
          done.emplace(work(session));
        } catch (const Refused& answer) {
          refused = answer;
        }
      }
      const bool lost = refused && is_lost(refused->code);
      if (lost) {
        lose(session, *refused);
      } else {
        give_back(session);
      }
      if (done) return *std::move(done);
      if (!lost || again) return unavailable(refused->text());
    }
  }

  /// Whether every session is at work.
  bool busy() {
    const std::lock_guard lock(mutex_);
    return connected_ && idle_.empty() && open_ >= limit_;
  }

 private:
  struct Connection {
    Session first;
    int limit = 1;
    std::string name;
  };

  // The library is called with none of our locks held but its own: whoever is at work with it may want them.
  Result<Session> take() {
    std::unique_lock lock(mutex_);
    const auto deadline = steady_clock::now() + access_.patience;
    for (;;) {
      if (connected_ && module_->generation() != generation_) disconnect();  // every session has gone with it
      if (connected_ && !idle_.empty()) {
        const Session session = idle_.back();
        idle_.pop_back();
        return session;
      }
      if (connected_ && open_ < limit_) {
        ++open_;
        Session session{0, slot_, epoch_, generation_};
        lock.unlock();
        const CK_RV code = open(session);
        if (code == CKR_OK) return session;
        refuse_session(session, code);
        lock.lock();
        continue;
      }
      if (!connected_ && !connecting_) {
        CAPF_TRY(connect_once(lock));
        continue;
      }
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
        return unavailable("every session with the token is in use");
      }
    }
  }

  CK_RV open(Session& session) {
    const auto use = module_->use();
    if (session.generation != module_->generation()) return CKR_SESSION_CLOSED;
    return (*module_)->C_OpenSession(session.slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session.handle);
  }

  /// It could not be opened: there are as many as there can be, or the token is lost.
  void refuse_session(const Session& session, CK_RV code) {
    std::unique_lock lock(mutex_);
    if (!connected_ || session.epoch != epoch_) return;
    --open_;
    if (code == CKR_SESSION_COUNT && open_ > 0) {
      limit_ = open_;
      return;
    }
    log_warning("token.lost", {{"cause", Refused{"C_OpenSession", code}.text()}});
    const auto idle = disconnect();
    lock.unlock();
    close(idle);
  }

  /// Others may wait meanwhile.
  Status connect_once(std::unique_lock<std::mutex>& lock) {
    if (steady_clock::now() < next_try_) return tl::unexpected<Error>(failure_);
    connecting_ = true;
    lock.unlock();
    const auto made = connect();
    lock.lock();
    connecting_ = false;
    changed_.notify_all();
    next_try_ = steady_clock::now() + access_.pause;
    if (!made) {
      failure_ = made.error();
      return tl::unexpected<Error>(failure_);
    }
    log_info("token.ready", {{"token", made->name}, {"sessions", made->limit}});
    failure_ = fail(Reason::kTokenUnavailable).value();
    connected_ = true;
    module_->count_connected(1);
    generation_ = made->first.generation;
    slot_ = made->first.slot;
    limit_ = made->limit;
    open_ = 1;
    idle_ = {made->first};
    return {};
  }

  Result<Connection> connect() {
    try {
      for (bool again = false;; again = true) {
        {
          const auto use = module_->use();
          CAPF_LET(const auto slot, find_slot());
          if (slot) return connect_to(*slot);
        }
        if (again) return unavailable("the token is not there");
        module_->begin_again();
      }
    } catch (const Refused& refused) {
      return unavailable(refused.text());
    }
  }

  Result<std::optional<CK_SLOT_ID>> find_slot() const {
    std::array<CK_SLOT_ID, kMostSlots> slots{};
    CK_ULONG count = slots.size();
    must("C_GetSlotList", (*module_)->C_GetSlotList(CK_TRUE, slots.data(), &count));
    CK_INFO library{};
    must("C_GetInfo", (*module_)->C_GetInfo(&library));
    std::optional<CK_SLOT_ID> found;
    for (CK_ULONG i = 0; i < count; ++i) {
      const CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri_.parsed.get());
      CK_SLOT_INFO slot{};
      CK_TOKEN_INFO token{};
      const bool matches = (wanted == static_cast<CK_SLOT_ID>(-1) || wanted == slots.at(i)) &&
                           (*module_)->C_GetSlotInfo(slots.at(i), &slot) == CKR_OK &&
                           (*module_)->C_GetTokenInfo(slots.at(i), &token) == CKR_OK &&
                           (token.flags & CKF_TOKEN_INITIALIZED) != 0 &&
                           p11_kit_uri_match_module_info(uri_.parsed.get(), &library) == 1 &&
                           p11_kit_uri_match_slot_info(uri_.parsed.get(), &slot) == 1 &&
                           p11_kit_uri_match_token_info(uri_.parsed.get(), &token) == 1;
      if (!matches) continue;
      if (found) return bad_uri(uri_.text, "fits two tokens; 'serial=' tells them apart");
      found = slots.at(i);
    }
    return found;
  }

  Result<Connection> connect_to(CK_SLOT_ID slot) {
    Connection made;
    made.first.generation = module_->generation();
    made.first.slot = slot;
    made.first.epoch = epoch_ + 1;
    must("C_OpenSession", (*module_)->C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &made.first.handle));
    CK_TOKEN_INFO info{};
    Status status;
    try {
      must("C_GetTokenInfo", (*module_)->C_GetTokenInfo(slot, &info));
      status = log_in(made.first.handle, slot);
    } catch (...) {
      (*module_)->C_CloseSession(made.first.handle);
      throw;
    }
    if (!status) {
      (*module_)->C_CloseSession(made.first.handle);
      return tl::unexpected<Error>(status.error());
    }
    made.name = name_of(info);
    made.limit = access_.sessions;
    if (info.ulMaxSessionCount != CK_EFFECTIVELY_INFINITE && info.ulMaxSessionCount != CK_UNAVAILABLE_INFORMATION) {
      made.limit = static_cast<int>(std::min<CK_ULONG>(info.ulMaxSessionCount, static_cast<CK_ULONG>(made.limit)));
    }
    ++epoch_;
    return made;
  }

  // A token locks itself after a few wrong PINs: none is tried twice, and never the last time.
  Status log_in(CK_SESSION_HANDLE session, CK_SLOT_ID slot) {
    const std::lock_guard lock(module_->login);
    CK_TOKEN_INFO info{};
    must("C_GetTokenInfo", (*module_)->C_GetTokenInfo(slot, &info));
    if ((info.flags & CKF_LOGIN_REQUIRED) == 0) return {};
    CK_SESSION_INFO state{};
    must("C_GetSessionInfo", (*module_)->C_GetSessionInfo(session, &state));
    if (state.state == CKS_RO_USER_FUNCTIONS || state.state == CKS_RW_USER_FUNCTIONS) return {};
    if (!access_.pin) {
      return fail(Reason::kInvalidConfiguration, "the token wants a PIN: 'token.pin' says where it is");
    }
    CAPF_LET(const Secret pin, access_.pin());
    const std::string name = name_of(info);
    const auto refused = module_->refused_pins.find(name);
    if (refused != module_->refused_pins.end() && same(refused->second, pin)) {
      return fail(Reason::kWrongPin, "the token has refused this PIN, which is not tried again");
    }
    if ((info.flags & CKF_USER_PIN_LOCKED) != 0) {
      return fail(Reason::kWrongPin, "the token's PIN is locked; its security officer sets a new one");
    }
    if ((info.flags & CKF_USER_PIN_FINAL_TRY) != 0) {
      return fail(Reason::kWrongPin,
                  "the token takes one more PIN before it locks, and it is left to you: log in with the right one by "
                  "the token's own program, then it is used here again");
    }
    if ((info.flags & CKF_USER_PIN_COUNT_LOW) != 0) log_warning("token.pin_refused_before", {{"token", name}});
    const CK_RV code = (*module_)->C_Login(
        session, CKU_USER,
        const_cast<CK_UTF8CHAR*>(reinterpret_cast<const CK_UTF8CHAR*>(pin.text().data())),  // NOLINT: not written to
        pin.text().size());
    if (code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN) {
      module_->refused_pins.erase(name);
      return {};
    }
    if (code == CKR_PIN_INCORRECT || code == CKR_PIN_INVALID || code == CKR_PIN_LEN_RANGE || code == CKR_PIN_EXPIRED ||
        code == CKR_PIN_LOCKED || code == CKR_USER_PIN_NOT_INITIALIZED) {
      module_->refused_pins.insert_or_assign(name, Secret(pin.view()));
      return fail(Reason::kWrongPin, std::string(words(Reason::kWrongPin)), Refused{"C_Login", code}.text());
    }
    // Some say so in other words, and count the try all the same.
    CK_TOKEN_INFO after{};
    constexpr CK_FLAGS kCounted = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
    if ((*module_)->C_GetTokenInfo(slot, &after) == CKR_OK && (after.flags & ~info.flags & kCounted) != 0) {
      module_->refused_pins.insert_or_assign(name, Secret(pin.view()));
      return fail(Reason::kWrongPin, std::string(words(Reason::kWrongPin)), Refused{"C_Login", code}.text());
    }
    throw Refused{"C_Login", code};
  }

  static bool same(const Secret& a, const Secret& b) {
    return std::equal(a.view().begin(), a.view().end(), b.view().begin(), b.view().end());
  }

  void give_back(const Session& session) {
    {
      const std::lock_guard lock(mutex_);
      if (connected_ && session.epoch == epoch_) {
        idle_.push_back(session);
        changed_.notify_one();
        return;
      }
    }
    close({session});
  }

  void lose(const Session& session, const Refused& refused) {
    std::vector<Session> gone{session};
    {
      const std::lock_guard lock(mutex_);
      if (connected_ && session.epoch == epoch_) {
        log_warning("token.lost", {{"cause", refused.text()}});
        const auto idle = disconnect();
        gone.insert(gone.end(), idle.begin(), idle.end());
      }
      changed_.notify_all();
    }
    close(gone);
  }

  /// Sessions that are lent are closed when they come back. @return those that are not
  std::vector<Session> disconnect() {
    if (!connected_) return {};
    connected_ = false;
    module_->count_connected(-1);
    return std::exchange(idle_, {});
  }

  void close(const std::vector<Session>& sessions) {
    const auto use = module_->use();
    for (const Session& session : sessions) {
      if (session.generation == module_->generation()) (*module_)->C_CloseSession(session.handle);
    }
  }

  const std::shared_ptr<Module> module_;
  const KeyUri uri_;
  const TokenAccess access_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool connected_ = false;
  bool connecting_ = false;
  unsigned generation_ = 0;
  std::atomic<unsigned> epoch_{0};
  CK_SLOT_ID slot_ = 0;
  int limit_ = 1;
  int open_ = 0;
  std::vector<Session> idle_;
  steady_clock::time_point next_try_{};
  Error failure_ = fail(Reason::kTokenUnavailable).value();
};

namespace {

using Session = Token::Session;

/// What may not be read, or is not there, is nothing.
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

/// At most two of the objects that fit.
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
      Bytes raw;
      Botan::BER_Decoder(*point).decode(raw, Botan::OCTET_STRING);
      Bytes spki;
      Botan::DER_Encoder(spki)
          .start_cons(Botan::SEQUENCE)
          .encode(Botan::AlgorithmIdentifier(Botan::OID("1.2.840.10045.2.1"), *group))
          .encode(raw, Botan::BIT_STRING)
          .end_cons();
      return spki;
    }
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the token's public key cannot be read", error.what());
  }
  return fail(Reason::kInvalidConfiguration,
              "the token has no public key beside the private one that the URI '" + uri.text + "' names");
}

Status check_kind(BytesView public_key) {
  const auto key = read_spki(public_key);
  const bool good = key && ((key->type == KeyType::kRsa && key->bits >= 2048 && key->bits <= 4096) ||
                            (key->type == KeyType::kEc && (key->bits == 256 || key->bits == 384)));
  if (!good)
    return fail(Reason::kInvalidConfiguration, "a token's key must be RSA of 2048 to 4096 bits, P-256 or P-384");
  return {};
}

/// A key with its token: what signatures are made by, as long as any of them is there.
class TokenSigner {
 public:
  TokenSigner(std::shared_ptr<Token> token, KeyUri uri, std::unique_ptr<Botan::Public_Key> half)
      : token_(std::move(token)),
        uri_(std::move(uri)),
        half_(std::move(half)),
        rsa_(half_->algo_name() == "RSA"),
        size_(rsa_ ? (half_->key_length() + 7) / 8 : 2 * ((half_->key_length() + 7) / 8)) {}

  const std::string& uri() const { return uri_.text; }
  std::size_t size() const { return size_; }

  /// @param digest made with `hash`
  Result<Bytes> sign(const std::string& hash, BytesView digest) {
    return token_->perform([&](const Session& session) -> Result<Bytes> {
      CAPF_LET(const CK_OBJECT_HANDLE key, handle(session));
      return sign_with(session, key, hash, digest);
    });
  }

  Status ready() {
    if (token_->busy()) return {};
    return token_->perform([&](const Session& session) -> Status {
      CK_SESSION_INFO info{};
      must("C_GetSessionInfo", token_->module()->C_GetSessionInfo(session.handle, &info));
      CAPF_TRY(handle(session));
      return {};
    });
  }

 private:
  Bytes sign_with(const Session& session, CK_OBJECT_HANDLE key, const std::string& hash, BytesView digest) {
    Bytes input;
    // RFC 8017 9.2: the digest stands in a DigestInfo; the token pads it.
    if (rsa_) input = Botan::pkcs_hash_id(hash);
    input.insert(input.end(), digest.begin(), digest.end());
    CK_MECHANISM mechanism{rsa_ ? CKM_RSA_PKCS : CKM_ECDSA, nullptr, 0};
    const Module& module = token_->module();
    must("C_SignInit", module->C_SignInit(session.handle, &mechanism, key));
    Bytes signature(size_);
    CK_ULONG size = signature.size();
    must("C_Sign", module->C_Sign(session.handle, input.data(), input.size(), signature.data(), &size));
    if (size != size_) throw Refused{"C_Sign", CKR_FUNCTION_FAILED};
    return signature;
  }

  /// Found once for each login; then a signature shows that it is the key whose certificate we have.
  Result<CK_OBJECT_HANDLE> handle(const Session& session) {
    const std::lock_guard lock(mutex_);
    if (epoch_ == session.epoch) return handle_;
    CAPF_LET(const CK_OBJECT_HANDLE found, find_private(token_->module(), session, uri_));
    Bytes challenge(32);
    random_.randomize(challenge.data(), challenge.size());
    const auto hash = Botan::HashFunction::create_or_throw(kProofHash);
    const auto digest = hash->process(challenge.data(), challenge.size());
    const Bytes proof = sign_with(session, found, kProofHash, {digest.data(), digest.size()});
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

class TokenSignature final : public Botan::PK_Ops::Signature {
 public:
  TokenSignature(std::shared_ptr<TokenSigner> signer, const std::string& parameters)
      : signer_(std::move(signer)), name_(hash_of(parameters)), hash_(Botan::HashFunction::create_or_throw(name_)) {}

  std::size_t signature_length() const override { return signer_->size(); }
  void update(const std::uint8_t data[], std::size_t size) override { hash_->update(data, size); }

  Botan::secure_vector<std::uint8_t> sign(Botan::RandomNumberGenerator&) override {
    const auto digest = hash_->final();
    const auto signature = signer_->sign(name_, {digest.data(), digest.size()});
    if (signature) return {signature->begin(), signature->end()};
    // Whatever it is, whoever wants the signature can only come again.
    Error error = signature.error();
    if (error.reason != Reason::kTokenUnavailable) {
      error = unavailable(std::string(to_string(error.reason)) + ": " + error.message).value();
    }
    throw SigningError(std::move(error));
  }

 private:
  const std::shared_ptr<TokenSigner> signer_;
  const std::string name_;
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

/// Closes itself.
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

/// The key stays in the token for ever and does nothing but sign.
void generate_pair(const Module& module, CK_SESSION_HANDLE session, const KeyUri& uri, KeyAlgorithm algorithm) {
  const std::string name(to_string(algorithm));
  const bool rsa = name.starts_with("rsa-");
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  CK_ULONG bits = rsa ? std::stoul(name.substr(4)) : 0;
  Bytes exponent{0x01, 0x00, 0x01};
  Bytes group;
  if (!rsa) {
    group = Botan::EC_Group(algorithm == KeyAlgorithm::kP256 ? "secp256r1" : "secp384r1")
                .DER_encode(Botan::EC_DOMPAR_ENC_OID);
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

/// What names the token, without what names the key in it.
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

}  // namespace

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
    CAPF_LET(module, Module::load(path));
  }
  auto& token = tokens_[path + '\n' + token_name(uri)];
  if (!token) {
    CAPF_LET(KeyUri own, parse_uri(uri.text));
    token = std::make_shared<Token>(module, std::move(own), access_);
  }
  return token;
}

Result<std::unique_ptr<SigningKey>> Tokens::make_key(KeyUri uri, std::shared_ptr<Token> token, BytesView public_key) {
  CAPF_TRY(check_kind(public_key));
  try {
    std::unique_ptr<Botan::Public_Key> half(Botan::X509::load_key(Bytes(public_key.begin(), public_key.end())));
    auto signer = std::make_shared<TokenSigner>(std::move(token), std::move(uri), std::move(half));
    return std::make_unique<TokenKey>(std::move(signer), public_key);
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the key cannot be used", error.what());
  }
}

Result<std::unique_ptr<SigningKey>> Tokens::open(const std::string& text, BytesView public_key) {
  CAPF_LET(KeyUri uri, parse_uri(text));
  CAPF_LET(auto token, token_of(uri));
  CAPF_LET(auto key, make_key(std::move(uri), std::move(token), public_key));
  const Status ready = key->ready();
  if (!ready && ready.error().reason != Reason::kTokenUnavailable) return tl::unexpected<Error>(ready.error());
  return key;
}

Result<std::unique_ptr<SigningKey>> Tokens::find(const std::string& text) {
  CAPF_LET(KeyUri uri, parse_uri(text));
  CAPF_LET(auto token, token_of(uri));
  CAPF_LET(const Bytes public_key, token->perform([&](const Session& session) -> Result<Bytes> {
    CAPF_LET(const CK_OBJECT_HANDLE key, find_private(token->module(), session, uri));
    return read_public(token->module(), session, uri, key);
  }));
  CAPF_LET(auto key, make_key(std::move(uri), std::move(token), public_key));
  CAPF_TRY(key->ready());
  return key;
}

Result<std::unique_ptr<SigningKey>> Tokens::generate(const std::string& text, KeyAlgorithm algorithm) {
  CAPF_LET(const KeyUri uri, parse_uri(text));
  CAPF_LET(auto token, token_of(uri));
  CAPF_TRY(token->perform([&](const Session& session) -> Status {
    const Module& module = token->module();
    if (!find_objects(module, session, CKO_PRIVATE_KEY, attributes_of(uri)).empty()) {
      return bad_uri(uri.text,
                     "names a private key that is in the token already; without a kind of key, that one is used");
    }
    const WritableSession writable(module, session.slot);
    generate_pair(module, writable.handle(), uri, algorithm);
    return {};
  }));
  return find(text);
}

}  // namespace capf::ca
