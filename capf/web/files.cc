#include "capf/web/files.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/resource.h>

// capf/net/coroutine.h must come first: see there.
// clang-format off
#include "capf/net/coroutine.h"
// clang-format on

#include "capf/base/contained.h"
#include "capf/base/log.h"
#include "capf/files/name.h"

namespace capf::web {
namespace {

constexpr int kPatientNice = 5;
constexpr std::size_t kTogether = 32;  // requests that a thread takes at a time, for which the database is asked once
constexpr std::size_t kInOnePiece = 65536;  // a larger file is sent in pieces, and not copied
constexpr std::size_t kTagged = 1024;       // the head of a file; in that of a signed one is its signature

/// The octets of a file that stays in memory while it is sent.
class OctetsSource final : public Source {
 public:
  explicit OctetsSource(std::shared_ptr<const Bytes> octets) : octets_(std::move(octets)) {}
  std::uint64_t size() const override { return octets_->size(); }
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    const BytesView rest = BytesView(*octets_).subspan(static_cast<std::size_t>(offset));
    const std::size_t count = std::min(rest.size(), into.size());
    std::copy_n(rest.begin(), count, into.begin());
    return count;
  }

 private:
  std::shared_ptr<const Bytes> octets_;
};

/// Files of one generation may be signed differently: for another device, or by another server.
std::string tag_of(const service::PhoneFile& file) {
  const BytesView head = BytesView(*file.octets).first(std::min(file.octets->size(), kTagged));
  return '"' + file.generation + '-' + to_hex(BytesView(sha256(head)).first(8)) + '"';
}

std::string_view kind_of(files::Wanted wanted) {
  switch (wanted) {
    case files::Wanted::kTrustList: return "trust_list";
    case files::Wanted::kConfiguration: return "configuration";
    case files::Wanted::kDefault: return "default";
    case files::Wanted::kStatic: return "static";
  }
  CAPF_INVARIANT(false);
}

Response refused(int status, std::string_view words) {
  Response response = text_response(status, words);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Response come_again() { return refused(503, "come again in a moment"); }

Response response_of(const service::PhoneFile& file, const Request& request) {
  Response response;
  const std::string tag = tag_of(file);
  response.content_type = "application/octet-stream";
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back("Cache-Control", "no-cache");
  if (has_tag(request.if_none_match, tag)) {
    response.status = 304;
  } else if (file.octets->size() <= kInOnePiece) {
    response.body = std::string(as_text(*file.octets));
  } else {
    response.source = std::make_shared<OctetsSource>(file.octets);
  }
  return response;
}

}  // namespace

struct FileDesk::State {
  struct Job {
    Request request;
    files::FileRequest wanted;
    Reply reply;
    bool answered = false;
  };
  /// Threads, and the requests that wait for them: by address block in turn, because anybody may ask for thousands of
  /// files at once.
  struct Line {
    /// @param room requests that may wait
    Line(std::size_t its_threads, std::size_t at_once, int room)
        : threads(its_threads), together(at_once), most(static_cast<int>(its_threads) + room), pool(its_threads) {}

    // Their callers hold the mutex.
    void put(Job job) {
      const std::string block = job.request.peer.block();
      std::deque<Job>& own = jobs[block];
      if (own.empty()) turns.push_back(block);
      own.push_back(std::move(job));
      ++waiting;
    }
    /// A thread's share of those that wait.
    std::vector<Job> take_some() {
      std::vector<Job> some;
      const std::size_t share = std::min((waiting + threads - 1) / threads, together);
      some.reserve(share);
      while (some.size() < share) {
        auto job = take();
        if (!job) break;
        some.push_back(*std::move(job));
        --waiting;
      }
      return some;
    }
    std::optional<Job> take() {
      while (!turns.empty()) {
        const auto own = jobs.find(turns.front());
        if (own == jobs.end() || own->second.empty()) {  // put() found no memory
          turns.pop_front();
          continue;
        }
        Job job = std::move(own->second.front());
        own->second.pop_front();
        turns.splice(turns.end(), turns, turns.begin());
        if (own->second.empty()) {
          jobs.erase(own);
          turns.pop_back();
        }
        return job;
      }
      return std::nullopt;
    }

    const std::size_t threads;
    const std::size_t together;   ///< requests that a thread takes at a time
    const int most;               ///< requests
    std::size_t working = 0;      ///< threads
    std::size_t waiting = 0;      ///< requests that no thread has taken
    std::atomic<int> present{0};  ///< requests that wait or are being answered
    std::map<std::string, std::deque<Job>> jobs;
    std::list<std::string> turns;  ///< the blocks that have jobs
    net::Pool pool;
  };

  State(service::PhoneFiles& given, Metrics& counted, const Limits& limits)
      : sources(given),
        metrics(counted),
        made(static_cast<std::size_t>(limits.threads), kTogether, limits.waiting),
        statics(1, 1, limits.waiting) {}

