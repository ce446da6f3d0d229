#include <memory>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/catalog.hpp>
#include <btreemapped/detail/sql/fingerprint.hpp>
#include <btreemapped/detail/sql/session.hpp>

#include "integration/server/server_database.hpp"

using btreemapped::detail::TableName;
using test::Interrupt;
using test::ServerDatabase;

namespace {

/// A database with the published table public.t, of which the library watches the columns id, v and w.
struct Watched {
  ServerDatabase db;
  test::sql::Session session;

  explicit Watched(const std::string& table = "CREATE TABLE public.t (id int PRIMARY KEY, v text, w int, other int)")
      : session(prepare(db, table), std::make_shared<Interrupt>()) {}

  static std::string prepare(ServerDatabase& db, const std::string& table) {
    db.exec(table);
    db.exec("CREATE PUBLICATION pub FOR TABLE public.t WITH (publish_via_partition_root = true)");
    return db.reader_dsn();
  }

  std::string fingerprint() {
    const TableName names[] = {{"public", "t"}};
    const std::string publications[] = {"pub"};
    return read_fingerprints(session, names, publications).at(0);
  }

  bool changes(const std::string& statements) {
    const std::string before = fingerprint();
    db.exec(statements);
    return fingerprint() != before;
  }
};

std::string mapped(const std::string& fingerprint) {
  const std::string columns[] = {"id", "v", "w"};
  const std::string key[] = {"id"};
  return btreemapped::detail::sql::fingerprint_of(fingerprint, columns, key);
}

}  // namespace

TEST_CASE("ordinary writes and upkeep leave the fingerprint as it is") {
  Watched watched;
  CHECK_FALSE(watched.changes("INSERT INTO public.t SELECT i, 'x' FROM generate_series(1, 1000) i"));
  CHECK_FALSE(watched.changes("UPDATE public.t SET v = 'y'; DELETE FROM public.t WHERE id > 500"));
  CHECK_FALSE(watched.changes("ANALYZE public.t"));
  CHECK_FALSE(watched.changes("VACUUM FULL public.t"));
  CHECK_FALSE(watched.changes("VACUUM FREEZE public.t"));
  CHECK_FALSE(watched.changes("CLUSTER public.t USING t_pkey"));
  CHECK_FALSE(watched.changes("REINDEX TABLE CONCURRENTLY public.t"));
  CHECK_FALSE(watched.changes("TRUNCATE public.t"));
  CHECK_FALSE(watched.changes("CREATE INDEX ON public.t (v)"));
  CHECK_FALSE(watched.changes("GRANT SELECT ON public.t TO public"));
}

TEST_CASE("upkeep of the catalog itself leaves the fingerprint as it is") {
  Watched watched;
  CHECK_FALSE(watched.changes("VACUUM FREEZE pg_catalog.pg_attribute"));
  CHECK_FALSE(watched.changes("VACUUM FULL pg_catalog.pg_attribute"));
}

TEST_CASE("a change of another table leaves the fingerprint as it is") {
  Watched watched;
  CHECK_FALSE(watched.changes("CREATE TABLE public.u (id int PRIMARY KEY); ALTER PUBLICATION pub ADD TABLE public.u"));
  CHECK_FALSE(watched.changes("DROP TABLE public.u"));
}

TEST_CASE("an ALTER that changes values and not the type changes the fingerprint") {
  Watched watched;
  CHECK(watched.changes("ALTER TABLE public.t ALTER w TYPE int USING w * 2"));
}

TEST_CASE("changed columns change the fingerprint") {
  Watched watched;
  CHECK(watched.changes("ALTER TABLE public.t ALTER w TYPE bigint"));
  CHECK(watched.changes("ALTER TABLE public.t ALTER w SET NOT NULL"));
  CHECK(watched.changes("ALTER TABLE public.t ALTER w DROP NOT NULL"));
  CHECK(
      watched.changes("ALTER TABLE public.t RENAME w TO x; ALTER TABLE public.t RENAME v TO w; "
                      "ALTER TABLE public.t RENAME x TO v"));
  CHECK(watched.changes("ALTER TABLE public.t DROP w; ALTER TABLE public.t ADD w int DEFAULT 7"));
}

TEST_CASE("columns of others that come and go change only the fingerprint of the whole table") {
  Watched watched;
  const std::string before = watched.fingerprint();
  CHECK(watched.changes("ALTER TABLE public.t ADD x int DEFAULT 5"));
  CHECK(watched.changes("ALTER TABLE public.t ALTER other TYPE bigint"));
  CHECK(watched.changes("ALTER TABLE public.t DROP other"));
  CHECK(mapped(watched.fingerprint()) == mapped(before));
  watched.db.exec("ALTER TABLE public.t ALTER w TYPE bigint");
  CHECK(mapped(watched.fingerprint()) != mapped(before));
}

