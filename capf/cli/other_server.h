#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "capf/base/error.h"
#include "capf/v1/moving.pb.h"

struct sqlite3;

namespace capf::cli {

inline constexpr std::uintmax_t kLargestOtherDatabase = std::uintmax_t{1} << 30U;
inline constexpr std::size_t kMostOtherPhones = 1'000'000;

/// A row of the table `devices` of the other server, as it is there.
struct OtherPhone {
  std::size_t row = 0;  ///< from 1
  std::string device{};
  std::string operation{};
  std::string authentication{};
  std::int64_t key_size = 0;
  std::string curve{};
  std::string certificate{};  ///< PEM or DER; empty: none
};

/// The SQLite database of the open CAPF server, read and never written: its file is somebody else's, so its size, its
/// rows, its values and the time that it takes are bounded, and no view, trigger or function of its own runs. The
/// column `password` is not read. Threads: one.
class OtherServer {
 public:
  /// Errors: INVALID_REQUEST, with what is wrong and what to do.
  static Result<OtherServer> open(const std::string& path);

  /// Hands on every row. All calls see the same rows, also while that server writes. Errors: INVALID_REQUEST, the first
  /// one of `each`.
  Status read(const std::function<Status(OtherPhone)>& each);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  OtherServer(std::string path, sqlite3* database) : path_(std::move(path)), database_(database) {}
  Status prepare();
  Status check_table();
  Status execute(const char* sql);
  tl::unexpected<Error> refuse() const;

  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
  std::unique_ptr<int> steps_ = std::make_unique<int>(0);  ///< of the progress handler
};

/// The row as the server takes it, with its certificate in DER and without a string. Errors: INVALID_REQUEST for words
/// that nobody knows, INVALID_DEVICE_NAME, INVALID_CERTIFICATE.
Result<v1::MovedPhone> moved_phone(const OtherPhone& phone);

}  // namespace capf::cli
