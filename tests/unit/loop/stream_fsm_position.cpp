#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/loop/stream_fsm.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

#include <support/fsm_script.hpp>
#include <support/messages.hpp>
#include <support/random.hpp>

// What a stream may contain, what of it is applied, and what is acknowledged.

namespace {

using btreemapped::Errc;
using btreemapped::Lsn;
using btreemapped::detail::StreamFsm;
using test::FsmScript;
using test::MessageBuilder;
using Step = StreamFsm::Step;
using namespace std::chrono_literals;

constexpr Lsn begin_of_log = FsmScript::consistent_point;
constexpr Lsn far_away{0xFFFF'FFFF'FFFF'FF00};

FsmScript streaming() {
  FsmScript script;
  script.start_streaming();
  return script;
}

/// A stream in the middle of the transaction that commits at 0/2000.
FsmScript inside_transaction() {
  FsmScript script = streaming();
  script.hear(test::begin_message(Lsn{0x2000}));
  script.settle();
  return script;
}

/// A stream whose transaction from 0/2000 to 0/2030 waits for readers.
FsmScript publishing() {
  FsmScript script = streaming();
  script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
  return script;
}

MessageBuilder relation() { return test::relation_message({"public", "cars"}, 'd', {{"id", 23, true}}); }

std::vector<MessageBuilder> row_changes() {
  return {test::insert_message({1}), test::update_message({1}), test::delete_message({1}), test::truncate_message({1})};
}

}  // namespace

TEST_CASE("the messages of a transaction are staged in order, and its commit is then published", "[fsm]") {
  FsmScript script = streaming();
  for (const MessageBuilder& message :
       {test::begin_message(Lsn{0x2000}), relation(), test::insert_message({1}), test::update_message({1}),
        test::delete_message({1}), test::truncate_message({1})}) {
    script.hear(message);
    REQUIRE(script.step() == Step::stage);
    script.settle();
  }
  script.hear(test::commit_message(Lsn{0x2000}, Lsn{0x2030}));
  CHECK(script.step() == Step::publish);
  CHECK(script.fsm.commit().commit_lsn == Lsn{0x2000});
  CHECK(script.fsm.commit().end_lsn == Lsn{0x2030});
  script.settle();
  CHECK(script.staged_types == "BRIUDT");
  CHECK(script.published == std::vector{Lsn{0x2030}});
}

TEST_CASE("a message is offered until it is staged", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::begin_message(Lsn{0x2000}));
  for (int i = 0; i < 3; ++i) CHECK(script.step() == Step::stage);
  script.fsm.staged();
  CHECK(script.step() == Step::receive);
}

// Acknowledging.

TEST_CASE("a transaction is acknowledged by the end of its commit, at once", "[fsm]") {
  FsmScript script = publishing();
  script.settle();
  REQUIRE(script.feedback.size() == 1);
  CHECK(script.feedback[0].position == Lsn{0x2030});
  CHECK(script.fsm.received() == Lsn{0x2030});
  CHECK(script.fsm.applied() == Lsn{0x2030});
  CHECK(script.fsm.acknowledged() == Lsn{0x2030});
}

TEST_CASE("a transaction that is not yet visible is not acknowledged", "[fsm]") {
  FsmScript script = publishing();
  CHECK(script.fsm.received() == Lsn{0x2030});
  for (int minute = 0; minute < 10; ++minute) {
    script.fsm.drained(script.now);
    for (auto action = script.next(); action.step != Step::publish; action = script.next()) {
      REQUIRE(action.step == Step::send_feedback);
      CHECK(action.position == begin_of_log);
      script.carry_out(action);
    }
    CHECK(script.fsm.applied() == begin_of_log);
    script.pass(1min);
  }
  script.settle();
  CHECK(script.fsm.acknowledged() == Lsn{0x2030});
}

TEST_CASE("the positions of envelopes are never acknowledged", "[fsm]") {
  FsmScript script = streaming();
  for (const MessageBuilder& message : {test::begin_message(Lsn{0x2000}), relation(), test::insert_message({1}),
                                        test::commit_message(Lsn{0x2000}, Lsn{0x2030}), test::emitted_message(false)}) {
    script.hear(message, far_away);
    script.settle();
  }
  CHECK(script.fsm.received() == Lsn{0x2030});
  CHECK(script.fsm.acknowledged() == Lsn{0x2030});
}

TEST_CASE("an advance is acknowledged once, not again and again", "[fsm]") {
  FsmScript script = publishing();
  for (int i = 0; i < 5; ++i) script.settle();
  script.hear(test::keepalive(Lsn{0x2030}));
  script.settle();
  CHECK(script.feedback.size() == 1);
}

