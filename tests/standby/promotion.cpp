// What becomes of a reader when a standby is promoted.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "standby/accounts.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/load.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"

namespace standby_promotion_test {

using namespace standby_test;
using namespace std::chrono_literals;
using btreemapped::EventKind;
using btreemapped::Finding;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

/// A standby of the test's own, whose promotion does nobody harm.
class Successor : public test::OwnServer {
 public:
  explicit Successor(Bank& bank) : bank_(bank) {
    start_as_standby_of(bank.primary);
    slot_ = "standby_" + port_of(*this);
  }
  ~Successor() {
    bank_.primary.start();
    bank_.database.connect_again();
    forget();
    stop("immediate");
    // Its slot would keep the log.
    static_cast<void>(test::eventually([&] {
      return bank_.database.value("SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '" + slot_ +
                                  "'") == "0";
    }));
    bank_.database.exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '" +
                        slot_ + "' OR (slot_type = 'logical' AND database = current_database())");
  }

  /// Nothing of a failover slot is sent that this standby does not have.
  void be_waited_for() {
    bank_.database.exec("ALTER SYSTEM SET synchronized_standby_slots = '" + slot_ + "'");
    bank_.database.exec("SELECT pg_reload_conf()");
  }
  void forget() {
    bank_.database.exec("ALTER SYSTEM RESET synchronized_standby_slots");
    bank_.database.exec("SELECT pg_reload_conf()");
  }

  /// Returns when it would go on with this slot.
  void wait_until_ready(const std::string& slot) {
    test::Sql sql(dsn());
    REQUIRE(test::eventually([&] {
      bank_.database.exec("SELECT pg_log_standby_snapshot()");  // moves what the primary keeps for the slot
      return sql.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + slot +
                       "' AND synced AND NOT temporary AND invalidation_reason IS NULL") == "1";
    }));
  }

  /// Gets nothing from the primary any more, as behind a broken network.
  void cut_off() {
    test::Sql sql(dsn());
    sql.exec("ALTER SYSTEM SET primary_conninfo = ''");
    sql.exec("SELECT pg_reload_conf()");
    REQUIRE(test::eventually([&] { return sql.value("SELECT count(*) FROM pg_stat_wal_receiver") == "0"; }));
  }

  /// The primary is no more; this takes its place.
  void take_over() {
    bank_.primary.stop("immediate");
    promote();
  }

 private:
  Bank& bank_;
  std::string slot_{};
};

/// Options by which the reader finds whichever is the primary.
btreemapped::Options of_both(const Bank& bank, const test::Server& successor) {
  btreemapped::Options options = bank.database.options();
  const auto parts = test::parse_conninfo(options.connection);
  options.connection = test::with_parts(options.connection, {{"host", parts.at("host") + "," + parts.at("host")},
                                                             {"port", parts.at("port") + "," + port_of(successor)},
                                                             {"target_session_attrs", "read-write"}});
  return options;
}

btreemapped::Options with_failover_slot(btreemapped::Options options) {
  options.durable_slot = options.failover_slot = true;
  options.slot_name = "failover_" + std::to_string(std::random_device{}());
  return options;
}

std::string all_messages(const test::EventLog& log) {
  std::string out;
  for (const btreemapped::Event& each : log.all())
    out += std::string{to_string(each.kind)} + ": " + each.message + "\n";
  return out;
}

TEST_CASE("after a promotion the stream goes on from the failover slot, without a copy", "[G3]") {
  Bank bank;
  Successor successor(bank);
  const btreemapped::Options options = with_failover_slot(of_both(bank, successor));
  Follower follower(options);
  follower.start();
  successor.be_waited_for();
  successor.wait_until_ready(options.slot_name);
  {
    test::Load load(bank.database.dsn(), 3, change_accounts, test::Load::Lost::opens_again);
    REQUIRE(load.go_on_for(200));
    bank.primary.stop("immediate");  // under load
    load.stop();
  }
  static_cast<void>(follower.log.wait_for(EventKind::stale));
  const std::vector<Account> last = follower.accounts.to_vector();
  successor.promote();
  static_cast<void>(follower.log.wait_for(EventKind::resumed));
  const std::string dsn = on(successor, bank.database.dsn());
  follower.check_equal(dsn);
  test::Load load(dsn, 3, change_accounts);
  REQUIRE(load.go_on_for(200));
  load.stop();
  follower.check_equal(dsn);
  CHECK(follower.log.count(EventKind::synced) == 1);
  CHECK(follower.replicator.status().rebuilds == 0);
  // And it is as durable there as it was.
  test::Sql there(dsn);
  there.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'");
  static_cast<void>(follower.log.wait_for(EventKind::resumed, 2));
  there.exec("UPDATE accounts SET amount = -5 WHERE id < 5");
  follower.check_equal(dsn);
  follower.replicator.stop();
  CHECK(there.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + options.slot_name + "'") == "0");
}

