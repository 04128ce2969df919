#pragma once

#include "capf/daemon/site.h"
#include "capf/domain/database.h"

namespace capf::daemon {

/// Writes a new audit key, encrypted, and its public half to their places.
/// Errors: SITE_EXISTS, INVALID_CONFIGURATION.
Result<std::unique_ptr<ca::SigningKey>> make_audit_key(const SiteFiles& files, const Secret& passphrase);

/// Opens the audit key of the site, and checks it against the one on record. Makes one for a site of an earlier
/// version, which has no key, also not on record. Errors: INVALID_CONFIGURATION where the database names another one
/// (then it is to be copied from another server of the site), WRONG_PASSPHRASE, SECRET_EXPOSED.
Result<std::unique_ptr<ca::SigningKey>> open_audit_key(const SiteFiles& files, const Secret& passphrase,
                                                       Database& database);

}  // namespace capf::daemon
