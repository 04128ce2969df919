#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "capf/ca/calls.h"
#include "capf/ca/signature.h"
#include "capf/ca/token.h"

// How a token is reached: its URI, its library, and sessions with it. The operations in them are in token.cc.

namespace capf::ca {

using UriPtr = std::unique_ptr<P11KitUri, Freed<p11_kit_uri_free>>;

/// A checked URI.
struct KeyUri {
  std::string text;
  UriPtr parsed;
  std::string module;  ///< path; empty where it has none
};
/// Errors: INVALID_CONFIGURATION.
Result<KeyUri> parse_uri(const std::string& text);
tl::unexpected<Error> bad_uri(const std::string& text, const std::string& why);
/// CKA_LABEL or CKA_ID, where it has one.
std::optional<Bytes> uri_attribute(const KeyUri& uri, CK_ATTRIBUTE_TYPE type);

/// The error code of a PKCS #11 function.
struct Refused {
  const char* function;
  CK_RV code;

  std::string text() const { return std::string(function) + ": " + p11_kit_strerror(code); }
};
inline void must(const char* function, CK_RV code) {
  if (code != CKR_OK) throw Refused{function, code};
}
/// Whether to connect to the token again: it was removed, restarted, or lost the login.
bool is_lost(CK_RV code);
tl::unexpected<Error> unavailable(std::string cause);

/// A PKCS #11 library, finalised on destruction. Every call of it may hang, so only threads of Calls call it. Threads:
/// any.
class Module {
 public:
  /// A library that takes longer than `limit` continues to load in the background, and is not ready until it has.
  /// Errors: INVALID_CONFIGURATION.
  static Result<std::shared_ptr<Module>> load(const std::string& path, std::chrono::milliseconds limit);
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  ~Module();

  /// Whether it may be called. Errors: TOKEN_UNAVAILABLE.
  Status ready() const;
  const CK_FUNCTION_LIST* operator->() const { return functions_; }

  /// To be held during every call into the library.
  std::shared_lock<std::shared_timed_mutex> use() { return std::shared_lock(calls_); }
  /// Counts up when every handle becomes void; never while a use() is held.
  unsigned generation() const { return generation_; }

  /// Initialises the library again: one that looks for its slots only once finds a token that has come back only so.
  /// Not while another of its tokens is at work.
  void begin_again();
  void count_connected(int difference) { connected_ += difference; }

  /// The PIN that each token has refused; guarded by the mutex, which is held during a login.
  std::mutex login;
  std::map<std::string, Secret> refused_pins;

 private:
  explicit Module(std::string path) : path_(std::move(path)), loading_(path_, 1) {}
  Status open();
  CK_RV initialize();

  const std::string path_;
  Calls loading_;
  mutable std::mutex load_mutex_;
  Status loaded_ = unavailable("the library is being loaded");
  std::atomic<CK_FUNCTION_LIST*> functions_{nullptr};
  std::shared_timed_mutex calls_;
  std::atomic<unsigned> generation_{0};
  bool initialized_ = false;
  std::atomic<int> connected_{0};
};

/// One token: found, logged in to, and a bounded number of sessions with it. Where a call of its library does not
/// return within TokenAccess::limit, the token counts as away until it does. Threads: any.
class Token : public std::enable_shared_from_this<Token> {
 public:
  struct Session {
    CK_SESSION_HANDLE handle = 0;
    CK_SLOT_ID slot = 0;
    unsigned epoch = 0;       ///< the login it belongs to; handles of objects are valid as long
    unsigned generation = 0;  ///< of the library
  };

  /// @param uri of any key in it
  Token(std::shared_ptr<Module> module, KeyUri uri, const TokenAccess& access)
      : module_(std::move(module)), uri_(std::move(uri)), access_(access), calls_(uri_.text, access.sessions) {}
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;
  ~Token();

  /// Lends `work` a session, for it alone. Where the token turns out to be lost, reconnects and tries again, once.
  /// `work` may throw Refused. It runs on another thread, to its end even after the caller has given up: so it owns
  /// everything that it uses.
  /// @return nothing where it has not ended within `patience`, or as soon as the token hangs
  template <class Work>
  std::optional<std::invoke_result_t<Work&, const Module&, const Session&>> perform_within(
      std::chrono::milliseconds patience, Work work) {
    return calls_.run(patience, [self = shared_from_this(), patience, work = std::move(work)]() mutable {
      return self->perform_here(std::max(patience, self->access_.limit), work);
    });
  }
  /// The same, but TOKEN_UNAVAILABLE instead of nothing.
  template <class Work>
  auto perform(Work work) {
    return perform_for(access_.limit, std::move(work));
  }
  /// The same for work that may take long.
  template <class Work>
  std::invoke_result_t<Work&, const Module&, const Session&> perform_for(std::chrono::milliseconds limit, Work work) {
    if (auto done = perform_within(limit, std::move(work))) return *std::move(done);
    return no_answer();
  }

  /// Errors: TOKEN_UNAVAILABLE while a call hangs.
  Status answers() const {
    if (calls_.hang()) return no_answer();
    return {};
  }
  /// Whether every session is in use.
  bool busy();

 private:
  struct Connection {
    Session first;
    int limit = 1;
    std::string name;
  };
  /// A call of the library, from construction to destruction.
  struct Use {
    std::shared_lock<std::shared_timed_mutex> lock;
    Calls::Call call;
  };

  Use use(std::chrono::milliseconds limit) { return {module_->use(), {calls_, limit}}; }
  Use use() { return use(access_.limit); }
  static tl::unexpected<Error> no_answer() { return unavailable("a call of the PKCS #11 library has not returned"); }

  template <class Work>
  std::invoke_result_t<Work&, const Module&, const Session&> perform_here(std::chrono::milliseconds limit, Work& work) {
    CAPF_TRY(module_->ready());
    for (bool again = false;; again = true) {
      CAPF_LET(const Session session, take());
      std::optional<Refused> refused;
      std::optional<std::invoke_result_t<Work&, const Module&, const Session&>> done;
      {
        const Use used = use(limit);
        try {
          // The library may have been initialised again since: then the handle is void, or another session's.
          if (session.generation != module_->generation()) throw Refused{"C_OpenSession", CKR_SESSION_CLOSED};
          done.emplace(work(*module_, session));
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

  Result<Session> take();
  CK_RV open(Session& session);
  /// Handles a session that could not be opened: the token has no more, or is lost.
  void refuse_session(const Session& session, CK_RV code);
  /// Connects; releases `lock` meanwhile, so that other threads can wait.
  Status connect_once(std::unique_lock<std::mutex>& lock);
  Result<Connection> connect();
  Result<std::optional<CK_SLOT_ID>> find_slot() const;
  Result<Connection> connect_to(CK_SLOT_ID slot);
  Status log_in(CK_SESSION_HANDLE session, CK_SLOT_ID slot);
  void give_back(const Session& session);
  void lose(const Session& session, const Refused& refused);
  /// Lent sessions are closed when they are given back. @return the others, to be closed
  std::vector<Session> disconnect();
  void close(const std::vector<Session>& sessions);
  static void close(Module& module, const std::vector<Session>& sessions);

  const std::shared_ptr<Module> module_;
  const KeyUri uri_;
  const TokenAccess access_;
  Calls calls_;
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
  std::chrono::steady_clock::time_point next_try_{};
  Error failure_ = Error::of(Reason::kTokenUnavailable);
};

}  // namespace capf::ca
