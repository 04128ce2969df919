#include <string>

#include "capf/rpc/convert.h"

namespace capf::rpc {

void to_proto(const service::DigestProblem& problem, v1::DigestUserProblem& out) {
  out.set_name(problem.name);
  out.set_reason(std::string(to_string(problem.reason)));
  out.set_message(problem.message);
}

}  // namespace capf::rpc
