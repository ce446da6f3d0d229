// A server that is there, and has no room for another session.

#include <chrono>
#include <future>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <btreemapped.hpp>

#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/slot_scene.hpp"

namespace no_room_test {

using btreemapped::EventKind;
using test::slot_scene::Scene;
using namespace std::chrono_literals;

/// A stream whose control session has been ended, and cannot be opened again until there is room.
struct FullServer {
  explicit FullServer(bool durable) : scene(durable) {
    scene.options.catalog_watch_interval = 50ms;
    scene.start();
    test::wait_until_synced(*scene.replicator);
    scene.database.exec("ALTER ROLE " + role + " CONNECTION LIMIT 0");
    REQUIRE(test::eventually([&] { return sessions() == 2; }));  // those that copied have gone
    REQUIRE(scene.database.end_sessions("backend_type = 'client backend' AND usename = '" + role + "'") == 1);
    REQUIRE(test::eventually([&] { return sessions() == 1; }));
  }

  int sessions() {
    return std::stoi(scene.database.value("SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role + "'"));
  }
  void make_room() { scene.database.exec("ALTER ROLE " + role + " CONNECTION LIMIT -1"); }

  Scene scene;
  const std::string role = scene.database.reader_role();
};

TEST_CASE("a stream goes on while the server has no room for another control session", "[G5]") {
  FullServer server(GENERATE(false, true));
  Scene& scene = server.scene;
  for (int amount = 1000; amount < 1010; ++amount) {
    scene.database.exec("UPDATE items SET amount = " + std::to_string(amount) + " WHERE id = 1");
    REQUIRE(test::eventually([&] { return scene.items->get(1)->amount == amount; }));
  }
  server.make_room();
  scene.database.exec("ALTER TABLE items ALTER amount TYPE bigint USING amount + 1");  // what only a session can see
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(scene.items->get(1)->amount == 1010);
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("catch_up() that finds no room to ask in asks again", "[G10]") {
  FullServer server(GENERATE(false, true));
  Scene& scene = server.scene;
  auto caught_up = std::async(std::launch::async, [&] { return scene.replicator->catch_up(test::patience); });
  CHECK(caught_up.wait_for(300ms) == std::future_status::timeout);
  server.make_room();
  CHECK(caught_up.get().reached);
  CHECK(scene.replicator->status().reconnects == 0);
}

TEST_CASE("with never_ahead a copy outlives the session that it asks in at its end, with and without room", "[G5]") {
  const bool is_full = GENERATE(false, true);
  Scene scene;
  scene.options.never_ahead = true;
  const std::string role = scene.database.reader_role();
  scene.proxy.hold("COPY ");
  scene.start();
  scene.proxy.wait_until_held();
  if (is_full) scene.database.exec("ALTER ROLE " + role + " CONNECTION LIMIT 0");
  REQUIRE(scene.database.end_sessions("state = 'idle' AND backend_type = 'client backend' AND usename = '" + role +
                                      "'") == 1);
  scene.proxy.release();
  if (is_full) {
    CHECK(scene.replicator->synced().wait_for(300ms) == std::future_status::timeout);
    scene.database.exec("ALTER ROLE " + role + " CONNECTION LIMIT -1");
  }
  test::wait_until_synced(*scene.replicator);
  CHECK(scene.log.count(EventKind::retrying) == 0);
}

}  // namespace no_room_test
