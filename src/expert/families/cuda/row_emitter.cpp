// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/dialects/cuda/vector_loads.h"
#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"
#include "expert/families/cuda/row_combine.h"
#include "expert/families/cuda/row_exchange.h"
#include "expert/families/cuda/row_late.h"
#include "expert/families/cuda/row_parts.h"
#include "expert/families/cuda/row_stay.h"
#include "expert/families/cuda/row_values.h"

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

constexpr int64_t kSyncWords = 32;  // counters of different groups lie in lines of their own

class RowEmitter {
 public:
  RowEmitter(const OpContext& context, const RowLayout& layout, ProgramBuilder& builder)
      : context_(context),
        builder_(builder),
        layout_(layout),
        plan_(plan_passes(context, keep_of(layout))),
        group_(plan_.group),
        kernel_(builder, "row_" + context.op.stages.front().origin),
        real_(computing_real(context, group_)),
        places_(held_places(plan_, real_)),
        stays_(context, layout_, plan_),
        copies_(copied_loads(context, layout_, plan_, real_)) {
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
    values_.emplace(group_, real_, *spelling_);
  }

  void emit() {
    kernel_.block = layout_.block();
    const int64_t held = held_shared_bytes(context_, layout_, plan_);
    kernel_.shared_bytes = held;
    if (layout_.stay_shared > 0)
      kernel_.shared_bytes += layout_.stay_shared * stay_bytes(context_, layout_, plan_);
    kernel_.cluster = layout_.cluster;
    kernel_.resident = static_cast<int>(layout_.resident);
    kernel_.cooperative = layout_.group > 0;
    if (layout_.group > 0) {
      kernel_.body = begin_groups();
      kernel_.body += hold_declarations() + load_stays(held) + copy_first();
      if (layout_.late > 0) kernel_.body += declare_late(context_, layout_, plan_, type_);
      kernel_.body += rows_in_turn();
    } else {
      kernel_.body = place(layout_.columns, layout_.threads, layout_.across) + hold_declarations();
      if (layout_.slices > 1) {
        kernel_.body += fmt::format("  const {} slice = ({})blockIdx.y * {};\n", type_, type_,
                                    layout_.slice / layout_.vector);
      }
    }
    const auto moments = layout_.once ? find_moments(plan_, layout_) : std::nullopt;
    for (int pass = 0; pass < plan_.count; ++pass) {
      if (moments && plan_.pass[moments->mean] == pass)
        emit_moments(*moments), ++pass;
      else
        emit_pass(pass);
    }
    // Nobody's shared memory goes while others of the cluster read it.
    if (layout_.cluster > 1) kernel_.body += "  kw_cluster_sync();\n";
    if (layout_.group > 0) {
      kernel_.body += layout_.late > 0 ? "  left = row;\n  }\n" + store_late() : "  }\n";
      kernel_.body += "  meet.wait();\n";
      for (const Exchange& exchange : exchanges_) kernel_.body += clear_exchange(exchange, layout_);
      kernel_.body += "  meet.finish();\n";
      kernel_.launch({layout_.group * layout_.groups});
      return;
    }
    kernel_.launch({blocks(layout_.columns, layout_.across), layout_.slices});
    if (!partials_.empty()) combine_partials();
  }

 private:
  // Levels of statements: once per thread, per row, per vector, per element.
  enum Level { kOnce = 0, kRow = 1, kVector = 2, kElement = 3 };

  void emit_pass(int pass) {
    std::vector<size_t> reductions;
    std::string text = one_pass(pass, reductions);
    const std::vector<Total> totals = values_->totals(reductions);
    text += combine_lanes(totals, {layout_.columns, layout_.threads, layout_.across, type_});
    if (layout_.cluster > 1)
      text += combine_cluster(totals, layout_.cluster, kernel_.shared_bytes);
    else if (layout_.group > 0)
      text += exchange_totals(exchange_of(totals), layout_, type_);
    else if (layout_.slices > 1) {
      kernel_.body += "  {\n" + text + store_partials(reductions) + "  }\n";
      return;
    }
    for (size_t j : reductions) text += finish_reduction(j, pass, kernel_);
    kernel_.body +=
        declare_values(reductions) + "  {\n" + text + "  }\n" + after_pass(pass, kernel_);
  }

