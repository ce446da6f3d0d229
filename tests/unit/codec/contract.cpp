// What users and the rest of the library build on. A change here breaks other people's codecs.
#include <any>
#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/bit_string.hpp>
#include <btreemapped/codec.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/inet.hpp>
#include <btreemapped/interval.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/macaddr.hpp>
#include <btreemapped/money.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/row.hpp>
#include <btreemapped/time_of_day.hpp>
#include <btreemapped/timestamp.hpp>
#include <btreemapped/uuid.hpp>

#include "decode.hpp"

namespace {

struct Price {
  std::int64_t cents = 0;
  friend bool operator==(const Price&, const Price&) = default;
};

enum class Color { red, green };

// Knows all the options.
struct Folded {
  std::string text;
};

struct WrongAccepts {};
struct WrongSame {};
struct WrongName {};
struct ByValue {};
struct ByConstReference {};
struct ByOid {};
struct ByTypeAlone {};
struct WrongResult {};
struct NotDefault {
  explicit NotDefault(int) {}
};
struct NoCodec {};

}  // namespace

// The user's own codec in ten lines, with the one required function.
template <>
struct btreemapped::codec<Price> {
  static Errc decode(std::string_view text, Price& out) {
    if (!text.starts_with('$')) return Errc::invalid_text;
    Numeric amount;
    if (const Errc error = codec<Numeric>::decode(text.substr(1), amount); error != Errc::ok) return error;
    if (amount.scale() != 2) return Errc::invalid_text;
    std::string digits = to_string(amount);
    digits.erase(digits.size() - 3, 1);
    return codec<std::int64_t>::decode(digits, out.cents);
  }
};

template <>
struct btreemapped::codec<Color> {
  static Errc decode(std::string_view text, Color& out) {
    if (text != "red" && text != "green") return Errc::invalid_text;
    out = text == "red" ? Color::red : Color::green;
    return Errc::ok;
  }
};

template <>
struct btreemapped::codec<Folded> {
  static constexpr std::string_view sql_name = "citext";
  static bool accepts(const SqlType& type) { return type.name == "citext"; }
  static bool same(const Folded& a, const Folded& b) { return a.text.size() == b.text.size(); }
  static Errc decode(std::string_view text, Folded& out) {
    out.text = text;
    return Errc::ok;
  }
  static Errc decode(std::string_view text, const SqlType& type, Folded& out) {
    out.text = type.name + ":" + std::string(text);
    return Errc::ok;
  }
};

template <>
struct btreemapped::codec<WrongAccepts> {
  static bool accepts(Oid) { return true; }
  static Errc decode(std::string_view, WrongAccepts&) { return Errc::ok; }
};
template <>
struct btreemapped::codec<WrongSame> {
  static int same(const WrongSame&, const WrongSame&) { return 0; }
  static Errc decode(std::string_view, WrongSame&) { return Errc::ok; }
};
template <>
struct btreemapped::codec<WrongName> {
  static constexpr int sql_name = 7;
  static Errc decode(std::string_view, WrongName&) { return Errc::ok; }
};
template <>
struct btreemapped::codec<ByValue> {
  static Errc decode(std::string_view, ByValue) { return Errc::ok; }
};
template <>
struct btreemapped::codec<ByConstReference> {
  static Errc decode(std::string_view, const ByConstReference&) { return Errc::ok; }
};
template <>
struct btreemapped::codec<ByOid> {
  static Errc decode(std::string_view, ByOid&) { return Errc::ok; }
  static Errc decode(std::string_view, Oid, ByOid&) { return Errc::ok; }
};
template <>
struct btreemapped::codec<ByTypeAlone> {
  static Errc decode(std::string_view, const SqlType&, ByTypeAlone&) { return Errc::ok; }
};
template <>
struct btreemapped::codec<WrongResult> {
  static bool decode(std::string_view, WrongResult&) { return true; }
};
template <>
struct btreemapped::codec<NotDefault> {
  static Errc decode(std::string_view, NotDefault&) { return Errc::ok; }
};

