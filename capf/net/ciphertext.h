#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <openssl/bio.h>

#include "capf/base/bytes.h"

namespace capf::net {

/// The layer between OpenSSL and a non-blocking socket.
///
/// It gives out the octets that arrive in portions: when one is used up it answers "later", like an empty socket, so
/// that the thread can serve others first. It keeps octets that the socket does not take yet, because OpenSSL 3.0 can
/// neither read nor answer a key update while a record of its own is half written. Threads: one.
class Ciphertext {
 public:
  static constexpr std::size_t kPortion = std::size_t{16} * 1024;
  enum class Sent : std::uint8_t { kAll, kLater, kBroken };

  explicit Ciphertext(int socket) : socket_(socket) {}
  Ciphertext(const Ciphertext&) = delete;
  Ciphertext& operator=(const Ciphertext&) = delete;

  /// For SSL_set_bio(). It must not outlive this.
  BIO* make_bio();

  bool used_up() const { return left_ == 0; }
  void renew() { left_ = kPortion; }
  /// Ends all reading.
  void stop() { stopped_ = true; }

  bool has_unsent() const { return !unsent_.empty(); }
  Sent send_unsent();

 private:
  static int read(BIO* bio, char* into, int size);
  static int write(BIO* bio, const char* data, int size);
  static long control(BIO* bio, int command, long number, void* data);
  static const BIO_METHOD* method();
  /// @return how many octets it took; nothing where the connection is broken.
  std::optional<std::size_t> send(BytesView data) const;

  const int socket_;
  std::size_t left_ = kPortion;
  bool stopped_ = false;
  Bytes unsent_;
};

}  // namespace capf::net
