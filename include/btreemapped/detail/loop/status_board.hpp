#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/loop/lag_meter.hpp>
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
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<Clock::rep> last_message_at{0};
  std::atomic<std::uint64_t> wal_block_size{8192};
  std::atomic<std::size_t> transaction_bytes{0};
  std::atomic<std::size_t> log_bytes{0};
  LagMeter lag{};

  void enter(ReplicatorState state) noexcept {
    if (state_.load(std::memory_order_relaxed) == state) return;
    state_since_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    state_.store(state, std::memory_order_relaxed);
  }

  /// A copy of all tables is visible, at this position, or the stream is to go on there.
  void begin(Lsn position) noexcept {
    received.store(position.value(), std::memory_order_relaxed);
    lag.begin(position);
  }

  /// The stream has ended.
  void lose(LossCause cause) noexcept {
    reconnects_.add(cause);
    last_loss_ = cause;
  }

  /// There is no stream any more. What comes after it is not why.
  void set_stale(std::string why) {
    const std::lock_guard lock(mutex_);
    if (stale_since_) return;
    stale_since_ = Clock::now();
    stale_reason_ = std::move(why);
  }

  /// The copy of all tables that this led to is visible.
  void rebuilt() noexcept { rebuilds_.add(last_loss_); }

  /// There is a stream.
  void follow() {
    const std::lock_guard lock(mutex_);
    stale_since_.reset();
    stale_reason_.clear();
    error_.clear();
  }

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
  [[nodiscard]] Status read(Clock::time_point now = Clock::now(),
                            std::chrono::system_clock::time_point wall = std::chrono::system_clock::now()) const {
    Status status;
    const Store::Pin pin(*store_);
    const std::lock_guard lock(mutex_);
    status.state = state_.load();
    const Clock::duration in_state = now - Clock::time_point{Clock::duration{state_since_.load()}};
    status.state_since = wall - std::chrono::duration_cast<std::chrono::system_clock::duration>(in_state);
    for (std::size_t i = 0; i < store_->tables().size(); ++i) {
      const Table& table = *store_->tables()[i];
      status.tables.push_back({to_string(table.name()), table.state(), table.row_count(), table.copied_rows(),
                               table.copied_bytes(), table.expected_rows(), table.copies(), table.stale_for(),
                               i < table_errors_.size() ? table_errors_[i] : std::string{}});
      status.memory.journals += table.journal_bytes();
    }
    if (stale_since_) status.stale_for = now - *stale_since_;
    status.stale_reason = stale_reason_;
    status.last_error = error_;
    const bool streaming = status.state == ReplicatorState::streaming;
    status.applied = store_->lsn();
    status.received = std::max(Lsn{received.load()}, status.applied);
    status.acknowledged = Lsn{acknowledged.load()};
    const LagMeter::Reading behind = lag.read(status.applied, streaming, now, wall);
    status.server = std::max(behind.server, status.received);
    status.lag_bytes = status.server.value() - status.applied.value();
    status.lag = behind.time;
    status.clock_offset = behind.clock_offset;
    status.commits = store_->sequence();
    status.reconnects_by_cause = reconnects_.read();
    status.rebuilds_by_cause = rebuilds_.read();
    for (const std::uint64_t count : status.reconnects_by_cause.counts) status.reconnects += count;
    for (const std::uint64_t count : status.rebuilds_by_cause.counts) status.rebuilds += count;
    const Clock::rep heard = last_message_at.load();
    if (streaming && heard != 0) status.since_last_message = now.time_since_epoch() - Clock::duration{heard};
    status.longest_wait_for_readers = store_->longest_wait();
    status.memory.transaction = transaction_bytes.load();
    status.memory.change_log = log_bytes.load();
    return status;
  }

 private:
  class Counters {
   public:
    void add(LossCause cause) noexcept {
      counts_[static_cast<std::size_t>(cause)].fetch_add(1, std::memory_order_relaxed);
    }
    [[nodiscard]] CauseCounts read() const noexcept {
      CauseCounts out;
      for (std::size_t i = 0; i < loss_causes; ++i) out.counts[i] = counts_[i].load(std::memory_order_relaxed);
      return out;
    }

   private:
    std::array<std::atomic<std::uint64_t>, loss_causes> counts_{};
  };

  const std::shared_ptr<Store> store_;
  std::atomic<ReplicatorState> state_{ReplicatorState::idle};
  std::atomic<Clock::rep> state_since_{Clock::now().time_since_epoch().count()};
  Counters reconnects_{};
  Counters rebuilds_{};
  LossCause last_loss_ = LossCause::other;  // the driver's alone
  mutable std::mutex mutex_{};
  std::optional<Clock::time_point> stale_since_{};
  std::string stale_reason_{};
  std::string error_{};
  std::vector<std::string> table_errors_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
