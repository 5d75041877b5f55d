// SPDX-License-Identifier: Apache-2.0
#include "expert/families/contraction_emitter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/emit_util.h"
#include "expert/families/register_tile.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Expr;
using rewrite::Contraction;

namespace {

constexpr double kCostlyFinish = 6;  // a bias and a clamp are made as well while storing

// Emits one contraction; holds what its parts share.
class ContractionEmitter {
 public:
  ContractionEmitter(const OpContext& context, const ContractionPlan& plan, ProgramBuilder& builder)
      : context_(context),
        p_(plan),
        c_(*plan.c),
        builder_(builder),
        real_(plan.wide ? Real::kF64 : Real::kF32),
        type_(code::real_type(real_)),
        panel_(plan.pairs ? code::c_type(graph::DType::kBF16) : type_),
        extents_(c_.nest.extents) {}

  void emit() {
    if (p_.weight_a) packed_a_ = pack_in_prepare(true);
    if (p_.weight_b) packed_b_ = pack_in_prepare(false);
    KernelText kernel(builder_, "contract_" + c_.nest.origin);
    const std::string micro = kernel.name() + "_tile";
    kernel.helpers = micro_kernel(micro);
    kernel.body = main_body(kernel, micro);
    kernel.scratch_bytes = p_.scratch_bytes();
    // A range covers the points that share a packed block, or it would be packed again for each.
    const int64_t points = p_.batch * p_.m_blocks * p_.n_blocks;
    const int64_t sharing = p_.n_fastest ? (p_.a_elements() > 0 ? p_.n_blocks : 1)
                                         : (p_.b_elements() > 0 ? p_.m_blocks : 1);
    kernel.grain = std::min(sharing, ceil_div(points, std::max(1, context_.threads)));
    kernel.launch(points);
  }

 private:
  std::string axis_name(int axis) const { return fmt::format("i{}", axis); }

  std::string decode(const std::string& variable, const std::vector<int>& axes, int indent) const {
    return decode_some(variable, extents_, axes, indent, "int64_t");
  }

  std::string micro_kernel(const std::string& name) const {
    RegisterTile tile{real_, p_.lanes, p_.mr, p_.nv, 1, p_.mr, p_.nr, p_.block_n * p_.nr};
    if (p_.direct_a) {
      tile.row_a = p_.facts->direct_a->row_stride;
      tile.step_a = p_.facts->direct_a->k_stride;
    }
    if (p_.direct_b) tile.step_b = p_.facts->direct_b->k_stride;
    tile.pairs = p_.pairs;
    tile.table = p_.sliding != nullptr;
    return register_tile_source(name, tile);
  }

  // Loops over the k axes round `inside`, which is given the indentation. Levels of the axes start
  // at `level`.
  template <class Inside>
  std::string k_loops(ExprPrinter& printer, int level, int indent, Inside inside) const {
    std::string text;
    for (size_t j = 0; j < c_.k.size(); ++j) {
      text += fmt::format("{0}for (int64_t {1} = 0; {1} < {2}; ++{1}) {{\n", pad(indent),
                          axis_name(c_.k[j]), extents_[static_cast<size_t>(c_.k[j])]);
      indent += 2;
      text += printer.take(level + static_cast<int>(j), indent);
    }
    text += inside(indent);
    for (size_t j = 0; j < c_.k.size(); ++j) text += pad(indent -= 2) + "}\n";
    return text;
  }

  Expr flat_k() const {
    Expr flat = graph::integer(0);
    for (int axis : c_.k)
      flat = flat * graph::integer(extents_[static_cast<size_t>(axis)]) + graph::axis(axis);
    return flat;
  }

  void bind_k(ExprPrinter& printer, int level) const {
    for (size_t j = 0; j < c_.k.size(); ++j)
      printer.bind_axis(c_.k[j], axis_name(c_.k[j]), level + static_cast<int>(j));
  }