TEST_CASE("a stream that never pauses is acknowledged all the same", "[fsm]") {
  FsmScript script = streaming();
  std::uint64_t end = 0x2000;
  Lsn acknowledged{};
  for (int i = 0; i < 100; ++i, end += 0x40) {
    // Each frame is followed by the next: there is no moment without anything to read.
    for (const MessageBuilder& message :
         {test::begin_message(Lsn{end}), test::insert_message({1}), test::commit_message(Lsn{end}, Lsn{end + 0x30})}) {
      script.hear(message);
      for (auto action = script.next(); action.step != Step::receive; action = script.next()) script.carry_out(action);
      script.pass(1ms);
    }
    acknowledged = script.fsm.acknowledged();
  }
  CHECK(script.feedback.size() > 2);
  CHECK(acknowledged > Lsn{end - 0x800});
}

TEST_CASE("what was applied before is acknowledged soon while the next commit waits for readers", "[fsm]") {
  FsmScript script = streaming();
  script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
  script.carry_out(script.next());
  REQUIRE(script.published == std::vector{Lsn{0x2030}});
  // The next transaction is there already, so there was no moment without anything to read.
  for (const MessageBuilder& message :
       {test::begin_message(Lsn{0x2040}), test::insert_message({2}), test::commit_message(Lsn{0x2040}, Lsn{0x2070})}) {
    script.hear(message);
    while (script.step() == Step::stage) script.carry_out(script.next());
  }
  const auto publish = script.next();
  REQUIRE(publish.step == Step::publish);
  CHECK(publish.until <= script.now + 100ms);
  script.now = publish.until;
  const auto feedback = script.next();
  CHECK(feedback.step == Step::send_feedback);
  CHECK(feedback.position == Lsn{0x2030});
}

TEST_CASE("positions that go back are not followed", "[fsm]") {
  FsmScript script = publishing();
  script.settle();
  script.hear(test::keepalive(Lsn{0x2010}));
  script.settle();
  script.hear(test::keepalive(Lsn{0}, true));
  script.settle();
  REQUIRE(script.feedback.size() == 2);
  CHECK(script.feedback[1].position == Lsn{0x2030});
  CHECK(script.fsm.received() == Lsn{0x2030});
  CHECK(script.fsm.applied() == Lsn{0x2030});
  CHECK(script.fsm.acknowledged() == Lsn{0x2030});
}

// Keepalives.

TEST_CASE("a keepalive outside a transaction advances, and is acknowledged at once", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::keepalive(Lsn{0x3000}));
  CHECK(script.fsm.received() == Lsn{0x3000});
  const auto action = script.next();
  CHECK(action.step == Step::advance);
  CHECK(action.position == Lsn{0x3000});
  CHECK(script.fsm.applied() == begin_of_log);
  script.fsm.advanced();
  CHECK(script.fsm.applied() == Lsn{0x3000});
  script.settle();
  REQUIRE(script.feedback.size() == 1);
  CHECK(script.feedback[0].position == Lsn{0x3000});
  CHECK(script.fsm.acknowledged() == Lsn{0x3000});
}

TEST_CASE("a keepalive without news asks for nothing to be done", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::keepalive(begin_of_log));
  CHECK(script.step() == Step::receive);
  script.settle();
  CHECK(script.feedback.empty());
}

TEST_CASE("a keepalive inside a transaction advances nothing", "[fsm]") {
  for (const Lsn position : {Lsn{0x1F00}, Lsn{0x2000}, Lsn{0x2030}, far_away}) {
    INFO(to_string(position));
    FsmScript script = inside_transaction();
    script.hear(test::keepalive(position));
    CHECK(script.step() == Step::receive);
    script.settle();
    CHECK(script.feedback.empty());
    CHECK(script.fsm.received() == begin_of_log);
    CHECK(script.fsm.applied() == begin_of_log);

    script.hear(test::keepalive(position, true));
    script.settle();
    REQUIRE(script.feedback.size() == 1);
    CHECK(script.feedback[0].position == begin_of_log);

    script.hear(test::commit_message(Lsn{0x2000}, Lsn{0x2030}));
    script.settle();
    CHECK(script.fsm.acknowledged() == Lsn{0x2030});
  }
}

