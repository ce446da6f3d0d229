#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/session.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// A timeout that is set for our role, our database, or the one in the other.
struct TimeoutDefault {
  std::string setting{};
  std::string value{};
  bool of_role = false;
  bool of_database = false;
};

/// Who has let our role change a table.
struct WriteGrant {
  std::size_t table = 0;
  std::string grantee{};     ///< as SQL spells it
  std::string privileges{};  ///< "INSERT, UPDATE"
};

/// A slot of a standby's, or of a backup's.
struct PhysicalSlot {
  std::string name{};
  bool active = false;
  bool feeds_back = false;  ///< hot_standby_feedback
};

/// What nobody needs to know to follow, but those who run it for months.
struct Checkup {
  std::string database{};
  bool superuser = false;
  bool creates_roles = false;
  bool creates_databases = false;
  bool may_publish = false;             ///< CREATE on the database
  std::vector<std::string> powers{};    ///< predefined roles that it is a member of and does not need
  std::int64_t wal_sender_timeout = 0;  ///< ms; 0: none
  std::string sender_timeout_source{};  ///< as pg_settings has it
  std::int64_t max_slot_wal = 0;        ///< MB; -1: no bound
  std::int64_t max_wal = 0;             ///< MB
  bool hot_standby_feedback = false;
  bool syncs_slots = false;                    ///< sync_replication_slots
  bool has_primary_slot = false;               ///< primary_slot_name
  bool upstream_lacks_dbname = false;          ///< primary_conninfo; unknown to most roles
  std::vector<std::string> waits_for{};        ///< synchronized_standby_slots
  std::vector<PhysicalSlot> physical_slots{};  ///< in use or not
  std::vector<TimeoutDefault> timeouts{};
  std::vector<bool> owned{};  ///< for each table
  std::vector<WriteGrant> write_grants{};
};

/// Looks at role, database, settings and these tables, in one transaction.
/// Throws: SchemaError, ConnectionError, StoppedError.
[[nodiscard]] inline Checkup read_checkup(Session& session, std::span<const TableShape> tables) {
  return session.in_transaction("cannot read the role and the settings", [&](Session::Transaction& transaction) {
    Checkup out;
    const Rows role = transaction.query(R"sql(
SELECT pg_catalog.current_database(), r.rolsuper, r.rolcreaterole, r.rolcreatedb,
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)sql");
    out.database = role.text(0, 0);
    out.superuser = role.flag(0, 1);
    out.creates_roles = role.flag(0, 2);
    out.creates_databases = role.flag(0, 3);
    out.may_publish = role.flag(0, 4);

    // All but what is for watching a server, and a seat that is kept free.
    const Rows powers = transaction.query(R"sql(
SELECT r.rolname FROM pg_catalog.pg_roles r
WHERE r.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
    'pg_execute_server_program', 'pg_signal_backend', 'pg_checkpoint', 'pg_create_subscription', 'pg_maintain',
    'pg_signal_autovacuum_worker')
  AND pg_catalog.pg_has_role(r.oid, 'MEMBER')
ORDER BY 1)sql");
    for (std::size_t row = 0; row < powers.size(); ++row) out.powers.push_back(powers.string(row, 0));

    // In the units of pg_settings: SHOW prints them in any.
    const Rows settings = transaction.query(R"sql(
SELECT s.name, s.setting, s.source FROM pg_catalog.pg_settings s
WHERE s.name IN ('wal_sender_timeout', 'max_slot_wal_keep_size', 'max_wal_size', 'hot_standby_feedback',
  'sync_replication_slots', 'primary_slot_name', 'primary_conninfo', 'synchronized_standby_slots'))sql");
    for (std::size_t row = 0; row < settings.size(); ++row) {
      const auto number = [&] { return settings.number<std::int64_t>(row, 1); };
      if (settings.text(row, 0) == "wal_sender_timeout") {
        out.wal_sender_timeout = number();
        out.sender_timeout_source = settings.text(row, 2);
      } else if (settings.text(row, 0) == "max_slot_wal_keep_size") {
        out.max_slot_wal = number();
      } else if (settings.text(row, 0) == "max_wal_size") {
        out.max_wal = number();
      } else if (settings.text(row, 0) == "hot_standby_feedback") {
        out.hot_standby_feedback = settings.text(row, 1) == "on";
      } else if (settings.text(row, 0) == "sync_replication_slots") {
        out.syncs_slots = settings.text(row, 1) == "on";
      } else if (settings.text(row, 0) == "primary_slot_name") {
        out.has_primary_slot = !settings.text(row, 1).empty();
      } else if (settings.text(row, 0) == "primary_conninfo") {
        out.upstream_lacks_dbname = settings.text(row, 1).find("dbname") == std::string_view::npos;
      }
    }

    const Rows waits_for = transaction.query(R"sql(
SELECT name FROM pg_catalog.regexp_split_to_table(
  pg_catalog.replace(pg_catalog.current_setting('synchronized_standby_slots', true), '"', ''), '[ ,]+') name
WHERE name <> '')sql");
    for (std::size_t row = 0; row < waits_for.size(); ++row) out.waits_for.push_back(waits_for.string(row, 0));
    const Rows physical = transaction.query(
        "SELECT s.slot_name, s.active, s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL "
        "FROM pg_catalog.pg_replication_slots s WHERE s.slot_type = 'physical' AND NOT s.temporary ORDER BY 1");
    for (std::size_t row = 0; row < physical.size(); ++row)
      out.physical_slots.push_back({physical.string(row, 0), physical.flag(row, 1), physical.flag(row, 2)});

    const Rows timeouts = transaction.query(R"sql(
SELECT c.name, c.value, d.setrole <> 0, d.setdatabase <> 0
FROM pg_catalog.pg_db_role_setting d
CROSS JOIN LATERAL pg_catalog.unnest(d.setconfig) u(line)
CROSS JOIN LATERAL (SELECT pg_catalog.split_part(u.line, '=', 1) AS name,
  pg_catalog.substr(u.line, pg_catalog.strpos(u.line, '=') + 1) AS value) c
WHERE (d.setrole = 0 OR d.setrole = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user))
  AND (d.setdatabase = 0
    OR d.setdatabase = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()))
  AND c.name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
    'transaction_timeout')
  AND pg_catalog.rtrim(c.value, ' msinhd') <> '0'
