#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/loop/table_health.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/typed_table.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace table_health_test {

using btreemapped::Lsn;
using btreemapped::TableState;
using btreemapped::detail::Fault;
using btreemapped::detail::TableHealth;
using Catch::Matchers::ContainsSubstring;

struct Item {
  std::int32_t id;
  std::string name;
};

constexpr auto never = TableHealth::Clock::time_point::max();

/// The health of two tables, and what is told of it.
struct Patients {
  std::shared_ptr<btreemapped::detail::Store> store = std::make_shared<btreemapped::detail::Store>(false);
  std::shared_ptr<btreemapped::detail::Notifier> notifier =
      std::make_shared<btreemapped::detail::Notifier>([](const btreemapped::Event&) {});
  btreemapped::detail::StatusBoard board{store};
  btreemapped::detail::Table& items = add("items");
  btreemapped::detail::Table& others = add("others");
  TableHealth health{store, notifier, board};

  btreemapped::detail::Table& add(const std::string& name) {
    using Table = btreemapped::detail::TypedTable<Item, 1>;
    return store->add(std::make_unique<Table>(*store, btreemapped::detail::TableName{"public", name}));
  }

  std::string error_of(std::size_t table) const { return board.read().tables.at(table).last_error; }
};

Fault divergence(btreemapped::detail::Table& table) {
  return {&table, {}, "an update of a row that is not held", Lsn{7}, true, {}};
}

TEST_CASE("a table that diverges is due for a copy, and a copy of all serves it, too", "[table_health]") {
  Patients patients;
  CHECK(patients.health.due() == never);
  patients.health.fail_at_commit(divergence(patients.items));
  CHECK(patients.health.due() != never);
  patients.health.begin_anew();
  CHECK(patients.health.due() == never);
}

TEST_CASE("tables are due one by one", "[table_health]") {
  Patients patients;
  patients.health.fail_at_commit(divergence(patients.items));
  const auto first = patients.health.due();
  patients.health.fail_in_copy({&patients.others, "name", "NULL", Lsn{9}, false, {}});
  CHECK(patients.health.due() == first);
  CHECK(patients.health.take_due(first) == std::vector<btreemapped::detail::Table*>{&patients.items});
  CHECK(patients.health.due() > first);
  CHECK(patients.health.due() != never);
}

TEST_CASE("a table whose copy may mend it is stale, one that holds what the row cannot has failed", "[table_health]") {
  Patients patients;
  patients.health.fail_in_copy(divergence(patients.items));
  patients.health.fail_in_copy({&patients.others, "name", "NULL", Lsn{9}, false, {}});
  CHECK(patients.items.state() == TableState::stale);
  CHECK_THAT(patients.error_of(0), ContainsSubstring("copied afresh"));
  CHECK(patients.others.state() == TableState::failed);
  CHECK_THAT(patients.error_of(1), ContainsSubstring("until that value is gone"));
}

TEST_CASE("a table that the server does not let us copy is not said to hold a value", "[table_health]") {
  Patients patients;
  patients.health.fail_in_copy({&patients.items, {}, "permission denied", Lsn{9}, false, "42501"});
  CHECK_THAT(patients.error_of(0), ContainsSubstring("permission denied"));
  CHECK_THAT(patients.error_of(0), !ContainsSubstring("value"));
}

TEST_CASE("a table that does not fit is due once it fits, and until then a matter of the catalog", "[table_health]") {
  Patients patients;
  patients.health.fail(patients.items, "there is no column name");
  CHECK(patients.items.state() == TableState::failed);
  CHECK(patients.health.due() == never);
  CHECK(patients.health.misfits() == std::vector<btreemapped::detail::Table*>{&patients.items});
  patients.health.fit(patients.items);
  CHECK(patients.health.misfits().empty());
  CHECK(patients.health.due() != never);
}

TEST_CASE("a late word that a table fits makes no copy of one that follows", "[table_health]") {
  Patients patients;
  patients.health.fit(patients.items);
  CHECK(patients.health.due() == never);
}

TEST_CASE("a table that comes back has no error any more and nothing due", "[table_health]") {
  Patients patients;
  patients.health.expire(patients.items, TableHealth::Cause::altered, "public.items was altered");
  CHECK(patients.items.state() == TableState::stale);
  CHECK_THAT(patients.error_of(0), ContainsSubstring("altered"));
  patients.health.heal(patients.items);
  CHECK(patients.error_of(0).empty());
  CHECK(patients.health.due() == never);
}

TEST_CASE("tables that one transaction was too large for are due together, whatever became of each before",
          "[table_health]") {
  Patients patients;
  for (int round = 0; round < 5; ++round) {  // one of them has had its troubles
    patients.health.fail_at_commit(divergence(patients.items));
    CHECK(patients.health.take_due(patients.health.due()).size() == 1);
  }
  for (btreemapped::detail::Table* const table : {&patients.items, &patients.others}) {
    Fault fault = divergence(*table);
    fault.oversized = true;
    patients.health.fail_at_commit(fault);
  }
  const auto due = patients.health.due();
  CHECK(patients.health.take_due(due).size() == 2);
  CHECK(patients.health.due() == never);

  // And so they stay when the attempt fails, but not with one that is back or was never a part of it.
  for (btreemapped::detail::Table* const table : {&patients.items, &patients.others})
    patients.health.expire(*table, TableHealth::Cause::divergence, "the copy failed");
  CHECK(patients.health.take_due(patients.health.due()).size() == 2);
  patients.health.heal(patients.others);
  patients.health.expire(patients.others, TableHealth::Cause::altered, "public.others was altered");
  patients.health.expire(patients.items, TableHealth::Cause::divergence, "the copy failed");
  CHECK(patients.health.take_due(patients.health.due()) == std::vector<btreemapped::detail::Table*>{&patients.others});
}

}  // namespace table_health_test
