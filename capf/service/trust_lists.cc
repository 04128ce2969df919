#include "capf/service/trust_lists.h"

#include <algorithm>

#include "capf/ca/certificate.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/trusted_certificate_store.h"
#include "capf/files/signed_file.h"
#include "capf/service/steps.h"
#include "capf/service/together.h"
#include "capf/service/trust_list_sight.h"
#include "capf/service/trusted_certificates.h"

namespace capf::service {
namespace {

constexpr std::size_t kMostKept = 16;  // lists in memory
constexpr int kPage = 500;

const char* const kByHand =
    "phones would not follow this list: each of them has to forget its trust list by hand (Settings > Administrator "
    "settings > Reset settings > Security settings) and to start again";

std::string words_of(const PublishedList& list) {
  return std::string(to_string(list.kind)) + " " + std::to_string(list.generation) + ", signed by " +
         to_hex(list.signer);
}

/// Whether a list has a certificate in one of these roles; of RSA, where it is to sign files.
bool lists(const files::TrustList& list, std::initializer_list<TrustRole> roles, bool rsa = false) {
  return std::any_of(list.records.begin(), list.records.end(), [&](const files::Record& record) {
    if (!record.certificate || (rsa && record.certificate->key_type() != ca::KeyType::kRsa)) return false;
    return std::find(roles.begin(), roles.end(), record.role) != roles.end();
  });
}

bool lists(const ListContents& contents, std::initializer_list<TrustRole> roles, bool rsa = false) {
  return std::any_of(contents.listed.begin(), contents.listed.end(), [&](const files::Listed& listed) {
    if (listed.certificate.empty()) return false;
    if (std::find(roles.begin(), roles.end(), listed.roles.front()) == roles.end()) return false;
    const auto certificate = files::Certificate::read(listed.certificate);
    return certificate && (!rsa || certificate->key_type() == ca::KeyType::kRsa);
  });
}

/// Refuses a list that takes away all that signs files, or TVS: phones would take no configuration any more. It happens
/// where a server that lacks some of the site's files comes to the lease.
Status check_services(const files::TrustList& present, const ListContents& next) {
  const auto lost = [](const std::string& what) {
    return fail(Reason::kTrustListUnfit,
                "the next list would have no certificate " + what +
                    ", and the present one has: copy the files of certificates/ and keys/ that this server lacks from "
                    "another one; 'trust-list build --force-new-trust' publishes it all the same");
  };
  const auto signers = {TrustRole::kTftp, TrustRole::kCcmTftp};
  if (lists(present, signers, true) && !lists(next, signers, true)) return lost("that signs files");
  if (lists(present, {TrustRole::kTvs}) && !lists(next, {TrustRole::kTvs})) return lost("of TVS");
  return {};
}

/// Whether a phone that has this list takes any unsigned file: servers of files without a certificate.
bool lets_go(const files::TrustList& list) {
  return std::any_of(list.records.begin(), list.records.end(), [](const files::Record& record) {
    const bool serves = record.role == TrustRole::kTftp || record.role == TrustRole::kCcmTftp;
    return serves && !record.certificate;
  });
}

/// Refuses a list by which a phone would trust a certificate that is blocked, or that has a blocked key.
Status check_unblocked(Transaction& tx, const files::TrustList& list) {
  for (const files::Record& record : list.records) {
    if (!record.certificate) continue;
    CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(record.certificate->der()));
    CAPF_LET(const auto blocked, tx.blocks().find(facts.sha256));
    CAPF_LET(const auto key, tx.keys().find(facts.key));
    if (blocked || (key && key->blocked)) {
      return fail(Reason::kInvalidRequest, "with this list the phone would trust a blocked certificate");
    }
  }
  return {};
}

/// The certificates that may sign the list after this one.
std::vector<Sha256> signers_in(const files::TrustList& list) {
  std::vector<Sha256> signers;
  for (const files::Record& record : list.records) {
    if (record.role == TrustRole::kSast) signers.push_back(sha256(record.certificate->der()));
  }
  return signers;
}

tl::unexpected<Error> no_signer() {
  return fail(Reason::kListSignerAbsent,
              "this server does not have the key that signs trust lists: restore it, sign with the recovery signer "
              "('capfd trust-list recover'), or begin with another one ('trust-list build --force-new-trust')");
}

/// The certificates of a list that the one before has in the same roles. Any other begins with this list: the phones
/// that have fetched the former know it in other roles, or not at all.
std::vector<Sha256> kept_from(const PublishedList& former, const std::vector<files::Listed>& listed) {
  const auto was = read_list(former);
  std::vector<Sha256> kept;
  for (const files::Listed& each : listed) {
    const auto had = [&](TrustRole role) {
      return std::any_of(was->records.begin(), was->records.end(), [&](const files::Record& record) {
        return record.role == role && record.certificate && record.certificate->der() == each.certificate;
      });
    };
    if (was && !each.certificate.empty() && std::all_of(each.roles.begin(), each.roles.end(), had)) {
      kept.push_back(sha256(each.certificate));
    }
  }
  return kept;
}

TrustListKind kind_of(const files::FileRequest& request) {
  return request.list == files::ListKind::kItl ? TrustListKind::kItl : TrustListKind::kCtl;
}

}  // namespace

