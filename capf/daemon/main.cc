#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <botan/system_rng.h>

#include "capf/base/log.h"
#include "capf/base/secret.h"
#include "capf/base/version.h"
#include "capf/ca/memory.h"
#include "capf/ca/token.h"
#include "capf/client/argument.h"
#include "capf/client/manual.h"
#include "capf/client/suggestion.h"
#include "capf/daemon/administrator.h"
#include "capf/daemon/archive.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/host.h"
#include "capf/daemon/init.h"
#include "capf/daemon/issuers.h"
#include "capf/daemon/phone_certificates.h"
#include "capf/daemon/phone_key_files.h"
#include "capf/daemon/rekey.h"
#include "capf/daemon/rekey_secrets.h"
#include "capf/daemon/renewal.h"
#include "capf/daemon/run.h"
#include "capf/daemon/settings_pages.h"
#include "capf/daemon/setup.h"
#include "capf/daemon/this_machine.h"
#include "capf/daemon/trust_recovery.h"

namespace {

using namespace capf;
using namespace capf::daemon;

/// EX_NOPERM: a service manager that starts a server again and again would try the PIN until the token locks.
constexpr int kExitWrongPin = 77;

/// The place of a site's configuration, by the command line.
struct Place {
  std::string state;
  std::string file;

  void add_options(CLI::App& command) {
    command.add_option("--state,--site", state, "the state directory of the site; its capfd.toml is read")
        ->envname("CAPF_STATE");
    command.add_option("--config", file, "the configuration file, in place of that one");
  }
  Result<Configuration> read() const {
    if (file.empty() && state.empty()) {
      return fail(Reason::kInvalidConfiguration, "say where the site is: --state DIR or --config FILE");
    }
    return read_configuration(path());
  }
  std::filesystem::path path() const {
    return file.empty() ? std::filesystem::path(state) / "capfd.toml" : std::filesystem::path(file);
  }
};

int report(const Status& status) {
  if (status) return EXIT_SUCCESS;
  const Error& error = status.error();
  say_error("capfd: " + std::string(to_string(error.reason)) + ": " + error.message);
  if (!error.cause.empty()) say_error("capfd: cause: " + log_value(error.cause));
  return EXIT_FAILURE;
}

/// Logs an uncaught exception and ends the program, also where the log is not read.
[[noreturn]] void end_by_exception() {
  std::string words = "not a std::exception";
  try {
    if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    words = error.what();
  } catch (...) {
  }
  log_error("server.aborted", {{"words", words}});
  flush_log(std::chrono::milliseconds{200});
  std::abort();
}

void add_init(CLI::App& app, InitOptions& options, std::string& key) {
  auto* command = app.add_subcommand("init", "makes a site: its keys, certificates, records and first administrator");
  command->add_option("--state,--site", options.state, "where it is to be")->envname("CAPF_STATE")->required();
  command
      ->add_option("--base-port", options.base_port, "the port from which those of the listeners follow; 0: free ones")
      ->capture_default_str();
  auto* database = command->add_option("--database", options.database, "connection string of the role that runs");
  auto* owner = command->add_option("--database-owner", options.database_owner,
                                    "connection string of the role that owns the schema");
  auto* passphrase =
      command->add_option("--passphrase", options.passphrase,
                          "where the passphrase of the keys is: file:PATH, fd:N, env:NAME or credential:NAME");
  command->add_option("--key", key,
                      "of the issuer: rsa-2048 (the default), rsa-3072, rsa-4096, p-256 or p-384; without it, the key "
                      "that --key-uri names is in the token already");
  auto* uri = command->add_option("--key-uri", options.key_uri,
                                  "of the issuer's key in a PKCS #11 token: \"pkcs11:token=capf;object=issuer\"");
  auto* module = command->add_option("--token-module", options.token.module, "path of the token's PKCS #11 library");
  auto* pin = command->add_option("--pin", options.token.pin,
                                  "where the token's PIN is: file:PATH, fd:N, env:NAME or credential:NAME");
  command->add_option("--days", options.days, "how long the issuer is valid")->capture_default_str();
  command->add_option("--public-host", options.public_host,
                      "name or address that phones use; default: this machine's name");
  command->add_option("--subject", options.subject, "of the issuer, as in \"CN=CAPF-1A2B3C4D,O=Example,C=DE\"");
  command->add_option("--administrator", options.administrator, "name of the first one")->capture_default_str();
  auto* certificate = command->add_option("--import-certificate", options.import_certificate,
                                          "an existing CA's certificate, with its chain, in PEM");
  auto* import_key = command->add_option("--import-key", options.import_key, "its key in PEM");
  auto* pkcs12 = command->add_option("--import-pkcs12", options.import_pkcs12, "both in a PKCS #12 file");
  command->add_option("--import-passphrase", options.import_passphrase, "where the passphrase of that key or file is");
  auto* request = command->add_flag("--csr-only", options.csr_only,
                                    "makes the issuer's key, and a request for a CA that signs offline");
  auto* answer = command->add_option("--certificate", options.certificate,
                                     "goes on with what that CA has made: a certificate with its chain, in PEM");
  command->add_option("--recovery-key", options.recovery.file,
                      "new file for the key of the recovery signer, to be taken away; default: recovery-signer.key in "
                      "the state directory");
  command->add_option("--recovery-passphrase", options.recovery.passphrase,
                      "where its passphrase is; default: a new one, in that file's name with .passphrase");
  auto* phone_files = command->add_flag("--phone-files", options.phone_files,
                                        "of a site that exists: makes the keys for phones' files that it lacks");
  for (auto* new_site : {database, owner, uri, certificate, pkcs12, request, answer}) phone_files->excludes(new_site);
  request->excludes(answer);
  for (auto* import : {certificate, pkcs12}) import->excludes(request)->excludes(answer)->excludes(uri);
  answer->excludes(uri);
  command->final_callback([=] {
    if (phone_files->count() != 0) return;
    if (passphrase->count() == 0) throw CLI::RequiredError(passphrase->get_name());
    for (auto* needed : {database, owner}) {
      if (needed->count() == 0 && request->count() == 0) throw CLI::RequiredError(needed->get_name());
    }
    for (auto* of_token : {module, pin}) {
      if (of_token->count() != 0 && uri->count() == 0 && answer->count() == 0) {
        throw CLI::RequiresError(of_token->get_name(), uri->get_name());
      }
    }
  });
  certificate->needs(import_key);
  import_key->needs(certificate);
  pkcs12->excludes(certificate);
}

void add_setup(CLI::App& app, SetupOptions& options) {
  auto* command = app.add_subcommand(
      "setup", "makes what is missing for a site on this machine, as root: passphrase, roles, database, site, unit");
  command->add_option("--state,--site", options.state, "where the site is, or is to be")->capture_default_str();
  command->add_option("--base-port", options.base_port, "of a new site; default: 3804")->check(CLI::Range(1, 65526));
  command->add_option("--public-host", options.public_host, "of a new site; default: this machine's name");
  auto* database = command->add_option("--database", options.database,
                                       "connection string of the role that runs; default: this machine's PostgreSQL");
  auto* owner = command->add_option("--database-owner", options.database_owner, "and of the role that owns the schema");
  database->needs(owner);
  owner->needs(database);
  command->add_flag_callback(
      "--no-start", [&options] { options.start = false; }, "leaves the units as they are");
}

Status make_setup(const SetupOptions& options) {
  ThisMachine machine;
  CAPF_LET(const std::string words, set_up(options, machine, Botan::system_rng()));
  std::cout << words;
  return {};
}

void add_administrator_options(CLI::App& command, AdministratorOptions& options, std::string& role) {
  command.add_option("NAME", options.name, "of the administrator, which nobody had before")->required();
  command.add_option("--role", role, "what it may do: admin, operator, auditor or monitor")
      ->required()
      ->check([](const std::string& text) { return parse_role(text) ? "" : "admin, operator, auditor or monitor"; });
  command.add_option("--out", options.out, "folder for the files; default: admin in the state directory");
  command.add_option("--passphrase", options.passphrase,
                     "where the passphrase is, in place of what the configuration says: file:PATH, fd:N, env:NAME or "
                     "credential:NAME");
}

Status appoint(const Configuration& configuration, const AdministratorOptions& options) {
  CAPF_LET(const std::string words, add_administrator(configuration, options, SystemClock(), Botan::system_rng()));
  std::cout << words;
  return {};
}

void add_certificate_options(CLI::App& command, std::string& what, std::optional<std::string>& passphrase) {
  command.add_option("WHAT", what, "server: what the gRPC ports show; site-ca: what signs it and administrators")
      ->required()
      ->check(CLI::IsMember({"server", "site-ca"}));
  command.add_option("--passphrase", passphrase, "where the passphrase is, in place of what the configuration says");
}

/// The commands on the certificates of a purpose that phones know by their lists.
struct PurposeCommands {
  explicit PurposeCommands(const KeyPurpose& of) : purpose(of) {}

