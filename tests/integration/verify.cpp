// verify(): the proof that a replica is equal to its table, at one position, while both go on.

#include <algorithm>
#include <chrono>
#include <cstddef>
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

/// What keeps writers of both tables busy: inserts, updates, deletes, moved keys, rollbacks, and sometimes a truncate.
std::string some_transaction(std::mt19937_64& random) {
  const auto key = [&] { return std::to_string(1 + random() % 1500); };
  const std::string table = random() % 2 == 0 ? "items" : "others";
  std::string sql = "INSERT INTO " + table + " VALUES (" + key() + ", 0) ON CONFLICT (id) DO UPDATE SET amount = -5";
  switch (random() % 1000) {
    case 0: sql = "TRUNCATE items; INSERT INTO items SELECT i, i FROM generate_series(1, 1000) i"; break;
    case 1:
    case 2:
    case 3: sql = "UPDATE " + table + " SET amount = -1; RAISE unique_violation"; break;
    case 4:
    case 5:
    case 6:
      sql = "SET LOCAL synchronous_commit = off; UPDATE " + table + " SET amount = 1 WHERE id % 100 = 7 AND id < 1500";
      break;
    default: {
      const auto kind = random() % 5;
      if (kind == 0) sql = "UPDATE " + table + " SET amount = amount + 1 WHERE id = " + key();
      if (kind == 1) sql = "DELETE FROM " + table + " WHERE id = " + key();
      if (kind == 2) sql = "UPDATE " + table + " SET id = " + key() + " WHERE id = " + key();
      if (kind == 3) sql += "; UPDATE others SET amount = amount + 1 WHERE id = 1";
    }
  }
  // The pause is before the transaction's number, for which a slot would wait.
  return "SELECT pg_sleep(0.003); DO $$ BEGIN " + sql +
         "; EXCEPTION WHEN unique_violation OR deadlock_detected THEN NULL; END $$";
}

/// Differences of one replica only, made of updates that change nothing and arrive as something else. Their rows are
/// out of the writers' reach.
class Planter {
 public:
  enum class Kind { missing, extra, different };

  explicit Planter(Scene& scene)
      : scene_(scene), relation_(std::stoul(scene.database.value("SELECT 'others'::regclass::oid"))) {
    scene_.database.exec("INSERT INTO others SELECT i, " + std::to_string(amount) + " FROM generate_series(" +
                         std::to_string(first) + ", " + std::to_string(first + 99) + ") i");
  }

  /// Returns the keys under which that many differences are to be found.
  Keys plant(Kind kind, int count) {
    Keys keys;
    for (int n = 0; n < count; ++n) {
      const int key = first + static_cast<int>(kind) * 30 + n;
      const int found = kind == Kind::extra ? key + absent : key;
      scene_.proxy.damage(image("U", "N", key, amount), kind == Kind::missing ? image("D", "K", key, amount)
                                                        : kind == Kind::extra ? image("I", "N", found, amount)
                                                                              : image("U", "N", key, amount + 1));
      // What arrives in two pieces the proxy lets pass.
      REQUIRE(test::eventually([&] {
        scene_.database.exec("UPDATE others SET amount = amount WHERE id = " + std::to_string(key));
        scene_.database.catch_up(*scene_.replicator);
        const std::optional<Item> held = scene_.others->get(found);
        return kind == Kind::missing ? !held : held && (kind == Kind::extra || held->amount != amount);
      }));
      keys.emplace_back(found);
    }
    return keys;
  }

 private:
  static constexpr int first = 500'000;
  static constexpr int absent = 100'000;
  static constexpr int amount = 222'222;

  /// A change of a row of `others` as the stream tells it.
  /// Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
  [[nodiscard]] std::string image(const std::string& message, const std::string& tuple, int id, int value) const {
    const auto big_endian = [](std::size_t number, int bytes) {
      std::string out;
      for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
      return out;
    };
    const auto cell = [&](int number) {
      const std::string text = std::to_string(number);
      return "t" + big_endian(text.size(), 4) + text;
    };
    return message + big_endian(relation_, 4) + tuple + big_endian(2, 2) + cell(id) + cell(value);
  }

  Scene& scene_;
  const std::size_t relation_;
};

Keys sorted(Keys keys) {
  std::sort(keys.begin(), keys.end());
  return keys;
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
  Planter planter(scene);
  test::Load load(scene.database.dsn(), 4, some_transaction);
  std::map<Verdict, int> verdicts;
  int planted = 0;
  std::size_t differences = 0;
  for (int round = 1; round <= many(); ++round) {
    for (const auto& report : scene.replicator->verify()) {
      CHECK(report.verdict != Verdict::different);
      ++verdicts[report.verdict];
      // Only a truncate between slot and copy may keep it from being judged.
      if (report.verdict == Verdict::inconclusive) CHECK_THAT(report.why, ContainsSubstring("truncated"));
    }
    if (round % 5 != 0) continue;
    // Of one kind alone, or of all, and of each one or several.
    const int mixture = planted % 4;
    const int count = 1 + planted / 4 % 3;
    ++planted;
    const auto plant = [&](Planter::Kind kind) {
      return mixture == static_cast<int>(kind) || mixture == 3 ? planter.plant(kind, count) : Keys{};
    };
    const Keys missing = plant(Planter::Kind::missing);
    const Keys extra = plant(Planter::Kind::extra);
    const Keys different = plant(Planter::Kind::different);
    differences += missing.size() + extra.size() + different.size();
    const auto report = scene.replicator->verify(*scene.others, {.heal = true});
    CAPTURE(planted, report.why);
    CHECK(report.verdict == Verdict::different);
    CHECK(sorted(report.missing_keys) == missing);
    CHECK(sorted(report.extra_keys) == extra);
    CHECK(sorted(report.different_keys) == different);
    CHECK(report.healed);
  }
  load.stop();
  const std::string counts = std::to_string(verdicts[Verdict::equal]) + " times equal, " +
                             std::to_string(verdicts[Verdict::inconclusive]) + " times inconclusive, " +
                             std::to_string(planted) + " times planted, " + std::to_string(differences) +
                             " rows in all, beside " + std::to_string(load.commits()) + " commits";
  INFO(counts);
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
  CHECK_THAT(report.why, ContainsSubstring("backend " + writer.value("SELECT pg_backend_pid()")));
  writer.exec("COMMIT");
  CHECK(scene.replicator->verify(*scene.items).verdict == Verdict::equal);
}

TEST_CASE("verifications take turns, and one whose turn does not come in time says so", "[G10]") {
  Scene scene;
  scene.proxy.hold("COPY ");
  auto first = std::async(std::launch::async, [&] { return scene.replicator->verify(*scene.items); });
  scene.proxy.wait_until_held();
  const auto hasty = scene.replicator->verify(*scene.items, {.timeout = 100ms});
  CHECK(hasty.verdict == Verdict::inconclusive);
  CHECK_THAT(hasty.why, ContainsSubstring("another verification"));
  auto second = std::async(std::launch::async, [&] { return scene.replicator->verify(*scene.items); });
  scene.proxy.release();
  CHECK(first.get().verdict == Verdict::equal);
  CHECK(second.get().verdict == Verdict::equal);
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
