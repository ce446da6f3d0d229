#include <cstdint>
#include <memory>
#include <string>

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

TEST_CASE("a table that fails at a commit is due for a copy, and a copy serves it whatever it was made for",
          "[table_health]") {
  Patients patients;
  CHECK(patients.health.due() == never);
  patients.health.fail_at_commit({&patients.items, {}, "an update of a row that is not held", Lsn{7}, true, {}});
  CHECK(patients.health.due() != never);
  patients.health.copied();
  CHECK(patients.health.due() == never);
}

TEST_CASE("a table that fails in the copy that serves another one is due for the next", "[table_health]") {
  Patients patients;
  patients.health.fail_at_commit({&patients.items, {}, "an update of a row that is not held", Lsn{7}, true, {}});
  const auto first = patients.health.due();
  patients.health.copied();
  patients.health.fail_in_copy({&patients.others, "name", "NULL", Lsn{9}, false, {}});
  CHECK(patients.health.due() != never);
  CHECK(patients.health.due() > first);
  CHECK(patients.others.state() == TableState::failed);
  CHECK_THAT(patients.error_of(1), ContainsSubstring("until that value is gone"));
}

TEST_CASE("a table that the server does not let us copy is not said to hold a value", "[table_health]") {
  Patients patients;
  patients.health.fail_in_copy({&patients.items, {}, "permission denied", Lsn{9}, false, "42501"});
  CHECK_THAT(patients.error_of(0), ContainsSubstring("permission denied"));
  CHECK_THAT(patients.error_of(0), !ContainsSubstring("value"));
}

}  // namespace table_health_test
