#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include <btreemapped.hpp>

/// All else is hidden: each library has functions, templates and variables of btreemapped of its own.
#define SHARED_API __attribute__((visibility("default")))

struct Account {
  std::int64_t id;
  std::int64_t balance;
};

using Accounts = btreemapped::Replica<Account, 1>;

/// What one read finds.
struct Seen {
  std::uint64_t sequence = 0;
  std::int64_t sum = 0;

  friend bool operator==(const Seen&, const Seen&) = default;
};

/// Reads the accounts before and after `inside`, within one read. Throws when they differ.
using Read = Seen(const Accounts& accounts, const std::function<void()>& inside);
using Make = std::unique_ptr<btreemapped::Replicator>(const std::string& dsn);

SHARED_API Read read_in_a;
SHARED_API Read read_in_b;
SHARED_API Make make_in_a;
SHARED_API Make make_in_b;

inline Seen read_here(const Accounts& accounts, const std::function<void()>& inside) {
  const auto guard = accounts.read();
  const auto look = [&] {
    Seen seen{guard.sequence(), 0};
    for (const Account& account : guard) seen.sum += account.balance;
    return seen;
  };
  const Seen seen = look();
  inside();
  if (look() != seen) throw std::runtime_error("a commit came into a read");
  return seen;
}

inline std::unique_ptr<btreemapped::Replicator> make_here(const std::string& dsn) {
  return std::make_unique<btreemapped::Replicator>(btreemapped::Options{.connection = dsn, .publication = "pub"});
}