  // Where a panel of `width` has its element of k `kk` and place `at`, and what is put there.
  std::string packed_at(const std::string& kk, int64_t width, const std::string& at) const {
    return p_.pairs ? fmt::format("(({0}) / 2 * {1} + {2}) * 2 + ({0}) % 2", kk, width, at)
                    : fmt::format("({}) * {} + {}", kk, width, at);
  }
  std::string packed_value(const std::string& value) const {
    return p_.pairs ? code::to_stored(value, graph::DType::kBF16, graph::ScalarKind::kReal) : value;
  }
  // The last k of an odd number meets zero in both panels: what else lies there might be no number.
  std::string pad_panel(int64_t width, int indent) const {
    if (p_.packed_k == p_.k) return "";
    return fmt::format("{}for (int64_t l = 0; l < {}; ++l) panel[({} + l) * 2 + 1] = 0;\n",
                       pad(indent), width, p_.k / 2 * width);
  }

  // Fills the panel of A's tile `t` at `panel`. Batch axes are in scope.
  std::string pack_a_tile(KernelText& kernel, int indent) const {
    if (p_.facts->a_contiguous) return pack_a_rows(kernel, indent);
    ExprPrinter printer(real_, extents_, "pa");
    bind_loads(context_, {c_.a}, kernel, printer);
    for (int axis : c_.batch) printer.bind_axis(axis, axis_name(axis), 1);
    for (int axis : c_.m) printer.bind_axis(axis, axis_name(axis), 2);
    for (int axis : c_.n) printer.bind_axis(axis, "0", 0);
    bind_k(printer, 3);
    const std::string value = printer.print(c_.a);
    const std::string kk = printer.print(flat_k());
    std::string text = printer.take(0, indent) + printer.take(1, indent) + pad_panel(p_.mr, indent);
    text += fmt::format(
        "{0}for (int64_t r = 0; r < {1}; ++r) {{\n{0}  const int64_t m = t * {1} + r;\n{0}  if (m "
        ">= {2}) break;\n",
        pad(indent), p_.mr, p_.m);
    text += decode("m", c_.m, indent + 2) + printer.take(2, indent + 2);
    text += k_loops(printer, 3, indent + 2, [&](int inner) {
      return fmt::format("{}panel[{}] = {};\n", pad(inner), packed_at(kk, p_.mr, "r"),
                         packed_value(value));
    });
    return text + pad(indent) + "}\n";
  }

  // The same where neighbouring rows are neighbours in memory.
  std::string pack_a_rows(KernelText& kernel, int indent) const {
    ExprPrinter printer(real_, extents_, "pa");
    bind_loads(context_, {c_.a}, kernel, printer);
    for (int axis : c_.batch) printer.bind_axis(axis, axis_name(axis), 1);
    const int row_level = 3 + static_cast<int>(c_.k.size());
    printer.bind_axis(c_.m[0], axis_name(c_.m[0]), row_level);
    for (int axis : c_.n) printer.bind_axis(axis, "0", 0);
    bind_k(printer, 3);
    const std::string value = printer.print(c_.a);
    const std::string kk = printer.print(flat_k());
    std::string text = printer.take(0, indent) + printer.take(1, indent) + pad_panel(p_.mr, indent);
    text += fmt::format("{0}const int64_t live = {1} - t * {2} < {2} ? {1} - t * {2} : {2};\n",
                        pad(indent), p_.m, p_.mr);
    return text + k_loops(printer, 3, indent, [&](int in) {
             return fmt::format(
                 "#pragma GCC ivdep\n{0}for (int64_t r = 0; r < live; ++r) {{\n{0}  const int64_t "
                 "{1} "
                 "= t * {2} + r;\n{3}{0}  panel[{4}] = {5};\n{0}}}\n",
                 pad(in), axis_name(c_.m[0]), p_.mr, printer.take(row_level, in + 2),
                 packed_at(kk, p_.mr, "r"), packed_value(value));
           });
  }

