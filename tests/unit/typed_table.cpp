#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/error.hpp>

#include <support/memory_table.hpp>

namespace {

using namespace btreemapped;
using test::Cells;
using test::null;

struct Item {
  std::int32_t id;
  std::string text;
  std::optional<std::string> note = std::nullopt;

  friend bool operator==(const Item&, const Item&) = default;
};

using Items = std::vector<Item>;

struct Fixture {
  explicit Fixture(const std::vector<Cells>& rows) : table(store.add_with<Item, 1>(rows)) {}

  test::MemoryStore store{};
  test::MemoryTable<Item, 1> table;
};

}  // namespace

TEST_CASE("a copy takes the place of what is served, in one step", "[typed_table]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto commit = fixture.store.next_commit();
  commit.changes.push_back({&fixture.table.table(), fixture.table.copy({{3, "c", null}, {2, "bb", "n"}})});
  CHECK(fixture.table.replica().size() == 2);
  fixture.store.publish(commit);
  CHECK(fixture.table.replica().to_vector() == Items{{2, "bb", "n"}, {3, "c"}});
}

TEST_CASE("a copy in any order is sorted, and counts its rows", "[typed_table]") {
  Fixture fixture({});
  auto copy = fixture.table.table().make_copy(fixture.table.map());
  for (const int id : {5, 1, 9, 3, 7}) REQUIRE_FALSE(test::MemoryTable<Item, 1>::copy_row(*copy, {id, "x", null}));
  CHECK(copy->row_count() == 5);
  auto commit = fixture.store.next_commit();
  commit.changes.push_back({&fixture.table.table(), test::MemoryTable<Item, 1>::finished(*copy)});
  fixture.store.publish(commit);
  std::vector<std::int32_t> ids;
  fixture.table.replica().for_each([&](const Item& item) { ids.push_back(item.id); });
  CHECK(ids == std::vector<std::int32_t>{1, 3, 5, 7, 9});
}

TEST_CASE("a copy refuses what cannot be a row", "[typed_table]") {
  Fixture fixture({});
  const auto copy = fixture.table.table().make_copy(fixture.table.map());
  const auto add = [&](const Cells& row) { return test::MemoryTable<Item, 1>::copy_row(*copy, row); };
  REQUIRE_FALSE(add({1, "a", null}));
  CHECK(add({1, "b", null}).code == Errc::duplicate_key);
  CHECK(add({2, "b"}).code == Errc::column_count);
  const auto missing = add({2, null, null});
  CHECK(missing.code == Errc::unexpected_null);
  CHECK(missing.field == 1);
  const auto text = add({"x", "b", null});
  CHECK(text.code == Errc::invalid_text);
  CHECK(text.field == 0);
}
