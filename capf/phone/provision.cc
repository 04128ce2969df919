#include "capf/phone/provision.h"

#include <algorithm>
#include <utility>

#include "capf/client/key.h"
#include "capf/phone/encrypted.h"
#include "capf/phone/vouching.h"

namespace capf::phone {
namespace {

using Given = Folder::Given;

/// The certificate that the phone shows, and its key.
struct Own {
  Certificate certificate;
  client::PrivateKey key;
};

/// A readable configuration, and what it says.
struct Readable {
  Bytes xml;
  Configuration says;
};

struct ListName {
  Given which;
  const char* prefix;   ///< before the device's name
  const char* generic;  ///< also inside the device's own
};
constexpr ListName kCtl{Given::kCtl, "CTL", "CTLFile.tlv"};
constexpr ListName kItl{Given::kItl, "ITL", "ITLFile.tlv"};

constexpr const char* kDefault = "XMLDefault";
constexpr const char* kPlain = ".cnf.xml";
constexpr const char* kSigned = ".cnf.xml.sgn";
constexpr const char* kEncrypted = ".cnf.xml.enc.sgn";
constexpr std::uint8_t kBeginOfHeader = 1;

class Provision {
 public:
  Provision(const Provisioning& wanted, const Folder& folder, Servers& servers)
      : wanted_(wanted), folder_(folder), servers_(servers) {}

  Result<Provisioned> run() {
    CAPF_TRY(recall());
    for (;;) {
      CAPF_LET(const auto configuration, start());
      if (!configuration) continue;
      if (refused_list_) return fail(*refused_list_);
      return conclude(*configuration);
    }
  }

 private:
  // what the phone has

  Status recall() {
    for (const ListName& name : {kCtl, kItl}) {
      CAPF_LET(const auto kept, folder_.given(wanted_.device, name.which));
      if (!kept) continue;
      auto list = read_trust_list({kept->view().begin(), kept->view().end()}, name.generic);
      if (!list)
        return fail(list.error().reason, std::string("the list that the phone has is damaged: ") + name.generic);
      slot(name) = *std::move(list);
    }
    CAPF_LET(const auto kept, folder_.given(wanted_.device, Given::kConfiguration));
    const auto last = kept ? read_configuration(kept->view()) : Result<Configuration>(Configuration());
    if (last) remember(*last);
    return {};
  }

  void remember(const Configuration& last) {
    encrypted_ = last.encrypted;
    tvs_ = last.tvs;
  }

  std::optional<TrustList>& slot(const ListName& name) { return name.which == Given::kCtl ? lists_.ctl : lists_.itl; }

  /// The LSC, else the MIC.
  Result<std::optional<Own>> own() const {
    CAPF_LET(const auto lsc, folder_.installed(wanted_.device));
    if (lsc) return read_own(lsc->certificates.front(), lsc->key_pem);
    if (wanted_.mic_pem.empty()) return std::nullopt;
    CAPF_LET(const auto mic, client::parse_certificates(wanted_.mic_pem));
    if (mic.empty()) return fail(Reason::kInvalidCertificate);
    return read_own(mic.front(), wanted_.mic_key_pem);
  }

  static Result<std::optional<Own>> read_own(const Bytes& der, const Secret& key_pem) {
    CAPF_LET(Certificate certificate, Certificate::read(der));
    CAPF_LET(client::PrivateKey key, client::PrivateKey::parse(key_pem.text()));
    return Own{std::move(certificate), std::move(key)};
  }

  void say(const std::string& step) const { wanted_.say(step); }

  // the lists

  Status refresh(const ListName& name) {
    const std::string mine = name.prefix + wanted_.device + ".tlv";
    std::string found = mine;
    auto file = servers_.fetch(mine, kLargestList);
    if (file && !*file) {
      say(mine + ": not found");
      found = name.generic;
      file = servers_.fetch(found, kLargestList);
    }
    if (!file) {
      if (file.error().reason == Reason::kServerNotReached) return fail(file.error());
      return refuse(found, file.error());
    }
    if (!*file) {
      say(found + ": not found");
      return {};
    }
    return judge(name, found, std::move(**file));
  }

  Status judge(const ListName& name, const std::string& found, Bytes octets) {
    if (slot(name) && slot(name)->octets == octets) {
      say(found + ": the one that the phone has");
      return {};
    }
    auto list = read_trust_list(std::move(octets), name.generic);
    if (!list) return refuse(found, list.error());
    const auto why = believe(name, *list);
    if (!why) return refuse(found, why.error());
    say(found + ": taken, " + *why + "; signed by " + list->signer_certificate().subject() + ", " +
        std::to_string(list->certificates()) + " certificates, md5 " + md5_hex(list->octets) + ", sha1 " +
        sha1_hex(list->octets));
    CAPF_TRY(folder_.keep(wanted_.device, name.which, list->octets));
    slot(name) = *std::move(list);
    return {};
  }

