#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/change.hpp>
#include <btreemapped/detail/loop/token_board.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/lsn.hpp>

#include <support/threads.hpp>

namespace token_board_test {

using btreemapped::Lsn;
using btreemapped::detail::Commit;
using btreemapped::detail::Store;
using btreemapped::detail::TokenBoard;
using btreemapped::detail::TokenState;
using Fate = TokenState::Fate;
using Numbers = std::vector<std::uint64_t>;
using Ids = std::vector<std::string>;

struct Board {
  void publish(const Ids& ids, Lsn end = Lsn{0x2000}) {
    Commit commit;
    commit.end_lsn = end;
    commit.tokens = ids;
    board.published(commit);
  }
  /// A copy that shows these transactions; the numbers that were asked for.
  Ids settle(const Numbers& visible, const std::string& server = "one/1") {
    return board.settle(server, [&](const Numbers& xids) {
      asked = xids;
      Numbers out;
      for (const std::uint64_t each : xids)
        for (const std::uint64_t known : visible)
          if (each == known) out.push_back(each);
      return out;
    });
  }
  std::shared_ptr<TokenState> make(std::uint64_t xid = 0) {
    auto token = board.make();
    if (xid != 0) token->use_xid(xid);
    return token;
  }

  std::shared_ptr<Store> store = std::make_shared<Store>(false);
  TokenBoard board{store};
  Numbers asked{};
};

TEST_CASE("a token is pending until the commit with its id is published", "[token]") {
  Board b;
  const auto first = b.make();
  const auto second = b.make();
  CHECK(first->fate() == Fate::pending);
  b.publish({"something else", first->id()});
  CHECK(first->fate() == Fate::visible);
  CHECK(first->visible_at() == Lsn{0x2000});
  CHECK(second->fate() == Fate::pending);
  b.publish({first->id(), second->id()}, Lsn{0x3000});
  CHECK(second->visible_at() == Lsn{0x3000});
  CHECK(first->visible_at() == Lsn{0x2000});
}

TEST_CASE("no two tokens have one id, whoever made them, and no id is too long for the stream", "[token]") {
  Board one;
  Board other;
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    ids.insert(one.make()->id());
    ids.insert(other.make()->id());
  }
  CHECK(ids.size() == 2000);
  CHECK(one.board.family() != other.board.family());
  for (const std::string& id : ids) {
    CHECK((id.starts_with(one.board.family()) || id.starts_with(other.board.family())));
    CHECK(id.size() <= 64);
  }
}

TEST_CASE("a token's SQL has its id, in a transactional message", "[token]") {
  Board b;
  const auto token = b.make();
  CHECK(token->sql() ==
        "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text, pg_catalog.pg_logical_emit_message(true, "
        "'btreemapped', '" +
            token->id() + "'::pg_catalog.text)");
}

TEST_CASE("a token that is in the copy is visible with the copy", "[token]") {
  Board b;
  const auto in = b.make(10);
  const auto out = b.make(11);
  const Ids ids = b.settle({10});
  CHECK(ids == Ids{in->id()});
  CHECK(in->fate() == Fate::pending);  // until the copy is published
  b.publish(ids, Lsn{0x5000});
  CHECK(in->fate() == Fate::visible);
  CHECK(in->visible_at() == Lsn{0x5000});
  CHECK(out->fate() == Fate::pending);
  b.publish({out->id()});
  CHECK(out->fate() == Fate::visible);
}

TEST_CASE("only for tokens that are held and not visible yet is anything asked", "[token]") {
  Board b;
  const auto visible = b.make(10);
  b.publish({visible->id()});
  static_cast<void>(b.make(11));
  const auto held = b.make(12);
  CHECK(b.settle({10, 11}).empty());
  CHECK(b.asked == Numbers{12});
}

TEST_CASE("whether a copy has a transaction without a number cannot be told", "[token]") {
  Board b;
  const auto token = b.make();
  CHECK(b.settle({}).empty());
  CHECK(token->fate() == Fate::untold);
  SECTION("it may come all the same") {
    b.publish({token->id()});
    CHECK(token->fate() == Fate::visible);
  }
  SECTION("a number that comes later is of a transaction that was open then") {
    token->use_xid(10);
    CHECK(token->fate() == Fate::pending);
    CHECK(b.settle({10}) == Ids{token->id()});
  }
}

TEST_CASE("a transaction's number says nothing on another server", "[token]") {
  Board b;
  const auto early = b.make(10);
  static_cast<void>(b.settle({}, "one/1"));
  const auto token = b.make(10);
  SECTION("of another system") { CHECK(b.settle({10}, "two/1") == Ids{early->id()}); }
  SECTION("or on another timeline") { CHECK(b.settle({10}, "one/2") == Ids{early->id()}); }
  CHECK(early->fate() == Fate::pending);  // made before any server was known
  CHECK(token->fate() == Fate::elsewhere);
  b.publish({token->id()});
  CHECK(token->fate() == Fate::visible);
}

TEST_CASE("tokens that nobody holds take no room for ever", "[token]") {
  Board b;
  const auto held = b.make(1);
  for (int i = 0; i < 100'000; ++i) static_cast<void>(b.make(2));
  static_cast<void>(b.settle({}));
  CHECK(b.asked == Numbers{1});
  CHECK(b.board.size() < 100);
}

TEST_CASE("who waits at the store is told of a visible token", "[token]") {
  Board b;
  const auto token = b.make();
  Store::Waited waited = Store::Waited::timeout;
  test::run_together({[&] {
                        const auto deadline = std::chrono::steady_clock::now() + test::patience;
                        waited = b.store->wait_until([&] { return token->fate() == Fate::visible; }, deadline);
                      },
                      [&] { b.publish({token->id()}); }});
  CHECK(waited == Store::Waited::reached);
}

TEST_CASE("threads that make, publish and settle tokens are not in each other's way", "[token]") {
  Board b;
  constexpr int count = 500;
  std::vector<std::shared_ptr<TokenState>> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(b.make(static_cast<std::uint64_t>(i) + 1));
  test::run_together({[&] {
                        for (int i = 0; i < count; ++i) static_cast<void>(b.make());
                      },
                      [&] {
                        for (const auto& token : tokens) b.publish({token->id()});
                      },
                      [&] {
                        for (int i = 0; i < 20; ++i)
                          static_cast<void>(b.board.settle("one/1", [](const Numbers&) { return Numbers{}; }));
                      }});
  for (const auto& token : tokens) CHECK(token->fate() == Fate::visible);
}

}  // namespace token_board_test
