// What cannot be followed is refused before any slot exists, all of it at once, with the SQL that mends it.

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/replicator.hpp"

namespace preflight_test {

using btreemapped::EventKind;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;
};

struct OptionalItem {
  std::int32_t id;
  std::optional<std::string> name;
};

struct Misfit {
  std::int32_t id;
  std::int32_t name;
  bool missing;
};

const std::string item_table = "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); ";

/// What is said of a Replicator that must not start.
template <class Row = Item>
std::string complaint(const btreemapped::Options& options, const std::vector<std::string>& tables = {"items"}) {
  test::Replicator replicator(options);
  for (const std::string& table : tables) static_cast<void>(replicator.template add_replica<Row, 1>(table));
  replicator.start();
  try {
    test::wait_until_synced(replicator);
  } catch (const btreemapped::SchemaError& error) {
    return error.what();
  }
  FAIL("it started");
  return {};
}

bool has_slot(test::Database& database) {
  return database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") != "0";
}

TEST_CASE("a missing publication is named, with the SQL that makes it", "[preflight]") {
  test::Database database;
  database.exec(item_table);
  const std::string message = complaint(database.options());
  CHECK_THAT(message, ContainsSubstring("pub"));
  CHECK_THAT(message, ContainsSubstring("CREATE PUBLICATION"));
  CHECK_FALSE(has_slot(database));
}

TEST_CASE("a missing table is named", "[preflight]") {
  test::Database database;
  database.exec("CREATE PUBLICATION pub FOR ALL TABLES");
  CHECK_THAT(complaint(database.options(), {"nowhere"}), ContainsSubstring("public.nowhere"));
}

TEST_CASE("a missing column is named", "[preflight]") {
  test::Database database;
  database.exec(item_table + "CREATE PUBLICATION pub FOR ALL TABLES; ALTER TABLE items RENAME name TO title");
  const std::string message = complaint(database.options());
  CHECK_THAT(message, ContainsSubstring("public.items, column name"));
  CHECK_FALSE(has_slot(database));
}

TEST_CASE("a column of a wrong type is named, with its type", "[preflight]") {
  test::Database database;
  database.exec(item_table + "CREATE PUBLICATION pub FOR ALL TABLES; ALTER TABLE items ALTER id TYPE bigint");
  const std::string message = complaint(database.options());
  CHECK_THAT(message, ContainsSubstring("public.items, column id"));
  CHECK_THAT(message, ContainsSubstring("bigint"));
}

TEST_CASE("a table without a unique key is refused", "[preflight]") {
  test::Database database;
  database.exec("CREATE TABLE items (id int NOT NULL, name text NOT NULL); CREATE PUBLICATION pub FOR ALL TABLES");
  const std::string message = complaint(database.options());
  CHECK_THAT(message, ContainsSubstring("public.items"));
  CHECK_THAT(message, ContainsSubstring("PRIMARY KEY"));
}

TEST_CASE("a table without a unique key is refused, also when it is identified by its whole rows", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int NOT NULL, name text NOT NULL); ALTER TABLE items REPLICA IDENTITY FULL; INSERT INTO "
      "items VALUES (1, 'twice'), (1, 'twice'); CREATE INDEX ON items (id); CREATE PUBLICATION pub FOR ALL TABLES");
  CHECK_THAT(complaint(database.options()), ContainsSubstring("public.items: several rows may have the same key"));
}

TEST_CASE("a key that covers only a part of the primary key is refused", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int, name text, PRIMARY KEY (id, name)); CREATE PUBLICATION pub FOR ALL TABLES");
  CHECK_THAT(complaint(database.options()), ContainsSubstring("public.items"));
}

TEST_CASE("a replica identity without the key is refused, with the SQL that mends it", "[preflight]") {
  test::Database database;
  database.exec(item_table + "CREATE PUBLICATION pub FOR ALL TABLES; ALTER TABLE items REPLICA IDENTITY NOTHING");
  CHECK_THAT(complaint(database.options()), ContainsSubstring("REPLICA IDENTITY DEFAULT"));
}

TEST_CASE("a deferrable key without a full replica identity is refused", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY DEFERRABLE, name text NOT NULL); CREATE PUBLICATION pub FOR ALL TABLES");
  CHECK_THAT(complaint(database.options()), ContainsSubstring("REPLICA IDENTITY FULL"));
}

