#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/catalog.hpp>
#include <btreemapped/detail/sql/publication.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/preflight.hpp>

#include "integration/server/server_database.hpp"

using btreemapped::SchemaError;
using btreemapped::SqlType;
using btreemapped::detail::ColumnShape;
using btreemapped::detail::describe;
using btreemapped::detail::FieldNeed;
using btreemapped::detail::Problem;
using btreemapped::detail::ServerShape;
using btreemapped::detail::TableName;
using btreemapped::detail::TableToJudge;
using btreemapped::detail::sql::TableFacts;
using Catch::Matchers::ContainsSubstring;
using test::Interrupt;
using test::ServerDatabase;

namespace {

constexpr auto integer = [](const SqlType& type) { return type.base == 23; };
constexpr auto anything = [](const SqlType&) { return true; };

/// struct { int id; std::optional<std::string> v; } with the key id.
std::vector<FieldNeed> simple_row() {
  return {{"id", "int", integer, false, true}, {"v", "text", anything, true, false}};
}

struct Preflight {
  ServerDatabase db;
  std::string role;  ///< the one that asks; with the README's rights if empty
  std::vector<std::string> publications{"pub"};
  TableName name{"public", "t"};
  std::vector<FieldNeed> row = simple_row();
  bool creates_publication = false;

  [[nodiscard]] std::string dsn() const { return role.empty() ? db.reader_dsn() : db.dsn(role); }

  TableFacts facts() {
    test::sql::Session session{dsn(), std::make_shared<Interrupt>()};
    return read_tables(session, std::span{&name, 1}, publications).at(0);
  }

  std::vector<Problem> problems() {
    test::sql::Session session{dsn(), std::make_shared<Interrupt>()};
    const ServerShape server = read_server(session, publications);
    const auto tables = read_tables(session, std::span{&name, 1}, publications);
    const TableToJudge to_judge[] = {{tables.at(0), row}};
    return judge({server, creates_publication}, to_judge);
  }

  /// Runs the SQL that the one problem suggests; then there is none.
  void expect(std::string_view what, Problem::Severity severity = Problem::Severity::error) {
    const auto found = problems();
    INFO(describe(found));
    REQUIRE(found.size() == 1);
    CHECK(found[0].severity == severity);
    CHECK_THAT(found[0].what, ContainsSubstring(std::string{what}));
    db.exec(found[0].remedy);
    const auto left = problems();
    INFO("after the remedy: " << describe(left));
    CHECK(left.empty());
  }

  /// A problem that SQL alone does not mend.
  void expect_only(std::string_view what) {
    const auto found = problems();
    INFO(describe(found));
    REQUIRE(found.size() == 1);
    CHECK(found[0].severity == Problem::Severity::error);
    CHECK_FALSE(found[0].remedy.empty());
    CHECK_THAT(found[0].what, ContainsSubstring(std::string{what}));
  }
};

constexpr auto warning = Problem::Severity::warning;

}  // namespace

TEST_CASE("a fitting table has no problem") {
  Preflight preflight;
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE public.t");
  CHECK(preflight.problems().empty());
}

TEST_CASE("the server is read as it is") {
  ServerDatabase db;
  db.exec("CREATE PUBLICATION \"Some pub\" WITH (publish = 'insert, truncate')");
  const std::string role = db.add_role("");
  test::sql::Session session{db.dsn(role), std::make_shared<Interrupt>()};
  const std::string publications[] = {"Some pub", "none"};
  const ServerShape server = read_server(session, publications);
  CHECK(std::to_string(server.version) == db.value("SHOW server_version_num"));
  CHECK(server.system_identifier == db.value("SELECT system_identifier FROM pg_control_system()"));
  CHECK(server.wal_level == "logical");
  CHECK(server.role == role);
  CHECK_FALSE(server.in_recovery);
  CHECK(std::to_string(server.max_slots) == db.value("SHOW max_replication_slots"));
  CHECK(std::to_string(server.max_senders) == db.value("SHOW max_wal_senders"));
  REQUIRE(server.publications.size() == 2);
  CHECK(server.publications[0].exists);
  CHECK(server.publications[0].inserts);
  CHECK_FALSE(server.publications[0].updates);
  CHECK_FALSE(server.publications[0].deletes);
  CHECK(server.publications[0].truncates);
  CHECK_FALSE(server.publications[1].exists);
}

