// G1: all replicas of one Replicator are copied at one snapshot, and nothing is visible before all are complete.

#include <chrono>
#include <cstdint>
#include <future>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace one_snapshot_test {

using Catch::Matchers::ContainsSubstring;

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

constexpr int accounts = 500;

std::string move_an_amount(std::mt19937_64& random) {
  const auto id = [&] { return std::to_string(random() % accounts); };
  const std::string amount = std::to_string(random() % 100);
  return "UPDATE lefts SET amount = amount - " + amount + " WHERE id = " + id() + "; " +
         "UPDATE rights SET amount = amount + " + amount + " WHERE id = " + id();
}

void make_accounts(test::Database& database) {
  const std::string rows = " SELECT id, 1000 FROM generate_series(0, " + std::to_string(accounts - 1) + ") id";
  for (const std::string table : {"lefts", "rights"})
    database.exec("CREATE TABLE " + table + " (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO " + table +
                  rows);
  database.exec("CREATE PUBLICATION pub FOR TABLE lefts, rights");
}

template <class... Guards>
std::int64_t sum(const Guards&... guards) {
  std::int64_t out = 0;
  const auto add = [&](const auto& guard) {
    for (const Account& account : guard) out += account.amount;
  };
  (add(guards), ...);
  return out;
}

TEST_CASE("all tables are copied at one snapshot while writers run", "[G1]") {
  test::Database database;
  make_accounts(database);
  test::Load load(database.dsn(), 3, move_an_amount);
  for (int round = 0; round < 5; ++round) {
    REQUIRE(load.go_on_for(20));
    test::Replicator replicator(database.options());
    const auto lefts = replicator.add_replica<Account, 1>("lefts");
    const auto rights = replicator.add_replica<Account, 1>("rights");
    test::start_and_sync(replicator);
    const auto total =
        btreemapped::read(lefts, rights, [](const auto& left, const auto& right) { return sum(left, right); });
    CHECK(total == 2 * accounts * 1000);
  }
  load.stop();
}

TEST_CASE("a copy made while writers run goes over into the stream without a gap", "[G1][G3]") {
  test::Database database;
  make_accounts(database);
  test::Load load(database.dsn(), 3, move_an_amount);
  REQUIRE(load.go_on_for(20));
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);
  REQUIRE(load.go_on_for(100));
  load.stop();
  database.catch_up(replicator);
  std::vector<Account> expected;
  for (const test::SqlRow& row : database.rows("SELECT id, amount FROM lefts ORDER BY id"))
    expected.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  CHECK(lefts.to_vector() == expected);
}

TEST_CASE("no table can be read before all are copied", "[G1]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  proxy.hold("COPY ", 2);
  replicator.start();
  proxy.wait_until_held();

  for (const auto& replica : {lefts, rights}) {
    CHECK(replica.state() == btreemapped::TableState::pending);
    CHECK_THROWS_AS(replica.size(), btreemapped::NotReadyError);
    CHECK_THROWS_AS(replica.get(1), btreemapped::NotReadyError);
    CHECK_THROWS_AS(replica.for_each([](const Account&) {}), btreemapped::NotReadyError);
    CHECK_THROWS_AS(replica.read(), btreemapped::NotReadyError);
  }
  CHECK_THROWS_AS(btreemapped::read(lefts, rights, [](const auto&, const auto&) {}), btreemapped::NotReadyError);
  CHECK(replicator.synced().wait_for(std::chrono::seconds{0}) == std::future_status::timeout);

  proxy.release();
  test::wait_until_synced(replicator);
  CHECK(lefts.size() == accounts);
  CHECK(rights.size() == accounts);
  CHECK(lefts.state() == btreemapped::TableState::live);
}

TEST_CASE("a read before the start throws NotReadyError that names the table", "[G1][G8]") {
  test::Database database;
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  CHECK_THROWS_WITH(lefts.size(), ContainsSubstring("public.lefts"));
  try {
    static_cast<void>(lefts.empty());
    FAIL("an empty map posed as the table");
  } catch (const btreemapped::NotReadyError& error) {
    CHECK(error.table() == "public.lefts");
    CHECK(error.retryable());
  }
}

TEST_CASE("with empty_until_synced all tables are empty until all are copied", "[G1]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.empty_until_synced = true;
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  CHECK(lefts.empty());
  proxy.hold("COPY ", 2);
  replicator.start();
  proxy.wait_until_held();
  CHECK(lefts.empty());
  CHECK(rights.empty());
  CHECK_FALSE(lefts.contains(1));
  proxy.release();
  test::wait_until_synced(replicator);
  CHECK(lefts.size() == accounts);
}

