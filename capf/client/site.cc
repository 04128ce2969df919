#include "capf/client/site.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

namespace capf::client {
namespace {

constexpr std::size_t kLargestFile = 65536;

std::string field(const google::protobuf::Struct& object, const std::string& name) {
  const auto at = object.fields().find(name);
  return at == object.fields().end() ? std::string() : at->second.string_value();
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return fail(Reason::kInvalidRequest, path.string() + " is a folder");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(Reason::kInvalidRequest,
                path.string() + ": " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): glibc's is
  }
  std::string data(limit + 1, '\0');
  file.read(data.data(), static_cast<std::streamsize>(data.size()));
  if (file.bad()) return fail(Reason::kInvalidRequest, path.string() + " cannot be read");
  data.resize(static_cast<std::size_t>(file.gcount()));
  if (data.size() > limit) {
    return fail(Reason::kInvalidRequest, path.string() + " is larger than " + std::to_string(limit) + " octets");
  }
  return data;
}

Result<Listeners> read_listeners(const std::filesystem::path& state) {
  std::error_code error;
  if (!std::filesystem::is_directory(state, error)) {
    return fail(Reason::kNoSite, "there is no site in " + state.string() +
                                     "; --state DIR (or CAPF_STATE) names one, --server HOST:PORT another server");
  }
  const auto path = state / "endpoints.json";
  if (!std::filesystem::exists(path, error)) {
    return fail(Reason::kServerNotReached, "no server runs for the site in " + state.string());
  }
  CAPF_LET(const std::string text, read_file(path, kLargestFile));
  google::protobuf::Struct object;
  if (!google::protobuf::util::JsonStringToMessage(text, &object).ok()) {
    return fail(Reason::kServerNotReached, path.string() + " is not what a server writes");
  }
  return Listeners{field(object, "phone"), field(object, "admin"), field(object, "wire")};
}

Result<std::string> read_site_ca(const std::filesystem::path& state) {
  auto text = read_file(state / "certificates" / "site-ca.pem", kLargestFile);
  if (!text) return fail(Reason::kNoSite, text.error().message);
  return text;
}

Result<std::string> read_wire_certificates(const std::filesystem::path& state) {
  const auto folder = state / "certificates";
  auto text = read_file(folder / "wire.pem", kLargestFile);
  if (!text) return fail(Reason::kNoSite, text.error().message);
  std::error_code error;
  if (std::filesystem::exists(folder / "wire-ec.pem", error)) {
    CAPF_LET(const std::string other, read_file(folder / "wire-ec.pem", kLargestFile));
    *text += other;
  }
  return text;
}

}  // namespace capf::client