  // Walks the columns of tiles [t0, t1): runs along the innermost N axis that start at column `at`
  // (relative to t0) with `run` elements, from index `base` of that axis. `tile_only`: runs end
  // with their tile.
  template <class Inside>
  std::string column_runs(bool tile_only, int indent, Inside inside) const {
    const std::vector<int> outer(c_.n.begin(), c_.n.empty() ? c_.n.end() : c_.n.end() - 1);
    if (p_.sliding) return place_runs(indent, inside);
    std::string text;
    if (p_.flat) {
      text += fmt::format(
          "{0}const int64_t n1 = t1 * {1} < {2} ? t1 * {1} : {2};\n{0}for (int64_t n = t0 * {1}, "
          "run; n < n1; n += run) {{\n",
          pad(indent), p_.nr, p_.n);
      text += fmt::format(
          "{0}  const int64_t base = n % {1};\n{0}  run = {1} - base < n1 - n ? {1} - base : n1 - "
          "n;\n",
          pad(indent), p_.inner);
      if (tile_only)
        text +=
            fmt::format("{0}  if (run > {1} - n % {1}) run = {1} - n % {1};\n", pad(indent), p_.nr);
      text += fmt::format("{0}  const int64_t at = n - t0 * {1}; (void)at;\n", pad(indent), p_.nr);
      text += decode(fmt::format("n / {}", p_.inner), outer, indent + 2);
    } else {
      text += fmt::format(
          "{0}for (int64_t s = t0; s < t1; ++s) {{\n{0}  const int64_t base = s % {1} * {2};\n",
          pad(indent), p_.inner_tiles, p_.nr);
      text += fmt::format(
          "{0}  const int64_t run = {1} - base < {2} ? {1} - base : {2};\n{0}  const int64_t at = "
          "(s - t0) * {2}; (void)at;\n",
          pad(indent), p_.inner, p_.nr);
      text += decode(fmt::format("s / {}", p_.inner_tiles), outer, indent + 2);
    }
    return text + inside(indent + 2) + pad(indent) + "}\n";
  }

  // The image of tile `tile` (its axes come into scope) and the first place that its vectors hold:
  // the last tile of an image ends with it.
  std::string image_of(const std::string& tile, int indent) const {
    const int64_t last = p_.sliding->places - p_.nr;
    return decode(fmt::format("{} / {}", tile, p_.inner_tiles), p_.sliding->images, indent) +
           fmt::format(
               "{0}const int64_t wanted = {1} % {2} * {3}, place0 = wanted < {4} ? wanted : {4};\n",
               pad(indent), tile, p_.inner_tiles, p_.nr, last);
  }

  // The same for a sliding B: runs of places that are columns of the output.
  template <class Inside>
  std::string place_runs(int indent, Inside inside) const {
    const Sliding& s = *p_.sliding;
    std::string text = fmt::format("{}for (int64_t s = t0; s < t1; ++s) {{\n", pad(indent));
    text += image_of("s", indent + 2);
    text += fmt::format(
        "{0}  for (int64_t place = wanted, run; place < place0 + {1}; place += run) {{\n"
        "{0}    int64_t rest = place;\n",
        pad(indent), p_.nr);
    // Behind the end of a row the next place of use is where the row outside of it begins anew.
    for (size_t j = 0; j + 1 < s.moving.size(); ++j) {
      text += fmt::format("{0}    const int64_t i{1} = rest / {2}; rest %= {2}; (void)i{1};\n",
                          pad(indent), s.moving[j], s.pitch[j]);
      const int64_t next = extents_[static_cast<size_t>(s.moving[j + 1])] * s.pitch[j + 1];
      text += fmt::format("{0}    run = {1} - rest;\n{0}    if (rest >= {2}) continue;\n",
                          pad(indent), s.pitch[j], next);
    }
    const int64_t columns = extents_[static_cast<size_t>(s.moving.back())];
    text += fmt::format(
        "{0}    const int64_t base = rest, left = place0 + {1} - place;\n"
        "{0}    run = {2} - base < left ? {2} - base : left;\n"
        "{0}    const int64_t at = (s - t0) * {1} + place - place0; (void)at;\n",
        pad(indent), p_.nr, columns);
    return text + inside(indent + 4) + pad(indent) + "  }\n" + pad(indent) + "}\n";
  }

