#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/cpp_dec_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/multiprecision.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>

#include "decode.hpp"

namespace {

using boost::multiprecision::checked_int128_t;
using boost::multiprecision::cpp_dec_float_50;
using boost::multiprecision::cpp_int;
using boost::multiprecision::int128_t;
using boost::multiprecision::int256_t;
using boost::multiprecision::number;
using boost::multiprecision::uint128_t;
using btreemapped::codec;
using btreemapped::Errc;
using btreemapped::Numeric;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;
using Dec20 = number<boost::multiprecision::cpp_dec_float<20>, boost::multiprecision::et_off>;
using Dec9 = number<boost::multiprecision::cpp_dec_float<9>>;

static_assert(btreemapped::decodable<cpp_int> && btreemapped::decodable<int128_t> && btreemapped::decodable<uint128_t>);
static_assert(btreemapped::decodable<cpp_dec_float_50> && btreemapped::decodable<Dec20>);
// Binary digits do not hold 0.1.
static_assert(!btreemapped::decodable<boost::multiprecision::cpp_bin_float_50>);

constexpr std::string_view max128 = "340282366920938463463374607431768211455";

/// The value as a numeric: digit by digit what the decimal holds.
template <class Decimal>
Numeric exactly(const Decimal& value, std::size_t scale) {
  const std::string text = value.str(static_cast<std::streamsize>(scale), std::ios_base::fixed);
  return *Numeric::parse(text);
}

}  // namespace

