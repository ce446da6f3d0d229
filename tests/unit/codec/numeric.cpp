#include <cstdint>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using btreemapped::Numeric;
using decode_test::builtin;
using decode_test::decode;
using decode_test::domain_over;
using decode_test::error_of;

}  // namespace

TEST_CASE("a numeric column keeps its digits and its scale", "[unit][codec]") {
  CHECK(decode<Numeric>("1.10").value.text() == "1.10");
  CHECK(decode<Numeric>("-0.000").error == Errc::invalid_text);
  const auto decoded = decode<Numeric>("NaN");
  CHECK(decoded.error == Errc::ok);
  CHECK(decoded.value.is_nan());
}

TEST_CASE("the longest numeric that PostgreSQL knows decodes", "[unit][codec]") {
  const std::string text = std::string(131'072, '9') + "." + std::string(16'383, '9');
  const auto decoded = decode<Numeric>(text);
  CHECK(decoded.error == Errc::ok);
  CHECK(decoded.value.text() == text);
}

TEST_CASE("numerics that are equal but printed with another scale are not the same", "[unit][codec]") {
  const Numeric one = decode<Numeric>("1.0").value;
  const Numeric longer_one = decode<Numeric>("1.00").value;
  CHECK(one == longer_one);
  CHECK_FALSE(btreemapped::detail::same_value(one, longer_one));
  CHECK(btreemapped::detail::same_value(one, one));
  CHECK(btreemapped::detail::same_value(decode<Numeric>("NaN").value, decode<Numeric>("NaN").value));
}

TEST_CASE("a numeric field accepts numeric, the integers and domains over them", "[unit][codec]") {
  for (const btreemapped::Oid oid : {1700U, 20U, 21U, 23U, 26U}) {
    CAPTURE(oid);
    CHECK(btreemapped::codec<Numeric>::accepts(builtin(oid)));
  }
  CHECK_FALSE(btreemapped::codec<Numeric>::accepts(builtin(700)));
  CHECK(btreemapped::codec<Numeric>::accepts(domain_over(1700)));
  CHECK_FALSE(btreemapped::codec<Numeric>::accepts(builtin(701)));
  CHECK_FALSE(btreemapped::codec<Numeric>::accepts(decode_test::user_type("numeric")));
}

TEST_CASE("a bad text for a numeric is refused", "[unit][codec]") {
  CHECK(error_of<Numeric>("1e3") == Errc::invalid_text);
}

TEST_CASE("an integer in a numeric field has scale 0", "[unit][codec]") {
  CHECK(decode<Numeric>("-9223372036854775808").value == Numeric{INT64_MIN});
  CHECK(decode<Numeric>("4294967295").value.scale() == 0);
}
