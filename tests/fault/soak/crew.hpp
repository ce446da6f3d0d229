#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <pqxx/except>

#include <btreemapped/replicator.hpp>

#include "model/auditor.hpp"
#include "model/tables.hpp"
#include "model/writer.hpp"

namespace soak {

/// Sessions that write, come what may, and threads that read meanwhile.
class Crew {
 public:
  static constexpr std::uint64_t writers = 8;
  static constexpr std::uint64_t auditors = 2;

  /// What each of the sessions has signed so far, of a whole run.
  using Signatures = std::array<std::uint64_t, writers>;

  Crew(std::string dsn, const btreemapped::Replicator& replicator, const model::Replicas& replicas, std::uint64_t seed,
       Signatures& signatures)
      : dsn_(std::move(dsn)), replicator_(replicator), replicas_(replicas), seed_(seed), signatures_(signatures) {
    for (std::uint64_t i = 0; i < auditors; ++i) auditors_.emplace_back(replicas_, sightings_, seed + i);
  }

  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew() { stop(); }

  void start_writing() {
    for (std::uint64_t i = 0; i < writers; ++i) threads_.emplace_back([this, i] { guarded([&] { write(i); }); });
  }
  /// After the first copy.
  void start_reading() {
    for (model::Auditor& auditor : auditors_)
      threads_.emplace_back([this, &auditor] { guarded([&] { audit(auditor); }); });
  }

  /// Writing ends; readers go on.
  void stop_writing() { writing_.store(false); }
  [[nodiscard]] bool has_stopped_writing() const { return ended_writers_.load() == writers; }

  void stop() {
    stop_writing();
    reading_.store(false);
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

  /// Throws: what one of them has seen that must never be seen.
  void check() {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

  [[nodiscard]] std::uint64_t commits() const { return commits_.load(); }
  /// Those that had begun.
  [[nodiscard]] std::uint64_t lost_sessions() const { return lost_sessions_.load(); }

  /// Of writers whose sessions have ended.
  [[nodiscard]] model::Tally tally() {
    const std::lock_guard lock(mutex_);
    return tally_;
  }

  struct Reading {
    std::size_t audits = 0;
    std::size_t commits = 0;
    std::size_t stale_reads = 0;

    Reading& operator+=(const Reading& other) {
      audits += other.audits;
      commits += other.commits;
      stale_reads += other.stale_reads;
      return *this;
    }
  };
  /// After stop().
  [[nodiscard]] Reading reading() const {
    Reading sum;
    for (const model::Auditor& auditor : auditors_) {
      sum.audits += auditor.audits();
      sum.commits += auditor.commits();
      sum.stale_reads += auditor.stale_reads();
    }
    return sum;
  }

 private:
  // They leave the processors to others, as this is about faults and not about load.
  static constexpr std::chrono::milliseconds pause{3};

  template <class Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  /// What a session may be told while the server is ended and tables are dropped.
  static bool is_of_a_fault(std::string_view sqlstate) {
    static constexpr std::string_view classes[] = {"08", "40", "53", "55", "57"};
    for (const std::string_view each : classes)
      if (sqlstate.substr(0, 2) == each) return true;
    return sqlstate == "42P01";
  }

  void write(std::uint64_t number) {
    std::uint64_t& signatures = signatures_[number];
    for (std::uint64_t life = 0; writing_.load(); ++life) {
      std::unique_ptr<model::Writer> writer;
      try {
        writer = std::make_unique<model::Writer>(dsn_, number, seed_ + (number << 32U) + life, signatures);
        for (std::uint64_t i = 0; writing_.load(); ++i) {
          const std::size_t before = writer->tally().committed;
          // Each keeps copies and verifications from being made, for as long as they take.
          writer->run_transaction(i % 32 == 0 ? model::Truncates::some : model::Truncates::none);
          commits_.fetch_add(writer->tally().committed - before);
          if (i % 16 == 0) writer->read_own_write(replicator_, replicas_);
          std::this_thread::sleep_for(pause);
        }
      } catch (const pqxx::sql_error& error) {
        if (!is_of_a_fault(error.sqlstate())) throw;
      } catch (const pqxx::failure&) {
        // The connection is lost.
      }
      if (writer != nullptr) {
        signatures = writer->signatures();
        const std::lock_guard lock(mutex_);
        tally_ += writer->tally();
        if (writing_.load()) lost_sessions_.fetch_add(1);
      }
      std::this_thread::sleep_for(10 * pause);
    }
    ended_writers_.fetch_add(1);
  }

  void audit(model::Auditor& auditor) {
    while (reading_.load()) {
      auditor.audit();
      std::this_thread::sleep_for(pause);
    }
  }

  const std::string dsn_;
  const btreemapped::Replicator& replicator_;
  const model::Replicas& replicas_;
  const std::uint64_t seed_;
  Signatures& signatures_;
  std::atomic<bool> writing_{true};
  std::atomic<bool> reading_{true};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> lost_sessions_{0};
  std::atomic<std::uint64_t> ended_writers_{0};
  model::Sightings sightings_;
  std::deque<model::Auditor> auditors_;
  std::mutex mutex_;
  std::exception_ptr error_;
  model::Tally tally_{};
  std::vector<std::thread> threads_;
};

}  // namespace soak
