#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <csignal>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/thread.hpp>

#include <support/threads.hpp>

namespace {

using btreemapped::detail::Thread;
using namespace std::chrono_literals;

std::string current_name() {
  std::array<char, 16> name{};
  return pthread_getname_np(pthread_self(), name.data(), name.size()) == 0 ? name.data() : "";
}

std::vector<int> blocked_signals() {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  std::vector<int> blocked;
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    if (sigismember(&mask, signal) == 1) blocked.push_back(signal);
  return blocked;
}

/// All but those that cannot be blocked, and those between them and SIGRTMIN, which are the C library's own.
std::vector<int> all_signals() {
  std::vector<int> all;
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP && (signal < 32 || signal >= SIGRTMIN)) all.push_back(signal);
  return all;
}

/// What happens on another thread, and waiting for it.
template <class Value>
class Told {
 public:
  void tell(Value value) { promise_.set_value(std::move(value)); }
  Value wait() {
    if (future_.wait_for(test::patience) != std::future_status::ready)
      throw std::runtime_error("what was awaited has not come");
    return future_.get();
  }

 private:
  std::promise<Value> promise_{};
  std::future<Value> future_ = promise_.get_future();
};

}  // namespace

TEST_CASE("a thread has its name from the start", "[thread]") {
  std::string at_start;
  std::string in_body;
  Thread thread("btm-test", [&] { at_start = current_name(); }, [&] { in_body = current_name(); });
  thread.join();
  CHECK(at_start == "btm-test");
  CHECK(in_body == "btm-test");
}

TEST_CASE("a thread blocks all signals from the start", "[thread]") {
  std::vector<int> at_start;
  std::vector<int> in_body;
  Thread thread("btm-test", [&] { at_start = blocked_signals(); }, [&] { in_body = blocked_signals(); });
  thread.join();
  CHECK(at_start == all_signals());
  CHECK(in_body == all_signals());
}

TEST_CASE("who makes a thread keeps the signals that it had", "[thread]") {
  sigset_t usr1;
  sigset_t before;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  pthread_sigmask(SIG_SETMASK, &usr1, &before);
  Thread("btm-test", {}, [] {}).join();
  const std::vector<int> after = blocked_signals();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CHECK(after == std::vector{SIGUSR1});
}

TEST_CASE("on_thread_start is called first, on the thread", "[thread]") {
  std::vector<std::string> order;
  std::thread::id started_on;
  std::thread::id ran_on;
  Thread thread(
      "btm-test",
      [&] {
        order.emplace_back("start");
        started_on = std::this_thread::get_id();
      },
      [&] {
        order.emplace_back("body");
        ran_on = std::this_thread::get_id();
      });
  thread.join();
  CHECK(order == std::vector<std::string>{"start", "body"});
  CHECK(started_on == ran_on);
  CHECK(ran_on != std::this_thread::get_id());
}

TEST_CASE("what on_thread_start throws is ignored", "[thread]") {
  bool ran = false;
  SECTION("an exception of the standard library") {
    Thread("btm-test", [] { throw std::runtime_error("of the user"); }, [&] { ran = true; }).join();
  }
  SECTION("anything else") {
    Thread("btm-test", [] { throw 1; }, [&] { ran = true; }).join();
  }
  CHECK(ran);
}

TEST_CASE("a thread needs no on_thread_start", "[thread]") {
  bool ran = false;
  Thread("btm-test", {}, [&] { ran = true; }).join();
  CHECK(ran);
}

TEST_CASE("joining waits for the end, and may be repeated", "[thread]") {
  bool ended = false;
  Thread thread("btm-test", {}, [&] { ended = true; });
  thread.join();
  CHECK(ended);
  thread.join();
  thread.join_or_leave(1h);
}

TEST_CASE("a thread that was never started has ended", "[thread]") {
  Thread thread;
  CHECK_FALSE(thread.is_current());
  thread.join();
  thread.join_or_leave(1h);
}

TEST_CASE("destroying a thread waits for its end", "[thread]") {
  bool ended = false;
  {
    const Thread thread("btm-test", {}, [&] { ended = true; });
  }
  CHECK(ended);
}

TEST_CASE("a thread may be moved while it runs", "[thread]") {
  Told<bool> go_on;
  bool ended = false;
  Thread thread("btm-test", {}, [&] { ended = go_on.wait(); });
  Thread moved = std::move(thread);
  Thread assigned;
  assigned = std::move(moved);
  go_on.tell(true);
  assigned.join();
  CHECK(ended);
}

TEST_CASE("a thread knows itself, and nobody else takes himself for it", "[thread]") {
  Told<const Thread*> made;
  bool itself = false;
  const Thread other("btm-other", {}, [] {});
  bool took_other = true;
  Thread thread("btm-test", {}, [&] {
    itself = made.wait()->is_current();
    took_other = other.is_current();
  });
  made.tell(&thread);
  CHECK_FALSE(thread.is_current());
  thread.join();
  CHECK_FALSE(thread.is_current());
  CHECK(itself);
  CHECK_FALSE(took_other);
}

TEST_CASE("a thread that joins itself goes on to its end", "[thread]") {
  auto thread = std::make_unique<Thread>();
  Told<bool> made;
  Told<bool> ended;
  *thread = Thread("btm-test", {}, [&] {
    made.wait();
    thread->join();
    ended.tell(true);
  });
  made.tell(true);
  CHECK(ended.wait());
}

TEST_CASE("a thread that destroys itself goes on to its end", "[thread]") {
  auto thread = std::make_unique<Thread>();
  Told<bool> made;
  Told<bool> ended;
  *thread = Thread("btm-test", {}, [&] {
    made.wait();
    thread.reset();
    ended.tell(true);
  });
  made.tell(true);
  CHECK(ended.wait());
}

TEST_CASE("a thread that ends in time is joined, with all that it holds", "[thread]") {
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  bool ended = false;
  Thread thread("btm-test", {}, [&ended, held = std::move(held)] { ended = true; });
  thread.join_or_leave(test::patience);
  CHECK(ended);
  CHECK(watch.expired());
}

TEST_CASE("a thread that does not end is left behind in time", "[thread]") {
  auto let_go = std::make_shared<Told<bool>>();
  auto held = std::make_shared<int>(1);
  Told<bool> ended;
  Thread thread("btm-test", {}, [let_go, &ended, held] {
    const bool answer = let_go->wait();
    ended.tell(answer);
  });
  const auto begin = std::chrono::steady_clock::now();
  thread.join_or_leave(20ms);
  const auto waited = std::chrono::steady_clock::now() - begin;
  CHECK(waited >= 20ms);
  CHECK(waited < test::patience / 2);
  CHECK(held.use_count() > 1);  // what it uses is its own
  thread.join();
  let_go->tell(true);
  CHECK(ended.wait());
}

TEST_CASE("anybody may ask whether he is a thread that another one is joining", "[thread][threads]") {
  for (int round = 0; round < 200; ++round) {
    Thread thread("btm-test", {}, [] {});
    std::atomic<bool> taken{false};
    test::run_together({[&] { thread.join(); },
                        [&] {
                          for (int i = 0; i < 10; ++i)
                            if (thread.is_current()) taken = true;
                        }});
    CHECK_FALSE(taken);
  }
}
