// Following a standby.

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "standby/accounts.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/proxy.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"

namespace standby_following_test {

using namespace standby_test;
using namespace std::chrono_literals;
using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

test::Server running_standby() {
  test::Server server = test::Server::standby_of_suite();
  server.start();
  return server;
}

TEST_CASE("a standby is followed under load, and what it shows is proven equal to it", "[G2][G10]") {
  Bank bank;
  const test::Server standby = running_standby();
  Follower follower(bank.options(standby));
  test::Load load(bank.database.dsn(), 3, change_accounts);
  REQUIRE(load.go_on_for(50));
  const auto begin = std::chrono::steady_clock::now();
  follower.start();
  CHECK(std::chrono::steady_clock::now() - begin < 5s);  // not the 15 s of the primary's own record
  for (int round = 0; round < 5; ++round) {
    REQUIRE(load.go_on_for(50));
    const auto report = follower.replicator.verify(follower.accounts);
    INFO(report.why);
    CHECK(report.verdict == btreemapped::Verdict::equal);
  }
  load.stop();
  CHECK(follower.replicator.wait_for(bank.database.position(), 10s));
  CHECK(follower.accounts.to_vector() == read_accounts(bank.database.dsn()));
  CHECK(test::Sql(on(standby, bank.database.dsn()))
            .value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "1");
  follower.check_equal(on(standby, bank.database.dsn()));
}

TEST_CASE("barriers reach from a writer on the primary to a reader of its standby", "[G9]") {
  Bank bank;
  const test::Server standby = running_standby();
  Follower follower(bank.options(standby));
  follower.start();
  test::Sql writer(bank.database.dsn());
  for (int round = 1; round <= 20; ++round) {
    const std::string amount = std::to_string(1000 + round);
    btreemapped::Token token = follower.replicator.token();
    writer.exec("BEGIN; UPDATE accounts SET amount = " + amount + " WHERE id = 1");
    token.use_xid(writer.value(token.sql()));
    writer.exec("COMMIT");
    REQUIRE(follower.replicator.wait_for(token, 10s));
    CHECK(follower.accounts.get(1)->amount == 1000 + round);
    writer.exec("UPDATE accounts SET amount = " + amount + " WHERE id = 2");
    REQUIRE(follower.replicator.wait_for(writer.position(), 10s));
    CHECK(follower.accounts.get(2)->amount == 1000 + round);
  }
  // What the standby had replayed when it was asked.
  writer.exec("UPDATE accounts SET amount = 7 WHERE id = 3");
  bank.wait_for(standby);
  REQUIRE(follower.replicator.catch_up(10s));
  CHECK(follower.accounts.get(3)->amount == 7);
}

TEST_CASE("never_ahead of a standby's readers is kept, too", "[never_ahead]") {
  Bank bank;
  const test::Server standby = running_standby();
  btreemapped::Options options = bank.options(standby);
  options.never_ahead = true;
  Follower follower(options);
  follower.start();
  test::Sql reader(on(standby, bank.database.dsn()));
  for (int round = 1; round <= 50; ++round) {
    bank.database.exec("UPDATE accounts SET amount = amount + 1000 WHERE id = 1");
    REQUIRE(test::eventually([&] { return follower.accounts.get(1)->amount == 1 + 1000 * round; }));
    CHECK(reader.value("SELECT amount FROM accounts WHERE id = 1") == std::to_string(1 + 1000 * round));
  }
}

/// Stops the process of the primary that logs which transactions run, once in a while.
class NoRecords {
 public:
  explicit NoRecords(Bank& bank)
      : bank_(bank),
        pid_(bank.database.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'background writer'")) {
    bank_.primary.signal("STOP", pid_);
  }
  NoRecords(const NoRecords&) = delete;
  NoRecords& operator=(const NoRecords&) = delete;
  ~NoRecords() { bank_.primary.signal("CONT", pid_); }

