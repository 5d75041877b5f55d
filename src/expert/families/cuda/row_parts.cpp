// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

namespace {

std::string row_number(const rewrite::RowGroup& group, const std::string& type) {
  const int outer = static_cast<int>(group.outer.size());
  std::string flat = "0";
  for (int a = 0; a < outer; ++a)
    flat = a == 0 ? "i0"
                  : fmt::format("({}) * {} + i{}", flat, group.outer[static_cast<size_t>(a)], a);
  return fmt::format("  const {} row = {};\n", type, flat);
}

}  // namespace

std::string row_place(const rewrite::RowGroup& group, bool columns, int64_t threads, int64_t across,
                      const std::string& type, bool& guarded) {
  const int outer = static_cast<int>(group.outer.size());
  std::string text;
  const int64_t rows = group.rows();
  if (columns) {
    const int64_t extent = group.outer.back();
    text += fmt::format(
        "  const int lane = (int)threadIdx.x / {0}, column = "
        "(int)threadIdx.x % {0};\n"
        "  {1} i{2} = ({1})blockIdx.x % {3} * {0} + column;\n",
        across, type, outer - 1, ceil_div(extent, across));
    guarded = extent % across != 0;
    if (guarded)
      text += fmt::format("  const bool live = i{0} < {1};\n  if (!live) i{0} = {2};\n", outer - 1,
                          extent, extent - 1);
    text += decode_axes(fmt::format("(({})blockIdx.x / {})", type, ceil_div(extent, across)),
                        group.outer, 0, outer - 1, 2, "i", type);
    text += row_number(group, type);
  } else {
    text += fmt::format(
        "  const int lane = (int)threadIdx.x % {0};\n  {1} "
        "row = ({1})blockIdx.x * {2} + "
        "(int)threadIdx.x / {0};\n",
        threads, type, across);
    guarded = rows % across != 0;
    if (guarded)
      text +=
          fmt::format("  const bool live = row < {};\n  if (!live) row = {};\n", rows, rows - 1);
    text += decode_axes("row", group.outer, 0, outer, 2, "i", type);
  }
  return text + "  (void)lane; (void)row;\n";
}

std::vector<Part> row_parts(const RowLayout& layout, int pass, bool common) {
  const int64_t staying = layout.stay_registers + layout.stay_shared;
  std::set<int64_t> cuts = {0, layout.registers, layout.steps};
  if (common) cuts.insert({layout.stay_registers, staying});
  std::vector<Part> found;
  for (auto at = cuts.begin(); std::next(at) != cuts.end(); ++at) {
    const int64_t end = *std::next(at);
    Part part;
    part.first = *at;
    part.count = end - *at;
    part.registers = end <= layout.registers;
    if (common && end <= staying)
      part.stays = end <= layout.stay_registers ? Stays::kRegisters : Stays::kShared;
    part.unroll = std::min(part.count, RowLayout::kUnroll);
    if (part.straight()) {
      // All loads of a row come first.
      if (!layout.shared() || pass == 0) part.unroll = part.count;
      while (part.count % part.unroll != 0) --part.unroll;
    }
    found.push_back(part);
  }
  return found;
}

std::string loop_over(const Part& part, int indent) {
  if (part.unroll >= part.count)
    return fmt::format("{}{{ const int k = {};\n", pad(indent), part.first);
  return fmt::format("{}{}for (int k = {}; k < {}; k += {}) {{\n",
                     part.straight() ? "#pragma unroll\n" : "", pad(indent), part.first,
                     part.first + part.count, part.unroll);
}

std::string vector_loop(const rewrite::RowGroup& group, const RowLayout& layout, const Part& part,
                        const std::string& type, const std::string& inside) {
  const int outer = static_cast<int>(group.outer.size());
  std::vector<int64_t> vectors = group.row;
  vectors.back() /= layout.vector;
  const int64_t count = graph::element_count(vectors), per_slice = layout.slice / layout.vector;
  std::string text = fmt::format(
      "#pragma unroll\n      for (int u = 0; u < {}; ++u) {{\n"
      "        const {} s = (k + u) * {} + lane, v = {}s; (void)s;\n",
      part.unroll, type, layout.threads, layout.slices > 1 ? "slice + " : "");
  std::vector<std::string> guards;
  const int64_t turns = ceil_div(part.count, part.unroll) * part.unroll;
  if (turns != part.count && part.first + part.count < layout.steps)
    guards.push_back(fmt::format("k + u < {}", part.first + part.count));
  if ((part.first + turns) * layout.threads > per_slice)
    guards.push_back(fmt::format("s < {}", per_slice));
  if (layout.slices > 1 && layout.slices * per_slice != count)
    guards.push_back(fmt::format("v < {}", count));
  text += guards.empty() ? "        {\n"
                         : fmt::format("        if ({}) {{\n", fmt::join(guards, " && "));
  std::string rest = "v";
  for (size_t j = vectors.size(); j-- > 0;) {
    const int axis = outer + static_cast<int>(j);
    const std::string index = j == 0 ? rest : fmt::format("({}) % {}", rest, vectors[j]);
    if (j + 1 == vectors.size())
      text += fmt::format("          const {0} b = ({1}) * {2}; (void)b;\n", type, index,
                          layout.vector);
    else
      text += fmt::format("          const {0} i{1} = {2}; (void)i{1};\n", type, axis, index);
    rest = fmt::format("({}) / {}", rest, vectors[j]);
  }
  return text + inside + "        }\n      }\n";
}

}  // namespace kernelwright::expert::cuda
