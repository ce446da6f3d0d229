#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/checkup.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>
#include <btreemapped/finding.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// How a connection came about.
struct ConnectionFacts {
  bool local = false;  ///< a socket of this machine, or its loopback
  bool tls = false;
  bool gss = false;
  std::string sslmode{};
  bool keepalives = true;
};

/// What a Replicator will want of the server.
struct Intention {
  int slots = 2;  ///< and walsenders, that it may need at once beside those in use
  bool creates_publication = false;
  bool may_replicate = true;
  bool durable_slot = false;
  bool failover_slot = false;
  bool reaches_primary = false;  ///< of a standby
};

/// Judges what does not keep anybody from following, but from doing so for months, or does harm. A class only because
/// its checks share what they look at.
class CheckupJudge {
 public:
  CheckupJudge(const ServerShape& server, const sql::Checkup& checkup, std::span<const sql::TableFacts> tables)
      : server_(server), checkup_(checkup), tables_(tables), role_(sql::identifier(server.role)) {}

  [[nodiscard]] std::vector<Finding> judge(const Intention& intention) && {
    check_role(intention);
    check_spare("replication slots", "max_replication_slots", server_.max_slots, server_.used_slots, intention.slots);
    check_spare("walsenders", "max_wal_senders", server_.max_senders, server_.used_senders, intention.slots);
    check_log();
    if (server_.in_recovery) check_standby(intention);
    else if (intention.failover_slot && server_.version >= 170000) check_failover();
    check_timeouts();
    for (const sql::TableFacts& table : tables_) check_filter(table);
    if (server_.waits_for_us && intention.durable_slot) note_synchronous();
    if (intention.may_replicate && !checkup_.superuser) note_power();
    return std::move(out_);
  }

 private:
  using Severity = Finding::Severity;

  void warn(std::string table, std::string what, std::string remedy) {
    out_.push_back({Severity::warning, std::move(table), {}, std::move(what), std::move(remedy)});
  }
  void note(std::string table, std::string what, std::string remedy) {
    out_.push_back({Severity::note, std::move(table), {}, std::move(what), std::move(remedy)});
  }
  void error(std::string table, std::string what, std::string remedy) {
    out_.push_back({Severity::error, std::move(table), {}, std::move(what), std::move(remedy)});
  }

  /// The SQL for a role that may do just what is needed.
  [[nodiscard]] std::string role_of_its_own() const {
    const std::string name = "btreemapped_reader";
    return "CREATE ROLE " + name + " LOGIN REPLICATION; GRANT CONNECT ON DATABASE " + database() + " TO " + name +
           "; " + rights_on_tables(name) + "-- then give it a password (\\password in psql), and connect as it";
  }

  [[nodiscard]] std::string rights_on_tables(const std::string& role) const {
    std::vector<std::string> schemas;
    std::vector<std::string> names;
    for (const sql::TableFacts& table : tables_) {
      if (table.shape.oid == 0) continue;
      const std::string schema = sql::identifier(table.shape.table.schema);
      if (std::find(schemas.begin(), schemas.end(), schema) == schemas.end()) schemas.push_back(schema);
      names.push_back(sql::identifier(table.shape.table));
    }
    const auto as_it_is = [](const std::string& text) { return text; };
    if (names.empty()) return {};
    return "GRANT USAGE ON SCHEMA " + sql::comma_separated(schemas, as_it_is) + " TO " + role + "; GRANT SELECT ON " +
           sql::comma_separated(names, as_it_is) + " TO " + role + "; ";
  }

