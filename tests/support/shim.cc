// A PKCS #11 library for tests. Passes everything on to the library in $CAPF_SHIM_LIBRARY, and simulates faults of its
// tokens, by files in the folder $CAPF_SHIM_FOLDER:
//   removed     the token is out of its slot: every session and login is gone
//   sign-N      it is pulled out after N further signatures: "removed" appears
//   final-try   the token says that the next wrong PIN locks it
//   slow        each signature takes longer by the milliseconds in this file, as in a small hardware module
//   hang-NAME   the function NAME, e.g. C_Sign, does not return before the file is gone
// It reports in the same folder: "logins" has a line for each PIN, "most-sessions" the most sessions that were open at
// once, "hung" the name of each function that hangs, once for each call.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <shared_mutex>
#include <string>

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

CK_FUNCTION_LIST* real = nullptr;
std::shared_mutex calls;  // keeps a session open while a call uses it, because SoftHSM does not survive closing it
std::mutex mutex;
std::atomic<int> sessions{0};
int most_sessions = 0;

fs::path folder() {
  const char* path = std::getenv("CAPF_SHIM_FOLDER");  // NOLINT(concurrency-mt-unsafe)
  return path == nullptr ? "." : path;
}

bool says(const char* name) {
  std::error_code error;
  return fs::exists(folder() / name, error);
}

void note(const char* name, const std::string& line, std::ios::openmode mode) {
  std::ofstream(folder() / name, mode) << line << '\n';
}

/// Whether the token is out. Then its open sessions are gone.
bool removed() {
  if (!says("removed")) return false;
  const std::unique_lock lock(calls);
  std::array<CK_SLOT_ID, 16> slots{};
  CK_ULONG count = slots.size();
  if (sessions > 0 && real->C_GetSlotList(CK_TRUE, slots.data(), &count) == CKR_OK) {
    for (CK_ULONG i = 0; i < count; ++i) real->C_CloseAllSessions(slots.at(i));
  }
  sessions = 0;
  return true;
}

void hang(const char* function) {
  const std::string file = std::string("hang-") + function;
  if (!says(file.c_str())) return;
  {
    const std::lock_guard lock(mutex);
    note("hung", function, std::ios::app);
  }
  const int gone = inotify_init1(IN_CLOEXEC);
  inotify_add_watch(gone, folder().c_str(), IN_DELETE);
  std::array<char, 4096> events{};
  while (says(file.c_str()) && read(gone, events.data(), events.size()) > 0) {
  }
  close(gone);
}

CK_RV initialize(CK_VOID_PTR arguments) {
  hang("C_Initialize");
  return real->C_Initialize(arguments);
}

CK_RV finalize(CK_VOID_PTR reserved) {
  hang("C_Finalize");
  return real->C_Finalize(reserved);
}

CK_RV get_info(CK_INFO_PTR info) {
  hang("C_GetInfo");
  return real->C_GetInfo(info);
}

CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO_PTR info) {
  hang("C_GetSlotInfo");
  return real->C_GetSlotInfo(slot, info);
}

CK_RV find_objects_final(CK_SESSION_HANDLE session) {
  hang("C_FindObjectsFinal");
  const std::shared_lock use(calls);
  return real->C_FindObjectsFinal(session);
}

CK_RV generate_key_pair(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR of_public,
                        CK_ULONG public_count, CK_ATTRIBUTE_PTR of_private, CK_ULONG private_count,
                        CK_OBJECT_HANDLE_PTR public_key, CK_OBJECT_HANDLE_PTR private_key) {
  hang("C_GenerateKeyPair");
  const std::shared_lock use(calls);
  return real->C_GenerateKeyPair(session, mechanism, of_public, public_count, of_private, private_count, public_key,
                                 private_key);
}

CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID_PTR slots, CK_ULONG_PTR count) {
  hang("C_GetSlotList");
  if (!removed()) return real->C_GetSlotList(present, slots, count);
  *count = 0;
  return CKR_OK;
}

CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info) {
  hang("C_GetTokenInfo");
  if (removed()) return CKR_TOKEN_NOT_PRESENT;
  const CK_RV code = real->C_GetTokenInfo(slot, info);
  if (code == CKR_OK && says("final-try")) info->flags |= CKF_USER_PIN_FINAL_TRY;
  return code;
}

CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
                   CK_SESSION_HANDLE_PTR session) {
  hang("C_OpenSession");
  if (removed()) return CKR_TOKEN_NOT_PRESENT;
  std::shared_lock use(calls);
  const CK_RV code = real->C_OpenSession(slot, flags, application, notify, session);
  use.unlock();
  const std::lock_guard lock(mutex);
  if (code == CKR_OK && ++sessions > most_sessions) {
    most_sessions = sessions;
    note("most-sessions", std::to_string(most_sessions), std::ios::trunc);
  }
  return code;
}

CK_RV close_session(CK_SESSION_HANDLE session) {
  hang("C_CloseSession");
  if (removed()) return CKR_SESSION_HANDLE_INVALID;
  std::shared_lock use(calls);
  const CK_RV code = real->C_CloseSession(session);
  const std::lock_guard lock(mutex);
  if (code == CKR_OK) --sessions;
  return code;
}

CK_RV get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO_PTR info) {
  hang("C_GetSessionInfo");
  if (removed()) return CKR_SESSION_HANDLE_INVALID;
  const std::shared_lock use(calls);
  return real->C_GetSessionInfo(session, info);
}

CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR like, CK_ULONG count) {
  hang("C_FindObjectsInit");
  if (removed()) return CKR_DEVICE_REMOVED;
  const std::shared_lock use(calls);
  return real->C_FindObjectsInit(session, like, count);
}

CK_RV find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR objects, CK_ULONG most, CK_ULONG_PTR count) {
  hang("C_FindObjects");
  if (removed()) return CKR_DEVICE_REMOVED;
  const std::shared_lock use(calls);
  return real->C_FindObjects(session, objects, most, count);
}

CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR values, CK_ULONG count) {
  hang("C_GetAttributeValue");
  if (removed()) return CKR_DEVICE_REMOVED;
  const std::shared_lock use(calls);
  return real->C_GetAttributeValue(session, object, values, count);
}

CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG size) {
  hang("C_Login");
  if (removed()) return CKR_DEVICE_REMOVED;
  std::shared_lock use(calls);
  const CK_RV code = real->C_Login(session, user, pin, size);
  const std::lock_guard lock(mutex);
  note("logins", code == CKR_OK ? "taken" : "refused", std::ios::app);
  return code;
}

CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  hang("C_SignInit");
  if (removed()) return CKR_DEVICE_REMOVED;
  const std::shared_lock use(calls);
  return real->C_SignInit(session, mechanism, key);
}

/// Takes the time of a token whose processor is slow: no processor time of this machine.
void take_time() {
  int milliseconds = 0;
  if (!(std::ifstream(folder() / "slow") >> milliseconds)) return;
  const timespec time{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
  nanosleep(&time, nullptr);
}

/// The next of sign-N; the last one takes the token away.
void count_signature() {
  const std::lock_guard lock(mutex);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder(), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("sign-")) continue;
    const int left = std::stoi(name.substr(5)) - 1;
    fs::rename(entry.path(), folder() / (left > 0 ? "sign-" + std::to_string(left) : "removed"), error);
    return;
  }
}

CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG size, CK_BYTE_PTR signature, CK_ULONG_PTR length) {
  hang("C_Sign");
  if (removed()) return CKR_DEVICE_REMOVED;
  take_time();
  const auto signed_by = [&] {
    const std::shared_lock use(calls);
    return real->C_Sign(session, data, size, signature, length);
  };
  const CK_RV code = signed_by();
  count_signature();
  return code;
}

CK_FUNCTION_LIST* make_list() {
  const char* path = std::getenv("CAPF_SHIM_LIBRARY");  // NOLINT(concurrency-mt-unsafe)
  void* library = path == nullptr ? nullptr : dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&real) != CKR_OK) return nullptr;
  static CK_FUNCTION_LIST list;
  list = *real;
  list.C_Initialize = initialize;
  list.C_Finalize = finalize;
  list.C_GetInfo = get_info;
  list.C_GetSlotInfo = get_slot_info;
  list.C_GetSlotList = get_slot_list;
  list.C_GetTokenInfo = get_token_info;
  list.C_OpenSession = open_session;
  list.C_CloseSession = close_session;
  list.C_GetSessionInfo = get_session_info;
  list.C_Login = login;
  list.C_FindObjectsInit = find_objects_init;
  list.C_FindObjects = find_objects;
  list.C_FindObjectsFinal = find_objects_final;
  list.C_GenerateKeyPair = generate_key_pair;
  list.C_GetAttributeValue = get_attribute_value;
  list.C_SignInit = sign_init;
  list.C_Sign = sign;
  return &list;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  hang("C_GetFunctionList");
  static CK_FUNCTION_LIST* const own = make_list();
  *list = own;
  return own == nullptr ? CKR_GENERAL_ERROR : CKR_OK;
}
