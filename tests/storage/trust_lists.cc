#include "capf/service/trust_lists.h"

#include <catch2/catch.hpp>

#include "capf/service/trusted_certificates.h"
#include "tests/support/data.h"
#include "tests/support/expect.h"
#include "tests/support/phone_keys.h"
#include "tests/support/site.h"

// The trust lists of phones, from what is on record to what phones get. The certificates of tests/data/phone-files are
// valid from November 2026 on.

using namespace capf;
using namespace capf::test;
using service::SignerStep;

namespace {

constexpr auto kItl = TrustListKind::kItl;
constexpr auto kCtl = TrustListKind::kCtl;

Bytes certificate(const std::string& name) { return read_der("phone-files/certs/" + name + ".crt"); }

struct ListSite : Site {
  ListSite() { keys.add_all(); }

  /// Publishes what is due. @return the kinds, "itl ctl"
  std::string keep() {
    const auto kept = must(lists.keep());
    std::string kinds;
    for (const service::BuiltList& built : kept.value().lists) {
      kinds += (kinds.empty() ? "" : " ") + std::string(to_string(built.list.kind));
    }
    return kinds;
  }
  PublishedList newest(TrustListKind kind, ListDigest digest = ListDigest::kSha512) {
    return must(lists.find(kind, std::nullopt, digest));
  }
  files::TrustList read(TrustListKind kind, ListDigest digest = ListDigest::kSha512) {
    return must(files::read_trust_list(newest(kind, digest).octets, service::list_kind(kind)));
  }
  /// Its records as "sast capf tvs", those without a certificate in brackets.
  std::string roles(TrustListKind kind) {
    std::string text;
    for (const files::Record& record : read(kind).records) {
      const std::string role(to_string(record.role));
      text += (text.empty() ? "" : " ") + (record.certificate ? role : "(" + role + ")");
    }
    return text;
  }
  Sha256 add(const std::string& name, TrustRoles roles) {
    return must(trusted.add(administrator, {.file = read_data("phone-files/certs/" + name + ".crt"),
                                            .roles = std::move(roles),
                                            .dns = "sip.example.org",
                                            .address = must(Address::parse("192.0.2.11"))}))
        .certificate.sha256;
  }
  /// As the file service notes it.
  void fetched(const DeviceName& device, std::int64_t generation) {
    sql("insert into phone_fetches (phone_id, itl_generation, fetched_at) select id, " + std::to_string(generation) +
        ", now() from phones where device = '" + device.text() +
        "' on conflict (phone_id) do update set itl_generation = excluded.itl_generation");
  }
  std::optional<service::PhoneFile> open(const std::string& name) {
    return must(lists.open(files::parse_file_name(name).value()));
  }
  std::string generation_for(const DeviceName& device) {
    return must(lists.open({.wanted = files::Wanted::kTrustList, .device = device})).value().generation;
  }
  std::string audited(const std::string& action) {
    return value("select count(*) from audit_events where action = '" + action + "'");
  }

  PhoneKeysInMemory keys;
  SystemClock clock;
  service::TrustLists lists{database(), keys, policy, high_water, Botan::system_rng(), clock};
  service::TrustedCertificates trusted{database()};
};

}  // namespace

