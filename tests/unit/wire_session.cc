#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/wire/session.h"
#include "tests/support/wire.h"

// Plays the files in tests/data/scenarios; their README says how they are written.

namespace {

using capf::Bytes;
using capf::BytesView;
using namespace capf::wire;
using Lines = std::vector<std::string>;

constexpr std::uint32_t kSessionId = 0xC0FFEE42;
const Bytes kKey{0x30, 0x59, 0x30, 0x13};
const Bytes kCertificate{0x30, 0x82, 0x01, 0x02, 0x30};

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string duration_text(capf::Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return seconds % 60 == 0 ? std::to_string(seconds / 60) + "m" : std::to_string(seconds) + "s";
}

std::string failure_name(ReportFailure::What what) {
  switch (what) {
    case ReportFailure::What::kKeyGeneration: return "key_generation";
    case ReportFailure::What::kStore: return "store";
    case ReportFailure::What::kDelete: return "delete";
    case ReportFailure::What::kFetch: return "fetch";
    case ReportFailure::What::kNoEc: return "no_ec";
  }
  return "";
}

std::string question_text(const Question& question) {
  return std::visit(
      Overloaded{[](const Begin& begin) {
                   return "ask begin " + begin.device.text() + " version=" + std::to_string(begin.version) +
                          (begin.password ? " password=" + std::string(*begin.password) : "") +
                          (begin.proof ? begin.proof->sudi ? " proof with sudi" : " proof" : "");
                 },
                 [](const Issue& issue) { return "ask issue " + capf::to_hex(issue.public_key); },
                 [](const Confirm&) { return std::string("ask confirm"); },
                 [](const GiveUp&) { return std::string("ask give_up"); },
                 [](const HandOver& hand) { return "ask hand_over " + capf::to_hex(hand.certificate.der); },
                 [](const ReportFailure& report) {
                   return "ask report " + failure_name(report.what) +
                          (report.reason ? " reason=" + std::to_string(*report.reason) : "");
                 }},
      question);
}

/// The effects of a step, a line each. Empty for a step that only waits.
Lines step_text(const Step& step) {
  Lines lines;
  if (!step.send.empty()) {
    const Taken taken = take_frame(step.send);
    REQUIRE(std::holds_alternative<Frame>(taken));
    const Frame frame = std::get<Frame>(taken);
    CHECK(frame.size() == step.send.size());
    const Message message = std::get<Message>(read_message(frame));
    CHECK(message.session_id == kSessionId);
    lines.push_back("> " + describe(message));
  }
  switch (step.then) {
    case Step::Then::kWait:
      if (step.wait) lines.push_back("wait " + duration_text(*step.wait));
      break;
    case Step::Then::kAsk: lines.push_back(question_text(step.ask.value())); break;
    case Step::Then::kClose:
      if (step.refused) {
        lines.push_back("refused " + std::string(capf::to_string(step.refused->reason)) + " " + step.refused->message);
      }
      lines.push_back("close");
      break;
  }
  return lines;
}

/// A message of a phone: its name, then key=value.
Bytes message_of(std::istringstream words) {
  std::string name;
  words >> name;
  if (name == "hex" || name == "sample") {
    std::string rest;
    std::getline(words >> std::ws, rest);
    return name == "hex" ? capf::parse_hex(rest).value() : capf::test::wire_sample(rest);
  }
  Message message{Command::kRequestInProgress, kSessionId};
  for (int code = 1; code <= 23; ++code) {
    if (describe(static_cast<Command>(code)) == name) message.command = static_cast<Command>(code);
  }
  REQUIRE(describe(message.command) == name);
  std::string device, password;
  for (std::string word; words >> word;) {
    const std::string key = word.substr(0, word.find('='));
    const std::string value = word.substr(key.size() + 1);
    if (key == "session") {
      message.session_id = static_cast<std::uint32_t>(std::stoul(value, nullptr, 16));
    } else if (key == "reason") {
      message.reason = static_cast<std::uint8_t>(std::stoi(value));
    } else if (key == "version") {
      message.version = static_cast<std::uint8_t>(std::stoi(value));
    } else if (key == "device") {
      message.device = device = value;
    } else if (key == "password") {
      message.password = password = value;
    } else if (key == "key") {
      message.public_key = kKey;
    } else if (key == "certificate") {
      message.certificate = CertificateElement{value == "mic" ? kTypeMic : kTypeLsc, kCertificate};
    } else {
      FAIL("no element " << key);
    }
  }
  return encode(message).value();
}

Answer answer_of(std::istringstream words) {
  std::string name;
  words >> name;
  if (name == "issued") return Issued{kCertificate};
  if (name == "done") return Done{};
  if (const auto kind = capf::parse_operation_kind(name)) {
    Begun begun{*kind, {}, 0};
    std::string order;
    if (words >> order) begun.key.order = capf::parse_key_order(order).value();
    for (std::string word; words >> word;) {
      const int value = std::stoi(word.substr(word.find('=') + 1));
      if (word.starts_with("rsa=")) begun.key.rsa_bits = value;
      if (word.starts_with("ec=")) begun.key.ec_bits = value;
      if (word.starts_with("failures=")) begun.failures = value;
    }
    return begun;
  }
  const capf::Reason reason = capf::parse_reason(name);
  REQUIRE(capf::to_string(reason) == name);
  return capf::fail(reason).value();
}

class Player {
 public:
  explicit Player(bool one_by_one) : one_by_one_(one_by_one) {}

