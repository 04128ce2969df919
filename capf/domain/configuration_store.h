#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/configuration.h"

namespace capf {

struct NewConfiguration {
  std::int64_t id = 0;  ///< of next_ids(), or of the row that it replaces
  ConfigurationKind kind = ConfigurationKind::kPhone;
  std::int64_t phone_id = 0;  ///< of a phone's
  Bytes source;               ///< encrypted
};

/// A row's id with what is encrypted there.
struct EncryptedConfiguration {
  std::int64_t id = 0;
  std::int64_t phone_id = 0;  ///< 0: the site's
  Bytes source;
};

/// A device whose facts are asked for.
struct ConfigurationQuestion {
  static constexpr std::pair<std::int64_t, std::int64_t> kNoSource{-1, 0};

  DeviceName device;
  /// Of a source that need not be read again: its id and revision; kNoSource where none need be read.
  std::pair<std::int64_t, std::int64_t> known{};
};

class ConfigurationStore {
 public:
  static constexpr std::size_t kSourceOctets = std::size_t{4} * 1024 * 1024;  ///< of one answer, and one source more

  virtual ~ConfigurationStore() = default;
  /// @return an answer for each question, in their order: nothing for a device that is not present. Behind
  /// kSourceOctets sources are left out.
  virtual Result<std::vector<std::optional<ConfigurationFacts>>> facts(
      std::span<const ConfigurationQuestion> asked) = 0;
  /// The site's own, with its source; nothing where there is none.
  virtual Result<std::optional<ConfigurationSource>> of_site(ConfigurationKind kind) = 0;
  /// The same, and nobody else imports one of the site's before this transaction ends.
  virtual Result<std::optional<ConfigurationSource>> lock_of_site(ConfigurationKind kind) = 0;
  /// Those of these phones, in no order.
  virtual Result<std::vector<EncryptedConfiguration>> of_phones(std::span<const std::int64_t> phone_ids) = 0;
  virtual Result<std::vector<std::int64_t>> next_ids(std::size_t count) = 0;
  /// Adds them, or puts them in the place of rows with their ids, whose revisions then grow. Phones are locked.
  virtual Status put(std::span<const NewConfiguration> configurations, const std::string& imported_by) = 0;
  /// Phones are locked, and so are the site's.
  virtual Status remove(std::span<const std::int64_t> ids) = 0;

  /// Locks those of a generation below this one; at most `limit`.
  virtual Result<std::vector<EncryptedConfiguration>> lock_older(int generation, int limit) = 0;
  /// Replaces sources that were encrypted again.
  virtual Status replace_sources(std::span<const EncryptedConfiguration> configurations) = 0;
};

}  // namespace capf
