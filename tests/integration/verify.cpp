// verify(): the proof that a replica is equal to its table, at one position, while both go on.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/following.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace verify_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using btreemapped::Verdict;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::int32_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

using Key = std::tuple<std::int32_t>;
using Keys = std::vector<Key>;

/// Two tables that follow through a proxy, which can damage what arrives.
class Scene {
 public:
  Scene() {
    database.exec(
        "CREATE TABLE items (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO items SELECT i, i FROM "
        "generate_series(1, 1000) i; CREATE TABLE others (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO others "
        "VALUES (1, 1); CREATE PUBLICATION pub FOR TABLE items, others");
    btreemapped::Options options = database.options();
    options.connection = proxy.dsn();
    options.on_event = log.hook();
    options.catalog_watch_interval = 1h;
    replicator.emplace(options);
    items.emplace(replicator->add_replica<Item, 1>("items"));
    others.emplace(replicator->add_replica<Item, 1>("others"));
    test::start_and_sync(*replicator);
  }

  /// One row arrives under another key than it has.
  void plant(int key, int instead) {
    proxy.damage(std::to_string(key), std::to_string(instead));
    database.exec("INSERT INTO items VALUES (" + std::to_string(key) + ", 1)");
    database.catch_up(*replicator);
    REQUIRE(items->contains(instead));
  }

  std::vector<Item> table(const std::string& name = "items") {
    std::vector<Item> out;
    for (const test::SqlRow& row : database.rows("SELECT id, amount FROM " + name + " ORDER BY id"))
      out.push_back({std::stoi(*row[0]), std::stoi(*row[1])});
    return out;
  }

  test::Database database{};
  test::EventLog log{};
  test::Proxy proxy{database.reader_dsn()};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Item, 1>> items{};
  std::optional<btreemapped::Replica<Item, 1>> others{};
};

/// What keeps writers busy: inserts, updates, deletes, moved keys, rollbacks, and sometimes a truncate.
std::string some_transaction(std::mt19937_64& random) {
  const auto key = [&] { return std::to_string(1 + random() % 1500); };
  std::string sql = "INSERT INTO items VALUES (" + key() + ", 0) ON CONFLICT (id) DO UPDATE SET amount = -5";
  switch (random() % 1000) {
    case 0: sql = "TRUNCATE items; INSERT INTO items SELECT i, i FROM generate_series(1, 1000) i"; break;
    case 1:
    case 2:
    case 3: sql = "UPDATE items SET amount = -1; RAISE unique_violation"; break;
    case 4:
    case 5:
    case 6: sql = "SET LOCAL synchronous_commit = off; UPDATE items SET amount = 1 WHERE id % 100 = 7"; break;
    default: {
      const auto kind = random() % 5;
      if (kind == 0) sql = "UPDATE items SET amount = amount + 1 WHERE id = " + key();
      if (kind == 1) sql = "DELETE FROM items WHERE id = " + key();
      if (kind == 2) sql = "UPDATE items SET id = " + key() + " WHERE id = " + key();
      if (kind == 3) sql += "; UPDATE others SET amount = amount + 1 WHERE id = 1";
    }
  }
  // The pause is before the transaction's number, for which a slot would wait.
  return "SELECT pg_sleep(0.003); DO $$ BEGIN " + sql +
         "; EXCEPTION WHEN unique_violation OR deadlock_detected THEN NULL; END $$";
}

/// How many verifications a test makes where it makes many, and five times as many as it plants differences.
int many() {
  const char* const number = std::getenv("BTREEMAPPED_TEST_VERIFIES");
  return number == nullptr ? 50 : std::atoi(number);
}