TEST_CASE("a renamed, moved or re-created table changes the fingerprint") {
  Watched watched;
  CHECK(
      watched.changes("DROP TABLE public.t; CREATE TABLE public.t (id int PRIMARY KEY, v text, w int, other int); "
                      "ALTER PUBLICATION pub ADD TABLE public.t"));
  CHECK(watched.changes("ALTER TABLE public.t RENAME TO u"));
  CHECK(watched.fingerprint().empty());
  CHECK(watched.changes("ALTER TABLE public.u RENAME TO t"));
  CHECK(watched.changes("CREATE SCHEMA elsewhere; ALTER TABLE public.t SET SCHEMA elsewhere"));
}

TEST_CASE("another replica identity or primary key changes the fingerprint") {
  Watched watched;
  CHECK(watched.changes("ALTER TABLE public.t REPLICA IDENTITY FULL"));
  CHECK(watched.changes("ALTER TABLE public.t REPLICA IDENTITY NOTHING"));
  CHECK(watched.changes("ALTER TABLE public.t REPLICA IDENTITY DEFAULT"));
  CHECK(watched.changes("ALTER TABLE public.t DROP CONSTRAINT t_pkey"));
  CHECK(watched.changes("ALTER TABLE public.t ADD PRIMARY KEY (id, w)"));
}

TEST_CASE("changes of the publication change the fingerprint") {
  Watched watched;
  CHECK(watched.changes("ALTER PUBLICATION pub SET TABLE public.t (id, v)"));
  CHECK(watched.changes("ALTER PUBLICATION pub SET TABLE public.t WHERE (id > 5)"));
  CHECK(watched.changes("ALTER PUBLICATION pub SET TABLE public.t WHERE (id > 6)"));
  CHECK(watched.changes("ALTER PUBLICATION pub SET (publish = 'insert')"));
  CHECK(watched.changes("ALTER PUBLICATION pub DROP TABLE public.t"));
  CHECK(watched.changes("ALTER PUBLICATION pub ADD TABLES IN SCHEMA public"));
  CHECK(watched.changes("DROP PUBLICATION pub"));
}

TEST_CASE("a publication that is altered and altered back has another fingerprint") {
  Watched watched;
  CHECK(watched.changes("ALTER PUBLICATION pub DROP TABLE public.t; ALTER PUBLICATION pub ADD TABLE public.t"));
  CHECK(
      watched.changes("ALTER PUBLICATION pub SET (publish = 'insert'); "
                      "ALTER PUBLICATION pub SET (publish = 'insert, update, delete, truncate')"));
  CHECK(watched.changes("ALTER PUBLICATION pub ADD TABLES IN SCHEMA public"));
  CHECK(
      watched.changes("ALTER PUBLICATION pub DROP TABLES IN SCHEMA public; "
                      "ALTER PUBLICATION pub ADD TABLES IN SCHEMA public"));
  CHECK_FALSE(watched.changes("ALTER PUBLICATION pub SET TABLE public.t, TABLES IN SCHEMA public"));
}

TEST_CASE("a table that moves to another schema and back has another fingerprint") {
  Watched watched;
  watched.db.exec("CREATE SCHEMA elsewhere");
  CHECK(watched.changes("ALTER TABLE public.t SET SCHEMA elsewhere; ALTER TABLE elsewhere.t SET SCHEMA public"));
}

TEST_CASE("a renamed value of an enum changes the fingerprint, however deep the enum is used") {
  Watched watched(R"sql(
    CREATE TYPE public.mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN public.feeling AS public.mood;
    CREATE TYPE public.pair AS (left_one public.feeling, right_one int);
    CREATE TABLE public.t (id int PRIMARY KEY, v public.pair[], w int))sql");
  CHECK(watched.changes("ALTER TYPE public.mood RENAME VALUE 'sad' TO 'blue'"));
  CHECK(watched.changes("ALTER TYPE public.pair RENAME ATTRIBUTE right_one TO other"));
}

