#include "capf/ca/recheck.h"

#include <algorithm>
#include <array>
#include <memory>

#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/x509v3.h>

#include "capf/ca/openssl.h"
#include "capf/ca/path.h"

namespace capf::ca {
namespace {

constexpr std::size_t kSerialOctets = 16;
constexpr std::size_t kLargest = 2048;
constexpr int kSmallestRsa = 1024;
constexpr int kLargestRsa = 4096;

using BigNumber = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using BasicConstraints = std::unique_ptr<BASIC_CONSTRAINTS, Freed<BASIC_CONSTRAINTS_free>>;
using BitString = std::unique_ptr<ASN1_BIT_STRING, Freed<ASN1_BIT_STRING_free>>;
using OctetString = std::unique_ptr<ASN1_OCTET_STRING, Freed<ASN1_OCTET_STRING_free>>;
using Purposes = std::unique_ptr<EXTENDED_KEY_USAGE, Freed<EXTENDED_KEY_USAGE_free>>;
using AuthorityKey = std::unique_ptr<AUTHORITY_KEYID, Freed<AUTHORITY_KEYID_free>>;
using CrlPoints = std::unique_ptr<CRL_DIST_POINTS, Freed<CRL_DIST_POINTS_free>>;
using AuthorityAccess = std::unique_ptr<AUTHORITY_INFO_ACCESS, Freed<AUTHORITY_INFO_ACCESS_free>>;

std::string text_of(const ASN1_STRING* string) {
  return string == nullptr ? std::string()
                           : std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                                         static_cast<std::size_t>(ASN1_STRING_length(string)));
}

TimePoint time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  const std::chrono::year_month_day day{std::chrono::year(parts.tm_year + 1900),
                                        std::chrono::month(static_cast<unsigned>(parts.tm_mon + 1)),
                                        std::chrono::day(static_cast<unsigned>(parts.tm_mday))};
  return std::chrono::sys_days(day) + std::chrono::hours(parts.tm_hour) + std::chrono::minutes(parts.tm_min) +
         std::chrono::seconds(parts.tm_sec);
}

std::string url_of(const GENERAL_NAME* name) {
  if (name == nullptr || name->type != GEN_URI) return {};
  return text_of(name->d.uniformResourceIdentifier);
}

/// A certificate under check, with the faults found.
class Reading {
 public:
  Reading(X509* lsc, X509* issuer, const ExpectedLsc& expected) : lsc_(lsc), issuer_(issuer), expected_(expected) {}

  std::vector<Fault> faults() {
    if (X509_get_version(lsc_) != X509_VERSION_3) find("VERSION", "it is not of version 3");
    check_issuer();
    check_subject();
    check_serial();
    check_validity();
    check_key();
    check_extensions();
    check_addresses();
    return std::move(faults_);
  }

 private:
  void find(const char* what, std::string words) { faults_.push_back({what, std::move(words)}); }

  template <class Pointer>
  Pointer extension(int nid) const {
    return Pointer(static_cast<typename Pointer::pointer>(X509_get_ext_d2i(lsc_, nid, nullptr, nullptr)));
  }

  void check_issuer() {
    if (issuer_ == nullptr) return find("ISSUER", "its issuer is not on record");
    EVP_PKEY* key = X509_get0_pubkey(issuer_);
    if (key == nullptr || X509_verify(lsc_, key) != 1) find("SIGNATURE", "its issuer's key has not signed it");
    int digest = NID_undef;
    if (X509_get_signature_info(lsc_, &digest, nullptr, nullptr, nullptr) != 1 ||
        (digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512)) {
      find("SIGNATURE", "it is not signed with SHA-256, SHA-384 or SHA-512");
    }
    if (X509_NAME_cmp(X509_get_issuer_name(lsc_), X509_get_subject_name(issuer_)) != 0) {
      find("ISSUER", "it names another issuer than the one on record");
    }
    const AuthorityKey authority = extension<AuthorityKey>(NID_authority_key_identifier);
    const ASN1_OCTET_STRING* above = X509_get0_subject_key_id(issuer_);
    if (!authority || authority->keyid == nullptr || above == nullptr ||
        ASN1_OCTET_STRING_cmp(authority->keyid, above) != 0) {
      find("KEY_IDENTIFIER", "its authority key identifier is not its issuer's");
    }
  }

