#include <iostream>

#include <unistd.h>

#include "capf/base/file.h"
#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/client/site.h"
#include "capf/client/text.h"

namespace capf::cli {
namespace {

Json reach_json(const v1::ListReach& reach) {
  return Json::Object{{"generation", reach.generation()}, {"phones", reach.phones()}, {"fetched", reach.fetched()}};
}

Json record_json(const v1::ListRecord& record) {
  Json::Object object{{"role", record.role()},
                      {"name", text_or_null(record.name())},
                      {"in_use", record.in_use()},
                      {"sha256", text_or_null(record.sha256())},
                      {"subject", text_or_null(record.subject())},
                      {"dns", text_or_null(record.dns())},
                      {"address", text_or_null(record.address())},
                      {"reach", reach_json(record.reach())}};
  object.emplace_back("not_after", record.has_not_after()
                                       ? Json(to_rfc3339(TimePoint(std::chrono::seconds(record.not_after().seconds()))))
                                       : Json());
  return object;
}

Json present_json(const v1::PresentList& present) {
  Json::Array records;
  for (const v1::ListRecord& record : present.records()) records.push_back(record_json(record));
  return Json::Object{
      {"list", to_json(present.list())}, {"reach", reach_json(present.reach())}, {"records", std::move(records)}};
}

Json texts(const google::protobuf::RepeatedPtrField<std::string>& field) {
  Json::Array array;
  for (const std::string& text : field) array.emplace_back(text);
  return array;
}

std::string share(const v1::ListReach& reach) {
  return std::to_string(reach.fetched()) + "/" + std::to_string(reach.phones());
}

/// A line for each record.
void print_records(const Style& style, const v1::GetTrustListsResponse& response) {
  List list(std::cout, style,
            {{"LIST", "list"},
             {"ROLE", "role"},
             {"NAME", "name"},
             {"IN USE", "in_use"},
             {"FETCHED", "fetched"},
             {"NOT AFTER", "not_after"},
             {"SHA-256", "sha256"},
             {"SUBJECT", "subject"}});
  for (const v1::PresentList& present : response.lists()) {
    for (const v1::ListRecord& record : present.records()) {
      const Json row = record_json(record);
      list.add(Json::Object{{"list", present.list().kind() + " " + std::to_string(present.list().generation())},
                            {"role", record.role()},
                            {"name", row["name"]},
                            {"in_use", record.in_use()},
                            {"fetched", share(record.reach())},
                            {"not_after", row["not_after"]},
                            {"sha256", text_or_null(record.sha256().substr(0, 16))},
                            {"subject", row["subject"]}});
    }
  }
  list.finish();
}

Result<int> show_lists(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::GetTrustListsRequest()));
  if (arguments.format().is_json()) {
    Json::Array lists;
    for (const v1::PresentList& present : response.lists()) lists.push_back(present_json(present));
    show(std::cout, arguments.format(),
         Json::Object{{"lists", std::move(lists)},
                      {"signer", text_or_null(response.signer())},
                      {"next_signer", text_or_null(response.next_signer())},
                      {"released", response.released()},
                      {"stale", texts(response.stale())},
                      {"next", texts(response.next())}});
    return 0;
  }
  if (response.lists().empty()) warn("there is no trust list");
  if (arguments.format() == Format::kCsv) {
    print_records(arguments.format(), response);
    return 0;
  }
  for (const v1::PresentList& present : response.lists()) {
    std::cout << present.list().kind() << ' ' << present.list().generation() << ": fetched by "
              << share(present.reach()) << " phones, SHA-1 " << present.list().sha1() << ", MD5 "
              << present.list().md5() << "; signed under SHA-1: " << present.list().sha1_of_sha1() << ", "
              << present.list().md5_of_sha1() << '\n';
  }
  print_records(arguments.format(), response);
  for (const std::string& words : response.next()) std::cout << "next: " << client::printable(words) << '\n';
  for (const std::string& words : response.stale()) warn(words);
  return 0;
}

Result<int> list_lists(const Arguments& arguments, Connection& server) {
  v1::ListTrustListsRequest request;
  request.set_kind(arguments.has("--kind") ? arguments.text("--kind") : "itl");
  return print_pages(
      arguments, server, request,
      {{"GENERATION", "generation"},
       {"MADE AT", "made_at"},
       {"BY", "made_by"},
       {"SHA-1", "sha1"},
       {"MD5", "md5"},
       {"SIGNER", "signer"}},
      [](const auto& response) -> auto& { return response.lists(); });
}