  void check_role(const Intention& intention) {
    if (intention.creates_publication) check_publisher();
    if (checkup_.superuser) {
      return warn({}, "role " + server_.role + " is a superuser; replication needs far less", role_of_its_own());
    }
    if (checkup_.creates_roles) warn({}, "role " + server_.role + " may create roles", alter_role("NOCREATEROLE"));
    if (checkup_.creates_databases)
      warn({}, "role " + server_.role + " may create databases", alter_role("NOCREATEDB"));
    for (const std::string& power : checkup_.powers) {
      // It may be all that lets us read.
      const std::string rights = power == "pg_read_all_data" ? rights_on_tables(role_) : "";
      warn({}, "role " + server_.role + " is a member of " + power + ", which lets it do more than it needs",
           rights + "REVOKE " + sql::identifier(power) + " FROM " + role_ + ";");
    }
    if (intention.creates_publication) return;  // only an owner can
    for (std::size_t n = 0; n < tables_.size(); ++n) {
      if (checkup_.owned.at(n)) {
        warn(name_of(n), "role " + server_.role + " owns it, so that it may change, alter and drop it",
             role_of_its_own());
      }
    }
    for (const sql::WriteGrant& grant : checkup_.write_grants) {
      if (checkup_.owned.at(grant.table)) continue;
      warn(name_of(grant.table), "role " + server_.role + " may change it (" + grant.privileges + ")",
           "REVOKE " + grant.privileges + " ON " + sql::identifier(tables_[grant.table].shape.table) + " FROM " +
               grant.grantee + ";");
    }
  }

  void note_power() {
    const std::string name = sql::identifier(server_.role);
    note(
        {},
        "role " + server_.role +
            " may replicate, and so do more than it looks: copy the whole cluster (BASE_BACKUP), and be streamed every "
            "row that a publication publishes, whatever SELECT rights and row level security say",
        "in pg_hba.conf, let it in only from where it works: 'host " + database() + " " + name +
            " <address>/32 scram-sha-256', and on a line behind it 'host all,replication " + name +
            " all reject'; then SELECT pg_reload_conf();");
  }

  void check_publisher() {
    const bool all_there = std::all_of(server_.publications.begin(), server_.publications.end(),
                                       [](const PublicationShape& each) { return each.exists; });
    if (all_there || checkup_.superuser) return;
    if (!checkup_.may_publish) {
      error({}, "role " + server_.role + " may not create the publication in this database",
            "GRANT CREATE ON DATABASE " + database() + " TO " + role_ + ";");
    }
    for (std::size_t n = 0; n < tables_.size(); ++n) {
      if (checkup_.owned.at(n) || tables_[n].shape.oid == 0) continue;
      error(name_of(n), "role " + server_.role + " does not own it, and so cannot create a publication for it",
            "let the owner create the publication: CREATE PUBLICATION " +
                sql::identifier(server_.publications.front().name) + " FOR TABLE " +
                sql::identifier(tables_[n].shape.table) + ";");
    }
  }

  void check_spare(std::string_view what, std::string_view setting, int limit, int used, int needed) {
    const int free = limit - used;
    if (free < 1 || free >= needed) return;  // none at all is an error, said elsewhere
    warn({},
         "only " + std::to_string(free) + " of the " + std::to_string(limit) + " " + std::string{what} +
             " is free; the stream takes one, and while a table is copied or verified by itself another one is needed",
         "ALTER SYSTEM SET " + std::string{setting} + " = " + std::to_string(used + 4) + "; -- and restart the server");
  }

  void check_log() {
    if (checkup_.max_slot_wal < 0) {
      warn({},
           "max_slot_wal_keep_size is -1: for a reader that is connected but stuck, the server keeps its log without "
           "bound, until the disk is full",
           "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf(); -- or what the disk can spare");
    } else if (checkup_.max_slot_wal < checkup_.max_wal) {
      warn({},
           "max_slot_wal_keep_size is " + std::to_string(checkup_.max_slot_wal) + " MB, less than max_wal_size (" +
               std::to_string(checkup_.max_wal) +
               " MB): a slot may be lost within one checkpoint of a busy server, and all tables are copied again",
           "ALTER SYSTEM SET max_slot_wal_keep_size = '" + std::to_string(4 * checkup_.max_wal) +
               "MB'; SELECT pg_reload_conf();");
    }
    if (checkup_.wal_sender_timeout == 0) {
      const std::string& source = checkup_.sender_timeout_source;
      std::string remedy = "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();";
      if (source == "client") remedy = "take it out of the connection string's options";
      if (source == "user") remedy = alter_role("RESET wal_sender_timeout");
      if (source == "database") remedy = "ALTER DATABASE " + database() + " RESET wal_sender_timeout;";
      if (source == "database user") remedy = alter_role("IN DATABASE " + database() + " RESET wal_sender_timeout");
      warn({}, "wal_sender_timeout is 0: the server does not notice a reader that falls silent, and keeps its log",
           std::move(remedy));
    }
  }