struct TrustLists::Plan {
  TrustListState state;  ///< as it is to be
  Signer signer;
  bool force = false;  ///< phones need not follow
  const char* action = "trust_list.publish";
};

/// The next list of a kind.
struct TrustLists::Draft {
  ListContents contents;
  std::vector<PublishedList> lists;  ///< one for each digest, that under SHA-512 last
  std::vector<std::string> warnings;
  bool followed = true;
};

std::optional<TrustLists::Signer> TrustLists::signer_in_use() const {
  const auto key = keys_.list_signer();
  if (!key) return std::nullopt;
  return Signer{key->certificate, key->key};
}

std::optional<TrustLists::Signer> TrustLists::signer_of(const Sha256& certificate) const {
  const auto own = keys_.own_certificates();
  const OwnCertificate* found = find_own(own, certificate);
  if (found == nullptr) return std::nullopt;
  const auto key = keys_.list_signer(found->name);
  if (!key || key->certificate != found->der) return std::nullopt;
  return Signer{key->certificate, key->key};
}

ListInputs TrustLists::inputs_of(const Sight& sight, const TrustListState& state) const {
  return {.own = keys_.own_certificates(),
          .trusted = sight.trusted,
          .signer = state.signer.value_or(Sha256{}),
          .next_signer = state.next_signer,
          .site = sight.site,
          .released = state.released};
}

/// As things are: the signer on record, or this server's where there was none yet.
Result<TrustLists::Plan> TrustLists::plan_of(const Sight& sight) const {
  Plan plan{.state = sight.state, .signer = {}};
  std::optional<Signer> signer = sight.state.signer ? signer_of(*sight.state.signer) : signer_in_use();
  if (!signer) return no_signer();
  plan.state.signer = sha256(signer->certificate);
  plan.signer = *std::move(signer);
  return plan;
}

Status TrustLists::sign(const Sight& sight, const Plan& plan, Draft& draft) {
  const TrustListKind kind = draft.lists.front().kind;
  const auto present = sight.present.find(kind);
  const Bytes before = present == sight.present.end() ? Bytes() : present->second.octets;
  CAPF_LET(const files::Certificate certificate, files::Certificate::read(plan.signer.certificate));
  const auto own = keys_.own_certificates();
  const auto capf = std::find_if(own.begin(), own.end(), [](const OwnCertificate& each) {
    return each.in_use && has_role(each.roles, TrustRole::kCapf);
  });
  for (PublishedList& list : draft.lists) {
    const files::ListTerms terms{.kind = list_kind(kind),
                                 .digest = list_digest(list.digest),
                                 .https = draft.contents.https,
                                 .made_at = list.made_at};
    CAPF_LET(list.octets,
             files::build_trust_list(terms, draft.contents.listed, {certificate, *plan.signer.key, random_}));
    Findings findings = files::check_publication({.list = list.octets,
                                                  .kind = list_kind(kind),
                                                  .present = before,
                                                  .capf = capf == own.end() ? BytesView() : BytesView(capf->der),
                                                  .now = sight.now});
    const auto followed =
        std::stable_partition(findings.refusals.begin(), findings.refusals.end(),
                              [](const Error& error) { return error.reason != Reason::kTrustListNotFollowed; });
    draft.followed = followed == findings.refusals.end();
    if (plan.force) findings.refusals.erase(followed, findings.refusals.end());
    CAPF_TRY(findings.status());
    draft.warnings = std::move(findings.warnings);
    files::Checksums checksums = files::checksums(list.octets);
    list.sha1 = std::move(checksums.sha1);
    list.md5 = std::move(checksums.md5);
  }
  return {};
}