  void take(const Request& request, Channel channel, const Reply& reply) {
    if (request.method != "GET" && request.method != "HEAD") {
      Response response = refused(405, "GET or HEAD");
      response.headers.emplace_back("Allow", "GET, HEAD");
      return reply(std::move(response));
    }
    auto wanted = files::parse_file_name(std::string_view(request.path).substr(1));
    if (!wanted || !request.query.empty()) return reply(not_found("none"));
    if (channel == Channel::kTls && wanted->wanted == files::Wanted::kConfiguration &&
        wanted->form == files::Form::kSigned) {
      wanted->form = files::Form::kPlain;
    }
    if (!post(request, *std::move(wanted), reply)) reply(come_again());
  }

  /// @return false where the request is not answered
  bool post(const Request& request, files::FileRequest wanted, const Reply& reply) {
    Line& line = wanted.wanted == files::Wanted::kStatic ? statics : made;
    const std::lock_guard lock(mutex);
    if (stopped || line.present >= line.most) return false;
    if (line.working < line.threads) {
      line.pool.post([this, &line] { serve(line); });
      ++line.working;
    }
    line.put({request, std::move(wanted), reply});
    ++line.present;
    return true;
  }

  /// On one of the line's threads, until nobody waits.
  void serve(Line& line) {
    // Strangers ask, and a file may cost a signature: enrolments go first. Linux: of this thread.
    thread_local const int patient = ::setpriority(PRIO_PROCESS, 0, kPatientNice);
    static_cast<void>(patient);
    for (bool more = true; more;) run_contained("files.failed", [&] { more = serve_some(line); });
  }

  /// @return false where nobody waits
  bool serve_some(Line& line) {
    std::vector<Job> jobs;
    bool over = false;
    {
      const std::lock_guard lock(mutex);
      jobs = line.take_some();
      over = stopped;
      if (jobs.empty()) --line.working;
    }
    if (jobs.empty()) return false;
    run_contained("files.failed", [&] { answer(line, jobs, over); });
    for (const Job& job : jobs) {
      if (!job.answered) --line.present;  // its connection ends with it
    }
    return true;
  }

  /// @param over whether all are to come again
  void answer(Line& line, std::vector<Job>& jobs, bool over) {
    const auto reply = [&](std::size_t place, Response response) {
      jobs[place].answered = true;
      --line.present;
      jobs[place].reply(std::move(response));
    };
    if (!over && jobs.size() > 1) {
      std::vector<const files::FileRequest*> wanted;
      for (const Job& job : jobs) wanted.push_back(&job.wanted);
      try {
        sources.open_each(wanted, [&](std::size_t place, const Result<std::optional<service::PhoneFile>>& file) {
          reply(place, response_to(jobs[place], file));
        });
      } catch (...) {
        const std::string cause = cause_of(std::current_exception());
        log_info("files.one_by_one", {{"requests", jobs.size()}, {"cause", cause}});
      }
    }
    for (std::size_t place = 0; place < jobs.size(); ++place) {
      if (jobs[place].answered) continue;
      run_contained("files.failed", [&] { reply(place, over ? come_again() : open(jobs[place])); });
    }
  }

  Response open(const Job& job) {
    Result<std::optional<service::PhoneFile>> file = fail(Reason::kInternal);
    try {
      file = sources.open(job.wanted);
    } catch (...) {
      file = fail_internal(cause_of(std::current_exception()));
    }
    return response_to(job, file);
  }

  /// No request is posted from then on: one that stayed in the pool would hold a connection of a server that is gone.
  /// Those that wait are not answered: thousands of them would take the time that the end of a program has.
  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopped = true;
    }
    made.pool.join();
    statics.pool.join();
  }

  Response response_to(const Job& job, const Result<std::optional<service::PhoneFile>>& file) {
    const std::string_view kind = kind_of(job.wanted.wanted);
    if (!file) {
      if (failures.admit(std::chrono::steady_clock::now())) log_error("files.failed", file.error());
      metrics.count_file_fetch(kind, "failed");
      return come_again();
    }
    if (!*file) return not_found(kind);
    Response response = response_of(**file, job.request);
    if (job.request.method == "GET") sources.note(job.wanted, **file, job.request.peer);
    metrics.count_file_fetch(kind, response.status == 304 ? "unchanged" : "sent");
    return response;
  }

  Response not_found(std::string_view kind) {
    metrics.count_file_fetch(kind, "not_found");
    return refused(404, "there is no such file");
  }

  service::PhoneFiles& sources;
  Metrics& metrics;
  std::mutex mutex;  ///< for the jobs of the lines and the next one, and that no request is posted once it is set
  bool stopped = false;
  LogLimit failures{1};  ///< a second
  Line made;
  Line statics;
};

FileDesk::FileDesk(service::PhoneFiles& files, Metrics& metrics, const Limits& limits)
    : state_(std::make_unique<State>(files, metrics, limits)) {}
FileDesk::~FileDesk() { stop(); }

LaterRoute FileDesk::route(Channel channel) {
  return [state = state_.get(), channel](const Request& request, const Reply& reply) {
    state->take(request, channel, reply);
  };
}

void FileDesk::stop() { state_->stop(); }

}  // namespace capf::web
