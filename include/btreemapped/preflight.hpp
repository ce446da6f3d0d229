#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/detail/loop/table_judge.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/quote.hpp>
#include <btreemapped/detail/sql/table_facts.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// The first version with row filters, column lists and the catalogs that are read here.
inline constexpr int oldest_server_version = 150000;

[[nodiscard]] inline bool has_errors(std::span<const Problem> problems) noexcept {
  return std::any_of(problems.begin(), problems.end(),
                     [](const Problem& each) { return each.severity == Problem::Severity::error; });
}

/// What keeps this server from being followed at all.
[[nodiscard]] inline std::vector<Problem> judge_server(const ServerShape& server, const ServerUse& use = {}) {
  std::vector<Problem> out;
  const auto add = [&](std::string what, std::string remedy, Problem::Severity severity = Problem::Severity::error) {
    out.push_back({severity, {}, {}, std::move(what), std::move(remedy)});
  };

  if (server.version < oldest_server_version) {
    add("the server is PostgreSQL " + std::to_string(server.version / 10000) + "; 15 is the oldest that will do",
        "upgrade the server");
    return out;
  }
  if (server.in_recovery && server.version < 160000) {
    add("the server is a standby; logical decoding on standbys needs PostgreSQL 16",
        "connect to the primary: add target_session_attrs=read-write to the connection string");
  }
  if (server.wal_level != "logical") {
    add("wal_level is " + server.wal_level + "; it must be logical",
        "ALTER SYSTEM SET wal_level = 'logical'; -- and restart the server");
  }

  if (use.failover_slot && server.version < 170000) {
    add("the server is PostgreSQL " + std::to_string(server.version / 10000) + "; failover slots need 17",
        "set failover_slot = false, or upgrade the server");
  } else if (use.failover_slot && server.in_recovery) {
    add("the server is a standby, where no failover slot can be made",
        "connect to the primary: name all hosts, and add target_session_attrs=read-write to the connection string");
  }

  if (server.waits_for_us && use.never_ahead) {
    add("commits wait for a standby of this very name, which with never_ahead waits for them",
        "take our application_name out of synchronous_standby_names, or set never_ahead = false");
  } else if (server.waits_for_us && use.temporary_slot) {
    add("commits wait for a standby of this very name (synchronous_standby_names), and the slot is a temporary one: "
        "after a lost connection a new slot waits for these commits, and they for us, for ever",
        "set durable_slot and slot_name in the options, or take our application_name out of synchronous_standby_names",
        Problem::Severity::warning);
  }

  const auto check_free = [&](std::string_view what, std::string_view setting, int limit, int used) {
    const int free = limit - used;
    if (free >= 1) return;
    add("none of the " + std::to_string(limit) + " " + std::string{what} + " is free; the stream needs one",
        "ALTER SYSTEM SET " + std::string{setting} + " = " + std::to_string(used + 4) + "; -- and restart the server");
  };
  check_free("replication slots", "max_replication_slots", server.max_slots, server.used_slots);
  check_free("walsenders", "max_wal_senders", server.max_senders, server.used_senders);
  return out;
}

/// A table as it is, and what a row type asks of it.
struct TableToJudge {
  const sql::TableFacts& facts;
  std::span<const FieldNeed> needs;
};

/// Publications that are not there, with the SQL that makes them for all these tables. To be told last: an unlogged
/// table, say, has to be mended before it can be published.
[[nodiscard]] inline std::vector<Problem> judge_publications(const PreflightContext& context,
                                                             std::span<const TableToJudge> tables) {
  std::vector<Problem> out;
  if (context.server.publications.empty())
    out.push_back({Problem::Severity::error, {}, {}, "no publication is named", "name one in the options"});
  const bool on_standby = context.server.in_recovery;
  if (context.creates_publication && !on_standby) return out;
  constexpr std::size_t longest_name = 63;
  std::vector<std::string> list;
  bool partitioned = false;
  for (const TableToJudge& each : tables) {
    const TableShape& shape = each.facts.shape;
    if (shape.oid == 0 || (shape.kind != 'r' && shape.kind != 'p')) continue;
    std::string name = (shape.kind == 'p' ? "" : "ONLY ") + sql::identifier(shape.table);
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(std::move(name));
    partitioned = partitioned || shape.kind == 'p';
  }
  for (const PublicationShape& publication : context.server.publications) {
    if (publication.exists) continue;
    if (publication.name.size() > longest_name) {
      out.push_back({Problem::Severity::error,
                     {},
                     {},
                     "there is no publication " + publication.name + ": a name has at most " +
                         std::to_string(longest_name) + " bytes",
                     "name one in the options"});
      continue;
    }
    const std::string tail = list.empty() ? "" : " FOR TABLE " + sql::comma_separated(list, std::identity{});
    out.push_back({Problem::Severity::error,
                   {},
                   {},
                   "there is no publication " + publication.name,
                   "CREATE PUBLICATION " + sql::identifier(publication.name) + tail +
                       (partitioned ? " WITH (publish_via_partition_root = true);" : ";") +
                       (on_standby ? " -- on the primary" : "")});
  }
  return out;
}

/// Adds those that are not yet there: the same table may be asked for by several row types.
inline void add_new(std::vector<Problem>& to, std::span<const Problem> problems) {
  for (const Problem& each : problems) {
    const auto same = [&](const Problem& known) {
      return known.table == each.table && known.column == each.column && known.what == each.what;
    };
    if (std::none_of(to.begin(), to.end(), same)) to.push_back(each);
  }
}

/// All that keeps these tables from being followed. Pure: the catalog has been read.
[[nodiscard]] inline std::vector<Problem> judge(const PreflightContext& context, std::span<const TableToJudge> tables) {
  std::vector<Problem> out = judge_server(context.server, context.use);
  if (context.server.version < oldest_server_version) return out;  // nothing else could be read
  for (const TableToJudge& each : tables) add_new(out, TableJudge{context, each.facts, each.needs}.judge());
  add_new(out, judge_publications(context, tables));
  return out;
}

/// All problems in one message: the errors first, numbered if they are several, each with its remedy on a line of its
/// own.
[[nodiscard]] inline std::string describe(std::span<const Problem> problems) {
  std::string out;
  std::size_t number = 0;
  for (const Problem::Severity severity :
       {Problem::Severity::error, Problem::Severity::warning, Problem::Severity::note}) {
    for (const Problem& each : problems) {
      if (each.severity != severity) continue;
      out += out.empty() ? "" : "\n";
      if (problems.size() > 1) out += std::to_string(++number) + ". ";
      if (severity != Problem::Severity::error) out += std::string{to_string(severity)} + ": ";
      out += each.table.empty() ? std::string{"server"} : each.table;
      if (!each.column.empty()) out += ", column " + each.column;
      out += ": " + each.what + "\n   remedy: " + each.remedy;
    }
  }
  return out;
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
