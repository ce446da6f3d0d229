#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What the stream says of some tables while they are copied afresh, as it came, to be replayed on the copy. Tables go
/// by their names, since a table may be dropped and created again meanwhile.
class ChangeLog {
 public:
  struct Entry {
    Lsn commit_lsn{};       ///< of the transaction; zero for what was said before the log began
    std::string payload{};  ///< a Relation or a row change
  };

  /// Units: bytes
  ChangeLog(std::vector<TableName> names, std::size_t limit) : names_(std::move(names)), limit_(limit) {}

  [[nodiscard]] bool concerns(const TableName& name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }

  void add(Lsn commit_lsn, std::string_view payload) {
    if (overflowed_) return;
    bytes_ += sizeof(Entry) + payload.size();
    overflowed_ = bytes_ > limit_;
    if (overflowed_) entries_.clear();
    else entries_.push_back({commit_lsn, std::string{payload}});
  }

  /// More has come than it may hold: it has forgotten all, and the tables must be copied once more.
  [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] const Entry& front() const noexcept { return entries_.front(); }
  void pop() {
    bytes_ -= sizeof(Entry) + entries_.front().payload.size();
    entries_.pop_front();
  }

 private:
  const std::vector<TableName> names_;
  const std::size_t limit_;
  std::size_t bytes_ = 0;
  bool overflowed_ = false;
  std::deque<Entry> entries_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
