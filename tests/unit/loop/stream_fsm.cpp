#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

#include <support/fsm_script.hpp>
#include <support/messages.hpp>

// The life of a Replicator: start-up, loss and new attempts, late answers, the end.

namespace {

using btreemapped::Errc;
using btreemapped::Lsn;
using btreemapped::ReplicatorState;
using btreemapped::detail::StreamFsm;
using test::FsmScript;
using Step = StreamFsm::Step;
using Duration = StreamFsm::Duration;
using namespace std::chrono_literals;

/// A point in the life of a Replicator, reached by the shortest way.
struct Point {
  std::string name{};
  ReplicatorState state{};
  std::function<void(FsmScript&)> go{};
};

const std::vector<Point>& points() {
  static const std::vector<Point> all = [] {
    std::vector<Point> made;
    std::vector<std::function<void(FsmScript&)>> way;
    const auto add = [&](std::string name, ReplicatorState state, std::function<void(FsmScript&)> step) {
      way.push_back(std::move(step));
      made.push_back({std::move(name), state, [way](FsmScript& script) {
                        for (const auto& each : way) {
                          each(script);
                          static_cast<void>(script.next());  // what this point asks for has been given out
                        }
                      }});
    };
    add("connecting", ReplicatorState::connecting, [](FsmScript&) {});
    add("preflight", ReplicatorState::preflight, [](FsmScript& script) { script.fsm.connected(60s); });
    add("creating the slot", ReplicatorState::creating_slot, [](FsmScript& script) { script.fsm.preflight_passed(); });
    add("copying", ReplicatorState::copying,
        [](FsmScript& script) { script.fsm.slot_created(FsmScript::consistent_point); });
    add("publishing the copy", ReplicatorState::copying, [](FsmScript& script) { script.fsm.copied(); });
    add("starting the stream", ReplicatorState::copying, [](FsmScript& script) { script.fsm.published(script.now); });
    add("streaming", ReplicatorState::streaming, [](FsmScript& script) { script.fsm.stream_started(script.now); });
    add("backing off", ReplicatorState::backing_off, [](FsmScript& script) { script.fsm.failed(script.now, true); });
    return made;
  }();
  return all;
}

/// Loses a stream with everything open that a stream can leave behind.
void live_through_a_lost_stream(FsmScript& script) {
  script.start_streaming();
  script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
  script.hear(test::keepalive(Lsn{0x5000}, true));
  script.fsm.drained(script.now);
  script.fsm.failed(script.now, true);
  script.pass(1min);
}

/// The pauses after so many failures in a row.
std::vector<Duration> pauses(std::uint32_t seed, std::size_t count) {
  FsmScript script({100ms, 15s, seed});
  std::vector<Duration> out;
  for (std::size_t i = 0; i < count; ++i) {
    static_cast<void>(script.next());
    script.fsm.failed(script.now, true);
    out.push_back(script.fsm.retry_at() - script.now);
    script.now = script.fsm.retry_at();
  }
  return out;
}

std::vector<std::uint32_t> seeds(std::size_t count) {
  std::mt19937 generator(20'240'229);
  std::vector<std::uint32_t> out(count);
  std::generate(out.begin(), out.end(), generator);
  return out;
}

/// The pause after a stream that has lived for so long, when four failures came before it.
Duration pause_after_stream(const std::function<void(FsmScript&)>& live) {
  FsmScript script({100ms, 15s, 1});
  for (int i = 0; i < 7; ++i) {
    static_cast<void>(script.next());
    script.fsm.failed(script.now, true);
    script.now = script.fsm.retry_at();
  }
  script.start_streaming();
  live(script);
  script.fsm.failed(script.now, true);
  return script.fsm.retry_at() - script.now;
}

}  // namespace

