#include <bit>
#include <climits>
#include <clocale>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/error.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using decode_test::builtin;
using decode_test::decode;
using decode_test::domain_over;
using decode_test::error_of;
using decode_test::user_type;

constexpr btreemapped::Oid bool_oid = 16, int8_oid = 20, int2_oid = 21, int4_oid = 23, oid_oid = 26, xid_oid = 28,
                           cid_oid = 29, float4_oid = 700, float8_oid = 701, numeric_oid = 1700, xid8_oid = 5069;

template <class T>
bool accepts(btreemapped::Oid oid) {
  return btreemapped::codec<T>::accepts(builtin(oid));
}

struct Float8Case {
  std::string_view text;
  std::uint64_t bits;
};

// As PostgreSQL 15 prints them under the pinned settings, with the bits it holds:
// select format('{"%s", 0x%s},', v, encode(float8send(v), 'hex'))
// from unnest('{0,-0,1,-1,0.1,0.2,0.3,1e15,1e16,123456789012345678,9007199254740993,1e22,1e23,8.5e22,1e-4,1e-5,1e-7,
//   3.141592653589793,2.718281828459045,0.3333333333333333,5e-324,-5e-324,1e-323,4.4501477170144023e-308,
//   2.2250738585072014e-308,2.2250738585072009e-308,2.2250738585072011e-308,1.7976931348623157e308,
//   -1.7976931348623157e308,1.7976931348623155e308,9223372036854775807,18446744073709551615,6.02214076e23,
//   6.62607015e-34,299792458,4.35,1.005,NaN,Infinity,-Infinity}'::float8[]) v;
// clang-format off
constexpr Float8Case float8_cases[] = {
    {"0", 0x0000000000000000}, {"-0", 0x8000000000000000}, {"1", 0x3ff0000000000000}, {"-1", 0xbff0000000000000},
    {"0.1", 0x3fb999999999999a}, {"0.2", 0x3fc999999999999a}, {"0.3", 0x3fd3333333333333},
    {"1e+15", 0x430c6bf526340000}, {"1e+16", 0x4341c37937e08000}, {"1.2345678901234568e+17", 0x437b69b4ba630f35},
    {"9.007199254740992e+15", 0x4340000000000000}, {"1e+22", 0x4480f0cf064dd592},
    {"9.999999999999999e+22", 0x44b52d02c7e14af6}, {"8.5e+22", 0x44b1ffdbf6b2b2eb}, {"0.0001", 0x3f1a36e2eb1c432d},
    {"1e-05", 0x3ee4f8b588e368f1}, {"1e-07", 0x3e7ad7f29abcaf48}, {"3.141592653589793", 0x400921fb54442d18},
    {"2.718281828459045", 0x4005bf0a8b145769}, {"0.3333333333333333", 0x3fd5555555555555},
    {"5e-324", 0x0000000000000001}, {"-5e-324", 0x8000000000000001}, {"1e-323", 0x0000000000000002},
    {"4.4501477170144023e-308", 0x001fffffffffffff}, {"2.2250738585072014e-308", 0x0010000000000000},
    {"2.225073858507201e-308", 0x000fffffffffffff}, {"2.225073858507201e-308", 0x000fffffffffffff},
    {"1.7976931348623157e+308", 0x7fefffffffffffff}, {"-1.7976931348623157e+308", 0xffefffffffffffff},
    {"1.7976931348623155e+308", 0x7feffffffffffffe}, {"9.223372036854776e+18", 0x43e0000000000000},
    {"1.8446744073709552e+19", 0x43f0000000000000}, {"6.02214076e+23", 0x44dfe185ca57c517},
    {"6.62607015e-34", 0x390b860bde023111}, {"299792458", 0x41b1de784a000000}, {"4.35", 0x4011666666666666},
    {"1.005", 0x3ff0147ae147ae14}, {"NaN", 0x7ff8000000000000}, {"Infinity", 0x7ff0000000000000},
    {"-Infinity", 0xfff0000000000000},
};
// clang-format on

struct Float4Case {
  std::string_view text;
  std::uint32_t bits;
  std::uint64_t widened_bits;
};

