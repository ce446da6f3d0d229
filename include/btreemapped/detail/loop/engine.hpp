#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <btreemapped/barrier.hpp>
#include <btreemapped/detail/fork.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/barriers.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/loop/driver.hpp>
#include <btreemapped/detail/loop/failure.hpp>
#include <btreemapped/detail/loop/mailbox.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/loop/thread.hpp>
#include <btreemapped/detail/loop/token_board.hpp>
#include <btreemapped/detail/loop/verifier.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>
#include <btreemapped/verification.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What is behind a Replicator: its life, and those who wait for it.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Engine(Options options)
      : options_(within_limits(std::move(options))),
        store_(std::make_shared<Store>(options_.empty_until_synced)),
        notifier_(std::make_shared<Notifier>(options_.on_event)),
        synced_future_(synced_.get_future().share()) {}

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() = default;

  /// The end of a Replicator. In a forked child nothing may be touched, as threads and sockets are the parent's.
  static void leave(std::shared_ptr<Engine> engine) {
    if (engine->fork_.in_child()) {
      static_cast<void>(new std::shared_ptr<Engine>(std::move(engine)));
      return;
    }
    engine->stop();
  }

  [[nodiscard]] const std::shared_ptr<Store>& store() const noexcept { return store_; }
  [[nodiscard]] const Options& options() const noexcept { return options_; }

  void add(std::unique_ptr<Table> table) {
    require_own_process();
    const std::lock_guard lock(life_mutex_);
    if (life_ != Life::idle) throw UsageError("add_replica() comes before start(), run() and stop()");
    store_->add(std::move(table));
  }

  void start() {
    require_own_process();
    const std::lock_guard lock(life_mutex_);
    begin();
    try {
      driver_ = Thread("btm-stream", options_.on_thread_start, [self = shared_from_this()] { self->drive(); });
    } catch (...) {
      end(std::current_exception());
      throw;
    }
  }

  void run(std::stop_token stop) {
    require_own_process();
    if (store_->this_thread_reads())
      throw UsageError("run() inside a read would make the applier wait for that read for ever");
    {
      const std::lock_guard lock(life_mutex_);
      begin();
    }
    {
      const std::stop_callback on_stop(stop, [this] { request_stop(); });
      drive();
    }
    join_notifier();
    if (fatal_) std::rethrow_exception(fatal_);
  }

  void stop() {
    require_own_process();
    request_stop();
    {
      std::unique_lock lock(life_mutex_);
      if (life_ == Life::idle) end(std::make_exception_ptr(StoppedError("stopped before it was started")));
      if (driver_.is_current() || notifier_thread_.is_current() || driving_thread_ == std::this_thread::get_id())
        return;
      life_changed_.wait(lock, [this] { return life_ == Life::ended; });
    }
    const std::lock_guard lock(join_mutex_);
    driver_.join();
    notifier_thread_.join();
  }

  [[nodiscard]] std::shared_future<void> synced() const { return synced_future_; }

  Reached wait_for(Lsn target, std::chrono::milliseconds timeout) const {
    require_no_read("wait_for()");
    return barriers_.wait_for(target, Clock::now() + within_a_century(timeout));
  }

  Reached wait_for(const TokenState& token, std::chrono::milliseconds timeout) const {
    require_no_read("wait_for()");
    if (!token.id().starts_with(tokens_->family())) throw UsageError("wait_for() takes a token of this Replicator");
    return barriers_.wait_for(token, Clock::now() + within_a_century(timeout));
  }

  Reached catch_up(std::chrono::milliseconds timeout) {
    require_no_read("catch_up()");
    const auto ask_for = [this](const std::shared_ptr<EndOfLog>& wanted) {
      ask([&](Driver& driver) { driver.tell_end_of_log(wanted); });
    };
    return barriers_.catch_up(ask_for, Clock::now() + within_a_century(timeout));
  }

  [[nodiscard]] std::shared_ptr<TokenState> make_token() {
    require_own_process();
    return tokens_->make();
  }

  /// Throws: UsageError for a table of another one.
  [[nodiscard]] Verified to_verify(const Table& table, const VerifyOptions& options) const {
    for (const auto& each : store_->tables()) {
      if (each.get() != &table) continue;
      Verified verified{each.get(), each->make_verification(options.max_keys, options_.max_log_bytes)};
      verified.report.table = to_string(table.name());
      return verified;
    }
    throw UsageError("verify() takes a replica of this Replicator");
  }

  /// Verifies tables of this Replicator, and fills in their reports.
  void verify(std::vector<Verified>& verified, const VerifyOptions& options) {
    require_no_read("verify()");
    const Clock::time_point deadline = Clock::now() + within_a_century(options.timeout);
    const std::shared_ptr<void> turn = wait_for_turn(deadline);
    if (turn == nullptr) {
      for (Verified& each : verified) each.report.why = "another verification has been under way all the time";
      return;
    }
    const StreamSource source = ask([&](Driver& driver) { return driver.begin_verification(verified); });
    std::vector<Verified> judged;
    try {
      for (const Verified& each : verified)
        if (each.report.why.empty()) judged.push_back(each);
      if (judged.empty()) return;
      Verifier verifier(options_, store_, source, judged, deadline);
      set_interruptible(verifier.attempt());
      ask([&](Driver& driver) { driver.watch_verification(verifier.attempt()); });
      verifier.run();
    } catch (...) {
      set_interruptible(nullptr);
      give_up_verification(verified);
      throw;
    }
    set_interruptible(nullptr);
    ask([&](Driver& driver) { driver.end_verification(judged, options.heal); });
    for (Verified& each : judged) {
      if (options.heal && each.report.verdict == Verdict::different) {
        const auto is_healed = [&] { return each.table->copies() > each.copies; };
        each.report.healed = store_->wait_until(is_healed, deadline) == Store::Waited::reached;
      }
      const auto same = [&](const Verified& other) { return other.table == each.table; };
      *std::find_if(verified.begin(), verified.end(), same) = std::move(each);
    }
  }

  [[nodiscard]] Status status() const {
    require_own_process();
    std::unique_lock lock(life_mutex_);
    if (life_ != Life::idle) lock.unlock();  // no table is added any more
    Status status = board_.read();
    status.memory.events = notifier_->bytes();
    status.hook_errors = notifier_->errors();
    status.dropped_events = notifier_->dropped();
    return status;
  }

 private:
  enum class Life : std::uint8_t { idle, running, ended };

  static constexpr std::chrono::hours a_century{24 * 36'525};

  static std::chrono::milliseconds within_a_century(std::chrono::milliseconds timeout) {
    return std::clamp<std::chrono::milliseconds>(timeout, std::chrono::milliseconds{0}, a_century);
  }

  /// What the driver answers, on its own thread, between two steps.
  /// Throws: StoppedError when there is none any more; UsageError when there is none yet.
  template <class Question, class Answer = std::invoke_result_t<Question&, Driver&>>
  Answer ask(Question question) {
    auto task = std::make_shared<std::packaged_task<Answer(Driver&)>>(std::move(question));
    std::future<Answer> answer = task->get_future();
    {
      const std::lock_guard lock(life_mutex_);
      if (life_ == Life::idle) throw UsageError("start the Replicator first");
      if (life_ == Life::ended) throw StoppedError("the Replicator has been stopped");
      // The letter's alone, so that the answer is known not to come when the letter is burnt.
      mailbox_->post([this, task = std::move(task)] { (*task)(*driver_at_work_); });
    }
    try {
      return answer.get();
    } catch (const std::future_error&) {
      throw StoppedError("the Replicator has been stopped");
    }
  }

  /// One verification at a time. Returns what the next one waits for the end of; null: the time is over.
  /// Throws: StoppedError.
  std::shared_ptr<void> wait_for_turn(Clock::time_point deadline) {
    bool is_ours = false;
    const auto take = [&] { return is_ours = is_ours || !verifying_.exchange(true); };
    const Store::Waited waited = store_->wait_until(take, deadline);
    if (waited == Store::Waited::closed) throw StoppedError("the Replicator has been stopped");
    if (!is_ours) return nullptr;
    return {this, [](Engine* engine) {
              engine->verifying_.store(false);
              engine->store_->tell_waiters();
            }};
  }

  /// Nobody reads the notes for it any more.
  void give_up_verification(const std::vector<Verified>& verified) {
    try {
      ask([&](Driver& driver) { driver.end_verification(verified, false); });
    } catch (const StoppedError&) {  // then nobody takes notes
    }
  }

  /// What stop() ends; null: nothing.
  void set_interruptible(std::shared_ptr<Attempt> attempt) {
    const std::lock_guard lock(interruptible_mutex_);
    interruptible_ = std::move(attempt);
    if (interruptible_ != nullptr && (stop_requested_.load() || driver_has_ended_)) interruptible_->interrupt();
  }

  void require_own_process() const {
    if (fork_.in_child())
      throw UsageError("this Replicator belongs to the parent process; make another one in the child");
  }

  void require_no_read(const char* call) const {
    require_own_process();
    if (store_->this_thread_reads())
      throw UsageError(std::string(call) +
                       " inside a read would wait for an applier that may be waiting for that read");
  }

  // With life_mutex_ held.
  void begin() {
    if (life_ == Life::running) throw UsageError("the Replicator has been started already");
    if (life_ == Life::ended) throw UsageError("the Replicator has been stopped; make a new one");
    if (store_->tables().empty()) throw UsageError("add_replica() first: there is nothing to follow");
    check_options(options_);
    if (notifier_->wanted())
      notifier_thread_ = Thread("btm-notify", options_.on_thread_start, [notifier = notifier_] { notifier->run(); });
    life_ = Life::running;
  }

  void request_stop() {
    stop_requested_.store(true);
    {
      const std::lock_guard lock(interruptible_mutex_);
      if (interruptible_ != nullptr) interruptible_->interrupt();
    }
    store_->wake();
    mailbox_->post([] {});
  }

  void join_notifier() {
    const std::lock_guard lock(join_mutex_);
    notifier_thread_.join();
  }

  /// Nothing more will happen: all who wait are told why. With life_mutex_ held.
  void end(const std::exception_ptr& reason) {
    life_ = Life::ended;
    if (!synced_is_set_) {
      synced_is_set_ = true;
      synced_.set_exception(reason);
    }
    store_->mark_stale(Clock::now());
    if (fatal_)
      for (const auto& table : store_->tables())
        if (!table->copied()) store_->detach(*table, TableState::failed, Clock::now());
    for (const auto& table : store_->tables()) table->set_journal(nullptr);  // replicas may live on for long
    store_->close();
    mailbox_->burn();
    board_.enter(ReplicatorState::stopped);
    notifier_->post({EventKind::stopped, {}, fatal_ ? message_of(fatal_) : "stopped", 0, store_->lsn()});
    notifier_->close();
    life_changed_.notify_all();
  }

  void drive() {
    {
      const std::lock_guard lock(life_mutex_);
      driving_thread_ = std::this_thread::get_id();
    }
    std::exception_ptr failure;
    try {
      Driver driver({options_, store_, notifier_, mailbox_, board_, tokens_, stop_requested_}, [this] {
        synced_is_set_ = true;
        synced_.set_value();
      });
      driver_at_work_ = &driver;
      failure = driver.drive();
    } catch (...) {
      failure = std::current_exception();
    }
    {
      const std::lock_guard lock(interruptible_mutex_);
      driver_has_ended_ = true;  // nobody watches a verification any more
      if (interruptible_ != nullptr) interruptible_->interrupt();
    }
    const std::lock_guard lock(life_mutex_);
    fatal_ = failure;
    end(fatal_ ? fatal_ : std::make_exception_ptr(StoppedError("stopped before the first copy was complete")));
  }

  const Options options_;
  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Notifier> notifier_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  StatusBoard board_{store_};
  const std::shared_ptr<TokenBoard> tokens_ = std::make_shared<TokenBoard>(store_);
  const Barriers barriers_{store_, board_, [this] { return status(); }};
  const ForkWatch fork_{};

  std::promise<void> synced_{};
  const std::shared_future<void> synced_future_;
  bool synced_is_set_ = false;  // by the driver, or when there is none

  mutable std::mutex life_mutex_{};
  std::condition_variable life_changed_{};
  Life life_ = Life::idle;
  std::thread::id driving_thread_{};
  Driver* driver_at_work_ = nullptr;  // for the letters that it opens
  std::exception_ptr fatal_ = nullptr;
  std::atomic<bool> stop_requested_{false};

  std::atomic<bool> verifying_{false};
  std::mutex interruptible_mutex_{};
  bool driver_has_ended_ = false;
  std::shared_ptr<Attempt> interruptible_{};

  std::mutex join_mutex_{};
  Thread driver_{};
  Thread notifier_thread_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