TEST_CASE("a table that is not published is refused, with the SQL that mends it", "[preflight]") {
  test::Database database;
  database.exec(item_table + "CREATE TABLE others (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE others");
  const std::string message = complaint(database.options());
  CHECK_THAT(message, ContainsSubstring("public.items"));
  CHECK_THAT(message, ContainsSubstring("ADD TABLE"));
}

TEST_CASE("a publication that leaves out some kinds of change is refused", "[preflight]") {
  test::Database database;
  database.exec(item_table + "CREATE PUBLICATION pub FOR TABLE items WITH (publish = 'insert, update')");
  const std::string message = complaint(database.options());
  CHECK_THAT(message, ContainsSubstring("delete"));
  CHECK_THAT(message, ContainsSubstring("truncate"));
}

TEST_CASE("a column that the publication's column list leaves out is named", "[preflight]") {
  test::Database database;
  database.exec(item_table + "CREATE PUBLICATION pub FOR TABLE items (id)");
  CHECK_THAT(complaint(database.options()), ContainsSubstring("public.items, column name"));
}

TEST_CASE("a generated column is refused", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text GENERATED ALWAYS AS ('a') STORED); CREATE PUBLICATION pub FOR "
      "ALL TABLES");
  CHECK_THAT(complaint<OptionalItem>(database.options()), ContainsSubstring("public.items, column name"));
}

TEST_CASE("a view is refused", "[preflight]") {
  test::Database database;
  database.exec("CREATE VIEW items AS SELECT 1 AS id, 'a'::text AS name; CREATE PUBLICATION pub FOR ALL TABLES");
  CHECK_THAT(complaint(database.options()), ContainsSubstring("public.items"));
}

TEST_CASE("a partitioned table that is published by its leaves is refused", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL) PARTITION BY RANGE (id);"
      "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (10); CREATE PUBLICATION pub FOR TABLE items");
  CHECK_THAT(complaint(database.options()), ContainsSubstring("publish_via_partition_root"));
}

TEST_CASE("row level security that would hide rows is refused", "[preflight]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(
      item_table +
      "CREATE PUBLICATION pub FOR TABLE items; ALTER TABLE items ENABLE ROW LEVEL SECURITY; GRANT SELECT ON items TO " +
      role);
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  CHECK_THAT(complaint(options), ContainsSubstring("security"));
}

TEST_CASE("missing rights are named, with the SQL that grants them", "[preflight]") {
  test::Database database;
  const std::string role = database.add_role();
  database.exec(item_table + "CREATE PUBLICATION pub FOR TABLE items");
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  CHECK_THAT(complaint(options), ContainsSubstring("GRANT SELECT"));
}

TEST_CASE("a role that may not replicate is told so", "[preflight]") {
  test::Database database;
  const std::string role = database.add_role("LOGIN");
  database.exec(item_table + "CREATE PUBLICATION pub FOR TABLE items; GRANT SELECT ON items TO " + role);
  btreemapped::Options options = database.options();
  options.connection = test::with_parts(database.dsn(), {{"user", role}});
  test::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  try {
    test::wait_until_synced(replicator);
    FAIL("it started");
  } catch (const btreemapped::Error& error) {
    CHECK_THAT(error.what(), ContainsSubstring("REPLICATION"));
    CHECK_FALSE(error.retryable());
  }
}

TEST_CASE("a database and a role that do not exist end the attempt for good", "[preflight]") {
  test::Database database;
  for (const std::string part : {"dbname", "user"}) {
    btreemapped::Options options = database.options();
    options.connection = test::with_parts(database.reader_dsn(), {{part, "no such " + part}});
    test::Replicator replicator(options);
    static_cast<void>(replicator.add_replica<Item, 1>("items"));
    replicator.start();
    CHECK_THROWS_AS(test::wait_until_synced(replicator), btreemapped::ConnectionError);
  }
}

