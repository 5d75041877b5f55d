// SPDX-License-Identifier: Apache-2.0
#include "expert/families/recurrence.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/emit_util.h"
#include "expert/families/recurrence_plan.h"
#include "rewrite/nest.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Expr;

namespace {

// Sums restart after so many products, as in contractions.
constexpr int64_t kRestartDepth = 256;
constexpr int64_t kRecurrenceScratch = 4 << 20;
constexpr double kBarrierSeconds = 1.5e-6;

// The numbers that follow from a recurrence and a schedule.
struct RecurrenceTiling {
  int64_t lanes = 1;            // of a vector
  int64_t rows = 1;             // of the batch in registers
  int64_t width = 1;            // units of a group
  int64_t groups = 1;           // of units
  int64_t parts = 1, part = 1;  // of the batch, and its rows
  int64_t items = 1;            // that workers share in a step: cells, parts, groups
  int64_t state_elements = 1;   // scratch for the state before the step
  int64_t sums_elements = 1;    // and for a tile of sums

  RecurrenceTiling(const RecurrencePlan& plan, const OpContext& context, const Schedule& schedule) {
    lanes = context.vector_bytes() / 4;
    rows = schedule.at("rows");
    width = schedule.at("vectors") * lanes;
    groups = ceil_div(plan.units, width);
    parts = schedule.at("parts");
    part = ceil_div(ceil_div(plan.batch, parts), rows) * rows;
    items = static_cast<int64_t>(plan.cells.size()) * parts * groups;
    state_elements = ceil_div(part * plan.depth, 16) * 16;
    sums_elements = rows * plan.gates * width;
  }
};

class RecurrenceEmitter {
 public:
  RecurrenceEmitter(const OpContext& context, const RecurrencePlan& plan,
                    const RecurrenceTiling& tiling, ProgramBuilder& builder)
      : context_(context),
        p_(plan),
        t_(tiling),
        builder_(builder),
        kernel_(builder, "recurrence_" + context.op.stages.front().origin) {}

  void emit() {
    for (const RecurrentCell& cell : p_.cells) packed_.push_back(pack(cell));
    kernel_.team = true;
    for (const RecurrentCell& cell : p_.cells) {
      for (const auto& point : cell.points)
        if (point.stored) kernel_.makes(point.output);
    }
    const std::string tile = kernel_.name() + "_tile";
    kernel_.helpers = sums(tile);
    std::string& text = kernel_.body;
    text += fmt::format(
        "  float* state = (float*)kw->scratch;\n  float* sums = state + {};\n"
        "  const int64_t first_item = {} * kw->worker / kw->worker_count;\n"
        "  const int64_t last_item = {} * (kw->worker + 1) / kw->worker_count;\n",
        t_.state_elements, t_.items, t_.items);
    text += step(true, tile);
    text +=
        fmt::format("  for (int64_t after = 0; after < {}; ++after) {{\n", context_.op.steps - 1);
    text += "  kw->barrier(kw->team);\n" + step(false, tile) + "  }\n";
    kernel_.scratch_bytes = 4 * (t_.state_elements + t_.sums_elements);
    kernel_.launch(1);
  }

 private:
  // The weights of a cell as the sums read them: [groups, depth, gates, width].
  std::string pack(const RecurrentCell& cell) {
    const std::string packed = builder_.add_buffer(program::BufferRole::kPacked, graph::DType::kF32,
                                                   {t_.groups, p_.depth, p_.gates, t_.width});
    KernelText kernel(builder_, "pack_recurrence");
    ExprPrinter printer(Real::kF32, extents(false), "pw");
    bind_strided(kernel, printer, {cell.weight});
    printer.bind_axis(2, "i2", 2);
    printer.bind_axis(3, "i3", 1);
    const std::string to = kernel.write_buffer(packed);
    const std::string value = printer.print(cell.weight);
    kernel.body += "  for (int64_t point = begin; point < end; ++point) {\n";
    kernel.body +=
        fmt::format("    const int64_t group = point / {0}, i3 = point % {0}; (void)i3;\n{1}",
                    p_.depth, printer.take(0, 4) + printer.take(1, 4));
    kernel.body += fmt::format(
        "    for (int64_t q = 0; q < {}; ++q) {{\n      for (int64_t l = 0; l < {}; ++l) {{\n"
        "        const int64_t unit = group * {} + l;\n"
        "        if (unit >= {}) {{ {}[(point * {} + q) * {} + l] = 0; continue; }}\n"
        "        const int64_t i2 = q * {} + unit; (void)i2;\n",
        p_.gates, t_.width, t_.width, p_.units, to, p_.gates, t_.width, p_.units);
    kernel.body += printer.take(2, 8);
    kernel.body +=
        fmt::format("        {}[(point * {} + q) * {} + l] = {};\n      }}\n    }}\n  }}\n", to,
                    p_.gates, t_.width, value);
    kernel.launch_in_prepare(t_.groups * p_.depth);
    return packed;
  }

