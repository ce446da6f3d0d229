#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/detail/reflect.hpp>
#include <btreemapped/detail/row_decoder.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/typed_delta.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/row.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The rows of a COPY, one after the other.
template <class Row>
class CopiedRows {
 public:
  explicit CopiedRows(ColumnMap map) : map_(std::move(map)) {}

  Failure decode(std::span<const wire::Cell> cells, Row& row) {
    if (const Failure failure = decoder_.load(map_, cells)) return failure;
    return decoder_.decode(map_, row, [](auto, auto&) { return false; });
  }

 private:
  ColumnMap map_;
  RowDecoder<Row> decoder_{};
};

/// Do two rows hold the same, by what the codecs call so?
template <class Row>
bool same_row(const Row& a, const Row& b) {
  bool same = true;
  for_each_field_index<Row>([&](auto index) { same = same && same_value(field_at<index>(a), field_at<index>(b)); });
  return same;
}

/// A copy that becomes a map of its own.
template <class Row, std::size_t Arity>
class TypedCopy final : public TableCopy {
 public:
  using Model = RowModel<Row, Arity>;
  using Map = std::map<typename Model::key_type, Row, KeyLess>;

  TypedCopy(Map& served, ColumnMap map) : served_(served), copied_(std::move(map)) {}

  Failure add(std::span<const wire::Cell> cells) override {
    Row row{};
    if (const Failure failure = copied_.decode(cells, row)) return failure;
    typename Model::key_type key = Model::of(row);
    const std::size_t before = rows_.size();
    rows_.emplace_hint(rows_.end(), std::move(key), std::move(row));  // tables are often stored in key order
    return rows_.size() == before ? Failure{Errc::duplicate_key} : Failure{};
  }

  std::size_t row_count() const noexcept override { return rows_.size(); }

  Failure finish(std::unique_ptr<Delta>& change, const std::function<void()>&) override {
    change = std::make_unique<TypedDelta<Row, Arity>>(served_, std::move(rows_));
    return {};
  }

 private:
  Map& served_;
  CopiedRows<Row> copied_;
  Map rows_{};
};

/// A copy that is compared with the served rows on arrival: only what differs is kept, so there is no second map.
template <class Row, std::size_t Arity>
class TypedComparison final : public TableCopy {
 public:
  using Model = RowModel<Row, Arity>;
  using Changes = TypedDelta<Row, Arity>;
  using Map = typename Changes::Map;
  using Iterator = typename Changes::Iterator;

  TypedComparison(Map& served, ColumnMap map)
      : served_(served), copied_(std::move(map)), changes_(std::make_unique<Changes>(served)), next_(served.begin()) {}

  Failure add(std::span<const wire::Cell> cells) override {
    Row row{};
    if (const Failure failure = copied_.decode(cells, row)) return failure;
    ++row_count_;
    const Iterator held = find(row);
    if (held == served_.end()) {
      changes_->add_row(std::move(row));
      return {};
    }
    // Tables are often stored in key order: then the rows seen are those before next_, and no mark is needed.
    if (held == next_) ++next_;
    else seen_.push_back(&held->second);
    if (!same_row(held->second, row)) changes_->replace_row(held, std::move(row));
    return {};
  }

  std::size_t row_count() const noexcept override { return row_count_; }

  void arrange() override { std::sort(seen_.begin(), seen_.end(), std::less<>{}); }

  Failure finish(std::unique_ptr<Delta>& change, const std::function<void()>& pause) override {
    if (std::adjacent_find(seen_.begin(), seen_.end()) != seen_.end()) return {Errc::duplicate_key};
    std::size_t looks = 0;
    const auto is_seen = [&](Iterator row) {
      if (++looks % looks_per_pause == 0) pause();
      return std::binary_search(seen_.begin(), seen_.end(), &row->second, std::less<>{});
    };
    if (!seen_.empty())
      for (Iterator row = served_.begin(); row != next_; ++row)
        if (is_seen(row)) return {Errc::duplicate_key};
    for (Iterator row = next_; row != served_.end(); ++row)
      if (!is_seen(row)) changes_->remove_row(row);
    change = std::move(changes_);
    return {};
  }

 private:
  static constexpr std::size_t looks_per_pause = 4'096;

  Iterator find(const Row& row) {
    const typename Model::key_type key = Model::of(row);
    const bool is_next = next_ != served_.end() && !KeyLess{}(key, next_->first) && !KeyLess{}(next_->first, key);
    return is_next ? next_ : served_.find(key);
  }

  Map& served_;
  CopiedRows<Row> copied_;
  std::unique_ptr<Changes> changes_;
  Iterator next_;                   // all rows before it have been seen, each once
  std::vector<const Row*> seen_{};  // and these of the others
  std::size_t row_count_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
