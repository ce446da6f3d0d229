#pragma once

#include <stdexcept>
#include <string>

#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/status.hpp>

#include "support/database.hpp"
#include "support/event_log.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"

namespace test {

/// All that is said of a row of the table "items" that Row cannot take: where it comes by the stream, and where it is
/// there before the first copy.
/// Throws: when it is taken.
template <class Row>
std::string told_of_refusal(Database& database, const std::string& definition, const std::string& write) {
  database.exec(definition + "; CREATE PUBLICATION pub FOR TABLE items");
  EventLog log;
  btreemapped::Options options = database.options();
  options.on_event = log.hook();
  Replicator streaming(options);
  static_cast<void>(streaming.add_replica<Row, 1>("items"));
  start_and_sync(streaming);
  streaming.ends_unproved("its table holds what its rows cannot");
  database.exec(write);
  // Where a new copy might help it is not failed, but stale.
  if (!eventually([&] {
        return log.count(btreemapped::EventKind::table_failed) + log.count(btreemapped::EventKind::table_stale) > 0;
      }))
    throw std::runtime_error("the row was taken from the stream");

  Replicator copying(options);
  static_cast<void>(copying.add_replica<Row, 1>("items"));
  copying.start();
  if (!eventually([&] { return !copying.status().last_error.empty(); }))
    throw std::runtime_error("the row was taken by a copy");
  copying.stop();
  std::string told;
  try {
    copying.synced().get();
    throw std::runtime_error("the row was taken by a copy");
  } catch (const btreemapped::Error& error) {
    told = error.what();
  }
  for (const btreemapped::Event& event : log.all()) told += "\n" + event.message;
  for (const btreemapped::Status& status : {streaming.status(), copying.status()}) {
    told += "\n" + status.last_error;
    for (const btreemapped::TableStatus& table : status.tables) told += "\n" + table.last_error;
  }
  return told;
}

}  // namespace test
