// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_stay.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cuda/machine.h"
#include "expert/dialects/cuda/vector_loads.h"
#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

using graph::Expr;
using rewrite::RowGroup;

namespace {

constexpr int64_t kSpareRegisters = 44;  // of a thread beside what it holds and what stays
constexpr int64_t kMostStaying = 208;    // registers of a thread, the row among them
constexpr int64_t kSpareShared = 3 << 10;
constexpr int64_t kAskedAtOnce = 4096;  // bytes

std::vector<int64_t> all_extents(const RowGroup& group) {
  std::vector<int64_t> extents = group.outer;
  extents.insert(extents.end(), group.row.begin(), group.row.end());
  return extents;
}

// Vector loads of the members that go along the row, in the passes up to `last`.
std::vector<Expr> loads_of(const OpContext& context, const Passes& plan, int64_t vector, int last) {
  const std::vector<int64_t> extents = all_extents(plan.group);
  std::vector<int> own;
  for (const auto& member : plan.group.members) own.push_back(member.nest.output);
  VectorLoads loads(context, extents, static_cast<int>(extents.size()) - 1, vector, own);
  for (size_t j = 0; j < plan.group.members.size(); ++j) {
    const auto& member = plan.group.members[j];
    if (plan.pass[j] <= last && (!member.per_row || member.reduces))
      (void)loads.replace(member.nest.body);
  }
  return loads.expressions();
}

bool same_for_all_rows(const RowGroup& group, const Expr& load) {
  const size_t outer = group.outer.size(), rank = outer + group.row.size();
  const auto used = rewrite::axes_used(load, static_cast<int>(rank));
  const auto row = used.begin() + static_cast<std::ptrdiff_t>(outer);
  return std::none_of(used.begin(), row, [](bool uses) { return uses; }) &&
         std::any_of(row, used.end(), [](bool uses) { return uses; });
}

int64_t vector_bytes(const OpContext& context, const Expr& load, int64_t vector) {
  return vector * static_cast<int64_t>(graph::dtype_bytes(context.type(load->tensor).dtype));
}

}  // namespace

std::vector<Expr> common_loads(const OpContext& context, const Passes& plan, int64_t vector) {
  std::vector<Expr> found = loads_of(context, plan, vector, plan.count);
  std::erase_if(found, [&](const Expr& load) { return !same_for_all_rows(plan.group, load); });
  return found;
}

int64_t stay_bytes(const OpContext& context, const RowLayout& layout, const Passes& plan) {
  int64_t bytes = 0;
  for (const Expr& load : common_loads(context, plan, layout.vector))
    bytes += ceil_div(vector_bytes(context, load, layout.vector) * layout.block(), 16) * 16;
  return bytes;
}

int64_t stay_words(const OpContext& context, const RowLayout& layout, const Passes& plan) {
  int64_t words = 0;
  for (const Expr& load : common_loads(context, plan, layout.vector))
    words += ceil_div(vector_bytes(context, load, layout.vector), 4);
  return words;
}

int64_t registers_to_stay(const OpContext& context, const RowLayout& layout, const Passes& plan) {
  const int64_t most = std::min<int64_t>(255, 65536 / layout.block()) - kSpareRegisters;
  return std::max<int64_t>(0, std::min(kMostStaying, most) - held_registers(context, layout, plan));
}

void place_stays(const OpContext& context, const Passes& plan, RowLayout& layout) {
  const int64_t bytes = stay_bytes(context, layout, plan),
                words = stay_words(context, layout, plan);
  if (bytes == 0) return;
  const int64_t room = Machine(context.model).shared_bytes() - kSpareShared -
                       held_shared_bytes(context, layout, plan);
  layout.stay_shared = std::clamp<int64_t>(room / bytes, 0, layout.steps);
  const int64_t registers = registers_to_stay(context, layout, plan);
  layout.stay_registers =
      std::clamp<int64_t>(registers / words, 0, layout.steps - layout.stay_shared);
}

std::string StayPlaces::declare(int64_t offset) const {
  std::string text;
  for (size_t i = 0; i < loads_.size(); ++i) {
    const std::string type = fmt::format(
        "kw_vec<{}, {}>", code::c_type(context_.type(loads_[i]->tensor).dtype), layout_.vector);
    if (layout_.stay_registers > 0)
      text += fmt::format("  {} c{}[{}];\n", type, i, layout_.stay_registers);
    if (layout_.stay_shared == 0) continue;
    text += fmt::format("  {0}* d{1} = ({0}*)(kw_dynamic_shared() + {2});\n", type, i, offset);
    const int64_t each = vector_bytes(context_, loads_[i], layout_.vector) * layout_.block();
    offset += ceil_div(each, 16) * 16 * layout_.stay_shared;
  }
  return text;
}

bool StayPlaces::any(const std::vector<Expr>& loads) const {
  return std::any_of(loads.begin(), loads.end(), [&](const Expr& load) {
    return std::any_of(loads_.begin(), loads_.end(),
                       [&](const Expr& other) { return graph::same(load, other); });
  });
}

std::string StayPlaces::place(const Expr& load, const Part& part) const {
  if (part.stays == Stays::kNowhere) return "";
  const auto at = std::find_if(loads_.begin(), loads_.end(),
                               [&](const Expr& other) { return graph::same(load, other); });
  if (at == loads_.end()) return "";
  const auto number = at - loads_.begin();
  if (part.stays == Stays::kRegisters) return fmt::format("c{}[k + u]", number);
  return fmt::format("d{}[(k + u - {}) * {} + lane]", number, layout_.stay_registers,
                     layout_.threads);
}

