#pragma once

#include <algorithm>
#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/footprint.hpp>
#include <btreemapped/detail/journal.hpp>
#include <btreemapped/detail/reflect.hpp>
#include <btreemapped/detail/row_decoder.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/row.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The changes of one transaction to one map, applied in order to an overlay beside it. Between two messages a key may
/// hold several rows (a swap under a deferrable constraint); an old image then tells which one is meant.
template <class Row, std::size_t Arity>
class TypedDelta final : public Delta {
 public:
  using Model = RowModel<Row, Arity>;
  using Key = typename Model::key_type;
  using Map = std::map<Key, Row, KeyLess>;
  using Iterator = typename Map::iterator;

  /// A change of `base`, which nobody else changes while the delta lives.
  explicit TypedDelta(Map& base) : base_(base) {}

  /// The change that puts `copy` in the place of `base`. Nothing more may be staged on it.
  TypedDelta(Map& base, Map copy) : base_(base), base_hidden_(true), replacement_(std::move(copy)) {}

  Failure insert(const ColumnMap& map, const wire::Tuple& tuple) override {
    Staged staged;
    if (const Failure failure = decoder_.load(map, tuple)) return failure;
    if (const Failure failure = decoder_.decode(map, staged.row, [](auto, auto&) { return false; })) return failure;
    add(std::move(staged), decoder_.text_bytes(map));
    return {};
  }

  Failure update(const ColumnMap& map, const wire::Update& change) override {
    if (const Failure failure = decoder_.load(map, change.row)) return failure;
    const bool has_old_image = change.old_kind != wire::OldKind::none;
    if (has_old_image)
      if (const Failure failure = old_decoder_.load(map, change.old_row)) return failure;
    Held held;
    const bool names_whole_row = change.old_kind == wire::OldKind::full;
    if (const Failure failure = locate(map, has_old_image ? old_decoder_ : decoder_, names_whole_row, held))
      return failure;
    // A full old image holds every value; else an unchanged one is in the row that is replaced.
    if (names_whole_row) decoder_.complete_from(old_decoder_);
    Staged fresh;
    const auto keep_value = [&](auto index, auto& value) { return keep(index, value, held, fresh); };
    if (const Failure failure = decoder_.decode(map, fresh.row, keep_value)) return failure;
    remove(held);
    add(std::move(fresh), decoder_.text_bytes(map));
    return {};
  }

  Failure erase(const ColumnMap& map, const wire::Delete& change) override {
    if (const Failure failure = old_decoder_.load(map, change.old_row)) return failure;
    Held held;
    if (const Failure failure = locate(map, old_decoder_, change.old_kind == wire::OldKind::full, held)) return failure;
    remove(held);
    return {};
  }

  // What a copy tells of the base, row by row.

  /// A row that the base does not hold.
  void add_row(Row row) { add({std::move(row), {}, 0}); }
  /// The base's row at `position` is this one by now.
  void replace_row(Iterator position, Row row) {
    Entry& entry = entry_at(position);
    entry.base_gone = true;
    entry.rows.push_back({std::move(row), {}, 0});
  }
  /// The base's row at `position` is gone.
  void remove_row(Iterator position) { entry_at(position).base_gone = true; }

  void truncate() override {
    entries_.clear();
    bytes_ = 0;
    base_hidden_ = true;
  }

  using Delta::seal;
  std::optional<Failure> seal(Time deadline) override {
    if (!base_hidden_ && steps_.empty()) steps_.reserve(entries_.size());
    for (std::size_t sealed = 0; !entries_.empty(); ++sealed) {
      if (sealed != 0 && sealed % steps_per_look == 0 && std::chrono::steady_clock::now() >= deadline) return {};
      auto node = entries_.extract(entries_.begin());
      Entry& entry = node.mapped();
      if (entry.rows.size() + (entry.shows_base() ? 1 : 0) > 1) return Failure{Errc::duplicate_key};
      if (entry.rows.empty()) {
        if (entry.base_gone) steps_.push_back({Action::erase, entry.base, {}, {}});
        continue;
      }
      // An equal key may be spelled anew (numeric 1.0 and 1.00); the entry has the spelling that came first.
      Key key = std::move(node.key());
      if (!spells_key_of(entry.rows.front().row, key)) key = Model::of(entry.rows.front().row);
      if (base_hidden_) {
        replacement_.emplace_hint(replacement_.end(), std::move(key), std::move(entry.rows.front().row));
      } else {
        steps_.push_back(make_step(entry, std::move(key)));
      }
    }
    return Failure{};
  }

  bool apply(Time deadline) noexcept override {
    if (base_hidden_) {
      base_.swap(replacement_);
      return true;
    }
    if (next_step_ == 0)
      for (Step& step : steps_) step.loan.settle(step);
    while (next_step_ != steps_.size()) {
      take(steps_[next_step_++]);
      if (next_step_ % steps_per_look == 0 && std::chrono::steady_clock::now() >= deadline) break;
    }
    return next_step_ == steps_.size();
  }

