#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "capf/domain/audit.h"
#include "capf/domain/database.h"
#include "capf/domain/device.h"
#include "capf/service/phone_file.h"
#include "capf/service/static_files.h"

namespace capf::service {

/// A file that an administrator sends has at most so many octets.
inline constexpr std::size_t kLargestFileToSign = std::size_t{8} * 1024 * 1024;

/// The phones' files for other servers that give them out, and what an administrator wants signed. Threads: any.
class FileExports {
 public:
  FileExports(Database& database, PhoneFileSource& files, StaticFiles& statics)
      : database_(database), files_(files), statics_(statics) {}

  /// Records that the files are exported. To be called before the first one. @param devices absent: all files
  Status begin(const Actor& actor, const std::optional<Pattern>& devices);

  /// Calls `each` for every name that a phone may ask for, until it fails: of all phones or of those that the pattern
  /// names; without a pattern also those that belong to no device. There need not be a file of the name: see open().
  using Each = std::function<Status(const std::string& name, const files::FileRequest& request)>;
  Status walk(const std::optional<Pattern>& devices, const Each& each);
  /// The file to be exported; nothing where there is none, and where a phone's own list is the same as everybody's,
  /// because a hundred thousand copies of one list would fill a disk.
  Result<std::optional<PhoneFile>> open(const files::FileRequest& request);
  /// The same for all names of walk(), many at a time and in no order; names of which there is no file are left out.
  using EachFile = std::function<Status(const std::string& name, const Result<PhoneFile>& file)>;
  Status open_all(const std::optional<Pattern>& devices, const EachFile& each);
  Result<std::optional<std::string>> generation(const files::FileRequest& request) {
    return files_.generation(request);
  }

  /// The file signed under its name with ".sgn", which is recorded. Errors: INVALID_REQUEST for a name that no static
  /// file can have, REQUEST_TOO_LARGE, NO_FILE_SIGNER.
  Result<Bytes> sign(const Actor& actor, const std::string& name, BytesView content);

 private:
  /// The lists that belong to no device, by kind, as they were when one was first asked for.
  using Common = std::map<files::ListKind, std::optional<PhoneFile>>;
  /// @return nothing in place of a phone's own list that is the same as everybody's
  Result<std::optional<PhoneFile>> unless_common(const files::FileRequest& request,
                                                 Result<std::optional<PhoneFile>> file, Common& common);

  Database& database_;
  PhoneFileSource& files_;
  StaticFiles& statics_;
};

}  // namespace capf::service
