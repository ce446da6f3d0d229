#pragma once

#include <bitset>
#include <cstddef>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/reflect.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Cells of one tuple to the fields of one row.
template <class Row>
class RowDecoder {
 public:
  /// Lifetime: the cells view the bytes that the tuple views.
  Failure load(const ColumnMap& map, const wire::Tuple& tuple) {
    if (tuple.size() != map.width) return {Errc::column_count};
    cells_.assign(tuple.begin(), tuple.end());
    return {};
  }

  Failure load(const ColumnMap& map, std::span<const wire::Cell> cells) {
    if (cells.size() != map.width) return {Errc::column_count};
    cells_.assign(cells.begin(), cells.end());
    return {};
  }

  /// What the values of the fields are made of.
  /// Units: bytes.
  [[nodiscard]] std::size_t text_bytes(const ColumnMap& map) const noexcept {
    std::size_t bytes = 0;
    for (const auto& field : map.fields) bytes += cells_[field.position].text.size();
    return bytes;
  }

  /// Takes from another image of the same relation the values that were left out of this one. What is left out is
  /// never NULL: a null there says that this image is a key only, of a partition with less identity than its table.
  void complete_from(const RowDecoder& full) {
    for (std::size_t position = 0; position < cells_.size(); ++position)
      if (cells_[position].kind == wire::Cell::Kind::unchanged && full.cells_[position].kind == wire::Cell::Kind::text)
        cells_[position] = full.cells_[position];
  }

  /// Every field; `keep(index, value)` is asked for those that the stream left out, and says whether it knew them.
  template <class Keep>
  Failure decode(const ColumnMap& map, Row& row, Keep&& keep) const {
    return first_failure([&](auto index) {
      const wire::Cell& cell = cell_of(map, index);
      auto& value = field_at<index>(row);
      if (cell.kind == wire::Cell::Kind::unchanged && keep(index, value)) return Errc::ok;
      return decode_field(cell, map.fields[index].type, value);
    });
  }

  /// The fields of the replica identity, and which they are. Others may be nulls that say nothing.
  Failure decode_identity(const ColumnMap& map, Row& row, std::bitset<field_count_v<Row>>& decoded) const {
    return first_failure([&](auto index) {
      if (!map.fields[index].in_identity) return Errc::ok;
      decoded.set(index);
      return decode_field(cell_of(map, index), map.fields[index].type, field_at<index>(row));
    });
  }

  /// The key fields only.
  template <class Model>
  Failure decode_key(const ColumnMap& map, typename Model::key_type& key) const {
    Failure failure;
    [&]<std::size_t... Level>(std::index_sequence<Level...>) {
      static_cast<void>((decode_key_field<Model::indices[Level]>(map, std::get<Level>(key), failure) && ...));
    }(std::make_index_sequence<std::tuple_size_v<typename Model::key_type>>{});
    return failure;
  }

 private:
  const wire::Cell& cell_of(const ColumnMap& map, std::size_t field) const {
    return cells_[map.fields[field].position];
  }

  template <class Decode>
  static Failure first_failure(Decode&& decode) {
    Failure failure;
    for_each_field_index<Row>([&](auto index) {
      if (failure) return;
      const Errc code = decode(index);
      if (code != Errc::ok) failure = {code, index};
    });
    return failure;
  }

  template <std::size_t Index, class Value>
  bool decode_key_field(const ColumnMap& map, Value& value, Failure& failure) const {
    const wire::Cell& cell = cell_of(map, Index);
    // A null in an old image is not a value: the identity does not carry the column.
    const Errc code =
        cell.kind == wire::Cell::Kind::null ? Errc::missing_key : decode_field(cell, map.fields[Index].type, value);
    if (code != Errc::ok) failure = {code, Index};
    return code == Errc::ok;
  }

  std::vector<wire::Cell> cells_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
