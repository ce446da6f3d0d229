#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace test {

/// A private PostgreSQL cluster that postgres.sh keeps in a state folder.
class Server {
 public:
  explicit Server(std::string state) : state_(std::move(state)) {}

  /// The one that ctest starts before a suite and stops after it.
  static Server of_suite() {
    const char* const state = std::getenv("BTREEMAPPED_TEST_STATE");
    if (state == nullptr)
      throw std::runtime_error(
          "no server for this test: run it by tests/run.sh or ctest, or start one by 'tests/support/postgres.sh start "
          "DIR' "
          "and set BTREEMAPPED_TEST_STATE=DIR");
    return Server{state};
  }

  /// Its standby, in a suite that has one.
  static Server standby_of_suite() { return Server{of_suite().state_ + "-standby"}; }

  /// A libpq connection string of a superuser; the same one after a restart.
  [[nodiscard]] std::string dsn() const {
    const char* const suffix = std::getenv("BTREEMAPPED_STATE_SUFFIX");  // see postgres.sh
    std::ifstream file(state_ + (suffix != nullptr ? suffix : "") + "/dsn");
    std::string line;
    if (!std::getline(file, line)) throw std::runtime_error("no server was started in " + state_);
    return line;
  }

  /// Returns when it accepts connections; with the data and the port that it had.
  void start() const { run("start"); }
  /// Makes a streaming standby of one that runs. Its slot there is standby_PORT, of its own port.
  void start_as_standby_of(const Server& primary) const { run("start", {}, " --standby-of '" + primary.state_ + "'"); }
  /// Returns when it is a primary.
  void promote() const { run("promote"); }
  /// Returns when it is down. Modes: smart, fast, immediate (a crash).
  void stop(std::string_view mode = "fast") const { run("stop", mode); }
  void restart(std::string_view mode = "fast") const { run("restart", mode); }

  /// Sends a signal, "STOP" say, to one of its processes; without a pid to the postmaster.
  void signal(const std::string& name, const std::string& pid = {}) const { run("signal", {}, " " + name + " " + pid); }

 private:
  void run(const std::string& command, std::string_view mode = {}, const std::string& more = {}) const {
    std::string line = "'" BTREEMAPPED_POSTGRES_SH "' " + command + " '" + state_ + "'" + more + " >&2";
    if (!mode.empty()) line += " --mode " + std::string{mode};
    if (std::system(line.c_str()) != 0) throw std::runtime_error("this failed: " + line);
  }

  std::string state_;
};

/// A server of a test's own beside the suite's, removed at the end.
class OwnServer : public Server {
 public:
  OwnServer() : OwnServer(new_state()) {}
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;
  ~OwnServer() { static_cast<void>(std::system(("'" BTREEMAPPED_POSTGRES_SH "' remove '" + folder_ + "'").c_str())); }

 private:
  explicit OwnServer(const std::string& folder) : Server(folder), folder_(folder) {}
  static std::string new_state() {
    return (std::filesystem::temp_directory_path() / ("btreemapped-own-" + std::to_string(std::random_device{}())))
        .string();
  }

  const std::string folder_;
};

/// The connection string of the suite's server.
inline std::string server_dsn() {
  // A server whose databases may be created and dropped, in place of the private one.
  if (const char* const dsn = std::getenv("BTREEMAPPED_TEST_DSN"); dsn != nullptr) return dsn;
  return Server::of_suite().dsn();
}

}  // namespace test
