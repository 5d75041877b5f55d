// SPDX-License-Identifier: Apache-2.0
#include "expert/families/scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Combiner;
using graph::ScalarKind;
using graph::Scan;
using rewrite::Nest;

std::optional<Scan> scan_of(const Nest& nest) {
  return graph::match_scan(nest.combiner, nest.body, nest.extents, nest.outer);
}

int64_t rows_of(const Nest& nest, const Scan& scan) {
  return nest.outer_points() / nest.extents[static_cast<size_t>(scan.along)];
}

ScanText::ScanText(const OpContext& context, const Nest& a_nest, const Scan& a_scan,
                   const code::Spelling& a_spelling)
    : nest(a_nest), scan(a_scan), real(real_of(context, a_nest)), spelling(a_spelling) {
  const ScalarKind kind = nest.body->kind;
  const bool grows = nest.combiner == Combiner::kSum || nest.combiner == Combiner::kProd;
  wide = grows ? Real::kF64 : real;
  type = code::value_type(kind, wide);
  identity = code::identity(nest.combiner, kind, wide, spelling);
}

std::vector<int> ScanText::rows() const {
  std::vector<int> axes;
  for (int a = 0; a < nest.outer; ++a)
    if (a != scan.along) axes.push_back(a);
  return axes;
}

std::string ScanText::combine(const std::string& a, const std::string& b) const {
  return code::combine(nest.combiner, a,
                       nest.body->kind == ScalarKind::kReal ? fmt::format("({}){}", type, b) : b);
}

std::string ScanText::position(const std::string& step) const {
  return fmt::format("const {} i{} = {}{}; (void)i{};", spelling.index, scan.along,
                     scan.falling() ? fmt::format("{} - ", length() - 1) : "", step, scan.along);
}

std::string ScanText::term(const std::string& step) const {
  return fmt::format("const {} i{} = {}{}; (void)i{};", spelling.index, scan.over,
                     scan.suffix ? fmt::format("{} - ", terms() - 1) : "", step, scan.over);
}

namespace {

// What advances together in a pass.
struct Front {
  int lane = -1;           // the axis that rows side by side differ in
  int64_t lanes = 1;       // how many rows
  std::string live = "1";  // how many of them there are in this block
  int64_t block = 0;       // > 0: so many steps of one row (kw_scan.h)
};

// Prints a scan. The text around it has bound the axes of rows; row number l side by side stands
// for i<lane> = first + l.
class RowPrinter {
 public:
  RowPrinter(const OpContext& context, const ScanText& text, KernelArguments& kernel,
             const Front& front)
      : text_(text), front_(front) {
    const Nest& nest = text.nest;
    ExprPrinter value(text.real, nest.extents, "v", text.spelling);
    bind_loads(context, {text.scan.value}, kernel, value);
    bind(value, text.scan.over);
    const std::string term = value.print(text.scan.value);
    before_ = value.take(0, 4) + value.take(1, 4);
    take_ = value.take(2, 8);
    take_inside_ = value.take(3, 10);
    take_inside_ += front.block > 0
                        ? fmt::format("          acc[l] = ({}){};\n", text.type, term)
                        : fmt::format("          {} = {};\n", acc(), text.combine(acc(), term));

    const bool real = nest.body->kind == ScalarKind::kReal;
    ExprPrinter last(real ? text.wide : text.real, nest.extents, "f", text.spelling);
    bind_loads(context, {nest.finish}, kernel, last);
    bind(last, text.scan.along);
    std::string result = acc();
    ScalarKind kind = nest.body->kind;
    if (nest.finish) {
      last.bind_reduced(acc(), 3);
      result = last.print(nest.finish);
      kind = nest.finish->kind;
    }
    const std::string out = kernel.write(nest.output), at = last.print(nest.store);
    before_ += last.take(0, 4) + last.take(1, 4);
    give_ = last.take(2, 6);
    give_inside_ = last.take(3, 10) +
                   fmt::format("          {}[{}] = {};\n", out, at,
                               code::to_stored(result, context.type(nest.output).dtype, kind));
  }

  std::string print() const { return front_.block > 0 ? blocks() : steps(); }