TEST_CASE("a list is published once for what is on record, signed under both digests, and again when that changes") {
  ListSite site;
  CHECK(site.keep() == "itl");
  CHECK(site.roles(kItl) == "sast sast tftp tftp tvs capf");
  CHECK(site.keep().empty());
  CHECK(site.audited("trust_list.publish") == "1");
  CHECK(refused(site.lists.find(kCtl, std::nullopt, ListDigest::kSha512)) == Reason::kUnknownTrustList);

  const files::TrustList list = site.read(kItl);
  CHECK(list.records[list.signer].certificate->der() == certificate("sast_a"));
  CHECK(list.header.https);
  CHECK(list.header.digest == files::Digest::kSha512);
  CHECK(site.read(kItl, ListDigest::kSha1).header.digest == files::Digest::kSha1);
  CHECK(site.newest(kItl, ListDigest::kSha1).generation == 1);

  const Sha256 ccm = site.add("ccm", {TrustRole::kCcm});
  site.add("app_ec", {TrustRole::kAppServer});
  must(site.trusted.add(site.administrator, {.file = read_data("phone-files/certs/app_521.crt"),
                                             .roles = {TrustRole::kAppServer},
                                             .dns = {},
                                             .address = {},
                                             .vouch_only = true}));
  CHECK(site.keep() == "itl");
  CHECK(site.roles(kItl) == "sast sast tftp tftp tvs capf ccm app-server");
  CHECK(site.read(kItl).records[6].dns == "sip.example.org");
  CHECK(site.newest(kItl).generation == 2);
  must(site.trust.block(site.administrator, {read_data("phone-files/certs/ccm.crt")}));
  CHECK(site.keep() == "itl");
  CHECK(site.roles(kItl) == "sast sast tftp tftp tvs capf app-server");

  const auto view = must(site.lists.show());
  REQUIRE(view.lists.size() == 1);
  CHECK(view.lists[0].sha512.sha1 == site.newest(kItl).sha1);
  CHECK(view.lists[0].sha1.sha1 == site.newest(kItl, ListDigest::kSha1).sha1);
  CHECK(view.lists[0].records[0].name == "list-signer");
  CHECK(view.lists[0].records[6].reach.generation == 2);
  CHECK(must(site.lists.list(kItl, {.after = 1, .limit = 1})).at(0).generation == 2);
  CHECK(must(site.lists.list(kItl, {.after = 3, .limit = 1})).empty());
  CHECK(must(site.lists.activate(site.administrator, to_hex(ccm), false)).reach.empty());
  site.fetched(site.add_phones(1).front(), 3);
  CHECK(refused(site.lists.activate(site.administrator, to_hex(ccm), false)) == Reason::kTrustListUnfit);
}

TEST_CASE("a site without a list signer has no lists, and no file") {
  ListSite site;
  site.keys.own.clear();
  site.keys.signers.clear();
  CHECK_FALSE(must(site.lists.keep()));
  CHECK_FALSE(site.open("ITLFile.tlv"));
  CHECK(refused(site.lists.build(site.administrator, false, false)) == Reason::kListSignerAbsent);
  CHECK(must(site.lists.warnings()).empty());
  CHECK(must(site.lists.show()).lists.empty());
}

TEST_CASE("a server whose database is behind publishes no list, because it may have forgotten what was removed") {
  ListSite site;
  site.high_water.report(site.high_water.epoch(), "seals", "seal 7");
  CHECK(refused(site.lists.keep()) == Reason::kDatabaseBehind);
  CHECK(must(site.lists.warnings()).empty());
  CHECK(refused(site.lists.build(site.administrator, false, true)) == Reason::kDatabaseBehind);
  CHECK(must(site.lists.build(site.administrator, true, false)).lists.size() == 1);
  CHECK(refused(site.lists.find(kItl, std::nullopt, ListDigest::kSha512)) == Reason::kUnknownTrustList);
  site.high_water.begin_anew();
  CHECK(site.keep() == "itl");
}

TEST_CASE("a mixed site has a CTL too, whose SIP servers have no certificate once the site is nonsecure again") {
  ListSite site;
  site.add("ccm", {TrustRole::kCcmTftp});
  must(site.profiles.set_site_mode(site.administrator, SiteMode::kMixed));
  CHECK(site.keep() == "itl ctl");
  CHECK(site.roles(kCtl) == "sast sast tftp tftp capf ccm+tftp");
  must(site.profiles.set_site_mode(site.administrator, SiteMode::kNonsecure));
  CHECK(site.keep() == "ctl");
  CHECK(site.roles(kCtl) == "sast sast tftp tftp capf (ccm+tftp)");
  CHECK(site.read(kCtl).records[5].dns == "sip.example.org");
}

TEST_CASE("a phone gets the list under the digest that its model and its settings take") {
  ListSite site;
  site.keep();
  const DeviceName old_phone = must(DeviceName::parse("SEP000000007965"));
  must(site.phones.add(site.administrator, {old_phone}, "CP-7965G"));
  const DeviceName phone = must(DeviceName::parse("SEP000000008861"));
  must(site.phones.add(site.administrator, {phone}, "CP-8861"));
  const Bytes sha1 = site.newest(kItl, ListDigest::kSha1).octets;
  const Bytes sha512 = site.newest(kItl).octets;
  CHECK(*site.open("ITLSEP000000007965.tlv")->octets == sha1);
  CHECK(*site.open("ITLSEP000000008861.tlv")->octets == sha512);
  CHECK(*site.open("ITLFile.tlv")->octets == sha512);
  CHECK(site.open("ITLFile.tlv")->generation == "1");
  CHECK(site.open("ITLSEP000000007965.tlv")->generation == "01");
  CHECK_FALSE(site.open("ITLSEP000000000001.tlv"));
  CHECK_FALSE(site.open("CTLFile.tlv"));
  CHECK_FALSE(site.open("SEP000000008861.cnf.xml"));
  site.policy.files_digest = FileDigest::kSha1;
  CHECK(*site.open("ITLFile.tlv")->octets == sha1);
  CHECK(digest_of(FileDigest::kSha512, "CP-7965G") == ListDigest::kSha512);
}