TEST_CASE("our own replication session does not count as a used walsender") {
  ServerDatabase db;
  auto stream = test::pq::Connection::open(
      test::pq::with_overrides(db.reader_dsn(), std::vector<test::pq::ConninfoOverride>{{"replication", "database"}}),
      std::make_shared<Interrupt>(), test::soon());
  test::sql::Session session{db.reader_dsn(), std::make_shared<Interrupt>()};
  const int all = read_server(session, {}).used_senders;
  CHECK(all >= 1);
  CHECK(read_server(session, {}, stream.backend_pid()).used_senders == all - 1);
}

TEST_CASE("a missing publication is found") {
  Preflight preflight;
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text)");
  preflight.expect("there is no publication pub");
}

TEST_CASE("a missing publication of a partitioned table is made for its own name") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT");
  preflight.expect("there is no publication pub");
}

TEST_CASE("a missing publication that will be created is no problem, and then it fits") {
  Preflight preflight;
  preflight.creates_publication = true;
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text)");
  CHECK(preflight.problems().empty());
  const auto facts = preflight.facts();
  test::sql::Session session{preflight.db.dsn(), std::make_shared<Interrupt>()};
  create_publication(session, "pub", std::span{&facts.shape, 1});
  create_publication(session, "pub", std::span{&facts.shape, 1});  // somebody was faster
  preflight.creates_publication = false;
  CHECK(preflight.problems().empty());
}

TEST_CASE("no publication is created for a table whose updates it would break") {
  Preflight preflight;
  preflight.creates_publication = true;
  preflight.db.exec("CREATE TABLE public.t (id int UNIQUE NOT NULL, v text)");
  CHECK_FALSE(preflight.problems().empty());
  const auto facts = preflight.facts();
  test::sql::Session session{preflight.db.dsn(), std::make_shared<Interrupt>()};
  CHECK_THROWS_AS(create_publication(session, "pub", std::span{&facts.shape, 1}), SchemaError);
  CHECK(preflight.db.value("SELECT count(*) FROM pg_publication") == "0");
}

TEST_CASE("a table that does not exist is found") {
  Preflight preflight;
  preflight.db.exec("CREATE PUBLICATION pub");
  preflight.expect_only("no such table");
}

TEST_CASE("a view is not a table") {
  Preflight preflight;
  preflight.db.exec("CREATE VIEW public.t AS SELECT 1 AS id, 'x' AS v; CREATE PUBLICATION pub");
  preflight.expect_only("not a table");
}

TEST_CASE("a table that is not published is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE TABLE public.child () INHERITS (public.t);"
      "CREATE PUBLICATION pub");
  preflight.expect("does not publish it");
  CHECK(preflight.db.value("SELECT count(*) FROM pg_publication_tables") == "1");
}

TEST_CASE("a partitioned table that is not published is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT; CREATE PUBLICATION pub");
  preflight.expect("does not publish it");
}

TEST_CASE("a publication that leaves out operations is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text);"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish = 'insert, update')");
  preflight.expect("delete, truncate");
}

TEST_CASE("operations published for another table do not count") {
  Preflight preflight;
  preflight.publications = {"pub", "other"};
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE TABLE public.u (id int PRIMARY KEY);"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish = 'insert');"
      "CREATE PUBLICATION other FOR TABLE public.u");
  preflight.expect("update, delete, truncate");
}

TEST_CASE("two publications may share the operations of a table") {
  Preflight preflight;
  preflight.publications = {"pub", "other"};
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text);"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish = 'insert, update');"
      "CREATE PUBLICATION other FOR ALL TABLES WITH (publish = 'delete, truncate')");
  CHECK(preflight.problems().empty());
}

TEST_CASE("a partitioned table published by its partitions is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT; CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("names of its partitions");
}

TEST_CASE("a partition published as its root is found") {
  Preflight preflight;
  preflight.name = {"public", "leaf"};
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT;"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish_via_partition_root = true)");
  preflight.expect_only("under the name of public.t");
}

TEST_CASE("a partition that one publication lists and another publishes as its root is found") {
  Preflight preflight;
  preflight.name = {"public", "leaf"};
  preflight.publications = {"pub", "root_pub"};
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT; CREATE PUBLICATION pub FOR TABLE public.leaf;"
      "CREATE PUBLICATION root_pub FOR TABLE public.t WITH (publish_via_partition_root = true)");
  preflight.expect_only("under the name of public.t");
}

