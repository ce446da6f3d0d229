#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <btreemapped/detail/reflect.hpp>
#include <btreemapped/numeric.hpp>
#include <btreemapped/read_guard.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/row.hpp>

#include "model/tables.hpp"
#include "support/sql.hpp"

namespace model {

// A value as the server renders it.
inline std::string rendered(const std::string& value) { return value; }
inline std::string rendered(bool value) { return value ? "t" : "f"; }
inline std::string rendered(std::integral auto value) { return std::to_string(value); }
inline std::string rendered(const btreemapped::Numeric& value) { return to_string(value); }
template <class Value>
std::optional<std::string> rendered(const std::optional<Value>& value) {
  return value ? std::optional<std::string>(rendered(*value)) : std::nullopt;
}

/// Rows as text, by their key.
using Rendered = std::map<std::string, test::SqlRow>;

inline std::string key_text(const test::SqlRow& row, std::size_t arity) {
  std::string text;
  for (std::size_t i = 0; i < arity; ++i) text += (i == 0 ? "(" : ", ") + row[i].value_or("NULL");
  return text + ")";
}

template <class Row, std::size_t Arity>
Rendered rendered_rows(const btreemapped::ReadGuard<Row, Arity>& rows) {
  Rendered rendered_rows;
  for (const Row& row : rows) {
    test::SqlRow cells;
    btreemapped::detail::for_each_field_index<Row>(
        [&](auto index) { cells.emplace_back(rendered(btreemapped::detail::field_at<index>(row))); });
    std::string key = key_text(cells, Arity);
    rendered_rows.emplace(std::move(key), std::move(cells));
  }
  return rendered_rows;
}

/// Does every row stand where its key says?
template <class Row, std::size_t Arity>
bool finds_all(const btreemapped::ReadGuard<Row, Arity>& rows, const btreemapped::Replica<Row, Arity>& replica) {
  return std::all_of(rows.begin(), rows.end(), [&](const Row& row) {
    const auto is_it = [&](const Row& found) { return &found == &row; };
    return std::apply([&](const auto&... key) { return replica.get_with(key..., is_it); },
                      btreemapped::key_of<Arity>(row)) == true;
  });
}

template <class Row>
std::string select_fields(std::string_view table) {
  std::string sql;
  for (const std::string_view name : btreemapped::detail::field_names_v<Row>)
    sql += (sql.empty() ? "SELECT " : ", ") + std::string{name};
  return sql + " FROM " + std::string{table};
}

/// For a message: long values shortened.
inline std::string shown(const std::optional<std::string>& value) {
  if (!value) return "NULL";
  if (value->size() <= 64) return "'" + *value + "'";
  return "'" + value->substr(0, 32) + "…' of " + std::to_string(value->size()) + " bytes";
}

/// In what a replica and its table differ, row by row and column by column, in both directions: one line each.
template <class Row, std::size_t Arity>
std::string differences(const btreemapped::ReadGuard<Row, Arity>& rows, const btreemapped::Replica<Row, Arity>& replica,
                        const std::string& table, test::Sql& session) {
  const Rendered held = rendered_rows(rows);
  Rendered stored;
  for (test::SqlRow& row : session.rows(select_fields<Row>(table))) {
    std::string key = key_text(row, Arity);
    stored.emplace(std::move(key), std::move(row));
  }
  std::string found;
  if (held.size() != rows.size() || !finds_all(rows, replica)) found += "\n" + table + " has rows out of their places";
  for (const auto& [key, row] : held)
    if (!stored.contains(key)) found += "\n" + table + " " + key + " is only in the replica";
  for (const auto& [key, row] : stored) {
    const auto other = held.find(key);
    if (other == held.end()) {
      found += "\n" + table + " " + key + " is only in the table";
      continue;
    }
    for (std::size_t i = 0; i < row.size(); ++i)
      if (row[i] != other->second[i])
        found += "\n" + table + " " + key + ": " + std::string{btreemapped::detail::field_names_v<Row>[i]} + " is " +
                 shown(other->second[i]) + " in the replica and " + shown(row[i]) + " in the table";
  }
  return found;
}

/// Holds all replicas, in one read, against all tables, in one snapshot. Nobody writes, and the replicas have caught
/// up: both are at the end of the server's log.
inline std::string differences(const Replicas& replicas, test::Sql& session) {
  std::string found;
  session.exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  btreemapped::read(replicas.accounts, replicas.positions, replicas.quotes,
                    [&](const auto& accounts, const auto& positions, const auto& quotes) {
                      found += differences(accounts, replicas.accounts, "account", session);
                      found += differences(positions, replicas.positions, "position", session);
                      found += differences(quotes, replicas.quotes, "quote", session);
                    });
  session.exec("COMMIT");
  return found;
}

}  // namespace model