  void check_standby(const Intention& intention) {
    if (!checkup_.hot_standby_feedback) {
      warn({},
           "the server is a standby without hot_standby_feedback: the primary may remove what the slot needs, which "
           "invalidates it",
           "ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf(); -- on the standby");
    }
    if (intention.reaches_primary) {
      note({},
           "the server is a standby: while a slot is made there, primary_connection is asked for a record in its log",
           "GRANT EXECUTE ON FUNCTION pg_log_standby_snapshot() TO " + role_ +
               "; -- on the primary, in that database, for the role of primary_connection");
    } else {
      note({}, "the server is a standby: a slot there waits for a record that an idle primary does not write",
           "set Options::primary_connection, or SELECT pg_log_standby_snapshot(); -- on the primary, when a slot is "
           "waiting");
    }
    if (intention.failover_slot && server_.version >= 170000) check_successor();
  }

  /// A standby that is to take over from its primary.
  void check_successor() {
    const auto lacks = [&](std::string what, const std::string& remedy) {
      warn({}, std::move(what) + ", without which it keeps no failover slots for its promotion",
           remedy + " SELECT pg_reload_conf(); -- on the standby");
    };
    if (!checkup_.syncs_slots) lacks("sync_replication_slots is off", "ALTER SYSTEM SET sync_replication_slots = on;");
    if (!checkup_.has_primary_slot) {
      lacks("primary_slot_name is empty",
            "SELECT pg_create_physical_replication_slot('standby1'); -- on the primary\nALTER SYSTEM SET "
            "primary_slot_name = 'standby1';");
    }
    if (checkup_.upstream_lacks_dbname)
      lacks("primary_conninfo has no dbname", "ALTER SYSTEM SET primary_conninfo = '<as it is> dbname=postgres';");
  }

  /// A primary whose standbys are to keep the slot.
  void check_failover() {
    using Slot = sql::PhysicalSlot;
    const auto named = [&](const Slot& slot) {
      return std::find(checkup_.waits_for.begin(), checkup_.waits_for.end(), slot.name) != checkup_.waits_for.end();
    };
    if (checkup_.physical_slots.empty()) {
      warn(
          {}, "failover_slot is set, but no standby has a slot here",
          "SELECT pg_create_physical_replication_slot('standby1'); and on the standby, which must stream from here: "
          "ALTER SYSTEM SET primary_slot_name = 'standby1'; ALTER SYSTEM SET sync_replication_slots = on; ALTER SYSTEM "
          "SET hot_standby_feedback = on; SELECT pg_reload_conf(); -- its primary_conninfo needs a dbname, too");
    }
    if (checkup_.waits_for.empty()) {
      const std::string slot = checkup_.physical_slots.empty() ? "standby1" : checkup_.physical_slots.front().name;
      warn({},
           "synchronized_standby_slots is empty: a replica may see a commit before the standby has it, and is copied "
           "afresh when that one is promoted",
           "ALTER SYSTEM SET synchronized_standby_slots = " + sql::literal(slot) + "; SELECT pg_reload_conf();");
    }
    for (const std::string& name : checkup_.waits_for) {
      const auto found = std::find_if(checkup_.physical_slots.begin(), checkup_.physical_slots.end(),
                                      [&](const Slot& slot) { return slot.name == name; });
      if (found != checkup_.physical_slots.end() && found->active) continue;
      warn({}, "synchronized_standby_slots names " + sql::identifier(name) + ", which no standby uses: nothing is sent",
           "bring that standby back, or take its slot out of synchronized_standby_slots; SELECT pg_reload_conf();");
    }
    for (const Slot& slot : checkup_.physical_slots) {
      if (!slot.active || slot.feeds_back || !(named(slot) || checkup_.waits_for.empty())) continue;
      warn({},
           "the standby that uses slot " + sql::identifier(slot.name) + " does not feed back, and so keeps no slots",
           "ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf(); -- on the standby");
    }
    note({}, "a failover slot survives a promotion only once the standby has it in step",
         "SELECT slot_name, synced AND NOT temporary AND invalidation_reason IS NULL AS ready FROM "
         "pg_replication_slots WHERE failover; -- on the standby, some seconds after the start");
  }

