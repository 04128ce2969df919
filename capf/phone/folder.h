#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::phone {

/// Whether the name may be a device's, and so the name of a file: 1 to 50 letters, digits, '.', '_', '-', the first and
/// the last a letter or digit.
bool is_device_name(std::string_view name);

/// The LSC that the phone has.
struct Installed {
  std::string certificate_pem;      ///< with its chain
  std::vector<Bytes> certificates;  ///< the same as DER, the LSC first
  Secret key_pem;
};

/// A request under way: repeated word for word, but only while its operation is still issued.
struct PendingRequest {
  std::int64_t operation_id = 0;  ///< 0: a renewal by the phone itself
  Secret key_pem;
  Bytes public_key;  ///< SubjectPublicKeyInfo, DER
  Bytes request;     ///< PKCS #10, DER
};
/// The text of DEVICE.pending: a line "operation N", the key and the request in PEM.
Secret encode(const PendingRequest& pending);
/// Errors: INVALID_REQUEST for any text but encode()'s; also where request and key do not belong together.
Result<PendingRequest> decode(std::string_view text);

/// The files of phones that must outlive a power cut: DEVICE.pem, DEVICE.key and, while a request is under way,
/// DEVICE.pending; of those that are provisioned also DEVICE.ctl.tlv, DEVICE.itl.tlv and DEVICE.cnf.xml. Every file is
/// whole or absent, and installed() and pending() repair every state between two files. Threads: any, each device at
/// one time in one thread.
class Folder {
 public:
  /// Makes the folder (0700) where there is none. @param durable waits until the disk has each file.
  static Result<Folder> open(const std::filesystem::path& path, bool durable);
  /// A folder that discards everything: for load tests.
  static Folder none() { return Folder(); }

  /// Absent: no LSC. A key that a cut left behind its certificate is taken from the pending request.
  Result<std::optional<Installed>> installed(const std::string& device) const;
  /// Absent also where the file is damaged: then the phone begins again.
  Result<std::optional<PendingRequest>> pending(const std::string& device) const;

  Status keep(const std::string& device, const PendingRequest& pending) const;
  /// Errors: INVALID_CERTIFICATE where they are more than installed() reads.
  Status install(const std::string& device, const std::string& certificate_pem, const Secret& key_pem) const;
  Status forget_pending(const std::string& device) const;

  /// The files that a phone has been given, and goes by until it takes the next ones.
  enum class Given : std::uint8_t { kCtl, kItl, kConfiguration };
  /// Absent: it has none. Errors: INVALID_CONFIGURATION, SECRET_EXPOSED.
  Result<std::optional<Secret>> given(const std::string& device, Given which) const;
  Status keep(const std::string& device, Given which, BytesView octets) const;

  /// The LSC, its key and any pending request.
  Status remove(const std::string& device) const;

  /// The path for messages to people; empty for none().
  std::string certificate_path(const std::string& device) const;

 private:
  Folder() = default;
  std::filesystem::path path_of(const std::string& device, const char* ending) const;
  Status write(const std::filesystem::path& path, BytesView data) const;
  Status unlink(const std::filesystem::path& path) const;

  std::filesystem::path path_;
  bool kept_ = false;
  bool durable_ = true;
};

}  // namespace capf::phone
