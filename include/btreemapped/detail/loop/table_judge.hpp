#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/detail/loop/identity_remedy.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What bears on the server as a whole of how it is followed.
struct ServerUse {
  bool never_ahead = false;
  bool temporary_slot = false;
  bool failover_slot = false;
};

/// What the judge knows beside the catalog.
struct PreflightContext {
  const ServerShape& server;
  /// A missing publication is not a problem yet: it will be created for tables that are otherwise fit for it.
  bool creates_publication = false;
  ServerUse use{};
};

/// Judges one table for one row type. A class only because its checks share what they look at.
class TableJudge {
 public:
  TableJudge(const PreflightContext& context, const sql::TableFacts& facts, std::span<const FieldNeed> needs)
      : context_(context), facts_(facts), shape_(facts.shape), needs_(needs), table_(sql::identifier(shape_.table)) {}

  [[nodiscard]] std::vector<Problem> judge() && {
    if (shape_.oid == 0) {
      error({}, "there is no such table in this database", "create it, or correct schema and name");
      return std::move(out_);
    }
    if (shape_.kind != 'r' && shape_.kind != 'p') {
      error({}, "it is not a table; views, foreign tables and sequences are not replicated",
            "name the table behind it");
      return std::move(out_);
    }
    if (shape_.oid < first_ordinary_oid) {
      error({}, "it is a table of the system, which PostgreSQL does not publish", "name a table of your own");
      return std::move(out_);
    }
    check_log();
    check_publication();
    check_rights();
    for (const FieldNeed& need : needs_) check_column(need);
    check_key();
    check_generated_identity();
    check_leaves();
    check_row_filter();
    return std::move(out_);
  }

 private:
  static constexpr Oid first_ordinary_oid = 16384;

  void add(Problem::Severity severity, std::string_view column, std::string what, std::string remedy) {
    out_.push_back({severity, to_string(shape_.table), std::string{column}, std::move(what), std::move(remedy)});
  }
  void error(std::string_view column, std::string what, std::string remedy) {
    add(Problem::Severity::error, column, std::move(what), std::move(remedy));
  }
  void warn(std::string_view column, std::string what, std::string remedy) {
    add(Problem::Severity::warning, column, std::move(what), std::move(remedy));
  }

  [[nodiscard]] std::string alter(std::string_view what) const {
    return "ALTER TABLE " + table_ + " " + std::string{what} + ";";
  }
  /// Keeps inheritance children out of a publication; partitions come along with their table.
  [[nodiscard]] std::string_view only() const noexcept { return shape_.kind == 'p' ? "" : "ONLY "; }

  [[nodiscard]] static std::string names_of(std::span<const std::string> columns) {
    return sql::comma_separated(columns, [](const std::string& name) { return sql::identifier(name); });
  }

  void check_log() {
    if (!shape_.persistent) {
      error({}, "it is unlogged or temporary, so its changes are not in the write-ahead log", alter("SET LOGGED"));
    }
    for (const TableName& leaf : facts_.unlogged_leaves) {
      error({},
            "changes of its partition " + to_string(leaf) +
                ", an unlogged or foreign table, are not in the write-ahead log",
            "ALTER TABLE " + sql::identifier(leaf) + " SET LOGGED;");
    }
  }

  void check_publication() {
    std::string names;
    bool exists = false;
    bool missing = false;
    for (const PublicationShape& each : context_.server.publications) {
      exists = exists || each.exists;
      missing = missing || !each.exists;
      names += (names.empty() ? "" : ", ") + each.name;
    }
    if (!exists) return;  // said of the server
    if (!shape_.published) {
      if (missing && context_.creates_publication) return;
      if (!shape_.persistent && publishes_all()) return;  // it will be published once it is logged
      return explain_unpublished(names);
    }
    if (facts_.column_lists_differ) {
      error({}, "the publications give it different column lists, which the server refuses once it changes",
            "ALTER PUBLICATION " + sql::identifier(facts_.publications.back().name) + " DROP TABLE " + table_ + ";");
    }
    check_actions();
  }

