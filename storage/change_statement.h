#pragma once

#include "storage/change_rows.h"
#include "storage/session.h"

namespace capf::storage {

/// A statement that compares what changes rest on, and writes the rows of these tables.
struct ChangeStatement {
  ChangeTables tables;  ///< its parameters
  Statement statement;
};

/// The least one for rows of these tables. Each part of a statement costs its start also where it has no row, so the
/// common rounds have statements of their own; they are few, because a connection keeps the plan of each.
const ChangeStatement& change_statement(const ChangeTables& filled);

}  // namespace capf::storage
