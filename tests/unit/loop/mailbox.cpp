#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/mailbox.hpp>

#include <support/threads.hpp>

namespace {

using btreemapped::detail::Mailbox;

/// Is a letter announced on the descriptor? Waits for it at most so long.
bool announced(const Mailbox& mailbox, int milliseconds = 0) {
  pollfd fds[1] = {{mailbox.fd(), POLLIN, 0}};
  return ::poll(fds, 1, milliseconds) == 1;
}

constexpr int patience_in_milliseconds = static_cast<int>(std::chrono::milliseconds{test::patience}.count());

}  // namespace

TEST_CASE("letters are run in the order in which they came, once", "[mailbox]") {
  Mailbox mailbox;
  std::vector<int> run;
  for (int i = 0; i < 100; ++i) mailbox.post([&run, i] { run.push_back(i); });
  CHECK(run.empty());
  mailbox.open();
  mailbox.open();
  REQUIRE(run.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(run[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("an empty mailbox can be opened", "[mailbox]") {
  Mailbox mailbox;
  mailbox.open();
  CHECK_FALSE(announced(mailbox));
}

TEST_CASE("the descriptor is readable exactly while a letter waits", "[mailbox]") {
  Mailbox mailbox;
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(announced(mailbox));
    mailbox.post([] {});
    CHECK(announced(mailbox));
    CHECK(announced(mailbox));
    mailbox.post([] {});
    CHECK(announced(mailbox));
    mailbox.open();
  }
  CHECK_FALSE(announced(mailbox));
}

TEST_CASE("a letter may post another", "[mailbox]") {
  Mailbox mailbox;
  int run = 0;
  mailbox.post([&] {
    ++run;
    mailbox.post([&] { ++run; });
  });
  mailbox.open();
  CHECK(announced(mailbox) == (run == 1));
  mailbox.open();
  CHECK(run == 2);
  CHECK_FALSE(announced(mailbox));
}

TEST_CASE("a letter that throws does not take the others with it", "[mailbox]") {
  Mailbox mailbox;
  std::vector<int> run;
  mailbox.post([&] { run.push_back(1); });
  mailbox.post([] { throw std::runtime_error("the step has failed"); });
  mailbox.post([&] { run.push_back(2); });
  mailbox.post([&] { run.push_back(3); });
  CHECK_THROWS_AS(mailbox.open(), std::runtime_error);
  CHECK(run == std::vector{1});
  CHECK(announced(mailbox));
  mailbox.post([&] { run.push_back(4); });
  mailbox.open();
  CHECK(run == std::vector{1, 2, 3, 4});
  CHECK_FALSE(announced(mailbox));
}

TEST_CASE("what a letter holds goes once it has been run", "[mailbox]") {
  Mailbox mailbox;
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  mailbox.post([held = std::move(held)] {});
  CHECK_FALSE(watch.expired());
  mailbox.open();
  CHECK(watch.expired());
}

TEST_CASE("letters that are never opened go with their mailbox", "[mailbox]") {
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  {
    Mailbox mailbox;
    mailbox.post([held = std::move(held)] {});
  }
  CHECK(watch.expired());
}

TEST_CASE("letters of many threads all come, each thread's in order", "[mailbox][threads]") {
  constexpr std::size_t threads = 4;
  constexpr std::size_t each = 2'000;
  Mailbox mailbox;
  std::vector<std::vector<std::size_t>> run(threads);
  std::size_t left = threads * each;  // touched by letters only
  std::vector<std::function<void()>> all;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    all.push_back([&mailbox, &run, &left, thread] {
      for (std::size_t i = 0; i < each; ++i)
        mailbox.post([&run, &left, thread, i] {
          run[thread].push_back(i);
          --left;
        });
    });
  }
  all.push_back([&] {
    while (left != 0) {
      if (!announced(mailbox, patience_in_milliseconds)) throw std::runtime_error("a letter was not announced");
      mailbox.open();
    }
  });
  test::run_together(std::move(all));
  for (const std::vector<std::size_t>& of_thread : run) {
    REQUIRE(of_thread.size() == each);
    for (std::size_t i = 0; i < each; ++i) REQUIRE(of_thread[i] == i);
  }
  CHECK_FALSE(announced(mailbox));
}

TEST_CASE("a letter that is taken while it is posted leaves no announcement behind", "[mailbox][threads]") {
  constexpr std::size_t letters = 2'000;
  Mailbox mailbox;
  std::atomic<std::size_t> run{0};
  std::size_t announced_for_nothing = 0;
  test::run_together({[&] {
                        for (std::size_t i = 1; i <= letters; ++i) {
                          mailbox.post([&] { ++run; });
                          while (run.load() != i) std::this_thread::yield();
                          if (announced(mailbox)) ++announced_for_nothing;
                        }
                      },
                      [&] {
                        while (run.load() != letters) {
                          mailbox.open();
                          std::this_thread::yield();
                        }
                      }});
  CHECK(announced_for_nothing == 0);
}
