// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/dialects/cuda/vector_loads.h"
#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

using code::ExprPrinter;
using code::Real;
using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using rewrite::RowGroup;

namespace {

// Levels of statements: once per thread, per row, per vector, per element.
enum Level { kOnce = 0, kRow = 1, kVector = 2, kElement = 3 };

class Emitter {
 public:
  Emitter(const OpContext& context, const RowLayout& layout, ProgramBuilder& builder)
      : context_(context),
        builder_(builder),
        layout_(layout),
        plan_(plan_passes(context, keep_of(layout))),
        group_(plan_.group),
        kernel_(builder, "row_" + context.op.stages.front().origin),
        real_(computing_real(context, group_)) {
    outer_ = static_cast<int>(group_.outer.size());
    extents_ = group_.outer;
    extents_.insert(extents_.end(), group_.row.begin(), group_.row.end());
    inner_ = static_cast<int>(extents_.size()) - 1;
    bool narrow = group_.rows() * group_.row_length() < (int64_t{1} << 30);
    for (const auto& member : group_.members) {
      narrow = narrow && code::fits_int32(member.nest.body, extents_) &&
               code::fits_int32(member.nest.finish, extents_) &&
               code::fits_int32(member.nest.store, extents_);
    }
    spelling_ = &code::cuda_spelling(narrow);
    type_ = spelling_->index;
  }

  void emit() {
    kernel_.block = layout_.block();
    kernel_.shared_bytes = held_shared_bytes(context_, layout_, plan_);
    kernel_.cluster = layout_.cluster;
    kernel_.body = place(layout_.columns, layout_.threads, layout_.across) + hold_declarations();
    const bool clustered = layout_.cluster > 1, split = layout_.slices > 1 && !clustered;
    if (layout_.slices > 1) {
      kernel_.body += fmt::format("  const {} slice = ({})blockIdx.y * {};\n", type_, type_,
                                  layout_.slice / layout_.vector);
    }
    for (int pass = 0; pass < plan_.count; ++pass) {
      std::vector<size_t> reductions;
      std::string text = one_pass(pass, reductions);
      text += reduce_lanes(reductions, layout_.columns, layout_.threads, layout_.across);
      if (clustered) text += reduce_cluster(reductions);
      if (split) {
        kernel_.body += "  {\n" + text + store_partials(reductions) + "  }\n";
      } else {
        for (size_t j : reductions) text += finish_reduction(j, pass, kernel_);
        kernel_.body +=
            declare_values(reductions) + "  {\n" + text + "  }\n" + after_pass(pass, kernel_);
      }
    }
    // Nobody's shared memory goes while others of the cluster read it.
    if (clustered) kernel_.body += "  kw_cluster_sync();\n";
    kernel_.launch({blocks(layout_.columns, layout_.across), layout_.slices});
    if (split) combine_partials();
  }

 private:
  static ScalarKind value_kind(const RowGroup::Member& member) {
    if (member.nest.finish) return member.nest.finish->kind;
    return code::is_arg(member.nest.combiner) ? ScalarKind::kInt : member.nest.body->kind;
  }
  std::string value_type(size_t j) const {
    return code::value_type(value_kind(group_.members[j]), real_);
  }
  // A mean must be right to its last bit: on rows of small variance a norm
  // multiplies its rounding.
  Real reduced_real(size_t j) const {
    const Combiner combiner = group_.members[j].nest.combiner;
    return combiner == Combiner::kSum || combiner == Combiner::kProd ? Real::kF64 : real_;
  }
  std::string reduced_type(size_t j) const {
    return code::value_type(group_.members[j].nest.body->kind, reduced_real(j));
  }
  std::string zero(size_t j) const {
    const auto& nest = group_.members[j].nest;
    return code::identity(nest.combiner, nest.body->kind, reduced_real(j), *spelling_);
  }
  bool arg(size_t j) const { return code::is_arg(group_.members[j].nest.combiner); }
  // Of an arg-reduction: the best value and its position taken over from
  // another pair, where that is better or as good and stands earlier. `none`
  // positions lose.
  std::string take_pair(size_t j, const std::string& value, const std::string& position) const {
    const std::string total = fmt::format("total{}", j), at = fmt::format("at{}", j);
    return fmt::format(
        "if ({1} >= 0 && ({3} < 0 || ({4}) || (({0} == {2} || ({0} != {0} && "
        "{2} != {2})) && {1} < "
        "{3}))) {{ {2} = {0}; {3} = {1}; }}",
        value, position, total, at,
        code::takes_over(group_.members[j].nest.combiner, value, total));
  }
  std::string combined(size_t j, const std::string& a, const std::string& b) const {
    return code::combine(group_.members[j].nest.combiner, a, b);
  }

