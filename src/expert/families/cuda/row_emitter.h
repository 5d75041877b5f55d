// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/dialects/spelling.h"
#include "expert/families/row_plan.h"

namespace kernelwright::expert::cuda {

// Where the threads of a row kernel stand: numbers that follow from an op and a schedule.
struct RowLayout {
  // Vectors under way where a loop is not straight code.
  static constexpr int64_t kUnroll = 4;

  bool columns = false;  // threads along the innermost outer axis, `threads` of them per column
  int64_t threads = 32;  // per row
  int64_t across = 1;    // rows (or columns) of a block
  int64_t vector = 1, hold = 0, slices = 1;
  int64_t cluster = 1;    // more: the slices of a row are the blocks of a cluster, `slices` of them
  int64_t slice = 1;      // points of a row per slice, a multiple of `vector`
  int64_t group = 0;      // more: so many blocks of a cooperative launch share a row
  int64_t groups = 1;     // and so many groups take rows in turn
  int64_t resident = 1;   // blocks that a multiprocessor holds for sure
  int64_t steps = 1;      // vectors of a thread
  int64_t registers = 0;  // of which so many are held in registers, the others in shared memory
  int64_t unroll = 1;     // vectors that are loaded before the first is used
  // Of what is the same for all rows (row_stay.h), the first vectors stay in registers, the next in
  // shared memory, for all rows of a group.
  int64_t stay_registers = 0, stay_shared = 0;
  bool once = false;  // one exchange for a mean and the squares around it (row_exchange.h)
  // A block copies its part of the next row to shared memory as this one leaves its place.
  bool ahead = false;
  int64_t late = 0;  // vectors whose results are stored while the next row's totals travel

  bool shared() const { return cluster > 1 || group > 0; }

  // Whether all threads have as many vectors, so that no access needs a guard.
  bool even(int64_t row_length) const { return steps * threads * vector * slices == row_length; }
  int block() const { return static_cast<int>(threads * across); }
};

// What a group computes in, and the bytes of a value that is held in it.
code::Real computing_real(const OpContext& context, const rewrite::RowGroup& group);
int64_t held_bytes(const rewrite::RowGroup::Member& member, code::Real real);

RowLayout row_layout(const OpContext& context, const Schedule& schedule);
Keep keep_of(const RowLayout& layout);
// Per member of a plan the place that holds it, -1 for those that are not kept. Members that are
// never needed at the same time have one place (softmax's elements and their exponentials).
std::vector<int> held_places(const Passes& plan, code::Real real);
// The first member of each place.
std::vector<size_t> first_of_places(const Passes& plan, code::Real real);
// Bytes of shared memory that hold one member of one row in a block, and all of them.
int64_t held_room(const rewrite::RowGroup::Member& member, const RowLayout& layout,
                  code::Real real);
int64_t held_shared_bytes(const OpContext& context, const RowLayout& layout, const Passes& plan);
// Elements of a row that a thread holds in registers, in units of 32 bits.
int64_t held_registers(const OpContext& context, const RowLayout& layout, const Passes& plan);

void emit_rows(const OpContext& context, const RowLayout& layout, ProgramBuilder& builder);

}  // namespace kernelwright::expert::cuda
