#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <unordered_set>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <btreemapped/lsn.hpp>

using btreemapped::Lsn;

namespace {

constexpr std::uint64_t highest = std::numeric_limits<std::uint64_t>::max();

static_assert(!std::is_convertible_v<std::uint64_t, Lsn>);
static_assert(!std::is_convertible_v<Lsn, bool>);
static_assert(sizeof(Lsn) == sizeof(std::uint64_t));

}  // namespace

TEST_CASE("a position prints as PostgreSQL prints it", "[lsn]") {
  CHECK(to_string(Lsn{}) == "0/0");
  CHECK(to_string(Lsn{0x16'B374'D848}) == "16/B374D848");
  CHECK(to_string(Lsn{0x1'0000'0000}) == "1/0");
  CHECK(to_string(Lsn{0xABC}) == "0/ABC");
  CHECK(to_string(Lsn{highest}) == "FFFFFFFF/FFFFFFFF");
}

TEST_CASE("a printed position reads back as itself", "[lsn]") {
  const std::uint64_t position =
      GENERATE(std::uint64_t{0}, 1U, 0xFFFF'FFFFU, 0x1'0000'0000U, 0x16'B374'D848U, highest - 1, highest);
  CHECK(Lsn::parse(to_string(Lsn{position})) == Lsn{position});
}

TEST_CASE("a position reads in either case and with leading zeros", "[lsn]") {
  CHECK(Lsn::parse("16/b374d848") == Lsn{0x16'B374'D848});
  CHECK(Lsn::parse("00000016/0000ABCD") == Lsn{0x16'0000'ABCD});
}

TEST_CASE("text that is not a position is refused", "[lsn]") {
  const std::string_view text =
      GENERATE("", "/", "0", "0/", "/0", "0/0/0", " 0/0", "0/0 ", "0 /0", "0/ 0", "0/-1", "-1/0", "+1/0", "0/+1",
               "0x1/0", "0/0x1", "g/0", "0/g", "123456789/0", "0/123456789", "16-B374D848", "16//B374D848");
  CHECK_FALSE(Lsn::parse(text).has_value());
}

TEST_CASE("a position with a NUL byte is refused", "[lsn]") {
  CHECK_FALSE(Lsn::parse(std::string_view{"0/1\0", 4}).has_value());
  CHECK_FALSE(Lsn::parse(std::string_view{"0/\0001", 4}).has_value());
}

TEST_CASE("positions order as numbers, not as text", "[lsn]") {
  CHECK(*Lsn::parse("9/0") < *Lsn::parse("10/0"));
  CHECK(*Lsn::parse("0/FFFFFFFF") < *Lsn::parse("1/0"));
  CHECK(*Lsn::parse("1/A") == *Lsn::parse("1/0000000A"));
  CHECK(Lsn{highest} > Lsn{});
}

TEST_CASE("only the zero position is none", "[lsn]") {
  CHECK_FALSE(static_cast<bool>(Lsn{}));
  CHECK(static_cast<bool>(Lsn{1}));
  CHECK(static_cast<bool>(Lsn{0x1'0000'0000}));
}

TEST_CASE("equal positions have one hash", "[lsn]") {
  const std::unordered_set<Lsn> seen{Lsn{1}, Lsn{2}, *Lsn::parse("0/1"), Lsn{0x1'0000'0000}};
  CHECK(seen.size() == 3);
  CHECK(seen.contains(Lsn{2}));
}