  void bind_n(ExprPrinter& printer, int outer_level, int inner_level) const {
    for (size_t j = 0; j < c_.n.size(); ++j) {
      printer.bind_axis(c_.n[j], axis_name(c_.n[j]),
                        j + 1 == c_.n.size() ? inner_level : outer_level);
    }
  }

  // A loop over `run` lanes, of constant length where the run fills a tile.
  std::string lane_loop(const std::string& inside, int indent, bool full_tiles) const {
    auto loop = [&](const std::string& count, int by) {
      std::string text =
          fmt::format("#pragma GCC ivdep\n{}for (int64_t l = 0; l < {}; ++l) {{\n", pad(by), count);
      if (!c_.n.empty())
        text += fmt::format("{0}  const int64_t {1} = base + l; (void){1};\n", pad(by),
                            axis_name(c_.n.back()));
      return text + inside + pad(by) + "}\n";
    };
    if (!full_tiles) return loop("run", indent);
    return fmt::format("{}if (run == {}) {{\n", pad(indent), p_.nr) +
           loop(std::to_string(p_.nr), indent + 2) + pad(indent) + "} else {\n" +
           loop("run", indent + 2) + pad(indent) + "}\n";
  }

  // Fills the panel of B's tile `t` at `panel`.
  std::string pack_b_tile(KernelText& kernel, int indent) const {
    ExprPrinter printer(real_, extents_, "pb");
    bind_loads(context_, {c_.b}, kernel, printer);
    for (int axis : c_.batch) printer.bind_axis(axis, axis_name(axis), 1);
    for (int axis : c_.m) printer.bind_axis(axis, "0", 0);
    const int lane_level = 3 + static_cast<int>(c_.k.size());
    bind_n(printer, 2, lane_level);
    bind_k(printer, 3);
    const std::string value = printer.print(c_.b);
    const std::string kk = printer.print(flat_k());
    std::string text = printer.take(0, indent) + printer.take(1, indent) + pad_panel(p_.nr, indent);
    text += fmt::format("{}const int64_t t0 = t, t1 = t + 1;\n", pad(indent));
    text += column_runs(true, indent, [&](int in) {
      return printer.take(2, in) + k_loops(printer, 3, in, [&](int inner) {
               std::string row = fmt::format("{}{}* __restrict to = panel + {};\n", pad(inner),
                                             panel_, packed_at(kk, p_.nr, "at"));
               const std::string body = printer.take(lane_level, inner + 4) +
                                        fmt::format("{}to[{}] = {};\n", pad(inner + 4),
                                                    p_.pairs ? "2 * l" : "l", packed_value(value));
               return row + lane_loop(body, inner, true);
             });
    });
    return text;
  }

  std::string pack_in_prepare(bool side_a) {
    const int64_t tiles = side_a ? p_.m_tiles : p_.n_tiles;
    const int64_t width = side_a ? p_.mr : p_.nr;
    const bool batched = uses_batch(side_a ? c_.a : c_.b);
    const int64_t batch = batched ? p_.batch : 1;
    const std::string packed = builder_.add_buffer(program::BufferRole::kPacked,
                                                   p_.pairs  ? graph::DType::kBF16
                                                   : p_.wide ? graph::DType::kF64
                                                             : graph::DType::kF32,
                                                   {batch, tiles, p_.packed_k, width});
    KernelText kernel(builder_, std::string(side_a ? "pack_a_" : "pack_b_") + c_.nest.origin);
    const std::string to = kernel.write_buffer(packed);
    kernel.body = fmt::format(
        "  for (int64_t point = begin; point < end; ++point) {{\n    const int64_t t = point % "
        "{};\n",
        tiles);
    kernel.body += decode(fmt::format("point / {}", tiles), c_.batch, 4);
    kernel.body += fmt::format("    {}* __restrict panel = {} + point * {};\n", panel_, to,
                               p_.packed_k * width);
    kernel.body += (side_a ? pack_a_tile(kernel, 4) : pack_b_tile(kernel, 4)) + "  }\n";
    kernel.launch_in_prepare(batch * tiles);
    return packed;
  }

