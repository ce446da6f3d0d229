// Partitioned tables: the stream tells what happens to rows, and nothing of what happens to partitions.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/following.hpp"
#include "support/replicator.hpp"

namespace partitions_test {

struct Document {
  std::int32_t region;
  std::int32_t id;
  std::string body;

  friend bool operator==(const Document&, const Document&) = default;
};

/// Follows documents, which has a partition for the regions 0 to 9, and one for 10 to 19 that is divided again. The
/// leaves order their columns in their own ways.
struct Follower {
  explicit Follower(test::Database& db, std::chrono::milliseconds watch = std::chrono::milliseconds{20})
      : database(db) {
    database.exec(
        "CREATE TABLE documents (region int, id int, body text NOT NULL, PRIMARY KEY (region, id)) PARTITION BY RANGE "
        "(region);"
        "CREATE TABLE low (body text NOT NULL, gone int, id int NOT NULL, region int NOT NULL);"
        "ALTER TABLE low DROP gone;"
        "ALTER TABLE documents ATTACH PARTITION low FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE high PARTITION OF documents FOR VALUES FROM (10) TO (20) PARTITION BY HASH (id);"
        "CREATE TABLE odd (id int NOT NULL, region int NOT NULL, body text NOT NULL);"
        "ALTER TABLE high ATTACH PARTITION odd FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE even PARTITION OF high FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "ALTER TABLE low ALTER body SET STORAGE EXTERNAL; ALTER TABLE odd ALTER body SET STORAGE EXTERNAL;"
        "ALTER TABLE even ALTER body SET STORAGE EXTERNAL;"
        "INSERT INTO documents SELECT id, id, repeat(chr(65 + id), 5000) FROM generate_series(0, 19) id;"
        "CREATE PUBLICATION pub FOR TABLE documents WITH (publish_via_partition_root = true)");
    btreemapped::Options options = database.options();
    options.catalog_watch_interval = watch;
    replicator.emplace(options);
    documents.emplace(replicator->add_replica<Document, 2>("documents"));
    test::start_and_sync(*replicator);
  }

  [[nodiscard]] std::vector<Document> table() {
    std::vector<Document> out;
    for (const test::SqlRow& row : database.rows("SELECT region, id, body FROM documents ORDER BY region, id"))
      out.push_back({std::stoi(*row[0]), std::stoi(*row[1]), *row[2]});
    return out;
  }

  void must_follow(const std::string& sql) {
    CAPTURE(sql);
    database.exec(sql);
    CHECK(test::eventually([&] { return documents->to_vector() == table(); }));
  }

  test::Database& database;
  std::optional<test::Replicator> replicator;
  std::optional<btreemapped::Replica<Document, 2>> documents;
};

TEST_CASE("a table of partitions of partitions is one table", "[G2]") {
  test::Database database;
  Follower follower(database);
  CHECK(follower.documents->to_vector() == follower.table());
  const std::uint64_t before = follower.documents->sequence();
  database.exec(
      "BEGIN; UPDATE documents SET region = region + 10 WHERE region < 5; UPDATE documents SET id = id + 100 WHERE id "
      "= 15;"
      "INSERT INTO low VALUES ('direct', 50, 1); DELETE FROM documents WHERE region = 19; COMMIT");
  database.catch_up(*follower.replicator);
  CHECK(follower.documents->sequence() == before + 1);
  CHECK(follower.documents->to_vector() == follower.table());
  database.exec("TRUNCATE documents; INSERT INTO documents VALUES (11, 1, 'last')");
  database.catch_up(*follower.replicator);
  CHECK(follower.documents->to_vector() == std::vector<Document>{{11, 1, "last"}});
  CHECK(follower.replicator->status().reconnects == 0);
}

TEST_CASE("partitions that come, go and are truncated, which the stream does not show, are noticed", "[G4]") {
  test::Database database;
  Follower follower(database);
  follower.must_follow("TRUNCATE odd");
  follower.must_follow("ALTER TABLE documents DETACH PARTITION low");
  follower.must_follow("UPDATE low SET body = 'apart'");
  follower.must_follow("ALTER TABLE documents ATTACH PARTITION low FOR VALUES FROM (0) TO (10)");
  follower.must_follow("DROP TABLE even");
  follower.must_follow(
      "CREATE TABLE last PARTITION OF documents FOR VALUES FROM (20) TO (30); INSERT INTO documents VALUES (25, 1, "
      "'in a new partition')");
}

TEST_CASE("a partition that is rewritten by itself makes its table be copied afresh", "[G4]") {
  test::Database database;
  test::Following<Document, 2> following(
      database,
      "CREATE TABLE documents (region int, id int, body text NOT NULL, PRIMARY KEY (region, id)) PARTITION BY RANGE "
      "(region); CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (10);"
      "INSERT INTO documents VALUES (1, 1, 'a'), (2, 2, 'b'); DELETE FROM documents WHERE id = 1;"
      "CREATE PUBLICATION pub FOR TABLE documents WITH (publish_via_partition_root = true)",
      "documents", std::chrono::milliseconds{20});
  database.exec("VACUUM FULL low");
  static_cast<void>(following.log.wait_for(btreemapped::EventKind::table_healed));
  CHECK(following.rows() == std::vector<Document>{{2, 2, "b"}});
  CHECK(following.log.count(btreemapped::EventKind::table_failed) == 0);
  CHECK(following.replicator->status().reconnects == 0);
}

TEST_CASE("a partition that is published under its own name is followed alone", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE documents (region int, id int, body text NOT NULL, PRIMARY KEY (region, id)) PARTITION BY RANGE "
      "(region);"
      "CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (10);"
      "CREATE TABLE high PARTITION OF documents FOR VALUES FROM (10) TO (20);"
      "INSERT INTO documents VALUES (1, 1, 'a'), (11, 1, 'b'); CREATE PUBLICATION pub FOR TABLE documents");
  test::Replicator replicator(database.options());
  const auto low = replicator.add_replica<Document, 2>("low");
  test::start_and_sync(replicator);
  database.exec("UPDATE documents SET region = 2 WHERE region = 11; UPDATE documents SET region = 12 WHERE body = 'a'");
  database.exec("INSERT INTO documents VALUES (3, 3, 'c'), (13, 3, 'd')");
  database.catch_up(replicator);
  CHECK(low.to_vector() == std::vector<Document>{{2, 1, "b"}, {3, 3, "c"}});
}