  std::size_t size() const noexcept override { return entries_.size() + steps_.size() + replacement_.size(); }
  std::size_t bytes() const noexcept override { return bytes_; }
  void record(Journal& journal, Lsn commit_lsn) noexcept override {
    using Notes = TypedJournal<Key, Row, KeyLess>;
    try {
      auto& notes = static_cast<Notes&>(journal);  // of the same table
      typename Notes::Entry entry{commit_lsn, base_.size()};
      if (base_hidden_) {
        entry.row_count = replacement_.size();
        entry.all = std::move(replacement_);
      } else {
        const bool whole = lent_nothing();
        entry.notes.reserve(steps_.size());
        for (Step& step : steps_) {
          if (step.action == Action::insert) {
            entry.notes.push_back({step.position->first, {}});
            --entry.row_count;
          } else {
            if (step.action == Action::erase) ++entry.row_count;
            entry.notes.push_back({std::move(step.node.key()), {std::move(step.node.mapped()), whole}});
          }
        }
      }
      notes.add(std::move(entry));
    } catch (const std::bad_alloc&) {
      journal.fail("out of memory");
    }
  }

 private:
  static constexpr std::size_t fields = field_count_v<Row>;
  static constexpr std::size_t steps_per_look = 256;  // a step costs about as much as a look at the clock does

  struct Step;

  /// Unchanged values that cannot be copied are moved out of the replaced row, but only when readers cannot see it.
  struct Loan {
    std::optional<Iterator> lender{};
    std::bitset<fields> values{};

    void settle(Step& step) noexcept {
      if (!lender) return;
      for_each_field_index<Row>([&](auto index) {
        if (values[index]) field_at<index>(step.node.mapped()) = std::move(field_at<index>((*lender)->second));
      });
    }
  };
  struct NoLoan {
    void settle(Step&) noexcept {}
  };
  static constexpr bool lends = !std::is_copy_constructible_v<Row>;

  struct Staged {
    Row row{};
    [[no_unique_address]] std::conditional_t<lends, Loan, NoLoan> loan{};
    std::size_t bytes = 0;  // as counted
  };

  struct Entry {
    Iterator base;           // the row that is served under this key, else where one would be inserted
    bool base_held = false;  // is there such a row?
    bool base_gone = false;  // has this transaction deleted or moved it?
    std::vector<Staged> rows{};

    [[nodiscard]] bool shows_base() const noexcept { return base_held && !base_gone; }
  };

  struct Held {
    Entry* entry = nullptr;
    Staged* staged = nullptr;  // the served row when null
  };

  enum class Action : std::uint8_t { insert, replace, exchange, erase };
  struct Step {
    Action action;
    Iterator position;
    typename Map::node_type node;
    [[no_unique_address]] std::conditional_t<lends, Loan, NoLoan> loan{};
  };

  Entry& entry_for(Key key) {
    const auto place = entries_.lower_bound(key);
    if (place != entries_.end() && !KeyLess{}(key, place->first)) return place->second;
    Entry entry{base_.end()};
    if (!base_hidden_) {
      entry.base = base_.lower_bound(key);
      entry.base_held = entry.base != base_.end() && !KeyLess{}(key, entry.base->first);
    }
    bytes_ += bytes_per_entry + heap_bytes_of_key(key);
    return entries_.emplace_hint(place, std::move(key), std::move(entry))->second;
  }

  Entry& entry_at(Iterator position) {
    const auto place = entries_.lower_bound(position->first);
    if (place != entries_.end() && !KeyLess{}(position->first, place->first)) return place->second;
    return entries_.emplace_hint(place, position->first, Entry{position, true})->second;
  }

  /// Finds the row that an image identifies: by its key, and where a key holds several, by the identity columns.
  Failure locate(const ColumnMap& map, const RowDecoder<Row>& image, bool names_whole_row, Held& held) {
    Key key;
    if (const Failure failure = image.template decode_key<Model>(map, key)) return failure;
    Entry& entry = entry_for(std::move(key));
    held.entry = &entry;
    const std::size_t candidates = entry.rows.size() + (entry.shows_base() ? 1 : 0);
    if (candidates == 0) return {Errc::row_not_held};
    if (candidates == 1) {
      held.staged = entry.shows_base() ? nullptr : &entry.rows.front();
      return {};
    }
    // Columns that nobody mapped tell them apart. Whole rows that are equal in the others may stand for each other.
    if (!names_whole_row && !map.holds_identity) return {Errc::row_not_held};
    Row wanted{};
    std::bitset<fields> compared;
    if (const Failure failure = image.decode_identity(map, wanted, compared)) return failure;
    for (Staged& staged : entry.rows) {
      if (!matches(staged, wanted, compared)) continue;
      held.staged = &staged;
      return {};
    }
    return entry.shows_base() && matches(entry.base->second, wanted, compared) ? Failure{}
                                                                               : Failure{Errc::row_not_held};
  }

