#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "capf/ca/certificate.h"
#include "capf/domain/phone_store.h"
#include "capf/service/profiles.h"
#include "capf/service/scheduling.h"
#include "capf/service/shared_lines.h"
#include "capf/service/steps.h"

// Bulks that give phones a profile, or values of their own, call by call; and what is in effect of a phone then.

namespace capf::service {
namespace {

PhoneAbilities::Key key_of(const ProfiledPhone& phone) {
  if (phone.lsc_der.empty()) return PhoneAbilities::Key::kUnknown;
  return ca::rsa_modulus(phone.lsc_der) ? PhoneAbilities::Key::kRsa : PhoneAbilities::Key::kEc;
}

PhoneAbilities abilities_of(const ProfiledPhone& phone) {
  return {.device = phone.device.text(),
          .model = phone.model,
          .lsc = phone.lsc,
          .lsc_key = key_of(phone),
          .good_mic = phone.mic_in_time,
          .install_open = phone.install_open,
          .string_open = phone.string_open,
          .ec_open = phone.ec_open};
}

/// A phone as it would be.
struct Prospective {
  const ProfiledPhone& phone;
  DeviceMode mode;
  const EffectiveSettings& settings;
};

/// The mode that would be in effect in a mixed site.
EffectiveMode mode_of(const Prospective& would) {
  return effective_mode({.site = SiteMode::kMixed,
                         .profile = would.mode,
                         .blocked = would.phone.blocked,
                         .lsc = would.phone.lsc,
                         .good_mic = would.settings.allow_mic() && would.phone.mic_in_time});
}

/// The faults in this phone, with those that any phone with its settings has.
Findings findings_of(const Prospective& would, const Findings& in_any) {
  Findings findings = check_combination(would.mode, would.settings, abilities_of(would.phone));
  for (const Error& refusal : in_any.refusals) {
    findings.refusals.push_back({refusal.reason, would.phone.device.text() + ": " + refusal.message});
  }
  return findings;
}

/// Refuses an operator what only an admin decides, of the phone's own values. The profile's are an admin's anyway.
/// @param decided what was so before
Status check_role(Role role, const Prospective& would, const std::vector<std::string>& decided) {
  if (role == Role::kAdmin) return {};
  for (const std::string& words : admins_decisions(would.mode, would.settings, Owner::kPhone)) {
    if (std::find(decided.begin(), decided.end(), words) != decided.end()) continue;
    return fail(Reason::kRoleDenied, would.phone.device.text() + ": " + words + " needs the role admin");
  }
  return {};
}

/// A phone's profile and its settings, as they are.
class Profiled {
 public:
  Profiled(Transaction& tx, const SitePolicy& policy) : tx_(tx), policy_(policy) {}

  Result<const Profile*> profile(std::int64_t id) {
    const auto known = profiles_.find(id);
    if (known != profiles_.end()) return &known->second;
    CAPF_LET(auto found, tx_.profiles().find(id));
    if (!found) return fail(Reason::kChangedMeanwhile, "a profile was removed meanwhile");
    return &profiles_.emplace(id, *std::move(found)).first->second;
  }
  /// The phone's own values that an admin has decided already.
  Result<std::vector<std::string>> decided(const ProfiledPhone& phone) {
    if (phone.settings.empty()) return std::vector<std::string>{};
    CAPF_LET(const Profile* const its, profile(phone.profile_id));
    return admins_decisions(its->mode, effective_settings(policy_, its->settings, phone.settings), Owner::kPhone);
  }

 private:
  Transaction& tx_;
  const SitePolicy& policy_;
  std::map<std::int64_t, Profile> profiles_;
};

/// The phones of a batch that want an LSC: without one that they could go by, and with nothing pending.
struct Installs {
  std::map<std::int64_t, Standing> wanted{};
  std::vector<Standing> done{};  ///< scheduled by this run, in an earlier call
};

Result<Installs> find_installs(Transaction& tx, const std::optional<InstallWish>& wish,
                               std::span<const ProfiledPhone> phones) {
  Installs installs;
  if (!wish) return installs;
  std::vector<std::int64_t> without;
  for (const ProfiledPhone& phone : phones) {
    if (phone.lsc != LscStatus::kValid && phone.lsc != LscStatus::kHeld) without.push_back(phone.id);
  }
  CAPF_LET(const auto standings, tx.operations().standings(without, wish->run));
  for (const Standing& phone : standings) {
    if (phone.scheduled) installs.done.push_back(phone);
    if (!phone.open && !phone.blocked && !phone.scheduled) installs.wanted.emplace(phone.phone_id, phone);
  }
  return installs;
}

/// Judges the phones of a batch, one by one.
class BatchCheck {
 public:
  BatchCheck(Transaction& tx, const SitePolicy& policy, Role role, const ApplyRequest& request)
      : tx_(tx), policy_(policy), role_(role), request_(request), profiled_(tx, policy) {}

