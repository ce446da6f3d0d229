#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <netdb.h>
#include <sys/socket.h>

#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace pq {

/// Keywords and values of a connection string.
/// Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
using Conninfo = std::vector<std::pair<std::string, std::string>>;

/// A keyword and the value it shall have; an empty value takes the keyword out.
using ConninfoOverride = std::pair<std::string_view, std::string_view>;

[[nodiscard]] inline const std::string* find_option(const Conninfo& conninfo, std::string_view keyword) noexcept {
  for (const auto& [name, value] : conninfo)
    if (name == keyword && !value.empty()) return &value;
  return nullptr;
}

using ConninfoOptions = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

[[nodiscard]] inline Conninfo to_conninfo(const ConninfoOptions& options) {
  Conninfo out;
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option)
    if (option->val != nullptr) out.emplace_back(option->keyword, option->val);
  return out;
}

/// The reason in libpq's text without the words it quotes: they may be a password.
[[nodiscard]] inline std::string conninfo_mistake(std::string_view libpq) {
  const auto says = [&](std::string_view words) { return libpq.find(words) != std::string_view::npos; };
  if (says("invalid connection option") || says("invalid URI query parameter"))
    return "it has an option that this version of libpq does not know";
  if (says("missing \"=\"")) return "an option has no \"=\"; a value with blanks goes in single quotes";
  if (says("unterminated quoted string")) return "a quoted value does not end";
  if (says("URI")) return "it is not a valid URI; special characters in its parts must be percent-encoded";
  return "it is neither a list of keyword=value nor a postgresql:// URI";
}

/// Has a URI whose password has an "@" or "/" that is not percent-encoded been read all the same? Then the rest of the
/// password is in the name of the host, or its beginning in the port, which messages quote.
[[nodiscard]] inline bool is_misread_uri(std::string_view text, const Conninfo& read) {
  if (!text.starts_with("postgresql://") && !text.starts_with("postgres://")) return false;
  const std::string* const host = find_option(read, "host");
  if (host != nullptr && host->find('@', 1) != std::string::npos) return true;  // in front it is an abstract socket's
  const std::string* const port = find_option(read, "port");
  return port != nullptr && port->find_first_not_of("0123456789,") != std::string::npos;
}

/// Reads a connection string or URI.
/// Throws: UsageError, whose message quotes nothing of it.
[[nodiscard]] inline Conninfo parse_conninfo(std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    throw UsageError("the connection string cannot be read: it contains a zero byte");
  char* message = nullptr;
  const ConninfoOptions options{PQconninfoParse(std::string{text}.c_str(), &message), &PQconninfoFree};
  const std::unique_ptr<char, decltype(&PQfreemem)> owned{message, &PQfreemem};
  if (!options)
    throw UsageError("the connection string cannot be read: " + conninfo_mistake(message == nullptr ? "" : message));
  Conninfo read = to_conninfo(options);
  if (is_misread_uri(text, read)) throw UsageError("the connection string cannot be read: " + conninfo_mistake("URI"));
  return read;
}

[[nodiscard]] inline std::string to_string(const Conninfo& conninfo) {
  std::string out;
  for (const auto& [keyword, value] : conninfo) {
    if (!out.empty()) out += ' ';
    out += keyword + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += '\'';
  }
  return out;
}

/// The same connection string with some keywords replaced, added or taken out.
[[nodiscard]] inline std::string with_overrides(std::string_view text, std::span<const ConninfoOverride> overrides) {
  Conninfo conninfo = parse_conninfo(text);
  for (const auto& [keyword, value] : overrides) {
    std::erase_if(conninfo, [name = keyword](const auto& option) { return option.first == name; });
    if (!value.empty()) conninfo.emplace_back(keyword, value);
  }
  return to_string(conninfo);
}

/// What libpq makes of a connection string with the environment, the service file and its own defaults.
/// Nothing is sent anywhere.
[[nodiscard]] inline Conninfo effective_conninfo(std::string_view text) {
  // libpq merges its sources only on the way to a connection; a value that it refuses ends that way right there.
  static constexpr std::array<ConninfoOverride, 1> refused{{{"gssencmode", "none of these"}}};
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection{PQconnectStart(with_overrides(text, refused).c_str()),
                                                                &PQfinish};
  if (!connection) throw std::bad_alloc();
  return to_conninfo(ConninfoOptions{PQconninfo(connection.get()), &PQconninfoFree});
}

