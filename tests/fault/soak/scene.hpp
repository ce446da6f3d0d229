#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pqxx/except>

#include <btreemapped.hpp>

#include "model/tables.hpp"
#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"
#include "support/server.hpp"
#include "support/sql.hpp"

namespace soak {

/// How often each kind of event has come, and the last ones for a message.
class Events {
 public:
  [[nodiscard]] auto hook() {
    return [shared = shared_](const btreemapped::Event& event) {
      const std::lock_guard lock(shared->mutex);
      ++shared->counts[static_cast<std::size_t>(event.kind)];
      if (event.kind == btreemapped::EventKind::copying) return;
      shared->add(std::string{to_string(event.kind)} + " " + event.table + ": " + event.message);
    };
  }

  /// What has been done meanwhile.
  void note(const std::string& what) const {
    const std::lock_guard lock(shared_->mutex);
    shared_->add(what);
  }

  [[nodiscard]] std::size_t count(btreemapped::EventKind kind) const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->counts[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] std::string last() const {
    const std::lock_guard lock(shared_->mutex);
    std::string out;
    for (const std::string& each : shared_->last) out += each;
    return out;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Shared {
    std::mutex mutex;
    const Clock::time_point begin = Clock::now();
    std::array<std::size_t, 32> counts{};
    std::deque<std::string> last;

    void add(const std::string& what) {
      const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
      last.push_back("\n  " + std::to_string(since) + " ms " + what);
      if (last.size() > 40) last.pop_front();
    }
  };
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

/// How a Replicator follows.
struct Configuration {
  static constexpr std::size_t count = 4;

  explicit Configuration(std::uint64_t number) : durable(number % 2 == 1), bounded(number / 2 % 2 == 1) {}

  bool durable;
  bool bounded;  ///< transactions that are larger than the bound are dropped, and their tables copied afresh

  [[nodiscard]] std::string text() const {
    return std::string{durable ? "a durable slot" : "a temporary slot"} +
           (bounded ? ", a small bound of transactions" : ", no bound of transactions");
  }
};

/// A server of its own, whose database is followed through a proxy, by one Replicator after the other.
class Scene {
 public:
  Scene()
      : database_(std::make_unique<test::Database>(std::string{}, started(server_))),
        dsn_(database_->dsn()),
        reader_dsn_(database_->reader_dsn()),
        proxy_(reader_dsn_) {
    database_->exec(model::schema);
    // One table whose copy, and whose transactions, are long enough to be in the middle of them. Child processes follow
    // it and nothing else.
    database_->exec(
        "CREATE TABLE items (id bigint PRIMARY KEY, name text NOT NULL); INSERT INTO items SELECT id, repeat('a', 100) "
        "FROM generate_series(1, 5000) id; ALTER PUBLICATION pub ADD TABLE items; CREATE PUBLICATION pub_items FOR "
        "TABLE "
        "items");
  }

  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  ~Scene() {
    replicator_.reset();
    try {
      database_->connect_again();
    } catch (const pqxx::failure&) {
      // A test that fails may leave the server down; it is removed all the same.
    }
  }

  /// Makes a new Replicator, which does not follow yet.
  void prepare(const Configuration& configuration) {
    is_durable_ = configuration.durable;
    btreemapped::Options options = database_->options();
    options.connection = proxy_.dsn();
    options.on_event = events_.hook();
    options.catalog_watch_interval = std::chrono::milliseconds{200};
    options.answer_timeout = std::chrono::seconds{5};
    options.max_rebuilds_per_hour = 1'000'000;
    options.durable_slot = is_durable_;
    if (is_durable_) options.slot_name = slot;
    if (configuration.bounded) options.max_transaction_bytes = std::size_t{3} << 20;
    replicator_ = std::make_unique<btreemapped::Replicator>(options);
    replicas_ = std::make_unique<model::Replicas>(model::Replicas{
        replicator_->add_replica<model::Account, 1>("account"),
        replicator_->add_replica<model::Position, 2>("position"), replicator_->add_replica<model::Quote, 3>("quote")});
    static_cast<void>(replicator_->add_replica<Item, 1>("items"));
  }
  /// Nobody follows any more.
  void leave() {
    replicas_.reset();
    replicator_.reset();
  }

  /// What the operator asks, on a session of his own, as soon as the server lets him in.
  std::vector<test::SqlRow> rows(const std::string& sql) const {
    const auto end = std::chrono::steady_clock::now() + test::patience;
    while (true) {
      try {
        return test::Sql{dsn_}.rows(sql);
      } catch (const pqxx::failure& error) {
        const auto* const of_server = dynamic_cast<const pqxx::sql_error*>(&error);
        const std::string sqlstate{of_server == nullptr ? "" : of_server->sqlstate()};
        const bool again = of_server == nullptr || sqlstate.substr(0, 2) == "57" || sqlstate.substr(0, 2) == "40";
        if (!again || std::chrono::steady_clock::now() >= end) throw;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }
  void exec(const std::string& sql) const {
    events_.note(sql.substr(0, 100));
    static_cast<void>(rows(sql));
    events_.note("done");
  }
  [[nodiscard]] std::string value(const std::string& sql) const { return rows(sql).at(0).at(0).value(); }
  [[nodiscard]] std::size_t number(const std::string& sql) const { return std::stoull(value(sql)); }

  /// A process of ours on the server, if there is one. `condition` is one on pg_stat_activity.
  [[nodiscard]] std::string backend(const std::string& condition) const {
    const auto found = rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'btreemapped' AND " + condition +
                            " ORDER BY random() LIMIT 1");
    return found.empty() ? std::string{} : found[0][0].value();
  }

  [[nodiscard]] bool is_live() const {
    const btreemapped::Status status = replicator_->status();
    return status.state == btreemapped::ReplicatorState::streaming &&
           std::all_of(status.tables.begin(), status.tables.end(),
                       [](const auto& table) { return table.state == btreemapped::TableState::live; });
  }

  [[nodiscard]] bool shows_any_as_live() const {
    const btreemapped::Status status = replicator_->status();
    return std::any_of(status.tables.begin(), status.tables.end(),
                       [](const auto& table) { return table.state == btreemapped::TableState::live; });
  }

  /// For the message of a failure.
  [[nodiscard]] std::string report() const {
    const btreemapped::Status status = replicator_->status();
    std::string out = "state " + std::string{to_string(status.state)} + ": " + status.last_error + "; received " +
                      to_string(status.received) + ", applied " + to_string(status.applied) + ", acknowledged " +
                      to_string(status.acknowledged);
    for (const auto& table : status.tables)
      out += "\n  " + table.table + " " + std::string{to_string(table.state)} + ": " + table.last_error;
    return out + "\nlast events:" + events_.last();
  }

  static constexpr const char* slot = "soak";  ///< where it is durable

  [[nodiscard]] const test::Server& server() const { return server_; }
  [[nodiscard]] const std::string& dsn() const { return dsn_; }
  [[nodiscard]] const std::string& reader_dsn() const { return reader_dsn_; }
  [[nodiscard]] bool is_durable() const { return is_durable_; }
  [[nodiscard]] test::Proxy& proxy() { return proxy_; }
  [[nodiscard]] const Events& events() const { return events_; }
  [[nodiscard]] btreemapped::Replicator& replicator() { return *replicator_; }
  [[nodiscard]] const model::Replicas& replicas() const { return *replicas_; }

 private:
  struct Item {
    std::int64_t id;
    std::string name;
  };

  static std::string started(const test::Server& server) {
    server.start();
    return server.dsn();
  }

  const test::OwnServer server_{};
  Events events_{};
  std::unique_ptr<test::Database> database_;
  const std::string dsn_;
  const std::string reader_dsn_;
  test::Proxy proxy_;
  bool is_durable_ = false;
  std::unique_ptr<btreemapped::Replicator> replicator_;
  std::unique_ptr<model::Replicas> replicas_;
};

}  // namespace soak
