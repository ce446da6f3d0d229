#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/pq/timeline.hpp>
#include <btreemapped/lsn.hpp>

// The history of a server's timelines.

namespace {

using btreemapped::Lsn;
using btreemapped::detail::pq::left_at;

constexpr std::string_view history =
    "1\t0/3000060\tno recovery target specified\n"
    "\n"
    "# by hand\n"
    "2\t16/B374D848\tbefore 2000-01-01 05:00:00+01\n";

}  // namespace

TEST_CASE("a history says where each of its timelines was left", "[timeline]") {
  CHECK(left_at(history, 1) == Lsn{0x3000060});
  CHECK(left_at(history, 2) == Lsn{0x16'B374'D848});
}

TEST_CASE("a timeline that is no ancestor was never left", "[timeline]") {
  CHECK_FALSE(left_at(history, 3));
  CHECK_FALSE(left_at(history, 0));
  CHECK_FALSE(left_at("", 1));
}

TEST_CASE("a history without its last end of line is read", "[timeline]") {
  CHECK(left_at("1\t0/30", 1) == Lsn{0x30});
  CHECK(left_at("  1  0/30  reason", 1) == Lsn{0x30});
}

TEST_CASE("a position that cannot be read is none", "[timeline]") {
  CHECK_FALSE(left_at("1\tnonsense\treason\n", 1));
  CHECK_FALSE(left_at("1\n", 1));
  CHECK_FALSE(left_at("1\t\n", 1));
}