  int64_t blocks(bool columns, int64_t across) const {
    if (!columns) return ceil_div(group_.rows(), across);
    return group_.rows() / group_.outer.back() * ceil_div(group_.outer.back(), across);
  }

  // Which row a thread works on (`lane` of `threads`), and whether it may store
  // there. Threads beyond the last row redo that one, so that all take part in
  // barriers and exchanges.
  std::string place(bool columns, int64_t threads, int64_t across) {
    std::string text;
    const int64_t rows = group_.rows();
    if (columns) {
      const int64_t extent = group_.outer.back();
      text += fmt::format(
          "  const int lane = (int)threadIdx.x / {0}, column = "
          "(int)threadIdx.x % {0};\n"
          "  {1} i{2} = ({1})blockIdx.x % {3} * {0} + column;\n",
          across, type_, outer_ - 1, ceil_div(extent, across));
      guarded_ = extent % across != 0;
      if (guarded_)
        text += fmt::format("  const bool live = i{0} < {1};\n  if (!live) i{0} = {2};\n",
                            outer_ - 1, extent, extent - 1);
      text += decode_axes(fmt::format("(({})blockIdx.x / {})", type_, ceil_div(extent, across)),
                          group_.outer, 0, outer_ - 1, 2, "i", type_);
      text += row_number();
    } else {
      text += fmt::format(
          "  const int lane = (int)threadIdx.x % {0};\n  {1} "
          "row = ({1})blockIdx.x * {2} + "
          "(int)threadIdx.x / {0};\n",
          threads, type_, across);
      guarded_ = rows % across != 0;
      if (guarded_)
        text +=
            fmt::format("  const bool live = row < {};\n  if (!live) row = {};\n", rows, rows - 1);
      text += decode_axes("row", group_.outer, 0, outer_, 2, "i", type_);
    }
    return text + "  (void)lane; (void)row;\n";
  }

  std::string row_number() const {
    std::string flat = "0";
    for (int a = 0; a < outer_; ++a)
      flat = a == 0 ? "i0"
                    : fmt::format("({}) * {} + i{}", flat, group_.outer[static_cast<size_t>(a)], a);
    return fmt::format("  const {} row = {};\n", type_, flat);
  }

  std::string live(const std::string& also = "") const {
    if (!guarded_ && also.empty()) return "";
    if (!guarded_ || also.empty()) return fmt::format("if ({}) ", guarded_ ? "live" : also);
    return fmt::format("if (live && {}) ", also);
  }

  bool held(size_t j) const { return plan_.kept[j] && layout_.hold != 0; }

  std::string hold_declarations() const {
    std::string text;
    int64_t offset = 0;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      if (!held(j)) continue;
      const std::string type = code::value_type(group_.members[j].nest.body->kind, real_);
      if (layout_.hold == 1) {
        text += fmt::format("  {} r{}[{}];\n", type, j, layout_.steps * layout_.vector);
      } else {
        // One thread writes and reads an element, so no barrier is needed.
        const int64_t bytes = held_bytes(group_.members[j], real_);
        const int64_t room = ceil_div(group_.row_length() * bytes, 16) * 16;
        text += fmt::format(
            "  {0}* r{1} = ({0}*)(kw_dynamic_shared() + {2} + "
            "(int)threadIdx.x / {3} * {4});\n",
            type, j, offset, layout_.threads, room);
        offset += room * layout_.across;
      }
    }
    return text;
  }

  std::string held_element(size_t j) const {
    if (layout_.hold == 1) return fmt::format("r{}[(k + u) * {} + e]", j, layout_.vector);
    return fmt::format("r{}[e * {} + v]", j, group_.row_length() / layout_.vector);
  }

