#pragma once

#include <algorithm>

#include <catch2/catch.hpp>

#include "capf/domain/certificate_store.h"
#include "capf/domain/database.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/rounds.h"
#include "tests/support/database.h"

// Good records, of which a test changes one part.

namespace capf::test {

/// The value of a Result that a test relies on.
template <class T>
T good(Result<T> result) {
  if (!result) FAIL(to_string(result.error().reason) << ": " << result.error().message << ": " << result.error().cause);
  return *std::move(result);
}
inline void good(const Status& status) {
  if (!status) FAIL(to_string(status.error().reason) << ": " << status.error().message << ": " << status.error().cause);
}

/// Runs the body of a test in one transaction.
template <class Body>
void in(Database& database, Body body) {
  good(database.write([&](Transaction& tx) -> Status {
    body(tx);
    return {};
  }));
}

inline DeviceName device(const std::string& name = "SEP001122334455") { return good(DeviceName::parse(name)); }
inline Sha256 digest(std::string_view of) { return sha256(as_bytes(of)); }

/// Adds a phone and returns it.
inline Phone added_phone(Transaction& tx, const DeviceName& name = device()) {
  const std::vector<DeviceName> names{name};
  REQUIRE(good(tx.phones().add(names, "CP-8861")).empty());
  return *good(tx.phones().find(name));
}

inline Operation sample_operation(Transaction& tx, const Phone& phone) {
  Operation operation{.device = phone.device};
  operation.id = good(tx.operations().next_ids(1)).front();
  operation.phone_id = phone.id;
  operation.created_by = "alice";
  operation.completes_by = tx.now() + std::chrono::hours(24);
  operation.string_mac = Bytes(32, 0x5a);
  operation.string_digits = 8;
  return operation;
}

/// Makes writes of a phone.
inline Written written(Transaction& tx, std::int64_t phone_id, const std::vector<Write>& writes) {
  return good(tx.write(phone_id, writes));
}

/// Adds an operation as it is. @return that operation, from the record
inline Operation added_operation(Transaction& tx, const Operation& operation, int strings_limit = 100) {
  written(tx, operation.phone_id, {AddOperation{operation, strings_limit}});
  return *good(tx.operations().find(operation.id));
}
inline Operation added_operation(Transaction& tx, const Phone& phone, int strings_limit = 100) {
  return added_operation(tx, sample_operation(tx, phone), strings_limit);
}

inline IssuerRecord sample_issuer(const std::string& name = "CN=CAPF") {
  IssuerRecord issuer;
  issuer.subject = name;
  issuer.der = Bytes(name.begin(), name.end());
  issuer.sha256 = sha256(issuer.der);
  issuer.not_before = TimePoint(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1));
  issuer.not_after = TimePoint(std::chrono::sys_days(std::chrono::year(2046) / 1 / 1));
  issuer.active = true;
  issuer.shards = 4;
  return issuer;
}

inline Certificate sample_lsc(Transaction& tx, const Operation& operation, std::int64_t issuer_id,
                              const std::string& key = "a key") {
  Certificate certificate;
  certificate.der = Bytes{0x30, 0x00};
  certificate.der.insert(certificate.der.end(), key.begin(), key.end());
  certificate.sha256 = sha256(certificate.der);
  certificate.serial = Bytes(certificate.sha256.begin(), certificate.sha256.begin() + 16);
  certificate.serial.front() = 0x5f;
  certificate.issuer_id = issuer_id;
  certificate.issuer = "CN=CAPF";
  certificate.phone_id = operation.phone_id;
  certificate.device = operation.device.text();
  certificate.operation_id = operation.id;
  certificate.key_sha256 = digest(key);
  certificate.not_before = tx.now() - std::chrono::minutes(5);
  certificate.not_after = tx.now() + std::chrono::hours(24 * 1825);
  certificate.possession = Possession::kPkcs10;
  certificate.shard = 3;
  return certificate;
}

/// Adds a certificate as it is. @return its id
inline std::int64_t added_certificate(Transaction& tx, const Certificate& certificate) {
  written(tx, certificate.phone_id, {AddCertificate{certificate}});
  const auto all = good(tx.certificates().of_phone(certificate.phone_id, 100));
  const auto found = std::ranges::find_if(
      all, [&](const Certificate& each) { return each.kind == certificate.kind && each.sha256 == certificate.sha256; });
  REQUIRE(found != all.end());
  return found->id;
}

/// A refusal of somebody in this device's name.
inline RefusalRecord sample_refusal(const std::string& address, Reason reason, const std::string& device = "") {
  return {address, device, {}, {{}, address, "grpc", OperationKind::kInstall, reason, "no"}, {}, 1};
}
/// Records a refusal that came `count` times.
inline void refuse(Database& database, RefusalRecord refusal, int count = 1) {
  refusal.count = count;
  good(database.rounds().record({&refusal, 1}));
}

}  // namespace capf::test