  bool uses_batch(const Expr& operand) const {
    const auto used = rewrite::axes_used(operand, c_.nest.rank());
    return std::any_of(c_.batch.begin(), c_.batch.end(),
                       [&](int axis) { return used[static_cast<size_t>(axis)]; });
  }

  // Address of an operand that is read where it lies, at row 0 of block and k 0.
  std::string direct_base(KernelText& kernel, bool side_a, const std::string& row, int indent,
                          std::string& text) const {
    const Expr& operand = side_a ? c_.a : c_.b;
    std::vector<Expr> axes;
    for (int a = 0; a < c_.nest.rank(); ++a) axes.push_back(graph::axis(a));
    for (int axis : c_.m) axes[static_cast<size_t>(axis)] = graph::integer(0);
    for (int axis : c_.n) axes[static_cast<size_t>(axis)] = graph::integer(0);
    for (int axis : c_.k) axes[static_cast<size_t>(axis)] = graph::integer(0);
    ExprPrinter printer(real_, extents_, side_a ? "da" : "db");
    for (int axis : c_.batch) printer.bind_axis(axis, axis_name(axis), 1);
    const std::string base = printer.print(
        graph::simplify_index(graph::substitute_axes(operand->operands[0], axes), extents_));
    text += printer.take(0, indent) + printer.take(1, indent);
    const DirectOperand& direct = side_a ? *p_.facts->direct_a : *p_.facts->direct_b;
    return fmt::format("{} + {} + ({}) * {}", kernel.read(direct.tensor), base, row,
                       direct.row_stride);
  }

  // Where the vectors of tile t begin, in a sliding B.
  std::string tile_base(KernelText& kernel) const {
    std::vector<Expr> axes;
    for (int a = 0; a < c_.nest.rank(); ++a) axes.push_back(graph::axis(a));
    for (const auto* zero : {&c_.m, &c_.k, &p_.sliding->moving})
      for (int axis : *zero) axes[static_cast<size_t>(axis)] = graph::integer(0);
    ExprPrinter printer(real_, extents_, "sb");
    for (const auto* kept : {&c_.batch, &p_.sliding->images})
      for (int axis : *kept) printer.bind_axis(axis, axis_name(axis), 1);
    const std::string base = printer.print(
        graph::simplify_index(graph::substitute_axes(c_.b->operands[0], axes), extents_));
    return image_of("t", 8) + printer.take(0, 8) + printer.take(1, 8) +
           fmt::format("        const {}* __restrict b0 = {} + {} + place0;\n", type_,
                       kernel.read(p_.sliding->tensor), base);
  }

