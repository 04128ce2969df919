#include <algorithm>
#include <fstream>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/net/asio.h"
#include "capf/service/static_files.h"
#include "capf/web/files.h"
#include "tests/support/folder.h"
#include "tests/support/no_database.h"
#include "tests/support/phone_files.h"

using namespace capf;
using namespace capf::test;
using namespace capf::web;
using Catch::Contains;
using Channel = FileDesk::Channel;

namespace {

namespace asio = capf::net::asio;

const std::string kPhone = "SEP001122334455";
const test::PhoneFiles kData{std::string(CAPF_TEST_DATA) + "/phone-files"};

class FixedClock final : public Clock {
 public:
  TimePoint now() const override { return files_now(); }
};

/// One phone with a list and a configuration, whose content says which form was asked for.
class OnePhone final : public service::PhoneFileSource {
 public:
  Result<std::optional<service::PhoneFile>> open(const files::FileRequest& request) override {
    if (request.wanted == files::Wanted::kStatic) return std::nullopt;
    if (broken) return fail(Reason::kDatabaseUnavailable);
    if (request.device && request.device->text() != kPhone) return std::nullopt;
    if (request.wanted == files::Wanted::kTrustList) return file("a list", "7");
    switch (request.form) {
      case files::Form::kPlain: return file("plain", "c-1");
      case files::Form::kSigned: return file("signed", "c-1");
      case files::Form::kEncrypted: return file(std::string(200'000, 'x'), "c-1");
    }
    CAPF_INVARIANT(false);
  }

  bool broken = false;

 private:
  static service::PhoneFile file(const std::string& text, const std::string& generation) {
    return {std::make_shared<const Bytes>(text.begin(), text.end()), generation};
  }
};

/// Static files that are read only when the test says so.
class SlowStatics final : public service::PhoneFileSource {
 public:
  Result<std::optional<service::PhoneFile>> open(const files::FileRequest& request) override {
    if (request.wanted == files::Wanted::kStatic) {
      read.wait();
      opened.push_back(request.path);
    }
    return std::nullopt;
  }

  std::vector<std::string> opened;  ///< by the one thread that static files have
  std::promise<void> go;
  std::shared_future<void> read{go.get_future()};
};

/// Configurations that are opened only when the test says so, and of which one throws.
class Together final : public service::PhoneFileSource {
 public:
  Result<std::optional<service::PhoneFile>> open(const files::FileRequest& request) override {
    opened.wait();
    if (request.device->text() == kPhone) throw std::runtime_error("no such luck");
    return service::PhoneFile{std::make_shared<const Bytes>(3), "c-1"};
  }
  void open_each(std::span<const files::FileRequest* const> requests, const Done& done) override {
    together.push_back(requests.size());
    PhoneFileSource::open_each(requests, done);
  }

  std::vector<std::size_t> together;  ///< by the one thread of the desk
  std::promise<void> go;
  std::shared_future<void> opened{go.get_future()};
};

/// A folder of static files, and the key that signs them.
struct Statics {
  Statics() { std::filesystem::create_directory(folder.path() / "rings"); }

  service::StaticFiles open(std::size_t memory = std::size_t{1} << 20, files::Digest digest = files::Digest::kSha512) {
    service::StaticFiles::Settings settings;
    settings.digest = digest;
    settings.folder = folder.path() / "rings";
    settings.memory = memory;
    return {settings, [this] { return key; }, Botan::system_rng(), clock};
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder.path() / "rings" / name).parent_path());
    std::ofstream(folder.path() / "rings" / name, std::ios::binary) << text;
  }

  Folder folder;
  FixedClock clock;
  std::shared_ptr<const service::PhoneKey> key = std::make_shared<const service::PhoneKey>(
      service::PhoneKey{"file-signer", kData.der("tftp"), std::shared_ptr<const ca::SigningKey>(kData.key("tftp"))});
};

std::optional<service::PhoneFile> opened(service::StaticFiles& files, const std::string& name) {
  return files.open(files::parse_file_name(name).value()).value();
}

std::string text_of(const service::PhoneFile& file) { return std::string(as_text(*file.octets)); }

/// A desk over these sources.
struct DeskOf {
  DeskOf(std::vector<service::PhoneFileSource*> sources, const FileDesk::Limits& limits)
      : files(std::move(sources), notes, clock), desk(files, metrics, limits) {}