  // A printer for one pass (row axes at hand) or for what lies between passes
  // (outer axes only).
  ExprPrinter printer_for(KernelText& kernel, int pass, bool between, const std::string& prefix,
                          Real real, bool base = false) {
    ExprPrinter printer(real, extents_, prefix, *spelling_);
    for (int a = 0; a < outer_; ++a) printer.bind_axis(a, fmt::format("i{}", a), kRow);
    for (int a = outer_; a <= inner_ && !between; ++a)
      printer.bind_axis(a,
                        a < inner_ ? fmt::format("i{}", a)
                        : base     ? "b"
                                   : "i",
                        a < inner_ || base ? kVector : kElement);
    for (size_t j = 0; j < group_.members.size(); ++j) {
      const auto& member = group_.members[j];
      if (member.per_row) {
        printer.bind_value(member.nest.output, fmt::format("val{}", j), kRow);
      } else if (plan_.pass[j] < pass && !between) {
        if (held(j))
          printer.bind_value(member.nest.output, held_element(j), kElement);
        else if (member.nest.output >= 0 && is_output(context_, member.nest.output))
          printer.bind_tensor(member.nest.output, kernel.write(member.nest.output),
                              context_.type(member.nest.output).dtype, {1});
      }
    }
    return printer;
  }

  std::vector<int> own_tensors() const {
    std::vector<int> own;
    for (const auto& member : group_.members) own.push_back(member.nest.output);
    return own;
  }

  void bind(const Expr& expr, KernelText& kernel, ExprPrinter& printer) const {
    std::vector<int> names = own_tensors();
    graph::visit(expr, [&](const ExprNode& node) {
      if (node.op == ExprOp::kLoad && node.tensor < 0) names.push_back(node.tensor);
    });
    bind_loads(context_, {expr}, kernel, printer, names);
  }

