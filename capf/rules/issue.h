#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "capf/ca/issuer.h"
#include "capf/ca/request.h"
#include "capf/domain/issuer.h"
#include "capf/rules/decision.h"
#include "capf/rules/identify.h"

namespace capf::rules {

/// The key that a phone offers.
struct Offer {
  Result<ca::OfferedKey> key;  ///< as ca::read_request() and ca::check_key() have it
  Possession possession = Possession::kNone;
  std::optional<Error> listed{};  ///< KEY_LISTED
  bool withdrawn = false;         ///< this server has seen the key compromised, whatever an older database says
  /// Its record: of Dossier::claims.
  std::optional<KeyRecord> record{};
};

struct IssueAnswer {
  Bytes certificate;              ///< DER
  std::vector<Bytes> chain;       ///< DER
  std::int64_t operation_id = 0;  ///< kAddedOperation until the write has given its id
};

/// An LSC that is to be signed, and what becomes of it once it is.
struct ToSign {
  std::int64_t issuer_id = 0;  ///< the active one; ISSUER_KEY_ABSENT where this server does not have its key
  ca::LscRequest request;
  Change change;            ///< all but what follows
  Certificate certificate;  ///< without what only the signed one tells
  AdvanceOperation advance;
  AddEvent event;
};

/// An LSC that was signed and is not on record yet.
struct SignedLsc {
  std::int64_t issuer_id = 0;
  ca::LscRequest request;
  ca::IssuedLsc lsc;
};

/// Whether the LSC will do for a later plan too: both ask the same issuer for the same, the later one at most
/// kLongestDecision after the other.
bool will_do(const SignedLsc& made, const ToSign& plan);

/// Install or upgrade, before anything is signed: the answer, where a certificate of this key was issued already or
/// none may be; or what is to be signed. Errors after authentication: NO_PENDING_OPERATION, OPERATION_KIND,
/// OPERATION_ENDED, DEADLINE_PASSED, CERTIFICATE_LIMIT, CERTIFICATE_REVOKED, SELF_SERVICE_REFUSED, ISSUER_KEY_ABSENT,
/// those of the request and the key.
/// @param identity for Need::kOperation
std::variant<Decision<IssueAnswer>, ToSign> plan(const Facts& facts, const Identity& identity, const Offer& offer);
/// The signed LSC, with the change that must be committed before it leaves the server.
/// @param issuer the record of ToSign::issuer_id
Decision<IssueAnswer> issue(ToSign plan, const ca::IssuedLsc& lsc, const IssuerRecord& issuer);

}  // namespace capf::rules