  void explain_unpublished(const std::string& names) {
    const std::string publication = "ALTER PUBLICATION " + sql::identifier(publication_to_alter());
    const std::string via_root = publication + " SET (publish_via_partition_root = true);";
    if (facts_.published_as) {
      error({},
            "its rows are published under the name of " + to_string(*facts_.published_as) +
                ", the partitioned table that it belongs to",
            "replicate that table instead");
    } else if (shape_.kind == 'p' && shape_.published_by_leaves) {
      const std::string add = facts_.leaf_publication_has_root ? "" : publication + " ADD TABLE " + table_ + "; ";
      error({}, "its rows are published under the names of its partitions", add + via_root);
    } else {
      error({}, "publication " + names + " does not publish it",
            publication + " ADD TABLE " + std::string{only()} + table_ + ";" +
                (shape_.kind == 'p' ? " " + via_root : ""));
    }
  }

  [[nodiscard]] bool publishes(const sql::PublishedBy& publication, bool PublicationShape::* action) const {
    return std::any_of(context_.server.publications.begin(), context_.server.publications.end(),
                       [&](const auto& each) { return each.name == publication.name && each.*action; });
  }

  void check_actions() {
    struct Action {
      std::string_view name;
      bool PublicationShape::* published;
    };
    static constexpr Action actions[] = {{"insert", &PublicationShape::inserts},
                                         {"update", &PublicationShape::updates},
                                         {"delete", &PublicationShape::deletes},
                                         {"truncate", &PublicationShape::truncates}};
    std::string missing;
    for (const Action& action : actions) {
      const bool published = std::any_of(facts_.publications.begin(), facts_.publications.end(),
                                         [&](const auto& each) { return publishes(each, action.published); });
      if (published) continue;
      if (!missing.empty()) missing += ", ";
      missing += action.name;
    }
    if (missing.empty()) return check_filters();
    error({}, "publication " + facts_.publications.front().name + " leaves out its " + missing + " operations",
          "ALTER PUBLICATION " + sql::identifier(facts_.publications.front().name) +
              " SET (publish = 'insert, update, delete, truncate');");
  }

  /// An operation passes the filters of only those publications that publish it. Where they are not the same for all,
  /// the stream would tell of rows that the copy has not, or the reverse.
  void check_filters() {
    using Filters = std::set<std::optional<std::string>>;
    const auto filters_of = [&](bool PublicationShape::* published) {
      Filters out;
      for (const sql::PublishedBy& each : facts_.publications)
        if (published == nullptr || publishes(each, published)) out.insert(each.row_filter);
      return out.contains(std::nullopt) ? Filters{} : out;
    };
    const Filters of_copy = filters_of(nullptr);
    const auto agrees = [&](bool PublicationShape::* action) { return filters_of(action) == of_copy; };
    if (agrees(&PublicationShape::inserts) && agrees(&PublicationShape::updates) && agrees(&PublicationShape::deletes))
      return;
    std::string remedy;
    for (const sql::PublishedBy& each : facts_.publications)
      remedy += (remedy.empty() ? "" : " ") + std::string("ALTER PUBLICATION ") + sql::identifier(each.name) +
                " SET (publish = 'insert, update, delete, truncate');";
    error({}, "the publications filter the rows of its inserts, updates and deletes in different ways",
          std::move(remedy));
  }

  void check_rights() {
    const std::string role = sql::identifier(context_.server.role);
    if (!facts_.schema_usable) {
      error({}, "role " + context_.server.role + " may not use its schema",
            "GRANT USAGE ON SCHEMA " + sql::identifier(shape_.table.schema) + " TO " + role + ";");
    }
    std::vector<std::string> hidden;
    for (const FieldNeed& need : needs_) {
      const ColumnShape* const column = shape_.find(need.column);
      if (column != nullptr && !column->selectable) hidden.push_back(need.column);
    }
    if (!hidden.empty()) {
      const std::string columns = names_of(hidden);
      const bool all = hidden.size() == needs_.size();
      error(all ? std::string_view{} : std::string_view{hidden.front()},
            "role " + context_.server.role + " may not read " + (all ? "it" : columns),
            "GRANT SELECT " + (all ? "" : "(" + columns + ") ") + "ON " + table_ + " TO " + role + ";");
    }
    if (shape_.hidden_by_row_security) {
      error({},
            "row level security would hide rows from role " + context_.server.role +
                " in the copy, but not in the stream",
            "ALTER ROLE " + role + " BYPASSRLS;");
    }
  }

