#include "capf/ca/pkcs11.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "capf/base/log.h"
#include "capf/base/secret.h"

namespace capf::ca {

using std::chrono::steady_clock;

namespace {

constexpr std::size_t kLongestUri = 1024;
constexpr std::chrono::milliseconds kBeginAgainPatience{1000};
constexpr CK_ULONG kMostSlots = 256;
/// How long to wait for sessions and the library to close; failing to do so does no harm.
constexpr std::chrono::milliseconds kFarewellPatience{1000};

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

bool same(const Secret& a, const Secret& b) {
  return std::equal(a.view().begin(), a.view().end(), b.view().begin(), b.view().end());
}

}  // namespace

Result<KeyUri> parse_uri(const std::string& text) {
  KeyUri uri{text, UriPtr(p11_kit_uri_new()), ""};
  if (text.size() > kLongestUri || text.find('\0') != std::string::npos) return bad_uri(text, "is too long");
  // Checked first, with words of its own, because the PIN must not appear in a message.
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

tl::unexpected<Error> bad_uri(const std::string& text, const std::string& why) {
  return fail(Reason::kInvalidConfiguration, "the key's URI '" + text.substr(0, 200) + "' " + why);
}

std::optional<Bytes> uri_attribute(const KeyUri& uri, CK_ATTRIBUTE_TYPE type) {
  const CK_ATTRIBUTE* found = p11_kit_uri_get_attribute(uri.parsed.get(), type);
  if (found == nullptr) return std::nullopt;
  const auto* data = static_cast<const std::uint8_t*>(found->pValue);
  return Bytes(data, data + found->ulValueLen);
}

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

Result<std::shared_ptr<Module>> Module::load(const std::string& path, std::chrono::milliseconds limit) {
  std::error_code error;
  if (!std::filesystem::path(path).is_absolute() || !std::filesystem::is_regular_file(path, error)) {
    return fail(Reason::kInvalidConfiguration,
                path.empty() ? "no PKCS #11 library is named: 'token.module', or module-path in the key's URI"
                             : "the PKCS #11 library '" + path + "' is no file with an absolute path");
  }
  // Its code runs in this process, with every key. A link on the way to it may be set elsewhere after this look.
  CAPF_LET(const std::filesystem::path real, find_trusted_library(path));
  auto module = std::shared_ptr<Module>(new Module(real.string()));
  const auto loaded = module->loading_.run(limit, [module, limit] {
    const Calls::Call call(module->loading_, limit);
    return module->open();
  });
  if (!loaded) {
    log_warning("token.loading", {{"library", path}, {"words", "it does not return; it is used when it has"}});
  } else if (!*loaded) {
    return fail(loaded->error());
  }
  return module;
}

Status Module::open() {
  CK_FUNCTION_LIST* functions = p11_kit_module_load(path_.c_str(), P11_KIT_MODULE_UNMANAGED);
  if (functions == nullptr) {
    const char* why = p11_kit_message();
    const std::string cause = why == nullptr ? "" : why;
    const std::lock_guard lock(load_mutex_);
    loaded_ = unavailable("the library cannot be loaded: " + cause);
    return fail(Reason::kInvalidConfiguration, path_ + " cannot be loaded as a PKCS #11 library", cause);
  }
  functions_ = functions;
  const CK_RV code = initialize();
  // Perhaps no caller waits any more: a library that failed is initialised again when a token of it is searched for.
  const std::lock_guard lock(load_mutex_);
  loaded_ = Status();
  if (code == CKR_OK) return {};
  return fail(Reason::kInvalidConfiguration, path_ + " cannot be initialised", Refused{"C_Initialize", code}.text());
}

Status Module::ready() const {
  const std::lock_guard lock(load_mutex_);
  return loaded_;
}

Module::~Module() {
  CK_FUNCTION_LIST* const functions = functions_;
  if (functions == nullptr) return;
  Calls::run_aside(kFarewellPatience, [functions, initialized = initialized_] {
    if (initialized) functions->C_Finalize(nullptr);
    p11_kit_module_release(functions);
  });
}

void Module::begin_again() {
  const std::unique_lock lock(calls_, kBeginAgainPatience);
  if (!lock || connected_ > 0) return;
  ++generation_;
  if (initialized_) (*this)->C_Finalize(nullptr);
  initialize();
}

CK_RV Module::initialize() {
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  const CK_RV code = (*this)->C_Initialize(&arguments);
  // If other code in this process has initialised it, that code also finalises it.
  initialized_ = code == CKR_OK;
  return code == CKR_CRYPTOKI_ALREADY_INITIALIZED ? CKR_OK : code;
}

Token::~Token() {
  auto gone = disconnect();
  if (gone.empty()) return;
  Calls::run_aside(kFarewellPatience, [module = module_, gone = std::move(gone)] { close(*module, gone); });
}

bool Token::busy() {
  const std::lock_guard lock(mutex_);
  return connected_ && idle_.empty() && open_ >= limit_;
}

// Calls into the library hold none of our locks but the module's, because threads at work in the library may need them.
Result<Token::Session> Token::take() {
  std::unique_lock lock(mutex_);
  const auto deadline = steady_clock::now() + access_.patience;
  for (;;) {
    if (connected_ && module_->generation() != generation_) disconnect();  // its sessions have ended
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

CK_RV Token::open(Session& session) {
  const Use used = use();
  if (session.generation != module_->generation()) return CKR_SESSION_CLOSED;
  return (*module_)->C_OpenSession(session.slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session.handle);
}

void Token::refuse_session(const Session& session, CK_RV code) {
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

Status Token::connect_once(std::unique_lock<std::mutex>& lock) {
  if (steady_clock::now() < next_try_) return fail(failure_);
  connecting_ = true;
  lock.unlock();
  const auto made = connect();
  lock.lock();
  connecting_ = false;
  changed_.notify_all();
  next_try_ = steady_clock::now() + access_.pause;
  if (!made) {
    failure_ = made.error();
    return fail(failure_);
  }
  log_info("token.ready", {{"token", made->name}, {"sessions", made->limit}});
  failure_ = Error::of(Reason::kTokenUnavailable);
  connected_ = true;
  module_->count_connected(1);
  generation_ = made->first.generation;
  slot_ = made->first.slot;
  limit_ = made->limit;
  open_ = 1;
  idle_ = {made->first};
  return {};
}

Result<Token::Connection> Token::connect() {
  try {
    for (bool again = false;; again = true) {
      try {
        const Use used = use();
        CAPF_LET(const auto slot, find_slot());
        if (slot) return connect_to(*slot);
        if (again) return unavailable("the token is not there");
      } catch (const Refused& refused) {
        if (again || refused.code != CKR_CRYPTOKI_NOT_INITIALIZED) throw;
      }
      const Calls::Call call(calls_, access_.limit);
      module_->begin_again();
    }
  } catch (const Refused& refused) {
    return unavailable(refused.text());
  }
}

Result<std::optional<CK_SLOT_ID>> Token::find_slot() const {
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

Result<Token::Connection> Token::connect_to(CK_SLOT_ID slot) {
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
    return fail(status.error());
  }
  made.name = name_of(info);
  made.limit = access_.sessions;
  if (info.ulMaxSessionCount != CK_EFFECTIVELY_INFINITE && info.ulMaxSessionCount != CK_UNAVAILABLE_INFORMATION) {
    made.limit = static_cast<int>(std::min<CK_ULONG>(info.ulMaxSessionCount, static_cast<CK_ULONG>(made.limit)));
  }
  ++epoch_;
  return made;
}

// A token locks itself after a few wrong PINs: never try a refused PIN again, and never use the last try.
Status Token::log_in(CK_SESSION_HANDLE session, CK_SLOT_ID slot) {
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
  // Some tokens answer another error, but count the try all the same.
  CK_TOKEN_INFO after{};
  constexpr CK_FLAGS kCounted = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
  if ((*module_)->C_GetTokenInfo(slot, &after) == CKR_OK && (after.flags & ~info.flags & kCounted) != 0) {
    module_->refused_pins.insert_or_assign(name, Secret(pin.view()));
    return fail(Reason::kWrongPin, std::string(words(Reason::kWrongPin)), Refused{"C_Login", code}.text());
  }
  throw Refused{"C_Login", code};
}

void Token::give_back(const Session& session) {
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

void Token::lose(const Session& session, const Refused& refused) {
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

std::vector<Token::Session> Token::disconnect() {
  if (!connected_) return {};
  connected_ = false;
  module_->count_connected(-1);
  return std::exchange(idle_, {});
}

void Token::close(const std::vector<Session>& sessions) {
  const Calls::Call call(calls_, access_.limit);
  close(*module_, sessions);
}

void Token::close(Module& module, const std::vector<Session>& sessions) {
  const auto use = module.use();
  for (const Session& session : sessions) {
    if (session.generation == module.generation()) module->C_CloseSession(session.handle);
  }
}

}  // namespace capf::ca
