#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/loop/catalog_watch.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/pq/snapshot_copy.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/sql/blockers.hpp>
#include <btreemapped/detail/sql/catalog.hpp>
#include <btreemapped/detail/sql/copy_guard.hpp>
#include <btreemapped/detail/sql/publication.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/detail/sql/visibility.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/copy_text.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/preflight.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A server: a connection string that leads to no other one, and its identity, to be sure.
struct StreamSource {
  std::string connection{};
  std::string system_identifier{};  ///< empty: any will do
};

/// One attempt to copy tables at one snapshot, and to follow them from there: from connecting to the start of the
/// stream. Its sessions, and the work on them that may block. A worker thread does one step after the other; the stream
/// then belongs to the driver.
class Attempt {
 public:
  /// Says what becomes of the rows of a table, as they were at `position`.
  using Reader = std::function<std::unique_ptr<TableCopy>(const Table& table, ColumnMap map, Lsn position)>;

  /// What is to be copied, from where.
  struct Plan {
    StreamSource source{};
    std::string slot_name{};
    std::vector<Table*> tables{};
    bool follows = true;  ///< a stream is to begin where the copy ends
    Reader reader{};      ///< if the rows are not to take the place of those that are served
  };

  /// Called while a table is copied, on the worker's thread.
  using OnProgress = std::function<void(const Table& table, std::size_t rows)>;

  Attempt(const Options& options, std::shared_ptr<Store> store, Plan plan)
      : plan_(std::move(plan)),
        publications_(publication_names(options)),
        create_publication_(options.create_publication && plan_.follows),
        never_ahead_(options.never_ahead && plan_.follows),
        slot_timeout_(options.slot_timeout),
        lock_timeout_(options.lock_timeout),
        store_(std::move(store)) {}

  /// Ends whatever step is under way; it throws StoppedError. From any thread. Afterwards nobody looks at the rows that
  /// are served: a worker may be left behind, and they will change.
  void interrupt() noexcept {
    interrupt_->interrupt();
    const std::lock_guard lock(rows_mutex_);
  }

  struct Greeting {
    std::chrono::milliseconds sender_timeout{};
    std::uint64_t wal_block_size = 0;
  };

  Greeting connect() {
    stream_.emplace(pq::ReplicationStream::open(plan_.source.connection, interrupt_, no_deadline));
    backend_pid_ = stream_->connection().backend_pid();
    const pq::SystemIdentity identity = stream_->identify_system(no_deadline);
    if (!plan_.source.system_identifier.empty() && plan_.source.system_identifier != identity.system_identifier)
      throw_two_servers();
    plan_.source.system_identifier = identity.system_identifier;
    pinned_ = pq::pinned_to(pq::with_defaults(plan_.source.connection), stream_->connection().address());
    control_ = std::make_unique<sql::Session>(pinned_, interrupt_);
    const sql::Rows block = stream_->connection().exec("SHOW wal_block_size", "cannot read wal_block_size");
    return {stream_->sender_timeout(no_deadline), block.number<std::uint64_t>(0, 0)};
  }

  /// The very server that connect() reached, for further attempts.
  [[nodiscard]] StreamSource source() const { return {pinned_, plan_.source.system_identifier}; }

  [[nodiscard]] const std::vector<Table*>& tables() const noexcept { return plan_.tables; }

  struct Findings {
    std::vector<Problem> server{};
    std::vector<std::vector<Problem>> tables{};  ///< as Plan::tables
    std::vector<Problem> publications{};
  };

