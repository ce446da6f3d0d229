#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/fingerprint.hpp>
#include <btreemapped/detail/sql/mutual_wait.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>
#include <btreemapped/detail/sql/type_catalog.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// Reads the server and the named publications. `own_sender` is the pid of our replication session, which does not
/// count as used.
[[nodiscard]] inline ServerShape read_server(Session& session, std::span<const std::string> publications,
                                             int own_sender = 0) {
  return session.in_transaction("cannot read the server's settings", [&](Session::Transaction& transaction) {
    const Rows server = transaction.query(R"sql(
SELECT pg_catalog.current_setting('server_version_num'), s.system_identifier, pg_catalog.current_setting('wal_level'),
  current_user, pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('max_replication_slots'),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots),
  pg_catalog.current_setting('max_wal_senders'),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_wal_senders() w WHERE w.pid <> )sql" +
                                          std::to_string(own_sender) + "),\n  " + std::string{names_us} +
                                          "\nFROM pg_catalog.pg_control_system() s");
    ServerShape shape;
    shape.version = server.number<int>(0, 0);
    shape.system_identifier = server.text(0, 1);
    shape.wal_level = server.text(0, 2);
    shape.role = server.text(0, 3);
    shape.in_recovery = server.flag(0, 4);
    shape.max_slots = server.number<int>(0, 5);
    shape.used_slots = server.number<int>(0, 6);
    shape.max_senders = server.number<int>(0, 7);
    shape.used_senders = server.number<int>(0, 8);
    shape.waits_for_us = server.flag(0, 9);

    const Rows found = transaction.query(
        "SELECT p.pubname, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.puballtables "
        "FROM pg_catalog.pg_publication p WHERE p.pubname IN (" +
        literal_list(publications) + ")");
    for (const std::string& name : publications) {
      PublicationShape& publication = shape.publications.emplace_back();
      publication.name = name;
      for (std::size_t row = 0; row < found.size(); ++row) {
        if (found.text(row, 0) != name) continue;
        publication.exists = true;
        publication.inserts = found.flag(row, 1);
        publication.updates = found.flag(row, 2);
        publication.deletes = found.flag(row, 3);
        publication.truncates = found.flag(row, 4);
        publication.all_tables = found.flag(row, 5);
      }
    }
    return shape;
  });
}

/// The queries of read_tables(), each for all tables at once.
struct TableQueries {
  std::string tables;
  std::string publications;
  std::string types;
  std::string columns;
  std::string unique_indexes;
  std::string leaves;

  TableQueries(std::span<const TableName> names, std::span<const std::string> publication_names) {
    const std::string start = table_expressions(names);
    // Listed are a table, those that it is a partition of, and its own partitions. The view pg_publication_tables is
    // not used: it works out the columns of every table of a publication, 2 s for two of 5,000 tables.
    const std::string listed = R"sql(,
listed AS MATERIALIZED (
  SELECT g.relid AS oid, p.pubname, p.pubviaroot, pg_catalog.pg_get_expr(g.qual, g.relid) AS rowfilter,
    ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = g.relid AND a.attnum > 0 AND NOT a.attisdropped
        AND (g.attrs IS NULL OR a.attnum = ANY (g.attrs))
      ORDER BY a.attnum) AS attnames,
    -- to the stream of 15 a list of all columns is one like any other where a column is generated or was dropped
    pg_catalog.current_setting('server_version_num')::int < 160000
      AND COALESCE(pg_catalog.array_length(g.attrs, 1) = c.relnatts, true) AS no_list
  FROM pg_catalog.pg_publication p
  CROSS JOIN LATERAL pg_catalog.pg_get_publication_tables(p.pubname::text) g
  JOIN pg_catalog.pg_class c ON c.oid = g.relid
  WHERE p.pubname IN ()sql" + literal_list(publication_names) +
                               R"sql()
    AND g.relid IN (SELECT l.oid FROM line l UNION ALL SELECT t.oid FROM tree t)))sql";

    tables = start + R"sql(
SELECT r.n, r.oid, r.relkind, r.relreplident, r.relpersistence, pg_catalog.row_security_active(r.oid),
  pg_catalog.has_schema_privilege(r.relnamespace, 'USAGE'),
  (SELECT COALESCE(pg_catalog.sum(c.reltuples::pg_catalog.float8) FILTER (WHERE c.reltuples > 0), 0)::pg_catalog.int8
   FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind <> 'p' WHERE t.n = r.n)
FROM rel r)sql";

    publications = start + listed + R"sql(
SELECT r.n, 'o' AS place, x.pubname, CASE WHEN x.no_list THEN '' ELSE x.attnames::text END, x.rowfilter, r.nspname,
  r.relname, 0 AS height