 private:
  std::string steps() const {
    const Scan& scan = text_.scan;
    const std::string take = take_ + over_lanes(take_inside_, 8);
    std::string out = before_;
    if (front_.lane < 0)
      out += fmt::format("    {} acc = {};\n", text_.type, text_.identity);
    else
      out += fmt::format("    {} acc[{}];\n    for (int l = 0; l < {}; ++l) acc[l] = {};\n",
                         text_.type, front_.lanes, front_.live, text_.identity);
    const bool in_step = scan.in_step(text_.nest.extents);
    if (!in_step) out += fmt::format("    {} taken = 0;\n", text_.spelling.index);
    out += fmt::format("    for ({0} step = 0; step < {1}; ++step) {{\n      {2}\n",
                       text_.spelling.index, text_.length(), text_.position("step"));
    if (in_step) {
      out += "      {\n        " + text_.term("step") + "\n" + take + "      }\n";
    } else {
      // Element number `taken` belongs to this step as long as it keeps the bound.
      const int a = scan.along;
      const std::string bound =
          fmt::format("{}i{} + ({})", scan.direction < 0 ? "-" : "", a, scan.offset);
      const std::string reached = scan.suffix
                                      ? fmt::format("{} - taken >= {}", text_.terms() - 1, bound)
                                      : fmt::format("taken <= {}", bound);
      out += fmt::format("      for (; taken < {} && {}; ++taken) {{\n        {}\n{}      }}\n",
                         text_.terms(), reached, text_.term("taken"), take);
    }
    return out + give_ + over_lanes(give_inside_, 6) + "    }\n";
  }

  // Each step takes in one element (Scan::in_step). Only the last block may be short; what it
  // makes beyond its end goes nowhere.
  std::string blocks() const {
    const int64_t block = front_.block, rest = text_.length() % block;
    std::string out = before_;
    out += fmt::format("    alignas(64) {0} acc[{1}] = {{}};\n    {0} total = {2};\n", text_.type,
                       block, text_.identity);
    if (text_.length() >= block)
      out += fmt::format("    for ({0} step = 0; step < {1}; step += {2}) {{\n{3}    }}\n",
                         text_.spelling.index, text_.length() - rest, block, one_block(block));
    if (rest > 0)
      out += fmt::format("    {{\n      const {} step = {};\n{}    }}\n", text_.spelling.index,
                         text_.length() - rest, one_block(rest));
    return out;
  }

  std::string one_block(int64_t live) const {
    auto each = [&](const std::string& place, const std::string& inside) {
      return fmt::format(
          "#pragma GCC ivdep\n      for (int l = 0; l < {}; ++l) {{\n        {}\n{}      }}\n",
          live, place, inside);
    };
    return take_ + each(text_.term("(step + l)"), take_inside_) +
           fmt::format("      kw_scan<{}, {}>(acc, total);\n",
                       text_.nest.combiner == Combiner::kProd, front_.block) +
           give_ + each(text_.position("(step + l)"), give_inside_);
  }

  std::string acc() const { return front_.lane < 0 && front_.block == 0 ? "acc" : "acc[l]"; }

  void bind(ExprPrinter& printer, int moving) const {
    for (int a : text_.rows())
      printer.bind_axis(a, fmt::format("i{}", a), a == front_.lane ? 3 : 1);
    printer.bind_axis(moving, fmt::format("i{}", moving), front_.block > 0 ? 3 : 2);
  }

  std::string over_lanes(const std::string& inside, int indent) const {
    if (front_.lane < 0) return inside;
    return fmt::format(
        "#pragma GCC ivdep\n{0}for (int l = 0; l < {1}; ++l) {{\n{0}  const {2} i{3} "
        "= first + l; (void)i{3};\n{4}{0}}}\n",
        pad(indent), front_.live, text_.spelling.index, front_.lane, inside);
  }

  const ScanText& text_;
  Front front_;
  std::string before_, take_, take_inside_, give_, give_inside_;
};

// The axis whose points advance together: the innermost one when the pass runs along another, else
// the one outside of it. -1 when there is none.
int lane_axis(const Nest& nest, const Scan& scan) {
  const int inner = nest.outer - 1;
  if (inner != scan.along) return inner;
  return inner - 1;
}

// Whether steps of one row can be taken together: the pass runs along the innermost axis, by sums
// or products, a step an element.
bool takes_blocks(const Nest& nest, const Scan& scan) {
  const bool grows = nest.combiner == Combiner::kSum || nest.combiner == Combiner::kProd;
  return grows && nest.body->kind != ScalarKind::kBool && scan.along == nest.outer - 1 &&
         scan.in_step(nest.extents);
}

}  // namespace

std::string scan_row(const OpContext& context, const Nest& nest, const Scan& scan,
                     KernelArguments& kernel, const code::Spelling& spelling) {
  const ScanText text(context, nest, scan, spelling);
  return decode_some("point", nest.extents, text.rows(), 4, spelling.index) +
         RowPrinter(context, text, kernel, {}).print();
}

bool ScanFamily::accepts(const OpContext& context) const {
  return context.op.stages.size() == 1 && context.nest().outer_points() > 0 &&
         scan_of(context.nest()).has_value();
}

