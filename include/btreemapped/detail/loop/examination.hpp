#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/loop/checkup_judge.hpp>
#include <btreemapped/detail/loop/untyped_needs.hpp>
#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/catalog.hpp>
#include <btreemapped/detail/sql/checkup.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/table_name.hpp>
#include <btreemapped/diagnosis.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/preflight.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A table to be examined, and what its row type needs, if there is one.
struct Subject {
  TableName name{};
  std::span<const FieldNeed> needs{};
};

/// One visit of the doctor: connects as a Replicator would, looks, and changes nothing.
class Examination {
 public:
  /// `slots`: how many a Replicator may need at once, beside those in use.
  Examination(const Options& options, std::vector<Subject> subjects, int slots = 2)
      : options_(options), subjects_(std::move(subjects)), slots_(slots), publications_(publication_names(options)) {}

  [[nodiscard]] Diagnosis run() && {
    check_options(options_);
    try {
      examine();
    } catch (const Error& error) {
      add_error(error.what(), "ask again; if it stays so, look into the server's log");
    }
    const auto rank = [](const Finding& finding) { return -static_cast<int>(finding.severity); };
    std::stable_sort(out_.findings.begin(), out_.findings.end(),
                     [&](const Finding& left, const Finding& right) { return rank(left) < rank(right); });
    return std::move(out_);
  }

 private:
  static constexpr std::chrono::minutes patience{1};

  void add_error(std::string what, std::string remedy) {
    out_.findings.push_back({Finding::Severity::error, {}, {}, std::move(what), std::move(remedy)});
  }
  void add(std::vector<Finding> findings) {
    std::move(findings.begin(), findings.end(), std::back_inserter(out_.findings));
  }

  void examine() {
    std::optional<pq::Connection> connection = connect();
    if (!connection) return;
    add(judge_connection(facts_of(*connection)));
    if (is_behind_pooler(*connection)) return;
    sql::Session session(pq::pinned_to(pq::with_defaults(options_.connection), connection->address()), interrupt_,
                         catalog_lock_timeout(options_));
    std::optional<pq::ReplicationStream> stream = connect_to_replicate();

    const ServerShape server =
        sql::read_server(session, publications_, stream ? stream->connection().backend_pid() : 0);
    out_.role = server.role;
    if (stream) check_same_server(*stream, server);
    if (server.version < oldest_server_version) return add(judge_server(server));
    if (subjects_.empty())
      for (TableName& name : sql::read_published_tables(session, publications_)) subjects_.push_back({std::move(name)});
    judge_tables(session, server, stream.has_value());
  }

  /// An ordinary session, as psql would have it.
  std::optional<pq::Connection> connect() {
    static constexpr pq::ConninfoOverride plain[] = {{"replication", ""}};
    try {
      pq::Connection connection =
          pq::Connection::open(pq::with_overrides(options_.connection, plain), interrupt_, deadline());
      const pq::Address at = connection.address();
      const int version = connection.server_version();
      out_.server = "PostgreSQL " + std::to_string(version / 10000) + "." + std::to_string(version % 10000) + " at " +
                    at.host + " port " + at.port;
      return connection;
    } catch (const ConnectionError& error) {
      add_error(error.what(), remedy_for(error));
    } catch (const SchemaError& error) {  // of the settings that each session begins with
      add_error(error.what(), "connect to the server itself: what answers here is no PostgreSQL, or not all of it");
    }
    return std::nullopt;
  }