  /// Looks at server, publication and tables before any slot exists. Only tables without an error are followed.
  Findings check() {
    Catalog catalog = read_catalog();
    if (create_publication_ && !catalog.server.publications.front().exists && create_publication(catalog))
      catalog = read_catalog();
    if (catalog.server.system_identifier != plan_.source.system_identifier) throw_two_servers();
    Findings findings;
    server_ = catalog.server;
    findings.server = judge_server(server_, never_ahead_);
    if (catalog.tables.empty()) return findings;
    std::vector<TableToJudge> all;
    for (std::size_t i = 0; i < catalog.tables.size(); ++i)
      all.push_back({catalog.tables[i], plan_.tables[i]->needs()});
    findings.publications = judge_publications({server_}, all);
    for (std::size_t i = 0; i < plan_.tables.size(); ++i) {
      Table& table = *plan_.tables[i];
      findings.tables.push_back(TableJudge({server_}, catalog.tables[i], table.needs()).judge());
      if (!has_errors(findings.tables.back()))
        followed_.push_back({&table, std::make_shared<const TableShape>(std::move(catalog.tables[i].shape))});
    }
    return findings;
  }

  /// Blocks and locks: until the transactions that are writing now have ended, or slot_timeout.
  Lsn create_slot() {
    const Deadline deadline = std::chrono::steady_clock::now() + slot_timeout_ + std::chrono::seconds{1};
    slot_ = stream_->create_slot(plan_.slot_name, slot_timeout_, deadline);
    return slot_.consistent_point;
  }

  /// For whom create_slot() waits; to be asked on another thread meanwhile. Empty where that cannot be found out: no
  /// attempt fails for want of an explanation.
  std::string who_blocks() {
    const std::lock_guard lock(control_mutex_);
    try {
      return sql::describe(sql::find_blockers(*control_, backend_pid_));
    } catch (const Error&) {
      return {};
    }
  }

  struct Copied {
    Lsn position{};                         ///< of the snapshot
    std::vector<Commit::Change> changes{};  ///< what makes each table equal to its copy; sealed if a stream follows
    std::vector<Fault> faults{};            ///< tables that could not be copied
  };

  /// Copies all followed tables as the slot's snapshot shows them, after making sure that it shows them whole: a
  /// TRUNCATE or rewrite between slot and copy would leave it silently empty.
  Copied copy(const OnProgress& on_progress) {
    Copied out;
    out.position = slot_.consistent_point;
    pq::SnapshotCopy snapshot = pq::SnapshotCopy::open(pinned_, slot_.snapshot, interrupt_, no_deadline);
    if (plan_.follows) stream_->release_snapshot(no_deadline);
    else stream_.reset();  // and with it the slot: no log is held back for the sake of a copy
    guard(snapshot, out.faults);
    for (const Followed& each : followed_) copy_table(snapshot, each, on_progress, out);
    snapshot.commit(no_deadline);
    for (const Fault& fault : out.faults) forget(*fault.table);
    return out;
  }

  void start() { stream_->start(plan_.slot_name, Lsn{}, publications_, no_deadline); }

  /// The driver's, once started.
  [[nodiscard]] pq::ReplicationStream& stream() { return *stream_; }
  /// What has been copied, and as what; the driver's, once copied.
  [[nodiscard]] const std::vector<Followed>& followed() const noexcept { return followed_; }

  /// Those that no longer look as they did when they were copied, and those that would fit now.
  std::vector<Table*> changed_tables(const WatchList& list) {
    const std::lock_guard lock(control_mutex_);
    try {
      return find_altered(*control_, list, publications_, backend_pid_);
    } catch (const Error&) {
      // Somebody ended the session or the query. Once more, as the price of a failure is a copy of all tables.
      interrupt_->check();
      control_.reset();
      control_ = std::make_unique<sql::Session>(pinned_, interrupt_);  // fails when it is the server that has gone
      return find_altered(*control_, list, publications_, backend_pid_);
    }
  }

  /// Do those who read the server see this transaction by now?
  bool is_visible(std::uint32_t xid) {
    const std::lock_guard lock(control_mutex_);
    return sql::is_visible(*control_, xid);
  }

  /// Readable when the server ends the idle control session, as it does with all sessions when it shuts down.
  [[nodiscard]] int control_socket() const { return control_ == nullptr ? -1 : control_->socket(); }

 private:
  struct Catalog {
    ServerShape server{};
    std::vector<sql::TableFacts> tables{};
  };

  static constexpr std::size_t rows_per_report = 16'384;
  static constexpr std::chrono::milliseconds seal_slice{50};  // an interrupt() waits for it

