// G2: a reader sees all of a source transaction or nothing of it, across every replica, in commit order.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/load.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

namespace whole_commits_test {

using Catch::Matchers::ContainsSubstring;

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

/// The same table by its other unique column, and with another column.
struct AccountByOwner {
  std::string owner;
  std::int32_t id;

  friend bool operator==(const AccountByOwner&, const AccountByOwner&) = default;
};

template <class Guard>
std::int64_t sum(const Guard& guard) {
  std::int64_t out = 0;
  for (const Account& account : guard) out += account.amount;
  return out;
}

TEST_CASE("readers never see half of a transaction over two tables", "[G2][G8]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL);"
      "CREATE TABLE rights (id int PRIMARY KEY, amount bigint NOT NULL);"
      "INSERT INTO lefts SELECT id, 100 FROM generate_series(0, 49) id; INSERT INTO rights SELECT * FROM lefts;"
      "CREATE PUBLICATION pub FOR TABLE lefts, rights");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  test::start_and_sync(replicator);

  test::Load load(database.dsn(), 2, [](std::mt19937_64& random) {
    const auto id = [&] { return std::to_string(random() % 50); };
    return "UPDATE lefts SET amount = amount - 3 WHERE id = " + id() + "; " +
           "UPDATE rights SET amount = amount + 3 WHERE id = " + id();
  });
  std::atomic<int> broken{0};
  std::atomic<int> backwards{0};
  const auto watch = [&](const auto& first, const auto& second) {
    std::uint64_t sequence = 0;
    btreemapped::Lsn lsn;
    int commits_seen = 0;
    while (commits_seen < 300) {
      btreemapped::read(first, second, [&](const auto& a, const auto& b) {
        if (sum(a) + sum(b) != 10'000) ++broken;
        if (a.sequence() != b.sequence() || a.lsn() != b.lsn() || a.sequence() < sequence || a.lsn() < lsn) ++backwards;
        if (a.sequence() != sequence) ++commits_seen;
        sequence = a.sequence();
        lsn = a.lsn();
      });
    }
  };
  test::run_together({[&] { watch(lefts, rights); }, [&] { watch(rights, lefts); }});
  load.stop();
  CHECK(broken == 0);
  CHECK(backwards == 0);
  database.catch_up(replicator);
  CHECK(sum(lefts.read()) == std::stoll(database.value("SELECT sum(amount) FROM lefts")));
}

TEST_CASE("a large transaction is visible all at once", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL); CREATE PUBLICATION pub FOR TABLE lefts");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);
  std::atomic<int> halves{0};
  std::atomic<bool> all_there{false};
  test::run_together({[&] {
                        for (std::size_t size = 0; size < 50'000; size = lefts.size())
                          if (size != 0) ++halves;
                        all_there = true;
                      },
                      [&] { database.exec("INSERT INTO lefts SELECT id, id FROM generate_series(1, 50000) id"); }});
  CHECK(halves == 0);
  CHECK(all_there);
}

TEST_CASE("of a transaction only what survives its savepoints arrives", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO lefts VALUES (1, 1), (2, 2), (3, "
      "3);"
      "CREATE PUBLICATION pub FOR TABLE lefts");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);
  database.exec(
      "BEGIN; UPDATE lefts SET amount = 10 WHERE id = 1;"
      "SAVEPOINT a; UPDATE lefts SET amount = 20 WHERE id = 2; DELETE FROM lefts WHERE id = 3;"
      "SAVEPOINT b; TRUNCATE lefts; INSERT INTO lefts VALUES (9, 9); ROLLBACK TO b;"
      "INSERT INTO lefts VALUES (4, 4); RELEASE b; ROLLBACK TO a;"
      "INSERT INTO lefts VALUES (5, 5); COMMIT");
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{1, 10}, {2, 2}, {3, 3}, {5, 5}});
}

