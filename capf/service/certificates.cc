#include "capf/service/certificates.h"

#include <algorithm>
#include <iterator>

#include "capf/ca/certificate.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/bulk.h"
#include "capf/service/steps.h"
#include "capf/service/trusted_certificates.h"

namespace capf::service {
namespace {

constexpr int kAttempts = 5;

/// Hexadecimal, also with an odd number of digits. Errors: INVALID_SERIAL.
Result<Bytes> parse_serial(std::string text) {
  if (text.size() % 2 != 0) text.insert(text.begin(), '0');
  const auto serial = parse_hex(text);
  if (!serial || serial->empty() || serial->size() > 20) return fail(Reason::kInvalidSerial);
  return *serial;
}

tl::unexpected<Error> unknown(Transaction& tx, const std::string& name) {
  std::string words = "there is no device and no certificate " + name;
  if (const auto device = DeviceName::parse(name)) {
    auto other = name_in_other_case(tx, *device);
    if (!other) return fail(std::move(other.error()));
    words += *other;
  }
  return fail(Reason::kUnknownCertificate, words);
}

Result<std::optional<Phone>> find_phone(Transaction& tx, const std::string& name, bool locked) {
  const auto device = DeviceName::parse(name);
  if (!device) return std::optional<Phone>{};
  return locked ? tx.phones().lock(*device) : tx.phones().find(*device);
}

/// The LSC with that serial number; there is one, since serial numbers are 16 random octets.
Result<Certificate> find_serial(Transaction& tx, const std::string& name) {
  const auto serial = parse_serial(name);
  if (!serial) return unknown(tx, name);
  CAPF_LET(const auto found, tx.certificates().find_serial(*serial));
  if (found.empty()) return unknown(tx, name);
  const auto lsc =
      std::find_if(found.begin(), found.end(), [](const Certificate& c) { return c.kind == CertificateKind::kLsc; });
  return lsc == found.end() ? found.front() : *lsc;
}

/// The issuer's certificate and what stands above it, DER; nothing for a certificate that is not ours, whose id is 0.
Result<std::vector<Bytes>> issuer_chain(Transaction& tx, std::int64_t issuer_id) {
  std::vector<Bytes> chain;
  CAPF_LET(const auto issuer, tx.issuers().find(issuer_id));
  if (!issuer) return chain;
  chain.push_back(issuer->der);
  if (issuer->chain_der.empty()) return chain;
  CAPF_LET(const auto above, ca::split_certificates(issuer->chain_der));
  chain.insert(chain.end(), above.begin(), above.end());
  return chain;
}

/// One LSC with its phone, which is locked and absent where its name is another phone's now.
struct Located {
  Certificate certificate;
  std::optional<Phone> phone;
};

/// As it is under the lock. Errors: UNKNOWN_CERTIFICATE, also for one that another issuer has issued.
Result<Located> locate(Transaction& tx, const std::string& name) {
  CAPF_LET(const Certificate found, find_serial(tx, name));
  if (found.kind != CertificateKind::kLsc) {
    return fail(Reason::kUnknownCertificate,
                "this certificate was handed over by a phone: 'capfctl certificate block' refuses another issuer's");
  }
  CAPF_LET(std::optional<Phone> phone, find_phone(tx, found.device, true));
  if (phone && phone->id != found.phone_id) phone.reset();
  CAPF_LET(const auto now, tx.certificates().find_lsc(found.sha256));
  if (!now) return unknown(tx, name);  // it is in the archive meanwhile
  return Located{*now, std::move(phone)};
}

Result<Certificate> reread(Transaction& tx, const Certificate& certificate) {
  CAPF_LET(const auto now, tx.certificates().find_lsc(certificate.sha256));
  if (!now) return fail(Reason::kChangedMeanwhile);  // it is in the archive meanwhile
  return *now;
}

bool may_revoke(const Certificate& certificate, RevocationReason reason) {
  if (certificate.on_hold()) return reason != RevocationReason::kCertificateHold;
  return !certificate.revoked_at;
}

/// A key may turn out to be compromised after its certificate was revoked for another reason.
Status check_revocable(Transaction& tx, const Certificate& certificate, RevocationReason reason) {
  if (tx.now() > certificate.not_after) return fail(Reason::kAlreadyExpired);
  if (may_revoke(certificate, reason)) return {};
  if (certificate.on_hold()) return fail(Reason::kAlreadyRevoked, "the certificate is on hold already");
  if (reason != RevocationReason::kKeyCompromise) return fail(Reason::kAlreadyRevoked);
  CAPF_LET(const auto key, tx.keys().find(certificate.key_sha256));
  if (key && key->compromised) return fail(Reason::kAlreadyRevoked);
  return {};
}

/// For keyCompromise: the certificates that can be revoked, the keys of all of them, and their phones.
Result<int> revoke_compromised(Transaction& tx, const Actor& actor, std::span<const RevocableLsc> lscs,
                               std::vector<Sha256> keys, std::span<const std::int64_t> phone_ids) {
  for (const RevocableLsc& lsc : lscs) keys.push_back(lsc.key_sha256);
  CAPF_TRY(revoke(tx, actor, lscs, RevocationReason::kKeyCompromise));
  return block_compromised(tx, actor, keys, phone_ids);
}

Status check_selection(Transaction& tx, const CertificateSelection& selection) {
  if (!selection.names_any()) return fail(Reason::kInvalidSelection);
  if (selection.issuer_id) {
    CAPF_LET(const auto issuer, tx.issuers().find(*selection.issuer_id));
    if (!issuer) return fail(Reason::kUnknownIssuer);
  }
  if (selection.phones) CAPF_TRY(check_known(tx, *selection.phones));
  CAPF_LET(const auto missing, tx.certificates().find_missing(selection.serials));
  if (missing) {
    return fail(Reason::kUnknownCertificate, "no LSC has the serial number " + serial_text(missing->view()));
  }
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
  return in_write(database_, actor, [&](Transaction& tx) -> Result<RevokeAnswer> {
    std::vector<Certificate> chosen;
    CAPF_LET(std::optional<Phone> phone, find_phone(tx, serial_or_device, true));
    if (phone) {
      CAPF_LET(const auto live, tx.certificates().live(phone->id));
      if (live.empty()) {
        return fail(Reason::kUnknownCertificate, phone->device.text() + " has no certificate that could be revoked");
      }
      std::copy_if(live.begin(), live.end(), std::back_inserter(chosen),
                   [&](const Certificate& certificate) { return may_revoke(certificate, reason); });
      if (chosen.empty()) CAPF_TRY(check_revocable(tx, live.front(), reason));
    } else {
      CAPF_LET(Located located, locate(tx, serial_or_device));
      phone = std::move(located.phone);
      CAPF_TRY(check_revocable(tx, located.certificate, reason));
      chosen.push_back(std::move(located.certificate));
      // The phone may be stolen: revoke its other LSCs too.
      if (reason == RevocationReason::kKeyCompromise && phone) {
        CAPF_LET(const auto live, tx.certificates().live(phone->id));
        for (const Certificate& other : live) {
          if (other.id != chosen.front().id) chosen.push_back(other);
        }
      }
    }
    std::vector<RevocableLsc> lscs;
    for (const Certificate& certificate : chosen) {
      if (may_revoke(certificate, reason)) lscs.push_back(revocable(certificate));
    }
    RevokeAnswer answer;
    if (reason == RevocationReason::kKeyCompromise) {
      std::vector<std::int64_t> phones;
      if (phone) phones.push_back(phone->id);
      CAPF_TRY(revoke_compromised(tx, actor, lscs, {chosen.front().key_sha256}, phones));
      answer.device_blocked = phone.has_value();
    } else {
      CAPF_TRY(service::revoke(tx, actor, lscs, reason));
    }
    for (const Certificate& certificate : chosen) {
      CAPF_LET(Certificate now, reread(tx, certificate));
      answer.certificates.push_back(std::move(now));
    }
    return answer;
  });
}

Result<RevokeAnswer> Certificates::release(const Actor& actor, const std::string& serial_or_device) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<RevokeAnswer> {
    std::vector<Certificate> held;
    CAPF_LET(const std::optional<Phone> phone, find_phone(tx, serial_or_device, true));
    if (phone) {
      CAPF_LET(const auto live, tx.certificates().live(phone->id));
      std::copy_if(live.begin(), live.end(), std::back_inserter(held),
                   [](const Certificate& certificate) { return certificate.on_hold(); });
      if (held.empty()) return fail(Reason::kNotOnHold, phone->device.text() + " has no certificate on hold");
    } else {
      CAPF_LET(Located located, locate(tx, serial_or_device));
      if (!located.certificate.on_hold()) return fail(Reason::kNotOnHold);
      if (tx.now() > located.certificate.not_after) return fail(Reason::kAlreadyExpired);
      held.push_back(std::move(located.certificate));
    }
    RevokeAnswer answer;
    for (const Certificate& certificate : held) {
      CAPF_LET(const bool released, tx.certificates().release(certificate.id));
      if (!released) return fail(Reason::kChangedMeanwhile);
      AuditEvent event =
          done(actor, "certificate.release", certificate.device, "serial " + serial_text(certificate.serial));
      event.operation_id = certificate.operation_id;
      CAPF_TRY(tx.audit().add(event));
      CAPF_LET(Certificate now, reread(tx, certificate));
      answer.certificates.push_back(std::move(now));
    }
    return answer;
  });
}

