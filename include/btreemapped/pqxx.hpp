#pragma once

#include <chrono>
#include <string>
#include <type_traits>

#include <pqxx/subtransaction>
#include <pqxx/transaction_base>

#include <btreemapped/barrier.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/replicator.hpp>

namespace btreemapped {
inline namespace v0 {

/// Commits a transaction of libpqxx, such as a pqxx::work, and waits until it is visible in the replicas.
/// Throws: before the commit UsageError inside a read and in a forked child, and what libpqxx throws. After it nothing:
/// the result tells why it is not visible.
/// Blocks and locks: for the commit, and then as Replicator::wait_for().
template <class Transaction>
  requires std::is_base_of_v<pqxx::transaction_base, Transaction>
Reached commit_and_wait(Transaction& work, const Replicator& replicator, std::chrono::milliseconds timeout) {
  static_assert(!std::is_base_of_v<pqxx::subtransaction, Transaction>,
                "a subtransaction is not committed before the transaction around it");
  const auto wait = [&](const auto& target, std::chrono::milliseconds patience) -> Reached {
    try {
      return replicator.wait_for(target, patience);
    } catch (const StoppedError& error) {
      return {false, {}, replicator.status().applied, error.what()};
    }
  };
  static_cast<void>(wait(Lsn{}, std::chrono::milliseconds{0}));  // who may not wait is told before the commit
  Token token = replicator.token();
  token.use_xid(work.exec(token.sql())[0][0].template as<std::string>());
  work.commit();
  return wait(token, timeout);
}

}  // namespace v0
}  // namespace btreemapped
