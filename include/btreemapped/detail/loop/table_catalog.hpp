#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/loop/catalog_watch.hpp>
#include <btreemapped/detail/loop/table_judge.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/catalog.hpp>
#include <btreemapped/detail/sql/publication.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/preflight.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What the server's catalog says of itself and of the tables asked for.
struct TableCatalog {
  ServerShape server{};
  std::vector<sql::TableFacts> tables{};  ///< empty where the server is too old for the questions
};

inline TableCatalog read_table_catalog(sql::Session& session, const std::vector<Table*>& tables,
                                       std::span<const std::string> publications, int own_sender) {
  TableCatalog catalog;
  catalog.server = sql::read_server(session, publications, own_sender);
  if (catalog.server.version >= oldest_server_version)
    catalog.tables = sql::read_tables(session, names_of(tables), publications);
  return catalog;
}

/// Creates the publication for just these tables. False when one of them is not fit for it; judging it then says why.
inline bool create_publication(sql::Session& session, const TableCatalog& catalog, const std::vector<Table*>& tables,
                               const std::string& publication) {
  std::vector<TableShape> shapes;
  for (std::size_t i = 0; i < catalog.tables.size(); ++i) {
    const sql::TableFacts& facts = catalog.tables[i];
    if (has_errors(TableJudge({catalog.server, true}, facts, tables[i]->needs()).judge())) return false;
    const auto same_table = [&](const TableShape& shape) { return shape.oid == facts.shape.oid; };
    if (std::none_of(shapes.begin(), shapes.end(), same_table)) shapes.push_back(facts.shape);
  }
  if (shapes.empty()) return false;
  sql::create_publication(session, publication, shapes);
  return true;
}

/// What is wrong before any slot exists.
struct PreflightFindings {
  std::vector<Problem> server{};
  std::vector<std::vector<Problem>> tables{};  ///< of each
  std::vector<Problem> publications{};
};

/// Judges server, publication and tables. Those without an error are to be followed.
inline PreflightFindings judge_catalog(TableCatalog& catalog, const std::vector<Table*>& tables, const ServerUse& use,
                                       std::vector<Followed>& followed) {
  const ServerShape& server = catalog.server;
  PreflightFindings findings;
  findings.server = judge_server(server, use);
  if (catalog.tables.empty()) return findings;
  std::vector<TableToJudge> all;
  for (std::size_t i = 0; i < catalog.tables.size(); ++i) all.push_back({catalog.tables[i], tables[i]->needs()});
  findings.publications = judge_publications({server}, all);
  for (std::size_t i = 0; i < tables.size(); ++i) {
    tables[i]->set_expected_rows(catalog.tables[i].expected_rows);
    findings.tables.push_back(TableJudge({server}, catalog.tables[i], tables[i]->needs()).judge());
    if (!has_errors(findings.tables.back()))
      followed.push_back({tables[i], std::make_shared<const TableShape>(std::move(catalog.tables[i].shape))});
  }
  return findings;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
