// SPDX-License-Identifier: Apache-2.0
#include "expert/families/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/emit_util.h"
#include "expert/families/attention_plan.h"
#include "expert/families/register_tile.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Expr;
using rewrite::Attention;

namespace {

constexpr int64_t kAttentionScratch = 8 << 20;  // bytes per worker
// Exponentials that are summed in fp32 before they go to the sum in f64.
constexpr int64_t kSummedTogether = 8;

class AttentionEmitter {
 public:
  AttentionEmitter(const OpContext& context, const AttentionPlan& plan, ProgramBuilder& builder)
      : context_(context),
        p_(plan),
        f_(plan.facts),
        a_(*plan.a),
        kernel_(builder, "attention_" + a_.nest.origin),
        extents_(a_.nest.extents) {}

  void emit() {
    const std::string tile = kernel_.name();
    RegisterTile score{Real::kF32,
                       f_.lanes,
                       p_.score_mr,
                       p_.score_nv,
                       p_.direct_key ? f_.direct_key->key_stride : f_.depth,
                       p_.direct_key ? f_.direct_key->stride : 1,
                       p_.pitch,
                       p_.pitch};
    kernel_.helpers = register_tile_source(tile + "_score", score);
    if (p_.last_tile() != 0) {
      score.mr = p_.last_tile();
      kernel_.helpers += register_tile_source(tile + "_last", score);
    }
    kernel_.helpers += register_tile_source(
        tile + "_value",
        {Real::kF32, f_.lanes, p_.value_mr, p_.value_nv, 1, p_.pitch,
         p_.direct_value ? f_.direct_value->key_stride : p_.out_pitch, p_.out_pitch});
    kernel_.body = main_body();
    kernel_.scratch_bytes = p_.scratch_elements() * 4;
    // A range covers the rows that share packed keys and values.
    const int64_t points = f_.batch * p_.row_blocks;
    if (p_.whole)
      kernel_.grain = std::min(p_.row_blocks, ceil_div(points, std::max(1, context_.threads)));
    kernel_.launch(points);
  }

 private:
  static std::string axis_name(int axis) { return fmt::format("i{}", axis); }

  ExprPrinter printer_of(const std::vector<Expr>& expressions, const std::string& prefix) {
    ExprPrinter printer(Real::kF32, extents_, prefix);
    bind_loads(context_, expressions, kernel_, printer);
    for (int axis : a_.batch) printer.bind_axis(axis, axis_name(axis), 1);
    return printer;
  }
  void bind(ExprPrinter& printer, int axis, int level) const {
    if (axis >= 0) printer.bind_axis(axis, axis_name(axis), level);
  }
  // Row of the batch element from `r` of the block.
  std::string row_line(const std::string& row, int indent) const {
    if (a_.row < 0) return "";
    return fmt::format("{0}const int64_t {1} = r0 + {2}; (void){1};\n", pad(indent),
                       axis_name(a_.row), row);
  }

  // Address of an operand at key 0 of the batch element.
  std::string base_of(const DirectKeys& direct, const Expr& operand, const std::string& prefix,
                      std::string& text) {
    std::vector<Expr> axes;
    for (int a = 0; a < a_.nest.rank(); ++a) axes.push_back(graph::axis(a));
    for (int axis : {a_.keys, a_.depth, a_.column, a_.row})
      if (axis >= 0) axes[static_cast<size_t>(axis)] = graph::integer(0);
    ExprPrinter printer = printer_of({}, prefix);
    const std::string base = printer.print(
        graph::simplify_index(graph::substitute_axes(operand->operands[0], axes), extents_));
    text += printer.take(0, 4) + printer.take(1, 4);
    return kernel_.read(direct.tensor) + " + " + base;
  }

  // queries[depth][row], zeros where there is no row.
  std::string pack_query() {
    ExprPrinter printer = printer_of({a_.query}, "q");
    bind(printer, a_.row, 2);
    bind(printer, a_.depth, 3);
    const std::string value = printer.print(a_.query);
    const std::string d = axis_name(a_.depth);
    std::string text = printer.take(0, 4) + printer.take(1, 4);
    text += "    for (int64_t r = 0; r < count; ++r) {\n" + row_line("r", 6) + printer.take(2, 6);
    text += fmt::format("      for (int64_t {0} = 0; {0} < {1}; ++{0}) {{\n", d, f_.depth);
    text += printer.take(3, 8);
    text +=
        fmt::format("        queries[{} * {} + r] = {};\n      }}\n    }}\n", d, p_.pitch, value);
    text += fmt::format(
        "    for (int64_t d = 0; d < {0} && count < {1}; ++d)\n      for (int64_t r = count; r < "
        "{1}; ++r) queries[d * {1} + r] = 0;\n",
        f_.depth, p_.pitch);
    return text;
  }

