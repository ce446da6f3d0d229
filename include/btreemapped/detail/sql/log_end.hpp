#pragma once

#include <optional>

#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// How far the server's log goes. On a standby both are what it has replayed.
struct LogEnd {
  Lsn readable{};  ///< as far as it can be decoded: what is not safe on disk is not sent
  Lsn written{};   ///< every commit so far is before it
  bool is_standby = false;
};

/// Throws: SchemaError (the server refuses to tell), ConnectionError, StoppedError.
[[nodiscard]] inline LogEnd read_log_end(Session& session) {
  const Rows rows = session.query("cannot read where the server's log ends", R"sql(
SELECT CASE WHEN standby THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END,
  CASE WHEN standby THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END,
  standby
FROM pg_catalog.pg_is_in_recovery() standby)sql");
  const auto readable = rows.empty() ? std::nullopt : Lsn::parse(rows.text(0, 0));
  const auto written = rows.empty() ? std::nullopt : Lsn::parse(rows.text(0, 1));
  if (!readable || !written) throw ProtocolError("the server does not tell where its log ends");
  return {*readable, *written, rows.flag(0, 2)};
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
