#include <catch2/catch.hpp>

#include "capf/wire/message.h"
#include "tests/support/wire.h"

namespace {

using capf::Bytes;
using capf::BytesView;
using namespace capf::wire;
using capf::test::read_wire_samples;
using capf::test::wire_sample;
using capf::test::WireSample;

Frame frame_of(BytesView octets) {
  const Taken taken = take_frame(octets);
  REQUIRE(std::holds_alternative<Frame>(taken));
  return std::get<Frame>(taken);
}

Message message_of(BytesView octets) {
  const auto read = read_message(frame_of(octets));
  REQUIRE(std::holds_alternative<Message>(read));
  return std::get<Message>(read);
}

bool is_malformed(BytesView octets) {
  const Taken taken = take_frame(octets);
  if (std::holds_alternative<Malformed>(taken)) return true;
  const auto* frame = std::get_if<Frame>(&taken);
  return frame != nullptr && std::holds_alternative<Malformed>(read_message(*frame));
}

/// A phone's message of that command with these elements, in hexadecimal.
Bytes message_with(std::uint8_t command, const std::string& elements) {
  const Bytes body = capf::parse_hex(elements).value();
  Bytes octets{0x55, command, 0xC0, 0xFF, 0xEE, 0x42, 0, 0};
  octets[6] = static_cast<std::uint8_t>(body.size() >> 8);
  octets[7] = static_cast<std::uint8_t>(body.size());
  octets.insert(octets.end(), body.begin(), body.end());
  return octets;
}

TEST_CASE("every message of the protocol is read and written octet for octet") {
  for (const WireSample& sample : read_wire_samples("messages.txt")) {
    INFO(sample.name);
    const Message message = message_of(sample.octets);
    CHECK(message.session_id == 0xC0FFEE42);
    CHECK(encode(message) == sample.octets);
  }
}

TEST_CASE("what a message says is what was written") {
  const Bytes proof = wire_sample("auth response proving the MIC, SUDI included");
  const Message mic = message_of(proof);
  CHECK(mic.command == Command::kAuthResponse);
  CHECK(mic.reason == 1);
  CHECK(mic.version == 3);
  CHECK(mic.device == "SEP001122334455");
  CHECK_FALSE(mic.password);
  REQUIRE(mic.certificate);
  CHECK(mic.certificate->type == kTypeMic);
  CHECK(mic.certificate->der.size() == 784);
  CHECK(mic.signed_data->size() == 256);
  CHECK(mic.sha2_signed_data->hash == kHashSha512);
  CHECK(mic.sha2_signed_data->signature.size() == 256);
  CHECK(mic.sudi->certificate.size() == 784);
  CHECK(mic.sudi->sha1_signature.size() == 256);
  CHECK(mic.sudi->sha512_signature.size() == 256);

  const Bytes typed = wire_sample("auth response with authentication string 123456");
  CHECK(message_of(typed).password == "123456");
  const Bytes null = wire_sample("auth response with null string");
  CHECK(message_of(null).password == "");
  const Bytes soft = wire_sample("auth response of a version 2 softphone without a password element");
  CHECK_FALSE(message_of(soft).password);
  CHECK(message_of(soft).version == 2);

  const Bytes ec = wire_sample("key generate request secp384r1");
  CHECK(message_of(ec).key_type == kKeyEc);
  CHECK(curve_bits(*message_of(ec).curve) == 384);
  const Bytes rsa = wire_sample("key generate request RSA-2048, version 2");
  CHECK(message_of(rsa).key_size == 2048);
  CHECK_FALSE(message_of(rsa).key_type);
}

TEST_CASE("malformed messages are refused") {
  for (const WireSample& sample : read_wire_samples("malformed.txt")) {
    INFO(sample.name);
    CHECK(is_malformed(sample.octets));
  }
}

TEST_CASE("a message is whole only with its last octet") {
  for (const WireSample& sample : read_wire_samples("messages.txt")) {
    INFO(sample.name);
    for (std::size_t size = 0; size < sample.octets.size(); ++size) {
      const Taken taken = take_frame(BytesView(sample.octets).first(size));
      REQUIRE(std::holds_alternative<More>(taken));
      CHECK(std::get<More>(taken).size > size);
      CHECK(std::get<More>(taken).size <= sample.octets.size());
    }
  }
}

TEST_CASE("a message that is cut inside its elements is malformed wherever an element is cut") {
  Bytes octets = wire_sample("auth response proving the MIC, SUDI included");
  // The lengths after which an element ends.
  const std::vector<std::size_t> ends{0, 4, 8, 27, 819, 1078, 1340, 2648};
  for (std::size_t size = 0; size <= octets.size() - kHeaderSize; ++size) {
    octets[6] = static_cast<std::uint8_t>(size >> 8);
    octets[7] = static_cast<std::uint8_t>(size);
    const bool whole = std::find(ends.begin(), ends.end(), size) != ends.end();
    CHECK(is_malformed(BytesView(octets).first(kHeaderSize + size)) == !whole);
  }
}

TEST_CASE("what stands behind a message is left alone") {
  Bytes two = wire_sample("request in progress");
  const Bytes second = wire_sample("store certificate response");
  two.insert(two.end(), second.begin(), second.end());
  const Frame first = frame_of(two);
  CHECK(first.size() == kHeaderSize);
  CHECK(message_of(BytesView(two).subspan(first.size())).command == Command::kStoreResponse);
}

TEST_CASE("a message longer than is taken is refused as soon as its header is there") {
  const Bytes header{0x55, 2, 0, 0, 0, 1, 0xFF, 0xFF};
  CHECK(std::holds_alternative<More>(take_frame(header)));
  CHECK(std::get<More>(take_frame(header)).size == kHeaderSize + 65535);
  CHECK(std::holds_alternative<Malformed>(take_frame(header, kLongestAccepted)));
}

TEST_CASE("65,535 octets of elements are read like fewer") {
  Bytes octets{0x55, 2, 0, 0, 0, 1, 0xFF, 0xFF};
  while (octets.size() < kHeaderSize + 65535) octets.insert(octets.end(), {0x63, 0, 0});  // an element without use
  CHECK_FALSE(is_malformed(octets));
  octets.back() = 1;
  CHECK(is_malformed(octets));
}

TEST_CASE("elements that have no use in a message are passed over, whatever they hold") {
  // Unknown ones, twice; one that counts elsewhere, with another size.
  const Bytes octets = message_with(10,
                                    "630002AABB"
                                    "630000"
                                    "010001"
                                    "01"
                                    "0700020003"
                                    "0A0001FF");
  const Message message = message_of(octets);
  CHECK(message.reason == 1);
  CHECK_FALSE(message.version);
  CHECK_FALSE(message.key_size);
}

TEST_CASE("elements of another size or form are refused where they count") {
  const std::string name =
      "0D0005"
      "5345503000";  // "SEP0", as far as it matters here
  CHECK_FALSE(is_malformed(message_with(2, name)));
  for (const char* element :
       {"0100020101", "010000", "0700010307000103", "0B0000", "0B000431323334", "0B00053132003400", "0D0000",
        "0400050100020002", "040006010004000230", "04000600000300023000", "040006010003010230", "060000",
        "140003030000", "14000403000200", "100003000001", "10000400000130", "10000C000001300100013002000130",
        "10001000000130000001310100013003000130"}) {
    INFO(element);
    CHECK(is_malformed(message_with(2, element)));
  }
}

TEST_CASE("a message of an unknown command is read, and nothing counts in it") {
  const Message message = message_of(message_with(8,
                                                  "0700020003"
                                                  "0D00020041"));
  CHECK(describe(message) == "command_8");
  CHECK_FALSE(message.version);
}

TEST_CASE("a message that does not fit into its length field is not written") {
  const Bytes large(65535, 0x30);
  Message store{Command::kStoreRequest, 1};
  store.certificate = CertificateElement{kTypeLsc, large};
  CHECK(encode(store).error().reason == capf::Reason::kRequestTooLarge);
  store.certificate->der = BytesView(large).first(65535 - 8);
  CHECK(encode(store)->size() == kHeaderSize + 65535);
}

TEST_CASE("a message is described in one line without its secrets") {
  const Bytes typed = wire_sample("auth response with authentication string 123456");
  CHECK(describe(message_of(typed)) == "auth_response reason=1 version=3 password=given device=SEP001122334455");
  const Bytes proof = wire_sample("auth response proving the MIC, SUDI included");
  CHECK(describe(message_of(proof)) ==
        "auth_response reason=1 version=3 device=SEP001122334455 certificate=mic:784 signed_data=256 "
        "sha2_signed_data=3:256 sudi=784:256:256");
  Message forged{Command::kAuthResponse, 1};
  forged.device = "SEP\n2030 info \"all is well\" %s";
  CHECK(describe(forged) == R"(auth_response device="SEP\x0a2030 info \"all is well\" %s")");
  const Bytes ec = wire_sample("key generate request secp384r1");
  CHECK(describe(message_of(ec)) == "key_generate_request key_type=ec curve=p-384");
}

}  // namespace