FROM rel r JOIN listed x ON x.oid = r.oid
UNION ALL
SELECT l.n, 'a', x.pubname, NULL, NULL, s.nspname, c.relname, l.height
FROM line l
JOIN rel r ON r.n = l.n AND r.oid <> l.oid
JOIN listed x ON x.oid = l.oid AND x.pubviaroot
JOIN pg_catalog.pg_class c ON c.oid = l.oid
JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
UNION ALL
SELECT DISTINCT t.n, 'b', x.pubname,
  -- or is it only partitions that have been added to it?
  CASE WHEN p.puballtables OR EXISTS (
      SELECT FROM line l
      JOIN pg_catalog.pg_class c ON c.oid = l.oid
      WHERE l.n = r.n AND (
        EXISTS (SELECT FROM pg_catalog.pg_publication_rel m WHERE m.prpubid = p.oid AND m.prrelid = c.oid)
        OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace m
          WHERE m.pnpubid = p.oid AND m.pnnspid = c.relnamespace)))
    THEN 'as a whole' END, NULL, r.nspname, r.relname, 0
FROM tree t
JOIN rel r ON r.n = t.n AND r.oid <> t.oid
JOIN listed x ON x.oid = t.oid
JOIN pg_catalog.pg_publication p ON p.pubname = x.pubname
ORDER BY 1, 2, height, 3)sql";

    types = type_query(start);

    columns = start + listed + R"sql(,
domain(type, base, not_null) AS (
  SELECT a.atttypid, a.atttypid, false
  FROM rel r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT d.type, t.typbasetype, d.not_null OR t.typnotnull
  FROM domain d JOIN pg_catalog.pg_type t ON t.oid = d.base AND t.typtype = 'd')
SELECT r.n, a.attname, a.attnum, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod),
  a.atttypmod, a.attnotnull OR d.not_null, a.attgenerated <> '',
  -- servers before 18 list generated columns and do not send them
  (a.attgenerated = '' OR pg_catalog.current_setting('server_version_num')::int >= 180000)
    AND COALESCE((SELECT pg_catalog.bool_and(a.attname = ANY (x.attnames)) FROM listed x WHERE x.oid = r.oid), false),
  r.relreplident = 'f' OR EXISTS (SELECT FROM ident i WHERE i.oid = r.oid AND a.attnum = ANY (i.attnums)),
  pg_catalog.has_column_privilege(r.oid, a.attnum, 'SELECT'), a.attlen = -1 AND a.attstorage <> 'p',
  a.attgenerated = 'v'
FROM rel r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN domain d ON d.type = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid = d.base AND t.typtype <> 'd'
ORDER BY r.n, a.attnum)sql";

    unique_indexes = start + R"sql(
SELECT r.n, c.relname, i.indisprimary, i.indimmediate, a.attname, a.attnotnull
FROM rel r
JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) k
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = i.indkey[k]
ORDER BY r.n, c.relname, k)sql";

    leaves = start + R"sql(,
ident_names(oid, names) AS (
  SELECT i.oid, pg_catalog.array_agg(a.attname::text)
  FROM ident i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.oid AND a.attnum = ANY (i.attnums)
  GROUP BY i.oid)
SELECT r.n, s.nspname, c.relname, c.relkind = 'r' AND c.relpersistence = 'p',
  c.relreplident = 'f' OR (r.relreplident <> 'f' AND COALESCE(own.names, '{}') <@ COALESCE(leaf.names, '{}'))
FROM tree t
JOIN rel r ON r.n = t.n AND r.oid <> t.oid
JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind <> 'p'
JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
LEFT JOIN ident_names own ON own.oid = r.oid
LEFT JOIN ident_names leaf ON leaf.oid = c.oid
ORDER BY 1, 2, 3)sql";
  }
};

/// Turns the publications' rows of one table into what its shape says of them.
inline void add_publication(TableFacts& facts, const Rows& rows, std::size_t row, std::string& attnames,
                            bool& unfiltered) {
  TableShape& shape = facts.shape;
  switch (rows.letter(row, 1)) {
    case 'a': facts.published_as = TableName{rows.string(row, 5), rows.string(row, 6)}; return;  // the topmost is last
    case 'b':
      shape.published_by_leaves = true;
      facts.leaf_publication = rows.text(row, 2);
      facts.leaf_publication_has_root = !rows.is_null(row, 3);
      return;
    default: break;
  }
  if (!facts.publications.empty() && attnames != rows.text(row, 3)) facts.column_lists_differ = true;
  attnames = rows.text(row, 3);
  facts.publications.push_back({rows.string(row, 2), {}});
  if (rows.is_null(row, 4)) {
    unfiltered = true;
  } else {
    facts.publications.back().row_filter = rows.string(row, 4);
    std::string filter = "(" + rows.string(row, 4) + ")";
    shape.row_filter = shape.row_filter ? *shape.row_filter + " OR " + filter : std::move(filter);
  }
}

