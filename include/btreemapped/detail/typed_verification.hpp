#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/journal.hpp>
#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/typed_copy.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/row.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Compares the rows of a COPY at one position with those that were served at that position: the served rows as they
/// are now, but for what the journal has noted since.
template <class Row, std::size_t Arity>
class TypedVerification final : public Verification {
 public:
  using Model = RowModel<Row, Arity>;
  using Key = typename Model::key_type;
  using Map = std::map<Key, Row, KeyLess>;
  using Notes = TypedJournal<Key, Row, KeyLess>;

  /// The keys that differ, up to a number of them.
  struct Keys {
    std::vector<Key> missing{};
    std::vector<Key> extra{};
    std::vector<Key> different{};
  };

  TypedVerification(const Store& store, const Map& served, std::size_t max_keys, std::size_t max_bytes)
      : store_(store), served_(served), max_keys_(max_keys), notes_(std::make_shared<Notes>(max_bytes)) {}

  const std::shared_ptr<Journal>& journal() const noexcept override { return journal_; }
  const Outcome& outcome() const noexcept override { return outcome_; }
  [[nodiscard]] const Keys& keys() const noexcept { return keys_; }

  std::unique_ptr<TableCopy> reader(ColumnMap map, Lsn lsn) override {
    outcome_ = {};
    outcome_.lsn = lsn;
    keys_ = {};
    notes_->settle(lsn);
    return std::make_unique<Reader>(*this, std::move(map));
  }

 private:
  // A read holds up commits for as long as it takes, which is some 100 us for so many.
  static constexpr std::size_t batch = 200;

  class Reader final : public TableCopy {
   public:
    Reader(TypedVerification& owner, ColumnMap map) : owner_(owner), copied_(std::move(map)) {}

    Failure add(std::span<const wire::Cell> cells) override {
      Row row{};
      if (const Failure failure = copied_.decode(cells, row)) return failure;
      if (collects_keys_) {
        on_server_.push_back(Model::of(row));
      } else {
        ++owner_.outcome_.rows;
        batch_.push_back(std::move(row));
        if (batch_.size() == batch) compare();
      }
      return {};
    }

    std::size_t row_count() const noexcept override { return owner_.outcome_.rows; }

    bool wants_another_pass() override {
      if (std::exchange(collects_keys_, true)) return false;
      compare();
      count_extra();
      return owner_.outcome_.extra > 0 && owner_.max_keys_ > 0;
    }

    void arrange() override { std::sort(on_server_.begin(), on_server_.end(), KeyLess{}); }

    Failure finish(std::unique_ptr<Delta>&, const std::function<void()>& pause) override {
      if (owner_.outcome_.extra > 0 && owner_.max_keys_ > 0) find_extra(pause);
      if (const char* const why = owner_.journal_->failure()) owner_.outcome_.why = why;
      return {};
    }

   private:
    void compare() {
      const Store::Pin pin(owner_.store_);
      const typename Notes::View then(*owner_.notes_, owner_.served_);
      for (const Row& row : batch_) {
        Key key = Model::of(row);
        const auto held = then.find(key);
        if (!held.whole) {
          ++unknown_;
        } else if (held.row == nullptr) {
          owner_.note(owner_.outcome_.missing, owner_.keys_.missing, std::move(key));
        } else {
          ++held_;
          if (!same_row(*held.row, row)) owner_.note(owner_.outcome_.different, owner_.keys_.different, std::move(key));
        }
      }
      batch_.clear();
    }

    /// All rows that are on the server, too, have been met once each.
    void count_extra() {
      const Store::Pin pin(owner_.store_);
      const typename Notes::View then(*owner_.notes_, owner_.served_);
      if (unknown_ > 0) owner_.outcome_.why = "rows that cannot be copied were changed meanwhile";
      else if (held_ > then.row_count()) owner_.outcome_.why = "the table holds two rows of one key";
      else owner_.outcome_.extra = then.row_count() - held_;
    }

    void find_extra(const std::function<void()>& pause) {
      std::optional<Key> last;
      for (bool done = false; !done && owner_.keys_.extra.size() < owner_.max_keys_;) {
        pause();
        const Store::Pin pin(owner_.store_);
        const typename Notes::View then(*owner_.notes_, owner_.served_);
        done = then.walk(last, batch, [&](const Key& key) {
          if (owner_.keys_.extra.size() == owner_.max_keys_ || then.find(key).row == nullptr) return;
          if (!std::binary_search(on_server_.begin(), on_server_.end(), key, KeyLess{}))
            owner_.keys_.extra.push_back(key);
        });
      }
    }

    TypedVerification& owner_;
    CopiedRows<Row> copied_;
    std::vector<Row> batch_{};
    std::size_t held_ = 0;
    std::size_t unknown_ = 0;
    bool collects_keys_ = false;
    std::vector<Key> on_server_{};
  };

  void note(std::size_t& count, std::vector<Key>& keys, Key key) {
    ++count;
    if (keys.size() < max_keys_) keys.push_back(std::move(key));
  }

  const Store& store_;
  const Map& served_;
  const std::size_t max_keys_;
  const std::shared_ptr<Notes> notes_;
  const std::shared_ptr<Journal> journal_ = notes_;
  Outcome outcome_{};
  Keys keys_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
