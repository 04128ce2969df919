#include "capf/client/site.h"

#include <algorithm>
#include <fstream>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "capf/base/file.h"
#include "capf/base/secret.h"

namespace capf::client {
namespace {

constexpr std::size_t kLargestFile = 65536;

/// Adds the field to `addresses` where it is not empty.
void take(const google::protobuf::Struct& object, const std::string& name, std::vector<std::string>& addresses) {
  const auto at = object.fields().find(name);
  if (at != object.fields().end() && !at->second.string_value().empty()) addresses.push_back(at->second.string_value());
}

/// The files that the servers of the site have written, one each, the first server's first.
std::vector<std::filesystem::path> endpoint_files(const std::filesystem::path& state) {
  std::error_code error;
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(state / "servers", error)) {
    folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  folders.insert(folders.begin(), state);
  std::vector<std::filesystem::path> files;
  for (const auto& folder : folders) {
    const auto file = folder / "endpoints.json";
    if (std::filesystem::exists(file, error)) files.push_back(file);
  }
  return files;
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return fail(Reason::kInvalidRequest, path.string() + " is a folder");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail_errno(Reason::kInvalidRequest, path);
  std::string data(limit + 1, '\0');
  file.read(data.data(), static_cast<std::streamsize>(data.size()));
  if (file.bad()) return fail(Reason::kInvalidRequest, path.string() + " cannot be read");
  data.resize(static_cast<std::size_t>(file.gcount()));
  if (data.size() > limit) {
    return fail(Reason::kInvalidRequest, path.string() + " is larger than " + std::to_string(limit) + " octets");
  }
  return data;
}

Result<std::string> read_trusted(const std::filesystem::path& path, std::size_t limit) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return read_file(path, limit);  // which says why
  CAPF_LET(const Bytes data, read_trusted_file(path, limit));
  return std::string(as_text(data));
}

Result<std::vector<std::string>> parse_addresses(std::string_view list) {
  std::vector<std::string> addresses;
  while (true) {
    const std::size_t comma = list.find(',');
    const std::string address(list.substr(0, comma));
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == address.size() || addresses.size() == kMostAddresses) {
      return fail(Reason::kInvalidRequest,
                  "a server is HOST:PORT; several have commas between them, at most " + std::to_string(kMostAddresses));
    }
    addresses.push_back(address);
    if (comma == std::string_view::npos) return addresses;
    list.remove_prefix(comma + 1);
  }
}

Result<Listeners> read_listeners(const std::filesystem::path& state) {
  std::error_code error;
  if (!std::filesystem::is_directory(state, error)) {
    return fail(Reason::kNoSite,
                "there is no site in " + state.string() +
                    "; --state DIR (or CAPF_STATE) names one, --server HOST:PORT another site's server");
  }
  const auto files = endpoint_files(state);
  if (files.empty()) return fail(Reason::kServerNotReached, "no server runs for the site in " + state.string());
  Listeners listeners;
  for (const auto& path : files) {
    CAPF_LET(const std::string text, read_trusted(path, kLargestFile));
    google::protobuf::Struct object;
    if (!google::protobuf::util::JsonStringToMessage(text, &object).ok()) {
      return fail(Reason::kServerNotReached, path.string() + " is not what a server writes");
    }
    take(object, "phone", listeners.phone);
    take(object, "admin", listeners.admin);
    take(object, "wire", listeners.wire);
    take(object, "files", listeners.files);
    take(object, "files_tls", listeners.files_tls);
    take(object, "tvs", listeners.tvs);
  }
  return listeners;
}

std::vector<Secret> read_recovery_words(const std::filesystem::path& state) {
  constexpr std::size_t kMostWords = 8;
  std::vector<Secret> words;
  for (const auto& file : endpoint_files(state)) {
    auto word = read_secret_file(file.parent_path() / "recovery-word", 128);
    if (word && words.size() < kMostWords) words.push_back(*std::move(word));
  }
  return words;
}

Result<std::string> read_site_ca(const std::filesystem::path& state) {
  auto text = read_trusted(state / "certificates" / "site-ca.pem", kLargestFile);
  if (!text && text.error().reason != Reason::kInvalidRequest) return text;
  if (!text) return fail(Reason::kNoSite, text.error().message);
  return text;
}

Result<std::string> read_wire_certificates(const std::filesystem::path& state) {
  const auto folder = state / "certificates";
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().stem().string();
    if (at->path().extension() == ".pem" && (name == "wire" || name.starts_with("wire-"))) files.push_back(at->path());
  }
  if (files.empty()) return fail(Reason::kNoSite, "there is no certificate of the phones' port in " + folder.string());
  std::sort(files.begin(), files.end());
  std::string text;
  for (const auto& file : files) {
    CAPF_LET(const std::string one, read_trusted(file, kLargestFile));
    text += one;
  }
  return text;
}

}  // namespace capf::client
