#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/loop/durable_slot.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/detail/loop/thread.hpp>
#include <btreemapped/detail/sql/slots.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What the driver remembers of a durable slot from one attempt to the next. Of temporary ones nothing is to remember.
class SlotKeeper {
 public:
  explicit SlotKeeper(const Options& options) : options_(options) {}

  /// For the next attempt.
  [[nodiscard]] Attempt::Plan plan(std::vector<Table*> tables) const {
    Attempt::Plan plan{{options_.connection}, new_slot_name(options_), std::move(tables)};
    plan.durable = options_.durable_slot;
    plan.failover = options_.failover_slot;
    plan.earlier = backends_;
    return plan;
  }

  void connected(const Attempt& attempt) {
    backends_ = attempt.backends();
    server_ = attempt.source();
  }

  /// A slot may be there from now on, wherever it begins.
  void creating() {
    at_ = Lsn{std::numeric_limits<std::uint64_t>::max()};
    resumable_ = false;
  }
  void created(Lsn consistent_point) { at_ = consistent_point; }

  /// The stream runs.
  void started(const Attempt& attempt) {
    resumption_.system_identifier = attempt.identity().system_identifier;
    streaming_ = true;
  }

  /// The attempt has ended; the tables that followed until then show all that commits before `position`.
  void lost(const Attempt& attempt, std::vector<Followed> followed, Lsn position, const StreamFsm::Landmark& landmark) {
    if (std::vector<sql::Backend> ours = attempt.backends(); !ours.empty()) backends_ = std::move(ours);
    if (!std::exchange(streaming_, false)) return;
    resumption_.timeline = attempt.timeline();
    resumption_.followed = std::move(followed);
    resumption_.position = at_ = position;
    resumption_.last_commit = landmark.commit_lsn;
    resumption_.last_commit_end = landmark.end_lsn;
    resumable_ = options_.durable_slot;
  }

  /// Will the next attempt go on where the stream was?
  [[nodiscard]] bool resumes_after(const std::exception_ptr& reason) {
    return resumable_ = resumable_ && leaves_slot_usable(reason);
  }
  [[nodiscard]] const Resumption& resumption() const noexcept { return resumption_; }

  /// Nobody will read from the slot any more, and what it would keep would fill the server's disk. Best effort, as
  /// nobody is to wait for it.
  void drop() noexcept try {
    if (!options_.durable_slot || at_ == Lsn{}) return;
    auto interrupt = std::make_shared<Interrupt>();
    auto done = std::make_shared<std::promise<void>>();
    const std::future<void> end = done->get_future();
    const auto work = [interrupt, done, connection = server_.connection, slot = new_slot_name(options_),
                       backends = backends_, at = at_] {
      try {
        drop_slot(connection, slot, backends, at, interrupt, std::chrono::steady_clock::now() + patience);
      } catch (...) {  // the server is not there, or somebody has been faster
      }
      done->set_value();
    };
    Thread thread("btm-control", options_.on_thread_start, work);
    if (end.wait_for(patience) != std::future_status::ready) interrupt->interrupt();
    thread.join_or_leave(patience / 8);
  } catch (...) {  // the system gives no thread
  }

 private:
  static constexpr std::chrono::milliseconds patience{400};

  const Options& options_;
  StreamSource server_{};                 // that has the slot
  std::vector<sql::Backend> backends_{};  // our sessions there
  Lsn at_{};                              // the slot has not got beyond; zero while there is none
  Resumption resumption_{};
  bool streaming_ = false;
  bool resumable_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
