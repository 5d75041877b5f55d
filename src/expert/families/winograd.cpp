// SPDX-License-Identifier: Apache-2.0
#include "expert/families/winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/emit_util.h"
#include "expert/families/contraction_plan.h"
#include "expert/families/register_tile.h"
#include "expert/families/winograd_plan.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Expr;

namespace {

constexpr int64_t kWinogradScratch = 24 << 20;  // bytes per worker

std::string scaled(double coefficient, const std::string& of, const std::string& suffix) {
  if (coefficient == 1) return of;
  return fmt::format("{}{} * {}", fmt::format("{:#.17g}", coefficient), suffix, of);
}

// sum over i of coefficients[i] * value(i)
template <class ValueAt>
std::string combination(const std::vector<double>& coefficients, ValueAt value,
                        const std::string& suffix) {
  std::string text;
  for (size_t i = 0; i < coefficients.size(); ++i) {
    const double c = coefficients[i];
    if (c == 0) continue;
    if (text.empty())
      text = c == -1 ? "-" + value(i) : scaled(c, value(i), suffix);
    else
      text += (c < 0 ? " - " : " + ") + scaled(std::abs(c), value(i), suffix);
  }
  return text;
}

// Statements that make matrix * X * matrix^T; `load(i, j)` is an element of X, `store(i, j, value)`
// a statement that keeps one of the result. `suffix` is that of literals.
template <class Load, class Store>
std::string both_sides(const Matrix& matrix, const std::string& type, const std::string& suffix,
                       int indent, Load load, Store store) {
  const size_t rows = matrix.size(), columns = matrix[0].size();
  std::string text;
  const auto half = [](size_t i, size_t j) { return fmt::format("h{}_{}", i, j); };
  for (size_t j = 0; j < columns; ++j) {
    for (size_t i = 0; i < columns; ++i)
      text += fmt::format("{}const {} x{}_{} = {};\n", pad(indent), type, i, j, load(i, j));
    for (size_t i = 0; i < rows; ++i) {
      text += fmt::format(
          "{}const {} {} = {};\n", pad(indent), type, half(i, j),
          combination(matrix[i], [&](size_t k) { return fmt::format("x{}_{}", k, j); }, suffix));
    }
  }
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < rows; ++j) {
      text +=
          pad(indent) +
          store(i, j, combination(matrix[j], [&](size_t k) { return half(i, k); }, suffix)) + "\n";
    }
  }
  return text;
}

// Additions and multiplications of both_sides().
double operations(const Matrix& matrix) {
  double terms = 0;
  for (const auto& row : matrix)
    terms += static_cast<double>(std::count_if(row.begin(), row.end(), [](double c) { return c; }));
  return terms * static_cast<double>(matrix.size() + matrix[0].size());
}

class WinogradEmitter {
 public:
  WinogradEmitter(const OpContext& context, const WinogradPlan& plan, ProgramBuilder& builder)
      : context_(context),
        p_(plan),
        c_(*plan.c),
        transforms_(filter_transforms(plan.tile)),
        builder_(builder),
        extents_(c_.nest.extents) {
    patch_extents_ = extents_;
    patch_extents_[static_cast<size_t>(p_.window.row)] = p_.height + kFilterSize - 1;
    patch_extents_[static_cast<size_t>(p_.window.column)] = p_.width + kFilterSize - 1;
  }

  void emit() {
    const std::string filters = transform_filters();
    KernelText kernel(builder_, "winograd_" + c_.nest.origin);
    const std::string product = kernel.name() + "_tile";
    vector_ = vector_type(product);
    kernel.helpers = register_tile_source(
        product, {Real::kF32, p_.lanes, p_.mr, p_.nv, 1, p_.mr, p_.pitch, p_.pitch});
    kernel.body = main_body(kernel, product, kernel.read_buffer(filters));
    kernel.scratch_bytes = p_.scratch_elements() * 4;
    // A range covers the output channels of a block, or it would be transformed again.
    const int64_t points = p_.row_blocks * p_.m_blocks;
    kernel.grain = std::min(p_.m_blocks, ceil_div(points, std::max(1, context_.threads)));
    kernel.launch(points);
  }