TEST_CASE("whole numerics become integers of any size", "[unit][codec]") {
  CHECK(decode<cpp_int>("0").value == 0);
  CHECK(decode<cpp_int>("-5").value == -5);
  CHECK(decode<cpp_int>("5.000").value == 5);
  CHECK(decode<cpp_int>("10").value == 10);
  CHECK(decode<cpp_int>("0.00").value == 0);
  const std::string large = "-1" + std::string(1'000, '7');
  CHECK((decode<cpp_int>(large).value.str() == large));
  CHECK((decode<cpp_int>(large + ".0").value.str() == large));
}

TEST_CASE("a numeric that no integer holds is out of range", "[unit][codec]") {
  for (const std::string text : {"0.5", "-1.000000001", "NaN", "Infinity", "-Infinity"}) {
    CAPTURE(text);
    CHECK(error_of<cpp_int>(text) == Errc::out_of_range);
    CHECK(error_of<int128_t>(text) == Errc::out_of_range);
  }
}

TEST_CASE("an integer of fixed width takes what it holds and never wraps around", "[unit][codec]") {
  CHECK((decode<int128_t>(max128).value.str() == max128));
  CHECK((decode<int128_t>("-" + std::string(max128)).value.str() == "-" + std::string(max128)));
  CHECK((decode<checked_int128_t>(max128).value.str() == max128));
  CHECK((decode<uint128_t>(max128).value.str() == max128));
  constexpr std::string_view beyond = "340282366920938463463374607431768211456";
  CHECK(error_of<int128_t>(beyond) == Errc::out_of_range);
  CHECK(error_of<int128_t>("-" + std::string(beyond)) == Errc::out_of_range);
  CHECK(error_of<checked_int128_t>(beyond) == Errc::out_of_range);
  CHECK(error_of<uint128_t>(beyond) == Errc::out_of_range);
  CHECK(error_of<uint128_t>("-1") == Errc::out_of_range);
  CHECK(decode<int256_t>(beyond).error == Errc::ok);
  CHECK(error_of<int128_t>(std::string(131'072, '9')) == Errc::out_of_range);
}

TEST_CASE("numerics become decimals digit by digit", "[unit][codec]") {
  for (const std::string text :
       {"0", "0.00", "1", "-1.5", "0.1", "0.000000001", "123456789.987654321", "-99999999999999999999.999999999",
        "12345678901234567890123456789012345678901234567890", "0.12345678901234567890123456789012345678901234567891",
        "1234567890123456789012345.6789012345678901234567891", "100000000000000000000000000000000000000000000000000000",
        "0.00000000000000000000000000000000000000000000000000000000000000000001"}) {
    CAPTURE(text);
    const auto decoded = decode<cpp_dec_float_50>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(exactly(decoded.value, 100) == *Numeric::parse(text));
  }
}

TEST_CASE("decimals of every length and place of the point that fit are exact", "[unit][codec]") {
  std::uint64_t state = 7;
  for (int i = 0; i < 2'000; ++i) {
    std::string digits;
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::size_t size = 1 + (state >> 33U) % 20;
    while (digits.size() < size) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      digits += static_cast<char>('1' + (state >> 40U) % 9);
    }
    for (const std::size_t point : {std::size_t{0}, size / 2, size}) {
      const std::string text =
          (point == 0 ? "0" : digits.substr(0, point)) + (point == size ? "" : "." + digits.substr(point));
      const auto decoded = decode<Dec20>(text);
      CAPTURE(text);
      REQUIRE(decoded.error == Errc::ok);
      REQUIRE(exactly(decoded.value, 30) == *Numeric::parse(text));
    }
  }
}

TEST_CASE("a numeric with more digits than the decimal's is out of range", "[unit][codec]") {
  CHECK(error_of<Dec20>("123456789012345678901") == Errc::out_of_range);
  CHECK(error_of<Dec20>("0.123456789012345678901") == Errc::out_of_range);
  CHECK(error_of<Dec20>("1.00000000000000000001") == Errc::out_of_range);
  CHECK(error_of<Dec20>("1.00000000000000000000") == Errc::ok);
  CHECK(error_of<Dec20>("12345678901234567890000000000000") == Errc::ok);
  for (const std::string text : {"NaN", "Infinity", "-Infinity"}) {
    CAPTURE(text);
    CHECK(error_of<cpp_dec_float_50>(text) == Errc::out_of_range);
  }
}

TEST_CASE("the largest and the smallest numerics become decimals", "[unit][codec]") {
  const auto largest = decode<cpp_dec_float_50>("9" + std::string(131'071, '0'));
  CHECK(largest.error == Errc::ok);
  CHECK(largest.value == cpp_dec_float_50("9e131071"));
  const auto smallest = decode<cpp_dec_float_50>("-0." + std::string(16'382, '0') + "1");
  CHECK(smallest.error == Errc::ok);
  CHECK(smallest.value == cpp_dec_float_50("-1e-16383"));
}

TEST_CASE("equal numerics are equal numbers with one hash", "[unit][codec]") {
  CHECK(decode<cpp_dec_float_50>("1.10").value == decode<cpp_dec_float_50>("1.1").value);
  const std::hash<cpp_dec_float_50> decimal_hash;
  CHECK(decimal_hash(decode<cpp_dec_float_50>("1.10").value) == decimal_hash(decode<cpp_dec_float_50>("1.1").value));
  CHECK(decimal_hash(decode<cpp_dec_float_50>("0.00").value) == decimal_hash(decode<cpp_dec_float_50>("0").value));
  const std::hash<cpp_int> integer_hash;
  CHECK(integer_hash(decode<cpp_int>("5.00").value) == integer_hash(decode<cpp_int>("5").value));
}

TEST_CASE("text that is no numeric is refused by big numbers", "[unit][codec]") {
  for (const std::string text : {"", "-", "+1", "01", "0x10", "1e3", ".5", "5.", "-0", "1 ", "nan", "inf", "one"}) {
    CAPTURE(text);
    CHECK(error_of<cpp_int>(text) == Errc::invalid_text);
    CHECK(error_of<cpp_dec_float_50>(text) == Errc::invalid_text);
  }
}

TEST_CASE("big numbers accept numeric and the integers that always fit", "[unit][codec]") {
  constexpr btreemapped::Oid int8 = 20, int2 = 21, int4 = 23, oid = 26, float8 = 701, numeric = 1700;
  for (const btreemapped::Oid type : {int2, int4, int8, oid, numeric}) {
    CAPTURE(type);
    CHECK(codec<cpp_int>::accepts(builtin(type)));
    CHECK(codec<int128_t>::accepts(builtin(type)));
    CHECK(codec<cpp_dec_float_50>::accepts(builtin(type)));
    CHECK(codec<Dec20>::accepts(builtin(type)));
    CHECK(codec<uint128_t>::accepts(builtin(type)) == (type == oid || type == numeric));
    CHECK(codec<Dec9>::accepts(builtin(type)) == (type == int2 || type == numeric));
  }
  CHECK_FALSE(codec<cpp_int>::accepts(builtin(float8)));
  CHECK_FALSE(codec<cpp_dec_float_50>::accepts(builtin(float8)));
  CHECK_FALSE(codec<cpp_int>::accepts(decode_test::user_type("numeric")));
  CHECK(codec<cpp_int>::accepts(decode_test::domain_over(numeric)));
}
