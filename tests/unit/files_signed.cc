#include <algorithm>

#include <catch2/catch.hpp>

#include "capf/client/key.h"
#include "tests/support/phone_files.h"

using namespace capf;
using files::Digest;
using files::ListKind;

namespace {

const test::PhoneFiles kData{std::string(CAPF_TEST_DATA) + "/phone-files"};
constexpr const char* kSigned = "SEP001122334455.cnf.xml.sgn";
constexpr const char* kEncrypted = "SEP001122334455.cnf.xml.enc.sgn";

const test::Signatory& file_signer() {
  static const test::Signatory kSigner(kData, "tftp");
  return kSigner;
}

Bytes sign(BytesView content, const std::string& name = kSigned, Digest digest = Digest::kSha512) {
  return files::make_signed({name, digest, test::files_now()}, content, file_signer().signer()).value();
}

template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? "" : std::string(to_string(result.error().reason));
}

/// Why a file of tests/data is refused; empty where it is not. The phone alone can see what is inside an encrypted one.
std::string judged(const std::string& path) {
  const Bytes file = kData.octets("malformed/" + path);
  if (path.ends_with(".tlv")) return reason_of(files::read_trust_list(file, ListKind::kItl));
  if (path.ends_with(".enc.sgn")) {
    return reason_of(files::verify_encrypted(file, kEncrypted, file_signer().certificate()));
  }
  return reason_of(files::verify_signed(file, kSigned, file_signer().certificate()));
}

/// The wrong files by their reason, from the description that came with them.
std::vector<std::pair<std::string, std::string>> expected() {
  const Bytes octets = kData.octets("malformed/malformed.json");
  std::string_view text = as_text(octets);
  const auto take = [&text](std::string_view key) {
    const std::size_t at = text.find(key);
    if (at == std::string_view::npos) return std::string();
    text.remove_prefix(at + key.size());
    return std::string(text.substr(0, text.find('"')));
  };
  std::vector<std::pair<std::string, std::string>> files;
  while (true) {
    std::string file = take("\"file\": \"");
    if (file.empty()) return files;
    files.emplace_back(std::move(file), take("\"expected\": \""));
  }
}

}  // namespace

TEST_CASE("each wrong file is judged as it should be") {
  // Their headers and signatures are right.
  const std::vector<std::string> inside{
      "pad_is_pkcs7.enc.sgn",       "wrapped_24_bytes.enc.sgn",         "wrapped_empty.enc.sgn",
      "plain_digest_wrong.enc.sgn", "ciphertext_block_swapped.enc.sgn", "for_another_phone.enc.sgn"};
  const auto files = expected();
  REQUIRE(files.size() == 113);
  for (const auto& [file, outcome] : files) {
    CAPTURE(file);
    const bool only_inside = std::find(inside.begin(), inside.end(), file) != inside.end();
    CHECK(judged(file).empty() == (outcome == "accept" || only_inside));
  }
  CHECK(judged("file_name_climbs.tlv") == "FILE_NAME_MISMATCH");
  CHECK(judged("signed_by_stranger.tlv") == "FILE_SIGNATURE");
  CHECK(judged("signed_by_capf.tlv") == "FILE_SIGNATURE");
  CHECK(judged("digest_002.tlv") == "FILE_MALFORMED");
  CHECK(judged("body_changed.sgn") == "FILE_SIGNATURE");
  CHECK(judged("cipher_1.enc.sgn") == "FILE_MALFORMED");
}

TEST_CASE("signed files of open tools are read") {
  for (const std::string name : {"SEP001122334455.cnf.xml", "empty.xml", "New_Zealand/g3-tones.xml", "plain.txt"}) {
    CAPTURE(name);
    const Bytes file = kData.octets("sgn/" + name + ".sgn");
    const files::Certificate signer = kData.certificate(name == "plain.txt" ? "ccm" : "tftp");
    const auto content = files::verify_signed(file, name + ".sgn", signer);
    REQUIRE(content);
    CHECK(Bytes(content->begin(), content->end()) == kData.octets("sgn/" + name));
    CHECK(reason_of(files::verify_signed(file, name, signer)) == "FILE_NAME_MISMATCH");
    CHECK(reason_of(files::verify_signed(file, name + ".sgn", kData.certificate("sast_a"))) == "FILE_SIGNATURE");
  }
  for (const std::string folder : {"rsa2048-sha1", "rsa2048-sha512", "pad1", "pad15", "pad16"}) {
    CHECK(files::verify_encrypted(kData.octets("enc/" + folder + "/" + kEncrypted), kEncrypted,
                                  file_signer().certificate()));
  }
}

