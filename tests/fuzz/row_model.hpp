#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
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
#include <btreemapped/detail/wire/message.hpp>
#include <btreemapped/error.hpp>

// What must become of a table, found out in the plainest way: a list of rows.
namespace fuzz {

using namespace btreemapped;
namespace wire = btreemapped::detail::wire;
using wire::Cell;

/// Keys that are equal and spelled otherwise, and values of several kinds.
struct Row {
  Numeric amount;
  std::int32_t id;
  std::optional<std::string> text;
  std::string name;
  std::optional<double> ratio;
};

inline constexpr std::size_t width = 5;
inline constexpr Oid text_oid = 25;
inline const SqlType types[width] = {
    {.oid = detail::numeric_oid, .base = detail::numeric_oid},
    {.oid = detail::int4_oid, .base = detail::int4_oid},
    {.oid = text_oid, .base = text_oid},
    {.oid = text_oid, .base = text_oid},
    {.oid = detail::float8_oid, .base = detail::float8_oid},
};
inline const char* const columns[width] = {"amount", "id", "text", "name", "ratio"};

inline bool equal_keys(const Row& a, const Row& b) {
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

inline bool same_rows(const Row& a, const Row& b) {
  return detail::same_value(a.amount, b.amount) && a.id == b.id && a.text == b.text && a.name == b.name &&
         detail::same_value(a.ratio, b.ratio);
}

/// What a table must hold, found out in the plainest way.
class Model {
 public:
  Model(std::string name, Oid oid) : name_(std::move(name)), oid_(oid) {}

  [[nodiscard]] Oid oid() const noexcept { return oid_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// How often a change could not be taken in.
  [[nodiscard]] std::size_t faults() const noexcept { return faults_; }
  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return committed_; }

  void begin_session() {
    failed_ = false;
    faults_ = 0;
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
      bool unique = true;
      for (std::size_t i = 0; i < now_.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) unique = unique && !equal_keys(now_[i].row, now_[j].row);
      judge(unique);
    }
    if (!failed_) {
      committed_.clear();
      for (Held& held : now_) committed_.push_back(std::move(held.row));
    }
    begin();
  }

  /// Follows no more, for no fault of the messages.
  void stop() noexcept { failed_ = true; }

  /// A relation that came before the copy, which may describe what follows.
  void describe_before(const wire::Relation& relation) {
    if (relation.oid == oid_) described_ = fits(relation);
  }

  /// The rows of a copy, in place of those that `served` holds.
  void load(std::vector<Row> rows, const Model& served) {
    now_.clear();
    for (Row& row : rows) {
      const bool is_served = std::any_of(served.committed_.begin(), served.committed_.end(), [&](const Row& held) {
        return equal_keys(held, row) && same_rows(held, row);
      });
      now_.push_back({std::move(row), is_served});
    }
  }

  /// What a copy has become is what the table holds.
  void rejoin(const Model& copy) {
    committed_ = copy.committed_;
    failed_ = false;
    described_ = false;
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
    if (!ok && !std::exchange(failed_, true)) ++faults_;
    return true;
  }

  void describe(const wire::Relation& relation) {
    if (relation.oid == oid_) {
      const bool good = fits(relation);
      described_ = described_ || good;
      judge(good);
    } else {
      judge(relation.schema != "public" || relation.name != name_);
    }
  }

  bool fits(const wire::Relation& relation) {
    const bool ours = relation.schema == "public" && relation.name == name_;
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
    return fits && std::count(found, found + width, true) == width && in_identity_[0] && in_identity_[1];
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
        if ((*sent)[field].kind == Cell::Kind::unchanged && (*old)[field].kind == Cell::Kind::text)
          (*sent)[field] = (*old)[field];
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
  std::size_t faults_ = 0;
  bool described_ = false;
  std::size_t width_ = 0;
  std::size_t positions_[width]{};
  bool in_identity_[width]{};
  std::vector<Row> committed_{};
  std::vector<Held> now_{};
};

}  // namespace fuzz
