// G4: values stored out of line, which the stream leaves out while they do not change, stay exact.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/proxy.hpp"
#include "support/replicator.hpp"

namespace toast_test {

struct Document {
  std::int32_t id;
  std::string body;
  std::int32_t version;

  friend bool operator==(const Document&, const Document&) = default;
};

struct VersionedDocument {
  std::int32_t id;
  std::string body;
  std::int32_t version;

  static constexpr auto key = btreemapped::key<&VersionedDocument::id, &VersionedDocument::version>;
  friend bool operator==(const VersionedDocument&, const VersionedDocument&) = default;
};

/// A key that is itself stored out of line.
struct ByName {
  std::string name;
  std::int32_t version;

  friend bool operator==(const ByName&, const ByName&) = default;
};

std::string long_text(char letter) { return std::string(20'000, letter); }

/// The expression for it in SQL.
std::string repeat(char letter) { return "repeat('" + std::string(1, letter) + "', 20000)"; }

/// Follows the table documents, which holds 1 'a' 0 and 2 'b' 0.
struct Follower {
  explicit Follower(test::Database& db, const std::string& more = {}) : database(db), replicator(db.options()) {
    database.exec(
        "CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL, version int NOT NULL);"
        "ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;"
        "INSERT INTO documents VALUES (1, " +
        repeat('a') + ", 0), (2, " + repeat('b') + ", 0); " + more + "; CREATE PUBLICATION pub FOR TABLE documents");
    documents.emplace(replicator.add_replica<Document, 1>("documents"));
    test::start_and_sync(replicator);
  }

  [[nodiscard]] std::vector<Document> rows_after(const std::string& sql) {
    database.exec(sql);
    database.catch_up(replicator);
    CHECK(documents->state() == btreemapped::TableState::live);
    CHECK(replicator.status().reconnects == 0);
    return documents->to_vector();
  }

  test::Database& database;
  test::Replicator replicator;
  std::optional<btreemapped::Replica<Document, 1>> documents;
};

TEST_CASE("an update of another column keeps the value that is not sent", "[G4]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after("UPDATE documents SET version = 1 WHERE id = 1") ==
        std::vector<Document>{{1, long_text('a'), 1}, {2, long_text('b'), 0}});
}

TEST_CASE("a moved key takes along the value that is not sent", "[G4]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after("UPDATE documents SET id = 9 WHERE id = 1") ==
        std::vector<Document>{{2, long_text('b'), 0}, {9, long_text('a'), 0}});
}

TEST_CASE("several updates in one transaction see the value as it was at their moment", "[G4]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after(
            "UPDATE documents SET version = 1 WHERE id = 1; UPDATE documents SET body = " + repeat('c') +
            " WHERE id = 1; UPDATE documents SET version = 2 WHERE id = 1; UPDATE documents SET id = 5 WHERE id = 1;"
            "UPDATE documents SET version = 3 WHERE id = 5; INSERT INTO documents VALUES (1, " +
            repeat('d') + ", 0); UPDATE documents SET version = 4 WHERE id = 1") ==
        std::vector<Document>{{1, long_text('d'), 4}, {2, long_text('b'), 0}, {5, long_text('c'), 3}});
}

TEST_CASE("a value that was rolled back is not the one that is kept", "[G4]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after("BEGIN; SAVEPOINT s; UPDATE documents SET body = " + repeat('x') +
                            " WHERE id = 1; ROLLBACK TO s; UPDATE documents SET version = 1 WHERE id = 1; COMMIT") ==
        std::vector<Document>{{1, long_text('a'), 1}, {2, long_text('b'), 0}});
}

TEST_CASE("keys that swap, each with a value that is not sent, do not swap the values", "[G4][G2]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after("UPDATE documents SET id = 3 WHERE id = 1; UPDATE documents SET id = 1 WHERE id = 2;"
                            "UPDATE documents SET id = 2, version = 7 WHERE id = 3") ==
        std::vector<Document>{{1, long_text('b'), 0}, {2, long_text('a'), 7}});
}

TEST_CASE("under REPLICA IDENTITY FULL a value that is not sent is kept, too", "[G4]") {
  test::Database database;
  Follower follower(database, "ALTER TABLE documents REPLICA IDENTITY FULL");
  CHECK(follower.rows_after("UPDATE documents SET version = 1; UPDATE documents SET id = id + 10; UPDATE documents SET "
                            "version = version + 1") ==
        std::vector<Document>{{11, long_text('a'), 2}, {12, long_text('b'), 2}});
}

