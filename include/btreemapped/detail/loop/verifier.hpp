#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/checked_options.hpp>
#include <btreemapped/detail/store.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>
#include <btreemapped/options.hpp>
#include <btreemapped/preflight.hpp>
#include <btreemapped/verification.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// A table that is being verified, and what comes of it.
struct Verified {
  Table* table = nullptr;
  std::shared_ptr<Verification> verification{};
  TableVerification report{};
  std::uint64_t copies = 0;  ///< of the table, when its journal began
};

/// The words for a table that differs.
[[nodiscard]] inline std::string describe_difference(const TableVerification& report) {
  return "the replica of " + report.table + " lacked " + std::to_string(report.missing) + " rows, had " +
         std::to_string(report.extra) + " too many, and " + std::to_string(report.different) +
         " with other values; it is copied afresh";
}

/// Reads tables at one position, under a guarded snapshot of their own, and compares them with what was served then.
/// On the thread of whoever asks; their journals are on.
class Verifier {
 public:
  Verifier(const Options& options, std::shared_ptr<Store> store, const StreamSource& source,
           std::vector<Verified>& verified, std::chrono::steady_clock::time_point deadline)
      : store_(std::move(store)),
        verified_(verified),
        attempt_(std::make_shared<Attempt>(within(options, deadline), store_, plan(options, source))),
        deadline_(deadline) {}

  /// For interrupt(), from any thread.
  [[nodiscard]] const std::shared_ptr<Attempt>& attempt() const noexcept { return attempt_; }

  /// Throws: StoppedError.
  /// Blocks and locks: until the slot is there and the replicas have reached it, but not beyond the deadline, and for
  /// as long as the tables take to be read.
  void run() {
    try {
      attempt_->connect();
      judge(attempt_->check());
      if (attempt_->followed().empty()) return;
      const Lsn position = attempt_->create_slot();
      if (store_->wait_for(position, deadline_) != Store::Waited::reached)
        return give_up("the replicas did not reach " + to_string(position) + " in time; they are at " +
                       to_string(store_->lsn()));
      const Copied copied = attempt_->copy([](const Table&, const std::string&) {});
      for (const Fault& fault : copied.faults) doubt(*fault.table, fault.what);
    } catch (const StoppedError&) {
      if (!attempt_->is_given_up()) throw;
      return give_up(Attempt::unanswered);
    } catch (const Error& error) {
      const std::string& awaited = attempt_->awaited();
      return give_up(error.what() + (awaited.empty() ? awaited : "; it was " + awaited));
    }
    for (Verified& each : verified_)
      if (each.report.why.empty()) conclude(each);
  }

 private:
  /// The slot may take no longer than the whole.
  static Options within(Options options, std::chrono::steady_clock::time_point deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    options.slot_timeout = std::clamp(left, std::chrono::milliseconds{1}, options.slot_timeout);
    return options;
  }

  Attempt::Plan plan(const Options& options, const StreamSource& source) {
    Attempt::Plan plan{source, new_slot_name(options, "_verify"), {}, false};
    for (const Verified& each : verified_) plan.tables.push_back(each.table);
    plan.reader = [this](const Table& table, ColumnMap map, Lsn position) {
      return find(table).verification->reader(std::move(map), position);
    };
    return plan;
  }

  Verified& find(const Table& table) {
    return *std::find_if(verified_.begin(), verified_.end(),
                         [&](const Verified& each) { return each.table == &table; });
  }

  void doubt(const Table& table, std::string why) { find(table).report.why = std::move(why); }

  void give_up(const std::string& why) {
    for (Verified& each : verified_)
      if (each.report.why.empty()) each.report.why = why;
  }

  void judge(const Attempt::Findings& findings) {
    for (std::size_t i = 0; i < findings.tables.size(); ++i)
      if (has_errors(findings.tables[i])) doubt(*attempt_->tables()[i], detail::describe(findings.tables[i]));
  }

  static void conclude(Verified& each) {
    const Verification::Outcome& outcome = each.verification->outcome();
    TableVerification& report = each.report;
    report.why = outcome.why;
    report.lsn = outcome.lsn;
    report.rows = outcome.rows;
    report.missing = outcome.missing;
    report.extra = outcome.extra;
    report.different = outcome.different;
    if (!report.why.empty()) return;
    const bool equal = outcome.missing == 0 && outcome.extra == 0 && outcome.different == 0;
    report.verdict = equal ? Verdict::equal : Verdict::different;
  }

  const std::shared_ptr<Store> store_;
  std::vector<Verified>& verified_;
  const std::shared_ptr<Attempt> attempt_;
  const std::chrono::steady_clock::time_point deadline_;
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
