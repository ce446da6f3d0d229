#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/table_care.hpp>
#include <btreemapped/detail/sql/log_end.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Where the server's log ended at some time after it was asked for.
class EndOfLog {
 public:
  enum class Fate : std::uint8_t {
    wanted,
    known,
    outdated,  ///< the connection is lost, and the next one may be to another server
  };

  [[nodiscard]] Fate fate() const noexcept { return fate_.load(std::memory_order_seq_cst); }

  // Once known.
  [[nodiscard]] Lsn position() const noexcept { return position_; }
  /// Why the server refuses to tell; empty if it does not.
  [[nodiscard]] const std::string& why() const noexcept { return why_; }

 private:
  friend class EndOfLogQuery;

  void enter(Fate fate) noexcept { fate_.store(fate, std::memory_order_seq_cst); }

  Lsn position_{};
  std::string why_{};
  std::atomic<Fate> fate_{Fate::wanted};
};

/// Asks the server for those who want to know where its log ends: at once, or when there is a stream. The driver's.
class EndOfLogQuery {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  EndOfLogQuery(std::shared_ptr<Store> store, TableCare& care) : store_(std::move(store)), care_(care) {}

  /// Who gives up lets it die.
  void add(const std::shared_ptr<EndOfLog>& wanted) {
    for (Wanted* const each : {&waiting_, &answered_})
      std::erase_if(*each, [](const auto& one) { return one.expired(); });
    waiting_.push_back(wanted);
    ask();
  }

  /// The stream has begun.
  void begin() {
    streaming_ = true;
    ask();
  }

  /// When look() has something to do.
  [[nodiscard]] Time due() const noexcept { return ask_at_; }

  /// Asks once more, where there was nobody to ask.
  void look(Time now) {
    if (now >= ask_at_) ask();
  }

  /// The stream has ended; who has not been answered waits for the next one.
  void end() {
    streaming_ = false;
    ask_at_ = Time::max();
    waiting_.insert(waiting_.end(), asked_.begin(), asked_.end());
    asked_.clear();
    for (const auto& each : std::exchange(answered_, {}))
      if (const auto answered = each.lock()) answered->enter(EndOfLog::Fate::outdated);
    store_->tell_waiters();
  }

 private:
  using Wanted = std::vector<std::weak_ptr<EndOfLog>>;

  struct Answer {
    Lsn position{};
    std::string why{};
  };

  /// Nothing if there is nobody to ask any more, while the stream may still go on.
  static std::optional<Answer> read(Attempt& attempt) {
    try {
      return Answer{attempt.ask_again([](sql::Session& session) { return sql::read_log_end(session).written; }), {}};
    } catch (const SchemaError& error) {
      return Answer{{}, error.what()};  // no reason to give the stream up
    } catch (const ConnectionError& error) {
      if (!attempt.outlives(error)) throw;
      return std::nullopt;
    }
  }

  /// One question at a time, for all who wait. Who comes later needs a later answer.
  void ask() {
    ask_at_ = Time::max();
    if (!streaming_ || waiting_.empty() || !asked_.empty()) return;
    asked_ = std::exchange(waiting_, {});
    care_.ask(&EndOfLogQuery::read, [this](const std::optional<Answer>& answer) {
      if (!answer) {
        waiting_.insert(waiting_.end(), asked_.begin(), asked_.end());
        asked_.clear();
        ask_at_ = Clock::now() + Attempt::pause_without_room;
        return;
      }
      for (const auto& each : std::exchange(asked_, {})) {
        const std::shared_ptr<EndOfLog> wanted = each.lock();
        if (wanted == nullptr) continue;
        wanted->position_ = answer->position;
        wanted->why_ = answer->why;
        wanted->enter(EndOfLog::Fate::known);
        answered_.push_back(each);
      }
      store_->tell_waiters();
      ask();
    });
  }

  const std::shared_ptr<Store> store_;
  TableCare& care_;
  Wanted waiting_{};
  Wanted asked_{};
  Wanted answered_{};
  bool streaming_ = false;
  Time ask_at_ = Time::max();
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
