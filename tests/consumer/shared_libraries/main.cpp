// Two libraries that hide their symbols read the same replicas, one inside the other's read and in both orders, while
// both appliers are busy. Whether a reader must wait for an applier depends on what its thread reads already; hidden
// symbols are doubled, so that must not be known to one library only.

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "library.hpp"
#include "support/database.hpp"
#include "support/load.hpp"
#include "support/threads.hpp"

namespace {

constexpr std::int64_t total = 20 * 100;
constexpr std::uint64_t enough_commits = 300;

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

/// `first` reads x; inside, `second` reads x and y; inside that, `first` reads x again.
void read_nested(Read& first, Read& second, const Accounts& x, const Accounts& y) {
  Seen again;
  Seen innermost;
  const Seen outer = first(x, [&] {
    again = second(x, [] {});
    const Seen other = second(y, [&] { innermost = first(x, [] {}); });
    require(other.sum == total, "a transfer is seen half");
  });
  require(outer.sum == total, "a transfer is seen half");
  require(again == outer && innermost == outer, "reads inside one another are not at the same commit");
}

void run(const test::Database& database, Make& make_left, Make& make_right) {
  const auto left_replicator = make_left(database.reader_dsn());
  const auto right_replicator = make_right(database.reader_dsn());
  const Accounts left = left_replicator->add_replica<Account, 1>("lefts");
  const Accounts right = right_replicator->add_replica<Account, 1>("rights");
  test::start_and_sync(*left_replicator);
  test::start_and_sync(*right_replicator);

  test::Load load(database.dsn(), 2, [](std::mt19937_64& random) {
    const std::string table = random() % 2 == 0 ? "lefts" : "rights";
    const std::uint64_t from = random() % 19;  // always upwards: the writers must not deadlock either
    return "UPDATE " + table + " SET balance = balance - 1 WHERE id = " + std::to_string(from) + "; UPDATE " + table +
           " SET balance = balance + 1 WHERE id = " + std::to_string(from + 1);
  });
  const auto read_until_enough = [&](Read& first, Read& second, const Accounts& x, const Accounts& y) {
    return [&] {
      const std::uint64_t end = x.sequence() + enough_commits;
      while (x.sequence() < end) read_nested(first, second, x, y);
    };
  };
  test::run_together(
      {read_until_enough(read_in_a, read_in_b, left, right), read_until_enough(read_in_b, read_in_a, right, left),
       read_until_enough(read_in_a, read_in_b, right, left), read_until_enough(read_in_b, read_in_a, left, right)});
  load.stop();
  for (const auto& replicator : {left_replicator.get(), right_replicator.get()})
    for (const btreemapped::TableVerification& each : replicator->verify())
      require(each.verdict == btreemapped::Verdict::equal, "a replica is not found equal to its table");
}

}  // namespace

int main() {
  try {
    test::Database database;
    for (const std::string table : {"lefts", "rights"})
      database.exec("CREATE TABLE " + table + " (id bigint PRIMARY KEY, balance bigint NOT NULL);" + "INSERT INTO " +
                    table + " SELECT id, 100 FROM generate_series(0, 19) id");
    database.exec("CREATE PUBLICATION pub FOR TABLE lefts, rights");
    run(database, make_here, make_here);
    run(database, make_in_a, make_in_b);
    std::puts("reads of two libraries inside one another are at the same commit");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