/// The connection string with this library's defaults for what neither it nor the environment nor a service file says.
[[nodiscard]] inline std::string with_defaults(std::string_view text, const Conninfo& effective) {
  static constexpr ConninfoOverride defaults[] = {
      {"fallback_application_name", "btreemapped"},  // libpq's own way to name a default
      {"connect_timeout", "10"},
      // A dead host is noticed after 10 + 3 * 5 seconds, an unanswered write after 30.
      {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", "30000"},
  };
  std::vector<ConninfoOverride> missing;
  for (const ConninfoOverride& each : defaults)
    if (find_option(effective, each.first) == nullptr) missing.push_back(each);
  return with_overrides(text, missing);
}

[[nodiscard]] inline std::string with_defaults(std::string_view text) {
  return with_defaults(text, effective_conninfo(text));
}

/// Where a connection ended up.
struct Address {
  std::string host{};      ///< as the user named it (certificates and password files go by it), or a socket's folder
  std::string hostaddr{};  ///< numeric; empty for a socket
  std::string port{};
};

/// The connection string for further sessions on the very server that the first one found: several hosts, a name with
/// several addresses or a balancer must not lead them elsewhere.
[[nodiscard]] inline std::string pinned_to(std::string_view text, const Address& address) {
  const ConninfoOverride pins[] = {
      {"host", address.host},     {"hostaddr", address.hostaddr},
      {"port", address.port},     {"target_session_attrs", "any"},
      {"load_balance_hosts", ""}, {"replication", ""}};  // should the user have asked for it
  return with_overrides(text, pins);
}

/// One server that a connection string allows: a complete connection string of its own.
struct Candidate {
  std::string conninfo{};
  std::chrono::seconds timeout{};
};

[[nodiscard]] inline std::vector<std::string> split_list(const std::string* list) {
  std::vector<std::string> out;
  if (list == nullptr) return out;
  std::size_t start = 0;
  for (std::size_t comma = 0; comma != std::string::npos; start = comma + 1) {
    comma = list->find(',', start);
    out.push_back(list->substr(start, comma == std::string::npos ? comma : comma - start));
  }
  return out;
}

/// One candidate for each address of a host, of which libpq would never give up the first if it answers nothing. The
/// candidate itself where its host is a folder or a number, or cannot be resolved, which is libpq's to explain.
/// Blocks and locks: name resolution.
[[nodiscard]] inline std::vector<Candidate> addresses_of(const Candidate& server) {
  const Conninfo effective = effective_conninfo(server.conninfo);
  const std::string* const host = find_option(effective, "host");
  if (host == nullptr || host->front() == '/' || host->front() == '@' || host->find(',') != std::string::npos ||
      find_option(effective, "hostaddr") != nullptr)
    return {server};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (::getaddrinfo(host->c_str(), nullptr, &hints, &first) != 0) return {server};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found{first, &::freeaddrinfo};
  std::vector<Candidate> out;
  for (const addrinfo* each = found.get(); each != nullptr; each = each->ai_next) {
    char address[NI_MAXHOST];
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, address, sizeof address, nullptr, 0, NI_NUMERICHOST) != 0)
      continue;
    const ConninfoOverride one[] = {{"hostaddr", address}};
    out.push_back({with_overrides(server.conninfo, one), server.timeout});
  }
  return out.size() < 2 ? std::vector<Candidate>{server} : out;
}

/// The servers of a connection string in the order in which to try them. libpq itself knows a list, but its
/// asynchronous interface, the one that can be interrupted, never gives up a host that answers nothing.
[[nodiscard]] inline std::vector<Candidate> candidates(std::string_view text) {
  const Conninfo effective = effective_conninfo(text);
  const std::string base = with_defaults(text, effective);
  const std::vector<std::string> hosts = split_list(find_option(effective, "host"));
  const std::vector<std::string> addresses = split_list(find_option(effective, "hostaddr"));
  std::vector<std::string> ports = split_list(find_option(effective, "port"));

  std::chrono::seconds timeout{10};
  if (const std::string* const value = find_option(effective, "connect_timeout")) {
    int seconds = 0;
    std::from_chars(value->data(), value->data() + value->size(), seconds);
    timeout = seconds > 0 ? std::chrono::seconds{seconds} : std::chrono::hours{24};
  }

  const std::size_t count = hosts.empty() ? addresses.size() : hosts.size();
  if (ports.size() == 1) ports.resize(count, ports.front());
  // Lists that do not match are libpq's to explain, and so is an empty element, which stands for its default.
  const auto fits = [&](const std::vector<std::string>& list) {
    return list.empty() || (list.size() == count && std::find(list.begin(), list.end(), "") == list.end());
  };
  if (count < 2 || !fits(hosts) || !fits(addresses) || !fits(ports)) return {{base, timeout}};

  const std::string* const wanted = find_option(effective, "target_session_attrs");
  const bool prefer_standby = wanted != nullptr && *wanted == "prefer-standby";
  std::vector<Candidate> out;
  for (const std::string_view attributes : {"standby", "any"}) {
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<ConninfoOverride> one{{"load_balance_hosts", ""}};
      if (!hosts.empty()) one.emplace_back("host", hosts[i]);
      if (!addresses.empty()) one.emplace_back("hostaddr", addresses[i]);
      if (!ports.empty()) one.emplace_back("port", ports[i]);
      if (prefer_standby) one.emplace_back("target_session_attrs", attributes);
      out.push_back({with_overrides(base, one), timeout});
    }
    if (!prefer_standby) break;
  }
  return out;
}

}  // namespace pq
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
