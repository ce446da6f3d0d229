#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/change_log.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/fault.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A table that follows, and as what it was copied.
struct Followed {
  Table* table = nullptr;
  std::shared_ptr<const TableShape> shape{};
};

/// Collects the changes of one transaction per table, until its Commit makes one detail::Commit of them.
class TransactionBuffer {
 public:
  static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
  /// Of the messages that carry the id of a Token.
  static constexpr std::string_view token_prefix = "btreemapped";

  /// Of a transaction that takes more than `max_bytes` the rest is dropped, and the tables that it touches stop.
  explicit TransactionBuffer(std::size_t max_bytes = unbounded) : max_bytes_(max_bytes) {}

  /// Takes note of the tokens whose ids begin like this; the others are other programs'.
  void expect_tokens(std::string family) { token_family_ = std::move(family); }

  /// Forgets the relations, the half transaction and the log of the session before. `others` may be attached later.
  void begin_session(std::vector<Followed> followed, std::vector<TableName> others = {}) {
    names_ = std::move(others);
    for (const Followed& each : followed) names_.push_back(each.shape->table);
    followers_.clear();
    routes_.clear();
    announced_.clear();
    sealed_.clear();
    faults_.clear();
    tokens_.clear();
    log_ = nullptr;
    commit_lsn_ = Lsn{};
    bytes_ = 0;
    dropped_at_.reset();
    relation_seen_ = false;
    for (Followed& each : followed) follow(std::move(each));
  }

  /// Takes in a Begin, a Relation, a message or a row change; `payload` is what it was parsed from. Fails only for what
  /// the protocol does not allow; what one table cannot take in is a fault of that table.
  [[nodiscard]] Errc stage(const wire::Message& message, std::string_view payload) {
    return std::visit([&](const auto& each) { return take(each, payload); }, message);
  }

  /// Goes on, until the deadline, with sealing what has been staged since the Begin; nothing when some is left. Until
  /// it gives the commit, nothing may be staged.
  [[nodiscard]] std::optional<Commit> finish(const wire::Commit& end, Delta::Time deadline) {
    for (Follower& follower : followers_) {
      if (follower.delta == nullptr) continue;
      bool sealed = false;
      guarded(follower, [&] {
        const std::optional<Failure> outcome = follower.delta->seal(deadline);
        sealed = outcome.has_value();
        return outcome.value_or(Failure{});
      });
      if (follower.detached) continue;
      if (!sealed) return std::nullopt;
      sealed_.push_back({follower.followed.table, std::move(follower.delta)});
    }
    for (Follower& follower : followers_) drop_changes(follower);  // they are the commit's now
    std::optional<Commit> commit(std::in_place);
    commit->commit_lsn = end.commit_lsn;
    commit->end_lsn = end.end_lsn;
    commit->time = wire::from_pg_clock(end.commit_time);
    commit->changes = std::exchange(sealed_, {});
    commit->tokens = std::exchange(tokens_, {});
    for (Follower& follower : followers_)
      if (auto state = std::exchange(follower.detached_as, {}))
        commit->detached.push_back({follower.followed.table, *state});
    return commit;
  }

  /// The faults since the last call.
  [[nodiscard]] std::vector<Fault> take_faults() { return std::exchange(faults_, {}); }
  /// Has a Relation of a followed table come since the last call? Then the catalog may have changed, too.
  [[nodiscard]] bool take_relation_seen() noexcept { return std::exchange(relation_seen_, false); }

  /// Those that follow now.
  [[nodiscard]] std::vector<Followed> followed() const {
    std::vector<Followed> out;
    for (const Follower& follower : followers_)
      if (!follower.detached) out.push_back(follower.followed);
    return out;
  }

  /// Those that followed when the last commit was finished, whatever has been made of what came since.
  [[nodiscard]] std::vector<Followed> followed_before() const {
    std::vector<Followed> out;
    for (const Follower& follower : followers_)
      if (!follower.detached || follower.detached_as) out.push_back(follower.followed);
    return out;
  }

  [[nodiscard]] bool follows(const Table& table) const noexcept {
    return std::any_of(followers_.begin(), followers_.end(), [&](const Follower& follower) {
      return follower.followed.table == &table && !follower.detached;
    });
  }

  /// Does the table follow as this very copy?
  [[nodiscard]] bool follows(const Followed& followed) const noexcept {
    return std::any_of(followers_.begin(), followers_.end(), [&](const Follower& follower) {
      return follower.followed.table == followed.table && follower.followed.shape == followed.shape &&
             !follower.detached;
    });
  }

  /// Where the transaction commits that has begun last.
  [[nodiscard]] Lsn commit_lsn() const noexcept { return commit_lsn_; }

  /// Units: bytes, of what has been staged of that transaction.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  // The copy of single tables while the others go on.

  /// The table follows no more; what has been staged for it is dropped.
  void detach(const Table& table) {
    for (Follower& follower : followers_) {
      if (follower.followed.table != &table) continue;
      follower.detached = true;
      drop_changes(follower);
    }
    std::erase_if(sealed_, [&](const Commit::Change& each) { return each.table == &table; });
  }