  // Keys [p0, p1) to `to`, `width` elements each: an operand along `along`, zeros beyond.
  std::string pack(const Expr& operand, int along, int64_t width, const std::string& to,
                   const std::string& prefix, int indent) {
    ExprPrinter printer = printer_of({operand}, prefix);
    bind(printer, a_.keys, 2);
    bind(printer, along, 3);
    const std::string value = printer.print(operand);
    const std::string j = axis_name(a_.keys), x = axis_name(along);
    std::string text = printer.take(0, indent) + printer.take(1, indent);
    text += fmt::format("{0}for (int64_t {1} = p0; {1} < p1; ++{1}) {{\n", pad(indent), j);
    text += printer.take(2, indent + 2);
    text += fmt::format("{0}float* __restrict to = {1} + ({2} - p0) * {3};\n", pad(indent + 2), to,
                        j, width);
    text += fmt::format("#pragma GCC ivdep\n{0}for (int64_t {1} = 0; {1} < {2}; ++{1}) {{\n",
                        pad(indent + 2), x, a_.extent(along));
    text += printer.take(3, indent + 4);
    text += fmt::format("{0}  to[{1}] = {2};\n{0}}}\n", pad(indent + 2), x, value);
    if (width > a_.extent(along))
      text += fmt::format("{}for (int64_t x = {}; x < {}; ++x) to[x] = 0;\n", pad(indent + 2),
                          a_.extent(along), width);
    return text + pad(indent) + "}\n";
  }
  std::string pack_keys_and_values(int indent) {
    std::string text;
    if (!p_.direct_key) text += pack(a_.key, a_.depth, f_.depth, "packed_keys", "k", indent);
    if (!p_.direct_value)
      text += pack(a_.value, a_.column, p_.out_pitch, "packed_values", "v", indent);
    return text;
  }

  std::string scratch_pointers() const {
    std::string text = "  float* __restrict queries = (float*)kw->scratch;\n";
    const auto next = [&](const char* name, const char* before, int64_t elements) {
      text += fmt::format("  float* __restrict {} = {} + {};\n", name, before, elements);
    };
    next("scores", "queries", p_.query_elements());
    next("sums", "scores", p_.score_elements());
    next("packed_keys", "sums", p_.out_elements());
    next("packed_values", "packed_keys", p_.key_elements());
    next("top", "packed_values", p_.value_elements());
    next("next", "top", p_.row_elements());
    next("offset", "next", p_.row_elements());
    next("scale", "offset", p_.row_elements());
    next("part", "scale", p_.row_elements());
    text += fmt::format("  double* __restrict total = (double*)(part + {});\n", p_.row_elements());
    return text + "  (void)packed_keys; (void)packed_values;\n";
  }

  // How many keys the block of rows walks over: `last`.
  std::string limit_line() {
    if (!f_.limit) return fmt::format("    const int64_t last = {};\n", f_.keys);
    ExprPrinter printer = printer_of({}, "l");
    bind(printer, a_.row, 1);
    const std::string reach = printer.print(graph::simplify_index(f_.limit->reach, extents_));
    std::string text =
        "    int64_t last;\n    {\n" + row_line(f_.limit->row > 0 ? "count - 1" : "0", 6);
    text += printer.take(0, 6) + printer.take(1, 6);
    // Whole register tiles; one key at least, so that a row without any gets what softmax says.
    text += fmt::format(
        "      const int64_t reach = {0};\n      last = reach < 0 ? 1 : reach / {1} + 1;\n      "
        "last = (last + {2}) / {3} * {3};\n      if (last > {4}) last = {4};\n    }}\n",
        reach, f_.limit->step, p_.score_mr - 1, p_.score_mr, f_.keys);
    return text;
  }