std::vector<Expr> ahead_loads(const OpContext& context, const Passes& plan, int64_t vector) {
  const RowGroup& group = plan.group;
  const std::vector<int64_t> extents = all_extents(group);
  std::vector<Expr> found;
  for (const Expr& load : loads_of(context, plan, vector, 0)) {
    // What other rows read as well is in the cache.
    if (same_for_all_rows(group, load) ||
        context.type(load->tensor).elements() < group.rows() * group.row_length() ||
        vector_bytes(context, load, vector) % 16 != 0)
      continue;
    const int rank = static_cast<int>(extents.size());
    const auto affine = graph::as_affine(graph::simplify_index(load->operands[0], extents), rank);
    int64_t stride = 1;
    bool whole = affine.has_value();
    for (size_t a = extents.size(); whole && a-- > group.outer.size(); stride *= extents[a])
      whole = extents[a] == 1 || affine->coefficients[a] == stride;
    if (whole) found.push_back(load);
  }
  return found;
}

std::vector<int> read_once(const OpContext& context, const RowLayout& layout,
                           const RowGroup& group) {
  std::vector<int> once;
  if (layout.hold == 0) return once;
  for (int tensor : context.op.inputs) {
    if (context.type(tensor).elements() >= group.rows() * group.row_length())
      once.push_back(tensor);
  }
  return once;
}

std::string next_row(const RowGroup& group, const std::string& row, const std::string& type) {
  return fmt::format("  const bool more = {0} < {1};\n  const {2} next = more ? {0} : group;\n",
                     row, group.rows(), type) +
         decode_axes("next", group.outer, 0, static_cast<int>(group.outer.size()), 2, "m", type);
}

std::vector<CopiedLoad> copied_loads(const OpContext& context, const RowLayout& layout,
                                     const Passes& plan, code::Real real) {
  std::vector<CopiedLoad> found;
  // Only whole copies of 16 bytes, and only where every vector has a place.
  if (!layout.ahead || layout.registers > 0) return found;
  const std::vector<Expr> ahead = ahead_loads(context, plan, layout.vector);
  for (size_t j : first_of_places(plan, real)) {
    const auto& member = plan.group.members[j];
    const Expr& body = member.nest.body;
    const bool whole = std::any_of(ahead.begin(), ahead.end(),
                                   [&](const Expr& load) { return graph::same(load, body); });
    if (plan.pass[j] == 0 && whole && vector_bytes(context, body, layout.vector) == 16 &&
        code::c_type(context.type(body->tensor).dtype) == code::value_type(body->kind, real))
      found.push_back({j, body});
  }
  return found;
}

std::string ask_half(const OpContext& context, const RowLayout& layout, const Passes& plan,
                     const std::vector<CopiedLoad>& copies, const code::Spelling& spelling,
                     KernelArguments& kernel) {
  const int outer = static_cast<int>(plan.group.outer.size());
  const std::vector<int64_t> extents = all_extents(plan.group);
  std::string text = "    if (more) {\n";
  for (const CopiedLoad& copy : copies) {
    code::ExprPrinter printer(code::Real::kF32, extents, "n_", spelling);
    for (int a = 0; a < static_cast<int>(extents.size()); ++a)
      printer.bind_axis(a, a < outer ? fmt::format("m{}", a) : "0", 0);
    const std::string at = printer.print(copy.load->operands[0]);
    const auto half = [&](int64_t points) {
      return points *
             static_cast<int64_t>(graph::dtype_bytes(context.type(copy.load->tensor).dtype)) / 32 *
             16;
    };
    const int64_t last = plan.group.row_length() - (layout.slices - 1) * layout.slice;
    std::string bytes = fmt::format("{}", half(layout.slice));
    if (last != layout.slice)
      bytes = fmt::format("(part == {} ? {} : {})", layout.slices - 1, half(last), bytes);
    text += fmt::format(
        "    {{\n{0}      const char* from = (const char*)({1} + {2} + slice * {3});\n"
        "      const int bytes = {4};\n"
        "#pragma unroll 1\n      for (int o = lane * {5}; o < bytes; o += {6})\n"
        "        kw_prefetch_l2(from + o, bytes - o < {5} ? bytes - o : {5});\n    }}\n",
        printer.take(0, 6), kernel.read(copy.load->tensor), at, layout.vector, bytes, kAskedAtOnce,
        kAskedAtOnce * layout.threads);
  }
  return text + "    }\n";
}

std::string wait_for_copies(const std::vector<Part>& parts, const Part& part) {
  std::vector<int64_t> ends;  // vectors that are there when a group of copies is
  for (const Part& copied : parts) {
    for (int64_t k = 0; k < copied.count; k += copied.unroll)
      ends.push_back(copied.first + std::min(k + copied.unroll, copied.count));
  }
  std::string text;
  for (int64_t k = 0; k < part.count; k += part.unroll) {
    const int64_t needed = part.first + std::min(k + part.unroll, part.count);
    const auto enough = std::lower_bound(ends.begin(), ends.end(), needed);
    text += fmt::format("      if (k == {}) kw_cp_async_wait<{}>();\n", part.first + k,
                        ends.end() - enough - 1);
  }
  return text;
}

}  // namespace kernelwright::expert::cuda