TEST_CASE("all problems of all tables are reported at once", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE first (id bigint PRIMARY KEY, name text NOT NULL); CREATE TABLE second (id int, name int NOT NULL);"
      "CREATE TABLE third (id int PRIMARY KEY, name int NOT NULL, missing bool NOT NULL);"
      "CREATE PUBLICATION pub FOR TABLE first, third WITH (publish = 'insert')");
  const std::string message = complaint<Misfit>(database.options(), {"first", "second", "third", "fourth"});
  CHECK_THAT(message, ContainsSubstring("public.first, column id"));
  CHECK_THAT(message, ContainsSubstring("public.first, column name"));
  CHECK_THAT(message, ContainsSubstring("public.first, column missing"));
  CHECK_THAT(message, ContainsSubstring("public.second"));
  CHECK_THAT(message, ContainsSubstring("public.fourth"));
  CHECK_THAT(message, ContainsSubstring("truncate"));
  CHECK_FALSE(has_slot(database));
}

TEST_CASE("a problem of a table that is added twice is told once", "[preflight]") {
  test::Database database;
  database.exec("CREATE PUBLICATION pub");
  CHECK(complaint(database.options(), {"items", "items"}) == complaint(database.options()));
}

TEST_CASE("a missing publication does not hide the other problems", "[preflight]") {
  test::Database database;
  database.exec("CREATE TABLE items (id int PRIMARY KEY, title text NOT NULL)");
  const std::string message = complaint(database.options(), {"items", "nowhere"});
  CHECK_THAT(message, ContainsSubstring("CREATE PUBLICATION"));
  CHECK_THAT(message, ContainsSubstring("public.items, column name"));
  CHECK_THAT(message, ContainsSubstring("public.nowhere"));
}

TEST_CASE("a nullable column on a field that is not optional is a warning", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a'); CREATE PUBLICATION pub "
      "FOR TABLE items");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto optional_items = replicator.add_replica<OptionalItem, 1>("items");
  test::start_and_sync(replicator);
  const btreemapped::Event warning = log.wait_for(EventKind::warning);
  CHECK(warning.table == "public.items");
  CHECK_THAT(warning.message, ContainsSubstring("NULL"));
  CHECK(log.count(EventKind::warning) == 1);
  CHECK(items.size() == 1);
  CHECK(optional_items.size() == 1);
}

TEST_CASE("the SQL of the complaints mends what they complain of", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE items (id int NOT NULL, name text NOT NULL); CREATE TABLE others (id int PRIMARY KEY); CREATE "
      "PUBLICATION pub FOR TABLE others");
  std::string message = complaint(database.options());
  int steps = 0;
  for (std::size_t place = 0; (place = message.find("remedy: ", place)) != std::string::npos; ++steps) {
    place += 8;
    database.exec(message.substr(place, message.find('\n', place) - place));
  }
  CHECK(steps == 2);
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  CHECK(items.empty());
}

TEST_CASE("whatever is not an ordinary table is refused by its name", "[preflight]") {
  test::Database database;
  database.exec(
      "CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL); CREATE UNLOGGED TABLE unlogged (LIKE t INCLUDING ALL);"
      "CREATE TEMP TABLE temporary (LIKE t INCLUDING ALL); CREATE VIEW a_view AS TABLE t;"
      "CREATE MATERIALIZED VIEW materialized AS TABLE t; CREATE SEQUENCE a_sequence; CREATE TYPE composite AS (id int, "
      "name text); CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;"
      "CREATE FOREIGN TABLE remote (id int NOT NULL, name text NOT NULL) SERVER nowhere;"
      "CREATE PUBLICATION pub FOR ALL TABLES");
  const std::string schema = database.value("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()");
  struct Kind {
    std::string table, what;
  };
  for (const Kind& each : {Kind{"public.unlogged", "unlogged or temporary"},
                           {schema + ".temporary", "unlogged or temporary"},
                           {"public.a_view", "not a table"},
                           {"public.materialized", "not a table"},
                           {"public.a_sequence", "not a table"},
                           {"public.composite", "not a table"},
                           {"public.t_pkey", "not a table"},
                           {"public.remote", "not a table"},
                           {"pg_catalog.pg_class", "table of the system"},
                           {"information_schema.sql_features", "table of the system"},
                           {"pg_temp.temporary", "no such table"}}) {
    CAPTURE(each.table);
    const std::string message = complaint(database.options(), {each.table});
    CHECK_THAT(message, ContainsSubstring(each.table + ": "));
    CHECK_THAT(message, ContainsSubstring(each.what));
  }
}

}  // namespace preflight_test