TEST_CASE("with synchronized_standby_slots nothing is shown that the standby does not have", "[G3]") {
  Bank bank;
  Successor successor(bank);
  const btreemapped::Options options = with_failover_slot(of_both(bank, successor));
  Follower follower(options);
  follower.start();
  successor.be_waited_for();
  successor.wait_until_ready(options.slot_name);
  bank.database.exec("UPDATE accounts SET amount = -1 WHERE id = 1");
  REQUIRE(test::eventually([&] { return follower.accounts.get(1)->amount == -1; }));
  successor.cut_off();
  bank.database.exec("UPDATE accounts SET amount = -2 WHERE id = 1");  // will be lost with the primary
  CHECK_FALSE(follower.replicator.wait_for(bank.database.position(), 500ms));
  CHECK(follower.accounts.get(1)->amount == -1);
  successor.take_over();
  static_cast<void>(follower.log.wait_for(EventKind::resumed));
  const std::string dsn = on(successor, bank.database.dsn());
  test::Sql(dsn).exec("UPDATE accounts SET amount = -3 WHERE id = 2");
  follower.check_equal(dsn);
  CHECK(follower.accounts.get(1)->amount == -1);
  CHECK(follower.replicator.status().rebuilds == 0);
}

TEST_CASE("a commit that the promoted standby never had is taken back by a new copy", "[G3][G6]") {
  Bank bank;
  Successor successor(bank);
  const btreemapped::Options options = with_failover_slot(of_both(bank, successor));
  Follower follower(options);
  follower.start();
  successor.wait_until_ready(options.slot_name);
  bank.wait_for(successor);
  successor.cut_off();
  bank.database.exec("UPDATE accounts SET amount = -2 WHERE id = 1; INSERT INTO accounts VALUES (1000, 1)");
  REQUIRE(follower.replicator.wait_for(bank.database.position(), 10s));
  CHECK(follower.accounts.get(1)->amount == -2);
  successor.take_over();
  const std::string dsn = on(successor, bank.database.dsn());
  CHECK(follower.log.wait_for(EventKind::rebuilt).rows == 2);
  CHECK_THAT(all_messages(follower.log), ContainsSubstring("left the stream's before the stream's position"));
  CHECK(follower.log.count(EventKind::resumed) == 0);
  CHECK(follower.accounts.get(1)->amount == 1);
  CHECK_FALSE(follower.accounts.get(1000).has_value());
  follower.check_equal(dsn);
  // The new slot is a failover slot, too.
  CHECK(test::Sql(dsn).value("SELECT failover FROM pg_replication_slots WHERE slot_name = '" + options.slot_name +
                             "'") == "t");
}

TEST_CASE("without a failover slot a promotion costs a copy, and only what differs is published", "[G6]") {
  Bank bank;
  Successor successor(bank);
  Follower follower(of_both(bank, successor));
  follower.start();
  bank.database.exec("UPDATE accounts SET amount = -1 WHERE id < 10");
  REQUIRE(follower.replicator.wait_for(bank.database.position(), 10s));
  bank.wait_for(successor);
  bank.primary.stop("immediate");
  static_cast<void>(follower.log.wait_for(EventKind::stale));
  CHECK(follower.accounts.state() == TableState::stale);
  CHECK(follower.accounts.size() == 100);
  successor.promote();
  const std::string dsn = on(successor, bank.database.dsn());
  CHECK(follower.log.wait_for(EventKind::rebuilt).rows == 0);
  test::Sql(dsn).exec("UPDATE accounts SET amount = -2 WHERE id < 10");
  follower.check_equal(dsn);
}