TEST_CASE("servers publish the same octets, and of two at once one") {
  ListSite site;
  service::TrustLists other{site.database(), site.keys, site.policy, site.high_water, Botan::system_rng(), site.clock};
  site.keep();
  CHECK(must(other.keep())->lists.empty());
  CHECK(must(other.find(kItl, std::nullopt, ListDigest::kSha512)).octets == site.newest(kItl).octets);
  // Another server was quicker.
  const auto add = [&](std::int64_t generation) {
    PublishedList list = site.newest(kItl);
    list.generation = generation;
    return site.database().write([&](Transaction& tx) { return tx.trust_lists().add(list); });
  };
  CHECK(add(1).error().reason == Reason::kChangedMeanwhile);
  CHECK(add(2));
}

TEST_CASE("the time in a list never goes back") {
  ListSite site;
  site.keep();
  const TimePoint ahead = site.newest(kItl).made_at + std::chrono::hours{1};
  PublishedList list = site.newest(kItl);
  const auto key = site.keys.list_signer();
  const auto signer = must(files::Certificate::read(key->certificate));
  std::vector<files::Listed> listed{{certificate("sast_a"), {TrustRole::kSast}},
                                    {certificate("capf"), {TrustRole::kCapf}}};
  list.octets = must(files::build_trust_list({.kind = files::ListKind::kItl, .made_at = ahead}, listed,
                                             {signer, *key->key, Botan::system_rng()}));
  list.generation = 2;
  must(site.database().write([&](Transaction& tx) { return tx.trust_lists().add(list); }));
  CHECK(site.keep() == "itl");
  CHECK(site.newest(kItl).generation == 3);
  CHECK(site.read(kItl).header.made_at == ahead);
}

TEST_CASE("a list that phones cannot follow is published by force alone, and says what is to be done at each phone") {
  ListSite site;
  site.keep();
  site.keys.own.erase(site.keys.own.begin());
  site.keys.signers.clear();
  site.keys.add("list-signer", "sast_4096", TrustRole::kSast);
  CHECK(refused(site.lists.keep()) == Reason::kListSignerAbsent);
  CHECK_THAT(must(site.lists.warnings()).at(0), Catch::Contains("does not have the key that signs trust lists"));
  CHECK(refused(site.lists.build(site.administrator, false, false)) == Reason::kListSignerAbsent);
  const auto tried = must(site.lists.build(site.administrator, true, true));
  CHECK_FALSE(tried.published);
  CHECK(site.newest(kItl).generation == 1);
  const auto built = must(site.lists.build(site.administrator, false, true));
  REQUIRE(built.lists.size() == 1);
  CHECK_FALSE(built.lists[0].followed);
  CHECK_THAT(built.lists[0].warnings.back(), Catch::Contains("by hand"));
  CHECK(site.newest(kItl).generation == 2);
  CHECK(site.newest(kItl).signer == sha256(certificate("sast_4096")));
  CHECK(site.audited("trust_list.build") == "1");
  CHECK(site.keep().empty());
}

TEST_CASE("the recovery signer's key brings a site back whose list signer is lost") {
  ListSite site;
  site.keep();
  const files::TrustList before = site.read(kItl);
  site.keys.own.erase(site.keys.own.begin());
  site.keys.signers.clear();
  site.keys.add("list-signer", "sast_4096", TrustRole::kSast);
  const auto wrong = PhoneKeysInMemory::key_of("x", "sast_4096")->key;
  CHECK(refused(site.lists.recover(site.administrator, wrong)) == Reason::kInvalidRequest);
  const auto key = PhoneKeysInMemory::key_of("recovery-signer", "sast_b")->key;
  must(site.lists.recover(site.administrator, key));
  const files::TrustList recovered = site.read(kItl);
  CHECK(files::follows(before, recovered));
  CHECK(site.keep().empty());
  site.add("ccm", {TrustRole::kCcm});
  CHECK(site.keep() == "itl");
  CHECK(site.newest(kItl).signer == sha256(certificate("sast_4096")));
  CHECK(files::follows(recovered, site.read(kItl)));
  CHECK_FALSE(files::follows(before, site.read(kItl)));
}

