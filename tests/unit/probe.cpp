#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/probe.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/uuid.hpp>

namespace {

using btreemapped::Numeric;
using btreemapped::Uuid;
using btreemapped::detail::convert_probe;
using btreemapped::detail::Fit;
using btreemapped::detail::probe_for;
using btreemapped::detail::probe_t;
using namespace std::chrono_literals;
using std::chrono::days;
using std::chrono::local_days;
using std::chrono::sys_days;
using std::chrono::sys_time;
using Micros = std::chrono::microseconds;

enum class Color : std::uint8_t { red, green };
enum class Shade : std::uint8_t { dark };
enum Old : std::uint8_t { one };

/// A string class of somebody else's.
struct Label {
  std::string_view text;
  operator std::string_view() const { return text; }
};

struct ConvertsToNumber {
  operator int() const { return 1; }
};

// Text is found by any text, and by nothing else.
static_assert(probe_for<std::string, std::string>);
static_assert(probe_for<std::string_view, std::string>);
static_assert(probe_for<const char*, std::string>);
static_assert(probe_for<char*, std::string>);
static_assert(probe_for<char[4], std::string>);
static_assert(probe_for<Label, std::string>);
static_assert(!probe_for<std::nullptr_t, std::string>);
static_assert(!probe_for<int, std::string>);
static_assert(!probe_for<char, std::string>);
static_assert(!probe_for<std::wstring, std::string>);
static_assert(!probe_for<std::u8string_view, std::string>);
static_assert(!probe_for<std::vector<std::byte>, std::string>);
static_assert(!probe_for<std::string, std::int64_t>);
static_assert(!probe_for<std::string_view, Numeric>);
static_assert(!probe_for<std::string_view, Uuid>);

// An integer field is found by integers: no letters, no truth values, no fractions, no conversions of others.
static_assert(probe_for<int, std::int64_t>);
static_assert(probe_for<std::uint64_t, std::int16_t>);
static_assert(probe_for<std::int8_t, std::int32_t>);
static_assert(probe_for<std::size_t, std::uint32_t>);
static_assert(probe_for<long, long long>);
static_assert(probe_for<long long, long>);
static_assert(!probe_for<bool, std::int64_t>);
static_assert(!probe_for<char, std::int64_t>);
static_assert(!probe_for<wchar_t, std::int64_t>);
static_assert(!probe_for<char8_t, std::int64_t>);
static_assert(!probe_for<char16_t, std::int64_t>);
static_assert(!probe_for<char32_t, std::int64_t>);
static_assert(!probe_for<float, std::int64_t>);
static_assert(!probe_for<double, std::int64_t>);
static_assert(!probe_for<Color, std::int64_t>);
static_assert(!probe_for<Old, std::int64_t>);
static_assert(!probe_for<ConvertsToNumber, std::int64_t>);
static_assert(!probe_for<Numeric, std::int64_t>);

// Other fields by their own type only.
static_assert(probe_for<double, double>);
static_assert(!probe_for<float, double>);
static_assert(!probe_for<int, double>);
static_assert(!probe_for<double, float>);
static_assert(probe_for<bool, bool>);
static_assert(!probe_for<int, bool>);
static_assert(probe_for<Color, Color>);
static_assert(!probe_for<Shade, Color>);
static_assert(!probe_for<int, Color>);
static_assert(!probe_for<int, Old>);
static_assert(!probe_for<std::uint8_t, Color>);
static_assert(probe_for<Numeric, Numeric>);
static_assert(!probe_for<int, Numeric>);
static_assert(!probe_for<double, Numeric>);
static_assert(probe_for<Uuid, Uuid>);
static_assert(probe_for<std::vector<std::byte>, std::vector<std::byte>>);

// Times by times that convert without loss, and by calendar dates.
static_assert(probe_for<sys_time<Micros>, sys_time<Micros>>);
static_assert(probe_for<std::chrono::sys_seconds, sys_time<Micros>>);
static_assert(probe_for<sys_days, sys_time<Micros>>);
static_assert(probe_for<std::chrono::year_month_day, sys_days>);
static_assert(probe_for<local_days, std::chrono::local_time<Micros>>);
static_assert(!probe_for<sys_time<std::chrono::nanoseconds>, sys_time<Micros>>);
static_assert(!probe_for<sys_time<Micros>, sys_days>);
static_assert(!probe_for<std::chrono::sys_seconds, sys_days>);
static_assert(!probe_for<local_days, sys_days>);
static_assert(!probe_for<sys_time<Micros>, std::chrono::local_time<Micros>>);
static_assert(!probe_for<std::chrono::steady_clock::time_point, sys_time<Micros>>);
static_assert(!probe_for<Micros, sys_time<Micros>>);
static_assert(!probe_for<int, sys_days>);

/// Every 64-bit integer is a long double exactly.
template <class T>
long double exactly(T value) {
  static_assert(std::numeric_limits<long double>::digits >= 64);
  return static_cast<long double>(value);
}

template <class Field, class Probe>
void check_against_arithmetic(Probe probe) {
  probe_t<Field> out{};
  const Fit fit = convert_probe<Field>(probe, out);
  INFO("field of " << sizeof(Field) << " bytes, signed " << std::is_signed_v<Field> << ", probe " << +probe);
  if (exactly(probe) < exactly(std::numeric_limits<Field>::min())) {
    CHECK(fit == Fit::below);
  } else if (exactly(probe) > exactly(std::numeric_limits<Field>::max())) {
    CHECK(fit == Fit::above);
  } else {
    CHECK(fit == Fit::inside);
    CHECK(exactly(out) == exactly(probe));
  }
}

template <class Field, class Probe>
void check_edges() {
  using Limits = std::numeric_limits<Probe>;
  constexpr auto least = static_cast<std::uint64_t>(std::numeric_limits<Field>::min());
  constexpr auto greatest = static_cast<std::uint64_t>(std::numeric_limits<Field>::max());
  for (const Probe probe : {Limits::min(), static_cast<Probe>(Limits::min() + 1), static_cast<Probe>(Limits::max() - 1),
                            Limits::max(), static_cast<Probe>(-1), Probe{0}, Probe{1}, static_cast<Probe>(least - 1),
                            static_cast<Probe>(least), static_cast<Probe>(greatest), static_cast<Probe>(greatest + 1)})
    check_against_arithmetic<Field>(probe);
}

}  // namespace

