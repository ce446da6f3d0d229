#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/error.hpp>

#include <support/document.hpp>
#include <support/memory_table.hpp>
#include <support/random.hpp>

// Random transactions against a list of rows that does what the statements say.
namespace {

using namespace btreemapped;
using test::below;
using test::Cells;
using Random = std::mt19937_64;

/// What the server holds. `noise` is a column that no field wants.
struct ServerRow {
  std::int32_t id;
  std::string part;
  std::string big;
  std::optional<std::int32_t> small;
  std::uint64_t noise;

  [[nodiscard]] auto key() const { return std::tie(part, id); }
  [[nodiscard]] auto visible() const { return std::tie(part, id, big, small); }
};

struct Copyable {
  std::string part;
  std::int32_t id;
  std::string big;
  std::optional<std::int32_t> small;

  [[nodiscard]] const std::string& big_text() const { return big; }
};

struct OnlyMovable {
  std::string part;
  std::int32_t id;
  test::Document big;
  std::optional<std::int32_t> small;

  [[nodiscard]] const std::string& big_text() const { return *big.text; }
};

Cells cells_of(const ServerRow& row) {
  return {row.noise, row.big, row.id, row.small ? test::CellText(*row.small) : test::CellText(test::null), row.part};
}

Cells key_cells_of(const ServerRow& row) { return {test::null, test::null, row.id, test::null, row.part}; }

/// As a Relation message of this table says it, with the columns in another order than the struct.
template <class Table>
detail::ColumnMap map_of(const Table& table, char identity) {
  const std::size_t width = 5;
  detail::ColumnMap map = table.map(identity);
  map.width = width;
  map.fields[0].position = 4;
  map.fields[1].position = 2;
  map.fields[2].position = 1;
  map.fields[3].position = 3;
  return map;
}

template <class Row>
class Trial {
 public:
  explicit Trial(Random& random) : random_(random), table_(store_.add_with<Row, 2>({})) {}

  /// One transaction: committed, rolled back, or refused since it leaves two rows under one key.
  void run() {
    const std::vector<ServerRow> before = server_;
    full_ = below(random_, 2) == 0;
    test::Changes changes(table_.table().make_delta(), map_of(table_, full_ ? 'f' : 'd'));
    for (std::uint64_t steps = 1 + below(random_, 14); steps > 0; --steps) {
      if (unique() && below(random_, 12) == 0) {
        full_ = !full_;
        changes.use(map_of(table_, full_ ? 'f' : 'd'));
      }
      step(changes);
    }
    const std::uint64_t ending = below(random_, 10);
    if (ending == 0) {
      server_ = before;
    } else if (ending == 1 && !unique()) {
      CHECK(changes.seal().code == Errc::duplicate_key);
      server_ = before;
    } else {
      while (!unique()) resolve_one(changes);
      store_.publish(table_, std::move(changes));
    }
    check();
  }

 private:
  [[nodiscard]] ServerRow random_row() {
    static constexpr const char* parts[] = {"", "x", "y"};
    // Braces, unlike parentheses, are evaluated from left to right: one seed, one run.
    return ServerRow{
        static_cast<std::int32_t>(below(random_, 5)), parts[below(random_, 3)],
        "big " + std::to_string(below(random_, 50)),
        below(random_, 3) == 0 ? std::nullopt : std::optional(static_cast<std::int32_t>(below(random_, 9))), random_()};
  }

  [[nodiscard]] std::ptrdiff_t rows_with_key_of(const ServerRow& row) const {
    return std::count_if(server_.begin(), server_.end(),
                         [&](const ServerRow& held) { return held.key() == row.key(); });
  }
  [[nodiscard]] bool unique() const {
    return std::all_of(server_.begin(), server_.end(),
                       [&](const ServerRow& row) { return rows_with_key_of(row) == 1; });
  }

  void step(test::Changes& changes) {
    const std::uint64_t kind = below(random_, 40);
    if (kind == 0) {
      server_.clear();
      changes.truncate();
    } else if (server_.empty() || kind < 14) {
      insert(changes);
    } else if (kind < 30) {
      const std::size_t place = below(random_, server_.size());
      update(changes, place, random_row());
    } else {
      erase(changes, below(random_, server_.size()));
    }
  }

  void insert(test::Changes& changes) {
    const ServerRow row = random_row();
    if (!full_ && rows_with_key_of(row) != 0) return;  // an immediate key refuses it
    REQUIRE_FALSE(changes.insert(cells_of(row)));
    server_.push_back(row);
  }

  void update(test::Changes& changes, std::size_t place, ServerRow fresh) {
    const ServerRow old = server_[place];
    if (below(random_, 2) == 0) std::tie(fresh.id, fresh.part) = std::tuple(old.id, old.part);
    const bool key_moves = fresh.key() != old.key();
    if (!full_ && key_moves && rows_with_key_of(fresh) != 0) return;
    Cells row = cells_of(fresh);
    if (below(random_, 2) == 0) {
      fresh.big = old.big;
      row[1] = test::unchanged;
    }
    if (full_) {
      if (fresh.part == old.part && below(random_, 4) == 0) row[4] = test::unchanged;
      REQUIRE_FALSE(changes.update_by_old_row(cells_of(old), row));
    } else if (fresh.part == old.part && below(random_, 4) == 0) {
      row[4] = test::unchanged;  // a key column out of line: sent in the key image only
      REQUIRE_FALSE(changes.update_by_key(key_cells_of(old), row));
    } else if (key_moves) {
      REQUIRE_FALSE(changes.update_by_key(key_cells_of(old), row));
    } else {
      REQUIRE_FALSE(changes.update(row));
    }
    server_[place] = fresh;
  }

  void erase(test::Changes& changes, std::size_t place) {
    const ServerRow old = server_[place];
    const auto failure = full_ ? changes.erase_by_old_row(cells_of(old)) : changes.erase_by_key(key_cells_of(old));
    REQUIRE_FALSE(failure);
    server_.erase(server_.begin() + static_cast<std::ptrdiff_t>(place));
  }

  /// Moves or deletes one of the rows that share a key, as a transaction must before it commits.
  void resolve_one(test::Changes& changes) {
    std::vector<std::size_t> shared;
    for (std::size_t i = 0; i < server_.size(); ++i)
      if (rows_with_key_of(server_[i]) > 1) shared.push_back(i);
    const std::size_t place = shared[below(random_, shared.size())];
    ServerRow elsewhere = random_row();
    if (rows_with_key_of(elsewhere) == 0) {
      update(changes, place, elsewhere);
    } else {
      erase(changes, place);
    }
  }

  void check() {
    std::vector<ServerRow> expected = server_;
    std::sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.key() < b.key(); });
    bool same = table_.replica().size() == expected.size();
    std::size_t place = 0;
    table_.replica().for_each([&](const Row& row) {
      same = same && std::tie(row.part, row.id, row.big_text(), row.small) == expected[place++].visible();
      return same;
    });
    REQUIRE(same);
  }

  Random& random_;
  std::vector<ServerRow> server_{};
  bool full_ = false;
  test::MemoryStore store_{};
  test::MemoryTable<Row, 2> table_;
};

}  // namespace

TEMPLATE_TEST_CASE("random transactions leave what they leave in a plain list of rows", "[typed_delta][model]",
                   Copyable, OnlyMovable) {
  Random random = test::seeded_generator("typed_delta_model");
  for (int table = 0; table < 20; ++table) {
    Trial<TestType> trial(random);
    for (int transaction = 0; transaction < 150; ++transaction) {
      INFO("table " << table << ", transaction " << transaction);
      trial.run();
    }
  }
}
