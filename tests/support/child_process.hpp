#pragma once

#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>
#include <utility>

#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace test {

/// A program that runs beside this one. Its standard input ends when this process does, so that it can wait for that and
/// is never left behind.
class ChildProcess {
 public:
  ChildProcess(std::string program, std::string argument) {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    input_ = ends[1];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    char* const arguments[] = {program.data(), argument.data(), nullptr};
    const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[0]);
    if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn");
  }

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    end(SIGKILL);
    ::close(input_);
  }

  /// Returns when it has ended.
  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  ::pid_t pid_ = -1;
  int input_ = -1;
};

}  // namespace test