TEST_CASE("replicas that follow are found equal, with the position and the number of rows", "[G10]") {
  Scene scene;
  scene.database.exec("INSERT INTO items VALUES (2000, 1)");
  const btreemapped::Lsn written = scene.database.position();
  const auto reports = scene.replicator->verify();
  REQUIRE(reports.size() == 2);
  CHECK(reports[0].table == "public.items");
  CHECK(reports[0].why.empty());
  CHECK(reports[0].verdict == Verdict::equal);
  CHECK(reports[0].rows == 1001);
  CHECK(reports[0].lsn >= written);
  CHECK(reports[1].table == "public.others");
  CHECK(reports[1].verdict == Verdict::equal);
  CHECK(reports[1].lsn == reports[0].lsn);
  CHECK(scene.log.count(EventKind::table_stale) == 0);
  CHECK(scene.database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "1");
}

TEST_CASE("a row that arrived under another key is found on both sides, by its keys", "[G10]") {
  Scene scene;
  scene.plant(123456, 123457);
  const auto report = scene.replicator->verify(*scene.items);
  CHECK(report.verdict == Verdict::different);
  CHECK(report.missing_keys == Keys{{123456}});
  CHECK(report.extra_keys == Keys{{123457}});
  CHECK(report.different_keys.empty());
  CHECK_FALSE(report.healed);
  CHECK(scene.replicator->verify(*scene.others).verdict == Verdict::equal);
  CHECK(scene.items->state() == TableState::live);
  CHECK(scene.replicator->verify(*scene.items, {.heal = true}).healed);
}

TEST_CASE("a value that arrived as another one is found, by the key of its row", "[G10]") {
  Scene scene;
  scene.proxy.damage("123456", "123457");
  scene.database.exec("UPDATE items SET amount = 123456 WHERE id = 7");
  scene.database.catch_up(*scene.replicator);
  const auto report = scene.replicator->verify(*scene.items);
  CHECK(report.verdict == Verdict::different);
  CHECK(report.different_keys == Keys{{7}});
  CHECK(report.missing == 0);
  CHECK(report.extra == 0);
  CHECK(scene.replicator->verify(*scene.items, {.heal = true}).healed);
}

TEST_CASE("with heal a table that differs is copied afresh alone, and equal afterwards", "[G10]") {
  Scene scene;
  scene.plant(123456, 123457);
  const auto reports = scene.replicator->verify({.heal = true});
  CHECK(reports[0].verdict == Verdict::different);
  CHECK(reports[0].healed);
  CHECK(reports[1].verdict == Verdict::equal);
  CHECK_FALSE(reports[1].healed);
  CHECK(scene.items->to_vector() == scene.table());
  CHECK(scene.log.count(EventKind::table_stale, "public.items") == 1);
  CHECK(scene.log.count(EventKind::table_stale, "public.others") == 0);
  CHECK(scene.replicator->verify(*scene.items).verdict == Verdict::equal);
}

TEST_CASE("under writers nothing is found where nothing is wrong, and all that was planted is", "[G10]") {
  Scene scene;
  scene.database.exec("INSERT INTO others VALUES (500, 1)");
  test::Load load(scene.database.dsn(), 4, some_transaction);
  std::map<Verdict, int> verdicts;
  int planted = 0;
  for (int round = 1; round <= many(); ++round) {
    for (const auto& report : scene.replicator->verify()) {
      CHECK(report.verdict != Verdict::different);
      ++verdicts[report.verdict];
      // Only a truncate between slot and copy may keep it from being judged.
      if (report.verdict == Verdict::inconclusive) CHECK_THAT(report.why, ContainsSubstring("truncated"));
    }
    if (round % 5 != 0) continue;
    ++planted;
    const bool value = planted % 2 == 0;
    scene.proxy.damage("777777", "777778");
    scene.database.exec(value ? "UPDATE others SET amount = 777777 WHERE id = 500"
                              : "INSERT INTO others VALUES (777777, 1)");
    scene.database.catch_up(*scene.replicator);
    const auto report = scene.replicator->verify(*scene.others, {.heal = true});
    CHECK(report.missing_keys == (value ? Keys{} : Keys{{777777}}));
    CHECK(report.extra_keys == (value ? Keys{} : Keys{{777778}}));
    CHECK(report.different_keys == (value ? Keys{{500}} : Keys{}));
    CHECK(report.healed);
    scene.database.exec("DELETE FROM others WHERE id = 777777; UPDATE others SET amount = 1 WHERE id = 500");
  }
  load.stop();
  INFO(verdicts[Verdict::equal] << " times equal, " << verdicts[Verdict::inconclusive] << " times inconclusive, "
                                << planted << " planted, beside " << load.commits() << " commits");
  CHECK(verdicts[Verdict::inconclusive] * 5 < verdicts[Verdict::equal]);
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.items->to_vector() == scene.table());
  CHECK(scene.others->to_vector() == scene.table("others"));
  CHECK(scene.log.count(EventKind::table_stale, "public.items") == 0);
}

