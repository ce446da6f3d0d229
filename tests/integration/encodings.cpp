// Databases in other encodings: all text arrives in UTF-8, or its table stops and says why.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/following.hpp"
#include "support/replicator.hpp"

namespace encodings_test {

using btreemapped::EventKind;
using btreemapped::TableState;
using Catch::Matchers::ContainsSubstring;

struct Word {
  std::string word;
  std::int32_t id;

  friend bool operator==(const Word&, const Word&) = default;
};

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

using Words = std::vector<Word>;

/// Columns that are not spelled in ASCII.
struct Accented {
  std::int32_t id;
  std::string name;

  static constexpr std::size_t arity = 1;
  static constexpr std::string_view schema = "Été";
  static constexpr std::string_view table = "Größe";
  static constexpr std::string_view column_name(std::string_view field) { return field == "id" ? "clé" : "prénom"; }

  friend bool operator==(const Accented&, const Accented&) = default;
};

TEST_CASE("keys and long values of a database in LATIN1 arrive in UTF-8", "[encoding]") {
  test::Database database("ENCODING 'LATIN1' LOCALE 'C'");
  test::Sql session(test::with_parts(database.dsn(), {{"client_encoding", "UTF8"}}));
  session.exec(
      "CREATE TABLE items (word text PRIMARY KEY, id int NOT NULL); INSERT INTO items VALUES ('é', 1), (repeat('ü', "
      "700), 2); CREATE PUBLICATION pub FOR TABLE items");
  test::Replicator replicator(database.options());
  const auto items = replicator.add_replica<Word, 1>("items");
  test::start_and_sync(replicator);
  std::string long_word;
  for (int i = 0; i < 700; ++i) long_word += "ü";
  CHECK(items.to_vector() == Words{{"é", 1}, {long_word, 2}});
  session.exec(
      "UPDATE items SET word = 'ÿ' WHERE word = 'é'; UPDATE items SET id = 3 WHERE id = 2; INSERT INTO items "
      "VALUES ('plain', 4)");
  database.catch_up(replicator);
  CHECK(items.to_vector() == Words{{"plain", 4}, {long_word, 3}, {"ÿ", 1}});
}

TEST_CASE("names in a database in LATIN1 are followed", "[encoding]") {
  test::Database database("ENCODING 'LATIN1' LOCALE 'C'");
  test::Sql session(test::with_parts(database.dsn(), {{"client_encoding", "UTF8"}}));
  session.exec(
      R"(CREATE SCHEMA "Été"; CREATE TABLE "Été"."Größe" ("clé" int PRIMARY KEY, "prénom" text NOT NULL);)"
      R"(ALTER TABLE "Été"."Größe" REPLICA IDENTITY FULL; INSERT INTO "Été"."Größe" VALUES (1, 'Zoë'), (2, 'René');)"
      R"(CREATE PUBLICATION "Öffentlich" FOR TABLE "Été"."Größe" WHERE ("prénom" <> 'René'))");
  btreemapped::Options options = database.options();
  options.publication = "Öffentlich";
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Accented>();
  test::start_and_sync(replicator);
  CHECK(items.to_vector() == std::vector<Accented>{{1, "Zoë"}});
  session.exec(R"(UPDATE "Été"."Größe" SET "prénom" = 'Noël' WHERE "clé" = 2; UPDATE "Été"."Größe" SET "clé" = 5 WHERE)"
               R"( "prénom" = 'Zoë')");
  database.catch_up(replicator);
  CHECK(items.to_vector() == std::vector<Accented>{{2, "Noël"}, {5, "Zoë"}});
  CHECK(replicator.status().tables.at(0).table == "Été.Größe");
}

TEST_CASE("UTF-8 in a database without an encoding arrives as it is", "[encoding]") {
  test::Database database("ENCODING 'SQL_ASCII' LOCALE 'C'");
  test::Following<Word, 1> following(
      database,
      "CREATE TABLE items (word text PRIMARY KEY, id int NOT NULL); INSERT INTO items VALUES ('жук', 1); CREATE "
      "PUBLICATION pub FOR TABLE items");
  CHECK(following.rows_after("UPDATE items SET word = 'жуки'; INSERT INTO items VALUES ('𝄞', 2)") ==
        Words{{"жуки", 1}, {"𝄞", 2}});
}

TEST_CASE("a character that UTF-8 does not know stops its table alone until it is gone", "[encoding]") {
  test::Database database("ENCODING 'WIN1252' LOCALE 'C'");
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL); CREATE TABLE others (LIKE items INCLUDING ALL);"
      "INSERT INTO items VALUES (1, 'a'); CREATE PUBLICATION pub FOR TABLE items, others");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto items = replicator.add_replica<Item, 1>("items");
  const auto others = replicator.add_replica<Item, 1>("others");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (2, E'\\x81')");
  const std::string message = log.wait_for(EventKind::table_failed).message;
  CHECK_THAT(message, ContainsSubstring("public.items"));
  CHECK_THAT(message, ContainsSubstring("22P05"));
  static_cast<void>(log.wait_for(EventKind::synced, 2));
  database.exec("INSERT INTO others VALUES (1, E'\\x80')");
  database.catch_up(replicator);
  CHECK(others.to_vector() == std::vector<Item>{{1, "€"}});
  CHECK(items.to_vector() == std::vector<Item>{{1, "a"}});
  CHECK(items.state() == TableState::failed);
  database.exec("DELETE FROM items WHERE id = 2");
  database.end_sessions("backend_type = 'walsender'");
  static_cast<void>(log.wait_for(EventKind::table_healed));
  CHECK(items.to_vector() == std::vector<Item>{{1, "a"}});
}

}  // namespace encodings_test
