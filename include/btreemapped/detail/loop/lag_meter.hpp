#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>

#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// How far what is shown is behind the server, in its log and in time. Written by the driver, read from any thread.
/// The server's clock is set against the steady one: whatever becomes of our wall clock does not matter.
class LagMeter {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  using ServerTime = std::chrono::sys_time<std::chrono::microseconds>;

  /// A copy begins: what has committed by now will be in it.
  void snapshot_made(Time now) noexcept { snapshot_at_ = now; }

  /// The copy is visible, or the stream is to go on where it was, perhaps of another server.
  void begin(Lsn position) noexcept {
    server_.store(position.value(), std::memory_order_relaxed);
    asked_ = {};
    fastest_ = previous_fastest_ = unknown;
    offset_.store(unknown, std::memory_order_relaxed);
    window_ends_ = Time::min();
    if (const Time made = std::exchange(snapshot_at_, Time{}); made != Time{})
      fresh_.store(made.time_since_epoch().count(), std::memory_order_relaxed);
  }

  /// A message of the server: how far its log goes at least, and when it was sent.
  void heard(Lsn position, ServerTime sent, Time now) noexcept {
    raise(position);
    if (!is_plausible(sent)) return;
    // The fastest of many messages tells the clocks' difference best, and of late ones only, as clocks drift.
    if (now >= window_ends_) {
      previous_fastest_ = fastest_;
      fastest_ = unknown;
      window_ends_ = now + window;
    }
    fastest_ = std::min(fastest_, micros(now) - sent.time_since_epoch().count());
    offset_.store(std::min(fastest_, previous_fastest_), std::memory_order_relaxed);
  }

  /// The server has been asked, at that time, how far its log goes.
  void asked(Lsn position, Time at, Lsn applied) noexcept {
    raise(position);
    asked_ = {position, at};
    settle(applied);
  }

  /// All before `applied` is visible; what committed last did so at this time.
  void applied(Lsn applied, ServerTime committed) noexcept {
    refresh(committed);
    settle(applied);
  }

  /// The server said at this time that it has sent all before `applied`, which is visible.
  void reached(Lsn applied, ServerTime sent) noexcept {
    // It says so also while it works through a long log, of which we may know more than it has said.
    if (applied.value() >= server_.load(std::memory_order_relaxed)) refresh(sent);
    settle(applied);
  }

  struct Reading {
    Lsn server{};
    std::uint64_t bytes = 0;
    std::chrono::nanoseconds time{0};
    std::chrono::nanoseconds clock_offset{0};  ///< of our wall clock, ahead of the server's
  };

  [[nodiscard]] Reading read(Lsn applied, bool streaming, Time now,
                             std::chrono::system_clock::time_point wall) const noexcept {
    Reading out;
    const std::uint64_t server = std::max(server_.load(std::memory_order_relaxed), applied.value());
    out.server = Lsn{server};
    out.bytes = server - applied.value();
    const Clock::rep fresh = fresh_.load(std::memory_order_relaxed);
    if (fresh != 0 && (out.bytes > 0 || !streaming))
      out.time = std::max(Clock::duration{0}, now - Time{Clock::duration{fresh}});
    if (const std::int64_t offset = offset_.load(std::memory_order_relaxed); offset != unknown)
      out.clock_offset = wall.time_since_epoch() - (now.time_since_epoch() - std::chrono::microseconds{offset});
    return out;
  }

 private:
  static constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::max();
  static constexpr std::chrono::minutes window{1};

  struct Answer {
    Lsn position{};
    Time at{};
  };

  /// Between 1970 and 2200: with what else a server may say nothing can be calculated.
  static bool is_plausible(ServerTime time) noexcept {
    return time > ServerTime{} && time < std::chrono::sys_days{std::chrono::year{2200} / 1 / 1};
  }

  static std::int64_t micros(Time time) noexcept {
    return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
  }

  void raise(Lsn position) noexcept {
    if (position.value() > server_.load(std::memory_order_relaxed))
      server_.store(position.value(), std::memory_order_relaxed);
  }

  void refresh(ServerTime time) noexcept {
    const std::int64_t offset = offset_.load(std::memory_order_relaxed);
    if (offset == unknown || !is_plausible(time)) return;
    refresh(Time{std::chrono::microseconds{time.time_since_epoch().count() + offset}});
  }
  void refresh(Time time) noexcept {
    const Clock::rep fresh = time.time_since_epoch().count();
    if (fresh > fresh_.load(std::memory_order_relaxed)) fresh_.store(fresh, std::memory_order_relaxed);
  }

  void settle(Lsn applied) noexcept {
    if (asked_.position && applied >= asked_.position) refresh(asked_.at);
  }

  std::atomic<std::uint64_t> server_{0};
  std::atomic<std::int64_t> offset_{unknown};  // of the steady clock, ahead of the server's; microseconds
  std::atomic<Clock::rep> fresh_{0};           // every commit up to then is visible; zero: nothing is
  // The driver's alone.
  Time snapshot_at_{};
  Answer asked_{};
  std::int64_t fastest_ = unknown;
  std::int64_t previous_fastest_ = unknown;
  Time window_ends_ = Time::min();
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