TEST_CASE("a partition published under its own name fits") {
  Preflight preflight;
  preflight.name = {"public", "leaf"};
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT; CREATE PUBLICATION pub FOR TABLE public.t");
  CHECK(preflight.problems().empty());
}

TEST_CASE("a missing column is found") {
  Preflight preflight;
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect_only("no such column");
}

TEST_CASE("a column outside the publication's column list is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE TABLE public.u (id int PRIMARY KEY);"
      "CREATE PUBLICATION pub FOR TABLE public.t (id) WHERE (id > 5), public.u");
  preflight.row.pop_back();
  CHECK(preflight.problems().empty());
  const auto before = preflight.facts().shape.row_filter;
  preflight.row = {{"id", "int", integer, false, true}, {"v", "int", anything, true, false}};
  preflight.db.exec("ALTER TABLE public.t ALTER v TYPE int USING NULL");  // no long values: no further warning
  preflight.expect("column list");
  CHECK(preflight.facts().shape.row_filter == before);
  CHECK(preflight.db.value("SELECT count(*) FROM pg_publication_tables") == "2");
}

TEST_CASE("different column lists are found") {
  Preflight preflight;
  preflight.publications = {"pub", "other"};
  preflight.row.pop_back();
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE public.t (id);"
      "CREATE PUBLICATION other FOR TABLE public.t");
  preflight.expect("different column lists");
}

TEST_CASE("a generated column is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text GENERATED ALWAYS AS ('x') STORED);"
      "CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("generated column");
}

TEST_CASE("a generated column is found before a publication is created for it") {
  Preflight preflight;
  preflight.creates_publication = true;
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text GENERATED ALWAYS AS ('x') STORED)");
  if (preflight.problems().size() == 1 && preflight.problems()[0].remedy.starts_with("ALTER PUBLICATION")) return;
  preflight.expect("generated column");
}

TEST_CASE("a type that the field cannot hold is found, named, and judged by what its domains are made of") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE DOMAIN public.small AS int; CREATE DOMAIN public.smaller AS public.small;"
      "CREATE TABLE public.t (id public.smaller PRIMARY KEY, v numeric(10, 2));"
      "CREATE PUBLICATION pub FOR TABLE public.t");
  CHECK(preflight.problems().empty());
  preflight.row[1] = {"v", "std::int32_t", integer, true, false};
  preflight.expect_only("numeric(10,2)");
}

TEST_CASE("columns are read as the catalog has them") {
  Preflight preflight;
  preflight.db.exec(R"sql(
    CREATE TYPE public.mood AS ENUM ('sad'); CREATE DOMAIN public.feeling AS public.mood NOT NULL;
    CREATE TABLE public.t (dropped int, id int PRIMARY KEY, v public.feeling, m public.mood[], n numeric(5, 1));
    ALTER TABLE public.t DROP dropped; CREATE PUBLICATION pub FOR TABLE public.t)sql");
  const auto shape = preflight.facts().shape;
  REQUIRE(shape.columns.size() == 4);
  const ColumnShape& id = shape.columns[0];
  CHECK(id.name == "id");
  CHECK(id.attnum == 2);
  CHECK(id.type.oid == 23);
  CHECK(id.in_identity);
  CHECK(id.not_null);
  const ColumnShape& v = shape.columns[1];
  CHECK(v.type.oid != v.type.base);
  CHECK(v.type.kind == 'e');
  CHECK(v.type.name == "public.feeling");
  CHECK(v.not_null);
  CHECK_FALSE(v.in_identity);
  CHECK(shape.columns[2].type.name == "public.mood[]");
  CHECK(shape.columns[3].typmod != -1);
}

TEST_CASE("a nullable column of a field that is not optional is a warning") {
  Preflight preflight;
  preflight.row[1].optional = false;
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("may be NULL", warning);
}

TEST_CASE("a table without any unique key is found") {
  Preflight preflight;
  preflight.db.exec("CREATE TABLE public.t (id int, v text); CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("no unique index");
}

TEST_CASE("a table without primary key and with an index for its identity is given one") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int NOT NULL, v text, o int NOT NULL UNIQUE);"
      "ALTER TABLE public.t REPLICA IDENTITY USING INDEX t_o_key; CREATE PUBLICATION pub FOR TABLE public.t");
  const auto found = preflight.problems();
  INFO(describe(found));
  REQUIRE(found.size() == 2);
  for (const Problem& each : found) preflight.db.exec(each.remedy);
  CHECK(preflight.problems().empty());
}