  /// A phone keeps the list that it has, and goes on.
  Status refuse(const std::string& found, const Error& error) {
    say(found + ": refused, the phone keeps what it has: " + error.message);
    if (!refused_list_) refused_list_ = Error{error.reason, found + ": " + error.message};
    return {};
  }

  /// @return why the list counts, in words
  Result<std::string> believe(const ListName& name, const TrustList& list) {
    const Certificate& signer = list.signer_certificate();
    if (lists_.find({Role::kSast}).empty()) return "the first one, which a phone trusts";
    if (lists_.has(signer, {Role::kSast})) return "its signer is a SAST of the list that the phone has";
    if (name.which == Given::kItl && !lists_.ctl && lists_.is_released()) {
      return "the list that the phone has is empty, and lets it take any";
    }
    CAPF_LET(const Header header, read_header(list.octets, name.generic));
    CAPF_LET(const Certificate vouched, ask_for(header, {Role::kSast}));
    if (vouched.der() != signer.der()) {
      return fail(Reason::kFileSignature, "the Trust Verification Service knows another certificate of its signer");
    }
    return "the Trust Verification Service vouches for its signer";
  }

  // the Trust Verification Service

  Result<Answer> ask(const Bytes& question) {
    const auto& addresses = wanted_.tvs.empty() ? tvs_ : wanted_.tvs;
    if (addresses.empty()) return fail(Reason::kFileSignature, "there is no Trust Verification Service to ask");
    CAPF_LET(const Bytes answer, servers_.ask(addresses, question, [&](const Certificate& shown) -> Status {
      if (lists_.has(shown, {Role::kTvs})) return {};
      return fail(Reason::kInvalidCertificate,
                  "the Trust Verification Service shows a certificate that the phone's list does not have as TVS");
    }));
    return read_answer(answer, question);
  }

  /// The certificate of a file's signer, which is in no list of the phone.
  Result<Certificate> ask_for(const Header& file, std::initializer_list<Role> roles) {
    const std::string unknown = "its signer is not in the phone's list, and ";
    const auto answer = ask(ask_for_signer(wanted_.device, file));
    if (!answer) return fail(Reason::kFileSignature, unknown + "nobody says otherwise: " + answer.error().message);
    if (!answer->valid || !answer->has(roles)) {
      return fail(Reason::kFileSignature, unknown + "the Trust Verification Service does not vouch for it");
    }
    return *answer->certificate;
  }

  /// Whether to believe the HTTPS server.
  Status believe_server(const Certificate& shown) {
    if (shown.is_ec() && lists_.has(shown, {Role::kTftp, Role::kCcmTftp})) return {};
    CAPF_LET(const Answer answer, ask(ask_for_certificate(wanted_.device, shown)));
    if (!answer.valid || !answer.has({Role::kTftp, Role::kCcmTftp})) {
      return fail(Reason::kInvalidCertificate, "neither the phone's list nor the Trust Verification Service knows it");
    }
    say("HTTPS: the Trust Verification Service vouches for the server");
    return {};
  }

  // the configuration

  /// Does everything from the beginning. Nothing where the certificate has changed meanwhile.
  Result<std::optional<Configuration>> start() {
    for (const ListName& name : {kCtl, kItl}) CAPF_TRY(refresh(name));
    CAPF_LET(const auto mine, own());
    if (encrypted_) {
      CAPF_LET(const auto opened, fetch_encrypted(mine));
      if (opened) return settle(*opened, {});
    }
    CAPF_LET(const auto readable, fetch_readable(wanted_.device));
    if (!readable) return fail_unknown();
    if (readable->says.full) return settle(*readable, mismatch_of(readable->says, mine));
    return follow(readable->says, mine);
  }

  /// The file that a stub announces.
  Result<std::optional<Configuration>> follow(const Configuration& stub, const std::optional<Own>& mine) {
    if (!stub.encrypted) {
      return fail(Reason::kPhoneConfigurationMalformed, "the configuration is neither whole nor announces another one");
    }
    const std::string mismatch = mismatch_of(stub, mine);
    if (!mismatch.empty()) return go_to_capf(stub, mismatch);
    if (!does_not_open_) {
      CAPF_LET(const auto opened, fetch_encrypted(mine));
      if (opened) return settle(*opened, {});
    }
    if (!does_not_open_) return fail(Reason::kUnknownDevice, "the server does not have the file that it announces");
    return go_to_capf(stub, "the encrypted file does not open");
  }