TEST_CASE("a keepalive behind a commit that waits for readers is acknowledged only with it", "[fsm]") {
  FsmScript script = publishing();
  script.hear(test::keepalive(Lsn{0x3000}, true));
  const auto reply = script.next();
  CHECK(reply.step == Step::send_feedback);
  CHECK(reply.position == begin_of_log);
  script.carry_out(reply);
  script.fsm.drained(script.now);
  CHECK(script.step() == Step::publish);
  CHECK(script.fsm.applied() == begin_of_log);
  script.settle();
  CHECK(script.fsm.acknowledged() == Lsn{0x3000});
}

TEST_CASE("a reply that the server wants is sent before anything else is done", "[fsm]") {
  FsmScript script = streaming();
  Lsn position = begin_of_log;
  SECTION("while nothing is to be done") {}
  SECTION("while a message is to be staged") { script.hear(test::begin_message(Lsn{0x2000})); }
  SECTION("in the middle of a transaction") {
    script.hear(test::begin_message(Lsn{0x2000}));
    script.settle();
  }
  SECTION("while a commit waits for readers") { script.hear_transaction(Lsn{0x2000}, Lsn{0x2030}); }
  SECTION("after a transaction") {
    script.hear_transaction(Lsn{0x2000}, Lsn{0x2030});
    script.settle();
    position = Lsn{0x2030};
  }
  script.hear(test::keepalive(Lsn{0x3000}, true));
  const auto action = script.next();
  REQUIRE(action.step == Step::send_feedback);
  CHECK(action.position == position);
  CHECK_FALSE(action.ask_reply);
  script.carry_out(action);
  const auto after = script.next();
  CHECK(after.step != Step::send_feedback);
}

TEST_CASE("every reply that the server wants is sent", "[fsm]") {
  FsmScript script = streaming();
  for (int i = 0; i < 20; ++i) {
    script.hear(test::keepalive(begin_of_log, true));
    script.settle();
  }
  CHECK(script.feedback.size() == 20);
}

// The copy's position.

TEST_CASE("transactions that the copy holds already are skipped", "[fsm]") {
  FsmScript script = streaming();
  for (const MessageBuilder& message :
       {test::begin_message(Lsn{0xF00}), test::origin_message("far"), test::insert_message({1}),
        test::update_message({1}), test::delete_message({1}), test::truncate_message({1}), test::emitted_message(true),
        test::commit_message(Lsn{0xF00}, Lsn{0xF30})}) {
    script.hear(message);
    CHECK(script.step() == Step::receive);
    script.settle();
  }
  CHECK(script.published.empty());
  CHECK(script.feedback.empty());
  CHECK(script.fsm.applied() == begin_of_log);
}

TEST_CASE("a table that is described in a skipped transaction is not described again, so that is staged", "[fsm]") {
  FsmScript script = streaming();
  for (const MessageBuilder& message : {test::begin_message(Lsn{0xF00}), test::type_message("mood"), relation(),
                                        test::insert_message({1}), test::commit_message(Lsn{0xF00}, Lsn{0xF30})}) {
    script.hear(message);
    script.settle();
  }
  CHECK(script.staged_types == "R");
}

TEST_CASE("a transaction that committed just at the copy's position is not in the copy", "[fsm]") {
  FsmScript script = streaming();
  script.hear_transaction(begin_of_log, Lsn{0x1030});
  script.settle();
  CHECK(script.staged_types == "BI");
  CHECK(script.fsm.acknowledged() == Lsn{0x1030});
}

TEST_CASE("after a skipped transaction the next one is staged", "[fsm]") {
  FsmScript script = streaming();
  for (const std::uint64_t commit : {0xF00U, 0x2000U}) {
    script.hear_transaction(Lsn{commit}, Lsn{commit + 0x30});
    script.settle();
  }
  CHECK(script.staged_types == "BI");
  CHECK(script.published == std::vector{Lsn{0x2030}});
}

TEST_CASE("a keepalive inside a skipped transaction advances nothing", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::begin_message(Lsn{0xF00}));
  script.hear(test::keepalive(Lsn{0x2000}));
  script.settle();
  CHECK(script.fsm.received() == begin_of_log);
  CHECK(script.feedback.empty());
}

TEST_CASE("a transaction may follow right at the end of the one before", "[fsm]") {
  FsmScript script = publishing();
  script.settle();
  script.hear_transaction(Lsn{0x2030}, Lsn{0x2060});
  script.settle();
  CHECK(script.fsm.acknowledged() == Lsn{0x2060});
}

// What the protocol does not allow.

