#include "capf/daemon/settings.h"

#include <algorithm>
#include <set>

#include "capf/base/address.h"
#include "capf/base/endpoint.h"
#include "capf/daemon/host.h"
#include "capf/daemon/section.h"
#include "capf/daemon/setting_kinds.h"
#include "capf/domain/digest.h"
#include "capf/domain/setting.h"

namespace capf::daemon {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kMost = 1'000'000;

/// A member of the configuration, for reading and for writing.
#define AT(member) \
  [](auto& configuration) -> auto& { return configuration.member; }

// Settings with rules of their own.

bool is_given(const std::string& text) { return !text.empty(); }
bool is_realm(const std::string& text) { return check_realm(text).has_value(); }
bool is_host_or_none(const std::string& text) { return text.empty() || is_host(text); }
bool is_absolute_or_none(const std::string& text) { return text.empty() || std::filesystem::path(text).is_absolute(); }

bool is_status_url_or_none(const std::string& text) {
  const auto accepted = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\'; };
  return text.empty() || (text.starts_with("http://") && text.size() > 7 && text.size() <= 200 && text.back() != '/' &&
                          std::all_of(text.begin(), text.end(), accepted));
}

Kind state_directory() {
  return {[](Section& section, const std::string& key, Configuration& c) {
            const std::filesystem::path folder = c.state_directory;  // of the file
            std::string state = folder.string();
            section.text(key, state);
            c.state_directory = (folder / state / "").lexically_normal().parent_path();
          },
          [](const Configuration& c) { return toml_text(c.state_directory.string()); }, ""};
}

/// The source of a secret: files relative to the state directory.
template <class At>
Kind source(At at, bool optional) {
  return checked(text(at), [=](Section& section, const std::string& key, Configuration& c) {
    std::string& source = at(c);
    const auto kind = source.substr(0, source.find(':') + 1);
    if (optional && source.empty()) return;
    if ((kind != "file:" && kind != "fd:" && kind != "env:" && kind != "credential:") || kind == source) {
      section.fault(key, "is file:PATH, fd:N, env:NAME or credential:NAME; never the " + key + " itself");
    } else if (kind == "file:") {
      source = kind + (c.state_directory / source.substr(5)).string();
    }
  });
}

Result<Network> parse_network(const std::string& text, const Configuration&) { return Network::parse(text); }

Result<Network> parse_proxies(const std::string& text, const Configuration&) {
  auto network = Network::parse(text);
  if (!network || !network->to_string().ends_with("/0")) return network;
  return fail(Reason::kInvalidConfiguration, text + ": everybody would be believed");
}

Result<Pattern> parse_pattern(const std::string& text, const Configuration&) { return Pattern::parse(text); }

Result<std::filesystem::path> parse_path(const std::string& text, const Configuration& configuration) {
  if (text.empty()) return fail(Reason::kInvalidConfiguration, "an empty path");
  return configuration.state_directory / text;
}

Result<CapfHost> parse_tvs(const std::string& text, const Configuration& configuration) {
  constexpr std::uint16_t kPort = 2445;
  const auto host = parse_capf_host(text, kPort);
  if (!host) return fail(Reason::kInvalidConfiguration, "'" + text + "', which is neither HOST nor HOST:PORT");
  if (configuration.files.tvs.size() == kMostCapfHosts) return fail(Reason::kInvalidConfiguration, "more than 5");
  return *host;
}

Kind source_folder() {
  return checked(text(AT(files.source)), [](Section&, const std::string&, Configuration& c) {
    if (!c.files.source.empty()) c.files.source = c.state_directory / c.files.source;
  });
}

/// Whether a path is the folder, or lies below it.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const auto plain = [](const std::filesystem::path& given) {
    std::error_code error;
    std::filesystem::path found = std::filesystem::weakly_canonical(given, error);
    if (error) found = given.lexically_normal();
    return found.has_filename() ? found : found.parent_path();
  };
  const std::filesystem::path inner = plain(path);
  const std::filesystem::path outer = plain(folder);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

Kind static_folder() {
  return checked(text(AT(files.statics)), [](Section& section, const std::string& key, Configuration& c) {
    if (c.files.statics.empty()) return;
    const std::filesystem::path folder = c.state_directory / c.files.statics;
    if (!is_below(c.state_directory, folder) && !is_below(folder, c.state_directory / "keys")) return;
    section.fault(key, "has keys of this site below it, and everybody can fetch what is there");
  });
}

