#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/eventually.hpp"
#include "support/threads.hpp"

namespace test {

/// A program that runs beside this one, and may answer questions. Its standard input ends when this process does, so
/// that it can wait for that and is never left behind.
class ChildProcess {
 public:
  template <class... Arguments>
  explicit ChildProcess(std::string program, Arguments... arguments) {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      throw std::system_error(errno, std::generic_category(), "socketpair");
    socket_ = ends[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    char* const all[] = {program.data(), arguments.data()..., nullptr};
    const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, all, environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (error == 0) return;
    ::close(socket_);
    throw std::system_error(error, std::generic_category(), "posix_spawn");
  }

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    end(SIGKILL);
    ::close(socket_);
  }

  /// Sends it a line, and gives the line that it answers.
  /// Throws: when it does not answer in time, or has ended.
  [[nodiscard]] std::string ask(std::string line) {
    line += '\n';
    if (::send(socket_, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<::ssize_t>(line.size()))
      throw std::runtime_error("the child process cannot be asked");
    std::string answer;
    for (const auto end = std::chrono::steady_clock::now() + patience; !answer.ends_with('\n');) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      pollfd ready{socket_, POLLIN, 0};
      std::array<char, 4096> bytes{};
      const bool comes = left.count() > 0 && ::poll(&ready, 1, static_cast<int>(left.count())) == 1;
      const ::ssize_t size = comes ? ::recv(socket_, bytes.data(), bytes.size(), 0) : 0;
      if (size <= 0) throw std::runtime_error("the child process has not answered, but: " + answer);
      answer.append(bytes.data(), static_cast<std::size_t>(size));
    }
    answer.pop_back();
    return answer;
  }

  /// Sends a signal that does not end it.
  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
  }

  /// Returns when the signal has ended it.
  void end(int number) {
    if (pid_ <= 0) return;
    ::kill(pid_, number);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

  /// Ends its standard input, and gives its exit code when it has ended by itself.
  /// Throws: when it does not in time, or when a signal has ended it.
  int finish() {
    ::shutdown(socket_, SHUT_WR);
    int status = 0;
    if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }))
      throw std::runtime_error("the child process does not end");
    pid_ = -1;
    if (!WIFEXITED(status)) throw std::runtime_error("the child process has not ended by itself");
    return WEXITSTATUS(status);
  }

 private:
  ::pid_t pid_ = -1;
  int socket_ = -1;
};

}  // namespace test
