#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/slot_scene.hpp"
#include "support/sql.hpp"

namespace unanswered_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using test::slot_scene::Scene;
using namespace std::chrono_literals;

TEST_CASE("a locked table does not make us pile up sessions that wait for the lock") {
  Scene scene;
  scene.options.answer_timeout = 300ms;
  test::Sql blocker(scene.database.dsn());
  blocker.exec("BEGIN; LOCK TABLE third IN ACCESS EXCLUSIVE MODE");  // a published table, which is not even mapped
  scene.start();
  const auto waiting = [&] {
    return std::stoi(scene.database.value(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'btreemapped' AND datname = current_database() "
        "AND wait_event_type = 'Lock'"));
  };
  static_cast<void>(test::eventually([&] { return scene.log.count(EventKind::retrying) >= 10; }, 6s));
  CHECK(waiting() <= 2);
  blocker.exec("COMMIT");
  test::wait_until_synced(*scene.replicator);
}

TEST_CASE("a lock on some published table does not end a healthy stream") {
  Scene scene;
  scene.options.answer_timeout = 500ms;
  scene.options.catalog_watch_interval = 50ms;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.database.exec("ALTER TABLE others RENAME amount TO quantity");  // fails alone
  static_cast<void>(scene.log.wait_for(EventKind::table_failed, 1, "public.others"));
  test::Sql blocker(scene.database.dsn());
  blocker.exec("BEGIN; LOCK TABLE third IN ACCESS EXCLUSIVE MODE");
  const bool lost = test::eventually([&] { return scene.log.count(EventKind::stale) > 0; }, 1500ms);
  CHECK_FALSE(lost);
  CHECK(scene.items->state() == TableState::live);
  blocker.exec("COMMIT");
  scene.database.exec("ALTER TABLE others RENAME quantity TO amount");
}

TEST_CASE("a table is found altered also while one that has failed cannot be looked at", "[G4]") {
  Scene scene;
  scene.options.answer_timeout = 500ms;
  scene.options.catalog_watch_interval = 50ms;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.database.exec("ALTER TABLE others RENAME amount TO quantity");
  static_cast<void>(scene.log.wait_for(EventKind::table_failed, 1, "public.others"));
  test::Sql blocker(scene.database.dsn());
  blocker.exec("BEGIN; LOCK TABLE third IN ACCESS EXCLUSIVE MODE");
  scene.database.exec("ALTER TABLE items ALTER amount TYPE bigint USING amount + 1");  // nothing of it is in the stream
  static_cast<void>(scene.log.wait_for(EventKind::table_stale, 1, "public.items"));
  blocker.exec("COMMIT");
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.items"));
  CHECK(scene.items->get(1)->amount == 2);
  CHECK(scene.log.count(EventKind::stale) == 0);
  scene.database.exec("ALTER TABLE others RENAME quantity TO amount");
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.others"));
}

TEST_CASE("a server that does not answer START_REPLICATION is given up") {
  Scene scene;
  scene.options.answer_timeout = 500ms;
  scene.proxy.hold("START_REPLICATION");
  scene.start();
  scene.proxy.wait_until_held();
  const bool noticed = test::eventually([&] { return scene.log.count(EventKind::retrying) > 0; }, 8s);
  CHECK(noticed);
  scene.proxy.release();
}

TEST_CASE("a copy to which nothing comes says so, and whom to look for, and goes on when it can", "[G5]") {
  Scene scene;
  scene.options.answer_timeout = 500ms;
  scene.proxy.hold("COPY ");
  scene.start();
  const auto is_told = [&] {
    const auto events = scene.log.all();
    return std::any_of(events.begin(), events.end(), [](const btreemapped::Event& event) {
      return event.kind == EventKind::copying && event.table == "public.items" &&
             event.message.find("nothing has come") != std::string::npos &&
             event.message.find("pg_stat_activity WHERE pid = ") != std::string::npos;
    });
  };
  CHECK(test::eventually(is_told));
  scene.proxy.release();
  test::wait_until_synced(*scene.replicator);
}

TEST_CASE("verify() whose questions are not answered is inconclusive, and says so", "[G10]") {
  Scene scene;
  scene.options.answer_timeout = 500ms;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.proxy.hold("pg_publication");  // in the question of its own session for what is published
  const auto report = scene.replicator->verify(*scene.items);
  CHECK(report.verdict == btreemapped::Verdict::inconclusive);
  CHECK_THAT(report.why, Catch::Matchers::ContainsSubstring("answer_timeout"));
  CHECK(scene.log.count(EventKind::stale) == 0);
  scene.proxy.release();
}

TEST_CASE("never_ahead asks again in a new session where its question is not answered", "[G10]") {
  Scene scene;
  scene.options.never_ahead = true;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  for (int round = 0; round < 3; ++round) {
    scene.proxy.half_open(test::Proxy::Kind::control);
    scene.database.exec("UPDATE items SET amount = amount + 1 WHERE id = 1");
    CHECK_FALSE(test::eventually([&] { return scene.items->get(1)->amount == round + 2; }, 150ms));
    scene.proxy.drop_half_open();
    CHECK(test::eventually([&] { return scene.items->get(1)->amount == round + 2; }));
  }
}

}  // namespace unanswered_test