Result<RevokeKeyAnswer> Certificates::revoke_key(const Actor& actor, const KeyDigests& key, const std::string& why) {
  for (int attempt = 1;; ++attempt) {
    bool meanwhile = false;
    Result<RevokeKeyAnswer> answer = in_write(database_, actor, [&](Transaction& tx) -> Result<RevokeKeyAnswer> {
      meanwhile = false;
      CAPF_LET(const auto before, tx.keys().find(key));
      const std::int64_t owner = before ? before->phone_id : 0;
      // Lock order as in issuing: the phone, then the blocked certificates.
      if (owner != 0) CAPF_TRY(tx.phones().lock_all({&owner, 1}));
      CAPF_TRY(tx.blocks().lock());
      CAPF_LET(const KeyRecord record, tx.keys().claim(key, KeyOwner::kBlocked, 0));
      if (record.phone_id != owner) {
        meanwhile = true;  // a phone has shown it
        return fail(Reason::kChangedMeanwhile);
      }
      CAPF_TRY(check_takes_back(record.owner));
      std::vector<Certificate> live;
      std::vector<std::int64_t> phones;
      if (owner != 0) {  // its LSC's key or its MIC's
        phones.push_back(owner);
        CAPF_LET(live, tx.certificates().live(owner));
      }
      std::vector<RevocableLsc> lscs;
      for (const Certificate& certificate : live) lscs.push_back(revocable(certificate));
      CAPF_TRY(revoke_compromised(tx, actor, lscs, key.all(), phones));
      CAPF_TRY(drop_with_keys(tx, actor, {&key, 1}));
      if (!record.compromised) CAPF_TRY(tx.audit().add(done(actor, "key.block", to_hex(key.sha256), why)));
      RevokeKeyAnswer revoked;
      for (const Certificate& certificate : live) {
        CAPF_LET(Certificate now, reread(tx, certificate));
        revoked.certificates.push_back(std::move(now));
      }
      if (!phones.empty()) {
        CAPF_LET(const auto phone, tx.phones().find(owner));
        if (phone && phone->blocked_at) revoked.blocked_device = phone->device.text();
      }
      return revoked;
    });
    if (answer || !meanwhile || attempt == kAttempts) return answer;
  }
}