TEST_CASE("a primary key on other columns does not make the key unique") {
  Preflight preflight;
  preflight.row[1] = {"o", "int", integer, false, true};
  preflight.row.erase(preflight.row.begin());
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, o int NOT NULL); CREATE PUBLICATION pub FOR TABLE public.t");
  const auto found = preflight.problems();
  INFO(describe(found));
  REQUIRE(found.size() == 2);
  for (const Problem& each : found) preflight.db.exec(each.remedy);
  CHECK(preflight.problems().empty());
}

TEST_CASE("partial, expression and invalid indexes do not make the key unique") {
  Preflight preflight;
  preflight.row = {{"o", "int", integer, false, true}};
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, o int NOT NULL);"
      "CREATE UNIQUE INDEX ON public.t (o) WHERE id > 0; CREATE UNIQUE INDEX ON public.t ((o + 1));"
      "ALTER TABLE public.t ADD EXCLUDE USING btree (o WITH =);"
      "ALTER TABLE public.t REPLICA IDENTITY FULL; CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("no unique index");
}

TEST_CASE("columns that an index only includes do not belong to its key") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int NOT NULL, v text, UNIQUE (id) INCLUDE (v));"
      "ALTER TABLE public.t REPLICA IDENTITY USING INDEX t_id_v_key; CREATE PUBLICATION pub FOR TABLE public.t");
  CHECK(preflight.problems().empty());
  const auto shape = preflight.facts().shape;
  REQUIRE(shape.unique_indexes.size() == 1);
  CHECK(shape.unique_indexes[0].columns == std::vector<std::string>{"id"});
  CHECK_FALSE(shape.find("v")->in_identity);
}

TEST_CASE("a key column that may be NULL is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int UNIQUE, v text); ALTER TABLE public.t REPLICA IDENTITY FULL;"
      "CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("may be NULL");
}

TEST_CASE("a deferrable primary key is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY DEFERRABLE, v text); CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("deferrable");
}

TEST_CASE("a replica identity of nothing is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text); ALTER TABLE public.t REPLICA IDENTITY NOTHING;"
      "CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("no replica identity");
  CHECK(preflight.facts().shape.replica_identity == 'd');
}

TEST_CASE("a unique index is proposed as the identity where there is no primary key") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int NOT NULL UNIQUE, v text); CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("no replica identity");
  CHECK(preflight.facts().shape.replica_identity == 'i');
}

TEST_CASE("an identity without the key columns is found") {
  Preflight preflight;
  preflight.row[0].column = "k";
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, k int NOT NULL UNIQUE DEFERRABLE, v text);"
      "CREATE UNIQUE INDEX k_now ON public.t (k); CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("does not carry the key column k");
  CHECK(preflight.facts().shape.replica_identity == 'i');
}

TEST_CASE("an identity whose index is gone is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE UNIQUE INDEX extra ON public.t (id);"
      "ALTER TABLE public.t REPLICA IDENTITY USING INDEX extra; DROP INDEX public.extra;"
      "CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("no replica identity");
}

TEST_CASE("a partition with a weaker identity than its table is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT;"
      "ALTER TABLE public.t REPLICA IDENTITY FULL;"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish_via_partition_root = true)");
  preflight.expect("partition public.leaf");
}

TEST_CASE("a full identity is proposed for a table and its partitions together") {
  Preflight preflight;
  preflight.row = {{"id", "int", integer, false, true}, {"k", "int", integer, false, true}};
  preflight.db.exec(
      "CREATE TABLE public.t (id int NOT NULL, k int NOT NULL, UNIQUE (id)) PARTITION BY RANGE (id);"
      "CREATE TABLE public.leaf PARTITION OF public.t DEFAULT;"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish_via_partition_root = true)");
  preflight.expect("no replica identity");
}

TEST_CASE("an unlogged table is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE UNLOGGED TABLE public.t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR ALL TABLES");
  const auto found = preflight.problems();
  INFO(describe(found));
  REQUIRE_FALSE(found.empty());
  CHECK_THAT(found[0].what, ContainsSubstring("unlogged"));
  preflight.db.exec(found[0].remedy);
  CHECK(preflight.problems().empty());
}

