// G2 and G3 where there is much of it: slow copies, transactions of a hundred thousand rows, values of megabytes.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/threads.hpp"

namespace large_test {

using btreemapped::EventKind;

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

struct Document {
  std::int32_t id;
  std::string body;
  std::int32_t version;

  friend bool operator==(const Document&, const Document&) = default;
};

void make_accounts(test::Database& database, int rows) {
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL);"
      "INSERT INTO accounts SELECT id, id FROM generate_series(1, " +
      std::to_string(rows) + ") id; CREATE PUBLICATION pub FOR TABLE accounts");
}

std::vector<Account> accounts_of(test::Database& database) {
  std::vector<Account> out;
  for (const test::SqlRow& row : database.rows("SELECT id, amount FROM accounts ORDER BY id"))
    out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  return out;
}

std::vector<Document> documents_of(test::Database& database) {
  std::vector<Document> out;
  for (const test::SqlRow& row : database.rows("SELECT id, body, version FROM documents ORDER BY id"))
    out.push_back({std::stoi(*row[0]), *row[1], std::stoi(*row[2])});
  return out;
}

TEST_CASE("what commits in the middle of a slow copy of a large table follows after it", "[G1][G3]") {
  constexpr int rows = 100'000;
  test::Database database;
  make_accounts(database, rows);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  proxy.hold_answer("COPY ", 500'000);
  replicator.start();
  proxy.wait_until_held();

  std::atomic<int> serial{rows};
  test::Load load(database.dsn(), 3, [&serial](std::mt19937_64& random) {
    const std::string id = std::to_string(1 + random() % rows);
    const std::string fresh = std::to_string(++serial);
    switch (random() % 4) {
      case 0: return "INSERT INTO accounts VALUES (" + fresh + ", 0)";
      case 1: return "DELETE FROM accounts WHERE id = " + id;
      case 2: return "UPDATE accounts SET id = " + fresh + " WHERE id = " + id;
      default: return "UPDATE accounts SET amount = -amount WHERE id = " + id;
    }
  });
  REQUIRE(load.go_on_for(200));
  CHECK_THROWS_AS(accounts.size(), btreemapped::NotReadyError);
  proxy.release();
  test::wait_until_synced(replicator);
  REQUIRE(load.go_on_for(200));
  load.stop();
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == accounts_of(database));
  CHECK(replicator.status().reconnects == 0);
}

TEST_CASE("a hundred thousand rows that a transaction inserts, changes, moves and deletes are one commit", "[G2]") {
  test::Database database;
  make_accounts(database, 10);
  database.exec("ALTER DATABASE " + database.name() + " SET logical_decoding_work_mem = '64kB'");  // it goes to disk
  test::Replicator replicator(database.options());
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  const std::uint64_t before = accounts.sequence();
  std::atomic<int> halves{0};
  std::atomic<bool> done{false};
  test::run_together(
      {[&] {
         while (!done.load()) {
           const auto guard = accounts.read();
           if (guard.size() != (guard.sequence() == before ? 10 : 80'000)) ++halves;
         }
       },
       [&] {
         database.exec(
             "BEGIN; INSERT INTO accounts SELECT id, id FROM generate_series(11, 100000) id;"
             "UPDATE accounts SET amount = -amount WHERE id % 2 = 0;"
             "SAVEPOINT s; TRUNCATE accounts; INSERT INTO accounts VALUES (7, 7); ROLLBACK TO s;"
             "UPDATE accounts SET id = -id WHERE id % 3 = 0; DELETE FROM accounts WHERE id % 5 = 0; COMMIT");
         database.catch_up(replicator);
         done.store(true);
       }});
  CHECK(halves == 0);
  CHECK(accounts.sequence() == before + 1);
  CHECK(accounts.to_vector() == accounts_of(database));
}

TEST_CASE("a walsender that is terminated in the middle of a large transaction leaves no half of it", "[G2][G3]") {
  test::Database database;
  make_accounts(database, 10);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  const std::vector<Account> before = accounts_of(database);

  // The walsender cannot get rid of it all, and is ended with a part of it on its way.
  proxy.freeze();
  const std::string start = to_string(database.position());
  database.exec(
      "UPDATE accounts SET amount = 0; INSERT INTO accounts SELECT id, 0 FROM generate_series(11, 200000) id");
  REQUIRE(test::eventually([&] {
    return database.value("SELECT sent_lsn > '" + start +
                          "' FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid"
                          " WHERE database = current_database()") == "t";
  }));
  REQUIRE(database.end_sessions("backend_type = 'walsender'") == 1);
  std::atomic<int> halves{0};
  std::atomic<bool> done{false};
  test::run_together({[&] {
                        while (!done.load()) {
                          const auto guard = accounts.read();
                          if (guard.size() == 10 ? guard.find(1)->amount != 1 : guard.size() != 200'000) ++halves;
                        }
                      },
                      [&] {
                        proxy.thaw();
                        static_cast<void>(log.wait_for(EventKind::synced, 2));
                        done.store(true);
                      }});
  CHECK(halves == 0);
  CHECK(log.count(EventKind::stale) == 1);
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == accounts_of(database));
}

TEST_CASE("values of megabytes are copied, streamed, kept and moved", "[G4]") {
  test::Database database;
  const auto megabytes = [](int count, const std::string& salt) {
    return "(SELECT string_agg(md5(" + salt + " || i::text), E'\\t\\\\') FROM generate_series(1, " +
           std::to_string(count * 30'000) + ") i)";
  };
  database.exec(
      "CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL, version int NOT NULL);"
      "INSERT INTO documents SELECT id, " +
      megabytes(1, "id") + ", 0 FROM generate_series(1, 2) id; CREATE PUBLICATION pub FOR TABLE documents");
  REQUIRE(database.value("SELECT min(length(body)) > 1000000 FROM documents") == "t");
  test::Replicator replicator(database.options());
  const auto documents = replicator.add_replica<Document, 1>("documents");
  test::start_and_sync(replicator);
  CHECK(documents.to_vector() == documents_of(database));
  database.exec("INSERT INTO documents SELECT id, " + megabytes(1, "id") + ", 0 FROM generate_series(3, 5) id");
  database.exec("INSERT INTO documents VALUES (9, " + megabytes(6, "'large'") + ", 0)");
  database.exec("UPDATE documents SET version = id; UPDATE documents SET id = id + 100 WHERE id % 2 = 1");
  database.exec("UPDATE documents SET body = " + megabytes(1, "'new'") + " || body WHERE id = 109");
  database.catch_up(replicator);
  CHECK(documents.to_vector() == documents_of(database));
  CHECK(replicator.status().reconnects == 0);
}

}  // namespace large_test
