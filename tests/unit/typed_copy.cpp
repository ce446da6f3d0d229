#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/table.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>

#include <support/memory_table.hpp>
#include <support/random.hpp>

// A copy that is compared with the rows that are served.
namespace {

using namespace btreemapped;
using test::Cells;
using test::null;

struct Item {
  std::int32_t id;
  std::optional<std::string> text = std::nullopt;

  friend bool operator==(const Item&, const Item&) = default;
};
using Items = std::vector<Item>;

struct Price {
  Numeric price;
  std::string text;
};

template <class Row>
struct Fixture {
  explicit Fixture(const std::vector<Cells>& rows) : table(store.add_with<Row, 1>(rows)) {}

  void publish(std::unique_ptr<detail::Delta> change) {
    REQUIRE_FALSE(change->seal());
    auto commit = store.next_commit();
    commit.changes.push_back({&table.table(), std::move(change)});
    store.publish(commit);
  }

  [[nodiscard]] test::Changes onto(std::unique_ptr<detail::Delta> change, char identity = 'd') const {
    return {std::move(change), table.map(identity)};
  }

  test::MemoryStore store{};
  test::MemoryTable<Row, 1> table;
};

}  // namespace

TEST_CASE("a comparison makes the rows equal to the copy, whatever differs", "[typed_copy]") {
  Fixture<Item> fixture({{1, "a"}, {2, "b"}, {3, null}, {4, "d"}});
  fixture.publish(fixture.table.comparison({{1, "a"}, {2, "bb"}, {4, null}, {5, "e"}}));
  CHECK(fixture.table.replica().to_vector() == Items{{1, "a"}, {2, "bb"}, {4}, {5, "e"}});
}

TEST_CASE("a comparison with an equal copy changes nothing", "[typed_copy]") {
  Fixture<Item> fixture({{1, "a"}, {2, "b"}, {3, null}});
  const auto replica = fixture.table.replica();
  const auto guard = replica.read();
  const Item* const before = guard.find(2);
  auto change = fixture.table.comparison({{3, null}, {1, "a"}, {2, "b"}});
  REQUIRE_FALSE(change->seal());
  CHECK(change->apply(std::chrono::steady_clock::time_point::max()));
  CHECK(guard.find(2) == before);
  CHECK(guard.size() == 3);
}

TEST_CASE("a comparison with an empty copy leaves no row", "[typed_copy]") {
  Fixture<Item> fixture({{1, "a"}, {2, "b"}});
  fixture.publish(fixture.table.comparison({}));
  CHECK(fixture.table.replica().empty());
}

TEST_CASE("a comparison of an empty table takes all rows in", "[typed_copy]") {
  Fixture<Item> fixture({});
  fixture.publish(fixture.table.comparison({{2, "b"}, {1, "a"}}));
  CHECK(fixture.table.replica().to_vector() == Items{{1, "a"}, {2, "b"}});
}

TEST_CASE("a comparison counts the rows of the copy", "[typed_copy]") {
  Fixture<Item> fixture({{1, "a"}, {2, "b"}});
  const auto copy = fixture.table.table().make_comparison(fixture.table.map());
  for (const int id : {2, 1, 7}) REQUIRE_FALSE(test::MemoryTable<Item, 1>::copy_row(*copy, {id, "x"}));
  CHECK(copy->row_count() == 3);
}

TEST_CASE("a comparison refuses what cannot be a row", "[typed_copy]") {
  Fixture<Item> fixture({{1, "a"}});
  const auto copy = fixture.table.table().make_comparison(fixture.table.map());
  CHECK(test::MemoryTable<Item, 1>::copy_row(*copy, {"x", "b"}).code == Errc::invalid_text);
  CHECK(test::MemoryTable<Item, 1>::copy_row(*copy, {1}).code == Errc::column_count);
}