  static sql::CopySource source_of(const Followed& followed) {
    return {followed.shape->table, followed.shape->kind, columns_of(*followed.table), followed.shape->row_filter,
            key_columns_of(*followed.table)};
  }

  [[noreturn]] static void throw_two_servers() {
    throw ConnectionError("two connections reached two different servers; name one server in the connection string",
                          {.retryable = true});
  }

  Catalog read_catalog() {
    Catalog catalog;
    catalog.server = sql::read_server(*control_, publications_, backend_pid_);
    if (catalog.server.version >= oldest_server_version)
      catalog.tables = sql::read_tables(*control_, names_of(plan_.tables), publications_);
    return catalog;
  }

  /// False when a table is not fit for it; check() then says why.
  bool create_publication(const Catalog& catalog) {
    std::vector<TableShape> shapes;
    for (std::size_t i = 0; i < catalog.tables.size(); ++i) {
      const sql::TableFacts& facts = catalog.tables[i];
      if (has_errors(TableJudge({catalog.server, true}, facts, plan_.tables[i]->needs()).judge())) return false;
      const auto same_table = [&](const TableShape& shape) { return shape.oid == facts.shape.oid; };
      if (std::none_of(shapes.begin(), shapes.end(), same_table)) shapes.push_back(facts.shape);
    }
    if (shapes.empty()) return false;
    sql::create_publication(*control_, publications_.front(), shapes);
    return true;
  }

  void forget(const Table& table) {
    std::erase_if(followed_, [&](const Followed& each) { return each.table == &table; });
  }

