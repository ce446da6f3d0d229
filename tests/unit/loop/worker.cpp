#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/worker.hpp>

#include <support/threads.hpp>

namespace {

using btreemapped::detail::Worker;
using namespace std::chrono_literals;

template <class Value>
Value wait_for(std::future<Value> future) {
  if (future.wait_for(test::patience) != std::future_status::ready)
    throw std::runtime_error("what was awaited has not come");
  return future.get();
}

/// Posts a job and waits for what it returns.
template <class Job>
auto ask(Worker& worker, Job job) {
  const auto task = std::make_shared<std::packaged_task<std::invoke_result_t<Job>()>>(std::move(job));
  auto answer = task->get_future();
  worker.post([task] { (*task)(); });
  return wait_for(std::move(answer));
}

}  // namespace

TEST_CASE("a worker does its jobs one after the other, in order, on a thread of its own", "[worker]") {
  Worker worker("btm-test", {});
  std::vector<int> done;  // touched by the worker only, until the last answer
  std::vector<std::thread::id> threads;
  for (int i = 0; i < 100; ++i) {
    worker.post([&, i] {
      done.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  const std::thread::id own = ask(worker, [] { return std::this_thread::get_id(); });
  REQUIRE(done.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(done[static_cast<std::size_t>(i)] == i);
  for (const std::thread::id thread : threads) CHECK(thread == own);
  CHECK(own != std::this_thread::get_id());
}

TEST_CASE("a worker's thread has its name, and on_thread_start came first", "[worker]") {
  auto started = std::make_shared<bool>(false);
  Worker worker("btm-test", [started] { *started = true; });
  CHECK(ask(worker, [started] { return *started; }));
  CHECK(ask(worker, [] {
          std::array<char, 16> name{};
          pthread_getname_np(pthread_self(), name.data(), name.size());
          return std::string(name.data());
        }) == "btm-test");
}

TEST_CASE("a worker without jobs ends at once", "[worker]") {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) Worker("btm-test", {});
  CHECK(std::chrono::steady_clock::now() - begin < 5s);  // none of them was waited for in vain
}

TEST_CASE("what a job holds goes when it is done", "[worker]") {
  Worker worker("btm-test", {});
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  worker.post([held = std::move(held)] {});
  CHECK(ask(worker, [&] { return watch.expired(); }));
}

TEST_CASE("a job may post another", "[worker]") {
  Worker worker("btm-test", {});
  std::promise<int> promise;
  worker.post([&] { worker.post([&] { promise.set_value(7); }); });
  CHECK(wait_for(promise.get_future()) == 7);
}

TEST_CASE("a job that has begun is waited for", "[worker]") {
  std::promise<void> begun;
  bool done = false;
  {
    Worker worker("btm-test", {});
    worker.post([&] {
      begun.set_value();
      done = true;
    });
    wait_for(begun.get_future());
  }
  CHECK(done);
}

TEST_CASE("jobs that have not begun are dropped", "[worker]") {
  std::promise<void> dropped;
  bool ran = false;
  {
    Worker worker("btm-test", {});
    std::promise<void> begun;
    // The first job ends when the second has been dropped, so it is not the first that keeps the second from running.
    worker.post([&] {
      begun.set_value();
      wait_for(dropped.get_future());
    });
    auto last_words = std::shared_ptr<void>(nullptr, [&](void*) { dropped.set_value(); });
    worker.post([&ran, last_words = std::move(last_words)] { ran = true; });
    wait_for(begun.get_future());
  }
  CHECK_FALSE(ran);
}

TEST_CASE("a worker that is stuck is left behind in time, with all that it uses", "[worker]") {
  auto let_go = std::make_shared<std::promise<void>>();
  auto used = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = used;
  std::promise<void> begun;
  std::promise<int> ended;
  std::optional<Worker> worker;
  worker.emplace("btm-test", std::function<void()>{});
  worker->post([let_go, used = std::move(used), &begun, &ended] {
    begun.set_value();
    wait_for(let_go->get_future());
    ended.set_value(*used);
  });
  wait_for(begun.get_future());
  const auto begin = std::chrono::steady_clock::now();
  worker.reset();
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  CHECK_FALSE(watch.expired());
  let_go->set_value();
  CHECK(wait_for(ended.get_future()) == 1);
}

TEST_CASE("a worker may be moved, and what is left of it destroyed", "[worker]") {
  Worker first("btm-test", {});
  Worker second = std::move(first);
  CHECK(ask(second, [] { return 7; }) == 7);
}

TEST_CASE("jobs of many threads are all done, each thread's in order", "[worker][threads]") {
  constexpr std::size_t threads = 4;
  constexpr std::size_t each = 1'000;
  Worker worker("btm-test", {});
  std::vector<std::vector<std::size_t>> done(threads);
  std::vector<std::function<void()>> posters;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    posters.push_back([&worker, &done, thread] {
      for (std::size_t i = 0; i < each; ++i) worker.post([&done, thread, i] { done[thread].push_back(i); });
    });
  }
  test::run_together(std::move(posters));
  ask(worker, [] { return true; });
  for (const std::vector<std::size_t>& of_thread : done) {
    REQUIRE(of_thread.size() == each);
    for (std::size_t i = 0; i < each; ++i) REQUIRE(of_thread[i] == i);
  }
}
