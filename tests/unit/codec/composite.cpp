#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/composite.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/range.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/detail/order.hpp>
#include <btreemapped/sql_range.hpp>

#include "decode.hpp"

namespace composite_test {

struct Pair {
  std::int32_t number;
  std::string word;
};

struct Loose {
  std::optional<std::int32_t> number;
  std::optional<std::string> word;
};

struct Nested {
  Pair first;
  std::vector<std::optional<Pair>> more;
  std::optional<double> weight;
};

/// Columns may have names that C++ does not allow.
struct Renamed {
  std::int32_t number;
  std::string klass;
  static constexpr std::string_view column_name(std::string_view field) { return field == "klass" ? "class" : field; }
};

struct Single {
  std::optional<std::string> word;
};

/// Not taken apart.
struct Whole {
  std::int32_t a;
  std::int32_t b;
  friend bool operator==(const Whole&, const Whole&) = default;
};

struct Empty {};
struct WithUnknown {
  int a;
  void* b;
};
struct Base {
  int a;
};

}  // namespace composite_test

template <>
struct btreemapped::codec<composite_test::Whole> {
  static Errc decode(std::string_view text, composite_test::Whole& out) {
    out = {static_cast<std::int32_t>(text.size()), -1};
    return Errc::ok;
  }
};

