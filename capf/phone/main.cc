#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>

#include <botan/mem_ops.h>

#include "capf/client/argument.h"
#include "capf/client/key.h"
#include "capf/client/legacy.h"
#include "capf/client/text.h"
#include "capf/net/descriptors.h"
#include "capf/phone/fleet.h"
#include "capf/phone/line.h"
#include "capf/phone/options.h"
#include "capf/phone/provision.h"

namespace {

using namespace capf;
using phone::Options;

constexpr std::size_t kLargestFile = 131072;
constexpr int kRefusalsShown = 20;

int report(const Error& error, int code) {
  std::cerr << "capf-phone: " << to_string(error.reason) << ": " << client::printable(error.message) << '\n';
  return code;
}

int report(const Error& error) { return report(error, error.reason == Reason::kServerNotReached ? 3 : 1); }

Result<std::vector<std::string>> find_addresses(const Options& options) {
  if (!options.server.empty()) return client::parse_addresses(options.server);
  CAPF_LET(const client::Listeners listeners, client::read_listeners(options.state));
  const auto& addresses = options.wire ? listeners.wire : listeners.phone;
  if (!addresses.empty()) return addresses;
  return fail(Reason::kServerNotReached, "the server of this site has no such port for phones");
}

Result<std::string> find_trust(const Options& options) {
  if (!options.trust.empty()) return client::read_trusted(options.trust, kLargestFile);
  return options.wire ? client::read_wire_certificates(options.state) : client::read_site_ca(options.state);
}

/// The server's address and the CA to trust, without a client certificate.
Result<client::Endpoint> find_server(const Options& options) {
  client::Endpoint endpoint;
  CAPF_LET(endpoint.addresses, find_addresses(options));
  CAPF_LET(endpoint.trust_pem, find_trust(options));
  return endpoint;
}

/// The server that a configuration and the trust lists name for the wire, unless an option says otherwise.
Result<client::Endpoint> find_server(const Options& options, const phone::Configuration& file,
                                     const phone::TrustLists& lists) {
  if (!options.wire) return find_server(options);
  client::Endpoint endpoint;
  if (options.server.empty() && !file.capf.empty()) {
    endpoint.addresses = file.capf;
  } else {
    CAPF_LET(endpoint.addresses, find_addresses(options));
  }
  const auto certificates = lists.find({phone::Role::kCapf});
  if (!options.trust.empty() || (!lists.ctl && !lists.itl)) {
    CAPF_LET(endpoint.trust_pem, find_trust(options));
  }
  for (const phone::Certificate* each : certificates) {
    if (options.trust.empty()) endpoint.trust_pem += client::certificate_pem(each->der());
  }
  return endpoint;
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

Result<phone::Line> open_line(const Options& options, const client::Endpoint& server) {
  phone::LineSettings settings;
  settings.tls_1_0 = options.tls_1_0;
  settings.version = static_cast<std::uint8_t>(options.wire_version);
  settings.sudi = !options.no_sudi;
  settings.key_delay = milliseconds(options.key_delay);
  if (!options.drop_after.empty()) settings.drop_after = phone::message_names().at(options.drop_after);
  if (options.tries > 0) settings.tries = options.tries;
  settings.addresses = options.addresses;
  settings.pause = milliseconds(options.retry_pause);
  return phone::Line::open(server, settings);
}

/// "mics/{device}.pem" names a file for each device.
std::string with_device(std::string path, const std::string& device) {
  constexpr std::string_view kMark = "{device}";
  if (const auto at = path.find(kMark); at != std::string::npos) path.replace(at, kMark.size(), device);
  return path;
}

/// A key file that other users can read is only a warning: it is the user's own.
Result<Secret> read_key(const std::string& path) {
  if (const Status kept = check_private(path); !kept && kept.error().reason == Reason::kSecretExposed) {
    std::cerr << "capf-phone: warning: " << client::printable(kept.error().message) << '\n';
  }
  CAPF_LET(std::string text, client::read_file(path, kLargestFile));
  Secret key{std::string_view(text)};
  Botan::secure_scrub_memory(text.data(), text.size());
  return key;
}

Status read_certificate(const Options& options, const std::string& device, client::Endpoint& endpoint) {
  if (options.certificate.empty()) return {};
  const std::string path = with_device(options.certificate, device);
  CAPF_LET(endpoint.certificate_pem, client::read_file(path, kLargestFile));
  CAPF_LET(endpoint.key_pem, read_key(with_device(options.key, device)));
  CAPF_LET(const auto certificates, client::parse_certificates(endpoint.certificate_pem));
  if (certificates.empty()) return fail(Reason::kInvalidCertificate, path + " holds no certificate in PEM");
  CAPF_LET(const auto key, client::PrivateKey::parse(endpoint.key_pem.text()));
  for (const Bytes& certificate : certificates) {
    const auto facts = client::read_certificate(certificate);
    if (!facts) return fail(Reason::kInvalidCertificate, path + " holds something that is no certificate");
    if (&certificate == certificates.data() && facts->public_key != key.public_key()) {
      return fail(Reason::kInvalidCertificate, path + " and its key do not belong together");
    }
    if (facts->needs_legacy && !options.legacy_certificate && !options.wire) {
      return fail(Reason::kCertificateWeak,
                  path + " is old (SHA-1, or a small key): OpenSSL shows it with --legacy-certificate only");
    }
  }
  return {};
}

Result<phone::Folder> open_folder(const Options& options) {
  if (options.discard) return phone::Folder::none();
  if (!options.folder.empty()) return phone::Folder::open(options.folder, options.count == 0);
  const std::filesystem::path parent = options.server.empty() && options.files.empty() ? options.state : ".";
  return phone::Folder::open(parent / "phones", options.count == 0);
}

int run_one(const Options& options, phone::Phone phone, const phone::Folder& folder, const phone::Line* line) {
  phone.device = options.device;
  if (const Status read = read_certificate(options, phone.device, phone.server); !read) return report(read.error());
  phone::FreshKeys keys;
  const auto done = line != nullptr ? line->visit(phone, folder, keys) : phone::visit(phone, folder, keys);
  if (!done) return report(done.error());
  std::cout << done->line << std::endl;
  return 0;
}

/// "HOST[:PORT]"
std::string with_port(const std::string& server, int port) {
  const bool has_port = server.find(':') != std::string::npos && server.back() != ']';
  return has_port ? server : server + ':' + std::to_string(port);
}

/// The host of "HOST[:PORT]".
std::string host_of(const std::string& server) {
  const std::string with = with_port(server, 0);
  return with.substr(0, with.rfind(':'));
}

struct FilePlaces {
  phone::ServerAddresses servers;
  std::vector<std::string> tvs;
};

/// By the options, else by the site.
Result<FilePlaces> find_places(const Options& options) {
  constexpr int kFiles = 6970;
  constexpr int kFilesTls = 6971;
  constexpr int kTvs = 2445;
  FilePlaces places;
  if (options.files.empty()) {
    CAPF_LET(const client::Listeners listeners, client::read_listeners(options.state));
    places = {{listeners.files, listeners.files_tls}, listeners.tvs};
  } else {
    places.servers.files = {with_port(options.files, kFiles)};
    places.servers.files_tls = {with_port(host_of(options.files), kFilesTls)};
  }
  if (!options.files_tls.empty()) places.servers.files_tls = {with_port(options.files_tls, kFilesTls)};
  if (!options.tvs.empty()) places.tvs = {with_port(options.tvs, kTvs)};
  places.servers.tls_1_0 = options.tls_1_0;
  if (!places.servers.files.empty()) return places;
  return fail(Reason::kServerNotReached, "the server of this site has no port for phones' files");
}

int run_provision(const Options& options, phone::Phone phone, const phone::Folder& folder) {
  phone.device = options.device;
  if (const Status read = read_certificate(options, phone.device, phone.server); !read) return report(read.error());
  auto places = find_places(options);
  if (!places) return report(places.error());
  phone::NetworkServers servers(std::move(places->servers));
  phone::FreshKeys keys;
  phone::Provisioning wanted;
  wanted.device = phone.device;
  wanted.https = !options.no_https;
  wanted.tvs = places->tvs;
  wanted.has_string = phone.auth_string.has_value();
  wanted.mic_pem = phone.server.certificate_pem;
  wanted.mic_key_pem = phone.server.key_pem;
  wanted.enrol = [&](const phone::Configuration& file, const phone::TrustLists& lists) -> Result<phone::Done> {
    CAPF_LET(const client::Endpoint found, find_server(options, file, lists));
    phone.server.addresses = found.addresses;
    phone.server.trust_pem = found.trust_pem;
    if (!options.wire) return phone::visit(phone, folder, keys);
    CAPF_LET(const phone::Line line, open_line(options, phone.server));
    return line.visit(phone, folder, keys);
  };
  wanted.say = [](const std::string& step) {
    std::cout << client::printable(step, client::Backslash::kKept) << std::endl;
  };
  const auto done = phone::provision(wanted, folder, servers);
  if (!done) return report(done.error());
  std::cout << done->line << std::endl;
  return 0;
}

/// The processor time that this program has used so far.
std::chrono::duration<double> processor_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

int run_many(const Options& options, const phone::Phone& common, const phone::Folder& folder, const phone::Line* line) {
  const phone::Load load{options.first, options.count, options.concurrency, options.rate, options.keep_connections};
  if (const auto last = phone::device_at(load.first, load.count - 1); !last) return report(last.error(), 2);
  std::map<std::string, Secret> strings;
  if (!options.strings.empty()) {
    std::ifstream file;
    if (options.strings != "-") {
      file.open(options.strings);
      if (!file) return report(fail(Reason::kInvalidRequest, options.strings + " cannot be read").value(), 2);
    }
    strings = phone::parse_strings(options.strings == "-" ? std::cin : file);
  }
  net::raise_descriptor_limit();
  const auto phone_of = [&](const std::string& device) -> Result<phone::Phone> {
    phone::Phone phone = common;
    phone.device = device;
    if (const auto at = strings.find(device); at != strings.end()) phone.auth_string = at->second;
    CAPF_TRY(read_certificate(options, device, phone.server));
    return phone;
  };
  std::mutex mutex;
  int shown = 0;
  const auto on_refusal = [&](const std::string& device, const Error& error) {
    const std::scoped_lock lock(mutex);
    if (++shown <= kRefusalsShown) {
      std::cerr << "capf-phone: " << device << ": " << to_string(error.reason) << ": "
                << client::printable(error.message) << '\n';
    }
  };
  phone::TestKeys keys;
  phone::Tally tally;
  const int prepared = options.prepared_bits >= 0 ? options.prepared_bits : line != nullptr ? 2048 : 0;
  if (prepared > 0) {
    const client::KeyKind kind{client::KeyKind::Type::kRsa, prepared};
    if (const Status made = keys.prepare(kind, load.count); !made) return report(made.error());
  }
  const auto before = processor_time();
  const auto elapsed = line != nullptr ? line->run(load, phone_of, folder, keys, tally, on_refusal)
                                       : phone::run(load, phone_of, folder, keys, tally, on_refusal);
  std::cout << tally.words(elapsed, processor_time() - before) << std::flush;
  if (tally.count("done") == load.count) return 0;
  return tally.count(std::string(to_string(Reason::kServerNotReached))) == load.count ? 3 : 1;
}

int dispatch(int argc, char** argv) {
  const std::vector<std::string> words = client::take_arguments(argc, argv, "--string");
  forbid_core_dumps();
  const phone::ParsedOptions parsed = phone::parse_options(words);
  if (!parsed.options) {
    std::cout << parsed.out;
    std::cerr << parsed.error;
    return parsed.exit_code;
  }
  const Options& options = *parsed.options;
  if (options.count == 0 && !phone::is_device_name(options.device)) {
    return report(Error::of(Reason::kInvalidDeviceName), 2);
  }
  phone::Phone phone;
  if (options.tries > 0) phone.tries = options.tries;
  phone.prefer_lsc = options.prefer_lsc;
  phone.enrol = options.enrol;
  if (!options.auth_string.empty()) {
    auto digits = client::read_auth_string(options.auth_string);
    if (!digits) return report(digits.error(), 2);
    phone.auth_string = *std::move(digits);
  }
  if (options.legacy_certificate) {
    if (const Status allowed = client::allow_legacy_certificates(); !allowed) return report(allowed.error());
  }
  if (!options.provision) {
    auto server = find_server(options);
    if (!server) return report(server.error());
    phone.server = *std::move(server);
  }
  const auto folder = open_folder(options);
  if (!folder) return report(folder.error());
  if (options.provision) return run_provision(options, std::move(phone), *folder);
  std::optional<phone::Line> line;
  if (options.wire) {
    auto opened = open_line(options, phone.server);
    if (!opened) return report(opened.error());
    line.emplace(*std::move(opened));
  }
  const phone::Line* wire = line ? &*line : nullptr;
  return options.count == 0 ? run_one(options, std::move(phone), *folder, wire)
                            : run_many(options, phone, *folder, wire);
}

}  // namespace

int main(int argc, char** argv) {
  const int code = dispatch(argc, argv);
  if (std::cout.flush()) return code;
  std::cerr << "capf-phone: standard output cannot be written\n";
  return code == 0 ? 1 : code;
}
