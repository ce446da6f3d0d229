// The codecs, the list of types in tests/support and the README's tables of types say the same.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/codec.hpp>

#include "decode.hpp"
#include "support/optional_type_list.hpp"
#include "support/type_list.hpp"

namespace {

using Pairs = std::set<std::pair<std::string, std::string>>;  // PostgreSQL's type, and a C++ type that holds it

template <class Function>
void for_each_cpp_type(Function&& f) {
  std::apply([&](const auto&... types) { (f(types), ...); }, std::tuple_cat(test::cpp_types, test::optional_cpp_types));
}

Pairs pairs_of_list() {
  Pairs pairs;
  for_each_cpp_type([&](const auto& cpp) {
    for (const std::string_view sql : cpp.sql) pairs.emplace(sql, cpp.name);
  });
  return pairs;
}

/// Each type by its name.
std::vector<std::pair<std::string, btreemapped::SqlType>> named_types() {
  std::vector<std::pair<std::string, btreemapped::SqlType>> types;
  for (const test::SqlTypeName& sql : test::sql_types) types.emplace_back(sql.name, decode_test::builtin(sql.oid));
  const btreemapped::SqlType integer = decode_test::builtin(23);
  types.emplace_back("integer[]", decode_test::array_of(integer));
  types.emplace_back("int4range", decode_test::range_of(integer));
  types.emplace_back("int4multirange", decode_test::multirange_of(decode_test::range_of(integer)));
  types.emplace_back("hstore", decode_test::made_of('b', "hstore", {.extension = "hstore", .own_name = "hstore"}));
  return types;
}

std::vector<std::string> quoted_in(std::string_view cell) {
  std::vector<std::string> found;
  for (std::size_t open = cell.find('`'); open != std::string_view::npos; open = cell.find('`', open)) {
    const std::size_t close = cell.find('`', open + 1);
    if (close == std::string_view::npos) throw std::runtime_error("a ` is not closed: " + std::string(cell));
    found.emplace_back(cell.substr(open + 1, close - open - 1));
    open = close + 1;
  }
  return found;
}

/// The rows of the tables in the README's chapter on types: the first two cells.
std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> rows_of_readme() {
  std::ifstream file(BTREEMAPPED_README);
  if (!file) throw std::runtime_error("the README cannot be read: " BTREEMAPPED_README);
  std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) inside = line == "## Types";
    if (!inside || !line.starts_with("| `")) continue;
    const std::size_t second = line.find('|', 1);
    const std::size_t third = line.find('|', second + 1);
    if (third == std::string::npos) throw std::runtime_error("a row of less than two cells: " + line);
    rows.emplace_back(quoted_in(line.substr(1, second - 1)), quoted_in(line.substr(second + 1, third - second - 1)));
  }
  return rows;
}

std::string joined(const Pairs& pairs) {
  std::string text;
  for (const auto& [sql, cpp] : pairs) text += sql + " in " + cpp + "; ";
  return text;
}

Pairs without(const Pairs& all, const Pairs& known) {
  Pairs rest;
  std::set_difference(all.begin(), all.end(), known.begin(), known.end(), std::inserter(rest, rest.end()));
  return rest;
}

}  // namespace

TEST_CASE("every codec accepts the types that the list says, and no other", "[unit][codec]") {
  const Pairs listed = pairs_of_list();
  for_each_cpp_type([&](const auto& cpp) {
    using T = typename std::remove_cvref_t<decltype(cpp)>::type;
    for (const auto& [name, type] : named_types()) {
      CAPTURE(cpp.name, name);
      const bool expected = cpp.sql.empty() || listed.contains({name, std::string(cpp.name)});
      CHECK(btreemapped::detail::accepts_type<T>(type) == expected);
      CHECK(btreemapped::detail::accepts_type<T>(decode_test::domain_over(type)) == expected);
      CHECK(btreemapped::detail::accepts_type<T>(decode_test::user_type(name)) == cpp.sql.empty());
    }
    // A type that no codec of ours knows: a point.
    CHECK(btreemapped::detail::accepts_type<T>(decode_test::builtin(600)) == cpp.sql.empty());
  });
}

TEST_CASE("the README's tables of types say what the codecs accept", "[unit][codec]") {
  Pairs shown;
  for (const auto& [sql, cpp] : rows_of_readme())
    for (const std::string& column : sql)
      for (const std::string& field : cpp)
        if (field != "std::string") shown.emplace(column, field);
  const Pairs listed = pairs_of_list();
  const Pairs missing = without(listed, shown);
  const Pairs wrong = without(shown, listed);
  CAPTURE(joined(missing), joined(wrong));
  CHECK(missing.empty());
  CHECK(wrong.empty());
}

TEST_CASE("the README's tables leave out no type of the list", "[unit][codec]") {
  std::set<std::string> shown;
  for (const auto& [sql, cpp] : rows_of_readme()) shown.insert(sql.begin(), sql.end());
  for (const auto& [name, type] : named_types()) {
    CAPTURE(name);
    CHECK(shown.contains(name));
  }
}