namespace composite_test {

using btreemapped::decodable;
using btreemapped::Errc;
using btreemapped::SqlType;
using btreemapped::detail::accepts_key_type;
using btreemapped::detail::accepts_type;
using btreemapped::detail::compare_part;
using btreemapped::detail::composite;
using btreemapped::detail::refusal_of;
using btreemapped::detail::refusal_of_key;
using btreemapped::detail::same_value;
using decode_test::array_of;
using decode_test::builtin;
using decode_test::composite_of;
using decode_test::decode;
using decode_test::domain_over;
using decode_test::error_of;
using decode_test::range_of;

static_assert(decodable<Pair> && composite<Pair> && decodable<Nested>);
static_assert(decodable<Whole> && !composite<Whole>);
static_assert(!decodable<Empty> && !decodable<WithUnknown> && !decodable<std::array<int, 3>>);

SqlType integer() { return {.oid = 23, .base = 23, .name = "integer"}; }
SqlType text() { return {.oid = 25, .base = 25, .name = "text"}; }
const SqlType pair = composite_of({{"number", integer()}, {"word", text()}});
const SqlType nested =
    composite_of({{"first", pair}, {"more", array_of(pair)}, {"weight", {.oid = 701, .base = 701, .name = "float8"}}});

TEST_CASE("a composite value becomes a struct", "[unit][codec]") {
  const auto [error, value] = decode<Pair>("(42,answer)", pair);
  REQUIRE(error == Errc::ok);
  CHECK(value.number == 42);
  CHECK(value.word == "answer");
}

TEST_CASE("attributes are taken out of their quotes", "[unit][codec]") {
  const auto word = [](std::string_view printed) {
    const auto [error, value] = decode<Pair>(printed, pair);
    REQUIRE(error == Errc::ok);
    return value.word;
  };
  CHECK(word(R"-((1,""))-") == "");
  CHECK(word(R"-((1,"a b"))-") == "a b");
  CHECK(word(R"-((1,"a,b"))-") == "a,b");
  CHECK(word(R"-((1,"(a)"))-") == "(a)");
  CHECK(word(R"-((1,"say ""a"""))-") == "say \"a\"");
  CHECK(word(R"-((1,"back\\slash\\"))-") == "back\\slash\\");
  CHECK(word(R"-((1,""""))-") == "\"");
  CHECK(word(R"-((1,"\\"))-") == "\\");
  CHECK(word("(1,{})") == "{}");
  CHECK(word("(1,NULL)") == "NULL");
  CHECK(word("(1,\"line\nbreak\")") == "line\nbreak");
  CHECK(word("(1,ä)") == "ä");
}

TEST_CASE("an attribute that is NULL asks for an optional field", "[unit][codec]") {
  CHECK(error_of<Pair>("(1,)", pair) == Errc::unexpected_null);
  CHECK(error_of<Pair>("(,a)", pair) == Errc::unexpected_null);
  const auto [error, value] = decode<Loose>("(,)", pair);
  REQUIRE(error == Errc::ok);
  CHECK_FALSE(value.number.has_value());
  CHECK_FALSE(value.word.has_value());
  CHECK(decode<Loose>(R"-((,""))-", pair).value.word == "");
}

TEST_CASE("a composite type of one attribute may print nothing", "[unit][codec]") {
  const SqlType single = composite_of({{"word", text()}});
  CHECK(error_of<Single>("()", single) == Errc::ok);
  CHECK_FALSE(decode<Single>("()", single).value.word.has_value());
  CHECK(decode<Single>("(\"\")", single).value.word == "");
}

TEST_CASE("attributes are found by their names, wherever they stand", "[unit][codec]") {
  const SqlType turned = composite_of({{"word", text()}, {"other", text()}, {"number", integer()}, {"last", text()}});
  CHECK(accepts_type<Pair>(turned));
  const auto [error, value] = decode<Pair>("(w,\"a,\"\"b\",7,)", turned);
  REQUIRE(error == Errc::ok);
  CHECK(value.number == 7);
  CHECK(value.word == "w");
}

TEST_CASE("a field may have another name than its attribute", "[unit][codec]") {
  const SqlType classed = composite_of({{"number", integer()}, {"klass", integer()}, {"class", text()}});
  CHECK(accepts_type<Renamed>(classed));
  CHECK(decode<Renamed>("(1,2,x)", classed).value.klass == "x");
}

TEST_CASE("structs and arrays nest", "[unit][codec]") {
  const auto [error, value] =
      decode<Nested>(R"-(("(1,""a """"b"""""")","{""(2,c)"",NULL,""(3,\\""d e\\"")""}",0.5))-", nested);
  REQUIRE(error == Errc::ok);
  CHECK(value.first.word == "a \"b\"");
  REQUIRE(value.more.size() == 3);
  CHECK(value.more[0]->word == "c");
  CHECK_FALSE(value.more[1].has_value());
  CHECK(value.more[2]->word == "d e");
  CHECK(value.weight == 0.5);
}

TEST_CASE("a composite value with another number of attributes is refused", "[unit][codec]") {
  CHECK(error_of<Pair>("(1)", pair) == Errc::attribute_count);
  CHECK(error_of<Pair>("(1,a,b)", pair) == Errc::attribute_count);
  CHECK(error_of<Pair>("()", pair) == Errc::attribute_count);
}

TEST_CASE("what no server prints as a composite value is refused", "[unit][codec]") {
  for (const std::string_view printed :
       {"",           "(",          ")",       "(1,a",        "1,a)",         "(1,a))",
        "((1,a)",     " (1,a)",     "(1,a) ",  "(1, a)",      "(1,a )",       "(1,\"a)",
        "(1,\"a\"b)", "(1,a\"b\")", "(1,\\a)", "(1,\"\\a\")", "(1,\"\\\"\")", "(1,\"a\"\")",
        "(1,a(b)",    "[1,a]",      "{1,a}"}) {
    CAPTURE(printed);
    CHECK(error_of<Loose>(printed, pair) == Errc::invalid_text);
  }
}

TEST_CASE("attributes are errors where their own codec says so", "[unit][codec]") {
  CHECK(error_of<Pair>("(x,a)", pair) == Errc::invalid_text);
  CHECK(error_of<Pair>("(2147483648,a)", pair) == Errc::out_of_range);
  CHECK(error_of<Pair>("(1,\xff)", pair) == Errc::invalid_encoding);
}

TEST_CASE("a struct accepts a composite type that has all its fields, by name and type", "[unit][codec]") {
  CHECK(accepts_type<Pair>(pair));
  CHECK(accepts_type<std::optional<Pair>>(domain_over(pair)));
  CHECK(accepts_type<Nested>(nested));
  CHECK_FALSE(accepts_type<Pair>(composite_of({{"number", integer()}, {"words", text()}})));
  CHECK_FALSE(accepts_type<Pair>(composite_of({{"number", text()}, {"word", text()}})));
  CHECK_FALSE(accepts_type<Pair>(integer()));
  CHECK_FALSE(accepts_type<Pair>(SqlType{.oid = 16'400, .base = 16'400, .kind = 'c'}));
  CHECK_FALSE(accepts_type<Nested>(pair));
}

TEST_CASE("a refused composite type names every attribute that does not fit", "[unit][codec]") {
  CHECK(refusal_of<Pair>(composite_of({{"number", text()}, {"words", text()}})) ==
        "its attribute number is text, of which the field (integer or smallint) cannot hold every value; it has no "
        "attribute word");
  const SqlType deep = composite_of({{"first", composite_of({{"number", text()}, {"word", text()}})},
                                     {"more", array_of(pair)},
                                     {"weight", {.oid = 701, .base = 701, .name = "float8"}}});
  CHECK(
      refusal_of<Nested>(deep) ==
      "its attribute first is pair, of which the field (composite type) cannot hold every value: its attribute number "
      "is text, of which the field (integer or smallint) cannot hold every value");
  CHECK(refusal_of<Pair>(integer()).empty());
  CHECK(refusal_of<Pair>(pair).empty());
}

TEST_CASE("a key's struct names all attributes, however deep, as it must tell all values apart", "[unit][codec]") {
  const SqlType wider = composite_of({{"zip", text()}, {"number", integer()}, {"word", text()}, {"note", text()}});
  CHECK(accepts_key_type<Pair>(pair));
  CHECK(accepts_type<Pair>(wider));
  CHECK_FALSE(accepts_key_type<Pair>(wider));
  CHECK(refusal_of_key<Pair>(wider) ==
        "a key must tell all values apart, and this one leaves out the attribute zip, the attribute note");
  CHECK_FALSE(accepts_key_type<std::vector<Pair>>(array_of(wider)));
  CHECK_FALSE(accepts_key_type<std::vector<std::vector<Pair>>>(array_of(wider)));
  CHECK(accepts_key_type<std::vector<std::vector<Pair>>>(array_of(pair)));
  const SqlType deep =
      composite_of({{"first", pair}, {"more", array_of(wider)}, {"weight", {.oid = 701, .base = 701}}});
  CHECK(accepts_type<Nested>(deep));
  CHECK(refusal_of_key<Nested>(deep) ==
        "a key must tell all values apart, and this one leaves out the attribute zip, the attribute note of more");
  CHECK(refusal_of_key<Pair>(integer()).empty());
  CHECK(accepts_key_type<Whole>(wider));  // of which only its codec knows what it reads
}

TEST_CASE("bounds of a range name all attributes, which their order needs", "[unit][codec]") {
  using Pairs = btreemapped::SqlRange<Pair>;
  const SqlType wider = composite_of({{"number", integer()}, {"word", text()}, {"note", text()}});
  CHECK(accepts_type<Pairs>(range_of(pair)));
  CHECK_FALSE(accepts_type<Pairs>(range_of(wider)));
  CHECK(refusal_of<Pairs>(range_of(wider)) ==
        "its bounds have an order, of which the field leaves out the attribute note");
}

TEST_CASE("a struct with a codec of its own is never taken apart", "[unit][codec]") {
  CHECK(decode<Whole>("(1,2)", builtin(25)).value == Whole{5, -1});
  CHECK(accepts_type<Whole>(text()));
}

TEST_CASE("structs without an equality of their own are compared field by field", "[unit][codec]") {
  CHECK(same_value(Pair{1, "a"}, Pair{1, "a"}));
  CHECK_FALSE(same_value(Pair{1, "a"}, Pair{1, "b"}));
  CHECK_FALSE(same_value(Pair{1, "a"}, Pair{2, "a"}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(same_value(Nested{{1, "a"}, {}, nan}, Nested{{1, "a"}, {}, nan}));
  CHECK_FALSE(same_value(Nested{{1, "a"}, {}, 0.0}, Nested{{1, "a"}, {}, -0.0}));
  CHECK_FALSE(same_value(Nested{{1, "a"}, {Pair{1, "b"}}, {}}, Nested{{1, "a"}, {std::nullopt}, {}}));
}

TEST_CASE("structs order by their fields, with NaN last and NULL first", "[unit][codec]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(compare_part(Pair{1, "b"}, Pair{2, "a"}) < 0);
  CHECK(compare_part(Pair{1, "b"}, Pair{1, "a"}) > 0);
  CHECK(compare_part(Pair{1, "b"}, Pair{1, "b"}) == 0);
  CHECK(compare_part(Nested{{1, "a"}, {}, nan}, Nested{{1, "a"}, {}, 1e308}) > 0);
  CHECK(compare_part(Nested{{1, "a"}, {}, nan}, Nested{{1, "a"}, {}, nan}) == 0);
  CHECK(compare_part(Nested{{1, "a"}, {}, {}}, Nested{{1, "a"}, {}, -1e308}) < 0);
  CHECK(compare_part(Nested{{1, "a"}, {Pair{1, "a"}}, {}}, Nested{{1, "a"}, {Pair{1, "a"}, std::nullopt}, {}}) < 0);
}

}  // namespace composite_test