 private:
  std::string axis_name(int axis) const { return fmt::format("i{}", axis); }
  std::string decode(const std::string& variable, const std::vector<int>& axes, int indent) const {
    return decode_some(variable, extents_, axes, indent, "int64_t");
  }
  void bind(ExprPrinter& printer, const std::vector<int>& axes, int level) const {
    for (int axis : axes) printer.bind_axis(axis, axis_name(axis), level);
  }

  // Packed filters: [register tile][place][channel][mr].
  std::string transform_filters() {
    const std::string packed = builder_.add_buffer(program::BufferRole::kPacked, graph::DType::kF32,
                                                   {p_.m_tiles, p_.places(), p_.channels, p_.mr});
    KernelText kernel(builder_, "filters_" + c_.nest.origin);
    const std::string to = kernel.write_buffer(packed);
    ExprPrinter printer(Real::kF32, extents_, "g");
    bind_loads(context_, {c_.a}, kernel, printer);
    bind(printer, c_.m, 1);
    bind(printer, p_.window.channels, 2);
    bind(printer, {p_.window.window_row, p_.window.window_column}, 3);
    const std::string value = printer.print(c_.a);
    std::string& text = kernel.body;
    text = printer.take(0, 2);
    text += fmt::format(
        "  for (int64_t point = begin; point < end; ++point) {{\n    for (int64_t r = 0; r < {0}; "
        "++r) {{\n      float* __restrict to = {1} + point * {2} + r;\n      const int64_t m = "
        "point "
        "* {0} + r;\n      if (m >= {3}) {{\n        for (int64_t i = 0; i < {4}; ++i) to[i * {0}] "
        "= "
        "0;\n        continue;\n      }}\n",
        p_.mr, to, p_.places() * p_.channels * p_.mr, p_.m, p_.places() * p_.channels);
    text += decode("m", c_.m, 6) + printer.take(1, 6);
    text += fmt::format("      for (int64_t c = 0; c < {}; ++c) {{\n", p_.channels);
    text += decode("c", p_.window.channels, 8) + printer.take(2, 8);
    const std::string row = axis_name(p_.window.window_row),
                      column = axis_name(p_.window.window_column);
    text += fmt::format(
        "        double w[{0}][{0}];\n        for (int64_t {1} = 0; {1} < {0}; ++{1}) {{\n         "
        " "
        "for (int64_t {2} = 0; {2} < {0}; ++{2}) {{\n",
        kFilterSize, row, column);
    text +=
        printer.take(3, 12) +
        fmt::format("            w[{}][{}] = {};\n          }}\n        }}\n", row, column, value);
    // In f64, so that the only rounding is that of the result.
    text += both_sides(
        transforms_.filter, "double", "", 8,
        [](size_t i, size_t j) { return fmt::format("w[{}][{}]", i, j); },
        [&](size_t i, size_t j, const std::string& made) {
          return fmt::format("to[({} * {} + c) * {}] = (float)({});",
                             static_cast<int64_t>(i) * p_.patch + static_cast<int64_t>(j),
                             p_.channels, p_.mr, made);
        });
    text += "      }\n    }\n  }\n";
    kernel.launch_in_prepare(p_.m_tiles);
    return packed;
  }

