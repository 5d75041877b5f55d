// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/cuda/point_kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/dialects/cuda/machine.h"
#include "expert/dialects/cuda/vector_loads.h"
#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

using code::ExprPrinter;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using rewrite::Nest;

namespace {

// Levels of statements: once per thread, per vector, per element.
enum Level { kOnce = 0, kVector = 1, kElement = 2 };

class Emitter {
 public:
  Emitter(const OpContext& context, const PointGroup& group, const Schedule& schedule,
          const std::string& name, ProgramBuilder& builder)
      : context_(context),
        group_(group),
        kernel_(builder, name),
        width_(schedule.at("vector")),
        steps_(schedule.at("steps")),
        block_(schedule.at("block")),
        real_(code::Real::kF32) {
    bool narrow = true;
    for (const Nest& nest : group.members) {
      narrow = narrow && fits_int32(nest);
      if (real_of(context, nest) == code::Real::kF64) real_ = code::Real::kF64;
      made_.push_back(nest.output);
    }
    spelling_ = &code::cuda_spelling(narrow);
  }

  void emit() {
    const int64_t length = group_.extents.back();
    const bool tail = length % width_ != 0;  // with one axis only
    std::vector<int64_t> vectors = group_.extents;
    vectors.back() = ceil_div(length, width_);
    const int64_t total = graph::element_count(vectors);
    VectorLoads loads(context_, group_.extents, group_.inner(), width_, made_);
    std::vector<Expr> bodies;
    for (const Nest& nest : group_.members) bodies.push_back(loads.replace(nest.body));

    std::string& text = kernel_.body;
    const char* type = spelling_->index;
    kernel_.block = static_cast<int>(block_);
    const std::string elements = element_loop(bodies, &loads);
    text += once_ + fmt::format("  const {0} first = ({0})blockIdx.x * {1} + (int)threadIdx.x;\n",
                                type, block_ * steps_);
    const bool whole = total % (block_ * steps_) == 0;
    auto loop = [&](const std::string& inside) {
      std::string out = fmt::format(
          "#pragma unroll\n  for (int s = 0; s < {}; ++s) {{\n    const {} v = first + s * {};\n",
          steps_, type, block_);
      if (!whole) out += fmt::format("    if (v < {}) {{\n", total);
      out += decode_axes("v", vectors, 0, group_.inner() + 1, 6, "i", type);
      out += fmt::format("      const {} b = i{} * {}; (void)b;\n", type, group_.inner(), width_);
      return out + inside + (whole ? "" : "    }\n") + "  }\n";
    };
    const std::string fits =
        tail ? fmt::format("      if (b + {} <= {}) {{\n", width_, length) : "      {\n";
    if (!loads.empty()) {
      ExprPrinter where = printer("u", "b");
      text += loads.declare(steps_, 2);
      const std::string issue = loads.load(kernel_, where, kVector, "s", 8);
      text += where.take(kOnce, 2) + loop(fits + issue + "      }\n");
    }
    std::string compute = fits + elements + "      }\n";
    if (tail) {
      VectorLoads none(context_, group_.extents, group_.inner(), width_, made_);
      std::vector<Expr> plain;
      for (const Nest& nest : group_.members) plain.push_back(nest.body);
      const std::string rest = element_loop(plain, nullptr);
      text += once_;
      compute += fmt::format("      if (b + {} > {}) {{\n", width_, length) + rest + "      }\n";
    }
    text += loop(compute);
    kernel_.launch({std::max<int64_t>(1, ceil_div(total, block_ * steps_))});
  }

 private:
  ExprPrinter printer(const std::string& prefix, const std::string& inner) const {
    ExprPrinter p(real_, group_.extents, prefix, *spelling_);
    for (int a = 0; a < group_.inner(); ++a) p.bind_axis(a, fmt::format("i{}", a), kVector);
    p.bind_axis(group_.inner(), inner, inner == "b" ? kVector : kElement);
    return p;
  }

  // Computes and stores the elements of the vector at b: all of them with vector stores, or
  // (without loads made before) those below the axis' end, one by one.
  std::string element_loop(const std::vector<Expr>& bodies, const VectorLoads* loads) {
    ExprPrinter p = printer(loads != nullptr ? "v" : "t", "i");
    std::string element, before, after;
    if (loads != nullptr) element += loads->elements(p, real_, kElement, "s", 10);
    ExprPrinter where = printer("o", "b");
    std::string updates;
    for (size_t j = 0; j < bodies.size(); ++j) {
      const Nest& nest = group_.members[j];
      bind_loads(context_, {bodies[j]}, kernel_, p, held(bodies[j]));
      const std::string value = p.print(bodies[j]);
      p.bind_value(nest.output, value, p.level_of(value));
      const graph::DType stored = context_.type(nest.output).dtype;
      const std::string out = kernel_.write(nest.output);
      const std::string converted = code::to_stored(value, stored, bodies[j]->kind);
      if (loads != nullptr) {
        before += fmt::format("        kw_vec<{}, {}> o{}v;\n", code::c_type(stored), width_, j);
        updates += fmt::format("          o{}v.v[e] = {};\n", j, converted);
        after += fmt::format("        kw_store({} + {}, o{}v);\n", out, where.print(nest.store), j);
      } else {
        const std::string at = p.print(nest.store);
        updates += fmt::format("          {}[{}] = {};\n", out, at, converted);
      }
    }
    once_ = p.take(kOnce, 2) + where.take(kOnce, 2);
    std::string text = p.take(kVector, 8) + before;
    text += fmt::format(
        "#pragma unroll\n        for (int e = 0; e < {}; ++e) {{\n          const {} i = b + e; "
        "(void)i;\n",
        width_, spelling_->index);
    if (loads == nullptr)
      text += fmt::format("          if (i >= {}) break;\n", group_.extents.back());
    text += element + p.take(kElement, 10) + updates + "        }\n";
    return text + where.take(kVector, 8) + after;
  }