TEST_CASE("a transaction from before the applied position is a violation", "[fsm]") {
  SECTION("after a commit") {
    FsmScript script = publishing();
    script.settle();
    CHECK(script.receive(test::begin_message(Lsn{0x2000})) != Errc::ok);
  }
  SECTION("after a keepalive") {
    FsmScript script = streaming();
    script.hear(test::keepalive(Lsn{0x3000}));
    script.settle();
    CHECK(script.receive(test::begin_message(Lsn{0x2FF0})) != Errc::ok);
  }
}

TEST_CASE("transactions are not nested", "[fsm]") {
  FsmScript script = inside_transaction();
  CHECK(script.receive(test::begin_message(Lsn{0x2100})) != Errc::ok);
}

TEST_CASE("transactions are not nested in a skipped one either", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::begin_message(Lsn{0xF00}));
  CHECK(script.receive(test::begin_message(Lsn{0x2100})) != Errc::ok);
}

TEST_CASE("a commit needs its transaction", "[fsm]") {
  SECTION("none has begun") {
    FsmScript script = streaming();
    CHECK(script.receive(test::commit_message(Lsn{0x2000}, Lsn{0x2030})) != Errc::ok);
  }
  SECTION("it has been committed") {
    FsmScript script = publishing();
    script.settle();
    CHECK(script.receive(test::commit_message(Lsn{0x2000}, Lsn{0x2030})) != Errc::ok);
  }
  SECTION("another one has begun") {
    FsmScript script = inside_transaction();
    CHECK(script.receive(test::commit_message(Lsn{0x2008}, Lsn{0x2030})) != Errc::ok);
  }
}

TEST_CASE("a commit does not end before it starts", "[fsm]") {
  FsmScript script = inside_transaction();
  CHECK(script.receive(test::commit_message(Lsn{0x2000}, Lsn{0x1FFF})) != Errc::ok);
}

TEST_CASE("a row change belongs into a transaction", "[fsm]") {
  for (const MessageBuilder& change : row_changes()) {
    INFO(change.bytes()[0]);
    FsmScript script = streaming();
    CHECK(script.receive(change) != Errc::ok);
  }
  for (const MessageBuilder& change : row_changes()) {
    INFO(change.bytes()[0]);
    FsmScript script = publishing();
    script.settle();
    CHECK(script.receive(change) != Errc::ok);
  }
}

TEST_CASE("an origin belongs into a transaction", "[fsm]") {
  FsmScript outside = streaming();
  CHECK(outside.receive(test::origin_message("far")) != Errc::ok);
  FsmScript inside = inside_transaction();
  CHECK(inside.receive(test::origin_message("far")) == Errc::ok);
}

TEST_CASE("an emitted message may come anywhere, a transactional one only in its transaction", "[fsm]") {
  FsmScript outside = streaming();
  CHECK(outside.receive(test::emitted_message(false)) == Errc::ok);
  CHECK(outside.step() == Step::receive);
  CHECK(outside.receive(test::emitted_message(true)) != Errc::ok);
  FsmScript inside = inside_transaction();
  CHECK(inside.receive(test::emitted_message(true)) == Errc::ok);
  inside.settle();
  CHECK(inside.receive(test::emitted_message(false)) == Errc::ok);
  CHECK(inside.step() == Step::receive);
}

TEST_CASE("an emitted message is staged if it belongs to its transaction", "[fsm]") {
  FsmScript script = streaming();
  script.hear(test::emitted_message(false));
  script.settle();
  script.hear(test::begin_message(Lsn{0x2000}));
  script.settle();
  script.hear(test::emitted_message(false));
  script.settle();
  script.hear(test::emitted_message(true));
  script.settle();
  CHECK(script.staged_types == "BM");
}

TEST_CASE("a transaction of nothing but an emitted message is applied and acknowledged", "[fsm]") {
  FsmScript script = inside_transaction();
  script.hear(test::emitted_message(true));
  script.settle();
  script.hear(test::commit_message(Lsn{0x2000}, Lsn{0x2030}));
  script.settle();
  CHECK(script.fsm.acknowledged() == Lsn{0x2030});
}

TEST_CASE("an empty transaction is applied and acknowledged", "[fsm]") {
  FsmScript script = inside_transaction();
  script.hear(test::commit_message(Lsn{0x2000}, Lsn{0x2030}));
  script.settle();
  CHECK(script.fsm.acknowledged() == Lsn{0x2030});
}

