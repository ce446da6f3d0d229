#pragma once

#include <charconv>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <btreemapped/detail/loop/token_board.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {

/// What has come of waiting until commits are visible. True if they are.
struct [[nodiscard]] Reached {
  bool reached = false;  ///< every commit before `target` is visible, in every table
  Lsn target{};          ///< zero where it is not known yet
  Lsn applied{};         ///< every commit before it is visible, in the tables that follow
  std::string why{};     ///< what has kept it from being reached; empty if it is

  [[nodiscard]] explicit operator bool() const noexcept { return reached; }
};

/// Stands for one transaction of somebody who writes, so that Replicator::wait_for() can tell when that very
/// transaction is visible. A handle, cheap to copy; for one transaction only.
class Token {
 public:
  /// To be run inside the transaction, at any place that is not rolled back: it writes a short message to the server's
  /// log, and no table. Gives one row; its first column is the transaction's number, for use_xid().
  [[nodiscard]] const std::string& sql() const noexcept { return state_->sql(); }

  /// Takes the transaction's number, before the commit. Only with it can the token be told where the replicas are
  /// copied afresh, as after a lost connection, while the commit is on its way.
  /// Throws: UsageError for what is no such number.
  void use_xid(std::string_view xid) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(xid.data(), xid.data() + xid.size(), number);
    if (error != std::errc{} || end != xid.data() + xid.size() || number == 0)
      throw UsageError("use_xid() takes the first column of what Token::sql() gives");
    state_->use_xid(number);
  }

 private:
  friend class Replicator;

  explicit Token(std::shared_ptr<detail::TokenState> state) : state_(std::move(state)) {}

  std::shared_ptr<detail::TokenState> state_;
};

}  // namespace v0
}  // namespace btreemapped
