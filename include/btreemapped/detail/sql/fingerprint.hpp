#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/type_catalog.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// The tables asked for, numbered, as a relation `wanted(n, schema_name, table_name)`.
[[nodiscard]] inline std::string wanted_tables(std::span<const TableName> tables) {
  std::string values;
  for (std::size_t n = 0; n < tables.size(); ++n) {
    values += (n == 0 ? "(" : ", (") + std::to_string(n) + ", " + literal(tables[n].schema) + "::text, " +
              literal(tables[n].name) + "::text)";
  }
  // An empty VALUES list does not exist.
  if (values.empty()) values = "(-1, ''::text, ''::text)";
  return "wanted(n, schema_name, table_name) AS (VALUES " + values + ")";
}

/// Common table expressions that several catalog queries begin with:
/// rel: the tables that exist; tree: them and all below them (of partitioned tables only); line: them and all above
/// them; ident: the columns of the replica identity that is in effect, for all of tree.
/// They read the catalogs themselves and call no function that looks past the transaction's snapshot.
[[nodiscard]] inline std::string table_expressions(std::span<const TableName> tables) {
  return "WITH RECURSIVE " + wanted_tables(tables) + R"sql(,
rel AS (
  SELECT w.n, c.oid, c.relname, s.nspname, c.relnamespace, c.relkind, c.relpersistence, c.relreplident,
    c.reltoastrelid
  FROM wanted w
  JOIN pg_catalog.pg_namespace s ON s.nspname = w.schema_name
  JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relname = w.table_name),
tree(n, oid, detaching) AS (
  SELECT r.n, r.oid, false FROM rel r
  UNION
  SELECT t.n, i.inhrelid, t.detaching OR i.inhdetachpending
  FROM tree t
  JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind = 'p'
  JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid),
line(n, oid, height) AS (
  SELECT r.n, r.oid, 0 FROM rel r
  UNION
  SELECT l.n, i.inhparent, l.height + 1
  FROM line l
  JOIN pg_catalog.pg_class c ON c.oid = l.oid AND c.relispartition
  JOIN pg_catalog.pg_inherits i ON i.inhrelid = l.oid),
ident(oid, attnums) AS (
  SELECT i.indrelid, ARRAY(SELECT i.indkey[k] FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) k)
  FROM (SELECT DISTINCT oid FROM tree) t
  JOIN pg_catalog.pg_class c ON c.oid = t.oid
  JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
  WHERE CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END
    AND i.indisvalid AND i.indimmediate))sql";
}

/// A query for all that makes a table's rows mean what they mean, per table (n) as rows (n, part, name, text).
/// A change of it says that rows may have changed without the stream showing it; no change of it is made by ANALYZE,
/// VACUUM FULL of a plain table, freezing or ordinary writes. What is altered and altered back is a change, too: rows
/// that changed in between were perhaps not sent. Reads through the transaction's snapshot.
[[nodiscard]] inline std::string fingerprint_query(std::span<const TableName> tables,
                                                   std::span<const std::string> publications) {
  return table_expressions(tables) + R"sql(,
-- every user-defined type that a column's text depends on
part_type(oid, attnum, type) AS (
  SELECT a.attrelid, a.attnum, a.atttypid
  FROM (SELECT DISTINCT oid FROM rel) r
  JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND a.atttypid >= 10000
  UNION
  SELECT p.oid, p.attnum, below.type
  FROM part_type p
  JOIN pg_catalog.pg_type t ON t.oid = p.type
  CROSS JOIN LATERAL )sql" +
         std::string{types_below} + R"sql(
  WHERE below.type >= 10000),
-- since when a table is where it is: what it was in the meantime may have kept rows out of the stream
place(oid, partition_since, schema_since) AS (
  SELECT c.oid, i.xmin, d.xmin
  FROM (SELECT l.oid FROM line l UNION SELECT t.oid FROM tree t) every
  JOIN pg_catalog.pg_class c ON c.oid = every.oid
  LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
    AND d.objsubid = 0 AND d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass),
-- what a row filter reads: its text names columns, but it means numbers, and what they are computed from
row_filter(oid, columns) AS (
  SELECT m.oid, pg_catalog.string_agg(ROW(a.attnum, a.attname, a.atttypid, e.oid, e.xmin)::text, ',' ORDER BY a.attnum)
  FROM (SELECT DISTINCT oid FROM line) l
  JOIN pg_catalog.pg_publication_rel m ON m.prrelid = l.oid AND m.prqual IS NOT NULL
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND d.objid = m.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = m.prrelid AND d.refobjsubid > 0
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum AND a.attgenerated <> ''
  GROUP BY m.oid),