Result<SelectionView> Certificates::select(const CertificateSelection& selection, const Page& page) {
  return in_read(database_, [&](Transaction& tx) -> Result<SelectionView> {
    CAPF_TRY(check_selection(tx, selection));
    SelectionView view;
    if (page.after == 0) {
      CAPF_LET(view.count, tx.certificates().count(selection));
    }
    CAPF_LET(view.page, tx.certificates().list_selected(selection, page));
    return view;
  });
}

Result<SelectionAnswer> Certificates::revoke_selection(const Actor& actor, const SelectionRequest& request) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<SelectionAnswer> {
    CertificateSelection selection = request.selection;
    selection.held = request.reason != RevocationReason::kCertificateHold;
    SelectionCursor place;
    if (request.cursor) {
      if (!selection.names_any()) return fail(Reason::kInvalidSelection);
      place = *request.cursor;
    } else {
      CAPF_TRY(check_selection(tx, selection));
      CAPF_LET(const SelectionCount now, tx.certificates().count(selection));
      if (now.certificates > request.count) {
        return fail(Reason::kSelectionChanged, "there are " + std::to_string(now.certificates) +
                                                   " certificates in it now, not " + std::to_string(request.count) +
                                                   ": nothing was revoked");
      }
      place.through = now.last_id;
    }
    selection.through = place.through;
    SelectionAnswer answer;
    CAPF_LET(const auto page, tx.certificates().selected_phones(selection, {place.phone_id, kPhonesInBatch}));
    if (page.next) answer.next = SelectionCursor{place.through, *page.next};
    const std::vector<std::int64_t>& phones = page.rows;
    if (phones.empty()) return answer;
    // Now the LSCs that were issued while this waited for the locks are visible too.
    CAPF_TRY(tx.phones().lock_all(phones));
    CAPF_LET(const auto chosen, tx.certificates().selected(selection, phones));
    if (static_cast<std::int64_t>(chosen.size()) > request.count) {
      return fail(Reason::kSelectionChanged, "more certificates are in it now than were counted: count again");
    }
    answer.revoked = static_cast<int>(chosen.size());
    if (request.reason == RevocationReason::kKeyCompromise) {
      std::vector<std::int64_t> compromised;
      for (const RevocableLsc& lsc : chosen) {
        if (compromised.empty() || compromised.back() != lsc.phone_id) compromised.push_back(lsc.phone_id);
      }
      CAPF_LET(const auto all, tx.certificates().selected({}, compromised));
      answer.others = static_cast<int>(all.size() - chosen.size());
      CAPF_LET(answer.devices_blocked, revoke_compromised(tx, actor, all, {}, compromised));
    } else {
      CAPF_TRY(service::revoke(tx, actor, chosen, request.reason));
    }
    return answer;
  });
}

}  // namespace capf::service