  void check_column(const FieldNeed& need) {
    const ColumnShape* const column = shape_.find(need.column);
    if (column == nullptr) {
      const std::string type{need.expected.empty() ? "text" : need.expected};
      return error(
          need.column, "there is no such column",
          "add it, name the struct's field as a column, or map it with column_name (the field holds " + type + ")");
    }
    const bool will_be_published = context_.creates_publication && column->generated;
    if (!column->published && (shape_.published || will_be_published)) check_unpublished(*column);
    if (need.accepts != nullptr && !need.accepts(column->type)) {
      const std::string details = need.refusal != nullptr ? need.refusal(column->type) : std::string{};
      error(need.column, "the column is " + describe_refusal(column->type, need.expected, details),
            "give the field a type for " + column->type.name + "; std::string takes any");
    }
    if (!need.optional && !need.key && !column->not_null) {
      warn(need.column,
           "the column may be NULL, but the field is not std::optional; the first NULL would stop the replica",
           alter("ALTER COLUMN " + sql::identifier(need.column) + " SET NOT NULL"));
    }
  }

  void check_unpublished(const ColumnShape& column) {
    const std::string publication = "ALTER PUBLICATION " + sql::identifier(publication_to_alter());
    if (!column.generated) {
      const bool filtered = shape_.row_filter && facts_.publications.size() == 1;
      error(column.name, "the publication's column list leaves it out",
            publication + " DROP TABLE " + table_ + "; " + publication + " ADD TABLE " + std::string{only()} + table_ +
                (filtered ? " WHERE (" + *shape_.row_filter + ");" : ";"));
    } else if (column.computed) {
      error(column.name, "it is a virtual generated column, which PostgreSQL does not publish",
            "leave it out of the struct, or drop it and add it again as STORED");
    } else if (context_.server.version < 180000) {
      error(column.name, "it is a generated column, which PostgreSQL publishes from version 18 on",
            alter("ALTER COLUMN " + sql::identifier(column.name) + " DROP EXPRESSION"));
    } else {
      error(column.name, "it is a generated column and not published", publish_generated());
    }
  }

  [[nodiscard]] std::vector<std::string> key_columns() const {
    std::vector<std::string> out;
    for (const FieldNeed& need : needs_)
      if (need.key) out.push_back(need.column);
    return out;
  }

  /// Each key must hold one row, and the stream must say which row it speaks of: some unique index covers nothing but
  /// key columns, none of which is ever NULL, and the old key is in the replica identity.
  void check_key() {
    const std::vector<std::string> key = key_columns();
    if (key.empty()) {  // of no row type, but where a table is judged by itself
      return error({}, "no unique index tells its rows apart, so nothing can be their key",
                   alter("ADD PRIMARY KEY (…)") + " -- the columns that tell its rows apart");
    }
    const auto known = [&](const std::string& name) { return shape_.find(name) != nullptr; };
    if (!std::all_of(key.begin(), key.end(), known)) return;  // said already

    bool unique = false;
    bool deferrable = false;
    bool has_primary = false;
    for (const UniqueIndexShape& index : shape_.unique_indexes) {
      has_primary = has_primary || index.primary;
      if (!is_subset(index.columns, key)) continue;
      unique = unique || index.immediate || shape_.replica_identity == 'f';
      deferrable = deferrable || !index.immediate;
    }
    const std::string columns = names_of(key);
    if (!unique && !deferrable && !has_primary) {
      error({}, "several rows may have the same key: no unique index covers just the key columns " + columns,
            alter("ADD PRIMARY KEY (" + columns + ")"));
      // The default identity is the primary key, which has no NULLs either.
      if (shape_.replica_identity == 'n' || shape_.replica_identity == 'i') check_identity(key, "DEFAULT");
      return;
    }
    if (!unique && !deferrable) {
      error({}, "several rows may have the same key: no unique index covers just the key columns " + columns,
            alter("ADD UNIQUE (" + columns + ")"));
    }
    for (const std::string& name : key) {
      if (shape_.find(name)->not_null) continue;
      error(name, "a key column may be NULL", alter("ALTER COLUMN " + sql::identifier(name) + " SET NOT NULL"));
    }
    if (!unique && deferrable) {
      error({},
            "the unique constraint on its key columns is deferrable, so that two rows may share a key for a while; "
            "only their whole old rows tell them apart",
            identity_sql(facts_, "FULL"));
      return;
    }
    check_identity(key, fitting_identity(shape_, key));
  }

