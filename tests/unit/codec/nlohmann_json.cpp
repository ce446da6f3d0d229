#include <clocale>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/nlohmann_json.hpp>
#include <btreemapped/error.hpp>

#include "decode.hpp"

namespace {

using btreemapped::Errc;
using btreemapped::detail::same_value;
using decode_test::builtin;
using decode_test::decode;
using decode_test::error_of;
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

static_assert(btreemapped::decodable<Json> && btreemapped::decodable<OrderedJson>);
static_assert(!btreemapped::detail::can_be_key_v<Json> && !btreemapped::detail::can_be_key_v<OrderedJson>);

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("a document of JSON arrives with all its values", "[unit][codec]") {
  const auto decoded = decode<Json>(
      R"( {"a": [1, -2, 3.5, true, false, null, "x\n\u00e4\ud83d\ude00"], "b": {"c": {}, "d": [], "": ""}} )");
  CHECK(decoded.error == Errc::ok);
  CHECK(decoded.value["a"] == Json::array({1, -2, 3.5, true, false, nullptr, "x\n\u00e4\U0001F600"}));
  CHECK(decoded.value["b"].dump() == R"({"":"","c":{},"d":[]})");
  CHECK(decode<Json>("null").value.is_null());
  CHECK(decode<Json>("\"text\"").value == "text");
  CHECK(decode<Json>("7").value == 7);
  CHECK(decode<Json>("[]").value.is_array());
}

TEST_CASE("a document replaces the one that was there", "[unit][codec]") {
  Json value = Json::parse(R"({"old": [1, 2, 3]})");
  CHECK(btreemapped::codec<Json>::decode("[4]", value) == Errc::ok);
  CHECK(value.dump() == "[4]");
  CHECK(btreemapped::codec<Json>::decode("{}", value) == Errc::ok);
  CHECK(value.dump() == "{}");
}

TEST_CASE("the order of members is kept by ordered_json alone", "[unit][codec]") {
  constexpr std::string_view text = R"({"b":1,"a":{"z":2,"y":3}})";
  CHECK(decode<OrderedJson>(text).value.dump() == text);
  CHECK(decode<Json>(text).value.dump() == R"({"a":{"y":3,"z":2},"b":1})");
}

TEST_CASE("integers of JSON are exact to the ends of 64 bits", "[unit][codec]") {
  CHECK(decode<Json>("9223372036854775807").value.get<std::int64_t>() == INT64_MAX);
  CHECK(decode<Json>("-9223372036854775808").value.get<std::int64_t>() == INT64_MIN);
  CHECK(decode<Json>("18446744073709551615").value.get<std::uint64_t>() == UINT64_MAX);
  CHECK(decode<Json>("9007199254740993").value.dump() == "9007199254740993");
  for (const std::string text :
       {"18446744073709551616", "-9223372036854775809", "10000000000000000000000", "[[1, 20000000000000000001]]"}) {
    CAPTURE(text);
    CHECK(error_of<Json>(text) == Errc::out_of_range);
  }
}

TEST_CASE("numbers of JSON that a double would change are refused", "[unit][codec]") {
  for (const std::string text :
       {"0.1000000000000000055", "0.10000000000000001", "9007199254740993.0", "1.00000000000000000001", "1e400",
        "-1e400", "1e-400", "123456789.123456789123", "3.14159265358979323846", "1e99999999999999999999",
        "1E-99999999999999999999", "2.5e-324", R"({"a": [0.12345678901234567890]})"}) {
    CAPTURE(text);
    CHECK(error_of<Json>(text) == Errc::out_of_range);
  }
}

TEST_CASE("numbers of JSON that are the shortest text of a double are that double", "[unit][codec]") {
  const auto value = [](std::string_view text) {
    const auto decoded = decode<Json>(text);
    CHECK(decoded.error == Errc::ok);
    CHECK(decoded.value.is_number_float());
    return decoded.value.get<double>();
  };
  CHECK(value("0.1") == 0.1);
  CHECK(value("0.10") == 0.1);
  CHECK(value("1.50") == 1.5);
  CHECK(value("0.30000000000000004") == 0.1 + 0.2);
  CHECK(value("1e22") == 1e22);
  CHECK(value("1E+5") == 1e5);
  CHECK(value("100e-2") == 1.0);
  CHECK(value("0.000100") == 1e-4);
  CHECK(value("10000000000000000000000.0") == 1e22);
  CHECK(value("1.7976931348623157e308") == 1.7976931348623157e308);
  CHECK(value("5e-324") == 5e-324);
  CHECK(value("123456789012345.0") == 123456789012345.0);
  CHECK(value("0.123456789012345") == 0.123456789012345);
  CHECK(value("0.0") == 0.0);
  CHECK(value("0e99999999999999999999") == 0.0);
  CHECK(value("0.0e99999999999") == 0.0);
  CHECK(std::signbit(value("-0.00e-99999999999")));
  CHECK(std::signbit(value("-0.0")));
}

TEST_CASE("every decimal of up to 15 digits is taken", "[unit][codec]") {
  std::uint64_t state = 1;
  for (int i = 0; i < 20'000; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::string digits = std::to_string(state % 1'000'000'000'000'000);
    std::string text = digits.substr(0, 1) + "." + (digits.size() > 1 ? digits.substr(1) : "0") + "e" +
                       std::to_string(static_cast<int>((state >> 32U) % 600) - 300);
    const auto decoded = decode<Json>(text);
    CAPTURE(text);
    REQUIRE(decoded.error == Errc::ok);
  }
}