/// @return nothing where the present list says the same.
Result<std::optional<TrustLists::Draft>> TrustLists::draft(const Sight& sight, const Plan& plan, TrustListKind kind,
                                                           std::vector<std::string>& left_out) {
  const auto present = sight.present.find(kind);
  // A site that never was mixed has no CTL.
  if (kind == TrustListKind::kCtl && sight.site == SiteMode::kNonsecure && present == sight.present.end()) {
    return std::nullopt;
  }
  Draft draft;
  CAPF_LET(draft.contents, contents_of(kind, inputs_of(sight, plan.state), sight.now));
  for (const std::string& words : draft.contents.left_out) {
    if (std::find(left_out.begin(), left_out.end(), words) == left_out.end()) left_out.push_back(words);
  }
  PublishedList next{.kind = kind, .generation = 1};
  next.signer = sha256(plan.signer.certificate);
  next.made_at = std::chrono::floor<std::chrono::seconds>(sight.now);
  if (present != sight.present.end()) {
    CAPF_LET(const files::TrustList list, read_list(present->second));
    if (says(list, draft.contents)) return std::nullopt;
    if (!plan.force && !plan.state.released) CAPF_TRY(check_services(list, draft.contents));
    next.generation = present->second.generation + 1;
    next.made_at = std::max(next.made_at, list.header.made_at);  // a clock may have been ahead
  }
  for (const ListDigest digest : kListDigests) draft.lists.emplace_back(next).digest = digest;
  CAPF_TRY(sign(sight, plan, draft));
  return draft;
}

Status TrustLists::write(Transaction& tx, const Actor& actor, const Sight& sight, const Plan& plan,
                         const std::vector<Draft>& drafts) {
  CAPF_TRY(check_clock(tx, clock_));
  CAPF_LET(const TrustListState state, tx.trust_lists().lock());
  if (state != sight.state) return fail(Reason::kChangedMeanwhile, "the trust lists were changed meanwhile");
  std::string words;
  for (const Draft& draft : drafts) {
    const PublishedList& list = draft.lists.back();
    CAPF_LET(const std::int64_t newest, tx.trust_lists().newest(list.kind));
    if (newest + 1 != list.generation) {
      return fail(Reason::kChangedMeanwhile, "another server has published a trust list");
    }
    std::vector<Sha256> certificates;
    for (const files::Listed& listed : draft.contents.listed) {
      if (!listed.certificate.empty()) certificates.push_back(sha256(listed.certificate));
    }
    for (PublishedList each : draft.lists) {
      each.made_by = actor.name.empty() ? "capfd" : actor.name;
      CAPF_TRY(tx.trust_lists().add(each));
    }
    const auto present = sight.present.find(list.kind);
    if (present != sight.present.end()) {
      CAPF_TRY(tx.trust_lists().note(list.kind, list.generation, kept_from(present->second, draft.contents.listed)));
    }
    CAPF_TRY(tx.trust_lists().note(list.kind, list.generation, certificates));
    words += (words.empty() ? "" : "; ") + words_of(list) + (draft.followed ? "" : ", which phones do not follow");
  }
  if (plan.state != state) CAPF_TRY(tx.trust_lists().set_state(plan.state));
  return tx.audit().add(done(actor, plan.action, "", words.empty() ? "no list was changed by it" : words));
}

