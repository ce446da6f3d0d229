#include <chrono>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/heal_timer.hpp>

namespace {

using btreemapped::detail::HealTimer;
using Cause = HealTimer::Cause;
using Time = HealTimer::Time;
using Duration = HealTimer::Clock::duration;
using namespace std::chrono_literals;

constexpr Time morning{1'000h};

/// The waits before each of so many attempts that do not help: the table fails again as soon as it is copied.
template <class Look>
void fail_again_and_again(HealTimer& timer, Time now, Cause cause, int times, Look&& look) {
  for (int i = 0; i < times; ++i) {
    timer.schedule(now, cause);
    look(timer.due() - now);
    now = timer.due();
    timer.begin_attempt();
    timer.copied(now);
  }
}

}  // namespace

TEST_CASE("nothing is due while no table has failed", "[heal_timer]") { CHECK(HealTimer{}.due() == Time::max()); }

TEST_CASE("what a copy should mend is copied soon", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, Cause::divergence);
  CHECK(timer.due() > morning);
  CHECK(timer.due() <= morning + 1s);
}

TEST_CASE("what a copy will hardly mend is copied seldom", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, Cause::value);
  CHECK(timer.due() >= morning + 10s);
  CHECK(timer.due() <= morning + 10min);
}

TEST_CASE("the first table that is due decides", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, Cause::divergence);
  const Time due = timer.due();
  timer.schedule(morning + 1ms, Cause::value);
  CHECK(timer.due() == due);
  timer.schedule(morning + 50ms, Cause::divergence);
  CHECK(timer.due() == due);

  HealTimer other;
  other.schedule(morning, Cause::value);
  other.schedule(morning + 1ms, Cause::divergence);
  CHECK(other.due() <= morning + 1ms + 1s);
}

TEST_CASE("an attempt is made once", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, Cause::divergence);
  timer.begin_attempt();
  CHECK(timer.due() == Time::max());
}

TEST_CASE("copies that do not help become ever more seldom, but do not cease", "[heal_timer]") {
  for (const Cause cause : {Cause::divergence, Cause::value}) {
    HealTimer timer;
    Duration last = 0s;
    fail_again_and_again(timer, morning, cause, 100, [&](Duration wait) {
      CHECK(wait >= last);
      CHECK(wait <= 10min);
      last = wait;
    });
    CHECK(last >= 1min);
  }
}

TEST_CASE("a day of failures makes no storm of copies", "[heal_timer]") {
  HealTimer timer;
  Time now = morning;
  int copies = 0;
  for (; now < morning + 24h; ++copies) {
    timer.schedule(now, Cause::divergence);
    now = timer.due();
    timer.begin_attempt();
    now += 1s;  // the copy
    timer.copied(now);
  }
  CHECK(copies < 1'000);
}

TEST_CASE("after a long quiet time a failure is healed soon again", "[heal_timer]") {
  HealTimer timer;
  Time now = morning;
  fail_again_and_again(timer, now, Cause::divergence, 20, [&](Duration wait) { now += wait; });
  now += 1h;
  timer.schedule(now, Cause::divergence);
  CHECK(timer.due() <= now + 1s);
}

TEST_CASE("a copy that was made for another reason spares the one that was due", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, Cause::divergence);
  timer.copied(morning + 1ms);
  CHECK(timer.due() == Time::max());
  timer.schedule(morning + 2ms, Cause::divergence);
  CHECK(timer.due() > morning + 2ms);
  CHECK(timer.due() <= morning + 1s);
}

TEST_CASE("copies of hours that do not help become ever more seldom, too", "[heal_timer]") {
  HealTimer timer;
  Time now = morning;
  Duration last = 0s;
  for (int i = 0; i < 100; ++i) {
    timer.schedule(now, Cause::divergence);
    CHECK(timer.due() - now >= last);
    last = timer.due() - now;
    now = timer.due();
    timer.begin_attempt();
    now += 3h;
    timer.copied(now);
  }
  CHECK(last >= 1min);
}

TEST_CASE("a table that is altered again after a moment of quiet is copied as soon as the first time", "[heal_timer]") {
  HealTimer timer;
  Time now = morning;
  for (int i = 0; i < 20; ++i) {
    timer.schedule(now, Cause::altered);
    CHECK(timer.due() <= now + 1s);
    timer.begin_attempt();
    timer.copied(now + 1s);
    now += 10s;
  }
}

TEST_CASE("attempts that end without a copy become ever more seldom, too", "[heal_timer]") {
  for (const Cause cause : {Cause::divergence, Cause::value}) {
    HealTimer timer;
    Time now = morning + 24h;
    Duration last = 0s;
    for (int i = 0; i < 30; ++i) {
      timer.schedule(now, cause);
      CHECK(timer.due() - now >= last);
      last = timer.due() - now;
      now = timer.due();
      timer.begin_attempt();
    }
    CHECK(last >= 1min);
  }
}

TEST_CASE("a table that is altered whenever its copy is to begin is tried every few seconds", "[heal_timer]") {
  HealTimer timer;
  Time now = morning;
  for (int i = 0; i < 30; ++i) {
    timer.schedule(now, Cause::altered);
    CHECK(timer.due() - now <= 5s);
    now = timer.due();
    timer.begin_attempt();
  }
  timer.schedule(now, Cause::altered);
  CHECK(timer.due() - now >= 1s);
}

TEST_CASE("a table that was altered often is not copied later when it fails for another reason", "[heal_timer]") {
  HealTimer timer;
  fail_again_and_again(timer, morning, Cause::altered, 9, [](Duration) {});
  timer.schedule(morning + 1min, Cause::value);
  CHECK(timer.due() == morning + 1min + 30s);
}

TEST_CASE("a copy that somebody asks for is due at once, however often the table has failed", "[heal_timer]") {
  HealTimer timer;
  fail_again_and_again(timer, morning, Cause::divergence, 9, [](Duration) {});
  timer.schedule(morning + 2h, Cause::asked);
  CHECK(timer.due() == morning + 2h);
}

TEST_CASE("an attempt that was cut off is due again for the reason that it had", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, Cause::value);
  timer.begin_attempt();
  timer.again(morning);
  CHECK(timer.due() >= morning + 30s);
  timer.copied(morning);
  timer.schedule(morning, Cause::asked);
  timer.begin_attempt();
  timer.again(morning + 1s);
  CHECK(timer.due() == morning + 1s);
}

TEST_CASE("what is due is not put off by an attempt that was cut off", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, Cause::divergence);
  const auto due = timer.due();
  timer.again(morning + 1h);
  CHECK(timer.due() == due);
}