  /// Judges phones that are to have a profile; those that have it already are left, but for their installs.
  Result<ApplyAnswer> judge(const std::vector<ProfiledPhone>& phones, const Profile& profile) {
    ApplyAnswer answer{.selected = static_cast<int>(phones.size())};
    CAPF_LET(installs_, find_installs(tx_, request_.install, phones));
    const EffectiveSettings common = effective_settings(policy_, profile.settings, {});
    const Findings in_any = check_combination(profile.mode, common);
    for (const ProfiledPhone& phone : phones) {
      if (phone.settings.empty()) {
        CAPF_TRY(judge_phone({phone, profile.mode, common}, in_any, profile.id, answer));
      } else {
        const EffectiveSettings own = effective_settings(policy_, profile.settings, phone.settings);
        CAPF_TRY(judge_phone({phone, profile.mode, own}, check_combination(profile.mode, own), profile.id, answer));
      }
    }
    return answer;
  }
  /// Installs of phones that judge() was given.
  const std::vector<Planned>& planned() const { return planned_; }
  /// Operations that an earlier call of the run has scheduled for such phones.
  std::vector<std::int64_t> done() const { return operations_of(installs_.done); }

 private:
  Status judge_phone(const Prospective& would, const Findings& in_any, std::int64_t profile_id, ApplyAnswer& answer) {
    plan_install(would, answer);
    if (would.phone.profile_id == profile_id) return {};
    ++answer.changed;
    return judge_one(would, in_any, request_.anyway, answer);
  }

  void plan_install(const Prospective& would, ApplyAnswer& answer) {
    const auto wanted = installs_.wanted.find(would.phone.id);
    if (wanted == installs_.wanted.end()) return;
    const Terms terms = terms_of({}, would.settings, tx_.now());
    const std::string device = would.phone.device.text();
    if (const Status can = check_terms(OperationKind::kInstall, terms, would.mode, would.settings, role_, device);
        !can) {
      answer.problems.push_back({device, can.error().reason, can.error().message});
    }
    planned_.push_back({wanted->second, terms});
  }

  Status judge_one(const Prospective& would, const Findings& in_any, bool anyway, ApplyAnswer& answer) {
    const std::string device = would.phone.device.text();
    const Findings found = findings_of(would, in_any);
    const bool gets_one = anyway || installs_.wanted.contains(would.phone.id);
    for (const Error& refusal : found.refusals) {
      if (refusal.reason == Reason::kNoCertificate && gets_one) continue;
      answer.problems.push_back({device, refusal.reason, refusal.message});
    }
    for (const std::string& words : found.warnings) answer.remarks.push_back({device, std::nullopt, words});
    CAPF_LET(const auto decided, profiled_.decided(would.phone));
    if (const Status may = check_role(role_, would, decided); !may) {
      answer.problems.push_back({device, may.error().reason, may.error().message});
    }
    const EffectiveMode mode = mode_of(would);
    if (mode.mode != would.mode && mode.reason != ModeReason::kBlocked) ++answer.waiting;
    return {};
  }

