#pragma once

#include <string>
#include <vector>

#include "capf/daemon/configuration.h"
#include "capf/service/configuration_plan.h"

// The names by which a site is reached: they become part of certificates and of the addresses in LSCs.

namespace capf::daemon {

/// The name or address that the site has for others: the configured one, or this machine's.
std::string public_host(const Configuration& configuration);
/// The address of the status service in LSCs: "http://capf.example.com:3807".
std::string status_url(const Configuration& configuration);
/// This site as phones' configuration files name it: a free port is written as its usual number.
service::PhoneServers phone_servers(const Configuration& configuration);
/// Warnings of settings that are allowed but hardly meant, in words: LSCs that name a host which other machines cannot
/// reach.
std::vector<std::string> doubts_of(const Configuration& configuration);

/// The machine's full name, or its short one where it has no full one.
std::string full_host_name();

}  // namespace capf::daemon