/// Shows lists that were made, and warns of what each says.
template <class Response>
Json told(const Response& response) {
  Json::Array lists;
  for (const v1::BuiltList& built : response.lists()) {
    for (const std::string& warning : built.warnings()) warn("warning: " + built.kind() + ": " + warning);
    lists.push_back(Json::Object{{"kind", built.kind()},
                                 {"generation", built.generation()},
                                 {"signer", built.signer()},
                                 {"sha1", built.sha1()},
                                 {"md5", built.md5()},
                                 {"followed", built.followed()}});
  }
  return lists;
}

template <class Response>
int print_built(const Arguments& arguments, const Response& response) {
  const Json lists = told(response);
  List list(
      std::cout, arguments.format(),
      {{"LIST", "kind"}, {"GENERATION", "generation"}, {"SHA-1", "sha1"}, {"MD5", "md5"}, {"FOLLOWED", "followed"}});
  for (const Json& each : *lists.array()) list.add(each);
  list.finish();
  return 0;
}

Result<int> build(const Arguments& arguments, Connection& server) {
  v1::BuildTrustListsRequest request;
  request.set_dry_run(arguments.has("--dry-run"));
  request.set_force_new_trust(arguments.has("--force-new-trust"));
  if (request.force_new_trust() && !request.dry_run()) {
    if (const auto code = confirm(arguments, "Publish the list also where phones cannot follow it?",
                                  "each phone that does not follow needs a hand")) {
      return *code;
    }
  }
  CAPF_LET(const auto response, server.call(request));
  for (const std::string& words : response.left_out()) warn("warning: " + words);
  if (response.lists().empty()) warn("the present lists say what is on record");
  if (request.dry_run()) warn("nothing was done");
  return print_built(arguments, response);
}

Result<int> export_list(const Arguments& arguments, Connection& server) {
  v1::ExportTrustListRequest request;
  request.set_kind(arguments.has("--kind") ? arguments.text("--kind") : "itl");
  request.set_generation(arguments.number("--generation").value_or(0));
  request.set_digest(arguments.text("--digest"));
  const std::string path = arguments.text("--out");
  if (path.empty() && ::isatty(STDOUT_FILENO) != 0) {
    return report_usage("a list is not for a terminal: name a file with --out");
  }
  CAPF_LET(const auto response, server.call(request));
  if (path.empty()) {
    std::cout << response.octets() << std::flush;
  } else {
    CAPF_TRY(write_new_file(path, as_bytes(response.octets())));
  }
  return 0;
}

Result<int> serve(const Arguments& arguments, Connection& server) {
  v1::ServeTrustListRequest request;
  request.set_device(named_device(arguments));
  request.set_kind(arguments.has("--kind") ? arguments.text("--kind") : "itl");
  request.set_generation(arguments.number("--generation").value_or(0));
  CAPF_LET(const auto response, server.call(request));
  if (response.generation() == response.newest()) {
    warn("it gets the newest list from now on");
  } else if (response.next() == 0) {
    warn("no later list can be followed by a phone with this one: it has to forget its list by hand");
  } else {
    warn("restart it, and then: capfctl trust-list serve " + request.device() + " --kind " + request.kind() +
         " --generation " + std::to_string(response.next()));
  }
  show(std::cout, arguments.format(),
       Json::Object{{"device", request.device()},
                    {"kind", request.kind()},
                    {"generation", response.generation()},
                    {"newest", response.newest()},
                    {"next", response.next()}});
  return 0;
}

Result<int> release(const Arguments& arguments, Connection& server) {
  if (const auto code = confirm(arguments, "Let all phones take files and lists of anybody?",
                                "phones that have fetched it are open to everybody until they get another list")) {
    return *code;
  }
  CAPF_LET(const auto response, server.call(v1::ReleaseTrustListsRequest()));
  return print_built(arguments, response);
}

