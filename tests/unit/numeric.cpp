#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/numeric.hpp>

namespace {

using btreemapped::Numeric;

struct NumericCase {
  int rank;  // equal for equal values
  std::string_view text;
  std::size_t scale;
  std::uint64_t float8_bits;
  std::string_view int8;  // empty unless the value is an integer of 64 bits
};

// In the order in which PostgreSQL 15 sorts them, with its scale() and its casts:
// create function pg_temp.as_float8(v numeric) returns text language plpgsql as
// $$ begin return '0x' || encode(float8send(v::float8), 'hex'); exception when others then return 'none'; end $$;
// create function pg_temp.as_int8(v numeric) returns text language plpgsql as
// $$ begin return case when v = trunc(v) then v::int8::text else '' end; exception when others then return ''; end
//   $$;
// select format('{%s, "%s", %s, %s, "%s"},',
//   dense_rank() over (order by v), v, coalesce(scale(v), 0), pg_temp.as_float8(v),
//               pg_temp.as_int8(v))
// from unnest('{NaN,-Infinity,Infinity,0,0.0,0.00,-0.000,1,1.0,1.00,-1,-1.0,-1.000,0.1,0.10,0.01,-0.1,-0.10,-0.01,
//   0.09,0.11,0.099,
//   9,10,10.0,-9,-10,99,100,100.00,99.99,99.995,-99.99,-99.995,-100,0.5,-0.5,1.5,2.5,4.35,1e20,
//   100000000000000000000.00,
//   99999999999999999999,-1e20,9999.9999,10000,10000.0001,9223372036854775807,9223372036854775807.0,
//   9223372036854775808,
//   -9223372036854775808,-9223372036854775809,9007199254740993,0.3333333333333333333333,1e-20,2e-20,-1e-20,1.10,1.1,
//   1.01,
//   1e40,1e-30,123456789012345678901234567890.123456789,123456789012345678901234567890.12345678900}'::numeric[]) v
// order by v, scale(v);
// clang-format off
constexpr NumericCase cases[] = {
    {1, "-Infinity", 0, 0xfff0000000000000, ""}, {2, "-100000000000000000000", 0, 0xc415af1d78b58c40, ""},
    {3, "-9223372036854775809", 0, 0xc3e0000000000000, ""},
    {4, "-9223372036854775808", 0, 0xc3e0000000000000, "-9223372036854775808"},
    {5, "-100", 0, 0xc059000000000000, "-100"}, {6, "-99.995", 3, 0xc058ffae147ae148, ""},
    {7, "-99.99", 2, 0xc058ff5c28f5c28f, ""}, {8, "-10", 0, 0xc024000000000000, "-10"},
    {9, "-9", 0, 0xc022000000000000, "-9"}, {10, "-1", 0, 0xbff0000000000000, "-1"},
    {10, "-1.0", 1, 0xbff0000000000000, "-1"}, {10, "-1.000", 3, 0xbff0000000000000, "-1"},
    {11, "-0.5", 1, 0xbfe0000000000000, ""}, {12, "-0.1", 1, 0xbfb999999999999a, ""},
    {12, "-0.10", 2, 0xbfb999999999999a, ""}, {13, "-0.01", 2, 0xbf847ae147ae147b, ""},
    {14, "-0.00000000000000000001", 20, 0xbbc79ca10c924223, ""}, {15, "0", 0, 0x0000000000000000, "0"},
    {15, "0.0", 1, 0x0000000000000000, "0"}, {15, "0.00", 2, 0x0000000000000000, "0"},
    {15, "0.000", 3, 0x0000000000000000, "0"}, {16, "0.000000000000000000000000000001", 30, 0x39b4484bfeebc2a0, ""},
    {17, "0.00000000000000000001", 20, 0x3bc79ca10c924223, ""},
    {18, "0.00000000000000000002", 20, 0x3bd79ca10c924223, ""}, {19, "0.01", 2, 0x3f847ae147ae147b, ""},
    {20, "0.09", 2, 0x3fb70a3d70a3d70a, ""}, {21, "0.099", 3, 0x3fb95810624dd2f2, ""},
    {22, "0.1", 1, 0x3fb999999999999a, ""}, {22, "0.10", 2, 0x3fb999999999999a, ""},
    {23, "0.11", 2, 0x3fbc28f5c28f5c29, ""}, {24, "0.3333333333333333333333", 22, 0x3fd5555555555555, ""},
    {25, "0.5", 1, 0x3fe0000000000000, ""}, {26, "1", 0, 0x3ff0000000000000, "1"},
    {26, "1.0", 1, 0x3ff0000000000000, "1"}, {26, "1.00", 2, 0x3ff0000000000000, "1"},
    {27, "1.01", 2, 0x3ff028f5c28f5c29, ""}, {28, "1.1", 1, 0x3ff199999999999a, ""},
    {28, "1.10", 2, 0x3ff199999999999a, ""}, {29, "1.5", 1, 0x3ff8000000000000, ""},
    {30, "2.5", 1, 0x4004000000000000, ""}, {31, "4.35", 2, 0x4011666666666666, ""},
    {32, "9", 0, 0x4022000000000000, "9"}, {33, "10", 0, 0x4024000000000000, "10"},
    {33, "10.0", 1, 0x4024000000000000, "10"}, {34, "99", 0, 0x4058c00000000000, "99"},
    {35, "99.99", 2, 0x4058ff5c28f5c28f, ""}, {36, "99.995", 3, 0x4058ffae147ae148, ""},
    {37, "100", 0, 0x4059000000000000, "100"}, {37, "100.00", 2, 0x4059000000000000, "100"},
    {38, "9999.9999", 4, 0x40c387fffcb923a3, ""}, {39, "10000", 0, 0x40c3880000000000, "10000"},
    {40, "10000.0001", 4, 0x40c388000346dc5d, ""},
    {41, "9007199254740993", 0, 0x4340000000000000, "9007199254740993"},
    {42, "9223372036854775807", 0, 0x43e0000000000000, "9223372036854775807"},
    {42, "9223372036854775807.0", 1, 0x43e0000000000000, "9223372036854775807"},
    {43, "9223372036854775808", 0, 0x43e0000000000000, ""}, {44, "99999999999999999999", 0, 0x4415af1d78b58c40, ""},
    {45, "100000000000000000000", 0, 0x4415af1d78b58c40, ""},
    {45, "100000000000000000000.00", 2, 0x4415af1d78b58c40, ""},
    {46, "123456789012345678901234567890.123456789", 9, 0x45f8ee90ff6c373e, ""},
    {46, "123456789012345678901234567890.12345678900", 11, 0x45f8ee90ff6c373e, ""},
    {47, "10000000000000000000000000000000000000000", 0, 0x483d6329f1c35ca5, ""},
    {48, "Infinity", 0, 0x7ff0000000000000, ""}, {49, "NaN", 0, 0x7ff8000000000000, ""},
};
// clang-format on

Numeric numeric(std::string_view text) {
  std::optional<Numeric> parsed = Numeric::parse(text);
  if (!parsed) throw std::invalid_argument("not a numeric: " + std::string(text));
  return *std::move(parsed);
}

}  // namespace

