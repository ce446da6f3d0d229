#include <chrono>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

#include <support/fsm_script.hpp>
#include <support/messages.hpp>

// A slot that outlives its connection: the stream goes on where it was, or all tables are copied afresh.

namespace {

using btreemapped::Errc;
using btreemapped::Lsn;
using btreemapped::ReplicatorState;
using test::FsmScript;
using Step = FsmScript::Step;
using namespace std::chrono_literals;

/// Loses the stream with a transaction half received, and comes to the end of the pause.
void lose(FsmScript& script, bool resumes) {
  script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
  script.settle();
  script.hear(test::begin_message(Lsn{0x3000}));
  script.settle();
  script.fsm.failed(script.now, true, resumes);
  script.now = script.fsm.retry_at();
}

/// As start_streaming(), with a copy that takes so long.
void start_streaming_with_copy_of(FsmScript& script, FsmScript::Duration copy) {
  static_cast<void>(script.next());
  script.fsm.connected(60s);
  script.fsm.preflight_passed();
  script.fsm.slot_created(Lsn{0x1000});
  static_cast<void>(script.next());
  script.pass(copy);
  script.fsm.copied();
  script.fsm.published(script.now);
  static_cast<void>(script.next());
  script.fsm.stream_started(script.now);
}

}  // namespace

TEST_CASE("a stream that may go on where it was is resumed without preflight, slot and copy", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  lose(script, true);
  CHECK(script.step() == Step::connect);
  script.fsm.connected(60s);
  CHECK(script.fsm.state() == ReplicatorState::preflight);
  CHECK(script.step() == Step::resume);
  CHECK(script.step() == Step::wait);
  script.fsm.resumed(false);
  CHECK(script.fsm.state() == ReplicatorState::preflight);
  CHECK(script.step() == Step::start_stream);
  script.fsm.stream_started(script.now);
  CHECK(script.fsm.applied() == Lsn{0x2030});
  CHECK(script.fsm.received() == Lsn{0x2030});
}

TEST_CASE("a resumed stream begins the half received transaction again, and skips what is visible", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  lose(script, true);
  script.resume_streaming();
  script.published.clear();
  script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
  script.settle();
  CHECK(script.published.empty());
  script.hear_transaction(Lsn{0x3000}, Lsn{0x3030});
  script.settle();
  CHECK(script.published == std::vector{Lsn{0x3030}});
}

TEST_CASE("a resumed stream tells the server at once where it is", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  lose(script, true);
  script.resume_streaming();
  script.feedback.clear();
  script.settle();
  REQUIRE(script.feedback.size() == 1);
  CHECK(script.feedback[0].position == Lsn{0x2030});
}

TEST_CASE("a stream that may not go on where it was takes the whole way again", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  lose(script, false);
  script.start_streaming(Lsn{0x8000});
  CHECK(script.fsm.applied() == Lsn{0x8000});
  CHECK(script.fsm.acknowledged() == Lsn{0x8000});
}

TEST_CASE("a refused resumption is followed by the whole way", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  lose(script, true);
  static_cast<void>(script.next());
  script.fsm.connected(60s);
  CHECK(script.step() == Step::resume);
  script.fsm.failed(script.now, true, false);
  script.now = script.fsm.retry_at();
  script.start_streaming(Lsn{0x8000});
  CHECK(script.fsm.applied() == Lsn{0x8000});
}

TEST_CASE("a resumption that was cut off is tried again", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  lose(script, true);
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(script.next());
    script.fsm.connected(60s);
    CHECK(script.step() == Step::resume);
    script.fsm.failed(script.now, true, true);
    script.now = script.fsm.retry_at();
  }
  script.resume_streaming();
}

TEST_CASE("a late word that the stream may go on changes nothing", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  script.fsm.resumed(true);
  CHECK(script.fsm.state() == ReplicatorState::streaming);
  CHECK(script.fsm.applied() == FsmScript::consistent_point);
}