  void play(const std::filesystem::path& file) {
    std::ifstream input(file);
    Lines expected;
    for (std::string line; std::getline(input, line);) {
      if (line.empty() || line[0] == '#') continue;
      if (is_input(line)) {
        CHECK(happened_ == expected);
        happened_.clear();
        expected.clear();
        INFO(line);
        feed(line);
      } else {
        expected.push_back(line);
      }
    }
    CHECK(happened_ == expected);
    CHECK(session_.state() == State::kEnded);
  }

 private:
  static bool is_input(const std::string& line) {
    for (const char* input : {"conceal", "start", "<", "answer", "later", "time", "closed"}) {
      if (line.starts_with(input)) return true;
    }
    return false;
  }

  void feed(const std::string& line) {
    const auto rest = [&](std::size_t from) { return std::istringstream(line.substr(from)); };
    if (line == "conceal") {
      settings_.conceal_devices = true;
    } else if (line == "start") {
      take(session_.start());
    } else if (line.starts_with("<+ ")) {
      append(message_of(rest(3)));
    } else if (line.starts_with("< ")) {
      append(message_of(rest(2)));
      receive();
    } else if (line.starts_with("answer ")) {
      const Answer answer = answer_of(rest(7));
      drop();
      take(session_.answer(answer));
    } else if (line.starts_with("later ")) {
      now_ += std::chrono::seconds(std::stoi(line.substr(6)));
    } else if (line == "time") {
      take(session_.timeout());
    } else {
      take(session_.closed());
    }
  }

  void append(const Bytes& octets) { arrived_.insert(arrived_.end(), octets.begin(), octets.end()); }
  void drop() { arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<std::ptrdiff_t>(used_)), used_ = 0; }

  void receive() {
    std::size_t seen = one_by_one_ ? 1 : arrived_.size();
    while (seen <= arrived_.size() && session_.state() != State::kEnded) {
      const Step step = session_.receive(BytesView(arrived_).first(seen), now_);
      used_ = step.used;
      take(step);
      if (step.then != Step::Then::kWait) return;
      seen = step.used == 0 ? seen + 1 : one_by_one_ ? 1 : seen - step.used;
      drop();
      if (seen == 0) return;
    }
  }

  void take(const Step& step) {
    for (const std::string& line : step_text(step)) happened_.push_back(line);
  }

  const bool one_by_one_;
  SessionSettings settings_;
  Session session_{kSessionId, settings_};
  Bytes arrived_;
  std::size_t used_ = 0;
  capf::net::Pace::Moment now_{std::chrono::hours{1}};
  Lines happened_;
};

TEST_CASE("every dialogue goes as its scenario says") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CAPF_TEST_DATA) + "/scenarios")) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() > 30);
  for (const auto& file : files) {
    DYNAMIC_SECTION(file.stem().string()) {
      Player(false).play(file);
      // Octet by octet; messages that arrive together cannot be split so.
      std::ifstream input(file);
      const std::string text{std::istreambuf_iterator<char>(input), {}};
      if (text.find("<+") == std::string::npos) Player(true).play(file);
    }
  }
}

TEST_CASE("whatever the phone sends that is no answer to the question ends the session with reason 7") {
  const SessionSettings settings;
  const auto octets = [](const Message& message) { return encode(message).value(); };
  Message auth{Command::kAuthResponse, kSessionId};
  auth.reason = 1;
  auth.version = 3;
  auth.device = "SEP001122334455";
  Message key{Command::kKeyGenerateResponse, kSessionId};
  key.public_key = kKey;
  Message fetched{Command::kFetchResponse, kSessionId, 1};
  fetched.certificate = CertificateElement{kTypeMic, kCertificate};

  struct Stage {
    State state;
    Command fits;
  };
  for (const Stage& stage :
       {Stage{State::kAuth, Command::kAuthResponse}, Stage{State::kKey, Command::kKeyGenerateResponse},
        Stage{State::kStore, Command::kStoreResponse}, Stage{State::kFetch, Command::kFetchResponse},
        Stage{State::kDelete, Command::kDeleteResponse}}) {
    for (int code = 0; code < 256; ++code) {
      const auto command = static_cast<Command>(code);
      if (command == stage.fits || command == Command::kRequestInProgress) continue;
      Session session(kSessionId, settings);
      session.start();
      if (stage.state != State::kAuth) {
        const Bytes said = octets(auth);
        session.receive(said, {});
        Begun begun;
        if (stage.state == State::kFetch) begun.kind = capf::OperationKind::kTroubleshoot;
        if (stage.state == State::kDelete) begun.kind = capf::OperationKind::kDelete;
        session.answer(begun);
      }
      if (stage.state == State::kStore) {
        const Bytes said = octets(key);
        session.receive(said, {});
        session.answer(Issued{kCertificate});
      }
      REQUIRE(session.state() == stage.state);
      // With all that the fitting message has.
      Message other = command == Command::kAuthResponse ? auth : command == Command::kFetchResponse ? fetched : key;
      other.command = command;
      other.reason = 1;
      const Bytes said = octets(other);
      const Step step = session.receive(said, {});
      CHECK(session.state() == State::kEnded);
      CHECK(step.send == capf::parse_hex("550fc0ffee42000401000107").value());
      REQUIRE(step.refused);
      CHECK(step.refused->reason == capf::Reason::kMessageUnexpected);
    }
  }
}

TEST_CASE("a session that has ended does nothing more") {
  const SessionSettings settings;
  Session session(kSessionId, settings);
  session.start();
  session.closed();
  const Bytes said = capf::test::wire_sample("auth response with null string");
  for (const Step& step : {session.receive(said, {}), session.answer(Done{}), session.timeout(), session.closed()}) {
    CHECK(step.then == Step::Then::kClose);
    CHECK(step.send.empty());
    CHECK_FALSE(step.refused);
  }
}

}  // namespace