  static bool matches(const Row& row, const Row& wanted, const std::bitset<fields>& compared) {
    return matches(wanted, compared, [&](auto index) -> const auto& { return field_at<index>(row); });
  }

  static bool matches(const Staged& staged, const Row& wanted, const std::bitset<fields>& compared) {
    return matches(wanted, compared, [&](auto index) -> const auto& {
      if constexpr (lends)
        if (staged.loan.values[index]) return field_at<index>(std::as_const((*staged.loan.lender)->second));
      return field_at<index>(staged.row);
    });
  }

  template <class Get>
  static bool matches(const Row& wanted, const std::bitset<fields>& compared, const Get& get) {
    bool same = true;
    for_each_field_index<Row>([&](auto index) {
      if (same && compared[index]) same = same_value(get(index), field_at<index>(wanted));
    });
    return same;
  }

  /// Fills a value that the stream left out, from the row that is replaced.
  template <class Index, class Value>
  static bool keep(Index index, Value& value, const Held& held, Staged& fresh) {
    if (held.staged != nullptr) {
      value = std::move(field_at<Index::value>(held.staged->row));
      if constexpr (lends) {
        if (held.staged->loan.values[index]) fresh.loan.lender = held.staged->loan.lender;
        fresh.loan.values[index] = held.staged->loan.values[index];
      }
    } else if constexpr (std::is_copy_assignable_v<Value>) {
      value = field_at<Index::value>(std::as_const(held.entry->base->second));
    } else {
      fresh.loan.lender = held.entry->base;
      fresh.loan.values.set(index);
    }
    return true;
  }

  void remove(const Held& held) {
    if (held.staged == nullptr) {
      held.entry->base_gone = true;
    } else {
      bytes_ -= held.staged->bytes;
      held.entry->rows.erase(held.entry->rows.begin() + (held.staged - held.entry->rows.data()));
    }
  }

  /// A type that cannot be looked into takes as much as its text, at least.
  void add(Staged staged, std::size_t text_bytes = 0) {
    Entry& entry = entry_for(Model::of(staged.row));
    staged.bytes = sizeof(Staged) + allocation_overhead + std::max(text_bytes, heap_bytes_of_row(staged.row));
    bytes_ += staged.bytes;
    entry.rows.push_back(std::move(staged));
  }

  Step make_step(Entry& entry, Key key) {
    Map one;
    const auto made = one.emplace(std::move(key), std::move(entry.rows.front().row)).first;
    Step step{Action::insert, entry.base, {}, std::move(entry.rows.front().loan)};
    if (entry.base_held) {
      // A key that is spelled anew goes in with its node.
      const bool same_key = same_tuple(made->first, entry.base->first);
      step.action = same_key && std::is_nothrow_swappable_v<Row> ? Action::replace : Action::exchange;
    }
    step.node = one.extract(made);
    return step;
  }

  static bool spells_key_of(const Row& row, const Key& key) {
    return [&]<std::size_t... Level>(std::index_sequence<Level...>) {
      return (same_value(std::get<Level>(key), field_at<Model::indices[Level]>(row)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<Key>>{});
  }

  static bool same_tuple(const Key& left, const Key& right) {
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      return (same_value(std::get<Index>(left), std::get<Index>(right)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<Key>>{});
  }

  void take(Step& step) noexcept {
    switch (step.action) {
      case Action::insert: step.position = base_.insert(step.position, std::move(step.node)); return;
      case Action::replace: {
        using std::swap;
        swap(step.position->second, step.node.mapped());
        return;
      }
      case Action::exchange: {
        const Iterator next = std::next(step.position);
        typename Map::node_type old = base_.extract(step.position);
        base_.insert(next, std::move(step.node));
        step.node = std::move(old);
        return;
      }
      case Action::erase: step.node = base_.extract(step.position); return;
    }
  }

  [[nodiscard]] bool lent_nothing() const noexcept {
    if constexpr (lends) {
      return std::none_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.loan.values.any(); });
    } else {
      return true;
    }
  }

  static constexpr std::size_t bytes_per_entry = node_overhead + sizeof(Key) + sizeof(Entry) + sizeof(Step);

  Map& base_;
  std::map<Key, Entry, KeyLess> entries_{};
  std::size_t bytes_ = 0;
  bool base_hidden_ = false;
  RowDecoder<Row> decoder_{};
  RowDecoder<Row> old_decoder_{};

  // Made by seal(); afterwards they hold what was replaced, to be freed when no reader waits.
  std::vector<Step> steps_{};
  std::size_t next_step_ = 0;
  Map replacement_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
