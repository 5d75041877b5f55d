// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/families/cuda/row_parts.h"

namespace kernelwright::expert {
class KernelArguments;
}

namespace kernelwright::expert::cuda {

// Loads along the row whose elements are the same for all rows (weights, biases), as vectors. A
// block that takes rows in turn works on the same part of each, so it can load its part once.
std::vector<graph::Expr> common_loads(const OpContext& context, const Passes& plan, int64_t vector);

// Shared memory and registers (of 32 bits) that one vector of each of them takes in a block and in
// a thread.
int64_t stay_bytes(const OpContext& context, const RowLayout& layout, const Passes& plan);
int64_t stay_words(const OpContext& context, const RowLayout& layout, const Passes& plan);

// Registers of a thread that can keep something from row to row, beside the row itself.
int64_t registers_to_stay(const OpContext& context, const RowLayout& layout, const Passes& plan);

// Sets how many vectors stay: as many as find room in what a multiprocessor has beside the row that
// one block holds, in shared memory first. What finds none is loaded for every row.
void place_stays(const OpContext& context, const Passes& plan, RowLayout& layout);

// The places of vectors that stay: c<i>[] in registers, d<i>[] in shared memory.
class StayPlaces {
 public:
  StayPlaces(const OpContext& context, const RowLayout& layout, const Passes& plan)
      : context_(context), layout_(layout), loads_(common_loads(context, plan, layout.vector)) {}

  // Declarations; `offset` is where in shared memory they begin.
  std::string declare(int64_t offset) const;
  // "c0[k + u]" or "d0[...]" for a load at vector k + u; empty where it does not stay.
  std::string place(const graph::Expr& load, const Part& part) const;
  // Whether any of these loads stays.
  bool any(const std::vector<graph::Expr>& loads) const;
  const std::vector<graph::Expr>& loads() const { return loads_; }

 private:
  const OpContext& context_;
  const RowLayout& layout_;
  std::vector<graph::Expr> loads_;
};

// Inputs of which every element belongs to one row and is loaded in one pass.
std::vector<int> read_once(const OpContext& context, const RowLayout& layout,
                           const rewrite::RowGroup& group);

// What of the next row can be on its way while this one is at work: loads of the first pass whose
// part of a row lies in one piece.
std::vector<graph::Expr> ahead_loads(const OpContext& context, const Passes& plan, int64_t vector);

// Loads of the first pass that are held in shared memory as they are, a member each: the next row's
// elements can be copied there in the background, without a register, as the last pass over this
// row has used its own. A thread copies what it reads, so nobody else need know.
struct CopiedLoad {
  size_t member = 0;
  graph::Expr load;
};
// The row that is copied next, its axes m0, m1, ..., and whether there is one (`more`).
std::string next_row(const rewrite::RowGroup& group, const std::string& row,
                     const std::string& type);
std::vector<CopiedLoad> copied_loads(const OpContext& context, const RowLayout& layout,
                                     const Passes& plan, code::Real real);
// Statements that ask for the first half of the block's part of that row to come to L2, the first
// threads sharing the work: memory reads on while the group meets. They come behind the block's
// offer, which would wait for what is asked. The whole part would push out what is in use.
std::string ask_half(const OpContext& context, const RowLayout& layout, const Passes& plan,
                     const std::vector<CopiedLoad>& copies, const code::Spelling& spelling,
                     KernelArguments& kernel);
// Copies are committed after each round of the loops over `parts`. What stands first in the loop
// over `part` of a later pass: each round waits for the vectors that it reads.
std::string wait_for_copies(const std::vector<Part>& parts, const Part& part);

}  // namespace kernelwright::expert::cuda
