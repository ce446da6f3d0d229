#pragma once

#include <cstdint>
#include <string_view>

namespace btreemapped {
inline namespace v0 {

/// What a replica's rows are worth at this moment.
enum class TableState : std::uint8_t {
  pending,  ///< no complete copy yet: reads throw NotReadyError, unless Options::empty_until_synced
  live,     ///< follows the table
  stale,    ///< shows its last commit; the Replicator is disconnected or stopped, or copies the table afresh
  failed,   ///< shows its last commit, if any; cannot follow the table until the problem in `status()` is solved
};

/// What a Replicator is doing.
enum class ReplicatorState : std::uint8_t {
  idle,           ///< not started
  connecting,     ///< opens its connections
  preflight,      ///< checks server, publication and tables
  creating_slot,  ///< waits for the server's consistent point
  copying,        ///< reads the tables under the slot's snapshot
  streaming,      ///< applies commits as they come
  backing_off,    ///< waits before the next attempt
  stopped,        ///< by stop(), or for good after an error
};

/// The state in words.
[[nodiscard]] constexpr std::string_view to_string(TableState state) noexcept {
  switch (state) {
    case TableState::pending: return "pending";
    case TableState::live: return "live";
    case TableState::stale: return "stale";
    case TableState::failed: return "failed";
  }
  return "unknown";
}

/// The state in words.
[[nodiscard]] constexpr std::string_view to_string(ReplicatorState state) noexcept {
  switch (state) {
    case ReplicatorState::idle: return "idle";
    case ReplicatorState::connecting: return "connecting";
    case ReplicatorState::preflight: return "preflight";
    case ReplicatorState::creating_slot: return "creating slot";
    case ReplicatorState::copying: return "copying";
    case ReplicatorState::streaming: return "streaming";
    case ReplicatorState::backing_off: return "backing off";
    case ReplicatorState::stopped: return "stopped";
  }
  return "unknown";
}

}  // namespace v0
}  // namespace btreemapped
