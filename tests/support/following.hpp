#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/options.hpp>
#include <btreemapped/replica.hpp>
#include <btreemapped/replicator.hpp>
#include <btreemapped/state.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/replicator.hpp"

namespace test {

/// Follows one table, "items" unless it is said otherwise, by the publication "pub".
template <class Row, std::size_t Arity>
struct Following {
  /// `definition` makes the table, its rows and the publication.
  Following(Database& db, const std::string& definition, const std::string& table = "items",
            std::chrono::milliseconds watch = std::chrono::seconds{10})
      : database(db) {
    database.exec(definition);
    btreemapped::Options options = database.options();
    options.on_event = log.hook();
    options.catalog_watch_interval = watch;
    replicator.emplace(options);
    replica.emplace(replicator->template add_replica<Row, Arity>(table));
    start_and_sync(*replicator);
  }

  [[nodiscard]] std::vector<Row> rows() const { return replica->to_vector(); }

  /// The rows when this is visible, which must take neither another copy nor another connection.
  [[nodiscard]] std::vector<Row> rows_after(const std::string& sql) {
    database.exec(sql);
    database.catch_up(*replicator);
    CHECK(replica->state() == btreemapped::TableState::live);
    CHECK(replicator->status().reconnects == 0);
    for (const btreemapped::EventKind kind : {btreemapped::EventKind::table_failed, btreemapped::EventKind::table_stale,
                                              btreemapped::EventKind::table_healed})
      CHECK(log.count(kind) == 0);
    return rows();
  }

  Database& database;
  EventLog log{};
  std::optional<test::Replicator> replicator{};
  std::optional<btreemapped::Replica<Row, Arity>> replica{};
};

}  // namespace test
