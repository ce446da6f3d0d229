#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {
namespace sql {

/// The small result of a catalog query, the same whichever client library fetched it. Indices are those of the query's
/// own text; one out of range throws.
class Rows {
 public:
  using Row = std::vector<std::optional<std::string>>;

  void add(Row row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

  [[nodiscard]] bool is_null(std::size_t row, std::size_t column) const { return !rows_.at(row).at(column); }

  /// Empty for NULL.
  [[nodiscard]] std::string_view text(std::size_t row, std::size_t column) const {
    const auto& value = rows_.at(row).at(column);
    return value ? std::string_view{*value} : std::string_view{};
  }

  [[nodiscard]] std::string string(std::size_t row, std::size_t column) const { return std::string{text(row, column)}; }

  /// False for NULL.
  [[nodiscard]] bool flag(std::size_t row, std::size_t column) const { return text(row, column) == "t"; }

  /// A one-character column such as pg_class.relkind.
  [[nodiscard]] char letter(std::size_t row, std::size_t column) const {
    const std::string_view value = text(row, column);
    return value.empty() ? '\0' : value.front();
  }

  template <class Integer>
  [[nodiscard]] Integer number(std::size_t row, std::size_t column) const {
    const std::string_view value = text(row, column);
    Integer out{};
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    if (error != std::errc{} || end != value.data() + value.size())
      throw ProtocolError("the server answered a catalog query with something that is not a number");
    return out;
  }

 private:
  std::vector<Row> rows_;
};

}  // namespace sql
}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
