#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <btreemapped/barrier.hpp>
#include <btreemapped/detail/loop/end_of_log.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/loop/token_board.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A position without the page header that it may be in. Nothing can be committed there: on an idle server the log ends
/// before it, for ever.
[[nodiscard]] constexpr Lsn before_page_header(Lsn lsn, std::uint64_t block_size) noexcept {
  constexpr std::uint64_t longest_page_header = 40;
  const std::uint64_t into_page = lsn.value() % block_size;
  return into_page <= longest_page_header ? Lsn{lsn.value() - into_page} : lsn;
}

/// Why has something not become visible that has been waited for so long? Where its position is not known, `missing`
/// says what has not come.
[[nodiscard]] inline std::string why_not_visible(const Status& status, std::optional<Lsn> target,
                                                 std::string_view missing, std::chrono::steady_clock::duration waited) {
  const std::string last_error = status.last_error.empty() ? std::string{} : ": " + status.last_error;
  const std::string applied = to_string(status.applied);
  switch (status.state) {
    case ReplicatorState::idle: return "not started";
    case ReplicatorState::stopped: return "stopped" + last_error;
    case ReplicatorState::creating_slot:
    case ReplicatorState::copying: return "not connected: the tables are being copied" + last_error;
    case ReplicatorState::connecting:
    case ReplicatorState::preflight:
    case ReplicatorState::backing_off:
      return "disconnected: the Replicator is " + std::string(to_string(status.state)) + last_error;
    case ReplicatorState::streaming: break;
  }
  if (target && status.applied >= *target) {
    std::string tables;
    for (const TableStatus& each : status.tables) {
      if (each.state == TableState::live) continue;
      tables += (tables.empty() ? "" : "; ") + each.table + " is " + std::string(to_string(each.state));
      if (!each.last_error.empty()) tables += ": " + each.last_error;
    }
    return "table not following: " + (tables.empty() ? "it has come back only now" : tables);
  }
  if (status.received > status.applied)
    return "behind: what has arrived up to " + to_string(status.received) + " is visible up to " + applied +
           " only, as a commit is large, or waits for long reads or for what never_ahead asks for";
  const auto silence = std::chrono::duration_cast<std::chrono::milliseconds>(status.since_last_message);
  return (status.since_last_message >= waited ? "idle: " : "behind: ") +
         (target ? "the server has not sent its log up to " + to_string(*target) : std::string(missing)) +
         "; all that has arrived, up to " + applied + ", is visible, and the last word came " +
         std::to_string(silence.count()) + " ms ago";
}

/// Waits, on the thread of whoever asks, until commits are visible.
class Barriers {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  /// `status` is asked for an explanation.
  Barriers(std::shared_ptr<Store> store, const StatusBoard& board, std::function<Status()> status)
      : store_(std::move(store)), board_(board), status_(std::move(status)) {}

  /// Every commit before `target`.
  Reached wait_for(Lsn target, Time deadline) const {
    const Lsn end = before_page_header(target, board_.wal_block_size.load(std::memory_order_relaxed));
    Reached reached = wait([&] { return View{look(end), end}; }, {}, deadline);
    reached.target = target;
    return reached;
  }

  /// One transaction.
  Reached wait_for(const TokenState& token, Time deadline) const {
    Reached reached = wait(
        [&]() -> View {
          switch (token.fate()) {
            case TokenState::Fate::pending: return {Sight::coming, {}};
            case TokenState::Fate::visible: return {look(token.visible_at()), token.visible_at()};
            case TokenState::Fate::untold:
            case TokenState::Fate::elsewhere: break;
          }
          return {Sight::hopeless, {}};
        },
        "no commit with this token has arrived: its transaction is open, was rolled back or has not run its SQL",
        deadline);
    if (!reached && token.fate() == TokenState::Fate::untold)
      reached.why =
          "rebuilt: all tables have been copied afresh, and whether the copy has the transaction cannot be "
          "told without its number; give it to Token::use_xid()";
    if (!reached && token.fate() == TokenState::Fate::elsewhere)
      reached.why =
          "rebuilt: all tables have been copied afresh from another server or timeline, which cannot tell "
          "whether it has the transaction";
    return reached;
  }

  /// Every commit so far. `ask` is given an EndOfLog to be filled in.
  template <class Ask>
  Reached catch_up(Ask ask, Time deadline) const {
    while (true) {
      const auto end = std::make_shared<EndOfLog>();
      ask(end);
      const auto is_told = [&] { return end->fate() != EndOfLog::Fate::wanted; };
      const auto is_outdated = [&] { return end->fate() == EndOfLog::Fate::outdated; };
      Reached told = wait([&] { return View{is_told() ? Sight::shown : Sight::coming, {}}; },
                          "the server has not told where its log ends", deadline);
      if (!told) return told;
      if (!end->why().empty()) return {false, {}, store_->lsn(), end->why()};
      const Lsn target = before_page_header(end->position(), board_.wal_block_size.load(std::memory_order_relaxed));
      const Reached reached =
          wait([&] { return View{is_outdated() ? Sight::hopeless : look(target), target}; }, {}, deadline);
      if (reached || !is_outdated() || Clock::now() >= deadline) return reached;
    }
  }

 private:
  enum class Sight : std::uint8_t {
    coming,
    shown,
    hopeless,  ///< it will not come about by waiting
  };

  struct View {
    Sight sight = Sight::coming;
    std::optional<Lsn> target{};
  };

  [[nodiscard]] Sight look(Lsn target) const noexcept {
    if (store_->sequence() == 0 || store_->lsn() < target) return Sight::coming;
    Sight sight = Sight::shown;
    for (const auto& table : store_->tables()) {
      const Lsn at = table->detached_at();
      if (!at || at >= target) continue;
      if (table->state() == TableState::failed) return Sight::hopeless;
      sight = Sight::coming;
    }
    return sight;
  }

  /// Throws: StoppedError when nothing will come any more.
  template <class Look>
  Reached wait(Look look, std::string_view missing, Time deadline) const {
    const Time begin = Clock::now();
    View view;
    const auto decided = [&] { return (view = look()).sight != Sight::coming; };
    const Store::Waited waited = store_->wait_until(decided, deadline);
    Reached reached{view.sight == Sight::shown, view.target.value_or(Lsn{}), store_->lsn(), {}};
    if (reached) return reached;
    if (waited == Store::Waited::closed)
      throw StoppedError("stopped at " + to_string(reached.applied) +
                         (view.target ? ", before " + to_string(*view.target) : std::string{}));
    reached.why = why_not_visible(status_(), view.target, missing, Clock::now() - begin);
    return reached;
  }

  const std::shared_ptr<Store> store_;
  const StatusBoard& board_;
  const std::function<Status()> status_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
