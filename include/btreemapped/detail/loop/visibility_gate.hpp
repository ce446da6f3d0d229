#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/table_care.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/sql/visibility.hpp>

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
    const auto look = [xid](sql::Session& session) { return sql::is_visible(session, xid); };
    care_.ask([look](Attempt& attempt) { return attempt.ask_again(look); },
              [this](bool visible) {
                if (state_ != State::asking) return;
                state_ = visible ? State::open : State::closed;
                ask_at_ = Clock::now() + pause;
              });
    return false;
  }

  /// When to ask again.
  [[nodiscard]] Time due() const noexcept { return state_ == State::closed ? ask_at_ : Time::max(); }

  /// The transaction is shown, or has been lost.
  void close() noexcept {
    state_ = State::closed;
    ask_at_ = Time{};
  }

 private:
  enum class State : std::uint8_t { closed, asking, open };

  static constexpr std::chrono::milliseconds pause{1};

  const bool is_wanted_;
  TableCare& care_;
  State state_ = State::closed;
  Time ask_at_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
