#pragma once

#include <array>
#include <charconv>
#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <btreemapped.hpp>

#include "literals.hpp"
#include "support/conninfo.hpp"
#include "support/database.hpp"
#include "support/replicator.hpp"
#include "support/sql.hpp"
#include "support/type_list.hpp"

// PostgreSQL tells what we must hold: values of its types go through the copy and through the stream into replicas, are
// printed from there, and read by the server again.
namespace types_test {

template <class T>
struct Held {
  std::int32_t id;
  T value;
};

/// How a value must come back to the server.
enum class Fidelity {
  text,   ///< printed as the server prints it
  bytes,  ///< with the same binary representation
  value,  ///< equal, as another type that the field cannot tell from it
};

/// The value as the server may read it.
[[nodiscard]] inline std::string print(bool value, std::string_view) { return value ? "t" : "f"; }
[[nodiscard]] inline std::string print(const std::string& value, std::string_view) { return value; }
template <std::integral T>
[[nodiscard]] std::string print(T value, std::string_view) {
  return std::to_string(value);
}
template <std::floating_point T>
[[nodiscard]] std::string print(T value, std::string_view type) {
  std::array<char, 400> text{};
  const bool whole = type == "smallint" || type == "integer";
  const auto end = whole ? std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed)
                         : std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end.ptr};
}
[[nodiscard]] inline std::string print(const std::vector<std::byte>& value, std::string_view) {
  std::string text = "\\x";
  for (const std::byte byte : value) btreemapped::detail::append_hex(text, byte);
  return text;
}
[[nodiscard]] inline std::string print(std::chrono::sys_days value, std::string_view) {
  if (value == std::chrono::sys_days::max()) return "infinity";
  if (value == std::chrono::sys_days::min()) return "-infinity";
  std::string text;
  return btreemapped::detail::append_date(text, value.time_since_epoch().count()) ? text + " BC" : text;
}
[[nodiscard]] inline std::string print(std::chrono::sys_time<std::chrono::microseconds> value, std::string_view) {
  return to_string(btreemapped::to_timestamp(value).value());
}
[[nodiscard]] inline std::string print(std::chrono::local_time<std::chrono::microseconds> value, std::string_view) {
  return to_string(btreemapped::to_timestamp(value).value());
}
template <class T>
  requires requires(const T& value) {
    { to_string(value) } -> std::same_as<std::string>;
  }
[[nodiscard]] std::string print(const T& value, std::string_view) {
  return to_string(value);
}

/// To be specialised for types of other libraries.
template <class T>
struct Printer {
  [[nodiscard]] static std::string print(const T& value, std::string_view type) {
    return types_test::print(value, type);
  }
};

template <class T>
inline constexpr Fidelity fidelity = std::floating_point<T> ? Fidelity::bytes : Fidelity::text;

/// True for a value of the type that the field refuses, and says so.
template <class T>
[[nodiscard]] bool is_refused(std::string_view, std::string_view text) {
  using namespace std::chrono;
  if constexpr (std::same_as<T, sys_time<microseconds>> || std::same_as<T, local_time<microseconds>>) {
    return text.starts_with("294247-01-10 04:00:54.775807") || text.starts_with("294247-01-10 04:00:54.775808") ||
           text.starts_with("29426") || text.starts_with("29427");
  } else {
    return false;
  }
}

[[nodiscard]] inline std::string literal_of(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string(2, c) : std::string(1, c);
  return out + "'";
}

/// A database and replicas of its tables.
class Oracle {
 public:
  explicit Oracle(test::Database& database) : database_(database), session_(database.dsn()) {
    session_.exec(
        "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex';"
        "SET timezone = 'UTC'; SET lc_monetary = 'C'; SET client_encoding = 'UTF8'; SET search_path = '';"
        "SET standard_conforming_strings = on; SET xmloption = 'content'; SET default_transaction_read_only = off;"
        "SET statement_timeout = 0; SET quote_all_identifiers = off; SET array_nulls = on");
    version_ = std::stoi(session_.value("SHOW server_version_num"));
    std::set<std::string_view> done;
    for (const Literals& each : all_literals())
      if (!each.setup.empty() && done.insert(each.setup).second) session_.exec(std::string(each.setup));
  }

