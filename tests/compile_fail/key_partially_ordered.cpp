// expect: btreemapped: a key field
#include <compare>
#include <string_view>

#include <btreemapped.hpp>

struct Celsius {
  double value;
  auto operator<=>(const Celsius&) const = default;  // of a NaN it says nothing
};

template <>
struct btreemapped::codec<Celsius> {
  static Errc decode(std::string_view, Celsius&);
};

struct Reading {
  Celsius temperature;
  int count;
};

template class btreemapped::Replica<Reading, 1>;
