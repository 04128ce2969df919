#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/ca/vault.h"
#include "capf/domain/database.h"
#include "capf/domain/digest_store.h"
#include "capf/domain/ha1.h"
#include "capf/domain/page.h"
#include "capf/domain/policy.h"

namespace capf::service {

struct DigestPassword {
  std::string name;
  Secret password;
};

/// Something that is in the way of adding a digest user.
struct DigestProblem {
  std::string name;
  Reason reason = Reason::kInternal;
  std::string message;
};

struct DigestUserView {
  DigestUser user;
  std::int64_t phones = 0;
  std::vector<std::string> devices;  ///< the first 100 of them
};

/// A digest user with its HA1s, and one of the phones that have its credentials.
struct DigestExportRow {
  std::string user;
  std::string realm;
  Ha1 ha1;
  std::string device;  ///< empty: none
  DeviceMode mode = DeviceMode::kNonsecure;
  std::optional<Sha256> lsc;
};

struct DigestExportPage {
  std::vector<DigestExportRow> rows;
  std::optional<DigestCursor> next;  ///< absent: it is the last one
};

/// Digest users and the phones that have them. Threads: any.
class DigestUsers {
 public:
  /// @param random for any thread
  DigestUsers(Database& database, const ca::Vault& vault, const SitePolicy& policy,
              Botan::RandomNumberGenerator& random)
      : database_(database), vault_(vault), policy_(policy), random_(random) {}

  /// Takes the realm of the settings as the site's. Errors: INVALID_CONFIGURATION where another server runs with
  /// another one, or users have HA1s of another one alone.
  Status adopt_realm();

  /// Adds all of them or none. @param users 1 to 500; an empty password is generated. @param hash_only keeps HA1s alone
  /// @return the generated ones. Errors: INVALID_DIGEST_USER, INVALID_PASSWORD, DIGEST_USER_EXISTS, INVALID_REQUEST.
  Result<std::vector<DigestPassword>> add(const Actor& actor, std::vector<DigestPassword> users, bool hash_only);
  /// Tells the problems of adding users of these names, in their order: INVALID_DIGEST_USER, DIGEST_USER_EXISTS,
  /// INVALID_REQUEST for a name that is there twice. @param names 1 to 500. Errors: INVALID_REQUEST.
  Result<std::vector<DigestProblem>> check(const std::vector<std::string>& names);
  /// @param password empty: generates one. @return it where it was generated, or else an empty one.
  /// Errors: UNKNOWN_DIGEST_USER, INVALID_PASSWORD.
  Result<Secret> set_password(const Actor& actor, const DigestPassword& user, bool hash_only);
  Result<std::vector<DigestUser>> list(const Page& page);
  /// Errors: UNKNOWN_DIGEST_USER.
  Result<DigestUserView> show(const std::string& name);
  /// The password, which is recorded. Errors: UNKNOWN_DIGEST_USER, PASSWORD_NOT_KEPT, SECRET_BROKEN.
  Result<Secret> reveal(const Actor& actor, const std::string& name);
  /// Errors: UNKNOWN_DIGEST_USER, DIGEST_USER_IN_USE.
  Status remove(const Actor& actor, const std::string& name);

  /// @param user absent: none. Errors: UNKNOWN_DEVICE, UNKNOWN_DIGEST_USER.
  Status set_phone(const Actor& actor, const DeviceName& device, const std::optional<std::string>& user);
  /// @return who was logged in there before; empty: nobody. Errors: UNKNOWN_DEVICE, UNKNOWN_DIGEST_USER.
  Result<std::string> log_in(const Actor& actor, const DeviceName& device, const std::string& user);
  /// @return who was logged in; empty: nobody. Errors: UNKNOWN_DEVICE.
  Result<std::string> log_out(const Actor& actor, const DeviceName& device);

  /// Records that HA1s of all users are exported. To be called before the first page.
  Status begin_export(const Actor& actor);
  /// Errors: SECRET_BROKEN, with the user.
  Result<DigestExportPage> export_page(const DigestCursor& after);

 private:
  Result<DigestSecret> encrypted(Transaction& tx, std::int64_t id, const DigestPassword& user, bool hash_only) const;
  Result<DigestExportRow> opened(const DigestAssignment& assignment) const;

  Database& database_;
  const ca::Vault& vault_;
  const SitePolicy& policy_;
  Botan::RandomNumberGenerator& random_;
};

}  // namespace capf::service
