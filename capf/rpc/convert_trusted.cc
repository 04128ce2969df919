#include "capf/rpc/convert.h"
#include "capf/rpc/status.h"

namespace capf::rpc {

Result<service::TrustedCertificateRequest> trusted_certificate_from(const v1::AddTrustedCertificateRequest& request) {
  service::TrustedCertificateRequest wanted;
  const BytesView file = as_bytes(request.certificate());
  wanted.file.assign(file.begin(), file.end());
  for (const std::string& text : request.roles()) {
    const auto role = parse_trust_role(text);
    if (!role) return fail(Reason::kInvalidRequest, "a role is sast, ccm, ccm+tftp, tftp, capf, app-server or tvs");
    wanted.roles.push_back(*role);
  }
  wanted.dns = request.dns();
  if (!request.address().empty()) {
    CAPF_LET(wanted.address, Address::parse(request.address()));
  }
  wanted.vouch_only = request.vouch_only();
  return wanted;
}

void to_proto(const TrustedCertificate& certificate, v1::TrustedCertificate& out) {
  out.set_sha256(to_hex(certificate.sha256));
  out.set_subject(to_utf8(certificate.subject));
  out.set_issuer(to_utf8(certificate.issuer));
  out.set_serial(to_hex(certificate.serial));
  to_proto(certificate.not_before, *out.mutable_not_before());
  to_proto(certificate.not_after, *out.mutable_not_after());
  for (const TrustRole role : certificate.roles) out.add_roles(std::string(to_string(role)));
  out.set_dns(certificate.dns);
  if (certificate.address) out.set_address(certificate.address->to_string());
  out.set_vouch_only(certificate.vouch_only);
  to_proto(certificate.added_at, *out.mutable_added_at());
  out.set_added_by(certificate.added_by);
  out.set_der(to_octets(certificate.der));
  out.set_blocked(certificate.blocked);
}

}  // namespace capf::rpc