TEST_CASE("a transaction that is rolled back changes nothing", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO lefts VALUES (1, 1);"
      "CREATE PUBLICATION pub FOR TABLE lefts");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);
  const std::uint64_t before = lefts.sequence();
  database.exec("BEGIN; DELETE FROM lefts; INSERT INTO lefts VALUES (2, 2); ROLLBACK");
  database.catch_up(replicator);
  CHECK(lefts.sequence() == before);
  CHECK(lefts.to_vector() == std::vector<Account>{{1, 1}});
}

TEST_CASE("a prepared transaction is visible when it is committed, and not before", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL); CREATE PUBLICATION pub FOR TABLE lefts");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);
  const std::string id = "'" + database.name() + "'";
  database.exec("BEGIN; INSERT INTO lefts VALUES (1, 1); PREPARE TRANSACTION " + id);
  database.catch_up(replicator);
  CHECK(lefts.empty());
  database.exec("COMMIT PREPARED " + id);
  database.catch_up(replicator);
  CHECK(lefts.size() == 1);
  database.exec("BEGIN; INSERT INTO lefts VALUES (2, 2); PREPARE TRANSACTION " + id);
  database.exec("ROLLBACK PREPARED " + id);
  database.catch_up(replicator);
  CHECK(lefts.size() == 1);
}

TEST_CASE("insert, truncate and insert in one transaction leave what came last", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO lefts VALUES (1, 1), (2, 2);"
      "CREATE PUBLICATION pub FOR TABLE lefts");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO lefts VALUES (3, 3); TRUNCATE lefts; INSERT INTO lefts VALUES (2, 22), (4, 4)");
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{2, 22}, {4, 4}});
}

TEST_CASE("a truncate that cascades empties all its tables in one commit", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL);"
      "CREATE TABLE rights (id int PRIMARY KEY REFERENCES lefts, amount bigint NOT NULL);"
      "INSERT INTO lefts VALUES (1, 1), (2, 2); INSERT INTO rights VALUES (1, 1);"
      "CREATE PUBLICATION pub FOR TABLE lefts, rights");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  test::start_and_sync(replicator);
  const std::uint64_t before = lefts.sequence();
  database.exec("TRUNCATE lefts RESTART IDENTITY CASCADE");
  database.catch_up(replicator);
  CHECK(lefts.empty());
  CHECK(rights.empty());
  CHECK(lefts.sequence() == before + 1);
}

TEST_CASE("an update with a moved key erases the old row", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO lefts VALUES (1, 1), (2, 2), (3, "
      "3);"
      "CREATE PUBLICATION pub FOR TABLE lefts");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);
  database.exec("UPDATE lefts SET id = 7 WHERE id = 1");
  database.exec(
      "DELETE FROM lefts WHERE id = 2; UPDATE lefts SET id = 2, amount = 33 WHERE id = 3; INSERT INTO lefts VALUES (3, "
      "0)");
  database.exec(
      "UPDATE lefts SET id = 8 WHERE id = 7; UPDATE lefts SET id = 9 WHERE id = 8; UPDATE lefts SET amount = 99 WHERE "
      "id = 9");
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{2, 33}, {3, 0}, {9, 99}});
}

TEST_CASE("keys that a deferrable constraint lets swap and shift lose no row", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, amount bigint NOT NULL);"
      "ALTER TABLE lefts REPLICA IDENTITY FULL; INSERT INTO lefts SELECT id, 10 * id FROM generate_series(1, 5) id;"
      "CREATE PUBLICATION pub FOR TABLE lefts");
  test::Replicator replicator(database.options());
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  test::start_and_sync(replicator);

  database.exec("UPDATE lefts SET id = 3 - id WHERE id < 3");
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{1, 20}, {2, 10}, {3, 30}, {4, 40}, {5, 50}});

  database.exec("UPDATE lefts SET id = id + 1");
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{2, 20}, {3, 10}, {4, 30}, {5, 40}, {6, 50}});

  // Two rows of one key for a while, one of which is changed before it moves on.
  database.exec(
      "BEGIN; UPDATE lefts SET id = 3 WHERE amount = 20; UPDATE lefts SET amount = 11 WHERE amount = 10;"
      "UPDATE lefts SET id = 2 WHERE amount = 11; INSERT INTO lefts VALUES (6, 60); DELETE FROM lefts WHERE amount = "
      "50; COMMIT");
  database.catch_up(replicator);
  CHECK(lefts.to_vector() == std::vector<Account>{{2, 11}, {3, 20}, {4, 30}, {5, 40}, {6, 60}});
}

