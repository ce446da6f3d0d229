#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pqxx/except>

#include "support/eventually.hpp"
#include "support/sql.hpp"

namespace test {

/// Sessions that run one transaction after the other until they are told to stop. They pause in between, so as to leave
/// the processors to what is tested.
class Load {
 public:
  /// Makes the next transaction's SQL.
  using Make = std::function<std::string(std::mt19937_64& random)>;
  enum class Lost { fails, opens_again };  ///< what a lost connection does

  Load(std::string dsn, std::size_t sessions, Make make, Lost lost = Lost::fails,
       std::chrono::milliseconds pause = std::chrono::milliseconds{1})
      : dsn_(std::move(dsn)), make_(std::move(make)), lost_(lost), pause_(pause) {
    for (std::size_t i = 0; i < sessions; ++i) threads_.emplace_back([this, i] { run(i); });
  }

  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() { join(); }

  /// Throws: what ended one of the sessions before.
  void stop() {
    join();
    if (error_) std::rethrow_exception(error_);
  }

  [[nodiscard]] std::uint64_t commits() const { return commits_.load(); }

  /// Waits for some more commits; false when they do not come.
  [[nodiscard]] bool go_on_for(std::uint64_t more) const {
    const std::uint64_t target = commits() + more;
    return eventually([&] { return commits() >= target; });
  }

 private:
  void run(std::size_t number) {
    std::mt19937_64 random{number};
    std::unique_ptr<Sql> sql;
    while (!stopping_.load()) {
      try {
        if (sql == nullptr) sql = std::make_unique<Sql>(dsn_);
        sql->exec(make_(random));
        commits_.fetch_add(1);
        std::this_thread::sleep_for(pause_);
      } catch (const pqxx::sql_error& error) {
        if (lost_ == Lost::opens_again && error.sqlstate().substr(0, 2) == "57") {
          sql.reset();
        } else {
          return fail();
        }
      } catch (const pqxx::failure&) {
        sql.reset();
        if (lost_ == Lost::fails) return fail();
      } catch (...) {
        return fail();
      }
    }
  }

  void fail() {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }

  void join() {
    stopping_.store(true);
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

  const std::string dsn_;
  const Make make_;
  const Lost lost_;
  const std::chrono::milliseconds pause_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> commits_{0};
  std::mutex mutex_;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

}  // namespace test
