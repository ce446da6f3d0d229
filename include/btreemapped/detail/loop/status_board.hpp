#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What the driver lets others know of itself, written by it and read from any thread.
class StatusBoard {
 public:
  using Clock = std::chrono::steady_clock;

  explicit StatusBoard(std::shared_ptr<Store> store) : store_(std::move(store)) {}

  // The numbers, as the driver has them.
  std::atomic<ReplicatorState> state{ReplicatorState::idle};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::uint64_t> reconnects{0};
  std::atomic<Clock::rep> last_message_at{0};
  std::atomic<std::uint64_t> wal_block_size{8192};

  void set_error(std::string message) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(message);
  }

  /// Answers whether the table had an error before.
  bool set_table_error(const Table& table, std::string message) {
    const auto& tables = store_->tables();
    const auto place =
        std::find_if(tables.begin(), tables.end(), [&](const auto& each) { return each.get() == &table; });
    const std::lock_guard lock(mutex_);
    table_errors_.resize(tables.size());
    return !std::exchange(table_errors_[static_cast<std::size_t>(place - tables.begin())], std::move(message)).empty();
  }

  /// Blocks and locks: a read of the store, for the row counts.
  [[nodiscard]] Status read() const {
    Status status;
    const Store::Pin pin(*store_);
    const std::lock_guard lock(mutex_);
    status.state = state.load();
    for (std::size_t i = 0; i < store_->tables().size(); ++i) {
      const Table& table = *store_->tables()[i];
      status.tables.push_back({to_string(table.name()), table.state(), table.row_count(), table.copied_rows(),
                               table.stale_for(), i < table_errors_.size() ? table_errors_[i] : std::string{}});
    }
    status.received = std::max(Lsn{received.load()}, store_->lsn());
    status.applied = store_->lsn();
    status.acknowledged = Lsn{acknowledged.load()};
    status.commits = store_->sequence();
    status.reconnects = reconnects.load();
    const Clock::rep heard = last_message_at.load();
    if (status.state == ReplicatorState::streaming && heard != 0)
      status.since_last_message = Clock::now().time_since_epoch() - Clock::duration{heard};
    status.longest_wait_for_readers = store_->longest_wait();
    status.last_error = error_;
    return status;
  }

 private:
  const std::shared_ptr<Store> store_;
  mutable std::mutex mutex_{};
  std::string error_{};
  std::vector<std::string> table_errors_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
