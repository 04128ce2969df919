#include "capf/tvs/connection.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "capf/base/contained.h"

namespace capf::tvs {
namespace {

using net::Moment;
using net::TlsStream;
using End = TlsStream::End;
using SteadyClock = net::asio::steady_timer::clock_type;

/// How long the phone may take to close after the answer.
constexpr std::chrono::milliseconds kGoodbye{3000};
constexpr std::chrono::milliseconds kGoodbyeInHaste{300};
/// The age at which a connection gives way where there is no room for others: an honest phone has asked by then.
constexpr std::chrono::milliseconds kGivesWay{5000};

Moment after(Duration duration) { return SteadyClock::now() + duration; }

net::ConnectionLimits limits_of(const ListenerSettings& settings) {
  const auto all = static_cast<std::size_t>(settings.connections);
  const auto of_one = static_cast<std::size_t>(settings.connections_per_address);
  // Every wait has an end of its own; this is their sum.
  const Duration longest = 2 * settings.handshake + 2 * net::kInLine + 2 * settings.question + kGoodbye;
  return {.all = all,
          .of_one = of_one,
          .strangers = all,
          .strangers_of_one = of_one,
          .gives_way = kGivesWay,
          .longest = std::chrono::duration_cast<std::chrono::milliseconds>(longest)};
}

std::string_view name_of(const Question& question) {
  return std::holds_alternative<Query>(question.what) ? "query" : "verify";
}

/// The certificate that was asked about, as people look for it.
std::string subject_of(const Question& question) {
  if (const auto* verify = std::get_if<Verify>(&question.what)) return to_hex(sha256(verify->certificate));
  return to_hex(std::get<Query>(question.what).serial);
}

}  // namespace

Hall::Hall(const ListenerSettings& wanted, std::shared_ptr<const net::TlsContext> context, CertificateSource& where,
           const Clock& time, Metrics* counted)
    : settings(wanted),
      source(where),
      clock(time),
      metrics(counted),
      connections(limits_of(wanted)),
      pool(std::in_place, static_cast<std::size_t>(std::max(1, wanted.workers))),
      tls(std::move(context)) {}

ListenerCounts Hall::counts() const {
  const net::ConnectionCounts now = connections.counts();
  return {static_cast<std::int64_t>(now.all),
          handshakes,
          now.came,
          now.refused,
          handshake_failures,
          questions,
          legacy_questions};
}

void Hall::count(std::string_view question, std::string_view outcome) const {
  if (metrics != nullptr) metrics->count_trust_question(question, outcome);
}

Connection::Connection(net::tcp::socket socket, net::Connections::Place place, const Address& peer, Hall& hall,
                       net::Worker& worker)
    : place_(std::move(place)),
      peer_(peer),
      hall_(hall),
      worker_(worker),
      stream_(std::move(socket), hall.tls.get()->get()) {}

void Connection::start() {
  place_.on_cut([&context = worker_.threads.context(), weak = weak_from_this()] {
    net::asio::post(context, [weak] {
      if (const auto self = weak.lock()) self->stream_.cancel();
    });
  });
  net::asio::co_spawn(worker_.threads.context(), run(shared_from_this()),
                      [&hall = hall_](const std::exception_ptr& failure) {
                        log_failure("tvs.connection_failed", failure, hall.failures);
                      });
}

void Connection::dismiss(bool now) {
  // The caller holds the lock that the end of a presence takes too: so this connection still exists.
  net::asio::post(worker_.threads.context(), [weak = weak_from_this(), now] {
    const auto self = weak.lock();
    if (self && (now || !self->asking_)) self->stream_.cancel();
  });
}

net::asio::awaitable<void> Connection::run(std::shared_ptr<Connection> self) {
  const net::Present<Connection>::Presence presence(self->hall_.present, *self);
  if (self->hall_.draining) co_return;
  if (!co_await self->shake_hands()) {
    ++self->hall_.handshake_failures;
    co_return;
  }
  co_await self->converse();
}

net::asio::awaitable<bool> Connection::shake_hands() {
  const End end =
      co_await net::shake_hands(stream_, worker_.places, peer_.block(), hall_.settings.handshake, hall_.handshakes);
  if (end != End::kDone) {
    log_debug("tvs.handshake_failed",
              {{"peer", peer_.to_string()}, {"cause", end == End::kTimeout ? "too late" : stream_.fault()}});
  }
  co_return end == End::kDone;
}

net::asio::awaitable<void> Connection::converse() {
  const std::optional<Question> question = co_await listen();
  if (!question) co_return;
  asking_ = true;
  const Result<Answer> answer = co_await look_up(*question);
  report(*question, answer);
  if (!answer) co_return;
  const Bytes message = encode(*question, *answer);
  if (co_await stream_.write(message, after(hall_.settings.question)) != End::kDone) co_return;
  ++hall_.questions;
  if (SSL_version(stream_.ssl()) < TLS1_2_VERSION) ++hall_.legacy_questions;
  co_await stream_.close(after(hall_.draining ? kGoodbyeInHaste : kGoodbye));
}

net::asio::awaitable<std::optional<Question>> Connection::listen() {
  const Moment until = after(hall_.settings.question);
  for (std::size_t needed = kHeaderSize;;) {
    if (co_await stream_.read(arrived_, until) != End::kDone) {
      hall_.count("none", "unfinished");
      co_return std::nullopt;
    }
    if (arrived_.size() < needed) continue;
    const auto before = net::thread_work();
    const auto heard = hear(arrived_);
    stream_.charge(net::thread_work() - before);
    if (const auto* question = std::get_if<Question>(&heard)) co_return *question;
    if (const auto* malformed = std::get_if<Malformed>(&heard)) {
      hall_.count("none", "malformed");
      log_debug("tvs.question_malformed", {{"peer", peer_.to_string()}, {"words", malformed->why}});
      co_return std::nullopt;
    }
    needed = std::get<More>(heard).size;
  }
}

net::asio::awaitable<Result<Answer>> Connection::look_up(const Question& question) {
  // Its turn comes by addresses: behind one another, thousands of questions of one address would hold up all others.
  const bool heard =
      co_await worker_.questions.take(stream_.socket().get_executor(), peer_.block(), after(net::kInLine));
  if (!heard) co_return fail(Reason::kOverloaded);
  const net::Places::Held place(worker_.questions);
  std::optional<Result<Answer>> answer;
  std::optional<Result<Answer>>* const slot = &answer;
  const Question* const asked = &question;
  Hall* const hall = &hall_;
  const int socket = stream_.socket().native_handle();
  const auto work = [slot, asked, hall, socket] {
    if (net::has_gone(socket)) {
      slot->emplace(fail(Reason::kCallerGone));
    } else {
      slot->emplace(judge(*asked, hall->source, hall->clock.now(), hall->settings.lifetime));
    }
  };
  co_await net::run_on(*hall_.pool, work);
  co_return *std::move(answer);
}

void Connection::report(const Question& question, const Result<Answer>& answer) const {
  const std::string_view outcome = answer ? to_string(answer->outcome) : "unavailable";
  hall_.count(name_of(question), outcome);
  const auto shown = net::client_certificates(stream_.ssl());
  const LogField peer{"peer", peer_.to_string()};
  const LogField device{"device", question.device};
  const LogField client{"client_sha256", shown.empty() ? "none" : to_hex(sha256(shown.front()))};
  const LogField asked{name_of(question), subject_of(question)};
  if (answer && answer->outcome == Outcome::kValid) {
    return log_debug("tvs.answered", {peer, device, client, asked, {"outcome", outcome}});
  }
  const auto left_out = hall_.refusals.admit(std::chrono::steady_clock::now());
  if (!left_out) return;
  const LogFields fields{peer, device, client, asked, {"outcome", outcome}, {"left_out", *left_out}};
  answer ? log_info("tvs.answered", fields) : log_warning("tvs.unanswered", answer.error(), fields);
}

}  // namespace capf::tvs
