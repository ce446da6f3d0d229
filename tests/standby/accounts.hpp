#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"

// A primary, a standby of it, and a table on both.

namespace standby_test {

struct Account {
  std::int32_t id;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

using Accounts = btreemapped::Replica<Account, 1>;

inline std::vector<Account> read_accounts(const std::string& dsn) {
  std::vector<Account> out;
  for (const test::SqlRow& row : test::Sql(dsn).rows("SELECT id, amount FROM accounts ORDER BY id"))
    out.push_back({std::stoi(*row[0]), std::stoll(*row[1])});
  return out;
}

/// A transaction of a writer: inserts, updates and now and then a delete.
inline std::string change_accounts(std::mt19937_64& random) {
  const std::string id = std::to_string(random() % 200);
  return "INSERT INTO accounts VALUES (" + id +
         ", 0) ON CONFLICT (id) DO UPDATE SET amount = accounts.amount + 1; DELETE FROM accounts WHERE id = " +
         std::to_string(random() % 2000);
}

inline std::string port_of(const test::Server& server) { return test::parse_conninfo(server.dsn()).at("port"); }

/// The same database and role on another server.
inline std::string on(const test::Server& server, const std::string& dsn) {
  return test::with_parts(dsn, {{"port", port_of(server)}});
}

/// A database on the primary of the suite, with a table; the reader may do what the README grants for a standby.
class Bank {
 public:
  Bank() {
    database.exec(
        "CREATE TABLE accounts (id int PRIMARY KEY, amount bigint NOT NULL);"
        "INSERT INTO accounts SELECT id, id FROM generate_series(0, 99) id; CREATE PUBLICATION pub FOR TABLE accounts;"
        "GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO " +
        test::parse_conninfo(database.reader_dsn()).at("user"));
  }

  /// Returns when the standby has all that the primary has.
  void wait_for(const test::Server& standby) {
    // Not where it inserts: that may be behind the header of a page which nobody has begun.
    const std::string end = database.value("SELECT pg_current_wal_flush_lsn()");
    test::Sql sql(standby.dsn());
    const std::string is_there = "SELECT pg_last_wal_replay_lsn() >= '" + end + "'::pg_lsn";
    if (!test::eventually([&] { return sql.value(is_there) == "t"; }))
      throw std::runtime_error("the standby is not at " + end);
  }

  /// Options that follow the standby.
  [[nodiscard]] btreemapped::Options options(const test::Server& standby) {
    wait_for(standby);
    btreemapped::Options options = database.options();
    options.primary_connection = options.connection;
    options.connection = on(standby, options.connection);
    return options;
  }

  const test::Server primary = running();
  test::Database database;

 private:
  static test::Server running() {
    test::Server server = test::Server::of_suite();
    server.start();
    return server;
  }
};

/// A Replicator of the table, with its events.
class Follower {
 public:
  explicit Follower(btreemapped::Options options) : replicator(logged(std::move(options), log)) {}

  void start() { test::start_and_sync(replicator); }

  /// Is the replica what the table is on that server, by both ways to tell?
  void check_equal(const std::string& dsn) {
    const std::vector<Account> expected = read_accounts(dsn);
    CHECK(test::eventually([&] { return accounts.to_vector() == expected; }));
    replicator.prove();
    CHECK(accounts.state() == btreemapped::TableState::live);
  }

  test::EventLog log{};
  test::Replicator replicator;
  Accounts accounts = replicator.add_replica<Account, 1>("accounts");

 private:
  static btreemapped::Options logged(btreemapped::Options options, const test::EventLog& log) {
    options.on_event = log.hook();
    return options;
  }
};

}  // namespace standby_test
