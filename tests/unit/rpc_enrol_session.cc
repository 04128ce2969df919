#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/domain/operation.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/enrol_session.h"

// Plays the files in tests/data/enrol; their README says how they are written.

namespace {

using namespace capf::rpc::enrol;
using capf::v1::EnrolRequest;
using capf::v1::EnrolResponse;
using Failure = capf::v1::ReportFailureRequest;
using Lines = std::vector<std::string>;

const std::vector<std::pair<std::string, Failure::Failure>> kFailures{
    {"unspecified", Failure::FAILURE_UNSPECIFIED},
    {"key_generation", Failure::FAILURE_KEY_GENERATION},
    {"store", Failure::FAILURE_STORE},
    {"delete", Failure::FAILURE_DELETE},
    {"of_tomorrow", static_cast<Failure::Failure>(77)},
};

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string failure_name(Failure::Failure failure) {
  for (const auto& [name, value] : kFailures) {
    if (value == failure) return name;
  }
  return "";
}

std::string question_text(const Question& question) {
  return std::visit(
      Overloaded{[](const Begin& begin) {
                   const auto& said = begin.credential->auth_string();
                   return "ask begin " + begin.credential->device() + (said.empty() ? "" : " string=" + said);
                 },
                 [](const Issue& issue) { return "ask issue " + std::string(capf::as_text(issue.request)); },
                 [](const Confirm& confirm) { return "ask confirm " + std::string(capf::as_text(confirm.signature)); },
                 [](const GiveUp&) { return std::string("ask give_up"); },
                 [](const HandOver& hand) {
                   std::string text = "ask hand_over";
                   for (const std::string& each : *hand.certificates) text += " " + each;
                   return text;
                 },
                 [](const ReportFailure& report) { return "ask report " + failure_name(report.failure); }},
      question);
}

std::string response_text(const EnrolResponse& response) {
  switch (response.message_case()) {
    case EnrolResponse::kPending: {
      const auto kind = capf::rpc::from_proto(response.pending().kind());
      return "> pending " + std::string(capf::to_string(kind.value()));
    }
    case EnrolResponse::kIssued: return "> issued " + response.issued().certificate();
    case EnrolResponse::kDone:
      return "> done" + (response.done().revoked() == 0 ? "" : " revoked=" + std::to_string(response.done().revoked()));
    case EnrolResponse::MESSAGE_NOT_SET: break;
  }
  return "> nothing";
}

/// The effects of a step, a line each. Empty for a step that only waits.
Lines step_text(const Step& step) {
  Lines lines;
  if (step.send) lines.push_back(response_text(*step.send));
  if (step.then == Step::Then::kAsk) lines.push_back(question_text(step.ask.value()));
  if (step.then == Step::Then::kEnd) {
    const std::string how = step.outcome ? "ok" : std::string(capf::to_string(step.outcome.error().reason));
    lines.push_back((step.to_record ? "record and end " : "end ") + how);
  }
  return lines;
}

EnrolRequest message_of(std::istringstream words) {
  EnrolRequest message;
  std::string name, value;
  words >> name;
  if (name == "credential") {
    words >> *message.mutable_credential()->mutable_device();
    words >> *message.mutable_credential()->mutable_auth_string();
  } else if (name == "request") {
    words >> value;
    message.set_certification_request(value);
  } else if (name == "confirmation") {
    words >> value;
    message.set_confirmation(value);
  } else if (name == "give_up") {
    message.mutable_give_up();
  } else if (name == "certificates") {
    message.mutable_certificates();
    while (words >> value) message.mutable_certificates()->add_certificates(value);
  } else if (name == "failure") {
    words >> value;
    for (const auto& [spelling, failure] : kFailures) {
      if (spelling == value) message.set_failure(failure);
    }
    REQUIRE(message.has_failure());
  } else {
    REQUIRE(name == "empty");
  }
  return message;
}

capf::v1::OperationKind kind_of(capf::OperationKind kind) {
  switch (kind) {
    case capf::OperationKind::kInstall: return capf::v1::OPERATION_KIND_INSTALL;
    case capf::OperationKind::kDelete: return capf::v1::OPERATION_KIND_DELETE;
    case capf::OperationKind::kTroubleshoot: return capf::v1::OPERATION_KIND_TROUBLESHOOT;
  }
  return capf::v1::OPERATION_KIND_UNSPECIFIED;
}

Answer answer_of(std::istringstream words) {
  std::string name, value;
  words >> name >> value;
  if (name == "issued") {
    Issued issued;
    issued.issued.set_certificate(value);
    return issued;
  }
  if (name == "done") return Done{value.empty() ? 0 : std::stoi(value.substr(value.find('=') + 1))};
  if (const auto kind = capf::parse_operation_kind(name)) {
    Begun begun;
    begun.operation.set_kind(kind_of(*kind));
    return begun;
  }
  const capf::Reason reason = capf::parse_reason(name);
  REQUIRE(capf::to_string(reason) == name);
  return capf::Error::of(reason);
}

class Player {
 public:
  void play(const std::filesystem::path& file) {
    std::ifstream input(file);
    Lines expected;
    for (std::string line; std::getline(input, line);) {
      if (line.empty() || line[0] == '#') continue;
      if (!is_input(line)) {
        expected.push_back(line);
        continue;
      }
      CHECK(happened_ == expected);
      happened_.clear();
      expected.clear();
      INFO(line);
      feed(line);
    }
    CHECK(happened_ == expected);
    CHECK(session_.state() == State::kEnded);
  }

