#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/loop/table_judge.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/catalog.hpp>
#include <btreemapped/detail/sql/fingerprint.hpp>
#include <btreemapped/detail/sql/log_end.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/preflight.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Tables that follow, and those that did not fit.
struct WatchList {
  std::vector<Followed> followed{};
  std::vector<Table*> misfits{};
};

inline std::vector<std::string> columns_of(const Table& table) {
  std::vector<std::string> columns;
  for (const FieldNeed& need : table.needs()) columns.push_back(need.column);
  return columns;
}

inline std::vector<std::string> key_columns_of(const Table& table) {
  std::vector<std::string> columns;
  for (const FieldNeed& need : table.needs())
    if (need.key) columns.push_back(need.column);
  return columns;
}

inline std::vector<TableName> names_of(const std::vector<Table*>& tables) {
  std::vector<TableName> names;
  for (const Table* const table : tables) names.push_back(table->name());
  return names;
}

/// Does the table look as it did when it was copied, in all that a row depends on?
inline bool is_unaltered(const Followed& followed, const std::string& fingerprint) {
  const std::vector<std::string> columns = columns_of(*followed.table);
  const std::vector<std::string> key = key_columns_of(*followed.table);
  return sql::fingerprint_of(followed.shape->fingerprint, columns, key) ==
             sql::fingerprint_of(fingerprint, columns, key) &&
         !sql::was_unlogged(followed.shape->fingerprint, fingerprint);
}

/// The same, whatever has become of the files that its rows are in.
inline bool has_same_definition(const Followed& followed, const std::string& fingerprint) {
  const std::vector<std::string> columns = columns_of(*followed.table);
  const std::vector<std::string> key = key_columns_of(*followed.table);
  return sql::definition_of(followed.shape->fingerprint, columns, key) == sql::definition_of(fingerprint, columns, key);
}

/// Those that no longer look as they did when they were copied, and those that would fit now.
inline std::vector<Table*> find_altered(sql::Session& session, const WatchList& list,
                                        const std::vector<std::string>& publications, int backend_pid) {
  std::vector<Table*> altered;
  std::vector<TableName> names;
  for (const Followed& each : list.followed) names.push_back(each.shape->table);
  const std::vector<std::string> now = sql::read_fingerprints(session, names, publications);
  for (std::size_t i = 0; i < now.size(); ++i)
    if (!is_unaltered(list.followed[i], now[i])) altered.push_back(list.followed[i].table);
  if (list.misfits.empty()) return altered;
  const ServerShape server = sql::read_server(session, publications, backend_pid);
  const std::vector<sql::TableFacts> facts = sql::read_tables(session, names_of(list.misfits), publications);
  for (std::size_t i = 0; i < facts.size(); ++i) {
    Table& misfit = *list.misfits[i];
    const TableToJudge judged{facts[i], misfit.needs()};
    const bool fits = !has_errors(judge_publications({server}, std::span{&judged, 1})) &&
                      !has_errors(TableJudge({server}, facts[i], misfit.needs()).judge());
    if (fits) altered.push_back(&misfit);
  }
  return altered;
}

/// What a look at the catalog shows.
struct CatalogLook {
  std::vector<Table*> changed{};  ///< see find_altered()
  Lsn position{};                 ///< how far the server's log went before
};

inline CatalogLook look_at_catalog(sql::Session& session, const WatchList& list,
                                   const std::vector<std::string>& publications, int backend_pid) {
  const Lsn position = sql::read_log_end(session).readable;
  return {find_altered(session, list, publications, backend_pid), position};
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
