#include "capf/net/ciphertext.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include <sys/socket.h>

#include "capf/base/error.h"

namespace capf::net {
namespace {

bool is_later() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

const BIO_METHOD* Ciphertext::method() {
  struct Free {
    void operator()(BIO_METHOD* made) const { BIO_meth_free(made); }
  };
  static const auto made = [] {
    std::unique_ptr<BIO_METHOD, Free> fresh(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ciphertext"));
    CAPF_INVARIANT(fresh);
    BIO_meth_set_read(fresh.get(), read);
    BIO_meth_set_write(fresh.get(), write);
    BIO_meth_set_ctrl(fresh.get(), control);
    return fresh;
  }();
  return made.get();
}

BIO* Ciphertext::make_bio() {
  BIO* const bio = BIO_new(method());
  CAPF_INVARIANT(bio);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

int Ciphertext::read(BIO* bio, char* into, int size) {
  Ciphertext& self = *static_cast<Ciphertext*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.stopped_ || size <= 0) return -1;
  if (self.left_ == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const auto got = ::recv(self.socket_, into, std::min(static_cast<std::size_t>(size), self.left_), MSG_DONTWAIT);
  if (got > 0) self.left_ -= static_cast<std::size_t>(got);
  if (got < 0 && is_later()) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

int Ciphertext::write(BIO* bio, const char* data, int size) {
  Ciphertext& self = *static_cast<Ciphertext*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (size <= 0) return -1;
  const BytesView all(reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size));
  const auto sent = self.has_unsent() ? std::optional<std::size_t>(0) : self.send(all);
  if (!sent) return -1;
  try {
    self.unsent_.insert(self.unsent_.end(), all.begin() + static_cast<std::ptrdiff_t>(*sent), all.end());
  } catch (const std::bad_alloc&) {
    return -1;
  }
  return size;
}

long Ciphertext::control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

std::optional<std::size_t> Ciphertext::send(BytesView data) const {
  const auto sent = ::send(socket_, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  return is_later() ? std::optional<std::size_t>(0) : std::nullopt;
}

Ciphertext::Sent Ciphertext::send_unsent() {
  if (unsent_.empty()) return Sent::kAll;
  const auto sent = send(unsent_);
  if (!sent) return Sent::kBroken;
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(*sent));
  if (!unsent_.empty()) return Sent::kLater;
  unsent_.shrink_to_fit();
  return Sent::kAll;
}

}  // namespace capf::net