  void note_synchronous() {
    note(
        {},
        "commits of the whole server wait until this Replicator shows them (synchronous_standby_names): they hang "
        "while "
        "it is away; and what it has acknowledged it keeps in memory only, so it is no substitute for a standby",
        "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf(); -- when they hang, and before it is "
        "stopped");
  }

  void check_timeouts() {
    for (const sql::TimeoutDefault& each : checkup_.timeouts) {
      const std::string reset = "RESET " + each.setting;
      note({},
           each.setting + " = " + each.value + " is set for the " + (each.of_role ? "role" : "database") +
               "; that does no harm here, as all sessions of this library set it to what they need",
           (!each.of_role      ? "ALTER DATABASE " + database() + " " + reset + ";"
            : each.of_database ? alter_role("IN DATABASE " + database() + " " + reset)
                               : alter_role(reset)) +
               " -- if nobody else needs it");
    }
  }

  void check_filter(const sql::TableFacts& table) {
    if (!table.shape.row_filter) return;
    std::string remedy;
    for (const sql::PublishedBy& each : table.publications) {
      const std::string alter = "ALTER PUBLICATION " + sql::identifier(each.name);
      const std::string name = (table.shape.kind == 'p' ? "" : "ONLY ") + sql::identifier(table.shape.table);
      if (!remedy.empty()) remedy += ' ';
      remedy.append(alter).append(" DROP TABLE ").append(name).append("; ");
      remedy.append(alter).append(" ADD TABLE ").append(name).append(";");
    }
    note(to_string(table.shape.table), "the publication filters its rows, so only some of them are replicated",
         remedy + " -- if all are wanted");
  }

  [[nodiscard]] std::string database() const { return sql::identifier(checkup_.database); }
  [[nodiscard]] std::string alter_role(std::string_view what) const {
    return "ALTER ROLE " + role_ + " " + std::string{what} + ";";
  }
  [[nodiscard]] std::string name_of(std::size_t table) const { return to_string(tables_[table].shape.table); }

  const ServerShape& server_;
  const sql::Checkup& checkup_;
  std::span<const sql::TableFacts> tables_;
  std::string role_;
  std::vector<Finding> out_;
};

/// What can be said of the way to the server.
[[nodiscard]] inline std::vector<Finding> judge_connection(const ConnectionFacts& connection) {
  std::vector<Finding> out;
  const auto warn = [&](std::string what, std::string remedy) {
    out.push_back({Finding::Severity::warning, {}, {}, std::move(what), std::move(remedy)});
  };
  if (!connection.local && !connection.gss) {
    static constexpr std::string_view verified =
        "add sslmode=verify-full to the connection string, and sslrootcert with the certificate of who signed the "
        "server's (or sslrootcert=system, from libpq 16 on)";
    if (!connection.tls) {
      warn("the connection is not encrypted: who is in between can read, and change, all that it carries",
           "turn TLS on (in postgresql.conf ssl = on, with ssl_cert_file and ssl_key_file), and " +
               std::string{verified});
    } else if (connection.sslmode != "verify-full") {
      warn("the connection is encrypted, but with sslmode=" + connection.sslmode +
               " nobody checks that it leads to the right server",
           std::string{verified});
    }
  }
  if (!connection.keepalives) {
    warn("TCP keepalives are off: a connection to a host that is gone may never be noticed to be dead",
         "take keepalives=0 out of the connection string");
  }
  return out;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