  /// Makes a table of this type to be held by fields of T.
  template <class T>
  void add(std::string_view type) {
    const std::string number = std::to_string(columns_.size());
    auto column = std::make_unique<Column<T>>();
    column->type = type;
    column->declared = type;
    for (const test::SqlTypeName& known : test::sql_types)
      if (known.name == type) column->declared = known.sql;
    for (const Literals& each : all_literals())
      if (each.type == type) column->order = each.order;
    std::string rows;
    for (const std::string& text : literals_of(type, version_)) {
      if (is_refused<T>(type, text)) continue;
      rows += (rows.empty() ? "(" : ", (") + std::to_string(column->texts.size()) + ", " + literal_of(text) +
              "::" + column->declared + ")";
      column->texts.push_back(text);
    }
    if (rows.empty()) throw std::logic_error("there are no values of " + std::string(type));
    column->copied_name = "copied_" + number;
    column->streamed_name = "streamed_" + number;
    for (const std::string& name : {column->copied_name, column->streamed_name})
      session_.exec("CREATE TABLE public." + name + " (id int PRIMARY KEY, value " + column->declared + " NOT NULL)");
    session_.exec("INSERT INTO public." + column->copied_name + " VALUES " + rows);
    columns_.push_back(std::move(column));
  }

  /// Makes tables of all types that each of these C++ types is listed to hold.
  template <class... Types>
  void add_all(const std::tuple<test::CppType<Types>...>& list) {
    const auto add_each = [&]<class T>(const test::CppType<T>& cpp) {
      for (const std::string_view type : cpp.sql) add<T>(type);
    };
    std::apply([&](const auto&... cpp) { (add_each(cpp), ...); }, list);
  }

  /// Copies, streams and compares, by replicas that follow like this.
  void run(const btreemapped::Options& options) {
    session_.exec("CREATE PUBLICATION pub FOR ALL TABLES; GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC");
    test::Replicator replicator(options);
    for (const auto& column : columns_) column->follow(replicator);
    test::start_and_sync(replicator);
    for (const auto& column : columns_) {
      // Each row first with another's value: the insert brings one, the update the other.
      const std::string count = std::to_string(column->texts.size());
      session_.exec("INSERT INTO public." + column->streamed_name + " SELECT (id + 1) % " + count +
                    ", value FROM public." + column->copied_name);
      session_.exec("UPDATE public." + column->streamed_name + " s SET value = c.value FROM public." +
                    column->copied_name + " c WHERE c.id = s.id");
    }
    database_.catch_up(replicator);
    for (const auto& column : columns_) {
      CAPTURE(column->type);
      column->compare_paths();
      compare_values(*column);
      compare_order(*column);
    }
  }

 private:
  struct AnyColumn {
    virtual ~AnyColumn() = default;
    virtual void follow(btreemapped::Replicator& replicator) = 0;
    /// Copy and stream must have brought the same.
    virtual void compare_paths() const = 0;
    [[nodiscard]] virtual std::string printed(std::int32_t id) const = 0;
    [[nodiscard]] virtual Fidelity faith() const = 0;
    /// Empty if the type has no order, or another one.
    [[nodiscard]] virtual std::optional<std::weak_ordering> compared(std::int32_t left, std::int32_t right) const = 0;
    [[nodiscard]] virtual bool equal(std::int32_t left, std::int32_t right) const = 0;
    [[nodiscard]] virtual bool is_ordered_like_server() const = 0;

    std::string type{};
    std::string declared{};
    Order order = Order::other;
    std::vector<std::string> texts{};
    std::string copied_name{};
    std::string streamed_name{};
  };

  template <class T>
  struct Column : AnyColumn {
    void follow(btreemapped::Replicator& replicator) override {
      copied = replicator.add_replica<Held<T>, 1>(copied_name);
      streamed = replicator.add_replica<Held<T>, 1>(streamed_name);
    }

    void compare_paths() const override {
      REQUIRE(copied->state() == btreemapped::TableState::live);
      REQUIRE(streamed->state() == btreemapped::TableState::live);
      REQUIRE(copied->size() == texts.size());
      REQUIRE(streamed->size() == texts.size());
      for (std::int32_t id = 0; id < static_cast<std::int32_t>(texts.size()); ++id) {
        CAPTURE(texts[static_cast<std::size_t>(id)]);
        CHECK(btreemapped::detail::same_value(copied->get(id)->value, streamed->get(id)->value));
      }
    }

    [[nodiscard]] std::string printed(std::int32_t id) const override {
      return Printer<T>::print(copied->get(id)->value, type);
    }
    [[nodiscard]] Fidelity faith() const override {
      // An Inet does not print the prefix of a host, which a cidr does.
      return std::same_as<T, btreemapped::Inet> && type == "cidr" ? Fidelity::bytes : fidelity<T>;
    }

    [[nodiscard]] bool is_ordered_like_server() const override {
      if (!btreemapped::detail::can_be_key_v<T>) return false;
      return std::same_as<T, std::string> ? order == Order::bytes : order == Order::ours;
    }
    [[nodiscard]] std::optional<std::weak_ordering> compared(std::int32_t left, std::int32_t right) const override {
      if constexpr (btreemapped::detail::can_be_key_v<T>) {
        return btreemapped::detail::compare_part(copied->get(left)->value, copied->get(right)->value);
      } else {
        return std::nullopt;
      }
    }
    [[nodiscard]] bool equal(std::int32_t left, std::int32_t right) const override {
      // Floats have two equalities; keys use that of the order.
      if constexpr (std::floating_point<T>) return *compared(left, right) == 0;
      else return copied->get(left)->value == copied->get(right)->value;
    }