  std::string main_body(KernelText& kernel, const std::string& micro) {
    std::string text;
    const int64_t a_panel = p_.packed_k * p_.mr, b_panel = p_.packed_k * p_.nr;
    text += "  char* const scratch = (char*)kw->scratch;\n";
    if (p_.a_elements() > 0)
      text += fmt::format("  {0}* __restrict pack_a = ({0}*)scratch;\n  int64_t held_a = -1;\n",
                          panel_);
    if (p_.b_elements() > 0)
      text +=
          fmt::format("  {0}* __restrict pack_b = ({0}*)(scratch + {1});\n  int64_t held_b = -1;\n",
                      panel_, p_.a_bytes());
    text += fmt::format("  {0}* __restrict tile = ({0}*)(scratch + {1});\n", type_,
                        p_.a_bytes() + p_.b_bytes());
    text += "  for (int64_t point = begin; point < end; ++point) {\n";
    const int64_t blocks = p_.m_blocks * p_.n_blocks;
    text += fmt::format("    const int64_t batch = point / {};\n", blocks);
    if (p_.n_fastest) {
      text += fmt::format("    const int64_t nb = point % {0}, mb = point / {0} % {1};\n",
                          p_.n_blocks, p_.m_blocks);
    } else {
      text += fmt::format("    const int64_t mb = point % {0}, nb = point / {0} % {1};\n",
                          p_.m_blocks, p_.n_blocks);
    }
    text += decode("batch", c_.batch, 4);
    text += fmt::format("    const int64_t u0 = mb * {0}, u1 = u0 + {0} < {1} ? u0 + {0} : {1};\n",
                        p_.block_m, p_.m_tiles);
    text += fmt::format("    const int64_t t0 = nb * {0}, t1 = t0 + {0} < {1} ? t0 + {0} : {1};\n",
                        p_.block_n, p_.n_tiles);
    // Operands: where the panels of this block start.
    if (p_.direct_a) {
      const std::string base = direct_base(kernel, true, fmt::format("u0 * {}", p_.mr), 4, text);
      text += fmt::format("    const {}* __restrict a0 = {};\n", type_, base);
    } else if (p_.weight_a) {
      const std::string index =
          uses_batch(c_.a) ? fmt::format("(batch * {} + u0)", p_.m_tiles) : "u0";
      text += fmt::format("    const {}* __restrict a0 = {} + {} * {};\n", panel_,
                          kernel.read_buffer(packed_a_), index, a_panel);
    } else {
      text +=
          fmt::format("    if (held_a != batch * {0} + mb) {{\n      held_a = batch * {0} + mb;\n",
                      p_.m_blocks);
      text += fmt::format(
          "      for (int64_t t = u0; t < u1; ++t) {{\n        {}* __restrict panel = pack_a + (t "
          "- u0) * {};\n",
          panel_, a_panel);
      text += pack_a_tile(kernel, 8) + "      }\n    }\n";
      text += fmt::format("    const {}* __restrict a0 = pack_a;\n", panel_);
    }
    if (p_.sliding) {
      kernel.helpers += fmt::format("static const int {}_offsets[] = {{{}}};\n", kernel.name(),
                                    fmt::join(p_.sliding->offsets, ", "));
    } else if (p_.direct_b) {
      const std::string base = direct_base(kernel, false, fmt::format("t0 * {}", p_.nr), 4, text);
      text += fmt::format("    const {}* __restrict b0 = {};\n", type_, base);
    } else if (p_.weight_b) {
      const std::string index =
          uses_batch(c_.b) ? fmt::format("(batch * {} + t0)", p_.n_tiles) : "t0";
      text += fmt::format("    const {}* __restrict b0 = {} + {} * {};\n", panel_,
                          kernel.read_buffer(packed_b_), index, b_panel);
    } else {
      text += fmt::format(
          "    if (held_b != batch * {0} + nb) {{\n      held_b = batch * {0} + nb;\n      const "
          "int64_t first_tile = t0, last_tile = t1;\n",
          p_.n_blocks);
      text += fmt::format(
          "      for (int64_t t = first_tile; t < last_tile; ++t) {{\n        {}* __restrict panel "
          "= pack_b + (t - first_tile) * {};\n",
          panel_, b_panel);
      text += pack_b_tile(kernel, 8) + "      }\n    }\n";
      text += fmt::format("    const {}* __restrict b0 = pack_b;\n", panel_);
    }
    const int64_t a_tile = p_.direct_a ? p_.facts->direct_a->row_stride * p_.mr : a_panel;
    const int64_t a_step = p_.direct_a ? p_.facts->direct_a->k_stride : p_.mr;
    const int64_t b_tile = p_.direct_b ? p_.nr : b_panel;
    const int64_t b_step = p_.direct_b ? p_.facts->direct_b->k_stride : p_.nr;
    const std::string tile =
        fmt::format("tile + (u - u0) * {} + (t - t0) * {}", p_.mr * p_.block_n * p_.nr, p_.nr);
    auto call = [&](const std::string& k0, const std::string& depth, const std::string& fresh) {
      if (p_.sliding)
        return fmt::format(
            "{0}(a0 + (u - u0) * {2} + {1} * {3}, b0, {4}, {5}, {6}, {7}_offsets + {1});\n", micro,
            k0, a_tile, a_step, tile, depth, fresh, kernel.name());
      return fmt::format(
          "{0}(a0 + (u - u0) * {2} + {1} * {3}, b0 + (t - t0) * {4} + {1} * {5}, "
          "{6}, {7}, {8});\n",
          micro, k0, a_tile, a_step, b_tile, b_step, tile, depth, fresh);
    };
    const std::string per_tile = p_.sliding ? tile_base(kernel) : "";
    if (p_.zeros) {
      kernel.helpers += runs_table(kernel.name(), *p_.zeros, p_.m, p_.mr, p_.kc);
      text += fmt::format(
          "    for (int64_t t = t0; t < t1; ++t) {{\n{2}      for (int64_t u = u0; u < u1; ++u) "
          "{{\n"
          "        const int first = {0}_begin[u];\n"
          "        for (int run = first; run < {0}_begin[u + 1]; ++run)\n          {1}      }}\n"
          "    }}\n",
          kernel.name(),
          call(fmt::format("{}_runs[run][0]", kernel.name()),
               fmt::format("{}_runs[run][1]", kernel.name()), "run == first"),
          per_tile);
    } else {
      text += fmt::format(
          "    for (int64_t k0 = 0; k0 < {0}; k0 += {1}) {{\n      const int64_t depth = k0 + {1} "
          "< {0} ? {1} : {0} - k0;\n      for (int64_t t = t0; t < t1; ++t) {{\n{3}        for "
          "(int64_t u = u0; u < u1; ++u) {{\n          {2}        }}\n      }}\n    }}\n",
          p_.packed_k, p_.kc, call("k0", "depth", "k0 == 0"), per_tile);
    }
    return text + finish(kernel) + "  }\n";
  }