  std::string one_pass(int pass, std::vector<size_t>& reductions) {
    VectorLoads loads(context_, extents_, inner_, layout_.vector, own_tensors());
    std::vector<std::pair<size_t, Expr>> work;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      const auto& member = group_.members[j];
      if (plan_.pass[j] != pass || (member.per_row && !member.reduces)) continue;
      work.emplace_back(j, loads.replace(member.nest.body));
    }
    if (work.empty()) return "";
    const std::string prefix = fmt::format("p{}_", pass);
    ExprPrinter printer = printer_for(kernel_, pass, false, prefix, real_);
    ExprPrinter where = printer_for(kernel_, pass, false, fmt::format("q{}_", pass), real_, true);
    const std::string elements = loads.elements(printer, real_, kElement, "u", 12);
    std::string text, updates, before, after;
    for (const auto& [j, body] : work) {
      const auto& member = group_.members[j];
      const auto& nest = member.nest;
      bind(body, kernel_, printer);
      const std::string value = printer.print(body);
      if (member.reduces) {
        reductions.push_back(j);
        text += fmt::format("    {} total{} = {};\n", reduced_type(j), j, zero(j));
        if (arg(j)) {
          // A thread meets its positions in order.
          text += fmt::format("    {} at{} = -1;\n", type_, j);
          updates += fmt::format(
              "            if (at{0} < 0 || ({1})) {{ total{0} = {2}; at{0} = "
              "v * {3} + e; }}\n",
              j, code::takes_over(nest.combiner, value, fmt::format("total{}", j)), value,
              layout_.vector);
          continue;
        }
        const std::string term =
            body->kind == ScalarKind::kReal ? fmt::format("({}){}", reduced_type(j), value) : value;
        updates += fmt::format("            total{} = {};\n", j,
                               combined(j, fmt::format("total{}", j), term));
        continue;
      }
      printer.bind_value(nest.output, value, printer.level_of(value));
      if (held(j)) updates += fmt::format("            {} = {};\n", held_element(j), value);
      if (nest.output < 0 || !is_output(context_, nest.output)) continue;
      const graph::DType dtype = context_.type(nest.output).dtype;
      const std::string out = kernel_.write(nest.output);
      const std::string stored = code::to_stored(value, dtype, body->kind);
      if (layout_.vector > 1 && runs_along(nest.store, extents_, inner_, layout_.vector, dtype)) {
        before +=
            fmt::format("          kw_vec<{}, {}> o{};\n", code::c_type(dtype), layout_.vector, j);
        updates += fmt::format("            o{}.v[e] = {};\n", j, stored);
        after += fmt::format("          {}kw_store({} + {}, o{});\n", live(), out,
                             where.print(nest.store), j);
      } else {
        const std::string at = printer.print(nest.store);
        updates += fmt::format("            {}{}[{}] = {};\n", live(), out, at, stored);
      }
    }
    ExprPrinter from = printer_for(kernel_, pass, false, fmt::format("u{}_", pass), real_, true);
    const std::string issue = loads.load(kernel_, from, kVector, "u", 10);
    text = printer.take(kOnce, 4) + where.take(kOnce, 4) + from.take(kOnce, 4) +
           printer.take(kRow, 4) + where.take(kRow, 4) + from.take(kRow, 4) + text;
    const bool all = layout_.unroll >= layout_.steps;
    text += all ? "    { const int k = 0;\n"
                : fmt::format("    for (int k = 0; k < {}; k += {}) {{\n", layout_.steps,
                              layout_.unroll);
    if (!loads.empty()) text += loads.declare(layout_.unroll, 6) + vector_loop(issue);
    std::string compute = printer.take(kVector, 10) + before;
    compute += fmt::format(
        "#pragma unroll\n          for (int e = 0; e < {}; "
        "++e) {{\n            const {} i = b + "
        "e; (void)i;\n",
        layout_.vector, type_);
    compute += elements + printer.take(kElement, 12) + updates + "          }\n";
    text += vector_loop(compute + where.take(kVector, 10) + after) + "    }\n";
    return text;
  }

  // The vectors k .. k + unroll of a thread; inside, `v` numbers the vector
  // within the row, the row axes are known and `b` is the first of its
  // neighbours along the innermost.
  std::string vector_loop(const std::string& inside) const {
    std::vector<int64_t> vectors = group_.row;
    vectors.back() /= layout_.vector;
    const int64_t count = graph::element_count(vectors), per_slice = layout_.slice / layout_.vector;
    std::string text = fmt::format(
        "#pragma unroll\n      for (int u = 0; u < {}; ++u) {{\n   "
        "     const {} s = (k + u) * {} "
        "+ lane, v = {}s; (void)s;\n",
        layout_.unroll, type_, layout_.threads, layout_.slices > 1 ? "slice + " : "");
    std::string guard;
    if (ceil_div(layout_.steps, layout_.unroll) * layout_.unroll * layout_.threads != per_slice)
      guard = fmt::format("s < {}", per_slice);
    if (layout_.slices > 1 && layout_.slices * per_slice != count)
      guard += fmt::format("{}v < {}", guard.empty() ? "" : " && ", count);
    text += guard.empty() ? "        {\n" : fmt::format("        if ({}) {{\n", guard);
    std::string rest = "v";
    for (size_t j = vectors.size(); j-- > 0;) {
      const int axis = outer_ + static_cast<int>(j);
      const std::string part = j == 0 ? rest : fmt::format("({}) % {}", rest, vectors[j]);
      if (axis == inner_)
        text += fmt::format("          const {0} b = ({1}) * {2}; (void)b;\n", type_, part,
                            layout_.vector);
      else
        text += fmt::format("          const {0} i{1} = {2}; (void)i{1};\n", type_, axis, part);
      rest = fmt::format("({}) / {}", rest, vectors[j]);
    }
    return text + inside + "        }\n      }\n";
  }

  // The partial results of a row's threads combined, the same in all of them.
  std::string reduce_lanes(const std::vector<size_t>& reductions, bool columns, int64_t threads,
                           int64_t across) {
    if (threads == 1) return "";
    std::string text;
    const int64_t block = threads * across;
    if (!columns) {
      for (size_t j : reductions) {
        if (arg(j)) {
          text += fmt::format(
              "#pragma unroll\n    for (int h = {0}; h > 0; h /= 2) {{\n      "
              "const {1} other = "
              "__shfl_xor_sync(0xffffffffu, total{2}, h);\n      const {3} "
              "place = "
              "__shfl_xor_sync(0xffffffffu, at{2}, h);\n      {4}\n    }}\n",
              std::min<int64_t>(threads, 32) / 2, reduced_type(j), j, type_,
              take_pair(j, "other", "place"));
          continue;
        }
        text += fmt::format(
            "#pragma unroll\n    for (int h = {0}; h > 0; h /= 2)\n      "
            "total{1} = {2};\n",
            std::min<int64_t>(threads, 32) / 2, j,
            combined(
                j, fmt::format("total{}", j),
                fmt::format("({})__shfl_xor_sync(0xffffffffu, total{}, h)", reduced_type(j), j)));
      }
      if (threads <= 32) return text;
    }
    const int64_t parts = columns ? block : block / 32;
    for (size_t j : reductions) {
      text += fmt::format("    __shared__ {} part{}[{}];\n", reduced_type(j), j, parts);
      const std::string slot = columns ? "threadIdx.x" : "threadIdx.x / 32";
      if (arg(j)) {
        text += fmt::format("    __shared__ {} place{}[{}];\n    {}place{}[{}] = at{};\n", type_, j,
                            parts, columns ? "" : "if (threadIdx.x % 32 == 0) ", j, slot, j);
      }
      text += columns ? fmt::format("    part{0}[threadIdx.x] = total{0};\n", j)
                      : fmt::format(
                            "    if (threadIdx.x % 32 == 0) "
                            "part{0}[threadIdx.x / 32] = total{0};\n",
                            j);
    }
    if (!reductions.empty()) text += "    __syncthreads();\n";
    for (size_t j : reductions) {
      const std::string first =
          columns ? "column" : fmt::format("(int)threadIdx.x / {} * {}", threads, threads / 32);
      const int64_t count = columns ? threads : threads / 32, stride = columns ? across : 1;
      if (arg(j)) {
        text += fmt::format(
            "    total{0} = part{0}[{1}]; at{0} = "
            "place{0}[{1}];\n    for (int w = 1; w < {2}; ++w) "
            "{{\n      const {3} other = part{0}[{1} + w * "
            "{4}];\n      const {5} place = place{0}[{1} "
            "+ w * {4}];\n      {6}\n    }}\n",
            j, first, count, reduced_type(j), stride, type_, take_pair(j, "other", "place"));
        continue;
      }
      text += fmt::format(
          "    total{0} = part{0}[{1}];\n#pragma unroll\n    for (int w = 1; w "
          "< {2}; ++w) "
          "total{0} = {3};\n",
          j, first, count,
          combined(j, fmt::format("total{}", j),
                   fmt::format("part{}[{} + w * {}]", j, first, stride)));
    }
    return text;
  }

  // The totals of a cluster's blocks combined, in the order of the blocks and so the same in all.
  std::string reduce_cluster(const std::vector<size_t>& reductions) {
    if (reductions.empty()) return "";
    std::string text;
    for (size_t j : reductions) {
      // Eight bytes each, whatever the type.
      text += fmt::format(
          "    {0}* const mine{1} = ({0}*)(kw_dynamic_shared() + {2});\n"
          "    if (threadIdx.x == 0) *mine{1} = total{1};\n",
          reduced_type(j), j, kernel_.shared_bytes);
      kernel_.shared_bytes += 8;
    }
    text += "    kw_cluster_sync();\n";
    for (size_t j : reductions) {
      text += fmt::format(
          "    total{0} = *kw_cluster_map(mine{0}, 0);\n#pragma unroll\n    for (int r = 1; r < "
          "{1}; ++r) total{0} = {2};\n",
          j, layout_.cluster,
          combined(j, fmt::format("total{}", j), fmt::format("*kw_cluster_map(mine{}, r)", j)));
    }
    return text;
  }

  std::string declare_values(const std::vector<size_t>& members) const {
    std::string text;
    for (size_t j : members) text += fmt::format("  {} val{};\n", value_type(j), j);
    return text;
  }

  std::string store_value(size_t j, KernelText& kernel, ExprPrinter& printer,
                          const std::string& value) {
    const auto& nest = group_.members[j].nest;
    std::string text = fmt::format("    val{} = ({}){};\n", j, value_type(j), value);
    if (nest.output >= 0 && is_output(context_, nest.output)) {
      const std::string out = kernel.write(nest.output);
      const std::string at = printer.print(nest.store);
      text += fmt::format(
          "    {}{}[{}] = {};\n",
          live(layout_.cluster > 1 ? "lane == 0 && blockIdx.y == 0" : "lane == 0"), out, at,
          code::to_stored(value, context_.type(nest.output).dtype, value_kind(group_.members[j])));
    }
    return text;
  }

  std::string finish_reduction(size_t j, int pass, KernelText& kernel) {
    const auto& nest = group_.members[j].nest;
    ExprPrinter printer = printer_for(kernel, pass, true, fmt::format("f{}_", j), reduced_real(j));
    std::string value = fmt::format("{}{}", arg(j) ? "at" : "total", j);
    if (nest.finish) {
      bind(nest.finish, kernel, printer);
      printer.bind_reduced(value, kRow);
      value = printer.print(nest.finish);
    }
    const std::string store = store_value(j, kernel, printer, value);
    return printer.take(kOnce, 4) + printer.take(kRow, 4) + store;
  }

  // Pointwise members with one value per row whose operands are complete after
  // this pass.
  std::string after_pass(int pass, KernelText& kernel) {
    std::string text;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      const auto& member = group_.members[j];
      if (plan_.pass[j] != pass || !member.per_row || member.reduces) continue;
      ExprPrinter printer = printer_for(kernel, pass, true, fmt::format("g{}_", j), real_);
      bind(member.nest.body, kernel, printer);
      const std::string value = printer.print(member.nest.body);
      const std::string store = store_value(j, kernel, printer, value);
      text += declare_values({j}) + "  {\n" + printer.take(kOnce, 4) + printer.take(kRow, 4) +
              store + "  }\n";
    }
    return text;
  }

  // Slices: each row's partial results lie in scratch, [slice][row].
  std::string store_partials(const std::vector<size_t>& reductions) {
    std::string text;
    for (size_t j : reductions) {
      const ScalarKind kind = group_.members[j].nest.body->kind;
      const graph::DType dtype = kind == ScalarKind::kInt        ? graph::DType::kI64
                                 : kind == ScalarKind::kBool     ? graph::DType::kBool
                                 : reduced_real(j) == Real::kF64 ? graph::DType::kF64
                                                                 : graph::DType::kF32;
      partials_[j] = builder_.add_buffer(program::BufferRole::kScratch, dtype,
                                         {layout_.slices, group_.rows()});
      text += fmt::format("    {}{}[({})blockIdx.y * {} + row] = total{};\n", live("lane == 0"),
                          kernel_.write_buffer(partials_[j]), type_, group_.rows(), j);
    }
    return text;
  }

  void combine_partials() {
    KernelText kernel(builder_, "combine_" + context_.op.stages.front().origin);
    const int64_t rows = group_.rows();
    const int64_t threads = rows >= 128 || layout_.slices <= 32 ? 32 : 256;
    const int64_t across = std::max<int64_t>(1, 128 / threads);
    kernel.block = static_cast<int>(threads * across);
    kernel.body = place(false, threads, across);
    std::vector<size_t> reductions;
    std::string text;
    for (const auto& [j, buffer] : partials_) {
      reductions.push_back(j);
      text += fmt::format(
          "    {0} total{1} = {2};\n    for (int s = lane; s < {3}; s += {4}) "
          "total{1} = {5};\n",
          reduced_type(j), j, zero(j), layout_.slices, threads,
          combined(j, fmt::format("total{}", j),
                   fmt::format("({})({}[({})s * {} + row])", reduced_type(j),
                               kernel.read_buffer(buffer), type_, rows)));
    }
    text += reduce_lanes(reductions, false, threads, across);
    for (size_t j : reductions) text += finish_reduction(j, 0, kernel);
    kernel.body += declare_values(reductions) + "  {\n" + text + "  }\n" + after_pass(0, kernel);
    kernel.launch({blocks(false, across)});
  }

  const OpContext& context_;
  ProgramBuilder& builder_;
  RowLayout layout_;
  Passes plan_;
  const RowGroup& group_;
  KernelText kernel_;
  Real real_;
  int outer_ = 0, inner_ = 0;
  std::vector<int64_t> extents_;
  const code::Spelling* spelling_ = nullptr;
  std::string type_;
  bool guarded_ = false;
  std::map<size_t, std::string> partials_;
};

}  // namespace

void emit_rows(const OpContext& context, const RowLayout& layout, ProgramBuilder& builder) {
  Emitter(context, layout, builder).emit();
}

}  // namespace kernelwright::expert::cuda
