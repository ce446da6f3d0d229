#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/table_care.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Holds a commit back until those who read the primary see it, too: the stream has it as soon as it is flushed, which
/// may be long before, where the writer waits for a standby. The driver's.
class VisibilityGate {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  VisibilityGate(bool is_wanted, TableCare& care) : is_wanted_(is_wanted), care_(care) {}

  /// May the transaction be shown? Asks the server, if that is not known yet.
  [[nodiscard]] bool lets_through(std::uint32_t xid, Time now) {
    if (!is_wanted_ || state_ == State::open) return true;
    if (state_ == State::asking || now < ask_at_) return false;
    state_ = State::asking;
    const auto look = [xid](Attempt& attempt) { return attempt.is_visible(xid); };
    care_.ask(look, [this](std::optional<bool> visible) {
      if (state_ != State::asking) return;
      state_ = visible == true ? State::open : State::closed;
      ask_at_ = Clock::now() + (visible ? pause_ : Attempt::pause_without_room);
      pause_ = std::min(2 * pause_, longest_pause);
    });
    return false;
  }

  /// When to ask again.
  [[nodiscard]] Time due() const noexcept { return state_ == State::closed ? ask_at_ : Time::max(); }

  /// The transaction is shown, or has been lost.
  void close() noexcept {
    state_ = State::closed;
    ask_at_ = Time{};
    pause_ = shortest_pause;
  }

 private:
  enum class State : std::uint8_t { closed, asking, open };

  static constexpr std::chrono::milliseconds shortest_pause{1};  // most commits are visible by then
  static constexpr std::chrono::milliseconds longest_pause{50};  // of one that waits for a standby

  const bool is_wanted_;
  TableCare& care_;
  State state_ = State::closed;
  Time ask_at_{};
  std::chrono::milliseconds pause_ = shortest_pause;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