TEST_CASE("a replicator connects, checks, makes its slot, copies and publishes the copy before it streams", "[fsm]") {
  FsmScript script;
  CHECK(script.fsm.state() == ReplicatorState::connecting);
  CHECK(script.step() == Step::connect);
  script.fsm.connected(60s);
  CHECK(script.fsm.state() == ReplicatorState::preflight);
  CHECK(script.step() == Step::preflight);
  script.fsm.preflight_passed();
  CHECK(script.fsm.state() == ReplicatorState::creating_slot);
  CHECK(script.step() == Step::create_slot);
  script.fsm.slot_created(Lsn{0x1000});
  CHECK(script.fsm.state() == ReplicatorState::copying);
  CHECK(script.step() == Step::copy);
  script.fsm.copied();
  CHECK(script.fsm.state() == ReplicatorState::copying);
  CHECK(script.step() == Step::publish_copy);
  script.fsm.published(script.now);
  CHECK(script.step() == Step::start_stream);
  script.fsm.stream_started(script.now);
  CHECK(script.fsm.state() == ReplicatorState::streaming);
  CHECK(script.step() == Step::receive);
}

TEST_CASE("a step of the start-up is given out once and then waited for", "[fsm]") {
  for (const Point& point : points()) {
    if (point.name == "publishing the copy" || point.name == "streaming") continue;
    INFO(point.name);
    FsmScript script;
    point.go(script);
    for (int i = 0; i < 3; ++i) CHECK(script.step() == Step::wait);
  }
}

TEST_CASE("the copy is offered again until it is published, each time for a while", "[fsm]") {
  FsmScript script;
  points()[4].go(script);
  for (int i = 0; i < 100; ++i) {
    const auto action = script.next();
    REQUIRE(action.step == Step::publish_copy);
    REQUIRE(action.until > script.now);
    REQUIRE(action.until < script.now + 10s);
    script.now = action.until;
  }
  script.fsm.published(script.now);
  CHECK(script.step() == Step::start_stream);
}

TEST_CASE("a stream begins at the position of the copy", "[fsm]") {
  FsmScript script;
  script.start_streaming(Lsn{0x7000});
  CHECK(script.fsm.received() == Lsn{0x7000});
  CHECK(script.fsm.applied() == Lsn{0x7000});
  CHECK(script.fsm.acknowledged() == Lsn{0x7000});
}

TEST_CASE("after a lost connection there is a pause, then a new attempt", "[fsm]") {
  for (const Point& point : points()) {
    if (point.name == "backing off") continue;
    INFO(point.name);
    FsmScript script;
    point.go(script);
    script.fsm.failed(script.now, true);
    CHECK(script.fsm.state() == ReplicatorState::backing_off);
    const auto action = script.next();
    CHECK(action.step == Step::wait);
    CHECK(action.until == script.fsm.retry_at());
    CHECK(action.until > script.now);
    script.now = action.until - 1us;
    CHECK(script.step() == Step::wait);
    script.now = action.until;
    CHECK(script.step() == Step::connect);
    CHECK(script.fsm.state() == ReplicatorState::connecting);
    CHECK(script.step() == Step::wait);
  }
}

TEST_CASE("a new attempt takes the whole way with a fresh slot and copy", "[fsm]") {
  FsmScript script;
  live_through_a_lost_stream(script);
  script.start_streaming(Lsn{0x8000});
  CHECK(script.fsm.received() == Lsn{0x8000});
  CHECK(script.fsm.applied() == Lsn{0x8000});
  CHECK(script.fsm.acknowledged() == Lsn{0x8000});
}

TEST_CASE("a new stream inherits nothing that the lost one left open", "[fsm]") {
  FsmScript script;
  live_through_a_lost_stream(script);
  script.start_streaming(Lsn{0x8000});
  script.settle();
  CHECK(script.feedback.empty());
  CHECK(script.published.empty());
  CHECK(script.fsm.applied() == Lsn{0x8000});
}

TEST_CASE("a half received transaction is forgotten with its connection", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  script.hear(test::begin_message(Lsn{0x2000}));
  script.settle();
  script.fsm.failed(script.now, true);
  script.pass(1min);
  script.start_streaming(Lsn{0x2000});
  SECTION("so the server may begin it again") {
    CHECK(script.receive(test::begin_message(Lsn{0x2000})) == Errc::ok);
    CHECK(script.step() == Step::stage);
  }
  SECTION("so its rest is out of place") {
    CHECK(script.receive(test::insert_message({1})) != Errc::ok);
    CHECK(script.receive(test::commit_message(Lsn{0x2000}, Lsn{0x2030})) != Errc::ok);
  }
}