  // Tensors that stand for values: replaced loads and what this kernel made.
  std::vector<int> held(const Expr& expr) const {
    std::vector<int> tensors = made_;
    graph::visit(expr, [&](const ExprNode& node) {
      if (node.op == ExprOp::kLoad && node.tensor < 0) tensors.push_back(node.tensor);
    });
    return tensors;
  }

  const OpContext& context_;
  const PointGroup& group_;
  KernelText kernel_;
  int64_t width_, steps_, block_;
  code::Real real_;
  const code::Spelling* spelling_ = nullptr;
  std::vector<int> made_;
  std::string once_;  // statements of the last element_loop that stand outside of all loops
};

}  // namespace

std::optional<PointGroup> point_group(std::vector<Nest> nests) {
  PointGroup group;
  for (Nest& nest : nests) {
    if (nest.outer != nest.rank()) return std::nullopt;
    if (nest.rank() == 0) {
      nest.extents = {1};
      nest.outer = 1;
    }
    if (nest.extents != nests.front().extents) return std::nullopt;
  }
  for (int a = 0; a + 1 < nests.front().rank();) {
    const bool fits = std::all_of(nests.begin(), nests.end(),
                                  [&](const Nest& nest) { return rewrite::can_merge(nest, a); });
    if (!fits) {
      ++a;
      continue;
    }
    for (Nest& nest : nests) rewrite::merge(nest, a);
    if (a > 0) --a;
  }
  group.extents = nests.front().extents;
  group.members = std::move(nests);
  return group;
}

int64_t widest_vector(const OpContext& context, const PointGroup& group) {
  const int64_t length = group.extents.back();
  for (int64_t width : {16, 8, 4, 2}) {
    if (group.extents.size() > 1 ? length % width != 0 : length < 4 * width) continue;
    bool fits = true;
    for (const Nest& nest : group.members) {
      const graph::DType dtype = context.type(nest.output).dtype;
      fits = fits && static_cast<int64_t>(graph::dtype_bytes(dtype)) * width <= 32 &&
             runs_along(nest.store, group.extents, group.inner(), width, dtype);
      graph::visit(nest.body, [&](const ExprNode& node) {
        if (node.op == ExprOp::kLoad)
          fits = fits && static_cast<int64_t>(graph::dtype_bytes(context.type(node.tensor).dtype)) *
                                 width <=
                             32;
      });
    }
    if (fits) return width;
  }
  return 1;
}

ScheduleSpace point_space(const OpContext& context, const PointGroup& group) {
  std::vector<int64_t> widths;
  const int64_t widest = widest_vector(context, group);
  for (int64_t width = 1; width <= widest; width *= 2) {
    if (width == 1 || 4 * width >= widest) widths.push_back(width);
  }
  ScheduleSpace space;
  space.push_back({"vector", widths, widths.back()});
  space.push_back({"steps", {1, 2, 4}, 2});
  space.push_back({"block", {128, 256, 512}, 256});
  return space;
}

double predict_points(const OpContext& context, const PointGroup& group, const Schedule& schedule) {
  const Machine machine(context.model);
  const auto width = static_cast<double>(schedule.at("vector"));
  const auto steps = static_cast<double>(schedule.at("steps"));
  const auto block = static_cast<double>(schedule.at("block"));
  const auto points = static_cast<double>(group.points());
  double bytes = context.bytes(), cost = 0, widest = 1;
  for (const Nest& nest : group.members) {
    cost += 4 + rewrite::arithmetic_cost(nest.body);
    widest = std::max(
        widest, width * static_cast<double>(graph::dtype_bytes(context.type(nest.output).dtype)));
    graph::visit(nest.body, [&](const ExprNode& node) {
      if (node.op != ExprOp::kLoad || node.tensor < 0) return;
      const auto along = coefficient(nest, node.operands[0], group.inner());
      const auto size = static_cast<double>(context.type(node.tensor).bytes());
      // A sector of 32 bytes for every element of a strided load.
      if (!along || std::abs(*along) > 1) bytes += size * (!along || std::abs(*along) > 7 ? 4 : 1);
    });
  }
  const double access = widest > 16    ? 1.015
                        : widest >= 16 ? 1.0
                        : widest >= 8  ? 1.02
                        : widest >= 4  ? 1.05
                                       : 1.25;
  // Enough bytes must be under way on each multiprocessor.
  const double shape = (steps * widest >= 64   ? 1.01
                        : steps * widest >= 32 ? 1.0
                                               : 1.02) *
                       (block > 256 ? 1.01 : 1.0);
  const double threads = points / (width * steps);
  const double waves = threads / (2048.0 * machine.multiprocessors());
  const double uneven = waves < 1 ? 1.0 : std::ceil(waves) / waves * 0.1 + 0.9;
  const double memory = bytes / machine.bytes_per_s() * access * shape * uneven;
  const double compute = points * cost / machine.instructions_per_s();
  return std::max(memory, compute) + 0.1 * compute + machine.launch_s();
}

void emit_points(const OpContext& context, const PointGroup& group, const Schedule& schedule,
                 const std::string& name, ProgramBuilder& builder) {
  Emitter(context, group, schedule, name, builder).emit();
}

}  // namespace kernelwright::expert::cuda