TEST_CASE("a partition that was detached for a moment, between two looks at the catalog, is noticed", "[G4]") {
  test::Database database;
  Follower follower(database, std::chrono::hours{1});
  // While it is apart its changes are not published; the next change is what makes us look.
  database.exec(
      "ALTER TABLE documents DETACH PARTITION low; UPDATE low SET body = 'apart' WHERE id < 5; ALTER TABLE documents "
      "ATTACH PARTITION low FOR VALUES FROM (0) TO (10); UPDATE documents SET body = 'together' WHERE id = 9");
  CHECK(test::eventually([&] { return follower.documents->to_vector() == follower.table(); }));
}

TEST_CASE("a partition that is followed alone stops when it is detached, and heals when it is attached again", "[G4]") {
  test::Database database;
  test::Following<Document, 2> following(
      database,
      "CREATE TABLE documents (region int, id int, body text NOT NULL, PRIMARY KEY (region, id)) PARTITION BY RANGE "
      "(region); CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (10);"
      "INSERT INTO documents VALUES (1, 1, 'a'); CREATE PUBLICATION pub FOR TABLE documents",
      "low", std::chrono::milliseconds{20});
  database.exec("ALTER TABLE documents DETACH PARTITION low; UPDATE low SET body = 'apart'");
  CHECK_THAT(following.log.wait_for(btreemapped::EventKind::table_failed).message,
             Catch::Matchers::ContainsSubstring("publication pub does not publish it"));
  CHECK(following.replica->state() != btreemapped::TableState::live);
  CHECK(following.rows() == std::vector<Document>{{1, 1, "a"}});
  database.exec("ALTER TABLE documents ATTACH PARTITION low FOR VALUES FROM (0) TO (10)");
  CHECK(test::eventually([&] { return following.replica->state() == btreemapped::TableState::live; }));
  CHECK(following.rows() == std::vector<Document>{{1, 1, "apart"}});
}

TEST_CASE("a partition that is itself partitioned is followed as one table where only it is published", "[G2]") {
  test::Database database;
  test::Following<Document, 2> following(
      database,
      "CREATE TABLE documents (region int, id int, body text NOT NULL, PRIMARY KEY (region, id)) PARTITION BY RANGE "
      "(region); CREATE TABLE high PARTITION OF documents FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);"
      "CREATE TABLE high_a PARTITION OF high FOR VALUES FROM (0) TO (5); CREATE TABLE high_b PARTITION OF high DEFAULT;"
      "CREATE TABLE low PARTITION OF documents DEFAULT; INSERT INTO documents VALUES (1, 1, 'low'), (11, 1, 'a'), (12, "
      "9, 'b'); CREATE PUBLICATION pub FOR TABLE high WITH (publish_via_partition_root = true)",
      "high");
  CHECK(following.rows() == std::vector<Document>{{11, 1, "a"}, {12, 9, "b"}});
  // From leaf to leaf, in and out.
  CHECK(
      following.rows_after("UPDATE documents SET id = 8 WHERE region = 11; UPDATE documents SET region = 13 WHERE body "
                           "= 'low'; UPDATE documents SET region = 2 WHERE body = 'b'") ==
      std::vector<Document>{{11, 8, "a"}, {13, 1, "low"}});
  CHECK(following.rows_after("TRUNCATE high").empty());
}

TEST_CASE("where several publications cover a partition, the topmost table that is published has its rows", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE documents (region int, id int, body text NOT NULL, PRIMARY KEY (region, id)) PARTITION BY RANGE "
      "(region); CREATE TABLE high PARTITION OF documents FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);"
      "CREATE TABLE leaf PARTITION OF high DEFAULT; INSERT INTO documents VALUES (11, 1, 'a');"
      "CREATE PUBLICATION of_leaf FOR TABLE leaf; CREATE PUBLICATION of_high FOR TABLE high WITH "
      "(publish_via_partition_root = true); CREATE PUBLICATION of_all FOR TABLE documents WITH "
      "(publish_via_partition_root = true)");
  btreemapped::Options options = database.options();
  options.publication.clear();
  options.publications = {"of_leaf", "of_high", "of_all"};
  for (const std::string table : {"leaf", "high"}) {
    test::Replicator refused(options);
    static_cast<void>(refused.add_replica<Document, 2>(table));
    refused.start();
    CHECK_THROWS_WITH(test::wait_until_synced(refused),
                      Catch::Matchers::ContainsSubstring("published under the name of public.documents"));
  }
  test::Replicator replicator(options);
  const auto documents = replicator.add_replica<Document, 2>("documents");
  test::start_and_sync(replicator);
  database.exec("UPDATE documents SET id = 2; INSERT INTO leaf VALUES (12, 5, 'b')");
  database.catch_up(replicator);
  CHECK(documents.to_vector() == std::vector<Document>{{11, 2, "a"}, {12, 5, "b"}});
}

}  // namespace partitions_test
