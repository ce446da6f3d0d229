#pragma once

#include <cstddef>
#include <string_view>

#include <btreemapped/detail/shape.hpp>
#include <btreemapped/detail/wire/message.hpp>

#include <support/bytes.hpp>

namespace test {

namespace wire = btreemapped::detail::wire;

/// Collects whether every view that a message gives out lies in the bytes that it was read from, and whether its lists
/// have as many elements as they say.
struct Views {
  const ExactBytes& bytes;
  bool inside = true;

  void see(std::string_view view) {
    inside = inside && bytes.holds(view);
    // Reads all of it, so that a sanitizer has a say.
    std::size_t zeros = 0;
    for (const char byte : view) zeros += byte == '\0' ? 1U : 0U;
    inside = inside && zeros <= view.size();
  }
  void see_schema(std::string_view view) {
    if (view != wire::catalog_schema) see(view);  // the one view that the library puts in
  }
  void see(const wire::Tuple& row) {
    std::size_t count = 0;
    for (const wire::Cell& cell : row) {
      ++count;
      if (cell.kind == wire::Cell::Kind::text) see(cell.text);
      inside = inside && (cell.kind == wire::Cell::Kind::text || cell.text.empty());
    }
    inside = inside && count == row.size();
  }

  void operator()(const wire::Begin&) const noexcept {}
  void operator()(const wire::Commit&) const noexcept {}
  void operator()(const wire::Origin& origin) { see(origin.name); }
  void operator()(const wire::Relation& relation) {
    see_schema(relation.schema);
    see(relation.name);
    std::size_t count = 0;
    for (const wire::RelationColumn& column : relation.columns) {
      ++count;
      see(column.name);
    }
    inside = inside && count == relation.columns.size();
  }
  void operator()(const wire::Type& type) {
    see_schema(type.schema);
    see(type.name);
  }
  void operator()(const wire::Insert& insert) { see(insert.row); }
  void operator()(const wire::Update& update) {
    see(update.old_row);
    see(update.row);
  }
  void operator()(const wire::Delete& erased) { see(erased.old_row); }
  void operator()(const wire::Truncate& truncate) {
    inside = inside && truncate.relations.size() <= bytes.view().size() / 4;
    std::size_t count = 0;
    for ([[maybe_unused]] const btreemapped::Oid oid : truncate.relations) ++count;
    inside = inside && count == truncate.relations.size();
  }
  void operator()(const wire::LogicalMessage& message) {
    see(message.prefix);
    see(message.content);
  }
};

}  // namespace test