TEST_CASE("numerics compare, pair by pair, as on the server", "[unit][numeric]") {
  static_assert(std::size(cases) * (std::size(cases) - 1) / 2 >= 2000);
  for (const NumericCase& a : cases)
    for (const NumericCase& b : cases) {
      CAPTURE(a.text, b.text);
      CHECK((numeric(a.text) <=> numeric(b.text)) == (a.rank <=> b.rank));
      CHECK((numeric(a.text) == numeric(b.text)) == (a.rank == b.rank));
      CHECK((numeric(a.text) < numeric(b.text)) == (a.rank < b.rank));
    }
}

TEST_CASE("equal numerics have one hash and others differ", "[unit][numeric]") {
  const std::hash<Numeric> hash;
  for (const NumericCase& a : cases)
    for (const NumericCase& b : cases) {
      CAPTURE(a.text, b.text);
      CHECK((hash(numeric(a.text)) == hash(numeric(b.text))) == (a.rank == b.rank));
    }
}

TEST_CASE("a numeric prints as the server printed it", "[unit][numeric]") {
  for (const NumericCase& each : cases) {
    CHECK(numeric(each.text).text() == each.text);
    CHECK(to_string(numeric(each.text)) == each.text);
  }
}

TEST_CASE("a numeric knows its scale", "[unit][numeric]") {
  for (const NumericCase& each : cases) {
    CAPTURE(each.text);
    CHECK(numeric(each.text).scale() == each.scale);
  }
}

