#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>
#include <btreemapped/preflight.hpp>

using btreemapped::SqlType;
using btreemapped::detail::ColumnShape;
using btreemapped::detail::describe;
using btreemapped::detail::FieldNeed;
using btreemapped::detail::has_errors;
using btreemapped::detail::Problem;
using btreemapped::detail::PublicationShape;
using btreemapped::detail::ServerShape;
using btreemapped::detail::ServerUse;
using btreemapped::detail::TableToJudge;
using btreemapped::detail::UniqueIndexShape;
using btreemapped::detail::sql::TableFacts;
using Catch::Matchers::ContainsSubstring;

namespace {

ServerShape good_server() {
  ServerShape server;
  server.version = 150018;
  server.wal_level = "logical";
  server.role = "reader";
  server.max_slots = server.max_senders = 10;
  server.publications = {{"pub", true, true, true, true, true}};
  return server;
}

ColumnShape column(std::string name, bool key) {
  ColumnShape shape;
  shape.name = std::move(name);
  shape.type = {23, 23, 'b', "integer"};
  shape.not_null = shape.in_identity = key;
  shape.published = true;
  return shape;
}

/// public.t (a int, b int, c int, PRIMARY KEY (a, b)), published.
TableFacts good_table() {
  TableFacts facts;
  facts.publications = {{"pub", {}}};
  facts.shape.table = {"public", "t"};
  facts.shape.oid = 16384;
  facts.shape.published = true;
  facts.shape.columns = {column("a", true), column("b", true), column("c", false)};
  facts.shape.unique_indexes = {{"t_pkey", {"a", "b"}, true, true, true}};
  return facts;
}

std::vector<FieldNeed> good_row() {
  constexpr auto integer = [](const SqlType& type) { return type.base == 23; };
  return {{"b", "int", integer, false, true}, {"a", "int", integer, false, true}, {"c", "int", integer, true, false}};
}

std::vector<Problem> judge_one(const ServerShape& server, const TableFacts& facts,
                               const std::vector<FieldNeed>& row = good_row(), bool creates_publication = false) {
  const TableToJudge table[] = {{facts, row}};
  return judge({server, creates_publication}, table);
}

/// The one problem of a server or table.
Problem only(const std::vector<Problem>& problems) {
  INFO(describe(problems));
  REQUIRE(problems.size() == 1);
  return problems.front();
}

}  // namespace

TEST_CASE("a good server with a good table has no problem") { CHECK(judge_one(good_server(), good_table()).empty()); }

TEST_CASE("an old server is the only problem, since nothing else of it could be read") {
  ServerShape server = good_server();
  server.version = 140012;
  server.wal_level = "replica";
  CHECK_THAT(only(judge_one(server, TableFacts{})).what, ContainsSubstring("PostgreSQL 14"));
}

TEST_CASE("another wal_level is a problem") {
  ServerShape server = good_server();
  server.wal_level = "replica";
  const Problem problem = only(judge_one(server, good_table()));
  CHECK(problem.table.empty());
  CHECK_THAT(problem.remedy, ContainsSubstring("ALTER SYSTEM SET wal_level = 'logical'"));
}

TEST_CASE("a standby will do from version 16 on") {
  ServerShape server = good_server();
  server.in_recovery = true;
  CHECK_THAT(only(judge_one(server, good_table())).what, ContainsSubstring("standby"));
  server.version = 160000;
  CHECK(judge_one(server, good_table()).empty());
}

TEST_CASE("a failover slot needs a primary of version 17") {
  ServerShape server = good_server();
  const std::vector<FieldNeed> row = good_row();
  const TableFacts facts = good_table();
  const TableToJudge table[] = {{facts, row}};
  const auto judged = [&] { return judge({server, false, {.failover_slot = true}}, table); };
  server.version = 160004;
  CHECK_THAT(only(judged()).what, ContainsSubstring("failover slots need 17"));
  server.version = 170000;
  CHECK(judged().empty());
  server.in_recovery = true;
  CHECK_THAT(only(judged()).remedy, ContainsSubstring("target_session_attrs=read-write"));
}

TEST_CASE("a missing publication of a standby is to be created on its primary, whoever wants to create it") {
  ServerShape server = good_server();
  server.version = 170000;
  server.in_recovery = true;
  server.publications.front().exists = false;
  TableFacts facts = good_table();
  facts.publications.clear();
  for (const bool creates : {false, true}) {
    const std::vector<Problem> problems = judge_one(server, facts, good_row(), creates);
    REQUIRE(!problems.empty());
    CHECK_THAT(problems.back().remedy,
               ContainsSubstring("CREATE PUBLICATION") && ContainsSubstring("-- on the primary"));
  }
}

TEST_CASE("no free slot is an error, and one is enough") {
  ServerShape server = good_server();
  server.used_slots = 9;
  CHECK(judge_one(server, good_table()).empty());
  server.used_slots = 10;
  const Problem problem = only(judge_one(server, good_table()));
  CHECK(problem.severity == Problem::Severity::error);
  CHECK_THAT(problem.what, ContainsSubstring("none of the 10 replication slots"));
  CHECK_THAT(problem.remedy, ContainsSubstring("max_replication_slots = 14"));
}

