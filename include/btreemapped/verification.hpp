#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <btreemapped/lsn.hpp>

namespace btreemapped {
inline namespace v0 {

/// What Replicator::verify() may do, and for how long.
struct VerifyOptions {
  /// Copies tables that differ afresh, and waits until they are live again.
  bool heal = false;
  /// The most keys that are listed of each kind of difference; all are counted.
  std::size_t max_keys = 100;
  /// For everything but the reading of the tables: for the slot, for the replicas to reach its position, for another
  /// verification to end, for healing.
  std::chrono::milliseconds timeout{60'000};
};

/// Is a replica equal to its table?
enum class Verdict : std::uint8_t {
  equal,         ///< at the position that was looked at, in every row and value
  different,     ///< it was not
  inconclusive,  ///< nothing can be said, for the reason given
};

/// The verdict in words.
[[nodiscard]] constexpr std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::equal: return "equal";
    case Verdict::different: return "different";
    case Verdict::inconclusive: return "inconclusive";
  }
  return "unknown";
}

/// What has been found out of one table.
struct TableVerification {
  std::string table{};  ///< "schema.table"
  Verdict verdict = Verdict::inconclusive;
  std::string why{};          ///< where the verdict is inconclusive
  Lsn lsn{};                  ///< both sides as all commits before this position made them
  std::size_t rows = 0;       ///< of the table
  std::size_t missing = 0;    ///< rows of the table that the replica lacked
  std::size_t extra = 0;      ///< rows of the replica that the table did not have
  std::size_t different = 0;  ///< rows with another value
  bool healed = false;        ///< copied afresh since, as VerifyOptions::heal asks for
};

/// The same of one replica, with keys.
template <class Key>
struct ReplicaVerification : TableVerification {
  std::vector<Key> missing_keys{};
  std::vector<Key> extra_keys{};
  std::vector<Key> different_keys{};
};

}  // namespace v0
}  // namespace btreemapped
