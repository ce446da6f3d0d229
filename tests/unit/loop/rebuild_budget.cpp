#include <chrono>
#include <cstddef>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/rebuild_budget.hpp>

// How often all tables may be copied afresh for one reason.

namespace {

using btreemapped::detail::RebuildBudget;
using Time = RebuildBudget::Time;
using namespace std::chrono_literals;

constexpr Time start{std::chrono::hours{1000}};

}  // namespace

TEST_CASE("a reason may be met as often as the budget says, and not once more", "[rebuild_budget]") {
  RebuildBudget budget(3);
  for (int i = 0; i < 3; ++i) CHECK(budget.take(start, "the slot is gone"));
  CHECK_FALSE(budget.take(start, "the slot is gone"));
  CHECK_FALSE(budget.take(start + 59min, "the slot is gone"));
}

TEST_CASE("a budget of nothing allows nothing", "[rebuild_budget]") {
  RebuildBudget budget(0);
  CHECK_FALSE(budget.take(start, "the slot is gone"));
}

TEST_CASE("each reason has a budget of its own", "[rebuild_budget]") {
  RebuildBudget budget(1);
  CHECK(budget.take(start, "the slot is gone"));
  CHECK(budget.take(start, "the publication is gone"));
  CHECK_FALSE(budget.take(start, "the slot is gone"));
  CHECK_FALSE(budget.take(start, "the publication is gone"));
}

TEST_CASE("what is an hour ago counts no more", "[rebuild_budget]") {
  RebuildBudget budget(2);
  CHECK(budget.take(start, "gone"));
  CHECK(budget.take(start + 30min, "gone"));
  CHECK_FALSE(budget.take(start + 59min, "gone"));
  CHECK(budget.take(start + 60min, "gone"));
  CHECK_FALSE(budget.take(start + 89min, "gone"));
  CHECK(budget.take(start + 90min, "gone"));
}

TEST_CASE("a rebuild every now and then is never one too many", "[rebuild_budget]") {
  RebuildBudget budget(5);
  for (int i = 0; i < 10'000; ++i) CHECK(budget.take(start + i * 13min, "gone"));
}

TEST_CASE("the same reason with other positions, pids and numbers is the same reason", "[rebuild_budget]") {
  RebuildBudget budget(1);
  CHECK(budget.take(start, "the slot is at 16/B374D848, which pid 17 has not reached (SQLSTATE 42704)"));
  CHECK_FALSE(budget.take(start, "the slot is at 1/0, which pid 18 has not reached (SQLSTATE 42704)"));
}
