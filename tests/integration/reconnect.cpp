// G3: no gap and no duplicate over lost connections. G5: reads go on meanwhile, and status() tells since when and why.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"
#include "support/threads.hpp"

namespace reconnect_test {

using btreemapped::EventKind;
using btreemapped::ReplicatorState;
using btreemapped::TableState;

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

std::vector<Account> table(test::Database& database, const std::string& name = "accounts") {
  std::vector<Account> out;
  for (const test::SqlRow& row : database.rows("SELECT id, amount FROM " + name + " ORDER BY id"))
    out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  return out;
}

/// Inserts, deletes, changes and moves keys; each session in ids of its own.
test::Load::Make churn() {
  static std::atomic<std::uint64_t> serial{0};
  return [](std::mt19937_64& random) {
    const std::string id = std::to_string(random() % 200);
    const std::string fresh = std::to_string(1000 + serial.fetch_add(1));
    switch (random() % 5) {
      case 0: return "INSERT INTO accounts VALUES (" + fresh + ", 0)";
      case 1: return "DELETE FROM accounts WHERE id = " + id;
      case 2: return "UPDATE accounts SET id = " + fresh + " WHERE id = " + id;
      case 3:
        return "INSERT INTO accounts VALUES (" + id +
               ", 1) ON CONFLICT (id) DO UPDATE SET amount = accounts.amount + 1";
      default: return "UPDATE accounts SET amount = amount + 1 WHERE id = " + id;
    }
  };
}

void make_accounts(test::Database& database) {
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL);"
      "INSERT INTO accounts SELECT id, id FROM generate_series(0, 199) id; CREATE PUBLICATION pub FOR TABLE accounts");
}