namespace {

using btreemapped::decodable;
using btreemapped::Errc;
using btreemapped::Numeric;
using btreemapped::SqlType;
using btreemapped::Uuid;
using btreemapped::detail::accepts_type;
using btreemapped::detail::decode_field;
using btreemapped::detail::expected_type;
using btreemapped::detail::field;
using btreemapped::detail::is_optional_v;
using btreemapped::detail::same_value;
using btreemapped::detail::well_formed_decode;
using btreemapped::detail::well_formed_options;
using btreemapped::detail::wire::Cell;

static_assert(decodable<bool>);
static_assert(decodable<short> && decodable<int> && decodable<long> && decodable<long long>);
static_assert(decodable<std::int16_t> && decodable<std::int32_t> && decodable<std::int64_t>);
static_assert(decodable<unsigned> && decodable<unsigned long> && decodable<unsigned long long>);
static_assert(decodable<float> && decodable<double>);
static_assert(decodable<std::string> && decodable<std::vector<std::byte>>);
static_assert(decodable<Uuid> && decodable<Numeric>);
static_assert(decodable<std::chrono::sys_days>);
static_assert(decodable<std::chrono::local_time<std::chrono::microseconds>>);
static_assert(decodable<std::chrono::sys_time<std::chrono::microseconds>>);
static_assert(decodable<btreemapped::Timestamp> && decodable<btreemapped::TimestampTz>);
static_assert(decodable<btreemapped::TimeOfDay> && decodable<btreemapped::TimeTz> && decodable<btreemapped::Interval>);
static_assert(decodable<btreemapped::Money> && decodable<btreemapped::BitString> && decodable<btreemapped::Lsn>);
static_assert(decodable<btreemapped::Inet> && decodable<btreemapped::Cidr>);
static_assert(decodable<btreemapped::Macaddr> && decodable<btreemapped::Macaddr8>);
static_assert(decodable<Price> && decodable<Color> && decodable<Folded>);

// Views and pointers would dangle.
static_assert(!decodable<std::string_view> && !decodable<std::span<const std::byte>>);
static_assert(!decodable<char*> && !decodable<const char*> && !decodable<std::string*>);
static_assert(!decodable<char[8]> && !decodable<std::string&> && !decodable<const std::string>);
static_assert(!decodable<void> && !decodable<void()> && !decodable<std::reference_wrapper<int>>);

// Letters are no numbers, and PostgreSQL has no type for these widths.
static_assert(!decodable<char> && !decodable<signed char> && !decodable<unsigned char> && !decodable<std::byte>);
static_assert(!decodable<wchar_t> && !decodable<char8_t> && !decodable<char16_t> && !decodable<char32_t>);
static_assert(!decodable<std::uint16_t> && !decodable<long double>);

// A clock too coarse or too narrow for the column, and lengths of time, which no column is alone.
static_assert(!decodable<std::chrono::microseconds> && !decodable<std::chrono::hh_mm_ss<std::chrono::microseconds>>);
static_assert(!decodable<std::chrono::local_seconds> && !decodable<std::chrono::sys_time<std::chrono::milliseconds>>);
static_assert(!decodable<std::chrono::sys_seconds> && !decodable<std::chrono::sys_time<std::chrono::nanoseconds>>);

static_assert(!decodable<NoCodec> && !decodable<NotDefault> && !decodable<WrongResult>);
static_assert(!decodable<std::any> && !decodable<std::map<int, int>> && !decodable<std::unique_ptr<int>>);

// NULL is not a value.
static_assert(!decodable<std::optional<int>>);
static_assert(field<int> && field<std::optional<int>> && field<std::optional<Price>>);
static_assert(!field<std::optional<std::optional<int>>> && !field<std::optional<NoCodec>> && !field<NoCodec>);
static_assert(!field<const int> && !field<const std::optional<int>> && !field<std::optional<const int>>);
static_assert(!field<int&> && !field<void>);
static_assert(is_optional_v<std::optional<int>> && !is_optional_v<int>);

// A misspelt option would silently count as absent, so using such a codec does not compile.
static_assert(decodable<WrongAccepts> && !well_formed_options<WrongAccepts>);
static_assert(decodable<WrongSame> && !well_formed_options<WrongSame>);
static_assert(decodable<WrongName> && !well_formed_options<WrongName>);
static_assert(well_formed_options<Price> && well_formed_options<Folded> && well_formed_options<int>);
static_assert(well_formed_options<std::string> && well_formed_options<double> && well_formed_options<Numeric>);

// So does one that would change a copy, or not be told the type that it asks for.
static_assert(!well_formed_decode<ByValue> && !well_formed_decode<ByConstReference> && !well_formed_decode<ByOid>);
static_assert(well_formed_decode<Price> && well_formed_decode<Folded> && well_formed_decode<double>);
static_assert(decodable<ByTypeAlone> && well_formed_decode<ByTypeAlone>);

// What a specialisation may rely on: these signatures, by these names.
static_assert(std::is_same_v<decltype(SqlType::oid), btreemapped::Oid> &&
              std::is_same_v<btreemapped::Oid, std::uint32_t>);
static_assert(std::is_same_v<decltype(SqlType::base), btreemapped::Oid> &&
              std::is_same_v<decltype(SqlType::kind), char>);
static_assert(std::is_same_v<decltype(SqlType::name), std::string>);
static_assert(
    std::is_same_v<decltype(&btreemapped::codec<std::string>::decode), Errc (*)(std::string_view, std::string&)>);
static_assert(Errc{} == Errc::ok && Errc::invalid_text != Errc::out_of_range && Errc::invalid_encoding != Errc::ok);

// Our own values: regular, hashed, and with an order that is PostgreSQL's, so that each may be a key.
template <class T>
concept regular_value =
    std::regular<T> && std::totally_ordered<T> && std::three_way_comparable<T, std::weak_ordering> &&
    std::is_nothrow_move_constructible_v<T> && requires(const T& value) {
      { std::hash<T>{}(value) } -> std::same_as<std::size_t>;
      { to_string(value) } -> std::same_as<std::string>;
    } && btreemapped::detail::can_be_key_v<T>;
static_assert(regular_value<Numeric> && regular_value<Uuid> && regular_value<btreemapped::Lsn>);
static_assert(regular_value<btreemapped::Timestamp> && regular_value<btreemapped::TimestampTz>);
static_assert(regular_value<btreemapped::TimeOfDay> && regular_value<btreemapped::TimeTz>);
static_assert(regular_value<btreemapped::Interval> && regular_value<btreemapped::Money>);
static_assert(regular_value<btreemapped::BitString> && regular_value<btreemapped::Inet>);
static_assert(regular_value<btreemapped::Cidr> && regular_value<btreemapped::Macaddr>);
static_assert(regular_value<btreemapped::Macaddr8>);

static_assert(expected_type<Price>().empty());
static_assert(expected_type<Folded>() == "citext");
static_assert(expected_type<std::optional<Folded>>() == "citext");
static_assert(expected_type<short>() == "smallint");
static_assert(expected_type<int>() == "integer or smallint");
static_assert(expected_type<std::int64_t>() == "bigint, integer, smallint or oid");
static_assert(expected_type<unsigned>() == "oid, xid or cid");
static_assert(expected_type<std::uint64_t>() == "oid, xid, cid or xid8");

constexpr Cell null{.kind = Cell::Kind::null};
constexpr Cell unchanged{.kind = Cell::Kind::unchanged};
Cell text(std::string_view content) { return {.kind = Cell::Kind::text, .text = content}; }

}  // namespace