  /// Leaves out the tables that cannot be had at all.
  /// Throws: SchemaError, retryable, when a table changed after the slot was made, or somebody holds it.
  void guard(pq::SnapshotCopy& snapshot, std::vector<Fault>& faults) {
    const std::lock_guard lock(control_mutex_);
    std::vector<sql::CopySource> sources;
    for (const Followed& each : followed_) sources.push_back(source_of(each));
    const sql::GuardReport report =
        sql::guard_copy(snapshot, *control_, sources, publications_, lock_timeout_, no_deadline);
    const auto again = [&](std::size_t table, const std::string& what, const std::string& sqlstate) {
      // All tables of the first copies belong together; those that are copied alone do not wait for each other.
      if (plan_.follows)
        throw SchemaError(what, {.sqlstate = sqlstate, .table = to_string(sources[table].table), .retryable = true});
      faults.push_back({followed_[table].table, {}, what, slot_.consistent_point, true, sqlstate, sqlstate.empty()});
    };
    const auto altered = [&](std::size_t i) {
      again(i, "table " + to_string(sources[i].table) + " was altered before it was to be copied", "");
    };
    std::vector<bool> found(sources.size(), false);
    for (const sql::GuardFinding& finding : report.findings) {
      const std::size_t i = finding.table;
      found[i] = true;
      if (finding.retryable) again(i, finding.what, finding.sqlstate);
      else if (!has_same_definition(followed_[i], report.fingerprints[i])) altered(i);
      else faults.push_back({followed_[i].table, {}, finding.what, slot_.consistent_point, false, finding.sqlstate});
    }
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (found[i]) continue;
      if (!has_same_definition(followed_[i], report.fingerprints[i])) {
        altered(i);
        continue;
      }
      auto copied = std::make_shared<TableShape>(*followed_[i].shape);
      copied->fingerprint = report.fingerprints[i];
      followed_[i].shape = std::move(copied);
    }
    for (const Fault& fault : faults) forget(*fault.table);
  }

  std::unique_ptr<TableCopy> make_copy(const Followed& followed) {
    Table& table = *followed.table;
    ColumnMap map = map_copied_columns(table.needs(), *followed.shape);
    if (plan_.reader) return plan_.reader(table, std::move(map), slot_.consistent_point);
    const bool compare = !plan_.follows || table.row_count() > 0;
    return compare ? table.make_comparison(std::move(map)) : table.make_copy(std::move(map));
  }

  void copy_table(pq::SnapshotCopy& snapshot, const Followed& followed, const OnProgress& on_progress, Copied& out) {
    Table& table = *followed.table;
    std::unique_ptr<TableCopy> copy;
    std::optional<Fault> fault = touching_rows(table, [&] {
      copy = make_copy(followed);
      return Failure{};
    });
    std::string scratch;
    std::vector<wire::Cell> cells;
    const auto report = [&](std::size_t rows) {
      if (plan_.reader) return;
      table.set_copied_rows(rows);
      if (rows > 0) on_progress(table, rows);
    };
    report(0);
    try {
      bool again = !fault;
      while (again) {
        snapshot.copy(source_of(followed), [&](std::string_view line) {
          if (fault) return;  // the rest is read and dropped, so that the session can go on with the next table
          fault = add_line(table, *copy, line, scratch, cells);
          if (!fault && copy->row_count() % rows_per_report == 0) report(copy->row_count());
        });
        again = !fault && copy->wants_another_pass();
      }
    } catch (const SchemaError& error) {
      // Some troubles count as passing, but are this table's: a value too large to be printed (XX000), a broken page.
      const bool of_table = sql::has_class(error.sqlstate(), "XX") || sql::has_class(error.sqlstate(), "58");
      if (error.retryable() && !of_table) throw;
      if (!fault) fault = Fault{&table, {}, error.what(), slot_.consistent_point, false, error.sqlstate()};
    }
    const std::size_t rows = copy == nullptr ? 0 : copy->row_count();
    std::unique_ptr<Delta> change;
    if (!fault) fault = touching_rows(table, [&] { return copy->finish(change, [this] { interrupt_->check(); }); });
    for (bool sealed = !plan_.follows; !fault && !sealed;) {
      fault = touching_rows(table, [&] {
        const std::optional<Failure> outcome = change->seal(std::chrono::steady_clock::now() + seal_slice);
        sealed = outcome.has_value();
        return outcome.value_or(Failure{});
      });
    }
    if (fault) {
      out.faults.push_back(std::move(*fault));
      return;
    }
    if (plan_.reader) return;
    table.set_copied_rows(rows);
    on_progress(table, rows);
    out.changes.push_back({&table, std::move(change)});
  }

  std::optional<Fault> add_line(Table& table, TableCopy& copy, std::string_view line, std::string& scratch,
                                std::vector<wire::Cell>& cells) {
    return touching_rows(table, [&] {
      if (const Errc error = wire::split_copy_line(line, scratch, cells); error != Errc::ok)
        throw ProtocolError("a line of COPY cannot be read: " + std::string(describe(error)),
                            {.table = to_string(table.name())});
      return copy.add(cells);
    });
  }

  /// For what may look at the rows that are served.
  template <class Step>
  std::optional<Fault> touching_rows(Table& table, Step&& step) {
    const std::lock_guard lock(rows_mutex_);
    interrupt_->check();
    try {
      if (const Failure failure = step()) return make_fault(table, failure, slot_.consistent_point);
    } catch (const std::bad_alloc&) {
      return Fault{&table, {}, "out of memory", slot_.consistent_point, true, {}};
    }
    return std::nullopt;
  }

  Plan plan_;
  const std::vector<std::string> publications_;
  const bool create_publication_;
  const bool never_ahead_;
  const std::chrono::milliseconds slot_timeout_;
  const std::chrono::milliseconds lock_timeout_;
  const std::shared_ptr<Store> store_;  // also keeps the tables that a left-behind step may still write to

  const std::shared_ptr<Interrupt> interrupt_ = std::make_shared<Interrupt>();
  std::optional<pq::ReplicationStream> stream_{};
  int backend_pid_ = 0;
  std::mutex rows_mutex_{};
  std::mutex control_mutex_{};  // a late answer to who_blocks() may overlap the next step
  std::unique_ptr<sql::Session> control_{};
  std::string pinned_{};
  ServerShape server_{};
  std::vector<Followed> followed_{};
  pq::CreatedSlot slot_{};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
