#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/reflect.hpp>
#include <btreemapped/detail/row_decoder.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/typed_copy.hpp>
#include <btreemapped/detail/typed_delta.hpp>
#include <btreemapped/detail/typed_verification.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/row.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

template <class Row, std::size_t Arity>
class TypedTable final : public Table {
 public:
  using Model = RowModel<Row, Arity>;
  using Key = typename Model::key_type;
  using Map = std::map<Key, Row, KeyLess>;

  TypedTable(const Store& store, TableName name) : Table(std::move(name), make_needs()), store_(store) {}

  [[nodiscard]] const Store& store() const noexcept { return store_; }
  /// Every commit of the source before this position is in the rows.
  [[nodiscard]] Lsn lsn() const noexcept {
    const Lsn visible = store_.lsn();  // first: a table that stops meanwhile must not tell how far the others are
    const Lsn stopped = detached_at();
    return stopped ? stopped : visible;
  }
  /// Blocks and locks: inside a read only.
  [[nodiscard]] const Map& rows() const noexcept { return rows_; }

  std::size_t row_count() const noexcept override { return rows_.size(); }
  std::unique_ptr<Delta> make_delta() override { return std::make_unique<TypedDelta<Row, Arity>>(rows_); }
  std::unique_ptr<TableCopy> make_copy(ColumnMap map) override {
    return std::make_unique<TypedCopy<Row, Arity>>(rows_, std::move(map));
  }
  std::unique_ptr<TableCopy> make_comparison(ColumnMap map) override {
    return std::make_unique<TypedComparison<Row, Arity>>(rows_, std::move(map));
  }
  std::shared_ptr<Verification> make_verification(std::size_t max_keys, std::size_t max_bytes) const override {
    return std::make_shared<TypedVerification<Row, Arity>>(store_, rows_, max_keys, max_bytes);
  }

 private:
  static std::vector<FieldNeed> make_needs() {
    std::vector<FieldNeed> needs;
    for_each_field_index<Row>([&](auto index) {
      using Field = field_t<Row, index>;
      constexpr bool key = std::find(Model::indices.begin(), Model::indices.end(), index) != Model::indices.end();
      needs.push_back({std::string(column_name<Row>(field_names_v<Row>[index])), expected_type<Field>(),
                       key ? &accepts_key_type<Field> : &accepts_type<Field>, is_optional_v<Field>, key,
                       key ? &refusal_of_key<Field> : &refusal_of<Field>});
    });
    return needs;
  }

  const Store& store_;
  Map rows_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
