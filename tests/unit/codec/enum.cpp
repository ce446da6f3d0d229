#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/enum.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/detail/order.hpp>

#include "decode.hpp"

namespace enum_test {

enum class Mood { sad, ok, very_happy };
enum Plain : short { one = -1, two = 2 };
enum class Unlisted { a };

}  // namespace enum_test

template <>
struct btreemapped::enum_labels<enum_test::Mood> {
  static constexpr EnumLabel<enum_test::Mood> list[] = {
      {"very happy", enum_test::Mood::very_happy}, {"ok", enum_test::Mood::ok}, {"", enum_test::Mood::sad}};
};

template <>
struct btreemapped::enum_labels<enum_test::Plain> {
  static constexpr auto list =
      std::to_array<EnumLabel<enum_test::Plain>>({{"one", enum_test::one}, {"two", enum_test::two}});
};

namespace enum_test {

using btreemapped::Errc;
using btreemapped::SqlType;
using btreemapped::detail::accepts_type;
using btreemapped::detail::refusal_of;
using decode_test::array_of;
using decode_test::decode;
using decode_test::enum_of;
using decode_test::error_of;

static_assert(btreemapped::decodable<Mood> && btreemapped::decodable<Plain> && !btreemapped::decodable<Unlisted>);
static_assert(btreemapped::detail::has_order<Mood>());

TEST_CASE("a label becomes its enumerator", "[unit][codec]") {
  CHECK(decode<Mood>("very happy").value == Mood::very_happy);
  CHECK(decode<Mood>("ok").value == Mood::ok);
  CHECK(decode<Mood>("").value == Mood::sad);
  CHECK(decode<Plain>("one").value == one);
  CHECK(decode<Plain>("two").value == two);
}

TEST_CASE("a label that is not listed is out of range", "[unit][codec]") {
  CHECK(error_of<Mood>("happy") == Errc::out_of_range);
  CHECK(error_of<Mood>("OK") == Errc::out_of_range);
  CHECK(error_of<Mood>("very happy ") == Errc::out_of_range);
  CHECK(error_of<Plain>("") == Errc::out_of_range);
}

TEST_CASE("an enum is accepted if all its labels are listed", "[unit][codec]") {
  CHECK(accepts_type<Mood>(enum_of({"", "ok", "very happy"})));
  CHECK(accepts_type<Mood>(enum_of({"very happy", "ok"})));
  CHECK(accepts_type<Mood>(enum_of({})));
  CHECK(accepts_type<std::optional<Mood>>(decode_test::domain_over(enum_of({"ok"}))));
  CHECK_FALSE(accepts_type<Mood>(enum_of({"ok", "blue", "it's"})));
  CHECK_FALSE(accepts_type<Mood>(decode_test::builtin(25)));
  CHECK_FALSE(accepts_type<Mood>(SqlType{.oid = 16'400, .base = 16'400, .kind = 'e'}));
}

TEST_CASE("a refused enum names the labels that are missing", "[unit][codec]") {
  CHECK(refusal_of<Mood>(enum_of({"ok", "blue", "it's"})) == "enum_labels does not list 'blue', 'it's'");
  CHECK(refusal_of<Mood>(enum_of({"ok"})).empty());
  CHECK(refusal_of<Mood>(decode_test::builtin(25)).empty());
  CHECK(refusal_of<std::vector<Mood>>(array_of(enum_of({"blue"}))) ==
        "its elements are mood, of which the field (enum with listed labels) cannot hold every value: enum_labels does "
        "not list 'blue'");
}

TEST_CASE("enumerators order by their numbers", "[unit][codec]") {
  CHECK(btreemapped::detail::compare_part(Mood::sad, Mood::very_happy) < 0);
  CHECK(btreemapped::detail::compare_part(Mood::ok, Mood::ok) == 0);
}

}  // namespace enum_test
