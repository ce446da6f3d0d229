#pragma once

#include <algorithm>
#include <chrono>
#include <string>

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
inline constexpr DurationOption duration_options[] = {{"slot_timeout", &Options::slot_timeout},
                                                      {"lock_timeout", &Options::lock_timeout},
                                                      {"shortest_backoff", &Options::shortest_backoff},
                                                      {"longest_backoff", &Options::longest_backoff},
                                                      {"catalog_watch_interval", &Options::catalog_watch_interval}};

/// The options with durations that the server takes (milliseconds in 31 bits: 24 days) and the clock can add.
[[nodiscard]] inline Options within_limits(Options options) {
  for (const DurationOption& each : duration_options)
    options.*each.value = std::min(options.*each.value, std::chrono::milliseconds{0x7FFF'FFFF});
  return options;
}

/// Throws: UsageError, which names the member that cannot work and quotes no part of the connection string.
inline void check_options(const Options& options) {
  // Zero would mean for ever to the server, and no pause at all to us.
  for (const DurationOption& each : duration_options)
    if (options.*each.value <= std::chrono::milliseconds{0})
      throw UsageError(std::string("Options::") + each.name + " is " + std::to_string((options.*each.value).count()) +
                       " ms; it must be positive");
  if (options.max_log_bytes == 0) throw UsageError("Options::max_log_bytes is 0; it must be positive");
  if (options.publication.empty()) throw UsageError("Options::publication is empty");
  if (options.publication.find('\0') != std::string::npos)
    throw UsageError("Options::publication contains a zero byte");
  if (!options.slot_name.empty()) pq::check_slot_name(options.slot_name);
  static_cast<void>(pq::parse_conninfo(options.connection));
}

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
