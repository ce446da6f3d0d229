// What a role may not do for longer than a second, we must: the copy and the sessions that guard it.
#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace types_test {
namespace {

struct Document {
  std::int32_t id;
  std::string body;
};

}  // namespace

TEST_CASE("a copy that takes longer than a role's statements and idle transactions may is completed", "[values]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(
      "CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL); INSERT INTO documents SELECT id, repeat('x', "
      "100000) FROM generate_series(1, 300) id; CREATE PUBLICATION pub FOR TABLE documents; GRANT SELECT ON documents "
      "TO " +
      role);
  for (const std::string setting :
       {"statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout"})
    database.exec("ALTER ROLE " + role + " SET " + setting + " = '1s'");
  test::Proxy proxy(test::with_parts(database.dsn(), {{"user", role}}));
  proxy.hold_answer("COPY", 1'000'000);
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  const test::EventLog log;
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto documents = replicator.add_replica<Document, 1>("documents");
  replicator.start();
  proxy.wait_until_held();
  // The server's own clock: after this its timeouts would have struck.
  database.exec("SELECT pg_sleep(1.5)");
  proxy.release();
  test::wait_until_synced(replicator);
  CHECK(documents.size() == 300);
  CHECK(documents.get(300)->body == std::string(100'000, 'x'));
  // Not even a failed attempt, after which the next would have succeeded.
  CHECK(log.count(btreemapped::EventKind::connected) == 1);
  CHECK(log.count(btreemapped::EventKind::retrying) == 0);
}

TEST_CASE("a copy that pauses between two tables for longer than a role's transactions may be idle is completed",
          "[values]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(
      "CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL); INSERT INTO documents VALUES (1, 'a');"
      "CREATE TABLE others (LIKE documents INCLUDING ALL); CREATE PUBLICATION pub FOR TABLE documents, others;"
      "GRANT SELECT ON documents, others TO " +
      role + "; ALTER ROLE " + role + " SET idle_in_transaction_session_timeout = '1s'");
  test::Proxy proxy(test::with_parts(database.dsn(), {{"user", role}}));
  proxy.hold("COPY (", 2);
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  const test::EventLog log;
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto documents = replicator.add_replica<Document, 1>("documents");
  const auto others = replicator.add_replica<Document, 1>("others");
  replicator.start();
  proxy.wait_until_held();
  database.exec("SELECT pg_sleep(1.5)");
  proxy.release();
  test::wait_until_synced(replicator);
  CHECK(documents.size() == 1);
  CHECK(others.empty());
  CHECK(log.count(btreemapped::EventKind::connected) == 1);
  CHECK(log.count(btreemapped::EventKind::retrying) == 0);
}

TEST_CASE("a replica that is idle for longer than a role's sessions may be goes on", "[values]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(
      "CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL); CREATE PUBLICATION pub FOR TABLE documents; "
      "GRANT SELECT ON documents TO " +
      role);
  for (const std::string setting :
       {"statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout"})
    database.exec("ALTER ROLE " + role + " SET " + setting + " = '1s'");
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  const test::EventLog log;
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto documents = replicator.add_replica<Document, 1>("documents");
  test::start_and_sync(replicator);
  database.exec("SELECT pg_sleep(1.5)");
  database.exec("INSERT INTO documents VALUES (1, 'later')");
  database.catch_up(replicator);
  CHECK(documents.get(1)->body == "later");
  CHECK(log.count(btreemapped::EventKind::connected) == 1);
}

}  // namespace types_test