  std::string main_body() {
    std::string text = scratch_pointers();
    if (p_.whole) text += "  int64_t held = -1;\n";
    text += "  for (int64_t point = begin; point < end; ++point) {\n";
    text += fmt::format(
        "    const int64_t batch = point / {0}, r0 = point % {0} * {1};\n    const int64_t count = "
        "{2} - r0 < {1} ? {2} - r0 : {1};\n",
        p_.row_blocks, p_.rows, f_.rows);
    text += decode_some("batch", extents_, a_.batch, 4, "int64_t");
    if (p_.direct_key) {
      const std::string base = base_of(*f_.direct_key, a_.key, "bk", text);
      text += fmt::format("    const float* __restrict keys = {};\n", base);
    }
    if (p_.direct_value) {
      const std::string base = base_of(*f_.direct_value, a_.value, "bv", text);
      text += fmt::format("    const float* __restrict values = {};\n", base);
    }
    if (p_.whole) {
      text += fmt::format(
          "    if (held != batch) {{\n      held = batch;\n      const int64_t p0 = 0, p1 = {};\n",
          f_.keys);
      text += pack_keys_and_values(6) + "    }\n";
    }
    text += pack_query() + limit_line();
    text += fmt::format(
        "    for (int64_t r = 0; r < {}; ++r) {{\n      top[r] = -__builtin_inff();\n      "
        "total[r] = 0;\n    }}\n",
        p_.pitch);
    text += fmt::format(
        "    for (int64_t j0 = 0; j0 < last; j0 += {0}) {{\n      const int64_t deep = last - j0 < "
        "{0} ? last - j0 : {0};\n",
        p_.keys);
    if (!p_.whole && !(p_.direct_key && p_.direct_value))
      text += "      const int64_t p0 = j0, p1 = j0 + deep;\n" + pack_keys_and_values(6);
    text += products_of_scores() + pass_over_scores() + rescale() + exponentials();
    return text + products_of_values() + "    }\n" + finish() + "  }\n";
  }

  std::string products_of_scores() const {
    const std::string key = p_.direct_key
                                ? fmt::format("keys + (j0 + j) * {}", f_.direct_key->key_stride)
                            : p_.whole ? fmt::format("packed_keys + (j0 + j) * {}", f_.depth)
                                       : fmt::format("packed_keys + j * {}", f_.depth);
    const int64_t step = p_.direct_key ? f_.direct_key->stride : 1;
    const int64_t wide = p_.score_nv * f_.lanes;
    std::string text = fmt::format(
        "      for (int64_t d = 0; d < {0}; d += {1}) {{\n        const int64_t depth = {0} - d < "
        "{1} ? {0} - d : {1};\n        for (int64_t r = 0; r < count; r += {2}) {{\n          "
        "int64_t j = 0;\n",
        f_.depth, p_.depth_slice, wide);
    const std::string arguments =
        fmt::format("({} + d * {}, queries + d * {} + r, scores + j * {} + r, depth, d == 0);\n",
                    key, step, p_.pitch, p_.pitch);
    text += fmt::format("          for (; j + {0} <= deep; j += {0})\n            {1}_score{2}",
                        p_.score_mr, kernel_.name(), arguments);
    if (p_.last_tile() != 0)
      text += fmt::format("          if (j < deep) {}_last{}", kernel_.name(), arguments);
    return text + "        }\n      }\n";
  }

  // Scores as softmax sees them, and their maxima.
  std::string pass_over_scores() {
    ExprPrinter printer = printer_of({a_.score}, "s");
    bind(printer, a_.keys, 2);
    bind(printer, a_.row, 3);
    printer.bind_reduced("acc", 3);
    const std::string value = printer.print(a_.score);
    std::string text = printer.take(0, 6) + printer.take(1, 6);
    text += fmt::format(
        "      for (int64_t r = 0; r < {}; ++r) next[r] = top[r];\n      for (int64_t j = 0; j < "
        "deep; ++j) {{\n        const int64_t {} = j0 + j;\n        float* __restrict score = "
        "scores + j * {};\n",
        p_.pitch, axis_name(a_.keys), p_.pitch);
    text += printer.take(2, 8);
    const std::string inside = row_line("r", 12) + "            const float acc = score[r];\n" +
                               printer.take(3, 12) +
                               fmt::format(
                                   "            score[r] = {0};\n            next[r] = "
                                   "kw_max(next[r], (float){0});\n          }}\n",
                                   value);
    // Of constant length where all rows are there.
    text += fmt::format(
        "        if (count == {0}) {{\n#pragma GCC ivdep\n          for (int64_t r = 0; r < {0}; "
        "++r) {{\n{1}        }} else {{\n#pragma GCC ivdep\n          for (int64_t r = 0; r < "
        "count; "
        "++r) {{\n{1}        }}\n      }}\n",
        p_.rows, inside);
    return text;
  }

