#include "capf/ca/issuer.h"

#include <mutex>
#include <vector>

#include <botan/auto_rng.h>

#include "capf/ca/asn1.h"
#include "capf/ca/botan.h"
#include "capf/ca/certificate.h"
#include "capf/ca/profile.h"

namespace capf::ca {
namespace {

/// A signer with the generator that it may keep a reference to.
struct PooledSigner {
  explicit PooledSigner(const Botan::Private_Key& key) : signer(key, random) {}

  Botan::AutoSeeded_RNG random;
  CertificateSigner signer;
};

/// Signers of one key, each lent to one thread at a time: two threads on one signer make bad signatures. The pool grows
/// to as many as were ever needed at once.
class SignerPool {
 public:
  explicit SignerPool(const Botan::Private_Key& key) : key_(key) {}

  /// Throws as Botan does.
  std::unique_ptr<PooledSigner> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto signer = std::move(idle_.back());
        idle_.pop_back();
        return signer;
      }
    }
    return std::make_unique<PooledSigner>(key_);
  }
  void give_back(std::unique_ptr<PooledSigner> signer) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(signer));
  }

 private:
  const Botan::Private_Key& key_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PooledSigner>> idle_;
};

class KeyedIssuer final : public Issuer {
 public:
  KeyedIssuer(IssuerRecord record, std::vector<Bytes> chain, std::unique_ptr<SigningKey> key, LscProfile profile,
              std::unique_ptr<Botan::Public_Key> public_key)
      : record_(std::move(record)),
        chain_(std::move(chain)),
        key_(std::move(key)),
        profile_(std::move(profile)),
        public_key_(std::move(public_key)),
        signers_(key_->botan()) {}

  const IssuerRecord& record() const override { return record_; }
  const SigningKey& key() const override { return *key_; }
  const std::vector<Bytes>& chain() const override { return chain_; }

  // 1. plan  2. build and sign  3. parse the result and check it against the plan and the issuer's key
  Result<IssuedLsc> issue(const LscRequest& request, Botan::RandomNumberGenerator& random) const override {
    try {
      CAPF_LET(const CertificatePlan plan, plan_lsc(profile_, request, make_serial(random)));
      CAPF_LET(Bytes der, sign(plan, random));
      CAPF_TRY(check_lsc(der, plan, profile_, *public_key_));
      IssuedLsc lsc;
      lsc.sha256 = sha256(der);
      lsc.der = std::move(der);
      lsc.serial = plan.serial;
      lsc.not_before = plan.not_before;
      lsc.not_after = plan.not_after;
      lsc.shard = shard_of(plan.serial, profile_.shards);
      return lsc;
    } catch (const std::exception& error) {
      return signing_failed("issuing an LSC", error);
    }
  }

 private:
  Result<Bytes> sign(const CertificatePlan& plan, Botan::RandomNumberGenerator& random) const {
    auto signer = signers_.take();
    auto der = build_certificate(plan, signer->signer, random);
    // A signer that has failed may be in any state: do not use it again.
    if (der) signers_.give_back(std::move(signer));
    return der;
  }

  IssuerRecord record_;
  std::vector<Bytes> chain_;
  std::unique_ptr<SigningKey> key_;
  LscProfile profile_;
  std::unique_ptr<Botan::Public_Key> public_key_;
  mutable SignerPool signers_;
};

tl::unexpected<Error> unusable(std::string why, std::string cause = {}) {
  return fail(Reason::kInvalidConfiguration, "the issuer cannot be used: " + std::move(why), std::move(cause));
}

}  // namespace

Result<std::unique_ptr<Issuer>> Issuer::make(IssuerRecord record, std::unique_ptr<SigningKey> key,
                                             const std::string& status_url) {
  LscProfile profile;
  profile.status_url = status_url;
  while (profile.status_url.ends_with('/')) profile.status_url.pop_back();
  if (!profile.status_url.starts_with("http://")) return unusable("the status URL must begin with http://");
  if (profile.status_url.size() > 200) return unusable("the status URL has more than 200 characters");
  profile.issuer_id = record.id;
  profile.shards = record.shards;
  if (record.shards < 1) return unusable("it has no CRL shard");

  const auto facts = read_certificate(record.der);
  if (!facts) return unusable(facts.error().message, facts.error().cause);
  profile.not_before = facts->not_before;
  profile.not_after = facts->not_after;
  std::vector<Bytes> chain{record.der};
  if (!record.chain_der.empty()) {
    CAPF_LET(const std::vector<Bytes> above, split_certificates(record.chain_der, kLongestChain));
    chain.insert(chain.end(), above.begin(), above.end());
    if (chain.size() + 1 > kLongestChain) chain.pop_back();  // the root: relying parties that trust it have it
  }
  try {
    profile.issuer = parse_botan(record.der);
    if (profile.issuer.subject_public_key_info() != key->public_key())
      return unusable("the key is not its certificate's: the keys or the database are another site's");
    if (!profile.issuer.is_CA_cert() || profile.issuer.x509_version() != 3) return unusable("it is no CA certificate");
    if (profile.issuer.subject_key_id().empty()) return unusable("its certificate has no subject key identifier");
    auto public_key = public_key_of(profile.issuer);
    return std::make_unique<KeyedIssuer>(std::move(record), std::move(chain), std::move(key), std::move(profile),
                                         std::move(public_key));
  } catch (const std::exception& error) {
    return unusable("its certificate cannot be read", error.what());
  }
}

}  // namespace capf::ca
