// The doctor and a server whose settings will not do: what it says to set is set, and after a restart there is nothing
// left to say.

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/doctor.hpp>

#include "support/database.hpp"
#include "support/server.hpp"

namespace fault_doctor_test {

using btreemapped::Finding;

/// A server that was made for something else, removed at the end.
struct PoorServer {
  PoorServer() {
    const std::string command = "'" BTREEMAPPED_POSTGRES_SH "' start '" + state +
                                "' -c wal_level=replica -c max_replication_slots=1 -c max_wal_senders=1"
                                " -c max_slot_wal_keep_size=-1 -c wal_sender_timeout=0 >&2";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  PoorServer(const PoorServer&) = delete;
  PoorServer& operator=(const PoorServer&) = delete;
  ~PoorServer() { static_cast<void>(std::system(("'" BTREEMAPPED_POSTGRES_SH "' remove '" + state + "'").c_str())); }

  const std::string state =
      (std::filesystem::temp_directory_path() / ("btreemapped-doctor-" + std::to_string(std::random_device{}())))
          .string();
  const test::Server server{state};
};

/// ALTER SYSTEM wants to be alone.
void exec_each(test::Database& database, std::string_view statements) {
  statements = statements.substr(0, statements.find("--"));
  for (std::size_t end = 0; (end = statements.find(';')) != std::string_view::npos; statements.remove_prefix(end + 1))
    database.exec(std::string{statements.substr(0, end)});
}

TEST_CASE("the settings that the doctor asks for leave nothing to say of the server", "[doctor]") {
  const PoorServer poor;
  test::Database database({}, poor.server.dsn());
  database.exec("CREATE TABLE items (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE items");
  const btreemapped::Diagnosis before = btreemapped::doctor(database.options());
  std::vector<std::string> expected{"wal_level is replica", "1 of the 1 replication slots is free",
                                    "1 of the 1 walsenders is free", "max_slot_wal_keep_size is -1",
                                    "wal_sender_timeout is 0"};
  CHECK_FALSE(before.can_follow());
  for (const Finding& each : before.findings) {
    INFO(to_string(each));
    if (each.severity == Finding::Severity::note) continue;
    CHECK(std::erase_if(expected, [&](const std::string& what) { return each.what.find(what) != std::string::npos; }) ==
          1);
    exec_each(database, each.remedy);
  }
  CHECK(expected.empty());
  poor.server.restart();
  database.connect_again();
  const btreemapped::Diagnosis after = btreemapped::doctor(database.options());
  CHECK(after.can_follow());
  for (const Finding& each : after.findings) {
    INFO(to_string(each));
    CHECK(each.severity == Finding::Severity::note);
  }
}

}  // namespace fault_doctor_test
