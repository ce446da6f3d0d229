#include <cstdint>
#include <string>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include <support/document.hpp>
#include <support/memory_table.hpp>

// Values that can only be moved cannot be copied out of the served row, which readers see until the commit.
namespace {

using test::null;
using test::unchanged;

struct Page {
  std::int32_t id;
  test::Document body;
  std::string title;
  test::Document appendix;
};

struct Fixture {
  test::MemoryStore store{};
  test::MemoryTable<Page, 1> table =
      store.add_with<Page, 1>({{1, "body 1", "title 1", "appendix 1"}, {2, "body 2", "title 2", "appendix 2"}});

  /// "id body title appendix;" of each row
  [[nodiscard]] std::string rows() const {
    std::string all;
    table.replica().for_each([&](const Page& page) {
      all += std::to_string(page.id) + " " + *page.body.text + ", " + page.title + ", " + *page.appendix.text + "; ";
    });
    return all;
  }
};

}  // namespace

TEST_CASE("an unchanged value that can only be moved goes over to the new row", "[typed_delta]") {
  Fixture fixture;
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update({1, unchanged, "new title", unchanged}));
  CHECK(fixture.rows() == "1 body 1, title 1, appendix 1; 2 body 2, title 2, appendix 2; ");
  fixture.store.publish(fixture.table, std::move(changes));
  CHECK(fixture.rows() == "1 body 1, new title, appendix 1; 2 body 2, title 2, appendix 2; ");
}

TEST_CASE("it goes along with a moved key, and through several updates", "[typed_delta]") {
  Fixture fixture;
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update_by_key({1, null, null, null}, {3, unchanged, "t", "new appendix"}));
  REQUIRE_FALSE(changes.update({3, unchanged, unchanged, unchanged}));
  REQUIRE_FALSE(changes.update_by_key({3, null, null, null}, {0, unchanged, unchanged, unchanged}));
  REQUIRE_FALSE(changes.update({2, "new body", unchanged, unchanged}));
  REQUIRE_FALSE(changes.update({2, unchanged, "u", unchanged}));
  fixture.store.publish(fixture.table, std::move(changes));
  CHECK(fixture.rows() == "0 body 1, t, new appendix; 2 new body, u, appendix 2; ");
}

TEST_CASE("values that can only be moved may swap their rows", "[typed_delta]") {
  Fixture fixture;
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update_by_key({1, null, null, null}, {3, unchanged, unchanged, unchanged}));
  REQUIRE_FALSE(changes.update_by_key({2, null, null, null}, {1, unchanged, unchanged, unchanged}));
  REQUIRE_FALSE(changes.update_by_key({3, null, null, null}, {2, unchanged, unchanged, unchanged}));
  fixture.store.publish(fixture.table, std::move(changes));
  CHECK(fixture.rows() == "1 body 2, title 2, appendix 2; 2 body 1, title 1, appendix 1; ");
}

TEST_CASE("a row whose values are lent to another may be deleted and its key taken", "[typed_delta]") {
  Fixture fixture;
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update_by_key({1, null, null, null}, {9, unchanged, unchanged, unchanged}));
  REQUIRE_FALSE(changes.insert({1, "b", "t", "a"}));
  REQUIRE_FALSE(changes.erase_by_key({2, null, null, null}));
  fixture.store.publish(fixture.table, std::move(changes));
  CHECK(fixture.rows() == "1 b, t, a; 9 body 1, title 1, appendix 1; ");
}

TEST_CASE("a transaction that borrows and is not committed gives nothing away", "[typed_delta]") {
  Fixture fixture;
  {
    auto changes = fixture.table.change();
    REQUIRE_FALSE(changes.update({1, unchanged, "x", unchanged}));
    REQUIRE_FALSE(changes.seal());
  }
  CHECK(fixture.rows() == "1 body 1, title 1, appendix 1; 2 body 2, title 2, appendix 2; ");
}

TEST_CASE("a deleted row gives nothing to one that is inserted in its place", "[typed_delta]") {
  Fixture fixture;
  auto changes = fixture.table.change();
  REQUIRE_FALSE(changes.update({1, unchanged, "x", unchanged}));
  REQUIRE_FALSE(changes.erase_by_key({1, null, null, null}));
  REQUIRE_FALSE(changes.insert({1, "b", "t", "a"}));
  REQUIRE_FALSE(changes.update({1, unchanged, "tt", "aa"}));
  fixture.store.publish(fixture.table, std::move(changes));
  CHECK(fixture.rows() == "1 b, tt, aa; 2 body 2, title 2, appendix 2; ");
}

TEST_CASE("a row that borrows is told apart by what it has borrowed, when the identity changes meanwhile",
          "[typed_delta]") {
  Fixture fixture;
  auto changes = fixture.table.change('d');
  REQUIRE_FALSE(changes.update({1, unchanged, "x", unchanged}));
  changes.use(fixture.table.map('f'));
  REQUIRE_FALSE(changes.update_by_old_row({2, "body 2", "title 2", "appendix 2"}, {1, "body 2", "x", "appendix 2"}));
  REQUIRE_FALSE(changes.update_by_old_row({1, "body 1", "x", "appendix 1"}, {2, unchanged, "y", unchanged}));
  fixture.store.publish(fixture.table, std::move(changes));
  CHECK(fixture.rows() == "1 body 2, x, appendix 2; 2 body 1, y, appendix 1; ");
}
