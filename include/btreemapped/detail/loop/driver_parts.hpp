#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <random>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/loop/attempt_runner.hpp>
#include <btreemapped/detail/loop/end_of_log.hpp>
#include <btreemapped/detail/loop/failure_policy.hpp>
#include <btreemapped/detail/loop/mailbox.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/loop/slot_keeper.hpp>
#include <btreemapped/detail/loop/slot_wait.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/detail/loop/table_care.hpp>
#include <btreemapped/detail/loop/table_health.hpp>
#include <btreemapped/detail/loop/token_board.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/options.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Whom the driver works for. All of it outlives the driver.
struct Surroundings {
  const Options& options;
  const std::shared_ptr<Store>& store;
  const std::shared_ptr<Notifier>& notifier;
  const std::shared_ptr<Mailbox>& mailbox;
  StatusBoard& board;
  const std::shared_ptr<TokenBoard>& tokens;
  const std::atomic<bool>& stop;
};

/// What the driver works with, on its thread only.
struct DriverParts {
  explicit DriverParts(const Surroundings& around)
      : options(around.options),
        store(around.store),
        notifier(around.notifier),
        board(around.board),
        tokens(around.tokens),
        stop(around.stop),
        health(store, notifier, board),
        fsm({options.shortest_backoff, options.longest_backoff, std::random_device{}()}),
        runner(options, around.mailbox, [](const std::exception_ptr& reason) { std::rethrow_exception(reason); }),
        slot(options),
        policy(options),
        slot_wait(options, notifier, runner, &board),
        buffer(options.max_transaction_bytes),
        care(options, store, notifier, around.mailbox, health, runner, buffer, board),
        end_of_log(store, care) {
    buffer.expect_tokens(tokens->family());
  }

  const Options& options;
  const std::shared_ptr<Store> store;
  const std::shared_ptr<Notifier> notifier;
  StatusBoard& board;
  const std::shared_ptr<TokenBoard> tokens;
  const std::atomic<bool>& stop;

  TableHealth health;
  StreamFsm fsm;
  AttemptRunner runner;
  SlotKeeper slot;
  FailurePolicy policy;
  SlotWait slot_wait;
  TransactionBuffer buffer;
  TableCare care;
  EndOfLogQuery end_of_log;
  std::optional<Commit> pending{};  ///< what is being published
  bool synced = false;              ///< once is for ever
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
