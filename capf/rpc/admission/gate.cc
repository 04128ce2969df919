#include "capf/rpc/admission/gate.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include <nghttp2/nghttp2.h>

#include "capf/rpc/admission/allowance.h"
#include "capf/rpc/admission/flow.h"
#include "capf/rpc/admission/nghttp2.h"

namespace capf::rpc {
namespace {

using std::chrono::milliseconds;

/// RFC 9113 6.5.2: the size of a field beside its octets.
constexpr std::size_t kFieldOverhead = 32;
constexpr int kResetsASecond = 2;
constexpr int kControlFramesASecond = 50;
constexpr int kControlFramesForAnAnswer = 4;
/// A call that was reset before its handler began may never begin.
constexpr milliseconds kUntilStart{1000};
/// A client may have sent a request just before it learned of the end.
constexpr milliseconds kLastRequests{1000};

struct Stream {
  Stream(Gate::CallId id, std::int32_t client_id) : call(id), at_client(client_id) {}

  const Gate::CallId call;
  const std::int32_t at_client;
  std::int32_t at_server = 0;  ///< 0 while it is not forwarded
  Gate::Fields request;        ///< while it is not forwarded
  bool asked = false;          ///< the request's header block is whole
  bool answered = false;       ///< the answer's is
  bool closed_at_client = false;
  bool closed_at_server = false;
  Flow up;                  ///< to gRPC
  Flow down;                ///< to the client
  Gate::Moment taken_at{};  ///< when the client last took octets, or first could have
};

class NghttpGate final : public Gate {
 public:
  NghttpGate(const GateLimits& limits, Moment now);

  void take_from_client(BytesView octets, Moment now) override;
  void take_from_server(BytesView octets, Moment now) override;
  void server_closed(Moment now) override;
  Bytes for_client(std::size_t most) override { return take_output(client_.get(), most); }
  Bytes for_server(std::size_t most) override { return server_ ? take_output(server_.get(), most) : Bytes(); }
  bool asks() const override { return !server_ && !refusal_ && !waiting_.empty(); }
  void admit() override;
  void refuse(Fields trailers) override;
  void allow(std::uint32_t streams) override;
  bool lingers() const override { return !lingering_.empty(); }
  void call_started(CallId call) override;
  void call_ended(CallId call) override;
  std::vector<CallId> take_answered() override { return std::exchange(answered_, {}); }
  void hold() override { ++holds_; }
  void release(bool stays, Moment now) override;
  void shut_down(Moment now) override;
  void tick(Moment now) override;
  bool over() const override;
  const std::optional<Error>& breach() const override { return breach_; }

 private:
  // The callbacks of nghttp2. Towards the client:
  void client_frame_begins(const nghttp2_frame_hd* head);
  void request_begins(const nghttp2_frame* frame);
  void request_field(const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t flags);
  void invalid_field(const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t flags);
  void client_frame(const nghttp2_frame* frame);
  void client_data(std::uint8_t flags, std::int32_t id, const std::uint8_t* octets, std::size_t size);
  void client_frame_sent(const nghttp2_frame* frame);
  void client_stream_closed(std::int32_t id, std::uint32_t code);
  // Towards gRPC:
  void answer_begins(const nghttp2_frame* frame);
  void answer_field(const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t flags);
  void server_frame(const nghttp2_frame* frame);
  void server_data(std::uint8_t flags, std::int32_t id, const std::uint8_t* octets, std::size_t size);
  void server_stream_closed(std::int32_t id, std::uint32_t code);
  // And for the octets of either direction.
  static ssize_t read_down(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t most,
                           std::uint32_t* flags, nghttp2_data_source* source, void* self);
  static ssize_t read_up(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t most,
                         std::uint32_t* flags, nghttp2_data_source* source, void* self);
  ssize_t read_flow(nghttp2_session* session, std::int32_t id, Flow& flow, std::uint8_t* into, std::size_t most,
                    std::uint32_t* flags);

  template <auto kMethod, class... Arguments>
  static int call(nghttp2_session*, Arguments... arguments, void* self) {
    try {
      (static_cast<NghttpGate*>(self)->*kMethod)(arguments...);
      return 0;
    } catch (...) {  // no memory left: nghttp2 is C, so no exception may pass through it
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static Bytes take_output(nghttp2_session* session, std::size_t most);
  Stream* at_client(std::int32_t id) const {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(client_.get(), id));
  }
  Stream* at_server(std::int32_t id) const {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(server_.get(), id));
  }
  void serve_waiting();
  void forward(Stream& stream);
  void answer(Stream& stream, const Fields& fields, bool ends);
  void end_answer(Stream& stream);
  void forget_closed(Stream& stream);
  void break_off(Reason reason, std::string words);
  void count_reset();
  void count_control();
  void finish_shutdown();
  bool has_calls() const;
  std::size_t count_open() const;
  bool count_field(const nghttp2_vec& name, const nghttp2_vec& value);

