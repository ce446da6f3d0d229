#pragma once

// Opt-in, for users of nlohmann::json: btreemapped.hpp does not include it.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/codec/decimal.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/error.hpp>

namespace btreemapped {
inline namespace v0 {
namespace detail {

/// nlohmann::json, which orders the members of an object by their names, and nlohmann::ordered_json, which keeps their
/// order.
template <class T>
concept nlohmann_json = std::same_as<T, nlohmann::json> || std::same_as<T, nlohmann::ordered_json>;

/// What a decimal number says: digits without zeros at either end, and the power of ten of the last. The shortest text
/// of a double has no more than 17 digits.
struct ShortDecimal {
  std::array<char, 17> digits{};
  std::size_t count = 0;
  std::int64_t exponent = 0;
  bool negative = false;

  friend bool operator==(const ShortDecimal&, const ShortDecimal&) = default;

  /// Reads a number of JSON, whatever stands for its point; false if it has more digits.
  [[nodiscard]] bool read(std::string_view text) noexcept {
    negative = text.starts_with('-');
    std::int64_t zeros = 0;  // after the last digit that is not zero
    bool in_fraction = false;
    std::size_t at = negative ? 1 : 0;
    for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
      if (!is_digit(text[at])) {
        in_fraction = true;
        continue;
      }
      if (in_fraction) --exponent;
      if (text[at] == '0') {
        zeros += count > 0 ? 1 : 0;
        continue;
      }
      if (count + static_cast<std::size_t>(zeros) >= digits.size()) return false;
      for (; zeros > 0; --zeros) digits[count++] = '0';
      digits[count++] = text[at];
    }
    exponent += zeros;
    if (at < text.size()) {
      std::string_view power = text.substr(at + 1);
      if (power.starts_with('+')) power.remove_prefix(1);
      std::int32_t shift = 0;
      const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), shift);
      if (count > 0 && (error != std::errc{} || end != power.data() + power.size())) return false;
      exponent += shift;
    }
    if (count == 0) exponent = 0;  // zero, however large its exponent
    return true;
  }
};

/// True if the double is the number that the text is: then its shortest text says the same.
[[nodiscard]] inline bool is_exactly(double value, std::string_view text) noexcept {
  std::array<char, 32> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  ShortDecimal wanted;
  ShortDecimal held;
  return error == std::errc{} && wanted.read(text) &&
         held.read({buffer.data(), static_cast<std::size_t>(end - buffer.data())}) && wanted == held;
}

/// Builds a document from what nlohmann's parser finds, and refuses what the document would not hold.
template <nlohmann_json Json>
class ExactJsonBuilder {
 public:
  using number_integer_t = typename Json::number_integer_t;
  using number_unsigned_t = typename Json::number_unsigned_t;
  using number_float_t = typename Json::number_float_t;
  using string_t = typename Json::string_t;
  using binary_t = typename Json::binary_t;
  using object_t = typename Json::object_t;
  using array_t = typename Json::array_t;

  explicit ExactJsonBuilder(Json& root) : root_(root) {}