TEST_CASE("one table is followed twice, with other fields and another key", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL UNIQUE, amount bigint NOT NULL);"
      "ALTER TABLE accounts REPLICA IDENTITY FULL; INSERT INTO accounts VALUES (1, 'b', 10), (2, 'a', 20);"
      "CREATE PUBLICATION pub FOR TABLE accounts");
  test::Replicator replicator(database.options());
  const auto by_id = replicator.add_replica<Account, 1>("accounts");
  const auto by_owner = replicator.add_replica<AccountByOwner, 1>("accounts");
  test::start_and_sync(replicator);
  CHECK(by_id.to_vector() == std::vector<Account>{{1, 10}, {2, 20}});
  CHECK(by_owner.to_vector() == std::vector<AccountByOwner>{{"a", 2}, {"b", 1}});

  database.exec("UPDATE accounts SET owner = 'c' WHERE id = 2; UPDATE accounts SET id = 3, amount = 0 WHERE id = 1");
  database.exec("INSERT INTO accounts VALUES (5, 'a', 50)");
  database.catch_up(replicator);
  CHECK(by_id.to_vector() == std::vector<Account>{{2, 20}, {3, 0}, {5, 50}});
  CHECK(by_owner.to_vector() == std::vector<AccountByOwner>{{"a", 5}, {"b", 3}, {"c", 2}});
}

TEST_CASE("a table whose identity is a unique index is followed", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, amount bigint NOT NULL);"
      "CREATE UNIQUE INDEX by_owner ON accounts (owner); ALTER TABLE accounts REPLICA IDENTITY USING INDEX by_owner;"
      "INSERT INTO accounts VALUES (1, 'a', 1), (2, 'b', 2); CREATE PUBLICATION pub FOR TABLE accounts");
  test::Replicator replicator(database.options());
  const auto by_owner = replicator.add_replica<AccountByOwner, 1>("accounts");
  test::start_and_sync(replicator);
  database.exec("UPDATE accounts SET id = 7 WHERE id = 1; UPDATE accounts SET owner = 'z' WHERE id = 2");
  database.exec("INSERT INTO accounts VALUES (3, 'c', 3); DELETE FROM accounts WHERE owner = 'a'");
  database.catch_up(replicator);
  CHECK(by_owner.to_vector() == std::vector<AccountByOwner>{{"c", 3}, {"z", 2}});
}

TEST_CASE("a row that an update moves to another partition stays one row", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL) PARTITION BY RANGE (id);"
      "CREATE TABLE low PARTITION OF accounts FOR VALUES FROM (0) TO (100);"
      "CREATE TABLE high (amount bigint NOT NULL, id int NOT NULL PRIMARY KEY);"
      "ALTER TABLE accounts ATTACH PARTITION high FOR VALUES FROM (100) TO (200);"
      "INSERT INTO accounts VALUES (1, 1), (2, 2), (101, 3);"
      "CREATE PUBLICATION pub FOR TABLE accounts WITH (publish_via_partition_root = true)");
  test::Replicator replicator(database.options());
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  CHECK(accounts.to_vector() == std::vector<Account>{{1, 1}, {2, 2}, {101, 3}});
  database.exec("UPDATE accounts SET id = id + 100 WHERE id = 2; INSERT INTO accounts VALUES (150, 4), (50, 5)");
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == std::vector<Account>{{1, 1}, {50, 5}, {101, 3}, {102, 2}, {150, 4}});
  database.exec("TRUNCATE accounts");
  database.catch_up(replicator);
  CHECK(accounts.empty());
}

