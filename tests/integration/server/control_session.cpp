#include <chrono>
#include <memory>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/interrupt.hpp>
#include <btreemapped/detail/loop/control_session.hpp>
#include <btreemapped/detail/sql/session.hpp>
#include <btreemapped/error.hpp>

#include "integration/server/server_database.hpp"
#include "support/eventually.hpp"
#include "support/proxy.hpp"

using btreemapped::ConnectionError;
using btreemapped::detail::ControlSession;

namespace {

/// A control session through a proxy, and what it ends with.
struct Control {
  test::ServerDatabase db{};
  const std::string role = db.add_role("REPLICATION");
  test::Proxy proxy{db.dsn(role)};
  ControlSession session{std::make_shared<test::Interrupt>(), std::chrono::seconds{1}};
  int reopened = 0;

  Control() { session.open(proxy.dsn()); }

  void ask() {
    session.insist([](test::sql::Session& open) { return open.query("cannot ask", "SELECT 1"); },
                   [this](test::sql::Session&) { ++reopened; });
  }

  /// Asks until that fails.
  std::string code_of_end() {
    std::string code;
    const auto fails = [&] {
      try {
        ask();
        return false;
      } catch (const ConnectionError& error) {
        code = error.sqlstate();
        return true;
      }
    };
    REQUIRE(test::eventually(fails));
    return code;
  }
};

TEST_CASE("a control session that is lost is opened again, and the question asked there") {
  Control control;
  control.proxy.drop(test::Proxy::Kind::any);
  CHECK(test::eventually([&] {
    control.ask();
    return control.reopened == 1;
  }));
}

TEST_CASE("a control session that is lost, and refused when it is opened again, tells the code of the refusal") {
  Control control;
  control.db.exec("ALTER ROLE " + control.role + " CONNECTION LIMIT 0");
  control.proxy.drop(test::Proxy::Kind::any);
  CHECK(control.code_of_end() == "53300");
}

TEST_CASE("a control session that is lost and finds no server tells no code") {
  Control control;
  control.proxy.cut();
  CHECK(control.code_of_end().empty());
}

}  // namespace
