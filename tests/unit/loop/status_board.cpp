#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/loss.hpp>
#include <btreemapped/detail/loop/status_board.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/typed_table.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace status_board_test {

using btreemapped::LossCause;
using btreemapped::Lsn;
using btreemapped::ReplicatorState;
using btreemapped::Status;
using btreemapped::detail::StatusBoard;
using namespace std::chrono_literals;

struct Item {
  std::int32_t id;
  std::string name;
};

struct Board {
  std::shared_ptr<btreemapped::detail::Store> store = std::make_shared<btreemapped::detail::Store>(true);
  btreemapped::detail::Table& items = store->add(std::make_unique<btreemapped::detail::TypedTable<Item, 1>>(
      *store, btreemapped::detail::TableName{"public", "items"}));
  StatusBoard board{store};
};

LossCause cause_of(const auto& error) { return btreemapped::detail::cause_of(std::make_exception_ptr(error)); }

TEST_CASE("the state has a time since when it is so, which asking or entering it again does not change", "[status]") {
  Board each;
  const auto steady = StatusBoard::Clock::now();
  const auto wall = std::chrono::system_clock::now();
  each.board.enter(ReplicatorState::connecting);
  const Status first = each.board.read(steady + 10s, wall + 10s);
  each.board.enter(ReplicatorState::connecting);
  const Status second = each.board.read(steady + 60s, wall + 60s);
  CHECK(first.state == ReplicatorState::connecting);
  CHECK(first.state_since == second.state_since);
  CHECK(first.state_since >= wall);
  CHECK(first.state_since < wall + 10s);
  each.board.enter(ReplicatorState::streaming);
  CHECK(each.board.read(steady + 60s, wall + 60s).state_since >= first.state_since);
}

TEST_CASE("a lost stream says since when and why, until there is one again", "[status]") {
  Board each;
  CHECK(each.board.read().stale_for == 0ns);
  each.board.lose(LossCause::server_ended);
  each.board.set_stale("the server shuts down");
  each.board.set_error("cannot connect");
  const Status lost = each.board.read(StatusBoard::Clock::now() + 1h);
  CHECK(lost.stale_for >= 1h);
  CHECK(lost.stale_reason == "the server shuts down");
  CHECK(lost.last_error == "cannot connect");
  each.board.follow();
  const Status found = each.board.read();
  CHECK(found.stale_for == 0ns);
  CHECK(found.stale_reason.empty());
  CHECK(found.last_error.empty());
}

TEST_CASE("lost streams and rebuilds are counted by their cause", "[status]") {
  Board each;
  each.board.lose(LossCause::server_ended);
  each.board.rebuilt();
  each.board.lose(LossCause::slot);
  each.board.lose(LossCause::slot);
  each.board.rebuilt();
  const Status status = each.board.read();
  CHECK(status.reconnects == 3);
  CHECK(status.reconnects_by_cause[LossCause::server_ended] == 1);
  CHECK(status.reconnects_by_cause[LossCause::slot] == 2);
  CHECK(status.reconnects_by_cause[LossCause::protocol] == 0);
  CHECK(status.rebuilds == 2);
  CHECK(status.rebuilds_by_cause[LossCause::slot] == 1);
}

TEST_CASE("each error has its cause", "[status]") {
  namespace b = btreemapped;
  CHECK(cause_of(b::ConnectionError("", {})) == LossCause::connection_lost);
  CHECK(cause_of(b::ConnectionError("", {.sqlstate = "08006"})) == LossCause::connection_lost);
  for (const char* const sqlstate : {"57P01", "57P02", "57P03"})
    CHECK(cause_of(b::ConnectionError("", {.sqlstate = sqlstate})) == LossCause::server_ended);
  CHECK(cause_of(b::detail::SilentServer("", {})) == LossCause::server_silent);
  CHECK(cause_of(b::SlotError("", {})) == LossCause::slot);
  CHECK(cause_of(b::SchemaError("", {})) == LossCause::schema);
  CHECK(cause_of(b::DecodeError("", {})) == LossCause::schema);
  CHECK(cause_of(b::ProtocolError("", {})) == LossCause::protocol);
  CHECK(cause_of(std::bad_alloc()) == LossCause::other);
}

TEST_CASE("the progress of a copy is shown with what is expected", "[status]") {
  Board each;
  each.items.set_expected_rows(1'000);
  each.items.set_copied(250, 4'000);
  const auto table = each.board.read().tables.at(0);
  CHECK(table.expected_rows == 1'000);
  CHECK(table.copied_rows == 250);
  CHECK(table.copied_bytes == 4'000);
  CHECK(table.copies == 0);
}

TEST_CASE("the lag in bytes is counted from what is applied, and never below nothing", "[status]") {
  Board each;
  each.board.lag.snapshot_made(StatusBoard::Clock::now());
  each.board.begin(Lsn{1'000});
  each.store->advance(Lsn{1'000});
  CHECK(each.board.read().lag_bytes == 0);
  each.board.lag.heard(Lsn{1'500}, {}, StatusBoard::Clock::now());
  CHECK(each.board.read().lag_bytes == 500);
  CHECK(each.board.read().server == Lsn{1'500});
  each.store->advance(Lsn{2'000});
  CHECK(each.board.read().lag_bytes == 0);
  CHECK(each.board.read().server == Lsn{2'000});
}

}  // namespace status_board_test