  // Sums of a tile of rows and all gates of a group of units: [rows, gates, width].
  std::string sums(const std::string& name) const {
    const int64_t vectors = p_.gates * t_.width / t_.lanes;
    std::string text = fmt::format(
        "typedef float {0}_v __attribute__((vector_size({1}), aligned(4), may_alias));\n"
        "static __attribute__((noinline)) void {0}(const float* a, const float* __restrict w, "
        "float* __restrict to) {{\n  for (int64_t start = 0; start < {2}; start += {3}) {{\n"
        "    const int64_t end = start + {3} < {2} ? start + {3} : {2};\n",
        name, 4 * t_.lanes, p_.depth, kRestartDepth);
    for (int64_t r = 0; r < t_.rows; ++r) {
      text += fmt::format("    {}_v ", name);
      for (int64_t v = 0; v < vectors; ++v)
        text += fmt::format("{}c{}_{} = {{}}", v ? ", " : "", r, v);
      text += ";\n";
    }
    text += "    for (int64_t k = start; k < end; ++k) {\n";
    for (int64_t v = 0; v < vectors; ++v)
      text += fmt::format("      const {0}_v w{1} = *(const {0}_v*)(w + {2});\n", name, v,
                          v * t_.lanes);
    for (int64_t r = 0; r < t_.rows; ++r) {
      text += fmt::format("      {{ const float x = a[{} + k];", r * p_.depth);
      for (int64_t v = 0; v < vectors; ++v) text += fmt::format(" c{0}_{1} += x * w{1};", r, v);
      text += " }\n";
    }
    text += fmt::format("      w += {};\n    }}\n", vectors * t_.lanes);
    for (const bool first : {true, false}) {
      text += first ? "    if (start == 0) {\n" : "    } else {\n";
      for (int64_t r = 0; r < t_.rows; ++r) {
        for (int64_t v = 0; v < vectors; ++v)
          text += fmt::format("      *({0}_v*)(to + {1}) {2} c{3}_{4};\n", name,
                              (r * vectors + v) * t_.lanes, first ? "=" : "+=", r, v);
      }
    }
    return text + "    }\n  }\n}\n";
  }

  std::vector<int64_t> extents(bool first) const {
    return {first ? 1 : context_.op.steps - 1, p_.batch, p_.units * p_.gates, p_.depth};
  }

  // An expression at step 0, or with axis(0) counting the steps after it: what depends on whether
  // there is a step before is then known.
  Expr at_step(const Expr& expr, bool first) const {
    const Expr step = first ? graph::integer(0) : graph::axis(0) + graph::integer(1);
    auto all = extents(first);
    return graph::simplify_index(
        graph::substitute_axes(expr, {step, graph::axis(1), graph::axis(2), graph::axis(3)}), all);
  }

  // Makes the tensors that expressions load known to a printer, by their own dimensions.
  void bind_strided(KernelText& kernel, ExprPrinter& printer, const std::vector<Expr>& all) const {
    for (const Expr& expr : all) {
      graph::visit(expr, [&](const graph::ExprNode& node) {
        if (node.op != graph::ExprOp::kLoad || node.tensor >= p_.first_stand_in) return;
        const auto& tensor = context_.graph.tensors[static_cast<size_t>(node.tensor)];
        printer.bind_tensor(node.tensor, kernel.read(node.tensor), tensor.type.dtype,
                            rewrite::strides_of(tensor));
      });
    }
  }