  // A block's place among the groups, and the loop over their rows; the caller closes it.
  std::string begin_groups() {
    // A line of the cache for the counters of each group.
    const std::string sync = builder_.add_buffer(program::BufferRole::kSync, graph::DType::kU32,
                                                 {layout_.groups * kSyncWords});
    return fmt::format(
        "  const int lane = (int)threadIdx.x, group = (int)blockIdx.x / {0}, part = "
        "(int)blockIdx.x % {0};\n  const {1} slice = ({1})part * {2};\n"
        "  kw_group_barrier meet({3} + group * {4}, {0});\n",
        layout_.group, type_, layout_.slice / layout_.vector, kernel_.exchange_buffer(sync),
        kSyncWords);
  }
  // What is the same for all rows, before the first of them.
  std::string load_stays(int64_t offset) {
    if (layout_.stay_registers + layout_.stay_shared == 0) return "";
    std::string text = stays_.declare(offset);
    for (const Part& part : row_parts(layout_, 0, true)) {
      if (part.stays == Stays::kNowhere) continue;
      part_ = part;
      ExprPrinter where =
          printer_for(kernel_, 0, false, fmt::format("c{}_", part.first), real_, true);
      std::string issue;
      for (const Expr& load : stays_.loads()) {
        const std::string at = where.print(load->operands[0]);
        issue +=
            fmt::format("          {} = kw_load_const<{}>({} + {});\n", stays_.place(load, part),
                        layout_.vector, kernel_.read(load->tensor), at);
      }
      text += where.take(kOnce, 2) + where.take(kRow, 2) + loop_over(part_, 2) +
              vector_loop(where.take(kVector, 10) + issue) + "  }\n";
    }
    return text;
  }
  std::string rows_in_turn() const {
    return fmt::format(
               "  for ({0} row = group, turn = 0, flag = 1; row < {1}; row += {2}, turn ^= 1, "
               "++flag) {{\n",
               type_, group_.rows(), layout_.groups) +
           decode_axes("row", group_.outer, 0, outer_, 2, "i", type_) +
           "  (void)turn; (void)flag;\n" +
           (copies_.empty() ? ""
                            : next_row(group_, fmt::format("row + {}", layout_.groups), type_));
  }
  // The first row to its places, before anything is computed.
  std::string copy_first() {
    if (copies_.empty()) return "";
    std::string text = "  {\n" + next_row(group_, "group", type_);
    for (const Part& part : copied_parts()) {
      part_ = part;
      ExprPrinter where = copy_printer("y");
      const std::string inside = copy_vectors(where);
      text += where.take(kOnce, 2) + where.take(kRow, 2) + loop_over(part, 2) +
              vector_loop(where.take(kVector, 10) + inside) + "  kw_cp_async_commit();\n  }\n";
    }
    return text + "  }\n";
  }
  // The last pass's, which leaves the places that are copied to.
  std::vector<Part> copied_parts() const { return last_parts(true); }
  std::vector<Part> last_parts(bool common) const {
    const std::vector<Part> parts = row_parts(
        layout_, plan_.count - 1, common && layout_.stay_registers + layout_.stay_shared > 0);
    return layout_.late > 0 ? cut_late(parts, layout_) : parts;
  }
  // What waits of the row that was left last.
  std::string store_late() {
    const Part before = part_;
    part_ = late_part(layout_);
    ExprPrinter where = printer_for(kernel_, 0, false, "l_", real_, true);
    for (int a = 0; a < outer_; ++a) where.bind_axis(a, fmt::format("p{}", a), kRow);
    std::string inside;
    for (size_t j : late_results(context_, layout_, plan_)) {
      const std::string at = where.print(group_.members[j].nest.store);
      inside += fmt::format("          kw_store_once({} + {}, {});\n",
                            kernel_.write(group_.members[j].nest.output), at, late_place(j));
    }
    std::string text = "    if (left >= 0) {\n" +
                       decode_axes("left", group_.outer, 0, outer_, 4, "p", type_) +
                       where.take(kOnce, 4) + where.take(kRow, 4) + loop_over(part_, 4) +
                       vector_loop(where.take(kVector, 10) + inside) + "    }\n    }\n";
    part_ = before;
    return text;
  }
  ExprPrinter copy_printer(const std::string& prefix) {
    ExprPrinter where =
        printer_for(kernel_, 0, false, fmt::format("{}{}_", prefix, part_.first), real_, true);
    for (int a = 0; a < outer_; ++a) where.bind_axis(a, fmt::format("m{}", a), kRow);
    return where;
  }
  std::string copy_vectors(ExprPrinter& where) {
    std::string text;
    for (const CopiedLoad& copy : copies_) {
      const std::string at = where.print(copy.load->operands[0]);
      text += fmt::format("          if (more) kw_cp_async<16>(&{}, {} + {});\n",
                          held_vector(copy.member), kernel_.read(copy.load->tensor), at);
    }
    return text;
  }

