// A type of your own for a column: versions, which as text would sort 1.10.1 before 1.9.3.
//
//   own_type CONNECTION     CONNECTION is a libpq connection string or URI; own_type.sql makes the table

#include <array>
#include <charconv>
#include <compare>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>

#include <btreemapped.hpp>

struct Version {
  std::array<unsigned, 3> numbers;

  friend auto operator<=>(const Version&, const Version&) = default;
};

template <>
struct btreemapped::codec<Version> {
  static bool accepts(const SqlType& type) { return type.base == 25; }  // text, and domains over it, by the OID
  static Errc decode(std::string_view text, Version& out) {
    const char* at = text.data();
    const char* const end = at + text.size();
    for (unsigned& number : out.numbers) {
      const bool first = &number == &out.numbers.front();
      if (!first && (at == end || *at != '.')) return Errc::invalid_text;
      const auto [stop, error] = std::from_chars(first ? at : at + 1, end, number);
      if (error != std::errc{}) return Errc::invalid_text;  // never a default: the table would be wrong in silence
      at = stop;
    }
    return at == end ? Errc::ok : Errc::invalid_text;
  }
};

struct Release {
  std::string program;
  Version version;
  std::string name;
};

namespace {

void print(const Release& release) {
  const auto [major_number, minor_number, patch] = release.version.numbers;
  std::cout << "  " << major_number << '.' << minor_number << '.' << patch << "  " << release.name << '\n';
}

void run(const std::string& dsn) {
  btreemapped::Replicator replicator({.connection = dsn, .publication = "releases_pub"});
  const auto releases = replicator.add_replica<Release, 2>("releases");  // ordered by program, then version
  replicator.start();
  replicator.synced().get();

  std::cout << "All releases of the editor:\n";
  releases.for_range1("editor", print);
  std::cout << "Those from 1.9 on:\n";
  releases.for_range2("editor", btreemapped::at_least(Version{{1, 9, 0}}), print);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: own_type CONNECTION\n";
    return 2;
  }
  try {
    run(argv[1]);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