TEST_CASE("no free walsender is an error, and one is enough") {
  ServerShape server = good_server();
  server.used_senders = 9;
  CHECK(judge_one(server, good_table()).empty());
  server.used_senders = 10;
  CHECK_THAT(only(judge_one(server, good_table())).remedy, ContainsSubstring("max_wal_senders = 14"));
}

TEST_CASE("commits that wait for us want a durable slot, and cannot be waited for") {
  ServerShape server = good_server();
  const ServerUse temporary{.temporary_slot = true};
  CHECK(judge_server(server, temporary).empty());
  server.waits_for_us = true;
  CHECK(judge_server(server).empty());
  const Problem warning = only(judge_server(server, temporary));
  CHECK(warning.severity == Problem::Severity::warning);
  CHECK_THAT(warning.remedy, ContainsSubstring("durable_slot"));
  const Problem refusal = only(judge_server(server, {.never_ahead = true, .temporary_slot = true}));
  CHECK(refusal.severity == Problem::Severity::error);
  CHECK_THAT(refusal.remedy, ContainsSubstring("never_ahead = false"));
}

TEST_CASE("a missing publication is reported once, for all tables") {
  ServerShape server = good_server();
  server.publications = {{"pub", false, false, false, false, false}};
  TableFacts t = good_table();
  t.shape.published = false;
  t.publications.clear();
  TableFacts u = t;
  u.shape.table = {"My schema", "u"};
  u.shape.kind = 'p';
  const auto row = good_row();
  const TableToJudge tables[] = {{t, row}, {u, row}, {t, row}};
  CHECK(only(judge({server}, tables)).remedy ==
        "CREATE PUBLICATION \"pub\" FOR TABLE ONLY \"public\".\"t\", \"My schema\".\"u\" WITH "
        "(publish_via_partition_root = true);");
  CHECK(judge({server, true}, tables).empty());
}

TEST_CASE("no publication at all is a problem") {
  ServerShape server = good_server();
  server.publications.clear();
  CHECK_THAT(only(judge_one(server, good_table())).what, ContainsSubstring("no publication is named"));
}

TEST_CASE("the same table asked for twice has each problem once") {
  TableFacts facts = good_table();
  facts.shape.persistent = false;
  const auto row = good_row();
  const TableToJudge tables[] = {{facts, row}, {facts, row}};
  CHECK(judge({good_server()}, tables).size() == 1);
}

TEST_CASE("the key may be any order of a unique index's columns, or more than them") {
  TableFacts facts = good_table();
  facts.shape.unique_indexes = {{"t_pkey", {"a"}, true, true, true}};
  CHECK(judge_one(good_server(), facts).empty());
}

TEST_CASE("a unique index with more columns than the key does not make the key unique") {
  TableFacts facts = good_table();
  facts.shape.unique_indexes = {{"t_pkey", {"a", "b", "c"}, true, true, true}};
  facts.shape.columns[2].not_null = facts.shape.columns[2].in_identity = true;
  const Problem problem = only(judge_one(good_server(), facts));
  CHECK_THAT(problem.what, ContainsSubstring("several rows may have the same key"));
  CHECK(problem.remedy == "ALTER TABLE \"public\".\"t\" ADD UNIQUE (\"b\", \"a\");");
}

TEST_CASE("a deferrable unique index will do under a full identity") {
  TableFacts facts = good_table();
  facts.shape.unique_indexes[0].immediate = false;
  CHECK_THAT(only(judge_one(good_server(), facts)).what, ContainsSubstring("deferrable"));
  facts.shape.replica_identity = 'f';
  CHECK(judge_one(good_server(), facts).empty());
}

TEST_CASE("a type that the field cannot hold is named together with what the field holds") {
  TableFacts facts = good_table();
  facts.shape.columns[2].type = {20, 20, 'b', "bigint"};
  const Problem problem = only(judge_one(good_server(), facts));
  CHECK(problem.table == "public.t");
  CHECK(problem.column == "c");
  CHECK_THAT(problem.what, ContainsSubstring("bigint") && ContainsSubstring("(int)"));
}

TEST_CASE("a nullable column is a warning unless the field is optional") {
  auto row = good_row();
  row[2].optional = false;
  const auto problems = judge_one(good_server(), good_table(), row);
  CHECK(only(problems).severity == Problem::Severity::warning);
  CHECK_FALSE(has_errors(problems));
}

TEST_CASE("a full identity is proposed where no index carries the key") {
  TableFacts facts = good_table();
  facts.shape.unique_indexes = {{"by_a", {"a"}, true, true, true}};
  facts.shape.columns[1].in_identity = false;
  CHECK(only(judge_one(good_server(), facts)).remedy == "ALTER TABLE \"public\".\"t\" REPLICA IDENTITY FULL;");
}