TEST_CASE("without a connection nothing is judged", "[G10]") {
  Scene scene;
  scene.proxy.cut();
  REQUIRE(test::eventually([&] { return scene.items->state() == TableState::stale; }));
  const auto report = scene.replicator->verify(*scene.items);
  CHECK(report.verdict == Verdict::inconclusive);
  CHECK_THAT(report.why, ContainsSubstring("not connected"));
  scene.proxy.mend();
}

TEST_CASE("a connection that is lost meanwhile leaves the verdict open", "[G10]") {
  Scene scene;
  scene.proxy.hold("COPY ");
  auto report = std::async(std::launch::async, [&] { return scene.replicator->verify(*scene.items); });
  scene.proxy.wait_until_held();
  scene.database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(scene.log.wait_for(EventKind::stale));
  scene.proxy.release();
  const auto outcome = report.get();
  CHECK(outcome.verdict == Verdict::inconclusive);
  CHECK_FALSE(outcome.why.empty());
}

TEST_CASE("a verification waits for transactions that write no longer than it is told", "[G10]") {
  Scene scene;
  test::Sql writer(scene.database.dsn());
  writer.exec("BEGIN; INSERT INTO others VALUES (5, 5)");
  btreemapped::VerifyOptions options;
  options.timeout = 300ms;
  const auto report = scene.replicator->verify(*scene.items, options);
  CHECK(report.verdict == Verdict::inconclusive);
  CHECK_THAT(report.why, ContainsSubstring("slot"));
  writer.exec("COMMIT");
  CHECK(scene.replicator->verify(*scene.items).verdict == Verdict::equal);
}

TEST_CASE("stop() ends a verification at once", "[G10]") {
  Scene scene;
  scene.replicator->prove();
  scene.proxy.hold("COPY ");
  auto report = std::async(std::launch::async, [&] { return scene.replicator->verify(*scene.items); });
  scene.proxy.wait_until_held();
  const auto begin = std::chrono::steady_clock::now();
  scene.replicator->stop();
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  CHECK_THROWS_AS(report.get(), btreemapped::StoppedError);
}

TEST_CASE("a verification that stop() ends leaves no notes behind", "[G10]") {
  Scene scene;
  scene.replicator->ends_unproved("it is stopped in a verification");
  scene.proxy.hold("COPY ");
  auto report = std::async(std::launch::async, [&] { return scene.replicator->verify(*scene.items); });
  scene.proxy.wait_until_held();
  scene.database.exec("UPDATE items SET amount = amount + 1");
  REQUIRE(test::eventually([&] { return scene.replicator->status().memory.journals > 0; }));
  scene.replicator->stop();
  CHECK_THROWS_AS(report.get(), btreemapped::StoppedError);
  CHECK(scene.replicator->status().memory.journals == 0);
}

TEST_CASE("a verification for which the system has no descriptor leaves no notes behind", "[G10]") {
  Scene scene;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const test::Descriptor next{::dup(0)};
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next.get());
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK_THROWS_AS(scene.replicator->verify(*scene.items), btreemapped::Error);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  scene.database.exec("UPDATE items SET amount = amount + 1");
  scene.database.catch_up(*scene.replicator);
  CHECK(scene.replicator->status().memory.journals == 0);
  CHECK(scene.replicator->verify(*scene.items).verdict == Verdict::equal);
}