/// Reads tables as the catalog and the publications describe them, in the order of the names, all in one transaction.
/// The server is PostgreSQL 15 or later.
[[nodiscard]] inline std::vector<TableFacts> read_tables(Session& session, std::span<const TableName> names,
                                                         std::span<const std::string> publications) {
  return session.in_transaction("cannot read the catalog", [&](Session::Transaction& transaction) {
    const TableQueries queries{names, publications};
    std::vector<TableFacts> out(names.size());
    for (std::size_t n = 0; n < names.size(); ++n) out[n].shape.table = names[n];
    const auto facts_of = [&](const Rows& rows, std::size_t row) -> TableFacts& {
      return out.at(rows.number<std::size_t>(row, 0));
    };

    const Rows tables = transaction.query(queries.tables);
    for (std::size_t row = 0; row < tables.size(); ++row) {
      TableFacts& facts = facts_of(tables, row);
      facts.shape.oid = tables.number<Oid>(row, 1);
      facts.shape.kind = tables.letter(row, 2);
      facts.shape.replica_identity = tables.letter(row, 3);
      facts.shape.persistent = tables.text(row, 4) == "p";
      facts.shape.hidden_by_row_security = tables.flag(row, 5);
      facts.schema_usable = tables.flag(row, 6);
      facts.expected_rows = tables.number<std::size_t>(row, 7);
    }

    const Rows published = transaction.query(queries.publications);
    std::vector<std::string> attnames(names.size());
    std::vector<bool> unfiltered(names.size(), false);
    for (std::size_t row = 0; row < published.size(); ++row) {
      const auto n = published.number<std::size_t>(row, 0);
      bool all_rows = unfiltered.at(n);
      add_publication(out.at(n), published, row, attnames.at(n), all_rows);
      unfiltered.at(n) = all_rows;
    }
    for (std::size_t n = 0; n < names.size(); ++n) {
      out[n].shape.published = !out[n].publications.empty() && !out[n].published_as;
      if (unfiltered[n]) out[n].shape.row_filter.reset();
    }

    const TypeCatalog types{transaction.query(queries.types)};
    const Rows columns = transaction.query(queries.columns);
    for (std::size_t row = 0; row < columns.size(); ++row) {
      TableFacts& facts = facts_of(columns, row);
      ColumnShape& column = facts.shape.columns.emplace_back();
      column.name = columns.text(row, 1);
      column.attnum = columns.number<std::int16_t>(row, 2);
      column.type = types.find(columns.number<Oid>(row, 3), columns.string(row, 4));
      column.typmod = columns.number<std::int32_t>(row, 5);
      column.not_null = columns.flag(row, 6);
      column.generated = columns.flag(row, 7);
      column.published = columns.flag(row, 8) && facts.shape.published;
      column.in_identity = columns.flag(row, 9);
      column.selectable = columns.flag(row, 10);
      column.computed = columns.flag(row, 12);
      if (columns.flag(row, 11)) facts.toastable.push_back(column.name);
    }

    const Rows indexes = transaction.query(queries.unique_indexes);
    for (std::size_t row = 0; row < indexes.size(); ++row) {
      auto& known = facts_of(indexes, row).shape.unique_indexes;
      if (known.empty() || known.back().name != indexes.text(row, 1))
        known.push_back({indexes.string(row, 1), {}, indexes.flag(row, 2), indexes.flag(row, 3), true});
      known.back().columns.push_back(indexes.string(row, 4));
      known.back().all_not_null = known.back().all_not_null && indexes.flag(row, 5);
    }

    const Rows leaves = transaction.query(queries.leaves);
    for (std::size_t row = 0; row < leaves.size(); ++row) {
      TableFacts& facts = facts_of(leaves, row);
      const TableName leaf{leaves.string(row, 1), leaves.string(row, 2)};
      facts.leaves.push_back(leaf);
      if (!leaves.flag(row, 3)) facts.unlogged_leaves.push_back(leaf);
      if (!leaves.flag(row, 4)) facts.weak_leaves.push_back(leaf);
    }

    const auto fingerprints =
        read_fingerprints(transaction.query(fingerprint_query(names, publications)), names.size());
    for (std::size_t n = 0; n < names.size(); ++n) out[n].shape.fingerprint = fingerprints[n];
    return out;
  });
}

/// The fingerprints alone, for the catalog watch.
[[nodiscard]] inline std::vector<std::string> read_fingerprints(Session& session, std::span<const TableName> names,
                                                                std::span<const std::string> publications) {
  return read_fingerprints(session.query("cannot read the catalog", fingerprint_query(names, publications)),
                           names.size());
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