  // Writes the tile of C through the finish expression.
  std::string finish(KernelText& kernel) const {
    const std::string out = kernel.write(c_.nest.output);
    std::vector<int> rows = c_.m;
    std::vector<Element> elements;
    if (p_.between >= 0) {
      rows.erase(std::find(rows.begin(), rows.end(), p_.between));
      const int64_t count = extents_[static_cast<size_t>(p_.between)];
      for (int64_t i = 0; i < count; ++i) elements.push_back(element(kernel, out, i));
    } else {
      elements.push_back(element(kernel, out, -1));
    }
    auto each = [&](auto part) {
      std::string text;
      for (const Element& e : elements) text += part(e);
      return text;
    };
    std::string text = finished_rows() ? finish_rows(kernel) : "";
    text += each([](const Element& e) { return e.before; });
    text += column_runs(false, 4, [&](int in) {
      std::string inside = each([](const Element& e) { return e.per_run; });
      if (p_.between >= 0) {
        inside += fmt::format("{}for (int64_t m = 0; m < {}; ++m) {{\n", pad(in), c_.extent(rows));
      } else {
        inside += fmt::format(
            "{0}const int64_t m1 = u1 * {1} < {2} ? u1 * {1} : {2};\n{0}for (int64_t m = u0 * {1}; "
            "m < m1; ++m) {{\n",
            pad(in), p_.mr, p_.m);
      }
      inside += decode("m", rows, in + 2) + each([](const Element& e) { return e.per_row; });
      return inside + lane_loop(each([](const Element& e) { return e.per_lane; }), in + 2, false) +
             pad(in) + "}\n";
    });
    return text;
  }

  // Whether the finish expression is worth a pass of its own over the tile: in whole vectors, where
  // rows of the output may be short.
  bool finished_rows() const {
    const Expr& finish = c_.nest.finish;
    if (!finish || finish->kind != graph::ScalarKind::kReal ||
        p_.facts->finish_cost < kCostlyFinish)
      return false;
    const auto used = rewrite::axes_used(finish, c_.nest.rank());
    return std::none_of(c_.n.begin(), c_.n.end(),
                        [&](int axis) { return used[static_cast<size_t>(axis)]; });
  }