// The same for float4, also as cast to float8 by the server:
// select format('{"%s", 0x%s, 0x%s},', v, encode(float4send(v), 'hex'), encode(float8send(v::float8), 'hex'))
// from unnest('{0,-0,1,-1.5,0.1,0.2,0.3,1e5,1e6,1e7,16777216,16777217,123456789,3.1415927,1e-45,-1e-45,3e-45,
//   1.1754944e-38,1.1754942e-38,1.17549435e-38,3.4028235e38,-3.4028235e38,3.4028233e38,1e-10,1e20,4.35,0.33333334,
//   8388608.5,NaN,Infinity,-Infinity}'::float4[]) v;
// clang-format off
constexpr Float4Case float4_cases[] = {
    {"0", 0x00000000, 0x0000000000000000}, {"-0", 0x80000000, 0x8000000000000000},
    {"1", 0x3f800000, 0x3ff0000000000000}, {"-1.5", 0xbfc00000, 0xbff8000000000000},
    {"0.1", 0x3dcccccd, 0x3fb99999a0000000}, {"0.2", 0x3e4ccccd, 0x3fc99999a0000000},
    {"0.3", 0x3e99999a, 0x3fd3333340000000}, {"100000", 0x47c35000, 0x40f86a0000000000},
    {"1e+06", 0x49742400, 0x412e848000000000}, {"1e+07", 0x4b189680, 0x416312d000000000},
    {"1.6777216e+07", 0x4b800000, 0x4170000000000000}, {"1.6777216e+07", 0x4b800000, 0x4170000000000000},
    {"1.2345679e+08", 0x4ceb79a3, 0x419d6f3460000000}, {"3.1415927", 0x40490fdb, 0x400921fb60000000},
    {"1e-45", 0x00000001, 0x36a0000000000000}, {"-1e-45", 0x80000001, 0xb6a0000000000000},
    {"3e-45", 0x00000002, 0x36b0000000000000}, {"1.1754944e-38", 0x00800000, 0x3810000000000000},
    {"1.1754942e-38", 0x007fffff, 0x380fffffc0000000}, {"1.1754944e-38", 0x00800000, 0x3810000000000000},
    {"3.4028235e+38", 0x7f7fffff, 0x47efffffe0000000}, {"-3.4028235e+38", 0xff7fffff, 0xc7efffffe0000000},
    {"3.4028233e+38", 0x7f7ffffe, 0x47efffffc0000000}, {"1e-10", 0x2edbe6ff, 0x3ddb7cdfe0000000},
    {"1e+20", 0x60ad78ec, 0x4415af1d80000000}, {"4.35", 0x408b3333, 0x4011666660000000},
    {"0.33333334", 0x3eaaaaab, 0x3fd5555560000000}, {"8.388608e+06", 0x4b000000, 0x4160000000000000},
    {"NaN", 0x7fc00000, 0x7ff8000000000000}, {"Infinity", 0x7f800000, 0x7ff0000000000000},
    {"-Infinity", 0xff800000, 0xfff0000000000000},
};
// clang-format on

}  // namespace

TEST_CASE("a boolean is t or f and nothing else", "[unit][codec]") {
  CHECK(decode<bool>("t").value);
  CHECK_FALSE(decode<bool>("f").value);
  CHECK(decode<bool>("f").error == Errc::ok);
  for (const std::string_view text : {"", "true", "false", "T", "1", "0", "t ", " t", "tt"}) {
    CAPTURE(text);
    CHECK(error_of<bool>(text) == Errc::invalid_text);
  }
}

TEST_CASE("integers decode over the whole domain of their column type", "[unit][codec]") {
  CHECK(decode<std::int16_t>("-32768").value == INT16_MIN);
  CHECK(decode<std::int16_t>("32767").value == INT16_MAX);
  CHECK(decode<std::int32_t>("-2147483648").value == INT32_MIN);
  CHECK(decode<std::int32_t>("2147483647").value == INT32_MAX);
  CHECK(decode<std::int64_t>("-9223372036854775808").value == INT64_MIN);
  CHECK(decode<std::int64_t>("9223372036854775807").value == INT64_MAX);
  CHECK(decode<std::uint32_t>("4294967295").value == UINT32_MAX);
  CHECK(decode<std::uint64_t>("18446744073709551615").value == UINT64_MAX);
  CHECK(decode<int>("0").error == Errc::ok);
}

TEST_CASE("every spelling of an integer type has a codec", "[unit][codec]") {
  CHECK(decode<short>("-1").value == -1);
  CHECK(decode<long>("-9223372036854775808").value == LONG_MIN);
  CHECK(decode<long long>("-9223372036854775808").value == LLONG_MIN);
  CHECK(decode<unsigned long>("18446744073709551615").value == ULONG_MAX);
  CHECK(decode<unsigned long long>("18446744073709551615").value == ULLONG_MAX);
}

