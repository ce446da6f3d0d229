#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/lsn.hpp>

#include <support/fsm_script.hpp>
#include <support/messages.hpp>

// Feedback by the clock, and a server that says nothing.

namespace {

using btreemapped::Lsn;
using btreemapped::detail::StreamFsm;
using test::FsmScript;
using Step = StreamFsm::Step;
using Duration = StreamFsm::Duration;
using Time = StreamFsm::Time;
using namespace std::chrono_literals;

struct Liveness {
  Duration sender_timeout;
  Duration interval;       ///< min(a third of it, 10 s)
  Duration silence_limit;  ///< twice it, or 30 s
};

/// As documented, also for a server that never ends a silent connection.
constexpr Liveness rules[] = {{3s, 1s, 6s},     {27s, 9s, 54s}, {30s, 10s, 1min},
                              {60s, 10s, 2min}, {1h, 10s, 2h},  {0s, 10s, 30s}};

FsmScript streaming(Duration sender_timeout = 60s) {
  FsmScript script;
  script.start_streaming(FsmScript::consistent_point, sender_timeout);
  return script;
}

/// Lets the server be silent: when was it first asked for a reply, and when given up?
struct Silence {
  std::optional<Time> asked{};
  std::optional<Time> given_up{};
};

Silence be_silent(FsmScript& script, Duration at_most, Duration grain = 10ms) {
  Silence silence;
  for (const Time end = script.now + at_most; script.now < end; script.pass(grain)) {
    const std::size_t before = script.feedback.size();
    script.settle();
    if (!silence.asked && script.feedback.size() > before && script.feedback.back().ask_reply)
      silence.asked = script.now;
    if (script.step() != Step::give_up) continue;
    silence.given_up = script.now;
    break;
  }
  return silence;
}

}  // namespace

TEST_CASE("feedback goes out at a third of wal_sender_timeout, and at least every 10 s", "[fsm]") {
  for (const Liveness& rule : rules) {
    INFO("wal_sender_timeout " << std::chrono::duration<double>(rule.sender_timeout).count() << " s");
    FsmScript script = streaming(rule.sender_timeout);
    for (int i = 0; i < 5; ++i) {
      const Time sent = script.now;
      script.hear(test::keepalive(FsmScript::consistent_point));
      const auto wait = script.next();
      REQUIRE(wait.step == Step::receive);
      CHECK(wait.until == sent + rule.interval);
      script.now = sent + rule.interval - 1us;
      CHECK(script.step() == Step::receive);
      script.now = sent + rule.interval;
      const auto feedback = script.next();
      REQUIRE(feedback.step == Step::send_feedback);
      CHECK(feedback.position == FsmScript::consistent_point);
      script.carry_out(feedback);
    }
  }
}

TEST_CASE("any feedback puts the next one off", "[fsm]") {
  FsmScript script = streaming();
  script.pass(9s);
  script.hear(test::keepalive(FsmScript::consistent_point, true));
  script.settle();
  REQUIRE(script.feedback.size() == 1);
  script.hear(test::keepalive(FsmScript::consistent_point));
  CHECK(script.next().until == script.now + 10s);
}

TEST_CASE("feedback goes on while a commit waits for readers", "[fsm]") {
  FsmScript script = streaming(3s);
  script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
  Time last = script.now;
  for (int i = 0; i < 1'000; ++i) {
    const auto action = script.next();
    if (action.step == Step::send_feedback) {
      CHECK(action.position == FsmScript::consistent_point);
      CHECK(script.now - last <= 1s);
      last = script.now;
      script.carry_out(action);
      continue;
    }
    REQUIRE(action.step == Step::publish);
    REQUIRE(action.until > script.now);
    REQUIRE(action.until <= last + 1s);
    // Not yet: the readers stay. Sometimes the attempt ends before its time.
    script.now = i % 3 == 0 ? action.until : script.now + (action.until - script.now) / 2;
  }
  CHECK(script.feedback.size() > 100);
  CHECK(script.published.empty());
  script.settle();
  CHECK(script.published == std::vector{Lsn{0x2030}});
}

TEST_CASE("feedback that is due goes before the next message is staged", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::begin_message(Lsn{0x2000}));
  script.pass(10s);
  CHECK(script.step() == Step::send_feedback);
  script.carry_out(script.next());
  CHECK(script.step() == Step::stage);
}

TEST_CASE("feedback that is due goes before the next frame is read", "[fsm]") {
  FsmScript script = streaming();
  for (int i = 0; i < 100; ++i) {
    script.hear(test::emitted_message(false));
    script.pass(1s);
    for (auto action = script.next(); action.step != Step::receive; action = script.next()) script.carry_out(action);
  }
  CHECK(script.feedback.size() == 10);
}

TEST_CASE("the timer asks for a reply only when nothing was heard since the last feedback", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::keepalive(FsmScript::consistent_point));
  script.pass(10s);
  script.settle();
  script.pass(10s);
  script.settle();
  REQUIRE(script.feedback.size() == 2);
  CHECK_FALSE(script.feedback[0].ask_reply);
  CHECK(script.feedback[1].ask_reply);
  SECTION("a keepalive is heard") { script.hear(test::keepalive(FsmScript::consistent_point)); }
  SECTION("a message is heard") { script.hear(test::emitted_message(false)); }
  script.pass(10s);
  script.settle();
  script.pass(10s);
  script.settle();
  REQUIRE(script.feedback.size() == 4);
  CHECK_FALSE(script.feedback[2].ask_reply);
  CHECK(script.feedback[3].ask_reply);
}

