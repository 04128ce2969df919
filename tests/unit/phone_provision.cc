#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "capf/phone/options.h"
#include "capf/phone/provision.h"
#include "capf/phone/vouching.h"

using namespace capf;
using namespace capf::phone;
namespace fs = std::filesystem;

namespace {

const std::string kDevice = "SEP001122334455";
const std::string kPlain = kDevice + ".cnf.xml";
const std::string kSigned = kPlain + ".sgn";
const std::string kEncrypted = kPlain + ".enc.sgn";

Bytes octets(const std::string& path) {
  const fs::path whole = fs::path(CAPF_TEST_DATA) / "phone-files" / path;
  REQUIRE(fs::exists(whole));
  std::ifstream file(whole, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
std::string text(const std::string& path) { return std::string(as_text(octets(path))); }
Bytes der(const std::string& name) { return client::parse_certificates(text("certs/" + name + ".crt")).value().at(0); }
Bytes bytes(const std::string& xml) { return {xml.begin(), xml.end()}; }

/// Certificates of the data: lists b, c and f have sast_b; b has sast_a, tftp, tftp_ec and tvs too; e none of them.
const std::string kB = "itl/b/ITLFile.tlv";
const std::string kC = "itl/c/ITLSEP001122334455.tlv";
const std::string kStranger = "itl/e/ITLFile.tlv";

/// The answer of TVS to any question.
struct Vouching {
  std::string shown = "tvs";  ///< the certificate of the TVS itself
  std::string certificate;    ///< none: to a question about a server
  Bytes roles;                ///< none: it does not know it
};

class Shelf final : public Servers {
 public:
  Result<std::optional<Bytes>> fetch(const std::string& name, std::size_t limit) override {
    asked.push_back(name);
    return take(files, name, limit);
  }
  bool has_https() const override { return https.has_value(); }
  Result<std::optional<Bytes>> fetch_secure(const std::string& name, std::size_t limit,
                                            const Believe& believe) override {
    asked.push_back("https " + name);
    CAPF_TRY(believe(Certificate::read(der(*https)).value()));
    return take(secure, name, limit);
  }
  Result<Bytes> ask(const std::vector<std::string>& addresses, BytesView question, const Believe& believe) override {
    asked.push_back("tvs " + addresses.at(0));
    if (!tvs) return fail(Reason::kServerNotReached);
    CAPF_TRY(believe(Certificate::read(der(tvs->shown)).value()));
    Bytes elements{7, 0, 1, static_cast<std::uint8_t>(tvs->roles.empty() ? 1 : 0)};
    const auto add = [&](std::uint8_t tag, const Bytes& value) {
      elements.insert(elements.end(),
                      {tag, static_cast<std::uint8_t>(value.size() >> 8), static_cast<std::uint8_t>(value.size())});
      elements.insert(elements.end(), value.begin(), value.end());
    };
    if (!tvs->roles.empty()) {
      if (!tvs->certificate.empty()) add(2, der(tvs->certificate));
      add(8, tvs->roles);
      add(9, {0, 0, 14, 16});
    }
    Bytes answer(question.begin(), question.begin() + 8);
    answer[2] = static_cast<std::uint8_t>(answer[2] + 1);
    answer.insert(answer.end(),
                  {static_cast<std::uint8_t>(elements.size() >> 8), static_cast<std::uint8_t>(elements.size())});
    answer.insert(answer.end(), elements.begin(), elements.end());
    return answer;
  }

  std::map<std::string, Bytes> files, secure;
  std::optional<std::string> https;  ///< the certificate of the HTTPS server
  std::optional<Vouching> tvs;
  std::vector<std::string> asked;

 private:
  static Result<std::optional<Bytes>> take(const std::map<std::string, Bytes>& from, const std::string& name,
                                           std::size_t limit) {
    const auto at = from.find(name);
    if (at == from.end()) return std::nullopt;
    if (at->second.size() > limit) return fail(Reason::kFileMalformed);
    return at->second;
  }
};

/// A phone with a folder of its own, a MIC that encrypted files of the data are for, and a shelf that has them.
struct Desk {
  Desk() {
    std::string name = (fs::temp_directory_path() / "capf-provision-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
    folder.emplace(Folder::open(path, false).value());
    wanted.device = kDevice;
    wanted.tvs = {"tvs:2445"};
    wanted.enrol = [this](const Configuration& file, const TrustLists&) -> Result<Done> {
      visits.push_back(file.capf.empty() ? "" : file.capf.front());
      if (capf) return capf();
      return fail(Reason::kNoPendingOperation);
    };
    wanted.say = [this](const std::string& step) { said += step + "\n"; };
    have_mic("phone_rsa2048");
    servers.files["ITLFile.tlv"] = octets(kB);
    servers.files[kSigned] = octets("enc/rsa2048-sha1/" + kSigned);
    servers.files[kEncrypted] = octets("enc/rsa2048-sha1/" + kEncrypted);
  }
  ~Desk() { fs::remove_all(path); }
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  void have_mic(const std::string& name) {
    wanted.mic_pem = text("certs/" + name + ".crt");
    wanted.mic_key_pem = Secret(std::string_view(text("certs/" + name + ".key")));
  }
  /// Without lists, a phone takes what is not signed.
  void have_no_lists(const std::string& xml) {
    servers.files.clear();
    servers.files[kPlain] = bytes(xml);
  }
  Result<Provisioned> start() {
    servers.asked.clear();
    said.clear();
    return provision(wanted, *folder, servers);
  }
  std::string refusal() {
    const auto done = start();
    return done ? "" : std::string(to_string(done.error().reason));
  }
  std::string kept(Folder::Given which) const {
    const auto given = folder->given(kDevice, which).value();
    return given ? std::string(given->text()) : std::string();
  }
  bool asked(const std::string& name) const {
    return std::find(servers.asked.begin(), servers.asked.end(), name) != servers.asked.end();
  }

  fs::path path;
  std::optional<Folder> folder;
  Provisioning wanted;
  Shelf servers;
  std::function<Result<Done>()> capf;
  std::vector<std::string> visits;
  std::string said;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a phone asks for lists, the stub and the encrypted file, in this order") {
  Desk desk;
  const auto done = desk.start();
  REQUIRE(done);
  CHECK(desk.servers.asked ==
        Names{"CTL" + kDevice + ".tlv", "CTLFile.tlv", "ITL" + kDevice + ".tlv", "ITLFile.tlv", kSigned, kEncrypted});
  CHECK(done->mode == Mode::kEncrypted);
  CHECK(done->digest_password);
  CHECK(done->line.starts_with(kDevice + " provision succeeded mode=encrypted digest_password=yes itl_sha1=b6713f60"));
  CHECK(desk.said.find("the first one") != std::string::npos);
  CHECK((desk.said + done->line).find("not-a-real-secret") == std::string::npos);
  CHECK(desk.kept(Folder::Given::kItl) == text(kB));
  CHECK(desk.kept(Folder::Given::kConfiguration) == text("enc/rsa2048-sha1/plaintext.xml"));
  CHECK(desk.visits == Names{"capf.example.org:3804"});

  SECTION("and the next time for the encrypted file at once") {
    REQUIRE(desk.start());
    CHECK(desk.asked(kEncrypted));
    CHECK_FALSE(desk.asked(kSigned));
    CHECK(desk.said.find("the one that the phone has") != std::string::npos);
  }
  SECTION("or for the readable one, where there is none any more") {
    desk.servers.files.erase(kEncrypted);
    desk.servers.files[kSigned] = octets("sgn/" + kSigned);
    REQUIRE(desk.start());
    CHECK(desk.servers.asked.back() == kSigned);
  }
}

TEST_CASE("a phone's own list comes before everybody's") {
  Desk desk;
  desk.servers.files["ITL" + kDevice + ".tlv"] = octets(kC);
  REQUIRE(desk.start());
  CHECK(desk.kept(Folder::Given::kItl) == text(kC));
  CHECK_FALSE(desk.asked("ITLFile.tlv"));
}

TEST_CASE("a phone follows a list that a SAST of its own has signed, and no other") {
  Desk desk;
  REQUIRE(desk.start());
  desk.servers.files["ITLFile.tlv"] = octets(kC);
  REQUIRE(desk.start());
  CHECK(desk.kept(Folder::Given::kItl) == text(kC));
  desk.servers.files["ITLFile.tlv"] = octets(kStranger);
  CHECK(desk.refusal() == "FILE_SIGNATURE");
  CHECK(desk.said.find("the phone keeps what it has") != std::string::npos);
  CHECK(desk.asked(kEncrypted));  // it goes on with the list that it has
  CHECK(desk.kept(Folder::Given::kItl) == text(kC));
  for (const char* wrong : {"bit_in_record.tlv", "digest_002.tlv", "larger_than_64k.tlv"}) {
    desk.servers.files["ITLFile.tlv"] = octets(std::string("malformed/") + wrong);
    CHECK(desk.refusal() == "FILE_MALFORMED");
  }
  CHECK(desk.kept(Folder::Given::kItl) == text(kC));
}

TEST_CASE("an ITL is held against the CTL") {
  Desk desk;
  desk.servers.files["CTLFile.tlv"] = octets("ctl/CTLFile.tlv");
  REQUIRE(desk.start());
  CHECK(desk.kept(Folder::Given::kCtl) == text("ctl/CTLFile.tlv"));
  CHECK(desk.said.find("ITLFile.tlv: taken, its signer is a SAST") != std::string::npos);

  Desk other;
  other.servers.files["CTLFile.tlv"] = octets("ctl/CTLFile.tlv");
  other.servers.files["ITLFile.tlv"] = octets(kStranger);
  CHECK(other.refusal() == "FILE_SIGNATURE");
  CHECK(other.kept(Folder::Given::kItl).empty());
}

TEST_CASE("TVS vouches for the signer of a list that a phone does not know") {
  Desk desk;
  REQUIRE(desk.start());
  desk.servers.files["ITLFile.tlv"] = octets(kStranger);
  desk.servers.tvs = Vouching{"tvs", "sast_4096", {0}};

  SECTION("and the phone takes it") {
    desk.servers.files.erase(kEncrypted);  // no TFTP role in that list: the phone asks for what is not signed
    desk.servers.files[kPlain] = bytes("<device/>");
    REQUIRE(desk.start());
    CHECK(desk.asked("tvs tvs:2445"));
    CHECK(desk.kept(Folder::Given::kItl) == text(kStranger));
  }
  SECTION("as something else") {
    desk.servers.tvs->roles = {3, 21};
    CHECK(desk.refusal() == "FILE_SIGNATURE");
  }
  SECTION("by another certificate") {
    desk.servers.tvs->certificate = "sast_a";
    CHECK(desk.refusal() == "FILE_SIGNATURE");
  }
  SECTION("not at all") {
    desk.servers.tvs->roles.clear();
    CHECK(desk.refusal() == "FILE_SIGNATURE");
  }
  SECTION("or somebody else who says to be TVS") {
    desk.servers.tvs->shown = "sast_a";
    CHECK(desk.refusal() == "FILE_SIGNATURE");
  }
  SECTION("or nobody, where the phone knows none") {
    desk.wanted.tvs.clear();
    CHECK(desk.refusal() == "FILE_SIGNATURE");
    CHECK_FALSE(desk.asked("tvs tvs:2445"));
  }
  const bool vouched = desk.said.find("Verification Service vouches for its signer") != std::string::npos;
  CHECK(desk.kept(Folder::Given::kItl) == text(vouched ? kStranger : kB));
}

TEST_CASE("a phone whose list names a signer takes no configuration of anybody else") {
  Desk desk;
  SECTION("not one without a signature") {
    desk.servers.files.erase(kSigned);
    desk.servers.files[kPlain] = bytes("<device/>");
    CHECK(desk.refusal() == "UNKNOWN_DEVICE");
    CHECK_FALSE(desk.asked(kPlain));
    CHECK(desk.asked("XMLDefault.cnf.xml.sgn"));
  }
  SECTION("not one that was changed") {
    desk.servers.files[kSigned].back() ^= 1;
    CHECK(desk.refusal() == "FILE_SIGNATURE");
  }
  SECTION("not another phone's") {
    desk.servers.files[kSigned] = octets("malformed/name_of_another_phone.sgn");
    CHECK(desk.refusal() == "FILE_NAME_MISMATCH");
  }
  SECTION("not one of a certificate without the role") {
    desk.servers.files["ITLFile.tlv"] = octets(kC);
    desk.servers.files[kSigned] = octets("malformed/signed_by_ca_role.sgn");
    CHECK(desk.refusal() == "FILE_SIGNATURE");
  }
  SECTION("not a list in its place") {
    desk.servers.files[kSigned] = octets(kB);
    CHECK(desk.refusal() == "FILE_NAME_MISMATCH");
  }
  SECTION("not an encrypted one that was changed") {
    desk.servers.files[kEncrypted].back() ^= 1;
    CHECK(desk.refusal() == "FILE_SIGNATURE");
    CHECK(desk.visits.empty());
  }
  CHECK(desk.kept(Folder::Given::kConfiguration).empty());
}

TEST_CASE("a phone goes to CAPF where a file is for another certificate, and starts over") {
  Desk desk;
  desk.have_mic("phone_rsa1024");
  SECTION("and has a new one then") {
    desk.capf = [&]() -> Result<Done> {
      const std::string key = text("certs/phone_rsa2048.key");
      CAPF_TRY(desk.folder->install(kDevice, text("certs/phone_rsa2048.crt"), Secret(std::string_view(key))));
      return Done{"installed"};
    };
    const auto done = desk.start();
    REQUIRE(done);
    CHECK(done->mode == Mode::kEncrypted);
    CHECK(desk.visits.size() == 1);
    CHECK(std::count(desk.servers.asked.begin(), desk.servers.asked.end(), "ITLFile.tlv") == 2);
    CHECK(desk.said.find("for another certificate than the phone's") != std::string::npos);
  }
  SECTION("once") {
    desk.capf = [] { return Done{"installed"}; };
    CHECK(desk.refusal() == "FILE_MALFORMED");
    CHECK(desk.visits.size() == 1);
  }
  SECTION("and says what CAPF says") {
    CHECK(desk.refusal() == "NO_PENDING_OPERATION");
    CHECK(desk.kept(Folder::Given::kConfiguration).empty());
  }
}

TEST_CASE("a phone goes to CAPF where the file does not open") {
  Desk desk;
  desk.have_mic("phone_rsa1024");
  const std::string key = text("certs/phone_rsa2048.key");
  REQUIRE(desk.folder->install(kDevice, text("certs/phone_rsa2048.crt"), Secret(std::string_view(key))));
  REQUIRE(desk.start());  // so that it asks for the encrypted file at once
  desk.visits.clear();
  desk.servers.files[kEncrypted] = octets("malformed/wrapped_empty.enc.sgn");
  CHECK(desk.refusal() == "NO_PENDING_OPERATION");
  CHECK(desk.visits.size() == 1);
  CHECK(desk.said.find("the file does not open") != std::string::npos);
}

TEST_CASE("a phone goes to CAPF as its configuration says") {
  const auto with_mode = [](int mode) {
    return "<device><capfAuthMode>" + std::to_string(mode) + "</capfAuthMode></device>";
  };
  Desk desk;
  for (const int mode : {0, 1, 2, 3, 4}) {
    for (const bool typed : {false, true}) {
      CAPTURE(mode, typed);
      desk.visits.clear();
      desk.have_no_lists(with_mode(mode));
      desk.wanted.has_string = typed;
      CHECK(desk.start());
      CHECK(desk.visits.size() == (mode >= 2 || (mode == 1 && typed) ? 1U : 0U));
    }
  }
  desk.have_no_lists(
      "<device><fullConfig>false</fullConfig><capfAuthMode>1</capfAuthMode>"
      "<encrConfig>true</encrConfig></device>");
  desk.wanted.has_string = false;
  CHECK(desk.refusal() == "CREDENTIAL_MISSING");
  desk.have_no_lists("<device><fullConfig>false</fullConfig></device>");
  CHECK(desk.refusal() == "PHONE_CONFIGURATION_MALFORMED");
}

TEST_CASE("the mode in effect is what a phone can do, not only what its file says") {
  const std::string secure =
      "<device><deviceSecurityMode>3</deviceSecurityMode><transportLayerProtocol>3</transportLayerProtocol></device>";
  Desk desk;
  desk.have_no_lists(secure);
  CHECK(desk.start()->mode == Mode::kNonsecure);
  CHECK(desk.said.find("no list has the certificate of a SIP server") != std::string::npos);
  desk.servers.files["ITLFile.tlv"] = octets("itl/a/ITLFile.tlv");  // with CCM, without TFTP
  CHECK(desk.start()->mode == Mode::kEncrypted);
  desk.wanted.mic_pem.clear();
  CHECK(desk.start()->mode == Mode::kNonsecure);
  desk.have_mic("phone_rsa2048");
  desk.servers.files[kPlain] = bytes("<device><deviceSecurityMode>2</deviceSecurityMode></device>");
  CHECK(desk.start()->mode == Mode::kNonsecure);
  desk.servers.files[kPlain] = bytes(
      "<device><deviceSecurityMode>2</deviceSecurityMode><transportLayerProtocol>3</transportLayerProtocol></device>");
  CHECK(desk.start()->mode == Mode::kAuthenticated);
  CHECK_FALSE(desk.start()->digest_password);
}

TEST_CASE("a phone fetches its configuration by HTTPS where its list says so") {
  Desk desk;
  desk.servers.https = "tftp_ec";
  desk.servers.secure[kSigned] = bytes("<device/>");

  SECTION("without a signature, from the server of its list") {
    REQUIRE(desk.start());
    CHECK(desk.servers.asked.back() == "https " + kSigned);
    CHECK(desk.kept(Folder::Given::kConfiguration) == "<device/>");
  }
  SECTION("not where it must not") {
    desk.wanted.https = false;
    REQUIRE(desk.start());
    CHECK_FALSE(desk.asked("https " + kSigned));
  }
  SECTION("not by a list of version 1.0") {
    desk.servers.files["ITLFile.tlv"] = octets(kC);
    REQUIRE(desk.start());
    CHECK_FALSE(desk.asked("https " + kSigned));
  }
  SECTION("from a server that TVS knows") {
    desk.servers.https = "app_521";
    desk.servers.tvs = Vouching{"tvs", "", {3}};
    REQUIRE(desk.start());
    CHECK(desk.kept(Folder::Given::kConfiguration) == "<device/>");
  }
  SECTION("not from one that TVS knows as something else: by HTTP then") {
    desk.servers.https = "app_521";
    desk.servers.tvs = Vouching{"tvs", "", {7}};
    REQUIRE(desk.start());
    CHECK(desk.asked(kSigned));
    CHECK(desk.kept(Folder::Given::kConfiguration) == text("enc/rsa2048-sha1/plaintext.xml"));
  }
  SECTION("and a signature in it must be right all the same") {
    desk.servers.secure[kSigned] = octets("malformed/body_changed.sgn");
    CHECK(desk.refusal() == "FILE_SIGNATURE");
  }
}

TEST_CASE("the options of provisioning belong together") {
  const auto code = [](const std::vector<std::string>& words) { return parse_options(words).exit_code; };
  CHECK(code({"SEP1", "--provision", "--files", "tftp", "--files-tls", "tftp:1", "--tvs", "[::1]:2445",
              "--no-https"}) == 0);
  CHECK(code({"SEP1", "--provision", "--wire", "--string", "-", "--tls-1.0"}) == 0);
  CHECK(code({"SEP1", "--provision", "--tls-1.0"}) == 0);
  CHECK(code({"SEP1", "--files", "tftp"}) == 2);
  CHECK(code({"SEP1", "--no-https"}) == 2);
  CHECK(code({"--count", "2", "--provision"}) == 2);
  CHECK(code({"SEP1", "--tls-1.0"}) == 2);
}