TEST_CASE("rows enter and leave a publication that filters them", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO accounts VALUES (1, 1), (2, -2);"
      "ALTER TABLE accounts REPLICA IDENTITY FULL; CREATE PUBLICATION pub FOR TABLE accounts WHERE (amount > 0)");
  test::Replicator replicator(database.options());
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  CHECK(accounts.to_vector() == std::vector<Account>{{1, 1}});
  database.exec("UPDATE accounts SET amount = -amount; INSERT INTO accounts VALUES (3, -3), (4, 4)");
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == std::vector<Account>{{2, 2}, {4, 4}});
}

TEST_CASE("children of an inherited table are not mixed into it", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL); CREATE TABLE child () INHERITS (accounts);"
      "ALTER TABLE child ADD PRIMARY KEY (id); INSERT INTO accounts VALUES (1, 1); INSERT INTO child VALUES (1, 2), "
      "(3, 3);"
      "CREATE PUBLICATION pub FOR TABLE accounts");
  test::Replicator replicator(database.options());
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  database.exec(
      "INSERT INTO child VALUES (4, 4); INSERT INTO accounts VALUES (5, 5); UPDATE accounts SET amount = amount + 1");
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == std::vector<Account>{{1, 2}, {5, 6}});
}

TEST_CASE("a transaction over many tables is one commit", "[G2]") {
  test::Database database;
  constexpr int tables = 40;
  std::string insert;
  for (int i = 0; i < tables; ++i) {
    const std::string name = "accounts" + std::to_string(i);
    database.exec("CREATE TABLE " + name + " (id int PRIMARY KEY, amount bigint NOT NULL)");
    insert += "INSERT INTO " + name + " VALUES (1, " + std::to_string(i) + "); ";
  }
  database.exec("CREATE PUBLICATION pub FOR ALL TABLES");
  test::Replicator replicator(database.options());
  std::vector<btreemapped::Replica<Account, 1>> replicas;
  for (int i = 0; i < tables; ++i)
    replicas.push_back(replicator.add_replica<Account, 1>("accounts" + std::to_string(i)));
  test::start_and_sync(replicator);
  const std::uint64_t before = replicas[0].sequence();
  database.exec(insert);
  database.catch_up(replicator);
  CHECK(replicas[0].sequence() == before + 1);
  for (int i = 0; i < tables; ++i)
    CHECK(replicas[static_cast<std::size_t>(i)].to_vector() == std::vector<Account>{{1, i}});
}

TEST_CASE("tables that nobody asked for are ignored, whatever happens to them", "[G2][G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL); INSERT INTO accounts VALUES (1, 1);"
      "CREATE TYPE mood AS ENUM ('good'); CREATE TABLE other (id int PRIMARY KEY, mood mood);"
      "CREATE PUBLICATION pub FOR ALL TABLES");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO other VALUES (1, 'good'); INSERT INTO accounts VALUES (2, 2); TRUNCATE other");
  database.exec(
      "ALTER TABLE other ADD COLUMN more text; CREATE TABLE third (id int PRIMARY KEY); INSERT INTO third VALUES (1)");
  database.exec(
      "UPDATE accounts SET amount = 3 WHERE id = 1; INSERT INTO other VALUES (5, NULL, 'x'); DROP TABLE third");
  database.exec(
      "SELECT pg_logical_emit_message(true, 'prefix', 'content'), pg_logical_emit_message(false, 'prefix', 'content')");
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == std::vector<Account>{{1, 3}, {2, 2}});
  CHECK(replicator.status().reconnects == 0);
  CHECK(log.count(btreemapped::EventKind::stale) == 0);
}

