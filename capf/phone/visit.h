#pragma once

#include <optional>
#include <string>

#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/client/site.h"
#include "capf/phone/folder.h"
#include "capf/phone/keys.h"
#include "capf/v1/phone.pb.h"

namespace capf::phone {

/// A phone that comes to the server.
struct Phone {
  std::string device;
  client::Endpoint server;  ///< its certificate and key: what to show instead of the LSC in the folder, a MIC above all
  std::optional<Secret> auth_string;
  /// On the wire: the LSC in the folder is proven where there is one, and beside it the certificate in `server` as the
  /// MIC that signs the session's id.
  bool prefer_lsc = false;
  int tries = 5;  ///< of each call
};

/// What was done, in words: "SEP001122334455 install succeeded serial=… not_after=… file=…".
struct Done {
  std::string line;
};

class Server;

/// Does what is pending for the phone, or what a cut has left half done.
/// @param kept instead of connections of the phone's own: for one that shows no certificate, and confirms by its string
/// Errors: NO_PENDING_OPERATION, CREDENTIAL_MISSING where nothing was presented that could be asked about, everything
/// that the server refuses, PHONE_REFUSED where the folder cannot be written, SERVER_NOT_REACHED.
Result<Done> visit(const Phone& phone, const Folder& folder, KeySource& keys, Server* kept = nullptr);

/// The line for an LSC that is installed now.
Done installed_words(const std::string& device, const client::CertificateFacts& facts, const Folder& folder);

/// The key that an operation asks for: EC where it is preferred.
client::KeyKind wanted_key(const v1::KeyPolicy& policy);

}  // namespace capf::phone