  const KeyPurpose& purpose;
  CLI::App* add = nullptr;
  CLI::App* activate = nullptr;
  CLI::App* remove = nullptr;
  CLI::App* list = nullptr;
  std::string name{};
  NewCertificate wanted{};
  std::string key{};
  bool force = false;

  void add_to(CLI::App& app, const std::string& words, std::optional<std::string>& passphrase) {
    auto* group = app.add_subcommand(purpose.command, words);
    group->require_subcommand(1);
    add = group->add_subcommand("add", "makes the next certificate, with a key of its own, beside the one in use");
    add_options_of_add();
    activate = group->add_subcommand("activate", "uses that certificate from now on");
    activate->add_flag("--force", force,
                       "also where few phones have fetched a trust list with it: the others are lost");
    remove = group->add_subcommand("remove", "takes one away that is not in use, with its key");
    list = group->add_subcommand("list", "those of this machine, and which is in use");
    for (auto* command : {activate, remove}) {
      command->add_option("NAME", name, "of the certificate: \"" + purpose.first + "-2\"")->required();
    }
    for (auto* command : {add, activate, remove}) {
      command->add_option("--passphrase", passphrase,
                          "where the passphrase is, in place of what the configuration says");
    }
  }
  std::vector<CLI::App*> all() const { return {add, activate, remove, list}; }
  bool parsed() const {
    const auto commands = all();
    return std::any_of(commands.begin(), commands.end(), [](const CLI::App* each) { return each->parsed(); });
  }
  Status run(const Configuration& configuration, const std::optional<std::string>& passphrase) {
    const SystemClock clock;
    const PhoneCertificates certificates(configuration, passphrase, clock, purpose);
    wanted.make_in_token = !key.empty();
    CAPF_LET(const std::string words, add->parsed()        ? certificates.add(wanted, Botan::system_rng())
                                      : activate->parsed() ? certificates.activate(name, force)
                                      : remove->parsed()   ? certificates.remove(name)
                                                           : certificates.list());
    std::cout << words;
    return {};
  }

