#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/expect.h"
#include "tests/support/site.h"

// Each of these tests lets something happen between a look and the write of what was decided by it.

using namespace capf;
using namespace capf::test;

namespace {

/// A site's database, whose looks and writes of phones are seen.
class Watched final : public Database {
 public:
  explicit Watched(Database& real) : real_(real) {}
  Status write(const std::function<Status(Transaction&)>& work) override { return real_.write(work); }
  Status read(const std::function<Status(Transaction&)>& work) override { return real_.read(work); }
  Rounds& rounds() override { return rounds_; }

  std::vector<Enquiry> looks{};
  /// Happens to what was seen.
  std::function<void(Dossier&)> after_look = [](Dossier&) {};
  int strings = 0;
  std::vector<Change> writes{};
  /// The LSCs among the writes, DER.
  std::vector<Bytes> lscs() const {
    std::vector<Bytes> lscs;
    for (const Change& change : writes) {
      for (const Write& write : change.writes) {
        if (const auto* added = std::get_if<AddCertificate>(&write)) lscs.push_back(added->certificate.der);
      }
    }
    return lscs;
  }
  /// Happens before each write, whose answer is the error that it gives.
  std::function<Status()> before_write = [] { return Status(); };
  /// Happens after it.
  std::function<Status()> after_write = [] { return Status(); };

 private:
  class WatchedRounds final : public Rounds {
   public:
    explicit WatchedRounds(Watched& watched) : watched_(watched) {}
    Result<Dossier> look(const Enquiry& enquiry, Share share, const std::function<bool()>& gone) override {
      watched_.looks.push_back(enquiry);
      Result<Dossier> dossier = watched_.real_.rounds().look(enquiry, share, gone);
      if (dossier) watched_.after_look(*dossier);
      return dossier;
    }
    Result<Written> write(const Change& change, Share share, const std::function<bool()>& gone) override {
      watched_.writes.push_back(change);
      CAPF_TRY(watched_.before_write());
      Result<Written> written = watched_.real_.rounds().write(change, share, gone);
      CAPF_TRY(watched_.after_write());
      return written;
    }
    Result<std::optional<Reason>> hear(const HeardString& heard) override {
      ++watched_.strings;
      return watched_.real_.rounds().hear(heard);
    }
    Status record(std::span<const RefusalRecord> refusals) override { return watched_.real_.rounds().record(refusals); }

   private:
    Watched& watched_;
  };

  Database& real_;
  WatchedRounds rounds_{*this};
};

class SetClock final : public Clock {
 public:
  TimePoint now() const override { return SystemClock().now() + ahead; }
  std::chrono::seconds ahead{0};
};

/// The use cases of phones over a site that is watched.
struct Bench {
  Site site;
  Watched database{site.database()};
  SetClock clock;
  ca::StringKey strings = must(ca::StringKey::make(Secret(Bytes(32, 7))));
  service::Dossiers dossiers{database, site.policy, clock, site.high_water, site.blacklist};
  service::Authenticator authenticator{database.rounds(), strings, site.policy, {}};
  service::Enrolment enrolment{database.rounds(), dossiers,     authenticator,      site.issuer_keys(),
                               site.policy,       site.metrics, Botan::system_rng()};
  DeviceName device = site.add_phone("SEP1");

  service::Caller scheduled() { return Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString)); }
  std::string certificates() { return site.value("select count(*) from certificates"); }
  bool counted_unwritten(int lscs) const {
    return site.metrics.text().find("\ncapf_lscs_unwritten_total " + std::to_string(lscs) + "\n") != std::string::npos;
  }
};

}  // namespace

TEST_CASE("a decision that something has overtaken is made again from a new look, and a string is heard once") {
  Bench bench;
  const auto caller = bench.scheduled();
  bench.database.before_write = [&] {
    if (bench.database.writes.size() <= 2) bench.site.sql("update phones set blocked_at = null");
    return Status();
  };
  const auto issued = must(bench.enrolment.issue(caller, PhoneKey().request()));
  CHECK(bench.database.looks.size() == 3);
  CHECK(bench.database.strings == 1);
  CHECK(bench.database.lscs() == std::vector(3, issued.certificate));  // signed once
  CHECK(bench.counted_unwritten(0));
  CHECK(bench.site.state_of(issued.certificate) == CertificateState::kIssued);
  CHECK(bench.certificates() == "1");
}

