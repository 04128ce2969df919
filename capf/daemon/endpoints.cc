#include "capf/daemon/endpoints.h"

#include <unistd.h>

#include "capf/base/secret.h"

namespace capf::daemon {

std::string with_port(const std::string& address, int port) {
  const bool ipv6 = address.find(':') != std::string::npos;
  return (ipv6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

std::vector<std::string> with_port(const std::vector<std::string>& addresses, int port) {
  std::vector<std::string> endpoints;
  for (const std::string& address : addresses) endpoints.push_back(with_port(address, port));
  return endpoints;
}

std::string dial_address(const std::vector<std::string>& listening) {
  CAPF_INVARIANT(!listening.empty());
  const std::string& first = listening.front();
  if (first.starts_with("0.0.0.0:")) return "127.0.0.1" + first.substr(first.rfind(':'));
  if (first.starts_with("[::]:")) return "[::1]" + first.substr(first.rfind(':'));
  return first;
}

std::string Endpoints::ready_line() const {
  std::string line = "capfd ready";
  if (wire) line += " wire=" + *wire;
  if (phone) line += " phone=" + *phone;
  if (admin) line += " admin=" + *admin;
  if (status) line += " status=" + *status;
  if (metrics) line += " metrics=" + *metrics;
  if (calls) line += " calls=" + *calls;
  if (tvs) line += " tvs=" + *tvs;
  if (files) line += " files=" + *files;
  if (files_tls) line += " files_tls=" + *files_tls;
  return line;
}

std::string Endpoints::json(int pid) const {
  // Addresses and ports need no escaping.
  std::string text = "{\"pid\":" + std::to_string(pid);
  if (wire) text += ",\"wire\":\"" + *wire + "\"";
  if (phone) text += ",\"phone\":\"" + *phone + "\"";
  if (admin) text += ",\"admin\":\"" + *admin + "\"";
  if (status) text += ",\"status\":\"" + *status + "\"";
  if (metrics) text += ",\"metrics\":\"" + *metrics + "\"";
  if (calls) text += ",\"calls\":\"" + *calls + "\"";
  if (tvs) text += ",\"tvs\":\"" + *tvs + "\"";
  if (files) text += ",\"files\":\"" + *files + "\"";
  if (files_tls) text += ",\"files_tls\":\"" + *files_tls + "\"";
  return text + "}\n";
}

Result<EndpointsFile> EndpointsFile::write(const std::filesystem::path& path, const Endpoints& endpoints) {
  CAPF_TRY(rewrite_secret_file(path, as_bytes(endpoints.json(::getpid()))));
  return EndpointsFile(path);
}

EndpointsFile::~EndpointsFile() {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::remove(path_, error);
}

}  // namespace capf::daemon
