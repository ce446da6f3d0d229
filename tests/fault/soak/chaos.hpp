#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <pqxx/except>

#include <btreemapped.hpp>

#include "fault/soak/scene.hpp"
#include "model/tables.hpp"
#include "support/child_process.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/random.hpp"

namespace soak {

/// Draws faults, and brings each about in one of the phases of following. When strike() returns the server is up and the
/// network is as it should be, but for connections that are dead for ever.
class Chaos {
 public:
  Chaos(Scene& scene, std::uint64_t seed) : scene_(scene), random_(seed) {}

  struct Struck {
    std::string fault{};
    std::string phase{};
  };

  /// Each kind of fault comes once before any of them comes again.
  Struck strike() {
    if (deck_.empty()) {
      const char* const wanted = std::getenv("BTREEMAPPED_SOAK_FAULT");
      for (const Fault& fault : faults)
        if (wanted == nullptr || std::string_view{fault.name}.find(wanted) != std::string_view::npos)
          deck_.push_back(&fault);
      for (std::size_t i = deck_.size() - 1; i > 0; --i) std::swap(deck_[i], deck_[below(i + 1)]);
    }
    const Fault& fault = *deck_.back();
    deck_.pop_back();
    const Phase& phase = phases[below(std::size(phases))];
    Struck struck{fault.name, phase.name};
    std::future<void> reader;
    if (one_in(4)) reader = read_slowly();
    if (!reach(phase)) struck.phase += " (missed)";
    const auto release = std::async(std::launch::async, [this, time = Time{below(2'000)}] {
      std::this_thread::sleep_for(time);
      scene_.proxy().release();
      scene_.events().note("released");
    });
    if (!fault.strike(*this)) struck.fault += " (nothing there)";
    release.wait();
    if (verification_.valid()) verification_.get();
    if (reader.valid()) reader.get();
    ++counts_[struck.fault];
    ++phase_counts_[struck.phase];
    return struck;
  }

  [[nodiscard]] const std::map<std::string, std::size_t>& counts() const { return counts_; }
  [[nodiscard]] const std::map<std::string, std::size_t>& phase_counts() const { return phase_counts_; }

 private:
  using Kind = test::Proxy::Kind;
  using Way = test::Proxy::Way;
  using Time = std::chrono::milliseconds;

  struct Fault {
    const char* name;
    bool (*strike)(Chaos&);  ///< false when there was nothing to strike
  };

  struct Phase {
    const char* name;
    const char* statement;  ///< which is held; null: none
    std::size_t answer;     ///< held within so many bytes of its answer; 0: before it is sent
  };

  static constexpr Phase phases[] = {{"idle", nullptr, 0},
                                     {"idle", nullptr, 0},
                                     {"in a transaction", "START_REPLICATION", 100'000},
                                     {"before the slot", "CREATE_REPLICATION_SLOT", 0},
                                     {"between slot and copy", "SET TRANSACTION SNAPSHOT", 0},
                                     {"before the copy of a table", "COPY ", 0},
                                     {"in the copy", "COPY ", 60'000}};

  static const std::vector<Fault> faults;

  static constexpr const char* any_session = "backend_type = 'client backend'";
  static constexpr const char* walsender = "backend_type = 'walsender'";
  static constexpr const char* copy_session = "backend_type = 'client backend' AND backend_xmin IS NOT NULL";

  std::uint64_t below(std::uint64_t limit) { return test::below(random_, limit); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  Kind some_kind() {
    static constexpr Kind kinds[] = {Kind::any, Kind::stream, Kind::control, Kind::copy};
    return kinds[below(std::size(kinds))];
  }

  /// Lets time pass while the fault lasts: mostly a moment, sometimes longer than wal_sender_timeout, which is 5 s.
  void last() {
    const bool is_long = one_in(6);
    std::this_thread::sleep_for(Time{is_long ? 5'000 + below(6'000) : 20 + below(800)});
  }

  /// Connections, a verification or a table begin anew, and are held where the phase says.
  bool reach(const Phase& phase) {
    if (phase.statement == nullptr) return true;
    test::Proxy& proxy = scene_.proxy();
    const bool streams = std::string{phase.statement} == "START_REPLICATION";
    if (phase.answer == 0) proxy.hold(phase.statement);
    else proxy.hold_answer(phase.statement, 1 + below(phase.answer));
    switch (streams ? 0 : below(4)) {
      case 0:
      case 1: proxy.drop(Kind::stream); break;
      case 2:
        verification_ = std::async(std::launch::async, [this] {
          btreemapped::VerifyOptions options;
          options.timeout = std::chrono::seconds{10};
          require_not_different(scene_.replicator().verify(options));
        });
        break;
      default:
        if (!alter()) proxy.drop(Kind::stream);
    }
    const bool held = proxy.is_held_within(std::chrono::seconds{5});
    scene_.events().note(held ? std::string{"held at "} + phase.statement : "nobody was held");
    if (held) return true;
    proxy.release();
    return false;
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
    return std::async(std::launch::async, [this, time = Time{below(3'000)}] {
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
    // Of a transaction that is open meanwhile the server leaves changes out, without a word, when it has decoded a later
    // one before: until the watch has looked, readers see a part of it. So none is open that has changed these tables.
    const std::string drop = "BEGIN; LOCK TABLE account, position, quote IN SHARE MODE; DROP PUBLICATION pub; ";
    const std::string make =
        "CREATE PUBLICATION pub FOR TABLE account, position, quote, items WITH (publish_via_partition_root = true)";
    if (one_in(2)) {
      scene_.exec(drop + make + "; COMMIT");
    } else {
      scene_.exec(drop + "COMMIT");
      last();
      scene_.exec(make);
    }
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

  /// Another process that follows is killed, wherever it is.
  bool kill_follower() {
    test::ChildProcess child(BTREEMAPPED_FOLLOWER, scene_.dsn() + " application_name=follower");
    std::this_thread::sleep_for(Time{below(400)});
    child.end(SIGKILL);
    return true;
  }

  Scene& scene_;
  std::mt19937_64 random_;
  std::vector<const Fault*> deck_{};
  std::size_t next_alteration_ = 0;
  std::future<void> verification_{};
  std::map<std::string, std::size_t> counts_{};
  std::map<std::string, std::size_t> phase_counts_{};
};

inline const std::vector<Chaos::Fault> Chaos::faults = {
    {"the walsender is ended", [](Chaos& c) { return c.end(walsender); }},
    {"a session is ended", [](Chaos& c) { return c.end(any_session); }},
    {"the copy's session is ended", [](Chaos& c) { return c.end(copy_session); }},
    {"a statement is cancelled", [](Chaos& c) { return c.cancel(any_session); }},
    {"the walsender is cancelled", [](Chaos& c) { return c.cancel(walsender); }},
    {"kill -9 of the walsender", [](Chaos& c) { return c.kill(walsender); }},
    {"kill -9 of a session", [](Chaos& c) { return c.kill(any_session); }},
    {"kill -STOP of the walsender", [](Chaos& c) { return c.stop_for_a_while(walsender); }},
    {"kill -STOP of a session", [](Chaos& c) { return c.stop_for_a_while(any_session); }},
    {"kill -STOP of the copy's session", [](Chaos& c) { return c.stop_for_a_while(copy_session); }},
    {"kill -9 of the postmaster", [](Chaos& c) { return c.kill_postmaster(); }},
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
    {"DROP of the publication", [](Chaos& c) { return c.drop_publication(); }},
    {"a table leaves the publication", [](Chaos& c) { return c.leave_publication(); }},
    {"DROP of a table", [](Chaos& c) { return c.drop_table(); }},
    {"ALTER of a table", [](Chaos& c) { return c.alter(); }},
    {"another replica identity", [](Chaos& c) { return c.change_identity(); }},
    {"VACUUM FULL", [](Chaos& c) { return c.vacuum(); }},
    {"kill -9 of a follower", [](Chaos& c) { return c.kill_follower(); }},
};

}  // namespace soak
