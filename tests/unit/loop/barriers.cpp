#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/barrier.hpp>
#include <btreemapped/detail/loop/barriers.hpp>
#include <btreemapped/detail/loop/token_board.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>
#include <btreemapped/status.hpp>

namespace barriers_test {

using btreemapped::Lsn;
using btreemapped::ReplicatorState;
using btreemapped::Status;
using btreemapped::TableState;
using btreemapped::detail::before_page_header;
using btreemapped::detail::why_not_visible;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using namespace std::chrono_literals;

TEST_CASE("a position inside a page header is where the page begins", "[barrier]") {
  CHECK(before_page_header(Lsn{0x116D'0018}, 8192) == Lsn{0x116D'0000});
  CHECK(before_page_header(Lsn{0x116D'0028}, 8192) == Lsn{0x116D'0000});
  CHECK(before_page_header(Lsn{0x116D'0029}, 8192) == Lsn{0x116D'0029});
  CHECK(before_page_header(Lsn{0x116D'1FF8}, 8192) == Lsn{0x116D'1FF8});
  CHECK(before_page_header(Lsn{0x116D'2018}, 32'768) == Lsn{0x116D'2018});
  CHECK(before_page_header(Lsn{}, 8192) == Lsn{});
}

Status streaming() {
  Status status;
  status.state = ReplicatorState::streaming;
  status.received = status.applied = Lsn{0x1000};
  status.tables = {{.table = "public.items", .state = TableState::live},
                   {.table = "public.others", .state = TableState::live}};
  status.since_last_message = 30ms;
  return status;
}

std::string why(const Status& status, std::optional<Lsn> target = Lsn{0x2000}) {
  return why_not_visible(status, target, "nothing has come", 500ms);
}

TEST_CASE("what is not visible since there is no connection is explained by its error", "[barrier]") {
  Status status = streaming();
  status.last_error = "connection refused";
  status.state = ReplicatorState::backing_off;
  CHECK(why(status) == "disconnected: the Replicator is backing off: connection refused");
  status.state = ReplicatorState::connecting;
  CHECK_THAT(why(status), StartsWith("disconnected: ") && ContainsSubstring("connecting"));
  status.state = ReplicatorState::copying;
  CHECK(why(status) == "not connected: the tables are being copied: connection refused");
  status.last_error.clear();
  CHECK(why(status) == "not connected: the tables are being copied");
  status.state = ReplicatorState::idle;
  CHECK(why(status) == "not started");
}

TEST_CASE("what has arrived and is not visible is behind", "[barrier]") {
  Status status = streaming();
  status.received = Lsn{0x3000};
  CHECK_THAT(why(status), StartsWith("behind: ") && ContainsSubstring("0/3000") && ContainsSubstring("0/1000"));
}

TEST_CASE("what has not arrived is behind while the server speaks, and idle while it is silent", "[barrier]") {
  Status status = streaming();
  CHECK_THAT(why(status), StartsWith("behind: the server has not sent its log up to 0/2000") &&
                              ContainsSubstring("up to 0/1000") && ContainsSubstring("30 ms ago"));
  status.since_last_message = 2s;
  CHECK_THAT(why(status),
             StartsWith("idle: the server has not sent its log up to 0/2000") && ContainsSubstring("2000 ms ago"));
  CHECK_THAT(why(status, std::nullopt), StartsWith("idle: nothing has come; all that has arrived"));
}

TEST_CASE("tables that do not follow are named, with their errors", "[barrier]") {
  Status status = streaming();
  status.tables[0].state = TableState::failed;
  status.tables[0].last_error = "public.items, column amount: gone";
  CHECK(why(status, Lsn{0x1000}) == "table not following: public.items is failed: public.items, column amount: gone");
  status.tables[1].state = TableState::stale;
  CHECK_THAT(why(status, Lsn{0x1000}), ContainsSubstring("; public.others is stale"));
}

}  // namespace barriers_test
