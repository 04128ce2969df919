#include "capf/wire/connection.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <botan/system_rng.h>
#include <netinet/tcp.h>

#include "capf/base/contained.h"
#include "capf/base/log.h"
#include "capf/ca/certificate.h"

namespace capf::wire {
namespace {

using net::Moment;
using net::TlsStream;
using End = TlsStream::End;
using SteadyClock = net::asio::steady_timer::clock_type;

/// How long the phone may take to close after *end session*.
constexpr std::chrono::milliseconds kGoodbye{3000};
constexpr std::chrono::milliseconds kGoodbyeInHaste{300};
constexpr int kMostTracedLines = 200;  ///< of one session
constexpr std::string_view kFromPhone = "from_phone";
constexpr std::string_view kToPhone = "to_phone";

/// The age at which a stranger gives way where there is no room for others: an honest phone has authenticated by then.
constexpr std::chrono::milliseconds kGivesWay{5000};

net::ConnectionLimits limits_of(const ListenerSettings& settings) {
  const auto count = [](int number) { return static_cast<std::size_t>(number); };
  // Every wait of a stranger has an end of its own; this is their sum.
  const Duration longest =
      2 * settings.handshake + 2 * net::kInLine + settings.session.first_answer + settings.session.answer;
  return {.all = count(settings.connections),
          .of_one = count(settings.connections_per_address),
          .strangers = count(settings.strangers),
          .strangers_of_one = count(settings.strangers_per_address),
          .gives_way = kGivesWay,
          .longest = std::chrono::duration_cast<std::chrono::milliseconds>(longest)};
}

Moment after(Duration duration) { return SteadyClock::now() + duration; }

/// The id must be unpredictable, because a fresh proof signs it.
std::uint32_t draw_session_id() {
  std::array<std::uint8_t, 4> octets{};
  Botan::system_rng().randomize(octets.data(), octets.size());
  return static_cast<std::uint32_t>(octets[0]) << 24 | static_cast<std::uint32_t>(octets[1]) << 16 |
         static_cast<std::uint32_t>(octets[2]) << 8 | octets[3];
}

void keep_alive(net::tcp::socket& socket, Duration idle) {
  const int on = 1;
  const int seconds = static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(idle).count());
  const int between = 30;
  const int tries = 4;
  const int fd = socket.native_handle();
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
}

struct QuestionName {
  std::string_view operator()(const Begin&) const { return "wire/begin"; }
  std::string_view operator()(const Issue&) const { return "wire/issue"; }
  std::string_view operator()(const Confirm&) const { return "wire/confirm"; }
  std::string_view operator()(const GiveUp&) const { return "wire/give_up"; }
  std::string_view operator()(const HandOver&) const { return "wire/hand_over"; }
  std::string_view operator()(const ReportFailure&) const { return "wire/report_failure"; }
};

}  // namespace

Hall::Hall(const ListenerSettings& wanted, std::shared_ptr<const net::TlsContext> context, OpenDesk open,
           Metrics* counted)
    : settings(wanted),
      open_desk(std::move(open)),
      metrics(counted),
      connections(limits_of(wanted)),
      stranger_pool(std::in_place, static_cast<std::size_t>(std::max(1, wanted.stranger_workers))),
      pool(std::in_place, static_cast<std::size_t>(std::max(1, wanted.workers))),
      record_pool(std::in_place, static_cast<std::size_t>(std::max(1, wanted.recorders))),
      tls(std::move(context)) {}

ListenerCounts Hall::counts() const {
  const net::ConnectionCounts now = connections.counts();
  return {static_cast<std::int64_t>(now.all),
          static_cast<std::int64_t>(now.strangers),
          handshakes,
          now.came,
          now.refused,
          handshake_failures,
          sessions,
          legacy_sessions};
}

Connection::Connection(net::tcp::socket socket, net::Connections::Place place, const Address& peer, Hall& hall,
                       net::Worker& worker)
    : place_(std::move(place)),
      peer_(peer),
      hall_(hall),
      worker_(worker),
      stream_(std::move(socket), hall.tls.get()->get()) {
  keep_alive(stream_.socket(), hall.settings.keep_alive);
}

