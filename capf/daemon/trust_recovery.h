#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <botan/rng.h>

#include "capf/daemon/machine.h"
#include "capf/service/phone_keys.h"

namespace capf::daemon {

/// `capfd trust-list recover --key FILE` on the machine: publishes a list that brings back phones whose list signer is
/// lost, signed by the recovery signer.
/// @param key the recovery signer's, PEM, which is not kept. @param passphrase the source of its own, for read_secret()
/// @return words for people. Errors: those of reading a key and of service::TrustLists::recover().
Result<std::string> recover_trust_lists(const Machine& machine, const service::PhoneKeys& keys,
                                        const SitePolicy& policy, const std::filesystem::path& key,
                                        const std::string& passphrase, Botan::RandomNumberGenerator& random);

}  // namespace capf::daemon
