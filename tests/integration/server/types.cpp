// What the catalog tells of a column's type.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/catalog.hpp>
#include <btreemapped/detail/sql/session.hpp>

#include "server_database.hpp"

namespace {

using btreemapped::SqlType;
using btreemapped::detail::Interrupt;
using btreemapped::detail::TableName;
using btreemapped::detail::sql::TableFacts;
using test::ServerDatabase;

std::vector<TableFacts> read(ServerDatabase& db, const std::vector<TableName>& names) {
  test::sql::Session session{db.reader_dsn(), std::make_shared<Interrupt>()};
  return read_tables(session, names, std::vector<std::string>{});
}

/// The type of the column v of the table t.
SqlType type_of(ServerDatabase& db, const std::string& type) {
  db.exec("CREATE TABLE public.t (v " + type + ")");
  const TableFacts facts = read(db, {{"public", "t"}}).at(0);
  db.exec("DROP TABLE public.t");
  REQUIRE(facts.shape.columns.size() == 1);
  return facts.shape.columns[0].type;
}

}  // namespace

TEST_CASE("a type that is made of nothing has no parts") {
  ServerDatabase db;
  for (const std::string name :
       {"int", "text", "numeric(4,2)", "point", "box", "name", "int2vector", "oidvector", "jsonb"}) {
    CAPTURE(name);
    const SqlType type = type_of(db, name);
    CHECK(type.kind == 'b');
    CHECK(type.oid == type.base);
    CHECK(type.parts == nullptr);
  }
  CHECK(type_of(db, "numeric(4,2)").name == "numeric(4,2)");
}

TEST_CASE("an array knows its elements and what separates them") {
  ServerDatabase db;
  const SqlType numbers = type_of(db, "int[]");
  CHECK(numbers.kind == 'a');
  CHECK(numbers.name == "integer[]");
  REQUIRE(numbers.parts != nullptr);
  CHECK(numbers.parts->element.oid == 23);
  CHECK(numbers.parts->element.name == "integer");
  CHECK(numbers.parts->delimiter == ',');
  CHECK(type_of(db, "box[]").parts->delimiter == ';');
  db.exec("CREATE DOMAIN public.place AS box");
  const SqlType places = type_of(db, "public.place[]");
  CHECK(places.parts->delimiter == ';');
  CHECK(places.parts->element.base == 603);
  CHECK(type_of(db, "int2vector[]").parts->element.kind == 'b');
}

TEST_CASE("a domain knows its base, all the way") {
  ServerDatabase db;
  db.exec(
      "CREATE DOMAIN public.one AS int; CREATE DOMAIN public.two AS public.one; CREATE DOMAIN public.many AS "
      "public.two[]; CREATE DOMAIN public.all_of_them AS public.many");
  const SqlType two = type_of(db, "public.two");
  CHECK(two.base == 23);
  CHECK(two.oid >= 10000);
  CHECK(two.kind == 'b');
  const SqlType all = type_of(db, "public.all_of_them[]");
  CHECK(all.kind == 'a');
  const SqlType& element = all.parts->element;
  CHECK(element.kind == 'a');
  CHECK(element.name == "public.all_of_them");
  CHECK(element.parts->element.name == "public.two");
  CHECK(element.parts->element.base == 23);
}

TEST_CASE("a composite type knows its attributes in their order, without dropped ones") {
  ServerDatabase db;
  db.exec(
      "CREATE TYPE public.pair AS (\"b c\" numeric(6,2), gone int, a text[], \"d\"\"\" int); ALTER TYPE public.pair "
      "DROP ATTRIBUTE gone, ADD ATTRIBUTE last date");
  const SqlType pair = type_of(db, "public.pair");
  CHECK(pair.kind == 'c');
  REQUIRE(pair.parts != nullptr);
  const auto& attributes = pair.parts->attributes;
  REQUIRE(attributes.size() == 4);
  CHECK(attributes[0].name == "b c");
  CHECK(attributes[0].type.name == "numeric(6,2)");
  CHECK(attributes[1].name == "a");
  CHECK(attributes[1].type.parts->element.base == 25);
  CHECK(attributes[2].name == "d\"");
  CHECK(attributes[3].name == "last");
  db.exec("CREATE TYPE public.nothing AS ()");
  CHECK(type_of(db, "public.nothing").parts->attributes.empty());
}

TEST_CASE("an enum knows its labels in their order") {
  ServerDatabase db;
  db.exec(
      "CREATE TYPE public.mood AS ENUM ('sad', 'happy'); ALTER TYPE public.mood ADD VALUE 'ok' BEFORE 'happy';"
      "ALTER TYPE public.mood ADD VALUE 'awful' BEFORE 'sad'; CREATE DOMAIN public.feeling AS public.mood");
  for (const std::string name : {"public.mood", "public.feeling"}) {
    const SqlType mood = type_of(db, name);
    CHECK(mood.kind == 'e');
    CHECK(mood.parts->labels == std::vector<std::string>{"awful", "sad", "ok", "happy"});
  }
}

