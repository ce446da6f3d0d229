#include <chrono>
#include <cstddef>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/slot_scene.hpp"
#include "support/sql.hpp"

namespace durable_slot_lost_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using test::slot_scene::Scene;
using namespace std::chrono_literals;

TEST_CASE("a table is not live before there is a stream again") {
  Scene scene(true);
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.cut();
  scene.database.exec("UPDATE items SET amount = -1");
  scene.proxy.hold("START_REPLICATION");
  scene.proxy.mend();
  scene.proxy.wait_until_held();
  CHECK(scene.items->get(1)->amount == 1);
  CHECK(scene.items->state() == TableState::stale);
  CHECK(scene.items->stale_for() > 0ms);
  scene.proxy.release();
}

TEST_CASE("after a resumption lag and lag_bytes tell what is still to come") {
  Scene scene(true);
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.cut();
  scene.database.exec("UPDATE items SET amount = -1");
  REQUIRE(test::eventually([&] { return scene.replicator->status().lag >= 1s; }));
  // The server works through its log in silence.
  scene.proxy.hold_answer("START_REPLICATION", 9);
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  const btreemapped::Status status = scene.replicator->status();
  CHECK(scene.items->get(1)->amount == 1);
  CHECK(status.lag_bytes > 0);
  CHECK(status.lag >= 1s);
  scene.proxy.release();
}

TEST_CASE("a predecessor is waited for although the server could not be reached for longer than slot_timeout") {
  Scene scene(true);
  scene.options.slot_timeout = 1s;
  scene.database.exec("SELECT pg_create_logical_replication_slot('" + scene.slot + "', 'pgoutput')");
  test::Sql predecessor(scene.database.dsn());
  predecessor.exec("SELECT pg_advisory_lock(hashtextextended('btreemapped slot " + scene.slot + "', 0))");
  scene.proxy.cut();
  const auto begin = std::chrono::steady_clock::now();
  scene.start();
  REQUIRE(test::eventually(
      [&] { return scene.log.count(EventKind::retrying) > 0 && std::chrono::steady_clock::now() - begin > 1200ms; }));
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::slot_waiting));
  CHECK_FALSE(test::eventually([&] { return scene.log.count(EventKind::stopped) > 0; }, 300ms));
  predecessor.exec("SELECT pg_advisory_unlock_all()");
  test::wait_until_synced(*scene.replicator);
}

TEST_CASE("stop() drops the slot although the first control session is half open") {
  Scene scene(true);
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.replicator->prove();
  scene.proxy.half_open(test::Proxy::Kind::control);
  scene.replicator->stop();
  CHECK(scene.left_slot().empty());
  scene.proxy.drop_half_open();
}

TEST_CASE("stop() drops the slot also after the control session was opened anew") {
  int left = 0;
  for (int round = 0; round < 15; ++round) {
    Scene scene(true);
    scene.options.catalog_watch_interval = 20ms;
    scene.start();
    test::wait_until_synced(*scene.replicator);
    scene.database.end_sessions("backend_type = 'client backend' AND application_name = 'btreemapped'");
    REQUIRE(test::eventually([&] {
      return scene.database.value(
                 "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
                 "AND "
                 "a.datname = current_database()") == "1";
    }));
    scene.replicator->prove();
    // Between us and the server the end of that session is late, as with a proxy or a network that is cut.
    scene.proxy.half_open(test::Proxy::Kind::control);
    scene.replicator->stop();
    if (!scene.left_slot().empty()) ++left;
    scene.proxy.drop_half_open();
    if (left > 0) break;
  }
  CHECK(left == 0);
}

TEST_CASE("a stream is resumed soon also after the control session was opened anew") {
  Scene scene(true);
  scene.options.catalog_watch_interval = 20ms;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.database.end_sessions("backend_type = 'client backend' AND application_name = 'btreemapped'");
  REQUIRE(test::eventually([&] {
    return scene.database.value(
               "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND "
               "a.datname = current_database()") == "1";
  }));
  scene.proxy.half_open(test::Proxy::Kind::control);
  scene.proxy.drop(test::Proxy::Kind::stream);
  CHECK(test::eventually([&] { return scene.log.count(EventKind::resumed) > 0; }, 5s));
  scene.proxy.drop_half_open();
}

TEST_CASE("stale_for counts from when there was a stream last") {
  Scene scene(true);
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.cut();
  REQUIRE(test::eventually([&] { return scene.items->stale_for() > 1s; }));
  scene.proxy.hold("START_REPLICATION");
  scene.proxy.mend();
  scene.proxy.wait_until_held();
  const std::size_t attempts = scene.log.count(EventKind::retrying);
  scene.proxy.cut();
  REQUIRE(test::eventually([&] { return scene.log.count(EventKind::retrying) > attempts; }));
  const btreemapped::Status status = scene.replicator->status();
  CHECK(scene.log.count(EventKind::resumed) == 0);
  CHECK(status.stale_for > 900ms);
  CHECK(scene.items->stale_for() > 900ms);
  CHECK(status.reconnects == 1);
  scene.proxy.release();
  scene.proxy.mend();
}

TEST_CASE("an oversized transaction, and a token in it, over a lost connection") {
  Scene scene(true);
  scene.options.max_transaction_bytes = 100'000;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  btreemapped::Token token = scene.replicator->token();
  test::Sql writer(scene.database.dsn());
  scene.proxy.hold("COPY ");
  writer.exec(
      "BEGIN; INSERT INTO items SELECT i, i FROM generate_series(1000, 9000) i; INSERT INTO others VALUES (1, 1)");
  token.use_xid(writer.value(token.sql()));
  writer.exec("COMMIT");
  scene.proxy.wait_until_held();  // the copy of both
  CHECK_FALSE(scene.replicator->wait_for(token, 100ms).reached);
  scene.cut();
  scene.proxy.release();
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::resumed));
  const btreemapped::Reached reached = scene.replicator->wait_for(token, 10s);
  INFO(reached.why);
  CHECK(reached.reached);
  CHECK(scene.items->size() == 8101);
  CHECK(scene.others->size() == 1);
  for (const auto& each : scene.replicator->verify()) CHECK(each.verdict == btreemapped::Verdict::equal);
}

}  // namespace durable_slot_lost_test