TEST_CASE("a failed table is StaleError together with others, unless that is allowed", "[G2][G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint); CREATE TABLE rights (id int PRIMARY KEY, amount bigint);"
      "INSERT INTO lefts VALUES (1, 1); INSERT INTO rights VALUES (1, 1); CREATE PUBLICATION pub FOR TABLE lefts, "
      "rights");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO lefts VALUES (2, NULL); INSERT INTO rights VALUES (2, 2)");
  database.exec("INSERT INTO rights VALUES (3, 3)");
  database.catch_up(replicator);

  const auto sizes = [](const auto& left, const auto& right) { return left.size() * 10 + right.size(); };
  CHECK_THROWS_AS(btreemapped::read(lefts, rights, sizes), btreemapped::StaleError);
  CHECK_THROWS_WITH(btreemapped::read(rights, lefts, sizes), ContainsSubstring("public.lefts"));
  CHECK(btreemapped::read(btreemapped::allow_stale, lefts, rights, sizes) == 13);
  CHECK(lefts.size() == 1);
  CHECK(lefts.lsn() < rights.lsn());
  CHECK(rights.state() == btreemapped::TableState::live);

  // It rejoins at the commit of the others.
  database.exec("UPDATE lefts SET amount = 2 WHERE id = 2");
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(log.wait_for(btreemapped::EventKind::table_healed, 1, "public.lefts"));
  CHECK(btreemapped::read(lefts, rights, sizes) == 23);
  CHECK(lefts.lsn() == rights.lsn());
}

/// Follows the tables lefts and rights, which hold what `more` puts there.
struct Pair {
  Pair(test::Database& db, const std::string& more) : database(db), replicator(db.options()) {
    database.exec(
        "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL);"
        "CREATE TABLE rights (id int PRIMARY KEY, amount bigint NOT NULL); " +
        more + "; CREATE PUBLICATION pub FOR TABLE lefts, rights");
    lefts.emplace(replicator.add_replica<Account, 1>("lefts"));
    rights.emplace(replicator.add_replica<Account, 1>("rights"));
    test::start_and_sync(replicator);
  }

  /// How many commits became visible by it.
  std::uint64_t commits_of(const std::string& sql) {
    const std::uint64_t before = lefts->sequence();
    database.exec(sql);
    database.catch_up(replicator);
    return lefts->sequence() - before;
  }

  test::Database& database;
  test::Replicator replicator;
  std::optional<btreemapped::Replica<Account, 1>> lefts;
  std::optional<btreemapped::Replica<Account, 1>> rights;
};

TEST_CASE("transactions arrive in the order of their commits, not of their beginnings", "[G2]") {
  test::Database database;
  Pair pair(database, "INSERT INTO lefts VALUES (1, 1)");
  test::Sql early(database.dsn());
  test::Sql late(database.dsn());
  early.exec("BEGIN; INSERT INTO rights VALUES (1, 1)");
  late.exec("BEGIN; INSERT INTO rights VALUES (2, 2)");
  early.exec("INSERT INTO rights VALUES (3, 3)");
  late.exec("UPDATE lefts SET amount = 10 WHERE id = 1; COMMIT");
  database.catch_up(pair.replicator);
  CHECK(pair.rights->to_vector() == std::vector<Account>{{2, 2}});
  CHECK(pair.lefts->get(1)->amount == 10);
  early.exec("UPDATE lefts SET amount = amount + 1 WHERE id = 1; COMMIT");
  database.catch_up(pair.replicator);
  CHECK(pair.rights->to_vector() == std::vector<Account>{{1, 1}, {2, 2}, {3, 3}});
  CHECK(pair.lefts->get(1)->amount == 11);
}

TEST_CASE("what a foreign key cascades belongs to the same commit", "[G2]") {
  test::Database database;
  Pair pair(database,
            "ALTER TABLE rights ADD FOREIGN KEY (id) REFERENCES lefts ON UPDATE CASCADE ON DELETE CASCADE;"
            "INSERT INTO lefts VALUES (1, 1), (2, 2), (3, 3); INSERT INTO rights TABLE lefts");
  CHECK(pair.commits_of("UPDATE lefts SET id = id + 10 WHERE id > 1") == 1);
  CHECK(pair.rights->to_vector() == std::vector<Account>{{1, 1}, {12, 2}, {13, 3}});
  CHECK(pair.commits_of("DELETE FROM lefts WHERE id = 1") == 1);
  CHECK(pair.rights->to_vector() == std::vector<Account>{{12, 2}, {13, 3}});
}

