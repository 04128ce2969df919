#include "capf/service/certificates.h"

#include <algorithm>

#include "capf/ca/certificate.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

/// Hexadecimal, also with an odd number of digits. Errors: INVALID_SERIAL.
Result<Bytes> parse_serial(std::string text) {
  if (text.size() % 2 != 0) text.insert(text.begin(), '0');
  const auto serial = parse_hex(text);
  if (!serial || serial->empty() || serial->size() > 20) return fail(Reason::kInvalidSerial);
  return *serial;
}

tl::unexpected<Error> unknown(const std::string& name) {
  return fail(Reason::kUnknownCertificate, "there is no device and no certificate " + name);
}

Result<std::optional<Phone>> find_phone(Transaction& tx, const std::string& name, bool locked) {
  const auto device = DeviceName::parse(name);
  if (!device) return std::optional<Phone>{};
  return locked ? tx.phones().lock(*device) : tx.phones().find(*device);
}

/// The LSC with that serial number; there is one, since serial numbers are 16 random octets.
Result<Certificate> find_serial(Transaction& tx, const std::string& name) {
  const auto serial = parse_serial(name);
  if (!serial) return unknown(name);
  CAPF_LET(const auto found, tx.certificates().find_serial(*serial));
  if (found.empty()) return unknown(name);
  const auto lsc =
      std::find_if(found.begin(), found.end(), [](const Certificate& c) { return c.kind == CertificateKind::kLsc; });
  return lsc == found.end() ? found.front() : *lsc;
}

/// A key may turn out to be compromised after its certificate was revoked for another reason.
Status check_revocable(Transaction& tx, const Certificate& certificate, RevocationReason reason) {
  if (tx.now() > certificate.not_after) return fail(Reason::kAlreadyExpired);
  if (!certificate.revoked_at) return {};
  if (reason != RevocationReason::kKeyCompromise) return fail(Reason::kAlreadyRevoked);
  CAPF_LET(const auto key, tx.keys().find(certificate.key_sha256));
  if (key && key->compromised) return fail(Reason::kAlreadyRevoked);
  return {};
}

}  // namespace

Result<std::vector<Certificate>> Certificates::list(const CertificateFilter& filter, const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.certificates().list(filter, page); });
}

Result<CertificateView> Certificates::show(const std::string& serial_or_device) {
  return in_read(database_, [&](Transaction& tx) -> Result<CertificateView> {
    CertificateView view;
    CAPF_LET(const auto phone, find_phone(tx, serial_or_device, false));
    if (phone) {
      CAPF_LET(const auto certificates, tx.certificates().of_phone(phone->id, 100));
      if (certificates.empty()) return fail(Reason::kUnknownCertificate, phone->device.text() + " has no certificate");
      const auto valid = std::find_if(certificates.begin(), certificates.end(),
                                      [&](const Certificate& certificate) { return certificate.valid(tx.now()); });
      view.certificate = valid == certificates.end() ? certificates.front() : *valid;
    } else {
      CAPF_LET(view.certificate, find_serial(tx, serial_or_device));
    }
    CAPF_LET(view.chain, issuer_chain(tx, view.certificate.issuer_id));
    return view;
  });
}

Result<RevokeAnswer> Certificates::revoke(const Actor& actor, const std::string& serial_or_device,
                                          RevocationReason reason) {
  return in_write(database_, [&](Transaction& tx) -> Result<RevokeAnswer> {
    std::vector<Certificate> chosen;
    CAPF_LET(std::optional<Phone> phone, find_phone(tx, serial_or_device, true));
    if (phone) {
      CAPF_LET(chosen, tx.certificates().live(phone->id));
      if (chosen.empty()) {
        return fail(Reason::kUnknownCertificate, phone->device.text() + " has no certificate that could be revoked");
      }
    } else {
      CAPF_LET(Certificate certificate, find_serial(tx, serial_or_device));
      if (certificate.kind != CertificateKind::kLsc) {
        return fail(Reason::kUnknownCertificate,
                    "this certificate was handed over by a phone: another issuer's cannot be revoked here");
      }
      CAPF_LET(phone, find_phone(tx, certificate.device, true));
      if (phone && phone->id != certificate.phone_id) phone.reset();  // the name is another phone's now
      CAPF_TRY(check_revocable(tx, certificate, reason));
      chosen.push_back(std::move(certificate));
      // A stolen phone: whatever else it holds goes too.
      if (reason == RevocationReason::kKeyCompromise && phone) {
        CAPF_LET(const auto live, tx.certificates().live(phone->id));
        for (const Certificate& other : live) {
          if (other.id != chosen.front().id) chosen.push_back(other);
        }
      }
    }
    RevokeAnswer answer;
    for (const Certificate& certificate : chosen) {
      if (!certificate.revoked_at) {
        CAPF_LET(const bool revoked, service::revoke(tx, actor, certificate, reason));
        if (!revoked) return fail(Reason::kChangedMeanwhile);
      }
      if (reason == RevocationReason::kKeyCompromise) CAPF_TRY(tx.keys().mark_compromised(certificate.key_sha256));
      CAPF_LET(const auto now, tx.certificates().find_lsc(certificate.sha256));
      CAPF_INVARIANT(now.has_value());
      answer.certificates.push_back(*now);
    }
    // Its MIC would bring a stolen phone back.
    if (reason == RevocationReason::kKeyCompromise && phone) {
      CAPF_TRY(tx.phones().set_blocked(phone->id, true));
      CAPF_TRY(cancel_open(tx, actor, *phone, "the phone's key was revoked as compromised"));
      CAPF_TRY(tx.audit().add(done(actor, "phone.block", phone->device.text(), "its key was revoked as compromised")));
      answer.device_blocked = true;
    }
    return answer;
  });
}

}  // namespace capf::service