TEST_CASE("an encrypted file opens with its phone's key alone") {
  const auto opened = [](BytesView file, const std::string& phone) {
    const auto key = client::PrivateKey::parse(as_text(kData.octets("certs/" + phone + ".key"))).value();
    return files::open_encrypted(file, kEncrypted, file_signer().certificate(),
                                 [&](BytesView wrapped) { return key.decrypt(wrapped); });
  };
  for (const std::string folder : {"rsa2048-sha1", "rsa2048-sha512", "pad1", "pad15", "pad16"}) {
    CAPTURE(folder);
    const Bytes file = kData.octets("enc/" + folder + "/" + kEncrypted);
    const auto content = opened(file, "phone_rsa2048");
    REQUIRE(content);
    CHECK(Bytes(content->view().begin(), content->view().end()) == kData.octets("enc/" + folder + "/plaintext.xml"));
    CHECK(reason_of(opened(file, "phone_rsa1024")) == "FILE_MALFORMED");
  }
  for (const auto& [file, outcome] : expected()) {
    if (!file.ends_with(".enc.sgn")) continue;
    CAPTURE(file);
    CHECK(opened(kData.octets("malformed/" + file), "phone_rsa2048").has_value() == (outcome == "accept"));
  }
  const Secret content(std::string(1'000, '\r'));  // ends as padding does
  const Bytes made = files::make_encrypted({kEncrypted, Digest::kSha512, test::files_now()}, content,
                                           kData.certificate("phone_rsa2048"), file_signer().signer())
                         .value();
  CHECK(opened(made, "phone_rsa2048").value().text() == content.text());
}

TEST_CASE("what was signed is what is read") {
  for (const Digest digest : {Digest::kSha1, Digest::kSha512}) {
    for (const std::size_t size : {0U, 1U, 3U, 70'000U}) {
      const Bytes content(size, 0x0D);
      const Bytes file = sign(content, kSigned, digest);
      const auto read = files::verify_signed(file, kSigned, file_signer().certificate());
      REQUIRE(read);
      CHECK(Bytes(read->begin(), read->end()) == content);
      const auto stripped = files::strip(file);
      CHECK(Bytes(stripped->begin(), stripped->end()) == content);
    }
  }
  CHECK(reason_of(files::strip(kData.octets("itl/a/ITLFile.tlv"))) == "FILE_MALFORMED");
  CHECK(reason_of(files::strip({})) == "FILE_MALFORMED");
}

TEST_CASE("a header ends at a multiple of four octets, whatever its name's length") {
  for (std::size_t size = 1; size <= 8; ++size) {
    const std::string name(size, 'n');
    const Bytes file = sign(as_bytes("x"), name);
    CHECK((file.size() - 1) % 4 == 0);
    CHECK(files::verify_signed(file, name, file_signer().certificate()));
  }
}

TEST_CASE("no bit of a signed or encrypted file can be flipped unnoticed") {
  const Secret content("<device/>");
  const files::Certificate phone = kData.certificate("phone_rsa1024");
  const files::Certificate& signer = file_signer().certificate();
  Bytes plain = sign(content.view());
  Bytes encrypted =
      files::make_encrypted({kEncrypted, Digest::kSha1, test::files_now()}, content, phone, file_signer().signer())
          .value();
  const auto flip = [](Bytes& file, const auto& good) {
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
      file[bit / 8] = static_cast<std::uint8_t>(file[bit / 8] ^ 1U << bit % 8);
      if (good(file)) FAIL("bit " << bit);
      file[bit / 8] = static_cast<std::uint8_t>(file[bit / 8] ^ 1U << bit % 8);
    }
    CHECK(good(file));
  };
  flip(plain, [&](const Bytes& file) { return files::verify_signed(file, kSigned, signer).has_value(); });
  flip(encrypted, [&](const Bytes& file) { return files::verify_encrypted(file, kEncrypted, signer).has_value(); });
}

TEST_CASE("a file that cannot be is not written") {
  const auto made = [](const std::string& name, TimePoint at) {
    return reason_of(files::make_signed({name, Digest::kSha1, at}, {}, file_signer().signer()));
  };
  CHECK(made(kSigned, test::files_now()).empty());
  CHECK(made(std::string(255, 'a'), test::files_now()).empty());
  CHECK(made("", test::files_now()) == "INVALID_REQUEST");
  CHECK(made(std::string(256, 'a'), test::files_now()) == "INVALID_REQUEST");
  CHECK(made("a b", test::files_now()) == "INVALID_REQUEST");
  CHECK(made(std::string("a\0b", 3), test::files_now()) == "INVALID_REQUEST");
  CHECK(made(kSigned, TimePoint(std::chrono::seconds(-1))) == "INVALID_REQUEST");
  CHECK(reason_of(files::make_encrypted({kEncrypted, Digest::kSha512, test::files_now()}, Secret("x"),
                                        kData.certificate("phone_ec"), file_signer().signer())) ==
        "ENCRYPTED_CONFIG_NEEDS_RSA");
}

TEST_CASE("two files of the same content have nothing secret in common") {
  const files::Certificate phone = kData.certificate("phone_rsa2048");
  const auto encryption = [&] {
    const Bytes file = files::make_encrypted({kEncrypted, Digest::kSha512, test::files_now()}, Secret("<device/>"),
                                             phone, file_signer().signer())
                           .value();
    return files::read_header(file).value().header.encryption.value();
  };
  const files::Encryption first = encryption();
  const files::Encryption second = encryption();
  CHECK(first.iv != second.iv);
  CHECK(first.wrapped_key != second.wrapped_key);
  CHECK(first.plain_digest == second.plain_digest);
}

TEST_CASE("the hash of a certificate is its MD5") {
  CHECK(files::certificate_hash(kData.der("app_521")) == "d2c83c9dd0e60291716aca99fa9c9089");
  CHECK(files::certificate_hash(kData.der("phone_rsa2048")) == "adb3b9b7d95eba189989458ca48faedd");
}

TEST_CASE("a signer is found among those that a list names for files") {
  const auto signer_of = [](const std::string& path, const files::TrustList& list) {
    const Bytes file = kData.octets(path);
    return files::find_file_signer(list, files::read_header(file).value().header);
  };
  const auto list = files::read_trust_list(kData.octets("itl/b/ITLFile.tlv"), ListKind::kItl).value();
  REQUIRE(signer_of("sgn/empty.xml.sgn", list));
  CHECK(signer_of("sgn/empty.xml.sgn", list)->certificate->der() == kData.der("tftp"));
  CHECK(signer_of("sgn/plain.txt.sgn", list)->role == TrustRole::kCcmTftp);
  // This one has the signer for calls alone.
  const auto other = files::read_trust_list(kData.octets("itl/a/ITLFile.tlv"), ListKind::kItl).value();
  CHECK_FALSE(signer_of("sgn/plain.txt.sgn", other));
}