  GateLimits limits_;
  SessionPtr client_;
  SessionPtr server_;
  Moment now_;
  const Moment since_;
  Moment idle_since_;
  Moment heard_;
  std::optional<Moment> pinged_;
  std::optional<Moment> closing_;
  std::size_t holds_ = 0;  ///< calls that hold it
  bool last_goaway_ = false;
  bool server_gone_ = false;
  bool gone_ = false;  ///< the client can get no more octets
  std::optional<Error> breach_;
  std::optional<Fields> refusal_;

  std::map<CallId, std::unique_ptr<Stream>> streams_;
  std::vector<CallId> waiting_;         ///< calls with a whole request that are not yet forwarded, oldest first
  std::set<CallId> running_;            ///< calls whose handlers have begun and not returned
  std::map<CallId, Moment> lingering_;  ///< calls whose streams the client has reset, and when: they keep their places
  std::vector<CallId> answered_;        ///< for take_answered()
  CallId last_call_ = 0;
  Fields block_;  ///< of the client, as it arrives: one at a time
  std::size_t block_octets_ = 0;
  std::size_t block_fields_ = 0;
  Fields answer_block_;
  Allowance resets_;
  Allowance control_frames_;
};

NghttpGate::NghttpGate(const GateLimits& limits, Moment now)
    : limits_(limits),
      now_(now),
      since_(now),
      idle_since_(now),
      heard_(now),
      resets_(limits.resets, kResetsASecond, now),
      control_frames_(limits.control_frames, kControlFramesASecond, now) {
  const OptionPtr option = make_option();
  const CallbacksPtr callbacks = make_callbacks();
  nghttp2_session_callbacks* const set = callbacks.get();
  nghttp2_session_callbacks_set_on_begin_frame_callback(
      set, &call<&NghttpGate::client_frame_begins, const nghttp2_frame_hd*>);
  nghttp2_session_callbacks_set_on_begin_headers_callback(set,
                                                          &call<&NghttpGate::request_begins, const nghttp2_frame*>);
  nghttp2_session_callbacks_set_on_header_callback2(
      set, &call<&NghttpGate::request_field, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*, std::uint8_t>);
  nghttp2_session_callbacks_set_on_invalid_header_callback2(
      set, &call<&NghttpGate::invalid_field, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*, std::uint8_t>);
  nghttp2_session_callbacks_set_on_frame_recv_callback(set, &call<&NghttpGate::client_frame, const nghttp2_frame*>);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      set, &call<&NghttpGate::client_data, std::uint8_t, std::int32_t, const std::uint8_t*, std::size_t>);
  nghttp2_session_callbacks_set_on_frame_send_callback(set,
                                                       &call<&NghttpGate::client_frame_sent, const nghttp2_frame*>);
  nghttp2_session_callbacks_set_on_stream_close_callback(
      set, &call<&NghttpGate::client_stream_closed, std::int32_t, std::uint32_t>);
  nghttp2_session* session = nullptr;
  CAPF_INVARIANT(nghttp2_session_server_new2(&session, set, this, option.get()) == 0);
  client_.reset(session);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.streams},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits_.header_octets)}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
}

void NghttpGate::take_from_client(BytesView octets, Moment now) {
  now_ = heard_ = now;
  if (breach_ || gone_) return;
  const ssize_t taken = nghttp2_session_mem_recv(client_.get(), octets.data(), octets.size());
  if (taken < 0) {
    gone_ = nghttp2_is_fatal(static_cast<int>(taken)) != 0;
    break_off(taken == NGHTTP2_ERR_FLOODED ? Reason::kHttp2Limit : Reason::kMessageMalformed,
              nghttp2_strerror(static_cast<int>(taken)));
  }
}

void NghttpGate::take_from_server(BytesView octets, Moment now) {
  now_ = now;
  if (!server_ || server_gone_) return;
  if (nghttp2_session_mem_recv(server_.get(), octets.data(), octets.size()) < 0) server_closed(now);
}

