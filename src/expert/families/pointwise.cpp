// SPDX-License-Identifier: Apache-2.0
#include "expert/families/pointwise.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/emit_util.h"
#include "expert/families/reciprocal.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using rewrite::Nest;

namespace {

// The inner axis: the last output axis.
int64_t inner_extent(const Nest& nest) {
  return nest.outer == 0 ? 1 : nest.extents[static_cast<size_t>(nest.outer) - 1];
}

// Rows so short are mostly ends of lines.
constexpr int64_t kShortestStreamed = 256;

// The output is contiguous along the inner axis, and its rows are long, or whole lines.
bool can_stream(const OpContext& context, const Nest& nest) {
  if (nest.outer == 0) return false;
  const auto affine = rewrite::affine_of(nest, nest.store);
  const auto bytes = static_cast<int64_t>(graph::dtype_bytes(context.type(nest.output).dtype));
  if (!affine || affine->coefficients[static_cast<size_t>(nest.outer) - 1] != 1) return false;
  bool lines = affine->constant == 0 && inner_extent(nest) * bytes % 64 == 0;
  for (int a = 0; a + 1 < nest.outer; ++a)
    lines = lines && affine->coefficients[static_cast<size_t>(a)] * bytes % 64 == 0;
  return inner_extent(nest) >= (lines ? 64 : kShortestStreamed);
}

// An outer axis along which some load is contiguous that is strided along the inner axis.
int crossing_axis(const Nest& nest) {
  int crossing = -1;
  graph::visit(nest.body, [&](const ExprNode& node) {
    if (node.op != ExprOp::kLoad || nest.outer < 2) return;
    auto affine = rewrite::affine_of(nest, node.operands[0]);
    if (!affine || affine->coefficients[static_cast<size_t>(nest.outer) - 1] <= 1) return;
    for (int a = 0; a + 1 < nest.outer; ++a) {
      if (affine->coefficients[static_cast<size_t>(a)] == 1) crossing = a;
    }
  });
  return crossing;
}

// The same for all elements along the inner axis.
SharedBy shared_by_line(const Nest& nest) {
  return [&nest](const Expr& value) {
    return !rewrite::axes_used(value, nest.rank())[static_cast<size_t>(nest.outer) - 1];
  };
}

}  // namespace

bool PointwiseFamily::accepts(const OpContext& context) const {
  return context.op.stages.size() == 1 && context.op.stages.front().combiner == Combiner::kNone &&
         context.type(context.op.stages.front().output).elements() > 0;
}

ScheduleSpace PointwiseFamily::space(const OpContext& context) const {
  const Nest& nest = context.nest();
  ScheduleSpace space;
  space.push_back({"chunk", {4096, 16384, 65536}, 16384});
  space.push_back({"stream",
                   can_stream(context, nest) ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0},
                   0, Bears::kTraffic});
  // Elements computed between two streaming copies, in L1; beyond a few kilobytes it gets slower.
  space.push_back(
      {"line",
       can_stream(context, nest) ? std::vector<int64_t>{128, 256, 512} : std::vector<int64_t>{512},
       512, Bears::kTraffic});
  space.push_back(
      {"tile", crossing_axis(nest) >= 0 ? std::vector<int64_t>{0, 16, 32} : std::vector<int64_t>{0},
       0, Bears::kTraffic});
  const bool divides = nest.outer > 0 && real_of(context, nest) == code::Real::kF32 &&
                       divides_by_shared(nest.body, shared_by_line(nest));
  space.push_back({"reciprocal", divides ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0},
                   divides, Bears::kArithmetic});
  return space;
}

// Tiles are stored plainly, and a plain store knows no line.
bool PointwiseFamily::legal(const OpContext&, const Schedule& schedule) const {
  if (schedule.at("tile") != 0 && schedule.at("stream") != 0) return false;
  return schedule.at("stream") != 0 || schedule.at("line") == 512;
}

double PointwiseFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Nest& nest = context.nest();
  const double elements = static_cast<double>(nest.outer_points());
  const double out_bytes = static_cast<double>(context.type(nest.output).bytes());
  const bool streamed = schedule.at("stream") != 0;
  const bool large = out_bytes > static_cast<double>(context.model.last_level_cache_bytes()) / 4;
  // A plain store first reads the line.
  double bytes = context.bytes() + (streamed ? 0 : out_bytes);
  if (streamed && !large) bytes += 2 * out_bytes;
  if (crossing_axis(nest) >= 0 && schedule.at("tile") == 0) bytes += 4 * out_bytes;
  const double bandwidth = std::max(1e9, context.model.memory_bytes_per_s());
  const double lanes = static_cast<double>(context.vector_bytes()) / 4;
  // Streamed lines are written twice, and between two of them there is a break.
  const double copies =
      streamed ? elements * (1.2e-10 + 5e-9 / static_cast<double>(schedule.at("line"))) : 0;
  const double compute =
      (elements * (1 + rewrite::arithmetic_cost(nest.body) - 2 * schedule.at("reciprocal")) /
           (lanes * 2e9) +
       copies) /
      std::max(1, context.threads);
  const double blocks = elements / static_cast<double>(schedule.at("chunk"));
  const double uneven = blocks < 4 * context.threads ? 1.02 : 1.0;
  return std::max(bytes / bandwidth, compute) * uneven + blocks * 5e-8 + context.model.launch_s;
}