  /// The only sure test of the right to replicate.
  std::optional<pq::ReplicationStream> connect_to_replicate() {
    try {
      return pq::ReplicationStream::open(options_.connection, interrupt_, deadline());
    } catch (const ConnectionError& error) {
      if (error.sqlstate() == "42501") {
        add_error("role " + option("user") + " may not replicate",
                  "ALTER ROLE " + sql::identifier(option("user")) + " REPLICATION;");
      } else {
        add_error("for replication: " + std::string{error.what()},
                  error.sqlstate() == "53300" ? "end what uses the walsenders, or ALTER SYSTEM SET max_wal_senders = "
                                                "20; -- and restart the server"
                                              : remedy_for(error));
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] std::string remedy_for(const ConnectionError& error) const {
    const std::string role = sql::identifier(option("user"));
    const std::string database = sql::identifier(option("dbname"));
    if (error.sqlstate() == "42501") return "GRANT CONNECT ON DATABASE " + database + " TO " + role + ";";
    if (error.sqlstate() == "3D000") return "CREATE DATABASE " + database + "; or name another one";
    if (error.sqlstate() == "28P01")
      return "give the password in a password file or the connection string; ALTER ROLE " + role +
             " PASSWORD '…'; sets a new one";
    if (sql::has_class(error.sqlstate(), "28")) {
      return "CREATE ROLE " + role + " LOGIN REPLICATION; if there is none, or else a line in pg_hba.conf: host " +
             option("dbname") + " " + option("user") +
             " <our address>/32 scram-sha-256, and then SELECT pg_reload_conf();";
    }
    if (error.sqlstate() == "53300") return "end idle sessions, or raise max_connections and restart the server";
    if (sql::has_class(error.sqlstate(), "57")) return "wait until the server has started";
    return "see that host and port are right, that the server runs and listens there (listen_addresses), and that no "
           "firewall is in between";
  }

  [[nodiscard]] std::string option(std::string_view keyword) const {
    const pq::Conninfo effective = pq::effective_conninfo(options_.connection);
    const std::string* value = pq::find_option(effective, keyword);
    if (value == nullptr && keyword == "dbname") value = pq::find_option(effective, "user");  // libpq's default
    return value == nullptr ? std::string{} : *value;
  }

  [[nodiscard]] ConnectionFacts facts_of(const pq::Connection& connection) const {
    const pq::Address at = connection.address();
    const std::string sslmode = option("sslmode");
    ConnectionFacts facts;
    facts.local =
        at.host.starts_with('/') || at.host.starts_with('@') || at.hostaddr.starts_with("127.") || at.hostaddr == "::1";
    facts.tls = connection.has_tls();
    facts.gss = connection.has_gss_encryption();
    facts.sslmode = sslmode.empty() ? "prefer" : sslmode;
    facts.keepalives = at.host.starts_with('/') || option("keepalives") != "0";
    return facts;
  }

  /// A pooler lets several clients share its sessions, and so tells each of them a number of its own making.
  bool is_behind_pooler(pq::Connection& connection) {
    const sql::Rows rows = connection.exec(
        "SELECT pg_catalog.pg_backend_pid(), pg_catalog.host(pg_catalog.inet_server_addr()), "
        "pg_catalog.current_setting('port')",
        "cannot ask the server who it is", deadline());
    if (rows.number<int>(0, 0) == connection.backend_pid()) return false;
    const std::string host = rows.is_null(0, 1) ? "the server's own host" : "host=" + rows.string(0, 1);
    add_error("a pooler is in between: it promised backend " + std::to_string(connection.backend_pid()) +
                  ", and backend " + rows.string(0, 0) +
                  " answered. Replication needs a session of its own; role and tables were not looked at",
              "connect to the server itself: " + host + " port=" + rows.string(0, 2));
    return true;
  }

  void check_same_server(pq::ReplicationStream& stream, const ServerShape& server) {
    if (stream.identify_system(deadline()).system_identifier == server.system_identifier) return;
    add_error("two connections reached two different servers",
              "name one server in the connection string, and none that passes connections on");
  }

  void judge_tables(sql::Session& session, const ServerShape& server, bool may_replicate) {
    std::vector<TableName> names;
    for (const Subject& each : subjects_) names.push_back(each.name);
    const std::vector<sql::TableFacts> facts = sql::read_tables(session, names, publications_);
    const PreflightContext context{
        server, options_.create_publication, {options_.never_ahead, !options_.durable_slot, options_.failover_slot}};

    std::vector<std::vector<FieldNeed>> needs;
    for (std::size_t n = 0; n < facts.size(); ++n) {
      out_.tables.push_back(to_string(names[n]));
      const std::span<const FieldNeed> typed = subjects_[n].needs;
      needs.push_back(typed.empty() ? likeliest_needs(context, facts[n])
                                    : std::vector<FieldNeed>(typed.begin(), typed.end()));
    }
    std::vector<TableToJudge> tables;
    std::vector<TableShape> shapes;
    for (std::size_t n = 0; n < facts.size(); ++n) {
      tables.push_back({facts[n], needs[n]});
      shapes.push_back(facts[n].shape);
    }
    add(judge(context, tables));
    check_any_table(server);
    for (std::size_t n = 0; n < facts.size(); ++n)
      if (subjects_[n].needs.empty()) note_unreadable(server, facts[n]);
    add(CheckupJudge{server, sql::read_checkup(session, shapes), facts}.judge(
        {slots_, options_.create_publication && !server.in_recovery, may_replicate, options_.durable_slot,
         options_.failover_slot, !options_.primary_connection.empty()}));
  }

  /// Those with a key that will do, if there is one.
  [[nodiscard]] static std::vector<FieldNeed> likeliest_needs(const PreflightContext& context,
                                                              const sql::TableFacts& facts) {
    std::vector<std::vector<FieldNeed>> all = untyped_needs(facts.shape);
    for (std::vector<FieldNeed>& each : all)
      if (!has_errors(TableJudge{context, facts, each}.judge())) return std::move(each);
    return std::move(all.front());
  }

  void check_any_table(const ServerShape& server) {
    const bool there = std::any_of(server.publications.begin(), server.publications.end(),
                                   [](const PublicationShape& each) { return each.exists; });
    if (!subjects_.empty() || !there) return;
    add_error("publication " + publications_.front() + " publishes no table",
              "ALTER PUBLICATION " + sql::identifier(publications_.front()) + " ADD TABLE …;");
  }

  /// Columns that a row type may not name.
  void note_unreadable(const ServerShape& server, const sql::TableFacts& facts) {
    std::string unreadable;
    std::string unpublished;
    const auto append = [](std::string& list, const std::string& name) {
      list += (list.empty() ? "" : ", ") + sql::identifier(name);
    };
    bool readable = false;
    for (const ColumnShape& column : facts.shape.columns) {
      readable = readable || column.selectable;
      if (!column.published && facts.shape.published) append(unpublished, column.name);
      else if (!column.selectable) append(unreadable, column.name);
    }
    const auto note = [&](std::string what, std::string remedy) {
      out_.findings.push_back(
          {Finding::Severity::note, to_string(facts.shape.table), {}, std::move(what), std::move(remedy)});
    };
    if (!unpublished.empty())
      note("it is published without " + unpublished, "leave those out of the row, or publish them");
    if (readable && !unreadable.empty()) {
      note("role " + server.role + " may not read " + unreadable,
           "leave those out of the row, or GRANT SELECT (" + unreadable + ") ON " + sql::identifier(facts.shape.table) +
               " TO " + sql::identifier(server.role) + ";");
    }
  }

  [[nodiscard]] static Deadline deadline() { return std::chrono::steady_clock::now() + patience; }

  const Options& options_;
  std::vector<Subject> subjects_;
  const int slots_;
  const std::vector<std::string> publications_;
  const std::shared_ptr<Interrupt> interrupt_ = std::make_shared<Interrupt>();
  Diagnosis out_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
