// The doctor and a server whose settings will not do: what it says to set is set, and there is nothing left to say.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped.hpp>

#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/server.hpp"

namespace fault_doctor_test {

using btreemapped::Finding;
using Catch::Matchers::ContainsSubstring;

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

/// Certificates in a folder of their own, each signed by its own key.
class Certificates {
 public:
  Certificates() { std::filesystem::create_directory(folder_); }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates() { std::filesystem::remove_all(folder_); }

  /// Makes NAME.crt and NAME.key for a host.
  void make(const std::string& name, const std::string& host) const {
    const std::string command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2" +
                                (" -subj '/CN=" + host) + "' -addext 'subjectAltName=DNS:" + host + "' -keyout '" +
                                path(name + ".key") + "' -out '" + path(name + ".crt") + "' 2>/dev/null";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("this failed: " + command);
  }

  [[nodiscard]] std::string path(const std::string& file) const { return (folder_ / file).string(); }
  [[nodiscard]] std::string text(const std::string& file) const {
    std::ifstream in(path(file));
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("btreemapped-certificates-" + std::to_string(std::random_device{}()));
};

/// From then on the server speaks TLS, as who this certificate says.
void turn_tls_on(test::Database& database, const Certificates& certificates, const std::string& name) {
  for (const std::string suffix : {".key", ".crt"}) {
    database.exec("COPY (SELECT unnest(string_to_array('" + certificates.text(name + suffix) +
                  "', E'\\n'))) TO PROGRAM 'umask 077 && cat >server" + suffix + "'");
  }
  database.exec("ALTER SYSTEM SET ssl = on");
  database.exec("SELECT pg_reload_conf()");
  REQUIRE(test::eventually([&] { return database.value("SHOW ssl") == "on"; }));
}

TEST_CASE("a connection that leaves the machine is a warning until it is encrypted and its server is verified",
          "[doctor]") {
  struct Item {
    std::int32_t id;
  };
  const test::OwnServer own;
  own.start();
  test::Database database({}, own.dsn());
  database.exec(
      "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1); CREATE PUBLICATION pub FOR TABLE items");
  const auto with = [&](std::map<std::string, std::string> parts) {
    btreemapped::Options options = database.options();
    parts.insert({"host", "localhost"});
    // The machine's own address all the same, but it does not look like one.
    parts.insert({"hostaddr", "0.0.0.0"});
    options.connection = test::with_parts(options.connection, parts);
    return options;
  };
  const auto said_with = [&](const std::map<std::string, std::string>& parts) {
    std::string said;
    for (const Finding& each : btreemapped::doctor(with(parts)).findings) {
      INFO(to_string(each));
      if (each.what.find("max_slot_wal_keep_size") != std::string::npos || each.severity == Finding::Severity::note)
        continue;
      CHECK(said.empty());
      said = to_string(each);
    }
    return said;
  };
  CHECK_THAT(said_with({}), ContainsSubstring("not encrypted"));

  const Certificates certificates;
  certificates.make("server", "localhost");
  certificates.make("other", "localhost");
  turn_tls_on(database, certificates, "server");
  const std::string root = certificates.path("server.crt");
  CHECK_THAT(said_with({{"sslmode", "disable"}}), ContainsSubstring("not encrypted"));
  CHECK_THAT(said_with({}), ContainsSubstring("encrypted, but with sslmode=prefer nobody checks"));
  CHECK_THAT(said_with({{"sslmode", "require"}}), ContainsSubstring("encrypted, but with sslmode=require nobody"));
  CHECK_THAT(said_with({{"sslmode", "verify-ca"}, {"sslrootcert", root}}), ContainsSubstring("sslmode=verify-ca"));
  const std::map<std::string, std::string> verified{{"sslmode", "verify-full"}, {"sslrootcert", root}};
  CHECK(said_with(verified).empty());

  // Who is not whom it should be is not spoken to.
  CHECK_THAT(said_with({{"sslmode", "verify-full"}, {"sslrootcert", certificates.path("other.crt")}}),
             ContainsSubstring("certificate verify failed"));
  CHECK_THAT(said_with({{"sslmode", "verify-full"}, {"sslrootcert", root}, {"host", "elsewhere"}}),
             ContainsSubstring("does not match host name \"elsewhere\""));

  test::Replicator replicator(with(verified));
  const auto items = replicator.add_replica<Item, 1>("items");
  test::start_and_sync(replicator);
  database.exec("INSERT INTO items VALUES (2)");
  database.catch_up(replicator);
  CHECK(items.size() == 2);
  CHECK(database.value("SELECT count(*) > 1 AND bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) "
                       "WHERE a.application_name = 'btreemapped'") == "t");
}

}  // namespace fault_doctor_test
