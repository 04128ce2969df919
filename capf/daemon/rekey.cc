#include "capf/daemon/rekey.h"

#include <algorithm>

#include <sys/stat.h>

#include "capf/base/file.h"

namespace capf::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEncrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

fs::path unfinished(const SiteFiles& files) { return files.keys() / ".rekey.new"; }
fs::path decided(const SiteFiles& files) { return files.keys() / ".rekey"; }
/// The file of the next passphrase: in the folder of the file that it is to replace, so that a rename is enough.
fs::path aside(const fs::path& passphrase) { return passphrase.string() + ".rekey"; }

std::optional<fs::path> file_of(const std::string& source) {
  if (!source.starts_with("file:")) return std::nullopt;
  return fs::path(source.substr(5));
}

Status as_status(const std::error_code& error, const fs::path& path) {
  if (!error) return {};
  return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
}

Status rename_path(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  return as_status(error, to);
}

Status remove_path(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return as_status(error, path);
}

/// The names of the keys in a folder, in order: what else is there grows with the site, and is not encrypted.
Result<std::vector<std::string>> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!at->is_directory() && at->path().extension() == ".key") names.push_back(at->path().filename().string());
  }
  CAPF_TRY(as_status(error, folder));
  std::sort(names.begin(), names.end());
  return names;
}

bool same(const Secret& a, const Secret& b) {
  return std::equal(a.view().begin(), a.view().end(), b.view().begin(), b.view().end());
}

/// The file of the configured passphrase, if it holds the former one.
std::optional<fs::path> file_to_replace(const std::string& source, const Secret& from) {
  const auto file = file_of(source);
  std::error_code error;
  if (!file || fs::is_symlink(*file, error)) return std::nullopt;
  const auto present = read_secret(source);
  if (!present || !same(*present, from)) return std::nullopt;
  return file;
}

}  // namespace

Result<std::vector<std::string>> prepare_rekeying(const SiteFiles& files, const Rekeying& rekeying) {
  CAPF_LET(const auto present, names_in(files.keys()));
  const fs::path folder = unfinished(files);
  if (::mkdir(folder.c_str(), 0700) != 0) {
    return fail(Reason::kInvalidConfiguration, "the folder " + folder.string() + " cannot be made");
  }
  std::vector<std::string> names;
  for (const std::string& name : present) {
    const fs::path path = files.keys() / name;
    std::error_code error;
    if (fs::is_symlink(path, error)) {
      return fail(Reason::kInvalidConfiguration, path.string() + " is a link: it would be replaced by a file");
    }
    CAPF_LET(const Secret pem, read_secret_file(path));
    if (!pem.text().starts_with(kEncrypted)) continue;
    const auto encrypted = ca::encrypt_again(pem.view(), rekeying.from, rekeying.to);
    if (!encrypted) {
      return fail(encrypted.error().reason, path.string() + ": " + encrypted.error().message, encrypted.error().cause);
    }
    CAPF_TRY(write_new_secret_file(folder / name, *encrypted));
    names.push_back(name);
  }
  if (names.empty()) {
    return fail(Reason::kInvalidConfiguration, "there is no encrypted key in " + files.keys().string());
  }
  CAPF_TRY(sync_folder(folder));
  if (rekeying.file) {
    CAPF_TRY(write_new_secret_file(aside(*rekeying.file), rekeying.to.view()));
    CAPF_TRY(sync_folder(folder_of(*rekeying.file)));
  }
  return names;
}

Status decide_rekeying(const SiteFiles& files) {
  CAPF_TRY(rename_path(unfinished(files), decided(files)));
  return sync_folder(files.keys());
}

Status finish_rekeying(const SiteFiles& files, const std::string& passphrase) {
  std::error_code error;
  const auto file = file_of(passphrase);
  const bool waits = file && fs::exists(aside(*file), error);
  if (!fs::exists(decided(files), error)) {
    if (waits) CAPF_TRY(remove_path(aside(*file)));
    return remove_path(unfinished(files));
  }
  CAPF_LET(const auto names, names_in(decided(files)));
  for (const std::string& name : names) CAPF_TRY(rename_path(decided(files) / name, files.keys() / name));
  CAPF_TRY(sync_folder(files.keys()));
  if (waits) {
    CAPF_TRY(rename_path(aside(*file), *file));
    CAPF_TRY(sync_folder(folder_of(*file)));
  }
  CAPF_TRY(remove_path(decided(files)));
  return sync_folder(files.keys());
}

Result<std::string> rekey_passphrase(const Configuration& configuration, const std::optional<std::string>& from,
                                     const std::string& to) {
  const SiteFiles files{configuration.state_directory};
  std::error_code error;
  if (!fs::is_directory(files.keys(), error)) {
    return fail(Reason::kNoSite, "there is no site in " + files.root.string() + "; 'capfd init' makes one");
  }
  CAPF_LET(const FolderLock lock, FolderLock::take(files.keys()));
  CAPF_TRY(finish_rekeying(files, configuration.passphrase));
  CAPF_LET(const Secret former, read_secret(from.value_or(configuration.passphrase)));
  CAPF_LET(const Secret next, read_secret(to));
  if (same(former, next)) return fail(Reason::kInvalidConfiguration, "the new passphrase is the former one");
  const auto file = file_to_replace(configuration.passphrase, former);
  const auto names = prepare_rekeying(files, {former, next, file});
  if (!names) {
    CAPF_TRY(finish_rekeying(files, configuration.passphrase));
    return fail(names.error());
  }
  CAPF_TRY(decide_rekeying(files));
  CAPF_TRY(finish_rekeying(files, configuration.passphrase));

  std::string words = "Encrypted anew in " + files.keys().string() + ":";
  for (const std::string& name : *names) words += " " + name;
  words += ".\n";
  const auto present = file_of(configuration.passphrase) ? read_secret(configuration.passphrase) : Result<Secret>();
  if (present && same(*present, next)) {
    words += "The new passphrase is in " + configuration.passphrase + ", where the next start finds it.\n";
  } else {
    words += "The next start needs the new passphrase: put it where capfd gets it from.\n";
  }
  return words + "Copies of the former keys open with the former passphrase for ever: replace the backups.\n";
}

}  // namespace capf::daemon