void NghttpGate::server_closed(Moment now) {
  now_ = now;
  server_gone_ = true;
  shut_down(now);
}

Bytes NghttpGate::take_output(nghttp2_session* session, std::size_t most) {
  Bytes output;
  while (output.size() < most) {
    const std::uint8_t* octets = nullptr;
    const ssize_t count = nghttp2_session_mem_send(session, &octets);
    if (count <= 0) break;
    output.insert(output.end(), octets, octets + count);
  }
  return output;
}

void NghttpGate::admit() {
  if (server_) return;
  const OptionPtr option = make_option();
  const CallbacksPtr callbacks = make_callbacks();
  nghttp2_session_callbacks* const set = callbacks.get();
  nghttp2_session_callbacks_set_on_begin_headers_callback(set, &call<&NghttpGate::answer_begins, const nghttp2_frame*>);
  nghttp2_session_callbacks_set_on_header_callback2(
      set, &call<&NghttpGate::answer_field, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*, std::uint8_t>);
  nghttp2_session_callbacks_set_on_frame_recv_callback(set, &call<&NghttpGate::server_frame, const nghttp2_frame*>);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      set, &call<&NghttpGate::server_data, std::uint8_t, std::int32_t, const std::uint8_t*, std::size_t>);
  nghttp2_session_callbacks_set_on_stream_close_callback(
      set, &call<&NghttpGate::server_stream_closed, std::int32_t, std::uint32_t>);
  nghttp2_session* session = nullptr;
  CAPF_INVARIANT(nghttp2_session_client_new2(&session, set, this, option.get()) == 0);
  server_.reset(session);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  serve_waiting();
}

void NghttpGate::refuse(Fields trailers) {
  refusal_ = std::move(trailers);
  serve_waiting();
  shut_down(now_);
}

void NghttpGate::allow(std::uint32_t streams) {
  if (streams == limits_.streams) return;
  limits_.streams = streams;
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams}};
  nghttp2_submit_settings(client_.get(), NGHTTP2_FLAG_NONE, settings, std::size(settings));
  serve_waiting();
}

void NghttpGate::call_started(CallId call) {
  running_.insert(call);
  if (!streams_.contains(call)) lingering_.try_emplace(call, now_);
}

void NghttpGate::call_ended(CallId call) {
  running_.erase(call);
  lingering_.erase(call);
  if (lingering_.empty()) running_.clear();  // the gate is not notified of the others any more
  serve_waiting();
}

void NghttpGate::release(bool stays, Moment now) {
  now_ = now;
  if (--holds_ > 0) return;
  if (closing_) closing_ = now;
  if (!stays) shut_down(now);
}

void NghttpGate::shut_down(Moment now) {
  now_ = now;
  if (closing_) return;
  closing_ = now;
  nghttp2_submit_shutdown_notice(client_.get());
}