  /// An update that moves a key, and every delete, must carry the old key.
  void check_identity(std::span<const std::string> key, const std::string& remedy) {
    std::string missing;
    for (const std::string& name : key)
      if (!shape_.find(name)->in_identity) missing += (missing.empty() ? "" : ", ") + name;
    if (missing.empty()) return;
    const bool none = std::none_of(shape_.columns.begin(), shape_.columns.end(),
                                   [](const ColumnShape& column) { return column.in_identity; });
    error({},
          none ? "it has no replica identity, so updates and deletes do not say which row they mean"
               : "its replica identity does not carry the key column " + missing +
                     ", so updates and deletes do not say which row they mean",
          identity_sql(facts_, remedy));
  }

  /// From version 18 on the server refuses updates of such a table as soon as it is published.
  void check_generated_identity() {
    if (context_.server.version < 180000) return;
    std::vector<std::string> names;
    bool computed = false;
    for (const ColumnShape& column : shape_.columns) {
      if (!column.in_identity || !column.generated || column.published) continue;
      names.push_back(column.name);
      computed = computed || column.computed;
    }
    if (names.empty()) return;
    error({},
          "its replica identity holds generated columns that are not published (" + names_of(names) +
              "), so the server refuses its updates and deletes",
          computed || !shape_.published ? identity_sql(facts_, fitting_identity(shape_, key_columns()))
                                        : publish_generated());
  }

  [[nodiscard]] std::string publish_generated() const {
    return "ALTER PUBLICATION " + sql::identifier(publication_to_alter()) +
           " SET (publish_generated_columns = stored);";
  }

  void check_leaves() {
    for (const TableName& leaf : facts_.weak_leaves) {
      error({}, "the replica identity of its partition " + to_string(leaf) + " carries less than the table's own",
            "ALTER TABLE " + sql::identifier(leaf) + " REPLICA IDENTITY FULL;");
    }
  }

  /// A row that an update moves into the filter arrives as an insert, without long values that the update left alone.
  void check_row_filter() {
    if (!shape_.row_filter || shape_.replica_identity == 'f') return;
    for (const FieldNeed& need : needs_) {
      if (std::find(facts_.toastable.begin(), facts_.toastable.end(), need.column) == facts_.toastable.end()) continue;
      return warn(need.column,
                  "the publication filters rows, and a row that comes into the filter by an update may lack "
                  "the column's long values; the table would have to be copied again",
                  alter("REPLICA IDENTITY FULL"));
    }
  }

  [[nodiscard]] bool publishes_all() const noexcept {
    const auto& publications = context_.server.publications;
    return std::any_of(publications.begin(), publications.end(), [](const auto& each) { return each.all_tables; });
  }

  [[nodiscard]] std::string publication_to_alter() const {
    if (!facts_.publications.empty()) return facts_.publications.front().name;
    if (!facts_.leaf_publication.empty()) return facts_.leaf_publication;
    for (const PublicationShape& each : context_.server.publications)
      if (each.exists) return each.name;
    return context_.server.publications.front().name;
  }

  const PreflightContext context_;
  const sql::TableFacts& facts_;
  const TableShape& shape_;
  std::span<const FieldNeed> needs_;
  std::string table_;
  std::vector<Problem> out_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
