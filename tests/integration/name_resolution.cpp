// G7: stop() is prompt also while a name is looked up, which nothing can interrupt. What looks it up is left behind.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <netdb.h>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/threads.hpp"

namespace name_resolution_test {

using btreemapped::EventKind;
using btreemapped::ReplicatorState;
using namespace std::chrono_literals;

/// A name of this machine, which a test may keep from being found out: the nth look-up from then on blocks.
class SlowName {
 public:
  static constexpr const char* name = "slow.invalid";
  static constexpr const char* address = "127.0.0.1";

  static SlowName& instance() {
    static SlowName all;
    return all;
  }

  void block(int nth) {
    const std::lock_guard lock(mutex_);
    until_blocked_ = nth;
    blocking_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    blocking_ = false;
    changed_.notify_all();
  }
  void wait_until_blocked() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, test::patience, [&] { return blocked_ > 0; }))
      throw std::runtime_error("nobody has looked the name up");
  }

  /// A look-up.
  void pass() {
    std::unique_lock lock(mutex_);
    if (!blocking_ || --until_blocked_ > 0) return;
    ++blocked_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !blocking_; });
    --blocked_;
  }

 private:
  std::mutex mutex_{};
  std::condition_variable changed_{};
  bool blocking_ = false;
  int until_blocked_ = 0;
  int blocked_ = 0;
};

}  // namespace name_resolution_test

/// In the place of the C library's, also for libpq.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using name_resolution_test::SlowName;
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node == nullptr || std::strcmp(node, SlowName::name) != 0) return real(node, service, hints, found);
  SlowName::instance().pass();
  return real(SlowName::address, service, hints, found);
}

namespace name_resolution_test {

struct Item {
  std::int32_t id;

  friend bool operator==(const Item&, const Item&) = default;
};

/// Threads of the library that work for an attempt.
int workers() {
  int count = 0;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(each.path() / "comm"), name);
    if (name == "btm-link" || name == "btm-control") ++count;
  }
  return count;
}

/// A table that is followed through a proxy, at a server that is known by the slow name.
struct Scene {
  Scene() {
    database.exec(
        "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1);"
        "CREATE PUBLICATION pub FOR TABLE items");
    options = database.options();
    options.connection = test::with_parts(proxy.dsn(), {{"host", SlowName::name}});
    options.on_event = log.hook();
  }
  ~Scene() { SlowName::instance().release(); }

  void make() {
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
  }
  std::chrono::steady_clock::duration time_to_stop() {
    const auto begin = std::chrono::steady_clock::now();
    replicator->stop();
    return std::chrono::steady_clock::now() - begin;
  }

  test::Database database{};
  test::Proxy proxy{database.reader_dsn()};
  test::EventLog log{};
  btreemapped::Options options{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
};

// First the library looks up how many addresses a name has, then libpq.
constexpr int look_ups = 2;

TEST_CASE("stop() returns within a second while the server's name is looked up, and the look-up ends later", "[G7]") {
  for (const bool durable : {false, true}) {
    for (int nth = 1; nth <= look_ups; ++nth) {
      CAPTURE(durable, nth);
      Scene scene;
      scene.options.durable_slot = durable;
      if (durable) scene.options.slot_name = scene.database.name();
      SlowName::instance().block(nth);
      scene.make();
      scene.replicator->start();
      SlowName::instance().wait_until_blocked();
      CHECK(scene.replicator->status().state == ReplicatorState::connecting);
      CHECK(scene.time_to_stop() < 1s);
      CHECK(workers() == 1);
      // What is left behind is nobody's by now.
      scene.replicator.reset();
      SlowName::instance().release();
      CHECK(test::eventually([] { return workers() == 0; }));
      CHECK(scene.database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") ==
            "0");
    }
  }
}

TEST_CASE("while the name is looked up again reads go on, and stop() returns within a second", "[G7]") {
  for (int nth = 1; nth <= look_ups; ++nth) {
    CAPTURE(nth);
    Scene scene;
    scene.make();
    test::start_and_sync(*scene.replicator);
    scene.replicator->ends_unproved("it is stopped while it has no connection");
    SlowName::instance().block(nth);
    scene.proxy.drop(test::Proxy::Kind::any);
    SlowName::instance().wait_until_blocked();
    CHECK(scene.items->get(1) == Item{1});
    CHECK(scene.items->state() == btreemapped::TableState::stale);
    CHECK(scene.time_to_stop() < 1s);
    CHECK(scene.items->get(1) == Item{1});
    scene.replicator.reset();
    scene.items.reset();
    SlowName::instance().release();
    CHECK(test::eventually([] { return workers() == 0; }));
  }
}

TEST_CASE("a name that is found out late is followed all the same", "[G7]") {
  for (int nth = 1; nth <= look_ups; ++nth) {
    CAPTURE(nth);
    Scene scene;
    SlowName::instance().block(nth);
    scene.make();
    scene.replicator->start();
    SlowName::instance().wait_until_blocked();
    SlowName::instance().release();
    test::wait_until_synced(*scene.replicator);
    CHECK(scene.items->to_vector() == std::vector<Item>{{1}});
  }
}

}  // namespace name_resolution_test
