#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <pqxx/except>

#include <btreemapped.hpp>

#include "fault/soak/deck.hpp"
#include "fault/soak/scene.hpp"
#include "model/tables.hpp"
#include "support/child_process.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/random.hpp"
#include "support/sql.hpp"

namespace soak {

/// Brings about every fault in every phase of following. When strike() returns the server is up and the network is as
/// it should be, but for connections that are dead for ever.
class Chaos {
 public:
  Chaos(Scene& scene, std::uint64_t seed) : scene_(scene), random_(seed), deck_(wanted_pairs(), seed) {}

  struct Struck {
    std::string fault{};
    std::string phase{};
  };

  Struck strike() {
    const Pair pair = deck_.deal(
        [&](const Pair& each) { return faults[each.fault].strikes != On::durable_slot || scene_.is_durable(); });
    const Fault& fault = faults[pair.fault];
    const Phase& phase = phases[pair.phase];
    scene_.events().note(std::string{fault.name} + ", " + phase.name);
    std::future<void> reader;
    if (one_in(4)) reader = read_slowly();
    const bool reached = fault.strikes == On::process ? start_child(phase) : reach(phase, fault);
    const auto release = std::async(std::launch::async, [this, time = Time{below(1'500)}] {
      std::this_thread::sleep_for(time);
      scene_.proxy().release();
      scene_.events().note("released");
    });
    const bool struck = fault.strike(*this);
    release.wait();
    if (verification_.valid()) verification_.get();
    if (reader.valid()) reader.get();
    if (reached && struck) deck_.strike(pair);
    else deck_.miss(pair);
    return {fault.name + std::string{struck ? "" : " (nothing there)"},
            phase.name + std::string{reached ? "" : " (missed)"}};
  }

  [[nodiscard]] bool is_filtered() const { return std::getenv(filter) != nullptr; }
  [[nodiscard]] bool has_covered_all() const { return deck_.covered() == deck_.size(); }

  /// How often each fault has struck in each phase.
  [[nodiscard]] std::string report() const {
    std::string out = std::to_string(deck_.covered()) + " of " + std::to_string(deck_.size()) +
                      " pairs of a fault and a phase; the columns are:";
    for (const Phase& phase : phases) out += std::string{" "} + phase.name + ";";
    for (std::size_t fault = 0; fault < faults.size(); ++fault) {
      out += "\n ";
      for (std::size_t phase = 0; phase < std::size(phases); ++phase) {
        const Pair pair{fault, phase};
        std::string cell = deck_.has(pair) ? std::to_string(deck_.struck(pair)) : "-";
        if (const std::size_t missed = deck_.missed(pair); missed > 0) cell += "+" + std::to_string(missed);
        out += std::string(cell.size() < 5 ? 5 - cell.size() : 1, ' ') + cell;
      }
      out += std::string{"  "} + faults[fault].name;
    }
    return out + "\n(1+2: struck once and missed twice; -: cannot be, as no session copies then, or not asked for)";
  }

 private:
  using Kind = test::Proxy::Kind;
  using Way = test::Proxy::Way;
  using Time = std::chrono::milliseconds;

  /// What a fault strikes, and must be there for it.
  enum class On {
    anything,
    copy_session,  ///< only where a table is being copied
    durable_slot,  ///< which a Replicator with a temporary slot does not have
    process,       ///< a child process, which is in the phase instead of the scene's Replicator
  };

  struct Fault {
    const char* name;
    bool (*strike)(Chaos&);  ///< false when there was nothing to strike
    On strikes = On::anything;
  };

  enum class At { idle, transaction, no_slot, before_copy, copy };

  struct Phase {
    At at;
    const char* name;
    std::vector<const char*> statements;  ///< one of which is held; empty: none
    std::size_t least = 0;                ///< bytes of its answer after which it is held; 0: before it is sent
    std::size_t more = 0;                 ///< and up to so many more
  };

  enum class Anew { all_tables, verification, one_table };

  static constexpr Anew anews[] = {Anew::all_tables, Anew::all_tables, Anew::verification, Anew::one_table};
  static const std::vector<Phase> phases;
  static const std::vector<Fault> faults;

  static constexpr Time longest_read{3'000};
  static constexpr const char* filter = "BTREEMAPPED_SOAK_FAULT";
  static constexpr const char* any_session = "backend_type = 'client backend'";
  static constexpr const char* walsender = "backend_type = 'walsender'";
  static constexpr const char* copy_session = "backend_type = 'client backend' AND xact_start IS NOT NULL";

  static std::vector<Pair> wanted_pairs() {
    const char* const wanted = std::getenv(filter);
    std::vector<Pair> out;
    for (std::size_t fault = 0; fault < faults.size(); ++fault)
      for (std::size_t phase = 0; phase < phases.size(); ++phase)
        if ((wanted == nullptr || std::string_view{faults[fault].name}.find(wanted) != std::string_view::npos) &&
            (faults[fault].strikes != On::copy_session || phases[phase].at >= At::before_copy))
          out.push_back({fault, phase});
    if (out.empty()) throw std::runtime_error(std::string{"no fault has this in its name: "} + wanted);
    return out;
  }

  std::uint64_t below(std::uint64_t limit) { return test::below(random_, limit); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  Kind some_kind() {
    static constexpr Kind kinds[] = {Kind::any, Kind::stream, Kind::control, Kind::copy};
    return kinds[below(std::size(kinds))];
  }

  /// Lets time pass while the fault lasts: mostly a moment, sometimes longer than wal_sender_timeout, which is 5 s.
  void last() {
    const bool is_long = one_in(6);
    std::this_thread::sleep_for(Time{is_long ? 5'500 + below(4'000) : 20 + below(800)});
  }

  void hold(test::Proxy& proxy, const Phase& phase) {
    const char* const statement = phase.statements[below(phase.statements.size())];
    if (phase.least == 0) proxy.hold(statement);
    else proxy.hold_answer(statement, phase.least + below(phase.more));
  }

  /// Somebody begins anew, and is held where the phase says.
  bool reach(const Phase& phase, const Fault& fault) {
    if (phase.at == At::idle) return true;
    test::Proxy& proxy = scene_.proxy();
    hold(proxy, phase);
    bool held = false;
    if (phase.at == At::transaction) {
      proxy.drop(Kind::stream);
      // A slow reader may be in the way of an earlier commit.
      held = write_until_held(proxy) &&
             test::eventually([&] { return scene_.replicator().status().memory.transaction > 0; }, 2 * longest_read);
    } else {
      // A slot can be dropped only where there is one: a verification's is not there yet.
      const bool needs_slot = phase.at == At::no_slot && fault.strikes == On::durable_slot;
      begin_anew(phase, needs_slot ? Anew::verification : anews[below(std::size(anews))]);
      held = proxy.is_held_within(std::chrono::seconds{5});
    }
    scene_.events().note(held ? "held" : "nobody was held");
    if (!held) proxy.release();
    return held;
  }

  void begin_anew(const Phase& phase, Anew anew) {
    switch (anew) {
      case Anew::all_tables: return rebuild();
      case Anew::verification:
        verification_ = std::async(std::launch::async, [this] {
          btreemapped::VerifyOptions options;
          options.timeout = std::chrono::seconds{10};
          require_not_different(scene_.replicator().verify(options));
        });
        return;
      case Anew::one_table:
        if (phase.at == At::copy) scene_.exec("ALTER TABLE items ALTER name TYPE text USING upper(name)");
        else if (!alter()) rebuild();
    }
  }

  /// What a durable slot is for: without it everything is copied.
  void rebuild() {
    if (!scene_.is_durable()) return scene_.proxy().drop(Kind::stream);
    scene_.proxy().cut();
    drop_slot();
    scene_.proxy().mend();
  }

  /// A transaction that is long enough to be held in its middle.
  void write_items() {
    scene_.exec(std::string{"UPDATE items SET name = repeat('"} + static_cast<char>('a' + below(26)) + "', 100)");
  }
  bool write_until_held(test::Proxy& proxy) {
    return test::eventually(
        [&] {
          write_items();
          return proxy.is_held_within(Time{200});
        },
        std::chrono::seconds{5});
  }

 public:
  /// Throws: with the numbers, when a replica differs from its table.
  static void require_not_different(const std::vector<btreemapped::TableVerification>& reports) {
    for (const auto& report : reports)
      if (report.verdict == btreemapped::Verdict::different)
        throw std::runtime_error(report.table + " differs at " + to_string(report.lsn) + ": of " +
                                 std::to_string(report.rows) + " rows " + std::to_string(report.missing) +
                                 " are missing, " + std::to_string(report.extra) + " are too many, " +
                                 std::to_string(report.different) + " have other values");
  }

 private:
  std::future<void> read_slowly() {
    return std::async(std::launch::async, [this, time = Time{below(longest_read.count())}] {
      scene_.replicas().accounts.get_with(0, [](const model::Account&) {});
      const auto guard = scene_.replicas().accounts.read();
      std::this_thread::sleep_for(time);
    });
  }

  // ---- the server

  bool end(const std::string& condition) {
    const std::string pid = scene_.backend(condition);
    if (!pid.empty()) scene_.exec("SELECT pg_terminate_backend(" + pid + ")");
    return !pid.empty();
  }
  bool cancel(const std::string& condition) {
    const std::string pid = scene_.backend(condition);
    if (!pid.empty()) scene_.exec("SELECT pg_cancel_backend(" + pid + ")");
    return !pid.empty();
  }
  bool kill(const std::string& condition) {
    const std::string pid = scene_.backend(condition);
    if (!pid.empty()) scene_.server().signal("KILL", pid);
    return !pid.empty();
  }
  bool stop_for_a_while(const std::string& condition) {
    const std::string pid = scene_.backend(condition);
    if (pid.empty()) return false;
    scene_.server().signal("STOP", pid);
    last();
    scene_.server().signal("CONT", pid);
    return true;
  }
  /// Sessions go on, and new ones get no answer.
  bool stop_postmaster() {
    scene_.server().signal("STOP");
    if (one_in(2)) scene_.proxy().drop(some_kind());
    last();
    scene_.server().signal("CONT");
    return true;
  }
  bool down(const char* mode) {
    scene_.server().stop(mode);
    last();
    scene_.server().start();
    return true;
  }
  bool kill_postmaster() {
    scene_.server().signal("KILL");
    if (one_in(2)) last();
    scene_.server().start();
    return true;
  }

  // ---- the network

  bool cut() {
    scene_.proxy().cut();
    last();
    scene_.proxy().mend();
    return true;
  }
  bool freeze() {
    scene_.proxy().freeze();
    last();
    scene_.proxy().thaw();
    return true;
  }
  bool half_open() {
    static constexpr Way ways[] = {Way::both, Way::to_client, Way::to_server};
    const Kind kind = some_kind();
    scene_.proxy().half_open(kind, ways[below(std::size(ways))]);
    last();
    // Of a copy only TCP can tell that nothing will come any more; some stay as they are until all follow again.
    if (kind == Kind::any || kind == Kind::copy || one_in(2)) scene_.proxy().drop_half_open();
    return true;
  }
  bool slow_down(const test::Proxy::Flow& flow) {
    scene_.proxy().slow_down(some_kind(), flow);
    last();
    last();
    scene_.proxy().speed_up();
    return true;
  }

  // ---- what is followed

  /// However often our walsender takes it again.
  bool drop_slot() {
    bool found = false;
    const auto is_gone = [&] {
      try {
        found = !scene_
                     .rows(std::string{
                               "SELECT pg_terminate_backend(active_pid, 5000), "
                               "pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '"} +
                           Scene::slot + "'")
                     .empty();
        return true;
      } catch (const pqxx::sql_error& error) {
        if (error.sqlstate() != "55006") throw;
        return false;
      }
    };
    if (!test::eventually(is_gone)) throw std::runtime_error("the slot cannot be dropped");
    return found;
  }
  bool alter() {
    const model::Alteration& alteration = model::alterations[next_alteration_++ % std::size(model::alterations)];
    try {
      scene_.exec("BEGIN; " + std::string{alteration.sql} + "; COMMIT");
    } catch (const pqxx::sql_error&) {
      return false;  // since another fault has made the table anew it does not fit any more
    }
    return true;
  }
  bool change_identity() {
    const bool is_full = scene_.value("SELECT relreplident FROM pg_class WHERE oid = 'account'::regclass") == "f";
    for (const char* const sql : is_full ? model::identity_by_key : model::identity_by_row) scene_.exec(sql);
    return true;
  }
  bool vacuum() {
    static constexpr const char* tables[] = {"account", "position", "quote"};
    scene_.exec("VACUUM FULL " + std::string{tables[below(3)]});
    return true;
  }
  bool drop_publication() {
    // What is written without a publication the server leaves out, without an end of the stream from 18 on, and before
    // of transactions that are open meanwhile: until the watch has looked, readers do not see all. So nobody writes.
    static const std::string lock = "BEGIN; LOCK TABLE account, position, quote IN SHARE MODE; ";
    static const std::string make =
        "CREATE PUBLICATION pub FOR TABLE account, position, quote, items WITH (publish_via_partition_root = true)";
    if (one_in(2)) {
      scene_.exec(lock + "DROP PUBLICATION pub; " + make + "; COMMIT");
      return true;
    }
    test::Sql session{scene_.dsn()};
    const auto locks = [&] {
      try {
        session.exec(lock);
        return true;
      } catch (const pqxx::transaction_rollback&) {
        session.exec("ROLLBACK");
        return false;
      }
    };
    if (!test::eventually(locks)) throw std::runtime_error("the tables cannot be locked");
    scene_.exec("DROP PUBLICATION pub");
    const bool noticed = test::eventually([&] { return !scene_.shows_any_as_live(); });
    session.exec("COMMIT");
    if (!noticed) throw std::runtime_error("nobody notices that there is no publication");
    last();
    scene_.exec(make);
    return true;
  }
  bool drop_table() {
    scene_.exec("DROP TABLE IF EXISTS quote, quote_oslo, quote_rome, quote_bonn");
    if (one_in(2)) last();
    scene_.exec(std::string{"BEGIN; "} + model::quote_schema + "; ALTER PUBLICATION pub ADD TABLE quote; COMMIT");
    return true;
  }
  /// One that readers do not hold against another one: there is nothing to be seen of what is written meanwhile.
  bool leave_publication() {
    scene_.exec("ALTER PUBLICATION pub DROP TABLE quote");
    last();
    scene_.exec("ALTER PUBLICATION pub ADD TABLE quote");
    return true;
  }

  // ---- ourselves

  /// Another process, which follows one table by a slot of the same kind.
  struct Child {
    explicit Child(const Scene& scene) : proxy(scene.reader_dsn()) {}

    void start(bool is_durable) {
      const std::string dsn = proxy.dsn() + " application_name=follower";
      const std::string publication = "pub_items";
      if (is_durable) process.emplace(BTREEMAPPED_FOLLOWER, dsn, publication, std::string{"soak_child"});
      else process.emplace(BTREEMAPPED_FOLLOWER, dsn, publication);
    }
    void require_equal() {
      const std::string answer = process->ask("equal?");
      if (answer != "equal") throw std::runtime_error("a child process is not equal: " + answer);
    }
    void finish() {
      if (const int code = process->finish(); code != 0)
        throw std::runtime_error("a child process has ended with " + std::to_string(code));
    }

    test::Proxy proxy;
    std::optional<test::ChildProcess> process{};
  };

  bool start_child(const Phase& phase) {
    child_ = std::make_unique<Child>(scene_);
    if (phase.at != At::idle) hold(child_->proxy, phase);
    child_->start(scene_.is_durable());
    if (phase.at == At::idle) {
      child_->require_equal();
      return true;
    }
    return phase.at == At::transaction ? write_until_held(child_->proxy)
                                       : child_->proxy.is_held_within(std::chrono::seconds{5});
  }

  /// The server misses it, and where it has left a slot the next one takes over.
  bool kill_child() {
    child_->process->end(SIGKILL);
    const bool missed = test::eventually([&] {
      return scene_.number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'follower'") == 0;
    });
    if (!missed) throw std::runtime_error("the sessions of a process that was killed are left behind");
    if (scene_.is_durable()) {
      child_ = std::make_unique<Child>(scene_);
      child_->start(true);
      child_->require_equal();
      child_->finish();
    }
    child_.reset();
    return true;
  }
  bool stop_child() {
    child_->process->signal(SIGSTOP);
    child_->proxy.release();
    write_items();
    last();
    child_->process->signal(SIGCONT);
    child_->require_equal();
    child_->finish();
    child_.reset();
    return true;
  }

  Scene& scene_;
  std::mt19937_64 random_;
  Deck deck_;
  std::size_t next_alteration_ = 0;
  std::future<void> verification_{};
  std::unique_ptr<Child> child_{};
};

inline const std::vector<Chaos::Phase> Chaos::phases = {
    {At::idle, "idle", {}},
    {At::transaction, "in a transaction", {"START_REPLICATION"}, 100'000, 300'000},
    {At::no_slot, "before the slot", {"CREATE_REPLICATION_SLOT"}},
    {At::before_copy, "between slot and copy", {"SET TRANSACTION SNAPSHOT", "COPY "}},
    {At::copy, "in the copy", {"\"items\") TO STDOUT"}, 1, 400'000}};

inline const std::vector<Chaos::Fault> Chaos::faults = {
    {"the walsender is ended", [](Chaos& c) { return c.end(walsender); }},
    {"a session is ended", [](Chaos& c) { return c.end(any_session); }},
    {"the copy's session is ended", [](Chaos& c) { return c.end(copy_session); }, On::copy_session},
    {"a statement is cancelled", [](Chaos& c) { return c.cancel(any_session); }},
    {"the walsender is cancelled", [](Chaos& c) { return c.cancel(walsender); }},
    {"kill -9 of the walsender", [](Chaos& c) { return c.kill(walsender); }},
    {"kill -9 of a session", [](Chaos& c) { return c.kill(any_session); }},
    {"kill -STOP of the walsender", [](Chaos& c) { return c.stop_for_a_while(walsender); }},
    {"kill -STOP of a session", [](Chaos& c) { return c.stop_for_a_while(any_session); }},
    {"kill -STOP of the copy's session", [](Chaos& c) { return c.stop_for_a_while(copy_session); }, On::copy_session},
    {"kill -9 of the postmaster", [](Chaos& c) { return c.kill_postmaster(); }},
    {"kill -STOP of the postmaster", [](Chaos& c) { return c.stop_postmaster(); }},
    {"fast restart", [](Chaos& c) { return c.down("fast"); }},
    {"immediate restart", [](Chaos& c) { return c.down("immediate"); }},
    {"the network is cut", [](Chaos& c) { return c.cut(); }},
    {"the network swallows everything", [](Chaos& c) { return c.freeze(); }},
    {"connections are half open", [](Chaos& c) { return c.half_open(); }},
    {"a connection is closed",
     [](Chaos& c) {
       c.scene_.proxy().drop(c.some_kind());
       return true;
     }},
    {"delay", [](Chaos& c) { return c.slow_down({Time{5 + c.below(200)}, Time{5 + c.below(200)}, 0}); }},
    {"throttle", [](Chaos& c) { return c.slow_down({Time{0}, Time{0}, 10'000 + c.below(200'000)}); }},
    {"DROP of the slot", [](Chaos& c) { return c.drop_slot(); }, On::durable_slot},
    {"DROP of the publication", [](Chaos& c) { return c.drop_publication(); }},
    {"a table leaves the publication", [](Chaos& c) { return c.leave_publication(); }},
    {"DROP of a table", [](Chaos& c) { return c.drop_table(); }},
    {"ALTER of a table", [](Chaos& c) { return c.alter(); }},
    {"another replica identity", [](Chaos& c) { return c.change_identity(); }},
    {"VACUUM FULL", [](Chaos& c) { return c.vacuum(); }},
    {"kill -9 of a process of ours", [](Chaos& c) { return c.kill_child(); }, On::process},
    {"kill -STOP of a process of ours", [](Chaos& c) { return c.stop_child(); }, On::process},
};

}  // namespace soak