  // What is carried over, in units of the new maxima.
  std::string rescale() const {
    std::string text = fmt::format(
        "      int64_t moved = 0;\n#pragma GCC ivdep\n      for (int64_t r = 0; r < {0}; ++r) {{\n"
        "        const float most = next[r];\n        offset[r] = most == -__builtin_inff() ? 0.0f "
        ": most;\n        scale[r] = kw_exp(top[r] - offset[r]);\n        total[r] *= scale[r];\n"
        "        moved += most != top[r];\n        top[r] = most;\n      }}\n",
        p_.pitch);
    text += fmt::format(
        "      if (j0 > 0 && moved != 0) {{\n        for (int64_t r = 0; r < count; ++r) {{\n"
        "          const float by = scale[r];\n          float* __restrict sum = sums + r * {0};\n"
        "#pragma GCC ivdep\n          for (int64_t e = 0; e < {0}; ++e) sum[e] *= by;\n        "
        "}}\n      }}\n",
        p_.out_pitch);
    return text;
  }

  std::string exponentials() const {
    return fmt::format(
        "      for (int64_t g = 0; g < deep; g += {1}) {{\n        const int64_t g1 = g + {1} < "
        "deep ? g + {1} : deep;\n        for (int64_t r = 0; r < {0}; ++r) part[r] = 0;\n        "
        "for (int64_t j = g; j < g1; ++j) {{\n          float* __restrict score = scores + j * {0};"
        "\n#pragma GCC ivdep\n          for (int64_t r = 0; r < {0}; ++r) {{\n            const "
        "float weight = kw_exp(score[r] - offset[r]);\n            score[r] = weight;\n            "
        "part[r] += weight;\n          }}\n        }}\n#pragma GCC ivdep\n        for (int64_t r = "
        "0; r < {0}; ++r) total[r] += part[r];\n      }}\n",
        p_.pitch, kSummedTogether);
  }

  std::string products_of_values() const {
    const std::string from = p_.direct_value
                                 ? fmt::format("values + j0 * {}", f_.direct_value->key_stride)
                             : p_.whole ? fmt::format("packed_values + j0 * {}", p_.out_pitch)
                                        : std::string("packed_values");
    return fmt::format(
        "      for (int64_t e = 0; e < {0}; e += {1})\n        for (int64_t r = 0; r < count; r += "
        "{2})\n          {3}_value(scores + r, {4} + e, sums + r * {0} + e, deep, j0 == 0);\n",
        p_.out_pitch, p_.value_nv * f_.lanes, p_.value_mr, kernel_.name(), from);
  }

  std::string finish() {
    ExprPrinter printer = printer_of({a_.nest.finish}, "f");
    bind(printer, a_.row, 2);
    bind(printer, a_.column, 3);
    const graph::DType stored = context_.type(a_.nest.output).dtype;
    const std::string out = kernel_.write(a_.nest.output);
    std::string value = "acc";
    graph::ScalarKind kind = graph::ScalarKind::kReal;
    if (a_.nest.finish) {
      printer.bind_reduced("acc", 3);
      value = printer.print(a_.nest.finish);
      kind = a_.nest.finish->kind;
    }
    const std::string at = printer.print(a_.nest.store), e = axis_name(a_.column);
    std::string text = printer.take(0, 4) + printer.take(1, 4);
    text += "    for (int64_t r = 0; r < count; ++r) {\n" + row_line("r", 6) + printer.take(2, 6);
    text += fmt::format(
        "      const double part_of = {}1 / total[r];\n      const float* __restrict sum = sums + "
        "r * {};\n#pragma GCC ivdep\n      for (int64_t {e} = 0; {e} < {}; ++{e}) {{\n        "
        "const float acc = (float)(sum[{e}] * part_of);\n",
        a_.empty_is_zero ? "top[r] == -__builtin_inff() ? 0 : " : "", p_.out_pitch, f_.columns,
        fmt::arg("e", e));
    text += printer.take(3, 8);
    return text + fmt::format("        {}[{}] = {};\n      }}\n    }}\n", out, at,
                              code::to_stored(value, stored, kind));
  }

  const OpContext& context_;
  const AttentionPlan& p_;
  const AttentionFacts& f_;
  const Attention& a_;
  KernelText kernel_;
  const std::vector<int64_t>& extents_;
};

}  // namespace

bool AttentionFamily::accepts(const OpContext& context) const {
  return attention_facts(context).has_value();
}