Result<int> activate(const Arguments& arguments, Connection& server) {
  v1::ActivateTrustedCertificateRequest request;
  request.set_sha256(arguments.text("SHA256"));
  request.set_force(arguments.has("--force"));
  CAPF_LET(const auto response, server.call(request));
  Json::Array lists;
  for (const v1::ListReach& reach : response.reach()) {
    warn(share(reach) + " phones have fetched " + reach.kind() + " " + std::to_string(reach.generation()) +
         " or a later one");
    lists.push_back(reach_json(reach));
  }
  if (response.reach().empty()) warn("the certificate is in no list");
  Json::Object object{{"sha256", response.sha256()}};
  if (arguments.format().is_json()) object.emplace_back("lists", std::move(lists));
  show(std::cout, arguments.format(), object);
  return 0;
}

Result<int> replace_signer(const Arguments& arguments, Connection& server) {
  const bool step = arguments.has("--step");
  if (step && arguments.has("--cancel")) return report_usage("--step goes on, --cancel goes back");
  v1::ReplaceListSignerRequest request;
  request.set_step(step ? "finish" : arguments.has("--cancel") ? "cancel" : "begin");
  request.set_force(arguments.has("--force"));
  CAPF_LET(const auto response, server.call(request));
  warn(step                        ? "the next signer signs from now on: activate it with 'capfd list-signer activate'"
       : arguments.has("--cancel") ? "the next signer is in no list any more"
                                   : "the next signer is in the lists; 'capfctl trust-list show' says who has them");
  return print_built(arguments, response);
}

Option kind_option() {
  return {"--kind", Option::Kind::kChoice, "which list (default: itl)", false, false, {"itl", "ctl"}};
}

}  // namespace

std::vector<Command> lists_commands() {
  const Option force{"--force", Option::Kind::kFlag,
                     "also where few phones have fetched the list: the others are lost"};
  return {
      {"trust-list show",
       "Shows the trust lists that phones get, who has fetched them, and what is to be done next",
       "capfctl trust-list show --output json",
       {output_option()},
       show_lists},
      {"trust-list list",
       "Lists the trust lists that were published, with the checksums that phones show",
       "capfctl trust-list list --kind ctl",
       {kind_option(), limit_option(), output_option()},
       list_lists},
      {"trust-list build",
       "Publishes trust lists of what is on record at once, as servers do by themselves; ends a release",
       "capfctl trust-list build --dry-run",
       {{"--dry-run", Option::Kind::kFlag, "say what would be published, and do nothing"},
        {"--force-new-trust", Option::Kind::kFlag,
         "also a list that phones cannot follow, so that each needs a hand, or that lost the file signer or TVS"},
        yes_option(),
        output_option()},
       build},
      {"trust-list export",
       "Writes a trust list as phones get it",
       "capfctl trust-list export --kind itl --out ITLFile.tlv",
       {kind_option(),
        {"--generation", Option::Kind::kNumber, "its number (default: the newest)"},
        {"--digest",
         Option::Kind::kChoice,
         "under which it is signed (default: sha512)",
         false,
         false,
         {"sha1", "sha512"}},
        {"--out", Option::Kind::kFile, "a new file (default: standard output)"}},
       export_list},
      {"trust-list serve",
       "Gives a phone that missed several lists the one that it can follow",
       "capfctl trust-list serve SEP001122334455 --generation 4",
       {{"DEVICE", Option::Kind::kDevice, "the phone", true},
        {"--generation", Option::Kind::kNumber, "the number of the list; the newest one ends it", true},
        kind_option(),
        as_written_option(),
        output_option()},
       serve},
      {"trust-list release",
       "Publishes an emptied ITL, with which phones can leave the site: they take files of anybody",
       "capfctl trust-list release --yes",
       {yes_option(), output_option()},
       release},
      {"trust-list certificate activate",
       "Says whether enough phones have fetched a list with a certificate of others, and notes that it may be used",
       "capfctl trust-list certificate activate 6a3f0c91",
       {{"SHA256", Option::Kind::kText, "its SHA-256 in hexadecimal, at least 8 digits", true}, force, output_option()},
       activate},
      {"trust-list signer replace",
       "Puts the next list signer into the lists beside the present one; with --step, lets it sign alone",
       "capfctl trust-list signer replace --step",
       {{"--step", Option::Kind::kFlag, "the second list, signed by the next signer"},
        {"--cancel", Option::Kind::kFlag, "takes the next signer out of the lists again"},
        force,
        output_option()},
       replace_signer},
  };
}

}  // namespace capf::cli