TEST_CASE("a walsender that is terminated again and again under load ends equal", "[G3]") {
  test::Database database;
  make_accounts(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  test::Load load(database.dsn(), 2, churn());
  constexpr std::size_t rounds = 10;
  for (std::size_t round = 1; round <= rounds; ++round) {
    REQUIRE(load.go_on_for(20));
    REQUIRE(database.end_sessions("backend_type = 'walsender'") == 1);
    static_cast<void>(log.wait_for(EventKind::synced, round + 1));
  }
  REQUIRE(load.go_on_for(20));
  load.stop();
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
  CHECK(replicator.status().reconnects == rounds);
  CHECK(log.count(EventKind::stale) >= rounds);
}

TEST_CASE("positions and sequence numbers never go back over lost connections", "[G3][G5]") {
  test::Database database;
  make_accounts(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  test::Load load(database.dsn(), 1, churn());
  std::atomic<bool> done{false};
  std::atomic<int> backwards{0};
  test::run_together({[&] {
                        std::uint64_t sequence = 0;
                        btreemapped::Lsn lsn;
                        while (!done.load()) {
                          const auto guard = accounts.read();
                          if (guard.sequence() < sequence || guard.lsn() < lsn) ++backwards;
                          sequence = guard.sequence();
                          lsn = guard.lsn();
                        }
                      },
                      [&] {
                        for (std::size_t round = 1; round <= 5; ++round) {
                          database.end_sessions("application_name = 'btreemapped'");
                          static_cast<void>(log.wait_for(EventKind::synced, round + 1));
                        }
                        done.store(true);
                      }});
  load.stop();
  CHECK(backwards == 0);
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("while disconnected reads go on at the last commit, and status() tells since when and why", "[G5]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  const std::vector<Account> before = table(database);
  const std::uint64_t sequence = accounts.sequence();

  proxy.cut();
  const btreemapped::Event stale = log.wait_for(EventKind::stale);
  CHECK_FALSE(stale.message.empty());
  database.exec(
      "DELETE FROM accounts WHERE id < 100; UPDATE accounts SET amount = 0; INSERT INTO accounts VALUES (777, 7)");
  CHECK(accounts.to_vector() == before);
  CHECK(accounts.get(5)->amount == 5);
  CHECK(accounts.sequence() == sequence);
  CHECK(accounts.state() == TableState::stale);
  const std::chrono::nanoseconds stale_for = accounts.stale_for();
  CHECK(stale_for > std::chrono::nanoseconds{0});
  static_cast<void>(log.wait_for(EventKind::retrying, 2));
  CHECK(accounts.stale_for() > stale_for);
  const btreemapped::Status status = replicator.status();
  CHECK(status.state != ReplicatorState::streaming);
  CHECK_FALSE(status.last_error.empty());
  CHECK(status.tables.at(0).state == TableState::stale);
  CHECK(status.tables.at(0).stale_for > stale_for);
  CHECK(status.tables.at(0).rows == before.size());
  CHECK(status.reconnects >= 1);

  proxy.mend();
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
  CHECK(accounts.state() == TableState::live);
  CHECK(accounts.stale_for() == std::chrono::nanoseconds{0});
  CHECK(replicator.status().last_error.empty());
  CHECK(replicator.status().state == ReplicatorState::streaming);
}

TEST_CASE("a rebuild is published as one commit", "[G2][G5]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  const std::uint64_t sequence = accounts.sequence();
  proxy.cut();
  static_cast<void>(log.wait_for(EventKind::stale));
  for (int i = 0; i < 10; ++i)
    database.exec("UPDATE accounts SET amount = amount + 1000; DELETE FROM accounts WHERE id = " + std::to_string(i));
  std::atomic<int> halves{0};
  test::run_together({[&] {
                        for (bool whole = false; !whole;) {
                          std::size_t changed = 0;
                          const auto guard = accounts.read();
                          for (const Account& account : guard)
                            if (account.amount >= 1000) ++changed;
                          whole = changed == 190 && guard.size() == 190;
                          if (!whole && !(changed == 0 && guard.size() == 200)) ++halves;
                        }
                      },
                      [&] { proxy.mend(); }});
  CHECK(halves == 0);
  CHECK(accounts.sequence() == sequence + 1);
}

TEST_CASE("a replica stays readable and says that it is stale when its Replicator is gone", "[G5]") {
  test::Database database;
  make_accounts(database);
  std::vector<btreemapped::Replica<Account, 1>> kept;
  {
    test::Replicator replicator(database.options());
    kept.push_back(replicator.add_replica<Account, 1>("accounts"));
    test::start_and_sync(replicator);
  }
  CHECK(kept[0].to_vector() == table(database));
  CHECK(kept[0].state() == TableState::stale);
  const std::chrono::nanoseconds stale_for = kept[0].stale_for();
  CHECK(test::eventually([&] { return kept[0].stale_for() > stale_for; }));
}

TEST_CASE("a connection that falls silent is given up", "[G3][G5]") {
  test::Database database;
  make_accounts(database);
  database.exec("ALTER DATABASE " + database.name() + " SET wal_sender_timeout = '300ms'");
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  proxy.freeze();
  static_cast<void>(log.wait_for(EventKind::stale));
  database.exec("UPDATE accounts SET amount = -1");
  proxy.cut();
  proxy.thaw();
  proxy.mend();
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("time limits that the database sets by default do not end our sessions", "[G3]") {
  test::Database database;
  make_accounts(database);
  database.exec("INSERT INTO accounts SELECT id, id FROM generate_series(1000, 50000) id");
  std::vector<std::string> limits{"statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"};
  if (std::stoi(database.value("SHOW server_version_num")) >= 170000) limits.emplace_back("transaction_timeout");
  for (const std::string& limit : limits)
    database.exec("ALTER DATABASE " + database.name() + " SET " + limit + " = '80ms'");
  database.exec("ALTER DATABASE " + database.name() + " SET wal_sender_timeout = '3s'");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  const std::string since = database.value("SELECT clock_timestamp()");
  REQUIRE(test::eventually([&] {
    return database.value(
               "SELECT count(*) FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid"
               " WHERE database = current_database() AND reply_time > timestamptz '" +
               since + "' + interval '300 ms'") == "1";
  }));
  database.exec("DELETE FROM accounts WHERE id > 1000");
  database.catch_up(replicator);
  CHECK(accounts.size() == 201);
  CHECK(log.count(EventKind::stale) + log.count(EventKind::retrying) == 0);
}

TEST_CASE("a lost connection during the copy starts the copy again", "[G3]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  proxy.hold("COPY ");
  replicator.start();
  proxy.wait_until_held();
  CHECK(replicator.status().state == ReplicatorState::copying);
  proxy.cut();
  proxy.release();
  proxy.mend();
  test::wait_until_synced(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("the slot's session ended by the server during the copy starts the copy again", "[G3]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  proxy.hold("COPY ");
  replicator.start();
  proxy.wait_until_held();
  REQUIRE(database.end_sessions("backend_type = 'walsender'") == 1);
  database.exec("UPDATE accounts SET amount = -2");
  proxy.release();
  test::wait_until_synced(replicator);
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("a server that is not there yet is waited for", "[G3][G5]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  proxy.cut();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  replicator.start();
  CHECK_FALSE(log.wait_for(EventKind::retrying, 2).message.empty());
  CHECK_FALSE(replicator.status().last_error.empty());
  CHECK_THROWS_AS(accounts.size(), btreemapped::NotReadyError);
  proxy.mend();
  test::wait_until_synced(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("a slot name that is still taken is waited for after a lost connection", "[G3]") {
  test::Database database;
  make_accounts(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.slot_name = database.name();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  CHECK(database.value("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()") ==
        database.name());
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  database.exec("INSERT INTO accounts VALUES (500, 5)");
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("a publication dropped in mid-stream stops nothing from being read, and making it again heals", "[G3][G5]") {
  test::Database database;
  make_accounts(database);
  btreemapped::Options options = database.options();
  options.catalog_watch_interval = std::chrono::hours{1};  // the stream itself tells
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  const std::vector<Account> before = table(database);
  database.exec("DROP PUBLICATION pub");
  database.exec("UPDATE accounts SET amount = -3");
  // Up to PostgreSQL 17 an error ends the stream; a newer server warns, and sends nothing of the table any more.
  REQUIRE(test::eventually([&] {
    const btreemapped::Status status = replicator.status();
    return (status.last_error + status.tables.front().last_error).find("pub") != std::string::npos;
  }));
  CHECK(accounts.to_vector() == before);
  CHECK(accounts.state() != TableState::live);
  database.exec("CREATE PUBLICATION pub FOR TABLE accounts");
  REQUIRE(test::eventually([&] { return accounts.state() == TableState::live; }));
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("rows that were deleted while disconnected disappear, to the last one", "[G3]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  proxy.cut();
  static_cast<void>(log.wait_for(EventKind::stale));
  database.exec("DELETE FROM accounts");
  CHECK(accounts.size() == 200);
  proxy.mend();
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  CHECK(accounts.empty());
  CHECK(accounts.state() == TableState::live);
}

TEST_CASE("wait_for() over a lost connection waits for the new copy", "[G3][G5]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  proxy.cut();
  static_cast<void>(log.wait_for(EventKind::stale));
  database.exec("UPDATE accounts SET amount = -9 WHERE id = 9");
  const btreemapped::Lsn written = database.position();
  CHECK_FALSE(replicator.wait_for(written, std::chrono::milliseconds{20}));
  CHECK(accounts.get(9)->amount == 9);
  std::atomic<bool> reached{false};
  test::run_together({[&] { reached = replicator.wait_for(written, test::patience).reached; }, [&] { proxy.mend(); }});
  CHECK(reached);
  CHECK(accounts.get(9)->amount == -9);
}

TEST_CASE("an ordinary session that the server ends costs no commit", "[G3]") {
  test::Database database;
  make_accounts(database);
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.reader_dsn(), {{"application_name", "ours"}});
  options.catalog_watch_interval = std::chrono::milliseconds{20};
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(test::eventually(
        [&] { return database.end_sessions("backend_type = 'client backend' AND application_name = 'ours'") > 0; }));
    database.exec("UPDATE accounts SET amount = amount + 1");
    database.catch_up(replicator);
  }
  CHECK(accounts.get(5)->amount == 8);
}

TEST_CASE("no free slot delays a new copy and no more", "[G5]") {
  test::Database database;
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  proxy.cut();
  static_cast<void>(log.wait_for(EventKind::stale));
  database.end_sessions("backend_type = 'walsender'");
  test::Sql hoarder(database.dsn());
  hoarder.exec("SELECT pg_create_physical_replication_slot('" + database.name() +
               "_' || i, false, true) FROM generate_series((SELECT count(*) FROM pg_replication_slots) + 1,"
               " current_setting('max_replication_slots')::int) i");
  const std::size_t failures = log.count(EventKind::retrying);
  proxy.mend();
  REQUIRE(test::eventually([&] { return replicator.status().last_error.find("slot") != std::string::npos; }));
  static_cast<void>(log.wait_for(EventKind::retrying, failures + 1));
  CHECK(accounts.size() == 200);
  CHECK(accounts.state() == TableState::stale);
  database.exec("DELETE FROM accounts WHERE id = 0");
  hoarder.exec(
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE active_pid = pg_backend_pid()");
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  CHECK(accounts.size() == 199);
}

TEST_CASE("a right that is taken away stops the next copy, and granting it again heals", "[G4][G5]") {
  test::Database database;
  make_accounts(database);
  const std::string role = database.add_role();
  database.exec("GRANT SELECT ON accounts TO " + role);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  options.catalog_watch_interval = std::chrono::milliseconds{50};
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  database.exec("REVOKE SELECT ON accounts FROM " + role);
  database.end_sessions("backend_type = 'walsender'");
  REQUIRE(test::eventually([&] {
    const btreemapped::Status status = replicator.status();
    return (status.last_error + status.tables.at(0).last_error).find("GRANT") != std::string::npos;
  }));
  CHECK(accounts.size() == 200);
  CHECK(accounts.state() != TableState::live);
  database.exec("GRANT SELECT ON accounts TO " + role + "; DELETE FROM accounts WHERE id = 0");
  REQUIRE(test::eventually([&] { return accounts.state() == TableState::live; }));
  database.catch_up(replicator);
  CHECK(accounts.size() == 199);
}

}  // namespace reconnect_test