TEST_CASE("verify() says what it cannot be asked", "[G10]") {
  Scene scene;
  test::Replicator other(scene.database.options());
  CHECK_THROWS_AS(other.verify(*scene.items), btreemapped::UsageError);
  CHECK_THROWS_AS(other.verify(), btreemapped::UsageError);
  CHECK_THROWS_AS(scene.items->for_each([&](const Item&) { static_cast<void>(scene.replicator->verify()); }),
                  btreemapped::UsageError);
  scene.replicator->prove();
  scene.replicator->stop();
  CHECK_THROWS_AS(scene.replicator->verify(), btreemapped::StoppedError);
}

struct Note {
  std::int32_t id;
  std::optional<std::string> note;

  friend bool operator==(const Note&, const Note&) = default;
};

/// One transaction of which the stream tells too little and the catalog nothing afterwards.
struct Untold {
  std::string definition;
  std::string transaction;
  std::string query = "SELECT id, note FROM items ORDER BY id";
};

std::vector<Untold> untold() {
  const std::string partitioned =
      "CREATE TABLE items (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);"
      "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100);"
      "INSERT INTO items SELECT id, 'old' FROM generate_series(1, 20) id;"
      "CREATE PUBLICATION pub FOR TABLE items WITH (publish_via_partition_root = true);";
  return {{partitioned,
           "CREATE TABLE high PARTITION OF items FOR VALUES FROM (100) TO (200); INSERT INTO items VALUES (150, 'x');"
           "DROP TABLE high"},
          {partitioned + "CREATE TABLE high (id int PRIMARY KEY, note text);",
           "ALTER TABLE items ATTACH PARTITION high FOR VALUES FROM (100) TO (200);"
           "UPDATE items SET id = id + 150 WHERE id < 5; ALTER TABLE items DETACH PARTITION high"},
          {"CREATE TABLE items (id int PRIMARY KEY, note text);"
           "INSERT INTO items SELECT id, 'old' FROM generate_series(1, 20) id;"
           "CREATE PUBLICATION pub FOR TABLE items WHERE (id < 10)",
           "ALTER PUBLICATION pub ADD TABLES IN SCHEMA public; INSERT INTO items VALUES (150, 'x');"
           "ALTER PUBLICATION pub DROP TABLES IN SCHEMA public",
           "SELECT id, note FROM items WHERE id < 10 ORDER BY id"},
          {"CREATE TABLE root (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);"
           "CREATE TABLE items PARTITION OF root FOR VALUES FROM (0) TO (1000);"
           "INSERT INTO items SELECT id, 'old' FROM generate_series(1, 20) id;"
           "CREATE PUBLICATION pub FOR TABLE items WITH (publish_via_partition_root = true);",
           "ALTER PUBLICATION pub ADD TABLE root; UPDATE items SET note = 'new' WHERE id < 5;"
           "INSERT INTO items VALUES (150, 'x'); ALTER PUBLICATION pub DROP TABLE root"}};
}

TEST_CASE("what came and went between two looks at the catalog is found and mended", "[G10][G4]") {
  for (const Untold& each : untold()) {
    CAPTURE(each.transaction);
    test::Database database;
    test::Following<Note, 1> follower(database, each.definition, "items", 1h);
    database.exec("BEGIN; " + each.transaction + "; COMMIT");
    database.catch_up(*follower.replicator);
    std::vector<Note> expected;
    for (const test::SqlRow& row : database.rows(each.query)) expected.push_back({std::stoi(*row[0]), row[1]});
    CHECK(follower.rows() != expected);
    const auto report = follower.replicator->verify(*follower.replica, {.heal = true});
    CHECK(report.verdict == Verdict::different);
    CHECK(report.healed);
    CHECK(follower.rows() == expected);
    CHECK(follower.replicator->verify(*follower.replica).verdict == Verdict::equal);
  }
}

}  // namespace verify_test
