// Any sequence of messages that parse, as changes to two tables. A plain list of rows beside each says what must come
// of it: the same rows, or a table that stops and keeps those of the last commit.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <btreemapped/codec.hpp>
#include <btreemapped/codec/numeric.hpp>
#include <btreemapped/codec/scalar.hpp>
#include <btreemapped/codec/text.hpp>
#include <btreemapped/detail/codec/builtin_oid.hpp>
#include <btreemapped/detail/key_less.hpp>
#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/transaction.hpp>
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>
#include <btreemapped/lsn.hpp>

#include "fuzz/require.hpp"
#include "support/bytes.hpp"
#include "support/memory_table.hpp"
#include "support/messages.hpp"

namespace {

using namespace btreemapped;
namespace wire = btreemapped::detail::wire;
using fuzz::require;
using wire::Cell;

/// Keys that are equal and spelled otherwise, and values of several kinds.
struct Row {
  Numeric amount;
  std::int32_t id;
  std::optional<std::string> text;
  std::string name;
  std::optional<double> ratio;
};

constexpr std::size_t width = 5;
constexpr Oid text_oid = 25;
const SqlType types[width] = {
    {.oid = detail::numeric_oid, .base = detail::numeric_oid},
    {.oid = detail::int4_oid, .base = detail::int4_oid},
    {.oid = text_oid, .base = text_oid},
    {.oid = text_oid, .base = text_oid},
    {.oid = detail::float8_oid, .base = detail::float8_oid},
};
const char* const columns[width] = {"amount", "id", "text", "name", "ratio"};

bool equal_keys(const Row& a, const Row& b) {
  const auto less = [](const Row& x, const Row& y) {
    return detail::KeyLess{}(std::tie(x.amount, x.id), std::tie(y.amount, y.id));
  };
  return !less(a, b) && !less(b, a);
}

/// Calls for each field with its number, until one says false.
template <class Each>
bool every_field(Row& row, const Each& each) {
  return each(0, row.amount) && each(1, row.id) && each(2, row.text) && each(3, row.name) && each(4, row.ratio);
}

bool same_rows(const Row& a, const Row& b) {
  return detail::same_value(a.amount, b.amount) && a.id == b.id && a.text == b.text && a.name == b.name &&
         detail::same_value(a.ratio, b.ratio);
}

/// What a table must hold, found out in the plainest way.
class Model {
 public:
  Model(std::string name, Oid oid) : name_(std::move(name)), oid_(oid) {}

  [[nodiscard]] Oid oid() const noexcept { return oid_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return committed_; }

  void begin_session() {
    failed_ = false;
    described_ = false;
    begin();
  }

  void begin() {
    now_.clear();
    for (const Row& row : committed_) now_.push_back({row, true});
  }