 private:
  void add_options_of_add() {
    auto* days = add->add_option("--days", wanted.days, "how long it is valid")->capture_default_str();
    auto* import = add->add_option("--import-certificate", wanted.import_certificate,
                                   "one that exists, with its chain, in PEM, in place of a new one");
    auto* import_key = add->add_option("--import-key", wanted.import_key, "its key in PEM");
    add->add_option("--import-passphrase", wanted.import_passphrase, "where the passphrase of that key is")
        ->needs(import_key);
    auto* request =
        add->add_flag("--csr-only", wanted.csr_only, "makes the key, and a request for a CA of the site's own");
    auto* answer = add->add_option("--certificate", wanted.certificate,
                                   "goes on with what that CA has made: a certificate with its chain, in PEM");
    import->needs(import_key)->excludes(days)->excludes(request)->excludes(answer);
    import_key->needs(import);
    request->excludes(answer)->excludes(days);
    answer->excludes(days);
    if (!purpose.signs) return;
    auto* uri = add->add_option(
        "--key-uri", wanted.key_uri,
        "of a key in the token of the configuration: \"pkcs11:token=capf;object=" + purpose.first + "\"");
    uri->excludes(import)->excludes(answer);
    add->add_option("--key", key, "makes that key, rsa-2048, which is in the token already without this")
        ->needs(uri)
        ->check(CLI::IsMember({"rsa-2048"}));
  }
};

/// `capfd trust-list recover`
struct RecoveryCommand {
  CLI::App* recover = nullptr;
  std::filesystem::path key{};
  std::string source{};