  Transaction& tx_;
  const SitePolicy& policy_;
  const Role role_;
  const ApplyRequest& request_;
  Profiled profiled_;
  Installs installs_;
  std::vector<Planned> planned_;
};

/// The phones of a dry run that would get an LSC.
Result<std::vector<BulkPhone>> phones_of(Transaction& tx, const std::vector<Planned>& planned) {
  std::vector<BulkPhone> installs;
  if (planned.empty()) return installs;
  std::map<std::int64_t, const Terms*> terms;
  for (const Planned& each : planned) terms.emplace(each.phone.phone_id, &each.terms);
  CAPF_LET(auto phones, tx.phones().find_all(ids_of(planned)));
  for (Phone& phone : phones) {
    const Terms& its = *terms.at(phone.id);
    installs.push_back({.phone = std::move(phone), .terms = its});
  }
  return installs;
}

Status check_problems(const std::vector<PhoneFinding>& problems) {
  if (problems.empty()) return {};
  const PhoneFinding& first = problems.front();
  const std::size_t more = problems.size() - 1;
  return fail(*first.reason, "nothing was applied: " + first.message +
                                 (more > 0 ? "; " + std::to_string(more) + " more problems" : ""));
}

/// Adds lines that a dry run finds mixed: as problems, or where they may be mixed as remarks.
void add_lines(const LineVerdict& verdict, bool allow_mixed, ApplyAnswer& answer) {
  const std::vector<std::string> words = verdict.words();
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string device = verdict.lines[i].others.front().text();
    if (allow_mixed) {
      answer.remarks.push_back({device, std::nullopt, words[i]});
    } else {
      answer.problems.push_back({device, Reason::kSharedLineMixed, words[i]});
    }
  }
}

/// The phones of a batch, locked, and those that its lines take along.
struct AppliedBatch {
  Batch batch;
  std::vector<std::int64_t> ids;  ///< of all of them, in order
};

Result<AppliedBatch> take_applied(Transaction& tx, const Bulk& bulk, bool lines) {
  if (!lines) {
    CAPF_LET(Batch batch, take_batch(tx, bulk));
    std::vector<std::int64_t> ids = ids_of(batch.phones);
    return AppliedBatch{std::move(batch), std::move(ids)};
  }
  CAPF_LET(const Preview preview, preview_batch(tx, bulk));
  CAPF_LET(const auto all, SharedLines::with_lines(tx, preview.ids));
  CAPF_TRY(tx.phones().lock_all(all));
  CAPF_LET(Batch batch, take_batch(tx, bulk));
  std::set<std::int64_t> ids(all.begin(), all.end());
  for (const std::int64_t id : preview.ids) ids.erase(id);
  for (const std::int64_t id : ids_of(batch.phones)) ids.insert(id);
  return AppliedBatch{std::move(batch), {ids.begin(), ids.end()}};
}

}  // namespace

Result<EffectiveSettings> settings_of(Transaction& tx, const SitePolicy& policy, std::int64_t phone_id) {
  CAPF_LET(const auto phones, tx.profiles().phones(std::span(&phone_id, 1), false));
  if (phones.empty()) return effective_settings(policy, {}, {});
  Profiled profiled(tx, policy);
  CAPF_LET(const Profile* const profile, profiled.profile(phones.front().profile_id));
  return effective_settings(policy, profile->settings, phones.front().settings);
}

Result<std::vector<Scheduled>> Profiles::install(Transaction& tx, const Actor& actor, const InstallWish& wish,
                                                 std::vector<Planned> phones, const std::vector<std::int64_t>& done) {
  ScheduleBulk bulk;
  bulk.run = wish.run;
  for (const Planned& each : phones) {
    const auto string = wish.strings.find(each.phone.device);
    if (string != wish.strings.end()) bulk.strings.insert(*string);
    const auto deadline = wish.deadlines.find(each.phone.device);
    if (deadline != wish.deadlines.end()) bulk.deadlines.insert(*deadline);
  }
  CAPF_LET(auto scheduled, operations_.schedule(tx, actor, bulk, std::move(phones)));
  if (done.empty()) return scheduled;
  CAPF_LET(auto earlier, tx.operations().find_all(done));
  for (Operation& operation : earlier) scheduled.push_back({std::move(operation), Secret()});
  return scheduled;
}

Result<ApplyAnswer> Profiles::apply(const Actor& actor, Role role, const Bulk& bulk, const ApplyRequest& request) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<ApplyAnswer> {
    CAPF_LET(const Profile profile, held_profile(tx, request.profile));
    CAPF_LET(const AppliedBatch applied, take_applied(tx, bulk, request.lines));
    CAPF_LET(const std::vector<ProfiledPhone> phones, tx.profiles().phones(applied.ids, true));
    BatchCheck batch(tx, policy_, role, request);
    CAPF_LET(ApplyAnswer answer, batch.judge(phones, profile));
    CAPF_TRY(check_problems(answer.problems));
    CAPF_TRY(SharedLines::settle(tx, actor, applied.ids, profile.mode, request.allow_mixed));
    CAPF_LET(const auto changed, tx.profiles().apply(applied.ids, profile.id));
    std::vector<std::string> devices;
    for (const ProfiledPhone& phone : phones) {
      if (std::binary_search(changed.begin(), changed.end(), phone.id)) devices.push_back(phone.device.text());
    }
    CAPF_TRY(record(tx, actor, "profile.apply", devices, profile.name + (request.anyway ? ", anyway" : "")));
    if (request.install) {
      CAPF_LET(answer.operations, install(tx, actor, *request.install, batch.planned(), batch.done()));
    }
    answer.selected = static_cast<int>(applied.batch.phones.size());
    answer.changed = static_cast<int>(devices.size());
    answer.next = applied.batch.next;
    return answer;
  });
}

