#include "capf/daemon/phone_key_files.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/domain/key_store.h"

namespace capf::daemon {
namespace {

/// The recovery signer signs nothing while the site has its keys.
bool is_in_use(const KeyPurpose& purpose, const std::string& name, const std::string& shown) {
  return &purpose != &recovery_signer_purpose() && name == shown;
}

}  // namespace

Status PhoneKeyFiles::open() {
  watcher_.changed();
  std::error_code error;
  if (std::filesystem::exists(files_.recovery_key(), error)) {
    log_warning("recovery_signer.key_is_here",
                {{"path", files_.recovery_key().string()}, {"words", "take it away, and keep it offline"}});
  }
  CAPF_LET(Contents next, read());
  const Status claimed = claim(next);
  // A standby cannot be written: the primary has the claims of earlier starts.
  if (!claimed && claimed.error().reason != Reason::kDatabaseReadOnly) return fail(claimed.error());
  report_ends(next);
  const std::lock_guard lock(mutex_);
  contents_ = std::make_shared<const Contents>(std::move(next));
  return {};
}

void PhoneKeyFiles::tick() {
  if (!watcher_.changed()) return;
  const Status opened = open();
  if (!opened && opened.error().reason == Reason::kDatabaseUnavailable) {
    watcher_.forget();
    return log_debug("phone_keys.wait", {{"reason", opened.error().reason}});
  }
  if (!opened) return log_error("phone_keys.kept", opened.error());
  log_info("phone_keys.replaced");
}

Result<PhoneKeyFiles::Contents> PhoneKeyFiles::read() const {
  CAPF_TRY(check_purposes(files_));
  Contents found;
  for (const KeyPurpose* purpose : key_purposes()) CAPF_TRY(read_purpose(*purpose, found));
  if (auto chain = read_chain(files_, kWireEc)) {
    found.certificates.push_back({kWireEc, std::move(chain->front()), {wire_purpose().role}, true});
  }
  std::sort(found.certificates.begin(), found.certificates.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

Status PhoneKeyFiles::read_purpose(const KeyPurpose& purpose, Contents& into) const {
  const bool lists = &purpose == &list_signer_purpose();
  const bool files = &purpose == &file_signer_purpose();
  CAPF_LET(const std::string shown, shown_on(purpose, files_));
  if (lists) into.list_signer = shown;
  if (files) into.file_signer = shown;
  const auto names = names_of(purpose, files_);
  if (!names.empty() && std::find(names.begin(), names.end(), shown) == names.end()) {
    return fail(Reason::kInvalidConfiguration, "the " + purpose.words + " in use is to be " + shown + ", and " +
                                                   files_.certificate(shown).string() + " is not there");
  }
  for (const std::string& name : names) {
    const bool in_use = is_in_use(purpose, name, shown);
    const auto note = [&](const Error& error) -> Status {
      if (in_use) return fail(error);
      // The next one may be on its way from another server, file by file.
      log_warning("phone_keys.unreadable", error);
      return {};
    };
    auto chain = read_chain(files_, name);
    if (!chain) {
      CAPF_TRY(note(chain.error()));
      continue;
    }
    if (lists || (files && in_use)) {
      auto opened = open_signer(name, chain->front());
      if (!opened) CAPF_TRY(note(opened.error()));
      if (opened) into.signers[name] = *std::move(opened);
    }
    into.certificates.push_back({name, std::move(chain->front()), {purpose.role}, in_use});
  }
  return {};
}

Result<std::shared_ptr<const service::PhoneKey>> PhoneKeyFiles::open_signer(const std::string& name,
                                                                            const Bytes& certificate) const {
  // Its file may have another passphrase by now.
  const auto before = signer(*contents(), name);
  if (before && before->certificate == certificate) return before;
  CAPF_LET(Identity identity, open_identity(files_, name, passphrase_, tokens_));
  return std::make_shared<const service::PhoneKey>(service::PhoneKey{
      name, std::move(identity.chain.front()), std::shared_ptr<const ca::SigningKey>(std::move(identity.key))});
}

Status PhoneKeyFiles::claim(const Contents& contents) const {
  if (contents.certificates.empty()) return {};
  return database_.write([&](Transaction& tx) -> Status {
    for (const service::OwnCertificate& own : contents.certificates) {
      CAPF_LET(const auto facts, ca::read_certificate(own.der));
      CAPF_LET(const KeyRecord claimed, tx.keys().claim(facts.key, KeyOwner::kSite, 0));
      if (claimed.owner == KeyOwner::kSite) continue;
      // The wire's keys may have served something else before there were rules for them.
      if (has_role(own.roles, TrustRole::kCapf)) continue;
      return fail(Reason::kKeyReserved, "the key of " + own.name + " is not the site's alone, by the record");
    }
    return {};
  });
}

void PhoneKeyFiles::report_ends(const Contents& contents) const {
  for (const KeyPurpose* purpose : key_purposes()) {
    if (!purpose->ends) continue;
    const bool recovers = purpose == &recovery_signer_purpose();
    std::vector<Expiry> ends;
    for (const service::OwnCertificate& own : contents.certificates) {
      if (!number_of(*purpose, own.name)) continue;
      const auto facts = ca::read_certificate(own.der);
      if (!facts) continue;
      const bool needed = own.in_use || recovers;
      ends.push_back(Expiry{.kind = *purpose->ends,
                            .name = needed ? "" : own.name,
                            .role = {},
                            .not_after = facts->not_after,
                            .renews_at = {},
                            .spare = !needed});
    }
    own_.set(*purpose->ends, std::move(ends));
  }
}

Watcher::Paths PhoneKeyFiles::paths() const {
  Watcher::Paths all{files_.certificate(kWireEc)};
  for (const KeyPurpose* purpose : key_purposes()) {
    all.push_back(files_.shown(purpose->first));
    for (const std::string& name : names_of(*purpose, files_)) {
      all.insert(all.end(), {files_.certificate(name), files_.key(name), files_.uri(name)});
    }
  }
  return all;
}

std::shared_ptr<const PhoneKeyFiles::Contents> PhoneKeyFiles::contents() const {
  const std::lock_guard lock(mutex_);
  return contents_;
}

std::shared_ptr<const service::PhoneKey> PhoneKeyFiles::signer(const Contents& contents,
                                                               const std::string& name) const {
  const auto found = contents.signers.find(name);
  return found == contents.signers.end() ? nullptr : found->second;
}

std::shared_ptr<const service::PhoneKey> PhoneKeyFiles::list_signer() const {
  const auto now = contents();
  return signer(*now, now->list_signer);
}

std::shared_ptr<const service::PhoneKey> PhoneKeyFiles::list_signer(const std::string& name) const {
  return number_of(list_signer_purpose(), name) ? signer(*contents(), name) : nullptr;
}

std::shared_ptr<const service::PhoneKey> PhoneKeyFiles::file_signer() const {
  const auto now = contents();
  return signer(*now, now->file_signer);
}

std::vector<service::OwnCertificate> PhoneKeyFiles::own_certificates() const { return contents()->certificates; }

}  // namespace capf::daemon