  void check_subject() {
    const X509_NAME* subject = X509_get_subject_name(lsc_);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const std::string name = at < 0 ? "" : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    // plain: the device's name; Cisco's form: a model, a hyphen, and the device's name
    const std::string tail = '-' + expected_.device;
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0 ||
        (name != expected_.device && (name.size() <= tail.size() || !name.ends_with(tail)))) {
      find("SUBJECT", "its common name is not the device " + expected_.device);
    }
  }

  void check_serial() {
    const BigNumber number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(lsc_), nullptr));
    Bytes octets(number ? static_cast<std::size_t>(BN_num_bytes(number.get())) : 0);
    if (number) BN_bn2bin(number.get(), octets.data());
    if (!number || BN_is_negative(number.get()) != 0 || octets.size() != kSerialOctets) {
      find("SERIAL", "its serial number is not a positive one of 16 octets");
    }
    if (octets != expected_.serial) find("SERIAL", "its serial number is not the one on record");
    // RFC 5280 leaves the sharding to the CA: ours is by the last two octets.
    const std::size_t size = octets.size();
    const int tail = size < 2 ? 0 : octets[size - 2] << 8 | octets[size - 1];
    if (expected_.shards < 1 || expected_.shard != tail % expected_.shards) {
      find("SHARD", "it is not in the shard of the CRL that its serial number belongs to");
    }
  }

  void check_validity() {
    const TimePoint begin = time_of(X509_get0_notBefore(lsc_));
    const TimePoint end = time_of(X509_get0_notAfter(lsc_));
    if (begin != expected_.not_before || end != expected_.not_after) {
      find("VALIDITY", "its validity is not the one on record");
    }
    if (begin >= end) find("VALIDITY", "it ends before it begins");
    if (issuer_ != nullptr &&
        (begin < time_of(X509_get0_notBefore(issuer_)) || end > time_of(X509_get0_notAfter(issuer_)))) {
      find("VALIDITY", "it is valid longer than its issuer");
    }
  }

  void check_key() {
    const Bytes spki = encode_der(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(lsc_));
    if (sha256(spki) != expected_.key_sha256) find("KEY", "its key is not the one on record");
    EVP_PKEY* key = X509_get0_pubkey(lsc_);
    if (key == nullptr) return find("KEY", "its key cannot be read");
    const int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
      if (bits < kSmallestRsa || bits > kLargestRsa) find("KEY", "its key has a size that is not offered");
    } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
      char group[64] = "";
      EVP_PKEY_get_group_name(key, group, sizeof group, nullptr);
      const std::array curves{"prime256v1", "secp384r1", "secp521r1"};
      if (std::none_of(curves.begin(), curves.end(), [&](const char* curve) { return std::string(curve) == group; })) {
        find("KEY", "its key is on a curve that is not offered");
      }
    } else {
      find("KEY", "its key is neither RSA nor EC");
    }
    const int wanted = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? expected_.rsa_bits : expected_.ec_bits;
    if (expected_.rsa_bits + expected_.ec_bits != 0 && bits != wanted) {
      find("KEY_POLICY", "its key is not what its operation asked for");
    }
    check_usage(EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA);
  }

  void check_usage(bool rsa) {
    // RFC 5280 4.2.1.3, RFC 5480 3
    const std::uint32_t wanted = KU_DIGITAL_SIGNATURE | (rsa ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT);
    if (X509_get_key_usage(lsc_) != wanted) find("KEY_USAGE", "its key usage is not that of an LSC");
  }

  void check_extensions() {
    struct Wanted {
      int nid;
      bool critical;
    };
    const std::array wanted{Wanted{NID_basic_constraints, true},
                            Wanted{NID_key_usage, true},
                            Wanted{NID_ext_key_usage, false},
                            Wanted{NID_subject_key_identifier, false},
                            Wanted{NID_authority_key_identifier, false},
                            Wanted{NID_crl_distribution_points, false},
                            Wanted{NID_info_access, false}};
    std::array<int, wanted.size()> seen{};
    for (int i = 0; i < X509_get_ext_count(lsc_); ++i) {
      X509_EXTENSION* found = X509_get_ext(lsc_, i);
      const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(found));
      const auto at = std::find_if(wanted.begin(), wanted.end(), [&](const Wanted& one) { return one.nid == nid; });
      if (at == wanted.end()) {
        find("EXTENSIONS", "it has an extension that an LSC has not: " + std::string(OBJ_nid2sn(nid)));
        continue;
      }
      ++seen[static_cast<std::size_t>(at - wanted.begin())];
      if ((X509_EXTENSION_get_critical(found) != 0) != at->critical) {
        find("EXTENSIONS", std::string(OBJ_nid2sn(nid)) + (at->critical ? " is not critical" : " is critical"));
      }
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (seen[i] != 1) {
        find("EXTENSIONS", std::string(OBJ_nid2sn(wanted[i].nid)) + (seen[i] == 0 ? " is missing" : " is there twice"));
      }
    }
    const BasicConstraints constraints = extension<BasicConstraints>(NID_basic_constraints);
    if (!constraints || constraints->ca != 0 || constraints->pathlen != nullptr) {
      find("BASIC_CONSTRAINTS", "it is marked as a CA");
    }
    const Purposes purposes = extension<Purposes>(NID_ext_key_usage);
    std::vector<int> nids;
    for (int i = 0; purposes && i < sk_ASN1_OBJECT_num(purposes.get()); ++i) {
      nids.push_back(OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes.get(), i)));
    }
    std::sort(nids.begin(), nids.end());
    std::vector<int> lscs{NID_server_auth, NID_client_auth, NID_ipsecEndSystem};
    std::sort(lscs.begin(), lscs.end());
    if (nids != lscs) find("EXTENDED_KEY_USAGE", "its purposes are not those of an LSC");
    if (X509_get0_subject_key_id(lsc_) == nullptr) find("KEY_IDENTIFIER", "it has no subject key identifier");
  }

  // http://HOST:PORT/crl/<issuer>/<shard>.crl, …/ocsp, …/ca/<issuer>.cer
  void check_addresses() {
    const std::string id = std::to_string(expected_.issuer_id);
    const CrlPoints points = extension<CrlPoints>(NID_crl_distribution_points);
    std::string crl;
    if (points && sk_DIST_POINT_num(points.get()) == 1) {
      const DIST_POINT* point = sk_DIST_POINT_value(points.get(), 0);
      if (point->distpoint != nullptr && point->distpoint->type == 0 && point->reasons == nullptr &&
          sk_GENERAL_NAME_num(point->distpoint->name.fullname) == 1) {
        crl = url_of(sk_GENERAL_NAME_value(point->distpoint->name.fullname, 0));
      }
    }
    std::string ocsp;
    std::string above;
    const AuthorityAccess access = extension<AuthorityAccess>(NID_info_access);
    const int count = access ? sk_ACCESS_DESCRIPTION_num(access.get()) : 0;
    for (int i = 0; i < count; ++i) {
      const ACCESS_DESCRIPTION* one = sk_ACCESS_DESCRIPTION_value(access.get(), i);
      if (OBJ_obj2nid(one->method) == NID_ad_OCSP) ocsp = url_of(one->location);
      if (OBJ_obj2nid(one->method) == NID_ad_ca_issuers) above = url_of(one->location);
    }
    const std::string path = "/crl/" + id + '/' + std::to_string(expected_.shard) + ".crl";
    const std::string base = crl.ends_with(path) ? crl.substr(0, crl.size() - path.size()) : "";
    if (base.size() <= 7 || !base.starts_with("http://")) {
      return find("ADDRESSES", "its CRL distribution point is not that of its shard");
    }
    if (count != 2 || ocsp != base + "/ocsp" || above != base + "/ca/" + id + ".cer") {
      find("ADDRESSES", "its authority information does not stand beside its CRL");
    }
  }

  X509* lsc_;
  X509* issuer_;
  const ExpectedLsc& expected_;
  std::vector<Fault> faults_;
};

}  // namespace

std::vector<Fault> recheck_lsc(BytesView der, const ExpectedLsc& expected) {
  const ErrorQueue errors;
  const X509Ptr lsc = parse_x509(der);
  if (!lsc) return {{"UNREADABLE", "it is not a certificate in DER"}};
  const X509Ptr issuer = expected.issuer.empty() ? X509Ptr() : parse_x509(expected.issuer);
  auto faults = Reading(lsc.get(), issuer.get(), expected).faults();
  if (faults.empty()) {
    std::vector<Bytes> above{expected.issuer};
    above.insert(above.end(), expected.above.begin(), expected.above.end());
    for (const PathPurpose purpose : {PathPurpose::kTlsServer, PathPurpose::kTlsClient}) {
      const auto why = path_fault(der, above, purpose, std::nullopt);
      if (why && faults.empty()) faults.push_back({"PATH", "it " + *why});
    }
  }
  if (der.size() > kLargest) faults.push_back({"SIZE", "it is larger than phones can hold"});
  return faults;
}

}  // namespace capf::ca