  // One step of the items of a worker.
  std::string step(bool first, const std::string& tile) {
    std::string text = fmt::format(
        "  {{\n  int64_t held = -1;\n  for (int64_t item = first_item; item < last_item; ++item) "
        "{{\n    const int64_t group = item % {0}, run = item / {0};\n"
        "    const int64_t low = run % {1} * {2};\n"
        "    const int64_t high = low + {2} < {3} ? low + {2} : {3};\n",
        t_.groups, t_.parts, t_.part, p_.batch);
    for (size_t c = 0; c < p_.cells.size(); ++c) {
      text += fmt::format("    {}if (run / {} == {}) {{\n", c ? "else " : "", t_.parts, c);
      text += "      if (held != run) {\n" + take_state(p_.cells[c], first) +
              "        held = run;\n      }\n";
      text += fmt::format(
          "      for (int64_t row = low; row < high; row += {0}) {{\n"
          "        {1}(state + (row - low) * {2}, {3} + group * {4}, sums);\n"
          "        const int64_t stop = row + {0} < high ? row + {0} : high;\n",
          t_.rows, tile, p_.depth, kernel_.read_buffer(packed_[c]), p_.depth * p_.gates * t_.width);
      text += points(p_.cells[c], first) + "      }\n    }\n";
    }
    return text + "  }\n  }\n";
  }

  // Copies the state that the sums read; rows that fill up a tile are zero.
  std::string take_state(const RecurrentCell& cell, bool first) {
    const Expr state = at_step(cell.state, first);
    ExprPrinter printer(Real::kF32, extents(first), "hv");
    bind_strided(kernel_, printer, {state});
    printer.bind_axis(0, "after", 0);
    printer.bind_axis(1, "i1", 1);
    printer.bind_axis(3, "i3", 2);
    const std::string value = printer.print(state);
    std::string text = printer.take(0, 8);
    text +=
        fmt::format("        for (int64_t i1 = low; i1 < high; ++i1) {{\n{}", printer.take(1, 10));
    text += fmt::format(
        "          float* to = state + (i1 - low) * {0};\n#pragma GCC ivdep\n"
        "          for (int64_t i3 = 0; i3 < {0}; ++i3) {{\n{1}            to[i3] = {2};\n"
        "          }}\n        }}\n"
        "        for (int64_t i = (high - low) * {0}; i < (high - low + {3}) / {4} * {4} * {0}; "
        "++i) state[i] = 0;\n",
        p_.depth, printer.take(2, 12), value, t_.rows - 1, t_.rows);
    return text;
  }

  // What follows on the sums of rows [row, stop) and the units of a group.
  std::string points(const RecurrentCell& cell, bool first) {
    ExprPrinter printer(Real::kF32, extents(first), "pv");
    std::vector<Expr> values;
    for (const auto& point : cell.points) values.push_back(at_step(point.value, first));
    bind_strided(kernel_, printer, values);
    printer.bind_axis(0, "after", 0);
    printer.bind_axis(1, "i1", 1);
    printer.bind_axis(2, "i2", 2);
    std::string pointers, loads, inside;
    for (int64_t q = 0; q < p_.gates; ++q) {
      pointers +=
          fmt::format("          const float* from{} = sums + ((i1 - row) * {} + {}) * {};\n", q,
                      p_.gates, q, t_.width);
      loads += fmt::format("            const float sum{0} = from{0}[i2 - base];\n", q);
      printer.bind_value(p_.stand_in(q), fmt::format("sum{}", q), 2);
    }
    std::string outer, rows;
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string value = printer.print(values[i]);
      outer += printer.take(0, 8);
      rows += printer.take(1, 10);
      inside += printer.take(2, 12);
      const std::string made = fmt::format("made{}", i);
      inside += fmt::format("            const float {} = {};\n", made, value);
      printer.bind_value(p_.stand_in(RecurrencePlan::kMostGates + static_cast<int64_t>(i)), made,
                         2);
      if (!cell.points[i].stored) continue;
      rows += fmt::format("          float* to{} = {} + ({} * {} + i1) * {};\n", i,
                          kernel_.write(cell.points[i].output), first ? "0" : "(after + 1)",
                          p_.batch, p_.units);
      inside += fmt::format("            to{}[i2] = {};\n", i, made);
    }
    return outer +
           fmt::format(
               "        const int64_t base = group * {0}, top = base + {0} < {1} ? base + {0} : "
               "{1};\n"
               "        for (int64_t i1 = row; i1 < stop; ++i1) {{\n{2}{3}#pragma GCC ivdep\n"
               "          for (int64_t i2 = base; i2 < top; ++i2) {{\n{4}{5}          }}\n"
               "        }}\n",
               t_.width, p_.units, pointers, rows, loads, inside);
  }

  const OpContext& context_;
  const RecurrencePlan& p_;
  const RecurrenceTiling& t_;
  ProgramBuilder& builder_;
  KernelText kernel_;
  std::vector<std::string> packed_;  // per cell
};

}  // namespace

