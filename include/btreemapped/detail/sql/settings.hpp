#pragma once

#include <string>
#include <string_view>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// How long a pinned setting holds.
enum class SettingScope { session, transaction };

/// The SET statements that make a session render and live as this library expects, whatever the defaults of its role
/// and database are. By SET and never by the connection option `options`, which is the user's own.
/// Source: https://www.postgresql.org/docs/current/runtime-config-client.html
[[nodiscard]] inline std::string pinned_settings(int server_version, SettingScope scope = SettingScope::session) {
  struct Setting {
    std::string_view name;
    std::string_view value;
    int since = 0;
  };
  static constexpr Setting settings[] = {
      // what a value looks like
      {"client_encoding", "UTF8"},
      {"datestyle", "ISO"},
      {"intervalstyle", "postgres"},
      {"extra_float_digits", "3"},
      {"bytea_output", "hex"},
      {"timezone", "UTC"},
      {"lc_monetary", "C"},
      {"xmloption", "content"},
      // what a name or a query means
      {"search_path", ""},
      {"row_security", "off"},
      {"standard_conforming_strings", "on"},
      {"quote_all_identifiers", "off"},
      // how long a session and its snapshot live
      {"statement_timeout", "0"},
      {"lock_timeout", "0"},
      {"idle_in_transaction_session_timeout", "0"},
      {"idle_session_timeout", "0", 140000},
      {"transaction_timeout", "0", 170000},
      {"exit_on_error", "off"},
      // how soon the server notices that we are gone, and drops a temporary slot
      {"tcp_keepalives_idle", "10"},
      {"tcp_keepalives_interval", "5"},
      {"tcp_keepalives_count", "3"},
      // the library writes nothing to stderr, and catalog queries are too short to be compiled
      {"client_min_messages", "error"},
      {"jit", "off"},
  };
  std::string sql;
  for (const Setting& each : settings) {
    if (server_version < each.since) continue;
    sql += scope == SettingScope::session ? "SET " : "SET LOCAL ";
    sql += each.name;
    sql += " = '";
    sql += each.value;
    sql += "'; ";
  }
  return sql;
}

/// Lets a backend that waits for a lock, e.g. to create a slot, notice that its client is gone. Not every platform's
/// server can do it, so a refusal counts for nothing. Takes effect with the command after it.
inline constexpr std::string_view notice_lost_client = "SET client_connection_check_interval = '1s'";

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
