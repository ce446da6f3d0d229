#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/journal.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/state.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Why a change could not be staged, and at which field of the row.
struct Failure {
  static constexpr std::size_t no_field = std::numeric_limits<std::size_t>::max();

  Errc code = Errc::ok;
  std::size_t field = no_field;

  [[nodiscard]] explicit operator bool() const noexcept { return code != Errc::ok; }
};

/// What one transaction does to one table. Staged and sealed by the applier while readers go on with the old rows;
/// only apply() needs to be alone.
class Delta {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Delta() = default;
  Delta(const Delta&) = delete;
  Delta& operator=(const Delta&) = delete;
  virtual ~Delta() = default;

  [[nodiscard]] virtual Failure insert(const ColumnMap& map, const wire::Tuple& row) = 0;
  [[nodiscard]] virtual Failure update(const ColumnMap& map, const wire::Update& change) = 0;
  [[nodiscard]] virtual Failure erase(const ColumnMap& map, const wire::Delete& change) = 0;
  virtual void truncate() = 0;

  /// Goes on, until the deadline, with checking that no key holds two rows and with making ready all that apply()
  /// needs, so that it allocates nothing; no answer when some is left. Nothing may be staged any more.
  [[nodiscard]] virtual std::optional<Failure> seal(Time deadline) = 0;
  [[nodiscard]] Failure seal() { return *seal(Time::max()); }
  /// Goes on with changing the map until the deadline; false when some is left. What is replaced lives until the
  /// delta dies.
  [[nodiscard]] virtual bool apply(Time deadline) noexcept = 0;
  /// Units: rows, about as many as it takes time to free once it is applied.
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  /// Units: bytes, about what has been staged takes until it is applied.
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
  /// Gives what has been replaced to the journal of the table. After apply(), while nobody reads.
  virtual void record(Journal& journal, Lsn commit_lsn) noexcept = 0;
};

/// The rows of a table as a COPY brings them, and what becomes of them: a change of the served rows, or a judgement of
/// them.
class TableCopy {
 public:
  TableCopy() = default;
  TableCopy(const TableCopy&) = delete;
  TableCopy& operator=(const TableCopy&) = delete;
  virtual ~TableCopy() = default;

  [[nodiscard]] virtual Failure add(std::span<const wire::Cell> row) = 0;
  [[nodiscard]] virtual std::size_t row_count() const noexcept = 0;
  /// All rows have come: must they all come once more?
  [[nodiscard]] virtual bool wants_another_pass() { return false; }
  /// All rows have come for good. May take long, and looks at no served row.
  virtual void arrange() {}
  /// Gives the change that makes the served rows equal to the copy, not yet sealed; none if that is not what it is for.
  /// To be called once, after arrange(). Calls `pause` now and then, which may throw.
  [[nodiscard]] virtual Failure finish(std::unique_ptr<Delta>& change, const std::function<void()>& pause) = 0;
};

/// The comparison of a table with what is served, at one position, while both go on (see TypedVerification).
class Verification {
 public:
  struct Outcome {
    std::string why{};  ///< nothing can be said; empty if it can
    Lsn lsn{};
    std::size_t rows = 0;  ///< of the table
    std::size_t missing = 0;
    std::size_t extra = 0;
    std::size_t different = 0;
  };

  Verification() = default;
  Verification(const Verification&) = delete;
  Verification& operator=(const Verification&) = delete;
  virtual ~Verification() = default;

  [[nodiscard]] virtual const std::shared_ptr<Journal>& journal() const noexcept = 0;
  /// For the rows of the table at `lsn`. All commits before it must be visible.
  [[nodiscard]] virtual std::unique_ptr<TableCopy> reader(ColumnMap map, Lsn lsn) = 0;
  /// Once the reader has finished.
  [[nodiscard]] virtual const Outcome& outcome() const noexcept = 0;
};

/// All that the loop knows of a replica: its names and needs, and how to change it. The rows are the derived class's.
class Table {
 public:
  using Clock = std::chrono::steady_clock;

  Table(TableName name, std::vector<FieldNeed> needs) : name_(std::move(name)), needs_(std::move(needs)) {}
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  virtual ~Table() = default;

  [[nodiscard]] const TableName& name() const noexcept { return name_; }
  [[nodiscard]] std::span<const FieldNeed> needs() const noexcept { return needs_; }

