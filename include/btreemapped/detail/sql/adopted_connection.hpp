#pragma once

#include <utility>

#include <pqxx/connection>
#include <pqxx/version>

#include <btreemapped/detail/pq/connection.hpp>

#if PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR < 7
#error "btreemapped needs libpqxx 6.4, or 7.7.1 or later: 7.0 to 7.6 cannot take over a connection"
#endif

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// A libpqxx connection around one that libpq has opened, which it closes. libpqxx would open it without a way to end
/// that, and let libpq print what the server says of the login to stderr.
#if PQXX_VERSION_MAJOR < 7
class AdoptedConnection final : public pqxx::connection_base {
 public:
  explicit AdoptedConnection(pqxx::internal::pq::PGconn* opened) : pqxx::connection_base(policy_), policy_(opened) {
    try {
      init();
    } catch (...) {
      close();
      throw;
    }
  }
  AdoptedConnection(const AdoptedConnection&) = delete;
  AdoptedConnection& operator=(const AdoptedConnection&) = delete;
  ~AdoptedConnection() noexcept { close(); }

 private:
  /// Opens nothing: a connection that is lost is given up, not opened again behind our back.
  class Policy final : public pqxx::connectionpolicy {
   public:
    explicit Policy(pqxx::internal::pq::PGconn* opened) : pqxx::connectionpolicy({}), opened_(opened) {}

    handle do_startconnect(handle held) override { return held == nullptr ? std::exchange(opened_, nullptr) : held; }
    handle do_dropconnect(handle held) noexcept override {
      pq::Connection::finish(held);
      return nullptr;
    }
    bool is_ready(handle held) const noexcept override { return held != nullptr; }

   private:
    pqxx::internal::pq::PGconn* opened_;
  };

  Policy policy_;
};
#else
class AdoptedConnection final {
 public:
  explicit AdoptedConnection(pqxx::internal::pq::PGconn* opened)
      : connection_(pqxx::connection::seize_raw_connection(opened)) {}

  operator pqxx::connection&() noexcept { return connection_; }

 private:
  pqxx::connection connection_;
};
#endif

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