 private:
  Bank& bank_;
  const std::string pid_;
};

/// The slot of a proof needs a record, too.
void end_proved(Bank& bank, Follower& follower) {
  {
    const test::Load records(bank.database.dsn(), 1,
                             [](std::mt19937_64&) { return "SELECT pg_log_standby_snapshot()"; });
    follower.replicator.prove();
  }
  follower.replicator.stop();
}

TEST_CASE("a slot on the standby of an idle primary waits, and says for what", "[G7]") {
  Bank bank;
  const test::Server standby = running_standby();
  const NoRecords none(bank);
  btreemapped::Options options = bank.options(standby);
  options.primary_connection.clear();
  Follower follower(options);
  follower.replicator.start();
  CHECK_THAT(follower.log.wait_for(EventKind::slot_waiting).message,
             ContainsSubstring("SELECT pg_log_standby_snapshot()") && ContainsSubstring("primary_connection"));
  bank.database.exec("SELECT pg_log_standby_snapshot()");
  static_cast<void>(follower.log.wait_for(EventKind::synced));
  CHECK(follower.accounts.to_vector() == read_accounts(bank.database.dsn()));
  end_proved(bank, follower);
}

TEST_CASE("a slot on a standby that does not come in time is asked for again, and leaves nothing behind", "[G7]") {
  Bank bank;
  const test::Server standby = running_standby();
  const NoRecords none(bank);
  btreemapped::Options options = bank.options(standby);
  options.primary_connection.clear();
  options.slot_timeout = 1s;
  Follower follower(options);
  follower.replicator.start();
  static_cast<void>(follower.log.wait_for(EventKind::retrying));
  bank.database.exec("SELECT pg_log_standby_snapshot()");
  REQUIRE(test::eventually([&] {
    if (follower.log.count(EventKind::synced) > 0) return true;
    bank.database.exec("SELECT pg_log_standby_snapshot()");
    return false;
  }));
  test::Sql operator_there(on(standby, bank.database.dsn()));
  const std::string slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
  CHECK(test::eventually([&] { return operator_there.value(slots) == "1"; }));
  follower.replicator.ends_unproved("a slot for the proof would need another record");
  const auto begin = std::chrono::steady_clock::now();
  follower.replicator.stop();
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  CHECK(test::eventually([&] { return operator_there.value(slots) == "0"; }));
}

TEST_CASE("stop() is prompt while a slot on a standby waits", "[G7]") {
  Bank bank;
  const test::Server standby = running_standby();
  const NoRecords none(bank);
  btreemapped::Options options = bank.options(standby);
  options.primary_connection.clear();
  Follower follower(options);
  follower.replicator.start();
  static_cast<void>(follower.log.wait_for(EventKind::slot_waiting));
  const auto begin = std::chrono::steady_clock::now();
  follower.replicator.stop();
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  test::Sql operator_there(on(standby, bank.database.dsn()));
  CHECK(test::eventually([&] {
    return operator_there.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == "0";
  }));
}

TEST_CASE("a primary_connection that may not ask for the record is told the right that it lacks", "[G7]") {
  Bank bank;
  const test::Server standby = running_standby();
  const NoRecords none(bank);
  btreemapped::Options options = bank.options(standby);
  const std::string role = test::parse_conninfo(bank.database.reader_dsn()).at("user");
  bank.database.exec("REVOKE EXECUTE ON FUNCTION pg_log_standby_snapshot() FROM " + role);
  Follower follower(options);
  follower.replicator.start();
  CHECK_THAT(follower.log.wait_for(EventKind::slot_waiting).message,
             ContainsSubstring("GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO \"" + role + "\""));
  bank.database.exec("GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO " + role);
  static_cast<void>(follower.log.wait_for(EventKind::synced));
}

TEST_CASE("no message about a primary_connection that cannot be used holds its password", "[G7]") {
  Bank bank;
  const test::Server standby = running_standby();
  const NoRecords none(bank);
  const std::string password = "s3cret-w0rd";
  for (const std::string part : {"port", "user", "dbname"}) {
    CAPTURE(part);
    btreemapped::Options options = bank.options(standby);
    options.primary_connection = test::with_parts(options.primary_connection,
                                                  {{"password", password}, {part, part == "port" ? "1" : "nobody's"}});
    Follower follower(options);
    follower.replicator.start();
    std::string told = follower.log.wait_for(EventKind::slot_waiting).message;
    CHECK_THAT(told, ContainsSubstring("Options::primary_connection did not bring it"));
    follower.replicator.stop();
    for (const btreemapped::Event& event : follower.log.all()) told += event.message;
    for (const btreemapped::Finding& each : btreemapped::doctor(options).findings) told += to_string(each);
    CHECK_THAT(told + follower.replicator.status().last_error, !ContainsSubstring(password));
  }
}

TEST_CASE("a table of a standby that is altered on the primary is copied afresh by itself", "[G4]") {
  Bank bank;
  const test::Server standby = running_standby();
  btreemapped::Options options = bank.options(standby);
  options.catalog_watch_interval = 100ms;
  Follower follower(options);
  follower.start();
  bank.database.exec("ALTER TABLE accounts ALTER amount TYPE bigint USING amount * 2");
  static_cast<void>(follower.log.wait_for(EventKind::table_healed));
  CHECK(follower.log.count(EventKind::synced) == 1);
  follower.check_equal(bank.database.dsn());
}

TEST_CASE("a durable slot on a standby costs no copy after a lost connection or a restart", "[G3]") {
  Bank bank;
  const test::Server standby = running_standby();
  btreemapped::Options options = bank.options(standby);
  test::Proxy proxy(options.connection);
  options.connection = proxy.dsn();
  options.durable_slot = true;
  options.slot_name = "durable_" + std::to_string(std::random_device{}());
  Follower follower(options);
  follower.start();
  proxy.cut();
  static_cast<void>(follower.log.wait_for(EventKind::stale));
  bank.database.exec("UPDATE accounts SET amount = -1 WHERE id < 50");
  proxy.mend();
  static_cast<void>(follower.log.wait_for(EventKind::resumed));
  standby.restart("fast");
  static_cast<void>(follower.log.wait_for(EventKind::resumed, 2));
  bank.database.exec("UPDATE accounts SET amount = -2 WHERE id < 10");
  follower.check_equal(bank.database.dsn());
  CHECK(follower.log.count(EventKind::synced) == 1);
  follower.replicator.stop();
  CHECK(test::Sql(standby.dsn())
            .value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + options.slot_name + "'") == "0");
}

