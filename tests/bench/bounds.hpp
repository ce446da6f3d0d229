#pragma once

#include <iostream>
#include <string>

namespace bench {

/// What figures must keep to. Prints of each whether it did.
class Bounds {
 public:
  void at_most(const std::string& what, double measured, double most, const std::string& unit) {
    print(measured <= most, what, measured, "at most", most, unit);
  }
  void at_least(const std::string& what, double measured, double least, const std::string& unit) {
    print(measured >= least, what, measured, "at least", least, unit);
  }

  [[nodiscard]] bool all_held() const noexcept { return all_held_; }

 private:
  void print(bool held, const std::string& what, double measured, const char* side, double bound,
             const std::string& unit) {
    all_held_ = all_held_ && held;
    std::cout << (held ? "  held: " : "  BROKEN: ") << what << ": " << measured << unit << ", which must be " << side
              << " " << bound << unit << "\n";
  }

  bool all_held_ = true;
};

}  // namespace bench
