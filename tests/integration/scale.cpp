// As much as there can be: very long values, very many replicas.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/following.hpp"
#include "support/replicator.hpp"

namespace scale_test {

struct Document {
  std::int32_t id;
  std::string body;
  std::int32_t version;
};

struct Item {
  std::int32_t id;
  std::string name;

  friend bool operator==(const Item&, const Item&) = default;
};

constexpr std::size_t hundred_megabytes = 100'000'000;

/// Without a copy of it.
bool is_all(const btreemapped::Replica<Document, 1>& documents, std::int32_t id, char letter, std::int32_t version) {
  return documents
      .get_with(id,
                [&](const Document& document) {
                  return document.version == version && document.body.size() == hundred_megabytes &&
                         document.body.find_first_not_of(letter) == std::string::npos;
                })
      .value_or(false);
}

TEST_CASE("values of a hundred megabytes are copied, streamed, kept and moved", "[scale]") {
  test::Database database;
  const auto body = [](char letter) { return "repeat('" + std::string(1, letter) + "', 100000000)"; };
  test::Following<Document, 1> following(database,
                                         "CREATE TABLE items (id int PRIMARY KEY, body text NOT NULL, version int NOT "
                                         "NULL); INSERT INTO items VALUES (1, " +
                                             body('a') + ", 0); CREATE PUBLICATION pub FOR TABLE items");
  const auto after = [&](const std::string& sql) {
    database.exec(sql);
    database.catch_up(*following.replicator);
    return following.replica->size();
  };
  CHECK(is_all(*following.replica, 1, 'a', 0));
  CHECK(after("INSERT INTO items VALUES (2, " + body('b') + ", 0)") == 2);
  CHECK(is_all(*following.replica, 2, 'b', 0));
  CHECK(after("UPDATE items SET version = 1; UPDATE items SET id = 3 WHERE id = 1") == 2);
  CHECK(is_all(*following.replica, 3, 'a', 1));
  CHECK(is_all(*following.replica, 2, 'b', 1));
  CHECK(after("UPDATE items SET body = " + body('c') + " WHERE id = 3; DELETE FROM items WHERE id = 2") == 1);
  CHECK(is_all(*following.replica, 3, 'c', 1));
  CHECK(following.replicator->status().reconnects == 0);
}

TEST_CASE("two hundred replicas follow in one Replicator", "[scale]") {
  constexpr int count = 200;
  test::Database database;
  std::string create;
  std::string insert = "BEGIN; ";
  std::string move = "BEGIN; ";
  for (int i = 0; i < count; ++i) {
    const std::string name = "items" + std::to_string(i);
    create += "CREATE TABLE " + name + " (id int PRIMARY KEY, name text NOT NULL); INSERT INTO " + name +
              " VALUES (1, 'copied'); ";
    insert += "INSERT INTO " + name + " VALUES (2, '" + name + "'); ";
    move += "UPDATE " + name + " SET id = id + " + std::to_string(i) + " WHERE id = 2; ";
  }
  database.exec(create + "CREATE PUBLICATION pub FOR ALL TABLES");
  test::Replicator replicator(database.options());
  std::vector<btreemapped::Replica<Item, 1>> replicas;
  for (int i = 0; i < count; ++i) replicas.push_back(replicator.add_replica<Item, 1>("items" + std::to_string(i)));
  test::start_and_sync(replicator);
  const std::uint64_t before = replicas.front().sequence();
  database.exec(insert + "COMMIT");
  database.exec(move + "COMMIT");
  database.catch_up(replicator);
  for (int i = 0; i < count; ++i) {
    const auto& replica = replicas[static_cast<std::size_t>(i)];
    CHECK(replica.to_vector() == std::vector<Item>{{1, "copied"}, {2 + i, "items" + std::to_string(i)}});
    CHECK(replica.sequence() == before + 2);
  }
  std::string truncate = "TRUNCATE items0";
  for (int i = 1; i < count; ++i) truncate += ", items" + std::to_string(i);
  database.exec(truncate);
  database.catch_up(replicator);
  for (const auto& replica : replicas) CHECK(replica.empty());
  CHECK(replicator.status().reconnects == 0);
  CHECK(replicator.status().tables.size() == count);
}

}  // namespace scale_test
