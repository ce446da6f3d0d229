// One process for each shard of a table: publications with a row filter over a hash of the key.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/load.hpp"
#include "support/replicator.hpp"

namespace shards_test {

struct Account {
  std::int64_t id;
  std::string owner;
  std::int64_t amount;

  friend bool operator==(const Account&, const Account&) = default;
};

/// A process of its own, in all but name.
struct Shard {
  Shard(const test::Database& database, std::size_t number) : replicator(options(database, number)) {
    test::start_and_sync(replicator);
  }

  static btreemapped::Options options(const test::Database& database, std::size_t number) {
    btreemapped::Options options = database.options();
    options.publication = "shard" + std::to_string(number);
    return options;
  }

  test::Replicator replicator;
  btreemapped::Replica<Account, 1> accounts = replicator.add_replica<Account, 1>("accounts");
};

TEST_CASE("shards by a hash of the key are disjoint and together the table, while rows move between them", "[filter]") {
  constexpr std::size_t count = 3;
  test::Database database;
  database.exec(
      "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text NOT NULL, amount bigint NOT NULL);"
      "INSERT INTO accounts SELECT id, 'owner ' || id, 0 FROM generate_series(0, 299) id");
  for (std::size_t n = 0; n < count; ++n) {
    database.exec("CREATE PUBLICATION shard" + std::to_string(n) + " FOR TABLE accounts WHERE (abs(hashint8(id) % " +
                  std::to_string(count) + ") = " + std::to_string(n) + ")");
  }
  test::Load load(database.dsn(), 2, [](std::mt19937_64& random) {
    const auto id = [&] { return std::to_string(random() % 400); };
    const std::string from = id();
    const std::string to = id();
    // Keys change places, or move to a free one; now and then several at once.
    return "BEGIN; SELECT pg_advisory_xact_lock(1); UPDATE accounts SET id = -1 WHERE id = " + from +
           "; UPDATE accounts SET id = " + from + ", amount = amount + 1 WHERE id = " + to +
           "; UPDATE accounts SET id = " + to + " WHERE id = -1; INSERT INTO accounts VALUES (1000 + " + from +
           ", 'new', 0) ON CONFLICT (id) DO UPDATE SET amount = 7; DELETE FROM accounts WHERE id = 1000 + " + to +
           "; COMMIT";
  });
  std::vector<std::unique_ptr<Shard>> shards;
  for (std::size_t n = 0; n < count; ++n) shards.push_back(std::make_unique<Shard>(database, n));
  for (const auto& shard : shards) {
    REQUIRE(load.go_on_for(50));
    CHECK(shard->replicator.verify(shard->accounts).verdict == btreemapped::Verdict::equal);
  }
  load.stop();
  std::vector<Account> all;
  for (const auto& shard : shards) {
    database.catch_up(shard->replicator);
    const std::vector<Account> part = shard->accounts.to_vector();
    CHECK(part.size() > 50);
    all.insert(all.end(), part.begin(), part.end());
    CHECK(shard->replicator.verify(shard->accounts).verdict == btreemapped::Verdict::equal);
  }
  std::sort(all.begin(), all.end(), [](const Account& a, const Account& b) { return a.id < b.id; });
  std::vector<Account> table;
  for (const test::SqlRow& row : database.rows("SELECT id, owner, amount FROM accounts ORDER BY id"))
    table.push_back({std::stoll(*row[0]), *row[1], std::stoll(*row[2])});
  CHECK(all == table);
}

}  // namespace shards_test
