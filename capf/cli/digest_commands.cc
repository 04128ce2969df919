#include <iostream>

#include "capf/cli/devices.h"
#include "capf/cli/digest_add.h"
#include "capf/cli/pages.h"
#include "capf/client/argument.h"

namespace capf::cli {
namespace {

bool reads_passwords(const Arguments& arguments) { return arguments.text("--password") == "-"; }

/// The first line of standard input, where the command has --password.
Result<std::string> password_of(const Arguments& arguments) {
  if (!reads_passwords(arguments)) return std::string();
  CAPF_LET(const Secret password, client::read_password());
  return std::string(password.text());
}

Result<int> set(const Arguments& arguments, Connection& server) {
  v1::SetDigestPasswordRequest request;
  request.set_name(arguments.text("USER"));
  request.set_hash_only(arguments.has("--hash-only"));
  CAPF_LET(*request.mutable_password(), password_of(arguments));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(),
       Json::Object{{"user", request.name()}, {"password", text_or_null(response.generated())}});
  if (!response.generated().empty()) warn("this password is shown this once");
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  return print_pages(
      arguments, server, v1::ListDigestUsersRequest(),
      {{"NAME", "name"},
       {"HASH ONLY", "hash_only"},
       {"REALM", "realm"},
       {"CREATED AT", "created_at"},
       {"PASSWORD SET AT", "password_set_at"}},
      [](const auto& response) -> auto& { return response.users(); });
}

Result<int> show_user(const Arguments& arguments, Connection& server) {
  v1::GetDigestUserRequest request;
  request.set_name(arguments.text("USER"));
  CAPF_LET(const auto response, server.call(request));
  const Json shown = to_json(response);
  Json::Object members = *shown.object();
  if (arguments.has("--reveal")) {
    v1::RevealDigestPasswordRequest reveal;
    reveal.set_name(request.name());
    CAPF_LET(const auto revealed, server.call(reveal));
    members.emplace_back("password", revealed.password());
  }
  show(std::cout, arguments.format(), members);
  return 0;
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  v1::RemoveDigestUserRequest request;
  request.set_name(arguments.text("USER"));
  if (const auto code = confirm(arguments, "Remove the digest user " + request.name() + "?")) return *code;
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"removed", request.name()}});
  return 0;
}

Result<int> assign(const Arguments& arguments, Connection& server) {
  v1::SetPhoneDigestUserRequest request;
  request.set_device(named_device(arguments));
  request.set_user(arguments.text("USER"));
  if (arguments.has("--none") == arguments.has("USER")) return report_usage("either USER or --none");
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(),
       Json::Object{{"device", request.device()}, {"digest_user", text_or_null(request.user())}});
  return 0;
}

Result<int> log_in(const Arguments& arguments, Connection& server) {
  v1::LoginPhoneRequest request;
  request.set_device(named_device(arguments));
  request.set_user(arguments.text("USER"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(),
       Json::Object{{"device", request.device()},
                    {"logged_in_user", request.user()},
                    {"replaced", text_or_null(response.replaced())}});
  return 0;
}

Result<int> log_out(const Arguments& arguments, Connection& server) {
  v1::LogoutPhoneRequest request;
  request.set_device(named_device(arguments));
  CAPF_LET(const auto response, server.call(request));
  if (response.user().empty()) warn("nobody was logged in there");
  show(std::cout, arguments.format(),
       Json::Object{{"device", request.device()}, {"logged_out", text_or_null(response.user())}});
  return 0;
}

}  // namespace

std::vector<Command> digest_commands() {
  const Option user{"USER", Option::Kind::kText, "up to 64 characters, no ':' among them", true};
  const Option device{"DEVICE", Option::Kind::kDevice, "the device name", true};
  const Option password{"--password",
                        Option::Kind::kChoice,
                        "'-' reads it from standard input, 8 to 30 characters (default: the server makes one)",
                        false,
                        false,
                        {"-"}};
  const Option hash_only{"--hash-only", Option::Kind::kFlag,
                         "keep HA1s for the site's realm alone: for phones where a person types the password"};
  return {
      digest_add_command(),
      {"digest-user set",
       "Gives a digest user another password",
       "capfctl digest-user set 4711",
       {user, password, hash_only, output_option()},
       set},
      {"digest-user list", "Lists digest users", "capfctl digest-user list", {limit_option(), output_option()}, list},
      {"digest-user show",
       "Shows a digest user and the phones that have it",
       "capfctl digest-user show 4711 --reveal",
       {user,
        {"--reveal", Option::Kind::kFlag, "with the password, which the record then says; role admin"},
        output_option()},
       show_user},
      {"digest-user remove",
       "Removes a digest user that no phone has",
       "capfctl digest-user remove 4711 --yes",
       {user, yes_option(), output_option()},
       remove},
      {"phone digest",
       "Gives a phone a digest user, or none",
       "capfctl phone digest SEP001122334455 4711",
       {device,
        {"USER", Option::Kind::kText, "the digest user"},
        {"--none", Option::Kind::kFlag, "no digest user"},
        as_written_option(),
        output_option()},
       assign},
      {"phone login",
       "Logs a user in on a phone, which has that user's digest credentials from now on; its security is the same",
       "capfctl phone login SEP001122334455 4712",
       {device, user, as_written_option(), output_option()},
       log_in},
      {"phone logout",
       "Logs the user out, so that the phone has its own digest user again",
       "capfctl phone logout SEP001122334455",
       {device, as_written_option(), output_option()},
       log_out},
  };
}

}  // namespace capf::cli