TEST_CASE("garbage is refused and moves nothing", "[fsm]") {
  FsmScript script = streaming();
  const std::string keepalive = test::keepalive(far_away, true);
  const std::string data = test::xlog_data(test::begin_message(Lsn{0x2000}));
  std::vector<std::string> garbage{"",
                                   "x",
                                   keepalive + '\0',
                                   data + '\0',
                                   test::xlog_data(MessageBuilder('S').u32(1)),
                                   test::xlog_data(MessageBuilder('?')),
                                   std::string(34, 'r')};
  for (const std::string& whole : {keepalive, data})
    for (std::size_t size = 0; size < whole.size(); ++size) garbage.push_back(whole.substr(0, size));
  for (const std::string& bytes : garbage) {
    INFO(bytes.size() << " bytes");
    CHECK(script.receive(bytes) != Errc::ok);
  }
  CHECK(script.fsm.received() == begin_of_log);
  CHECK(script.fsm.applied() == begin_of_log);
  CHECK(script.step() == Step::receive);
  script.settle();
  CHECK(script.feedback.empty());
}

// All of it together.

TEST_CASE("whatever the server sends in whatever order, only what is applied is acknowledged, and all of it", "[fsm]") {
  std::mt19937_64 generator = test::seeded_generator("acknowledged positions");
  const auto chance = [&](std::uint64_t percent) { return test::below(generator, 100) < percent; };
  for (int life = 0; life < 50; ++life) {
    FsmScript script = streaming();
    std::uint64_t log = begin_of_log.value();
    Lsn safe = begin_of_log;       // all before it is visible
    Lsn safe_then = begin_of_log;  // will be, once the commit is published
    Lsn last = begin_of_log;
    bool in_transaction = false;
    std::uint64_t commit = 0;

    // Carries out what is asked, but a commit only now and then; all feedback is held against the model.
    const auto work = [&] {
      for (bool drained = false;;) {
        const auto action = script.next();
        if (action.step == Step::receive && (drained || chance(50))) return;
        drained = action.step == Step::receive;
        if (action.step == Step::receive || action.step == Step::publish) {
          REQUIRE(action.until > script.now);
          REQUIRE(action.until <= script.now + 10s);  // at the latest then it is time for feedback
        }
        if (action.step == Step::publish && chance(70)) {
          script.now = std::min(action.until, script.now + std::chrono::milliseconds{test::below(generator, 20'000)});
          continue;
        }
        if (action.step == Step::send_feedback) {
          REQUIRE(action.position >= last);
          REQUIRE(action.position <= safe);
          last = action.position;
        }
        if (action.step == Step::publish || action.step == Step::advance) safe = safe_then;
        script.carry_out(action);
        if (drained) REQUIRE((script.fsm.acknowledged() == safe || script.step() == Step::send_feedback));
      }
    };

    for (int i = 0; i < 200; ++i) {
      script.pass(std::chrono::microseconds{test::below(generator, chance(5) ? 20'000'000 : 5'000)});
      // Elsewhere in the cluster the log grows, too.
      if (!in_transaction) log += 8 * test::below(generator, 100);
      if (chance(30)) {
        // Inside a transaction the server has not got past its commit yet.
        const Lsn position{chance(80) ? log : test::below(generator, log)};
        script.hear(test::keepalive(position, chance(30)));
        if (!in_transaction) safe_then = std::max(safe_then, position);
      } else if (!in_transaction) {
        commit = log;
        in_transaction = true;
        script.hear(test::begin_message(Lsn{commit}), Lsn{test::below(generator, 2 * log)});
      } else if (chance(60)) {
        script.hear(chance(20) ? relation() : row_changes()[test::below(generator, 4)], Lsn{log + 0x1'0000});
      } else {
        log = commit + 0x30;
        in_transaction = false;
        safe_then = std::max(safe_then, Lsn{log});
        script.hear(test::commit_message(Lsn{commit}, Lsn{log}), Lsn{log});
      }
      work();
    }
    script.settle();
    safe = safe_then;
    REQUIRE(script.fsm.applied() == safe);
    REQUIRE(script.fsm.acknowledged() == safe);
  }
}

TEST_CASE("each frame says how far the server's log goes at least, and the server's time", "[fsm]") {
  FsmScript script;
  script.start_streaming();
  script.hear(test::MessageBuilder('k').lsn(Lsn{0x2000}).u64(77).byte('\0').bytes());
  CHECK(script.fsm.heard().position == Lsn{0x2000});
  CHECK(script.fsm.heard().clock == 77);
  script.hear(test::MessageBuilder('w')
                  .lsn(Lsn{0x1800})
                  .lsn(Lsn{0x1900})
                  .u64(99)
                  .text(test::begin_message(Lsn{0x3000}).bytes())
                  .bytes());
  CHECK(script.fsm.heard().position == Lsn{0x1900});
  CHECK(script.fsm.heard().clock == 99);
}
