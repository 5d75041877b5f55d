// SPDX-License-Identifier: Apache-2.0
#include "expert/families/row_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"
#include "expert/families/arg_lanes.h"
#include "expert/families/reciprocal.h"
#include "expert/families/row_moments.h"
#include "expert/families/row_plan.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using rewrite::RowGroup;

namespace {

// Rows whose sum in columns side by side is made in f32 before it joins the f64 sum, where nothing
// but sums is asked for: fewer conversions, and as many streams as are fetched ahead at a time.
constexpr int64_t kBlockRows = 8;
constexpr int64_t kAsked = 4096;  // bytes: a page

class RowEmitter {
 public:
  RowEmitter(const OpContext& context, const Schedule& schedule, ProgramBuilder& builder)
      : context_(context),
        plan_(plan_passes(context, schedule.at("keep") != 0 ? Keep::kValues : Keep::kNothing,
                          schedule.at("moments") != 0)),
        group_(plan_.group),
        kernel_(builder, "row_" + context.op.stages.front().origin),
        columns_(schedule.at("lanes") != 0),
        width_(schedule.at("width")),
        stream_(schedule.at("stream") != 0) {
    if (schedule.at("reciprocal") != 0) {
      const SharedBy shared = shared_by_row(group_);
      for (auto& member : plan_.group.members)
        if (!member.per_row || member.reduces)
          member.nest.body = with_reciprocals(member.nest.body, shared);
    }
    if (schedule.at("ahead") != 0) {
      asked_ = following_rows(context);
      asking_ = asking_pass(plan_);
    }
    outer_ = static_cast<int>(group_.outer.size());
    rows_axes_ = static_cast<int>(group_.row.size());
    extents_ = group_.outer;
    extents_.insert(extents_.end(), group_.row.begin(), group_.row.end());
    real_ = Real::kF32;
    for (const auto& member : group_.members) {
      if (member.nest.output >= 0 && real_of(context, member.nest) == Real::kF64)
        real_ = Real::kF64;
    }
    lane_axis_ = columns_ ? outer_ - 1 : outer_ + rows_axes_ - 1;
    lane_level_ = columns_ ? rows_axes_ + 2 : rows_axes_ + 1;
  }

  void emit() {
    std::string& text = kernel_.body;
    int64_t scratch = 0;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      if (!plan_.kept[j] || is_output(context_, group_.members[j].nest.output)) continue;
      text += fmt::format("  {0}* __restrict r{1} = ({0}*)((char*)kw->scratch + {2});\n",
                          type_of(j), j, scratch);
      scratch += ceil_div(group_.row_length() * (columns_ ? width_ : 1) * type_bytes(j), 64) * 64;
    }
    kernel_.scratch_bytes = scratch;
    const int decoded = columns_ ? outer_ - 1 : outer_;
    int64_t points = 1;
    for (int a = 0; a < decoded; ++a) points *= group_.outer[static_cast<size_t>(a)];
    text += "  for (int64_t point = begin; point < end; ++point) {\n";
    if (columns_) {
      const int64_t extent = group_.outer.back();
      const int64_t tiles = ceil_div(extent, width_);
      text += fmt::format(
          "    const int64_t base = point % {0} * {1};\n    const int64_t count = {2} - base < {1} "
          "? {2} - base : {1};\n",
          tiles, width_, extent);
      text += decode_axes(fmt::format("(point / {})", tiles), group_.outer, 0, decoded, 4);
      points *= tiles;
      text += scalars_of_columns() + "    if (count == " + std::to_string(width_) + ") {\n" +
              passes(std::to_string(width_)) + "    } else {\n" + passes("count") + "    }\n";
    } else {
      text += decode_axes("point", group_.outer, 0, decoded, 4) + passes("");
    }
    text += "  }\n";
    if (streamed_) {
      kernel_.helpers = stream_helper();
      text += "  kw_stream_end();\n";
    }
    kernel_.launch(points);
  }