TEST_CASE("every change of what a column's type is made of changes the fingerprint") {
  Watched watched(R"sql(
    CREATE TYPE public.mood AS ENUM ('sad', 'happy');
    CREATE TYPE public.inner_pair AS (feeling public.mood, number int);
    CREATE DOMAIN public.inner_domain AS public.inner_pair;
    CREATE TYPE public.span AS RANGE (subtype = public.inner_pair);
    CREATE DOMAIN public.spans AS public.span_multirange;
    CREATE TYPE public.pair AS (spans public.spans[], inners public.inner_domain[]);
    CREATE TABLE public.place (street text, zip int);
    CREATE TABLE public.t (id int PRIMARY KEY, v public.pair[], w public.place, x text))sql");
  CHECK(watched.changes("ALTER TYPE public.mood ADD VALUE 'new'"));
  CHECK(watched.changes("ALTER TYPE public.mood RENAME VALUE 'new' TO 'newer'"));
  CHECK(watched.changes("ALTER TYPE public.inner_pair RENAME ATTRIBUTE number TO count"));
  CHECK(watched.changes("ALTER TYPE public.inner_pair ADD ATTRIBUTE more text"));
  CHECK(watched.changes("ALTER TYPE public.inner_pair DROP ATTRIBUTE more"));
  CHECK(watched.changes("ALTER TYPE public.inner_pair DROP ATTRIBUTE count, ADD ATTRIBUTE count bigint"));
  CHECK(watched.changes("ALTER TYPE public.pair ADD ATTRIBUTE more text"));
  CHECK(watched.changes("ALTER TABLE public.place ADD COLUMN house int"));
  CHECK(watched.changes("ALTER TABLE public.place RENAME COLUMN zip TO code"));
  CHECK(watched.changes("ALTER TABLE public.place DROP COLUMN code"));
}

TEST_CASE("what has no influence on a type's text leaves the fingerprint as it is") {
  Watched watched(R"sql(
    CREATE TYPE public.mood AS ENUM ('sad', 'happy'); CREATE TYPE public.pair AS (feeling public.mood, number int);
    CREATE TYPE public.other AS (a int);
    CREATE TABLE public.t (id int PRIMARY KEY, v public.pair[], w int, x public.other))sql");
  CHECK_FALSE(watched.changes("ALTER TYPE public.pair RENAME TO couple"));
  CHECK_FALSE(watched.changes("COMMENT ON TYPE public.couple IS 'two'; GRANT USAGE ON TYPE public.mood TO PUBLIC"));
  CHECK_FALSE(watched.changes("CREATE DOMAIN public.unused AS public.mood; CREATE TABLE public.u (c public.couple)"));
  const std::string before = watched.fingerprint();
  watched.db.exec("ALTER TYPE public.other ADD ATTRIBUTE b int");
  CHECK(watched.fingerprint() != before);
  CHECK(mapped(watched.fingerprint()) == mapped(before));
}

TEST_CASE("what happens to partitions changes the fingerprint") {
  Watched watched(R"sql(
    CREATE TABLE public.t (id int PRIMARY KEY, v text, w int) PARTITION BY RANGE (id);
    CREATE TABLE public.leaf PARTITION OF public.t FOR VALUES FROM (0) TO (10);
    CREATE TABLE public.branch PARTITION OF public.t FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
    CREATE TABLE public.twig PARTITION OF public.branch FOR VALUES FROM (10) TO (15);
    CREATE TABLE public.loose (id int PRIMARY KEY, v text, w int))sql");
  CHECK_FALSE(watched.changes("INSERT INTO public.t VALUES (1, 'x', 2); ANALYZE public.t"));
  CHECK(watched.changes("TRUNCATE public.leaf"));
  CHECK(watched.changes("TRUNCATE public.twig"));
  CHECK(watched.changes("ALTER TABLE public.t ATTACH PARTITION public.loose FOR VALUES FROM (20) TO (30)"));
  CHECK(watched.changes("ALTER TABLE public.t DETACH PARTITION public.loose"));
  CHECK(
      watched.changes("ALTER TABLE public.t DETACH PARTITION public.branch; ALTER TABLE public.t ATTACH PARTITION "
                      "public.branch FOR VALUES FROM (10) TO (20)"));
  CHECK(watched.changes("DROP TABLE public.twig"));
  CHECK(watched.changes("ALTER TABLE public.leaf REPLICA IDENTITY FULL"));
}

TEST_CASE("the loss of what makes the key unique changes the fingerprint, that of another index does not") {
  Watched watched("CREATE TABLE public.t (id int NOT NULL CONSTRAINT u UNIQUE, v text, w int, PRIMARY KEY (id, w))");
  const auto changes = [&](const std::string& statements) {
    const std::string before = mapped(watched.fingerprint());
    watched.db.exec(statements);
    return mapped(watched.fingerprint()) != before;
  };
  CHECK_FALSE(changes("CREATE UNIQUE INDEX vw ON public.t (v, w)"));
  CHECK_FALSE(changes("CREATE UNIQUE INDEX half ON public.t (id) WHERE w > 0"));
  CHECK_FALSE(changes("CREATE INDEX plain ON public.t (id)"));
  CHECK_FALSE(changes("REINDEX TABLE public.t; DROP INDEX public.vw"));
  CHECK(changes("ALTER TABLE public.t DROP CONSTRAINT u"));
  CHECK(changes("ALTER TABLE public.t ADD CONSTRAINT u UNIQUE (id) DEFERRABLE"));
  CHECK(changes("CREATE UNIQUE INDEX at_once ON public.t (id)"));
  CHECK_FALSE(changes("ALTER TABLE public.t DROP CONSTRAINT u"));
}