TEST_CASE("tables truncated together, also with one that nobody follows, are refilled in the same commit", "[G2]") {
  test::Database database;
  Pair pair(database,
            "CREATE TABLE spare (id int PRIMARY KEY); INSERT INTO spare VALUES (1);"
            "INSERT INTO lefts VALUES (1, 1); INSERT INTO rights VALUES (1, 1), (2, 2)");
  CHECK(pair.commits_of("INSERT INTO rights VALUES (8, 8); TRUNCATE rights, spare, lefts; INSERT INTO lefts VALUES (5, "
                        "5); INSERT INTO rights VALUES (2, 22)") == 1);
  CHECK(pair.lefts->to_vector() == std::vector<Account>{{5, 5}});
  CHECK(pair.rights->to_vector() == std::vector<Account>{{2, 22}});
}

TEST_CASE("a row that comes and goes within a transaction leaves no trace", "[G2]") {
  test::Database database;
  Pair pair(database, "INSERT INTO lefts VALUES (1, 1), (2, 2), (3, 3)");
  static_cast<void>(pair.commits_of(
      "INSERT INTO lefts VALUES (9, 9); UPDATE lefts SET id = 8 WHERE id = 9; DELETE FROM lefts WHERE id "
      "= 8; DELETE FROM lefts WHERE id = 1; INSERT INTO lefts VALUES (1, 11); UPDATE lefts SET id = 7 "
      "WHERE id = 2; UPDATE lefts SET id = 2 WHERE id = 7; UPDATE lefts SET amount = 0 WHERE id = 3;"
      "DELETE FROM lefts WHERE id = 3"));
  CHECK(pair.lefts->to_vector() == std::vector<Account>{{1, 11}, {2, 2}});
}

TEST_CASE("keys that change places in a ring keep their rows", "[G2]") {
  test::Database database;
  Pair pair(database, "INSERT INTO lefts SELECT id, id FROM generate_series(1, 5) id");
  CHECK(
      pair.commits_of("UPDATE lefts SET id = 0 WHERE id = 1; UPDATE lefts SET id = 1 WHERE id = 2; UPDATE lefts SET id "
                      "= 2 WHERE id = 3; UPDATE lefts SET id = 3 WHERE id = 4; UPDATE lefts SET id = 4 WHERE id = 5;"
                      "UPDATE lefts SET id = 5 WHERE id = 0") == 1);
  CHECK(pair.lefts->to_vector() == std::vector<Account>{{1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 1}});
}

TEST_CASE("of hundreds of subtransactions within each other only what survives arrives", "[G2]") {
  test::Database database;
  Pair pair(database, "INSERT INTO lefts VALUES (0, 0)");
  CHECK(pair.commits_of("DO $$ BEGIN FOR i IN 1..300 LOOP BEGIN INSERT INTO lefts VALUES (i, i);"
                        "UPDATE lefts SET amount = amount + 1 WHERE id = 0;"
                        "IF i % 3 = 0 THEN RAISE division_by_zero; END IF; EXCEPTION WHEN division_by_zero THEN"
                        " INSERT INTO rights VALUES (i, i); END; END LOOP; END $$") == 1);
  CHECK(pair.lefts->size() == 201);
  CHECK(pair.rights->size() == 100);
  CHECK(pair.lefts->get(0)->amount == 200);
  CHECK_FALSE(pair.lefts->contains(300));
}

TEST_CASE("rows that COPY writes, many at one position of the log, all arrive", "[G2][G3]") {
  test::Database database;
  Pair pair(database, "INSERT INTO lefts VALUES (0, 0)");
  CHECK(pair.commits_of("COPY lefts FROM PROGRAM 'seq 1 5000 | awk \"{print \\$1 \\\"\\t\\\" \\$1}\"'") == 1);
  CHECK(pair.lefts->size() == 5001);
  CHECK(pair.lefts->get(5000)->amount == 5000);
}