TEST_CASE("a member that occurs twice is refused", "[unit][codec]") {
  CHECK(error_of<Json>(R"({"a": 1, "b": 2, "a": 1})") == Errc::out_of_range);
  CHECK(error_of<OrderedJson>(R"({"a": 1, "b": 2, "a": 1})") == Errc::out_of_range);
  CHECK(error_of<Json>(R"([{"a": {"": 1, "": 2}}])") == Errc::out_of_range);
  CHECK(error_of<Json>(R"({"a": 1, "\u0061": 2})") == Errc::out_of_range);
  CHECK(error_of<Json>(R"({"a": {"a": {"a": 1}}, "A": 2})") == Errc::ok);
}

TEST_CASE("an object of very many members is read in the time of its length", "[unit][codec]") {
  // A second here would be a quarter of an hour, if each member were looked for among all before.
  std::string text = "{";
  for (int i = 0; i < 300'000; ++i) text += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + std::to_string(i);
  const auto ordered = decode<OrderedJson>(text + "}");
  REQUIRE(ordered.error == Errc::ok);
  CHECK(ordered.value.size() == 300'000);
  CHECK(ordered.value.front() == 0);
  CHECK(ordered.value.back() == 299'999);
  CHECK(error_of<OrderedJson>(text + ",\"7\":7}") == Errc::out_of_range);
}

TEST_CASE("text that is not JSON is refused", "[unit][codec]") {
  for (const std::string text :
       {"",          " ",           "[",   "]",     "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}",    "nul",
        "NaN",       "Infinity",    "01",  "1.",    ".5",   "+1",      "'a'",      "\"a",      "\"\\x\"",
        "\"\\u12\"", "\"\\ud800\"", "1 2", "{} []", "// c", "\"\t\"",  "\"\xFF\"", "\"\xC3\"", "[1}"}) {
    CAPTURE(text);
    CHECK(error_of<Json>(text) == Errc::invalid_text);
  }
  CHECK(error_of<Json>({"1\0", 2}) == Errc::invalid_text);
  CHECK(error_of<Json>("\xEF\xBB\xBF{}") == Errc::invalid_text);
  CHECK(decode<Json>("\"\xEF\xBB\xBF\"").value == "\xEF\xBB\xBF");
}

TEST_CASE("a document that is nested too deeply is refused and not followed", "[unit][codec]") {
  CHECK(error_of<Json>(nested(1000)) == Errc::ok);
  CHECK(error_of<Json>(nested(1001)) == Errc::out_of_range);
  CHECK(error_of<Json>(std::string(1'000'000, '[')) == Errc::out_of_range);
  std::string objects;
  for (int i = 0; i < 1001; ++i) objects += "{\"a\":";
  CHECK(error_of<Json>(objects) == Errc::out_of_range);
}

TEST_CASE("documents are the same if their values are of the same kind", "[unit][codec]") {
  const auto same = [](std::string_view a, std::string_view b) {
    CHECK(same_value(decode<Json>(a).value, decode<Json>(a).value));
    return same_value(decode<Json>(a).value, decode<Json>(b).value);
  };
  CHECK(same(R"({"a": 1, "b": [1.5, null]})", R"({"b":[1.50,null],"a":1})"));
  CHECK_FALSE(same("1", "1.0"));
  CHECK_FALSE(same("[1]", "[1.0]"));
  CHECK_FALSE(same("0.0", "-0.0"));
  CHECK_FALSE(same(R"({"a": 1})", R"({"a": 1.0})"));
  CHECK_FALSE(same(R"({"a": 1})", R"({"b": 1})"));
  CHECK_FALSE(same("[1]", "[1, 1]"));
  CHECK_FALSE(same("[]", "{}"));
  CHECK_FALSE(same("null", "false"));
  CHECK_FALSE(same(R"("a")", R"("b")"));
  CHECK_FALSE(
      same_value(decode<OrderedJson>(R"({"a": 1, "b": 2})").value, decode<OrderedJson>(R"({"b": 2, "a": 1})").value));
}

TEST_CASE("a minus before zero is no difference of integers, only of floats", "[unit][codec]") {
  const auto same = [](std::string_view left, std::string_view right) {
    return btreemapped::codec<Json>::same(decode<Json>(left).value, decode<Json>(right).value);
  };
  CHECK(same("-0", "0"));
  CHECK(same("[-0]", "[0]"));
  CHECK_FALSE(same("-0.0", "0.0"));
}

TEST_CASE("a document's field accepts json and jsonb", "[unit][codec]") {
  CHECK(btreemapped::codec<Json>::accepts(builtin(114)));
  CHECK(btreemapped::codec<Json>::accepts(builtin(3802)));
  CHECK(btreemapped::codec<OrderedJson>::accepts(decode_test::domain_over(3802)));
  CHECK_FALSE(btreemapped::codec<Json>::accepts(builtin(25)));
  CHECK_FALSE(btreemapped::codec<Json>::accepts(decode_test::user_type("json")));
}