TEST_CASE("what was signed by a plan that is another one now does not leave, and is counted") {
  Bench bench;
  const auto caller = bench.scheduled();
  bench.database.before_write = [&] {
    if (bench.database.writes.size() == 1) bench.site.sql("update phones set model = 'CP-8861'");
    return Status();
  };
  const auto issued = must(bench.enrolment.issue(caller, PhoneKey().request()));
  const std::vector<Bytes> lscs = bench.database.lscs();
  REQUIRE(lscs.size() == 2);
  CHECK(lscs[0] != issued.certificate);
  CHECK(lscs[1] == issued.certificate);
  CHECK(bench.counted_unwritten(1));
  CHECK(bench.certificates() == "1");
}

TEST_CASE("after six tries the phone is told, and nothing that was signed has left") {
  Bench bench;
  const auto caller = bench.scheduled();
  bench.database.before_write = [&] {
    bench.site.sql("update phones set blocked_at = null");
    return Status();
  };
  CHECK(refused(bench.enrolment.issue(caller, PhoneKey().request())) == Reason::kChangedMeanwhile);
  const std::vector<Bytes> lscs = bench.database.lscs();
  REQUIRE(lscs.size() == service::Enrolment::kMostTries);
  CHECK(lscs == std::vector(lscs.size(), lscs.front()));  // signed once
  CHECK(bench.counted_unwritten(1));
  CHECK(bench.certificates() == "0");
  CHECK(bench.site.last_operation(bench.device).state == OperationState::kPending);
}

TEST_CASE("an authority that ends between the look and the write is refused") {
  Bench bench;
  const auto caller = bench.scheduled();
  std::function<void()> act;
  bench.database.before_write = [&] {
    if (act) std::exchange(act, {})();
    return Status();
  };
  SECTION("the operation is cancelled") {
    act = [&] { must(bench.site.operations.cancel(bench.site.administrator, bench.device)); };
    CHECK(refused(bench.enrolment.issue(caller, PhoneKey().request())) == Reason::kOperationEnded);
  }
  SECTION("the device is blocked") {
    act = [&] { must(bench.site.phones.block(bench.site.administrator, bench.device)); };
    CHECK_FALSE(bench.enrolment.issue(caller, PhoneKey().request()));
  }
  SECTION("the phone is removed, and its name given to another") {
    act = [&] {
      must(bench.site.phones.remove(bench.site.administrator, bench.device));
      bench.site.add_phone("SEP1");
    };
    CHECK_FALSE(bench.enrolment.issue(caller, PhoneKey().request()));
  }
  CHECK(bench.certificates() == "0");
  CHECK(bench.counted_unwritten(1));
}

TEST_CASE("a commit in doubt is told and not repeated, and the next try finds out") {
  Bench bench;
  const auto caller = bench.scheduled();
  bench.database.after_write = [] { return Status(fail(Reason::kCommitInDoubt)); };
  const PhoneKey key;
  CHECK(refused(bench.enrolment.issue(caller, key.request())) == Reason::kCommitInDoubt);
  CHECK(bench.database.writes.size() == 1);
  CHECK(bench.counted_unwritten(0));
  bench.database.after_write = [] { return Status(); };
  must(bench.enrolment.issue(caller, key.request()));
  CHECK(bench.certificates() == "1");
}

TEST_CASE("an LSC that could not be stored does not leave, and is counted") {
  Bench bench;
  const auto caller = bench.scheduled();
  bench.database.before_write = [] { return Status(fail(Reason::kOverloaded)); };
  CHECK(refused(bench.enrolment.issue(caller, PhoneKey().request())) == Reason::kOverloaded);
  CHECK(bench.counted_unwritten(1));
  CHECK(bench.certificates() == "0");
}

TEST_CASE("a clock that is set while a phone's key is signed keeps the server from writing") {
  Bench bench;
  auto caller = bench.scheduled();
  int asked = 0;
  caller.gone = [&] {
    if (++asked == 3) bench.clock.ahead = std::chrono::hours{1};
    return false;
  };
  CHECK(refused(bench.enrolment.issue(caller, PhoneKey().request())) == Reason::kClockSkew);
  CHECK(bench.database.writes.empty());
  CHECK(bench.counted_unwritten(1));
}

TEST_CASE("a caller who leaves costs no signature and no write") {
  Bench bench;
  auto caller = bench.scheduled();
  const int stays = GENERATE(0, 1, 2);
  int asked = 0;
  caller.gone = [&] { return asked++ >= stays; };
  CHECK(refused(bench.enrolment.issue(caller, PhoneKey().request())) == Reason::kCallerGone);
  CHECK(bench.database.writes.empty());
  CHECK(bench.counted_unwritten(0));
}