Result<BuildAnswer> TrustLists::publish(const Actor& actor, const Sight& sight, const Plan& plan, bool dry_run) {
  if (!dry_run) CAPF_TRY(high_water_.check());
  BuildAnswer answer;
  std::vector<Draft> drafts;
  for (const TrustListKind kind : kTrustListKinds) {
    CAPF_LET(auto drafted, draft(sight, plan, kind, answer.left_out));
    if (drafted) drafts.push_back(*std::move(drafted));
  }
  if (!dry_run && (!drafts.empty() || plan.state != sight.state)) {
    CAPF_TRY(in_write(database_, actor, [&](Transaction& tx) { return write(tx, actor, sight, plan, drafts); }));
    answer.published = !drafts.empty();
  }
  for (Draft& each : drafts) {
    if (!each.followed) each.warnings.emplace_back(kByHand);
    answer.lists.push_back({std::move(each.lists.back()), std::move(each.warnings), each.followed});
  }
  return answer;
}

Result<std::optional<BuildAnswer>> TrustLists::keep() {
  const auto kept = [&]() -> Result<std::optional<BuildAnswer>> {
    CAPF_LET(const Sight sight, look());
    if (!sight.state.signer && !signer_in_use()) return std::nullopt;
    CAPF_LET(const Plan plan, plan_of(sight));
    CAPF_LET(auto answer, publish(Actor{}, sight, plan));
    return answer;
  }();
  const std::lock_guard lock(mutex_);
  // A database that is behind is no fault of the lists, and is reported for the whole server.
  fault_ = kept || kept.error().reason == Reason::kDatabaseBehind ? std::nullopt : std::optional(kept.error());
  return kept;
}

Result<BuildAnswer> TrustLists::build(const Actor& actor, bool dry_run, bool force) {
  CAPF_LET(const Sight sight, look());
  Result<Plan> plan = plan_of(sight);
  if (!plan && force) {
    auto signer = signer_in_use();
    if (!signer) return fail(plan.error());
    plan = Plan{.state = {.signer = sha256(signer->certificate)}, .signer = *std::move(signer)};
  }
  if (!plan) return fail(plan.error());
  plan->state.released = false;
  plan->force = force;
  plan->action = "trust_list.build";
  auto built = publish(actor, sight, *plan, dry_run);
  if (built && sight.state.released) {
    for (BuiltList& each : built->lists) {
      each.warnings.emplace_back(
          "whoever kept the released ITL can give it to phones until the list signer is replaced "
          "and the former one removed");
    }
  }
  if (built || built.error().reason != Reason::kTrustListNotFollowed) return built;
  return fail(Reason::kTrustListNotFollowed, std::string(kByHand) + ": --force-new-trust publishes it all the same");
}

Result<BuildAnswer> TrustLists::release(const Actor& actor) {
  CAPF_LET(const Sight sight, look());
  CAPF_LET(Plan plan, plan_of(sight));
  plan.state.released = true;
  plan.action = "trust_list.release";
  return publish(actor, sight, plan);
}

Result<BuildAnswer> TrustLists::recover(const Actor& actor, const std::shared_ptr<const ca::SigningKey>& key) {
  const auto own = keys_.own_certificates();
  const auto recovery =
      std::find_if(own.begin(), own.end(), [](const OwnCertificate& each) { return each.name == kRecoverySigner; });
  if (recovery == own.end()) return fail(Reason::kInvalidRequest, "this site has no recovery signer");
  CAPF_LET(const files::Certificate certificate, files::Certificate::read(recovery->der));
  if (key->public_key() != certificate.public_key()) {
    return fail(Reason::kInvalidRequest, "the key is not that of the recovery signer");
  }
  const auto signer = signer_in_use();
  if (!signer) return no_signer();
  CAPF_LET(const Sight sight, look());
  Plan plan{.state = sight.state, .signer = {recovery->der, key}, .action = "trust_list.recover"};
  plan.state.signer = sha256(signer->certificate);
  plan.state.next_signer.reset();
  return publish(actor, sight, plan);
}