  /// Why the file is not for the certificate that the phone has; empty where it is.
  static std::string mismatch_of(const Configuration& file, const std::optional<Own>& mine) {
    if (!mine) return "the phone has no certificate";
    if (file.certificate_hash.empty()) return "the file names no certificate";
    if (file.certificate_hash != mine->certificate.hash())
      return "the file is for another certificate than the phone's";
    return {};
  }

  /// A whole configuration is taken. It may send the phone to CAPF.
  /// @param mismatch by mismatch_of(); empty for a file that was encrypted, since it has opened
  Result<std::optional<Configuration>> settle(const Readable& whole, const std::string& mismatch) {
    CAPF_TRY(folder_.keep(wanted_.device, Given::kConfiguration, whole.xml));
    remember(whole.says);
    const bool typed = whole.says.capf_mode == 1 && wanted_.has_string;
    if (visited_ || (!typed && whole.says.capf_mode < 2)) return whole.says;
    const std::string by_itself = mismatch.empty() ? "the configuration asks for it at each start" : mismatch;
    auto visited = go_to_capf(whole.says, typed ? "somebody has typed an authentication string" : by_itself);
    if (!visited && visited.error().reason == Reason::kNoPendingOperation) {
      say("CAPF: nothing is pending");
      return whole.says;
    }
    return visited;
  }

  Result<std::optional<Configuration>> go_to_capf(const Configuration& file, const std::string& why) {
    if (visited_) {
      return fail(Reason::kFileMalformed, why + ", and the phone has been at CAPF already");
    }
    if (file.capf_mode == 1 && !wanted_.has_string) {
      return fail(Reason::kCredentialMissing,
                  why + ", and CAPF asks for an authentication string, which somebody has to type: --string");
    }
    say("CAPF: the phone goes there, because " + why);
    CAPF_LET(const Done done, wanted_.enrol(file, lists_));
    say("CAPF: " + done.line);
    visited_ = true;
    does_not_open_ = false;
    return std::nullopt;
  }

  tl::unexpected<Error> fail_unknown() {
    const auto found = fetch_readable(kDefault);
    if (!found) return fail(found.error());
    return fail(Reason::kUnknownDevice, *found ? "the server has nothing but the default configuration for this phone"
                                               : "the server has no configuration for this phone");
  }

  /// A configuration that is not encrypted, whole or a stub. @return none where the server has none
  Result<std::optional<Readable>> fetch_readable(const std::string& base) {
    CAPF_LET(auto secure, fetch_by_https(base));
    if (secure) return read(*std::move(secure));
    const std::string name = base + (lists_.wants_signatures() ? kSigned : kPlain);
    CAPF_LET(auto file, servers_.fetch(name, kLargestConfiguration));
    if (!file) {
      say(name + ": not found");
      return std::nullopt;
    }
    if (lists_.wants_signatures()) {
      CAPF_LET(*file, strip(name, *file));
      say(name + ": the signature is right");
    } else {
      say(name + ": taken, unsigned, since the phone has no list that names a signer");
    }
    return read(*std::move(file));
  }

  /// @return none where HTTP is next: there is no HTTPS, or its server is not believed or has no such file
  Result<std::optional<Bytes>> fetch_by_https(const std::string& base) {
    if (!wanted_.https || !lists_.https() || !servers_.has_https()) return std::nullopt;
    const std::string name = base + (lists_.wants_signatures() ? kSigned : kPlain);
    auto file = servers_.fetch_secure(name, kLargestConfiguration,
                                      [this](const Certificate& shown) { return believe_server(shown); });
    if (!file || !*file) {
      say("HTTPS: " + name + ": " + (file ? "not found" : file.error().message) + "; HTTP is next");
      return std::nullopt;
    }
    // The channel says whose it is, so the file has no header. One that has it is judged like any other.
    if (!(*file)->empty() && (*file)->front() == kBeginOfHeader) {
      CAPF_LET(*file, strip(name, **file));
    }
    say("HTTPS: " + name + ": taken, from a server that the phone believes");
    return file;
  }

  static Result<std::optional<Readable>> read(Bytes xml) {
    CAPF_LET(Configuration says, read_configuration(xml));
    return Readable{std::move(xml), std::move(says)};
  }

