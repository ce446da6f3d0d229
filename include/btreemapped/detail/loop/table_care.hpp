#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/attempt_runner.hpp>
#include <btreemapped/detail/loop/catalog_watch.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/heal_timer.hpp>
#include <btreemapped/detail/loop/mailbox.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/loop/table_health.hpp>
#include <btreemapped/detail/loop/table_resync.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// While the stream runs: notices in the catalog what the stream does not show, and brings tables that have stopped
/// following back, one by one. The driver's.
class TableCare {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  TableCare(const Options& options, std::shared_ptr<Store> store, const std::shared_ptr<Notifier>& notifier,
            const std::shared_ptr<Mailbox>& mailbox, TableHealth& health, AttemptRunner& runner,
            TransactionBuffer& stream, StatusBoard& board)
      : options_(options),
        store_(std::move(store)),
        health_(health),
        runner_(runner),
        stream_(stream),
        board_(board),
        resync_(options_, store_, notifier, mailbox, health_, stream_) {}

  /// The stream has begun.
  void begin(Time now) {
    blind_since_ = Time::max();
    watch_at_ = now + options_.catalog_watch_interval;
    watching_ = false;
  }

  /// The stream has ended. Doubts remain, for the case that it goes on where it was.
  void end() {
    watch_at_ = Time::max();
    watching_ = false;
    questions_ = 0;
    resync_.end();
  }

  /// When there is something to do although the stream is silent.
  [[nodiscard]] Time due() const noexcept {
    return std::min(
        {watching_ ? Time::max() : watch_at_, runner_.due(), resync_.active() ? resync_.due() : health_.due()});
  }

  /// What is being published; null while there is nothing.
  [[nodiscard]] Commit* rejoining() noexcept { return resync_.ready(); }

  /// Units: bytes, of what has been written down for tables that come back.
  [[nodiscard]] std::size_t log_bytes() const noexcept { return resync_.log_bytes(); }

  /// For poll(): readable when look_aside() has something to see at once.
  [[nodiscard]] int fd() const { return control_is_idle() ? runner_.attempt().control_socket() : -1; }
  void control_has_spoken() noexcept { look_at_control_at_ = Time::min(); }

  /// Asks on the control session, where an answer is no word of its own.
  template <class Work, class Then>
  void ask(Work work, Then then) {
    ++questions_;
    runner_.on_control(std::move(work), [this, then = std::move(then)](const auto& answer) {
      --questions_;
      then(answer);
    });
  }

  /// A Relation has come: the catalog may have changed in more than it shows.
  void relation_seen(Time now) noexcept { watch_at_ = std::min(watch_at_, now + relation_watch_delay); }

  /// The table is to be copied afresh, as somebody has found that its rows are not right.
  void doubt(Table& table, std::string why) { doubts_.push_back({&table, HealTimer::Cause::asked, std::move(why)}); }

  /// All tables are copied afresh.
  void forget_doubts() { doubts_.clear(); }

  /// What must wait neither for the stream nor for readers.
  void look_aside(Time now) {
    runner_.look(now);
    // A server that shuts down ends idle sessions at once, but a walsender only when all is sent and acknowledged:
    // waiting for that would hold it up, and with a temporary slot it would be for nothing. The watch finds out what
    // the word on the control session is, and fails if there is no server any more.
    if (control_is_idle() && now >= look_at_control_at_) {
      look_at_control_at_ = now + look_interval;
      pollfd control{runner_.attempt().control_socket(), POLLIN, 0};
      if (::poll(&control, 1, 0) > 0) watch_at_ = now;
    }
    if (!watching_ && now >= watch_at_) watch_catalog();
  }

  /// Takes those tables out of the stream whose rows may not be right any more. Between two commits.
  void settle_doubts() {
    for (const Doubt& doubt : std::exchange(doubts_, {})) {
      if (!stream_.follows(*doubt.table)) continue;
      stream_.detach(*doubt.table);
      health_.expire(*doubt.table, doubt.cause, doubt.why);
    }
  }

