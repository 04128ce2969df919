#include "capf/phone/options.h"

#include <sstream>

#include <CLI/CLI.hpp>

#include "capf/base/version.h"
#include "capf/client/argument.h"
#include "capf/client/manual.h"
#include "capf/client/suggestion.h"
#include "capf/phone/line.h"

namespace capf::phone {
namespace {

constexpr int kWrongUsage = 2;
constexpr const char* kExamples = R"(Examples:
  capf-phone SEP001122334455 --state var --string 12345678
  capf-phone SEP001122334455 --certificate mic.pem --key mic.key --dir phones
  capf-phone --count 1000 --concurrency 16 --strings strings.txt --dir phones
  capf-phone SEP001122334455 --wire --string 12345678 --key-delay 45
  capf-phone SEP001122334455 --provision --string 12345678

Exit codes: 0 an operation was done, 1 refused or nothing pending, 2 wrong usage, 3 server not reached.)";

void define(CLI::App& app, Options& options) {
  app.add_option("DEVICE", options.device, "the device name");
  app.add_option("--state,--site", options.state, "the site's state directory")
      ->envname("CAPF_STATE")
      ->type_name("DIR");
  app.add_option("--server", options.server,
                 "HOST:PORT of the phones' port, gRPC or the wire's, several with commas (default: the site's own)");
  app.add_option("--trust", options.trust,
                 "PEM of the site CA, or on the wire of the server's very certificate (default: the site's own)")
      ->type_name("FILE");
  app.add_option("--string", options.auth_string, "authentication string, '-' reads it from standard input");
  app.add_option("--certificate", options.certificate,
                 "PEM of the certificate to show instead of the LSC in the folder, such as a MIC, with its chain")
      ->type_name("FILE");
  app.add_option("--key", options.key, "PEM of its key, unencrypted")->type_name("FILE");
  app.add_flag("--legacy-certificate", options.legacy_certificate,
               "let it have a SHA-1 signature or a small key (OpenSSL security level 0 for this program)");
  app.add_option("--dir", options.folder,
                 "folder of DEVICE.pem and DEVICE.key (default: phones, in the state directory)")
      ->type_name("DIR");
  app.add_option(
         "--tries", options.tries,
         "how often a call is tried while the server is away (default: 5), or a session that breaks on the wire (4)")
      ->check(CLI::Range(1, 100));
  app.add_flag("--enrol", options.enrol, "one call for the whole dialogue, over gRPC");
  const char* wire = "The CAPF protocol instead of gRPC";
  app.add_flag("--wire", options.wire, "speak it, as desk phones do")->group(wire);
  app.add_option("--wire-version", options.wire_version, "of the protocol: 2 or 3 (default: 3)")
      ->check(CLI::Range(2, 3))
      ->group(wire);
  app.add_option("--key-delay", options.key_delay, "seconds that a key takes longer")
      ->check(CLI::Range(0.0, 86400.0))
      ->group(wire);
  app.add_option("--drop-after", options.drop_after, "drop the connection after this message of either side")
      ->check(CLI::IsMember(message_names()))
      ->type_name("MESSAGE")
      ->group(wire);
  app.add_flag("--tls-1.0", options.tls_1_0, "TLS 1.0 with AES128-SHA alone, as the 7900 series")->group(wire);
  app.add_flag("--no-sudi", options.no_sudi, "prove without signing the session's id, as old phones")->group(wire);
  app.add_flag("--prefer-lsc", options.prefer_lsc,
               "prove the LSC in the folder where there is one, and --certificate beside it as the fresh MIC")
      ->group(wire);
  app.add_option("--retry-pause", options.retry_pause, "seconds until a broken session is repeated (default: 30)")
      ->check(CLI::Range(0.0, 86400.0))
      ->group(wire);
  app.add_option("--addresses", options.addresses,
                 "of the loopback network, that phones of --count come from (default: 1)")
      ->check(CLI::Range(1, 65536))
      ->group(wire);
  const char* provision = "Files and trust";
  app.add_flag("--provision", options.provision,
               "start as a phone does: trust lists, the configuration, and CAPF where that sends it there")
      ->group(provision);
  app.add_option("--files", options.files, "HOST[:PORT] of the file server (default: the site's own; port 6970)")
      ->group(provision);
  app.add_option("--files-tls", options.files_tls,
                 "the same by HTTPS (default: the site's own, or the host of --files; port 6971)")
      ->group(provision);
  app.add_option("--tvs", options.tvs,
                 "HOST[:PORT] of the Trust Verification Service (default: the site's own, or as the last configuration "
                 "says; port 2445)")
      ->group(provision);
  app.add_flag("--no-https", options.no_https, "fetch the configuration by HTTP alone")->group(provision);
  const char* many = "Many phones";
  app.add_option("--count", options.count, "how many")->check(CLI::Range(1, 100'000'000))->group(many);
  app.add_option("--concurrency", options.concurrency, "how many at once (default: 1)")
      ->check(CLI::Range(1, 10'000))
      ->group(many);
  app.add_option("--rate", options.rate, "how many begin in a second (default: as many as can)")
      ->check(CLI::PositiveNumber)
      ->group(many);
  app.add_option("--first", options.first, "the first name; its last hexadecimal digits count up")->group(many);
  app.add_option("--strings", options.strings, "file of lines 'DEVICE DIGITS', '-' for standard input")
      ->type_name("FILE")
      ->group(many);
  app.add_option("--prepared-keys", options.prepared_bits,
                 "bits of the RSA keys that are made beforehand, 0 for none (default: 2048 on the wire, else 0)")
      ->check(CLI::IsMember({0, 1024, 2048, 3072, 4096}))
      ->group(many);
  app.add_flag(
         "--keep-connections", options.keep_connections,
         "as many connections as --concurrency says for all phones, which confirm by string (default: each phone's "
         "own, and one with the new LSC)")
      ->group(many);
  app.add_flag("--discard", options.discard, "keep no files")->group(many);
}

/// Why the options contradict each other; empty where they do not.
std::string contradiction(const Options& options) {
  if (options.device.empty() == (options.count == 0)) return "name one DEVICE, or say how many with --count";
  if (options.certificate.empty() != options.key.empty()) return "--certificate and --key belong together";
  if (!options.strings.empty() && !options.auth_string.empty()) return "either --string or --strings";
  if (options.count == 0 && (options.discard || !options.strings.empty()))
    return "--discard and --strings need --count";
  const bool of_the_wire = options.wire_version != 3 || options.key_delay > 0 || !options.drop_after.empty() ||
                           (options.tls_1_0 && !options.provision) || options.no_sudi || options.prefer_lsc ||
                           options.addresses > 1;
  if (of_the_wire && !options.wire) return "--wire is missing";
  if (options.keep_connections &&
      (options.count == 0 || options.wire || !options.certificate.empty() || !options.discard))
    return "--keep-connections is for --count --discard with strings, over gRPC";
  if (options.enrol && (options.wire || options.keep_connections)) {
    return "--enrol is over gRPC, and ends its connection";
  }
  const bool of_provisioning =
      !options.files.empty() || !options.files_tls.empty() || !options.tvs.empty() || options.no_https;
  if (of_provisioning && !options.provision) return "--provision is missing";
  if (options.provision && options.count != 0) return "--provision is for one DEVICE";
  if (options.prefer_lsc && options.certificate.empty()) return "--prefer-lsc needs --certificate and --key";
  return {};
}

/// The option that the first unknown one was perhaps meant to be.
std::string meant_option(const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const std::string& word : app.remaining()) {
    if (word.rfind("--", 0) == 0) return client::did_you_mean(word.substr(0, word.find('=')), known);
  }
  return {};
}

client::Manual manual() {
  return {
      1,
      "A phone in software: it does what is pending for DEVICE at its site's server, over gRPC or the protocol of "
      "desk phones, and keeps its certificate and key in a folder. With --count it is many phones.",
      {{"EXIT STATUS", "0 an operation was done, 1 refused or nothing pending, 2 wrong usage, 3 server not reached."},
       {"ENVIRONMENT", "CAPF_STATE is the state directory without --state."},
       {"SEE ALSO", "capfctl(1), capfd(8)"}}};
}

}  // namespace

ParsedOptions parse_options(const std::vector<std::string>& words) {
  ParsedOptions parsed;
  Options options;
  CLI::App app("A phone in software: does what is pending for it", "capf-phone");
  app.footer(kExamples);
  app.set_version_flag("--version", "capf-phone " + std::string(version()));
  app.get_formatter()->column_width(34);
  client::add_manual(app, manual());
  define(app, options);
  std::string why;
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    const auto encoding = client::check_encoding(words);
    why = encoding ? contradiction(options) : encoding.error().message;
  } catch (const CLI::ParseError& stop) {
    std::ostringstream out;
    std::ostringstream error;
    if (app.exit(stop, out, error) == 0) {
      parsed.out = out.str();
      return parsed;
    }
    // Octets that are not UTF-8 are not shown.
    why = client::check_encoding(words) ? stop.what() + meant_option(app) : stop.what();
  }
  if (!why.empty()) {
    parsed.exit_code = kWrongUsage;
    parsed.error = "capf-phone: INVALID_REQUEST: " + why + " ('capf-phone --help' says more)\n";
    return parsed;
  }
  if (options.state.empty()) options.state = "var";
  parsed.options = std::move(options);
  return parsed;
}

}  // namespace capf::phone