ScheduleSpace ScanFamily::space(const OpContext& context) const {
  const Nest& nest = context.nest();
  const Scan scan = *scan_of(nest);
  const int lane = lane_axis(nest, scan);
  std::vector<int64_t> lanes = {1};
  if (lane > scan.along) {
    lanes.clear();
    for (int64_t count : {16, 64, 256})
      if (count < 2 * nest.extents[static_cast<size_t>(lane)] || lanes.empty())
        lanes.push_back(count);
  } else if (lane >= 0) {
    for (int64_t count : {2, 4, 8})
      if (nest.extents[static_cast<size_t>(lane)] % count == 0) lanes.push_back(count);
  }
  std::vector<int64_t> blocks = {0};
  if (takes_blocks(nest, scan)) blocks = {64, 32, 128, 0};
  return {{"lanes", lanes, blocks.front() > 0 ? 1 : lanes.back(), Bears::kArithmetic},
          {"block", blocks, blocks.front(), Bears::kArithmetic}};
}

bool ScanFamily::legal(const OpContext&, const Schedule& schedule) const {
  return schedule.at("lanes") == 1 || schedule.at("block") == 0;
}

double ScanFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Nest& nest = context.nest();
  const Scan scan = *scan_of(nest);
  const ScanText text(context, nest, scan, code::cpp_spelling());
  const bool across = lane_axis(nest, scan) > scan.along, blocks = schedule.at("block") > 0;
  const auto lanes = static_cast<double>(schedule.at("lanes"));
  // A step waits for the last one's addition; lanes share that, neighbours in vectors.
  const double cost = 1 + rewrite::arithmetic_cost(scan.value);
  const double latency = 1.4e-9 / (across ? std::min(lanes, 32.0) / 2 : blocks ? 8 : lanes);
  const double step = std::max(latency, cost * (across || blocks ? 0.15e-9 : 0.4e-9));
  const double grid = std::max(1.0, static_cast<double>(text.row_count()) / lanes);
  const double workers = std::min(grid, static_cast<double>(std::max(1, context.threads)));
  const double compute = static_cast<double>(nest.outer_points()) * step / workers;
  return std::max(compute, context.bytes() / std::max(1e9, context.model.memory_bytes_per_s())) +
         0.1 * compute + context.model.launch_s;
}

Status ScanFamily::emit(const OpContext& context, const Schedule& schedule,
                        ProgramBuilder& builder) const {
  const Nest& nest = context.nest();
  const Scan scan = *scan_of(nest);
  const code::Spelling& spelling = code::cpp_spelling();
  const ScanText text(context, nest, scan, spelling);
  KernelText kernel(builder, "scan_" + nest.origin);
  const int64_t lanes = schedule.at("lanes");
  const int lane = lane_axis(nest, scan);
  if (schedule.at("block") > 0) {
    builder.require_header("kw_scan.h");
    Front front;
    front.block = schedule.at("block");
    kernel.body = "  for (int64_t point = begin; point < end; ++point) {\n" +
                  decode_some("point", nest.extents, text.rows(), 4, spelling.index) +
                  RowPrinter(context, text, kernel, front).print() + "  }\n";
    kernel.launch(std::max<int64_t>(1, text.row_count()));
    return {};
  }
  if (lane < 0 || (lanes == 1 && lane < scan.along)) {
    kernel.body = "  for (int64_t point = begin; point < end; ++point) {\n" +
                  scan_row(context, nest, scan, kernel, spelling) + "  }\n";
    kernel.launch(std::max<int64_t>(1, text.row_count()));
    return {};
  }
  // Grid points are blocks of lanes; the last one of a row of lanes may be short.
  const int64_t extent = nest.extents[static_cast<size_t>(lane)];
  std::vector<int64_t> grid = nest.extents;
  grid[static_cast<size_t>(lane)] = ceil_div(extent, lanes);
  const bool whole = extent % lanes == 0;
  kernel.body = "  for (int64_t point = begin; point < end; ++point) {\n";
  kernel.body += decode_some("point", grid, text.rows(), 4, spelling.index);
  kernel.body += fmt::format("    const int64_t first = i{} * {};\n", lane, lanes);
  if (!whole)
    kernel.body += fmt::format(
        "    const int live = {0} - first < {1} ? (int)({0} - first) : {1};\n", extent, lanes);
  kernel.body +=
      RowPrinter(context, text, kernel, {lane, lanes, whole ? std::to_string(lanes) : "live"})
          .print();
  kernel.body += "  }\n";
  kernel.launch(std::max<int64_t>(1, text.row_count() / extent * grid[static_cast<size_t>(lane)]));
  return {};
}

}  // namespace kernelwright::expert
