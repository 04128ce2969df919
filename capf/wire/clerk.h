#pragma once

#include "capf/base/metrics.h"
#include "capf/service/attempts.h"
#include "capf/service/enrolment.h"
#include "capf/wire/desk.h"

namespace capf::wire {

/// Desks at which the use cases of phones answer. They keep what they were given references to.
/// @param metrics counts the refusals of those who have not proven who they are; may be null.
OpenDesk open_clerks(service::Enrolment& enrolment, service::Attempts& attempts, Metrics* metrics);

}  // namespace capf::wire
