#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/table.hpp>
#include <btreemapped/numeric.hpp>

#include <support/memory_table.hpp>

namespace {

using namespace btreemapped;
using test::Cells;
using test::null;
using test::unchanged;

struct Item {
  std::int32_t id;
  std::string text;
  std::optional<std::string> note = std::nullopt;

  friend bool operator==(const Item&, const Item&) = default;
};

using Items = std::vector<Item>;

struct Fixture {
  explicit Fixture(const std::vector<Cells>& rows) : table(store.add_with<Item, 1>(rows)) {}

  /// Publishes what has been staged and returns what is there then.
  Items commit(test::Changes& changes) {
    store.publish(table, std::move(changes));
    return table.replica().to_vector();
  }

  test::MemoryStore store{};
  test::MemoryTable<Item, 1> table;
};

}  // namespace

TEST_CASE("inserted rows are there after the commit, and not before", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.insert({2, "b", "note"}));
  REQUIRE_FALSE(changes.insert({0, "z", null}));
  CHECK(fixture.table.replica().size() == 1);
  CHECK(fixture.commit(changes) == Items{{0, "z"}, {1, "a"}, {2, "b", "note"}});
}

TEST_CASE("an update without an old image replaces the row of its key", "[typed_delta]") {
  Fixture fixture({{1, "a", "n"}, {2, "b", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update({1, "aa", null}));
  CHECK(fixture.commit(changes) == Items{{1, "aa"}, {2, "b"}});
}

TEST_CASE("an update with a moved key erases the old row", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update_by_key({1, null, null}, {9, "moved", null}));
  CHECK(fixture.commit(changes) == Items{{2, "b"}, {9, "moved"}});
}

TEST_CASE("a deleted row is gone, by its key or by its whole old row", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", "n"}, {3, "c", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.erase_by_key({1, null, null}));
  changes.use(fixture.table.map('f'));
  REQUIRE_FALSE(changes.erase_by_old_row({2, "b", "n"}));
  CHECK(fixture.commit(changes) == Items{{3, "c"}});
}

TEST_CASE("a value that an update leaves out is never NULL, whatever the old image says", "[typed_delta]") {
  Fixture fixture({{1, "a", "long"}});
  auto changes = fixture.table.change();
  changes.use(fixture.table.map('f'));
  REQUIRE_FALSE(changes.update_by_old_row({1, null, null}, {2, "b", unchanged}));
  CHECK(fixture.commit(changes) == Items{{2, "b", "long"}});
}

TEST_CASE("insert 9 and delete 9 leave nothing", "[typed_delta]") {
  Fixture fixture({});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.insert({9, "a", null}));
  REQUIRE_FALSE(changes.erase_by_key({9, null, null}));
  CHECK(fixture.commit(changes).empty());
}

TEST_CASE("insert, delete and insert again leave the last row", "[typed_delta]") {
  Fixture fixture({});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.insert({9, "a", null}));
  REQUIRE_FALSE(changes.erase_by_key({9, null, null}));
  REQUIRE_FALSE(changes.insert({9, "b", null}));
  CHECK(fixture.commit(changes) == Items{{9, "b"}});
}