TEST_CASE("the list signer is replaced in two lists, the second when enough phones have the first") {
  ListSite site;
  const auto devices = site.add_phones(10);
  site.keep();
  const files::TrustList first = site.read(kItl);
  CHECK(refused(site.lists.replace_signer(site.administrator, SignerStep::kBegin, false)) == Reason::kInvalidRequest);
  CHECK(refused(site.lists.replace_signer(site.administrator, SignerStep::kFinish, false)) == Reason::kInvalidRequest);
  site.keys.add("list-signer-2", "sast_4096", TrustRole::kSast, false);
  CHECK(site.keep().empty());  // nobody has asked for it yet
  CHECK_THAT(must(site.lists.show()).next.at(0), Catch::Contains("step 1 of 2"));
  must(site.lists.replace_signer(site.administrator, SignerStep::kBegin, false));
  CHECK(refused(site.lists.replace_signer(site.administrator, SignerStep::kBegin, false)) == Reason::kInvalidRequest);
  const files::TrustList both = site.read(kItl);
  CHECK(both.records[0].certificate->der() == certificate("sast_a"));
  CHECK(both.records[1].certificate->der() == certificate("sast_4096"));
  CHECK(both.signer == 0);
  CHECK_THAT(must(site.lists.show()).next.at(0), Catch::Contains("step 2 of 2"));

  for (const DeviceName& device : devices) site.fetched(device, 1);
  for (std::size_t i = 0; i < 9; ++i) site.fetched(devices[i], 2);
  const auto early = site.lists.replace_signer(site.administrator, SignerStep::kFinish, false);
  CHECK(refused(early) == Reason::kTrustListNotFetched);
  CHECK_THAT(early.error().message, Catch::Contains("9 of 10 phones (90 %)"));
  site.fetched(devices[9], 2);
  must(site.lists.replace_signer(site.administrator, SignerStep::kFinish, false));
  const files::TrustList last = site.read(kItl);
  CHECK(last.records[last.signer].certificate->der() == certificate("sast_4096"));
  CHECK(last.records[1].certificate->der() == certificate("sast_b"));
  CHECK(files::follows(first, both));
  CHECK(files::follows(both, last));
  CHECK_FALSE(files::follows(first, last));
  CHECK(site.keep().empty());
  CHECK(site.audited("trust_list.replace_signer") == "2");

  // A phone that was off for all of it has the first list still.
  const auto served = must(site.lists.serve(site.administrator, devices[0], kItl, 2));
  CHECK(served.newest == 3);
  CHECK(served.next == 3);
  CHECK(site.generation_for(devices[0]) == "2");
  CHECK(site.generation_for(devices[1]) == "3");
  CHECK(must(site.lists.serve(site.administrator, devices[0], kItl, 1)).next == 2);
  CHECK(must(site.lists.serve(site.administrator, devices[0], kItl, 3)).next == 0);
  CHECK(site.generation_for(devices[0]) == "3");
  CHECK(site.value("select count(*) from phone_trust_lists") == "0");
  CHECK(refused(site.lists.serve(site.administrator, devices[0], kItl, 9)) == Reason::kUnknownTrustList);
  CHECK(refused(site.lists.serve(site.administrator, must(DeviceName::parse("SEP9")), kItl, 1)) ==
        Reason::kUnknownDevice);
}

TEST_CASE("a replacement that was begun is taken back") {
  ListSite site;
  site.keep();
  site.keys.add("list-signer-2", "sast_4096", TrustRole::kSast, false);
  must(site.lists.replace_signer(site.administrator, SignerStep::kBegin, false));
  must(site.lists.replace_signer(site.administrator, SignerStep::kCancel, false));
  CHECK(site.read(kItl).records[1].certificate->der() == certificate("sast_b"));
  CHECK_FALSE(must(site.lists.show()).state.next_signer);
}