TEST_CASE("a numeric converts to the double that the server casts it to", "[unit][numeric]") {
  for (const NumericCase& each : cases) {
    CAPTURE(each.text);
    const std::optional<double> value = numeric(each.text).to<double>();
    REQUIRE(value);
    CHECK(std::bit_cast<std::uint64_t>(value.value_or(0)) == each.float8_bits);
  }
}

TEST_CASE("a numeric converts to an integer if it is one that fits", "[unit][numeric]") {
  for (const NumericCase& each : cases) {
    CAPTURE(each.text);
    const std::optional<std::int64_t> value = numeric(each.text).to<std::int64_t>();
    CHECK(value.has_value() == !each.int8.empty());
    CHECK((value ? std::to_string(*value) : "") == each.int8);
  }
}

TEST_CASE("a conversion to a narrower integer is checked", "[unit][numeric]") {
  CHECK(numeric("32767.00").to<std::int16_t>() == std::int16_t{32767});
  CHECK_FALSE(numeric("32768").to<std::int16_t>());
  CHECK_FALSE(numeric("-1").to<std::uint32_t>());
  CHECK(numeric("4294967295").to<std::uint32_t>() == 4294967295U);
  CHECK(numeric("18446744073709551615.0").to<std::uint64_t>() == std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(numeric("18446744073709551616").to<std::uint64_t>());
}

TEST_CASE("a numeric beyond a double converts to nothing", "[unit][numeric]") {
  CHECK_FALSE(numeric("1" + std::string(400, '0')).to<double>());
  CHECK_FALSE(numeric("0." + std::string(400, '0') + "1").to<double>());
  CHECK_FALSE(numeric("1" + std::string(50, '0')).to<float>());
  CHECK(numeric("0.1").to<float>() == 0.1F);
}

TEST_CASE("a numeric is made of any integer", "[unit][numeric]") {
  CHECK(Numeric(0) == Numeric());
  CHECK(Numeric(-42).text() == "-42");
  CHECK(Numeric(std::numeric_limits<std::int64_t>::min()).text() == "-9223372036854775808");
  CHECK(Numeric(std::numeric_limits<std::uint64_t>::max()).text() == "18446744073709551615");
  CHECK(Numeric(std::int16_t{-32768}) == numeric("-32768.000"));
}

TEST_CASE("a default and a moved-from numeric are zero", "[unit][numeric]") {
  CHECK(Numeric().text() == "0");
  CHECK(Numeric() == numeric("0.00"));
  std::vector<Numeric> values{numeric("123456789012345678901234567890")};
  const Numeric target = std::move(values.front());
  CHECK(target.text() == "123456789012345678901234567890");
  CHECK(values.front() == Numeric());
  CHECK(values.front().text() == "0");
}

TEST_CASE("the kinds of a numeric exclude each other", "[unit][numeric]") {
  CHECK(numeric("NaN").is_nan());
  CHECK_FALSE(numeric("NaN").is_finite());
  CHECK_FALSE(numeric("NaN").is_infinite());
  CHECK(numeric("-Infinity").is_infinite());
  CHECK(numeric("Infinity").is_infinite());
  CHECK_FALSE(numeric("Infinity").is_finite());
  CHECK(numeric("-1.5").is_finite());
  CHECK_FALSE(numeric("-1.5").is_nan());
}

TEST_CASE("a numeric is refused in any notation that the server does not print", "[unit][numeric]") {
  for (const std::string_view text :
       {"",      "-",    "+1",       " 1",       "1 ",        "01",        "00",    "-01",       "00.5", ".5",
        "-.5",   "5.",   ".",        "-.",       "1e3",       "1E3",       "1e-3",  "1.5e0",     "0x10", "1,5",
        "1_000", "1..2", "1.2.3",    "--1",      "1-",        "-0",        "-0.00", "nan",       "NAN",  "-NaN",
        "inf",   "Inf",  "infinity", "INFINITY", "+Infinity", "-infinity", "NaN ",  "Infinity ", "1a",   "a"}) {
    CAPTURE(text);
    CHECK_FALSE(Numeric::parse(text));
  }
  CHECK_FALSE(Numeric::parse({"1\0", 2}));
}
