#include <chrono>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/heal_timer.hpp>

namespace {

using btreemapped::detail::HealTimer;
using Time = HealTimer::Time;
using Duration = HealTimer::Clock::duration;
using namespace std::chrono_literals;

constexpr Time morning{1'000h};

/// The waits before each of so many attempts that do not help: the table fails again as soon as it is copied.
template <class Look>
void fail_again_and_again(HealTimer& timer, Time now, bool healable, int times, Look&& look) {
  for (int i = 0; i < times; ++i) {
    timer.schedule(now, healable);
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
  timer.schedule(morning, true);
  CHECK(timer.due() > morning);
  CHECK(timer.due() <= morning + 1s);
}

TEST_CASE("what a copy will hardly mend is copied seldom", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, false);
  CHECK(timer.due() >= morning + 10s);
  CHECK(timer.due() <= morning + 10min);
}

TEST_CASE("the first table that is due decides", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, true);
  const Time due = timer.due();
  timer.schedule(morning + 1ms, false);
  CHECK(timer.due() == due);
  timer.schedule(morning + 50ms, true);
  CHECK(timer.due() == due);

  HealTimer other;
  other.schedule(morning, false);
  other.schedule(morning + 1ms, true);
  CHECK(other.due() <= morning + 1ms + 1s);
}

TEST_CASE("an attempt is made once", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, true);
  timer.begin_attempt();
  CHECK(timer.due() == Time::max());
}

TEST_CASE("copies that do not help become ever more seldom, but do not cease", "[heal_timer]") {
  for (const bool healable : {true, false}) {
    HealTimer timer;
    Duration last = 0s;
    fail_again_and_again(timer, morning, healable, 100, [&](Duration wait) {
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
    timer.schedule(now, true);
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
  fail_again_and_again(timer, now, true, 20, [&](Duration wait) { now += wait; });
  now += 1h;
  timer.schedule(now, true);
  CHECK(timer.due() <= now + 1s);
}

TEST_CASE("a copy that was made for another reason spares the one that was due", "[heal_timer]") {
  HealTimer timer;
  timer.schedule(morning, true);
  timer.copied(morning + 1ms);
  CHECK(timer.due() == Time::max());
  timer.schedule(morning + 2ms, true);
  CHECK(timer.due() > morning + 2ms);
  CHECK(timer.due() <= morning + 1s);
}

TEST_CASE("copies of hours that do not help become ever more seldom, too", "[heal_timer]") {
  HealTimer timer;
  Time now = morning;
  Duration last = 0s;
  for (int i = 0; i < 100; ++i) {
    timer.schedule(now, true);
    CHECK(timer.due() - now >= last);
    last = timer.due() - now;
    now = timer.due();
    timer.begin_attempt();
    now += 3h;
    timer.copied(now);
  }
  CHECK(last >= 1min);
}