  /// An encrypted file needs no channel. @return none where the server has none, or where it does not open, which
  /// does_not_open_ says
  Result<std::optional<Readable>> fetch_encrypted(const std::optional<Own>& mine) {
    const std::string name = wanted_.device + kEncrypted;
    CAPF_LET(const auto file, servers_.fetch(name, kLargestConfiguration));
    if (!file) {
      say(name + ": not found");
      return std::nullopt;
    }
    CAPF_LET(const Header header, verify(name, *file));
    if (header.kind != Header::Kind::kEncrypted) return fail(Reason::kFileMalformed, name + " is not encrypted");
    const auto plain = mine ? decrypt(header, mine->key) : Result<Secret>(fail(Reason::kFileMalformed));
    does_not_open_ = !plain;
    say(name + ": the signature is right, and the file " + (plain ? "opens" : "does not open") +
        " with the key of the phone's certificate");
    if (!plain) return std::nullopt;
    CAPF_LET(auto readable, read({plain->view().begin(), plain->view().end()}));
    if (!readable->says.full) return fail(Reason::kPhoneConfigurationMalformed, name + " holds no whole configuration");
    return readable;
  }

  /// Checks who has signed a file, and its name. Errors have the name in front.
  Result<Header> verify(const std::string& name, BytesView file) {
    auto header = read_header(file, name);
    const auto refused = [&](const Error& error) { return fail(error.reason, name + ": " + error.message); };
    if (!header) return refused(header.error());
    if (header->kind == Header::Kind::kList) return fail(Reason::kFileMalformed, name + " is a trust list");
    const auto signers = lists_.find({Role::kTftp, Role::kCcmTftp});
    const bool known = std::any_of(signers.begin(), signers.end(),
                                   [&](const Certificate* signer) { return header->is_signed_by(*signer); });
    if (known) return header;
    const auto same_serial = [&](const Certificate* signer) { return signer->serial() == header->serial; };
    if (std::any_of(signers.begin(), signers.end(), same_serial)) {
      return fail(Reason::kFileSignature, name + ": the signature is wrong");
    }
    const auto vouched = ask_for(*header, {Role::kTftp, Role::kCcmTftp});
    if (!vouched) return refused(vouched.error());
    if (!header->is_signed_by(*vouched)) return fail(Reason::kFileSignature, name + ": the signature is wrong");
    say(name + ": the Trust Verification Service vouches for its signer");
    return header;
  }

  Result<Bytes> strip(const std::string& name, BytesView file) {
    CAPF_LET(const Header header, verify(name, file));
    if (header.kind != Header::Kind::kSigned) return fail(Reason::kFileMalformed, name + " is another kind of file");
    return Bytes(header.body.begin(), header.body.end());
  }

  // the end

  Result<Provisioned> conclude(const Configuration& file) {
    CAPF_LET(const auto mine, own());
    Provisioned done;
    done.mode = mode_of(file, mine.has_value());
    done.digest_password = file.digest_password;
    done.line = wanted_.device + " provision succeeded mode=" + std::string(to_string(done.mode)) +
                " digest_password=" + (done.digest_password ? "yes" : "no");
    for (const auto& [name, list] : {std::pair{"ctl", &lists_.ctl}, std::pair{"itl", &lists_.itl}}) {
      if (*list) done.line += std::string(" ") + name + "_sha1=" + sha1_hex((*list)->octets);
    }
    return done;
  }

  Mode mode_of(const Configuration& file, bool has_certificate) {
    if (file.security_mode < 2 || file.security_mode > 3) return Mode::kNonsecure;
    const char* missing = nullptr;
    if (file.transport != 3) missing = "its transport is not TLS";
    if (lists_.find({Role::kCcm, Role::kCcmTftp}).empty()) missing = "no list has the certificate of a SIP server";
    if (!has_certificate) missing = "the phone has no certificate";
    const Mode mode = file.security_mode == 2 ? Mode::kAuthenticated : Mode::kEncrypted;
    if (missing == nullptr) return mode;
    say("the configuration says " + std::string(to_string(mode)) + ", but " + missing);
    return Mode::kNonsecure;
  }

  const Provisioning& wanted_;
  const Folder& folder_;
  Servers& servers_;
  TrustLists lists_;
  bool encrypted_ = false;        ///< the last configuration was for an encrypted file
  std::vector<std::string> tvs_;  ///< as it said
  bool visited_ = false;
  bool does_not_open_ = false;  ///< the encrypted file, since the phone has this certificate
  std::optional<Error> refused_list_;
};

}  // namespace

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::kNonsecure: return "nonsecure";
    case Mode::kAuthenticated: return "authenticated";
    case Mode::kEncrypted: return "encrypted";
  }
  CAPF_INVARIANT(false);
}

Result<Provisioned> provision(const Provisioning& wanted, const Folder& folder, Servers& servers) {
  return Provision(wanted, folder, servers).run();
}

}  // namespace capf::phone