TEST_CASE("a row filter is a warning only for columns that can be long") {
  TableFacts facts = good_table();
  facts.shape.row_filter = "(a > 1)";
  CHECK(judge_one(good_server(), facts).empty());
  facts.toastable = {"c"};
  CHECK(only(judge_one(good_server(), facts)).severity == Problem::Severity::warning);
  facts.shape.replica_identity = 'f';
  CHECK(judge_one(good_server(), facts).empty());
}

TEST_CASE("a generated column is published from version 18 on") {
  ServerShape server = good_server();
  TableFacts facts = good_table();
  facts.shape.columns[2].generated = true;
  facts.shape.columns[2].published = false;
  CHECK_THAT(only(judge_one(server, facts)).remedy, ContainsSubstring("DROP EXPRESSION"));
  server.version = 180000;
  CHECK_THAT(only(judge_one(server, facts)).remedy, ContainsSubstring("publish_generated_columns = stored"));
  facts.shape.columns[2].published = true;
  CHECK(judge_one(server, facts).empty());
}

TEST_CASE("a virtual generated column is never published") {
  ServerShape server = good_server();
  server.version = 180000;
  TableFacts facts = good_table();
  facts.shape.columns[2].generated = facts.shape.columns[2].computed = true;
  facts.shape.columns[2].published = false;
  const Problem problem = only(judge_one(server, facts));
  CHECK_THAT(problem.what, ContainsSubstring("virtual"));
  CHECK_THAT(problem.remedy, ContainsSubstring("STORED"));
}

TEST_CASE("a generated column in the replica identity must be published from version 18 on") {
  ServerShape server = good_server();
  TableFacts facts = good_table();
  facts.shape.replica_identity = 'f';
  facts.shape.columns.push_back(column("d", true));
  facts.shape.columns[3].generated = true;
  facts.shape.columns[3].published = false;
  CHECK(judge_one(server, facts).empty());
  server.version = 180000;
  CHECK_THAT(only(judge_one(server, facts)).remedy, ContainsSubstring("publish_generated_columns = stored"));
  facts.shape.columns[3].computed = true;
  CHECK_THAT(only(judge_one(server, facts)).remedy, ContainsSubstring("REPLICA IDENTITY DEFAULT"));
  facts.shape.columns[3].in_identity = false;
  CHECK(judge_one(server, facts).empty());
}

TEST_CASE("a table of the system is refused") {
  TableFacts facts = good_table();
  facts.shape.oid = 1259;
  facts.publications.clear();
  facts.shape.published = false;
  CHECK_THAT(only(judge_one(good_server(), facts)).what, ContainsSubstring("table of the system"));
}

TEST_CASE("publications that filter a table's operations in different ways are refused") {
  ServerShape server = good_server();
  server.publications.push_back({"other", true, true, true, true, true});
  TableFacts facts = good_table();
  facts.publications = {{"pub", "a > 1"}, {"other", "a > 2"}};
  CHECK(judge_one(server, facts).empty());
  server.publications[1].deletes = false;
  const Problem problem = only(judge_one(server, facts));
  CHECK_THAT(problem.what, ContainsSubstring("filter"));
  CHECK_THAT(problem.remedy, ContainsSubstring("ALTER PUBLICATION \"other\" SET (publish ="));
  facts.publications[1].row_filter.reset();
  CHECK(judge_one(server, facts).size() == 1);
  facts.publications[0].row_filter.reset();
  CHECK(judge_one(server, facts).empty());
  // The copy has all rows then.
  facts.publications[0].row_filter = "a > 1";
  server.publications[1] = {"other", true, false, false, false, true};
  CHECK(judge_one(server, facts).size() == 1);
}

TEST_CASE("one message lists the errors and then the warnings, each with its remedy") {
  const std::vector<Problem> problems{
      {Problem::Severity::warning, "public.t", "c", "it may be NULL", "mend it"},
      {Problem::Severity::error, "", "", "wal_level is replica", "raise it"},
      {Problem::Severity::error, "public.u", "", "it is a view", "name a table"},
  };
  CHECK(describe(problems) ==
        "1. server: wal_level is replica\n   remedy: raise it\n"
        "2. public.u: it is a view\n   remedy: name a table\n"
        "3. warning: public.t, column c: it may be NULL\n   remedy: mend it");
  CHECK(has_errors(problems));
  CHECK(describe(std::vector<Problem>{}).empty());
}

TEST_CASE("a single problem has no number") {
  const std::vector<Problem> problems{{Problem::Severity::error, "", "", "wal_level is replica", "raise it"}};
  CHECK(describe(problems) == "server: wal_level is replica\n   remedy: raise it");
}

TEST_CASE("a publication's name that no publication can have is said to be too long") {
  ServerShape server = good_server();
  server.publications = {{.name = std::string(64, 'p')}};
  TableFacts facts = good_table();
  facts.shape.published = false;
  facts.publications.clear();
  CHECK_THAT(only(judge_one(server, facts)).what, ContainsSubstring("63 bytes"));
}
