#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/status.hpp>

#include <support/threads.hpp>

namespace {

using btreemapped::Event;
using btreemapped::EventKind;
using btreemapped::detail::Notifier;

Event warning(std::size_t number) { return {EventKind::warning, {}, std::to_string(number), 0, {}}; }
Event progress(std::string table, std::size_t rows) {
  return {EventKind::copying, std::move(table), "copying", rows, {}};
}
Event stopped() { return {EventKind::stopped, {}, "stopped", 0, {}}; }

/// "kind table message rows" of an event, for comparing.
std::string line(const Event& event) {
  return std::string(to_string(event.kind)) + "|" + event.table + "|" + event.message + "|" +
         std::to_string(event.rows);
}

/// A notifier whose hook writes all that it is told into a list. Nothing is told before run().
struct Recorder {
  std::vector<Event> told{};
  Notifier notifier{[this](const Event& event) { told.push_back(event); }};

  /// Ends it: all that is queued is told, on this thread.
  const std::vector<Event>& end() {
    notifier.close();
    notifier.run();
    return told;
  }
};

std::vector<std::string> lines(const std::vector<Event>& events) {
  std::vector<std::string> out;
  for (const Event& event : events) out.push_back(line(event));
  return out;
}

std::size_t count(const std::vector<Event>& events, EventKind kind) {
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(), [&](const Event& event) { return event.kind == kind; }));
}

/// A hook that does not return from its first event until it is let go.
class SlowHook {
 public:
  std::function<void(const Event&)> hook() {
    return [this](const Event& event) {
      std::unique_lock lock(mutex_);
      told_.push_back(event);
      changed_.notify_all();
      wait(lock, [this] { return free_; });
    };
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    free_ = true;
    changed_.notify_all();
  }
  void wait_until_told(EventKind kind, std::size_t times = 1) {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return count(told_, kind) >= times; });
  }
  /// After the notifier's end only.
  const std::vector<Event>& told() const { return told_; }

 private:
  template <class Predicate>
  void wait(std::unique_lock<std::mutex>& lock, Predicate predicate) {
    if (!changed_.wait_for(lock, test::patience, predicate)) throw std::runtime_error("what was awaited has not come");
  }

  std::mutex mutex_{};
  std::condition_variable changed_{};
  std::vector<Event> told_{};
  bool free_ = false;
};

}  // namespace

