#include "capf/daemon/this_machine.h"

#include <cerrno>
#include <cstdlib>
#include <vector>

#include <pwd.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capf/base/descriptor.h"
#include "capf/base/file.h"
#include "capf/base/secret.h"

namespace capf::daemon {
namespace {

constexpr std::size_t kLongestOutput = std::size_t{1} << 20;

tl::unexpected<Error> failed(const std::string& what) { return fail_errno(Reason::kInvalidConfiguration, what); }

/// A link is not followed: the owner of the folder in which `path` was made may have put one in its place.
Status give(const std::filesystem::path& path, const std::string& owner) {
  const passwd* user = ::getpwnam(owner.c_str());
  if (user == nullptr) return fail(Reason::kInvalidConfiguration, "there is no user " + owner);
  if (::lchown(path.c_str(), user->pw_uid, user->pw_gid) != 0) return failed(path.string());
  return {};
}

/// A file in memory from its start, so that a program that does not read it holds nobody up.
Result<Descriptor> in_memory(const std::string& text) {
  Descriptor file(::memfd_create("capf-setup", MFD_CLOEXEC));
  if (file.get() < 0) return failed("a file in memory");
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(file.get(), text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("a file in memory");
    written += static_cast<std::size_t>(count);
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return failed("a file in memory");
  return file;
}

Result<std::string> output_of(const Descriptor& file) {
  std::string text(kLongestOutput, '\0');
  const ssize_t count = ::pread(file.get(), text.data(), text.size(), 0);
  if (count < 0) return failed("the output of a program");
  if (static_cast<std::size_t>(count) == kLongestOutput) {
    return fail(Reason::kInvalidConfiguration, "the output of a program is longer than 1 MiB");
  }
  text.resize(static_cast<std::size_t>(count));
  return text;
}

/// Waits for it. @return whether it has succeeded.
Result<bool> end_of(pid_t process) {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) return failed("waiting for a program");
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

bool ThisMachine::is_root() const { return ::geteuid() == 0; }

bool ThisMachine::has_user(const std::string& name) const { return ::getpwnam(name.c_str()) != nullptr; }

bool ThisMachine::exists(const std::filesystem::path& path) const {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

bool ThisMachine::has_systemd() const { return exists("/run/systemd/system"); }

std::string ThisMachine::own_program() const {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

Result<Secret> ThisMachine::read_secret(const std::filesystem::path& path) const {
  return capf::read_secret("file:" + path.string());
}

Status ThisMachine::make_folder(const std::filesystem::path& path, const std::string& owner) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return {};
    return failed(path.string());
  }
  return give(path, owner);
}

Status ThisMachine::write_secret(const std::filesystem::path& path, const Secret& secret) {
  return rewrite_secret_file(path, secret.view());
}

Status ThisMachine::with_credential(const std::string& owner, const std::string& name, const Secret& secret,
                                    const std::function<Status(const std::filesystem::path& folder)>& action) {
  std::string made = "/run/capf-setup.XXXXXX";
  if (::mkdtemp(made.data()) == nullptr) return failed("a folder in /run");
  const std::filesystem::path folder = made;
  const auto within = [&]() -> Status {
    CAPF_TRY(write_new_secret_file(folder / name, secret.view()));
    CAPF_TRY(give(folder / name, owner));
    CAPF_TRY(give(folder, owner));
    return action(folder);
  };
  const Status done = within();
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  return done;
}

Result<std::string> ThisMachine::run(const Program& program) {
  CAPF_LET(const Descriptor input, in_memory(program.input));
  CAPF_LET(const Descriptor output, in_memory(""));
  CAPF_LET(const Descriptor errors, in_memory(""));
  std::vector<std::string> settings{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
  for (const auto& [name, value] : program.setting) settings.push_back(name + '=' + value);
  const auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
    all.push_back(nullptr);
    return all;
  };
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, "/");
  ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, errors.get(), STDERR_FILENO);
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, program.words.front().c_str(), &actions, nullptr,
                                   pointers(program.words).data(), pointers(settings).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return fail(Reason::kInvalidConfiguration, program.words.front() + " cannot be run: " + errno_words(error));
  }
  CAPF_LET(const bool good, end_of(process));
  if (good) return output_of(output);
  CAPF_LET(std::string words, output_of(errors));
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return fail(Reason::kInvalidConfiguration, words.empty() ? program.words.front() + " has failed" : words);
}

}  // namespace capf::daemon