 private:
  static bool is_input(const std::string& line) {
    for (const char* input : {"<", "answer ", "time", "closed", "cut "}) {
      if (line.starts_with(input)) return true;
    }
    return false;
  }

  void feed(const std::string& line) {
    if (line.starts_with("< ")) {
      message_ = message_of(std::istringstream(line.substr(2)));
      take(session_.receive(message_));
    } else if (line.starts_with("answer ")) {
      take(session_.answer(answer_of(std::istringstream(line.substr(7)))));
    } else if (line == "time") {
      take(session_.timeout());
    } else if (line.starts_with("cut ")) {
      take(session_.cut(capf::Error::of(capf::parse_reason(line.substr(4)))));
    } else {
      take(session_.closed());
    }
  }

  void take(const Step& step) {
    for (const std::string& line : step_text(step)) happened_.push_back(line);
  }

  Session session_;
  EnrolRequest message_;
  Lines happened_;
};

TEST_CASE("every call of Enrol goes as its dialogue says") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CAPF_TEST_DATA) + "/enrol")) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() >= 20);
  for (const auto& file : files) {
    DYNAMIC_SECTION(file.stem().string()) { Player().play(file); }
  }
}

/// A session that waits for the phone in this state.
Session waiting_in(State state) {
  Session session;
  if (state == State::kCredential) return session;
  EnrolRequest credential;
  credential.mutable_credential()->set_device("SEP001122334455");
  session.receive(credential);
  Begun begun;
  begun.operation.set_kind(state == State::kDelete  ? capf::v1::OPERATION_KIND_DELETE
                           : state == State::kFetch ? capf::v1::OPERATION_KIND_TROUBLESHOOT
                                                    : capf::v1::OPERATION_KIND_INSTALL);
  session.answer(begun);
  if (state != State::kStore) return session;
  EnrolRequest request;
  request.set_certification_request("request");
  session.receive(request);
  session.answer(Issued{});
  return session;
}

TEST_CASE("any message that does not fit ends the call, and is recorded") {
  struct Stage {
    State state;
    std::vector<std::string> fits;
  };
  const Stage stages[]{{State::kCredential, {"credential SEP001122334455"}},
                       {State::kKey, {"request r", "failure key_generation"}},
                       {State::kStore, {"confirmation c", "failure store"}},
                       {State::kFetch, {"certificates a b"}},
                       {State::kDelete, {"give_up", "failure delete"}}};
  std::vector<std::string> all{"empty", "failure unspecified", "failure of_tomorrow"};
  for (const Stage& stage : stages) all.insert(all.end(), stage.fits.begin(), stage.fits.end());
  for (const Stage& stage : stages) {
    for (const std::string& text : all) {
      CAPTURE(int(stage.state), text);
      Session session = waiting_in(stage.state);
      REQUIRE(session.state() == stage.state);
      const EnrolRequest message = message_of(std::istringstream(text));
      const Step step = session.receive(message);
      const bool fits = std::find(stage.fits.begin(), stage.fits.end(), text) != stage.fits.end();
      CHECK((step.then == Step::Then::kAsk) == fits);
      if (fits) continue;
      REQUIRE_FALSE(step.outcome);
      CHECK(step.outcome.error().reason == capf::Reason::kMessageUnexpected);
      CHECK(step.to_record);
      CHECK(session.state() == State::kEnded);
    }
  }
}

}  // namespace
