// G3, G5 and G7 over restarts, crashes and shutdowns of the server.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"
#include "support/server.hpp"
#include "support/threads.hpp"

namespace server_restart_test {

using btreemapped::EventKind;
using btreemapped::TableState;

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

std::vector<Account> table(test::Database& database) {
  std::vector<Account> out;
  for (const test::SqlRow& row : database.rows("SELECT id, amount FROM accounts ORDER BY id"))
    out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  return out;
}

void make_accounts(test::Database& database) {
  database.exec(
      "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL);"
      "INSERT INTO accounts SELECT id, id FROM generate_series(0, 99) id; CREATE PUBLICATION pub FOR TABLE accounts");
}

test::Load::Make changes() {
  return [](std::mt19937_64& random) {
    const std::string id = std::to_string(random() % 200);
    return random() % 4 == 0 ? "DELETE FROM accounts WHERE id = " + id
                             : "INSERT INTO accounts VALUES (" + id +
                                   ", 0) ON CONFLICT (id) DO UPDATE SET amount = accounts.amount + 1";
  };
}

/// The suite's server, which runs, also when the test before has failed half-way.
test::Server running_server() {
  test::Server server = test::Server::of_suite();
  server.start();
  return server;
}

void ends_equal_after(std::string_view mode) {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_accounts(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  test::Load load(database.dsn(), 2, changes(), test::Load::Lost::opens_again);
  for (std::size_t round = 1; round <= 2; ++round) {
    REQUIRE(load.go_on_for(100));
    server.restart(mode);
    static_cast<void>(log.wait_for(EventKind::synced, round + 1));
  }
  REQUIRE(load.go_on_for(100));
  load.stop();
  database.connect_again();
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
  CHECK(accounts.state() == TableState::live);
}

TEST_CASE("a restart of the server under load ends equal", "[G3]") { ends_equal_after("fast"); }

TEST_CASE("a crash of the server under load ends equal", "[G3]") { ends_equal_after("immediate"); }

TEST_CASE("while the server is down reads go on at the last commit", "[G5]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_accounts(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  database.exec("UPDATE accounts SET amount = 7 WHERE id = 7");
  database.catch_up(replicator);
  const std::vector<Account> before = table(database);
  server.stop();
  static_cast<void>(log.wait_for(EventKind::retrying));
  CHECK(accounts.to_vector() == before);
  CHECK(accounts.state() == TableState::stale);
  CHECK(accounts.stale_for() > std::chrono::nanoseconds{0});
  CHECK_FALSE(replicator.status().last_error.empty());
  INFO(replicator.status().stale_reason);
  CHECK(replicator.status().reconnects_by_cause[btreemapped::LossCause::server_ended] == 1);
  server.start();
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  CHECK(log.wait_for(EventKind::rebuilt).rows == 0);
  database.connect_again();
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == before);
  CHECK(accounts.state() == TableState::live);
}

TEST_CASE("a crash of the server in the middle of a large transaction leaves all of it or nothing", "[G2][G3]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
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
  std::size_t copies = 1;
  for (const bool committed : {false, true}) {
    proxy.freeze();
    const std::string start = to_string(database.position());
    database.exec(
        "BEGIN; INSERT INTO accounts SELECT id, 0 FROM generate_series(100, 200000) id; DELETE FROM accounts "
        "WHERE id = 1");
    if (committed) {
      database.exec("COMMIT");
      REQUIRE(test::eventually([&] {
        return database.value("SELECT count(*) FROM pg_stat_replication WHERE sent_lsn > '" + start + "'") != "0";
      }));
    }
    server.restart("immediate");
    CHECK(accounts.to_vector() == before);
    proxy.thaw();
    static_cast<void>(log.wait_for(EventKind::synced, ++copies));
    database.connect_again();
    CHECK(accounts.to_vector() == table(database));
    CHECK(accounts.size() == (committed ? 200'000 : 100));
  }
}

TEST_CASE("a crash of the server during the copy starts the copy again", "[G1][G3]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_accounts(database);
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  proxy.hold("COPY ");
  replicator.start();
  proxy.wait_until_held();
  server.restart("immediate");
  database.connect_again();
  database.exec("DELETE FROM accounts WHERE id < 50");
  proxy.release();
  test::wait_until_synced(replicator);
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("a prepared transaction that outlives a crash is one commit when its time comes", "[G2][G3]") {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_accounts(database);
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  const std::vector<Account> before = table(database);
  const std::string id = "'" + database.name() + "'";
  database.exec("BEGIN; UPDATE accounts SET amount = -1; PREPARE TRANSACTION " + id);
  server.restart("immediate");
  database.connect_again();
  // A new slot has to wait for it.
  static_cast<void>(log.wait_for(EventKind::slot_waiting));
  CHECK(accounts.to_vector() == before);
  CHECK(accounts.state() == TableState::stale);
  database.exec("COMMIT PREPARED " + id);
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("a slot whose log the server has thrown away is replaced, with a new copy", "[G3][G7]") {
  const test::OwnServer own;
  own.start();
  test::Database database({}, own.dsn());
  make_accounts(database);
  database.exec("CREATE TABLE busy (id int)");
  database.exec("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
  database.exec("SELECT pg_reload_conf()");
  test::Proxy proxy(database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  proxy.freeze();
  database.exec("UPDATE accounts SET amount = 5");
  REQUIRE(test::eventually([&] {
    database.exec("INSERT INTO busy VALUES (1)");
    database.exec("SELECT pg_switch_wal()");
    database.exec("CHECKPOINT");
    return database.value("SELECT count(*) FROM pg_replication_slots WHERE wal_status <> 'lost'") == "0";
  }));
  proxy.thaw();
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(database));
}

TEST_CASE("a commit that waits for us as a synchronous standby does not wait for a timer", "[G7]") {
  const test::OwnServer own;
  own.start();
  test::Database database({}, own.dsn());
  make_accounts(database);
  database.exec("CREATE TABLE unpublished (id int)");
  struct NoStandbys {  // else the server waits for one when the database is dropped
    ~NoStandbys() {
      database.exec("ALTER SYSTEM RESET synchronous_standby_names");
      database.exec("SELECT pg_reload_conf()");
    }
    test::Database& database;
  } const no_standbys_at_the_end{database};
  test::Replicator replicator(database.options());
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  database.exec("SET synchronous_commit = local");
  database.exec("ALTER SYSTEM SET synchronous_standby_names = 'btreemapped'");
  database.exec("SELECT pg_reload_conf()");
  REQUIRE(test::eventually(
      [&] { return database.value("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"; }));
  database.exec("RESET synchronous_commit");
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) {
    database.exec("UPDATE accounts SET amount = amount + 1");
    database.exec("INSERT INTO unpublished VALUES (1)");
  }
  // The timer would take a third of wal_sender_timeout, which is 5 s here, for each of the twenty.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{8});
  database.catch_up(replicator);
  CHECK(accounts.get(1)->amount == 11);
}

using std::chrono::milliseconds;

milliseconds time_to_stop(const test::Server& server) {
  const auto start = std::chrono::steady_clock::now();
  server.stop("fast");
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
}

/// How much longer than without a client a fast shutdown may take. Feedback by the timer takes up to 10 s where
/// wal_sender_timeout is a minute.
constexpr milliseconds tolerance{500};

/// More than the server hands to a socket at once. The table is the same afterwards.
void write_backlog(test::Database& database) {
  database.exec(
      "INSERT INTO accounts SELECT id, 0 FROM generate_series(1000, 50000) id; DELETE FROM accounts WHERE id >= 1000");
}

/// How much longer a fast shutdown takes with a client, in the middle of three, each beside one with nobody; of up to
/// three such comparisons the best, as the machine may be busy with something else.
/// `stop_with_client(database, server)` makes a client, tells how long the shutdown took, and starts the server again.
template <class StopWithClient>
milliseconds time_that_a_client_costs(StopWithClient&& stop_with_client) {
  const test::Server server = running_server();
  test::Database database({}, server.dsn());
  make_accounts(database);
  database.exec("ALTER DATABASE " + database.name() + " SET wal_sender_timeout = '60s'");
  milliseconds least = milliseconds::max();
  for (int comparison = 0; comparison < 3 && least > tolerance; ++comparison) {
    std::array<milliseconds, 3> alone{};
    std::array<milliseconds, 3> with_client{};
    for (std::size_t i = 0; i < alone.size(); ++i) {
      write_backlog(database);
      alone[i] = time_to_stop(server);
      server.start();
      database.connect_again();
      with_client[i] = stop_with_client(database, server);
      database.connect_again();
    }
    std::ranges::sort(alone);
    std::ranges::sort(with_client);
    least = std::min(least, with_client[1] - alone[1]);
  }
  return least;
}

TEST_CASE("a fast shutdown of the server does not wait for an idle client", "[G7]") {
  CHECK(time_that_a_client_costs([](test::Database& database, const test::Server& server) {
          test::Replicator replicator(database.options());
          static_cast<void>(replicator.add_replica<Account, 1>("accounts"));
          test::start_and_sync(replicator);
          write_backlog(database);
          database.catch_up(replicator);
          const milliseconds time = time_to_stop(server);
          server.start();
          return time;
        }) <= tolerance);
}

TEST_CASE("a fast shutdown of the server does not wait for a client that is held up by a reader", "[G7][G8]") {
  CHECK(time_that_a_client_costs([](test::Database& database, const test::Server& server) {
          test::Replicator replicator(database.options());
          const auto accounts = replicator.add_replica<Account, 1>("accounts");
          test::start_and_sync(replicator);
          const auto guard = accounts.read();
          const std::int64_t amount = guard.find(5)->amount;
          database.exec("UPDATE accounts SET amount = amount + 1");
          REQUIRE(test::eventually([&] { return test::commit_waits(replicator); }));
          write_backlog(database);
          const milliseconds time = time_to_stop(server);
          CHECK(guard.find(5)->amount == amount);
          server.start();
          return time;
        }) <= tolerance);
}

TEST_CASE("a client that follows another server at the old address has that server's rows and positions", "[G3][G5]") {
  const test::Server old_server = running_server();
  test::Database old_database({}, old_server.dsn());
  make_accounts(old_database);
  for (int i = 0; i < 3; ++i) old_database.exec("SELECT pg_switch_wal()");  // far ahead of the other

  const test::OwnServer own;
  own.start();
  test::Database new_database({}, own.dsn(), old_database.name());
  make_accounts(new_database);
  new_database.exec("DELETE FROM accounts WHERE id > 10");
  REQUIRE(new_database.position() < old_database.position());

  test::Proxy proxy(old_database.reader_dsn());
  test::EventLog log;
  btreemapped::Options options = old_database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto accounts = replicator.add_replica<Account, 1>("accounts");
  test::start_and_sync(replicator);
  proxy.cut();
  static_cast<void>(log.wait_for(EventKind::stale));
  proxy.lead_to(new_database.dsn());
  proxy.mend();
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  CHECK(accounts.size() == 11);
  new_database.exec("UPDATE accounts SET amount = 100; DELETE FROM accounts WHERE id = 0");
  new_database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(new_database));
  new_database.exec("UPDATE accounts SET amount = 200");
  new_database.catch_up(replicator);
  CHECK(accounts.to_vector() == table(new_database));
}

}  // namespace server_restart_test
