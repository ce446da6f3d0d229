#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/slot_scene.hpp"
#include "support/sql.hpp"

namespace slot_lost_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using test::slot_scene::Scene;
using namespace std::chrono_literals;

TEST_CASE("catch_up() does not end a stream that a server which shuts down still drains") {
  const test::Server server = test::Server::of_suite();
  Scene scene(true);
  scene.start();
  test::wait_until_synced(*scene.replicator);
  std::jthread stop;
  std::future<void> asks;
  {
    const auto guard = scene.items->read();  // so that the stream falls behind
    scene.database.exec("INSERT INTO items SELECT i, 1 FROM generate_series(1000, 50000) i");
    scene.database.exec("UPDATE items SET amount = -1 WHERE id = 7");
    REQUIRE(test::eventually([&] { return test::commit_waits(*scene.replicator); }));
    stop = std::jthread([&] { server.stop("fast"); });
    const auto refuses = [&] {
      try {
        test::Sql{scene.database.dsn()};
        return false;
      } catch (const std::exception&) {
        return true;
      }
    };
    CHECK(test::eventually(refuses));
    asks = std::async(std::launch::async, [&] { static_cast<void>(scene.replicator->catch_up(1s)); });
    CHECK_FALSE(test::eventually([&] { return scene.log.count(EventKind::stale) > 0; }, 800ms));
  }
  asks.get();
  stop.join();
  CHECK(scene.items->get(7)->amount == -1);
  server.start();
  scene.database.connect_again();
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
}

TEST_CASE("a slot that the server gives up during each copy is a reason that counts") {
  Scene scene;
  scene.options.max_rebuilds_per_hour = 0;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.database.exec("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
  scene.database.exec("SELECT pg_reload_conf()");
  scene.proxy.hold("COPY ");
  scene.proxy.drop(test::Proxy::Kind::stream);
  scene.proxy.wait_until_held();
  CHECK(test::eventually([&] {
    scene.database.exec("CREATE TABLE IF NOT EXISTS busy (id int); INSERT INTO busy VALUES (1)");
    scene.database.exec("SELECT pg_switch_wal()");
    scene.database.exec("CHECKPOINT");
    return scene.database.value(
               "SELECT count(*) FROM pg_replication_slots WHERE wal_status <> 'lost' AND database = "
               "current_database()") == "0";
  }));
  scene.database.exec("ALTER SYSTEM RESET max_slot_wal_keep_size");
  scene.database.exec("SELECT pg_reload_conf()");
  scene.proxy.release();
  const bool stopped = test::eventually([&] { return scene.log.count(EventKind::stopped) > 0; }, 3s);
  CHECK(stopped);
  scene.replicator->ends_unproved("it has ended: its slot was lost too often");
}

}  // namespace slot_lost_test
