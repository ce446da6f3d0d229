#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/error.hpp>

using btreemapped::UsageError;
using Catch::Matchers::ContainsSubstring;
namespace pq = btreemapped::detail::pq;
using pq::Conninfo;
using pq::ConninfoOverride;

namespace {

/// Sets an environment variable for one test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

std::string option(std::string_view conninfo, std::string_view keyword) {
  const Conninfo parsed = pq::parse_conninfo(conninfo);
  const std::string* const value = pq::find_option(parsed, keyword);
  return value == nullptr ? "" : *value;
}

}  // namespace

TEST_CASE("an override replaces what is there and leaves the rest") {
  const ConninfoOverride overrides[] = {{"dbname", "new"}, {"replication", "database"}};
  const std::string text = pq::with_overrides("host=h dbname=old user=u", overrides);
  CHECK(option(text, "host") == "h");
  CHECK(option(text, "dbname") == "new");
  CHECK(option(text, "user") == "u");
  CHECK(option(text, "replication") == "database");
}

TEST_CASE("an override with an empty value takes the keyword out") {
  const ConninfoOverride overrides[] = {{"port", ""}};
  CHECK(pq::with_overrides("host='h' port='1'", overrides) == "host='h'");
}

TEST_CASE("values with blanks, quotes and backslashes come through") {
  const std::string value = R"(it's a \ "value" = 5)";
  const ConninfoOverride overrides[] = {{"password", value}};
  CHECK(option(pq::with_overrides("host=h", overrides), "password") == value);
}

TEST_CASE("a URI is read like a list of keywords") {
  const std::string text =
      pq::with_overrides("postgresql://us%40er:pa%20ss@h1:1,h2:2/db?sslmode=require&options=-c%20geqo%3Doff", {});
  CHECK(option(text, "user") == "us@er");
  CHECK(option(text, "password") == "pa ss");
  CHECK(option(text, "host") == "h1,h2");
  CHECK(option(text, "port") == "1,2");
  CHECK(option(text, "dbname") == "db");
  CHECK(option(text, "sslmode") == "require");
  CHECK(option(text, "options") == "-c geqo=off");
}

TEST_CASE("an unreadable connection string is refused without being quoted") {
  const std::string text =
      GENERATE("host=h password=my SECRET", "SECRET=x", "host='SECRET", "postgresql://u:SECRET@[::1",
               "postgresql://u:%zzSECRET@h", "postgresql://h/db?SECRET=1", "postgresql://u:p@SECRET@h/db",
               "postgresql://u:p@@SECRET@h/db", "postgres://u:SECRET/x@h/db");
  CAPTURE(text);
  try {
    static_cast<void>(pq::parse_conninfo(text));
    FAIL("it was read");
  } catch (const UsageError& error) {
    CHECK_THAT(error.what(), ContainsSubstring("connection string cannot be read"));
    CHECK_THAT(error.what(), !ContainsSubstring("SECRET"));
  }
}

TEST_CASE("a connection string with a zero byte is refused") {
  CHECK_THROWS_AS(pq::parse_conninfo(std::string_view{"host=h\0x", 8}), UsageError);
}

TEST_CASE("defaults fill in what nobody has set") {
  const std::string text = pq::with_defaults("host=h keepalives_idle=77 application_name=mine");
  CHECK(option(text, "host") == "h");
  CHECK(option(text, "application_name") == "mine");
  CHECK(option(text, "fallback_application_name") == "btreemapped");
  CHECK(option(text, "connect_timeout") == "10");
  CHECK(option(text, "keepalives_idle") == "77");
  CHECK(option(text, "keepalives_interval") == "5");
  CHECK(option(text, "keepalives_count") == "3");
  CHECK(option(text, "tcp_user_timeout") == "30000");
}

TEST_CASE("defaults give way to the environment") {
  const Environment timeout("PGCONNECT_TIMEOUT", "3");
  CHECK(option(pq::with_defaults("host=h"), "connect_timeout").empty());
}

TEST_CASE("defaults give way to a service file, whose hosts are tried too") {
  const auto file = std::filesystem::temp_directory_path() / ("btreemapped_service_" + std::to_string(::getpid()));
  std::ofstream(file) << "[cars]\nhost=a,b\nport=1,2\nconnect_timeout=4\nkeepalives_idle=88\n";
  const Environment service_file("PGSERVICEFILE", file.string());
  const auto servers = pq::candidates("service=cars user=u");
  std::filesystem::remove(file);
  REQUIRE(servers.size() == 2);
  CHECK(option(servers[1].conninfo, "service") == "cars");
  CHECK(option(servers[1].conninfo, "host") == "b");
  CHECK(option(servers[1].conninfo, "port") == "2");
  CHECK(option(servers[1].conninfo, "connect_timeout").empty());
  CHECK(option(servers[1].conninfo, "keepalives_idle").empty());
  CHECK(option(servers[1].conninfo, "tcp_user_timeout") == "30000");
  CHECK(servers[1].timeout == std::chrono::seconds{4});
}