/// The primary, which hears nothing from the standby meanwhile, removes rows of the catalog that transactions of the
/// standby's slots may need, until `noticed`.
template <class Noticed>
void remove_needed_rows(Bank& bank, const test::Server& standby, const Noticed& noticed) {
  struct Feedback {
    explicit Feedback(const test::Server& server) : sql(server.dsn()) { set("off"); }
    ~Feedback() { set("on"); }
    void set(const std::string& value) {
      sql.exec("ALTER SYSTEM SET hot_standby_feedback = " + value);
      sql.exec("SELECT pg_reload_conf()");
    }
    test::Sql sql;
  };
  const Feedback none(standby);
  REQUIRE(test::eventually([&] {
    return bank.database.value(
               "SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND xmin IS "
               "NULL AND catalog_xmin IS NULL AND slot_name = 'standby_" +
               port_of(standby) + "'") == "1";
  }));
  REQUIRE(test::eventually([&] {
    bank.database.exec("CREATE TABLE passing (id int)");  // a row that goes with its own transaction is nobody's
    bank.database.exec("DROP TABLE passing");
    bank.database.exec("VACUUM pg_class");
    return noticed();
  }));
}

TEST_CASE("a slot that the standby had to give up is replaced, with a new copy", "[G3]") {
  Bank bank;
  const test::Server standby = running_standby();
  btreemapped::Options options = bank.options(standby);
  options.durable_slot = true;
  options.slot_name = "durable_" + std::to_string(std::random_device{}());
  Follower follower(options);
  follower.start();
  remove_needed_rows(bank, standby, [&] { return follower.log.count(EventKind::stale) > 0; });
  static_cast<void>(follower.log.wait_for_message("the server has given up replication slot"));
  static_cast<void>(follower.log.wait_for(EventKind::synced, 2));
  CHECK(follower.log.count(EventKind::resumed) == 0);
  bank.database.exec("UPDATE accounts SET amount = -2 WHERE id < 10");
  follower.check_equal(bank.database.dsn());
}

