#include "capf/domain/terms.h"

#include <algorithm>

#include "capf/domain/policy.h"

namespace capf {
namespace {

TermOwner owner_of(const EffectiveSettings& settings, std::string_view name) {
  switch (settings.find(name)->from) {
    case Owner::kSite: return TermOwner::kSite;
    case Owner::kProfile: return TermOwner::kProfile;
    case Owner::kPhone: return TermOwner::kPhone;
  }
  CAPF_INVARIANT(false);
}

Terms in_effect(const EffectiveSettings& settings, TimePoint now) {
  Terms terms{.auth = settings.auth(),
              .key = settings.key(),
              .completes_by = now + settings.completes_within(),
              .lsc = {settings.lsc_validity(), settings.lsc_subject()}};
  for (const Term term : kTerms) {
    terms.owners[term] = owner_of(settings, term == Term::kCompletesBy ? "completes_within" : to_string(term));
  }
  return terms;
}

/// Whether an admin has decided that the phone needs to prove nothing. A phone's own value may be an operator's, who
/// set it before the phone's profile was secure.
bool admin_decided(TermOwner owner, DeviceMode mode) {
  const bool secure = mode != DeviceMode::kNonsecure;
  switch (owner) {
    case TermOwner::kProfile: return true;
    case TermOwner::kSite: return !secure;
    case TermOwner::kPhone:
    case TermOwner::kCommand:
    case TermOwner::kFormer: return false;
  }
  CAPF_INVARIANT(false);
}

}  // namespace

Status SaidKey::check() const {
  const KeyPolicy defaults;
  return KeyPolicy{order.value_or(defaults.order), rsa_bits.value_or(defaults.rsa_bits),
                   ec_bits.value_or(defaults.ec_bits)}
      .check();
}

Status SaidTerms::check(const SitePolicy& site) const {
  CAPF_TRY(key.check());
  if (key.order != KeyOrder::kEc && key.rsa_bits == 1024 && !site.allow_rsa_1024) {
    return fail(Reason::kInvalidKeyPolicy, "this site does not allow RSA keys of 1024 bits");
  }
  return {};
}

Terms terms_of(const SaidTerms& said, const EffectiveSettings& settings, TimePoint now) {
  Terms terms = in_effect(settings, now);
  const auto say = [&](const auto& value, Term term, auto& place) {
    if (!value) return;
    place = *value;
    terms.owners[term] = TermOwner::kCommand;
  };
  say(said.auth, Term::kAuth, terms.auth);
  say(said.key.order, Term::kKeyOrder, terms.key.order);
  say(said.key.rsa_bits, Term::kRsaBits, terms.key.rsa_bits);
  say(said.key.ec_bits, Term::kEcBits, terms.key.ec_bits);
  say(said.completes_by, Term::kCompletesBy, terms.completes_by);
  if (terms.auth == AuthMode::kNull) {
    terms.completes_by = std::min<TimePoint>(terms.completes_by, now + kNullStringLifetime);
  }
  return terms;
}

Terms renewal_terms(const std::optional<KeyPolicy>& key, const EffectiveSettings& settings, TimePoint now) {
  Terms terms = in_effect(settings, now);
  const auto keep = [&](auto value, Term term, auto& place) {
    if (terms.owners[term] != TermOwner::kSite) return;
    place = value;
    terms.owners[term] = TermOwner::kFormer;
  };
  terms.auth = AuthMode::kLsc;
  terms.owners[Term::kAuth] = TermOwner::kFormer;
  if (!key) return terms;
  keep(key->order, Term::kKeyOrder, terms.key.order);
  keep(key->rsa_bits, Term::kRsaBits, terms.key.rsa_bits);
  keep(key->ec_bits, Term::kEcBits, terms.key.ec_bits);
  return terms;
}

Status check_terms(OperationKind kind, const Terms& terms, DeviceMode mode, const EffectiveSettings& settings,
                   Role role, const std::string& who) {
  if (kind == OperationKind::kInstall && terms.key.order == KeyOrder::kEc && settings.encrypted_config()) {
    return fail(Reason::kEncryptedConfigNeedsRsa, who + " has encrypted_config on (" +
                                                      std::string(to_string(settings.find("encrypted_config")->from)) +
                                                      "), which needs an RSA key, but key_order is ec (" +
                                                      std::string(to_string(terms.owners[Term::kKeyOrder])) + ")");
  }
  const Effective* const access = settings.find("settings_access");
  if (terms.auth == AuthMode::kString && access != nullptr && access->value == "off") {
    return fail(Reason::kStringCannotBeTyped, who + " cannot take an authentication string: settings_access is off (" +
                                                  std::string(to_string(access->from)) +
                                                  "); --auth mic or lsc needs none");
  }
  if (terms.auth == AuthMode::kNull && role != Role::kAdmin && !admin_decided(terms.owners[Term::kAuth], mode)) {
    return fail(Reason::kRoleDenied, "scheduling " + who + " with null string needs the role admin");
  }
  return {};
}

}  // namespace capf