  /// The end of a transaction.
  void commit() {
    if (!failed_) {
      for (std::size_t i = 0; i < now_.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
          if (equal_keys(now_[i].row, now_[j].row)) failed_ = true;
    }
    if (!failed_) {
      committed_.clear();
      for (Held& held : now_) committed_.push_back(std::move(held.row));
    }
    begin();
  }

  /// False if the protocol does not allow the message.
  bool take(const wire::Message& message) {
    if (failed_) return true;
    if (const auto* const relation = std::get_if<wire::Relation>(&message)) describe(*relation);
    if (const auto* const insert = std::get_if<wire::Insert>(&message); insert != nullptr && insert->relation == oid_)
      return described_ && judge(add(insert->row));
    if (const auto* const update = std::get_if<wire::Update>(&message); update != nullptr && update->relation == oid_)
      return described_ && judge(change(*update));
    if (const auto* const erased = std::get_if<wire::Delete>(&message); erased != nullptr && erased->relation == oid_)
      return described_ && judge(erase(erased->old_row));
    if (const auto* const truncate = std::get_if<wire::Truncate>(&message)) {
      for (const Oid oid : truncate->relations) {
        if (oid != oid_) continue;
        if (!described_) return false;
        now_.clear();
      }
    }
    return true;
  }

 private:
  struct Held {
    Row row;
    bool served = false;  // as it was when the transaction began
  };
  using Cells = std::vector<Cell>;

  bool judge(bool ok) {
    failed_ = failed_ || !ok;
    return true;
  }

  void describe(const wire::Relation& relation) {
    const bool ours = relation.schema == "public" && relation.name == name_;
    if (relation.oid != oid_) {
      failed_ = failed_ || ours;
      return;
    }
    bool found[width]{};
    bool fits = ours;
    std::size_t position = 0;
    for (const wire::RelationColumn& column : relation.columns) {
      for (std::size_t field = 0; field < width; ++field) {
        if (column.name != columns[field]) continue;
        fits = fits && column.type_oid == types[field].oid && column.typmod == -1;
        found[field] = true;
        positions_[field] = position;
        in_identity_[field] = column.in_identity || relation.replica_identity == 'f';
      }
      ++position;
    }
    width_ = position;
    fits = fits && std::count(found, found + width, true) == width && in_identity_[0] && in_identity_[1];
    described_ = described_ || fits;
    failed_ = failed_ || !fits;
  }

  [[nodiscard]] std::optional<Cells> cells(const wire::Tuple& tuple) const {
    if (tuple.size() != width_) return std::nullopt;
    const Cells sent(tuple.begin(), tuple.end());
    Cells out;
    for (const std::size_t position : positions_) out.push_back(sent[position]);
    return out;
  }

  static bool decode(const Cells& cells, Row& row, const Row* before) {
    return every_field(row, [&](std::size_t field, auto& value) {
      if (before != nullptr && cells[field].kind == Cell::Kind::unchanged) {
        Row copy = *before;
        every_field(copy, [&](std::size_t other, auto& held) {
          if constexpr (std::is_same_v<decltype(held), decltype(value)>)
            if (other == field) value = held;
          return true;
        });
        return true;
      }
      return detail::decode_field(cells[field], types[field], value) == Errc::ok;
    });
  }

  bool add(const wire::Tuple& tuple) {
    const auto sent = cells(tuple);
    Row row{};
    if (!sent || !decode(*sent, row, nullptr)) return false;
    now_.push_back({std::move(row)});
    return true;
  }

  /// The place of the row that an image tells.
  [[nodiscard]] std::optional<std::size_t> find(const Cells& image) const {
    Row wanted{};
    for (const std::size_t field : {std::size_t{0}, std::size_t{1}})
      if (image[field].kind != Cell::Kind::text) return std::nullopt;
    if (detail::decode_field(image[0], types[0], wanted.amount) != Errc::ok ||
        detail::decode_field(image[1], types[1], wanted.id) != Errc::ok)
      return std::nullopt;
    std::vector<std::size_t> places;
    for (const bool served : {false, true})  // those of the transaction first
      for (std::size_t place = 0; place < now_.size(); ++place)
        if (now_[place].served == served && equal_keys(now_[place].row, wanted)) places.push_back(place);
    if (places.empty()) return std::nullopt;
    if (places.size() == 1) return places.front();
    const bool decoded = every_field(wanted, [&](std::size_t field, auto& value) {
      return !in_identity_[field] || detail::decode_field(image[field], types[field], value) == Errc::ok;
    });
    if (!decoded) return std::nullopt;
    for (const std::size_t place : places) {
      const Row& row = now_[place].row;
      if ((!in_identity_[0] || detail::same_value(row.amount, wanted.amount)) &&
          (!in_identity_[1] || row.id == wanted.id) && (!in_identity_[2] || row.text == wanted.text) &&
          (!in_identity_[3] || row.name == wanted.name) &&
          (!in_identity_[4] || detail::same_value(row.ratio, wanted.ratio)))
        return place;
    }
    return std::nullopt;
  }

  bool change(const wire::Update& update) {
    auto sent = cells(update.row);
    if (!sent) return false;
    std::optional<Cells> old = *sent;
    if (update.old_kind != wire::OldKind::none) old = cells(update.old_row);
    const auto place = old ? find(*old) : std::nullopt;
    if (!place) return false;
    if (update.old_kind == wire::OldKind::full)
      for (std::size_t field = 0; field < width; ++field)
        if ((*sent)[field].kind == Cell::Kind::unchanged) (*sent)[field] = (*old)[field];
    Row row{};
    if (!decode(*sent, row, &now_[*place].row)) return false;
    now_.erase(now_.begin() + static_cast<std::ptrdiff_t>(*place));
    now_.push_back({std::move(row)});
    return true;
  }

  bool erase(const wire::Tuple& tuple) {
    const auto old = cells(tuple);
    const auto place = old ? find(*old) : std::nullopt;
    if (!place) return false;
    now_.erase(now_.begin() + static_cast<std::ptrdiff_t>(*place));
    return true;
  }

  std::string name_;
  Oid oid_;
  bool failed_ = false;
  bool described_ = false;
  std::size_t width_ = 0;
  std::size_t positions_[width]{};
  bool in_identity_[width]{};
  std::vector<Row> committed_{};
  std::vector<Held> now_{};
};

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
  if (choice >= 0xF0) return test::null;
  if (choice >= 0xE0) return test::unchanged;
  if (choice >= 0xD0) return std::string(choices.bytes(choice & 0xFU));
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
      case 0: return test::begin_message(Lsn{position_ += 16});
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
  std::uint64_t position_ = 0x1000;
};

/// Two tables, what the library makes of a session of messages, and what the models make of it.
class Session {
 public:
  Session() { begin(); }