TEST_CASE("a stranger's refusal is counted and recorded once, also where what it changes could not be written") {
  Bench bench;
  const auto caller = bench.scheduled();
  bench.site.sql("update operation_strings set count = largest");
  auto wrong = caller;
  wrong.auth_string = Secret(std::string_view("00000000"));
  const auto recorded = [&] {
    REQUIRE(bench.authenticator.attempts().drain(std::chrono::seconds(10)));
    return bench.site.value("select coalesce(sum(count), 0) from refusals where reason = 'AUTH_STRING_EXHAUSTED'");
  };
  bench.database.before_write = []() -> Status { return capf::fail(Reason::kOverloaded); };
  CHECK(refused(bench.enrolment.issue(wrong, PhoneKey().request())) == Reason::kOverloaded);
  CHECK(recorded() == "1");
  bench.database.writes.clear();
  bench.database.before_write = [&]() -> Status {
    if (bench.database.writes.size() > 1) return {};
    return capf::fail(Reason::kChangedMeanwhile);
  };
  CHECK(refused(bench.enrolment.issue(wrong, PhoneKey().request())) == Reason::kAuthenticationFailed);
  CHECK(recorded() == "2");
  CHECK(bench.site.last_operation(bench.device).state == OperationState::kFailed);
}

TEST_CASE("while a certificate of a phone is signed and written, none of another key is signed for it") {
  Bench bench;
  const auto caller = bench.scheduled();
  auto other = caller;
  int asked = 0;
  other.gone = [&] { return asked++ >= 3; };  // it leaves while it waits
  bool waited = false;
  bench.database.before_write = [&] {
    if (!std::exchange(waited, true)) {
      CHECK(refused(bench.enrolment.issue(other, PhoneKey().request())) == Reason::kCallerGone);
    }
    return Status();
  };
  CHECK(bench.enrolment.issue(caller, PhoneKey().request()));
  CHECK(asked == 5);
  CHECK(bench.database.writes.size() == 1);
  CHECK(bench.counted_unwritten(0));
  CHECK(bench.enrolment.issue(caller, PhoneKey().request()));
  CHECK(bench.certificates() == "2");
}

TEST_CASE("strangers cost the same looks for every name") {
  Bench bench;
  bench.scheduled();
  const DeviceName idle = bench.site.add_phone("SEP2");
  const DeviceName unknown = must(DeviceName::parse("SEP3"));
  const Manufacturer maker("Maker");
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  must(bench.site.trust.add(bench.site.administrator, anchor));
  must(bench.dossiers.look(Site::caller(idle), {}));
  for (const DeviceName& device : {bench.device, idle, unknown}) {
    CAPTURE(device.text());
    bench.database.looks.clear();
    bench.database.strings = 0;
    auto caller = Site::with_certificate(device, maker.mic(PhoneKey(), "X-SEP9"));
    caller.auth_string = Secret(std::string_view("00000000"));
    CHECK(refused(bench.enrolment.issue(caller, PhoneKey().request())) == Reason::kAuthenticationFailed);
    REQUIRE(bench.database.looks.size() == 1);
    const Enquiry& asked = bench.database.looks.front();
    CHECK(asked.certificates.size() == 1);
    CHECK(asked.keys.empty());
    CHECK(asked.claims.size() == 1);
    CHECK(bench.database.strings == 1);
    CHECK(bench.database.writes.empty());
  }
}

/// A phone whose manufacturer was not trusted when it came first, and is now.
struct Distrusted {
  Bench bench;
  Manufacturer maker{"Maker"};
  service::Caller by_mic = Site::with_certificate(bench.device, maker.mic(PhoneKey(), "X-SEP1"));

  Distrusted() {
    bench.site.schedule(bench.device, kInstall, AuthMode::kMic);
    CHECK_FALSE(bench.enrolment.pending(by_mic));
    service::AnchorRequest anchor;
    anchor.files = {maker.root()};
    must(bench.site.trust.add(bench.site.administrator, anchor));
  }
};

TEST_CASE("trust anchors that have changed since the last look are read again, once") {
  Distrusted phone;
  auto& [bench, maker, by_mic] = phone;
  bench.database.looks.clear();
  CHECK(bench.enrolment.pending(by_mic));
  CHECK(bench.database.looks.size() == 2);
  CHECK(bench.enrolment.pending(by_mic));
  CHECK(bench.database.looks.size() == 3);
}

TEST_CASE("trust anchors that are kept from another server are read again, though their revision is the same") {
  Distrusted phone;
  auto& [bench, maker, by_mic] = phone;
  bench.site.sql("update trust_revision set revision = revision - 1");
  CHECK_FALSE(bench.enrolment.pending(by_mic));
  bench.database.looks.clear();
  bench.database.after_look = [&looks = bench.database.looks](Dossier& dossier) {
    if (looks.size() == 1) dossier.postmaster_start -= Duration{1};
  };
  CHECK(bench.enrolment.pending(by_mic));
  CHECK(bench.database.looks.size() == 2);
}
