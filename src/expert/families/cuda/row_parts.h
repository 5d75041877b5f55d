// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/families/cuda/row_emitter.h"

namespace kernelwright::expert::cuda {

// Where a vector lies that is the same for all rows.
enum class Stays : uint8_t { kNowhere, kRegisters, kShared };

// Vectors first .. first + count of a thread, `unroll` of them at a time.
struct Part {
  int64_t first = 0, count = 1, unroll = 1;
  bool registers = false;  // what is held of them lies in registers
  Stays stays = Stays::kNowhere;
  bool late = false;  // results wait in registers (row_late.h)

  // Register numbers must be known, so the loop is straight code.
  bool straight() const { return registers || late || stays == Stays::kRegisters; }
};

// Which row a thread works on (`lane` of `threads`), and, where `guarded` becomes true, whether it
// may store there (`live`). Threads beyond the last row redo that one, so that all take part in
// barriers and exchanges.
std::string row_place(const rewrite::RowGroup& group, bool columns, int64_t threads, int64_t across,
                      const std::string& type, bool& guarded);

// The vectors of a thread, cut where what holds them changes; `common`: whether the pass reads what
// stays on the chip for all rows.
std::vector<Part> row_parts(const RowLayout& layout, int pass, bool common);

// The loop over a part whose body vector_loop() makes; the caller closes it.
std::string loop_over(const Part& part, int indent);
// A loop over the vectors k .. k + unroll of a thread; inside, `v` numbers the vector within the
// row, the row axes are known and `b` is the first of its neighbours along the innermost.
std::string vector_loop(const rewrite::RowGroup& group, const RowLayout& layout, const Part& part,
                        const std::string& type, const std::string& inside);

}  // namespace kernelwright::expert::cuda