void Connection::start() {
  place_.on_cut([&context = worker_.threads.context(), weak = weak_from_this()] {
    net::asio::post(context, [weak] {
      const auto self = weak.lock();
      if (!self) return;
      self->stream_.cancel();
      // So that a question that waits in line for the service finds the phone gone: see has_gone().
      net::error_code ignored;
      self->stream_.socket().shutdown(net::tcp::socket::shutdown_both, ignored);
    });
  });
  net::asio::co_spawn(
      worker_.threads.context(), run(shared_from_this()),
      [&hall = hall_](const std::exception_ptr& failure) { log_failure("connection.failed", failure, hall.failures); });
}

void Connection::dismiss(bool now) {
  // The caller holds the lock that the end of a presence takes too: so this connection still exists.
  net::asio::post(worker_.threads.context(), [weak = weak_from_this(), now] {
    const auto self = weak.lock();
    if (self && (now || (!self->authenticated_ && !self->asking_))) self->stream_.cancel();
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
    log_debug("handshake.failed",
              {{"peer", peer_.to_string()}, {"cause", end == End::kTimeout ? "too late" : stream_.fault()}});
    co_return false;
  }
  ++hall_.sessions;
  if (SSL_version(stream_.ssl()) < TLS1_2_VERSION) ++hall_.legacy_sessions;
  co_return true;
}

net::asio::awaitable<void> Connection::converse() {
  Session session(draw_session_id(), hall_.settings.session);
  const std::unique_ptr<Desk> desk = hall_.open_desk(peer_, session.id());
  const Moment over = after(hall_.settings.whole_session);
  Moment until = over;
  Step step = session.start();
  for (;;) {
    if (!step.send.empty()) {
      trace_message(kToPhone, step.send);
      const End end = co_await stream_.write(step.send, std::min(over, after(hall_.settings.session.answer)));
      if (end == End::kCancelled) co_return;
      if (end != End::kDone && step.then != Step::Then::kClose) {
        step = session.closed();
        continue;
      }
    }
    switch (step.then) {
      case Step::Then::kWait:
        if (step.wait) until = std::min(over, after(*step.wait));
        step = co_await listen(session, step.used, until);
        break;
      case Step::Then::kAsk: {
        const auto* begin = std::get_if<Begin>(&*step.ask);
        if (begin == nullptr) trace_message(kFromPhone, arrived_);
        const Answer answer = co_await ask(*desk, *step.ask);
        if (begin != nullptr && desk->traced()) {
          begin_trace(begin->device, session.id());
          trace_message(kFromPhone, arrived_);
        }
        trace_answer(*step.ask, answer);
        remove_front(arrived_, step.used);
        step = session.answer(answer);
        if (session.authenticated() && !authenticated_) {
          authenticated_ = true;
          place_.prove();
          stream_.trust();
        }
        break;
      }
      case Step::Then::kClose: {
        // The phone has received the last message; recording may take longer.
        const bool said = !step.send.empty();
        arrived_ = WipedBytes();  // it is wiped before the end, for which the phone may take its time
        net::error_code ignored;
        if (!said) stream_.socket().close(ignored);
        if (step.refused) {
          Desk* const clerk = desk.get();
          const Error* const why = &*step.refused;
          trace("end", std::string(to_string(why->reason)) + ": " + why->message);
          const auto work = [clerk, why] { clerk->refused(*why); };
          co_await net::run_on(*(authenticated_ ? hall_.record_pool : hall_.stranger_pool), work);
        }
        if (said) co_await stream_.close(after(hall_.draining ? kGoodbyeInHaste : kGoodbye));
        co_return;
      }
    }
  }
}

net::asio::awaitable<Step> Connection::listen(Session& session, std::size_t used, Moment until) {
  remove_front(arrived_, used);
  if (arrived_.empty()) {
    arrived_.shrink_to_fit();
  } else if (used > 0) {
    co_return receive(session);
  }
  switch (co_await stream_.read(arrived_, until)) {
    case End::kDone: {
      Step step = receive(session);
      if (step.used > 0 && step.then == Step::Then::kWait) trace_message(kFromPhone, arrived_);
      co_return step;
    }
    case End::kTimeout: co_return session.timeout();
    case End::kClosed:
    case End::kFailed: co_return session.closed();
    case End::kCancelled: break;
  }
  Step gone;
  gone.then = Step::Then::kClose;
  co_return gone;
}

Step Connection::receive(Session& session) {
  const auto before = net::thread_work();
  Step step = session.receive(arrived_, SteadyClock::now());
  stream_.charge(net::thread_work() - before);
  return step;
}

net::asio::awaitable<Answer> Connection::ask(Desk& desk, const Question& question) {
  const bool begins = std::holds_alternative<Begin>(question);
  if (begins && hall_.draining) co_return Error::of(Reason::kShuttingDown);
  const auto started = SteadyClock::now();
  std::optional<Answer> answer;
  Desk* const clerk = &desk;
  const Question* const asked = &question;
  std::optional<Answer>* const slot = &answer;
  // A phone that waited too long comes back: do not do expensive work for a connection that is gone. But always record
  // what the phone has done itself.
  const bool expensive = begins || std::holds_alternative<Issue>(question);
  const int socket = stream_.socket().native_handle();
  const auto work = [clerk, asked, slot, expensive, socket] {
    if (expensive && net::has_gone(socket)) {
      slot->emplace(Error::of(Reason::kCallerGone));
    } else {
      slot->emplace(clerk->answer(*asked));
    }
  };
  std::optional<net::Places::Held> place;
  if (begins) {
    // Its turn comes by addresses: behind one another, thousands of strangers at one address would hold up all others.
    const bool heard =
        co_await worker_.questions.take(stream_.socket().get_executor(), peer_.block(), after(net::kInLine));
    if (heard) place.emplace(worker_.questions);
  }
  if (begins && !place) {
    answer.emplace(Error::of(Reason::kOverloaded));
  } else {
    asking_ = true;
    co_await net::run_on(*(authenticated_ ? hall_.pool : hall_.stranger_pool), work);
    asking_ = false;
  }
  if (hall_.metrics != nullptr) {
    const auto* error = std::get_if<Error>(&*answer);
    hall_.metrics->count_request(std::visit(QuestionName{}, question),
                                 error ? std::optional(error->reason) : std::nullopt,
                                 std::chrono::duration_cast<Duration>(SteadyClock::now() - started));
  }
  co_return *std::move(answer);
}

void Connection::begin_trace(const DeviceName& device, std::uint32_t session_id) {
  traced_ = device.text();
  traced_session_ = std::to_string(session_id);
  trace("begin", "from " + peer_.to_string() + " over " + SSL_get_version(stream_.ssl()) + ' ' +
                     SSL_get_cipher_name(stream_.ssl()));
}

void Connection::trace(std::string_view what, std::string_view words) {
  if (traced_.empty() || traced_lines_ > kMostTracedLines) return;
  const bool last = traced_lines_++ == kMostTracedLines;
  log_info("wire.trace", {{"device", traced_},
                          {"session", traced_session_},
                          {last ? "end" : what, last ? "further lines are left out" : words}});
}

void Connection::trace_message(std::string_view direction, BytesView octets) {
  if (traced_.empty()) return;
  const Taken taken = take_frame(octets);
  const auto* frame = std::get_if<Frame>(&taken);
  if (frame == nullptr) return;
  const auto message = read_message(*frame);
  const auto* good = std::get_if<Message>(&message);
  trace(direction, good ? describe(*good) : describe(static_cast<Command>(frame->command)));
  if (good == nullptr) return;
  if (good->certificate) trace_certificate("certificate", good->certificate->der);
  if (good->sudi) trace_certificate("sudi", good->sudi->certificate);
}

void Connection::trace_certificate(std::string_view what, BytesView der) {
  if (traced_.empty() || traced_lines_ >= kMostTracedLines) return trace(what, {});
  ++traced_lines_;
  const ca::CertificateWords words = ca::describe_certificate(der);
  log_info("wire.trace", {{"device", traced_},
                          {"session", traced_session_},
                          {what, words.dates.empty() ? "it cannot be read" : words.subject},
                          {"issuer", words.issuer},
                          {"serial", words.serial},
                          {"dates", words.dates},
                          {"sha256", words.sha256}});
}

void Connection::trace_answer(const Question& question, const Answer& answer) {
  if (traced_.empty()) return;
  std::string words(std::visit(QuestionName{}, question));
  if (const auto* error = std::get_if<Error>(&answer)) {
    words.append(": ").append(to_string(error->true_reason()));
    words.append(": ").append(error->cause.empty() ? error->message : error->cause);
  } else {
    words += ": OK";
  }
  trace("service", words);
}

}  // namespace capf::wire
