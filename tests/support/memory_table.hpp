#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/typed_table.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/replica.hpp>

#include <support/messages.hpp>

// Replicas without a server: commits are made of the bytes that a server would send.
namespace test {

/// What one transaction does to one table. Every change takes the way of a message of the stream; the functions are
/// named after the old image that comes with it.
class Changes {
 public:
  using Failure = btreemapped::detail::Failure;

  Changes(std::unique_ptr<btreemapped::detail::Delta> delta, btreemapped::detail::ColumnMap map)
      : delta_(std::move(delta)), map_(std::move(map)) {}

  [[nodiscard]] Failure insert(const Cells& row) {
    const Parsed<btreemapped::detail::wire::Insert> message(insert_message(row));
    return delta_->insert(map_, (*message).row);
  }
  [[nodiscard]] Failure update(const Cells& row) { return apply(update_message(row)); }
  [[nodiscard]] Failure update_by_key(const Cells& key, const Cells& row) {
    return apply(MessageBuilder('U').u32(only_table).tuple('K', key).tuple('N', row));
  }
  [[nodiscard]] Failure update_by_old_row(const Cells& old_row, const Cells& row) {
    return apply(MessageBuilder('U').u32(only_table).tuple('O', old_row).tuple('N', row));
  }
  [[nodiscard]] Failure erase_by_key(const Cells& key) { return erase('K', key); }
  [[nodiscard]] Failure erase_by_old_row(const Cells& old_row) { return erase('O', old_row); }
  void truncate() { delta_->truncate(); }
  [[nodiscard]] Failure seal() { return delta_->seal(); }

  /// From here on the messages are those of a table with another identity or other columns.
  void use(btreemapped::detail::ColumnMap map) { map_ = std::move(map); }

  [[nodiscard]] btreemapped::detail::Delta& delta() noexcept { return *delta_; }
  [[nodiscard]] std::unique_ptr<btreemapped::detail::Delta> take() noexcept { return std::move(delta_); }

 private:
  Failure apply(const MessageBuilder& bytes) {
    const Parsed<btreemapped::detail::wire::Update> message(bytes);
    return delta_->update(map_, *message);
  }
  Failure erase(char tag, const Cells& old_row) {
    const Parsed<btreemapped::detail::wire::Delete> message(MessageBuilder('D').u32(only_table).tuple(tag, old_row));
    return delta_->erase(map_, *message);
  }

  std::unique_ptr<btreemapped::detail::Delta> delta_;
  btreemapped::detail::ColumnMap map_;
};

/// A column type that the field takes.
inline btreemapped::SqlType type_for(const btreemapped::detail::FieldNeed& need) {
  using namespace btreemapped::detail;
  constexpr btreemapped::Oid text_oid = 25;
  for (const btreemapped::Oid oid : {text_oid, int8_oid, int4_oid, int2_oid, oid_oid, float8_oid, float4_oid, bool_oid,
                                     numeric_oid, bytea_oid, uuid_oid, date_oid, timestamp_oid, timestamptz_oid}) {
    const btreemapped::SqlType type{.oid = oid, .base = oid};
    if (need.accepts(type)) return type;
  }
  throw std::logic_error("no built-in type fits the field " + need.column);
}

/// A table of a MemoryStore, and a replica of it.
template <class Row, std::size_t Arity>
class MemoryTable {
 public:
  using Table = btreemapped::detail::TypedTable<Row, Arity>;

  MemoryTable(std::shared_ptr<btreemapped::detail::Store> store, btreemapped::detail::TableName name) {
    auto made = std::make_unique<Table>(*store, name);
    Table* const table = made.get();
    store->add(std::move(made));
    table_ = std::shared_ptr<Table>(std::move(store), table);
    shape_.table = std::move(name);
    for (const btreemapped::detail::FieldNeed& need : table_->needs())
      shape_.columns.push_back({.name = need.column, .type = type_for(need), .in_identity = need.key});
  }

  [[nodiscard]] Table& table() const noexcept { return *table_; }
  [[nodiscard]] btreemapped::Replica<Row, Arity> replica() const { return btreemapped::Replica<Row, Arity>(table_); }

