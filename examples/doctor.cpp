// Looks whether tables can be followed, before anything is built on it, and prints what is in the way.
//
//   doctor CONNECTION PUBLICATION [TABLE...]
//
// CONNECTION is a libpq connection string or URI, TABLE a "table" or "schema.table"; without any, all that the
// publication publishes are looked at. Nothing is changed. The exit code is 0 if they can be followed, with warnings or
// without, 1 if they cannot, and 2 if it was called in a wrong way.

#include <array>
#include <cstddef>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <btreemapped/doctor.hpp>

namespace {

void print(const btreemapped::Diagnosis& diagnosis) {
  std::cout << (diagnosis.server.empty() ? "no server was reached" : diagnosis.server);
  if (!diagnosis.role.empty()) std::cout << ", as " << diagnosis.role;
  for (std::size_t i = 0; i < diagnosis.tables.size(); ++i) std::cout << (i == 0 ? ": " : ", ") << diagnosis.tables[i];
  std::cout << "\n\n";
  std::array<std::size_t, 3> counts{};
  for (const btreemapped::Finding& finding : diagnosis.findings) {
    ++counts.at(static_cast<std::size_t>(finding.severity));
    std::cout << to_string(finding) << "\n\n";
  }
  const auto [notes, warnings, errors] = counts;
  std::cout << "errors: " << errors << ", warnings: " << warnings << ", notes: " << notes << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  if (arguments.size() < 3) {
    std::cerr << "usage: doctor CONNECTION PUBLICATION [TABLE...]\n";
    return 2;
  }
  try {
    const std::vector<std::string> tables(arguments.begin() + 3, arguments.end());
    const btreemapped::Diagnosis diagnosis =
        btreemapped::doctor({.connection = arguments[1], .publication = arguments[2]}, tables);
    print(diagnosis);
    return diagnosis.can_follow() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
}
