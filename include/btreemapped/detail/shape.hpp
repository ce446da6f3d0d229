#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/finding.hpp>

namespace btreemapped {
inline namespace v0 {

/// The number by which the server's catalog knows an object.
using Oid = std::uint32_t;

struct SqlTypeParts;

/// A type of the server, as a codec's `accepts` sees it: of a column, or of a part of a column's type.
struct SqlType {
  Oid oid = 0;         ///< the type itself
  Oid base = 0;        ///< the same, or what its domains are made of; built-in types have OIDs below 10000
  char kind = 'b';     ///< of the base type: b(ase) a(rray) c(omposite) e(num) r(ange) m(ultirange)
  std::string name{};  ///< for messages, as format_type() prints it
  /// What the base type is made of. Null if it is made of nothing, or nested deeper than 64 levels.
  std::shared_ptr<const SqlTypeParts> parts{};
};

/// One attribute of a composite type.
struct SqlAttribute {
  std::string name{};
  SqlType type{};
};

/// What a type is made of, as far as that applies to its kind.
struct SqlTypeParts {
  SqlType element{};                       ///< of an array; the bounds of a range; the ranges of a multirange
  char delimiter = ',';                    ///< between the elements of an array
  std::vector<SqlAttribute> attributes{};  ///< of a composite type, in the order of its text, without dropped ones
  std::vector<std::string> labels{};       ///< of an enum, in its order
  bool canonical = false;                  ///< of a range: its type has a canonical function, which makes [1,5] [1,6)
  bool usual_order = true;                 ///< of a range: its bounds have the default order of their type
  std::string extension{};                 ///< the extension that the type belongs to, and
  std::string own_name{};                  ///< the type's name in it, without schema
};

namespace detail {

/// A table's qualified name, unquoted.
struct TableName {
  std::string schema{};
  std::string name{};

  friend auto operator<=>(const TableName&, const TableName&) = default;
};

[[nodiscard]] inline std::string to_string(const TableName& table) { return table.schema + "." + table.name; }

struct ColumnShape {
  std::string name{};
  SqlType type{};
  std::int32_t typmod = -1;
  std::int16_t attnum = 0;
  bool not_null = false;
  bool generated = false;
  bool published = false;    ///< in the publication's column list, or no list
  bool in_identity = false;  ///< in the replica identity
  bool selectable = true;    ///< the role may SELECT it
  bool computed = false;     ///< generated when it is read: VIRTUAL, not STORED
};

struct UniqueIndexShape {
  std::string name{};
  std::vector<std::string> columns{};  ///< key columns in index order, INCLUDE columns left out
  bool primary = false;
  bool immediate = false;     ///< not DEFERRABLE
  bool all_not_null = false;  ///< every key column is NOT NULL
};

/// One table as the catalog and the publication describe it.
struct TableShape {
  TableName table{};
  Oid oid = 0;
  char kind = 'r';                      ///< pg_class.relkind
  char replica_identity = 'd';          ///< pg_class.relreplident: d(efault) n(othing) f(ull) i(ndex)
  bool persistent = true;               ///< neither temporary nor unlogged
  bool published = false;               ///< under this very name (a partition published as its root is not)
  bool published_by_leaves = false;     ///< a partitioned table whose partitions are published under their own names
  bool hidden_by_row_security = false;  ///< policies would hide rows from this role
  std::optional<std::string> row_filter{};  ///< SQL of the publications' row filters, joined by OR
  std::vector<ColumnShape> columns{};
  std::vector<UniqueIndexShape> unique_indexes{};  ///< valid, not partial, without expressions
  /// All that the copy guard and the catalog watch compare: an opaque text that changes when the table's meaning may
  /// have.
  std::string fingerprint{};

  [[nodiscard]] const ColumnShape* find(std::string_view column) const noexcept {
    for (const ColumnShape& each : columns)
      if (each.name == column) return &each;
    return nullptr;
  }
};

/// The publication (all of them together, where several are named).
struct PublicationShape {
  std::string name{};
  bool exists = false;
  bool inserts = false;
  bool updates = false;
  bool deletes = false;
  bool truncates = false;
  bool all_tables = false;
};

/// What preflight needs to know of the server.
struct ServerShape {
  int version = 0;  ///< server_version_num, e.g. 150018
  std::string system_identifier{};
  std::string wal_level{};
  std::string role{};
  bool in_recovery = false;
  bool waits_for_us = false;  ///< synchronous_standby_names has our application_name
  int max_slots = 0;
  int used_slots = 0;
  int max_senders = 0;
  int used_senders = 0;
  std::vector<PublicationShape> publications{};
};

/// What one field of a row asks of its column.
struct FieldNeed {
  std::string column{};
  std::string_view expected{};                ///< what the field's codec holds, for messages
  bool (*accepts)(const SqlType&) = nullptr;  ///< can the field hold every value of this type?
  bool optional = false;                      ///< can the field hold NULL?
  bool key = false;
  std::string (*refusal)(const SqlType&) = nullptr;  ///< more words on what the field cannot hold, if there are any
};

/// "numeric, of which the field (integer or smallint) cannot hold every value": the words for a type that the field
/// does not accept.
[[nodiscard]] inline std::string describe_refusal(const SqlType& type, std::string_view expected,
                                                  const std::string& details) {
  std::string out = type.name + ", of which the field (";
  out += expected;
  out += ") cannot hold every value";
  return details.empty() ? out : out + ": " + details;
}

using Problem = Finding;

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