TEST_CASE("an integer that the field cannot hold is out of range", "[unit][codec]") {
  CHECK(error_of<std::int16_t>("32768") == Errc::out_of_range);
  CHECK(error_of<std::int16_t>("-32769") == Errc::out_of_range);
  CHECK(error_of<std::int32_t>("2147483648") == Errc::out_of_range);
  CHECK(error_of<std::int64_t>("9223372036854775808") == Errc::out_of_range);
  CHECK(error_of<std::int64_t>("-9223372036854775809") == Errc::out_of_range);
  CHECK(error_of<std::uint32_t>("4294967296") == Errc::out_of_range);
  CHECK(error_of<std::uint64_t>("18446744073709551616") == Errc::out_of_range);
}

TEST_CASE("an integer's text is read to its end", "[unit][codec]") {
  for (const std::string_view text :
       {"", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x10", "--1", "1-", "one", "99999999999999999999x"}) {
    CAPTURE(text);
    CHECK(error_of<std::int64_t>(text) == Errc::invalid_text);
  }
  CHECK(error_of<std::uint32_t>("-1") == Errc::invalid_text);
  CHECK(error_of<std::int64_t>({"1\0", 2}) == Errc::invalid_text);
}

TEST_CASE("an integer field accepts the column types that it holds without loss", "[unit][codec]") {
  CHECK(accepts<std::int16_t>(int2_oid));
  CHECK_FALSE(accepts<std::int16_t>(int4_oid));
  CHECK_FALSE(accepts<std::int16_t>(int8_oid));

  CHECK(accepts<std::int32_t>(int2_oid));
  CHECK(accepts<std::int32_t>(int4_oid));
  CHECK_FALSE(accepts<std::int32_t>(int8_oid));
  CHECK_FALSE(accepts<std::int32_t>(oid_oid));

  CHECK(accepts<std::int64_t>(int2_oid));
  CHECK(accepts<std::int64_t>(int4_oid));
  CHECK(accepts<std::int64_t>(int8_oid));
  CHECK(accepts<std::int64_t>(oid_oid));
  CHECK_FALSE(accepts<std::int64_t>(xid8_oid));
  CHECK_FALSE(accepts<std::int64_t>(numeric_oid));
  CHECK(accepts<long>(int8_oid));
  CHECK(accepts<long long>(int8_oid));
}

TEST_CASE("an unsigned field accepts the unsigned column types alone", "[unit][codec]") {
  for (const btreemapped::Oid oid : {oid_oid, xid_oid, cid_oid}) {
    CAPTURE(oid);
    CHECK(accepts<std::uint32_t>(oid));
    CHECK(accepts<std::uint64_t>(oid));
  }
  CHECK_FALSE(accepts<std::uint32_t>(xid8_oid));
  CHECK(accepts<std::uint64_t>(xid8_oid));
  for (const btreemapped::Oid oid : {int2_oid, int4_oid, int8_oid}) {
    CAPTURE(oid);
    CHECK_FALSE(accepts<std::uint32_t>(oid));
    CHECK_FALSE(accepts<std::uint64_t>(oid));
  }
}

TEST_CASE("a domain is accepted as what it is made of", "[unit][codec]") {
  CHECK(btreemapped::codec<std::int32_t>::accepts(domain_over(int4_oid)));
  CHECK_FALSE(btreemapped::codec<std::int32_t>::accepts(domain_over(int8_oid)));
  CHECK(btreemapped::codec<double>::accepts(domain_over(float8_oid)));
}

TEST_CASE("a user's type that is called int4 is not an integer", "[unit][codec]") {
  CHECK_FALSE(btreemapped::codec<std::int32_t>::accepts(user_type("int4")));
  CHECK_FALSE(btreemapped::codec<bool>::accepts(user_type("bool")));
  CHECK_FALSE(btreemapped::codec<double>::accepts(user_type("float8")));
}

TEST_CASE("a float field accepts the column types that it holds without loss", "[unit][codec]") {
  CHECK(accepts<float>(float4_oid));
  CHECK(accepts<float>(int2_oid));
  CHECK_FALSE(accepts<float>(int4_oid));
  CHECK_FALSE(accepts<float>(float8_oid));
  CHECK(accepts<double>(int2_oid));
  CHECK(accepts<double>(int4_oid));
  CHECK_FALSE(accepts<double>(int8_oid));
  CHECK(accepts<double>(float8_oid));
  CHECK(accepts<double>(float4_oid));
  CHECK_FALSE(accepts<double>(numeric_oid));
  CHECK(accepts<bool>(bool_oid));
  CHECK_FALSE(accepts<bool>(int4_oid));
}

TEST_CASE("float8 decodes to the bits that the server holds", "[unit][codec]") {
  for (const auto& [text, bits] : float8_cases) {
    CAPTURE(text);
    const auto decoded = decode<double>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(std::bit_cast<std::uint64_t>(decoded.value) == bits);
  }
}

TEST_CASE("float4 decodes to the bits that the server holds", "[unit][codec]") {
  for (const auto& [text, bits, widened_bits] : float4_cases) {
    CAPTURE(text);
    const auto decoded = decode<float>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(std::bit_cast<std::uint32_t>(decoded.value) == bits);
  }
}

TEST_CASE("float4 in a double is the value that the server casts it to", "[unit][codec]") {
  for (const auto& [text, bits, widened_bits] : float4_cases) {
    CAPTURE(text);
    double value = 0;
    CHECK(btreemapped::codec<double>::decode(text, builtin(float4_oid), value) == Errc::ok);
    CHECK(std::bit_cast<std::uint64_t>(value) == widened_bits);
  }
}

TEST_CASE("integers in a float or double are the integers to their limits", "[unit][codec]") {
  float narrow = 0;
  CHECK(btreemapped::detail::decode_text("-32768", builtin(int2_oid), narrow) == Errc::ok);
  CHECK(narrow == -32768.0F);
  CHECK(btreemapped::detail::decode_text("32767", builtin(int2_oid), narrow) == Errc::ok);
  CHECK(narrow == 32767.0F);
  double wide = 0;
  CHECK(btreemapped::detail::decode_text("-2147483648", builtin(int4_oid), wide) == Errc::ok);
  CHECK(wide == -2147483648.0);
  CHECK(btreemapped::detail::decode_text("2147483647", builtin(int4_oid), wide) == Errc::ok);
  CHECK(wide == 2147483647.0);
}

TEST_CASE("a domain over float4 widens like float4", "[unit][codec]") {
  double value = 0;
  CHECK(btreemapped::codec<double>::decode("0.1", domain_over(float4_oid), value) == Errc::ok);
  CHECK(value == static_cast<double>(0.1F));
  CHECK(btreemapped::codec<double>::decode("0.1", domain_over(float8_oid), value) == Errc::ok);
  CHECK(value == 0.1);
}

TEST_CASE("a float that does not fit is out of range and never infinity or zero", "[unit][codec]") {
  CHECK(error_of<double>("1e+309") == Errc::out_of_range);
  CHECK(error_of<double>("-1e+309") == Errc::out_of_range);
  CHECK(error_of<double>("1e-400") == Errc::out_of_range);
  CHECK(error_of<float>("1e+39") == Errc::out_of_range);
  CHECK(error_of<float>("1e-60") == Errc::out_of_range);
}

TEST_CASE("a float's text is only what PostgreSQL prints", "[unit][codec]") {
  for (const std::string_view text :
       {"",         "-",         "nan",  "NAN",       "-NaN",  "NaN ",  "nan(1)", "inf",   "-inf", "INFINITY",
        "infinity", "Infinity ", "+1",   "+Infinity", " 1",    "1 ",    ".5",     "5.",    "-.5",  "1e",
        "1e+",      "0x1p3",     "0x10", "1,5",       "1.2.3", "1_000", "--1",    "1e5.5", "1f",   "e5"}) {
    CAPTURE(text);
    CHECK(error_of<double>(text) == Errc::invalid_text);
    CHECK(error_of<float>(text) == Errc::invalid_text);
  }
}

TEST_CASE("floats do not depend on the locale", "[unit][codec]") {
  const std::string before = std::setlocale(LC_ALL, nullptr);  // NOLINT(concurrency-mt-unsafe)
  for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8", ""}) {
    std::setlocale(LC_ALL, name);  // NOLINT(concurrency-mt-unsafe); without effect if the machine does not have it
    CHECK(decode<double>("1.5").value == 1.5);
    CHECK(error_of<double>("1,5") == Errc::invalid_text);
  }
  std::setlocale(LC_ALL, before.c_str());  // NOLINT(concurrency-mt-unsafe)
}

TEST_CASE("floats differ by their bits", "[unit][codec]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(btreemapped::detail::same_value(nan, nan));
  CHECK_FALSE(btreemapped::detail::same_value(0.0, -0.0));
  CHECK(btreemapped::detail::same_value(-0.0F, -0.0F));
  CHECK_FALSE(btreemapped::detail::same_value(1.0F, 1.5F));
}
