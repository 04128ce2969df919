#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/ca/vault.h"
#include "capf/domain/configuration_store.h"
#include "capf/domain/database.h"
#include "capf/domain/policy.h"
#include "capf/service/configuration_plan.h"
#include "capf/service/highwater.h"
#include "capf/service/made_files.h"
#include "capf/service/phone_file.h"
#include "capf/service/phone_keys.h"

namespace capf::service {

/// The name under which the site's file for phones that have none is imported.
inline constexpr std::string_view kTemplateName = "template";

/// Where the source of this row is encrypted.
inline ca::Cell cell_of_source(std::int64_t id) { return {"configurations", "source", id}; }
/// The name by which a phone asks for its file: "SEP001122334455.cnf.xml.enc.sgn".
std::string configuration_name(const DeviceName& device, files::Form form);

/// A file as an administrator has it.
struct ImportedConfiguration {
  std::string name;  ///< "SEP001122334455.cnf.xml", "XMLDefault.cnf.xml" or kTemplateName
  Secret xml;
};

/// The outcome of an import. With a problem nothing was imported.
struct ConfigurationImport {
  struct Problem {
    std::size_t place = 0;  ///< of the file
    Error error;
  };
  int added = 0;
  int changed = 0;
  int unchanged = 0;
  std::vector<Problem> problems;      ///< in the order of the files
  std::vector<std::string> warnings;  ///< of names that no line can have
};

struct ConfigurationRemoval {
  int removed = 0;
  int absent = 0;  ///< there was none of the name
};

/// A phone's configuration, for people to look at.
struct ConfigurationView {
  ConfigurationPlan plan;
  std::optional<ConfigurationSource> source{};  ///< without its content; none: kConfigurationTemplate
  std::string fault{};                          ///< for which there is no file, in words; empty: there is one
  /// The site's file, and what the phone gets of it, with "***" in place of every password; empty where they were not
  /// asked for.
  std::string before{};
  std::string after{};
};

/// The configuration files of phones: the site's own, in which what profiles decide is set. Threads: any.
class Configurations final : public PhoneFileSource {
 public:
  /// @param random for any thread
  /// @param clear kNever for files that are exported
  Configurations(Database& database, const ca::Vault& vault, const PhoneKeys& keys, const SitePolicy& policy,
                 const HighWater& high_water, Botan::RandomNumberGenerator& random, const Clock& clock,
                 PhoneServers servers, const MadeFiles::Limits& limits = {},
                 SecretsInClear clear = SecretsInClear::kAsProfile)
      : database_(database),
        vault_(vault),
        keys_(keys),
        policy_(policy),
        high_water_(high_water),
        random_(random),
        clock_(clock),
        servers_(std::move(servers)),
        clear_(clear),
        made_(limits) {}

  /// One look at the database, or two where the file is not the one in memory any more and does not come with many
  /// large ones. Errors: those of the database,
  /// of the key that signs, of the vault; PHONE_CONFIGURATION_MALFORMED for a source that is not usable any more.
  Result<std::optional<PhoneFile>> open(const files::FileRequest& request) override { return open_one(request); }
  /// The first look is one for all.
  void open_each(std::span<const files::FileRequest* const> requests, const Done& done) override;
  /// The generation that open() would answer with, without making the file.
  Result<std::optional<std::string>> generation(const files::FileRequest& request) override;

  /// Imports all of these files or none: up to kConfigurationsAtOnce with kConfigurationOctetsAtOnce. Phones come to
  /// the lines that their files name, and leave those that only the former ones named.
  /// @param dry_run says what would be, and does nothing
  /// @return problems: PHONE_CONFIGURATION_MALFORMED, UNKNOWN_DEVICE, INVALID_REQUEST for another name or one that
  /// comes twice, SHARED_LINE_MIXED. Errors: INVALID_REQUEST for too much at once.
  Result<ConfigurationImport> import(const Actor& actor, std::span<const ImportedConfiguration> files, bool dry_run);

  /// Removes all of these files, which are called as imported ones are, or none: up to kConfigurationsAtOnce. A phone
  /// gets the template's from then on, and leaves the lines that its file named. Errors: UNKNOWN_DEVICE;
  /// INVALID_REQUEST for another name, one that comes twice, or too many.
  Result<ConfigurationRemoval> remove(const Actor& actor, std::span<const std::string> names);

  /// Errors: UNKNOWN_DEVICE, PHONE_CONFIGURATION_MALFORMED.
  Result<ConfigurationView> show(const DeviceName& device);
  /// The same without the texts, but with the fault of a file that cannot be made. Errors: UNKNOWN_DEVICE.
  Result<ConfigurationView> check(const DeviceName& device);
  /// The file as a phone fetches it, but with passwords only where it is encrypted. Errors: UNKNOWN_DEVICE,
  /// NO_FILE_SIGNER; NO_CERTIFICATE where it is not encrypted; those of open(), on a standby and by a database that is
  /// behind too.
  Result<Bytes> make_export(const DeviceName& device, files::Form form);

 private:
  struct Parsed;
  Result<std::optional<PhoneFile>> open_default();
  Result<std::optional<PhoneFile>> open_of(const DeviceName& device, files::Form form,
                                           const std::optional<MadeFile>& known,
                                           std::optional<ConfigurationFacts> facts);
  Result<std::vector<std::optional<ConfigurationFacts>>> look(std::span<const ConfigurationQuestion> asked);
  Result<std::optional<ConfigurationFacts>> look(const DeviceName& device, std::pair<std::int64_t, std::int64_t> known);
  Result<ConfigurationFacts> facts_of(const DeviceName& device);
  ConfigurationPlan plan_of(const ConfigurationFacts& facts, const PhoneKey* signer) const;
  Result<Secret> decrypt(const ConfigurationSource& source) const;
  Result<files::Configuration> source_of(const ConfigurationFacts& facts) const;
  Result<files::ConfigurationValues> values_of(const ConfigurationFacts& facts, const ConfigurationPlan& plan) const;
  Result<Bytes> make(const ConfigurationFacts& facts, const ConfigurationPlan& plan, files::Form form,
                     const PhoneKey* signer);
  Result<Bytes> sign(const std::string& name, files::Digest digest, BytesView content, const PhoneKey& signer);

  std::vector<Parsed> parse(std::span<const ImportedConfiguration> files, ConfigurationImport& outcome) const;
  Status import_in(Transaction& tx, const Actor& actor, std::vector<Parsed> parsed, ConfigurationImport& outcome);
  Status find_phones(Transaction& tx, std::vector<Parsed>& parsed, ConfigurationImport& outcome) const;
  Status find_former(Transaction& tx, std::vector<Parsed>& parsed) const;
  Status find_former_of_site(Transaction& tx, std::vector<Parsed>& parsed) const;
  Status take(Parsed& file, EncryptedConfiguration former) const;
  Status put(Transaction& tx, const Actor& actor, std::vector<Parsed>& parsed) const;
  Result<ConfigurationRemoval> remove_in(Transaction& tx, const Actor& actor, std::vector<Parsed> named) const;

  Database& database_;
  const ca::Vault& vault_;
  const PhoneKeys& keys_;
  const SitePolicy& policy_;
  const HighWater& high_water_;
  Botan::RandomNumberGenerator& random_;
  const Clock& clock_;
  const PhoneServers servers_;
  const SecretsInClear clear_;
  MadeFiles made_;
};

}  // namespace capf::service