  // The patches of tile row `row` of the block, transformed: `inputs` [place][channel][tile].
  std::string transform_inputs(KernelText& kernel, int indent) const {
    std::vector<Expr> axes;
    for (int a = 0; a < c_.nest.rank(); ++a) axes.push_back(graph::axis(a));
    axes[static_cast<size_t>(p_.window.window_row)] = graph::integer(0);
    axes[static_cast<size_t>(p_.window.window_column)] = graph::integer(0);
    // The factor slides: its value at a place of the patch is that of an output there at the first
    // place of the window, beyond the last output as well.
    const Expr pixel = graph::simplify_index(graph::substitute_axes(c_.b, axes), patch_extents_);
    ExprPrinter printer(Real::kF32, patch_extents_, "d");
    bind_loads(context_, {c_.b}, kernel, printer);
    bind(printer, p_.window.images, 1);
    bind(printer, p_.window.channels, 2);
    bind(printer, {p_.window.row}, 3);
    bind(printer, {p_.window.column}, 4);
    const std::string value = printer.print(pixel);
    const std::string y = axis_name(p_.window.row), x = axis_name(p_.window.column);
    const int64_t rows = p_.height + kFilterSize - 1, columns = p_.width + kFilterSize - 1;
    std::string text = printer.take(0, indent) + printer.take(1, indent);
    text += fmt::format("{}for (int64_t c = 0; c < {}; ++c) {{\n", pad(indent), p_.channels);
    text += decode("c", p_.window.channels, indent + 2) + printer.take(2, indent + 2);
    text += fmt::format(
        "{0}  for (int64_t i = 0; i < {1}; ++i) {{\n{0}    const int64_t {2} = row % {3} * {4} + "
        "i;\n{0}    if ({2} < {5}) {{\n",
        pad(indent), p_.patch, y, p_.tile_rows, p_.tile, rows);
    text += printer.take(3, indent + 6);
    text += fmt::format("#pragma GCC ivdep\n{0}for (int64_t {1} = 0; {1} < {2}; ++{1}) {{\n",
                        pad(indent + 6), x, columns);
    text += printer.take(4, indent + 8);
    text += fmt::format("{0}  line[{1}] = {2};\n{0}}}\n", pad(indent + 6), x, value);
    // Zeros where there is no input: what lies there must not reach the outputs as rounding or NaN.
    text += fmt::format(
        "{0}  for (int64_t l = {1}; l < {2}; ++l) line[l] = 0;\n{0}}} else {{\n{0}  for (int64_t l "
        "= 0; l < {2}; ++l) line[l] = 0;\n{0}}}\n",
        pad(indent + 4), columns, (p_.tile_columns + 1) * p_.tile);
    // Columns of one residue side by side, so that neighbouring tiles fill a vector.
    text += fmt::format("#pragma GCC ivdep\n{}for (int64_t q = 0; q <= {}; ++q) {{\n",
                        pad(indent + 4), p_.tile_columns);
    for (int64_t j = 0; j < p_.tile; ++j) {
      text += fmt::format("{0}phases[(i * {1} + {2}) * {3} + q] = line[q * {1} + {2}];\n",
                          pad(indent + 6), p_.tile, j, p_.phase);
    }
    text += pad(indent + 4) + "}\n" + pad(indent + 2) + "}\n";
    text += fmt::format(
        "{0}float* __restrict to = inputs + c * {1} + (row - r0) * {2};\n{0}for (int64_t q = 0; q "
        "< "
        "{2}; q += {3}) {{\n",
        pad(indent + 2), p_.pitch, p_.tile_columns, p_.lanes);
    text += both_sides(
        transforms_.input, vector_, "f", indent + 4,
        [&](size_t i, size_t j) {
          const int64_t column = static_cast<int64_t>(j);
          return fmt::format(
              "*(const {}*)(phases + {} + q)", vector_,
              (static_cast<int64_t>(i) * p_.tile + column % p_.tile) * p_.phase + column / p_.tile);
        },
        [&](size_t i, size_t j, const std::string& made) {
          return fmt::format(
              "*({}*)(to + {} + q) = {};", vector_,
              (static_cast<int64_t>(i) * p_.patch + static_cast<int64_t>(j)) * p_.plane, made);
        });
    return text + pad(indent + 2) + "}\n" + pad(indent) + "}\n";
  }

