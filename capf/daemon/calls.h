#pragma once

#include "capf/base/metrics.h"
#include "capf/service/administrators.h"
#include "capf/service/attempts.h"
#include "capf/service/calls.h"
#include "capf/service/records.h"
#include "capf/web/calls.h"

namespace capf::daemon {

/// The services by which the port for dial plans answers. Everything outlives the result.
struct CallServices {
  service::Calls& calls;
  service::Administrators& administrators;
  service::Records& records;
  service::Attempts& attempts;
  Metrics& metrics;
};
web::CallStatus call_status(const CallServices& services);
/// Records that a client's certificate ended the handshake. Does not wait.
void note_refused(const CallServices& services, const Address& peer, Reason reason);

}  // namespace capf::daemon