  /// Between two messages. `at_boundary`: no transaction is half received, and all before `applied` is visible. True
  /// while tables that come back are being published: the stream waits for that.
  [[nodiscard]] bool tend(Time now, Time until, bool at_boundary, Lsn applied, const std::atomic<bool>& stop) {
    settle_doubts();
    if (!resync_.active()) {
      if (now >= health_.due()) resync_.begin(runner_.attempt(), health_.take_due(now));
      return false;
    }
    // While a read holds it up, nobody reads what the server answers, and `until` may be long past.
    const Time slice = until > now ? std::min(until, now + look_interval) : now + look_interval;
    resync_.work(now, slice, at_boundary, applied);
    if (!resync_.finishing()) return false;
    if (resync_.ready() == nullptr || !store_->publish(*resync_.ready(), slice, stop)) return true;
    drop(resync_.published());
    watch_at_ = std::min(watch_at_, Clock::now());  // what was altered since the last look at the catalog
    return false;
  }

  /// Frees what a commit has replaced: aside, where that takes long, as feedback would wait for it.
  void drop(Commit done) {
    if (done.size() > rows_freed_at_once) runner_.drop(std::move(done));
  }

 private:
  [[nodiscard]] bool control_is_idle() const noexcept { return !watching_ && questions_ == 0; }

  struct Doubt {
    Table* table = nullptr;
    HealTimer::Cause cause = HealTimer::Cause::altered;
    std::string why{};
  };

  static constexpr std::size_t rows_freed_at_once = 10'000;  // about 1 ms
  static constexpr std::chrono::milliseconds relation_watch_delay{200};
  static constexpr std::chrono::milliseconds look_interval{100};
  static constexpr std::chrono::milliseconds blind_interval{500};
  static constexpr std::chrono::seconds longest_blind{30};  // then the stream is given up, to be resumed

  [[nodiscard]] bool may_be_blind(Time now) const noexcept {
    return blind_since_ == Time::max() || now - blind_since_ < longest_blind;
  }

  void watch_catalog() {
    watching_ = true;
    watch_at_ = Time::max();
    const auto list = std::make_shared<const WatchList>(WatchList{stream_.followed(), health_.misfits()});
    const auto work = [list,
                       may_be_blind = may_be_blind(Clock::now())](Attempt& attempt) -> std::optional<CatalogLook> {
      try {
        return attempt.look(*list);
      } catch (const SchemaError& error) {
        if (error.sqlstate() != lock_not_available) throw;
        return std::nullopt;
      } catch (const ConnectionError& error) {
        if (!may_be_blind || !attempt.outlives(error)) throw;
        return std::nullopt;
      }
    };
    runner_.on_control(work, [this, list, asked_at = Clock::now()](const std::optional<CatalogLook>& seen) {
      const Time now = Clock::now();
      watching_ = false;
      if (!seen) {
        blind_since_ = std::min(blind_since_, now);
        watch_at_ = now + blind_interval;
        return;
      }
      blind_since_ = Time::max();
      board_.lag.asked(seen->position, asked_at, store_->lsn());
      watch_at_ = std::min(watch_at_, now + options_.catalog_watch_interval);
      for (Table* const table : seen->changed) {
        const auto asked = std::find_if(list->followed.begin(), list->followed.end(),
                                        [&](const Followed& each) { return each.table == table; });
        if (asked == list->followed.end()) health_.fit(*table);
        else if (stream_.follows(*asked)) doubts_.push_back({table, HealTimer::Cause::altered, altered(*table)});
      }
    });
  }

  const Options& options_;
  const std::shared_ptr<Store> store_;
  TableHealth& health_;
  AttemptRunner& runner_;
  TransactionBuffer& stream_;
  StatusBoard& board_;
  TableResync resync_;

  Time watch_at_ = Time::max();
  bool watching_ = false;
  std::size_t questions_ = 0;  // that have not been answered
  Time look_at_control_at_{};
  Time blind_since_ = Time::max();  // no question to the catalog is answered
  std::vector<Doubt> doubts_{};     // to be copied afresh
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
