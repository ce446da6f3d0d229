#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <stdexcept>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/read_lock.hpp>

#include <support/threads.hpp>

namespace {

using btreemapped::detail::ReadLock;
using Clock = std::chrono::steady_clock;

const std::atomic<bool> never{false};

/// A read for as long as it lives.
class Read {
 public:
  explicit Read(ReadLock& lock) : lock_(lock), slot_(lock.lock_shared()) {}
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;
  ~Read() { lock_.unlock_shared(slot_); }

 private:
  ReadLock& lock_;
  ReadLock::Slot* slot_;
};

/// Gets in alone or says that the test has failed.
void write(ReadLock& lock, const std::function<void()>& change) {
  if (!lock.lock_until(Clock::now() + test::patience, never)) throw std::logic_error("the writer never got in");
  change();
  lock.unlock();
}

Clock::time_point soon() { return Clock::now() + std::chrono::milliseconds{30}; }

/// Two numbers that only a writer may ever let differ. Plain on purpose: ThreadSanitizer watches them.
struct Twins {
  std::int64_t left = 0;
  std::int64_t right = 0;

  void change() {
    ++left;
    ++right;
  }
  void check() const {
    if (left != right) throw std::logic_error("a reader saw half of a change");
  }
};

}  // namespace

TEST_CASE("a writer gets in when nobody reads, and again after it has left", "[read_lock][threads]") {
  ReadLock lock;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(lock.lock_until(soon(), never));
    lock.unlock();
  }
  const Read read(lock);
}

TEST_CASE("a writer whose deadline has passed still gets in when nobody reads", "[read_lock][threads]") {
  ReadLock lock;
  REQUIRE(lock.lock_until(Clock::now() - std::chrono::seconds{1}, never));
  lock.unlock();
}

TEST_CASE("a reader keeps the writer out until its last nested read ends", "[read_lock][threads]") {
  ReadLock lock;
  {
    const Read outer(lock);
    {
      const Read inner(lock);
      test::run_together({[&] {
        if (lock.lock_until(soon(), never)) throw std::logic_error("the writer got in beside two reads");
      }});
    }
    test::run_together({[&] {
      if (lock.lock_until(soon(), never)) throw std::logic_error("the writer got in beside a read");
    }});
  }
  test::run_together({[&] { write(lock, [] {}); }});
}

TEST_CASE("a thread knows whether it reads, by any lock", "[read_lock][threads]") {
  ReadLock lock;
  ReadLock other;
  CHECK_FALSE(lock.this_thread_reads());
  {
    const Read read(lock);
    CHECK(lock.this_thread_reads());
    CHECK(other.this_thread_reads());
    test::run_together({[&] {
      if (lock.this_thread_reads() || other.this_thread_reads())
        throw std::logic_error("a thread was taken for another one");
    }});
  }
  CHECK_FALSE(lock.this_thread_reads());
  CHECK_FALSE(other.this_thread_reads());
}

TEST_CASE("a lock may come and go while a thread reads by another", "[read_lock][threads]") {
  ReadLock lock;
  const Read read(lock);
  {
    ReadLock brief;
    const Read nested(brief);
    CHECK(brief.this_thread_reads());
  }
  ReadLock later;
  CHECK(later.this_thread_reads());
}

TEST_CASE("readers and a writer exclude each other", "[read_lock][threads]") {
  ReadLock lock;
  Twins twins;
  std::atomic<bool> done{false};
  const auto reader = [&] {
    do {
      const Read outer(lock);
      twins.check();
      const Read inner(lock);
      twins.check();
    } while (!done.load());
  };
  test::run_together({reader, reader, reader, [&] {
                        for (int i = 0; i < 500; ++i) write(lock, [&] { twins.change(); });
                        done = true;
                      }});
  CHECK(twins.left == 500);
}

TEST_CASE("four readers in tight loops do not starve the writer", "[read_lock][threads]") {
  ReadLock lock;
  Twins twins;
  std::atomic<bool> done{false};
  std::array<std::atomic<std::uint64_t>, 4> reads{};
  std::vector<std::function<void()>> functions;
  for (std::atomic<std::uint64_t>& mine : reads) {
    functions.emplace_back([&] {
      do {
        const Read read(lock);
        for (int i = 0; i < 200; ++i) twins.check();
        ++mine;
      } while (!done.load());
    });
  }
  functions.emplace_back([&] {
    for (int i = 0; i < 100; ++i) write(lock, [&] { twins.change(); });
    done = true;
  });
  test::run_together(std::move(functions));
  CHECK(twins.left == 100);
  for (const std::atomic<std::uint64_t>& each : reads) CHECK(each.load() > 0);
}