TEMPLATE_TEST_CASE("an integer probe of any type is the same number, or known to lie outside", "[probe]", std::int16_t,
                   std::int32_t, std::int64_t, long, long long, std::uint32_t, std::uint64_t) {
  check_edges<TestType, signed char>();
  check_edges<TestType, unsigned char>();
  check_edges<TestType, short>();
  check_edges<TestType, unsigned short>();
  check_edges<TestType, int>();
  check_edges<TestType, unsigned int>();
  check_edges<TestType, long>();
  check_edges<TestType, unsigned long>();
  check_edges<TestType, long long>();
  check_edges<TestType, unsigned long long>();
}

TEST_CASE("the unsigned neighbour of -1 is not -1", "[probe]") {
  std::int32_t out = 0;
  CHECK(convert_probe<std::int32_t>(4294967295U, out) == Fit::above);
  std::int64_t wide = 0;
  CHECK(convert_probe<std::int64_t>(4294967295U, wide) == Fit::inside);
  CHECK(wide == 4294967295);
  CHECK(convert_probe<std::int64_t>(18446744073709551615U, wide) == Fit::above);
  std::uint32_t natural = 0;
  CHECK(convert_probe<std::uint32_t>(-1, natural) == Fit::below);
}

TEST_CASE("text probes are viewed where they are", "[probe]") {
  std::string_view out;
  char characters[] = "Bob";
  char* const pointer = characters;
  const std::string string = "Bob";
  const Label label{string};
  CHECK(convert_probe<std::string>("Bob", out) == Fit::inside);
  CHECK(out == "Bob");
  CHECK(convert_probe<std::string>(characters, out) == Fit::inside);
  CHECK(out.data() == characters);
  CHECK(convert_probe<std::string>(pointer, out) == Fit::inside);
  CHECK(out.data() == characters);
  CHECK(convert_probe<std::string>(string, out) == Fit::inside);
  CHECK(out.data() == string.data());
  CHECK(convert_probe<std::string>(std::string_view(string).substr(1), out) == Fit::inside);
  CHECK(out == "ob");
  CHECK(convert_probe<std::string>(label, out) == Fit::inside);
  CHECK(out.data() == string.data());
}

TEST_CASE("text with a NUL byte is kept whole", "[probe]") {
  std::string_view out;
  CHECK(convert_probe<std::string>(std::string_view("a\0b", 3), out) == Fit::inside);
  CHECK(out.size() == 3);
}

TEST_CASE("a coarser time becomes the finer one", "[probe]") {
  sys_time<Micros> out;
  CHECK(convert_probe<sys_time<Micros>>(sys_days{days{3}}, out) == Fit::inside);
  CHECK(out == sys_time<Micros>{72h});
  CHECK(convert_probe<sys_time<Micros>>(std::chrono::sys_seconds{-1s}, out) == Fit::inside);
  CHECK(out == sys_time<Micros>{-1s});
  sys_days day;
  using namespace std::chrono;
  CHECK(convert_probe<sys_days>(year_month_day{2024y / February / 29}, day) == Fit::inside);
  CHECK(day == sys_days{2024y / February / 29});
}

TEST_CASE("a date beyond the reach of microseconds does not wrap around", "[probe]") {
  using Field = sys_time<Micros>;
  Field out;
  CHECK(convert_probe<Field>(sys_days{days{106'751'991}}, out) == Fit::inside);
  CHECK(out == Field{std::chrono::hours{24 * 106'751'991LL}});
  CHECK(convert_probe<Field>(sys_days{days{106'751'992}}, out) == Fit::above);
  CHECK(convert_probe<Field>(sys_days::max(), out) == Fit::above);
  CHECK(convert_probe<Field>(sys_days{days{-106'751'991}}, out) == Fit::inside);
  CHECK(convert_probe<Field>(sys_days{days{-106'751'992}}, out) == Fit::below);
  CHECK(convert_probe<Field>(sys_days::min(), out) == Fit::below);
  CHECK(convert_probe<Field>(std::chrono::sys_seconds::max(), out) == Fit::above);
  CHECK(convert_probe<Field>(std::chrono::sys_seconds::min(), out) == Fit::below);
}

TEST_CASE("a large value is compared where it is, not copied", "[probe]") {
  const std::vector<std::byte> bytes(1000);
  probe_t<std::vector<std::byte>> out;
  CHECK(convert_probe<std::vector<std::byte>>(bytes, out) == Fit::inside);
  CHECK_FALSE(out < bytes);
  CHECK_FALSE(bytes < out);
  CHECK(std::vector<std::byte>(1) < out);
}