 private:
  std::string type_of(size_t j) const {
    const ScalarKind kind = value_kind(group_.members[j]);
    return kind == ScalarKind::kReal  ? code::real_type(real_)
           : kind == ScalarKind::kInt ? "int64_t"
                                      : "bool";
  }
  int64_t type_bytes(size_t j) const {
    const ScalarKind kind = value_kind(group_.members[j]);
    return kind == ScalarKind::kReal && real_ == Real::kF32 ? 4 : kind == ScalarKind::kBool ? 1 : 8;
  }
  static ScalarKind value_kind(const RowGroup::Member& member) {
    if (member.nest.finish) return member.nest.finish->kind;
    return code::is_arg(member.nest.combiner) ? ScalarKind::kInt : member.nest.body->kind;
  }
  // Sums of floats are kept as doubles: a mean must be right to its last bit, since on rows of
  // small variance a norm multiplies its rounding by 1 / sqrt(eps).
  Real reduced_real(size_t j) const {
    const Combiner combiner = group_.members[j].nest.combiner;
    return combiner == Combiner::kSum || combiner == Combiner::kProd ? Real::kF64 : real_;
  }
  std::string reduced_type(size_t j) const {
    const ScalarKind kind = group_.members[j].nest.body->kind;
    return kind == ScalarKind::kReal  ? code::real_type(reduced_real(j))
           : kind == ScalarKind::kInt ? "int64_t"
                                      : "bool";
  }
  std::string zero(size_t j) const {
    return code::identity(group_.members[j].nest.combiner, group_.members[j].nest.body->kind,
                          reduced_real(j));
  }