TEST_CASE("a certificate of others is activated when enough phones have fetched a list with it, or by force") {
  ListSite site;
  const auto devices = site.add_phones(2);
  site.keep();
  const Sha256 ccm = site.add("ccm", {TrustRole::kCcm});
  site.keep();
  site.fetched(devices[0], 2);
  site.fetched(devices[1], 1);
  const std::string name = to_hex(ccm).substr(0, 8);
  CHECK(refused(site.lists.activate(site.administrator, name, false)) == Reason::kTrustListNotFetched);
  CHECK(site.audited("trusted_certificate.activate") == "0");
  const auto forced = must(site.lists.activate(site.administrator, name, true));
  CHECK(forced.reach.at(0).fetched == 1);
  CHECK(forced.reach.at(0).phones == 2);
  CHECK(must(site.trusted.find(ccm))->activated_at);
  site.policy.trust_list_share = 50;
  must(site.lists.activate(site.administrator, name, false));
  // A phone that was removed counts no more.
  must(site.phones.remove(site.administrator, devices[1]));
  site.policy.trust_list_share = 95;
  CHECK(must(site.lists.activate(site.administrator, name, false)).reach.at(0).phones == 1);
  // In other roles it is new to the phones, whatever they have fetched.
  must(site.trusted.remove(site.administrator, name));
  site.add("ccm", {TrustRole::kAppServer});
  site.keep();
  CHECK(refused(site.lists.activate(site.administrator, name, false)) == Reason::kTrustListNotFetched);
  site.fetched(devices[0], 3);
  must(site.lists.activate(site.administrator, name, false));
}

TEST_CASE(
    "a certificate of others that phones' lists have no room for is refused, because they would stay as they are") {
  ListSite site;
  site.keep();
  const std::size_t own = site.read(kItl).records.size();
  site.add("ccm", {TrustRole::kCcm});
  site.sql(
      "insert into trusted_certificates (sha256, der, subject, issuer, serial, not_before, not_after, roles, added_by) "
      "select sha256(n::text::bytea), n::text::bytea, subject, issuer, serial, not_before, not_after, roles, added_by "
      "from trusted_certificates, generate_series(1, " +
      std::to_string(files::kMostListed - own - 1) + ") n");
  const auto add = [&](TrustRoles roles, bool vouch_only) {
    return site.trusted.add(
        site.administrator,
        {.file = read_data("phone-files/certs/app_ec.crt"), .roles = std::move(roles), .vouch_only = vouch_only});
  };
  CHECK(refused(add({TrustRole::kAppServer}, false)) == Reason::kTrustListUnfit);
  CHECK(add({TrustRole::kAppServer}, true));
  site.sql("delete from trusted_certificates where vouch_only or der = '1'");
  CHECK(add({TrustRole::kAppServer}, false));
}

TEST_CASE("phones are let go with a list whose TFTP and TVS entries are empty, until lists are built again") {
  ListSite site;
  site.keep();
  must(site.lists.release(site.administrator));
  CHECK(site.roles(kItl) == "sast sast (tftp) (tvs) capf");
  CHECK_FALSE(site.read(kItl).header.https);
  CHECK(site.keep().empty());
  CHECK(must(site.lists.show()).state.released);
  CHECK(site.audited("trust_list.release") == "1");
  must(site.lists.build(site.administrator, false, false));
  CHECK(site.roles(kItl) == "sast sast tftp tftp tvs capf");
  CHECK_FALSE(must(site.lists.show()).state.released);
  // A single phone is not opened by way of the list that let all go.
  const DeviceName phone = site.add_phones(1).front();
  CHECK(refused(site.lists.serve(site.administrator, phone, kItl, 2)) == Reason::kInvalidRequest);
  CHECK(must(site.lists.serve(site.administrator, phone, kItl, 1)).next == 3);
}

TEST_CASE("no phone gets an older list with a certificate that is blocked, or whose key is") {
  ListSite site;
  const auto devices = site.add_phones(2);
  site.keep();
  const Sha256 ccm = site.add("ccm", {TrustRole::kCcm});
  site.keep();
  must(site.trusted.remove(site.administrator, to_hex(ccm)));
  site.keep();
  must(site.lists.serve(site.administrator, devices[0], kItl, 1));
  must(site.lists.serve(site.administrator, devices[1], kItl, 2));
  const KeyDigests key = must(ca::read_certificate(certificate("ccm"))).key;
  SECTION("the certificate") { must(site.trust.block(site.administrator, {read_data("phone-files/certs/ccm.crt")})); }
  SECTION("the key") { must(site.certificates.revoke_key(site.administrator, key, "it leaked")); }
  CHECK(site.generation_for(devices[0]) == "1");
  CHECK(site.generation_for(devices[1]) == "3");
  CHECK(site.value("select string_agg(subject, ' ' order by id) from audit_events where action = 'trust_list.serve' "
                   "and detail like 'the newest itl, %'") == devices[1].text());
  CHECK(refused(site.lists.serve(site.administrator, devices[1], kItl, 2)) == Reason::kInvalidRequest);
  must(site.lists.serve(site.administrator, devices[1], kItl, 1));
}