  void add_to(CLI::App& app, std::optional<std::string>& passphrase) {
    auto* group = app.add_subcommand("trust-list", "the trust lists of phones, on this machine");
    group->require_subcommand(1);
    recover = group->add_subcommand(
        "recover",
        "publishes a list that phones follow though the list signer is lost: it is signed by the recovery signer");
    recover->add_option("--key", key, "file with the recovery signer's key")->required();
    recover->add_option("--recovery-passphrase", source,
                        "where its passphrase is: file:PATH, fd:N, env:NAME or credential:NAME");
    recover->add_option("--passphrase", passphrase, "where the passphrase is, in place of what the configuration says");
  }
  Status run(const Configuration& configuration, const std::optional<std::string>& passphrase) const {
    const SystemClock clock;
    CAPF_LET(const Machine machine, Machine::open(configuration, passphrase, clock));
    CAPF_LET(auto access, token_access(configuration.token));
    ca::Tokens tokens(std::move(access));
    service::OwnCertificates own;
    PhoneKeyFiles keys(machine.files, machine.passphrase, tokens, *machine.database, own);
    CAPF_TRY(keys.open());
    CAPF_LET(const std::string words,
             recover_trust_lists(machine, keys, configuration.policy, key, source, Botan::system_rng()));
    std::cout << words;
    return {};
  }
};

Status renew(const Configuration& configuration, const std::string& what,
             const std::optional<std::string>& passphrase) {
  CAPF_LET(const std::string words,
           renew_certificate(configuration, what, passphrase, SystemClock(), Botan::system_rng()));
  std::cout << words;
  return {};
}

Status check_config(const Place& place, bool print) {
  const auto loaded = load_configuration(place.path());
  for (const std::string& fault : loaded.faults) std::cout << fault << '\n';
  if (!loaded.faults.empty()) {
    const std::size_t count = loaded.faults.size();
    return fail(Reason::kInvalidConfiguration, count == 1 ? "1 fault" : std::to_string(count) + " faults");
  }
  for (const std::string& doubt : doubts_of(loaded.configuration)) say_error("capfd: warning: " + doubt);
  std::cout << (print ? to_toml(loaded.configuration) : "ok\n");
  if (const auto words = foreign_names(loaded.configuration)) say_error("capfd: warning: " + *words);
  return {};
}

/// `capfd init --phone-files`
Status complete_site(const InitOptions& options) {
  CAPF_LET(const Configuration configuration, read_configuration(SiteFiles{options.state}.configuration()));
  set_log_level(configuration.log_level);
  std::optional<std::string> passphrase;
  if (!options.passphrase.empty()) passphrase = options.passphrase;
  RecoveryKeyPlace recovery = options.recovery;
  if (recovery.file.empty()) recovery.file = SiteFiles{configuration.state_directory}.recovery_key();
  CAPF_LET(const std::string made,
           make_phone_keys(configuration, passphrase, recovery, SystemClock(), Botan::system_rng()));
  std::cout << made;
  return {};
}

Status make_site(InitOptions options, const std::string& key) {
  if (options.phone_files) return complete_site(options);
  options.key = ca::parse_key_algorithm(key);
  if (!options.key && !key.empty()) {
    return fail(Reason::kInvalidConfiguration, "--key is rsa-2048, rsa-3072, rsa-4096, p-256 or p-384");
  }
  CAPF_LET(const std::string made, options.csr_only ? make_request(options, Botan::system_rng())
                                                    : init(options, SystemClock(), Botan::system_rng()));
  std::cout << made;
  return {};
}

Status change_passphrase(const Configuration& configuration, const std::optional<std::string>& from,
                         const std::string& to) {
  CAPF_LET(const std::string changed, rekey_passphrase(configuration, from, to));
  std::cout << changed;
  return {};
}

Status change_secrets_key(const Configuration& configuration, const std::optional<std::string>& passphrase) {
  CAPF_LET(const std::string words, rekey_secrets(configuration, passphrase, SystemClock(), Botan::system_rng()));
  std::cout << words;
  return {};
}

/// The command or option that the first unknown word was perhaps meant to be.
std::string meant_word(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  std::vector<std::string> commands;
  std::vector<std::string> options;
  for (const CLI::App* child : at->get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(child->get_name());
  }
  for (const CLI::Option* option : at->get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  }
  for (const std::string& word : app.remaining(true)) {
    const std::string meant =
        client::did_you_mean(word.substr(0, word.find('=')), word.rfind('-', 0) == 0 ? options : commands);
    if (!meant.empty()) return meant;
  }
  return {};
}

client::Manual manual() {
  return {
      8,
      "The server. \"capfd init\" makes a site, \"capfd run\" serves it; the other commands change what is on "
      "this machine. Administrators use capfctl(1), on any machine.",
      {{"EXIT STATUS",
        "0 done, 1 refused or failed, 2 wrong usage. \"run\" ends with 77 where the token's PIN is wrong, so that a "
        "service manager does not try it again."},
       {"ENVIRONMENT", "CAPF_STATE is the state directory without --state."},
       {"SEE ALSO", "capfctl(1), capfd.toml(5), capf-phone(1)"}}};
}

int dispatch(int argc, char** argv) {
  std::set_terminate(end_by_exception);
  Signals signals;
  forbid_core_dumps();

  CLI::App app{"The server of a certificate authority proxy function for IP phones", "capfd"};
  app.set_version_flag("--version", std::string(version()));
  app.footer("'capfd help COMMAND' shows the options of a command.");
  client::add_manual(app, manual());
  app.require_subcommand(1);
  InitOptions options;
  std::string key;
  add_init(app, options, key);
  SetupOptions setup;
  add_setup(app, setup);

  // CLI11 reads the environment also for subcommands that were not named, so each has a place of its own.
  std::map<const CLI::App*, Place> places;
  const auto add_place = [&places](CLI::App* command) { places[command].add_options(*command); };
  auto* migrating = app.add_subcommand("migrate", "brings the database's schema up to this program's");
  add_place(migrating);
  auto* archiving = app.add_subcommand(
      "archive", "moves old events, expired certificates and ended operations from the database into files");
  add_place(archiving);
  auto* running = app.add_subcommand("run", "serves until SIGTERM or SIGINT");
  add_place(running);
  std::optional<std::string> passphrase;
  running->add_option("--passphrase", passphrase, "where the passphrase is, in place of what the configuration says");
  auto* rekeying = app.add_subcommand("rekey-passphrase", "encrypts every key of the site under a new passphrase");
  add_place(rekeying);
  rekeying->add_option("--passphrase", passphrase,
                       "where the present passphrase is, in place of what the configuration says");
  std::string next_passphrase;
  rekeying
      ->add_option("--new-passphrase", next_passphrase,
                   "where the new one is: file:PATH, fd:N, env:NAME or credential:NAME")
      ->required();
  auto* administrator = app.add_subcommand("administrator", "appoints administrators on this machine");
  administrator->require_subcommand(1);
  auto* appointing = administrator->add_subcommand(
      "add",
      "makes a key and a certificate for a new administrator, on record, without another administrator: where all of\n"
      "them have expired or lost their keys. Run it as the owner of the state directory; the server may run");
  add_place(appointing);
  AdministratorOptions appointed;
  std::string role;
  add_administrator_options(*appointing, appointed, role);
  auto* certificates = app.add_subcommand("certificate", "renews the site's own certificates on this machine");
  certificates->require_subcommand(1);
  auto* renewing = certificates->add_subcommand(
      "renew",
      "makes a certificate again for the same key, on record; a server that runs shows it. Run it as the owner of\n"
      "the state directory");
  add_place(renewing);
  std::string renewed;
  add_certificate_options(*renewing, renewed, passphrase);
  auto* site = app.add_subcommand("site", "changes the site on this machine");
  site->require_subcommand(1);
  auto* secrets = site->add_subcommand(
      "rekey-secrets",
      "encrypts the secrets of the database under a new key; servers go on, and an interrupted one is given again.\n"
      "Run it as the owner of the state directory");
  add_place(secrets);
  secrets->add_option("--passphrase", passphrase, "where the passphrase is, in place of what the configuration says");
  PurposeCommands wire(wire_purpose());
  wire.add_to(app, "what the phones' port shows, and what it is to show next", passphrase);
  PurposeCommands tvs(tvs_purpose());
  tvs.add_to(app, "what the Trust Verification Service shows, and what it is to show next", passphrase);
  PurposeCommands list_signer(list_signer_purpose());
  list_signer.add_to(app, "what signs phones' trust lists, and what is to sign them next", passphrase);
  PurposeCommands file_signer(file_signer_purpose());
  file_signer.add_to(app, "what signs all other files of phones, and what is to sign them next", passphrase);
  PurposeCommands file_server(file_server_purpose());
  file_server.add_to(app, "what the file service shows over HTTPS, and what it is to show next", passphrase);
  const std::vector<PurposeCommands*> of_phones{&wire, &tvs, &list_signer, &file_signer, &file_server};
  for (const auto* purpose : of_phones) {
    for (auto* command : purpose->all()) add_place(command);
  }
  RecoveryCommand recovery;
  recovery.add_to(app, passphrase);
  add_place(recovery.recover);
  auto* checking = app.add_subcommand("check-config", "says ok, or every fault of the configuration");
  add_place(checking);
  bool print = false;
  checking->add_flag("--print", print, "prints every setting with its value");
  std::string form;
  checking->add_option("--describe", form, "prints what settings there are, with their defaults: toml, markdown or man")
      ->check(CLI::IsMember({"toml", "markdown", "man"}));

  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words.front() == "help") {  // "help init" is "init --help"
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    const auto encoding = client::check_encoding(words);
    if (!encoding) throw CLI::ValidationError(encoding.error().message);
  } catch (const CLI::ParseError& error) {
    const bool readable = client::check_encoding(words).has_value();
    const std::string meant = readable ? meant_word(app) : std::string();
    if (app.exit(error) == 0) return EXIT_SUCCESS;
    if (!meant.empty()) say_error("capfd: " + meant.substr(2));
    return 2;
  }