ScheduleSpace AttentionFamily::space(const OpContext& context) const {
  const AttentionFacts f = *attention_facts(context);
  std::vector<int64_t> rows, keys, value_mr, value_nv;
  for (int64_t vectors : {1, 2, 4, 8}) {
    // The smallest that covers a short side, and all below.
    if (rows.empty() || rows.back() < f.rows) rows.push_back(vectors * f.lanes);
  }
  // Sums restart with every block, as a contraction's do.
  for (int64_t block : {64, 128, 256}) {
    if (keys.empty() || keys.back() < f.keys) keys.push_back(block);
  }
  for (int64_t r : {1, 2, 4, 8}) {
    if (value_mr.empty() || value_mr.back() < f.rows) value_mr.push_back(r);
  }
  for (int64_t vectors : {1, 2, 3, 4}) {
    if (vectors == 1 || (vectors - 1) * f.lanes < f.columns) value_nv.push_back(vectors);
  }
  const bool direct = f.direct_key || f.direct_value;
  ScheduleSpace space;
  space.push_back({"rows", rows, rows.back(), Bears::kTraffic});
  space.push_back({"keys", keys, keys.back(), Bears::kTraffic});
  space.push_back({"score_mr", {6, 8, 12}, 12, Bears::kArithmetic});
  space.push_back({"score_nv", {1, 2}, 2, Bears::kArithmetic});
  space.push_back({"value_mr", value_mr, value_mr.back(), Bears::kArithmetic});
  space.push_back({"value_nv", value_nv, value_nv.back(), Bears::kArithmetic});
  space.push_back({"direct", direct ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0}, direct,
                   Bears::kTraffic});
  return space;
}

bool AttentionFamily::legal(const OpContext& context, const Schedule& schedule) const {
  const AttentionPlan p = plan_attention(context, schedule);
  if (!fits_registers(context, p.score_mr, p.score_nv)) return false;
  if (!fits_registers(context, p.value_mr, p.value_nv)) return false;
  if (p.rows % (p.score_nv * p.facts.lanes) != 0) return false;
  // Results of a block of rows must lie within its scores.
  if (p.out_rows > p.rows) return false;
  if (schedule.at("direct") != 0 && !p.direct_key && !p.direct_value) return false;
  return p.scratch_elements() * 4 <= kAttentionScratch;
}

double AttentionFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const AttentionPlan p = plan_attention(context, schedule);
  const AttentionFacts& f = p.facts;
  const double threads = std::max(1, context.threads);
  const double rate = vector_rate(context, false, f.lanes);
  const int64_t row_vectors = p.rows / f.lanes;
  const auto vectors = static_cast<double>(row_vectors);
  const double depth = static_cast<double>(f.depth);
  const double packed =
      (p.direct_key ? 0.0 : depth) + (p.direct_value ? 0.0 : static_cast<double>(p.out_pitch));
  const double score_step = tile_step_seconds(p.score_mr, p.score_nv, rate),
               value_step = tile_step_seconds(p.value_mr, p.value_nv, rate);
  double walk = 0;  // over all blocks of rows of a batch element
  for (int64_t row = 0; row < f.rows; row += p.rows) {
    const int64_t count = std::min(p.rows, f.rows - row);
    const int64_t deep = p.keys_of(row);
    const double keys = static_cast<double>(deep);
    const double blocks = static_cast<double>(ceil_div(deep, p.keys));
    const double score_tiles =
        static_cast<double>(ceil_div(deep, p.score_mr) * ceil_div(count, p.score_nv * f.lanes));
    const int64_t out_tiles = p.out_pitch / (p.value_nv * f.lanes);
    const auto value_tiles = static_cast<double>(ceil_div(count, p.value_mr) * out_tiles);
    walk += score_tiles * (depth * score_step + tile_store_seconds(p.score_mr, p.score_nv, rate));
    walk += value_tiles *
            (keys * value_step + blocks * tile_store_seconds(p.value_mr, p.value_nv, rate));
    // Score, maximum, exponential, sum: operations on whole vectors.
    walk += keys * vectors * (34 + 2 * f.score_cost) / rate;
    walk += keys * static_cast<double>(count * f.strided_loads) * 0.6e-9;
    walk += blocks * vectors * 60 / rate;
    // Queries are transposed one by one, results scaled.
    walk +=
        static_cast<double>(count) *
        (depth * 0.4e-9 + static_cast<double>(f.columns) * (0.15 + 0.06 * f.finish_cost) * 1e-9);
    if (!p.whole) walk += keys * packed * 0.12e-9;
  }
  if (p.whole) walk += static_cast<double>(f.keys) * packed * 0.12e-9;
  const double points = static_cast<double>(f.batch * p.row_blocks);
  const double compute = std::ceil(points / threads) * walk / static_cast<double>(p.row_blocks);
  const double memory = context.bytes() / std::max(1e9, context.model.memory_bytes_per_s());
  return std::max(compute, memory) + 0.2 * memory + context.model.launch_s;
}

Status AttentionFamily::emit(const OpContext& context, const Schedule& schedule,
                             ProgramBuilder& builder) const {
  const AttentionPlan plan = plan_attention(context, schedule);
  AttentionEmitter(context, plan, builder).emit();
  return {};
}

}  // namespace kernelwright::expert