  Exchange exchange_of(const std::vector<Total>& totals) {
    if (totals.empty()) return {};
    const std::string words = builder_.add_buffer(program::BufferRole::kSync, graph::DType::kI64,
                                                  {exchange_words(layout_, totals.size())});
    std::string meanwhile;
    if (exchanges_.empty() && !copies_.empty())
      meanwhile = ask_half(context_, layout_, plan_, copies_, *spelling_, kernel_);
    if (exchanges_.empty() && layout_.late > 0) meanwhile += store_late();
    exchanges_.push_back({kernel_.exchange_buffer(words), totals, meanwhile});
    return exchanges_.back();
  }

  // A pass and the one after it, with one exchange for both.
  void emit_moments(const Moments& moments) {
    const int pass = plan_.pass[moments.mean];
    const Lanes lanes = {layout_.columns, layout_.threads, layout_.across, type_};
    const std::string type = values_->type(moments.mean);
    const int64_t length = group_.row_length();
    std::vector<size_t> reductions;
    moments_ = moments;
    std::string text = begin_moments(moments, type) + one_pass(pass, reductions);
    moments_.reset();
    text += thread_moments(moments) + combine_lanes(values_->totals(reductions), lanes);
    text +=
        fmt::format("    val{} = {};\n", moments.mean, own_centre(moments, layout_, length, type));
    text += block_squares(moments) + combine_lanes(values_->totals({moments.squares}), lanes);
    reductions.push_back(moments.squares);
    text += exchange_moments(moments, exchange_of(values_->totals(reductions)), layout_, length,
                             type, type_);
    for (size_t j : reductions) text += finish_reduction(j, plan_.pass[j], kernel_);
    kernel_.body += declare_values(reductions) + "  {\n" + text + "  }\n" +
                    after_pass(pass, kernel_) + after_pass(pass + 1, kernel_);
  }

  int64_t blocks(bool columns, int64_t across) const {
    if (!columns) return ceil_div(group_.rows(), across);
    return group_.rows() / group_.outer.back() * ceil_div(group_.outer.back(), across);
  }

  std::string place(bool columns, int64_t threads, int64_t across) {
    return row_place(group_, columns, threads, across, type_, guarded_);
  }

  // Who stores what there is one of per row.
  std::string first_thread() const {
    if (layout_.group > 0) return "lane == 0 && part == 0";
    return layout_.cluster > 1 ? "lane == 0 && blockIdx.y == 0" : "lane == 0";
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
    const int64_t beside = layout_.steps - layout_.registers;
    for (size_t j : layout_.hold != 0 ? first_of_places(plan_, real_) : std::vector<size_t>{}) {
      const std::string type = code::value_type(group_.members[j].nest.body->kind, real_);
      if (layout_.registers > 0)
        text +=
            fmt::format("  {} r{}[{}];\n", type, places_[j], layout_.registers * layout_.vector);
      if (beside == 0) continue;
      // One thread writes and reads an element, so no barrier is needed.
      const int64_t room = held_room(group_.members[j], layout_, real_);
      text += fmt::format(
          "  kw_vec<{0}, {5}>* h{1} = (kw_vec<{0}, {5}>*)(kw_dynamic_shared() + {2} + "
          "(int)threadIdx.x / {3} * {4});\n",
          type, places_[j], offset, layout_.threads, room, layout_.vector);
      offset += room * layout_.across;
    }
    return text;
  }

  std::string held_element(size_t j) const {
    if (part_.registers) return fmt::format("r{}[(k + u) * {} + e]", places_[j], layout_.vector);
    return held_vector(j) + ".v[e]";
  }
  std::string held_vector(size_t j) const {
    return fmt::format("h{}[(k + u{}) * {} + lane]", places_[j],
                       layout_.registers > 0 ? fmt::format(" - {}", layout_.registers) : "",
                       layout_.threads);
  }

