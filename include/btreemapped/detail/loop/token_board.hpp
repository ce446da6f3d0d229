#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <unistd.h>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/sql/barrier.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// What is known of the transaction that a Token stands for. From any thread.
class TokenState {
 public:
  enum class Fate : std::uint8_t {
    pending,    ///< it has not been seen to commit
    visible,    ///< as of visible_at()
    untold,     ///< it may have been copied with the rest, but its number was not known
    elsewhere,  ///< likewise, and its number is another server's
  };

  TokenState(std::string id, std::string server)
      : id_(std::move(id)), sql_(sql::token_query(TransactionBuffer::token_prefix, id_)), server_(std::move(server)) {}

  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] const std::string& sql() const noexcept { return sql_; }
  /// Which one is followed; empty if there was none yet.
  [[nodiscard]] const std::string& server() const noexcept { return server_; }

  void use_xid(std::uint64_t xid) noexcept { xid_.store(xid, std::memory_order_seq_cst); }
  /// Zero while it is not known.
  [[nodiscard]] std::uint64_t xid() const noexcept { return xid_.load(std::memory_order_seq_cst); }

  [[nodiscard]] Fate fate() const noexcept {
    const Fate fate = fate_.load(std::memory_order_seq_cst);
    // It is told before the commit: so there was none yet when the tables were copied.
    return fate == Fate::untold && xid() != 0 ? Fate::pending : fate;
  }
  /// The commit is before this position.
  [[nodiscard]] Lsn visible_at() const noexcept { return Lsn{visible_at_.load(std::memory_order_seq_cst)}; }

 private:
  friend class TokenBoard;

  const std::string id_;
  const std::string sql_;
  const std::string server_;
  std::atomic<std::uint64_t> xid_{0};
  std::atomic<std::uint64_t> visible_at_{0};
  std::atomic<Fate> fate_{Fate::pending};
};

/// The tokens of one Replicator whose transactions have not been seen yet. Those that nobody holds any more are
/// forgotten. From any thread.
class TokenBoard {
 public:
  using Fate = TokenState::Fate;

  explicit TokenBoard(std::shared_ptr<Store> store) : store_(std::move(store)) {}

  /// What all ids begin with, and those of no other Replicator.
  [[nodiscard]] const std::string& family() const noexcept { return family_; }

  [[nodiscard]] std::shared_ptr<TokenState> make() {
    const std::lock_guard lock(mutex_);
    if (tokens_.size() >= forget_at_) {
      std::erase_if(tokens_, [](const auto& each) { return each.second.expired(); });
      forget_at_ = 2 * tokens_.size() + fewest;
    }
    auto token = std::make_shared<TokenState>(family_ + std::to_string(++made_), server_);
    tokens_.emplace(token->id(), token);
    return token;
  }

  /// How many are remembered.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return tokens_.size();
  }

  /// This is visible now: those who wait for its tokens are told.
  void published(const Commit& commit) {
    if (commit.tokens.empty()) return;
    for (const std::string& id : commit.tokens) {
      const std::shared_ptr<TokenState> token = take(id);
      if (token == nullptr) continue;
      token->visible_at_.store(commit.end_lsn.value(), std::memory_order_seq_cst);
      token->fate_.store(Fate::visible, std::memory_order_seq_cst);
    }
    store_->tell_waiters();
  }

  /// The stream goes on where it was, on this server: what has not been seen to commit is still to come.
  void resumed(const pq::SystemIdentity& server) {
    const std::lock_guard lock(mutex_);
    server_ = name_of(server);
  }

  /// All tables are copied afresh, as this snapshot shows them. The ids of those that it shows; they will not be in the
  /// stream.
  std::vector<std::string> settle(pq::SnapshotCopy& snapshot, const pq::SystemIdentity& server) {
    return settle(name_of(server), [&](const std::vector<std::uint64_t>& xids) {
      return sql::find_visible(snapshot, xids, no_deadline);
    });
  }

  /// `find_visible` picks those that the copy shows out of the numbers of transactions.
  template <class FindVisible>
  std::vector<std::string> settle(const std::string& server, FindVisible find_visible) {
    std::vector<std::shared_ptr<TokenState>> tokens;
    {
      const std::lock_guard lock(mutex_);
      server_ = server;
      for (const auto& [id, held] : tokens_)
        if (auto token = held.lock()) tokens.push_back(std::move(token));
    }
    std::vector<std::uint64_t> xids;
    std::erase_if(tokens, [&](const auto& token) {
      const std::uint64_t xid = token->xid();
      // The number is another transaction's where the log has taken another course.
      const bool elsewhere = !token->server().empty() && token->server() != server;
      if (elsewhere || xid == 0) doubt(*token, elsewhere ? Fate::elsewhere : Fate::untold);
      else xids.push_back(xid);
      return elsewhere || xid == 0;
    });
    const std::vector<std::uint64_t> visible = find_visible(std::as_const(xids));
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (std::find(visible.begin(), visible.end(), xids[i]) != visible.end()) ids.push_back(tokens[i]->id());
    return ids;
  }

 private:
  static constexpr std::size_t fewest = 16;

  static std::string new_family() {
    std::random_device random;
    return std::to_string(::getpid()) + "-" + std::to_string(random()) + "-" + std::to_string(random()) + "-";
  }

  /// A log: numbers of transactions mean something in it only.
  static std::string name_of(const pq::SystemIdentity& server) {
    return server.system_identifier + "/" + std::to_string(server.timeline);
  }

  static void doubt(TokenState& token, Fate fate) noexcept {
    Fate before = token.fate_.load();
    while (before != Fate::visible && !token.fate_.compare_exchange_weak(before, fate)) continue;
  }

  /// Null if there is none of this id that anybody waits for.
  std::shared_ptr<TokenState> take(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto place = tokens_.find(id);
    if (place == tokens_.end()) return nullptr;
    std::shared_ptr<TokenState> token = place->second.lock();
    tokens_.erase(place);
    return token;
  }

  const std::shared_ptr<Store> store_;
  const std::string family_ = new_family();

  mutable std::mutex mutex_{};
  std::unordered_map<std::string, std::weak_ptr<TokenState>> tokens_{};
  std::string server_{};
  std::size_t forget_at_ = fewest;
  std::uint64_t made_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