types AS (
  SELECT p.oid, p.attnum, pg_catalog.md5(pg_catalog.string_agg(ROW(t.oid, t.typtype, t.typbasetype, t.typtypmod,
    (SELECT pg_catalog.string_agg(e.oid::text || ' ' || e.xmin::text, ',' ORDER BY e.oid)
     FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
    (SELECT pg_catalog.string_agg(a.attnum::text || ' ' || a.xmin::text, ',' ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0)
    )::text, ',' ORDER BY t.oid)) AS digest
  FROM part_type p JOIN pg_catalog.pg_type t ON t.oid = p.type
  GROUP BY p.oid, p.attnum)
SELECT r.n, 't' AS part, ''::text COLLATE "C" AS name,
  ROW(r.oid, r.nspname, r.relname, r.relkind, r.relpersistence, r.relreplident,
    (SELECT pg_catalog.string_agg(i.attnums::text, ',' ORDER BY i.attnums) FROM ident i WHERE i.oid = r.oid),
    (SELECT pg_catalog.string_agg(ROW(k.oid, k.partition_since, k.schema_since)::text, ',' ORDER BY k.oid)
     FROM place k WHERE k.oid IN (SELECT l.oid FROM line l WHERE l.n = r.n)))::text AS what
FROM rel r
UNION ALL
SELECT r.n, 'c', a.attname,
  ROW(a.attnum, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, a.xmin, d.xmin, t.digest)::text
FROM rel r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''
LEFT JOIN types t ON t.oid = a.attrelid AND t.attnum = a.attnum
UNION ALL
SELECT t.n, 'l', '', pg_catalog.md5(pg_catalog.string_agg(
  ROW(c.oid, c.relkind, c.relpersistence, c.relreplident, t.detaching, k.partition_since)::text, ',' ORDER BY c.oid))
FROM tree t
JOIN rel r ON r.n = t.n AND r.relkind = 'p'
JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN place k ON k.oid = t.oid
GROUP BY t.n
UNION ALL
SELECT t.n, 's', '', pg_catalog.md5(pg_catalog.string_agg(ROW(c.oid, c.relfilenode)::text, ',' ORDER BY c.oid))
FROM tree t
JOIN rel r ON r.n = t.n AND r.relkind = 'p'
JOIN pg_catalog.pg_class c ON c.oid = t.oid
GROUP BY t.n
UNION ALL
SELECT r.n, 'p', p.pubname,
  ROW(p.oid, p.xmin,
    (SELECT pg_catalog.string_agg(ROW(m.oid, f.columns)::text, ',' ORDER BY m.oid)
     FROM pg_catalog.pg_publication_rel m
     LEFT JOIN row_filter f ON f.oid = m.oid
     WHERE m.prpubid = p.oid AND m.prrelid IN (SELECT l.oid FROM line l WHERE l.n = r.n)),
    (SELECT pg_catalog.string_agg(m.oid::text, ',' ORDER BY m.oid)
     FROM pg_catalog.pg_publication_namespace m
     WHERE m.pnpubid = p.oid AND m.pnnspid IN (
       SELECT c.relnamespace FROM line l JOIN pg_catalog.pg_class c ON c.oid = l.oid WHERE l.n = r.n)))::text
FROM rel r JOIN pg_catalog.pg_publication p ON p.pubname IN ()sql" +
         literal_list(publications) + R"sql()
UNION ALL
SELECT r.n, 'f', '', r.reltoastrelid::text FROM rel r
UNION ALL
SELECT r.n, 'u', a.attname, ROW(i.indimmediate, i.indnkeyatts, c.relname)::text
FROM rel r
JOIN pg_catalog.pg_index i ON i.indrelid = r.oid AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
  AND a.attnum IN (SELECT i.indkey[k] FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) k)
ORDER BY 1, 2, 3, 4)sql";
}

/// Keeps a name or text on one line and free of the separator.
[[nodiscard]] inline std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '\n' || c == '\t') out += '\\';
    out += c == '\n' ? 'n' : c == '\t' ? 't' : c;
  }
  return out;
}