TEST_CASE("a key that a copy holds twice is refused, wherever the rows stand", "[typed_copy]") {
  for (const std::vector<int>& ids : std::vector<std::vector<int>>{{1, 1, 2}, {2, 2}, {2, 1, 2}, {1, 2, 1}, {9, 9}}) {
    Fixture<Item> fixture({{1, "a"}, {2, "b"}});
    const auto copy = fixture.table.table().make_comparison(fixture.table.map());
    for (const int id : ids) REQUIRE_FALSE(test::MemoryTable<Item, 1>::copy_row(*copy, {id, "x"}));
    std::unique_ptr<detail::Delta> change;
    copy->arrange();
    detail::Failure failure = copy->finish(change, [] {});
    if (!failure) failure = change->seal();
    CHECK(failure.code == Errc::duplicate_key);
  }
}

TEST_CASE("an equal key that is spelled anew is a difference", "[typed_copy]") {
  Fixture<Price> fixture(std::vector<Cells>{{"1.0", "a"}});
  fixture.publish(fixture.table.comparison({{"1.00", "a"}}));
  const auto replica = fixture.table.replica();
  const auto guard = replica.read();
  CHECK(guard.begin()->price.text() == "1.00");
  CHECK(guard.size() == 1);
}

TEST_CASE("changes of the stream are staged on what a comparison gives", "[typed_copy]") {
  Fixture<Item> fixture({{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}});
  // Of the copy: 1 is gone, 2 is another, 5 is new.
  auto changes = fixture.onto(fixture.table.comparison({{2, "B"}, {3, "c"}, {4, "d"}, {5, "e"}}));
  CHECK_FALSE(changes.insert({1, "again"}));
  CHECK_FALSE(changes.update({2, test::unchanged}));
  CHECK_FALSE(changes.update_by_key({3, null}, {30, test::unchanged}));
  CHECK_FALSE(changes.erase_by_key({4, null}));
  CHECK_FALSE(changes.update({5, "E"}));
  CHECK(changes.erase_by_key({9, null}).code == Errc::row_not_held);
  fixture.publish(changes.take());
  CHECK(fixture.table.replica().to_vector() == Items{{1, "again"}, {2, "B"}, {5, "E"}, {30, "c"}});
}

TEST_CASE("a truncate after the copy empties the table", "[typed_copy]") {
  Fixture<Item> fixture({{1, "a"}, {2, "b"}});
  auto changes = fixture.onto(fixture.table.comparison({{1, "A"}, {3, "c"}}));
  changes.truncate();
  CHECK_FALSE(changes.insert({4, "d"}));
  fixture.publish(changes.take());
  CHECK(fixture.table.replica().to_vector() == Items{{4, "d"}});
}

TEST_CASE("an insert of a key that the copy holds is a duplicate", "[typed_copy]") {
  for (const int id : {1, 2}) {
    Fixture<Item> fixture({{1, "a"}});
    auto changes = fixture.onto(fixture.table.comparison({{1, "a"}, {2, "b"}}));
    REQUIRE_FALSE(changes.insert({id, "x"}));
    CHECK(changes.seal().code == Errc::duplicate_key);
  }
}

TEST_CASE("any rows compared with any copy in any order end equal to the copy", "[typed_copy]") {
  auto random = test::seeded_generator("typed_copy");
  const auto some = [&](std::uint64_t limit) { return test::below(random, limit); };
  for (int round = 0; round < 300; ++round) {
    const auto rows = [&] {
      std::vector<Cells> out;
      for (int id = 0; id < 12; ++id)
        if (some(3) != 0) out.push_back({id, some(2) == 0 ? "x" : "y"});
      return out;
    };
    const std::vector<Cells> copied = rows();
    std::vector<Cells> shuffled = copied;
    if (some(2) == 0) std::shuffle(shuffled.begin(), shuffled.end(), random);
    Fixture<Item> fixture(rows());
    fixture.publish(fixture.table.comparison(shuffled));
    CHECK(fixture.table.replica().to_vector() == Fixture<Item>(copied).table.replica().to_vector());
  }
}
