#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "capf/base/endpoint.h"
#include "capf/base/error.h"
#include "capf/rpc/admission/gate.h"
#include "capf/service/caller.h"

namespace capf::rpc {

/// The certificate of a TLS connection and its chain: TLS has proven its key, but checked no more. Nothing where the
/// client showed none. Errors: CERTIFICATE_MALFORMED for a chain of more than four.
/// @param certificates DER, the leaf first
Result<std::optional<service::PresentedCertificate>> presented_certificate(std::vector<Bytes> certificates);

/// A call of a stranger that came to nothing, in the share of the processor that their connection has.
inline constexpr std::chrono::milliseconds kForNothing{10};
/// One that was answered.
inline constexpr std::chrono::milliseconds kForAnswer{1};

/// The other end of a connection, as its calls know it. Threads: any.
class Peer {
 public:
  /// @param certificates as in presented_certificate()
  Peer(const Endpoint& endpoint, std::vector<Bytes> certificates);
  virtual ~Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const Endpoint& endpoint() const { return endpoint_; }
  const Result<std::optional<service::PresentedCertificate>>& certificate() const { return certificate_; }
  /// The SHA-256 of the leaf, where there is one that can be read.
  const std::optional<Sha256>& leaf() const { return leaf_; }

  /// The peer has authenticated: it is no longer a stranger.
  virtual void prove() = 0;
  /// Charges a stranger for useless work: its connection rests for that.
  virtual void charge(std::chrono::nanoseconds work) = 0;
  /// The peer has proven a device in a call that may last: until each such call has called release(), its connection is
  /// no stranger's, and its age does not end it. Afterwards one without a certificate that has authenticated takes no
  /// further call.
  virtual void hold() = 0;
  virtual void release() = 0;
  virtual void call_started(Gate::CallId call) = 0;
  virtual void call_ended(Gate::CallId call) = 0;

 private:
  const Endpoint endpoint_;
  const Result<std::optional<service::PresentedCertificate>> certificate_;
  std::optional<Sha256> leaf_;
};

/// The peers behind gRPC's connections: gRPC knows each by the name of a Unix socket in the abstract namespace, to
/// which the server's end of the pair is bound. Threads: any.
class Peers {
 public:
  /// A name of 128 random bits, so that it never names another connection, now or later.
  static std::string new_name();

  void enter(const std::string& name, std::shared_ptr<Peer> peer);
  void leave(const std::string& name);
  /// @param grpc_peer "unix-abstract:NAME". @return null where the connection is gone, or never was in this list.
  std::shared_ptr<Peer> find(std::string_view grpc_peer) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Peer>> peers_;
};

}  // namespace capf::rpc