TEST_CASE("a user's codec needs one function", "[unit][codec]") {
  Price price;
  CHECK(decode_field(text("$12.34"), SqlType{}, price) == Errc::ok);
  CHECK(price.cents == 1234);
  CHECK(decode_field(text("12.34"), SqlType{}, price) == Errc::invalid_text);
  CHECK(accepts_type<Price>(decode_test::user_type("anything")));
  CHECK(same_value(Price{1}, Price{1}));
  CHECK_FALSE(same_value(Price{1}, Price{2}));
}

TEST_CASE("the options of a codec are used", "[unit][codec]") {
  CHECK(accepts_type<Folded>(decode_test::user_type("citext")));
  CHECK_FALSE(accepts_type<Folded>(decode_test::user_type("text")));
  CHECK(accepts_type<std::optional<Folded>>(decode_test::user_type("citext")));
  CHECK(same_value(Folded{"abc"}, Folded{"ABC"}));
  CHECK_FALSE(same_value(Folded{"abc"}, Folded{"ab"}));
  Folded value;
  CHECK(decode_field(text("x"), decode_test::user_type("citext"), value) == Errc::ok);
  CHECK(value.text == "citext:x");
}

TEST_CASE("the column's type reaches a codec through std::optional", "[unit][codec]") {
  std::optional<double> value;
  CHECK(decode_field(text("0.1"), decode_test::builtin(700), value) == Errc::ok);
  CHECK(value == static_cast<double>(0.1F));
}

TEST_CASE("NULL is an empty optional", "[unit][codec]") {
  std::optional<std::string> value = "before";
  CHECK(decode_field(null, SqlType{}, value) == Errc::ok);
  CHECK_FALSE(value.has_value());
}

TEST_CASE("NULL for a field that is not optional is an error and leaves the field alone", "[unit][codec]") {
  int value = 7;
  CHECK(decode_field(null, SqlType{}, value) == Errc::unexpected_null);
  CHECK(value == 7);
}

TEST_CASE("empty text is not NULL", "[unit][codec]") {
  std::optional<std::string> value;
  CHECK(decode_field(text(""), SqlType{}, value) == Errc::ok);
  CHECK(value == "");
}

TEST_CASE("a value that was not sent is never made up", "[unit][codec]") {
  std::string plain = "held";
  std::optional<std::string> optional = "held";
  CHECK(decode_field(unchanged, SqlType{}, plain) == Errc::value_not_sent);
  CHECK(decode_field(unchanged, SqlType{}, optional) == Errc::value_not_sent);
  CHECK(plain == "held");
  CHECK(optional == "held");
}

TEST_CASE("an optional holds what its codec decodes and passes its errors on", "[unit][codec]") {
  std::optional<int> value;
  CHECK(decode_field(text("42"), SqlType{}, value) == Errc::ok);
  CHECK(value == 42);
  CHECK(decode_field(text("x"), SqlType{}, value) == Errc::invalid_text);
  CHECK(decode_field(text("2147483648"), SqlType{}, value) == Errc::out_of_range);
}

TEST_CASE("optionals are the same if both are empty or hold the same value", "[unit][codec]") {
  using Optional = std::optional<double>;
  CHECK(same_value(Optional{}, Optional{}));
  CHECK_FALSE(same_value(Optional{}, Optional{0.0}));
  CHECK_FALSE(same_value(Optional{0.0}, Optional{}));
  CHECK_FALSE(same_value(Optional{0.0}, Optional{-0.0}));
  CHECK(same_value(Optional{1.5}, Optional{1.5}));
}
