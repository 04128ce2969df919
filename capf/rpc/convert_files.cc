#include "capf/rpc/convert.h"

namespace capf::rpc {

void to_proto(const PhoneFetch& fetch, v1::PhoneFetch& out) {
  out.set_itl_generation(fetch.itl_generation.value_or(0));
  out.set_ctl_generation(fetch.ctl_generation.value_or(0));
  out.set_configuration_generation(fetch.configuration.value_or(""));
  to_proto(fetch.fetched_at, *out.mutable_fetched_at());
  out.set_address(fetch.address.to_string());
}

}  // namespace capf::rpc