TEST_CASE("ranges and multiranges know their bounds") {
  ServerDatabase db;
  const SqlType range = type_of(db, "numrange");
  CHECK(range.kind == 'r');
  CHECK(range.parts->element.base == 1700);
  const SqlType multirange = type_of(db, "int8multirange");
  CHECK(multirange.kind == 'm');
  CHECK(multirange.parts->element.kind == 'r');
  CHECK(multirange.parts->element.name == "int8range");
  CHECK(multirange.parts->element.parts->element.base == 20);
  db.exec(
      "CREATE DOMAIN public.word AS text; CREATE TYPE public.words AS RANGE (subtype = public.word, collation = "
      "\"C\")");
  CHECK(type_of(db, "public.words").parts->element.base == 25);
  CHECK(type_of(db, "public.words_multirange").kind == 'm');
}

TEST_CASE("ranges know whether they have one form each, and the usual order") {
  ServerDatabase db;
  for (const std::string name : {"int4range", "int8range", "daterange"}) CHECK(type_of(db, name).parts->canonical);
  for (const std::string name : {"numrange", "tsrange", "tstzrange"}) CHECK_FALSE(type_of(db, name).parts->canonical);
  CHECK(type_of(db, "int4multirange").parts->element.parts->canonical);
  CHECK(type_of(db, "int4range").parts->usual_order);
  CHECK(type_of(db, "int4[]").parts->usual_order);
  db.exec(
      "CREATE TYPE public.plain AS RANGE (subtype = int4);"
      "CREATE TYPE public.words AS RANGE (subtype = varchar);"
      "CREATE TYPE public.bytes AS RANGE (subtype = text, subtype_opclass = text_pattern_ops)");
  CHECK_FALSE(type_of(db, "public.plain").parts->canonical);
  CHECK(type_of(db, "public.plain").parts->usual_order);
  CHECK(type_of(db, "public.words").parts->usual_order);
  CHECK_FALSE(type_of(db, "public.bytes").parts->usual_order);
}

TEST_CASE("a type of an extension is known by that, whatever others are called") {
  ServerDatabase db;
  db.exec(
      "CREATE SCHEMA other; CREATE EXTENSION hstore SCHEMA other; CREATE EXTENSION citext SCHEMA public;"
      "CREATE DOMAIN public.hstore AS text; CREATE DOMAIN public.pairs AS other.hstore");
  const SqlType pairs = type_of(db, "public.pairs[]").parts->element;
  REQUIRE(pairs.parts != nullptr);
  CHECK(pairs.parts->extension == "hstore");
  CHECK(pairs.parts->own_name == "hstore");
  CHECK(type_of(db, "public.citext").parts->extension == "citext");
  CHECK(type_of(db, "public.hstore").parts == nullptr);
}

TEST_CASE("types that are nested very deep are still known for what they are") {
  ServerDatabase db;
  db.exec("CREATE DOMAIN public.d0 AS int; CREATE TYPE public.c0 AS (v int)");
  std::string create;
  for (int i = 1; i <= 100; ++i) {
    const std::string now = std::to_string(i);
    const std::string before = std::to_string(i - 1);
    create += "CREATE DOMAIN public.d" + now + " AS public.d" + before + "; CREATE TYPE public.c" + now +
              " AS (v public.c" + before + ", w int);";
  }
  db.exec(create);
  CHECK(type_of(db, "public.d100").base == 23);
  CHECK(type_of(db, "public.c60").parts != nullptr);
  // Nobody's struct is as deep, and it is a text still.
  const SqlType deepest = type_of(db, "public.c100");
  CHECK(deepest.kind == 'c');
  CHECK(deepest.parts == nullptr);
}

TEST_CASE("the types of many tables are read at once") {
  ServerDatabase db;
  std::vector<TableName> names;
  std::string create =
      "CREATE TYPE public.mood AS ENUM ('a', 'b'); CREATE TYPE public.pair AS (a public.mood[], b int);";
  for (int i = 0; i < 200; ++i) {
    names.push_back({"public", "t" + std::to_string(i)});
    create += "CREATE TABLE public." + names.back().name + " (id int, v public.pair, w public.mood);";
  }
  db.exec(create);
  const auto all = read(db, names);
  for (const TableFacts& facts : all) {
    REQUIRE(facts.shape.columns.size() == 3);
    // One and the same for all of them.
    CHECK(facts.shape.columns[1].type.parts == all[0].shape.columns[1].type.parts);
    CHECK(facts.shape.columns[2].type.parts->labels.size() == 2);
  }
}
