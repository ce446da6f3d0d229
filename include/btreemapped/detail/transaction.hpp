#pragma once

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/wire/frame.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Why a table stopped following. The others go on.
struct Fault {
  Table* table = nullptr;
  std::string column{};
  std::string what{};
  Lsn lsn{};               ///< the commit that could not be applied
  bool healable = true;    ///< would a fresh copy mend it? Not when the table holds a value that the row cannot
  std::string sqlstate{};  ///< where it was the server that refused
};

[[nodiscard]] constexpr bool healed_by_copy(Errc error) noexcept {
  switch (error) {
    case Errc::invalid_text:
    case Errc::out_of_range:
    case Errc::invalid_encoding:
    case Errc::unexpected_null: return false;
    default: return true;
  }
}

[[nodiscard]] inline Fault make_fault(Table& table, const Failure& failure, Lsn lsn) {
  const bool at_field = failure.field != Failure::no_field;
  return {&table,
          at_field ? table.needs()[failure.field].column : std::string{},
          std::string(describe(failure.code)),
          lsn,
          healed_by_copy(failure.code),
          {}};
}

/// Collects the changes of one transaction per table, until its Commit makes one detail::Commit of them.
class TransactionBuffer {
 public:
  /// Which tables follow in this session, and as what they were copied.
  struct Followed {
    Table* table = nullptr;
    TableShape shape{};
  };

  /// Forgets the relations and the half transaction of the session before.
  void begin_session(std::vector<Followed> followed) {
    followers_.clear();
    routes_.clear();
    faults_.clear();
    commit_lsn_ = Lsn{};
    relation_seen_ = false;
    followers_.reserve(followed.size());
    for (Followed& each : followed)
      followers_.push_back({each.table, std::move(each.shape), {}, false, false, nullptr});
    for (Follower& follower : followers_) routes_[follower.shape.oid].push_back(&follower);
  }

  /// Takes in a Begin, a Relation or a row change. Fails only for what the protocol does not allow; what one table
  /// cannot take in is a fault of that table.
  [[nodiscard]] Errc stage(const wire::Message& message) {
    return std::visit([this](const auto& each) { return take(each); }, message);
  }

  /// What has been staged since the Begin, sealed.
  [[nodiscard]] Commit finish(const wire::Commit& end) {
    Commit commit;
    commit.commit_lsn = end.commit_lsn;
    commit.end_lsn = end.end_lsn;
    commit.time = wire::from_pg_clock(end.commit_time);
    for (Follower& follower : followers_) {
      if (follower.delta != nullptr && !follower.detached) {
        guarded(follower, [&] { return follower.delta->seal(); });
        if (!follower.detached) commit.changes.push_back({follower.table, std::move(follower.delta)});
      }
      follower.delta.reset();
      if (std::exchange(follower.newly_detached, false)) commit.detached.push_back(follower.table);
    }
    return commit;
  }

  /// The faults since the last call.
  [[nodiscard]] std::vector<Fault> take_faults() { return std::exchange(faults_, {}); }
  /// Has a Relation of a followed table come since the last call? Then the catalog may have changed, too.
  [[nodiscard]] bool take_relation_seen() noexcept { return std::exchange(relation_seen_, false); }

 private:
  struct Follower {
    Table* table;
    TableShape shape;
    std::optional<ColumnMap> map;
    bool detached;
    bool newly_detached;
    std::unique_ptr<Delta> delta;
  };

  Errc take(const wire::Begin& begin) {
    commit_lsn_ = begin.commit_lsn;
    for (Follower& follower : followers_) follower.delta.reset();
    return Errc::ok;
  }

  Errc take(const wire::Relation& relation) {
    for (Follower& follower : followers_) {
      const TableName& name = follower.shape.table;
      if (!follower.detached && follower.shape.oid != relation.oid && name.schema == relation.schema &&
          name.name == relation.name)
        detach(follower, {follower.table, {}, "another table has taken the name", commit_lsn_, true, {}});
    }
    const auto route = routes_.find(relation.oid);
    if (route == routes_.end()) return Errc::ok;
    relation_seen_ = true;
    for (Follower* const follower : route->second) {
      if (follower->detached) continue;
      ColumnMap map;
      if (auto change = map_streamed_columns(follower->table->needs(), follower->shape, relation, map))
        detach(*follower, {follower->table, std::move(change->column), std::move(change->what), commit_lsn_, true, {}});
      else follower->map = std::move(map);
    }
    return Errc::ok;
  }

  Errc take(const wire::Insert& change) {
    return route(change.relation, [&](Delta& delta, const ColumnMap& map) { return delta.insert(map, change.row); });
  }
  Errc take(const wire::Update& change) {
    return route(change.relation, [&](Delta& delta, const ColumnMap& map) { return delta.update(map, change); });
  }
  Errc take(const wire::Delete& change) {
    return route(change.relation, [&](Delta& delta, const ColumnMap& map) { return delta.erase(map, change); });
  }
  Errc take(const wire::Truncate& change) {
    for (const Oid relation : change.relations) {
      const Errc error = route(relation, [](Delta& delta, const ColumnMap&) {
        delta.truncate();
        return Failure{};
      });
      if (error != Errc::ok) return error;
    }
    return Errc::ok;
  }
  template <class Other>
  Errc take(const Other&) {
    return Errc::ok;  // Type, Origin and Message change no row; a Commit comes through finish()
  }

  /// Changes of tables that nobody follows are skipped; those of a followed one need its Relation first.
  template <class Stage>
  Errc route(Oid relation, Stage&& stage) {
    const auto route = routes_.find(relation);
    if (route == routes_.end()) return Errc::ok;
    for (Follower* const follower : route->second) {
      if (follower->detached) continue;
      if (!follower->map) return Errc::invalid_message;
      guarded(*follower, [&] {
        if (follower->delta == nullptr) follower->delta = follower->table->make_delta();
        return stage(*follower->delta, *follower->map);
      });
    }
    return Errc::ok;
  }

  template <class Step>
  void guarded(Follower& follower, Step&& step) {
    try {
      if (const Failure failure = step()) detach(follower, make_fault(*follower.table, failure, commit_lsn_));
    } catch (const std::bad_alloc&) {
      detach(follower, {follower.table, {}, "out of memory", commit_lsn_, true, {}});
    }
  }

  void detach(Follower& follower, Fault fault) {
    follower.detached = true;
    follower.newly_detached = true;
    follower.delta.reset();
    faults_.push_back(std::move(fault));
  }

  std::vector<Follower> followers_{};
  std::unordered_map<Oid, std::vector<Follower*>> routes_{};
  std::vector<Fault> faults_{};
  Lsn commit_lsn_{};
  bool relation_seen_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
