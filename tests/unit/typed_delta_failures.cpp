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

  test::MemoryStore store{};
  test::MemoryTable<Item, 1> table;
};

}  // namespace

TEST_CASE("an out-of-line key column without a key image cannot be followed", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  const auto failure = changes.update({unchanged, "b", null});
  CHECK(failure.code == Errc::value_not_sent);
  CHECK(failure.field == 0);
}

TEST_CASE("a row that was truncated away cannot be updated", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.insert({2, "b", null}));
  changes.truncate();
  CHECK(changes.update({1, "aa", null}).code == Errc::row_not_held);
  CHECK(changes.erase_by_key({2, null, null}).code == Errc::row_not_held);
}

TEST_CASE("where columns that nobody mapped tell two rows of a key apart, neither is guessed", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto map = fixture.table.map();
  map.holds_identity = false;
  for (const bool erases : {true, false}) {
    auto changes = fixture.table.change();
    changes.use(map);
    CHECK_FALSE(changes.update_by_key({1, null, null}, {1, "aa", null}));  // one row: no doubt
    REQUIRE_FALSE(changes.insert({1, "b", null}));
    if (erases) CHECK(changes.erase_by_key({1, null, null}).code == Errc::row_not_held);
    else CHECK(changes.update_by_key({1, null, null}, {2, "b", null}).code == Errc::row_not_held);
    CHECK(changes.update({1, "bb", null}).code == Errc::row_not_held);
    CHECK_FALSE(changes.erase_by_old_row({1, "b", null}));  // a whole row says which
  }
}

TEST_CASE("an update or delete of a row that is not held is divergence", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  CHECK(changes.update({2, "b", null}).code == Errc::row_not_held);
  CHECK(changes.update_by_key({2, null, null}, {3, "b", null}).code == Errc::row_not_held);
  CHECK(changes.erase_by_key({2, null, null}).code == Errc::row_not_held);
  changes.use(fixture.table.map('f'));
  CHECK(changes.update_by_old_row({2, "b", null}, {2, "c", null}).code == Errc::row_not_held);
  CHECK(changes.erase_by_old_row({2, "b", null}).code == Errc::row_not_held);
}

TEST_CASE("a row that the transaction has deleted or moved is not held", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.erase_by_key({1, null, null}));
  REQUIRE_FALSE(changes.update_by_key({2, null, null}, {3, "b", null}));
  CHECK(changes.update({1, "aa", null}).code == Errc::row_not_held);
  CHECK(changes.erase_by_key({1, null, null}).code == Errc::row_not_held);
  CHECK(changes.update({2, "bb", null}).code == Errc::row_not_held);
}

TEST_CASE("of two rows under one key none is taken that the old row does not name", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto changes = fixture.table.change('f');
  REQUIRE_FALSE(changes.update_by_old_row({1, "a", null}, {2, "a", null}));
  CHECK(changes.erase_by_old_row({2, "c", null}).code == Errc::row_not_held);
  CHECK(changes.update_by_old_row({2, "b", "n"}, {1, "b", null}).code == Errc::row_not_held);
}

TEST_CASE("the insert of a held key is found out at the commit", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.insert({1, "b", null}));
  CHECK(changes.seal().code == Errc::duplicate_key);
  CHECK(fixture.table.replica().to_vector() == Items{{1, "a"}});
}

TEST_CASE("two inserts of one key, or a move onto a held one, are found out at the commit", "[typed_delta]") {
  Fixture fixture({{1, "a", null}, {2, "b", null}});
  auto twice = fixture.table.change();
  REQUIRE_FALSE(twice.insert({3, "c", null}));
  REQUIRE_FALSE(twice.insert({3, "c", null}));
  CHECK(twice.seal().code == Errc::duplicate_key);
  auto onto = fixture.table.change();
  REQUIRE_FALSE(onto.update_by_key({1, null, null}, {2, "a", null}));
  CHECK(onto.seal().code == Errc::duplicate_key);
  auto truncated = fixture.table.change();
  truncated.truncate();
  REQUIRE_FALSE(truncated.insert({1, "c", null}));
  REQUIRE_FALSE(truncated.insert({1, "d", null}));
  CHECK(truncated.seal().code == Errc::duplicate_key);
}

TEST_CASE("a value that an insert leaves out is nowhere", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  const auto text = changes.insert({2, unchanged, null});
  CHECK(text.code == Errc::value_not_sent);
  CHECK(text.field == 1);
  const auto note = changes.insert({2, "b", unchanged});
  CHECK(note.code == Errc::value_not_sent);
  CHECK(note.field == 2);
}

TEST_CASE("NULL for a field that is not optional is an error at that field", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  const auto inserted = changes.insert({2, null, null});
  CHECK(inserted.code == Errc::unexpected_null);
  CHECK(inserted.field == 1);
  const auto key = changes.insert({null, "b", null});
  CHECK(key.code == Errc::unexpected_null);
  CHECK(key.field == 0);
  const auto updated = changes.update({1, null, null});
  CHECK(updated.code == Errc::unexpected_null);
  CHECK(updated.field == 1);
}

TEST_CASE("a value that is not of the field's type is an error at that field", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  const auto letters = changes.insert({"seven", "b", null});
  CHECK(letters.code == Errc::invalid_text);
  CHECK(letters.field == 0);
  const auto large = changes.insert({"2147483648", "b", null});
  CHECK(large.code == Errc::out_of_range);
  CHECK(large.field == 0);
  const auto bytes = changes.update({1, "a", "\xff"});
  CHECK(bytes.code == Errc::invalid_encoding);
  CHECK(bytes.field == 2);
  const auto image = changes.erase_by_key({"seven", null, null});
  CHECK(image.code == Errc::invalid_text);
  CHECK(image.field == 0);
}

TEST_CASE("a tuple with another number of columns is refused", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  CHECK(changes.insert({2, "b"}).code == Errc::column_count);
  CHECK(changes.insert({2, "b", null, null}).code == Errc::column_count);
  CHECK(changes.insert({}).code == Errc::column_count);
  CHECK(changes.update({1, "b"}).code == Errc::column_count);
  CHECK(changes.update_by_key({1}, {2, "b", null}).code == Errc::column_count);
  CHECK(changes.update_by_key({1, null, null}, {2}).code == Errc::column_count);
  CHECK(changes.update_by_old_row({1, "a"}, {2, "b", null}).code == Errc::column_count);
  CHECK(changes.erase_by_key({1}).code == Errc::column_count);
}

TEST_CASE("an old image without the key cannot be followed", "[typed_delta]") {
  Fixture fixture({{1, "a", null}});
  auto changes = fixture.table.change();
  CHECK(changes.update_by_key({null, "a", null}, {1, "b", null}).code == Errc::missing_key);
  CHECK(changes.erase_by_key({null, "a", null}).code == Errc::missing_key);
}