ORDER BY 1, 3, 4)sql");
    for (std::size_t row = 0; row < timeouts.size(); ++row)
      out.timeouts.push_back(
          {timeouts.string(row, 0), timeouts.string(row, 1), timeouts.flag(row, 2), timeouts.flag(row, 3)});

    out.owned.resize(tables.size());
    if (tables.empty()) return out;
    std::string wanted;
    for (std::size_t n = 0; n < tables.size(); ++n)
      wanted += (n == 0 ? "(" : ", (") + std::to_string(n) + ", " + std::to_string(tables[n].oid) + "::oid)";
    const Rows owned = transaction.query("SELECT w.n, pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM (VALUES " +
                                         wanted + ") w(n, oid) JOIN pg_catalog.pg_class c ON c.oid = w.oid");
    for (std::size_t row = 0; row < owned.size(); ++row)
      out.owned.at(owned.number<std::size_t>(row, 0)) = owned.flag(row, 1);

    const Rows grants = transaction.query(
        "SELECT w.n, CASE WHEN a.grantee = 0 THEN 'PUBLIC' "
        "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END, "
        "pg_catalog.string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) "
        "FROM (VALUES " +
        wanted + R"sql() w(n, oid)
JOIN pg_catalog.pg_class c ON c.oid = w.oid
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
  AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE'))
GROUP BY w.n, a.grantee
ORDER BY 1, 2)sql");
    for (std::size_t row = 0; row < grants.size(); ++row)
      out.write_grants.push_back({grants.number<std::size_t>(row, 0), grants.string(row, 1), grants.string(row, 2)});
    return out;
  });
}

/// The tables under whose names these publications publish something.
/// Throws: SchemaError, ConnectionError, StoppedError.
[[nodiscard]] inline std::vector<TableName> read_published_tables(Session& session,
                                                                  std::span<const std::string> publications) {
  const Rows rows = session.query("cannot read the publications",
                                  "SELECT DISTINCT s.nspname, c.relname FROM pg_catalog.pg_publication p "
                                  "CROSS JOIN LATERAL pg_catalog.pg_get_publication_tables(p.pubname::text) g "
                                  "JOIN pg_catalog.pg_class c ON c.oid = g.relid "
                                  "JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace "
                                  "WHERE p.pubname IN (" +
                                      literal_list(publications) + ") ORDER BY 1, 2");
  std::vector<TableName> out;
  for (std::size_t row = 0; row < rows.size(); ++row) out.push_back({rows.string(row, 0), rows.string(row, 1)});
  return out;
}

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