TEST_CASE("transactions of another origin are followed like all others", "[G2]") {
  test::Database database;
  Pair pair(database, "INSERT INTO lefts VALUES (0, 0)");
  const std::string origin = database.add_origin();
  test::Sql session(database.dsn());
  session.exec("SELECT pg_replication_origin_session_setup('" + origin + "')");
  session.exec(
      "BEGIN; SELECT pg_replication_origin_xact_setup('0/1234', now()); INSERT INTO lefts VALUES (1, 1); COMMIT");
  database.exec("INSERT INTO lefts VALUES (2, 2)");
  database.catch_up(pair.replicator);
  CHECK(pair.lefts->to_vector() == std::vector<Account>{{0, 0}, {1, 1}, {2, 2}});
  CHECK(pair.replicator.status().reconnects == 0);
}

TEST_CASE("one table followed twice is at the same commit in both, under load", "[G2][G8]") {
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL UNIQUE, amount bigint NOT NULL);"
      "ALTER TABLE accounts REPLICA IDENTITY FULL; INSERT INTO accounts SELECT id, 'o' || id, 0 FROM "
      "generate_series(0, "
      "29) id; CREATE PUBLICATION pub FOR TABLE accounts");
  test::Replicator replicator(database.options());
  const auto by_id = replicator.add_replica<Account, 1>("accounts");
  const auto by_owner = replicator.add_replica<AccountByOwner, 1>("accounts");
  test::start_and_sync(replicator);
  std::atomic<int> serial{100};
  test::Load load(database.dsn(), 2, [&serial](std::mt19937_64& random) {
    const std::string id = std::to_string(random() % 30);
    const std::string fresh = std::to_string(++serial);
    switch (random() % 3) {
      case 0: return "INSERT INTO accounts VALUES (" + fresh + ", 'o" + fresh + "', 0)";
      case 1: return std::string{"DELETE FROM accounts WHERE id IN (SELECT max(id) FROM accounts HAVING max(id) > 29)"};
      default: return "UPDATE accounts SET owner = 'p" + fresh + "' WHERE id = " + id;
    }
  });
  int differences = 0;
  for (std::uint64_t seen = 0, last = 0; seen < 100;) {
    btreemapped::read(by_id, by_owner, [&](const auto& ids, const auto& owners) {
      if (ids.size() != owners.size()) ++differences;
      for (const AccountByOwner& row : owners)
        if (!ids.contains(row.id)) ++differences;
      if (ids.sequence() != last) ++seen;
      last = ids.sequence();
    });
  }
  load.stop();
  CHECK(differences == 0);
}

TEST_CASE("readers never see half of a transaction while the connection is lost again and again", "[G2][G5]") {
  test::Database database;
  database.exec(
      "CREATE TABLE lefts (id int PRIMARY KEY, amount bigint NOT NULL);"
      "CREATE TABLE rights (id int PRIMARY KEY, amount bigint NOT NULL);"
      "INSERT INTO lefts SELECT id, 100 FROM generate_series(0, 49) id; INSERT INTO rights TABLE lefts;"
      "CREATE PUBLICATION pub FOR TABLE lefts, rights");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto lefts = replicator.add_replica<Account, 1>("lefts");
  const auto rights = replicator.add_replica<Account, 1>("rights");
  test::start_and_sync(replicator);
  test::Load load(database.dsn(), 2, [](std::mt19937_64& random) {
    const auto id = [&] { return std::to_string(random() % 50); };
    return "UPDATE lefts SET amount = amount - 3 WHERE id = " + id() + "; " +
           "UPDATE rights SET amount = amount + 3 WHERE id = " + id();
  });
  std::atomic<bool> done{false};
  std::atomic<int> broken{0};
  test::run_together({[&] {
                        while (!done.load())
                          btreemapped::read(lefts, rights, [&](const auto& left, const auto& right) {
                            if (sum(left) + sum(right) != 10'000) ++broken;
                          });
                      },
                      [&] {
                        for (std::size_t round = 1; round <= 5; ++round) {
                          static_cast<void>(load.go_on_for(20));
                          database.end_sessions("backend_type = 'walsender'");
                          static_cast<void>(log.wait_for(btreemapped::EventKind::synced, round + 1));
                        }
                        done.store(true);
                      }});
  load.stop();
  CHECK(broken == 0);
}

}  // namespace whole_commits_test