  std::string main_body(KernelText& kernel, const std::string& product,
                        const std::string& filters) {
    std::string text = "  float* __restrict inputs = (float*)kw->scratch;\n";
    text += fmt::format(
        "  float* __restrict products = inputs + {};\n  float* __restrict phases = products + {};\n"
        "  float* __restrict line = phases + {};\n",
        p_.input_elements(), p_.product_elements(), p_.phase_elements());
    text += fmt::format(
        "  int64_t held = -1;\n  for (int64_t point = begin; point < end; ++point) {{\n    const "
        "int64_t mb = point % {0}, block = point / {0};\n",
        p_.m_blocks);
    text +=
        fmt::format("    const int64_t r0 = block * {0}, r1 = r0 + {0} < {1} ? r0 + {0} : {1};\n",
                    p_.rows, p_.all_rows);
    text += fmt::format("    const int64_t u0 = mb * {0}, u1 = u0 + {0} < {1} ? u0 + {0} : {1};\n",
                        p_.block_m, p_.m_tiles);
    text +=
        "    if (held != block) {\n      held = block;\n"
        "      for (int64_t row = r0; row < r1; ++row) {\n";
    text += decode(fmt::format("row / {}", p_.tile_rows), p_.window.images, 8);
    text += transform_inputs(kernel, 8) + "      }\n    }\n";
    text += fmt::format(
        "    const int64_t wide = (r1 - r0) * {};\n    for (int64_t u = u0; u < u1; ++u) {{\n",
        p_.tile_columns);
    text += fmt::format(
        "      for (int64_t place = 0; place < {0}; ++place) {{\n        for (int64_t k0 = 0; k0 < "
        "{1}; k0 += {2}) {{\n          const int64_t depth = k0 + {2} < {1} ? {2} : {1} - k0;\n"
        "          for (int64_t t = 0; t < wide; t += {3})\n            {4}({5} + ((u * {0} + "
        "place) "
        "* {1} + k0) * {6}, inputs + place * {7} + k0 * {8} + t, products + place * {9} + t, "
        "depth, "
        "k0 == 0);\n        }}\n      }}\n",
        p_.places(), p_.channels, p_.kc, p_.nr, product, filters, p_.mr, p_.plane, p_.pitch,
        p_.mr * p_.pitch);
    text += fmt::format(
        "      const int64_t m1 = (u + 1) * {0} < {1} ? (u + 1) * {0} : {1};\n      for (int64_t "
        "row "
        "= r0; row < r1; ++row) {{\n",
        p_.mr, p_.m);
    text += decode(fmt::format("row / {}", p_.tile_rows), p_.window.images, 8);
    return text + finish(kernel) + "      }\n    }\n  }\n";
  }

