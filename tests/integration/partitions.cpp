// Partitioned tables: the stream tells what happens to rows, and nothing of what happens to partitions.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/eventually.hpp"

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
  explicit Follower(test::Database& db) : database(db) {
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
    options.catalog_watch_interval = std::chrono::milliseconds{20};
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
  std::optional<btreemapped::Replicator> replicator;
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

TEST_CASE("a partition that is published under its own name is followed alone", "[G2]") {
  test::Database database;
  database.exec(
      "CREATE TABLE documents (region int, id int, body text NOT NULL, PRIMARY KEY (region, id)) PARTITION BY RANGE "
      "(region);"
      "CREATE TABLE low PARTITION OF documents FOR VALUES FROM (0) TO (10);"
      "CREATE TABLE high PARTITION OF documents FOR VALUES FROM (10) TO (20);"
      "INSERT INTO documents VALUES (1, 1, 'a'), (11, 1, 'b'); CREATE PUBLICATION pub FOR TABLE documents");
  btreemapped::Replicator replicator(database.options());
  const auto low = replicator.add_replica<Document, 2>("low");
  test::start_and_sync(replicator);
  database.exec("UPDATE documents SET region = 2 WHERE region = 11; UPDATE documents SET region = 12 WHERE body = 'a'");
  database.exec("INSERT INTO documents VALUES (3, 3, 'c'), (13, 3, 'd')");
  database.catch_up(replicator);
  CHECK(low.to_vector() == std::vector<Document>{{2, 1, "b"}, {3, 3, "c"}});
}

}  // namespace partitions_test