Status PointwiseFamily::emit(const OpContext& context, const Schedule& schedule,
                             ProgramBuilder& builder) const {
  Nest nest = context.nest();
  if (nest.outer == 0) {
    nest.extents.insert(nest.extents.begin(), 1);
    nest.outer = 1;
  }
  if (schedule.at("reciprocal") != 0) nest.body = with_reciprocals(nest.body, shared_by_line(nest));
  const graph::DType stored = context.type(nest.output).dtype;
  const int inner = nest.outer - 1;
  const int64_t length = inner_extent(nest);
  const bool stream = schedule.at("stream") != 0;
  const int64_t tile = schedule.at("tile");
  const int crossing = tile > 0 ? crossing_axis(nest) : -1;

  KernelText kernel(builder, "pointwise_" + nest.origin);
  ExprPrinter printer(real_of(context, nest), nest.extents);
  bind_loads(context, {nest.body}, kernel, printer);
  const std::string out = kernel.write(nest.output);
  for (int a = 0; a < nest.outer; ++a)
    printer.bind_axis(a, fmt::format("i{}", a), a == inner ? 3 : a == crossing ? 2 : 1);
  const std::string value = code::to_stored(printer.print(nest.body), stored, nest.body->kind);
  const std::string at = printer.print(nest.store);
  std::string& text = kernel.body;
  const std::string before = printer.take(0, 2), per_row = printer.take(1, 4),
                    crossed = printer.take(2, 8);

  if (crossing >= 0) {
    // Square tiles over the inner axis and the one a load runs along; both sides stay in L1.
    std::vector<int64_t> blocks(nest.extents.begin(), nest.extents.begin() + nest.outer);
    const int64_t cross_length = blocks[static_cast<size_t>(crossing)];
    blocks[static_cast<size_t>(crossing)] = ceil_div(cross_length, tile);
    int64_t rows = 1;
    for (int a = 0; a < inner; ++a) rows *= blocks[static_cast<size_t>(a)];
    text += before + "  for (int64_t point = begin; point < end; ++point) {\n" +
            decode_axes("point", blocks, 0, inner, 4, "b");
    for (int a = 0; a < inner; ++a) {
      if (a != crossing) text += fmt::format("    const int64_t i{0} = b{0}; (void)i{0};\n", a);
    }
    text += per_row;
    text += fmt::format("    const int64_t c1 = b{0} * {1} + {1} < {2} ? b{0} * {1} + {1} : {2};\n",
                        crossing, tile, cross_length);
    text += fmt::format(
        "    for (int64_t l0 = 0; l0 < {0}; l0 += {1}) {{\n      const int64_t l1 = l0 + {1} < {0} "
        "? l0 + {1} : {0};\n",
        length, tile);
    text += fmt::format("      for (int64_t i{0} = b{0} * {1}; i{0} < c1; ++i{0}) {{\n{2}",
                        crossing, tile, crossed);
    text += fmt::format(
        "#pragma GCC ivdep\n        for (int64_t i{0} = l0; i{0} < l1; ++i{0}) {{\n{1}          "
        "{2}[{3}] = {4};\n        }}\n      }}\n    }}\n  }}\n",
        inner, printer.take(3, 10), out, at, value);
    kernel.grain = std::max<int64_t>(1, schedule.at("chunk") / (tile * length));
    kernel.launch(rows);
    return {};
  }

  int64_t rows = 1;
  for (int a = 0; a < inner; ++a) rows *= nest.extents[static_cast<size_t>(a)];
  const int64_t chunk = std::min(schedule.at("chunk"), length);
  const int64_t chunks = ceil_div(length, chunk);
  std::vector<int64_t> grid(nest.extents.begin(), nest.extents.begin() + inner);
  grid.push_back(chunks);
  text += before + "  for (int64_t point = begin; point < end; ++point) {\n";
  text += decode_axes("point", grid, 0, inner + 1, 4, "g");
  for (int a = 0; a < inner; ++a)
    text += fmt::format("    const int64_t i{0} = g{0}; (void)i{0};\n", a);
  text += per_row + printer.take(2, 4);
  text += fmt::format(
      "    const int64_t lo = g{0} * {1};\n    const int64_t hi = lo + {1} < {2} ? lo + {1} : "
      "{2};\n",
      inner, chunk, length);
  if (stream) {
    const int64_t line = schedule.at("line");
    kernel.helpers = stream_helper();
    text += fmt::format("    for (int64_t block = lo; block < hi; block += {0}) {{\n", line);
    text += fmt::format("      alignas(64) {} line[{}];\n", code::c_type(stored), line);
    text += fmt::format("      const int64_t count = hi - block < {0} ? hi - block : {0};\n", line);
    text += fmt::format(
        "#pragma GCC ivdep\n      for (int64_t k = 0; k < count; ++k) {{\n        const int64_t "
        "i{} = block + k;\n",
        inner);
    text += printer.take(3, 8) + fmt::format("        line[k] = {};\n      }}\n", value);
    text += fmt::format("      const int64_t i{} = block;\n", inner);
    ExprPrinter where(code::Real::kF32, nest.extents, "w");
    for (int a = 0; a < nest.outer; ++a)
      where.bind_axis(a, fmt::format("i{}", a), a == inner ? 3 : 1);
    const std::string to = where.print(nest.store);
    text += where.take(1, 6) + where.take(3, 6);
    text += fmt::format(
        "      kw_stream(&{}[{}], line, count * {});\n    }}\n  }}\n  kw_stream_end();\n", out, to,
        graph::dtype_bytes(stored));
  } else {
    text += fmt::format(
        "#pragma GCC ivdep\n    for (int64_t i{0} = lo; i{0} < hi; ++i{0}) {{\n{1}      {2}[{3}] = "
        "{4};\n    }}\n  }}\n",
        inner, printer.take(3, 6), out, at, value);
  }
  kernel.grain = std::max<int64_t>(1, schedule.at("chunk") / chunk);
  kernel.launch(rows * chunks);
  return {};
}

}  // namespace kernelwright::expert