void NghttpGate::finish_shutdown() {
  if (std::exchange(last_goaway_, true)) return;
  nghttp2_submit_goaway(client_.get(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(client_.get()),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void NghttpGate::tick(Moment now) {
  now_ = now;
  std::erase_if(lingering_, [&](const auto& entry) {
    return !running_.contains(entry.first) && now - entry.second >= kUntilStart;
  });
  if (lingering_.empty()) running_.clear();
  serve_waiting();
  for (const auto& [call, stream] : streams_) {
    const bool waits = !stream->closed_at_client && stream->down.size() > 0;
    if (!waits || now - stream->taken_at < limits_.unread) continue;
    nghttp2_submit_rst_stream(client_.get(), NGHTTP2_FLAG_NONE, stream->at_client, NGHTTP2_CANCEL);
  }
  if (closing_ && now - *closing_ >= kLastRequests) finish_shutdown();
  if (closing_ && holds_ == 0 && now - *closing_ >= limits_.age_grace) gone_ = true;
  if (!has_calls() && now - idle_since_ >= limits_.idle) shut_down(now);
  if (holds_ == 0 && now - since_ >= limits_.age) shut_down(now);
  if (pinged_ && heard_ >= *pinged_) pinged_.reset();
  if (pinged_ && now - *pinged_ >= limits_.keepalive_answer) gone_ = true;
  if (!pinged_ && now - heard_ >= limits_.keepalive) {
    pinged_ = now;
    nghttp2_submit_ping(client_.get(), NGHTTP2_FLAG_NONE, nullptr);
  }
}

bool NghttpGate::over() const {
  if (gone_) return true;
  if (nghttp2_session_want_write(client_.get()) != 0) return false;
  if (nghttp2_session_want_read(client_.get()) == 0) return true;
  return server_gone_ && std::none_of(streams_.begin(), streams_.end(), [](const auto& entry) {
           return entry.second->down.ended && !entry.second->closed_at_client;
         });
}

std::size_t NghttpGate::count_open() const {
  return static_cast<std::size_t>(std::count_if(streams_.begin(), streams_.end(), [](const auto& entry) {
    return entry.second->at_server != 0 && !entry.second->down.ended && !entry.second->closed_at_client;
  }));
}

bool NghttpGate::has_calls() const {
  return std::any_of(streams_.begin(), streams_.end(), [](const auto& entry) { return entry.second->asked; });
}

// ---- towards the client

void NghttpGate::client_frame_begins(const nghttp2_frame_hd* head) {
  switch (head->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION: return;
    case NGHTTP2_RST_STREAM: return count_reset();
    case NGHTTP2_DATA:
      if (head->length > 0 || (head->flags & NGHTTP2_FLAG_END_STREAM) != 0) return;
      [[fallthrough]];
    default: return count_control();
  }
}

void NghttpGate::request_begins(const nghttp2_frame* frame) {
  block_.clear();
  block_octets_ = block_fields_ = 0;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return;
  auto stream = std::make_unique<Stream>(++last_call_, frame->hd.stream_id);
  nghttp2_session_set_stream_user_data(client_.get(), frame->hd.stream_id, stream.get());
  streams_.emplace(last_call_, std::move(stream));
}

bool NghttpGate::count_field(const nghttp2_vec& name, const nghttp2_vec& value) {
  if (breach_) return false;
  block_octets_ += name.len + value.len + kFieldOverhead;
  if (block_octets_ <= limits_.header_octets && ++block_fields_ <= limits_.header_fields) return true;
  block_.clear();
  break_off(Reason::kHttp2Limit, "a header block is too large");
  return false;
}

void NghttpGate::request_field(const nghttp2_frame*, nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t) {
  const nghttp2_vec name_octets = nghttp2_rcbuf_get_buf(name);
  const nghttp2_vec value_octets = nghttp2_rcbuf_get_buf(value);
  if (!count_field(name_octets, value_octets)) return;
  const std::string_view field = text_of(name_octets.base, name_octets.len);
  if (field != kCallField) block_.emplace_back(field, text_of(value_octets.base, value_octets.len));
}

/// A name or value that HTTP/2 does not allow: nghttp2 leaves the field out.
void NghttpGate::invalid_field(const nghttp2_frame*, nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t) {
  count_field(nghttp2_rcbuf_get_buf(name), nghttp2_rcbuf_get_buf(value));
}

void NghttpGate::client_frame(const nghttp2_frame* frame) {
  // Padding alone carries nothing either.
  if (frame->hd.type == NGHTTP2_DATA && frame->hd.length > 0 && frame->hd.length == frame->data.padlen &&
      !ends_stream(*frame)) {
    count_control();
  }
  if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && closing_) finish_shutdown();
  Stream* const stream = frame->hd.stream_id == 0 ? nullptr : at_client(frame->hd.stream_id);
  if (stream == nullptr) return;
  if (frame->hd.type == NGHTTP2_HEADERS && !stream->asked) {
    stream->asked = true;
    stream->request = std::exchange(block_, {});
    stream->up.ended = ends_stream(*frame);
    waiting_.push_back(stream->call);
    return serve_waiting();
  }
  if (frame->hd.type == NGHTTP2_HEADERS) stream->up.trailers = std::exchange(block_, {});
  if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) && ends_stream(*frame)) {
    stream->up.ended = true;
    if (stream->at_server != 0) nghttp2_session_resume_data(server_.get(), stream->at_server);
  }
}

void NghttpGate::client_data(std::uint8_t, std::int32_t id, const std::uint8_t* octets, std::size_t size) {
  Stream* const stream = at_client(id);
  if (stream == nullptr || stream->closed_at_server) {
    nghttp2_session_consume(client_.get(), id, size);  // discarded
    return;
  }
  stream->up.add({octets, size});
  if (stream->at_server != 0) nghttp2_session_resume_data(server_.get(), stream->at_server);
}

