#include <filesystem>
#include <iostream>

#include "capf/ca/certificate.h"
#include "capf/cli/command.h"
#include "capf/cli/secret_file.h"
#include "capf/client/key.h"
#include "capf/client/site.h"
#include "capf/files/signed_file.h"
#include "capf/files/trust_list.h"

namespace capf::cli {
namespace {

constexpr std::size_t kLargestFile = 1 << 28;

Json to_json(const files::Record& record) {
  Json::Object object{{"role", to_string(record.role)}};
  if (!record.dns.empty()) object.emplace_back("dns", record.dns);
  if (record.address) {
    std::string address;
    for (const std::uint8_t octet : *record.address) {
      address += (address.empty() ? "" : ".") + std::to_string(int{octet});
    }
    object.emplace_back("address", address);
  }
  if (record.certificate) {
    object.emplace_back("subject", record.certificate->subject());
    object.emplace_back("serial", to_hex(record.certificate->serial()));
    object.emplace_back("not_after", to_rfc3339(record.certificate->not_after()));
    object.emplace_back("sha256", to_hex(sha256(record.certificate->der())));
  }
  return object;
}

Json::Object to_json(const files::Header& header) {
  return {{"name", header.file_name},
          {"made_at", to_rfc3339(header.made_at)},
          {"digest", files::to_string(header.digest)},
          {"signer", header.signer},
          {"serial", to_hex(header.serial)}};
}

/// Reads the list that it says it is: ITL or CTL.
Result<files::TrustList> read_list(BytesView file) {
  CAPF_LET(const files::Parts parts, files::read_header(file));
  const bool ctl = parts.header.file_name == files::file_name(files::ListKind::kCtl);
  return files::read_trust_list(file, ctl ? files::ListKind::kCtl : files::ListKind::kItl);
}

Result<files::TrustList> read_list_file(const std::string& path) {
  CAPF_LET(const std::string file, client::read_file(path, kLargestFile));
  return read_list(as_bytes(file));
}

Result<int> show_list(const Arguments& arguments, BytesView file) {
  CAPF_LET(const files::TrustList list, read_list(file));
  Json::Object object = to_json(list.header);
  const files::Checksums checksums = files::checksums(file);
  object.emplace_back("md5", checksums.md5);
  object.emplace_back("sha1", checksums.sha1);
  Json::Array records;
  for (const files::Record& record : list.records) records.push_back(to_json(record));
  object.emplace_back("records", std::move(records));
  if (arguments.has("--present")) {
    CAPF_LET(const files::TrustList present, read_list_file(arguments.text("--present")));
    if (!files::follows(present, list)) return fail(Reason::kTrustListNotFollowed);
  }
  show(std::cout, arguments.format(), object);
  return 0;
}

Result<int> verify_list(const Arguments& arguments, Connection&) {
  CAPF_LET(const std::string file, client::read_file(arguments.text("FILE"), kLargestFile));
  return show_list(arguments, as_bytes(file));
}

Result<files::Certificate> read_signer(const Arguments& arguments) {
  CAPF_LET(const std::string pem, client::read_file(arguments.text("--signer"), kLargestFile));
  CAPF_LET(const auto certificates, ca::split_certificates(as_bytes(pem), 1));
  return files::Certificate::read(certificates.front());
}

/// Opens an encrypted file with its phone's key, for whoever has both.
Status open_file(const Arguments& arguments, BytesView file, const std::string& name, const files::Certificate& signer,
                 Json::Object& object) {
  CAPF_LET(const Secret pem, read_secret_file(arguments.text("--key")));
  CAPF_LET(const auto key, client::PrivateKey::parse(pem.text()));
  CAPF_LET(const Secret content,
           files::open_encrypted(file, name, signer, [&](BytesView wrapped) { return key.decrypt(wrapped); }));
  object.emplace_back("content_octets", static_cast<std::int64_t>(content.view().size()));
  if (!arguments.has("--content")) return {};
  CAPF_LET(SecretFile out, SecretFile::begin(arguments.text("--content"), false));
  CAPF_TRY(out.write(content.text()));
  return out.finish();
}

Result<int> verify_file(const Arguments& arguments, Connection&) {
  const std::filesystem::path path = arguments.text("FILE");
  CAPF_LET(const std::string text, client::read_file(path, kLargestFile));
  const BytesView file = as_bytes(text);
  CAPF_LET(const files::Parts parts, files::read_header(file));
  if (parts.header.kind == files::FileKind::kTrustList) return show_list(arguments, file);
  if (!arguments.has("--signer"))
    return report_usage("a signed file is somebody's: name the certificate with --signer");
  CAPF_LET(const files::Certificate signer, read_signer(arguments));
  const std::string name = arguments.has("--name") ? arguments.text("--name") : path.filename().string();
  Json::Object object = to_json(parts.header);
  const bool encrypted = parts.header.kind == files::FileKind::kEncrypted;
  if (arguments.has("--key") && !encrypted) return report_usage("--key opens encrypted files; this one is not");
  if (arguments.has("--content") && !arguments.has("--key")) return report_usage("--content needs --key");
  if (encrypted) {
    CAPF_TRY(files::verify_encrypted(file, name, signer));
    if (arguments.has("--key")) CAPF_TRY(open_file(arguments, file, name, signer, object));
    object.emplace_back("encrypted_for_bits", static_cast<int>(8 * parts.header.encryption->wrapped_key.size()));
  } else {
    CAPF_TRY(files::verify_signed(file, name, signer));
  }
  show(std::cout, arguments.format(), object);
  return 0;
}

}  // namespace

std::vector<Command> file_commands() {
  const Option file{"FILE", Option::Kind::kFile, "the file", true};
  return {
      {"trust-list verify",
       "Checks a trust list of phones, and shows what it says; asks no server",
       "capfctl trust-list verify ITLFile.tlv --present ITLFile-old.tlv",
       {file,
        {"--present", Option::Kind::kFile, "the list that phones have: whether they would take the other one"},
        output_option()},
       verify_list},
      {"files verify",
       "Checks a trust list, or a signed or encrypted file of phones; asks no server",
       "capfctl files verify SEP001122334455.cnf.xml.sgn --signer file-signer.pem",
       {file,
        {"--signer", Option::Kind::kFile, "the certificate, PEM or DER, of the one who must have signed it"},
        {"--name", Option::Kind::kText, "the name under which it was signed, where the file is called otherwise"},
        {"--key", Option::Kind::kFile, "the phone's private key, PEM: whether it opens the encrypted file"},
        {"--content", Option::Kind::kText, "the new file for what is inside: mode 0600, because it may hold passwords"},
        output_option()},
       verify_file},
  };
}

}  // namespace capf::cli