  // A printer for one pass (row axes at hand) or for what lies between passes (outer axes only).
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
    if (layout_.shared()) loads.read_once(read_once(context_, layout_, group_));
    std::vector<std::pair<size_t, Expr>> work;
    std::string text;
    for (size_t j = 0; j < group_.members.size(); ++j) {
      const auto& member = group_.members[j];
      if (plan_.pass[j] != pass || (member.per_row && !member.reduces)) continue;
      work.emplace_back(j, loads.replace(member.nest.body));
      if (!member.reduces) continue;
      reductions.push_back(j);
      text += fmt::format("    {} total{} = {};\n", values_->reduced_type(j), j, values_->zero(j));
      // A thread meets its positions in order.
      if (values_->arg(j)) text += fmt::format("    {} at{} = -1;\n", type_, j);
    }
    if (work.empty()) return "";
    const bool copies = !copies_.empty() && pass + 1 == plan_.count;
    for (const Part& part : copies ? copied_parts()
                            : pass + 1 == plan_.count
                                ? last_parts(stays_.any(loads.expressions()))
                                : row_parts(layout_, pass, stays_.any(loads.expressions()))) {
      part_ = part;
      loads.found_in([&](const Expr& load) {
        for (const CopiedLoad& copy : copies_) {
          if (pass == 0 && graph::same(copy.load, load)) return held_vector(copy.member);
        }
        return stays_.place(load, part);
      });
      text += one_part(pass, work, loads);
    }
    return text;
  }

  // What a pass does for each element: statements for the innermost loop, and what comes before and
  // after it.
  struct Work {
    std::string before, updates, after;
  };
  Work work_on(const std::vector<std::pair<size_t, Expr>>& work, ExprPrinter& printer,
               ExprPrinter& where) {
    Work done;
    for (const auto& [j, body] : work) {
      const auto& member = group_.members[j];
      bind(body, kernel_, printer);
      const std::string value = printer.print(body);
      if (member.reduces)
        done.updates += update_total(j, body, value);
      else
        keep_value(j, body, value, printer, where, done);
    }
    return done;
  }

  std::string update_total(size_t j, const Expr& body, const std::string& value) const {
    if (moments_ && moments_->mean == j) return add_to_moments(*moments_, value);
    const std::string total = fmt::format("total{}", j);
    if (values_->arg(j)) {
      return fmt::format(
          "            if (at{0} < 0 || ({1})) {{ total{0} = {2}; at{0} = v * {3} + e; }}\n", j,
          code::takes_over(group_.members[j].nest.combiner, value, total), value, layout_.vector);
    }
    const std::string term = body->kind == ScalarKind::kReal
                                 ? fmt::format("({}){}", values_->reduced_type(j), value)
                                 : value;
    return fmt::format("            {} = {};\n", total,
                       code::combine(group_.members[j].nest.combiner, total, term));
  }

  void keep_value(size_t j, const Expr& body, const std::string& value, ExprPrinter& printer,
                  ExprPrinter& where, Work& done) {
    const auto& nest = group_.members[j].nest;
    printer.bind_value(nest.output, value, printer.level_of(value));
    const bool there = std::any_of(copies_.begin(), copies_.end(),
                                   [&](const CopiedLoad& copy) { return copy.member == j; });
    if (held(j) && !there)
      done.updates += fmt::format("            {} = {};\n", held_element(j), value);
    if (nest.output < 0 || !is_output(context_, nest.output)) return;
    const graph::DType dtype = context_.type(nest.output).dtype;
    const std::string out = kernel_.write(nest.output);
    const std::string stored = code::to_stored(value, dtype, body->kind);
    if (layout_.vector > 1 && runs_along(nest.store, extents_, inner_, layout_.vector, dtype)) {
      done.before +=
          fmt::format("          kw_vec<{}, {}> o{};\n", code::c_type(dtype), layout_.vector, j);
      done.updates += fmt::format("            o{}.v[e] = {};\n", j, stored);
      // What other rows share stays in the cache when results leave it first.
      if (part_.late) {
        done.after += fmt::format("          {} = o{};\n", late_place(j), j);
        return;
      }
      const char* store = layout_.shared() && !read_again(j) ? "kw_store_once" : "kw_store";
      done.after += fmt::format("          {}{}({} + {}, o{});\n", live(), store, out,
                                where.print(nest.store), j);
    } else {
      const std::string at = printer.print(nest.store);
      done.updates += fmt::format("            {}{}[{}] = {};\n", live(), out, at, stored);
    }
  }

  // Whether a later pass reads a value along the row out of memory.
  bool read_again(size_t j) const { return layout_.hold == 0 && plan_.kept[j]; }

  std::string one_part(int pass, const std::vector<std::pair<size_t, Expr>>& work,
                       VectorLoads& loads) {
    const std::string number =
        part_.first > 0 ? fmt::format("{}s{}_", pass, part_.first) : fmt::format("{}_", pass);
    ExprPrinter printer = printer_for(kernel_, pass, false, "p" + number, real_);
    ExprPrinter where = printer_for(kernel_, pass, false, "q" + number, real_, true);
    const std::string elements = loads.elements(printer, real_, kElement, "u", 12);
    const Work done = work_on(work, printer, where);
    ExprPrinter from = printer_for(kernel_, pass, false, "u" + number, real_, true);
    const std::string issue = loads.load(kernel_, from, kVector, "u", 10);
    std::string text = printer.take(kOnce, 4) + where.take(kOnce, 4) + from.take(kOnce, 4) +
                       printer.take(kRow, 4) + where.take(kRow, 4) + from.take(kRow, 4);
    text += loop_over(part_, 4);
    if (pass == 0 && !copies_.empty()) text += wait_for_copies(copied_parts(), part_);
    if (!loads.empty()) text += loads.declare(part_.unroll, 6) + vector_loop(issue);
    std::string compute = printer.take(kVector, 10) + done.before;
    compute += fmt::format(
        "#pragma unroll\n          for (int e = 0; e < {}; ++e) {{\n"
        "            const {} i = b + e; (void)i;\n",
        layout_.vector, type_);
    compute += elements + printer.take(kElement, 12) + done.updates + "          }\n";
    compute += where.take(kVector, 10) + done.after;
    if (pass + 1 < plan_.count || copies_.empty()) return text + vector_loop(compute) + "    }\n";
    // What the last pass leaves is free for the next row.
    ExprPrinter next = copy_printer("z");
    const std::string inside = copy_vectors(next);
    const std::string before = next.take(kOnce, 4) + next.take(kRow, 4);
    return before + text + vector_loop(compute + next.take(kVector, 10) + inside) +
           "      kw_cp_async_commit();\n    }\n";
  }

  std::string vector_loop(const std::string& inside) const {
    return expert::cuda::vector_loop(group_, layout_, part_, type_, inside);
  }

  std::string declare_values(const std::vector<size_t>& members) const {
    std::string text;
    for (size_t j : members) text += fmt::format("  {} val{};\n", values_->type(j), j);
    return text;
  }

  std::string store_value(size_t j, KernelText& kernel, ExprPrinter& printer,
                          const std::string& value) {
    const auto& nest = group_.members[j].nest;
    std::string text = fmt::format("    val{} = ({}){};\n", j, values_->type(j), value);
    if (nest.output >= 0 && is_output(context_, nest.output)) {
      const std::string out = kernel.write(nest.output);
      const std::string at = printer.print(nest.store);
      text += fmt::format("    {}{}[{}] = {};\n", live(first_thread()), out, at,
                          code::to_stored(value, context_.type(nest.output).dtype,
                                          RowValues::kind(group_.members[j])));
    }
    return text;
  }

  std::string finish_reduction(size_t j, int pass, KernelText& kernel) {
    const auto& nest = group_.members[j].nest;
    ExprPrinter printer =
        printer_for(kernel, pass, true, fmt::format("f{}_", j), values_->reduced_real(j));
    std::string value = fmt::format("{}{}", values_->arg(j) ? "at" : "total", j);
    if (nest.finish) {
      bind(nest.finish, kernel, printer);
      printer.bind_reduced(value, kRow);
      value = printer.print(nest.finish);
    }
    const std::string store = store_value(j, kernel, printer, value);
    return printer.take(kOnce, 4) + printer.take(kRow, 4) + store;
  }

  // Pointwise members with one value per row whose operands are complete after this pass.
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
      partials_[j] = builder_.add_buffer(program::BufferRole::kScratch, values_->partial_dtype(j),
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
      const Total one = values_->totals({j})[0];
      text += fmt::format("    {} total{};\n", one.type, j) +
              combine_parts(one, kernel.read_buffer(buffer),
                            fmt::format("({})s * {} + row", type_, rows), layout_.slices, threads);
    }
    text += combine_lanes(values_->totals(reductions), {false, threads, across, type_});
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
  std::vector<int> places_;  // of held members
  StayPlaces stays_;
  std::vector<CopiedLoad> copies_;
  int outer_ = 0, inner_ = 0;
  std::vector<int64_t> extents_;
  const code::Spelling* spelling_ = nullptr;
  std::string type_;
  std::optional<RowValues> values_;
  bool guarded_ = false;
  std::map<size_t, std::string> partials_;
  std::vector<Exchange> exchanges_;
  Part part_;                       // the vectors that are being printed
  std::optional<Moments> moments_;  // whose pass is being printed
};

}  // namespace

void emit_rows(const OpContext& context, const RowLayout& layout, ProgramBuilder& builder) {
  RowEmitter(context, layout, builder).emit();
}

}  // namespace kernelwright::expert::cuda