TEST_CASE("a server that lacks the file signer or TVS takes them out of no list, unless it is told to") {
  for (const char* name : {"file-signer", "tvs"}) {
    CAPTURE(name);
    ListSite site;
    site.keep();
    std::erase_if(site.keys.own, [&](const auto& own) { return own.name == name; });
    CHECK(refused(site.lists.keep()) == Reason::kTrustListUnfit);
    CHECK(refused(site.lists.build(site.administrator, false, false)) == Reason::kTrustListUnfit);
    CHECK(site.newest(kItl).generation == 1);
    CHECK_THAT(must(site.lists.warnings()).at(0), Catch::Contains("that this server lacks"));
    must(site.lists.build(site.administrator, false, true));
    CHECK(site.newest(kItl).generation == 2);
    CHECK(site.keep().empty());
  }
}

TEST_CASE("a recovery signer that has ended is in no list, and keeps none back") {
  ListSite site;
  const auto contents = [&](std::chrono::hours later) {
    const auto own = files::Certificate::read(certificate("sast_b")).value();
    const service::ListInputs inputs{.own = site.keys.own, .trusted = {}, .signer = sha256(certificate("sast_a"))};
    return must(service::contents_of(kItl, inputs, own.not_after() + later));
  };
  const auto has_it = [&](const service::ListContents& list) {
    return std::any_of(list.listed.begin(), list.listed.end(),
                       [](const files::Listed& listed) { return listed.certificate == certificate("sast_b"); });
  };
  CHECK(has_it(contents(-std::chrono::hours{1})));
  const service::ListContents after = contents(std::chrono::hours{1});
  CHECK_FALSE(has_it(after));
  CHECK(after.listed.front().certificate == certificate("sast_a"));
  CHECK(std::any_of(after.left_out.begin(), after.left_out.end(),
                    [](const std::string& words) { return words.find("it has expired") != std::string::npos; }));
}

TEST_CASE("an IPv6 address that somebody wrote beside a certificate on record keeps no list back") {
  TrustedCertificate other;
  other.der = certificate("ccm");
  other.not_after = files::Certificate::read(other.der).value().not_after();
  other.roles = {TrustRole::kCcm};
  other.address = Address::parse("2001:db8::1").value();
  const service::ListInputs inputs{.own = {}, .trusted = {other}, .signer = {}};
  const auto contents = must(service::contents_of(kItl, inputs, other.not_after - std::chrono::hours{1}));
  REQUIRE(contents.listed.size() == 1);
  CHECK(contents.listed[0].certificate == other.der);
  CHECK_FALSE(contents.listed[0].address);
}

TEST_CASE("a site becomes mixed with a SIP server's certificate, a file signer and a list that is not old") {
  ListSite site;
  const auto why = [&] {
    const Status status = site.lists.check_mixed();
    return status ? std::string() : status.error().message;
  };
  CHECK_THAT(why(), Catch::Contains("phones have no trust list"));
  site.keep();
  CHECK_THAT(why(), Catch::Contains("no certificate of a SIP server"));
  site.add("ccm", {TrustRole::kCcm});
  site.keep();
  CHECK(why().empty());
  site.add("app_ec", {TrustRole::kAppServer});
  CHECK_THAT(why(), Catch::Contains("older than the certificates"));
  CHECK(must(site.lists.warnings()).empty());
  must(site.profiles.set_site_mode(site.administrator, SiteMode::kMixed));
  CHECK(why().empty());
  CHECK_THAT(must(site.lists.warnings()).at(0), Catch::Contains("the site is mixed, and the trust list is older"));
  site.keep();
  CHECK(must(site.lists.warnings()).empty());
}

TEST_CASE("a summary has the lists' generations, and the end of each of their certificates once") {
  ListSite site;
  must(site.profiles.set_site_mode(site.administrator, SiteMode::kMixed));
  site.keep();
  Summary summary;
  must(site.database().read([&](Transaction& tx) { return service::sum_up_lists(tx, summary); }));
  CHECK(summary.trust_lists == std::map<TrustListKind, std::int64_t>{{kItl, 1}, {kCtl, 1}});
  CHECK(summary.expiries.size() == 6);
}

TEST_CASE("a server may read lists and add them, and change none") {
  ListSite site;
  site.keep();
  CHECK_THROWS(site.sql("update trust_lists set made_by = 'x'", "capf_server"));
  CHECK_THROWS(site.sql("delete from trust_lists", "capf_server"));
}
