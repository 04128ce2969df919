#include "capf/cli/digest_export.h"

#include <iostream>

#include <botan/mem_ops.h>

#include "capf/cli/command.h"
#include "capf/cli/connection.h"

namespace capf::cli {
namespace {

Secret take_secret(std::string& text) {
  Secret secret{std::string_view(text)};
  Botan::secure_scrub_memory(text.data(), text.size());
  return secret;
}

exports::User take_user(v1::DigestExportRow& row) {
  Ha1 ha1{take_secret(*row.mutable_ha1_md5()), take_secret(*row.mutable_ha1_sha256()),
          take_secret(*row.mutable_ha1_sha512_256())};
  return {row.user(), row.realm(), std::move(ha1), {}};
}

Result<exports::Device> device_of(const v1::DigestExportRow& row) {
  CAPF_LET(DeviceName name, DeviceName::parse(row.device()));
  const auto mode = parse_device_mode(row.mode());
  if (!mode) {
    return fail(Reason::kInvalidRequest,
                "the server says the mode \"" + row.mode() + "\", which this capfctl does not know");
  }
  exports::Device device{std::move(name), *mode};
  if (row.lsc_sha256().empty()) return device;
  CAPF_LET(const Bytes octets, parse_hex(row.lsc_sha256()));
  CAPF_LET(device.lsc, to_sha256(octets));
  return device;
}

Result<int> export_users(const Arguments& arguments, Connection& server) {
  const auto format = exports::parse_format(arguments.text("--format"));
  CAPF_INVARIANT(format);  // a choice
  const std::string path = arguments.text("--out");
  CAPF_LET(SecretFile file, SecretFile::begin(path, arguments.has("--replace")));
  DigestExport written(*format, file);
  CAPF_TRY(written.begin());
  CAPF_TRY(server.export_digest_users([&](v1::DigestExportRow& row) { return written.add(row); }));
  CAPF_TRY(written.finish());
  CAPF_TRY(file.finish());
  show(std::cout, arguments.format(),
       Json::Object{{"file", path}, {"users", written.users()}, {"phones", written.phones()}});
  return 0;
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const exports::Format format : exports::kFormats) names.emplace_back(to_string(format));
  return names;
}

}  // namespace

Status DigestExport::add(v1::DigestExportRow& row) {
  if (user_ && user_->name != row.user()) CAPF_TRY(write_user());
  exports::User user = take_user(row);
  if (!user_) user_ = std::move(user);
  if (row.device().empty()) return {};
  CAPF_LET(exports::Device device, device_of(row));
  user_->devices.push_back(std::move(device));
  return {};
}

Status DigestExport::write_user() {
  CAPF_LET(const Secret lines, exports::write_user(format_, *user_));
  CAPF_TRY(file_.write(lines.text()));
  ++users_;
  phones_ += static_cast<std::int64_t>(user_->devices.size());
  user_.reset();
  return {};
}

Status DigestExport::finish() {
  if (user_) CAPF_TRY(write_user());
  return file_.write(exports::end_of(format_));
}

std::vector<Command> digest_export_commands() {
  return {{"digest-user export",
           "Writes all digest users with their HA1s and phones to a file that a SIP server reads; this is on record",
           "capfctl digest-user export --format kamailio-sql --out users.sql",
           {{"--format", Option::Kind::kChoice, "of which server", true, false, format_names()},
            {"--out", Option::Kind::kFile, "a new file, for its owner alone", true},
            {"--replace", Option::Kind::kFlag, "put it in the place of a file that is there, when it is whole"},
            output_option()},
           export_users}};
}

}  // namespace capf::cli
