#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/array.hpp>
#include <btreemapped/codec/composite.hpp>
#include <btreemapped/codec/enum.hpp>
#include <btreemapped/codec/hstore.hpp>
#include <btreemapped/codec/range.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/shape.hpp>

#include "fuzz/print.hpp"

// Types that are made of others, as the catalog describes them.
namespace fuzz {

enum class Mood { calm, wild, said };

struct Point3 {
  std::optional<std::int32_t> x;
  std::string label;
  std::vector<std::optional<std::string>> names;
};

inline std::string print(Mood mood) {
  return mood == Mood::calm ? "calm" : mood == Mood::wild ? "wild" : "not, \"said\"";
}

/// With an attribute that the struct does not name.
inline std::string print(const Point3& point) {
  return '(' + piece(point.label, true) + ",," + piece(point.x, true) + ',' + piece(point.names, true) + ')';
}

using btreemapped::SqlType;
using btreemapped::SqlTypeParts;

inline SqlType made_of(char kind, SqlTypeParts parts) {
  return {.oid = 20'000,
          .base = 20'000,
          .kind = kind,
          .name = "made",
          .parts = std::make_shared<const SqlTypeParts>(std::move(parts))};
}
inline SqlType type_number(btreemapped::Oid oid) { return {.oid = oid, .base = oid}; }
inline SqlType integers() { return made_of('a', {.element = type_number(btreemapped::detail::int4_oid)}); }
inline SqlType texts() { return made_of('a', {.element = type_number(25)}); }
inline SqlType mood() { return made_of('e', {.labels = {"calm", "wild", "not, \"said\""}}); }
inline SqlType point3() {
  return made_of('c', {.attributes = {{"label", type_number(25)},
                                      {"unnamed", type_number(25)},
                                      {"x", type_number(btreemapped::detail::int4_oid)},
                                      {"names", texts()}}});
}
inline SqlType points() { return made_of('a', {.element = point3()}); }
inline SqlType range() { return made_of('r', {.element = type_number(btreemapped::detail::int4_oid)}); }
inline SqlType text_range() { return made_of('r', {.element = type_number(25)}); }
inline SqlType multirange() { return made_of('m', {.element = text_range()}); }
inline SqlType hstore() { return made_of('b', {.extension = "hstore", .own_name = "hstore"}); }

}  // namespace fuzz

template <>
struct btreemapped::enum_labels<fuzz::Mood> {
  static constexpr EnumLabel<fuzz::Mood> list[] = {
      {"calm", fuzz::Mood::calm}, {"wild", fuzz::Mood::wild}, {"not, \"said\"", fuzz::Mood::said}};
};