void NghttpGate::client_frame_sent(const nghttp2_frame* frame) {
  switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM:
      if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR) count_reset();
      return;
    case NGHTTP2_GOAWAY:
      // Requests that the client sent before it learned of the end arrive before its answer to this.
      if (!last_goaway_) nghttp2_submit_ping(client_.get(), NGHTTP2_FLAG_NONE, nullptr);
      if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !breach_) {
        breach_ = fail(frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM ? Reason::kHttp2Limit
                                                                             : Reason::kMessageMalformed,
                       std::string("HTTP/2: ") + nghttp2_http2_strerror(frame->goaway.error_code))
                      .value();
      }
      return;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: {
      control_frames_.add(kControlFramesForAnAnswer);
      const Stream* const stream = at_client(frame->hd.stream_id);
      // RFC 9113 8.1: the answer is complete, so the rest of the request is not needed.
      if (stream != nullptr && ends_stream(*frame) && !stream->up.ended) {
        nghttp2_submit_rst_stream(client_.get(), NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
      }
      return;
    }
    default: return;
  }
}

void NghttpGate::client_stream_closed(std::int32_t id, std::uint32_t code) {
  Stream* const stream = at_client(id);
  if (stream == nullptr) return;
  stream->closed_at_client = true;
  std::erase(waiting_, stream->call);
  nghttp2_session_consume_connection(client_.get(), stream->up.size());
  stream->up.clear();
  if (stream->at_server != 0) {
    nghttp2_session_consume(server_.get(), stream->at_server, stream->down.size());
    stream->down.clear();
    if (!stream->down.ended) lingering_.try_emplace(stream->call, now_);
    if (!stream->closed_at_server) {
      nghttp2_submit_rst_stream(server_.get(), NGHTTP2_FLAG_NONE, stream->at_server,
                                code == NGHTTP2_NO_ERROR ? static_cast<std::uint32_t>(NGHTTP2_CANCEL) : code);
    }
  }
  forget_closed(*stream);
}

// ---- towards gRPC

void NghttpGate::answer_begins(const nghttp2_frame*) { answer_block_.clear(); }

void NghttpGate::answer_field(const nghttp2_frame*, nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t) {
  const nghttp2_vec name_octets = nghttp2_rcbuf_get_buf(name);
  const nghttp2_vec value_octets = nghttp2_rcbuf_get_buf(value);
  answer_block_.emplace_back(text_of(name_octets.base, name_octets.len), text_of(value_octets.base, value_octets.len));
}

void NghttpGate::server_frame(const nghttp2_frame* frame) {
  if (frame->hd.type == NGHTTP2_GOAWAY) return shut_down(now_);
  Stream* const stream = frame->hd.stream_id == 0 ? nullptr : at_server(frame->hd.stream_id);
  if (stream == nullptr || stream->closed_at_client) return;
  const bool ends = ends_stream(*frame);
  if (frame->hd.type == NGHTTP2_HEADERS) {
    Fields fields = std::exchange(answer_block_, {});
    if (!stream->answered && frame->headers.cat == NGHTTP2_HCAT_RESPONSE) {
      stream->answered = true;
      if (ends) end_answer(*stream);
      return answer(*stream, fields, ends);
    }
    stream->down.trailers = std::move(fields);
  }
  if (!ends || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return;
  end_answer(*stream);
  nghttp2_session_resume_data(client_.get(), stream->at_client);
}

void NghttpGate::server_data(std::uint8_t, std::int32_t id, const std::uint8_t* octets, std::size_t size) {
  Stream* const stream = at_server(id);
  if (stream == nullptr || stream->closed_at_client) {
    nghttp2_session_consume(server_.get(), id, size);
    return;
  }
  if (stream->down.size() == 0) stream->taken_at = now_;
  stream->down.add({octets, size});
  nghttp2_session_resume_data(client_.get(), stream->at_client);
}

void NghttpGate::server_stream_closed(std::int32_t id, std::uint32_t code) {
  Stream* const stream = at_server(id);
  if (stream == nullptr) return;
  stream->closed_at_server = true;
  answered_.push_back(stream->call);
  nghttp2_session_consume(client_.get(), stream->at_client, stream->up.size());
  stream->up.clear();
  if (!stream->down.ended && !stream->closed_at_client) {
    nghttp2_submit_rst_stream(client_.get(), NGHTTP2_FLAG_NONE, stream->at_client,
                              code == NGHTTP2_NO_ERROR ? static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR) : code);
  }
  forget_closed(*stream);
}

// ---- between them

