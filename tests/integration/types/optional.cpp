// Types of other libraries, by the opt-in headers.
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/numeric.hpp>

#include "oracle.hpp"
#include "support/database.hpp"
#include "support/optional_type_list.hpp"

namespace types_test {

template <class T>
concept json_document = btreemapped::detail::nlohmann_json<T>;
using boost::multiprecision::cpp_dec_float_50;
using boost::multiprecision::cpp_int;

template <json_document Json>
struct Printer<Json> {
  [[nodiscard]] static std::string print(const Json& value, std::string_view) { return value.dump(); }
};
template <>
struct Printer<cpp_int> {
  [[nodiscard]] static std::string print(const cpp_int& value, std::string_view) { return value.str(); }
};
template <>
struct Printer<cpp_dec_float_50> {
  [[nodiscard]] static std::string print(const cpp_dec_float_50& value, std::string_view) { return value.str(); }
};

template <json_document Json>
inline constexpr Fidelity fidelity<Json> = Fidelity::value;
template <>
inline constexpr Fidelity fidelity<cpp_int> = Fidelity::value;
template <>
inline constexpr Fidelity fidelity<cpp_dec_float_50> = Fidelity::value;

/// A numeric's text has been scaled by the server: what it says is asked of Numeric.
template <>
[[nodiscard]] bool is_refused<cpp_int>(std::string_view type, std::string_view text) {
  if (type != "numeric") return false;
  if (text.find("e-") != std::string_view::npos) return true;
  const auto number = btreemapped::Numeric::parse(text);
  return number && !(number->is_finite() && (text.find('.') == std::string_view::npos || number->to<long>()));
}
template <>
[[nodiscard]] bool is_refused<cpp_dec_float_50>(std::string_view type, std::string_view text) {
  return type == "numeric" && (text.size() > 51 || text == "NaN" || text.ends_with("Infinity"));
}

TEST_CASE("values of other libraries' types are what the server has, through copy and stream", "[values]") {
  test::Database database;
  Oracle oracle(database);
  oracle.add_all(test::optional_cpp_types);
  oracle.run(database.options());
}

TEST_CASE("values of other libraries' types are what the server has, whatever database and role prefer", "[values]") {
  UnfriendlyDatabase database;
  Oracle oracle(database);
  oracle.add_all(test::optional_cpp_types);
  oracle.run(database.options_of_hurried_role());
}

}  // namespace types_test
