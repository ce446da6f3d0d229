#pragma once

#include <span>
#include <vector>

#include <btreemapped/detail/loop/attempt.hpp>
#include <btreemapped/detail/loop/notifier.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/preflight.hpp>
#include <btreemapped/status.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// Whether a whole attempt stops for what one table lacks.
enum class Strictness { every_table, any_table };

/// Tells the warnings.
/// Throws: SchemaError with all errors; where any table will do, only if they are not of single tables or none is left.
inline void require_fit(const Attempt::Findings& findings, bool none_left, Strictness strictness, Notifier& notifier) {
  std::vector<Problem> all = findings.server;
  for (const std::vector<Problem>& problems : findings.tables) add_new(all, problems);
  add_new(all, findings.publications);
  std::vector<Problem> errors;
  bool of_tables_only = true;
  for (const Problem& problem : all) {
    if (problem.severity == Problem::Severity::warning) {
      notifier.post({EventKind::warning, problem.table, detail::describe(std::span{&problem, 1}), 0, {}});
    } else {
      of_tables_only = of_tables_only && !problem.table.empty();
      errors.push_back(problem);
    }
  }
  if (errors.empty() || (of_tables_only && strictness == Strictness::any_table && !none_left)) return;
  throw SchemaError("cannot follow the tables:\n" + detail::describe(errors),
                    {.table = errors.front().table, .column = errors.front().column});
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
