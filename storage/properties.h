#pragma once

#include <string>
#include <vector>

#include "storage/conditions.h"
#include "storage/selection.h"

// The properties by which phones are selected: the tables that have them, their conditions, and how indexes find their
// phones. A phone is n in conditions.

namespace capf::storage {

using Selection = const PhoneSelection&;
using Texts = std::vector<std::string>;

/// A table of which a phone has at most one row, which triggers keep.
struct Table {
  const char* row;  ///< its name in conditions
  const char* name;
  const char* id;       ///< the phone's
  const char* only;     ///< which of its rows are one of a phone
  const char* columns;  ///< that conditions read
  bool named;           ///< has the phone's name, by which its indexes are sorted
  bool (*asked)(const PhoneSelection&);
};

extern const Table kPhones;
/// A phone has several tags, so that conditions look for one; a page may walk along it.
extern const Table kTags;

enum class Look {
  kEach,   ///< up by the phone's id: LIMIT keeps the planner from reading whole tables for a page
  kWhole,  ///< at whole tables, which the planner may hash: a count reads them anyway
};

/// The rows of a table that meet the condition.
std::string rows_of(const Table& table, const std::string& condition);
/// The tables that the selection asks beside `first`, for a phone n.
std::string others(Selection selection, Look look, const Table* first);
/// FROM, where `phones` selects the phones as rows of `table`.
std::string from(const std::string& phones, const Table& table, Selection selection, Look look);
/// The table that a count reads: one with names that the selection asks anyway, else a narrow one.
const Table& counted_table(Selection selection);

std::string limit(int phones);
/// The limit of one query for a rare property. Others may have added phones since it was found rare: there is room for
/// as many again.
std::string limit_of(int few);

/// Queries in the order of another index than that of names, for a property that few phones have.
struct Rare {
  Texts queries;
  int few = kFewPhones;
};

/// A property of phones: whether a selection gives it, its condition, and how an index finds the phones.
struct Property {
  bool (*given)(Selection);
  void (*add)(Conditions&, Selection, Look);
  const Table* table = nullptr;  ///< that the indexes are of; else none finds them
  /// Conditions, for each of which an index has the rows in the order of names.
  Texts (*walks)(Conditions&, Selection) = nullptr;
  /// The queries of a property that few phones have; none where walks are as good.
  Rare (*rare)(Conditions&, Selection) = nullptr;
};

void add_conditions(Conditions& where, Selection selection, Look look);

using Properties = std::vector<const Property*>;
/// The properties of the selection that an index finds.
Properties found_of(Selection selection);

}  // namespace capf::storage