  /// As a Relation message of the stream has it: the key columns are the identity, under 'f' all columns are.
  [[nodiscard]] btreemapped::detail::ColumnMap map(char identity = 'd') const {
    std::vector<RelationColumnText> columns;
    for (const btreemapped::detail::ColumnShape& column : shape_.columns)
      columns.push_back({column.name, column.type.oid, identity == 'f' || column.in_identity});
    const Parsed<btreemapped::detail::wire::Relation> relation(relation_message(shape_.table, identity, columns));
    btreemapped::detail::ColumnMap map;
    if (map_streamed_columns(table_->needs(), shape_, *relation, map))
      throw std::logic_error("the test's relation does not fit its table");
    return map;
  }

  /// The changes of a transaction, under the identity of the table.
  [[nodiscard]] Changes change(char identity = 'd') const { return {table_->make_delta(), map(identity)}; }

  /// Changes that put these rows in the place of what is there.
  [[nodiscard]] std::unique_ptr<btreemapped::detail::Delta> copy(const std::vector<Cells>& rows) const {
    const auto copy = table_->make_copy(map_copied_columns(table_->needs(), shape_));
    for (const Cells& row : rows)
      if (copy_row(*copy, row)) throw std::logic_error("the test copies a row that cannot be copied");
    return finished(*copy);
  }

  /// The same, by way of a comparison with what is there.
  [[nodiscard]] std::unique_ptr<btreemapped::detail::Delta> comparison(const std::vector<Cells>& rows) const {
    const auto copy = table_->make_comparison(map_copied_columns(table_->needs(), shape_));
    for (const Cells& row : rows)
      if (copy_row(*copy, row)) throw std::logic_error("the test copies a row that cannot be copied");
    return finished(*copy);
  }

  static std::unique_ptr<btreemapped::detail::Delta> finished(btreemapped::detail::TableCopy& copy) {
    std::unique_ptr<btreemapped::detail::Delta> change;
    copy.arrange();
    if (copy.finish(change, [] {})) throw std::logic_error("the test's copy cannot be finished");
    return change;
  }

  /// Adds one row to a copy in the making, as a line of COPY would.
  static btreemapped::detail::Failure copy_row(btreemapped::detail::TableCopy& copy, const Cells& row) {
    std::vector<btreemapped::detail::wire::Cell> cells;
    for (const CellText& cell : row) cells.push_back({cell.kind, cell.text});
    return copy.add(cells);
  }

 private:
  std::shared_ptr<Table> table_;
  btreemapped::detail::TableShape shape_{};
};

/// The tables of one Replicator, fed by a test.
class MemoryStore {
 public:
  using Commit = btreemapped::detail::Commit;

  explicit MemoryStore(bool empty_until_synced = false)
      : store_(std::make_shared<btreemapped::detail::Store>(empty_until_synced)) {}

  template <class Row, std::size_t Arity = btreemapped::detail::declared_arity_v<Row>>
  MemoryTable<Row, Arity> add(std::string name = "rows") {
    return {store_, {"public", std::move(name)}};
  }

  /// A table that holds these rows and is live.
  template <class Row, std::size_t Arity = btreemapped::detail::declared_arity_v<Row>>
  MemoryTable<Row, Arity> add_with(const std::vector<Cells>& rows, std::string name = "rows") {
    MemoryTable<Row, Arity> table = add<Row, Arity>(std::move(name));
    Commit commit = next_commit();
    commit.changes.push_back({&table.table(), table.copy(rows)});
    commit.rejoined.push_back(&table.table());
    publish(commit);
    return table;
  }

  /// An empty commit at the next position: multiples of 16 from 0/10 on.
  [[nodiscard]] Commit next_commit() {
    position_ += 16;
    Commit commit;
    commit.commit_lsn = btreemapped::Lsn{position_ - 8};
    commit.end_lsn = btreemapped::Lsn{position_};
    return commit;
  }

  void publish(Commit& commit) {
    const std::atomic<bool> stop{false};
    if (!store_->publish(commit, std::chrono::steady_clock::now() + std::chrono::seconds{30}, stop))
      throw std::logic_error("the commit could not be published: readers stay inside");
  }

  /// Seals and publishes what a transaction does to one table.
  template <class Row, std::size_t Arity>
  void publish(const MemoryTable<Row, Arity>& table, Changes changes) {
    if (changes.seal()) throw std::logic_error("the test's changes cannot be sealed");
    Commit commit = next_commit();
    commit.changes.push_back({&table.table(), changes.take()});
    publish(commit);
  }

  [[nodiscard]] btreemapped::detail::Store& store() const noexcept { return *store_; }

 private:
  std::shared_ptr<btreemapped::detail::Store> store_;
  std::uint64_t position_ = 0;
};

}  // namespace test