  NoDatabase database;
  service::FetchNotes notes{database};
  FixedClock clock;
  service::PhoneFiles files;
  Metrics metrics;
  FileDesk desk;
};

/// Both ports over one desk.
struct Desk {
  explicit Desk(const FileDesk::Limits& limits = {}) : desk(files, metrics, limits) {}

  Response ask(Request request, Channel channel = Channel::kPlain) {
    std::promise<Response> answer;
    desk.route(channel)(request, [&](Response response) { answer.set_value(std::move(response)); });
    return answer.get_future().get();
  }
  Response get(const std::string& name, Channel channel = Channel::kPlain, const std::string& tag = {}) {
    return ask({.method = "GET", .path = '/' + name, .if_none_match = tag}, channel);
  }
  bool counted(const std::string& kind, const std::string& outcome, int count) const {
    return metrics.text().find("capf_file_fetches_total{kind=\"" + kind + "\",outcome=\"" + outcome + "\"} " +
                               std::to_string(count)) != std::string::npos;
  }

  OnePhone phone;
  Statics folder;
  service::StaticFiles statics = folder.open();
  NoDatabase database;
  service::FetchNotes notes{database};
  service::PhoneFiles files{{&phone, &statics}, notes, folder.clock};
  Metrics metrics;
  FileDesk desk;
};

std::string header_of(const Response& response, const std::string& name) {
  for (const auto& [each, value] : response.headers) {
    if (each == name) return value;
  }
  return "absent";
}

std::string whole(const Source& source) {
  Bytes octets(static_cast<std::size_t>(source.size()) + 1);
  const std::size_t count = source.read(0, octets).value();
  return std::string(as_text(BytesView(octets).first(count)));
}

}  // namespace