    std::optional<btreemapped::Replica<Held<T>, 1>> copied{};
    std::optional<btreemapped::Replica<Held<T>, 1>> streamed{};
  };

  void compare_values(const AnyColumn& column) {
    const bool by_value = column.faith() == Fidelity::value;
    const std::string type = by_value && column.type == "json" ? "jsonb" : column.declared;
    std::string ours;
    std::vector<std::string> printed;
    for (std::size_t id = 0; id < column.texts.size(); ++id) {
      printed.push_back(column.printed(static_cast<std::int32_t>(id)));
      ours += (id == 0 ? "(" : ", (") + std::to_string(id) + ", " + literal_of(printed.back()) + "::" + type + ")";
    }
    // record_send() writes the binary form of any type.
    const std::string same = by_value ? "theirs.value::" + type + " = ours.value"
                                      : "record_send(ROW(theirs.value)) = record_send(ROW(ours.value))";
    const auto rows =
        session_.rows("SELECT theirs.id, format('%s', theirs.value), " + same + " FROM public." + column.copied_name +
                      " theirs JOIN (VALUES " + ours + ") ours(id, value) USING (id) ORDER BY id");
    REQUIRE(rows.size() == column.texts.size());
    for (std::size_t id = 0; id < rows.size(); ++id) {
      CAPTURE(column.texts[id], printed[id], *rows[id][1]);
      if (column.faith() == Fidelity::text) CHECK(printed[id] == *rows[id][1]);
      CHECK(*rows[id][2] == "t");
    }
  }

  void compare_order(const AnyColumn& column) {
    if (!column.is_ordered_like_server()) return;
    const std::string collation = column.order == Order::bytes ? " COLLATE \"C\"" : "";
    const std::string table = "public." + column.copied_name;
    const auto rows = session_.rows("SELECT a.id, b.id, a.value < b.value" + collation + ", a.value = b.value" +
                                    collation + " FROM " + table + " a, " + table + " b");
    REQUIRE(rows.size() == column.texts.size() * column.texts.size());
    for (const test::SqlRow& row : rows) {
      const std::int32_t left = std::stoi(*row[0]);
      const std::int32_t right = std::stoi(*row[1]);
      const bool less = *row[2] == "t";
      const bool equal = *row[3] == "t";
      if ((*column.compared(left, right) < 0) == less && (*column.compared(left, right) == 0) == equal &&
          column.equal(left, right) == equal)
        continue;
      CAPTURE(column.texts[static_cast<std::size_t>(left)], column.texts[static_cast<std::size_t>(right)], less, equal);
      FAIL_CHECK("the order is not that of the server");
    }
  }

  test::Database& database_;
  test::Sql session_;
  int version_ = 0;
  std::vector<std::unique_ptr<AnyColumn>> columns_{};
};

/// A database whose defaults show most types in another way than ours.
struct UnfriendlyDatabase : test::Database {
  UnfriendlyDatabase() {
    for (const std::string setting :
         {"datestyle = 'SQL, DMY'", "timezone = 'America/St_Johns'", "bytea_output = 'escape'",
          "extra_float_digits = -15", "intervalstyle = 'iso_8601'", "client_encoding = 'LATIN1'",
          "standard_conforming_strings = off", "default_transaction_isolation = 'serializable'", "array_nulls = off",
          "search_path = 'nowhere'", "quote_all_identifiers = on", "default_transaction_read_only = on",
          "xmlbinary = 'hex'", "xmloption = 'document'"})
      exec("ALTER DATABASE " + name() + " SET " + setting);
    // postgres.sh has made this locale for the server.
    for (const std::string setting : {"lc_monetary", "lc_numeric", "lc_time"})
      exec("ALTER DATABASE " + name() + " SET " + setting + " = 'de_DE.UTF-8'");
  }

  /// Options of a role that may not take longer than a second for anything.
  [[nodiscard]] btreemapped::Options options_of_hurried_role() {
    const std::string role = add_role();
    for (const std::string setting :
         {"statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout", "idle_session_timeout"})
      exec("ALTER ROLE " + role + " SET " + setting + " = '1s'");
    exec("ALTER ROLE " + role + " SET intervalstyle = 'sql_standard'");
    btreemapped::Options changed = options();
    changed.connection = test::with_parts(dsn(), {{"user", role}});
    return changed;
  }
};

}  // namespace types_test