TEST_CASE("an unlogged partition is found") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
      "CREATE UNLOGGED TABLE public.leaf PARTITION OF public.t DEFAULT;"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish_via_partition_root = true)");
  preflight.expect("partition public.leaf");
}

TEST_CASE("a right to read the table that is missing is found") {
  Preflight preflight;
  preflight.role = preflight.db.add_role("");
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("may not read it");
}

TEST_CASE("a right to read one column that is missing is found") {
  Preflight preflight;
  preflight.role = preflight.db.add_role("");
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text, secret text);"
      "GRANT SELECT (id) ON public.t TO " +
      preflight.role + "; CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("may not read \"v\"");
}

TEST_CASE("a right to use the schema that is missing is found") {
  Preflight preflight;
  preflight.role = preflight.db.add_role("");
  preflight.name = {"Private", "t"};
  preflight.db.exec(
      "CREATE SCHEMA \"Private\"; CREATE TABLE \"Private\".t (id int PRIMARY KEY, v text);"
      "GRANT SELECT ON \"Private\".t TO " +
      preflight.role + "; CREATE PUBLICATION pub FOR ALL TABLES");
  preflight.expect("may not use its schema");
}

TEST_CASE("row level security that would hide rows is found") {
  Preflight preflight;
  preflight.role = preflight.db.add_role("");
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text); GRANT SELECT ON public.t TO " +
                    preflight.role +
                    "; ALTER TABLE public.t ENABLE ROW LEVEL SECURITY; CREATE PUBLICATION pub FOR TABLE public.t");
  preflight.expect("row level security");
}

TEST_CASE("row level security does not concern the owner unless it is forced") {
  Preflight preflight;
  preflight.role = preflight.db.add_role("");
  preflight.db.exec("CREATE TABLE public.t (id int PRIMARY KEY, v text); ALTER TABLE public.t OWNER TO " +
                    preflight.role +
                    "; ALTER TABLE public.t ENABLE ROW LEVEL SECURITY; CREATE PUBLICATION pub FOR TABLE public.t");
  CHECK(preflight.problems().empty());
  preflight.db.exec("ALTER TABLE public.t FORCE ROW LEVEL SECURITY");
  preflight.expect("row level security");
  preflight.db.exec("DROP TABLE public.t");
}

TEST_CASE("a row filter over a table with long values is a warning") {
  Preflight preflight;
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text);"
      "CREATE PUBLICATION pub FOR TABLE public.t WHERE (id > 5)");
  preflight.expect("filters rows", warning);
}

TEST_CASE("the row filters of several publications are joined by OR, and one without a filter lifts them") {
  Preflight preflight;
  preflight.publications = {"pub", "other"};
  preflight.db.exec(
      "CREATE TABLE public.t (id int PRIMARY KEY, v text); INSERT INTO public.t SELECT generate_series(1, 9);"
      "CREATE PUBLICATION pub FOR TABLE public.t WHERE (id < 3);"
      "CREATE PUBLICATION other FOR TABLE public.t WHERE (id > 8)");
  const auto filter = preflight.facts().shape.row_filter;
  REQUIRE(filter);
  CHECK(preflight.db.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM public.t WHERE " + *filter) == "1,2,9");
  preflight.publications.push_back("everything");
  preflight.db.exec("CREATE PUBLICATION everything FOR ALL TABLES");
  CHECK_FALSE(preflight.facts().shape.row_filter);
}

TEST_CASE("all problems of a table are found at once") {
  Preflight preflight;
  preflight.role = preflight.db.add_role("");
  preflight.row[1] = {"v", "int", integer, false, false};
  preflight.db.exec(
      "CREATE TABLE public.t (id text, v text); ALTER TABLE public.t REPLICA IDENTITY NOTHING;"
      "CREATE PUBLICATION pub FOR TABLE public.t WITH (publish = 'insert')");
  const auto found = preflight.problems();
  const std::string all = describe(found);
  CAPTURE(all);
  for (const char* const part :
       {"update, delete, truncate", "may not read it", "column id: the column is text", "column v: the column is text",
        "may be NULL", "no unique index", "no replica identity"})
    CHECK_THAT(all, ContainsSubstring(part));
}