TEST_CASE("a phone gets its list, and its configuration in the form that it asks for") {
  Desk desk;
  CHECK(desk.get("ITL" + kPhone + ".tlv").body == "a list");
  CHECK(desk.get("CTLFile.tlv").body == "a list");
  CHECK(desk.get(kPhone + ".cnf.xml").body == "plain");
  CHECK(desk.get(kPhone + ".cnf.xml.sgn").body == "signed");
  CHECK(desk.get("XMLDefault.cnf.xml").status == 200);
  const Response large = desk.get(kPhone + ".cnf.xml.enc.sgn");
  REQUIRE(large.source);
  CHECK(large.body.empty());
  CHECK(whole(*large.source) == std::string(200'000, 'x'));
  CHECK(desk.counted("trust_list", "sent", 2));
  CHECK(desk.counted("configuration", "sent", 3));
}

TEST_CASE("over TLS a phone that asks for a signed configuration wants the unsigned one, and other files as they are") {
  Desk desk;
  desk.folder.write("ring.raw", "ring");
  CHECK(desk.get(kPhone + ".cnf.xml.sgn", Channel::kTls).body == "plain");
  CHECK(desk.get(kPhone + ".cnf.xml.enc.sgn", Channel::kTls).source != nullptr);
  CHECK(desk.get("ITLFile.tlv", Channel::kTls).body == "a list");
  CHECK(files::verify_signed(as_bytes(desk.get("ring.raw.sgn", Channel::kTls).body), "ring.raw.sgn",
                             kData.certificate("tftp")));
}

TEST_CASE("an unknown device, a missing file and a name that none has answer the same") {
  Desk desk;
  std::ofstream(desk.folder.folder.path() / "outside") << "outside";
  desk.folder.write(".hidden", "hidden");
  std::filesystem::create_symlink(desk.folder.folder.path() / "outside", desk.folder.folder.path() / "rings" / "link");
  const Response unknown = desk.get("SEPFFFFFFFFFFFF.cnf.xml");
  CHECK(unknown.status == 404);
  const std::vector<std::string> names{"ITLSEPFFFFFFFFFFFF.tlv",
                                       "ring.raw",
                                       "ring.raw.sgn",
                                       "",
                                       "/",
                                       "../outside",
                                       "rings/../../outside",
                                       "%2e%2e/outside",
                                       "..%2foutside",
                                       "/etc/passwd",
                                       ".hidden",
                                       "link",
                                       "link.sgn",
                                       "sep001122334455.cnf.xml",
                                       "SEP001122334455.CNF.XML",
                                       "SEP001122334455.cnf.xml.sgn.sgn",
                                       "itlfile.tlv",
                                       std::string("ITLFile.tlv\0", 12),
                                       "SEP001122334455.cnf.xml%00",
                                       std::string(10'000, 'a'),
                                       "CON\\x"};
  for (const std::string& name : names) {
    CAPTURE(name);
    const Response answer = desk.get(name);
    CHECK(answer.status == 404);
    CHECK(answer.body == unknown.body);
    CHECK(answer.headers == unknown.headers);
    CHECK(answer.content_type == unknown.content_type);
  }
  const Response asked = desk.ask({.method = "GET", .path = "/ITLFile.tlv", .query = "x"});
  CHECK(asked.status == 404);
  CHECK(asked.body == unknown.body);
}

TEST_CASE("a phone that has the file hears so, and a method that changes something is refused") {
  Desk desk;
  const Response first = desk.get(kPhone + ".cnf.xml");
  const std::string tag = header_of(first, "ETag");
  CHECK_THAT(tag, Contains("c-1"));
  CHECK(header_of(first, "Cache-Control") == "no-cache");
  const Response again = desk.get(kPhone + ".cnf.xml", Channel::kPlain, tag);
  CHECK(again.status == 304);
  CHECK(again.body.empty());
  CHECK(header_of(again, "ETag") == tag);
  // Of the same generation, and signed: other octets.
  CHECK(header_of(desk.get(kPhone + ".cnf.xml.sgn"), "ETag") != tag);
  CHECK(desk.counted("configuration", "unchanged", 1));
  const Response put = desk.ask({.method = "PUT", .path = "/ITLFile.tlv"});
  CHECK(put.status == 405);
  CHECK(header_of(put, "Allow") == "GET, HEAD");
}

TEST_CASE("a file that cannot be made is no missing file, and says nothing of why") {
  Desk desk;
  desk.phone.broken = true;
  const Response answer = desk.get("ITLFile.tlv");
  CHECK(answer.status == 503);
  CHECK(answer.body.find("DATABASE") == std::string::npos);
  CHECK(desk.counted("trust_list", "failed", 1));
}

TEST_CASE("a static file that takes long keeps no list waiting") {
  OnePhone phone;
  SlowStatics slow;
  DeskOf of({&phone, &slow}, {.threads = 1});
  const auto route = of.desk.route(Channel::kPlain);
  std::vector<std::promise<Response>> rings(4);
  for (auto& ring : rings) {
    route({.method = "GET", .path = "/ring.raw"}, [&](Response response) { ring.set_value(std::move(response)); });
  }
  std::promise<Response> list;
  route({.method = "GET", .path = "/ITLFile.tlv"}, [&](Response response) { list.set_value(std::move(response)); });
  auto answer = list.get_future();
  const bool came = answer.wait_for(std::chrono::seconds{20}) == std::future_status::ready;
  slow.go.set_value();
  REQUIRE(came);
  CHECK(answer.get().body == "a list");
  for (auto& ring : rings) CHECK(ring.get_future().get().status == 404);
}

TEST_CASE("whoever asks for many files waits behind whoever asks for one") {
  SlowStatics slow;
  DeskOf of({&slow}, {});
  const auto route = of.desk.route(Channel::kPlain);
  const Address many = Address::parse("2001:db8::1").value();
  const Address neighbour = Address::parse("2001:db8::2").value();  // of the same /64
  const Address one = Address::parse("192.0.2.1").value();
  std::vector<std::promise<Response>> answers(6);
  std::size_t asked = 0;
  const auto ask = [&](const Address& peer, const std::string& path) {
    std::promise<Response>& answer = answers[asked++];
    route({.method = "GET", .path = path, .peer = peer},
          [&answer](Response response) { answer.set_value(std::move(response)); });
  };
  for (const char* path : {"/a1", "/a2", "/a3"}) ask(many, path);
  for (const char* path : {"/a4", "/a5"}) ask(neighbour, path);
  ask(one, "/b1");
  slow.go.set_value();
  for (auto& answer : answers) CHECK(answer.get_future().get().status == 404);
  // The first one may have been taken before the others came.
  const auto place = std::find(slow.opened.begin(), slow.opened.end(), "b1") - slow.opened.begin();
  CHECK(place <= 2);
}

TEST_CASE("configurations that wait are opened together, and one that cannot be spoils none of the others") {
  Together source;
  DeskOf of({&source}, {.threads = 1});
  const auto route = of.desk.route(Channel::kPlain);
  std::vector<std::promise<Response>> answers(50);
  for (std::size_t number = 0; number < answers.size(); ++number) {
    const std::string device = number == 20 ? kPhone : "SEP0000000000" + std::to_string(10 + number);
    route({.method = "GET", .path = '/' + device + ".cnf.xml"},
          [&answer = answers[number]](Response response) { answer.set_value(std::move(response)); });
  }
  source.go.set_value();
  for (std::size_t number = 0; number < answers.size(); ++number) {
    CAPTURE(number);
    CHECK(answers[number].get_future().get().status == (number == 20 ? 503 : 200));
  }
  // The first ones may have been taken before the others came.
  CHECK(*std::max_element(source.together.begin(), source.together.end()) >= 10);
}

TEST_CASE("who still waits when the desk stops is to come again: it does not wait for their files") {
  SlowStatics slow;
  DeskOf of({&slow}, {.threads = 1});
  const auto route = of.desk.route(Channel::kPlain);
  std::vector<std::promise<Response>> rings(3);
  for (auto& ring : rings) {
    route({.method = "GET", .path = "/ring.raw"}, [&](Response response) { ring.set_value(std::move(response)); });
  }
  auto stopped = std::async(std::launch::async, [&] { of.desk.stop(); });
  for (bool stopping = false; !stopping;) {
    std::promise<Response> list;
    route({.method = "GET", .path = "/ITLFile.tlv"}, [&](Response response) { list.set_value(std::move(response)); });
    stopping = list.get_future().get().status == 503;
  }
  slow.go.set_value();
  stopped.get();
  CHECK(rings[1].get_future().get().status == 503);
  CHECK(rings[2].get_future().get().status == 503);
}

TEST_CASE("a HEAD has the length of the file and not its octets, on a real port") {
  Desk desk;
  const auto server = Server::start_later({.addresses = {"127.0.0.1:0"}}, desk.desk.route(Channel::kPlain)).value();
  const auto talk = [&](const std::string& method, const std::string& path) {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(server->port())});
    boost::system::error_code error;
    asio::write(socket, asio::buffer(method + ' ' + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  };
  for (const char* name : {"/SEP001122334455.cnf.xml", "/SEP001122334455.cnf.xml.enc.sgn"}) {
    const std::string got = talk("GET", name);
    const std::string head = talk("HEAD", name);
    const std::size_t body = got.find("\r\n\r\n") + 4;
    CHECK(head == got.substr(0, body));
    CHECK_THAT(head, Contains("Content-Length: " + std::to_string(got.size() - body) + "\r\n"));
  }
  desk.desk.stop();
  server->stop();
}

TEST_CASE("a static file is signed on the way under the name that was asked for, once") {
  Statics folder;
  folder.write("German/sk-sip.jar", "words");
  auto files = folder.open();
  CHECK(text_of(*opened(files, "German/sk-sip.jar")) == "words");
  const auto made = opened(files, "German/sk-sip.jar.sgn");
  REQUIRE(made);
  const auto content = files::verify_signed(*made->octets, "German/sk-sip.jar.sgn", kData.certificate("tftp"));
  REQUIRE(content);
  CHECK(as_text(*content) == "words");
  CHECK(opened(files, "German/sk-sip.jar.sgn")->octets == made->octets);  // the very same

  folder.write("German/sk-sip.jar", "other words");
  const auto changed = opened(files, "German/sk-sip.jar.sgn");
  CHECK(changed->generation != made->generation);
  CHECK(files::verify_signed(*changed->octets, "German/sk-sip.jar.sgn", kData.certificate("tftp")));
  folder.key = nullptr;
  CHECK_FALSE(opened(files, "German/sk-sip.jar.sgn"));
  CHECK(opened(files, "German/sk-sip.jar"));
}

TEST_CASE("static files have a bounded memory, and one that is being sent keeps its place in it") {
  Statics folder;
  for (const char* name : {"a", "b"}) folder.write(name, std::string(600, *name));
  folder.write("c", std::string(1001, 'c'));
  auto files = folder.open(1000);
  CHECK_FALSE(opened(files, "c"));
  auto a = opened(files, "a");
  REQUIRE(a);
  const auto refused = files.open(files::parse_file_name("b").value());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kOverloaded);
  a.reset();
  CHECK(text_of(*opened(files, "b")) == std::string(600, 'b'));
  CHECK(text_of(*opened(files, "a")) == std::string(600, 'a'));
}

TEST_CASE("a static file that is signed under another digest is of another generation") {
  Statics folder;
  folder.write("ring.raw", "ring");
  auto before = folder.open();
  auto after = folder.open(std::size_t{1} << 20, files::Digest::kSha1);
  CHECK(opened(before, "ring.raw.sgn")->generation != opened(after, "ring.raw.sgn")->generation);
  CHECK(opened(before, "ring.raw")->generation == opened(after, "ring.raw")->generation);
}

TEST_CASE("firmware that is sent slowly leaves room for rings") {
  Statics folder;
  for (const char* name : {"firmware-1", "firmware-2"}) folder.write(name, std::string(400, 'x'));
  for (const char* name : {"ring-1", "ring-2"}) folder.write(name, std::string(15, 'r'));
  folder.write("firmware-3", std::string(880, 'x'));
  auto files = folder.open(1000);
  CHECK_FALSE(opened(files, "firmware-3"));
  const auto first = opened(files, "firmware-1");
  const auto second = opened(files, "firmware-2");
  REQUIRE((first && second));
  folder.write("firmware-4", std::string(100, 'x'));
  CHECK(files.open(files::parse_file_name("firmware-4").value()).error().reason == Reason::kOverloaded);
  CHECK(opened(files, "ring-1"));
  CHECK(opened(files, "ring-2"));
}

TEST_CASE("the names of static files are those that phones can ask for") {
  Statics folder;
  for (const char* name : {"ring.raw", "German/words.xml", ".hidden", "a b", "SEP001122334455.cnf.xml", "x.sgn"}) {
    folder.write(name, "x");
  }
  std::filesystem::create_symlink("ring.raw", folder.folder.path() / "rings" / "link");
  CHECK(folder.open().names().value() == std::vector<std::string>{"German/words.xml", "ring.raw"});
}

TEST_CASE("an administrator's file is signed under a name that no list and no configuration has") {
  Statics folder;
  const auto files = folder.open();
  const Bytes content{1, 2, 3};
  const Bytes made = files.sign("dialplan.xml", content).value();
  CHECK(files::verify_signed(made, "dialplan.xml.sgn", kData.certificate("tftp")));
  for (const char* name : {"ITLFile.tlv", "SEP001122334455.cnf.xml", "sep001122334455.cnf.xml", "XMLDefault.cnf.xml",
                           "SEP001122334455.cnf.xml.enc", "../x", "/x", "", "x.sgn"}) {
    CAPTURE(name);
    const auto refused = files.sign(name, content);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == Reason::kInvalidRequest);
  }
  folder.key = nullptr;
  CHECK(files.sign("dialplan.xml", content).error().reason == Reason::kNoFileSigner);
}
