// Any sequence of messages that parse, as changes to two tables, of which one may be copied afresh meanwhile. A plain
// list of rows beside each says what must come of it: the same rows, or a table that stops and keeps those of the last
// commit.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/detail/change_log.hpp>
#include <btreemapped/detail/column_map.hpp>
#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/table.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

#include "fuzz/require.hpp"
#include "fuzz/row_model.hpp"
#include "support/bytes.hpp"
#include "support/memory_table.hpp"
#include "support/messages.hpp"

namespace {

using namespace btreemapped;
using namespace fuzz;

/// What the input decides, byte by byte; zeros after its end.
class Choices {
 public:
  explicit Choices(std::string_view bytes) : left_(bytes) {}

  [[nodiscard]] bool any() const noexcept { return !left_.empty(); }
  std::size_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return value;
  }
  std::string_view bytes(std::size_t size) {
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view left_;
};

test::CellText random_cell(Choices& choices, std::size_t field) {
  static const std::vector<test::CellText> values[width] = {
      {"1", "1.0", "1.00", "2", "-0.5", "NaN", "Infinity", "1e3"},
      {"0", "1", "2", "-1", "2147483647", "2147483648", "one", ""},
      {"", "t", "a text", "\xC3\xA9", "\xFF", "\\N"},
      {"", "n", "Alice", "O'Neil", "\xFF"},
      {"0", "-0", "1.5", "NaN", "-Infinity", "1e400", "x"},
  };
  const std::size_t choice = choices.byte();
  if (choice >= 0xE0) return test::null;
  if (choice >= 0xC0) return test::unchanged;
  if (choice >= 0xB0) return std::string(choices.bytes(choice & 0xFU));
  return values[field][choice % values[field].size()];
}

/// Messages of the two tables, most of them sensible.
class Source {
 public:
  explicit Source(Choices& choices) : choices_(choices) {}

  test::MessageBuilder message() {
    const std::size_t choice = choices_.byte();
    const std::size_t table = choice >> 7U;
    const Oid oid = test::only_table + static_cast<Oid>(table);
    switch (choice % 16) {
      case 0:
      case 1:
      case 2: return relation(table);
      case 3: return test::truncate_message({oid, test::only_table});
      case 4: return test::MessageBuilder('D').u32(oid).tuple('O', row(table));
      case 5: return test::MessageBuilder('D').u32(oid).tuple('K', row(table));
      case 6: return test::MessageBuilder('U').u32(oid).tuple('O', row(table)).tuple('N', row(table));
      case 7: return test::MessageBuilder('U').u32(oid).tuple('K', row(table)).tuple('N', row(table));
      case 8:
      case 9: return test::update_message(row(table), oid);
      case 10: {  // as it comes
        const std::string_view bytes = choices_.bytes(choices_.byte());
        return test::MessageBuilder(bytes.empty() ? 'Y' : bytes.front()).text(bytes.substr(bytes.empty() ? 0 : 1));
      }
      default: return test::insert_message(row(table), oid);
    }
  }

 private:
  /// The columns begin at one of them; seldom one is missing, is too much, or has another type.
  test::MessageBuilder relation(std::size_t table) {
    static constexpr char identities[] = {'d', 'f', 'n', 'i'};
    const std::size_t shift = choices_.byte();
    const std::size_t oddity = choices_.byte();
    const std::size_t flags = choices_.byte();
    std::vector<test::RelationColumnText> sent;
    shifts_[table] = shift % width;
    for (std::size_t place = 0; place < width; ++place) {
      const std::size_t field = (place + shift) % width;
      sent.push_back({columns[field], types[field].oid, field < 2 || ((flags >> field) & 1U) != 0});
    }
    if (oddity == 1) sent.pop_back();
    if (oddity == 2) sent.front().type_oid = 16;
    if (oddity == 3) sent.back().typmod = 4;
    if (oddity == 4) sent.front().in_identity = false;
    if (oddity == 5) sent.push_back({"more", 25});
    const std::string name = oddity == 6 ? "b" : oddity == 7 ? "elsewhere" : table == 0 ? "a" : "b";
    return test::relation_message({"public", name}, identities[shift / 64], sent,
                                  test::only_table + static_cast<Oid>(oddity == 8 ? 2 : table));
  }

  test::Cells row(std::size_t table) {
    test::Cells cells;
    for (std::size_t place = 0; place < width; ++place)
      cells.push_back(random_cell(choices_, (place + shifts_[table]) % width));
    return cells;
  }

  Choices& choices_;
  std::size_t shifts_[2]{};
};

/// Two tables, what the library makes of a session of messages, and what the models make of it.
class Session {
 public:
  Session() { begin_session(); }

  /// A session that breaks off: what is served stays, and the next session follows all tables again.
  void begin_session() {
    copy_.reset();
    std::vector<detail::Followed> followed;
    for (std::size_t i = 0; i < 2; ++i) followed.push_back(as_followed(i));
    buffer_.begin_session(std::move(followed));
    announced_.clear();
    faults_ = 0;
    for (Model& model : models_) model.begin_session();
    begin();
    compare();
  }