Kind device_names() {
  return checked(list(AT(policy.device_names), parse_pattern),
                 [](Section& section, const std::string& key, Configuration& c) {
                   if (c.policy.device_names.empty()) section.fault(key, "names none: no device could be added");
                 });
}

/// Half of the connections where the file does not say.
Kind half_of_connections() {
  Kind kind = number(1, kMost, AT(wire.unauthenticated_connections_per_address));
  kind.read = [read = kind.read](Section& section, const std::string& key, Configuration& c) {
    c.wire.unauthenticated_connections_per_address = (c.wire.unauthenticated_connections + 1) / 2;
    read(section, key, c);
  };
  return kind;
}

Kind string_limits() {
  return {[](Section& section, const std::string& key, Configuration& c) {
            for (const auto& [text, strings] : section.numbers(key, 1, kMost)) {
              const auto network = Network::parse(text);
              if (network) c.policy.wrong_strings_networks.push_back({*network, strings});
              if (!network) section.fault(key, "has " + network.error().message);
            }
          },
          [](const Configuration& c) {
            std::string lines;
            for (const StringLimit& limit : c.policy.wrong_strings_networks) {
              lines += toml_text(limit.network.to_string()) + " = " + std::to_string(limit.strings) + "\n";
            }
            return lines;
          },
          "", true};
}

void check_addresses(Section& section, const std::string& key, const Listener& listener, bool beyond_loopback) {
  if (listener.enabled && listener.addresses.empty()) section.fault(key, "is empty; 'enabled = false' switches off");
  std::set<std::string> seen;
  for (const std::string& text : listener.addresses) {
    const auto address = Address::parse(text);
    if (!address) {
      section.fault(key, "has '" + text + "', which is no IP address");
    } else if (address->is_link_local()) {
      section.fault(key, "has " + text +
                             ", an address of one link, which is not listened on by itself; \"::\" takes what comes to "
                             "it");
    } else if (text.find('%') != std::string::npos) {
      section.fault(key, "has " + text + ": only link-local addresses have a zone");
    } else if (!seen.insert(text).second) {
      section.fault(key, "has " + text + " twice");
    } else if (!beyond_loopback && !Endpoint{*address}.is_loopback()) {
      // Beyond loopback, the metrics would need TLS and client certificates.
      section.fault(key, "has " + text + ", but metrics are given out on loopback addresses only");
    }
  }
}

/// The site's value of a setting that profiles and phones have too: its words, values and default are the domain's.
Setting of_phones(const char* name) {
  const PhoneSetting& setting = *find_phone_setting(name);
  const ValueForm& form = setting.form;
  const bool number = form.kind == ValueForm::Kind::kNumber;
  const auto value_of = [key = setting.name](const Configuration& c) { return site_settings(c.policy).at(key); };
  const auto read = [&form, number, value_of](Section& section, const std::string& key, Configuration& c) {
    std::string text = value_of(c);
    if (number) {
      int found = std::stoi(text);
      section.number(key, form.words.empty() ? form.least : 0, form.words.empty() ? form.most : kMost, found);
      text = std::to_string(found);
    } else {
      section.text(key, text);
    }
    const auto value = form.parse(text);
    if (!value) return section.fault(key, "is " + form.range());
    const Status allowed = check_limits({{key, *value}}, c.policy);
    if (!allowed) return section.fault(key, allowed.error().message.substr(key.size() + 1));  // the words have the key
    c.policy.settings[key] = *value;
  };
  const auto write = [number, value_of](const Configuration& c) {
    return number ? value_of(c) : toml_text(value_of(c));
  };
  const bool choice = form.kind == ValueForm::Kind::kChoice;
  return {setting.name, setting.words, {read, write, choice ? quoted_alternatives(form.words) : form.range()}};
}