TEST_CASE("a nested read never waits for a writer that waits", "[read_lock][threads]") {
  ReadLock lock;
  std::latch reading{1};
  std::atomic<bool> release{false};
  test::run_together({[&] {
                        const Read outer(lock);
                        reading.count_down();
                        // The writer cannot get in before this read ends, so it waits during all of these.
                        for (int i = 0; i < 20'000; ++i) const Read inner(lock);
                        release = true;
                      },
                      [&] {
                        reading.wait();
                        write(lock, [&] {
                          if (!release.load()) throw std::logic_error("the writer got in beside a read");
                        });
                      }});
  CHECK(release.load());
}

TEST_CASE("readers that nest two locks in opposite order make progress with two writers", "[read_lock][threads]") {
  ReadLock a;
  ReadLock b;
  Twins of_a;
  Twins of_b;
  std::atomic<int> writers{2};
  const auto nest = [&](ReadLock& outer, const Twins& outer_twins, ReadLock& inner, const Twins& inner_twins) {
    do {
      const Read first(outer);
      outer_twins.check();
      const Read second(inner);
      inner_twins.check();
    } while (writers.load() != 0);
  };
  const auto keep_writing = [&](ReadLock& lock, Twins& twins) {
    for (int i = 0; i < 200; ++i) write(lock, [&] { twins.change(); });
    --writers;
  };
  test::run_together({[&] { nest(a, of_a, b, of_b); }, [&] { nest(b, of_b, a, of_a); }, [&] { keep_writing(a, of_a); },
                      [&] { keep_writing(b, of_b); }});
  CHECK(of_a.left == 200);
  CHECK(of_b.left == 200);
}

TEST_CASE("a read inside another store's read gets in while the writer waits for somebody else",
          "[read_lock][threads]") {
  ReadLock a;
  ReadLock b;
  std::latch stuck{1};
  std::latch nested{1};
  test::run_together({[&] {
                        const Read read(b);
                        stuck.count_down();
                        nested.wait();
                      },
                      [&] {
                        stuck.wait();
                        write(b, [] {});
                      },
                      [&] {
                        const Read outer(a);
                        stuck.wait();
                        for (int i = 0; i < 1'000; ++i) const Read inner(b);
                        nested.count_down();
                      }});
}

TEST_CASE("a reader that stays holds up the writer, not the other readers", "[read_lock][threads]") {
  ReadLock lock;
  std::latch stuck{1};
  std::atomic<bool> stop{false};
  std::atomic<bool> given_up{false};
  test::run_together({[&] {
                        const Read read(lock);
                        stuck.count_down();
                        given_up.wait(false);
                      },
                      [&] {
                        stuck.wait();
                        if (lock.lock_until(Clock::now() + 10 * test::patience, stop))
                          throw std::logic_error("the writer got in beside a read");
                        given_up = true;
                        given_up.notify_all();
                      },
                      [&] {
                        stuck.wait();
                        for (int i = 0; i < 50; ++i) const Read read(lock);
                        stop = true;
                        lock.wake_writer();
                      }});
  CHECK(given_up.load());
}

TEST_CASE("a reader that stays holds up the others once, not all the time", "[read_lock][threads]") {
  ReadLock lock;
  std::latch stuck{1};
  std::atomic<bool> over{false};
  Clock::duration waited{};
  Clock::duration spent{};
  test::run_together({[&] {
                        const Read read(lock);
                        stuck.count_down();
                        over.wait(false);
                      },
                      [&] {
                        stuck.wait();
                        const Clock::time_point end = Clock::now() + std::chrono::seconds{1};
                        while (Clock::now() < end)
                          if (lock.lock_until(std::min(end, soon()), never))
                            throw std::logic_error("the writer got in beside a read");
                        lock.give_up();
                        over = true;
                        over.notify_all();
                      },
                      [&] {
                        stuck.wait();
                        const Clock::time_point begin = Clock::now();
                        while (!over.load()) {
                          const Clock::time_point before = Clock::now();
                          const Read read(lock);
                          waited += Clock::now() - before;
                          while (Clock::now() < before + std::chrono::milliseconds{1}) std::this_thread::yield();
                        }
                        spent = Clock::now() - begin;
                      }});
  CHECK(waited < spent / 2);
}

TEST_CASE("long reads that overlap without a pause do not starve the writer", "[read_lock][threads]") {
  constexpr int readers = 8;
  constexpr std::chrono::milliseconds length{100};  // longer than the gate is usually closed
  ReadLock lock;
  Twins twins;
  std::atomic<bool> done{false};
  std::latch inside{readers};
  std::vector<std::function<void()>> functions;
  for (int i = 0; i < readers; ++i) {
    functions.emplace_back([&, i] {
      auto end = Clock::now() + i * length / readers;  // so that they never all end together
      for (bool first = true; first || !done.load(); first = false) {
        const Read read(lock);
        if (first) inside.arrive_and_wait();
        twins.check();
        end = std::max(Clock::now(), end) + length;
        std::this_thread::sleep_until(end);  // all that it does: it is a long read
      }
    });
  }
  functions.emplace_back([&] {
    inside.wait();
    // In slices, as a driver does that has other work beside.
    for (int i = 0; i < 3; ++i) {
      const Clock::time_point deadline = Clock::now() + test::patience / 4;
      while (!lock.lock_until(soon(), never))
        if (Clock::now() >= deadline) {
          done = true;
          throw std::logic_error("the writer never got in");
        }
      twins.change();
      lock.unlock();
    }
    done = true;
  });
  test::run_together(std::move(functions));
  CHECK(twins.left == 3);
}

TEST_CASE("a writer that gave up holds up nobody", "[read_lock][threads]") {
  ReadLock lock;
  std::latch stuck{1};
  std::latch over{1};
  test::run_together({[&] {
                        const Read read(lock);
                        stuck.count_down();
                        over.wait();
                      },
                      [&] {
                        stuck.wait();
                        if (lock.lock_until(Clock::now(), never))
                          throw std::logic_error("the writer got in beside a read");
                        lock.give_up();
                        const Read read(lock);
                        over.count_down();
                      }});
  write(lock, [] {});
}

TEST_CASE("a writer that does not come back holds up readers for its window only", "[read_lock][threads]") {
  ReadLock lock;
  std::latch stuck{1};
  std::latch over{1};
  test::run_together({[&] {
                        const Read read(lock);
                        stuck.count_down();
                        over.wait();
                      },
                      [&] {
                        stuck.wait();
                        if (lock.lock_until(Clock::now(), never))
                          throw std::logic_error("the writer got in beside a read");
                        for (int i = 0; i < 1'000; ++i) const Read read(lock);
                        over.count_down();
                      }});
  write(lock, [] {});
}

TEST_CASE("threads that come, read and go leave nothing behind", "[read_lock][threads]") {
  ReadLock lock;
  Twins twins;
  for (int round = 0; round < 100; ++round) {
    std::vector<std::function<void()>> functions;
    for (int i = 0; i < 20; ++i) {
      functions.emplace_back([&] {
        const Read outer(lock);
        const Read inner(lock);
        twins.check();
      });
    }
    test::run_together(std::move(functions));
    REQUIRE(lock.lock_until(Clock::now(), never));  // there is nobody to wait for
    twins.change();
    lock.unlock();
  }
}

TEST_CASE("the wait for readers ends at once when it is told to stop", "[read_lock][threads]") {
  ReadLock lock;
  std::atomic<bool> stop{false};
  std::latch stuck{1};
  std::atomic<bool> given_up{false};
  test::run_together({[&] {
                        const Read read(lock);
                        stuck.count_down();
                        given_up.wait(false);
                      },
                      [&] {
                        stuck.wait();
                        if (lock.lock_until(Clock::now() + 10 * test::patience, stop))
                          throw std::logic_error("the writer got in beside a read");
                        given_up = true;
                        given_up.notify_all();
                      },
                      [&] {
                        stuck.wait();
                        stop = true;
                        lock.wake_writer();
                      }});
  CHECK(given_up.load());
  REQUIRE(lock.lock_until(soon(), never));
  lock.unlock();
}

TEST_CASE("more readers than there are slots are inside at once, nested, and keep the writer out",
          "[read_lock][threads]") {
  constexpr int readers = 150;
  ReadLock lock;
  Twins twins;
  std::latch inside{readers};
  std::latch refused{1};
  std::vector<std::function<void()>> functions;
  for (int i = 0; i < readers; ++i) {
    functions.emplace_back([&] {
      const Read outer(lock);
      inside.arrive_and_wait();
      if (!lock.this_thread_reads()) throw std::logic_error("a thread does not know that it reads");
      const Read inner(lock);
      twins.check();
      refused.wait();
    });
  }
  functions.emplace_back([&] {
    inside.wait();
    if (lock.lock_until(soon(), never)) throw std::logic_error("the writer got in beside a read");
    refused.count_down();
    write(lock, [&] { twins.change(); });
  });
  test::run_together(std::move(functions));
  CHECK(twins.left == 1);
}

TEST_CASE("more readers than there are slots and a writer exclude each other", "[read_lock][threads]") {
  constexpr int readers = 80;
  ReadLock lock;
  Twins twins;
  std::atomic<bool> done{false};
  std::latch begun{readers};
  std::vector<std::function<void()>> functions;
  for (int i = 0; i < readers; ++i) {
    functions.emplace_back([&] {
      begun.arrive_and_wait();
      do {
        const Read outer(lock);
        twins.check();
        const Read inner(lock);
        std::this_thread::yield();
        twins.check();
      } while (!done.load());
    });
  }
  functions.emplace_back([&] {
    begun.wait();
    for (int i = 0; i < 30; ++i) write(lock, [&] { twins.change(); });
    done = true;
  });
  test::run_together(std::move(functions));
  CHECK(twins.left == 30);
}
