// What the doctor says of a role that has been given one of the server's predefined roles.

#include <set>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/sql.hpp"

namespace doctor_roles_test {

using btreemapped::Finding;

/// A role with the README's rights, and what the doctor says that it is a member of.
struct Scene {
  Scene() {
    database.exec("CREATE TABLE items (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE items");
    role = test::parse_conninfo(database.reader_dsn()).at("user");
  }

  [[nodiscard]] std::vector<Finding> memberships() const {
    std::vector<Finding> out;
    for (const Finding& each : btreemapped::doctor(database.options()).findings)
      if (each.what.find("is a member of") != std::string::npos) out.push_back(each);
    return out;
  }

  test::Database database{};
  std::string role{};
};

TEST_CASE("each predefined role of the server that a reader does not need is a warning, and the SQL takes it away",
          "[doctor]") {
  // For those who watch the server, or keep a seat free for us; the last has the owner of the database alone.
  const std::set<std::string> harmless{"pg_monitor",          "pg_read_all_settings",        "pg_read_all_stats",
                                       "pg_stat_scan_tables", "pg_use_reserved_connections", "pg_database_owner"};
  Scene scene;
  int powers = 0;
  for (const test::SqlRow& row :
       scene.database.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE 'pg\\_%' ORDER BY 1")) {
    const std::string& power = *row[0];
    CAPTURE(power);
    if (harmless.contains(power)) continue;
    ++powers;
    scene.database.exec("GRANT " + power + " TO " + scene.role);
    const std::vector<Finding> found = scene.memberships();
    REQUIRE(found.size() == 1);
    CHECK(found[0].severity == Finding::Severity::warning);
    CHECK(found[0].what.find("is a member of " + power + ",") != std::string::npos);
    scene.database.exec(found[0].remedy);
    CHECK(scene.memberships().empty());
  }
  CHECK(powers >= 7);
}

TEST_CASE("of a role that may watch the server the doctor says nothing", "[doctor]") {
  Scene scene;
  scene.database.exec("GRANT pg_monitor TO " + scene.role);
  CHECK(scene.memberships().empty());
}

}  // namespace doctor_roles_test