TEST_CASE("one server is one candidate") {
  const auto servers = pq::candidates("host=h port=5 connect_timeout=7");
  REQUIRE(servers.size() == 1);
  CHECK(option(servers[0].conninfo, "host") == "h");
  CHECK(option(servers[0].conninfo, "port") == "5");
  CHECK(servers[0].timeout == std::chrono::seconds{7});
}

TEST_CASE("each host of a list is a candidate with its own address and port") {
  const auto servers = pq::candidates("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=1,2 target_session_attrs=read-write");
  REQUIRE(servers.size() == 2);
  CHECK(option(servers[0].conninfo, "host") == "a");
  CHECK(option(servers[0].conninfo, "hostaddr") == "10.0.0.1");
  CHECK(option(servers[0].conninfo, "port") == "1");
  CHECK(option(servers[1].conninfo, "host") == "b");
  CHECK(option(servers[1].conninfo, "hostaddr") == "10.0.0.2");
  CHECK(option(servers[1].conninfo, "port") == "2");
  CHECK(option(servers[1].conninfo, "target_session_attrs") == "read-write");
}

TEST_CASE("one port serves all hosts") {
  const auto servers = pq::candidates("host=a,b,c port=7");
  REQUIRE(servers.size() == 3);
  CHECK(option(servers[2].conninfo, "port") == "7");
}

TEST_CASE("hosts of the environment are tried one by one") {
  const Environment hosts("PGHOST", "a,b");
  const auto servers = pq::candidates("dbname=d");
  REQUIRE(servers.size() == 2);
  CHECK(option(servers[1].conninfo, "host") == "b");
}

TEST_CASE("a preferred standby is looked for on all hosts before any server will do") {
  const auto servers = pq::candidates("host=a,b target_session_attrs=prefer-standby");
  REQUIRE(servers.size() == 4);
  CHECK(option(servers[1].conninfo, "target_session_attrs") == "standby");
  CHECK(option(servers[1].conninfo, "host") == "b");
  CHECK(option(servers[2].conninfo, "target_session_attrs") == "any");
  CHECK(option(servers[2].conninfo, "host") == "a");
}

TEST_CASE("lists that do not match are left for libpq to refuse") {
  const std::string text = GENERATE("host=a,b port=1,2,3", "host=a,b hostaddr=10.0.0.1", "host=a,");
  CAPTURE(text);
  CHECK(pq::candidates(text).size() == 1);
}

TEST_CASE("no connect timeout means a very long one") {
  CHECK(pq::candidates("host=h connect_timeout=0")[0].timeout >= std::chrono::hours{1});
}

TEST_CASE("further sessions are pinned to the server that was found") {
  const std::string text = pq::pinned_to("host=a,b port=1,2 user=u target_session_attrs=read-write options='-c x.y=1'",
                                         {"b", "10.0.0.2", "2"});
  CHECK(option(text, "host") == "b");
  CHECK(option(text, "hostaddr") == "10.0.0.2");
  CHECK(option(text, "port") == "2");
  CHECK(option(text, "target_session_attrs") == "any");
  CHECK(option(text, "user") == "u");
  CHECK(option(text, "options") == "-c x.y=1");
}

TEST_CASE("a session over a socket is pinned to its folder") {
  const std::string text = pq::pinned_to("hostaddr=10.0.0.1", {"/run/postgresql", "", "5432"});
  CHECK(option(text, "host") == "/run/postgresql");
  CHECK(option(text, "hostaddr").empty());
}

TEST_CASE("each address of a host is a candidate of its own, under the host's name") {
  const auto addresses = pq::addresses_of({"host=localhost port=7 user=u", std::chrono::seconds{3}});
  REQUIRE_FALSE(addresses.empty());
  std::vector<std::string> seen;
  for (const pq::Candidate& each : addresses) {
    CHECK(option(each.conninfo, "host") == "localhost");
    CHECK(option(each.conninfo, "port") == "7");
    CHECK(option(each.conninfo, "user") == "u");
    CHECK(each.timeout == std::chrono::seconds{3});
    seen.push_back(option(each.conninfo, "hostaddr"));
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

TEST_CASE("a folder, a number, a given address and an unknown host are their own only candidate") {
  for (const char* const text :
       {"host=/tmp", "host=127.0.0.1", "host=localhost hostaddr=127.0.0.1", "host=nobody.invalid", "port=7"}) {
    INFO(text);
    const auto addresses = pq::addresses_of({text, std::chrono::seconds{3}});
    REQUIRE(addresses.size() == 1);
    CHECK(addresses.front().conninfo == text);
  }
}