TEST_CASE("a table that cannot be copied fails synced(), and all such tables are listed", "[G1][G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE good (id int PRIMARY KEY, name text); INSERT INTO good VALUES (1, 'a');"
      "CREATE TABLE bad (id int PRIMARY KEY, name text); INSERT INTO bad VALUES (1, 'a'), (2, NULL);"
      "CREATE TABLE worse (id int PRIMARY KEY, name text); INSERT INTO worse VALUES (1, NULL);"
      "CREATE PUBLICATION pub FOR TABLE good, bad, worse");
  test::Replicator replicator(database.options());
  const auto good = replicator.add_replica<Item, 1>("good");
  static_cast<void>(replicator.add_replica<Item, 1>("bad"));
  static_cast<void>(replicator.add_replica<Item, 1>("worse"));
  replicator.start();
  try {
    test::wait_until_synced(replicator);
    FAIL("a NULL was copied into a field that cannot hold it");
  } catch (const btreemapped::Error& error) {
    CHECK_THAT(error.what(), ContainsSubstring("public.bad, column name"));
    CHECK_THAT(error.what(), ContainsSubstring("public.worse, column name"));
    CHECK_THAT(error.what(), !ContainsSubstring("public.good"));
    CHECK(error.column() == "name");
    CHECK(error.lsn().has_value());
  }
  CHECK_THROWS_AS(good.size(), btreemapped::NotReadyError);
  CHECK(replicator.status().state == btreemapped::ReplicatorState::stopped);
}

TEST_CASE("an empty table is synced and readable", "[G1]") {
  test::Database database;
  database.exec("CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); CREATE PUBLICATION pub FOR TABLE items");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.empty());
  CHECK(items.state() == btreemapped::TableState::live);
  CHECK(items.stale_for() == std::chrono::nanoseconds{0});
}

TEST_CASE("what commits during the copy follows after it", "[G1][G3]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  proxy.hold("COPY ");
  replicator.start();
  proxy.wait_until_held();
  database.exec(
      "UPDATE lefts SET amount = 5 WHERE id = 1; DELETE FROM rights WHERE id < 10; INSERT INTO lefts VALUES (-1, 7)");
  proxy.release();
  test::wait_until_synced(replicator);
  database.catch_up(replicator);
  CHECK(lefts.get(1)->amount == 5);
  CHECK(lefts.get(-1)->amount == 7);
  CHECK(lefts.size() == accounts + 1);
  CHECK(rights.size() == accounts - 10);
}

TEST_CASE("a truncate between slot and copy gives no half of the past", "[G1][G4]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec("TRUNCATE lefts; INSERT INTO lefts VALUES (1, 1); UPDATE rights SET amount = 2 WHERE id = 1");
  proxy.release();
  test::wait_until_synced(replicator);
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{1, 1}});
  CHECK(rights.size() == accounts);
  CHECK(rights.get(1)->amount == 2);
}

TEST_CASE("a rewriting ALTER between slot and copy never gives an empty replica", "[G1][G4]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec(
      "ALTER TABLE lefts ADD COLUMN random float8 DEFAULT random(), ALTER COLUMN amount TYPE int USING amount + 1");
  proxy.release();
  test::wait_until_synced(replicator);
  CHECK(lefts.size() == accounts);
  CHECK(lefts.get(1)->amount == 1001);
}

TEST_CASE("columns swapped by renaming between slot and copy do not swap their values", "[G1][G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL, other bigint NOT NULL);"
      "INSERT INTO lefts VALUES (1, 10, 20); CREATE PUBLICATION pub FOR TABLE lefts");
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec(
      "ALTER TABLE lefts RENAME amount TO x; ALTER TABLE lefts RENAME other TO amount; ALTER TABLE lefts RENAME x TO "
      "other");
  proxy.release();
  test::wait_until_synced(replicator);
  CHECK(lefts.get(1)->amount == 20);
}

TEST_CASE("a lock that another session holds delays the copy and no more", "[G1]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  proxy.hold("SET TRANSACTION SNAPSHOT");
  replicator.start();
  proxy.wait_until_held();
  database.exec("BEGIN; LOCK TABLE lefts IN ACCESS EXCLUSIVE MODE; TRUNCATE lefts");
  proxy.release();
  test::Sql observer(database.dsn());
  REQUIRE(test::eventually([&] {
    return observer.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'") != "0";
  }));
  CHECK_THROWS_AS(lefts.size(), btreemapped::NotReadyError);
  database.exec("INSERT INTO lefts VALUES (7, 7); COMMIT");
  test::wait_until_synced(replicator);
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{7, 7}});
}

}  // namespace one_snapshot_test
