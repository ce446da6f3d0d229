// What the library has to say it says by errors, events and status(): stdout and stderr are the application's.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <btreemapped.hpp>

#include "support/eventually.hpp"
#include "support/replicator.hpp"
#include "support/slot_scene.hpp"

namespace silence_test {

using btreemapped::EventKind;
using test::slot_scene::Scene;
using namespace std::chrono_literals;

/// All that this process writes to stdout and stderr.
class Written {
 public:
  Written() {
    std::fflush(nullptr);
    for (std::size_t i = 0; i < saved_.size(); ++i) {
      saved_[i] = ::dup(streams[i]);
      ::dup2(::fileno(file_), streams[i]);
    }
  }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;
  ~Written() {
    stop();
    std::fclose(file_);
  }

  std::string stop() {
    std::fflush(nullptr);
    for (std::size_t i = 0; i < saved_.size(); ++i) {
      if (saved_[i] < 0) continue;
      ::dup2(saved_[i], streams[i]);
      ::close(saved_[i]);
      saved_[i] = -1;
    }
    std::string text(4096, '\0');
    std::rewind(file_);
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }

 private:
  static constexpr std::array<int, 2> streams{STDOUT_FILENO, STDERR_FILENO};

  std::FILE* const file_ = std::tmpfile();
  std::array<int, 2> saved_{-1, -1};
};

TEST_CASE("nothing is written to stdout or stderr, whatever the server says at login and later") {
  Scene scene;
  scene.options.catalog_watch_interval = 50ms;
  // Then each session begins with a warning, before it can say that it wants none.
  scene.database.exec("UPDATE pg_catalog.pg_database SET datcollversion = '0' WHERE datname = current_database()");
  Written written;
  scene.start();
  test::wait_until_synced(*scene.replicator);
  scene.database.exec("ALTER TABLE items ALTER amount TYPE bigint USING amount + 1");  // a session more
  static_cast<void>(scene.log.wait_for(EventKind::table_healed, 1, "public.items"));
  scene.cut();
  scene.proxy.mend();
  static_cast<void>(scene.log.wait_for(EventKind::synced, 2));
  scene.replicator->prove();
  CHECK_FALSE(btreemapped::doctor(scene.options).findings.empty());
  scene.replicator->stop();
  CHECK(written.stop() == "");
}

}  // namespace silence_test