TEST_CASE("a silent server is given up when it has not answered for twice wal_sender_timeout", "[fsm]") {
  for (const Liveness& rule : rules) {
    INFO("wal_sender_timeout " << std::chrono::duration<double>(rule.sender_timeout).count() << " s");
    const Duration grain = rule.silence_limit / 1'000;
    for (const bool in_transaction : {false, true}) {
      FsmScript script = streaming(rule.sender_timeout);
      if (in_transaction) script.hear(test::begin_message(Lsn{0x2000}));
      const Time begin = script.now;
      const Silence silence = be_silent(script, 4 * rule.silence_limit + 1min, grain);
      REQUIRE(silence.asked);
      CHECK(*silence.asked - begin <= 2 * rule.interval + 2 * grain);
      REQUIRE(silence.given_up);
      CHECK(*silence.given_up - *silence.asked >= rule.silence_limit);
      CHECK(*silence.given_up - *silence.asked <= rule.silence_limit + 2 * grain);
    }
  }
}

TEST_CASE("a given up server stays given up until the driver says what became of it", "[fsm]") {
  FsmScript script = streaming(3s);
  REQUIRE(be_silent(script, 1min).given_up);
  CHECK(script.step() == Step::give_up);
  script.fsm.failed(script.now, true);
  CHECK(script.step() == Step::wait);
}

TEST_CASE("feedback goes on while an answer is awaited, and the driver wakes in time to give up", "[fsm]") {
  FsmScript script = streaming(3s);
  std::optional<Time> asked;
  // Sleeps as a driver does: until it is told to look again.
  for (int i = 0; i < 100 && script.step() != Step::give_up; ++i) {
    script.settle();
    if (script.feedback.empty() || !script.feedback.back().ask_reply) asked.reset();
    else if (!asked) asked = script.now;
    const auto wait = script.next();
    if (wait.step == Step::give_up) break;
    REQUIRE(wait.step == Step::receive);
    REQUIRE(wait.until >= script.now);
    REQUIRE(wait.until <= script.now + 1s);
    script.now = std::max(wait.until, script.now + 1us);
  }
  REQUIRE(script.step() == Step::give_up);
  REQUIRE(asked);
  CHECK(script.now - *asked >= 6s);
  CHECK(script.now - *asked <= 6s + 1ms);
  CHECK(script.feedback.size() >= 6);
}

TEST_CASE("a server that answers is never given up, however little it says", "[fsm]") {
  FsmScript script = streaming(3s);
  const Time end = script.now + 1h;
  std::size_t answered = 0;
  while (script.now < end) {
    script.settle();
    REQUIRE(script.step() == Step::receive);
    if (!script.feedback.empty() && script.feedback.back().ask_reply && answered != script.feedback.size()) {
      answered = script.feedback.size();
      script.pass(2'900ms);  // slow, but within its own time
      script.hear(test::keepalive(FsmScript::consistent_point));
    }
    script.pass(100ms);
  }
}

TEST_CASE("messages are an answer, too", "[fsm]") {
  FsmScript script = streaming(3s);
  script.hear(test::begin_message(Lsn{0x2000}));
  for (int i = 0; i < 600; ++i) {
    script.settle();
    REQUIRE(script.step() == Step::receive);
    script.pass(2'900ms);
    script.hear(test::insert_message({i}));
  }
}

TEST_CASE("time spent publishing is not the server's silence", "[fsm]") {
  FsmScript script = streaming(3s);
  script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
  // For an hour the readers stay, and nothing is read from the server meanwhile.
  const Time end = script.now + 1h;
  while (script.now < end) {
    const auto action = script.next();
    REQUIRE((action.step == Step::publish || action.step == Step::send_feedback));
    if (action.step == Step::publish) script.now = action.until;
    else script.carry_out(action);
  }
  script.settle();
  CHECK(script.step() == Step::receive);
  SECTION("an answer that has been waiting to be read is in time") {
    script.hear(test::keepalive(Lsn{0x2030}));
    script.pass(2s);
    script.settle();
    CHECK(script.step() == Step::receive);
  }
  SECTION("silence from then on counts") {
    const Time begin = script.now;
    const Silence silence = be_silent(script, 1min);
    REQUIRE(silence.given_up);
    CHECK(*silence.given_up - begin >= 6s);
    CHECK(*silence.given_up - begin <= 9s);
  }
}

TEST_CASE("a pause of the whole process is not the server's silence", "[fsm]") {
  FsmScript script = streaming(3s);
  REQUIRE(be_silent(script, 5s).asked);
  script.pass(1h);
  while (script.step() != Step::receive) script.carry_out(script.next());
  SECTION("an answer that has been waiting to be read is in time") {
    script.hear(test::keepalive(Lsn{0x1000}));
    script.settle();
    CHECK(script.step() == Step::receive);
  }
  SECTION("without one the server is given up") {
    script.settle();
    CHECK(script.step() == Step::give_up);
  }
}

TEST_CASE("each stream has its own silence", "[fsm]") {
  FsmScript script = streaming(3s);
  REQUIRE(be_silent(script, 1min).given_up);
  script.fsm.failed(script.now, true);
  script.pass(1min);
  script.start_streaming(FsmScript::consistent_point, 60s);
  CHECK(script.step() == Step::receive);
  CHECK(script.next().until == script.now + 10s);
  CHECK_FALSE(be_silent(script, 1min).given_up);
}