TEST_CASE("why the standby gave up a slot that nobody read from is told before the new copy", "[G3]") {
  Bank bank;
  const test::Server standby = running_standby();
  btreemapped::Options options = bank.options(standby);
  test::Proxy proxy(options.connection);
  options.connection = proxy.dsn();
  options.durable_slot = true;
  options.slot_name = "durable_" + std::to_string(std::random_device{}());
  Follower follower(options);
  follower.start();
  proxy.cut();
  static_cast<void>(follower.log.wait_for(EventKind::stale));
  test::Sql operator_there(standby.dsn());
  remove_needed_rows(bank, standby, [&] {
    return operator_there.value(
               "SELECT count(*) FROM pg_replication_slots WHERE invalidation_reason = 'rows_removed' "
               "AND slot_name = '" +
               options.slot_name + "'") == "1";
  });
  proxy.mend();
  CHECK_THAT(follower.log.wait_for_message("the server has given up replication slot").message,
             ContainsSubstring("\"" + options.slot_name + "\" (invalidation_reason rows_removed)"));
  static_cast<void>(follower.log.wait_for(EventKind::synced, 2));
  CHECK(follower.log.count(EventKind::resumed) == 0);
  follower.check_equal(bank.database.dsn());
}

TEST_CASE("a primary whose wal_level was lowered stops its standby's readers, until it is mended", "[G5]") {
  Bank bank;
  const test::Server standby = running_standby();
  Follower follower(bank.options(standby));
  follower.start();
  const auto set_level = [&](const std::string& level) {
    bank.database.connect_again();
    bank.database.exec("ALTER SYSTEM SET wal_level = " + level);
    bank.primary.restart("fast");
    bank.database.connect_again();
  };
  set_level("replica");
  static_cast<void>(follower.log.wait_for(EventKind::stale));
  bank.database.exec("UPDATE accounts SET amount = -1");
  CHECK_THAT(follower.log.wait_for(EventKind::retrying).message, ContainsSubstring("wal_level"));
  CHECK(follower.accounts.state() == TableState::stale);
  CHECK(follower.accounts.get(1)->amount == 1);
  set_level("logical");
  static_cast<void>(follower.log.wait_for(EventKind::synced, 2));
  follower.check_equal(bank.database.dsn());
}

TEST_CASE("what cannot be done on a standby is refused with what to do on the primary", "[preflight]") {
  Bank bank;
  const test::Server standby = running_standby();
  btreemapped::Options options = bank.options(standby);
  options.publication = "missing";
  options.create_publication = true;
  Follower follower(options);
  CHECK_THROWS_WITH(follower.start(),
                    ContainsSubstring("CREATE PUBLICATION \"missing\"") && ContainsSubstring("-- on the primary"));
  options.publication = "pub";
  options.create_publication = false;
  options.durable_slot = options.failover_slot = true;
  options.slot_name = "failover";
  Follower second(options);
  CHECK_THROWS_WITH(second.start(), ContainsSubstring("no failover slot can be made"));
}

}  // namespace standby_following_test