TEST_CASE("a stream from a standby goes on while that is promoted", "[G3]") {
  Bank bank;
  Successor successor(bank);
  btreemapped::Options options = bank.options(successor);
  options.durable_slot = true;
  options.slot_name = "durable_" + std::to_string(std::random_device{}());
  options.catalog_watch_interval = 100ms;
  Follower follower(options);
  follower.start();
  bank.database.exec("UPDATE accounts SET amount = -1 WHERE id < 10");
  bank.wait_for(successor);
  successor.take_over();
  const std::string dsn = on(successor, bank.database.dsn());
  test::Sql there(dsn);
  there.exec("UPDATE accounts SET amount = -2 WHERE id < 10");
  follower.check_equal(dsn);
  CHECK(follower.log.count(EventKind::stale) == 0);
  CHECK(follower.replicator.catch_up(10s));
  // A lost connection on the new timeline.
  there.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'");
  there.exec("UPDATE accounts SET amount = -3 WHERE id < 10");
  static_cast<void>(follower.log.wait_for(EventKind::resumed));
  follower.check_equal(dsn);
  CHECK(follower.log.count(EventKind::synced) == 1);
}

TEST_CASE("a standby that keeps the slot for its promotion is waited for, wherever the connection leads", "[G3]") {
  Bank bank;
  Successor successor(bank);
  btreemapped::Options options = with_failover_slot(of_both(bank, successor));
  options.connection = test::with_parts(options.connection, {{"target_session_attrs", "any"}});
  Follower follower(options);
  follower.start();
  successor.be_waited_for();
  successor.wait_until_ready(options.slot_name);
  bank.primary.stop("immediate");
  CHECK_THAT(follower.log.wait_for(EventKind::slot_waiting).message, ContainsSubstring("target_session_attrs"));
  successor.promote();
  static_cast<void>(follower.log.wait_for(EventKind::resumed));
  follower.check_equal(on(successor, bank.database.dsn()));
  INFO(all_messages(follower.log));
  CHECK(follower.log.count(EventKind::synced) == 1);
}

bool mentions(const btreemapped::Diagnosis& diagnosis, const std::string& text) {
  return std::any_of(diagnosis.findings.begin(), diagnosis.findings.end(),
                     [&](const Finding& each) { return (each.what + each.remedy).find(text) != std::string::npos; });
}

TEST_CASE("doctor() says what a failover slot lacks on the primary and on the standby", "[doctor]") {
  Bank bank;
  Successor successor(bank);
  bank.wait_for(successor);
  btreemapped::Options options = with_failover_slot(bank.database.options());
  const auto here = [&] { return btreemapped::doctor(options); };
  CHECK(mentions(here(), "synchronized_standby_slots is empty"));
  successor.be_waited_for();
  REQUIRE(test::eventually([&] { return !mentions(here(), "synchronized_standby_slots is empty"); }));
  CHECK_FALSE(mentions(here(), "which no standby uses"));

  options.connection = on(successor, bank.database.dsn());  // the operator's, who may read primary_conninfo
  const auto there = [&] { return btreemapped::doctor(options); };
  CHECK(mentions(there(), "no failover slot can be made"));
  CHECK_FALSE(mentions(there(), "sync_replication_slots"));
  CHECK_FALSE(mentions(there(), "dbname"));
  test::Sql sql(successor.dsn());
  const auto lacks = [&](const std::string& setting, const std::string& text) {
    INFO(setting);
    sql.exec("ALTER SYSTEM SET " + setting);
    sql.exec("SELECT pg_reload_conf()");
    CHECK(test::eventually([&] { return mentions(there(), text); }));
  };
  lacks("sync_replication_slots = off", "sync_replication_slots is off");
  lacks("hot_standby_feedback = off", "without hot_standby_feedback");
  lacks("primary_conninfo = 'host=127.0.0.1 port=" + port_of(bank.primary) + " user=postgres'",
        "primary_conninfo has no dbname");
  options.connection = bank.database.reader_dsn();
  CHECK(test::eventually([&] { return mentions(here(), "does not feed back"); }));
  successor.stop("fast");
  CHECK(test::eventually([&] { return mentions(here(), "which no standby uses"); }));
}

}  // namespace standby_promotion_test