Result<BuildAnswer> TrustLists::replace_signer(const Actor& actor, SignerStep step, bool force) {
  CAPF_LET(const Sight sight, look());
  CAPF_LET(Plan plan, plan_of(sight));
  plan.action = "trust_list.replace_signer";
  const bool running = sight.state.next_signer.has_value();
  if (step == SignerStep::kBegin) {
    if (running) {
      return fail(Reason::kInvalidRequest, "the list signer is being replaced already: go on with --step, or --cancel");
    }
    for (const OwnCertificate& own : keys_.own_certificates()) {
      const bool other = own.name != kRecoverySigner && sha256(own.der) != plan.state.signer;
      if (other && has_role(own.roles, TrustRole::kSast) && keys_.list_signer(own.name)) {
        plan.state.next_signer = sha256(own.der);
      }
    }
    if (!plan.state.next_signer) {
      return fail(Reason::kInvalidRequest,
                  "there is no other list signer on this server: 'capfd list-signer add' makes one");
    }
    return publish(actor, sight, plan);
  }
  if (!running) return fail(Reason::kInvalidRequest, "the list signer is not being replaced");
  if (step == SignerStep::kFinish) {
    CAPF_TRY(in_read(database_, [&](Transaction& tx) {
      return service::check_activation(tx, policy_, *sight.state.next_signer, force);
    }));
    auto signer = signer_of(*sight.state.next_signer);
    if (!signer) return no_signer();
    plan.signer = *std::move(signer);
    plan.state.signer = sight.state.next_signer;
  }
  plan.state.next_signer.reset();
  return publish(actor, sight, plan);
}

Result<Activation> TrustLists::activate(const Actor& actor, const std::string& sha256, bool force) {
  CAPF_LET(const std::string beginning, beginning_of_sha256(sha256, "a certificate"));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<Activation> {
    CAPF_LET(const TrustedCertificate certificate, find_by_beginning(tx, beginning));
    CAPF_LET(Activation activation, check_activation(tx, policy_, certificate.sha256, force));
    CAPF_TRY(tx.trusted_certificates().activate(certificate.id));
    std::string words = certificate.subject;
    for (const ListReach& reach : activation.reach) words += ": " + words_of(reach);
    CAPF_TRY(tx.audit().add(done(actor, "trusted_certificate.activate", to_hex(certificate.sha256), words)));
    return activation;
  });
}

Result<ServedList> TrustLists::serve(const Actor& actor, const DeviceName& device, TrustListKind kind,
                                     std::int64_t generation) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<ServedList> {
    CAPF_LET(const auto phone, tx.phones().lock(device));
    if (!phone) return unknown_device(tx, device);
    CAPF_LET(const auto list, tx.trust_lists().find(kind, generation, ListDigest::kSha512));
    if (!list) return fail(Reason::kUnknownTrustList);
    ServedList served{.generation = generation};
    CAPF_LET(served.newest, tx.trust_lists().newest(kind));
    CAPF_LET(const files::TrustList its, read_list(*list));
    if (kind == TrustListKind::kItl && generation != served.newest && lets_go(its)) {
      return fail(Reason::kInvalidRequest,
                  "with this list the phone would take files of anybody: 'capfctl trust-list release' lets phones go");
    }
    CAPF_TRY(tx.blocks().lock());  // whoever blocks a certificate or a key comes before this, or finds this phone
    CAPF_TRY(check_unblocked(tx, its));
    const std::vector<Sha256> signers = signers_in(its);
    for (Page page{.after = generation, .limit = kPage};;) {
      CAPF_LET(const auto later, tx.trust_lists().list(kind, page));
      for (const ListGeneration& each : later) {
        if (std::find(signers.begin(), signers.end(), each.signer) != signers.end()) served.next = each.generation;
      }
      if (later.size() < static_cast<std::size_t>(page.limit)) break;
      page.after = later.back().generation;
    }
    CAPF_TRY(tx.trust_lists().serve(phone->id, kind,
                                    generation == served.newest ? std::nullopt : std::optional(generation)));
    CAPF_TRY(tx.audit().add(done(actor, "trust_list.serve", device.text(),
                                 std::string(to_string(kind)) + " " + std::to_string(generation))));
    return served;
  });
}

