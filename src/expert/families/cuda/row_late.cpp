// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_late.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cuda/vector_loads.h"
#include "expert/emit_util.h"
#include "expert/families/cuda/row_stay.h"

namespace kernelwright::expert::cuda {

namespace {

constexpr int64_t kPartThatWaits = 4;  // one in so many vectors of a row

}  // namespace

std::vector<size_t> late_results(const OpContext& context, const RowLayout& layout,
                                 const Passes& plan) {
  std::vector<int64_t> extents = plan.group.outer;
  extents.insert(extents.end(), plan.group.row.begin(), plan.group.row.end());
  std::vector<size_t> found;
  for (size_t j = 0; j < plan.group.members.size(); ++j) {
    const auto& member = plan.group.members[j];
    if (plan.pass[j] + 1 != plan.count || member.per_row) continue;
    if (member.nest.output < 0 || !is_output(context, member.nest.output)) continue;
    if (layout.vector == 1 ||
        !runs_along(member.nest.store, extents, static_cast<int>(extents.size()) - 1, layout.vector,
                    context.type(member.nest.output).dtype))
      return {};
    found.push_back(j);
  }
  return found;
}

void place_late(const OpContext& context, const Passes& plan, RowLayout& layout) {
  int64_t words = 0;  // of a vector
  for (size_t j : late_results(context, layout, plan)) {
    const graph::DType dtype = context.type(plan.group.members[j].nest.output).dtype;
    words += ceil_div(layout.vector * static_cast<int64_t>(graph::dtype_bytes(dtype)), 4);
  }
  if (words == 0) return;
  const int64_t room = registers_to_stay(context, layout, plan) -
                       layout.stay_registers * stay_words(context, layout, plan);
  layout.late = std::clamp<int64_t>(room / words, 0, layout.steps / kPartThatWaits);
}

Part late_part(const RowLayout& layout) {
  Part part;
  part.count = part.unroll = layout.late;
  part.late = true;
  return part;
}

std::vector<Part> cut_late(const std::vector<Part>& parts, const RowLayout& layout) {
  std::vector<Part> cut;
  for (const Part& part : parts) {
    const int64_t before = std::clamp<int64_t>(layout.late - part.first, 0, part.count);
    for (const auto& [begin, count] :
         {std::pair{part.first, before}, std::pair{part.first + before, part.count - before}}) {
      if (count == 0) continue;
      Part piece = part;
      piece.first = begin;
      piece.count = count;
      piece.late = begin < layout.late;
      piece.unroll = std::min(count, part.unroll);
      while (piece.straight() && piece.count % piece.unroll != 0) --piece.unroll;
      cut.push_back(piece);
    }
  }
  return cut;
}

std::string late_place(size_t member) {
  return fmt::format("late{}[k + u]", member);
}

std::string declare_late(const OpContext& context, const RowLayout& layout, const Passes& plan,
                         const std::string& type) {
  std::string text = fmt::format("  {} left = -1;\n", type);
  for (size_t j : late_results(context, layout, plan)) {
    const graph::DType dtype = context.type(plan.group.members[j].nest.output).dtype;
    text += fmt::format("  kw_vec<{}, {}> late{}[{}];\n", code::c_type(dtype), layout.vector, j,
                        layout.late);
  }
  return text;
}

}  // namespace kernelwright::expert::cuda
