// Values that are equal and not the same, as keys.
#include <cstdint>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/database.hpp"
#include "support/replicator.hpp"

namespace types_test {
namespace {

struct Timer {
  btreemapped::Interval length;
  std::int32_t id;
};

}  // namespace

TEST_CASE("a key that changes to an interval that equals it is one row with the new one", "[values]") {
  test::Database database;
  database.exec(
      "CREATE TABLE timers (length interval PRIMARY KEY, id int NOT NULL); INSERT INTO timers VALUES ('1 mon', 1), ('1 "
      "year', 2), ('-1 day', 0); CREATE PUBLICATION pub FOR TABLE timers");
  test::Replicator replicator(database.options());
  const auto timers = replicator.add_replica<Timer, 1>("timers");
  test::start_and_sync(replicator);
  const auto ids = [&] {
    std::vector<std::int32_t> out;
    timers.for_each([&](const Timer& timer) { out.push_back(timer.id); });
    return out;
  };
  CHECK(ids() == std::vector<std::int32_t>{0, 1, 2});
  database.exec("UPDATE timers SET length = '30 days' WHERE id = 1");
  database.catch_up(replicator);
  REQUIRE(timers.size() == 3);
  CHECK(to_string(timers.get(btreemapped::Interval{.months = 1})->length) == "30 days");
  database.exec("UPDATE timers SET length = '720 hours', id = 3 WHERE length = '1 mon'");
  database.catch_up(replicator);
  CHECK(ids() == std::vector<std::int32_t>{0, 3, 2});
  CHECK(to_string(timers.get(btreemapped::Interval{.days = 30})->length) == "720:00:00");
  database.exec("DELETE FROM timers WHERE length = '30 days'");
  database.catch_up(replicator);
  CHECK(ids() == std::vector<std::int32_t>{0, 2});
}

}  // namespace types_test