ssize_t NghttpGate::read_down(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t most,
                              std::uint32_t* flags, nghttp2_data_source* source, void* self) {
  auto& gate = *static_cast<NghttpGate*>(self);
  auto& stream = *static_cast<Stream*>(source->ptr);
  const ssize_t count = gate.read_flow(session, id, stream.down, into, most, flags);
  if (count > 0) {
    stream.taken_at = gate.now_;
    nghttp2_session_consume(gate.server_.get(), stream.at_server, static_cast<std::size_t>(count));
  }
  return count;
}

ssize_t NghttpGate::read_up(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t most,
                            std::uint32_t* flags, nghttp2_data_source* source, void* self) {
  auto& gate = *static_cast<NghttpGate*>(self);
  auto& stream = *static_cast<Stream*>(source->ptr);
  const ssize_t count = gate.read_flow(session, id, stream.up, into, most, flags);
  if (count > 0) nghttp2_session_consume(gate.client_.get(), stream.at_client, static_cast<std::size_t>(count));
  return count;
}

ssize_t NghttpGate::read_flow(nghttp2_session* session, std::int32_t id, Flow& flow, std::uint8_t* into,
                              std::size_t most, std::uint32_t* flags) {
  const std::size_t count = flow.take(into, most);
  if (count == 0 && !flow.ended) return NGHTTP2_ERR_DEFERRED;
  if (flow.size() > 0 || !flow.ended) return static_cast<ssize_t>(count);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (!flow.trailers.empty()) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const auto pairs = name_values(flow.trailers);
    nghttp2_submit_trailer(session, id, pairs.data(), pairs.size());
  }
  return static_cast<ssize_t>(count);
}

void NghttpGate::serve_waiting() {
  while (!waiting_.empty() && (server_ || refusal_)) {
    Stream& stream = *streams_.at(waiting_.front());
    if (refusal_) {
      waiting_.erase(waiting_.begin());
      Fields fields{{":status", "200"}, {"content-type", "application/grpc"}};
      fields.insert(fields.end(), refusal_->begin(), refusal_->end());
      answer(stream, fields, true);
      continue;
    }
    if (count_open() + lingering_.size() >= limits_.streams) return;
    waiting_.erase(waiting_.begin());
    forward(stream);
  }
}

void NghttpGate::forward(Stream& stream) {
  Fields fields = std::exchange(stream.request, {});
  fields.emplace_back(kCallField, std::to_string(stream.call));
  const auto pairs = name_values(fields);
  nghttp2_data_provider provider{{.ptr = &stream}, &read_up};
  const bool ends = stream.up.ended && stream.up.size() == 0 && stream.up.trailers.empty();
  const std::int32_t id =
      nghttp2_submit_request(server_.get(), nullptr, pairs.data(), pairs.size(), ends ? nullptr : &provider, &stream);
  if (id > 0) {
    stream.at_server = id;
    return;
  }
  nghttp2_submit_rst_stream(client_.get(), NGHTTP2_FLAG_NONE, stream.at_client, NGHTTP2_REFUSED_STREAM);
}

void NghttpGate::answer(Stream& stream, const Fields& fields, bool ends) {
  const auto pairs = name_values(fields);
  nghttp2_data_provider provider{{.ptr = &stream}, &read_down};
  nghttp2_submit_response(client_.get(), stream.at_client, pairs.data(), pairs.size(), ends ? nullptr : &provider);
}

void NghttpGate::end_answer(Stream& stream) {
  stream.down.ended = true;
  serve_waiting();
}

void NghttpGate::forget_closed(Stream& stream) {
  if (!stream.closed_at_client || (stream.at_server != 0 && !stream.closed_at_server)) return;
  streams_.erase(stream.call);
  if (!has_calls()) idle_since_ = now_;
}

void NghttpGate::break_off(Reason reason, std::string words) {
  if (breach_) return;
  breach_ = fail(reason, std::move(words)).value();
  nghttp2_session_terminate_session(client_.get(),
                                    reason == Reason::kHttp2Limit ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
}

void NghttpGate::count_reset() {
  if (!resets_.take(now_)) break_off(Reason::kHttp2Limit, "too many streams were reset");
}

void NghttpGate::count_control() {
  if (!control_frames_.take(now_)) break_off(Reason::kHttp2Limit, "too many frames that carry nothing");
}

}  // namespace

std::unique_ptr<Gate> Gate::make(const GateLimits& limits, Moment now) {
  return std::make_unique<NghttpGate>(limits, now);
}

}  // namespace capf::rpc