TEST_CASE("where the server's memory was thrown back, the last commit must come again before anything new", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  script.hear(test::begin_message(Lsn{0x1800}, 77, 5));
  script.settle();
  script.hear(test::commit_message(Lsn{0x1800}, Lsn{0x1830}, 77));
  script.settle();
  script.fsm.failed(script.now, true, true);
  script.now = script.fsm.retry_at();
  script.resume_streaming(true);
  script.published.clear();
  script.feedback.clear();
  CHECK(script.fsm.awaits_landmark());
  SECTION("and if it does, the stream goes on") {
    script.hear(test::keepalive(Lsn{0x1400}));
    script.hear(test::begin_message(Lsn{0x1800}, 77, 5));
    CHECK_FALSE(script.fsm.awaits_landmark());
    script.hear(test::commit_message(Lsn{0x1800}, Lsn{0x1830}, 77));
    script.settle();
    REQUIRE_FALSE(script.feedback.empty());
    CHECK(script.feedback.back().position == Lsn{0x1830});
    script.hear_transaction(Lsn{0x3000}, Lsn{0x3030});
    script.settle();
    CHECK(script.published == std::vector{Lsn{0x3030}});
  }
  SECTION("and until it does, the server is not told that we had it") {
    script.hear(test::keepalive(Lsn{0x1400}, true));
    script.settle();
    REQUIRE(script.feedback.size() == 1);
    CHECK(script.feedback[0].position == Lsn{});
  }
  SECTION("and what comes in its place is refused") {
    SECTION("another transaction at its position") {
      static_cast<void>(script.receive(test::begin_message(Lsn{0x1800}, 77, 6)));
      static_cast<void>(script.receive(test::commit_message(Lsn{0x1800}, Lsn{0x1830}, 77)));
      CHECK(script.receive(test::begin_message(Lsn{0x3000}, 99, 7)) != Errc::ok);
    }
    SECTION("one of another time") {
      static_cast<void>(script.receive(test::begin_message(Lsn{0x1800}, 78, 5)));
      static_cast<void>(script.receive(test::commit_message(Lsn{0x1800}, Lsn{0x1830}, 78)));
      CHECK(script.receive(test::begin_message(Lsn{0x3000}, 99, 7)) != Errc::ok);
    }
    SECTION("a new one") { CHECK(script.receive(test::begin_message(Lsn{0x3000}, 99, 7)) != Errc::ok); }
    SECTION("a position beyond it") { CHECK(script.receive(test::keepalive(Lsn{0x2000})) != Errc::ok); }
    CHECK(script.fsm.awaits_landmark());
    CHECK(script.published.empty());
  }
}

TEST_CASE("tables are not copied again sooner than the last copy took", "[fsm]") {
  FsmScript script;
  start_streaming_with_copy_of(script, 10min);
  script.pass(1min);
  script.fsm.failed(script.now, true);
  CHECK(script.fsm.retry_at() - script.now == 9min);
}

TEST_CASE("a copy that was cut off counts for the time it took", "[fsm]") {
  FsmScript script;
  static_cast<void>(script.next());
  script.fsm.connected(60s);
  script.fsm.preflight_passed();
  script.fsm.slot_created(Lsn{0x1000});
  CHECK(script.step() == Step::copy);
  script.pass(3min);
  script.fsm.failed(script.now, true);
  CHECK(script.fsm.retry_at() - script.now == 3min);
  script.now = script.fsm.retry_at();
  CHECK(script.step() == Step::connect);
  script.fsm.failed(script.now, true);  // no copy: an ordinary pause
  CHECK(script.fsm.retry_at() - script.now < 1s);
}

TEST_CASE("a copy of long ago delays nothing, and neither does one delay a resumption", "[fsm]") {
  FsmScript script;
  start_streaming_with_copy_of(script, 10min);
  SECTION("long ago") {
    script.pass(10min);
    script.fsm.failed(script.now, true);
  }
  SECTION("resumed") { script.fsm.failed(script.now, true, true); }
  CHECK(script.fsm.retry_at() - script.now < 1s);
}
