#pragma once

#include <string_view>

namespace capf::daemon {

/// Notifies the service manager, where there is one: "READY=1", "STOPPING=1"; several on lines of their own. The
/// protocol of sd_notify(3): a datagram to the socket that NOTIFY_SOCKET names. Never fails.
void notify_service_manager(std::string_view state);

}  // namespace capf::daemon
