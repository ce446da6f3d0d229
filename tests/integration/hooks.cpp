// Hooks run in order on a thread of their own, which they may use for reading and waiting.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/threads.hpp"

namespace hooks_test {

using btreemapped::Event;
using btreemapped::EventKind;

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

void make_items(test::Database& database, int rows = 2) {
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); INSERT INTO items SELECT id, 'n' || id FROM "
      "generate_series(1, " +
      std::to_string(rows) + ") id; CREATE PUBLICATION pub FOR TABLE items");
}

std::vector<EventKind> kinds(const std::vector<Event>& events) {
  std::vector<EventKind> out;
  for (const Event& event : events) out.push_back(event.kind);
  return out;
}

TEST_CASE("progress of a copy is merged into the newest while a hook takes its time", "[G8]") {
  constexpr std::size_t rows = 100'000;
  test::Database database;
  make_items(database, rows);
  test::EventLog log;
  std::promise<void> leave;
  btreemapped::Options options = database.options();
  options.on_event = [remember = log.hook(), left = leave.get_future().share()](const Event& event) {
    remember(event);
    if (event.kind == EventKind::connected) left.wait();
  };
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  leave.set_value();
  static_cast<void>(log.wait_for(EventKind::synced));
  CHECK(kinds(log.all()) == std::vector<EventKind>{EventKind::connected, EventKind::copying, EventKind::synced});
  CHECK(log.all().at(1).rows == rows);
  CHECK(replicator.status().dropped_events == 0);
}

TEST_CASE("progress of a copy grows up to the number of rows", "[G8]") {
  constexpr std::size_t rows = 100'000;
  test::Database database;
  make_items(database, rows);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  static_cast<void>(log.wait_for(EventKind::synced));
  std::vector<std::size_t> progress;
  for (const Event& event : log.all())
    if (event.kind == EventKind::copying) progress.push_back(event.rows);
  CHECK(std::ranges::is_sorted(progress));
  REQUIRE_FALSE(progress.empty());
  CHECK(progress.back() == rows);
  CHECK(replicator.status().tables.at(0).copied_rows == rows);
}

TEST_CASE("a lost connection is told as stale, connected, copying, rebuilt and synced, in this order", "[G5]") {
  test::Database database;
  make_items(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  std::vector<EventKind> all = kinds(log.all());
  // When the server needs a moment, it may be before or after the connection.
  std::erase(all, EventKind::retrying);
  const auto both_connected = [](EventKind a, EventKind b) {
    return a == EventKind::connected && b == EventKind::connected;
  };
  all.erase(std::unique(all.begin(), all.end(), both_connected), all.end());
  CHECK(all == std::vector<EventKind>{EventKind::connected, EventKind::copying, EventKind::synced, EventKind::stale,
                                      EventKind::connected, EventKind::copying, EventKind::rebuilt, EventKind::synced});
}

TEST_CASE("events come on one thread, never two at a time", "[G8]") {
  test::Database database;
  make_items(database);
  test::EventLog log;
  std::atomic<int> inside{0};
  std::atomic<bool> two{false};
  std::mutex mutex;
  std::set<std::thread::id> threads;
  btreemapped::Options options = database.options();
  options.on_event = [&, remember = log.hook()](const Event& event) {
    if (++inside != 1) two = true;
    {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    }
    remember(event);
    --inside;
  };
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  replicator.prove();
  replicator.stop();
  CHECK_FALSE(two);
  CHECK(threads.size() == 1);
}

TEST_CASE("a hook may wait for a position and read what is there", "[G8]") {
  test::Database database;
  make_items(database);
  const btreemapped::Replicator* running = nullptr;
  const btreemapped::Replica<Item, 1>* replica = nullptr;
  std::promise<bool> seen;
  btreemapped::Options options = database.options();
  options.on_event = [&](const Event& event) {
    if (event.kind != EventKind::synced) return;
    test::Sql writer(database.dsn());
    writer.exec("INSERT INTO items VALUES (7, 'by the hook')");
    seen.set_value(running->wait_for(writer.position(), test::patience) && replica->contains(7));
  };
  test::Replicator replicator(options);
  running = &replicator;
  const auto items = replicator.add_replica<Item, 1>("items");
  replica = &items;
  test::start_and_sync(replicator);
  std::future<bool> answer = seen.get_future();
  REQUIRE(answer.wait_for(test::patience) == std::future_status::ready);
  CHECK(answer.get());
}

TEST_CASE("what a hook throws is counted whatever its type", "[G8]") {
  test::Database database;
  make_items(database);
  btreemapped::Options options = database.options();
  options.on_event = [](const Event&) { throw 42; };
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (3, 'c')");
  database.catch_up(replicator);
  CHECK(items.size() == 3);
  CHECK(test::eventually([&] { return replicator.status().hook_errors == 3; }));  // connected, copying, synced
}

/// Of each of this process's threads, by number: its name and the mask of the signals that it blocks.
std::map<std::string, std::pair<std::string, std::uint64_t>> threads_of_this_process() {
  std::map<std::string, std::pair<std::string, std::uint64_t>> out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(entry.path() / "status");
    std::string name;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:\t")) name = line.substr(6);
      if (line.starts_with("SigBlk:\t"))
        out[entry.path().filename()] = {name, std::stoull(line.substr(8), nullptr, 16)};
    }
  }
  return out;
}

TEST_CASE("the library's threads have names and block all signals", "[G8]") {
  test::Database database;
  make_items(database);
  const auto before = threads_of_this_process();
  btreemapped::Options options = database.options();
  options.on_event = [](const Event&) {};
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  test::start_and_sync(replicator);
  std::size_t ours = 0;
  for (const auto& [number, thread] : threads_of_this_process()) {
    if (before.contains(number)) continue;
    CAPTURE(thread.first);
    CHECK(thread.first.starts_with("btm-"));
    // All 64 but those that cannot be blocked: KILL, STOP, and the two that the C library keeps for itself.
    constexpr std::uint64_t never = (1ULL << 8U) | (1ULL << 18U) | (1ULL << 31U) | (1ULL << 32U);
    CHECK((thread.second | never) == ~std::uint64_t{0});
    ++ours;
  }
  CHECK(ours >= 2);
  replicator.prove();
  replicator.stop();
  CHECK(test::eventually([&] { return threads_of_this_process().size() == before.size(); }));
}

}  // namespace hooks_test