  std::string finish_rows(KernelText& kernel) const {
    ExprPrinter printer(real_, extents_, "r");
    bind_loads(context_, {c_.nest.finish}, kernel, printer);
    for (int axis : c_.batch) printer.bind_axis(axis, axis_name(axis), 1);
    for (int axis : c_.m) printer.bind_axis(axis, axis_name(axis), 2);
    printer.bind_reduced("acc", 3);
    const std::string value = printer.print(c_.nest.finish);
    std::string text = printer.take(0, 4) + printer.take(1, 4);
    text += fmt::format(
        "    for (int64_t m = u0 * {0}; m < (u1 * {0} < {1} ? u1 * {0} : {1}); ++m) {{\n", p_.mr,
        p_.m);
    text += decode("m", c_.m, 6) + printer.take(2, 6);
    text += fmt::format("      {}* __restrict row = tile + (m - u0 * {}) * {};\n", type_, p_.mr,
                        p_.block_n * p_.nr);
    text += fmt::format(
        "#pragma GCC ivdep\n      for (int64_t l = 0; l < (t1 - t0) * {}; ++l) {{\n        const "
        "{} "
        "acc = row[l];\n{}        row[l] = {};\n      }}\n    }}\n",
        p_.nr, type_, printer.take(3, 8), value);
    return text;
  }

  // What one column of one row becomes in the output. `place`: on the axis whose points lie side by
  // side, or -1.
  struct Element {
    std::string before, per_run, per_row, per_lane;
  };
  Element element(KernelText& kernel, const std::string& out, int64_t place) const {
    const std::string mine = place < 0 ? "" : std::string(1, static_cast<char>('a' + place));
    ExprPrinter printer(real_, extents_, "f" + mine);
    bind_loads(context_, {c_.nest.finish}, kernel, printer);
    for (int axis : c_.batch) printer.bind_axis(axis, axis_name(axis), 1);
    bind_n(printer, 2, 4);
    for (int axis : c_.m) {
      if (place >= 0 && axis == p_.between)
        printer.bind_axis(axis, std::to_string(place), 0);
      else
        printer.bind_axis(axis, axis_name(axis), 3);
    }
    const graph::DType stored = context_.type(c_.nest.output).dtype;
    const std::string acc = "acc" + mine, row = "row" + mine;
    std::string value = acc;
    graph::ScalarKind kind = graph::ScalarKind::kReal;
    if (c_.nest.finish && !finished_rows()) {
      printer.bind_reduced(acc, 4);
      value = printer.print(c_.nest.finish);
      kind = c_.nest.finish->kind;
    }
    const std::string at = printer.print(c_.nest.store);
    std::string line = fmt::format("m - u0 * {}", p_.mr);
    if (place >= 0) {
      Expr flat = graph::integer(0);
      for (int axis : c_.m)
        flat = flat * graph::integer(extents_[static_cast<size_t>(axis)]) + graph::axis(axis);
      line = printer.print(graph::simplify_index(flat, extents_));
    }
    const int in = 6;
    Element e;
    e.before = printer.take(0, 4) + printer.take(1, 4);
    e.per_run = printer.take(2, in);
    e.per_row = printer.take(3, in + 2) +
                fmt::format("{}const {}* __restrict {} = tile + ({}) * {} + at;\n", pad(in + 2),
                            type_, row, line, p_.block_n * p_.nr);
    e.per_lane =
        fmt::format("{}const {} {} = {}[l];\n", pad(in + 4), type_, acc, row) +
        printer.take(4, in + 4) +
        fmt::format("{}{}[{}] = {};\n", pad(in + 4), out, at, code::to_stored(value, stored, kind));
    return e;
  }

  const OpContext& context_;
  const ContractionPlan& p_;
  const Contraction& c_;
  ProgramBuilder& builder_;
  Real real_;
  std::string type_;   // of sums
  std::string panel_;  // of packed operands
  const std::vector<int64_t>& extents_;
  std::string packed_a_, packed_b_;
};

}  // namespace

void emit_contraction(const OpContext& context, const ContractionPlan& plan,
                      ProgramBuilder& builder) {
  ContractionEmitter(context, plan, builder).emit();
}

}  // namespace kernelwright::expert
