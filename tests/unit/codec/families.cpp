// A user's codec for a family of types goes before what the library has for theirs, and is ambiguous with none of it.
#include <charconv>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/order.hpp>
#include <btreemapped/replica.hpp>

#include "decode.hpp"

namespace families_test {

// Plain structs, which the library would take apart: by their concept they are texts.
template <class T>
concept Printed = requires(T& out) {
  { out.read(std::string_view{}) } -> std::same_as<bool>;
};

struct Plate {
  std::string letters;
  int number = 0;

  bool read(std::string_view text) {
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), number);
    letters = text.substr(0, 2);
    return error == std::errc{} && end == text.data() + text.size();
  }
  friend auto operator<=>(const Plate&, const Plate&) = default;
};

// The elements of an array are more than Boost.PFR can tell: nobody may even look.
struct Version {
  int numbers[3];

  bool read(std::string_view text) {
    for (std::size_t i = 0; i < 3; ++i) numbers[i] = text[i] - '0';
    return true;
  }
  friend auto operator<=>(const Version&, const Version&) = default;
};

// Enums, of which one has listed labels.
enum class Size : std::uint8_t { small, large };
enum class Shade : std::uint8_t { dark, pale };
template <class T>
concept Numbered = std::same_as<T, Size> || std::same_as<T, Shade>;

// Containers and ranges of one's own values.
struct Letter {
  char letter = ' ';
  friend auto operator<=>(const Letter&, const Letter&) = default;
};
template <class T>
concept Spelled = std::same_as<T, Letter>;

struct Row {
  Plate plate;
  Version version;
  Size size{};
  Shade shade{};
  std::vector<Letter> word;
  std::vector<Plate> plates;
};

}  // namespace families_test

using namespace families_test;

/// Has a name that the library has, too.
struct Money {
  int cents = 0;
};

template <>
struct btreemapped::codec<Money> {
  static Errc decode(std::string_view text, ::Money& out) { return codec<int>::decode(text, out.cents); }
};

namespace btreemapped {

template <Printed T>
struct codec<T> {
  static Errc decode(std::string_view text, T& out) { return out.read(text) ? Errc::ok : Errc::invalid_text; }
};

template <>
struct enum_labels<Shade> {
  static constexpr EnumLabel<Shade> list[] = {{"dark", Shade::dark}, {"pale", Shade::pale}};
};
template <Numbered T>
struct codec<T> {
  static Errc decode(std::string_view text, T& out) {
    if (text != "0" && text != "1") return Errc::invalid_text;
    out = text == "0" ? T{0} : T{1};
    return Errc::ok;
  }
};

template <Spelled T>
struct codec<std::vector<T>> {
  static Errc decode(std::string_view text, std::vector<T>& out) {
    out.clear();
    for (const char c : text) out.push_back({c});
    return Errc::ok;
  }
};

}  // namespace btreemapped

namespace {

using btreemapped::Errc;
using decode_test::array_of;
using decode_test::builtin;
using decode_test::decode;

static_assert(btreemapped::decodable<Plate> && btreemapped::decodable<Version>);
static_assert(!btreemapped::detail::composite<Plate> && !btreemapped::detail::composite<Version>);
static_assert(btreemapped::detail::labelled_enum<Shade>);
static_assert(!btreemapped::detail::array_vector<std::vector<Letter>>);
static_assert(btreemapped::detail::array_vector<std::vector<Plate>>);

}  // namespace

TEST_CASE("a user's codec for structs of a concept goes before the one for composite types", "[unit][codec]") {
  CHECK(decode<Plate>("AB12", builtin(25)).value == Plate{"AB", 12});
  CHECK(decode<std::vector<Plate>>("{AB12,CD3}", array_of(builtin(25))).value ==
        std::vector<Plate>{{"AB", 12}, {"CD", 3}});
  CHECK(decode<Version>("123", builtin(25)).value == Version{{1, 2, 3}});
}

TEST_CASE("a user's codec for enums of a concept goes before the one for listed labels", "[unit][codec]") {
  CHECK(decode<Size>("1", builtin(21)).value == Size::large);
  CHECK(decode<Shade>("1", builtin(21)).value == Shade::pale);
  CHECK(decode<Shade>("pale", builtin(21)).error == Errc::invalid_text);
}

TEST_CASE("a user's codec for vectors of a concept goes before the one for arrays", "[unit][codec]") {
  CHECK(decode<std::vector<Letter>>("no", builtin(25)).value == std::vector<Letter>{{'n'}, {'o'}});
}

TEST_CASE("a user's type may have the name of one of the library's", "[unit][codec]") {
  CHECK(decode<::Money>("12", builtin(23)).value.cents == 12);
}

TEST_CASE("a row may be made of a user's families, and keyed by them", "[unit][codec]") {
  const auto key = btreemapped::key_of<2>(Row{{"AB", 12}, {{1, 2, 3}}, Size::small, Shade::pale, {}, {}});
  CHECK(std::get<0>(key) == Plate{"AB", 12});
  CHECK(std::get<1>(key) == Version{{1, 2, 3}});
}
