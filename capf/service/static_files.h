#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/file.h"
#include "capf/base/log.h"
#include "capf/base/time.h"
#include "capf/domain/setting.h"
#include "capf/files/header.h"
#include "capf/service/phone_file.h"
#include "capf/service/phone_keys.h"

namespace capf::service {

/// The files that an administrator put under one folder: rings, dial rules, locales, firmware; as they are, and signed
/// where they are asked for with ".sgn". Those that were asked for lately are kept in memory. Threads: any.
class StaticFiles final : public PhoneFileSource {
 public:
  struct Settings {
    std::filesystem::path folder{};                       ///< empty: there are none
    files::Digest digest = files::Digest::kSha512;        ///< under which they are signed
    std::size_t memory = std::size_t{256} * 1024 * 1024;  ///< octets, for all of them together
  };
  /// The key that signs files now; null where the site has none, and then nothing is served signed.
  using Signer = std::function<std::shared_ptr<const PhoneKey>()>;
  /// @param random for any thread
  StaticFiles(Settings settings, Signer signer, Botan::RandomNumberGenerator& random, const Clock& clock)
      : settings_(std::move(settings)), signer_(std::move(signer)), random_(random), clock_(clock) {}

  /// A file that is larger than seven eighths of the memory is not served, and logged. Errors: OVERLOADED where files
  /// that are being sent fill the memory.
  Result<std::optional<PhoneFile>> open(const files::FileRequest& request) override;
  /// By size, time, signer and digest: without reading the file.
  Result<std::optional<std::string>> generation(const files::FileRequest& request) override;
  /// The names that open() has a file for, in order, without ".sgn": at most kMostNames.
  Result<std::vector<std::string>> names() const;
  static constexpr std::size_t kMostNames = 100'000;

  /// Signs what an administrator sent, under its name with ".sgn". Errors: INVALID_REQUEST for a name that no static
  /// file can have, NO_FILE_SIGNER.
  Result<Bytes> sign(const std::string& name, BytesView content) const;

 private:
  /// A file that is there.
  struct Found {
    std::string name;  ///< as it was asked for
    File file;
    std::uint64_t size = 0;
    std::string generation;
    std::shared_ptr<const PhoneKey> key;  ///< that signs it; null: it is served as it is

    /// The octets of memory, with the header of a signed file.
    std::size_t needed() const { return static_cast<std::size_t>(size) + (key == nullptr ? 0 : 4096); }
  };
  struct Kept {
    std::shared_ptr<const Bytes> octets;
    std::string generation;
    std::uint64_t used = 0;  ///< the greatest was used last
  };

  Result<std::optional<Found>> find(const files::FileRequest& request);
  /// Octets that all files may fill when one of this size comes: the last eighth is for small ones, as rings, which
  /// somebody who takes firmware slowly shall not keep out.
  std::size_t room_for(std::size_t size) const;
  bool make_room(std::size_t size);
  Result<Bytes> signed_with(const PhoneKey& key, const std::string& name, BytesView content) const;

  const Settings settings_;
  const Signer signer_;
  Botan::RandomNumberGenerator& random_;
  const Clock& clock_;
  LogLimit complaints_{1};  ///< a second
  std::mutex mutex_;
  std::map<std::string, Kept> kept_;  ///< by the name that was asked for
  std::size_t held_ = 0;              ///< octets of `kept_`
  std::uint64_t uses_ = 0;
};

}  // namespace capf::service