Result<ApplyAnswer> Profiles::check_apply(Role role, const Bulk& bulk, const ApplyRequest& request) {
  return in_read(database_, [&](Transaction& tx) -> Result<ApplyAnswer> {
    CAPF_LET(const auto profile, tx.profiles().find(request.profile));
    if (!profile) return unknown_profile(request.profile);
    CAPF_LET(const Preview preview, preview_batch(tx, bulk));
    std::vector<std::int64_t> ids = preview.ids;
    if (request.lines) {
      CAPF_LET(ids, SharedLines::with_lines(tx, preview.ids));
    }
    CAPF_LET(const std::vector<ProfiledPhone> phones, tx.profiles().phones(ids, true));
    BatchCheck batch(tx, policy_, role, request);
    CAPF_LET(ApplyAnswer answer, batch.judge(phones, *profile));
    CAPF_LET(answer.installs, phones_of(tx, batch.planned()));
    CAPF_LET(const LineVerdict lines, SharedLines::preview(tx, ids, profile->mode));
    add_lines(lines, request.allow_mixed, answer);
    answer.selected = static_cast<int>(preview.ids.size());
    answer.count = preview.count;
    answer.next = preview.next;
    return answer;
  });
}

Result<OwnAnswer> Profiles::change_own(const Actor& actor, Role role, const Bulk& bulk, const OwnChange& change) {
  if (change.set.empty() && change.unset.empty()) return fail(Reason::kInvalidRequest, "there is nothing to change");
  CAPF_TRY(check_limits(change.set, policy_));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<OwnAnswer> {
    CAPF_TRY(tx.profiles().hold_all());
    CAPF_LET(const Batch batch, take_batch(tx, bulk));
    CAPF_LET(const auto phones, tx.profiles().phones(ids_of(batch.phones), true));
    Profiled profiled(tx, policy_);
    std::vector<std::pair<std::int64_t, Settings>> changed;
    std::vector<std::string> devices;
    for (const ProfiledPhone& phone : phones) {
      Settings own = phone.settings;
      CAPF_TRY(change_settings(change.set, change.unset, own));
      if (own == phone.settings) continue;
      CAPF_LET(const Profile* const profile, profiled.profile(phone.profile_id));
      CAPF_LET(const auto decided, profiled.decided(phone));
      const EffectiveSettings settings = effective_settings(policy_, profile->settings, own);
      const Prospective would{phone, profile->mode, settings};
      CAPF_TRY(check_role(role, would, decided));
      Findings found = findings_of(would, check_combination(profile->mode, settings));
      // The profile asks for a certificate, and not a value of the phone's own.
      std::erase_if(found.refusals, [](const Error& each) { return each.reason == Reason::kNoCertificate; });
      CAPF_TRY(found.status());
      changed.emplace_back(phone.id, std::move(own));
      devices.push_back(phone.device.text());
    }
    if (!changed.empty()) CAPF_TRY(tx.profiles().set_own(changed));
    CAPF_TRY(record(tx, actor, "phone.set", devices, capf::words_of(change.set, change.unset)));
    return OwnAnswer{static_cast<int>(phones.size()), static_cast<int>(changed.size()), batch.next};
  });
}

Result<PhoneSettings> Profiles::effective(const DeviceName& device) {
  return in_read(database_, [&](Transaction& tx) -> Result<PhoneSettings> {
    CAPF_LET(std::optional<Phone> phone, tx.phones().find(device));
    if (!phone) return unknown_device(tx, device);
    CAPF_LET(EffectiveSettings settings, settings_of(tx, policy_, phone->id));
    return PhoneSettings{*std::move(phone), std::move(settings)};
  });
}

}  // namespace capf::service