  // One value per row and lane, in arrays that live across the passes.
  std::string scalars_of_columns() const {
    std::string text;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      if (group_.members[j].per_row)
        text += fmt::format("    {} val{}[{}]; (void)val{};\n", type_of(j), j, width_, j);
    }
    return text;
  }

  Expr flat_row() const {
    Expr flat = graph::integer(0);
    for (int a = outer_; a < outer_ + rows_axes_; ++a)
      flat = flat * graph::integer(extents_[static_cast<size_t>(a)]) + graph::axis(a);
    return flat;
  }

  std::vector<int> made_here() const {
    std::vector<int> tensors;
    for (const auto& member : group_.members) tensors.push_back(member.nest.output);
    return tensors;
  }

  // A printer for one pass (row axes in loops) or for what lies between passes (outer axes only).
  ExprPrinter printer_for(int pass, bool between, const std::string& prefix, Real real) {
    ExprPrinter printer(real, extents_, prefix);
    for (int a = 0; a < outer_; ++a)
      printer.bind_axis(a, fmt::format("i{}", a), a == lane_axis_ ? lane_level_ : 1);
    for (int a = outer_; a < outer_ + rows_axes_ && !between; ++a) {
      printer.bind_axis(a, fmt::format("i{}", a), a == lane_axis_ ? lane_level_ : 2 + a - outer_);
    }
    const std::vector<int> held = made_here();
    for (size_t j = 0; j < group_.members.size(); ++j) {
      const auto& member = group_.members[j];
      if (plan_.pass[j] > pass) continue;
      for (const Expr& expr : {member.nest.body, member.nest.finish}) {
        if (expr && plan_.pass[j] == pass) bind_loads(context_, {expr}, kernel_, printer, held);
      }
      if (member.per_row) {
        printer.bind_value(member.nest.output,
                           columns_ ? fmt::format("val{}[l]", j) : fmt::format("val{}", j),
                           columns_ ? lane_level_ : 1);
      } else if (plan_.pass[j] < pass && !between) {
        if (is_output(context_, member.nest.output)) {
          printer.bind_tensor(member.nest.output, kernel_.write(member.nest.output),
                              context_.type(member.nest.output).dtype, {1});
        } else {
          printer.bind_value(member.nest.output, kept_element(j, printer), lane_level_);
        }
      }
    }
    return printer;
  }

  std::string kept_element(size_t j, ExprPrinter& printer) const {
    const std::string at = printer.print(flat_row());
    return columns_ ? fmt::format("r{}[({}) * {} + l]", j, at, width_)
                    : fmt::format("r{}[{}]", j, at);
  }

  std::string passes(const std::string& lanes) {
    std::string text;
    for (int pass = 0; pass < plan_.count; ++pass)
      text += one_pass(pass, lanes) + after_pass(pass, lanes);
    return text;
  }

  std::string one_pass(int pass, const std::string& lanes) {
    std::vector<size_t> reductions;
    std::vector<size_t> stored;
    ExprPrinter printer = printer_for(pass, false, fmt::format("p{}_", pass), real_);
    std::string updates, block_updates;
    std::string single_store, single_value, single_out;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      const auto& member = group_.members[j];
      if (plan_.pass[j] != pass || (member.per_row && !member.reduces)) continue;
      if (plan_.moments && j == plan_.moments->squares) {
        reductions.push_back(j);  // with the mean
        continue;
      }
      const std::string value = printer.print(member.nest.body);
      if (plan_.moments && j == plan_.moments->mean) {
        reductions.push_back(j);
        updates += "@" + add_to_moments(*plan_.moments, value) + "\n";
        continue;
      }
      if (member.reduces) {
        reductions.push_back(j);
        const Combiner combiner = member.nest.combiner;
        const std::string sum = fmt::format("acc{}[l]", j);
        updates += code::is_arg(combiner)
                       ? "@" + offer_to_lane(combiner, j, value, printer.print(flat_row())) + "\n"
                       : fmt::format("@{} = {};\n", sum, code::combine(combiner, sum, value));
        block_updates += fmt::format("@part{0} += {1};\n", j, value);
        continue;
      }
      stored.push_back(j);
      printer.bind_value(member.nest.output, value, printer.level_of(value));
      if (is_output(context_, member.nest.output)) {
        const graph::DType dtype = context_.type(member.nest.output).dtype;
        single_out = kernel_.write(member.nest.output);
        single_store = printer.print(member.nest.store);
        single_value = code::to_stored(value, dtype, member.nest.body->kind);
        updates += fmt::format("@{}[{}] = {};\n", single_out, single_store, single_value);
      } else if (plan_.kept[j]) {
        updates += fmt::format("@{} = {};\n", kept_element(j, printer), value);
      }
    }
    if (reductions.empty() && stored.empty()) return "";
    auto indented = [](const std::string& lines, int indent) {
      std::string text;
      for (char c : lines)
        text += c == '@' ? std::string(static_cast<size_t>(indent), ' ') : std::string(1, c);
      return text;
    };
    std::string text = "    {\n" + printer.take(0, 6) + printer.take(1, 6);
    const std::string step = columns_             ? std::to_string(width_)
                             : reductions.empty() ? "1"
                                                  : std::to_string(width_);
    if (plan_.moments && plan_.pass[plan_.moments->mean] == pass) text += row_centre(pass);
    for (size_t j : reductions) {
      text += fmt::format(
          "      {0} acc{1}[{2}];\n      for (int l = 0; l < {2}; ++l) acc{1}[l] = {3};\n",
          reduced_type(j), j, step, zero(j));
      if (code::is_arg(group_.members[j].nest.combiner))
        text += fmt::format("      int32_t place{}[{}] = {{}};\n", j, step);
    }
    int indent = 6;
    const bool blocked = stored.empty() && sums_in_blocks(reductions);
    const int looped = columns_ && !blocked ? rows_axes_ : rows_axes_ - 1;
    for (int r = 0; r < looped; ++r) {
      const int a = outer_ + r;
      text += fmt::format("{0}for (int64_t i{1} = 0; i{1} < {2}; ++i{1}) {{\n", pad(indent), a,
                          extents_[static_cast<size_t>(a)]);
      indent += 2;
      text += printer.take(2 + r, indent);
    }
    if (blocked) {
      const std::string lines =
          printer.take(lane_level_ - 1, indent + 6) + printer.take(lane_level_, indent + 6);
      text += block_sums(reductions, lanes, lines + indented(block_updates, indent + 6), indent);
    } else if (columns_) {
      text += fmt::format(
          "#pragma GCC ivdep\n{0}for (int64_t l = 0; l < {1}; ++l) {{\n{0}  const int64_t i{2} = "
          "base + l; (void)i{2};\n",
          pad(indent), lanes, lane_axis_);
      text += printer.take(lane_level_, indent + 2) + indented(updates, indent + 2) + pad(indent) +
              "}\n";
    } else if (reductions.empty()) {
      const int64_t length = extents_.back();
      const std::string lines = printer.take(lane_level_, indent + 4);
      if (can_stream(stored)) {
        streamed_ = true;
        const std::string element =
            code::c_type(context_.type(group_.members[stored[0]].nest.output).dtype);
        text += fmt::format(
            "{0}for (int64_t b = 0; b < {1}; b += 512) {{\n{0}  alignas(64) {2} line[512];\n{0}  "
            "const int64_t some = {1} - b < 512 ? {1} - b : 512;\n",
            pad(indent), length, element);
        text += ask_ahead(pass, "b", "some", indent + 2);
        text += fmt::format(
            "#pragma GCC ivdep\n{0}  for (int64_t l = 0; l < some; ++l) {{\n{0}    const int64_t "
            "i{1} = b + l;\n{2}{0}    line[l] = {3};\n{0}  }}\n",
            pad(indent), lane_axis_, lines, single_value);
        ExprPrinter where(real_, extents_, "w");
        for (int a = 0; a < outer_ + rows_axes_; ++a)
          where.bind_axis(a, a == lane_axis_ ? "b" : fmt::format("i{}", a),
                          a == lane_axis_ ? 2 : 1);
        const std::string to = where.print(group_.members[stored[0]].nest.store);
        text += where.take(1, indent + 2) + where.take(2, indent + 2);
        text +=
            fmt::format("{0}  kw_stream(&{1}[{2}], line, some * (int64_t)sizeof({3}));\n{0}}}\n",
                        pad(indent), single_out, to, element);
      } else if (pass == asking_) {
        text += fmt::format(
            "{0}for (int64_t b = 0; b < {1}; b += 512) {{\n{0}  const int64_t some = {1} - b < 512 "
            "? "
            "{1} - b : 512;\n{2}#pragma GCC ivdep\n{0}  for (int64_t i{3} = b; i{3} < b + some; "
            "++i{3}) {{\n{4}{5}{0}  }}\n{0}}}\n",
            pad(indent), length, ask_ahead(pass, "b", "some", indent + 2), lane_axis_, lines,
            indented(updates, indent + 4));
      } else {
        text += fmt::format(
            "#pragma GCC ivdep\n{0}for (int64_t i{1} = 0; i{1} < {2}; ++i{1}) {{\n{3}{4}{0}}}\n",
            pad(indent), lane_axis_, length, lines, indented(updates, indent + 4));
      }
    } else {
      const int64_t length = extents_.back();
      const std::string lines = printer.take(lane_level_, indent + 4);
      const std::string body =
          fmt::format("{}const int64_t i{} = i + l;\n", pad(indent + 4), lane_axis_) + lines +
          indented(updates, indent + 4);
      text += fmt::format("{}int64_t i = 0;\n", pad(indent));
      text += fmt::format(
          "{0}for (; i + {1} <= {2}; i += {1}) {{\n{4}#pragma GCC ivdep\n{0}  for (int l = 0; l < "
          "{1}; ++l) {{\n{3}{0}  }}\n{0}}}\n",
          pad(indent), width_, length, body,
          ask_ahead(pass, "i", std::to_string(width_), indent + 2));
      text += fmt::format(
          "#pragma GCC ivdep\n{0}for (int l = 0; l < (int)({1} - i); ++l) {{\n{2}{0}}}\n",
          pad(indent), length, body);
    }
    for (int r = 0; r < looped; ++r) text += pad(indent -= 2) + "}\n";
    for (size_t j : reductions) text += finish_reduction(j, pass, lanes);
    // Values per row must outlive the pass.
    return (columns_ ? "" : declare_scalars(reductions)) + text + "    }\n";
  }

  // Asks for `count` elements of what comes after this row (of what is kAsked away in short ones),
  // from element `from` of the row on: memory works while the pass computes, and goes on where a
  // page ends, which the processor's own prefetching does not.
  std::string ask_ahead(int pass, const std::string& from, const std::string& count, int indent) {
    if (pass != asking_) return "";
    std::string text;
    for (int tensor : asked_) {
      const auto bytes = static_cast<int64_t>(graph::dtype_bytes(context_.type(tensor).dtype));
      const int64_t length = extents_.back();
      const int64_t away = plan_.count == 1 ? kAsked / bytes : std::max(length, kAsked / bytes);
      text += fmt::format(
          "{0}for (int64_t l = 0; l < {1}; l += {2}) __builtin_prefetch({3} + point * {4} + {5} + "
          "{6} + l, 0, 2);\n",
          pad(indent), count, 64 / bytes, kernel_.read(tensor), length, away, from);
    }
    return text;
  }

  // The element about which moments are taken: the row's first, where it can be loaded before the
  // pass begins and is finite.
  std::string row_centre(int pass) {
    const Expr& body = group_.members[plan_.moments->mean].nest.body;
    bool loadable = true;
    graph::visit(body, [&](const ExprNode& node) {
      if (node.op != ExprOp::kLoad) return;
      const RowGroup::Member* made = group_.find(node.tensor);
      loadable &= made == nullptr || made->per_row;
    });
    if (!loadable) return "      const double centre = 0;\n";
    std::vector<Expr> first;
    for (int a = 0; a < outer_ + rows_axes_; ++a)
      first.push_back(a < outer_ ? graph::axis(a) : graph::integer(0));
    ExprPrinter printer = printer_for(pass, true, "c_", real_);
    const std::string value =
        printer.print(graph::simplify_index(graph::substitute_axes(body, first), extents_));
    return printer.take(0, 6) + printer.take(1, 6) +
           fmt::format("      const double centre = {0} - {0} == 0 ? {0} : 0;\n", value);
  }

  // Whether the pass is nothing but f32 sums of columns, long enough to go by blocks of rows.
  bool sums_in_blocks(const std::vector<size_t>& reductions) const {
    return columns_ && real_ == Real::kF32 && plan_.only_reduces() && !reductions.empty() &&
           extents_.back() >= 2 * kBlockRows &&
           std::all_of(reductions.begin(), reductions.end(), [&](size_t j) {
             const auto& nest = group_.members[j].nest;
             return nest.combiner == Combiner::kSum && nest.body->kind == ScalarKind::kReal;
           });
  }

  // The innermost row axis by blocks, then what is left of it; `inside` adds a row's values to the
  // block's sums `part`.
  std::string block_sums(const std::vector<size_t>& reductions, const std::string& lanes,
                         const std::string& inside, int indent) const {
    std::string begin, end;
    for (size_t j : reductions) {
      begin += fmt::format("{}    float part{} = 0;\n", pad(indent), j);
      end += fmt::format("{0}    acc{1}[l] += part{1};\n", pad(indent), j);
    }
    std::string text = fmt::format("{}int64_t k0 = 0;\n", pad(indent));
    for (const int64_t rows : {kBlockRows, int64_t{1}}) {
      text += fmt::format(
          "{0}for (; k0 + {1} <= {2}; k0 += {1}) {{\n#pragma GCC ivdep\n{0}  for (int64_t l = 0; l "
          "< {3}; ++l) {{\n{0}    const int64_t i{4} = base + l; (void)i{4};\n{5}#pragma GCC "
          "unroll {1}\n{0}    for (int64_t u = 0; u < {1}; ++u) {{\n{0}      const int64_t i{6} = "
          "k0 + u;\n{7}{0}    }}\n{8}{0}  }}\n{0}}}\n",
          pad(indent), rows, extents_.back(), lanes, lane_axis_, begin, outer_ + rows_axes_ - 1,
          inside, end);
    }
    return text;
  }

  std::string declare_scalars(const std::vector<size_t>& members) const {
    std::string text;
    for (size_t j : members) text += fmt::format("    {} val{};\n", type_of(j), j);
    return text;
  }

  std::string store_scalar(size_t j, ExprPrinter& printer, const std::string& value, int indent) {
    const auto& nest = group_.members[j].nest;
    std::string text =
        fmt::format("{}val{}{} = {};\n", pad(indent), j, columns_ ? "[l]" : "", value);
    if (is_output(context_, nest.output)) {
      const std::string out = kernel_.write(nest.output);
      const std::string at = printer.print(nest.store);
      text += fmt::format(
          "{}{}[{}] = {};\n", pad(indent), out, at,
          code::to_stored(value, context_.type(nest.output).dtype, value_kind(group_.members[j])));
    }
    return text;
  }

  // Lanes to one value (rows) or one per lane (columns), through the finish expression.
  std::string finish_reduction(size_t j, int pass, const std::string& lanes) {
    const auto& nest = group_.members[j].nest;
    std::string text;
    const bool arg = code::is_arg(nest.combiner);
    const std::string sum = fmt::format("acc{}[l]", j);
    if (!columns_) {
      text += fmt::format(
          "      for (int h = {} / 2; h > 0; h /= 2)\n        for (int l = 0; l < h; ++l) {}\n",
          width_,
          arg ? offer_lane(nest.combiner, j)
              : fmt::format("{} = {};", sum,
                            code::combine(nest.combiner, sum, fmt::format("acc{}[l + h]", j))));
    }
    std::string reduced = fmt::format("{}{}[{}]", arg ? "place" : "acc", j, columns_ ? "l" : "0");
    if (plan_.moments && j == plan_.moments->mean)
      reduced = moment_sum(*plan_.moments, group_.row_length());
    if (plan_.moments && j == plan_.moments->squares)
      reduced = moment_squares(*plan_.moments, group_.row_length());
    ExprPrinter printer = printer_for(pass, true, fmt::format("f{}_", j), reduced_real(j));
    std::string value = reduced;
    if (nest.finish) {
      printer.bind_reduced(reduced, columns_ ? lane_level_ : 1);
      value = printer.print(nest.finish);
    }
    const std::string store = store_scalar(j, printer, value, columns_ ? 8 : 6);
    text += printer.take(0, 6) + printer.take(1, 6);
    if (!columns_) return text + store;
    return text +
           fmt::format(
               "#pragma GCC ivdep\n      for (int64_t l = 0; l < {}; ++l) {{\n        const "
               "int64_t i{} = base + l; (void)i{};\n",
               lanes, lane_axis_, lane_axis_) +
           printer.take(lane_level_, 8) + store + "      }\n";
  }

  // Pointwise members with one value per row whose operands are complete after this pass.
  std::string after_pass(int pass, const std::string& lanes) {
    std::string text;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      const auto& member = group_.members[j];
      if (plan_.pass[j] != pass || !member.per_row || member.reduces) continue;
      ExprPrinter printer = printer_for(pass, true, fmt::format("q{}_", j), real_);
      const std::string value = printer.print(member.nest.body);
      const std::string store = store_scalar(j, printer, value, columns_ ? 6 : 4);
      if (!columns_) {
        text += declare_scalars({j}) + printer.take(0, 4) + printer.take(1, 4) + store;
      } else {
        text += printer.take(0, 4) + printer.take(1, 4) +
                fmt::format(
                    "    for (int64_t l = 0; l < {}; ++l) {{\n      const int64_t i{} = base + l; "
                    "(void)i{};\n",
                    lanes, lane_axis_, lane_axis_) +
                printer.take(lane_level_, 6) + store + "    }\n";
      }
    }
    return text;
  }

  bool can_stream(const std::vector<size_t>& stored) const {
    if (!stream_ || columns_ || stored.size() != 1 || rows_axes_ < 1) return false;
    const auto& nest = group_.members[stored[0]].nest;
    if (!is_output(context_, nest.output)) return false;
    const auto affine = rewrite::affine_of(nest, nest.store);
    return affine && affine->coefficients.back() == 1;
  }

  const OpContext& context_;
  Passes plan_;
  const RowGroup& group_;
  KernelText kernel_;
  bool columns_;
  int64_t width_;
  bool stream_;
  bool streamed_ = false;
  std::vector<int> asked_;  // tensors asked for ahead, and the pass that does it
  int asking_ = -1;
  int outer_ = 0, rows_axes_ = 0;
  std::vector<int64_t> extents_;
  Real real_;
  int lane_axis_ = 0, lane_level_ = 0;
};

}  // namespace

void emit_rows(const OpContext& context, const Schedule& schedule, ProgramBuilder& builder) {
  RowEmitter(context, schedule, builder).emit();
}

}  // namespace kernelwright::expert
