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
  client::Endpoint server;  ///< with the certificate and key to show instead of the folder's LSC, mostly a MIC
  std::optional<Secret> auth_string;
  /// On the wire: prove the LSC in the folder where there is one, and beside it the certificate in `server` as the MIC
  /// that signs the session's id.
  bool prefer_lsc = false;
  bool enrol = false;  ///< over gRPC: one call of Enrol for the whole dialogue
  int tries = 5;       ///< of each call
};

/// The result, in words: "SEP001122334455 install succeeded serial=… not_after=… file=…".
struct Done {
  std::string line;
};

class SiteLink;

/// Carries out the pending operation of the phone, or completes one that was cut off.
/// @param kept instead of connections of the phone's own: for one that shows no certificate, and confirms by its string
/// Errors: NO_PENDING_OPERATION, CREDENTIAL_MISSING where the phone has no credential to ask with, every refusal of the
/// server, PHONE_REFUSED where the folder cannot be written, SERVER_NOT_REACHED.
Result<Done> visit(const Phone& phone, const Folder& folder, KeySource& keys, SiteLink* kept = nullptr);

/// The line for an LSC that is installed now.
Done installed_words(const std::string& device, const client::CertificateFacts& facts, const Folder& folder);

/// The key that an operation asks for: EC where it is preferred.
client::KeyKind wanted_key(const v1::KeyPolicy& policy);

}  // namespace capf::phone
