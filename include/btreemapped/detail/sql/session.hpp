#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sys/types.h>
#include <unistd.h>
#include <pqxx/except>
#include <pqxx/result>
#include <pqxx/transaction>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/pq/connection.hpp>
#include <btreemapped/detail/sql/adopted_connection.hpp>
#include <btreemapped/detail/sql/rows.hpp>
#include <btreemapped/detail/sql/server_error.hpp>
#include <btreemapped/detail/sql/settings.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// A blocking libpqxx session for control work, never used on the stream's thread. Interrupt ends a blocked query by
/// shutting its socket down. Each transaction brings its settings along, so that nothing hangs on session state.
class Session {
 public:
  /// `lock_timeout`: for each lock that a query waits for. Some functions of the catalog open the tables that they tell
  /// of, also those that somebody rewrites.
  /// Blocks and locks: for as long as connect_timeout, or name resolution.
  /// Throws: ConnectionError, StoppedError, SchemaError (the server refuses the settings of a session).
  Session(const std::string& conninfo, std::shared_ptr<Interrupt> interrupt,
          std::chrono::milliseconds lock_timeout = std::chrono::seconds{10}, Deadline deadline = no_deadline)
      : interrupt_(std::move(interrupt)), owner_(::getpid()) {
    pq::Connection opened = [&] {
      const Interrupt::Asking asking(*interrupt_);
      return pq::Connection::open(conninfo, interrupt_, deadline);
    }();
    backend_pid_ = opened.backend_pid();
    server_version_ = opened.server_version();
    socket_ = Interrupt::Socket{interrupt_, opened.socket()};
    settings_ = pinned_settings(server_version_, SettingScope::transaction) +
                "SET LOCAL lock_timeout = " + std::to_string(lock_timeout.count()) + "; ";
    guarded("cannot open a control connection",
            [&] { connection_ = std::make_unique<AdoptedConnection>(opened.release()); });
  }

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    // A forked child shares the socket and must not say goodbye on it.
    if (::getpid() != owner_) [[maybe_unused]]
      auto* const left = connection_.release();
  }

  /// One open transaction.
  class Transaction {
   public:
    Rows query(const std::string& sql) {
      const pqxx::result result = work_.exec(sql);
      Rows rows;
      for (auto row = 0 * result.size(); row < result.size(); ++row) {
        Rows::Row out;
        for (auto column = 0 * result.columns(); column < result.columns(); ++column) {
          const auto field = result[row][column];
          if (field.is_null()) {
            out.emplace_back();
          } else {
            out.emplace_back(std::in_place, field.c_str(), field.size());
          }
        }
        rows.add(std::move(out));
      }
      return rows;
    }

   private:
    friend class Session;
    explicit Transaction(pqxx::work& work) : work_(work) {}
    pqxx::work& work_;
  };

  enum class Mode { read_only, read_write };

  /// Calls f(Transaction&) inside a transaction that sees one state of the database, and commits. What a role's default
  /// says of reading and writing does not count.
  /// Throws: SchemaError (the server refuses a statement), ConnectionError, StoppedError, what f throws.
  template <class Function>
  auto in_transaction(std::string_view doing, Function&& f, Mode mode = Mode::read_only) {
    return guarded(doing, [&] {
      pqxx::work work{*connection_};
      const std::string access = mode == Mode::read_only ? "READ ONLY; " : "READ WRITE; ";
      work.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ " + access + settings_);
      Transaction transaction{work};
      if constexpr (std::is_void_v<decltype(f(transaction))>) {
        f(transaction);
        work.commit();
      } else {
        auto result = f(transaction);
        work.commit();
        return result;
      }
    });
  }

  Rows query(std::string_view doing, const std::string& sql, Mode mode = Mode::read_only) {
    return in_transaction(doing, [&](Transaction& transaction) { return transaction.query(sql); }, mode);
  }

  [[nodiscard]] int server_version() const noexcept { return server_version_; }
  [[nodiscard]] int backend_pid() const noexcept { return backend_pid_; }
  /// For poll(): readable while no query runs only when the server has something to say on its own.
  [[nodiscard]] int socket() const noexcept { return socket_.fd(); }

 private:
  /// Turns what libpqxx throws into this library's errors.
  template <class Function>
  auto guarded(std::string_view doing, Function&& f) -> decltype(f()) {
    try {
      interrupt_->check();
      const Interrupt::Asking asking(*interrupt_);
      return f();
    } catch (const pqxx::insufficient_privilege& error) {
      interrupt_->check();
      // libpqxx 6 leaves out the code of this one.
      throw_server_error<SchemaError>(doing, "42501", without_severity(error.what()));
    } catch (const pqxx::sql_error& error) {
      interrupt_->check();
      throw_server_error<SchemaError>(doing, std::string{error.sqlstate()}, without_severity(error.what()));
    } catch (const pqxx::broken_connection& error) {
      interrupt_->check();
      throw_server_error<ConnectionError>(doing, "", without_severity(error.what()));
    } catch (const pqxx::failure& error) {
      interrupt_->check();
      throw_server_error<ConnectionError>(doing, "", without_severity(error.what()));
    }
  }

  /// libpqxx gives "ERROR:  text" and more lines; the first is the server's primary message.
  [[nodiscard]] static std::string_view without_severity(std::string_view said) {
    const std::size_t colon = said.substr(0, said.find('\n')).find(":  ");
    return colon == std::string_view::npos ? said : said.substr(colon + 3);
  }

  std::shared_ptr<Interrupt> interrupt_;
  std::unique_ptr<AdoptedConnection> connection_;
  Interrupt::Socket socket_;
  int backend_pid_ = 0;
  int server_version_ = 0;
  std::string settings_;
  ::pid_t owner_;
};

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
