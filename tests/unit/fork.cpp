#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/error.hpp>
#include <btreemapped/replica.hpp>

#include <support/memory_table.hpp>
#include <support/threads.hpp>

namespace {

using namespace btreemapped;

struct Item {
  std::int32_t id;
  std::string text;
};

/// Runs f in a forked child; true if it returned true there. A child that hangs is killed.
bool in_child(const std::function<bool()>& f) {
  std::fflush(nullptr);  // else the child prints it again
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    bool good = false;
    try {
      good = f();
    } catch (...) {
      good = false;
    }
    _exit(good ? 0 : 1);
  }
  REQUIRE(child > 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

template <class Function>
bool is_refused(const Function& read) {
  try {
    read();
  } catch (const UsageError&) {
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("every read in a forked child throws UsageError, and the parent goes on", "[fork][threads]") {
  test::MemoryStore store;
  const auto table = store.add_with<Item, 1>({{1, "a"}, {2, "b"}});
  const auto items = table.replica();
  CHECK(in_child([&] {
    return is_refused([&] { static_cast<void>(items.size()); }) &&
           is_refused([&] { static_cast<void>(items.get(1)); }) &&
           is_refused([&] { static_cast<void>(items.contains(1)); }) &&
           is_refused([&] { static_cast<void>(items.read()); }) &&
           is_refused([&] { items.for_each([](const Item&) {}); });
  }));
  CHECK(items.size() == 2);
  auto changes = table.change();
  REQUIRE_FALSE(changes.insert({3, "c"}));
  store.publish(table, std::move(changes));
  CHECK(items.size() == 3);
}

TEST_CASE("a child forked inside a read cannot read either, and may leave the read", "[fork][threads]") {
  test::MemoryStore store;
  const auto items = store.add_with<Item, 1>({{1, "a"}}).replica();
  items.for_each([&](const Item&) {
    CHECK(in_child([&] { return is_refused([&] { static_cast<void>(items.size()); }); }));
    CHECK(items.size() == 1);
  });
  CHECK(in_child([&] { return is_refused([&] { static_cast<void>(items.size()); }); }));
}

TEST_CASE("a child may leave the read it was forked in although more threads read than there are slots",
          "[fork][threads]") {
  constexpr int readers = 150;
  test::MemoryStore store;
  const auto table = store.add_with<Item, 1>({{1, "a"}});
  const auto items = table.replica();
  std::latch inside{readers};
  std::atomic<bool> done{false};
  std::vector<std::function<void()>> functions;
  for (int i = 0; i < readers; ++i) {
    functions.emplace_back([&] {
      const auto guard = items.read();
      inside.arrive_and_wait();
      done.wait(false);
    });
  }
  for (int i = 0; i < 2; ++i) {
    functions.emplace_back([&] {
      inside.wait();
      while (!done.load()) static_cast<void>(items.size());
    });
  }
  functions.emplace_back([&] {
    inside.wait();
    bool all_good = true;
    for (int i = 0; i < 30; ++i) {
      auto guard = std::make_unique<ReadGuard<Item, 1>>(table.table());
      all_good = all_good && in_child([&] {
                   guard.reset();
                   return is_refused([&] { static_cast<void>(items.size()); });
                 });
    }
    done = true;
    done.notify_all();
    if (!all_good) throw std::logic_error("a child hung in a lock of its parent's threads");
  });
  test::run_together(std::move(functions));
}

TEST_CASE("a child that is forked while a commit is being applied does not hang", "[fork][threads]") {
  test::MemoryStore store;
  std::vector<test::Cells> rows;
  for (int id = 0; id < 2'000; ++id) rows.push_back({id, "a"});
  const auto table = store.add_with<Item, 1>(rows);
  auto changes = table.change();
  for (int id = 0; id < 2'000; ++id) REQUIRE_FALSE(changes.update({id, "b"}));
  REQUIRE_FALSE(changes.seal());
  auto commit = store.next_commit();
  commit.changes.push_back({&table.table(), changes.take()});
  const std::atomic<bool> never{false};
  const auto expired = std::chrono::steady_clock::now();
  REQUIRE_FALSE(store.store().publish(commit, expired, never));
  CHECK(in_child([&] { return is_refused([&] { static_cast<void>(table.replica().size()); }); }));
  while (!store.store().publish(commit, expired, never)) continue;
  CHECK(table.replica().get(1'999)->text == "b");
}

TEST_CASE("a child may drop what it has inherited and read what it makes itself", "[fork][threads]") {
  auto inherited = std::make_optional<test::MemoryStore>();
  auto items = std::make_optional(inherited->add_with<Item, 1>({{1, "a"}}).replica());
  CHECK(in_child([&] {
    items.reset();
    inherited.reset();
    test::MemoryStore own;
    const auto made_here = own.add_with<Item, 1>({{1, "x"}, {2, "y"}}).replica();
    return made_here.size() == 2 && made_here.get(2)->text == "y";
  }));
  CHECK(items->size() == 1);
}

TEST_CASE("what throws in the child tells what to do", "[fork][threads]") {
  test::MemoryStore store;
  const auto items = store.add_with<Item, 1>({{1, "a"}}).replica();
  CHECK(in_child([&] {
    try {
      static_cast<void>(items.size());
    } catch (const UsageError& error) {
      return std::string(error.what()).find("fork") != std::string::npos;
    }
    return false;
  }));
}
