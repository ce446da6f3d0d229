// Any text as a value of each type. An input is a number of the list below, and one or two texts.

#include <bit>
#include <charconv>
#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include <boost/multiprecision/cpp_dec_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <nlohmann/json.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/bit_string.hpp>
#include <btreemapped/codec/bytea.hpp>
#include <btreemapped/codec/chrono.hpp>
#include <btreemapped/codec/inet.hpp>
#include <btreemapped/codec/interval.hpp>
#include <btreemapped/codec/lsn.hpp>
#include <btreemapped/codec/macaddr.hpp>
#include <btreemapped/codec/money.hpp>
#include <btreemapped/codec/multiprecision.hpp>
#include <btreemapped/codec/nlohmann_json.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/codec/time_of_day.hpp>
#include <btreemapped/codec/uuid.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/sql_range.hpp>

#include "fuzz/print.hpp"
#include "fuzz/require.hpp"
#include "fuzz/structured.hpp"
#include "support/bytes.hpp"

namespace {

using namespace btreemapped;
using fuzz::require;

template <class T>
std::optional<T> decode(std::string_view text, const SqlType& type) {
  const test::ExactBytes bytes(text);
  T value{};
  if (detail::decode_text(bytes.view(), type, value) != Errc::ok) return std::nullopt;
  return value;
}

template <class T>
void holds_for_one(const std::optional<T>& value, const SqlType& type) {
  if (!value) return;
  require(detail::same_value(*value, *value), "a value is the same as itself");
  if constexpr (fuzz::printable<T>) {
    const std::optional<T> again = decode<T>(fuzz::print(*value), type);
    require(again && detail::same_value(*value, *again), "a value that is printed and read again is the same");
  }
}

template <class T>
concept ordered = detail::can_be_key_v<T> && (std::totally_ordered<T> || std::three_way_comparable<T>);

template <class T>
concept hashable = detail::can_be_key_v<T> && requires(const T& value) {
  { std::hash<T>{}(value) } -> std::convertible_to<std::size_t>;
};

template <class T>
void holds_for_two(const T& a, const T& b) {
  const bool same = detail::same_value(a, b);
  require(same == detail::same_value(b, a), "what is the same is so both ways");
  if constexpr (fuzz::printable<T>)
    require(same == (fuzz::print(a) == fuzz::print(b)), "two values are the same if they print the same");
  if constexpr (ordered<T>) {
    const bool less = detail::KeyLess{}(std::tie(a), std::tie(b));
    const bool greater = detail::KeyLess{}(std::tie(b), std::tie(a));
    require(!(less && greater), "of two values one at most is the smaller");
    require(!same || (!less && !greater), "of two values that are the same none is the smaller");
    // NaN equals NaN in a key, and nowhere else.
    if (a == a && b == b) require((a == b) == (!less && !greater), "equality and order agree");
  }
  if constexpr (hashable<T>) require(!(a == b) || std::hash<T>{}(a) == std::hash<T>{}(b), "equal values have one hash");
}

/// What holds for every codec.
template <class T>
void check(const SqlType& type, std::string_view first, std::string_view second) {
  const std::optional<T> a = decode<T>(first, type);
  const std::optional<T> b = decode<T>(second, type);
  holds_for_one(a, type);
  holds_for_one(b, type);
  if (a && b) holds_for_two(*a, *b);
  if (!a) return;
  // The variable may hold an earlier value, also one that was not read to its end.
  T used = b.value_or(T{});
  static_cast<void>(detail::decode_text(second, type, used));
  require(detail::decode_text(first, type, used) == Errc::ok && detail::same_value(used, *a),
          "what a variable held before does not matter");
}

/// Built-in types are base types under their own number.
template <Oid Number>
SqlType builtin() {
  return {.oid = Number, .base = Number};
}
constexpr Oid text_oid = 25;

struct Codec {
  int number;         ///< the first byte of an input, never to be used for another type
  const char* name;   ///< of the type in SQL, for capture.sh
  SqlType (*type)();  ///< as a codec sees it
  void (*check)(const SqlType&, std::string_view, std::string_view);
};

/// One line for each codec.
constexpr Codec codecs[] = {
    {1, "bool", &builtin<detail::bool_oid>, &check<bool>},
    {2, "int2", &builtin<detail::int2_oid>, &check<std::int16_t>},
    {3, "int4", &builtin<detail::int4_oid>, &check<std::int32_t>},
    {4, "int8", &builtin<detail::int8_oid>, &check<std::int64_t>},
    {5, "oid", &builtin<detail::oid_oid>, &check<std::uint32_t>},
    {6, "xid8", &builtin<detail::xid8_oid>, &check<std::uint64_t>},
    {7, "float4", &builtin<detail::float4_oid>, &check<float>},
    {8, "float8", &builtin<detail::float8_oid>, &check<double>},
    {9, "float4", &builtin<detail::float4_oid>, &check<double>},
    {10, "text", &builtin<text_oid>, &check<std::string>},
    {11, "bytea", &builtin<detail::bytea_oid>, &check<std::vector<std::byte>>},
    {12, "numeric", &builtin<detail::numeric_oid>, &check<Numeric>},
    {13, "uuid", &builtin<detail::uuid_oid>, &check<Uuid>},
    {14, "date", &builtin<detail::date_oid>, &check<std::chrono::sys_days>},
    {15, "timestamp", &builtin<detail::timestamp_oid>, &check<std::chrono::local_time<std::chrono::microseconds>>},
    {16, "timestamptz", &builtin<detail::timestamptz_oid>, &check<std::chrono::sys_time<std::chrono::microseconds>>},
    {17, "timestamp", &builtin<detail::timestamp_oid>, &check<Timestamp>},
    {18, "timestamptz", &builtin<detail::timestamptz_oid>, &check<TimestampTz>},
    {19, "time", &builtin<detail::time_oid>, &check<TimeOfDay>},
    {20, "timetz", &builtin<detail::timetz_oid>, &check<TimeTz>},
    {21, "interval", &builtin<detail::interval_oid>, &check<Interval>},
    {22, "money", &builtin<detail::money_oid>, &check<Money>},
    {23, "bit varying", &builtin<detail::varbit_oid>, &check<BitString>},
    {24, "inet", &builtin<detail::inet_oid>, &check<Inet>},
    {25, "cidr", &builtin<detail::cidr_oid>, &check<Cidr>},
    {26, "macaddr", &builtin<detail::macaddr_oid>, &check<Macaddr>},
    {27, "macaddr8", &builtin<detail::macaddr8_oid>, &check<Macaddr8>},
    {28, "pg_lsn", &builtin<detail::pg_lsn_oid>, &check<Lsn>},
    {29, "json", &builtin<detail::json_oid>, &check<nlohmann::json>},
    {30, "jsonb", &builtin<detail::jsonb_oid>, &check<nlohmann::ordered_json>},
    {31, "numeric", &builtin<detail::numeric_oid>, &check<boost::multiprecision::cpp_int>},
    {32, "numeric", &builtin<detail::numeric_oid>, &check<boost::multiprecision::cpp_dec_float_50>},
    {33, "int8", &builtin<detail::int8_oid>, &check<boost::multiprecision::int128_t>},
    {34, "int4[]", &fuzz::integers, &check<std::vector<std::int32_t>>},
    {35, "text[]", &fuzz::texts, &check<std::vector<std::vector<std::optional<std::string>>>>},
    {37, "mood", &fuzz::mood, &check<fuzz::Mood>},
    {38, "named_point", &fuzz::point3, &check<fuzz::Point3>},
    {39, "named_point[]", &fuzz::points, &check<std::vector<std::optional<fuzz::Point3>>>},
    {40, "int4range", &fuzz::range, &check<SqlRange<std::int32_t>>},
    {41, "textrange", &fuzz::text_range, &check<SqlRange<std::string>>},
    {42, "textmultirange", &fuzz::multirange, &check<SqlMultirange<std::string>>},
    {43, "hstore", &fuzz::hstore, &check<std::map<std::string, std::optional<std::string>>>},
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view texts(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t separator = texts.find('\xFF');  // in no UTF-8
  const std::string_view first = texts.substr(0, separator);
  const std::string_view second = separator == std::string_view::npos ? first : texts.substr(separator + 1);
  for (const Codec& codec : codecs)
    if (codec.number == *data) codec.check(codec.type(), first, second);
  return 0;
}