TEST_CASE("pauses double with each failure", "[fsm]") {
  constexpr std::size_t count = 8;
  std::array<double, count> mean{};
  for (const std::uint32_t seed : seeds(500)) {
    const std::vector<Duration> each = pauses(seed, count);
    for (std::size_t i = 0; i < count; ++i) mean[i] += std::chrono::duration<double>(each[i]).count() / 500;
  }
  for (std::size_t i = 1; i < count; ++i) {
    INFO("after failure " << i + 1 << ": " << mean[i] << " s");
    CHECK(mean[i] > 1.8 * mean[i - 1]);
    CHECK(mean[i] < 2.2 * mean[i - 1]);
  }
}

TEST_CASE("no pause is longer than its share, nor than the longest, however often it fails", "[fsm]") {
  const std::vector<Duration> each = pauses(7, 1'000);
  Duration share = 100ms;
  for (const Duration pause : each) {
    CHECK(pause > Duration::zero());
    CHECK(pause <= share);
    share = std::min<Duration>(2 * share, 15s);
  }
  CHECK(each.back() > 1s);
}

TEST_CASE("pauses of days double no further than the clock can count", "[fsm]") {
  for (const Duration shortest : {Duration{24h * 24}, Duration::max()}) {
    FsmScript script({shortest, Duration{24h * 24}, 1});
    for (int i = 0; i < 40; ++i) {
      script.fsm.failed(script.now, true);
      CHECK(script.fsm.retry_at() - script.now >= 12h * 24);
      CHECK(script.fsm.retry_at() - script.now <= 24h * 24);
      script.now = script.fsm.retry_at();
      CHECK(script.step() == Step::connect);
    }
  }
}

TEST_CASE("a thousand clients of one restarted server do not come back in step", "[fsm]") {
  for (const std::size_t failures : {1U, 12U}) {
    std::vector<Duration> back;
    for (const std::uint32_t seed : seeds(1'000)) back.push_back(pauses(seed, failures).back());
    std::sort(back.begin(), back.end());
    CHECK(std::adjacent_find(back.begin(), back.end()) == back.end());
    // Spread over a good part of the pause, without a crowd anywhere.
    const Duration spread = back.back() - back.front();
    CHECK(spread > back.back() / 3);
    for (std::size_t i = 0; i + 200 < back.size(); ++i) CHECK(back[i + 200] - back[i] > spread / 10);
  }
}

TEST_CASE("a long healthy stream makes the pauses short again", "[fsm]") {
  const Duration pause = pause_after_stream([](FsmScript& script) {
    for (int second = 0; second < 3'600; ++second) {
      script.pass(1s);
      script.hear(test::keepalive(Lsn{0x1000}));
      script.settle();
    }
  });
  CHECK(pause <= 100ms);
}

TEST_CASE("a stream that breaks at once does not make the pauses short again", "[fsm]") {
  CHECK(pause_after_stream([](FsmScript& script) { script.pass(1s); }) > 1s);
}

TEST_CASE("a stream that was silent until it was given up does not make the pauses short again", "[fsm]") {
  const Duration pause = pause_after_stream([](FsmScript& script) {
    script.hear(test::keepalive(Lsn{0x1000}));
    while (script.step() != Step::give_up) {
      script.settle();
      script.pass(1s);
    }
  });
  CHECK(pause > 1s);
}

TEST_CASE("a late answer changes nothing", "[fsm]") {
  struct Event {
    std::string name{};
    std::vector<std::string> at_home{};
    std::function<void(FsmScript&)> tell{};
  };
  const std::vector<Event> events{
      {"connected", {"connecting"}, [](FsmScript& script) { script.fsm.connected(3s); }},
      {"preflight passed", {"preflight"}, [](FsmScript& script) { script.fsm.preflight_passed(); }},
      {"slot created", {"creating the slot"}, [](FsmScript& script) { script.fsm.slot_created(Lsn{0x6000}); }},
      {"copied", {"copying"}, [](FsmScript& script) { script.fsm.copied(); }},
      {"published", {"publishing the copy"}, [](FsmScript& script) { script.fsm.published(script.now); }},
      {"stream started", {"starting the stream"}, [](FsmScript& script) { script.fsm.stream_started(script.now); }},
      {"advanced", {}, [](FsmScript& script) { script.fsm.advanced(); }},
      {"staged", {}, [](FsmScript& script) { script.fsm.staged(); }},
      {"drained", {"streaming"}, [](FsmScript& script) { script.fsm.drained(script.now); }},
      {"keepalive", {"streaming"}, [](FsmScript& script) { script.hear(test::keepalive(Lsn{0x6000}, true)); }},
      {"message", {"streaming"}, [](FsmScript& script) { script.hear(test::begin_message(Lsn{0x6000})); }},
      {"feedback sent",
       {"streaming"},
       [](FsmScript& script) {
         script.fsm.feedback_sent(script.now, {.step = Step::send_feedback, .position = Lsn{0x6000}});
       }},
      {"failed",
       {"connecting", "preflight", "creating the slot", "copying", "publishing the copy", "starting the stream",
        "streaming"},
       [](FsmScript& script) { script.fsm.failed(script.now + 1s, true); }},
  };
  for (const bool second_life : {false, true}) {
    for (const Point& point : points()) {
      for (const Event& event : events) {
        if (std::find(event.at_home.begin(), event.at_home.end(), point.name) != event.at_home.end()) continue;
        INFO(event.name << " while " << point.name << (second_life ? ", after a lost stream" : ""));
        FsmScript undisturbed;
        FsmScript script;
        for (FsmScript* const each : {&undisturbed, &script}) {
          if (second_life) live_through_a_lost_stream(*each);
          point.go(*each);
        }
        event.tell(script);
        CHECK(script.fsm.state() == undisturbed.fsm.state());
        CHECK(script.fsm.received() == undisturbed.fsm.received());
        CHECK(script.fsm.applied() == undisturbed.fsm.applied());
        CHECK(script.fsm.acknowledged() == undisturbed.fsm.acknowledged());
        CHECK(script.fsm.retry_at() == undisturbed.fsm.retry_at());
        CHECK(script.fsm.last_frame_at() == undisturbed.fsm.last_frame_at());
        const auto action = script.next();
        const auto expected = undisturbed.next();
        CHECK(action.step == expected.step);
        CHECK(action.until == expected.until);
        CHECK(action.position == expected.position);
        CHECK(action.ask_reply == expected.ask_reply);
      }
    }
  }
}

TEST_CASE("stop ends it wherever it is, for good", "[fsm]") {
  for (const Point& point : points()) {
    INFO(point.name);
    FsmScript script;
    point.go(script);
    CHECK(script.fsm.state() == point.state);
    script.fsm.stop();
    CHECK(script.fsm.state() == ReplicatorState::stopped);
    CHECK(script.step() == Step::finish);
    script.fsm.failed(script.now, true);
    script.fsm.connected(60s);
    script.fsm.stream_started(script.now);
    script.pass(1h);
    CHECK(script.fsm.state() == ReplicatorState::stopped);
    CHECK(script.step() == Step::finish);
    script.fsm.stop();
    CHECK(script.step() == Step::finish);
  }
}

TEST_CASE("stop ends it also while a message or a commit is in hand", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  SECTION("a message to be staged") { script.hear(test::begin_message(Lsn{0x2000})); }
  SECTION("a commit to be published") { script.hear_transaction(Lsn{0x2000}, Lsn{0x2030}); }
  SECTION("a position to be taken over") { script.hear(test::keepalive(Lsn{0x2000})); }
  SECTION("a reply that is owed") { script.hear(test::keepalive(Lsn{0x1000}, true)); }
  script.fsm.stop();
  CHECK(script.step() == Step::finish);
}

TEST_CASE("a failure that cannot be retried ends it wherever it is", "[fsm]") {
  for (const Point& point : points()) {
    INFO(point.name);
    FsmScript script;
    point.go(script);
    script.fsm.failed(script.now, false);
    CHECK(script.fsm.state() == ReplicatorState::stopped);
    CHECK(script.step() == Step::finish);
    script.pass(1h);
    CHECK(script.step() == Step::finish);
  }
}
