// Types of other libraries, by the opt-in headers.
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <nlohmann/json.hpp>

#include <btreemapped/codec/nlohmann_json.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/numeric.hpp>

#include "oracle.hpp"
#include "support/database.hpp"
#include "support/optional_type_list.hpp"
#include "support/refusal.hpp"

namespace types_test {

template <class T>
concept json_document = btreemapped::detail::nlohmann_json<T>;
using boost::multiprecision::cpp_dec_float_50;
using boost::multiprecision::cpp_int;
using Catch::Matchers::ContainsSubstring;

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

/// Of a value of this type that is refused.
template <class T>
void is_not_told(const std::string& secret, const std::string& type, const std::string& value) {
  CAPTURE(type, value);
  test::Database database;
  const std::string told =
      test::told_of_refusal<Held<T>>(database, "CREATE TABLE items (id int PRIMARY KEY, value " + type + " NOT NULL)",
                                     "INSERT INTO items VALUES (27182818, '" + value + "')");
  CHECK_THAT(told, ContainsSubstring("public.items"));
  CHECK_THAT(told, !ContainsSubstring(secret) && !ContainsSubstring("27182818"));
}

TEST_CASE("no message about a number or a document that is refused holds it", "[values]") {
  is_not_told<cpp_int>("31415926", "numeric", "31415926.5");
  is_not_told<cpp_dec_float_50>("31415926", "numeric", "31415926." + std::string(60, '3'));
  is_not_told<nlohmann::json>("31415926", "jsonb", "{\"secret\": 31415926e999}");
  is_not_told<nlohmann::json>("secret", "json", "{\"secret\": 1, \"secret\": 2}");
}

TEST_CASE("what the server takes for JSON is JSON to the codecs of documents, and nothing else is", "[values]") {
  test::Database database;
  const std::vector<std::string> texts{"0",
                                       "-0",
                                       "0.0",
                                       "-0.0e1",
                                       "0e0",
                                       "0.0e99999999999",
                                       "-0e-99999999999",
                                       "1e400",
                                       "1E+5",
                                       "1.",
                                       ".5",
                                       "01",
                                       "+1",
                                       "-",
                                       "1e",
                                       "1e+",
                                       "NaN",
                                       "0x1",
                                       "Infinity",
                                       "nul",
                                       "True",
                                       "true ",
                                       "\t[]\r\n",
                                       "\f1",
                                       "\v1",
                                       "\u00a01",
                                       "\uFEFF1",
                                       "1\uFEFF",
                                       "\"\uFEFF\"",
                                       "// c\n1",
                                       "/**/1",
                                       "'a'",
                                       "\"\\'\"",
                                       "\"\\/\"",
                                       "\"\t\"",
                                       "\"\x7f\"",
                                       "\"\\u0000\"",
                                       "\"\\u12\"",
                                       "\"\\ud83d\\ude00\"",
                                       "[1,]",
                                       "{,}",
                                       "{\"a\":1,}",
                                       "{\"a\":1 2}",
                                       "{a:1}",
                                       "{1:1}",
                                       "[1 2]",
                                       "1 2",
                                       "{\"a\":1,\"a\":2}",
                                       "{\"\":{}}",
                                       "",
                                       " "};
  for (const std::string& text : texts) {
    CAPTURE(text);
    bool is_json = true;
    try {
      database.exec("SELECT $json$" + text + "$json$::json");
    } catch (const std::exception&) {
      is_json = false;
    }
    nlohmann::json document;
    nlohmann::ordered_json ordered;
    const btreemapped::Errc result = btreemapped::codec<nlohmann::json>::decode(text, document);
    CHECK((result != btreemapped::Errc::invalid_text) == is_json);
    CHECK(btreemapped::codec<nlohmann::ordered_json>::decode(text, ordered) == result);
  }
}

}  // namespace types_test
