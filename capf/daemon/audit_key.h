#pragma once

#include "capf/daemon/site.h"
#include "capf/domain/store.h"

namespace capf::daemon {

/// Writes a new audit key and its public half where they belong, encrypted.
/// Errors: SITE_EXISTS, INVALID_CONFIGURATION.
Result<std::unique_ptr<ca::SigningKey>> make_audit_key(const SiteFiles& files, const Secret& passphrase);

/// The audit key of the site, held against the one on record. A site of an earlier version, which has none and whose
/// database names none, gets one. Errors: INVALID_CONFIGURATION where the database names another one (then it is to be
/// copied from another server of the site), WRONG_PASSPHRASE, SECRET_EXPOSED.
Result<std::unique_ptr<ca::SigningKey>> open_audit_key(const SiteFiles& files, const Secret& passphrase,
                                                       Database& database);

}  // namespace capf::daemon
