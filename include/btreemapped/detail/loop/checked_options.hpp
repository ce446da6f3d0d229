#pragma once

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <btreemapped/detail/pq/conninfo.hpp>
#include <btreemapped/detail/pq/stream.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/options.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

struct DurationOption {
  const char* name;
  std::chrono::milliseconds Options::* value;
};
inline constexpr DurationOption duration_options[] = {
    {"slot_timeout", &Options::slot_timeout},       {"answer_timeout", &Options::answer_timeout},
    {"lock_timeout", &Options::lock_timeout},       {"shortest_backoff", &Options::shortest_backoff},
    {"longest_backoff", &Options::longest_backoff}, {"catalog_watch_interval", &Options::catalog_watch_interval}};

/// How long a question to the catalog may wait for a lock: short enough that it is answered in time.
[[nodiscard]] inline std::chrono::milliseconds catalog_lock_timeout(const Options& options) {
  return std::clamp(options.answer_timeout / 2, std::chrono::milliseconds{1}, options.lock_timeout);
}

/// The configured name, else one that nobody else has.
[[nodiscard]] inline std::string new_slot_name(const Options& options, std::string_view suffix = {}) {
  constexpr std::size_t longest = 63;
  if (!options.slot_name.empty()) return options.slot_name.substr(0, longest - suffix.size()) + std::string(suffix);
  return "btreemapped_" + std::to_string(::getpid()) + "_" + std::to_string(std::random_device{}());
}

/// The options with durations that the server takes (milliseconds in 31 bits: 24 days) and the clock can add.
[[nodiscard]] inline Options within_limits(Options options) {
  for (const DurationOption& each : duration_options)
    options.*each.value = std::min(options.*each.value, std::chrono::milliseconds{0x7FFF'FFFF});
  return options;
}

[[nodiscard]] inline std::vector<std::string> publication_names(const Options& options) {
  return options.publications.empty() ? std::vector<std::string>{options.publication} : options.publications;
}

inline void check_publications(const Options& options) {
  if (!options.publications.empty() && !options.publication.empty())
    throw UsageError("Options::publication and Options::publications are both set; one of them names them all");
  const std::vector<std::string> names = publication_names(options);
  for (auto name = names.begin(); name != names.end(); ++name) {
    if (name->empty()) throw UsageError("Options::publication is empty");
    if (name->find('\0') != std::string::npos) throw UsageError("Options::publication contains a zero byte");
    if (std::find(names.begin(), name, *name) != name)
      throw UsageError("Options::publications names publication " + *name + " twice");
  }
  if (options.create_publication && names.size() > 1)
    throw UsageError("Options::create_publication can create one publication only, but several are named");
}

/// Throws: UsageError, which names the member that cannot work and quotes no part of the connection string.
inline void check_options(const Options& options) {
  // Zero would mean for ever to the server, and no pause at all to us.
  for (const DurationOption& each : duration_options)
    if (options.*each.value <= std::chrono::milliseconds{0})
      throw UsageError(std::string("Options::") + each.name + " is " + std::to_string((options.*each.value).count()) +
                       " ms; it must be positive");
  if (options.max_transaction_bytes == 0) throw UsageError("Options::max_transaction_bytes is 0; it must be positive");
  if (options.max_log_bytes == 0) throw UsageError("Options::max_log_bytes is 0; it must be positive");
  check_publications(options);
  if (options.durable_slot && options.slot_name.empty())
    throw UsageError("Options::durable_slot needs Options::slot_name, by which the slot is found again");
  if (options.failover_slot && !options.durable_slot)
    throw UsageError("Options::failover_slot needs Options::durable_slot: no standby keeps a temporary slot");
  if (!options.slot_name.empty()) pq::check_slot_name(options.slot_name);
  if (!options.primary_connection.empty()) static_cast<void>(pq::parse_conninfo(options.primary_connection));
  static_cast<void>(pq::parse_conninfo(options.connection));
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
