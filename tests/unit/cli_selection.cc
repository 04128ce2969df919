#include <fstream>
#include <iterator>
#include <sstream>

#include <catch2/catch.hpp>

#include "capf/cli/arguments.h"
#include "capf/cli/selection.h"
#include "capf/domain/page.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::cli;
using capf::test::Folder;

namespace {

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

const std::vector<Command>& commands() {
  static const std::vector<Command> all = all_commands();
  return all;
}

Arguments arguments(const std::vector<std::string>& line) {
  const Parsed parsed = parse(line, commands());
  INFO(parsed.error);
  REQUIRE(parsed.command != nullptr);
  return parsed.arguments;
}
Arguments arguments(const std::string& line) { return arguments(words(line)); }

Chosen chosen(const std::string& options) {
  const auto phones = chosen_phones(arguments("phone change " + options));
  REQUIRE(phones);
  return *phones;
}
std::string refusal(const std::string& options) {
  const auto phones = chosen_phones(arguments("phone change " + options));
  REQUIRE_FALSE(phones);
  return phones.error().message;
}
/// The only slice.
v1::PhoneSelection selection(const std::string& options) {
  const Chosen phones = chosen(options);
  REQUIRE(phones.slices.size() == 1);
  return phones.slices.front();
}

template <class Field>
std::string joined(const Field& field) {
  std::ostringstream text;
  for (const auto& value : field) text << value << ' ';
  return text.str();
}

std::string file_of(const Folder& folder, const std::string& name, const std::string& text) {
  const auto path = folder.path() / name;
  std::ofstream(path) << text;
  return path.string();
}

}  // namespace

TEST_CASE("a command line without an option chooses no phone, and all of them where that is said") {
  const Folder folder;
  CHECK_FALSE(chosen("").any);
  CHECK(selection("").ByteSizeLong() == 0);
  CHECK_FALSE(chosen("--except " + file_of(folder, "some.csv", "SEP1\n")).any);
  CHECK_FALSE(chosen("--description new --add-tags a --dry-run --yes").any);
  CHECK(chosen("--all").any);
  CHECK(selection("--all").all());
  CHECK_FALSE(chosen("--all").named);
}

TEST_CASE("an option that is given twice has both values") {
  const auto both = selection(
      "--device SEP0* --device ATA* --tag a --tag b --model CP-8861 --model CP-78* --lsc none --lsc held --issuer 1 "
      "--issuer 22 --auth mic --auth null --operation failed --operation none --reason MIC_CHANGED --reason INTERNAL");
  CHECK(joined(both.patterns()) == "SEP0* ATA* ");
  CHECK(joined(both.tags()) == "a b ");
  CHECK(joined(both.models()) == "CP-8861 CP-78* ");
  CHECK(joined(both.lsc()) == "none held ");
  CHECK(joined(both.issuers()) == "1 22 ");
  CHECK(both.auths(0) == v1::AUTH_MODE_MIC);
  CHECK(both.auths(1) == v1::AUTH_MODE_NULL);
  CHECK(joined(both.operations()) == "failed none ");
  CHECK(joined(both.reasons()) == "MIC_CHANGED INTERNAL ");
  CHECK(chosen("--tag a --tag b").any);
}

