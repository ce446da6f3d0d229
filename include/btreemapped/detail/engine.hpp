#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/attempt.hpp>
#include <btreemapped/detail/fork.hpp>
#include <btreemapped/detail/heal_timer.hpp>
#include <btreemapped/detail/mailbox.hpp>
#include <btreemapped/detail/notifier.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/stream_fsm.hpp>
#include <btreemapped/detail/thread.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/detail/worker.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/preflight.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What is behind a Replicator: the thread that asks the state machine what to do and does it.
///
/// The driver thread owns the stream, the transaction buffer and the store's writing side, and blocks in nothing but
/// poll() and, for slices, in waiting for readers. What may block otherwise is an Attempt's step on a worker thread; its
/// outcome comes back by the mailbox.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  explicit Engine(Options options)
      : options_(std::move(options)),
        store_(std::make_shared<Store>(options_.empty_until_synced)),
        notifier_(std::make_shared<Notifier>(options_.on_event)),
        fsm_({options_.shortest_backoff, options_.longest_backoff, std::random_device{}()}),
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

  std::shared_ptr<Store> store_to_add_to() {
    const std::lock_guard lock(life_mutex_);
    if (life_ != Life::idle) throw UsageError("btreemapped: add_replica() comes before start(), run() and stop()");
    return store_;
  }

  void add(std::unique_ptr<Table> table) {
    store_->add(std::move(table));
    last_errors_.emplace_back();
  }

  void start() {
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
    request_stop();
    {
      std::unique_lock lock(life_mutex_);
      if (life_ == Life::idle) end(std::make_exception_ptr(StoppedError("btreemapped: stopped before it was started")));
      if (driver_.is_current() || notifier_thread_.is_current() || driving_thread_ == std::this_thread::get_id()) return;
      life_changed_.wait(lock, [this] { return life_ == Life::ended; });
    }
    const std::lock_guard lock(join_mutex_);
    driver_.join();
    notifier_thread_.join();
  }

  [[nodiscard]] std::shared_future<void> synced() const { return synced_future_; }

  [[nodiscard]] bool wait_for(Lsn target, std::chrono::milliseconds timeout) const {
    if (store_->this_thread_reads())
      throw UsageError("btreemapped: wait_for() inside a read would wait for an applier that may be waiting for that read");
    // Nothing can be committed inside a page header: on an idle server the log ends before it, for ever.
    const std::uint64_t block = wal_block_size_.load(std::memory_order_relaxed);
    const std::uint64_t into_page = target.value() % block;
    if (into_page <= longest_page_header) target = Lsn{target.value() - into_page};
    switch (store_->wait_for(target, Clock::now() + timeout)) {
      case Store::Waited::reached: return true;
      case Store::Waited::timeout: return false;
      case Store::Waited::closed: break;
    }
    throw StoppedError("btreemapped: stopped at " + to_string(store_->lsn()) + ", before " + to_string(target));
  }

  [[nodiscard]] Status status() const {
    Status status;
    const Store::Pin pin(*store_);
    const std::lock_guard lock(status_mutex_);
    status.state = state_.load();
    for (std::size_t i = 0; i < store_->tables().size(); ++i) {
      const Table& table = *store_->tables()[i];
      status.tables.push_back({to_string(table.name()), table.state(), table.row_count(), table.copied_rows(),
                               table.stale_for(), last_errors_[i]});
    }
    status.received = Lsn{received_.load()};
    status.applied = store_->lsn();
    status.acknowledged = Lsn{acknowledged_.load()};
    status.commits = store_->sequence();
    status.reconnects = reconnects_.load();
    const Clock::rep heard = last_message_at_.load();
    if (status.state == ReplicatorState::streaming && heard != 0)
      status.since_last_message = Clock::now().time_since_epoch() - Clock::duration{heard};
    status.longest_wait_for_readers = store_->longest_wait();
    status.hook_errors = notifier_->errors();
    status.dropped_events = notifier_->dropped();
    status.last_error = last_error_;
    return status;
  }

 private:
  enum class Life : std::uint8_t { idle, running, ended };
  using Step = StreamFsm::Step;
  using Action = StreamFsm::Action;

  static constexpr std::uint64_t longest_page_header = 40;
  static constexpr std::chrono::seconds blocker_interval{1};
  static constexpr std::chrono::milliseconds relation_watch_delay{200};
  static constexpr std::chrono::seconds name_patience{30};

  // The life of the whole.

  // With life_mutex_ held.
  void begin() {
    if (life_ == Life::running) throw UsageError("btreemapped: the Replicator has been started already");
    if (life_ == Life::ended) throw UsageError("btreemapped: the Replicator has been stopped; make a new one");
    if (store_->tables().empty()) throw UsageError("btreemapped: add_replica() first: there is nothing to follow");
    if (options_.publication.empty()) throw UsageError("btreemapped: Options::publication is empty");
    if (!options_.slot_name.empty()) pq::check_slot_name(options_.slot_name);
    if (notifier_->wanted())
      notifier_thread_ = Thread("btm-notify", options_.on_thread_start, [notifier = notifier_] { notifier->run(); });
    life_ = Life::running;
    begun_at_ = Clock::now();
  }

  void request_stop() {
    stop_requested_.store(true);
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
    if (!synced_set_) {
      synced_set_ = true;
      synced_.set_exception(reason);
    }
    store_->mark_stale(Clock::now());
    if (fatal_)
      for (const auto& table : store_->tables())
        if (!table->copied()) store_->mark_failed(*table, Clock::now());
    store_->close();
    state_.store(ReplicatorState::stopped);
    notifier_->post({EventKind::stopped, {}, fatal_ ? message_of(fatal_) : "stopped", 0, store_->lsn()});
    notifier_->close();
    life_changed_.notify_all();
  }

  void drive() {
    {
      const std::lock_guard lock(life_mutex_);
      driving_thread_ = std::this_thread::get_id();
    }
    for (bool going = true; going;) {
      try {
        mailbox_->open();
        if (stop_requested_.load(std::memory_order_relaxed)) fsm_.stop();
        const Action action = fsm_.next(Clock::now());
        state_.store(fsm_.state(), std::memory_order_relaxed);
        going = perform(action);
      } catch (...) {
        lose(std::current_exception());
      }
    }
    end_attempt();
    const std::lock_guard lock(life_mutex_);
    end(fatal_ ? fatal_ : std::make_exception_ptr(StoppedError("btreemapped: stopped before the first copy was complete")));
  }

  // What the state machine asks for.

  bool perform(const Action& action) {
    switch (action.step) {
      case Step::connect: connect(); return true;
      case Step::preflight: check(); return true;
      case Step::create_slot: create_slot(); return true;
      case Step::copy: copy(); return true;
      case Step::publish_copy: publish_copy(action.until); return true;
      case Step::start_stream: start_stream(); return true;
      case Step::receive: receive(action.until); return true;
      case Step::stage: stage(); return true;
      case Step::publish: publish(action.until); return true;
      case Step::advance:
        store_->advance(action.position);
        fsm_.advanced();
        return true;
      case Step::send_feedback: send_feedback(action); return true;
      case Step::wait: wait(action.until); return true;
      case Step::give_up:
        throw ConnectionError("btreemapped: the server has not answered for twice wal_sender_timeout", {.retryable = true});
      case Step::finish: return false;
    }
    return false;
  }

  void connect() {
    end_attempt();
    attempt_ = std::make_shared<Attempt>(options_, store_, slot_name());
    link_.emplace("btm-link", options_.on_thread_start);
    control_.emplace("btm-control", options_.on_thread_start);
    on_worker(*link_, &Attempt::connect, [this](const Attempt::Greeting& greeting) {
      wal_block_size_.store(std::max<std::uint64_t>(greeting.wal_block_size, 1));
      notify({EventKind::connected, {}, "connected", 0, {}});
      fsm_.connected(greeting.sender_timeout);
    });
  }

  void check() {
    on_worker(*link_, &Attempt::check, [this](const Attempt::Findings& findings) { judge(findings); });
  }

  /// Before the first complete copy everything must be right; later only the tables that are not stay behind.
  void judge(const Attempt::Findings& findings) {
    std::vector<Problem> all = findings.server;
    for (const std::vector<Problem>& problems : findings.tables) all.insert(all.end(), problems.begin(), problems.end());
    std::vector<Problem> errors;
    std::vector<Problem> server_errors;
    for (const Problem& problem : all) {
      if (problem.severity == Problem::Severity::warning)
        notify({EventKind::warning, problem.table, detail::describe(std::span{&problem, 1}), 0, {}});
      else
        (problem.table.empty() ? server_errors : errors).push_back(problem);
    }
    const bool none_left = attempt_->followed().empty();
    if (!server_errors.empty() || (!errors.empty() && (!synced_set_ || none_left))) {
      errors.insert(errors.begin(), server_errors.begin(), server_errors.end());
      throw SchemaError("btreemapped: cannot follow the tables:\n" + detail::describe(errors), {.table = errors.front().table, .column = errors.front().column});
    }
    for (std::size_t i = 0; i < findings.tables.size(); ++i) {
      std::vector<Problem> own;
      for (const Problem& problem : findings.tables[i])
        if (problem.severity == Problem::Severity::error) own.push_back(problem);
      if (!own.empty()) fail_table(*store_->tables()[i], detail::describe(own));
    }
    fsm_.preflight_passed();
  }

  void create_slot() {
    ask_for_blockers_at_ = Clock::now() + blocker_interval;
    on_worker(*link_, &Attempt::create_slot, [this](Lsn consistent_point) {
      ask_for_blockers_at_ = Time::max();
      fsm_.slot_created(consistent_point);
    });
  }

  void copy() {
    const auto work = [notifier = notifier_](Attempt& attempt) {
      return attempt.copy([&](const Table& table, std::size_t rows) {
        notifier->post({EventKind::copying, to_string(table.name()), "copying", rows, {}});
      });
    };
    on_worker(*link_, work, [this](Attempt::Copied& copied) {
      if (!synced_set_ && !copied.faults.empty()) throw_faults(copied.faults);
      for (const Fault& fault : copied.faults) {
        fail_table(*fault.table, describe(fault));
        heal_.schedule(Clock::now(), fault.healable);
      }
      pending_ = std::move(copied.commit);
      fsm_.copied();
    });
  }

  void publish_copy(Time until) {
    if (!store_->publish(*pending_, until, stop_requested_)) return;
    for (Table* const table : pending_->rejoined) heal_table(*table);
    pending_.reset();
    fsm_.published(Clock::now());
  }

  void start_stream() {
    on_worker(*link_, &Attempt::start, [this] {
      buffer_.begin_session(attempt_->followed());
      watch_at_ = Clock::now() + options_.catalog_watch_interval;
      watching_ = false;
      fsm_.stream_started(Clock::now());
      set_last_error({});
      if (!synced_set_) {
        synced_set_ = true;
        synced_.set_value();
      }
      notify({EventKind::synced, {}, "all tables are copied and follow", 0, store_->lsn()});
    });
  }

  void receive(Time until) {
    pq::ReplicationStream& stream = attempt_->stream();
    if (const auto bytes = stream.receive()) {
      const Time now = Clock::now();
      last_message_at_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      require(fsm_.frame(now, *bytes));
      return;
    }
    fsm_.drained();
    if (fsm_.next(Clock::now()).step != Step::receive) return;
    received_.store(fsm_.received().value(), std::memory_order_relaxed);
    watch_catalog();
    const Time wake = std::min({until, watching_ ? Time::max() : watch_at_, heal_.due()});
    pollfd fds[3] = {{stream.socket(), static_cast<short>(stream.wants_write() ? POLLIN | POLLOUT : POLLIN), 0},
                     {mailbox_->fd(), POLLIN, 0},
                     {watching_ ? -1 : attempt_->control_socket(), POLLIN, 0}};
    ::poll(fds, 3, poll_timeout(wake));
    if ((fds[0].revents & POLLOUT) != 0) stream.flush();
    // A server that shuts down ends idle sessions at once, but a walsender only when all is sent: waiting for that would
    // hold it up, and with a temporary slot it would be for nothing. The watch finds out what the word on the control
    // session is, and fails if there is no server any more.
    if (fds[2].revents != 0) watch_at_ = Clock::now();
    if (Clock::now() >= heal_.due()) {
      heal_.begin_attempt();
      throw SchemaError("btreemapped: copying afresh to bring back the tables that have failed", {.retryable = true});
    }
  }

  void stage() {
    require(buffer_.stage(fsm_.message()));
    fsm_.staged();
    if (buffer_.take_relation_seen()) watch_at_ = std::min(watch_at_, Clock::now() + relation_watch_delay);
  }

  void publish(Time until) {
    if (!pending_) {
      pending_ = buffer_.finish(fsm_.commit());
      for (const Fault& fault : buffer_.take_faults()) fail_at_commit(fault);
    }
    if (pending_->empty())
      store_->advance(pending_->end_lsn);
    else if (!store_->publish(*pending_, until, stop_requested_))
      return;
    pending_.reset();
    fsm_.published(Clock::now());
  }

  void send_feedback(const Action& action) {
    const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    const wire::StatusUpdate update{action.position, action.position, action.position, wire::to_pg_clock(now), action.ask_reply};
    attempt_->stream().send(wire::encode(update));
    fsm_.feedback_sent(Clock::now(), action);
    acknowledged_.store(fsm_.acknowledged().value(), std::memory_order_relaxed);
  }

  void wait(Time until) {
    if (Clock::now() >= ask_for_blockers_at_) ask_for_blockers();
    pollfd fds[1] = {{mailbox_->fd(), POLLIN, 0}};
    ::poll(fds, 1, poll_timeout(std::min(until, ask_for_blockers_at_)));
  }

  // Work beside the steps.

  void ask_for_blockers() {
    ask_for_blockers_at_ = Clock::now() + blocker_interval;
    on_worker(*control_, &Attempt::who_blocks, [this](const std::string& blockers) {
      if (!blockers.empty() && fsm_.state() == ReplicatorState::creating_slot)
        notify({EventKind::slot_waiting, {}, "creating the slot waits for open transactions: " + blockers, 0, {}});
    });
  }

  void watch_catalog() {
    if (watching_ || Clock::now() < watch_at_) return;
    watching_ = true;
    watch_at_ = Time::max();
    on_worker(*control_, &Attempt::changed_tables, [this](const std::vector<Table*>& changed) {
      watching_ = false;
      watch_at_ = std::min(watch_at_, Clock::now() + options_.catalog_watch_interval);
      if (changed.empty()) return;
      throw SchemaError("btreemapped: " + to_string(changed.front()->name()) + " or its publication was altered; copying afresh",
                        {.table = to_string(changed.front()->name()), .retryable = true});
    });
  }

  /// Runs a step of the attempt on a worker, then `then` with its result here. What the step throws is thrown here.
  template <class Work, class Then>
  void on_worker(Worker& worker, Work work, Then then) {
    worker.post([attempt = attempt_, mailbox = mailbox_, work, then, this] {
      using Result = std::invoke_result_t<Work, Attempt&>;
      const auto outcome = std::make_shared<std::packaged_task<Result()>>([&] { return std::invoke(work, *attempt); });
      (*outcome)();
      mailbox->post([attempt, outcome, then, this] {
        if (attempt != attempt_) return;  // the answer to a question that nobody asks any more
        std::future<Result> result = outcome->get_future();
        if constexpr (std::is_void_v<Result>) {
          result.get();
          then();
        } else {
          auto value = result.get();
          then(value);
        }
      });
    });
  }

  // Failures.

  static void require(Errc error) {
    if (error == Errc::ok) return;
    throw ProtocolError("btreemapped: the replication stream makes no sense: " + std::string(v0::describe(error)), {.retryable = true});
  }

  /// The attempt, or the stream, has ended. Terminal only when it cannot succeed by itself and nothing is served yet.
  void lose(const std::exception_ptr& reason) {
    const std::string message = message_of(reason);
    const bool retry = !stop_requested_.load() && (synced_set_ || is_retryable(reason));
    const bool was_streaming = fsm_.state() == ReplicatorState::streaming;
    end_attempt();
    store_->mark_stale(Clock::now());
    set_last_error(message);
    if (!retry && !stop_requested_.load()) fatal_ = reason;
    fsm_.failed(Clock::now(), retry);
    if (!retry) return;
    if (was_streaming) reconnects_.fetch_add(1);
    notify({EventKind::stale, {}, message, 0, store_->lsn()});
  }

  void end_attempt() {
    // A commit that has begun to change the maps must end before anything else happens.
    while (store_->publishing()) static_cast<void>(store_->publish(*pending_, Time::max(), stop_requested_));
    pending_.reset();
    buffer_.begin_session({});
    ask_for_blockers_at_ = watch_at_ = Time::max();
    watching_ = false;
    if (attempt_ == nullptr) return;
    attempt_->interrupt();
    control_.reset();
    link_.reset();
    attempt_.reset();
  }

  static std::string describe(const Fault& fault) {
    std::string text = to_string(fault.table->name());
    if (!fault.column.empty()) text += ", column " + fault.column;
    return text + ": " + fault.what + " (at " + to_string(fault.lsn) + ")";
  }

  [[noreturn]] static void throw_faults(const std::vector<Fault>& faults) {
    std::string message = "btreemapped: not all tables can be copied";
    for (const Fault& fault : faults) message += "\n  " + describe(fault);
    throw DecodeError(message, {.table = to_string(faults.front().table->name()), .column = faults.front().column, .lsn = faults.front().lsn});
  }

  /// A fault of the stream: the commit that is being published detaches the table.
  void fail_at_commit(const Fault& fault) {
    const std::string next = fault.healable ? "; it will be copied afresh" : "; it keeps its last commit until the value is gone";
    set_table_error(*fault.table, describe(fault) + next);
    heal_.schedule(Clock::now(), fault.healable);
    notify({EventKind::table_failed, to_string(fault.table->name()), describe(fault) + next, 0, fault.lsn});
  }

  /// The table could not be copied while the others could.
  void fail_table(Table& table, const std::string& why) {
    store_->mark_failed(table, Clock::now());
    set_table_error(table, why);
    notify({EventKind::table_failed, to_string(table.name()), why, 0, store_->lsn()});
  }

  void heal_table(Table& table) {
    if (set_table_error(table, {})) notify({EventKind::table_healed, to_string(table.name()), "follows again", 0, store_->lsn()});
  }

  bool is_retryable(const std::exception_ptr& reason) const {
    try {
      std::rethrow_exception(reason);
    } catch (const SlotError& error) {
      // The server may not have noticed yet that our predecessor with a slot of this name is gone.
      const bool name_taken = error.sqlstate() == "42710" && Clock::now() - begun_at_ < name_patience;
      return error.retryable() || name_taken;
    } catch (const Error& error) {
      return error.retryable();
    } catch (...) {
      return false;
    }
  }

  static std::string message_of(const std::exception_ptr& reason) {
    try {
      std::rethrow_exception(reason);
    } catch (const std::exception& error) {
      return error.what();
    } catch (...) {
      return "unknown error";
    }
  }

  // Small things.

  std::string slot_name() {
    if (!options_.slot_name.empty()) return options_.slot_name;
    return "btreemapped_" + std::to_string(::getpid()) + "_" + std::to_string(std::random_device{}());
  }

  void notify(Event event) { notifier_->post(std::move(event)); }

  void set_last_error(std::string message) {
    const std::lock_guard lock(status_mutex_);
    last_error_ = std::move(message);
  }

  /// Was there an error before?
  bool set_table_error(const Table& table, std::string message) {
    const std::lock_guard lock(status_mutex_);
    for (std::size_t i = 0; i < store_->tables().size(); ++i)
      if (store_->tables()[i].get() == &table) return !std::exchange(last_errors_[i], std::move(message)).empty();
    return false;
  }

  const Options options_;
  const std::shared_ptr<Store> store_;
  const std::shared_ptr<Notifier> notifier_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  const ForkWatch fork_{};

  // The driver's alone.
  StreamFsm fsm_;
  TransactionBuffer buffer_{};
  std::optional<Commit> pending_{};  // what is being published
  std::shared_ptr<Attempt> attempt_{};
  std::optional<Worker> link_{};     // connects, copies, starts the stream
  std::optional<Worker> control_{};  // asks the catalog meanwhile
  HealTimer heal_{};
  Time ask_for_blockers_at_ = Time::max();
  Time watch_at_ = Time::max();
  bool watching_ = false;
  std::exception_ptr fatal_{};

  std::promise<void> synced_{};
  const std::shared_future<void> synced_future_;
  bool synced_set_ = false;

  mutable std::mutex life_mutex_{};
  std::condition_variable life_changed_{};
  Life life_ = Life::idle;
  std::thread::id driving_thread_{};
  Time begun_at_{};
  std::atomic<bool> stop_requested_{false};
  std::mutex join_mutex_{};
  Thread driver_{};
  Thread notifier_thread_{};

  mutable std::mutex status_mutex_{};
  std::vector<std::string> last_errors_{};  // per table
  std::string last_error_{};
  std::atomic<ReplicatorState> state_{ReplicatorState::idle};
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> acknowledged_{0};
  std::atomic<std::uint64_t> reconnects_{0};
  std::atomic<std::uint64_t> wal_block_size_{8192};
  std::atomic<Clock::rep> last_message_at_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