  /// The table follows, anew or for the first time, as what it has been copied now. Between two transactions.
  void attach(Followed followed) {
    const auto gone = std::find_if(followers_.begin(), followers_.end(),
                                   [&](const Follower& each) { return each.followed.table == followed.table; });
    if (gone != followers_.end()) {
      std::erase(routes_[gone->followed.shape->oid], &*gone);
      followers_.erase(gone);
    }
    const auto announced = announced_.find(followed.shape->oid);
    Follower& follower = follow(std::move(followed));
    if (announced != announced_.end()) use_relation_before(follower, announced->second.payload);
  }

  /// From now on whatever comes of the log's tables is also written down there; null ends that.
  /// Lifetime: the log outlives that.
  void write_to(ChangeLog* log) {
    log_ = log;
    if (log_ == nullptr) return;
    for (const auto& [oid, each] : announced_)
      if (log_->concerns(oid, each.name)) log_->add(Lsn{}, each.payload);
  }

  // The replay of what was written down.

  /// Goes on with a change that has begun elsewhere, as if it were all one transaction.
  void resume(const Table& table, std::unique_ptr<Delta> delta) {
    for (Follower& follower : followers_)
      if (follower.followed.table == &table) follower.delta = std::move(delta);
  }

  /// A message of the transaction that committed at `commit_lsn`. One from before `begin` is in the copy already; of
  /// those a Relation may still describe what follows.
  [[nodiscard]] Errc replay(const ChangeLog::Entry& entry, Lsn begin) {
    wire::Message message;
    if (const Errc error = wire::parse_message(entry.payload, message); error != Errc::ok) return error;
    commit_lsn_ = entry.commit_lsn;
    if (entry.commit_lsn >= begin) return stage(message, entry.payload);
    if (const auto* const relation = std::get_if<wire::Relation>(&message)) {
      for (Follower& follower : followers_)
        if (follower.followed.shape->oid == relation->oid) use_relation_before(follower, entry.payload);
    }
    return Errc::ok;
  }

 private:
  static constexpr std::size_t longest_token = 64;

  struct Follower {
    Followed followed;
    std::optional<ColumnMap> map{};
    bool detached = false;
    std::optional<TableState> detached_as{};  // to be told with the next commit
    std::unique_ptr<Delta> delta{};
    std::size_t bytes = 0;  // of the delta, as counted
  };

  struct Announced {
    TableName name{};
    std::string payload{};
  };

  Follower& follow(Followed followed) {
    Follower& follower = followers_.emplace_back(Follower{std::move(followed)});
    routes_[follower.followed.shape->oid].push_back(&follower);
    return follower;
  }

  /// A Relation that came before the copy holds only if it looks as the table was copied. Else the server will send
  /// another one before the next change.
  static void use_relation_before(Follower& follower, std::string_view payload) {
    wire::Message message;
    if (wire::parse_message(payload, message) != Errc::ok) return;
    ColumnMap map;
    follower.map.reset();
    if (!map_streamed_columns(follower.followed.table->needs(), *follower.followed.shape,
                              std::get<wire::Relation>(message), map))
      follower.map = std::move(map);
  }

  Errc take(const wire::Begin& begin, std::string_view) {
    commit_lsn_ = begin.commit_lsn;
    for (Follower& follower : followers_) drop_changes(follower);
    bytes_ = 0;
    dropped_at_.reset();
    tokens_.clear();
    return Errc::ok;
  }

  Errc take(const wire::Relation& relation, std::string_view payload) {
    const TableName name{std::string(relation.schema), std::string(relation.name)};
    announce(relation.oid, name, payload);
    if (log_ != nullptr && log_->concerns(relation.oid, name)) log_->add(commit_lsn_, payload);
    for (Follower& follower : followers_) {
      const TableShape& shape = *follower.followed.shape;
      if (!follower.detached && shape.oid != relation.oid && shape.table == name)
        detach(follower, {follower.followed.table, {}, "another table has taken the name", commit_lsn_, true, {}});
    }
    const auto route = routes_.find(relation.oid);
    if (route == routes_.end()) return Errc::ok;
    relation_seen_ = true;
    for (Follower* const follower : route->second) {
      if (follower->detached) continue;
      ColumnMap map;
      const Followed& followed = follower->followed;
      if (auto change = map_streamed_columns(followed.table->needs(), *followed.shape, relation, map))
        detach(*follower, {followed.table, std::move(change->column), std::move(change->what), commit_lsn_, true, {}});
      else follower->map = std::move(map);
    }
    return Errc::ok;
  }

  /// Of the tables that others have, nothing is kept: there may be any number of them, made and dropped all day.
  void announce(Oid oid, const TableName& name, std::string_view payload) {
    const bool is_ours = std::find(names_.begin(), names_.end(), name) != names_.end();
    if (is_ours || routes_.contains(oid) || announced_.contains(oid)) announced_[oid] = {name, std::string{payload}};
  }