TEST_CASE("a notifier without a hook wants no events and keeps none", "[notifier]") {
  Notifier notifier{{}};
  CHECK_FALSE(notifier.wanted());
  for (std::size_t i = 0; i < 5'000; ++i) notifier.post(warning(i));
  notifier.post(stopped());
  notifier.close();
  notifier.run();
  CHECK(notifier.dropped() == 0);
  CHECK(notifier.errors() == 0);
}

TEST_CASE("the hook is told of events in the order in which they come, whole", "[notifier]") {
  Recorder recorder;
  CHECK(recorder.notifier.wanted());
  recorder.notifier.post({EventKind::connected, {}, "connected", 0, {}});
  recorder.notifier.post({EventKind::table_failed, "public.cars", "why", 0, btreemapped::Lsn{0x10}});
  recorder.notifier.post(progress("public.cars", 7));
  recorder.notifier.post(stopped());
  const std::vector<Event>& told = recorder.end();
  CHECK(lines(told) == std::vector<std::string>{"connected||connected|0", "table failed|public.cars|why|0",
                                                "copying|public.cars|copying|7", "stopped||stopped|0"});
  CHECK(told[1].lsn == btreemapped::Lsn{0x10});
}

TEST_CASE("of the progress of a table only the newest waits", "[notifier]") {
  Recorder recorder;
  for (std::size_t rows = 1; rows <= 100'000; ++rows) {
    recorder.notifier.post(progress("public.cars", rows));
    recorder.notifier.post(progress("public.owners", 2 * rows));
  }
  const std::vector<Event>& told = recorder.end();
  CHECK(lines(told) ==
        std::vector<std::string>{"copying|public.cars|copying|100000", "copying|public.owners|copying|200000"});
  CHECK(recorder.notifier.dropped() == 0);
}

TEST_CASE("progress does not overtake what happened before it", "[notifier]") {
  Recorder recorder;
  recorder.notifier.post(progress("public.cars", 1));
  recorder.notifier.post({EventKind::stale, {}, "lost", 0, {}});
  recorder.notifier.post(progress("public.cars", 2));
  recorder.notifier.post(progress("public.cars", 3));
  CHECK(recorder.end().back().rows == 3);
  CHECK(line(recorder.told.front()) != line(progress("public.cars", 3)));
}

TEST_CASE("other events are never merged", "[notifier]") {
  Recorder recorder;
  for (int i = 0; i < 10; ++i) recorder.notifier.post({EventKind::stale, {}, "lost", 0, {}});
  CHECK(recorder.end().size() == 10);
}

TEST_CASE("a hook that is too slow loses the newest events, and is told so once", "[notifier]") {
  constexpr std::size_t posted = 100'000;
  Recorder recorder;
  for (std::size_t i = 0; i < posted; ++i) recorder.notifier.post(warning(i));
  const std::vector<Event>& told = recorder.end();
  const std::size_t kept = count(told, EventKind::warning);
  CHECK(kept >= 100);
  CHECK(kept < 10'000);
  for (std::size_t i = 0; i < kept; ++i) CHECK(told[i].message == std::to_string(i));
  CHECK(count(told, EventKind::hook_lagging) == 1);
  CHECK(told.back().kind == EventKind::hook_lagging);
  CHECK_FALSE(told.back().message.empty());
  CHECK(recorder.notifier.dropped() == posted - kept);
}

TEST_CASE("the end is told even to a hook that is too slow, and last", "[notifier]") {
  Recorder recorder;
  for (std::size_t i = 0; i < 100'000; ++i) recorder.notifier.post(warning(i));
  recorder.notifier.post(stopped());
  const std::vector<Event>& told = recorder.end();
  CHECK(told.back().kind == EventKind::stopped);
  CHECK(count(told, EventKind::hook_lagging) == 1);
}

TEST_CASE("nothing is told after the end", "[notifier]") {
  Recorder recorder;
  recorder.notifier.post(warning(1));
  recorder.notifier.post(stopped());
  recorder.notifier.close();
  // A worker that was left behind still speaks.
  recorder.notifier.post(progress("public.cars", 1));
  recorder.notifier.post(warning(2));
  CHECK(lines(recorder.end()) == std::vector<std::string>{line(warning(1)), line(stopped())});
}

TEST_CASE("a hook may throw what it likes; that is counted, and it is told the rest", "[notifier]") {
  int told = 0;
  Notifier notifier{[&](const Event&) {
    if (++told % 2 == 0) throw std::runtime_error("of the user");
    throw told;
  }};
  for (std::size_t i = 0; i < 10; ++i) notifier.post(warning(i));
  notifier.close();
  notifier.run();
  CHECK(told == 10);
  CHECK(notifier.errors() == 10);
  CHECK(notifier.dropped() == 0);
}

TEST_CASE("what a slow hook has not been told soon after the end is dropped and counted, but for the end",
          "[notifier]") {
  std::vector<Event> told;
  Notifier* self = nullptr;
  Notifier notifier([&](const Event& event) {
    told.push_back(event);
    self->close();  // here, so that the moment begins while the first is told
    // A hook that takes its time, not a wait for anybody.
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds{300}) continue;
  });
  self = &notifier;
  for (std::size_t i = 0; i < 500; ++i) notifier.post(warning(i));
  notifier.post(stopped());
  notifier.run();
  REQUIRE(told.size() == 2);
  CHECK(line(told[0]) == line(warning(0)));
  CHECK(line(told[1]) == line(stopped()));
  CHECK(notifier.dropped() == 499);
}

TEST_CASE("a notifier that is closed without events ends", "[notifier]") {
  Recorder recorder;
  CHECK(recorder.end().empty());
}

TEST_CASE("a hook may cause events itself, and end them", "[notifier]") {
  std::vector<std::string> told;
  Notifier* self = nullptr;
  Notifier notifier{[&](const Event& event) {
    told.push_back(event.message);
    if (told.size() == 1) self->post(warning(2));
    else self->close();
  }};
  self = &notifier;
  notifier.post(warning(1));
  notifier.run();
  CHECK(told == std::vector<std::string>{"1", "2"});
}

TEST_CASE("a slow hook does not hold up those who post, and catches up", "[notifier][threads]") {
  SlowHook slow;
  Notifier notifier{slow.hook()};
  std::uint64_t dropped = 0;
  test::run_together({[&] { notifier.run(); },
                      [&] {
                        notifier.post({EventKind::connected, {}, "connected", 0, {}});
                        slow.wait_until_told(EventKind::connected);
                        // It stays inside; none of these waits for it.
                        for (std::size_t i = 0; i < 10'000; ++i) notifier.post(warning(i));
                        dropped = notifier.dropped();
                        slow.let_go();
                        slow.wait_until_told(EventKind::hook_lagging);
                        notifier.post({EventKind::synced, {}, "synced", 0, {}});
                        slow.wait_until_told(EventKind::synced);
                        notifier.close();
                      }});
  CHECK(dropped > 0);
  CHECK(count(slow.told(), EventKind::hook_lagging) == 1);
  CHECK(slow.told().back().kind == EventKind::synced);
}

TEST_CASE("events of many threads all come, each thread's in order", "[notifier][threads]") {
  constexpr std::size_t threads = 4;
  constexpr std::size_t each = 200;
  Recorder recorder;
  std::vector<std::function<void()>> posters;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    posters.push_back([&recorder, thread] {
      for (std::size_t i = 0; i < each; ++i)
        recorder.notifier.post({EventKind::warning, std::to_string(thread), std::to_string(i), i, {}});
    });
  }
  test::run_together({[&] { recorder.notifier.run(); },
                      [&] {
                        test::run_together(posters);
                        recorder.notifier.close();
                      }});
  REQUIRE(recorder.told.size() == threads * each);
  std::vector<std::size_t> next(threads, 0);
  for (const Event& event : recorder.told) CHECK(event.rows == next[std::stoul(event.table)]++);
  CHECK(recorder.notifier.dropped() == 0);
}

TEST_CASE("each event of many threads is told, merged or counted as dropped", "[notifier][threads]") {
  constexpr std::size_t threads = 4;
  constexpr std::size_t each = 5'000;
  Recorder recorder;
  std::vector<std::function<void()>> posters(threads, [&recorder] {
    for (std::size_t i = 0; i < each; ++i) {
      recorder.notifier.post(warning(i));
      static_cast<void>(recorder.notifier.dropped());  // as status() asks, at any time
      static_cast<void>(recorder.notifier.errors());
    }
  });
  test::run_together({[&] { recorder.notifier.run(); },
                      [&] {
                        test::run_together(posters);
                        recorder.notifier.close();
                      }});
  CHECK(count(recorder.told, EventKind::warning) + recorder.notifier.dropped() == threads * each);
}

TEST_CASE("the memory of events that wait is counted, and none when they are told", "[notifier]") {
  Recorder recorder;
  CHECK(recorder.notifier.bytes() == 0);
  Event event = warning(1);
  event.message = std::string(1'000, 'x');
  recorder.notifier.post(event);
  recorder.notifier.post(event);
  CHECK(recorder.notifier.bytes() > 2'000);
  CHECK(recorder.notifier.bytes() < 4'000);
  recorder.notifier.close();
  recorder.notifier.run();
  CHECK(recorder.notifier.bytes() == 0);
}
