#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/files/name.h"

namespace capf::service {

/// A file as a phone gets it.
struct PhoneFile {
  std::shared_ptr<const Bytes> octets;
  std::string generation;  ///< changes with the content; of letters, digits and '-'
};

/// Where files for phones come from: trust lists, configurations, static files. Threads: any.
class PhoneFileSource {
 public:
  virtual ~PhoneFileSource() = default;
  /// @return nothing where there is no such file, or the device is not known: both answer the same.
  /// Errors: those of the database and of the key that signs.
  virtual Result<std::optional<PhoneFile>> open(const files::FileRequest& request) = 0;
  using Done = std::function<void(std::size_t place, Result<std::optional<PhoneFile>> file)>;
  /// Opens many, and calls `done` for each as soon as its file is there. A source that asks the database once for all
  /// of them says so itself.
  virtual void open_each(std::span<const files::FileRequest* const> requests, const Done& done) {
    for (std::size_t place = 0; place < requests.size(); ++place) done(place, open(*requests[place]));
  }
  /// The generation that open() would answer with, for those who have that file perhaps. A source that knows it without
  /// making the file says so itself.
  virtual Result<std::optional<std::string>> generation(const files::FileRequest& request) {
    CAPF_LET(auto file, open(request));
    if (!file) return std::nullopt;
    return std::move(file->generation);
  }

 protected:
  /// open() of a source that has an open_each() of its own.
  Result<std::optional<PhoneFile>> open_one(const files::FileRequest& request) {
    Result<std::optional<PhoneFile>> opened = std::nullopt;
    const files::FileRequest* const one = &request;
    open_each({&one, 1}, [&](std::size_t, Result<std::optional<PhoneFile>> file) { opened = std::move(file); });
    return opened;
  }
};

}  // namespace capf::service
