#include <string>

#include <botan/mem_ops.h>

#include "capf/rpc/convert.h"
#include "capf/rpc/convert_field.h"

namespace capf::rpc {

std::vector<service::DigestPassword> take_digest_users(const v1::AddDigestUsersRequest& request) {
  std::vector<service::DigestPassword> users;
  for (const v1::DigestPassword& user : request.users()) users.push_back({user.name(), take_secret(user.password())});
  return users;
}

service::DigestPassword take_digest_password(const v1::SetDigestPasswordRequest& request) {
  return {request.name(), take_secret(request.password())};
}

void to_proto(const DigestUser& user, v1::DigestUser& out) {
  out.set_name(user.name);
  out.set_hash_only(user.hash_only());
  out.set_realm(user.realm);
  to_proto(user.created_at, *out.mutable_created_at());
  to_proto(user.password_set_at, *out.mutable_password_set_at());
}

void to_proto(const PhoneDigest& digest, v1::GetPhoneResponse& out) {
  out.set_digest_user(digest.user);
  out.set_logged_in_user(digest.login);
  if (digest.login_at) to_proto(*digest.login_at, *out.mutable_logged_in_at());
}

void to_proto(const service::DigestPassword& user, v1::DigestPassword& out) {
  out.set_name(user.name);
  out.set_password(std::string(user.password.text()));
}

void to_proto(const service::DigestUserView& view, v1::GetDigestUserResponse& out) {
  to_proto(view.user, *out.mutable_user());
  out.set_phones(view.phones);
  for (const std::string& device : view.devices) out.add_devices(device);
}

void to_proto(const service::DigestExportRow& row, v1::DigestExportRow& out) {
  out.set_user(row.user);
  out.set_realm(row.realm);
  out.set_ha1_md5(std::string(row.ha1.md5.text()));
  out.set_ha1_sha256(std::string(row.ha1.sha256.text()));
  out.set_ha1_sha512_256(std::string(row.ha1.sha512_256.text()));
  out.set_device(row.device);
  out.set_mode(std::string(to_string(row.mode)));
  if (row.lsc) out.set_lsc_sha256(to_hex(*row.lsc));
}

void wipe(v1::DigestExportRow& row) {
  for (std::string* ha1 : {row.mutable_ha1_md5(), row.mutable_ha1_sha256(), row.mutable_ha1_sha512_256()}) {
    Botan::secure_scrub_memory(ha1->data(), ha1->size());
  }
}

void to_proto(const service::DigestProblem& problem, v1::DigestUserProblem& out) {
  out.set_name(problem.name);
  out.set_reason(std::string(to_string(problem.reason)));
  out.set_message(problem.message);
}

}  // namespace capf::rpc
