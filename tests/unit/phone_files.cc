#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <catch2/catch.hpp>

#include "capf/phone/configuration.h"
#include "capf/phone/encrypted.h"
#include "capf/phone/trust_list.h"
#include "capf/phone/vouching.h"

using namespace capf;
using namespace capf::phone;
namespace fs = std::filesystem;

namespace {

Bytes octets(const std::string& path) {
  const fs::path whole = fs::path(CAPF_TEST_DATA) / "phone-files" / path;
  REQUIRE(fs::exists(whole));
  std::ifstream file(whole, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Certificate certificate(const std::string& name) {
  const Bytes pem = octets("certs/" + name + ".crt");
  return Certificate::read(client::parse_certificates(as_text(pem)).value().at(0)).value();
}

client::PrivateKey key(const std::string& name) {
  const Bytes pem = octets("certs/" + name + ".key");
  return client::PrivateKey::parse(as_text(pem)).value();
}

template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? "" : std::string(to_string(result.error().reason));
}

/// As a phone whose list has this certificate as TFTP. @return the header, whose views are into `file`
Result<Header> read_signed(BytesView file, const std::string& name, const Certificate& signer) {
  auto header = read_header(file, name);
  if (header && !header->is_signed_by(signer)) return fail(Reason::kFileSignature);
  return header;
}

Result<Bytes> strip(BytesView file, const std::string& name, const Certificate& signer) {
  CAPF_LET(const Header header, read_signed(file, name, signer));
  if (header.kind != Header::Kind::kSigned) return fail(Reason::kFileMalformed);
  return Bytes(header.body.begin(), header.body.end());
}

Result<Bytes> open(BytesView file, const std::string& name, const Certificate& signer, const client::PrivateKey& with) {
  CAPF_LET(const Header header, read_signed(file, name, signer));
  CAPF_LET(const Secret plain, decrypt(header, with));
  return Bytes(plain.view().begin(), plain.view().end());
}

/// Why a phone does not take a file of tests/data; empty where it does.
std::string judged(const std::string& path) {
  static const Certificate kSigner = certificate("tftp");
  static const client::PrivateKey kKey = key("phone_rsa2048");
  const Bytes file = octets("malformed/" + path);
  if (path.ends_with(".tlv")) return reason_of(read_trust_list(file, "ITLFile.tlv"));
  if (path.ends_with(".enc.sgn")) return reason_of(open(file, "SEP001122334455.cnf.xml.enc.sgn", kSigner, kKey));
  return reason_of(strip(file, "SEP001122334455.cnf.xml.sgn", kSigner));
}

/// The files and what is expected, from the description that came with them.
std::vector<std::pair<std::string, std::string>> expected() {
  const Bytes json = octets("malformed/malformed.json");
  std::string_view text = as_text(json);
  const auto take = [&text](std::string_view name) {
    const std::size_t at = text.find(name);
    if (at == std::string_view::npos) return std::string();
    text.remove_prefix(at + name.size());
    return std::string(text.substr(0, text.find('"')));
  };
  std::vector<std::pair<std::string, std::string>> files;
  for (std::string file = take("\"file\": \""); !file.empty(); file = take("\"file\": \"")) {
    files.emplace_back(std::move(file), take("\"expected\": \""));
  }
  return files;
}

std::vector<Role> roles_of(const TrustList& list) {
  std::vector<Role> roles;
  for (const auto& record : list.records) roles.push_back(record.role);
  return roles;
}

Bytes answer_to(const Bytes& question, const Bytes& elements) {
  Bytes octets(question.begin(), question.begin() + 8);
  octets[2] = static_cast<std::uint8_t>(octets[2] + 1);
  octets.push_back(static_cast<std::uint8_t>(elements.size() >> 8));
  octets.push_back(static_cast<std::uint8_t>(elements.size()));
  octets.insert(octets.end(), elements.begin(), elements.end());
  return octets;
}

}  // namespace

TEST_CASE("a phone judges each wrong file as it should be") {
  const auto files = expected();
  REQUIRE(files.size() == 113);
  for (const auto& [file, outcome] : files) {
    CAPTURE(file);
    CHECK(judged(file).empty() == (outcome == "accept"));
  }
  CHECK(judged("file_name_climbs.tlv") == "FILE_NAME_MISMATCH");
  CHECK(judged("signed_by_stranger.tlv") == "FILE_SIGNATURE");
  CHECK(judged("signed_by_capf.tlv") == "FILE_SIGNATURE");
  CHECK(judged("digest_002.tlv") == "FILE_MALFORMED");
  CHECK(judged("body_changed.sgn") == "FILE_SIGNATURE");
  CHECK(judged("for_another_phone.enc.sgn") == "FILE_MALFORMED");
}

TEST_CASE("a phone reads the lists of other makers") {
  using R = Role;
  const std::map<std::string, std::vector<Role>> lists{
      {"itl/a/ITLFile.tlv", {R::kSast, R::kCcm, R::kCapf, R::kTvs}},
      {"itl/b/ITLFile.tlv",
       {R::kSast, R::kSast, R::kCcm, R::kCcmTftp, R::kTftp, R::kTftp, R::kCapf, R::kAppServer, R::kAppServer, R::kTvs}},
      {"itl/c/ITLSEP001122334455.tlv", {R::kSast, R::kTftp, R::kCapf}},
      {"itl/d/ITLFile.tlv", {R::kSast, R::kCapf}},
      {"itl/e/ITLFile.tlv", {R::kSast, R::kCapf}},
      {"itl/f/ITLFile.tlv", {R::kSast}},
      {"ctl/CTLFile.tlv", {R::kSast, R::kSast, R::kCcmTftp, R::kCapf, R::kAppServer}},
      {"ctl/CTLSEP00AABBCCDDEE.tlv", {R::kSast, R::kSast, R::kCcm, R::kCapf}},
      {"listing_form/mixed_CTLFile.tlv", {R::kSast, R::kCcmTftp, R::kCapf}},
      {"listing_form/nonsecure_CTLFile.tlv", {R::kSast, R::kCcmTftp, R::kCapf}},
  };
  for (const auto& [path, roles] : lists) {
    CAPTURE(path);
    const bool is_ctl = path.find("CTL") != std::string::npos;
    const auto list = read_trust_list(octets(path), is_ctl ? "CTLFile.tlv" : "ITLFile.tlv");
    REQUIRE(list);
    CHECK(roles_of(*list) == roles);
    CHECK(list->https == (path == "itl/b/ITLFile.tlv"));
  }
}

TEST_CASE("no piece of a list is one for a phone, and no bit of it can be flipped unnoticed") {
  Bytes list = octets("itl/f/ITLFile.tlv");
  for (std::size_t size = 0; size < list.size(); ++size) {
    if (read_trust_list({list.begin(), list.begin() + static_cast<std::ptrdiff_t>(size)}, "ITLFile.tlv")) FAIL(size);
  }
  for (std::size_t bit = 0; bit < 8 * list.size(); ++bit) {
    list[bit / 8] = static_cast<std::uint8_t>(list[bit / 8] ^ 1U << bit % 8);
    if (read_trust_list(list, "ITLFile.tlv")) FAIL("bit " << bit);
    list[bit / 8] = static_cast<std::uint8_t>(list[bit / 8] ^ 1U << bit % 8);
  }
}

TEST_CASE("the lists that a phone has say whom it trusts for what") {
  TrustLists lists;
  CHECK_FALSE(lists.wants_signatures());
  lists.itl = read_trust_list(octets("itl/f/ITLFile.tlv"), "ITLFile.tlv").value();
  CHECK_FALSE(lists.wants_signatures());
  CHECK_FALSE(lists.is_released());
  lists.ctl = read_trust_list(octets("listing_form/nonsecure_CTLFile.tlv"), "CTLFile.tlv").value();
  CHECK_FALSE(lists.wants_signatures());
  CHECK_FALSE(lists.is_released());
  CHECK(lists.find({Role::kCcmTftp}).empty());
  lists.itl = read_trust_list(octets("itl/b/ITLFile.tlv"), "ITLFile.tlv").value();
  CHECK(lists.wants_signatures());
  CHECK(lists.https());
  CHECK(lists.has(certificate("tvs"), {Role::kTvs}));
  CHECK_FALSE(lists.has(certificate("tvs"), {Role::kSast, Role::kTftp}));
}

TEST_CASE("an ITL whose servers have no certificates lets a phone go") {
  TrustLists lists;
  lists.itl = read_trust_list(octets("itl/f/ITLFile.tlv"), "ITLFile.tlv").value();
  lists.itl->records.push_back({Role::kTftp, std::nullopt});
  lists.itl->records.push_back({Role::kTvs, std::nullopt});
  CHECK(lists.is_released());
  lists.itl->records.push_back({Role::kTvs, certificate("tvs")});
  CHECK_FALSE(lists.is_released());
}

TEST_CASE("a phone reads signed files of open tools") {
  const std::map<std::string, std::string> files{{"SEP001122334455.cnf.xml", "tftp"},
                                                 {"empty.xml", "tftp"},
                                                 {"New_Zealand/g3-tones.xml", "tftp"},
                                                 {"plain.txt", "ccm"}};
  for (const auto& [name, signer] : files) {
    CAPTURE(name);
    const Bytes file = octets("sgn/" + name + ".sgn");
    const auto content = strip(file, name + ".sgn", certificate(signer));
    REQUIRE(content);
    CHECK(*content == octets("sgn/" + name));
    CHECK(reason_of(strip(file, name + ".sgn", certificate("sast_b"))) == "FILE_SIGNATURE");
    CHECK(reason_of(strip(file, name, certificate(signer))) == "FILE_NAME_MISMATCH");
  }
}

TEST_CASE("a phone opens encrypted files of open tools with its own key alone") {
  const std::map<std::string, std::pair<std::string, std::string>> files{
      {"rsa1024-sha1", {"SEP00AABBCCDDEE", "phone_rsa1024"}},   {"rsa2048-sha1", {"SEP001122334455", "phone_rsa2048"}},
      {"rsa2048-sha512", {"SEP001122334455", "phone_rsa2048"}}, {"rsa4096-sha1", {"SEP001122334466", "phone_rsa4096"}},
      {"pad1", {"SEP001122334455", "phone_rsa2048"}},           {"pad15", {"SEP001122334455", "phone_rsa2048"}},
      {"pad16", {"SEP001122334455", "phone_rsa2048"}}};
  for (const auto& [folder, phone] : files) {
    CAPTURE(folder);
    const std::string name = phone.first + ".cnf.xml.enc.sgn";
    const std::string path = "enc/" + folder + "/";
    const Bytes file = octets(path + name);
    const auto plain = open(file, name, certificate("tftp"), key(phone.second));
    REQUIRE(plain);
    CHECK(*plain == octets(path + "plaintext.xml"));
    CHECK(reason_of(open(file, name, certificate("tftp"), key("tvs"))) == "FILE_MALFORMED");
    CHECK(reason_of(open(file, name, certificate("tftp"), key("phone_ec"))) == "FILE_MALFORMED");
    const Bytes stub = octets("enc/" + folder + "/" + phone.first + ".cnf.xml.sgn");
    const auto text = strip(stub, phone.first + ".cnf.xml.sgn", certificate("tftp"));
    REQUIRE(text);
    const auto says = read_configuration(*text);
    REQUIRE(says);
    CHECK_FALSE(says->full);
    CHECK(says->encrypted);
    CHECK(says->certificate_hash == certificate(phone.second).hash());
  }
}

TEST_CASE("a phone reads in its configuration what it has to do") {
  const auto says = read_configuration(octets("sgn/SEP001122334455.cnf.xml"));
  REQUIRE(says);
  CHECK(says->full);
  CHECK(says->security_mode == 3);
  CHECK(says->transport == 3);
  CHECK(says->capf_mode == 3);
  CHECK(says->capf == std::vector<std::string>{"capf.example.org:3804"});
  CHECK(says->tvs.empty());
  CHECK(says->certificate_hash.empty());
  CHECK_FALSE(says->encrypted);
  CHECK(says->digest_password);
  const auto hosts = read_configuration(as_bytes(
      "<device><TVS><members><member priority='0'><port>2445</port><address>2001:db8::1</address></member>"
      "<member><port>70000</port><address>tvs</address></member><member><port>1</port><address>a b</address></member>"
      "</members></TVS><capfList><capf><phonePort>3804</phonePort><processNodeName></processNodeName></capf></capfList>"
      "</device>"));
  REQUIRE(hosts);
  CHECK(hosts->tvs == std::vector<std::string>{"[2001:db8::1]:2445"});
  CHECK(hosts->capf.empty());
  CHECK_FALSE(hosts->digest_password);
}

TEST_CASE("a phone takes no configuration that could harm it") {
  const auto refused = [](const std::string& xml) {
    return reason_of(read_configuration(as_bytes(xml))) == "PHONE_CONFIGURATION_MALFORMED";
  };
  CHECK_FALSE(refused("<device/>"));
  CHECK(refused(""));
  CHECK(refused("<phone/>"));
  CHECK(refused("<device/><device/>"));
  CHECK(refused("<device>"));
  CHECK(refused("<!DOCTYPE device [<!ENTITY a 'b'>]><device>&a;</device>"));
  CHECK(refused("<device>\xC3\x28</device>"));
  CHECK(refused(std::string("<device>\0</device>", 18)));
  CHECK(refused("<device>" + std::string(kLargestConfiguration, ' ') + "</device>"));
  std::string deep = "<device>";
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  for (int i = 0; i < 100'000; ++i) deep += "</a>";
  CHECK_FALSE(refused(deep + "</device>"));
}

TEST_CASE("a phone reads the answers of TVS to its own questions alone") {
  const Certificate shown = certificate("app_ec");
  const Bytes verify = ask_for_certificate("SEP001122334455", shown);
  CHECK(as_text(verify).find("\1CP-8861-SEP001122334455\2") != std::string_view::npos);
  const Bytes valid{7, 0, 1, 0, 8, 0, 2, 3, 0, 9, 0, 4, 0, 0, 14, 16};
  const auto answer = read_answer(answer_to(verify, valid), verify);
  REQUIRE(answer);
  CHECK(answer->valid);
  CHECK(answer->roles == std::vector<Role>{Role::kTftp, Role::kSast});
  CHECK(answer->has({Role::kTvs, Role::kTftp}));
  CHECK_FALSE(answer->has({Role::kTvs}));
  CHECK_FALSE(read_answer(answer_to(verify, {7, 0, 1, 1}), verify)->valid);

  const Bytes list = octets("itl/c/ITLSEP001122334455.tlv");
  const auto header = read_header(list, "ITLFile.tlv");
  REQUIRE(header);
  const Bytes query = ask_for_signer("SEP001122334455", *header);
  CHECK(as_text(query).find(header->signer + std::string(1, '\0')) != std::string_view::npos);
  const auto malformed = [](const Bytes& octets, const Bytes& question) {
    return reason_of(read_answer(octets, question)) == "MESSAGE_MALFORMED";
  };
  CHECK(malformed(answer_to(query, valid), query));  // a signer's certificate is missing
  CHECK(malformed(answer_to(verify, {7, 0, 1, 0}), verify));
  CHECK(malformed(answer_to(verify, {7, 0, 1, 2}), verify));
  CHECK(malformed(answer_to(verify, {7, 0, 1, 1, 7, 0, 1, 0}), verify));
  CHECK(malformed(answer_to(verify, {7, 0, 9, 1}), verify));
  CHECK(malformed(answer_to(verify, {}), verify));
  CHECK(malformed(answer_to(query, valid), verify));
  CHECK(malformed({}, verify));
  Bytes other = answer_to(verify, valid);
  other[5] ^= 1;
  CHECK(malformed(other, verify));
  other = answer_to(verify, valid);
  other.push_back(0);
  CHECK(malformed(other, verify));
}
