#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
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
#include <btreemapped/error.hpp>
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

inline constexpr std::string_view lock_not_available = "55P03";  // somebody rewrites a table

/// Those that no longer look as they did when they were copied. Waits for no lock.
inline std::vector<Table*> find_altered(sql::Session& session, const std::vector<Followed>& followed,
                                        const std::vector<std::string>& publications) {
  std::vector<Table*> altered;
  std::vector<TableName> names;
  for (const Followed& each : followed) names.push_back(each.shape->table);
  const std::vector<std::string> now = sql::read_fingerprints(session, names, publications);
  for (std::size_t i = 0; i < now.size(); ++i)
    if (!is_unaltered(followed[i], now[i])) altered.push_back(followed[i].table);
  return altered;
}

/// Of those that did not fit, the ones that would now. None while somebody rewrites any table of the publications: this
/// look has to open them all, and what has been found of the tables that follow must not be lost over that.
inline std::vector<Table*> find_mended(sql::Session& session, const std::vector<Table*>& misfits,
                                       const std::vector<std::string>& publications, int backend_pid) try {
  std::vector<Table*> mended;
  if (misfits.empty()) return mended;
  const ServerShape server = sql::read_server(session, publications, backend_pid);
  const std::vector<sql::TableFacts> facts = sql::read_tables(session, names_of(misfits), publications);
  for (std::size_t i = 0; i < facts.size(); ++i) {
    Table& misfit = *misfits[i];
    const TableToJudge judged{facts[i], misfit.needs()};
    const bool fits = !has_errors(judge_publications({server}, std::span{&judged, 1})) &&
                      !has_errors(TableJudge({server}, facts[i], misfit.needs()).judge());
    if (fits) mended.push_back(&misfit);
  }
  return mended;
} catch (const SchemaError& error) {
  if (error.sqlstate() != lock_not_available) throw;
  return {};
}

/// What a look at the catalog shows.
struct CatalogLook {
  std::vector<Table*> changed{};  ///< those altered, and those mended
  Lsn position{};                 ///< how far the server's log went before
};

inline CatalogLook look_at_catalog(sql::Session& session, const WatchList& list,
                                   const std::vector<std::string>& publications, int backend_pid) {
  const Lsn position = sql::read_log_end(session).readable;
  std::vector<Table*> changed = find_altered(session, list.followed, publications);
  const std::vector<Table*> mended = find_mended(session, list.misfits, publications, backend_pid);
  changed.insert(changed.end(), mended.begin(), mended.end());
  return {std::move(changed), position};
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