  // The outputs of register tile `u` in tile row `row`: inverse transform, then the finish.
  std::string finish(KernelText& kernel) const {
    ExprPrinter printer(Real::kF32, extents_, "f");
    bind_loads(context_, {c_.nest.finish}, kernel, printer);
    bind(printer, p_.window.images, 1);
    bind(printer, c_.m, 2);
    bind(printer, {p_.window.row}, 3);
    bind(printer, {p_.window.column}, 4);
    const graph::DType stored = context_.type(c_.nest.output).dtype;
    const std::string out = kernel.write(c_.nest.output);
    std::string value = "acc";
    graph::ScalarKind kind = graph::ScalarKind::kReal;
    if (c_.nest.finish) {
      printer.bind_reduced("acc", 4);
      value = printer.print(c_.nest.finish);
      kind = c_.nest.finish->kind;
    }
    const std::string at = printer.print(c_.nest.store);
    const std::string y = axis_name(p_.window.row), x = axis_name(p_.window.column);
    std::string text = printer.take(0, 8) + printer.take(1, 8);
    text += fmt::format("        for (int64_t m = u * {}; m < m1; ++m) {{\n", p_.mr);
    text += decode("m", c_.m, 10) + printer.take(2, 10);
    text += fmt::format(
        "          const float* __restrict from = products + (m - u * {}) * {} + (row - r0) * {};\n"
        "          for (int64_t q = 0; q < {}; q += {}) {{\n",
        p_.mr, p_.pitch, p_.tile_columns, p_.tile_columns, p_.lanes);
    text += both_sides(
        transforms_.output, vector_, "f", 12,
        [&](size_t i, size_t j) {
          return fmt::format(
              "*(const {}*)(from + {} + q)", vector_,
              (static_cast<int64_t>(i) * p_.patch + static_cast<int64_t>(j)) * p_.mr * p_.pitch);
        },
        [&](size_t i, size_t j, const std::string& made) {
          return fmt::format(
              "*({}*)(phases + {} + q) = {};", vector_,
              (static_cast<int64_t>(i) * p_.tile + static_cast<int64_t>(j)) * p_.phase, made);
        });
    text += "          }\n";
    text += fmt::format(
        "          for (int64_t i = 0; i < {0}; ++i) {{\n            const int64_t {1} = row % {2} "
        "* "
        "{0} + i;\n            if ({1} >= {3}) break;\n",
        p_.tile, y, p_.tile_rows, p_.height);
    text += fmt::format("#pragma GCC ivdep\n            for (int64_t q = 0; q < {}; ++q) {{\n",
                        p_.tile_columns);
    for (int64_t j = 0; j < p_.tile; ++j) {
      text +=
          fmt::format("              line[q * {0} + {1}] = phases[(i * {0} + {1}) * {2} + q];\n",
                      p_.tile, j, p_.phase);
    }
    text += "            }\n" + printer.take(3, 12);
    text += fmt::format(
        "#pragma GCC ivdep\n            for (int64_t {0} = 0; {0} < {1}; ++{0}) {{\n              "
        "const float acc = line[{0}];\n",
        x, p_.width);
    text += printer.take(4, 14);
    text += fmt::format("              {}[{}] = {};\n            }}\n          }}\n        }}\n",
                        out, at, code::to_stored(value, stored, kind));
    return text;
  }

  const OpContext& context_;
  const WinogradPlan& p_;
  const rewrite::Contraction& c_;
  const FilterTransforms transforms_;
  ProgramBuilder& builder_;
  const std::vector<int64_t>& extents_;
  std::vector<int64_t> patch_extents_;  // with the sliding axes over the whole input
  std::string vector_;
};

// Bytes per second at which a worker reads what it holds in `bytes`.
double read_rate(const target::MachineModel& model, double bytes) {
  const double threads = std::max(1, model.threads);
  for (const auto& level : model.levels) {
    if (level.bytes == 0 || static_cast<double>(level.bytes) / threads >= bytes)
      return std::max(1e9, level.read_bytes_per_s / threads);
  }
  return 1e10;
}

}  // namespace

bool WinogradFamily::accepts(const OpContext& context) const {
  return winograd_window(context).has_value();
}

ScheduleSpace WinogradFamily::space(const OpContext& context) const {
  const ContractionFacts& f = contraction_facts(context);
  const rewrite::SlidingWindow window = *winograd_window(context);
  const rewrite::Contraction& c = *context.contraction();
  const auto extent = [&](int axis) { return c.nest.extents[static_cast<size_t>(axis)]; };
  const int64_t channels = c.extent(window.channels);
  std::vector<int64_t> mr, nv, rows, kc, cuts;
  for (int64_t r : {4, 6, 8, 12, 14}) {
    if (mr.empty() || mr.back() < f.m) mr.push_back(r);
  }
  const int64_t most = ceil_div(extent(window.row), 2) * c.extent(window.images);
  for (int64_t r : {1, 2, 3, 4, 6, 7, 8, 14, 16, 28}) {
    if (r == 1 || r <= most) rows.push_back(r);
  }
  for (int64_t depth : {128, 256}) {
    if (depth < channels) kc.push_back(depth);
  }
  if (channels <= 256) kc.push_back(0);
  for (int64_t cut = 1; cut <= ceil_div(f.m, mr.back()) && cut <= 16; cut *= 2) cuts.push_back(cut);
  ScheduleSpace space;
  // Tiles of 4 are left out: their filters take thirds, so that whole numbers do not give whole
  // numbers, and their error is above what fp32 is allowed (docs/adding-a-family.md).
  space.push_back({"tile", {2}, 2});
  space.push_back({"rows", rows, rows.back(), Bears::kTraffic});
  space.push_back({"mr", mr, mr.back(), Bears::kArithmetic});
  space.push_back({"nv", {1, 2, 3, 4}, 2, Bears::kArithmetic});
  space.push_back({"kc", kc, kc.back(), Bears::kTraffic});
  space.push_back({"mblocks", cuts, 1, Bears::kTraffic});
  return space;
}