  if (!form.empty()) {
    std::cout << (form == "toml" ? example_file() : form == "man" ? settings_manual() : settings_page());
    return EXIT_SUCCESS;
  }
  if (checking->parsed()) return report(check_config(places.at(checking), print));
  if (app.got_subcommand("setup")) return report(make_setup(setup));
  if (!ca::protect_key_memory()) {
    log_warning("keys.not_locked", {{"words", "private keys may be swapped out: raise RLIMIT_MEMLOCK to 8 MiB"}});
  }
  if (app.got_subcommand("init")) return report(make_site(options, key));
  const auto named = std::find_if(places.begin(), places.end(), [](const auto& each) { return each.first->parsed(); });
  CAPF_INVARIANT(named != places.end());
  const auto configuration = named->second.read();
  if (!configuration) return report(fail(configuration.error()));
  set_log_level(configuration->log_level);
  if (migrating->parsed()) return report(migrate(*configuration, signals));
  if (archiving->parsed()) return report(archive(*configuration));
  if (appointing->parsed()) {
    appointed.role = parse_role(role).value();
    return report(appoint(*configuration, appointed));
  }
  if (renewing->parsed()) return report(renew(*configuration, renewed, passphrase));
  if (secrets->parsed()) return report(change_secrets_key(*configuration, passphrase));
  for (auto* purpose : of_phones) {
    if (purpose->parsed()) return report(purpose->run(*configuration, passphrase));
  }
  if (recovery.recover->parsed()) return report(recovery.run(*configuration, passphrase));
  if (rekeying->parsed()) return report(change_passphrase(*configuration, passphrase, next_passphrase));
  const Status status = run(*configuration, passphrase, signals);
  if (!status && status.error().reason == Reason::kShuttingDown) return EXIT_SUCCESS;
  if (!status) log_error("server.failed", status.error());
  const int code = report(status);
  return !status && status.error().reason == Reason::kWrongPin ? kExitWrongPin : code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int code = dispatch(argc, argv);
    if (!std::cout.flush()) {
      say_error("capfd: standard output cannot be written");
      if (code == EXIT_SUCCESS) code = EXIT_FAILURE;
    }
    if (!ca::token_calls_left()) return code;
    flush_log(std::chrono::seconds{1});
    std::_Exit(code);
  } catch (const std::exception& error) {
    say_error(std::string("capfd: ") + error.what());
    return EXIT_FAILURE;
  }
}
