// SPDX-License-Identifier: Apache-2.0
#include "expert/families/halo_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/emit_util.h"
#include "expert/families/window.h"
#include "expert/interior.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Expr;
using rewrite::Nest;

namespace {

// How many output rows are made of one image with its border.
int64_t rows_at_once(const Nest& nest, const Halo& halo, int64_t chunk) {
  if (halo.down < 0) return 1;
  const int64_t rows = nest.extents[static_cast<size_t>(halo.down)];
  return std::clamp<int64_t>(chunk / nest.extents[static_cast<size_t>(halo.across)], 1, rows);
}

int64_t pitch_of(const Halo& halo) {
  return ceil_div(halo.columns, 16) * 16;
}

// Windows over an image that stands in scratch with its border.
class HaloEmitter {
 public:
  HaloEmitter(const OpContext& context, const Halo& halo, int64_t chunk, ProgramBuilder& builder)
      : context_(context),
        nest_(context.nest()),
        halo_(halo),
        kernel_(builder, "window_" + nest_.origin),
        real_(real_of(context, nest_)),
        type_(code::real_type(real_)),
        at_once_(rows_at_once(nest_, halo, chunk)) {
    kernel_.scratch_bytes = image_bytes(context, halo, chunk);
  }

  void emit() {
    std::vector<int64_t> grid(nest_.extents.begin(), nest_.extents.begin() + nest_.outer);
    const int64_t rows = halo_.down < 0 ? 1 : grid[static_cast<size_t>(halo_.down)];
    std::vector<int> others;
    for (int a = 0; a < nest_.outer; ++a)
      if (a != halo_.across && a != halo_.down) others.push_back(a);
    const int64_t blocks = ceil_div(rows, at_once_);
    int64_t points = blocks;
    for (int a : others) points *= grid[static_cast<size_t>(a)];
    std::string& text = kernel_.body;
    text += fmt::format(
        "  {0}* const image = ({0}*)kw->scratch;\n"
        "  for (int64_t point = begin; point < end; ++point) {{\n"
        "    const int64_t first_row = point % {1} * {2};\n"
        "    const int64_t end_row = first_row + {2} < {3} ? first_row + {2} : {3};\n",
        type_, blocks, at_once_, rows);
    text += decode_some(fmt::format("point / {}", blocks), grid, others, 4, "int64_t");
    text += image() + windows() + "  }\n";
    kernel_.launch(points);
  }

 private:
  // Binds the output axes: those of rows and columns inside of their loops.
  void bind(ExprPrinter& printer) const {
    for (int a = 0; a < nest_.outer; ++a)
      printer.bind_axis(a, fmt::format("i{}", a), a == halo_.across ? 3 : a == halo_.down ? 2 : 1);
  }
  std::string row_is(const std::string& variable) const {
    return halo_.down < 0
               ? ""
               : fmt::format("      const int64_t i{0} = {1}; (void)i{0};\n", halo_.down, variable);
  }
  std::string columns(const std::string& from, const std::string& to,
                      const std::string& inside) const {
    return fmt::format(
        "#pragma GCC ivdep\n      for (int64_t i{0} = {1}; i{0} < {2}; ++i{0}) {{\n{3}      }}\n",
        halo_.across, from, to, inside);
  }

  // Copies rows of the image, with what stands for its border.
  std::string image() {
    const Interior interior = interior_of(halo_.operand, halo_.across, halo_.extents);
    ExprPrinter printer(real_, halo_.extents, "h");
    bind_loads(context_, {interior.body}, kernel_, printer);
    bind(printer);
    std::string whole;
    for (const Expr& condition : interior.invariant)
      whole += (whole.empty() ? "" : " & ") + printer.print(condition);
    const std::string value = printer.print(interior.body);
    const std::string outside = printer.print(halo_.outside);
    const std::string outer = printer.take(0, 4) + printer.take(1, 4), row = printer.take(2, 6),
                      inside = printer.take(3, 8);
    auto fill = [&](const std::string& from, const std::string& to) {
      return columns(from, to, fmt::format("        line[i{}] = {};\n", halo_.across, outside));
    };
    std::string text =
        outer + fmt::format(
                    "    for (int64_t from = first_row * {0}; from < (end_row - 1) * {0} + {1}; "
                    "++from) {{\n"
                    "      {2}* __restrict line = image + (from - first_row * {0}) * {3};\n",
                    halo_.row_step, halo_.row_span, type_, pitch_of(halo_));
    text += row_is("from") + row;
    text += fmt::format("      int64_t low = {}, high = {};\n", interior.low, interior.high);
    if (!whole.empty())
      text += fmt::format("      if (!({})) low = high = {};\n", whole, halo_.columns);
    text += fill("0", "low");
    text += columns("low", "high",
                    inside + fmt::format("        line[i{}] = {};\n", halo_.across, value));
    return text + fill("high", std::to_string(halo_.columns)) + "    }\n";
  }

  std::string windows() {
    Nest padded = nest_;
    padded.body = halo_.body;
    std::vector<int64_t> extents(nest_.extents.begin(), nest_.extents.begin() + nest_.outer);
    // Rows of the image count from the first that is there.
    const int row = nest_.outer;
    extents.push_back(at_once_);
    const Expr body =
        graph::rewrite_loads(unrolled_window(padded), [&](const graph::ExprNode& load) {
          if (load.tensor != Halo::kTensor || halo_.down < 0) return Expr();
          std::vector<Expr> axes;
          for (int a = 0; a < nest_.outer; ++a)
            axes.push_back(graph::axis(a == halo_.down ? row : a));
          return graph::load(load.tensor, load.kind,
                             {graph::substitute_axes(load.operands[0], axes),
                              graph::substitute_axes(load.operands[1], axes)});
        });
    ExprPrinter printer(real_, extents, "v");
    bind_loads(context_, {body}, kernel_, printer, {Halo::kTensor});
    printer.bind_tensor(Halo::kTensor, "image",
                        real_ == Real::kF64 ? graph::DType::kF64 : graph::DType::kF32,
                        {pitch_of(halo_), 1});
    bind(printer);
    printer.bind_axis(row, "held", 2);
    const std::string value =
        code::to_stored(printer.print(body), context_.type(nest_.output).dtype, body->kind);
    const std::string out = kernel_.write(nest_.output), at = printer.print(nest_.store);
    std::string text = printer.take(0, 4) + printer.take(1, 4);
    text +=
        "    for (int64_t to = first_row; to < end_row; ++to) {\n      const int64_t held = to - "
        "first_row; (void)held;\n";
    text += row_is("to") + printer.take(2, 6);
    text += columns("0", std::to_string(extents[static_cast<size_t>(halo_.across)]),
                    printer.take(3, 8) + fmt::format("        {}[{}] = {};\n", out, at, value));
    return text + "    }\n";
  }

  const OpContext& context_;
  const Nest& nest_;
  const Halo& halo_;
  KernelText kernel_;
  Real real_;
  std::string type_;
  int64_t at_once_;
};

}  // namespace

int64_t image_bytes(const OpContext& context, const Halo& halo, int64_t chunk) {
  const Nest& nest = context.nest();
  return halo.rows_of(rows_at_once(nest, halo, chunk)) * pitch_of(halo) *
         (real_of(context, nest) == Real::kF64 ? 8 : 4);
}

void emit_halo(const OpContext& context, const Halo& halo, int64_t chunk, ProgramBuilder& builder) {
  HaloEmitter(context, halo, chunk, builder).emit();
}

}  // namespace kernelwright::expert