TEST_CASE("a table that was unlogged for a while can be told from one that was rewritten for another reason") {
  ServerDatabase db;
  db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text, other int); CREATE PUBLICATION pub FOR ALL TABLES");
  test::sql::Session session(db.reader_dsn(), std::make_shared<Interrupt>());
  const auto looks_unlogged_after = [&](const std::string& statements) {
    const TableName names[] = {{"public", "t"}};
    const std::string publications[] = {"pub"};
    const std::string before = read_fingerprints(session, names, publications).at(0);
    db.exec(statements);
    return test::sql::was_unlogged(before, read_fingerprints(session, names, publications).at(0));
  };
  CHECK(looks_unlogged_after("ALTER TABLE public.t SET UNLOGGED; ALTER TABLE public.t SET LOGGED"));
  CHECK_FALSE(looks_unlogged_after("VACUUM FULL public.t"));
  CHECK_FALSE(looks_unlogged_after("CLUSTER public.t USING t_pkey"));
  CHECK_FALSE(looks_unlogged_after("TRUNCATE public.t"));
  CHECK_FALSE(looks_unlogged_after("ALTER TABLE public.t ALTER other TYPE bigint"));
  CHECK_FALSE(looks_unlogged_after("ALTER TABLE public.t ADD random float DEFAULT random()"));
}

TEST_CASE("what a row filter reads is part of the fingerprint, though nobody mapped it") {
  Watched watched(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text, w int, a int, b int, c int GENERATED ALWAYS AS (a + b) "
      "STORED, d int); ALTER TABLE public.t REPLICA IDENTITY FULL");
  watched.db.exec("ALTER PUBLICATION pub SET TABLE public.t WHERE (a > 0 AND c > 0)");
  const auto changes = [&](const std::string& statements) {
    const std::string before = mapped(watched.fingerprint());
    watched.db.exec(statements);
    return mapped(watched.fingerprint()) != before;
  };
  CHECK_FALSE(changes("ALTER TABLE public.t ALTER a SET DEFAULT 7"));
  CHECK_FALSE(changes("ALTER TABLE public.t RENAME d TO e"));
  CHECK(
      changes("ALTER TABLE public.t RENAME a TO x; ALTER TABLE public.t RENAME b TO a; ALTER TABLE public.t RENAME x "
              "TO b"));
  if (watched.session.server_version() >= 170000) CHECK(changes("ALTER TABLE public.t ALTER c SET EXPRESSION AS (a)"));
}

TEST_CASE("inheritance children are not part of a table's fingerprint") {
  Watched watched;
  CHECK_FALSE(watched.changes("CREATE TABLE public.child () INHERITS (public.t); DROP TABLE public.child"));
}

TEST_CASE("names with line breaks and backslashes keep their fingerprints apart") {
  Watched watched("CREATE TABLE public.t (id int PRIMARY KEY, \"a\nb\" int, \"a\\nb\" int)");
  const std::string fingerprint = watched.fingerprint();
  const std::string one[] = {"a\nb"};
  const std::string other[] = {"a\\nb"};
  CHECK(test::sql::fingerprint_of(fingerprint, one, {}) != test::sql::fingerprint_of(fingerprint, other, {}));
}

TEST_CASE("the fingerprints of many tables are read in one query") {
  ServerDatabase db;
  std::vector<TableName> names;
  std::string create;
  for (int i = 0; i < 200; ++i) {
    names.push_back({"public", "t" + std::to_string(i)});
    create += "CREATE TABLE public." + names.back().name + " (id int PRIMARY KEY, v text);";
  }
  names.push_back({"public", "absent"});
  db.exec(create);
  db.exec("CREATE PUBLICATION pub FOR ALL TABLES");
  test::sql::Session session{db.reader_dsn(), std::make_shared<Interrupt>()};
  const std::string publications[] = {"pub"};
  const auto fingerprints = read_fingerprints(session, names, publications);
  REQUIRE(fingerprints.size() == 201);
  CHECK_FALSE(fingerprints[199].empty());
  CHECK(fingerprints[200].empty());
  const auto tables = read_tables(session, names, publications);
  REQUIRE(tables.size() == 201);
  CHECK(tables[199].shape.published);
  CHECK(tables[199].shape.columns.size() == 2);
  CHECK(tables[200].shape.oid == 0);
}