  void begin() {
    std::vector<detail::Followed> followed;
    for (std::size_t i = 0; i < 2; ++i)
      followed.push_back({&tables_[i].table(), std::make_shared<const detail::TableShape>(shape(i))});
    buffer_.begin_session(std::move(followed));
    for (Model& model : models_) model.begin_session();
  }

  /// False if the protocol does not allow the message: then the session is at its end.
  bool take(const test::MessageBuilder& built) {
    const test::ExactBytes bytes(built.bytes());
    wire::Message message;
    if (wire::parse_message(bytes.view(), message) != Errc::ok) return true;
    if (const auto* const end = std::get_if<wire::Commit>(&message)) {
      commit(*end);
      return true;
    }
    if (std::holds_alternative<wire::Begin>(message))
      for (Model& model : models_)
        if (!model.failed()) model.begin();
    bool allowed = true;
    for (Model& model : models_) allowed = model.take(message) && allowed;
    require((buffer_.stage(message, bytes.view()) == Errc::ok) == allowed,
            "what the protocol does not allow is refused");
    return allowed;
  }

  void commit(const wire::Commit& end) {
    detail::Commit commit = buffer_.finish(end);
    commit.commit_lsn = Lsn{position_ += 8};
    commit.end_lsn = Lsn{position_ += 8};
    std::size_t failures = 0;
    for (Model& model : models_) {
      model.commit();
      failures += model.failed() ? 1U : 0U;
    }
    faults_ += buffer_.take_faults().size();
    store_.publish(commit);
    compare();
    require(faults_ == failures, "a table fails once, and when it must");
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

  /// A session that breaks off: what is served stays, and the next session follows all tables again.
  void begin_again() {
    static_cast<void>(buffer_.take_faults());
    faults_ = 0;
    begin();
    compare();
  }

 private:
  static detail::TableShape shape(std::size_t table) {
    detail::TableShape out;
    out.table = {"public", table == 0 ? "a" : "b"};
    out.oid = test::only_table + static_cast<Oid>(table);
    for (std::size_t field = 0; field < width; ++field)
      out.columns.push_back({.name = columns[field], .type = types[field], .in_identity = field < 2});
    return out;
  }

  test::MemoryStore store_{};
  test::MemoryTable<Row, 2> tables_[2]{store_.add_with<Row, 2>({}, "a"), store_.add_with<Row, 2>({}, "b")};
  Model models_[2]{{"a", test::only_table}, {"b", test::only_table + 1}};
  detail::TransactionBuffer buffer_{};
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
    if (choice < 0x10) session.commit({});
    else if (choice == 0xFF || !session.take(source.message())) session.begin_again();
  }
  session.commit({});
  return 0;
}