Group listener(const char* name, const char* words, Listener Configuration::*listener,
               int (Configuration::*port)() const, bool beyond_loopback = true) {
  const auto enabled = [listener](auto& c) -> auto& { return (c.*listener).enabled; };
  const auto addresses = [listener](auto& c) -> auto& { return (c.*listener).addresses; };
  const Kind address_list{[=](Section& section, const std::string& key, Configuration& c) {
                            section.texts(key, addresses(c));
                            check_addresses(section, key, c.*listener, beyond_loopback);
                          },
                          [=](const Configuration& c) { return toml_list(addresses(c)); }, ""};
  const Kind port_number{[=](Section& section, const std::string& key, Configuration& c) {
                           int number = -1;
                           section.number(key, 0, 65535, number);
                           if (number >= 0) (c.*listener).port = number;
                         },
                         [=](const Configuration& c) { return std::to_string((c.*port)()); }, range_of(0, 65535)};
  return {std::string("listen.") + name,
          words,
          {{"enabled", "whether this server listens there", flag(enabled)},
           {"addresses", "IP addresses of this machine", address_list},
           {"port", "without this line it follows from base_port; 0: a free one", port_number}}};
}

}  // namespace

const std::vector<Group>& groups() {
  static const std::vector<Group> table{
      {"",
       "",
       {{"state_directory",
         "the folder of the site's keys, certificates and endpoints.json; relative to the folder of capfd.toml",
         state_directory()},
        {"base_port",
         "the port from which those of the listeners follow: desk phones + 0, phones over gRPC + 1, administrators + "
         "2, relying parties + 3, metrics + 5, phones' files + 6 and + 7, TVS + 8, calls + 9; 0: every listener takes "
         "a "
         "free port, and endpoints.json says which",
         number(0, 65526, AT(base_port))},
        {"public_host",
         "the name or address under which phones and relying parties reach this site; it is in the server's "
         "certificate and in the addresses of revocation lists; \"\": the machine's full name",
         text(AT(public_host), is_host_or_none,
              "is neither a host name (letters, digits, '-' and '.') nor an IP address without a zone")},
        {"status_url",
         "the address in LSCs at which their status can be asked for; it stays in certificates for as long as they are "
         "valid; \"\": `http://<public_host>:<base_port + 3>`",
         text(AT(status_url), is_status_url_or_none, "is http://HOST:PORT, without a slash at its end")},
        {"passphrase",
         "where the passphrase of the encrypted keys is: `file:PATH` (0600, relative to the state directory), "
         "`fd:NUMBER`, `env:NAME`, or `credential:NAME` of systemd; never the passphrase itself",
         source(AT(passphrase), false)}}},
      {"database",
       "libpq connection strings. Over TCP they need sslmode=verify-full. A file with a password must be 0600; better "
       "is a passfile, or peer authentication on the socket. Several hosts carry over to a new primary: "
       "target_session_attrs is \"primary\" unless the string says otherwise; with \"any\" or \"prefer-standby\" a "
       "server over a standby serves what can be read.",
       {{"server", "what `capfd` uses for everything but what the next key is for",
         text(AT(database.server), is_given, "is empty")},
        {"owner",
         "what `capfd migrate` and `capfd archive` use, nothing else; `capfd init` writes it from `--database-owner`",
         text(AT(database.owner))},
        {"pool_size",
         "connections for OCSP answers, records and whatever else is not done in rounds; 8 more are for the rounds in "
         "which phones are looked at and written, and 4 for administrators and for what is due. PostgreSQL's "
         "max_connections must be above the sum of all servers",
         number(1, 500, AT(database.pool_size))}}},
      {"listen",
       "An IPv6 address is left out, with a warning, on a machine without IPv6.",
       {{"trusted_proxies",
         "networks of proxies that pass TCP to the phones' and administrators' ports: every connection from them "
         "begins with a header of the PROXY protocol, version 2, whose word for the client's address is taken; without "
         "one it is not served",
         list(AT(trusted_proxies), parse_proxies)},
        {"patience_seconds", "how long a start waits for an address which the machine does not have yet",
         time<seconds>(0, 86400, AT(listen_patience))}}},
      listener("wire", "The CAPF protocol of desk phones and softphones; TLS.", &Configuration::wire_listener,
               &Configuration::wire_port),
      listener("phone", "gRPC, PhoneService; TLS.", &Configuration::phone, &Configuration::phone_port),
      listener("admin", "gRPC, AdminService, MonitorService, health; TLS with an administrator's certificate.",
               &Configuration::admin, &Configuration::admin_port),
      listener("status",
               "HTTP for relying parties: CRLs, OCSP, issuers' certificates; without TLS, as those protocols are.",
               &Configuration::status_listener, &Configuration::status_port),
      listener("metrics", "HTTP: /metrics, /livez, /readyz; loopback addresses only.", &Configuration::metrics,
               &Configuration::metrics_port, false),
      listener("tvs",
               "The Trust Verification Service of phones; TLS. Firewalls know its port as 2445, and phones find it in "
               "their configuration. `capfd tvs-certificate` keeps what it shows.",
               &Configuration::tvs_listener, &Configuration::tvs_port),
      listener("files",
               "Phones' files over HTTP: trust lists, configurations, and what is in files.static. Phones ask at port "
               "6970, which is fixed in them.",
               &Configuration::files_listener, &Configuration::files_port),
      listener(
          "files_tls",
          "The same over HTTPS, where phones ask for configurations alone. They ask at port 6971, which is fixed in "
          "them, and take the certificate of the file server by their trust list.",
          &Configuration::files_tls_listener, &Configuration::files_tls_port),
      listener("calls",
               "HTTP for the dial plans of SIP servers: /call-status, without TLS where all addresses are loopback; "
               "otherwise TLS with the certificate of an administrator, of the role monitor at least.",
               &Configuration::calls, &Configuration::calls_port),
      {"wire",
       "The port of desk phones and softphones.",
       {{"legacy_phones", "whether TLS 1.0 with AES128-SHA is spoken there, for phones of the 7900 series",
         flag(AT(wire.legacy_phones))},
        {"conceal_devices", "whether unknown phones and those without anything pending hear what refused ones hear",
         flag(AT(wire.conceal_devices))},
        {"handshake_seconds", "for the ClientHello to arrive, and as long again for the rest of the handshake",
         time<seconds>(1, 300, AT(wire.handshake))},
        {"first_answer_seconds", "for a phone to say who it is", time<seconds>(1, 300, AT(wire.first_answer))},
        {"answer_seconds", "for each later answer, but for that with its key", time<seconds>(1, 600, AT(wire.answer))},
        {"key_generation_minutes", "for a phone to generate its key", time<minutes>(1, 120, AT(wire.key_generation))},
        {"keep_alive_minutes", "between TCP keep-alives, so that firewalls keep the connection",
         time<minutes>(1, 60, AT(wire.keep_alive))},
        {"connections",
         "in all; above, the oldest that has proven nothing for 5 s gives way, else the new one is closed",
         number(1, kMost, AT(wire.connections))},
        {"connections_per_address", "from one IPv4 address or IPv6 /64; many phones may be behind one",
         number(1, kMost, AT(wire.connections_per_address))},
        {"unauthenticated_connections",
         "of all, those that have not proven a device yet; the oldest give way after 5 s",
         number(1, kMost, AT(wire.unauthenticated_connections))},
        {"unauthenticated_connections_per_address",
         "of those, from one IPv4 address or IPv6 /64; by default half of them", half_of_connections()},
        {"handshakes", "at once; further ones wait, and their addresses take turns",
         number(1, 10000, AT(wire.handshakes))},
        {"backlog", "connections that the system holds until they are taken", number(1, 65535, AT(wire.backlog))}}},
      {"tvs",
       "The port on which phones ask whether they may trust a certificate.",
       {{"legacy_phones",
         "whether TLS 1.0 with AES128-SHA is spoken there, for phones of the 7900 series; its key serves nothing else",
         flag(AT(tvs.legacy_phones))},
        {"lifetime_seconds", "for which a phone may keep the answer that a certificate is valid",
         time<seconds>(1, 604800, AT(tvs.lifetime))},
        {"handshake_seconds", "for the ClientHello to arrive, and as long again for the rest of the handshake",
         time<seconds>(1, 300, AT(tvs.handshake))},
        {"question_seconds", "for the whole question to arrive", time<seconds>(1, 300, AT(tvs.question))},
        {"connections", "in all; above, the oldest of 5 s gives way, else the new one is closed",
         number(1, kMost, AT(tvs.connections))},
        {"connections_per_address", "from one IPv4 address or IPv6 /64; many phones may be behind one",
         number(1, kMost, AT(tvs.connections_per_address))},
        {"handshakes", "at once; further ones wait, and their addresses take turns",
         number(1, 10000, AT(tvs.handshakes))},
        {"backlog", "connections that the system holds until they are taken", number(1, 65535, AT(tvs.backlog))}}},
      {"files",
       "The files that phones fetch.",
       {{"source",
         "a folder of the site's own configuration files, relative to the state directory, which one server of the "
         "site reads into the database again and again; \"\": none",
         source_folder()},
        {"tvs",
         "the servers of the Trust Verification Service in phones' configuration files, HOST or HOST:PORT, up to 5; "
         "[]: this one where it listens for it, or else those of the site's own files",
         list(AT(files.tvs), parse_tvs)},
        {"static",
         "a folder of files that phones fetch as they are, or signed: rings, dial rules, locales, firmware; relative "
         "to "
         "the state directory; no part of a path below it may be a link; \"\": none",
         static_folder()},
        {"digest",
         "under which files are signed that belong to no device; for SHA-1, which phones of the series 7900, 8900 and "
         "9900 need, others can make two files with one signature",
         choice({{"sha512", FileDigest::kSha512}, {"sha1", FileDigest::kSha1}}, AT(policy.files_digest))},
        {"memory_mib",
         "for files of that folder that were asked for lately; one larger than seven eighths of it is not served",
         number(1, 65536, AT(files.memory_mib))},
        {"publish",
         "a folder in which this server keeps all files for another one that gives them out, as one of TFTP does; "
         "relative to the state directory; \"\": none",
         text(AT(files.publish))},
        {"publish_minutes", "from the end of one round to the next", time<minutes>(1, 1440, AT(files.publish_period))},
        {"trust_list_percent",
         "of the phones that fetch trust lists, those that are to have fetched the one with a certificate before the "
         "certificate is used",
         number(0, 100, AT(policy.trust_list_share))},
        {"connections", "of HTTP, and as many of HTTPS; the one that has been idle for longest gives way",
         number(1, kMost, AT(files.connections))},
        {"connections_per_address", "from one IPv4 address or IPv6 /64; many phones may be behind one",
         number(1, kMost, AT(files.connections_per_address))}}},
      {"status",
       "What relying parties get.",
       {{"crl_interval_seconds", "until a revocation is on the CRL, at most",
         time<seconds>(1, 86400, AT(status.crl_interval))},
        {"crl_validity_hours", "from a CRL's thisUpdate to its nextUpdate; it is made again after a quarter of it",
         time<hours>(1, 8760, AT(status.crl_validity))},
        {"ocsp_cache_seconds", "how long an OCSP answer is given again before the database is asked again",
         time<seconds>(0, 60, AT(status.ocsp_cache))},
        {"ocsp_validity_minutes", "from an OCSP answer's thisUpdate to its nextUpdate",
         time<minutes>(2, 1440, AT(status.ocsp_validity))},
        {"connections", "in all; the one that has been idle for longest gives way",
         number(1, kMost, AT(status.connections))},
        {"connections_per_address", "from one IPv4 address or IPv6 /64",
         number(1, kMost, AT(status.connections_per_address))}}},
      {"policy",
       "",
       {{"lsc_validity_days", "never beyond the issuer's own end", time<days>(1, 1825, AT(policy.lsc_validity))},
        {"lsc_subject", "\"plain\": `CN=<device name>`; \"cisco\": serialNumber and `CN=<model>-<device name>`",
         choice({{"plain", SubjectForm::kPlain}, {"cisco", SubjectForm::kCisco}}, AT(policy.lsc_subject))},
        {"allow_rsa_1024", "whether phones may offer RSA keys of 1024 bits", flag(AT(policy.allow_rsa_1024))},
        {"self_service_upgrade", "whether a phone in the last third of its LSC's life renews without being scheduled",
         flag(AT(policy.self_service_upgrade))},
        of_phones("auth"),
        of_phones("key_order"),
        of_phones("rsa_bits"),
        of_phones("ec_bits"),
        of_phones("completes_within"),
        of_phones("renewal"),
        of_phones("renewal_from_percent"),
        {"require_fresh_proof",
         "whether desk phones must sign this session's id to prove a certificate; those with EC keys cannot",
         flag(AT(policy.require_fresh_proof))},
        {"superseded_grace_hours",
         "from a successor's confirmation to the revocation of the LSC that it replaces; 0: at once",
         time<hours>(0, 8760, AT(policy.superseded_grace))},
        {"device_names",
         "patterns of the names of devices that may be added; `*` stands for no `.` but where it is the whole pattern: "
         "a "
         "site whose Jabber users have names with one adds `CSF*.*`",
         device_names()},
        {"weak_keys",
         "files of RSA keys to refuse, as Debian's openssl-blacklist has them, relative to the state directory; read "
         "again when they change",
         list(AT(weak_keys), parse_path)},
        {"null_string_networks", "from where operations with --auth null work",
         list(AT(policy.null_string_networks), parse_network)}}},
      {"digest",
       "",
       {{"realm",
         "the realm of digest authentication, which is the SIP server's; the same on every server of a site; while "
         "only "
         "HA1s are kept of a user's password, it stays as it is",
         text(AT(policy.digest_realm), is_realm, "has 1 to 128 printable characters")}}},
      {"limits",
       "Of phones over gRPC on this server, but for wrong strings, which count on every port of every server. Calls "
       "above are refused with OVERLOADED, wrong strings with ADDRESS_LIMITED.",
       {{"calls_in_flight",
         "answered at once, of callers with a client certificate that proved its phone lately; those whose certificate "
         "has proven nothing yet have 16 of their own. One phone has 8 at most",
         number(1, 10000, AT(limits.calls_in_flight))},
        {"calls_waiting",
         "such calls that wait for their turn; those whose certificate has proven nothing yet have 128 of their own",
         number(0, 100000, AT(limits.calls_waiting))},
        {"unauthenticated_calls_in_flight",
         "of callers without a client certificate, who have places of their own; an eighth is always left for other "
         "addresses",
         number(1, 10000, AT(limits.unauthenticated_calls_in_flight))},
        {"unauthenticated_calls_waiting", "such calls that wait; an eighth is always left for other addresses",
         number(0, 100000, AT(limits.unauthenticated_calls_waiting))},
        {"enrolments",
         "open calls of Enrol, of phones that have proven who they are; a phone may take as long for its key as its "
         "operation is open",
         number(1, kMost, AT(limits.enrolments))},
        {"connections",
         "in all, and never more than a fifth of the process's descriptors; above, the oldest that has proven nothing "
         "for 10 s gives way, else the new one is closed",
         number(1, kMost, AT(limits.connections))},
        {"unauthenticated_connections",
         "of all, those that have not proven a device yet; the oldest give way after 10 s",
         number(1, kMost, AT(limits.unauthenticated_connections))},
        {"unauthenticated_connections_per_address", "of those, from one IPv4 address or IPv6 /64",
         number(1, kMost, AT(limits.unauthenticated_connections_per_address))},
        {"wrong_strings_per_address",
         "different wrong authentication strings of one IPv4 address or IPv6 /64 in an hour, over all servers and "
         "ports",
         number(1, kMost, AT(policy.wrong_strings_per_address))},
        {"wrong_strings_networks",
         "networks whose addresses have another limit each, because many phones are behind them: `\"198.51.100.7\" = "
         "500`; the narrowest counts",
         string_limits()}}},
      {"check",
       "What was issued is read again, with code of its own.",
       {{"period_hours",
         "from one check to the next, and from one comparison of RSA keys to the next; findings are in the log and the "
         "record",
         time<hours>(1, 720, AT(check_period))}}},
      {"archive",
       "What `capfd archive` moves from the database into files, one for each month.",
       {{"directory", "relative to the state directory; made with mode 0700",
         text(AT(archive.directory), is_given, "is empty")},
        {"audit_days", "after an event was sealed", time<days>(1, 36500, AT(archive.audit))},
        {"certificates_days", "after a certificate has expired", time<days>(30, 36500, AT(archive.certificates))},
        {"operations_days", "after an operation has ended", time<days>(1, 36500, AT(archive.operations))}}},
      {"token",
       "Where a CA key is in a PKCS #11 token.",
       {{"module", "absolute path of the token's library; \"\": every key's URI has a module-path of its own",
         text(AT(token.module), is_absolute_or_none, "is an absolute path")},
        {"pin", "where the PIN is, as for the passphrase; files and credentials are read again at every login",
         source(AT(token.pin), true)},
        {"sessions", "sessions that are open at once with one token", number(1, 256, AT(token.sessions))}}},
      {"log",
       "One line an event, to standard error.",
       {{"level", "the least that is written",
         choice({{"debug", LogLevel::kDebug},
                 {"info", LogLevel::kInfo},
                 {"warning", LogLevel::kWarning},
                 {"error", LogLevel::kError}},
                AT(log_level))}}}};
  return table;
}

#undef AT

}  // namespace capf::daemon