bool RecurrenceFamily::accepts(const OpContext& context) const {
  return plan_recurrence(context).has_value();
}

ScheduleSpace RecurrenceFamily::space(const OpContext& context) const {
  const RecurrencePlan plan = *plan_recurrence(context);
  const int64_t lanes = context.vector_bytes() / 4;
  std::vector<int64_t> rows, vectors, parts;
  for (int64_t count : {1, 2, 3, 4, 6, 8, 12})
    if (rows.empty() || rows.back() < plan.batch) rows.push_back(count);
  for (int64_t count : {1, 2, 4})
    if (count == 1 || count / 2 * lanes < plan.units) vectors.push_back(count);
  for (int64_t count = 1; count <= plan.batch && count <= std::max(1, context.threads); count *= 2)
    parts.push_back(count);
  ScheduleSpace space;
  space.push_back({"rows", rows, rows.back(), Bears::kArithmetic});
  space.push_back({"vectors", vectors, vectors.front(), Bears::kArithmetic});
  space.push_back({"parts", parts, 1, Bears::kTraffic});
  return space;
}

bool RecurrenceFamily::legal(const OpContext& context, const Schedule& schedule) const {
  const RecurrencePlan plan = *plan_recurrence(context);
  const RecurrenceTiling t(plan, context, schedule);
  const int64_t registers = context.vector_bytes() >= 64 ? 32 : 16;
  const int64_t weights = plan.gates * schedule.at("vectors");
  // One row uses each vector of weights once, straight from memory.
  if (t.rows * weights + (t.rows > 1 ? weights : 0) + 1 > registers) return false;
  if (t.part * (t.parts - 1) >= plan.batch) return false;
  return 4 * (t.state_elements + t.sums_elements) <= kRecurrenceScratch;
}

double RecurrenceFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const RecurrencePlan plan = *plan_recurrence(context);
  const RecurrenceTiling t(plan, context, schedule);
  const double threads = std::max(1, context.threads);
  double peak = context.model.peak(graph::DType::kF32) / std::max(1, context.model.threads);
  if (peak <= 0) peak = 5e10;
  const double vector_rate = peak / (2.0 * static_cast<double>(t.lanes));
  const int64_t whole_vectors = plan.gates * t.width / t.lanes;
  const auto vectors = static_cast<double>(whole_vectors);
  const double rows = static_cast<double>(t.rows), depth = static_cast<double>(plan.depth);
  const double cycles = std::max({rows * vectors, vectors + 0.5 * rows, 8.0}) + 1.0;
  double arithmetic = 2;
  for (const auto& point : plan.cells.front().points)
    arithmetic += 1 + rewrite::arithmetic_cost(point.value);
  const double tile = depth * cycles / vector_rate + rows * static_cast<double>(t.width) *
                                                         (0.1 + 0.06 * arithmetic) * 1e-9 * 16.0 /
                                                         static_cast<double>(t.lanes);
  const double tiles = static_cast<double>(ceil_div(t.part, t.rows));
  const double own = std::ceil(static_cast<double>(t.items) / threads);
  // Every worker copies the state that it reads.
  const double copies = std::ceil(own / static_cast<double>(t.groups));
  const double copied = copies * static_cast<double>(t.part) * depth * 0.05e-9;
  double step = own * tiles * tile + copied;
  // Weights that no near cache keeps come from the next one at every step.
  const double weights = static_cast<double>(plan.cells.size()) * static_cast<double>(t.groups) *
                         depth * static_cast<double>(plan.gates * t.width) * 4;
  const auto& levels = context.model.levels;
  for (size_t level = 1; level + 1 < levels.size(); ++level) {
    if (weights > 0.8 * static_cast<double>(levels[level].bytes))
      step = std::max(step, weights / std::max(1e9, levels[level + 1].read_bytes_per_s));
  }
  return static_cast<double>(context.op.steps) * (step + kBarrierSeconds) + context.model.launch_s;
}

Status RecurrenceFamily::emit(const OpContext& context, const Schedule& schedule,
                              ProgramBuilder& builder) const {
  const RecurrencePlan plan = *plan_recurrence(context);
  const RecurrenceTiling tiling(plan, context, schedule);
  RecurrenceEmitter(context, plan, tiling, builder).emit();
  return {};
}

}  // namespace kernelwright::expert