void TrustLists::open_each(std::span<const files::FileRequest* const> requests, const Done& done) {
  std::vector<std::size_t> places;
  std::vector<PhoneListQuestion> asked;
  for (std::size_t place = 0; place < requests.size(); ++place) {
    const files::FileRequest& request = *requests[place];
    if (request.wanted != files::Wanted::kTrustList) {
      done(place, std::nullopt);
    } else if (!request.device) {
      done(place, open_newest(kind_of(request)));
    } else {
      places.push_back(place);
      asked.push_back({*request.device, kind_of(request)});
    }
  }
  if (asked.empty()) return;
  auto looked =
      look_together<PhoneList>(std::span<const PhoneListQuestion>(asked), [&](auto some) { return lists_of(some); });
  for (std::size_t one = 0; one < asked.size(); ++one) {
    if (!looked[one]) {
      done(places[one], fail(looked[one].error()));
    } else if (!*looked[one]) {
      done(places[one], std::nullopt);
    } else {
      const PhoneList& list = **looked[one];
      const auto digest = effective_settings(policy_, list.profile, list.own).file_digest();
      done(places[one], open_list(asked[one].kind, list.generation, digest_of(digest, list.model)));
    }
  }
}

Result<std::vector<std::optional<PhoneList>>> TrustLists::lists_of(std::span<const PhoneListQuestion> asked) {
  CAPF_TRY(high_water_.check());
  return in_look(database_, [&](Transaction& tx) { return tx.trust_lists().of_phones(asked); });
}

Result<std::optional<PhoneFile>> TrustLists::open_newest(TrustListKind kind) {
  CAPF_TRY(high_water_.check());
  CAPF_LET(const std::int64_t generation,
           in_look(database_, [&](Transaction& tx) { return tx.trust_lists().newest(kind); }));
  return open_list(kind, generation, digest_of(policy_.files_digest, {}));
}

Result<std::optional<PhoneFile>> TrustLists::open_list(TrustListKind kind, std::int64_t generation, ListDigest digest) {
  if (generation == 0) return std::nullopt;
  PhoneFile file{nullptr, (digest == ListDigest::kSha1 ? "0" : "") + std::to_string(generation)};
  const Key key{high_water_.epoch(), kind, generation, digest};
  {
    const std::lock_guard lock(mutex_);
    const auto kept = kept_.find(key);
    if (kept != kept_.end()) {
      file.octets = kept->second;
      return file;
    }
  }
  CAPF_LET(auto list,
           in_look(database_, [&](Transaction& tx) { return tx.trust_lists().find(kind, generation, digest); }));
  if (!list) return std::nullopt;
  file.octets = std::make_shared<const Bytes>(std::move(list->octets));
  const std::lock_guard lock(mutex_);
  if (kept_.size() >= kMostKept) kept_.clear();
  kept_.emplace(key, file.octets);
  return file;
}

Status TrustLists::check_mixed(const Sight& sight) const {
  const auto present = sight.present.find(TrustListKind::kItl);
  if (present == sight.present.end()) {
    return fail(Reason::kTrustListUnfit, "phones have no trust list: 'capfctl trust-list build' makes one");
  }
  CAPF_LET(const files::TrustList list, read_list(present->second));
  if (!lists(list, {TrustRole::kCcm, TrustRole::kCcmTftp})) {
    return fail(Reason::kTrustListUnfit,
                "the trust list has no certificate of a SIP server: 'capfctl trust-list certificate add FILE --role "
                "ccm' adds it");
  }
  if (!lists(list, {TrustRole::kTftp, TrustRole::kCcmTftp}, true)) {
    return fail(Reason::kTrustListUnfit, "the trust list has no certificate that signs files (role tftp, RSA)");
  }
  CAPF_LET(const ListContents contents, contents_of(TrustListKind::kItl, inputs_of(sight, sight.state), sight.now));
  if (says(list, contents)) return {};
  return fail(Reason::kTrustListUnfit,
              "the trust list is older than the certificates on record: 'capfctl trust-list build' makes the next one");
}

Status TrustLists::check_mixed() {
  CAPF_LET(const Sight sight, look());
  return sight.site == SiteMode::kMixed ? Status() : check_mixed(sight);
}

}  // namespace capf::service
