#include <iostream>

#include "capf/files/configuration.h"
#include "tests/support/phone_files.h"

// make_phone_files DATA FOLDER: makes files with every writer, for another reader to judge.

using namespace capf;
using files::Digest;
using files::Listed;
using files::ListKind;

namespace {

class Maker {
 public:
  Maker(const std::filesystem::path& data, std::filesystem::path folder) : data_(data), folder_(std::move(folder)) {}

  void make() {
    make_lists();
    make_signed();
    make_encrypted();
    make_configuration();
  }

 private:
  void write(const std::string& name, BytesView octets) {
    std::ofstream file(folder_ / name, std::ios::binary);
    file << as_text(octets) << std::flush;
    if (!file) throw std::runtime_error(name + " cannot be written");
  }

  void list(const std::string& name, const files::ListTerms& terms, const std::vector<Listed>& listed,
            const test::Signatory& signatory) {
    write(name, files::build_trust_list(terms, listed, signatory.signer()).value());
  }

  void make_lists() {
    const std::vector<Listed> itl{
        data_.listed("sast_a", {TrustRole::kSast}), data_.listed("sast_b", {TrustRole::kSast}),
        data_.listed("tftp", {TrustRole::kTftp}),   data_.listed("tftp_ec", {TrustRole::kTftp}),
        data_.listed("tvs", {TrustRole::kTvs}),     data_.listed("app_521", {TrustRole::kAppServer}),
        data_.listed("capf", {TrustRole::kCapf})};
    list("ITL-sha512.tlv", {ListKind::kItl, Digest::kSha512, true, now_}, itl, list_signer_);
    list("ITL-sha1.tlv", {ListKind::kItl, Digest::kSha1, false, now_}, itl, list_signer_);

    Listed server = data_.listed("ccm", {TrustRole::kCcmTftp});
    server.dns = "sip.example.org";
    server.address = files::Ipv4{192, 0, 2, 11};
    std::vector<Listed> ctl{data_.listed("sast_a", {TrustRole::kSast}), data_.listed("capf", {TrustRole::kCapf}),
                            server};
    list("CTL-mixed.tlv", {ListKind::kCtl, Digest::kSha512, false, now_}, ctl, list_signer_);
    ctl.back().certificate.clear();
    list("CTL-nonsecure.tlv", {ListKind::kCtl, Digest::kSha512, false, now_}, ctl, list_signer_);

    const test::Signatory large(data_, "sast_4096");
    list("ITL-4096.tlv", {ListKind::kItl, Digest::kSha512, false, now_},
         {data_.listed("sast_4096", {TrustRole::kSast}), data_.listed("capf", {TrustRole::kCapf})}, large);

    std::vector<Listed> many{data_.listed("sast_a", {TrustRole::kSast}), data_.listed("capf", {TrustRole::kCapf})};
    while (many.size() < files::kMostListed) many.push_back(data_.listed("app_ec", {TrustRole::kAppServer}));
    list("ITL-38.tlv", {ListKind::kItl, Digest::kSha512, false, now_}, many, list_signer_);
  }

  void make_signed() {
    const auto write_signed = [this](const std::string& file, const std::string& name, Digest digest,
                                     BytesView content) {
      write(file, files::make_signed({name, digest, now_}, content, file_signer_.signer()).value());
    };
    Bytes binary;
    for (int i = 0; i < 1024; ++i) binary.push_back(static_cast<std::uint8_t>(i));
    write_signed("plain.sgn", "SEP001122334455.cnf.xml.sgn", Digest::kSha512, as_bytes("<device/>\n"));
    write_signed("empty.sgn", "empty.xml.sgn", Digest::kSha1, {});
    write_signed("binary.sgn", "New_Zealand/g3-tones.xml.sgn", Digest::kSha1, binary);
  }

  void make_encrypted() {
    for (const int bits : {1024, 2048, 4096}) {
      const files::Certificate phone = data_.certificate("phone_rsa" + std::to_string(bits));
      for (std::size_t pad = 1; pad <= 16; ++pad) {
        const files::FileTerms terms{"SEP001122334455.cnf.xml.enc.sgn", pad % 2 == 0 ? Digest::kSha1 : Digest::kSha512,
                                     now_};
        const Secret content(std::string(48 - pad, 'x'));
        write("phone" + std::to_string(bits) + "-" + std::to_string(pad) + ".enc.sgn",
              files::make_encrypted(terms, content, phone, file_signer_.signer()).value());
      }
    }
  }

  void make_configuration() {
    files::ConfigurationValues values{.mode = DeviceMode::kEncrypted,
                                      .capf_auth = AuthMode::kNull,
                                      .capf = {{"capf.example.org", 3804}, {"capf2.example.org", 13804}},
                                      .tvs = std::vector<CapfHost>{{"tvs.example.org", 2445}},
                                      .certificate_hash = files::certificate_hash(data_.der("phone_rsa2048")),
                                      .hardening = {{"pcPort", "1"}, {"garp", "1"}},
                                      .secrets = true};
    values.digest = files::DigestCredentials{"4711", Secret("p&<ss>\"w\xC3\xB6rd'")};
    auto configuration = files::Configuration::parse(data_.octets("enc/pad1/plaintext.xml")).value();
    if (!configuration.apply(values)) throw std::runtime_error("the configuration does not take the values");
    write("full.xml", configuration.text().view());
    write("stub.xml", configuration.stub());
  }

  test::PhoneFiles data_;
  std::filesystem::path folder_;
  TimePoint now_ = test::files_now();
  test::Signatory list_signer_{data_, "sast_a"};
  test::Signatory file_signer_{data_, "tftp"};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    Maker(argv[1], argv[2]).make();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
