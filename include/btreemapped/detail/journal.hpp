#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/footprint.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Notes of what each commit replaces in one table, from which the rows can be told as they were at an earlier
/// position. Written by the applier under its lock, read inside reads.
class Journal {
 public:
  Journal() = default;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  virtual ~Journal() = default;

  /// The notes are of no use any more.
  void fail(const char* why) noexcept {
    const std::lock_guard lock(mutex_);
    if (why_ == nullptr) why_ = why;
  }

  /// Null while they are complete.
  [[nodiscard]] const char* failure() const noexcept {
    const std::lock_guard lock(mutex_);
    return why_;
  }

  /// Units: bytes, of all that has been noted.
  [[nodiscard]] std::size_t bytes() const noexcept {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 protected:
  mutable std::mutex mutex_{};
  const char* why_ = nullptr;
  std::size_t bytes_ = 0;
};

template <class Key, class Row, class Less>
class TypedJournal final : public Journal {
 public:
  using Map = std::map<Key, Row, Less>;

  /// What was there before; `whole` unless parts of it live on in the row that took its place.
  struct Before {
    std::optional<Row> row{};
    bool whole = true;
  };
  struct Note {
    Key key;
    Before before;
  };

  /// What one commit replaced: some rows, or all of them at once.
  struct Entry {
    Lsn commit_lsn{};
    std::size_t row_count = 0;  ///< before it
    std::vector<Note> notes{};
    std::optional<Map> all{};
  };

  /// Units: bytes.
  explicit TypedJournal(std::size_t limit) : limit_(limit) {}

  void add(Entry entry) {
    const std::lock_guard lock(mutex_);
    if (why_ != nullptr) return;
    count(entry);
    if (bytes_ > limit_) {
      why_ = "more changed meanwhile than max_log_bytes allows to keep";
      entries_.clear();
      notes_.clear();
      all_.reset();
      bytes_ = 0;
    } else if (settled_) {
      fold(std::move(entry));
    } else {
      entries_.push_back(std::move(entry));
    }
  }

  /// From now on it tells the rows as they were at `position`, before which nothing has been noted but what counts not.
  void settle(Lsn position) {
    const std::lock_guard lock(mutex_);
    position_ = position;
    settled_ = true;
    for (; !entries_.empty(); entries_.pop_front())
      if (entries_.front().commit_lsn >= position) fold(std::move(entries_.front()));
  }

  /// The rows at the position, for as long as it lives; inside a read of the table, which `now` are the rows of.
  class View {
   public:
    View(const TypedJournal& journal, const Map& now) : journal_(journal), now_(now), lock_(journal.mutex_) {}

    [[nodiscard]] bool failed() const noexcept { return journal_.why_ != nullptr; }
    [[nodiscard]] std::size_t row_count() const noexcept { return journal_.row_count_.value_or(now_.size()); }

    struct Found {
      const Row* row = nullptr;
      bool whole = true;
    };
    [[nodiscard]] Found find(const Key& key) const {
      if (const auto note = journal_.notes_.find(key); note != journal_.notes_.end()) {
        const Before& before = note->second;
        return {before.row ? &*before.row : nullptr, before.whole};
      }
      const Map& rows = journal_.all_ ? *journal_.all_ : now_;
      const auto row = rows.find(key);
      return {row == rows.end() ? nullptr : &row->second};
    }

    /// Calls f(key) for up to `most` keys after `last`, in their order, that may have been there; true at the end.
    template <class Function>
    bool walk(std::optional<Key>& last, std::size_t most, Function&& f) const {
      const Map& rows = journal_.all_ ? *journal_.all_ : now_;
      auto row = last ? rows.upper_bound(*last) : rows.begin();
      auto note = last ? journal_.notes_.upper_bound(*last) : journal_.notes_.begin();
      for (; row != rows.end() || note != journal_.notes_.end(); --most) {
        if (most == 0) return false;
        const bool of_rows = note == journal_.notes_.end() || (row != rows.end() && !Less{}(note->first, row->first));
        last = of_rows ? row->first : note->first;
        if (of_rows) {
          if (note != journal_.notes_.end() && !Less{}(*last, note->first)) ++note;
          ++row;
        } else {
          ++note;
        }
        f(*last);
      }
      return true;
    }

   private:
    const TypedJournal& journal_;
    const Map& now_;
    const std::lock_guard<std::mutex> lock_;
  };

 private:
  void count(const Entry& entry) {
    bytes_ += sizeof(Entry) + entry.notes.size() * (sizeof(Note) + note_overhead);
    for (const Note& note : entry.notes)
      bytes_ += heap_bytes_of_key(note.key) + (note.before.row ? heap_bytes_of_row(*note.before.row) : 0);
    if (entry.all) bytes_ += entry.all->size() * (sizeof(Key) + sizeof(Row) + note_overhead);
  }

  /// The first touch of a key tells; and after all rows have been replaced at once, nothing more is to be told.
  void fold(Entry entry) {
    if (!row_count_) row_count_ = entry.row_count;
    if (all_) return;
    for (Note& note : entry.notes) notes_.try_emplace(std::move(note.key), std::move(note.before));
    all_ = std::move(entry.all);
  }

  static constexpr std::size_t note_overhead = 64;

  const std::size_t limit_;
  std::deque<Entry> entries_{};  // until the position is known
  bool settled_ = false;
  Lsn position_{};
  std::map<Key, Before, Less> notes_{};
  std::optional<Map> all_{};
  std::optional<std::size_t> row_count_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