  [[nodiscard]] virtual std::unique_ptr<Delta> make_delta() = 0;
  /// A copy beside the served rows, which it replaces as a whole.
  [[nodiscard]] virtual std::unique_ptr<TableCopy> make_copy(ColumnMap map) = 0;
  /// A copy that is compared with the served rows row by row, and keeps the differences only. Changes of the stream
  /// may be staged on what it gives.
  [[nodiscard]] virtual std::unique_ptr<TableCopy> make_comparison(ColumnMap map) = 0;
  /// A comparison with the table that goes on while the served rows change.
  [[nodiscard]] virtual std::shared_ptr<Verification> make_verification(std::size_t max_keys,
                                                                        std::size_t max_bytes) const = 0;
  /// Blocks and locks: to be called inside a read, or by the applier.
  [[nodiscard]] virtual std::size_t row_count() const noexcept = 0;

  [[nodiscard]] TableState state() const noexcept { return state_.load(std::memory_order_acquire); }

  /// Zero while the table is live.
  [[nodiscard]] Clock::duration stale_for() const noexcept {
    const Clock::rep since = stale_since_.load(std::memory_order_acquire);
    return since == 0 ? Clock::duration::zero() : Clock::now().time_since_epoch() - Clock::duration{since};
  }

  /// Where the table stopped following its Replicator; zero while it is at the same commit as the others.
  [[nodiscard]] Lsn detached_at() const noexcept { return Lsn{detached_at_.load(std::memory_order_acquire)}; }

  /// Progress of the copy that is being made, or the size of the last one.
  [[nodiscard]] std::size_t copied_rows() const noexcept { return copied_rows_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t copied_bytes() const noexcept { return copied_bytes_.load(std::memory_order_relaxed); }
  void set_copied(std::size_t rows, std::size_t bytes) noexcept {
    copied_rows_.store(rows, std::memory_order_relaxed);
    copied_bytes_.store(bytes, std::memory_order_relaxed);
  }
  /// How many rows a copy should have, by the server's estimate; zero if it has none.
  [[nodiscard]] std::size_t expected_rows() const noexcept { return expected_rows_.load(std::memory_order_relaxed); }
  void set_expected_rows(std::size_t rows) noexcept { expected_rows_.store(rows, std::memory_order_relaxed); }

  /// Takes notes of each commit from the next one on, until the table stops following; null: no more. The applier's.
  void set_journal(std::shared_ptr<Journal> journal) noexcept {
    journal_ = std::move(journal);
    journal_bytes_.store(0, std::memory_order_relaxed);
  }
  [[nodiscard]] Journal* journal() const noexcept { return journal_.get(); }
  /// Units: bytes, of these notes. From any thread.
  [[nodiscard]] std::size_t journal_bytes() const noexcept { return journal_bytes_.load(std::memory_order_relaxed); }

  /// Has there been a complete copy?
  [[nodiscard]] bool copied() const noexcept { return copies() > 0; }
  /// How many complete copies there have been.
  [[nodiscard]] std::uint64_t copies() const noexcept { return copies_.load(std::memory_order_acquire); }

 private:
  friend class Store;

  void take_notes(Delta& delta, Lsn commit_lsn) noexcept {
    delta.record(*journal_, commit_lsn);
    journal_bytes_.store(journal_->bytes(), std::memory_order_relaxed);
  }

  void set_copied() noexcept {
    set_live();
    copies_.fetch_add(1, std::memory_order_acq_rel);
  }

  void set_live() noexcept {
    detached_at_.store(0, std::memory_order_release);
    stale_since_.store(0, std::memory_order_release);
    state_.store(TableState::live, std::memory_order_release);
  }

  void set_not_live(TableState state, Clock::time_point now) noexcept {
    if (stale_since_.load(std::memory_order_relaxed) == 0)
      stale_since_.store(now.time_since_epoch().count(), std::memory_order_release);
    state_.store(state, std::memory_order_release);
    if (journal_ != nullptr) journal_->fail("the table stopped following meanwhile");
  }

  TableName name_;
  std::vector<FieldNeed> needs_;
  std::atomic<TableState> state_{TableState::pending};
  std::atomic<std::uint64_t> copies_{0};
  std::atomic<Clock::rep> stale_since_{0};
  std::atomic<std::size_t> copied_rows_{0};
  std::atomic<std::size_t> copied_bytes_{0};
  std::atomic<std::size_t> expected_rows_{0};
  std::atomic<std::uint64_t> detached_at_{0};
  std::shared_ptr<Journal> journal_{};
  std::atomic<std::size_t> journal_bytes_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