/// The rows of fingerprint_query() as one text per table, a line per part. Empty for a table that does not exist.
[[nodiscard]] inline std::vector<std::string> read_fingerprints(const Rows& rows, std::size_t table_count) {
  std::vector<std::string> out(table_count);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    out.at(rows.number<std::size_t>(row, 0)) +=
        rows.string(row, 1) + on_one_line(rows.text(row, 2)) + '\t' + on_one_line(rows.text(row, 3)) + '\n';
  }
  return out;
}

/// A line of a fingerprint, without its end.
struct FingerprintLine {
  char part;
  std::string_view name;
  std::string_view what;
};

template <class Function>
void for_each_line(std::string_view fingerprint, Function&& f) {
  while (!fingerprint.empty()) {
    const std::string_view line = fingerprint.substr(0, fingerprint.find('\n'));
    fingerprint.remove_prefix(std::min(line.size() + 1, fingerprint.size()));
    const std::size_t tab = line.find('\t');
    f(FingerprintLine{line.front(), line.substr(1, tab - 1), line.substr(tab + 1)});
  }
}

/// What makes the key unique: an immediate index over nothing but key columns, a deferrable one, or none.
[[nodiscard]] inline std::string_view uniqueness_of(std::string_view fingerprint, std::span<const std::string> key) {
  std::map<std::string_view, std::size_t> covered;  // index to the number of its columns that are in the key
  for_each_line(fingerprint, [&](const FingerprintLine& line) {
    const auto is_named = [&](const std::string& column) { return on_one_line(column) == line.name; };
    if (line.part == 'u' && std::any_of(key.begin(), key.end(), is_named)) ++covered[line.what];
  });
  bool deferrable = false;
  for (const auto& [index, columns] : covered) {
    const std::string width = "," + std::to_string(columns) + ",";
    if (index.starts_with("(t" + width)) return "immediate";
    deferrable = deferrable || index.starts_with("(f" + width);
  }
  return deferrable ? "deferrable" : "none";
}

/// A fingerprint with what concerns these columns: somebody else's new column or index is no reason to copy a table
/// again.
[[nodiscard]] inline std::string fingerprint_of(std::string_view fingerprint, std::span<const std::string> columns,
                                                std::span<const std::string> key) {
  std::string out;
  for_each_line(fingerprint, [&](const FingerprintLine& line) {
    const auto is_named = [&](const std::string& column) { return on_one_line(column) == line.name; };
    if (line.part == 'u' || line.part == 'f' ||
        (line.part == 'c' && std::none_of(columns.begin(), columns.end(), is_named)))
      return;
    out += line.part;
    out += line.name;
    out += '\t';
    out += line.what;
    out += '\n';
  });
  out += "u\t";
  out += uniqueness_of(fingerprint, key);
  return out += '\n';
}

/// The same without what says where the rows of partitions are stored: a truncate of them before the snapshot is no
/// reason to look at the table's definition anew.
[[nodiscard]] inline std::string definition_of(std::string_view fingerprint, std::span<const std::string> columns,
                                               std::span<const std::string> key) {
  std::string out = fingerprint_of(fingerprint, columns, key);
  const auto ends_line = [](char c) { return c == '\n'; };
  for (auto line = out.begin(); line != out.end();) {
    const auto next = std::find_if(line, out.end(), ends_line) + 1;
    line = *line == 's' ? out.erase(line, next) : next;
  }
  return out;
}

/// Was the table rewritten by an ALTER that no column explains? Then it was UNLOGGED for a while, and what was written
/// meanwhile was not sent. An ALTER that rewrites a table gives it another TOAST table, VACUUM FULL does not.
[[nodiscard]] inline bool was_unlogged(std::string_view before, std::string_view after) {
  const auto parts = [](std::string_view fingerprint, char part) {
    std::string out;
    for_each_line(fingerprint, [&](const FingerprintLine& line) {
      if (line.part == part) out.append(line.name).append("\t").append(line.what).append("\n");
    });
    return out;
  };
  return parts(before, 'f') != parts(after, 'f') && parts(before, 'c') == parts(after, 'c');
}

/// A query for the tables (n) whose rows are no longer where the snapshot's rows are: truncated or rewritten since,
/// themselves or a partition. To be run through the snapshot.
/// Source: https://www.postgresql.org/docs/current/mvcc-caveats.html
[[nodiscard]] inline std::string moved_storage_query(std::span<const TableName> tables) {
  return table_expressions(tables) + R"sql(
SELECT DISTINCT t.n
FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
WHERE c.relkind = 'r' AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)
ORDER BY 1)sql";
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