  /// A transaction that does not end before the next one begins. What it says would be written down.
  void forget() {
    if (!copy_) begin();
  }

  /// False if the protocol does not allow the message: then the session is at its end.
  bool take(const test::MessageBuilder& built) {
    const test::ExactBytes bytes(built.bytes());
    wire::Message message;
    if (wire::parse_message(bytes.view(), message) != Errc::ok || std::holds_alternative<wire::Begin>(message) ||
        std::holds_alternative<wire::Commit>(message))
      return true;
    if (const auto* const relation = std::get_if<wire::Relation>(&message)) announced_[relation->oid] = built.bytes();
    if (copy_ && concerns_copy(message)) copy_->take(message);
    bool allowed = true;
    for (Model& model : models_) allowed = model.take(message) && allowed;
    require(stage(built) == allowed, "what the protocol does not allow is refused");
    return allowed;
  }

  void commit() {
    detail::Commit commit = buffer_.finish(end_of_commit(), detail::Delta::Time::max()).value();
    std::size_t faults = 0;
    for (Model& model : models_) {
      model.commit();
      faults += model.faults();
    }
    faults_ += buffer_.take_faults().size();
    store_.publish(commit);
    compare();
    require(faults_ == faults, "a table fails once, and when it must");
    begin();
  }

  /// Takes the next step of the copy of one table: what comes of it is written down, its rows are read, the two are
  /// brought together.
  void step_of_copy(Choices& choices) {
    if (!copy_) {
      start_copy(choices.byte() % 2);
    } else {
      commit();
      if (!copy_->has_rows) read_rows(choices);
      else finish_copy();
    }
  }

 private:
  struct Copy {
    explicit Copy(std::size_t which)
        : table(which),
          log({{oid_of(which), {"public", name_of(which)}}}, 1'000'000),
          model(name_of(which), oid_of(which)) {}

    void take(const wire::Message& message) {
      if (!has_rows) {
        if (const auto* const relation = std::get_if<wire::Relation>(&message)) model.describe_before(*relation);
      } else {
        allowed = allowed && model.take(message);
      }
    }

    std::size_t table;
    detail::ChangeLog log;
    Model model;
    bool has_rows = false;
    bool allowed = true;
    Lsn begin{};
    detail::TransactionBuffer replay{};
  };

  static std::string name_of(std::size_t table) { return table == 0 ? "a" : "b"; }
  static Oid oid_of(std::size_t table) { return test::only_table + static_cast<Oid>(table); }

  static detail::TableShape shape(std::size_t table) {
    detail::TableShape out;
    out.table = {"public", name_of(table)};
    out.oid = oid_of(table);
    for (std::size_t field = 0; field < width; ++field)
      out.columns.push_back({.name = columns[field], .type = types[field], .in_identity = field < 2});
    return out;
  }

  detail::Followed as_followed(std::size_t table) {
    return {&tables_[table].table(), std::make_shared<const detail::TableShape>(shape(table))};
  }

  bool stage(const test::MessageBuilder& built) {
    const test::ExactBytes bytes(built.bytes());
    wire::Message message;
    require(wire::parse_message(bytes.view(), message) == Errc::ok, "a message that has been read is read again");
    return buffer_.stage(message, bytes.view()) == Errc::ok;
  }

  void begin() {
    for (Model& model : models_)
      if (!model.failed()) model.begin();
    stage(test::begin_message(Lsn{position_ += 16}));
  }

  wire::Commit end_of_commit() {
    wire::Commit end;
    end.commit_lsn = Lsn{position_};
    end.end_lsn = Lsn{position_ += 8};
    return end;
  }

  void compare() {
    for (std::size_t i = 0; i < 2; ++i) {
      const auto replica = tables_[i].replica();
      const std::vector<Row>& expected = models_[i].rows();
      require(replica.size() == expected.size(), "a table has as many rows as it must");
      const Row* before = nullptr;
      replica.for_each([&](const Row& row) {
        if (before != nullptr)
          require(detail::KeyLess{}(std::tie(before->amount, before->id), std::tie(row.amount, row.id)),
                  "rows are in the order of their keys");
        before = &row;
        return true;
      });
      for (const Row& row : expected) {
        const std::optional<Row> held = replica.get(row.amount, row.id);
        require(held && same_rows(*held, row), "a row is found by its key, and is what it must be");
      }
    }
  }

  // The copy of one table.

  void start_copy(std::size_t table) {
    copy_ = std::make_unique<Copy>(table);
    buffer_.detach(tables_[table].table());
    models_[table].stop();
    buffer_.write_to(&copy_->log);
    for (const auto& [oid, payload] : announced_)
      with_relation(payload, [&](const wire::Relation& relation) {
        const bool has_name = relation.schema == "public" && relation.name == name_of(table);
        if (has_name || relation.oid == oid_of(table)) copy_->take(relation);
      });
  }

