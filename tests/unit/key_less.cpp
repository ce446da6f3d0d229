#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/uuid.hpp>

namespace {

using btreemapped::Numeric;
using btreemapped::detail::KeyLess;

template <class... T>
bool less(const std::tuple<T...>& left, const std::tuple<T...>& right) {
  return KeyLess{}(left, right);
}

/// Neither is before the other: one key to the map.
template <class... Left, class... Right>
bool equivalent(const std::tuple<Left...>& left, const std::tuple<Right...>& right) {
  return !KeyLess{}(left, right) && !KeyLess{}(right, left);
}

template <class T>
bool less_value(const T& left, const T& right) {
  return less(std::tuple<T>(left), std::tuple<T>(right));
}

/// Whether the values are in strictly ascending order, each against each.
template <class T>
bool strictly_ascending(const std::vector<T>& values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t j = 0; j < values.size(); ++j)
      if (less_value(values[i], values[j]) != (i < j)) return false;
  return true;
}

Numeric numeric(std::string_view text) { return *Numeric::parse(text); }

}  // namespace

TEST_CASE("keys order by their first part that differs", "[key_less]") {
  using Key = std::tuple<std::string, std::int64_t, bool>;
  const std::vector<Key> keys{{"", 9, true},  {"a", -5, false}, {"a", -5, true}, {"a", 0, false},
                              {"a", 1, true}, {"aa", -9, true}, {"b", -9, false}};
  for (std::size_t i = 0; i < keys.size(); ++i)
    for (std::size_t j = 0; j < keys.size(); ++j) CHECK(less(keys[i], keys[j]) == (i < j));
}

TEST_CASE("a key and its first parts are equivalent", "[key_less]") {
  const std::tuple<std::string, std::int64_t, double> key{"a", 5, 1.5};
  CHECK(equivalent(key, std::tuple<std::string_view>{"a"}));
  CHECK(equivalent(key, std::tuple<std::string_view, std::int64_t>{"a", 5}));
  CHECK(equivalent(key, std::tuple<std::string_view, std::int64_t, double>{"a", 5, 1.5}));
  CHECK(equivalent(key, std::tuple<>{}));
  CHECK(KeyLess{}(key, std::tuple<std::string_view>{"b"}));
  CHECK(KeyLess{}(std::tuple<std::string_view>{"Z"}, key));
  CHECK(KeyLess{}(std::tuple<std::string_view, std::int64_t>{"a", 4}, key));
  CHECK(KeyLess{}(key, std::tuple<std::string_view, std::int64_t>{"a", 6}));
}

TEST_CASE("text orders by its bytes", "[key_less]") {
  CHECK(strictly_ascending<std::string>({"", "A", "Z", "a", "aa", "b", "z", "\x7f", "ž", "日本", "\U0001F600"}));
  CHECK(strictly_ascending<std::string>({std::string("a"), std::string("a\0", 2), std::string("a\1", 2)}));
}

TEMPLATE_TEST_CASE("floats order as in PostgreSQL: NaN is greatest and one value, and so is zero", "[key_less]", float,
                   double) {
  using Limits = std::numeric_limits<TestType>;
  CHECK(strictly_ascending<TestType>({-Limits::infinity(), Limits::lowest(), TestType(-1), -Limits::denorm_min(),
                                      TestType(0), Limits::denorm_min(), TestType(1), Limits::max(), Limits::infinity(),
                                      Limits::quiet_NaN()}));
  const TestType nan = Limits::quiet_NaN();
  CHECK(equivalent(std::tuple(nan), std::tuple(-nan)));
  CHECK(equivalent(std::tuple(nan), std::tuple(std::nan("7"))));
  CHECK(equivalent(std::tuple(TestType(-0.0)), std::tuple(TestType(0.0))));
  CHECK(KeyLess{}(std::tuple(nan, 1), std::tuple(nan, 2)));
  CHECK(KeyLess{}(std::tuple(TestType(0.0), 1), std::tuple(TestType(-0.0), 2)));
}

TEST_CASE("a map finds its NaN again and holds only one", "[key_less]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::map<std::tuple<double>, int, KeyLess> map;
  for (const double key : {nan, 1.0, -nan, 0.0, -0.0, nan}) ++map[{key}];
  REQUIRE(map.size() == 3);
  CHECK(map.begin()->second == 2);
  CHECK(std::prev(map.end())->second == 3);
  CHECK(map.find(std::tuple<double>(nan)) == std::prev(map.end()));
}

TEST_CASE("numerics order by value, whatever their scale", "[key_less]") {
  CHECK(equivalent(std::tuple(numeric("1.0")), std::tuple(numeric("1.00"))));
  CHECK(equivalent(std::tuple(numeric("0")), std::tuple(numeric("0.000"))));
  CHECK(equivalent(std::tuple(numeric("NaN")), std::tuple(numeric("NaN"))));
  CHECK(KeyLess{}(std::tuple(numeric("1.00"), 1), std::tuple(numeric("1.0"), 2)));
  CHECK(strictly_ascending<Numeric>({numeric("-Infinity"), numeric("-10"), numeric("-9.5"), numeric("-9.05"),
                                     numeric("0"), numeric("0.1"), numeric("9"), numeric("10"), numeric("10.01"),
                                     numeric("Infinity"), numeric("NaN")}));
}

TEST_CASE("dates and times order from past to future", "[key_less]") {
  using std::chrono::sys_days;
  CHECK(strictly_ascending<sys_days>(
      {sys_days::min(), sys_days{std::chrono::days{-1}}, sys_days{}, sys_days{std::chrono::days{1}}, sys_days::max()}));
}

TEST_CASE("byte strings and UUIDs order by unsigned bytes", "[key_less]") {
  const auto uuid = [](std::string_view text) { return *btreemapped::Uuid::parse(text); };
  CHECK(strictly_ascending<std::vector<std::byte>>(
      {{}, {std::byte{0}}, {std::byte{0}, std::byte{0}}, {std::byte{0x7f}}, {std::byte{0x80}}, {std::byte{0xff}}}));
  CHECK(strictly_ascending<btreemapped::Uuid>(
      {uuid("00000000-0000-0000-0000-000000000000"), uuid("7fffffff-ffff-ffff-ffff-ffffffffffff"),
       uuid("80000000-0000-0000-0000-000000000000"), uuid("ffffffff-0000-0000-0000-000000000000")}));
}

TEST_CASE("false is before true", "[key_less]") {
  CHECK(strictly_ascending<int>({0, 1}));
  CHECK(less_value(false, true));
}
