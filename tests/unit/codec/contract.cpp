// What users and the rest of the library build on. A change here breaks other people's codecs.
#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/bytea.hpp>
#include <btreemapped/codec/chrono.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/codec/uuid.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/uuid.hpp>

#include "decode.hpp"

namespace {

struct Money {
  std::int64_t cents = 0;
  friend bool operator==(const Money&, const Money&) = default;
};

enum class Color { red, green };

// Knows all the options.
struct Folded {
  std::string text;
};

struct WrongAccepts {};
struct WrongSame {};
struct WrongResult {};
struct NotDefault {
  explicit NotDefault(int) {}
};
struct NoCodec {};

}  // namespace

// The user's own codec in ten lines, with the one required function.
template <>
struct btreemapped::codec<Money> {
  static Errc decode(std::string_view text, Money& out) {
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
static_assert(decodable<Money> && decodable<Color> && decodable<Folded>);

// Views and pointers would dangle.
static_assert(!decodable<std::string_view> && !decodable<std::span<const std::byte>>);
static_assert(!decodable<char*> && !decodable<const char*> && !decodable<std::string*>);
static_assert(!decodable<char[8]> && !decodable<std::string&> && !decodable<const std::string>);
static_assert(!decodable<void> && !decodable<void()> && !decodable<std::reference_wrapper<int>>);

// Letters are no numbers, and PostgreSQL has no type for these widths.
static_assert(!decodable<char> && !decodable<signed char> && !decodable<unsigned char> && !decodable<std::byte>);
static_assert(!decodable<wchar_t> && !decodable<char8_t> && !decodable<char16_t> && !decodable<char32_t>);
static_assert(!decodable<std::uint16_t> && !decodable<long double>);

// A clock too coarse or too narrow for the column.
static_assert(!decodable<std::chrono::sys_seconds> && !decodable<std::chrono::sys_time<std::chrono::nanoseconds>>);

static_assert(!decodable<NoCodec> && !decodable<NotDefault> && !decodable<WrongResult>);
static_assert(!decodable<std::any> && !decodable<std::map<int, int>> && !decodable<std::unique_ptr<int>>);

// NULL is not a value.
static_assert(!decodable<std::optional<int>>);
static_assert(field<int> && field<std::optional<int>> && field<std::optional<Money>>);
static_assert(!field<std::optional<std::optional<int>>> && !field<std::optional<NoCodec>> && !field<NoCodec>);
static_assert(!field<const int> && !field<const std::optional<int>> && !field<std::optional<const int>>);
static_assert(!field<int&> && !field<void>);
static_assert(is_optional_v<std::optional<int>> && !is_optional_v<int>);

// A misspelt option would silently count as absent, so using such a codec does not compile.
static_assert(decodable<WrongAccepts> && !well_formed_options<WrongAccepts>);
static_assert(decodable<WrongSame> && !well_formed_options<WrongSame>);
static_assert(well_formed_options<Money> && well_formed_options<Folded> && well_formed_options<int>);
static_assert(well_formed_options<std::string> && well_formed_options<double> && well_formed_options<Numeric>);

static_assert(expected_type<Money>().empty());
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
  Money money;
  CHECK(decode_field(text("$12.34"), SqlType{}, money) == Errc::ok);
  CHECK(money.cents == 1234);
  CHECK(decode_field(text("12.34"), SqlType{}, money) == Errc::invalid_text);
  CHECK(accepts_type<Money>(decode_test::user_type("anything")));
  CHECK(same_value(Money{1}, Money{1}));
  CHECK_FALSE(same_value(Money{1}, Money{2}));
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
