#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What the stream says of some tables while they are copied afresh, as it came, to be replayed on the copy. A table is
/// whatever bears its number or its name: it may be dropped and created again meanwhile, or renamed there and back.
class ChangeLog {
 public:
  struct Entry {
    Lsn commit_lsn{};       ///< of the transaction; zero for what was said before the log began
    std::string payload{};  ///< a Relation or a row change
  };

  struct Subject {
    Oid oid = 0;
    TableName name{};
  };

  /// Units: bytes, of all that is ever written down: what has been replayed is in memory, too, until it is published.
  ChangeLog(std::vector<Subject> subjects, std::size_t limit) : subjects_(std::move(subjects)), limit_(limit) {}

  [[nodiscard]] bool concerns(Oid oid, const TableName& name) const {
    return std::any_of(subjects_.begin(), subjects_.end(),
                       [&](const Subject& each) { return each.oid == oid || each.name == name; });
  }

  void add(Lsn commit_lsn, std::string_view payload) {
    if (overflowed_) return;
    bytes_ += sizeof(Entry) + payload.size();
    overflowed_ = bytes_ > limit_;
    try {
      if (!overflowed_) entries_.push_back({commit_lsn, std::string{payload}});
    } catch (const std::bad_alloc&) {
      overflowed_ = true;
    }
    if (overflowed_) entries_.clear();
  }

  /// More has come than it may or can hold: it has forgotten all, and the tables must be copied once more.
  [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }

  /// Units: bytes, of all that was ever written down; zero once it is forgotten.
  [[nodiscard]] std::size_t bytes() const noexcept { return overflowed_ ? 0 : bytes_; }

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] const Entry& front() const noexcept { return entries_.front(); }
  void pop() noexcept { entries_.pop_front(); }

 private:
  const std::vector<Subject> subjects_;
  const std::size_t limit_;
  std::size_t bytes_ = 0;
  bool overflowed_ = false;
  std::deque<Entry> entries_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