  [[nodiscard]] Errc result() const noexcept { return result_; }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  // A negative one, and -0, which is the 0 that would be unsigned otherwise.
  bool number_integer(number_integer_t value) { return value == 0 ? add(number_unsigned_t{0}) : add(value); }
  bool number_unsigned(number_unsigned_t value) { return add(value); }
  bool number_float(number_float_t value, const string_t& text) {
    // An integer comes here if 64 bits are not enough for it.
    if (std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '-'; })) return refuse();
    return is_exactly(value, text) ? add(value) : refuse();
  }
  bool string(string_t& value) { return add(std::move(value)); }
  bool binary(binary_t&) { return refuse(); }
  bool start_object(std::size_t) { return open(true); }
  bool start_array(std::size_t) { return open(false); }
  bool key(string_t& name) {
    open_.back().name = std::move(name);
    return true;
  }
  bool end_object() {
    if (names_repeat(open_.back().members)) return refuse();
    Json object(std::move(open_.back().members));
    open_.pop_back();
    return add(std::move(object));
  }
  bool end_array() {
    Json array(std::move(open_.back().elements));
    open_.pop_back();
    return add(std::move(array));
  }
  bool parse_error(std::size_t, const std::string&, const typename Json::exception& error) {
    // The one error that is about a value and not about the text: a number that is too large for a double.
    constexpr int number_overflow = 406;
    result_ = error.id == number_overflow ? Errc::out_of_range : Errc::invalid_text;
    return false;
  }

 private:
  // What copies, compares or prints a document calls itself once for each level.
  static constexpr std::size_t max_depth = 1000;
  static constexpr bool keeps_order = std::same_as<Json, nlohmann::ordered_json>;

  /// An object or array whose end has not come.
  struct Open {
    bool is_object = false;
    string_t name{};  ///< of the member whose value is next
    object_t members{};
    array_t elements{};
  };

  bool refuse() noexcept {
    result_ = Errc::out_of_range;
    return false;
  }

  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Open& into = open_.back();
    if (!into.is_object) {
      into.elements.push_back(std::move(value));
    } else if constexpr (keeps_order) {
      into.members.emplace_back(std::move(into.name), std::move(value));
    } else if (!into.members.try_emplace(std::move(into.name), std::move(value)).second) {
      return refuse();
    }
    return true;
  }

  bool open(bool is_object) {
    if (open_.size() == max_depth) return refuse();
    open_.push_back(Open{is_object});
    return true;
  }

  /// Asked once for each object: to look for each name among all before it would take the square of the time.
  [[nodiscard]] static bool names_repeat(const object_t& members) {
    if constexpr (keeps_order) {
      std::vector<std::string_view> names;
      names.reserve(members.size());
      for (const auto& member : members) names.push_back(member.first);
      std::sort(names.begin(), names.end());
      return std::adjacent_find(names.begin(), names.end()) != names.end();
    } else {
      return false;
    }
  }

  Json& root_;
  std::vector<Open> open_{};
  Errc result_ = Errc::ok;
};

// nlohmann compares an integer with a float as floats, by which 2^53+1 equals 2^53 and both are not equal: no order.
template <nlohmann_json Json>
inline constexpr bool can_be_key_v<Json> = false;

/// json and jsonb, as the values that they mean: blanks, the spelling of numbers and strings and, in nlohmann::json,
/// the order of members are not kept. For the text itself there is std::string.
///
/// Refused as out of range is what nlohmann's types would change:
/// - an integer that neither std::int64_t nor std::uint64_t holds;
/// - a number with a point or an exponent that is not the shortest text of its double: 0.1, 1.50 and 1e22 are taken,
///   0.1000000000000000055 and 9007199254740993.0 are not; up to 15 digits are always taken;
/// - a member that occurs twice in an object, which only `json` can hold;
/// - arrays and objects more than 1000 deep.
///
/// Text that is not JSON to nlohmann, such as half of a surrogate pair in `json`, is refused as invalid. A minus before
/// an integer zero is not kept. Not for keys.
template <nlohmann_json Json>
struct FamilyCodec<Json> {
  static constexpr std::string_view sql_name = "json or jsonb";

  [[nodiscard]] static bool accepts(const SqlType& type) noexcept {
    return type.base == json_oid || type.base == jsonb_oid;
  }

  [[nodiscard]] static Errc decode(std::string_view text, Json& out) {
    // To the parser a NUL is the end, and a byte order mark at the beginning is nothing.
    if (text.find('\0') != std::string_view::npos || text.starts_with("\xEF\xBB\xBF")) return Errc::invalid_text;
    ExactJsonBuilder<Json> builder(out);
    const bool complete = Json::sax_parse(text.begin(), text.end(), &builder);
    if (builder.result() != Errc::ok) return builder.result();
    return complete ? Errc::ok : Errc::invalid_text;
  }

  /// The same values of the same kinds: nlohmann holds 1 and 1.0 for equal, but one replacing the other is a change.
  [[nodiscard]] static bool same(const Json& a, const Json& b) {
    if (a.type() != b.type()) return false;
    if (a.is_number_float()) {
      const auto left = a.template get<double>();
      const auto right = b.template get<double>();
      return left == right && std::signbit(left) == std::signbit(right);
    }
    if (!a.is_structured()) return a == b;
    if (a.size() != b.size()) return false;
    for (auto left = a.begin(), right = b.begin(); left != a.end(); ++left, ++right) {
      if (a.is_object() && left.key() != right.key()) return false;
      if (!same(*left, *right)) return false;
    }
    return true;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace btreemapped
