#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>

#include "capf/service/steps.h"
#include "capf/service/trust_list_sight.h"
#include "capf/service/trusted_certificates.h"

// Views of lists, for administrators and monitoring.

namespace capf::service {
namespace {

constexpr std::chrono::hours kStaleBefore{24 * 30};

std::string address_of(const std::optional<files::Ipv4>& address) {
  if (!address) return {};
  return Address::from_octets(*address).to_string();
}

}  // namespace

Result<std::vector<ListGeneration>> TrustLists::list(TrustListKind kind, const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.trust_lists().list(kind, page); });
}

Result<PublishedList> TrustLists::find(TrustListKind kind, std::optional<std::int64_t> generation, ListDigest digest) {
  return in_read(database_, [&](Transaction& tx) -> Result<PublishedList> {
    std::int64_t wanted = generation.value_or(0);
    if (!generation) {
      CAPF_LET(wanted, tx.trust_lists().newest(kind));
    }
    CAPF_LET(auto list, tx.trust_lists().find(kind, wanted, digest));
    if (!list) return fail(Reason::kUnknownTrustList);
    return *std::move(list);
  });
}

/// A certificate of both lists is named once.
std::vector<std::string> TrustLists::stale(const Sight& sight) const {
  std::vector<std::string> words;
  const auto add = [&](std::string sentence) {
    if (std::find(words.begin(), words.end(), sentence) == words.end()) words.push_back(std::move(sentence));
  };
  for (const auto& [kind, present] : sight.present) {
    const auto list = read_list(present);
    if (!list) continue;
    for (const files::Record& record : list->records) {
      if (!record.certificate || record.certificate->not_after() > sight.now + kStaleBefore) continue;
      add("a certificate of the trust list ends at " + to_rfc3339(record.certificate->not_after()) + ": " +
          record.certificate->subject());
    }
  }
  if (sight.state.signer && !signer_of(*sight.state.signer)) {
    add("this server does not have the key that signs trust lists, " + to_hex(*sight.state.signer));
  }
  if (sight.state.next_signer && !signer_of(*sight.state.next_signer)) {
    add("this server does not have the key that is to sign trust lists next, " + to_hex(*sight.state.next_signer));
  }
  return words;
}

Result<std::vector<std::string>> TrustLists::warnings() {
  CAPF_LET(const Sight sight, look());
  std::vector<std::string> words = stale(sight);
  if (sight.site == SiteMode::kMixed) {
    if (const Status fit = check_mixed(sight); !fit) words.push_back("the site is mixed, and " + fit.error().message);
  }
  const std::lock_guard lock(mutex_);
  if (fault_) words.push_back("the next trust list is not published: " + fault_->message);
  return words;
}

Result<ListView> TrustLists::view_of(Transaction& tx, const Sight& sight, const PublishedList& present) const {
  ListView view{.sha512 = present, .sha1 = {}, .records = {}, .reach = {}};
  CAPF_LET(auto sha1, tx.trust_lists().find(present.kind, present.generation, ListDigest::kSha1));
  if (sha1) view.sha1 = *std::move(sha1);
  CAPF_LET(const auto fetches, tx.trust_lists().fetches(present.kind));
  CAPF_LET(const auto listed, tx.trust_lists().listed(present.kind));
  view.reach = reach_of(present.kind, present.generation, fetches);
  const auto own = keys_.own_certificates();
  CAPF_LET(const files::TrustList list, read_list(present));
  for (const files::Record& record : list.records) {
    ListRecord& shown = view.records.emplace_back();
    shown.role = record.role;
    shown.dns = record.dns;
    shown.address = address_of(record.address);
    shown.reach = view.reach;
    if (!record.certificate) continue;
    shown.sha256 = sha256(record.certificate->der());
    shown.subject = record.certificate->subject();
    shown.not_after = record.certificate->not_after();
    for (const ListedSince& each : listed) {
      if (each.sha256 == *shown.sha256) shown.reach = reach_of(present.kind, each.generation, fetches);
    }
    if (const OwnCertificate* its = find_own(own, *shown.sha256)) {
      shown.name = its->name;
      shown.in_use = shown.role == TrustRole::kSast ? shown.sha256 == sight.state.signer : its->in_use;
    }
    for (const TrustedCertificate& other : sight.trusted) {
      if (other.sha256 == *shown.sha256) shown.in_use = shown.in_use || other.activated_at.has_value();
    }
  }
  return view;
}

std::vector<std::string> TrustLists::next_steps(const Sight& sight, const ListsView& view) const {
  std::vector<std::string> steps;
  if (sight.state.released) steps.emplace_back("phones are let go: 'capfctl trust-list build' ends that");
  const auto own = keys_.own_certificates();
  if (sight.state.next_signer) {
    steps.push_back(
        "step 2 of 2 of the list signer: once phones have fetched the list with both, 'capfctl trust-list "
        "signer replace --step' signs with " +
        to_hex(*sight.state.next_signer) + " alone");
  }
  for (const OwnCertificate& each : own) {
    const bool other = sight.state.signer && each.name != kRecoverySigner && sha256(each.der) != sight.state.signer;
    if (sight.state.next_signer || !other || !has_role(each.roles, TrustRole::kSast)) continue;
    steps.push_back(each.in_use
                        ? each.name +
                              " is the list signer of this server, and another one is on record: "
                              "'capfd list-signer activate' takes that one"
                        : "step 1 of 2 of the list signer: 'capfctl trust-list signer replace' adds " + each.name +
                              "; one that was replaced can be removed with 'capfd list-signer "
                              "remove'");
  }
  std::vector<Sha256> told;
  for (const ListView& list : view.lists) {
    for (const ListRecord& record : list.records) {
      const bool own_signer = !record.name.empty() && record.role == TrustRole::kSast;
      if (!record.sha256 || record.in_use || own_signer) continue;
      if (std::find(told.begin(), told.end(), *record.sha256) != told.end()) continue;
      told.push_back(*record.sha256);
      steps.push_back((record.name.empty() ? to_hex(*record.sha256) : record.name) +
                      " is not in use: " + words_of(record.reach) + "; activate it, or remove it");
    }
  }
  return steps;
}

Result<ListsView> TrustLists::show() {
  return in_read(database_, [&](Transaction& tx) -> Result<ListsView> {
    CAPF_LET(const Sight sight, look(tx));
    ListsView view;
    view.state = sight.state;
    for (const auto& [kind, present] : sight.present) {
      CAPF_LET(auto list, view_of(tx, sight, present));
      view.lists.push_back(std::move(list));
    }
    view.stale = stale(sight);
    view.next = next_steps(sight, view);
    return view;
  });
}

Status sum_up_lists(Transaction& tx, Summary& summary) {
  std::map<Sha256, Expiry> ends;
  for (const TrustListKind kind : kTrustListKinds) {
    CAPF_LET(const auto present, present_list(tx, kind));
    if (!present) continue;
    summary.trust_lists.emplace(kind, present->generation);
    const auto list = read_list(*present);
    if (!list) continue;
    for (const files::Record& record : list->records) {
      if (!record.certificate) continue;
      ends.emplace(sha256(record.certificate->der()), Expiry{.kind = ExpiryKind::kTrustList,
                                                             .name = record.certificate->subject(),
                                                             .role = {},
                                                             .not_after = record.certificate->not_after()});
    }
  }
  for (auto& [sha, expiry] : ends) summary.expiries.push_back(std::move(expiry));
  return {};
}

}  // namespace capf::service