TEST_CASE("a long value survives the truncate and the insert of its row", "[G4]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after("TRUNCATE documents; INSERT INTO documents VALUES (1, " + repeat('t') +
                            ", 0); UPDATE documents SET version = 1") == std::vector<Document>{{1, long_text('t'), 1}});
}

TEST_CASE("a key column that is stored out of line stays exact", "[G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE names (name text PRIMARY KEY, version int NOT NULL, filler text);"
      "ALTER TABLE names SET (toast_tuple_target = 128); ALTER TABLE names ALTER name SET STORAGE EXTERNAL;"
      "INSERT INTO names VALUES (repeat('a', 2100), 0), (repeat('b', 2100), 0); CREATE PUBLICATION pub FOR TABLE "
      "names");
  REQUIRE(database.value("SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE relname = 'names'") == "t");
  test::Replicator replicator(database.options());
  const auto names = replicator.add_replica<ByName, 1>("names");
  test::start_and_sync(replicator);
  database.exec("UPDATE names SET version = 1 WHERE name LIKE 'a%'");
  database.exec(
      "UPDATE names SET version = 2, filler = 'x'; UPDATE names SET name = repeat('c', 2100) WHERE name LIKE 'b%'");
  database.exec("DELETE FROM names WHERE name LIKE 'a%'");
  database.catch_up(replicator);
  CHECK(names.to_vector() == std::vector<ByName>{{std::string(2100, 'c'), 2}});
  CHECK(replicator.status().reconnects == 0);
}

TEST_CASE("a row that an update moves into a filter without its long value is copied afresh", "[G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE documents (version int NOT NULL, id int NOT NULL, body text NOT NULL, PRIMARY KEY (id, version));"
      "ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;"
      "INSERT INTO documents VALUES (0, 1, " +
      repeat('a') + "), (1, 2, " + repeat('b') +
      ");"
      "CREATE PUBLICATION pub FOR TABLE documents WHERE (version > 0)");
  test::EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto documents = replicator.add_replica<VersionedDocument>("documents");
  test::start_and_sync(replicator);
  CHECK(log.wait_for(btreemapped::EventKind::warning).table == "public.documents");
  CHECK(documents.size() == 1);
  database.exec("UPDATE documents SET version = 3 WHERE id = 1");
  const btreemapped::Event stale = log.wait_for(btreemapped::EventKind::table_stale);
  CHECK_THAT(stale.message, Catch::Matchers::ContainsSubstring("body"));
  CHECK(documents.size() == 1);
  static_cast<void>(log.wait_for(btreemapped::EventKind::table_healed));
  CHECK(documents.to_vector() == std::vector<VersionedDocument>{{1, long_text('a'), 3}, {2, long_text('b'), 1}});
}

TEST_CASE("under REPLICA IDENTITY FULL values that one transaction inserts, keeps and moves stay exact", "[G4]") {
  test::Database database;
  Follower follower(database, "ALTER TABLE documents REPLICA IDENTITY FULL");
  CHECK(
      follower.rows_after("INSERT INTO documents VALUES (3, " + repeat('c') +
                          ", 0); UPDATE documents SET version = 1 WHERE id = 3; UPDATE documents SET id = 4, version "
                          "= 2 WHERE id = 3; UPDATE documents SET id = 3 WHERE id = 1; DELETE FROM documents WHERE id "
                          "= 2") == std::vector<Document>{{3, long_text('a'), 0}, {4, long_text('c'), 2}});
}

TEST_CASE("a deferrable swap under REPLICA IDENTITY FULL keeps each row's long value", "[G4][G2]") {
  test::Database database;
  Follower follower(database,
                    "ALTER TABLE documents DROP CONSTRAINT documents_pkey, ADD PRIMARY KEY (id) DEFERRABLE;"
                    "ALTER TABLE documents REPLICA IDENTITY FULL");
  CHECK(follower.rows_after("UPDATE documents SET id = 3 - id, version = version + 1") ==
        std::vector<Document>{{1, long_text('b'), 1}, {2, long_text('a'), 1}});
}

TEST_CASE("a key move that was rolled back takes no value along", "[G4]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after("BEGIN; SAVEPOINT s; UPDATE documents SET id = 9, body = " + repeat('x') +
                            " WHERE id = 1; DELETE FROM documents WHERE id = 2; ROLLBACK TO s; UPDATE documents SET id "
                            "= 9 WHERE id = 1; UPDATE documents SET version = 1; COMMIT") ==
        std::vector<Document>{{2, long_text('b'), 1}, {9, long_text('a'), 1}});
}