TEST_CASE("a held row that is deleted and inserted anew is replaced", "[typed_delta]") {
  Fixture fixture({{1, "a", "old"}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.erase_by_key({1, null, null}));
  REQUIRE_FALSE(changes.insert({1, "b", null}));
  CHECK(fixture.commit(changes) == Items{{1, "b"}});
}

TEST_CASE("a row may be updated many times in one transaction", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  for (int i = 0; i < 100; ++i) REQUIRE_FALSE(changes.update({1, "text " + std::to_string(i), null}));
  CHECK(fixture.commit(changes) == Items{{1, "text 99"}});
}

TEST_CASE("a key that moves away and back is where it was", "[typed_delta]") {
  Fixture fixture({{1, "a", "n"}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update_by_key({1, null, null}, {2, "b", unchanged}));
  REQUIRE_FALSE(changes.update_by_key({2, null, null}, {1, "c", unchanged}));
  CHECK(fixture.commit(changes) == Items{{1, "c", "n"}});
}

TEST_CASE("a swap under a deferrable key, with an update in between, is followed by the old rows", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto changes = fixture.table.change('f');
  REQUIRE_FALSE(changes.update_by_old_row({1, "a", null}, {2, "a", null}));
  REQUIRE_FALSE(changes.update_by_old_row({2, "b", null}, {2, "bb", null}));
  REQUIRE_FALSE(changes.update_by_old_row({2, "bb", null}, {1, "bb", null}));
  CHECK(fixture.commit(changes) == Items{{1, "bb"}, {2, "a"}});
}

TEST_CASE("a swap back and forth ends where it began", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto changes = fixture.table.change('f');
  REQUIRE_FALSE(changes.update_by_old_row({1, "a", null}, {2, "a", null}));
  REQUIRE_FALSE(changes.update_by_old_row({2, "b", null}, {1, "b", null}));
  REQUIRE_FALSE(changes.update_by_old_row({1, "b", null}, {2, "b", null}));
  REQUIRE_FALSE(changes.update_by_old_row({2, "a", null}, {1, "a", null}));
  CHECK(fixture.commit(changes) == Items{{1, "a"}, {2, "b"}});
}

TEST_CASE("a row that passes over a held key leaves the row there alone", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto moved = fixture.table.change('f');
  REQUIRE_FALSE(moved.update_by_old_row({1, "a", null}, {2, "a", null}));
  REQUIRE_FALSE(moved.update_by_old_row({2, "a", null}, {3, "a", null}));
  CHECK(fixture.commit(moved) == Items{{2, "b"}, {3, "a"}});

  auto inserted = fixture.table.change('f');
  REQUIRE_FALSE(inserted.insert({2, "c", null}));
  REQUIRE_FALSE(inserted.erase_by_old_row({2, "c", null}));
  CHECK(fixture.commit(inserted) == Items{{2, "b"}, {3, "a"}});
}

TEST_CASE("all keys can be shifted by one, up and down", "[typed_delta]") {
  std::vector<Cells> rows;
  Items expected;
  for (int id = 0; id < 100; ++id) {
    rows.push_back({id, "row " + std::to_string(id), null});
    expected.push_back({id + 1, "row " + std::to_string(id)});
  }
  Fixture fixture(rows);
  auto up = fixture.table.change('f');
  for (int id = 0; id < 100; ++id) {
    const std::string text = "row " + std::to_string(id);
    REQUIRE_FALSE(up.update_by_old_row({id, text, null}, {id + 1, text, null}));
  }
  CHECK(fixture.commit(up) == expected);

  auto down = fixture.table.change('f');
  for (int id = 100; id > 0; --id) {
    const std::string text = "row " + std::to_string(id - 1);
    REQUIRE_FALSE(down.update_by_old_row({id, text, null}, {id - 1, text, null}));
  }
  for (Item& item : expected) --item.id;
  CHECK(fixture.commit(down) == expected);
}

TEST_CASE("of two rows under one key the one that the old row names is deleted", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto first = fixture.table.change('f');
  REQUIRE_FALSE(first.update_by_old_row({1, "a", null}, {2, "a", null}));
  REQUIRE_FALSE(first.erase_by_old_row({2, "b", null}));
  CHECK(fixture.commit(first) == Items{{2, "a"}});

  auto second = fixture.table.change('f');
  REQUIRE_FALSE(second.insert({2, "c", null}));
  REQUIRE_FALSE(second.insert({2, "d", null}));
  REQUIRE_FALSE(second.erase_by_old_row({2, "a", null}));
  REQUIRE_FALSE(second.erase_by_old_row({2, "d", null}));
  CHECK(fixture.commit(second) == Items{{2, "c"}});
}

TEST_CASE("an unchanged TOAST value is filled from the held row", "[typed_delta]") {
  Fixture fixture({{1, "big", "n"}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update({1, unchanged, "m"}));
  CHECK(fixture.commit(changes) == Items{{1, "big", "m"}});
}

TEST_CASE("an unchanged TOAST value of a moved row is filled from the old key", "[typed_delta]") {
  Fixture fixture({{1, "big of 1", "n"}, {2, "big of 2", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.erase_by_key({2, null, null}));
  REQUIRE_FALSE(changes.update_by_key({1, null, null}, {2, unchanged, unchanged}));
  CHECK(fixture.commit(changes) == Items{{2, "big of 1", "n"}});
}

TEST_CASE("an unchanged TOAST value is filled from the row that the transaction itself has put there",
          "[typed_delta]") {
  Fixture fixture({{1, "old", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update({1, "new", "n"}));
  REQUIRE_FALSE(changes.update({1, unchanged, "m"}));
  REQUIRE_FALSE(changes.insert({2, "inserted", "i"}));
  REQUIRE_FALSE(changes.update_by_key({2, null, null}, {3, unchanged, unchanged}));
  REQUIRE_FALSE(changes.update({3, unchanged, null}));
  CHECK(fixture.commit(changes) == Items{{1, "new", "m"}, {3, "inserted"}});
}

TEST_CASE("an unchanged NULL stays NULL", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update({1, "b", unchanged}));
  CHECK(fixture.commit(changes) == Items{{1, "b"}});
}

TEST_CASE("a whole old row completes what the new row leaves out", "[typed_delta]") {
  Fixture fixture({{1, "big", "n"}, {2, "other", null}});
  auto changes = fixture.table.change('f');
  REQUIRE_FALSE(changes.update_by_old_row({1, "big", "n"}, {2, unchanged, unchanged}));
  REQUIRE_FALSE(changes.update_by_old_row({2, "other", null}, {1, unchanged, "m"}));
  CHECK(fixture.commit(changes) == Items{{1, "other", "m"}, {2, "big", "n"}});
}

TEST_CASE("a key column that is stored out of line comes from the key image", "[typed_delta]") {
  struct Wide {
    std::string key;
    std::int32_t value;
    bool operator==(const Wide&) const = default;
  };
  test::MemoryStore store;
  const auto table = store.add_with<Wide, 1>({{std::string(9000, 'k'), 1}});
  auto changes = table.change();
  REQUIRE_FALSE(changes.update_by_key({std::string(9000, 'k'), null}, {unchanged, 2}));
  REQUIRE_FALSE(changes.update_by_key({std::string(9000, 'k'), null}, {unchanged, 3}));
  store.publish(table, std::move(changes));
  CHECK(table.replica().to_vector() == std::vector<Wide>{{std::string(9000, 'k'), 3}});
}

TEST_CASE("one part of a key moves while the other is out of line", "[typed_delta]") {
  struct Wide {
    std::string big;
    std::int32_t small;
    std::int32_t value;
    bool operator==(const Wide&) const = default;
  };
  test::MemoryStore store;
  const auto table = store.add_with<Wide, 2>({{"big", 1, 5}});
  auto changes = table.change();
  REQUIRE_FALSE(changes.update_by_key({"big", 1, null}, {unchanged, 2, 6}));
  store.publish(table, std::move(changes));
  CHECK(table.replica().to_vector() == std::vector<Wide>{{"big", 2, 6}});
}

TEST_CASE("the nulls of a key image are no data", "[typed_delta]") {
  Fixture fixture({{1, "text", "note"}, {2, "b", "n"}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update_by_key({1, null, null}, {3, unchanged, unchanged}));
  REQUIRE_FALSE(changes.erase_by_key({2, null, null}));
  CHECK(fixture.commit(changes) == Items{{3, "text", "note"}});
}

TEST_CASE("truncate, then insert, leaves what was inserted", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto changes = fixture.table.change();
  changes.truncate();
  REQUIRE_FALSE(changes.insert({2, "new", null}));
  CHECK(fixture.table.replica().size() == 2);
  CHECK(fixture.commit(changes) == Items{{2, "new"}});
}

TEST_CASE("insert, truncate, insert leaves the second insert", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.insert({2, "b", null}));
  REQUIRE_FALSE(changes.update({1, "aa", null}));
  changes.truncate();
  REQUIRE_FALSE(changes.insert({3, "c", null}));
  REQUIRE_FALSE(changes.insert({1, "d", null}));
  REQUIRE_FALSE(changes.update({3, "cc", unchanged}));
  CHECK(fixture.commit(changes) == Items{{1, "d"}, {3, "cc"}});
}

TEST_CASE("truncate alone leaves nothing, twice is as once", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.insert({2, "b", null}));
  changes.truncate();
  changes.truncate();
  CHECK(fixture.commit(changes).empty());
  auto again = fixture.table.change();
  again.truncate();
  CHECK(fixture.commit(again).empty());
}

TEST_CASE("an equal key that is spelled anew replaces the stored key", "[typed_delta]") {
  struct Priced {
    Numeric price;
    std::int32_t count;
  };
  test::MemoryStore store;
  const auto table = store.add_with<Priced, 1>({{"0.5", 1}, {"1.0", 2}, {"2", 3}});
  auto changes = table.change();
  REQUIRE_FALSE(changes.update_by_key({"1.0", null}, {"1.00", 5}));
  REQUIRE_FALSE(changes.update({"2", 6}));
  store.publish(table, std::move(changes));
  std::vector<std::string> spelled;
  for (const auto& [key, row] : table.table().rows()) {
    CHECK(std::get<0>(key).text() == row.price.text());
    spelled.push_back(to_string(row.price) + ":" + std::to_string(row.count));
  }
  CHECK(spelled == std::vector<std::string>{"0.5:1", "1.00:5", "2:6"});
  CHECK(table.replica().contains(*Numeric::parse("1.000")));
}

TEST_CASE("a float key may change the sign of its zero", "[typed_delta]") {
  struct Point {
    double x;
    std::int32_t id;
  };
  test::MemoryStore store;
  const auto table = store.add_with<Point, 1>({{"0", 1}, {"NaN", 2}});
  auto changes = table.change();
  REQUIRE_FALSE(changes.update_by_key({"0", null}, {"-0", 3}));
  REQUIRE_FALSE(changes.update({"NaN", 4}));
  store.publish(table, std::move(changes));
  CHECK(table.replica().size() == 2);
  CHECK(std::signbit(table.replica().get(0.0)->x));
  CHECK(std::signbit(std::get<0>(table.table().rows().begin()->first)));
}

TEST_CASE("an update that changes nothing is no harm", "[typed_delta]") {
  Fixture fixture({{1, "a", "n"}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update({1, "a", "n"}));
  REQUIRE_FALSE(changes.update({1, unchanged, unchanged}));
  CHECK(fixture.commit(changes) == Items{{1, "a", "n"}});
}

TEST_CASE("the identity may change inside a transaction", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto changes = fixture.table.change('d');
  REQUIRE_FALSE(changes.update({1, "aa", null}));
  changes.use(fixture.table.map('f'));
  REQUIRE_FALSE(changes.update_by_old_row({1, "aa", null}, {1, "aaa", null}));
  changes.use(fixture.table.map('d'));
  REQUIRE_FALSE(changes.update_by_key({1, null, null}, {3, unchanged, null}));
  CHECK(fixture.commit(changes) == Items{{2, "b"}, {3, "aaa"}});
}

TEST_CASE("a transaction that is not committed leaves no trace", "[typed_delta]") {
  Fixture fixture({{1, "a", "n"}, {2, "b", null}});
  {
    auto changes = fixture.table.change();
    REQUIRE_FALSE(changes.update_by_key({1, null, null}, {5, unchanged, unchanged}));
    REQUIRE_FALSE(changes.erase_by_key({2, null, null}));
    changes.truncate();
    REQUIRE_FALSE(changes.insert({9, "x", null}));
    REQUIRE_FALSE(changes.seal());
  }
  CHECK(fixture.table.replica().to_vector() == Items{{1, "a", "n"}, {2, "b"}});
}

TEST_CASE("a long transaction is applied in slices, each with an end", "[typed_delta]") {
  constexpr int count = 5'000;
  std::vector<Cells> rows;
  for (int id = 0; id < count; ++id) rows.push_back({id, "old", null});
  Fixture fixture(rows);
  auto changes = fixture.table.change();
  for (int id = 0; id < count; ++id) {
    if (id % 3 == 0) REQUIRE_FALSE(changes.erase_by_key({id, null, null}));
    if (id % 3 == 1) REQUIRE_FALSE(changes.update({id, "new", null}));
    if (id % 3 == 2) REQUIRE_FALSE(changes.update_by_key({id, null, null}, {id + count, "moved", null}));
  }
  REQUIRE_FALSE(changes.seal());
  const auto expired = std::chrono::steady_clock::now() - std::chrono::seconds{1};
  int slices = 1;
  while (!changes.delta().apply(expired)) ++slices;
  CHECK(slices > 3);
  CHECK(slices < count);
  std::size_t updated = 0;
  std::size_t moved = 0;
  fixture.table.replica().for_each([&](const Item& item) {
    if (item.text == "new") ++updated;
    if (item.text == "moved") ++moved;
  });
  CHECK(updated == 1667);
  CHECK(moved == 1666);
  CHECK(fixture.table.replica().size() == updated + moved);
}

TEST_CASE("a long transaction is sealed in slices, each with an end", "[typed_delta]") {
  constexpr int count = 5'000;
  Fixture fixture({{-1, "old", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.erase_by_key({-1, null, null}));
  for (int id = 0; id < count; ++id) REQUIRE_FALSE(changes.insert({id, "new", null}));
  const auto expired = std::chrono::steady_clock::now() - std::chrono::seconds{1};
  int slices = 1;
  auto outcome = changes.delta().seal(expired);
  for (; !outcome; outcome = changes.delta().seal(expired)) ++slices;
  CHECK_FALSE(*outcome);
  CHECK(slices > 3);
  CHECK(slices < count);
  CHECK(fixture.table.replica().to_vector() == Items{{-1, "old"}});
  REQUIRE(changes.delta().apply(std::chrono::steady_clock::time_point::max()));
  CHECK(fixture.table.replica().size() == count);
  CHECK(fixture.table.replica().get(count - 1)->text == "new");
}

TEST_CASE("two rows of one key are found in whatever slice they are", "[typed_delta]") {
  Fixture fixture({});
  auto changes = fixture.table.change();
  for (int id = 0; id < 2'000; ++id) REQUIRE_FALSE(changes.insert({id, "new", null}));
  REQUIRE_FALSE(changes.insert({1'900, "once more", null}));
  const auto expired = std::chrono::steady_clock::now() - std::chrono::seconds{1};
  auto outcome = changes.delta().seal(expired);
  while (!outcome) outcome = changes.delta().seal(expired);
  CHECK(outcome->code == Errc::duplicate_key);
}

TEST_CASE("what is replaced stays alive until its delta dies", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}, {3, "c", null}});
  const Item* const replaced = &fixture.table.table().rows().at({1});
  auto changes = fixture.table.change();
  changes.truncate();
  REQUIRE_FALSE(changes.seal());
  auto delta = changes.take();
  REQUIRE(delta->apply(std::chrono::steady_clock::now()));
  CHECK(fixture.table.replica().empty());
  CHECK(replaced->text == "a");
}
