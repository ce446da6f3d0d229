#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>

#include <btreemapped.hpp>

// follower CONNECTION [PUBLICATION [DURABLE-SLOT]]
// Follows the table items until its standard input ends; for tests that kill it before. For each line that it reads it
// prints one: "equal" when all that was committed so far is shown and verify() has found nothing, else why not.
namespace {

using namespace std::chrono_literals;

struct Item {
  std::int64_t id;
  std::string name;
};

std::string verdict(btreemapped::Replicator& replicator) {
  std::string why;
  for (const auto end = std::chrono::steady_clock::now() + 45s; std::chrono::steady_clock::now() < end;) {
    const btreemapped::Reached reached = replicator.catch_up(1s);
    why = reached.why;
    if (!reached) continue;
    const btreemapped::TableVerification report = replicator.verify({.timeout = 10s}).at(0);
    if (report.verdict != btreemapped::Verdict::inconclusive) return std::string{to_string(report.verdict)};
    why = report.why;
  }
  return why;
}

}  // namespace

int main(int count, char** arguments) {
  btreemapped::Options options;
  options.connection = arguments[1];
  options.publication = count > 2 ? arguments[2] : "pub";
  options.durable_slot = count > 3;
  if (options.durable_slot) options.slot_name = arguments[3];
  options.answer_timeout = 5s;
  options.longest_backoff = 500ms;
  btreemapped::Replicator replicator(options);
  static_cast<void>(replicator.add_replica<Item, 1>("items"));
  replicator.start();
  for (std::string line; std::getline(std::cin, line);) std::cout << verdict(replicator) << std::endl;
}
