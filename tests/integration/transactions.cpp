// Transactions of all kinds: empty, nested, prepared, interleaved, open when we come, and messages beside them.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/following.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"

namespace transactions_test {

using btreemapped::EventKind;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Item&, const Item&) = default;
};

using Items = std::vector<Item>;
using Following = test::Following<Item, 1>;

const std::string items =
    "CREATE TABLE items (id int PRIMARY KEY, amount bigint NOT NULL); CREATE TABLE others (id int PRIMARY KEY);"
    "INSERT INTO items VALUES (1, 1); CREATE PUBLICATION pub FOR TABLE items";

Items items_of(test::Database& database) {
  Items out;
  for (const test::SqlRow& row : database.rows("SELECT id, amount FROM items ORDER BY id"))
    out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  return out;
}

TEST_CASE("transactions that change nothing, or nothing that is published, only move the position", "[transactions]") {
  test::Database database;
  Following following(database, items);
  const std::uint64_t before = following.replica->sequence();
  for (const std::string sql :
       {"SELECT pg_current_xact_id()", "INSERT INTO others VALUES (1)", "CREATE TABLE later (id int)",
        "BEGIN; SAVEPOINT s; UPDATE items SET amount = 5; ROLLBACK TO s; COMMIT",
        "UPDATE items SET amount = 7 WHERE id = 0", "BEGIN; INSERT INTO items VALUES (2, 2); ROLLBACK",
        "SELECT pg_logical_emit_message(true, 'p', 'alone')"}) {
    CAPTURE(sql);
    CHECK(following.rows_after(sql) == Items{{1, 1}});
    CHECK(following.replica->sequence() == before);
    CHECK(following.replica->lsn() >= database.position());
  }
}

TEST_CASE("logical messages, in transactions, beside them and out of those that are rolled back, change nothing",
          "[transactions]") {
  test::Database database;
  Following following(database, items);
  const std::string inside = "SELECT pg_logical_emit_message(true, 'btreemapped', repeat('x', 100000)); ";
  const std::string beside = "SELECT pg_logical_emit_message(false, '', '');";
  CHECK(following.rows_after("BEGIN; " + beside + inside + "INSERT INTO items VALUES (2, 2); " + beside + inside +
                             "SAVEPOINT s; INSERT INTO items VALUES (3, 3); " + inside + beside +
                             "ROLLBACK TO s; UPDATE items SET amount = 5 WHERE id = 1; COMMIT") ==
        Items{{1, 5}, {2, 2}});
  CHECK(following.rows_after("BEGIN; DELETE FROM items; " + beside + inside + "ROLLBACK; " + beside) ==
        Items{{1, 5}, {2, 2}});
}

TEST_CASE("a transaction that was open before the slot is waited for, and nothing of it is lost", "[transactions]") {
  test::Database database;
  database.exec(items);
  test::Sql early(database.dsn());
  test::Sql undone(database.dsn());
  early.exec("BEGIN; INSERT INTO items VALUES (2, 2); SAVEPOINT a; UPDATE items SET amount = 10 WHERE id = 1");
  undone.exec("BEGIN; INSERT INTO items VALUES (9, 9)");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto replica = replicator.add_replica<Item, 1>("items");
  replicator.start();
  CHECK_THAT(log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("wait"));
  test::Sql late(database.dsn());
  late.exec("BEGIN; INSERT INTO items VALUES (4, 4)");  // begins while the slot is waited for
  early.exec("INSERT INTO items VALUES (3, 3); RELEASE a; COMMIT");
  undone.exec("ROLLBACK");
  late.exec("UPDATE items SET amount = 40 WHERE id = 4; COMMIT");
  test::wait_until_synced(replicator);
  database.exec("UPDATE items SET amount = amount + 1");
  database.catch_up(replicator);
  CHECK(replica.to_vector() == Items{{1, 11}, {2, 3}, {3, 4}, {4, 41}});
}

TEST_CASE("a transaction that was prepared before the slot is waited for, and nothing of it is lost",
          "[transactions]") {
  for (const std::string end : {"COMMIT PREPARED ", "ROLLBACK PREPARED "}) {
    CAPTURE(end);
    test::Database database;
    database.exec(items);
    const std::string gid = "'it''s " + database.name() + "'";
    database.exec("BEGIN; INSERT INTO items VALUES (2, 2); PREPARE TRANSACTION " + gid);
    test::EventLog log;
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    test::Replicator replicator(options);
    const auto replica = replicator.add_replica<Item, 1>("items");
    replicator.start();
    const std::string message = log.wait_for(EventKind::slot_waiting).message;
    CHECK_THAT(message, ContainsSubstring("held up by prepared transaction " + gid + ": COMMIT PREPARED " + gid +
                                          " or ROLLBACK PREPARED " + gid));
    CHECK(replicator.status().last_error == message);
    database.exec(end + gid);
    test::wait_until_synced(replicator);
    database.exec("UPDATE items SET amount = amount + 1");
    database.catch_up(replicator);
    CHECK(replica.to_vector() == (end == "COMMIT PREPARED " ? Items{{1, 2}, {2, 3}} : Items{{1, 2}}));
  }
}

