#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/rows.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// What one type t of pg_type is made of, as a table below(type) to be joined laterally. Zero and types that have no
/// influence on the text (those of a point's coordinates) may be among them.
inline constexpr std::string_view types_below = R"sql((
    SELECT t.typbasetype UNION ALL
    SELECT t.typelem UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped UNION ALL
    SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid UNION ALL
    SELECT g.rngtypid FROM pg_catalog.pg_range g WHERE g.rngmultitypid = t.oid) below(type))sql";

/// The types of the columns of the tables in `rel`, and all that these are made of, as rows (oid, part, position, name,
/// printed name, other type, kind, delimiter, extension, canonical, usual order), where part is 1 for the type itself,
/// 2 for a label, 3 for an attribute. An array is known by what prints it: int2vector has elements, too, and another
/// text.
[[nodiscard]] inline std::string type_query(const std::string& table_expressions) {
  return table_expressions + R"sql(,
part(type) AS (
  SELECT a.atttypid
  FROM rel r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT below.type FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.type CROSS JOIN LATERAL )sql" +
         std::string{types_below} + R"sql()
SELECT t.oid, 1 AS part, 0::float4 AS position, t.typname AS name, pg_catalog.format_type(t.oid, NULL),
  -- a damaged catalog may lack the range
  COALESCE(CASE t.typtype
    WHEN 'd' THEN t.typbasetype
    WHEN 'r' THEN g.rngsubtype
    WHEN 'm' THEN (SELECT m.rngtypid FROM pg_catalog.pg_range m WHERE m.rngmultitypid = t.oid)
    ELSE t.typelem END, 0),
  CASE WHEN t.typtype = 'b' AND t.typelem <> 0 AND t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc THEN 'a'
    ELSE t.typtype END,
  (SELECT e.typdelim FROM pg_catalog.pg_type e WHERE e.oid = t.typelem),
  (SELECT x.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
   WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.objsubid = 0
     AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'),
  g.rngcanonical <> 0, o.opcdefault
FROM part p
JOIN pg_catalog.pg_type t ON t.oid = p.type
LEFT JOIN pg_catalog.pg_range g ON g.rngtypid = t.oid
LEFT JOIN pg_catalog.pg_opclass o ON o.oid = g.rngsubopc
UNION ALL
SELECT e.enumtypid, 2, e.enumsortorder, e.enumlabel, NULL, 0, NULL, NULL, NULL, NULL, NULL
FROM part p JOIN pg_catalog.pg_enum e ON e.enumtypid = p.type
UNION ALL
SELECT t.oid, 3, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, NULL, NULL, NULL,
  NULL, NULL
FROM part p
JOIN pg_catalog.pg_type t ON t.oid = p.type AND t.typtype = 'c'
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1, 2, 3)sql";
}

/// The rows of type_query(), from which each type can be put together.
class TypeCatalog {
 public:
  explicit TypeCatalog(const Rows& rows) {
    for (std::size_t row = 0; row < rows.size(); ++row) read(rows, row);
    // From the inside out, one level after another: what is nested deeper than this keeps no parts, and is only text.
    constexpr int deepest = 64;
    for (int level = 0; level < deepest && assemble_level(); ++level) {
    }
  }

  /// The type as the catalog knows it; `name` is how it is printed where it is used, with its modifiers.
  [[nodiscard]] SqlType find(Oid oid, std::string name) const {
    SqlType out{.oid = oid, .base = oid, .name = std::move(name)};
    const Entry* entry = base_of(oid);
    if (entry == nullptr) return out;
    out.base = entry->oid;
    out.kind = entry->kind;
    out.parts = entry->parts;
    return out;
  }

 private:
  struct Attribute {
    std::string name;
    Oid type;
    std::string type_name;
  };
  struct Entry {
    Oid oid = 0;
    char kind = 'b';  // as SqlType::kind, or a domain
    Oid other = 0;    // base, element, or bounds
    char delimiter = ',';
    std::string own_name{};
    std::string name{};
    std::string extension{};
    bool canonical = false;
    bool usual_order = true;
    std::vector<std::string> labels{};
    std::vector<Attribute> attributes{};
    bool done = false;
    std::shared_ptr<const SqlTypeParts> parts{};

    [[nodiscard]] bool has_element() const noexcept { return kind == 'a' || kind == 'r' || kind == 'm'; }
  };

  void read(const Rows& rows, std::size_t row) {
    Entry& entry = types_[rows.number<Oid>(row, 0)];
    switch (rows.number<int>(row, 1)) {
      case 2: entry.labels.push_back(rows.string(row, 3)); return;
      case 3: entry.attributes.push_back({rows.string(row, 3), rows.number<Oid>(row, 5), rows.string(row, 4)}); return;
      default: break;
    }
    entry.oid = rows.number<Oid>(row, 0);
    entry.own_name = rows.string(row, 3);
    entry.name = rows.string(row, 4);
    entry.other = rows.number<Oid>(row, 5);
    entry.kind = rows.letter(row, 6);
    if (entry.kind == 'a') entry.delimiter = rows.letter(row, 7);
    entry.extension = rows.string(row, 8);
    entry.canonical = rows.flag(row, 9);
    entry.usual_order = rows.is_null(row, 10) || rows.flag(row, 10);
  }

  [[nodiscard]] const Entry* base_of(Oid oid) const {
    auto found = types_.find(oid);
    for (std::size_t steps = 0; found != types_.end() && found->second.kind == 'd' && steps < types_.size(); ++steps)
      found = types_.find(found->second.other);
    return found == types_.end() ? nullptr : &found->second;
  }

  [[nodiscard]] bool is_done(Oid oid) const {
    const Entry* const entry = base_of(oid);
    return entry == nullptr || entry->done;
  }

  /// Puts the parts together of all types whose own parts are; false if there was none.
  bool assemble_level() {
    std::vector<std::pair<Entry*, std::shared_ptr<const SqlTypeParts>>> level;
    for (auto& [oid, entry] : types_) {
      if (entry.done || entry.kind == 'd') continue;
      bool ready = !entry.has_element() || is_done(entry.other);
      for (const Attribute& attribute : entry.attributes) ready = ready && is_done(attribute.type);
      if (ready) level.emplace_back(&entry, assemble(entry));
    }
    for (auto& [entry, parts] : level) {
      entry->parts = std::move(parts);
      entry->done = true;
    }
    return !level.empty();
  }

  [[nodiscard]] std::shared_ptr<const SqlTypeParts> assemble(const Entry& entry) const {
    if (!entry.has_element() && entry.kind != 'c' && entry.kind != 'e' && entry.extension.empty()) return nullptr;
    auto parts = std::make_shared<SqlTypeParts>();
    if (entry.has_element()) {
      const auto other = types_.find(entry.other);
      parts->element = find(entry.other, other == types_.end() ? std::string{} : other->second.name);
    }
    parts->delimiter = entry.delimiter;
    for (const Attribute& attribute : entry.attributes)
      parts->attributes.push_back({attribute.name, find(attribute.type, attribute.type_name)});
    parts->labels = entry.labels;
    parts->canonical = entry.canonical;
    parts->usual_order = entry.usual_order;
    parts->extension = entry.extension;
    parts->own_name = entry.own_name;
    return parts;
  }

  std::map<Oid, Entry> types_{};
};

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