TEST_CASE("a key that is deleted and inserted again has the value of the new row", "[G4]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.rows_after("DELETE FROM documents WHERE id = 1; INSERT INTO documents VALUES (1, " + repeat('n') +
                            ", 0); UPDATE documents SET version = 1 WHERE id = 1; DELETE FROM documents WHERE id = 2;"
                            "UPDATE documents SET id = 2 WHERE id = 1") ==
        std::vector<Document>{{2, long_text('n'), 1}});
}

TEST_CASE("after a lost connection the value that is not sent is the one of the new copy", "[G4][G3]") {
  test::Database database;
  test::EventLog log;
  database.exec(
      "CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL, version int NOT NULL);"
      "ALTER TABLE documents ALTER body SET STORAGE EXTERNAL; INSERT INTO documents VALUES (1, " +
      repeat('a') + ", 0); CREATE PUBLICATION pub FOR TABLE documents");
  test::Proxy proxy(database.reader_dsn());
  btreemapped::Options options = database.options();
  options.connection = proxy.dsn();
  options.on_event = log.hook();
  test::Replicator replicator(options);
  const auto documents = replicator.add_replica<Document, 1>("documents");
  test::start_and_sync(replicator);
  proxy.cut();
  static_cast<void>(log.wait_for(btreemapped::EventKind::stale));
  database.exec("UPDATE documents SET body = " + repeat('b'));
  proxy.mend();
  static_cast<void>(log.wait_for(btreemapped::EventKind::synced, 2));
  database.exec("UPDATE documents SET version = 1");
  database.catch_up(replicator);
  CHECK(documents.to_vector() == std::vector<Document>{{1, long_text('b'), 1}});
}

/// Long values of other types, which may be NULL.
struct Attachment {
  std::int32_t id;
  std::optional<std::vector<std::byte>> content;
  std::optional<std::string> labels;
  std::int32_t version;

  friend bool operator==(const Attachment&, const Attachment&) = default;
};

TEST_CASE("long bytes and json that come from NULL and go to NULL are kept while they are not sent", "[G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE attachments (id int PRIMARY KEY, content bytea, labels jsonb, version int NOT NULL);"
      "ALTER TABLE attachments ALTER content SET STORAGE EXTERNAL, ALTER labels SET STORAGE EXTERNAL;"
      "INSERT INTO attachments VALUES (1, NULL, NULL, 0); CREATE PUBLICATION pub FOR TABLE attachments");
  test::Replicator replicator(database.options());
  const auto attachments = replicator.add_replica<Attachment, 1>("attachments");
  test::start_and_sync(replicator);
  const std::string json = "[\"" + long_text('j') + "\"]";
  const std::vector<std::byte> bytes(10'000, std::byte{0xff});
  database.exec("UPDATE attachments SET content = decode(repeat('ff', 10000), 'hex'), labels = '" + json + "'");
  database.exec("UPDATE attachments SET version = 1; UPDATE attachments SET id = 2");
  database.catch_up(replicator);
  CHECK(attachments.to_vector() == std::vector<Attachment>{{2, bytes, json, 1}});
  database.exec("UPDATE attachments SET content = NULL; UPDATE attachments SET version = 2");
  database.catch_up(replicator);
  CHECK(attachments.to_vector() == std::vector<Attachment>{{2, std::nullopt, json, 2}});
}

struct WithoutBody {
  std::int32_t id;
  std::int32_t version;

  friend bool operator==(const WithoutBody&, const WithoutBody&) = default;
};

TEST_CASE("a table followed twice keeps its long values where they are mapped", "[G4]") {
  test::Database database;
  database.exec(
      "CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL, version int NOT NULL);"
      "ALTER TABLE documents ALTER body SET STORAGE EXTERNAL; INSERT INTO documents VALUES (1, " +
      repeat('a') + ", 0); CREATE PUBLICATION pub FOR TABLE documents");
  test::Replicator replicator(database.options());
  const auto without = replicator.add_replica<WithoutBody, 1>("documents");
  const auto with = replicator.add_replica<Document, 1>("documents");
  test::start_and_sync(replicator);
  database.exec("UPDATE documents SET version = 1; UPDATE documents SET id = 5, version = 2");
  database.catch_up(replicator);
  CHECK(with.to_vector() == std::vector<Document>{{5, long_text('a'), 2}});
  CHECK(without.to_vector() == std::vector<WithoutBody>{{5, 2}});
}

}  // namespace toast_test