TEST_CASE("prepared transactions are visible in the order in which they are committed", "[transactions]") {
  test::Database database;
  Following following(database, items);
  const std::string first = "'" + database.name() + "_1'";
  const std::string second = "'" + database.name() + "_2'";
  CHECK(following.rows_after("BEGIN; INSERT INTO items VALUES (2, 2); SAVEPOINT s; INSERT INTO items VALUES (3, 3);"
                             "ROLLBACK TO s; UPDATE items SET id = 5 WHERE id = 1; PREPARE TRANSACTION " +
                             first) == Items{{1, 1}});
  CHECK(following.rows_after("BEGIN; INSERT INTO items VALUES (7, 7); PREPARE TRANSACTION " + second) == Items{{1, 1}});
  const std::uint64_t before = following.replica->sequence();
  CHECK(following.rows_after("COMMIT PREPARED " + second) == Items{{1, 1}, {7, 7}});
  CHECK(following.rows_after("COMMIT PREPARED " + first) == Items{{2, 2}, {5, 1}, {7, 7}});
  CHECK(following.replica->sequence() == before + 2);
  database.exec("BEGIN; TRUNCATE items; INSERT INTO items VALUES (8, 8); PREPARE TRANSACTION " + first);
  database.exec("ROLLBACK PREPARED " + first);
  database.catch_up(*following.replicator);
  CHECK(following.rows() == Items{{2, 2}, {5, 1}, {7, 7}});
}

TEST_CASE("sessions whose transactions interleave statement by statement leave what PostgreSQL has", "[transactions]") {
  test::Database database;
  Following following(database, items);
  constexpr std::size_t sessions = 6;
  std::vector<std::unique_ptr<test::Sql>> open;
  for (std::size_t i = 0; i < sessions; ++i) open.push_back(std::make_unique<test::Sql>(database.dsn()));
  std::mt19937 random{3};
  for (int round = 0; round < 10; ++round) {
    for (auto& session : open) session->exec("BEGIN");
    // Each session keeps to ids of its own, so that none waits for another.
    for (int step = 0; step < 60; ++step) {
      const std::size_t i = random() % sessions;
      const std::string id = std::to_string(1000 * (i + 1) + random() % 5);
      switch (random() % 6) {
        case 0: open[i]->exec("DELETE FROM items WHERE id = " + id); break;
        case 1: open[i]->exec("SAVEPOINT s"); break;
        case 2: open[i]->exec("SAVEPOINT t; DELETE FROM items WHERE id = " + id + "; ROLLBACK TO t"); break;
        default:
          open[i]->exec("INSERT INTO items VALUES (" + id +
                        ", 1) ON CONFLICT (id) DO UPDATE SET amount = items.amount + 1");
      }
    }
    for (auto& session : open) session->exec(random() % 3 == 0 ? "ROLLBACK" : "COMMIT");
    database.catch_up(*following.replicator);
    CHECK(following.rows() == items_of(database));
  }
  CHECK(following.replicator->status().reconnects == 0);
}

TEST_CASE("a session's origin counts for its transactions only, and none is left out", "[transactions]") {
  test::Database database;
  Following following(database, items);
  const std::string origin = database.add_origin();
  test::Sql session(database.dsn());
  session.exec("SELECT pg_replication_origin_session_setup('" + origin + "')");
  for (int i = 2; i < 6; ++i) {
    session.exec("BEGIN; SELECT pg_replication_origin_xact_setup('0/" + std::to_string(i) +
                 "', now()); INSERT INTO items VALUES (" + std::to_string(i) +
                 ", 0); SAVEPOINT s; UPDATE items SET amount "
                 "= 9; ROLLBACK TO s; COMMIT");
    database.exec("UPDATE items SET amount = amount + 1");
  }
  session.exec("SELECT pg_replication_origin_session_reset()");
  database.catch_up(*following.replicator);
  CHECK(following.rows() == Items{{1, 5}, {2, 4}, {3, 3}, {4, 2}, {5, 1}});
}

TEST_CASE("a transaction of a million changes is one commit", "[transactions]") {
  constexpr std::int32_t rows = 400'000;
  test::Database database;
  Following following(database, items);
  const std::uint64_t before = following.replica->sequence();
  const std::string count = std::to_string(rows);
  database.exec("BEGIN; TRUNCATE items; INSERT INTO items SELECT id, id FROM generate_series(1, " + count +
                ") id; UPDATE items SET amount = -amount; DELETE FROM items WHERE id % 2 = 0; COMMIT");
  database.catch_up(*following.replicator);
  CHECK(following.replica->sequence() == before + 1);
  std::int32_t next = 1;
  std::int32_t wrong = 0;
  following.replica->for_each([&](const Item& item) {
    if (item.id != next || item.amount != -next) ++wrong;
    next += 2;
  });
  CHECK(wrong == 0);
  CHECK(next == rows + 1);
  CHECK(following.replicator->status().reconnects == 0);
}

}  // namespace transactions_test
