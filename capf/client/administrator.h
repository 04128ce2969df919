#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf::client {

struct AdministratorFiles {
  std::filesystem::path certificate;  ///< PEM, with its chain
  std::filesystem::path key;          ///< PKCS #8, PEM, 0600
};

/// Has a PKCS #10 request (DER) certified and recorded. @return DER: the certificate, then the CAs above it.
using Certify = std::function<Result<std::vector<Bytes>>(BytesView request)>;

/// Makes an administrator's key, has it certified, and writes NAME.key and NAME.pem into a folder, which is made (0700)
/// where there is none. Overwrites no file, and leaves no key behind that was not certified.
/// Errors: INVALID_NAME where the name cannot be a file's, ADMINISTRATOR_EXISTS where there is such a file,
/// INVALID_REQUEST, and those of `certify`.
Result<AdministratorFiles> make_administrator(const std::filesystem::path& folder, const std::string& name,
                                              const Certify& certify);

/// Makes a key where its owner is, and its PKCS #10 request, for an admin to have certified: NAME.key and NAME.csr.
/// @return the paths of the request and the key. Errors: those of make_administrator().
Result<AdministratorFiles> request_administrator(const std::filesystem::path& folder, const std::string& name);

/// Makes a new key and puts it, once it is certified, in place of `files`; the former ones stay beside them, as
/// "….old". Whenever it is cut off, one pair is there whole. Errors: INVALID_REQUEST, and those of `certify`.
Status renew_administrator(const AdministratorFiles& files, const std::string& name, const Certify& certify);

/// The same for a key that is elsewhere: writes NAME.pem alone. @param certify as Certify, for a request of its own.
Result<std::filesystem::path> write_administrator(const std::filesystem::path& folder, const std::string& name,
                                                  const std::function<Result<std::vector<Bytes>>()>& certify);

}  // namespace capf::client
