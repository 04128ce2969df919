#include <catch2/catch.hpp>

#include "capf/files/name.h"

using namespace capf;
using files::Form;
using files::ListKind;
using files::parse_file_name;
using files::Wanted;

TEST_CASE("the names that phones ask for are known") {
  const auto device = DeviceName::parse("SEP0011AABBCCDD").value();
  const auto check = [](const std::string& name, Wanted wanted, Form form, std::optional<DeviceName> whose,
                        ListKind list = ListKind::kItl) {
    CAPTURE(name);
    const auto request = parse_file_name(name);
    REQUIRE(request);
    CHECK(request->wanted == wanted);
    CHECK(request->form == form);
    CHECK(request->device == whose);
    CHECK(request->list == list);
  };
  check("CTLSEP0011AABBCCDD.tlv", Wanted::kTrustList, Form::kPlain, device, ListKind::kCtl);
  check("ITLSEP0011AABBCCDD.tlv", Wanted::kTrustList, Form::kPlain, device);
  check("CTLFile.tlv", Wanted::kTrustList, Form::kPlain, std::nullopt, ListKind::kCtl);
  check("ITLFile.tlv", Wanted::kTrustList, Form::kPlain, std::nullopt);
  check("SEP0011AABBCCDD.cnf.xml", Wanted::kConfiguration, Form::kPlain, device);
  check("SEP0011AABBCCDD.cnf.xml.sgn", Wanted::kConfiguration, Form::kSigned, device);
  check("SEP0011AABBCCDD.cnf.xml.enc.sgn", Wanted::kConfiguration, Form::kEncrypted, device);
  check("XMLDefault.cnf.xml", Wanted::kDefault, Form::kPlain, std::nullopt);
}

TEST_CASE("any other plain name is one of the administrator's files") {
  const std::vector<std::pair<std::string, Form>> names{
      {"dialplan.xml", Form::kPlain},
      {"Ringlist-wb.xml", Form::kPlain},
      {"New_Zealand/g3-tones.xml", Form::kPlain},
      {"Desktops/320x212x16/List.xml", Form::kPlain},
      {"sip88xx.14-2-1-0001-14.loads", Form::kPlain},
      {"a/b/c/d/e/f/g/h", Form::kPlain},
  };
  for (const auto& [name, form] : names) {
    CAPTURE(name);
    const auto request = parse_file_name(name);
    REQUIRE(request);
    CHECK(request->wanted == Wanted::kStatic);
    CHECK(request->form == form);
    CHECK(request->path == name);
    const auto as_signed = parse_file_name(name + ".sgn");
    REQUIRE(as_signed);
    CHECK(as_signed->form == Form::kSigned);
    CHECK(as_signed->path == name);
  }
}

TEST_CASE("no other name is answered") {
  const std::vector<std::string> names{
      "",
      "/",
      "/etc/passwd",
      "/ITLFile.tlv",
      "..",
      ".",
      "../capfd.toml",
      "rings/../../capfd.toml",
      "rings/..",
      "rings//a",
      "rings/",
      "rings/.sgn",
      ".hidden",
      "rings/.hidden",
      ".sgn",
      "a\\b",
      "..\\b",
      "%2e%2e/a",
      "a%00b",
      std::string("a\0.xml", 6),
      std::string("ITLFile.tlv\0", 12),
      "a b",
      "a\nb",
      "a?b",
      "a#b",
      "a:b",
      "b\xC3\xA4",
      "a/b/c/d/e/f/g/h/i",
      std::string(256, 'a'),
      std::string(10'240, 'a'),
      // They look like what this server makes.
      "itlfile.tlv",
      "ITLFILE.TLV",
      "ITLFile.tlv.sgn",
      "ITLSEP0011aabbccdd.tlv",
      "ITLSEP0011AABBCCD.tlv",
      "ITLSEP0011AABBCCDD0.tlv",
      "XTLFile.tlv",
      "SEP0011aabbccdd.cnf.xml",
      "sep0011AABBCCDD.cnf.xml",
      "SEP0011AABBCCDD.CNF.XML",
      "SEP0011AABBCCDD.cnf.xml.enc",
      "SEP0011AABBCCDD.cnf.xml.sgn.sgn",
      "SEP0011AABBCCDD.cnf.xml.enc.sgn.sgn",
      "SEP.cnf.xml",
      "SEP../../../a.cnf.xml",
      "XMLDefault.cnf.xml.sgn",
      "xmldefault.cnf.xml",
      "rings/SEP0011AABBCCDD.cnf.xml",
      "rings/ITLFile.tlv",
  };
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK_FALSE(parse_file_name(name));
  }
}