bool WinogradFamily::legal(const OpContext& context, const Schedule& schedule) const {
  const WinogradPlan p = plan_winograd(context, schedule);
  if (!fits_registers(context, p.mr, p.nv)) return false;
  // A register tile beyond the block's tiles, and rows that there are not, are other schedules.
  if (p.nv > 1 && (p.nv - 1) * p.lanes >= p.rows * p.tile_columns) return false;
  if (p.rows != schedule.at("rows")) return false;
  return p.scratch_elements() * 4 <= kWinogradScratch;
}

double WinogradFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const WinogradPlan p = plan_winograd(context, schedule);
  const FilterTransforms transforms = filter_transforms(p.tile);
  const ContractionFacts& facts = contraction_facts(context);
  const double threads = std::max(1, context.threads);
  const double rate = vector_rate(context, false, p.lanes);
  const double places = static_cast<double>(p.places());
  const double channels = static_cast<double>(p.channels), u = static_cast<double>(p.block_m);
  const double rows = static_cast<double>(p.rows);
  // Products: arithmetic, or reading both operands from where they lie.
  const double slices = static_cast<double>(ceil_div(p.channels, p.kc));
  const double multiply = u * places * static_cast<double>(p.panels()) *
                          (channels * tile_step_seconds(p.mr, p.nv, rate) +
                           slices * tile_store_seconds(p.mr, p.nv, rate));
  const double input_bytes = places * static_cast<double>(p.plane) * 4;
  const double filter_bytes = places * channels * u * static_cast<double>(p.mr) * 4;
  const double read = u * input_bytes / read_rate(context.model, input_bytes) +
                      filter_bytes / read_rate(context.model, filter_bytes + input_bytes);
  // Transforms: arithmetic on whole vectors, loads and stores beside it; rows copied on the way.
  const double vectors = static_cast<double>(ceil_div(p.tile_columns, p.lanes));
  const double copy = 0.1e-9 * 16.0 / static_cast<double>(p.lanes);
  const double in =
      rows * channels *
      (vectors * (operations(transforms.input) + 3 * places) / rate +
       static_cast<double>(p.patch * (p.width + 2)) * 2 * (copy + 0.05e-9 * facts.b_cost));
  const double out =
      rows * u * static_cast<double>(p.mr) *
      (vectors * (operations(transforms.output) + 2 * places) / rate +
       static_cast<double>(p.tile * p.width) *
           (copy + (0.1 + 0.06 * facts.finish_cost) * 1e-9 * 16.0 / static_cast<double>(p.lanes)));
  const double points = static_cast<double>(p.row_blocks * p.m_blocks);
  // Points of one range share the transformed inputs.
  const double shared =
      std::max(1.0, std::min(static_cast<double>(p.m_blocks), std::floor(points / threads)));
  const double block =
      std::max(multiply, read) + 0.25 * std::min(multiply, read) + in / shared + out;
  const double compute = std::ceil(points / threads) * block;
  const double all_filters = filter_bytes * static_cast<double>(p.m_blocks);
  const double memory =
      (context.bytes() + all_filters) / std::max(1e9, context.model.memory_bytes_per_s());
  return std::max(compute, memory) + 0.2 * memory + context.model.launch_s;
}

Status WinogradFamily::emit(const OpContext& context, const Schedule& schedule,
                            ProgramBuilder& builder) const {
  const WinogradPlan plan = plan_winograd(context, schedule);
  WinogradEmitter(context, plan, builder).emit();
  return {};
}

}  // namespace kernelwright::expert