  Errc take(const wire::Insert& change, std::string_view payload) {
    write_down(change.relation, payload);
    return route(change.relation, [&](Delta& delta, const ColumnMap& map) { return delta.insert(map, change.row); });
  }
  Errc take(const wire::Update& change, std::string_view payload) {
    write_down(change.relation, payload);
    return route(change.relation, [&](Delta& delta, const ColumnMap& map) { return delta.update(map, change); });
  }
  Errc take(const wire::Delete& change, std::string_view payload) {
    write_down(change.relation, payload);
    return route(change.relation, [&](Delta& delta, const ColumnMap& map) { return delta.erase(map, change); });
  }
  Errc take(const wire::Truncate& change, std::string_view payload) {
    for (const Oid relation : change.relations)
      if (write_down(relation, payload)) break;  // once
    for (const Oid relation : change.relations) {
      const Errc error = route(relation, [](Delta& delta, const ColumnMap&) {
        delta.truncate();
        return Failure{};
      });
      if (error != Errc::ok) return error;
    }
    return Errc::ok;
  }
  Errc take(const wire::LogicalMessage& message, std::string_view) {
    const std::string_view id = message.content;
    const bool is_ours = message.transactional && message.prefix == token_prefix && !token_family_.empty() &&
                         id.size() <= longest_token && id.starts_with(token_family_);
    if (is_ours) tokens_.emplace_back(id);
    return Errc::ok;
  }
  template <class Other>
  Errc take(const Other&, std::string_view) {
    return Errc::ok;  // Type and Origin change no row; a Commit comes through finish()
  }

  bool write_down(Oid relation, std::string_view payload) {
    if (log_ == nullptr) return false;
    const auto announced = announced_.find(relation);
    if (!log_->concerns(relation, announced == announced_.end() ? TableName{} : announced->second.name)) return false;
    log_->add(commit_lsn_, payload);
    return true;
  }

  /// Changes of tables that nobody follows are skipped; those of a followed one need its Relation first.
  template <class Stage>
  Errc route(Oid relation, Stage&& stage) {
    const auto route = routes_.find(relation);
    if (route == routes_.end()) return Errc::ok;
    for (Follower* const follower : route->second) {
      if (follower->detached) continue;
      if (!follower->map) return Errc::invalid_message;
      if (dropped_at_) {
        detach(*follower, too_large(*follower));
        continue;
      }
      guarded(*follower, [&] {
        if (follower->delta == nullptr) follower->delta = follower->followed.table->make_delta();
        return stage(*follower->delta, *follower->map);
      });
      count(*follower);
      if (bytes_ > max_bytes_) drop_transaction();
    }
    return Errc::ok;
  }

  void count(Follower& follower) noexcept {
    const std::size_t bytes = follower.delta == nullptr ? 0 : follower.delta->bytes();
    bytes_ += bytes - std::exchange(follower.bytes, bytes);
  }

  void drop_changes(Follower& follower) noexcept {
    follower.delta.reset();
    count(follower);
  }

  /// All tables that the transaction has touched stop at the commit before it, and so do those that it will touch.
  void drop_transaction() {
    dropped_at_ = bytes_;
    for (Follower& follower : followers_)
      if (follower.delta != nullptr) detach(follower, too_large(follower));
  }

  Fault too_large(const Follower& follower) const {
    Fault fault{follower.followed.table, {}, "", commit_lsn_};
    fault.what = "a transaction takes more than Options::max_transaction_bytes, which is " +
                 std::to_string(max_bytes_) + " bytes; it was dropped when it had come to " +
                 std::to_string(*dropped_at_);
    fault.oversized = true;
    return fault;
  }

  template <class Step>
  void guarded(Follower& follower, Step&& step) {
    try {
      if (const Failure failure = step()) detach(follower, make_fault(*follower.followed.table, failure, commit_lsn_));
    } catch (const std::bad_alloc&) {
      detach(follower, {follower.followed.table, {}, "out of memory", commit_lsn_, true, {}});
    }
  }

  void detach(Follower& follower, Fault fault) {
    follower.detached = true;
    follower.detached_as = fault.healable ? TableState::stale : TableState::failed;
    drop_changes(follower);
    faults_.push_back(std::move(fault));
  }

  std::vector<TableName> names_{};   // of all that follow or may follow
  std::list<Follower> followers_{};  // which routes point to
  std::unordered_map<Oid, std::vector<Follower*>> routes_{};
  std::unordered_map<Oid, Announced> announced_{};  // by the newest Relation of each
  ChangeLog* log_ = nullptr;
  std::vector<Commit::Change> sealed_{};  // by a finish() that is not at its end
  std::vector<Fault> faults_{};
  std::string token_family_{};
  std::vector<std::string> tokens_{};
  Lsn commit_lsn_{};
  const std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::optional<std::size_t> dropped_at_{};  // the transaction is too large; it had so many bytes then
  bool relation_seen_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