TEST_CASE("every property of a selection has its option") {
  const auto all = selection(
      "--all --device SEP* --tag a --model CP-8861 --lsc valid --expires-before 2030-01-02 --issuer 1 "
      "--issuer-expires-before 2030-01-03 --auth mic --operation failed --reason MIC_CHANGED --tried MIC_CHANGED "
      "--not-seen-since 2030-01-04 --blocked --locked --profile desks --mode encrypted --effective-mode nonsecure "
      "--renewal late");
  std::vector<const google::protobuf::FieldDescriptor*> set;
  all.GetReflection()->ListFields(all, &set);
  // But `devices` and `excepts`, which come from files, and `leaves_unknown`, which is no property.
  CHECK(static_cast<int>(set.size()) == v1::PhoneSelection::descriptor()->field_count() - 3);
  CHECK(all.issuer_expires_before().seconds() - all.expires_before().seconds() == 86'400);
  CHECK(all.not_seen_since().seconds() - all.expires_before().seconds() == 172'800);
  CHECK(all.blocked());
  CHECK(all.locked());
}

TEST_CASE("a time may be counted backwards from now") {
  const std::int64_t then = selection("--not-seen-since -30d").not_seen_since().seconds();
  const std::int64_t now = selection("--not-seen-since +0d").not_seen_since().seconds();
  CHECK(now - then - 30LL * 24 * 3600 >= 0);
  CHECK(now - then - 30LL * 24 * 3600 < 3600);
}

TEST_CASE("pending stands for the three open states, as in the list of operations") {
  CHECK(joined(selection("--operation pending").operations()) == "pending in_progress issued ");
  CHECK(joined(selection("--operation issued --operation overdue").operations()) == "issued overdue ");
}

TEST_CASE("the option --tried stands alone, or with reasons") {
  for (const char* line : {"--tried", "--tried --tag a", "SEP1 --tried", "--tried --yes"}) {
    CAPTURE(line);
    CHECK(selection(line).tried());
    CHECK(selection(line).tried_reasons().empty());
  }
  CHECK(joined(selection("--tried MIC_CHANGED INTERNAL --tag a").tried_reasons()) == "MIC_CHANGED INTERNAL ");
  CHECK(joined(selection("--tried MIC_CHANGED --tried INTERNAL").tried_reasons()) == "MIC_CHANGED INTERNAL ");
  CHECK_FALSE(selection("--tag a").tried());
}

TEST_CASE("devices are named on the command line and in a file, and properties choose among them") {
  const Folder folder;
  const std::string file = file_of(folder, "some.csv", "device\nSEP3\n00:11:22:aa:bb:cc\n");
  const Chosen named = chosen("SEP2 SEP1 --description new --file " + file);
  CHECK(named.any);
  CHECK(named.named);
  CHECK(joined(named.slices.front().devices()) == "SEP001122AABBCC SEP1 SEP2 SEP3 ");
  const Chosen some = chosen("SEP1 --tag a SEP2");
  CHECK_FALSE(some.named);
  CHECK(joined(some.slices.front().devices()) == "SEP1 SEP2 ");
  CHECK(joined(some.slices.front().tags()) == "a ");
  CHECK_THAT(refusal("SEP1 SEP/2"), Catch::Contains("nothing was done"));
  CHECK_THAT(refusal("SEP3 --file " + file), Catch::Contains("nothing was done"));
  CHECK_THAT(refusal("--file " + (folder.path() / "none").string()), Catch::Contains("none"));
}

TEST_CASE("many devices are cut into batches, each of which is one transaction") {
  const Folder folder;
  std::string lines;
  for (int i = 0; i < kPhonesInBatch + 1; ++i) lines += "SEP" + std::to_string(1000 + i) + "\n";
  const Chosen many = chosen("--lsc none --file " + file_of(folder, "many.csv", lines));
  REQUIRE(many.slices.size() == 2);
  CHECK(many.slices[0].devices_size() == kPhonesInBatch);
  CHECK(joined(many.slices[1].devices()) == "SEP1500 ");
  CHECK(joined(many.slices[1].lsc()) == "none ");
}

TEST_CASE("excepted devices are left out of those that are named, and are told to the server otherwise") {
  const Folder folder;
  const std::string but = file_of(folder, "but.csv", "SEP1\nsep001122aabbcc\n");
  const auto named = selection("SEP1 SEP2 --except " + but);
  CHECK(joined(named.devices()) == "SEP2 ");
  CHECK(named.excepts().empty());
  CHECK(joined(selection("--tag a --except " + but).excepts()) == "SEP001122AABBCC SEP1 ");
  CHECK(joined(selection("--tag a --as-written --except " + but).excepts()) == "SEP1 sep001122aabbcc ");
  CHECK_THAT(refusal("SEP1 --except " + but), Catch::Contains("leaves none"));
  CHECK_THAT(refusal("--all --except " + file_of(folder, "empty.csv", "\n")), Catch::Contains("names no device"));
  CHECK_THAT(refusal("--all --except " + file_of(folder, "bad.csv", "SEP/1\n")), Catch::Contains("nothing was done"));
  CHECK_THAT(refusal("--all --file - --except -"), Catch::Contains("standard input"));
}

TEST_CASE("a pattern that is a MAC address is the name of its phone") {
  CHECK(joined(selection("--device 0011.22aa.bbcc").patterns()) == "SEP001122AABBCC ");
  CHECK(joined(selection("--as-written --device 001122aabbcc").patterns()) == "001122aabbcc ");
}

TEST_CASE("a value that no property has is wrong usage, and so is a time that is given twice") {
  for (const char* options :
       {"--lsc Valid", "--issuer x", "--operation open", "--auth password", "--expires-before tomorrow",
        "--expires-before +1d --expires-before +2d", "--tag", "--blocked=maybe", "--tag a --device"}) {
    CAPTURE(options);
    for (const char* command : {"phone list ", "phone change "}) {
      const Parsed parsed = parse(words(command + std::string(options)), commands());
      CHECK(parsed.command == nullptr);
      CHECK(parsed.exit_code == 2);
    }
  }
  CHECK(parse(words("phone list SEP1"), commands()).exit_code == 2);
}

TEST_CASE("every command that changes phones takes one device, several, or the same selection") {
  const Folder folder;
  const std::string file = file_of(folder, "some.csv", "SEP2\nSEP3\n");
  const std::string options = " SEP1 --file " + file + " --tag a --locked --dry-run --yes --output json";
  for (const char* command : {"phone change --description x", "phone remove", "phone block", "phone unblock",
                              "phone unlock --forget-mic", "phone trace --until +2h", "phone trace --off"}) {
    CAPTURE(command);
    const auto phones = chosen_phones(arguments(command + options));
    REQUIRE(phones);
    REQUIRE(phones->slices.size() == 1);
    CHECK(joined(phones->slices.front().devices()) == "SEP1 SEP2 SEP3 ");
    CHECK(joined(phones->slices.front().tags()) == "a ");
    CHECK(phones->slices.front().locked());
    CHECK_FALSE(phones->named);
    CHECK(chosen_phones(arguments(command + std::string(" SEP1")))->named);
    CHECK_FALSE(chosen_phones(arguments(command))->any);
  }
}

TEST_CASE("an empty text is a value of an option") {
  const Arguments change = arguments(std::vector<std::string>{"phone", "change", "SEP1", "--description", ""});
  CHECK(change.has("--description"));
  CHECK(change.text("--description").empty());
  CHECK(change.list("DEVICE") == std::vector<std::string>{"SEP1"});
}

namespace {

std::vector<v1::CertificateSelection> certificates(const std::string& options) {
  const Arguments line = arguments("certificate revoke --reason superseded " + options);
  const auto slices = chosen_certificates(line);
  REQUIRE(slices);
  CHECK(chooses_certificates(line));
  return *slices;
}

}  // namespace

TEST_CASE("a word that certificates and phones have in common means the certificates") {
  const auto slices = certificates("--device SEP* --model CP-* --issuer 1 --expires-before 2030-01-02 --state issued");
  REQUIRE(slices.size() == 1);
  CHECK(slices.front().devices() == "SEP*");
  CHECK(slices.front().models() == "CP-*");
  CHECK(slices.front().issuer() == 1);
  CHECK(slices.front().has_expires_before());
  CHECK_FALSE(slices.front().has_phones());
}

TEST_CASE("certificates are chosen by their phones' properties beside their own") {
  const Folder folder;
  const auto slices = certificates("--model CP-* --tag lobby --not-seen-since 2030-01-02 --operation failed --except " +
                                   file_of(folder, "but.csv", "SEP1\n"));
  REQUIRE(slices.size() == 1);
  CHECK(slices.front().models() == "CP-*");
  const v1::PhoneSelection& phones = slices.front().phones();
  CHECK(joined(phones.tags()) == "lobby ");
  CHECK(joined(phones.operations()) == "failed ");
  CHECK(joined(phones.excepts()) == "SEP1 ");
  CHECK(phones.has_not_seen_since());
  CHECK(phones.models().empty());
  CHECK(phones.reasons().empty());
  CHECK_FALSE(chooses_certificates(arguments("certificate revoke SEP1 --as-written --reason superseded --yes")));
}

TEST_CASE("each slice of devices is taken with each slice of serial numbers") {
  const Folder folder;
  std::string devices;
  for (int i = 0; i < kPhonesInBatch + 1; ++i) devices += "SEP" + std::to_string(1000 + i) + "\n";
  std::string serials;
  for (int i = 0; i < kMostSerialsAtOnce + 1; ++i) serials += std::to_string(100000 + i) + "\n";
  const auto slices = certificates("--file " + file_of(folder, "devices.csv", devices) + " --serials " +
                                   file_of(folder, "serials.csv", serials));
  REQUIRE(slices.size() == 4);
  CHECK(slices[0].phones().devices_size() == kPhonesInBatch);
  CHECK(slices[0].serials_size() == kMostSerialsAtOnce);
  CHECK(slices[3].phones().devices_size() == 1);
  CHECK(slices[3].serials_size() == 1);
}