  /// What the log has an eye on: the table's own relation, and those that go by its name now.
  bool concerns_copy(const wire::Message& message) {
    const auto named = [&](Oid oid) {
      bool same = oid == oid_of(copy_->table);
      if (const auto known = announced_.find(oid); known != announced_.end())
        with_relation(known->second, [&](const wire::Relation& relation) {
          same = same || (relation.schema == "public" && relation.name == name_of(copy_->table));
        });
      return same;
    };
    if (const auto* const relation = std::get_if<wire::Relation>(&message)) return named(relation->oid);
    if (const auto* const insert = std::get_if<wire::Insert>(&message)) return named(insert->relation);
    if (const auto* const update = std::get_if<wire::Update>(&message)) return named(update->relation);
    if (const auto* const erased = std::get_if<wire::Delete>(&message)) return named(erased->relation);
    if (const auto* const truncate = std::get_if<wire::Truncate>(&message))
      for (const Oid oid : truncate->relations)
        if (named(oid)) return true;
    return false;
  }

  template <class Use>
  static void with_relation(const std::string& payload, const Use& use) {
    wire::Message message;
    require(wire::parse_message(payload, message) == Errc::ok, "a relation that has been read is read again");
    use(std::get<wire::Relation>(message));
  }

  void end_copy() {
    buffer_.write_to(nullptr);
    copy_.reset();
  }

  /// Between two transactions. No two rows have one key.
  void read_rows(Choices& choices) {
    auto& table = tables_[copy_->table].table();
    copy_->begin = Lsn{position_};
    copy_->has_rows = true;
    const auto comparison = table.make_comparison(detail::map_copied_columns(table.needs(), shape(copy_->table)));
    std::vector<Row> rows;
    for (std::size_t left = choices.byte() % 6; left > 0; --left) {
      test::Cells texts;
      for (std::size_t field = 0; field < width; ++field) texts.push_back(random_cell(choices, field));
      std::vector<Cell> cells;
      for (const test::CellText& text : texts) cells.push_back({text.kind, text.text});
      Row row{};
      const bool decodes = every_field(row, [&](std::size_t field, auto& value) {
        return detail::decode_field(cells[field], types[field], value) == Errc::ok;
      });
      if (decodes && std::any_of(rows.begin(), rows.end(), [&](const Row& other) { return equal_keys(other, row); }))
        continue;
      require(!comparison->add(cells) == decodes, "a copy takes in what can be a row");
      if (!decodes) return end_copy();
      rows.push_back(std::move(row));
    }
    std::unique_ptr<detail::Delta> delta;
    comparison->arrange();
    require(!comparison->finish(delta, [] {}), "a copy without two rows of one key is one");
    copy_->replay.begin_session({as_followed(copy_->table)});
    copy_->replay.resume(table, std::move(delta));
    copy_->model.load(std::move(rows), models_[copy_->table]);
  }

  /// Between two transactions.
  void finish_copy() {
    bool allowed = true;
    for (; allowed && !copy_->log.empty(); copy_->log.pop())
      allowed = copy_->replay.replay(copy_->log.front(), copy_->begin) == Errc::ok;
    require(allowed == copy_->allowed, "what the protocol does not allow is refused in the replay, too");
    if (!allowed) return end_copy();
    detail::Commit commit = copy_->replay.finish(end_of_commit(), detail::Delta::Time::max()).value();
    copy_->model.commit();
    require(copy_->replay.take_faults().size() == copy_->model.faults(), "a copy fails when it must");
    if (copy_->model.failed()) return end_copy();
    detail::Table& table = tables_[copy_->table].table();
    commit.detached.clear();
    commit.rejoined.push_back(&table);
    store_.publish(commit);
    buffer_.attach(as_followed(copy_->table));
    Model& model = models_[copy_->table];
    model.rejoin(copy_->model);
    if (const auto known = announced_.find(model.oid()); known != announced_.end())
      with_relation(known->second, [&](const wire::Relation& relation) { model.describe_before(relation); });
    end_copy();
    compare();
    begin();
  }

  test::MemoryStore store_{};
  test::MemoryTable<Row, 2> tables_[2]{store_.add_with<Row, 2>({}, "a"), store_.add_with<Row, 2>({}, "b")};
  Model models_[2]{{"a", oid_of(0)}, {"b", oid_of(1)}};
  std::map<Oid, std::string> announced_{};  // the newest relation of each
  std::unique_ptr<Copy> copy_{};
  detail::TransactionBuffer buffer_{};  // may write to the copy's log
  std::uint64_t position_ = 0x10'0000;
  std::size_t faults_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(std::string_view(reinterpret_cast<const char*>(data), size));
  Source source(choices);
  Session session;
  while (choices.any()) {
    const std::size_t choice = choices.byte();
    if (choice < 0x18) session.commit();
    else if (choice < 0x28) session.step_of_copy(choices);
    else if (choice == 0x28) session.forget();
    else if (choice == 0xFF || !session.take(source.message())) session.begin_session();
  }
  session.commit();
  return 0;
}
