#include <cstddef>
#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/row.hpp>

#include <support/memory_table.hpp>

namespace {

#define TEN_FIELDS(n)                                                                           \
  std::int32_t f##n##0, f##n##1, f##n##2, f##n##3, f##n##4, f##n##5, f##n##6, f##n##7, f##n##8; \
  std::string f##n##9;

/// As many fields as Boost.PFR takes.
struct Wide {
  TEN_FIELDS(0)
  TEN_FIELDS(1)
  TEN_FIELDS(2)
  TEN_FIELDS(3)
  TEN_FIELDS(4)
  TEN_FIELDS(5)
  TEN_FIELDS(6)
  TEN_FIELDS(7)
  TEN_FIELDS(8)
  TEN_FIELDS(9)
  TEN_FIELDS(10)
  TEN_FIELDS(11)
  TEN_FIELDS(12)
  TEN_FIELDS(13)
  TEN_FIELDS(14)
  TEN_FIELDS(15)
  TEN_FIELDS(16)
  TEN_FIELDS(17)
  TEN_FIELDS(18)
  TEN_FIELDS(19)
};

#undef TEN_FIELDS

test::Cells row_of(int first) {
  test::Cells row;
  for (int i = 0; i < 200; ++i) row.push_back(i % 10 == 9 ? test::CellText("text " + std::to_string(i)) : first + i);
  return row;
}

}  // namespace

TEST_CASE("a row of 200 fields is copied, updated and read", "[row]") {
  test::MemoryStore store;
  const auto table = store.add_with<Wide, 2>({row_of(1000), row_of(2000)});
  const auto replica = table.replica();

  auto changes = table.change();
  test::Cells row = row_of(1000);
  row[199] = test::unchanged;
  row[198] = 7;
  REQUIRE_FALSE(changes.update(row));
  store.publish(table, std::move(changes));

  CHECK(replica.size() == 2);
  const bool found = replica.get_with(1000, 1001, [](const Wide& wide) {
    CHECK(wide.f00 == 1000);
    CHECK(wide.f188 == 1188);
    CHECK(wide.f198 == 7);
    CHECK(wide.f189 == "text 189");
    CHECK(wide.f199 == "text 199");
  });
  CHECK(found);
}
