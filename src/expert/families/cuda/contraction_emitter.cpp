// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/contraction_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

using code::ExprPrinter;
using code::Real;
using graph::Expr;

namespace {

// Longer runs in one f32 sum round more than blocked libraries do.
constexpr int64_t kRestart = 128;

// Levels of statements: once per thread, per block, per column, per row, per step of k, per
// element.
enum Level { kOnce = 0, kPerBlock = 1, kSide = 2, kStep = 3, kElement = 4 };

class Emitter {
 public:
  Emitter(const OpContext& context, const TilePlan& plan, ProgramBuilder& builder)
      : context_(context),
        p_(plan),
        c_(*plan.c),
        builder_(builder),
        real_(plan.facts->wide ? Real::kF64 : Real::kF32),
        real_type_(code::real_type(real_)),
        extents_(c_.nest.extents) {
    const auto& f = *plan.facts;
    const bool narrow =
        fits_int32(c_.nest) && f.batch * f.m * f.n < (int64_t{1} << 30) && f.k < (int64_t{1} << 30);
    spelling_ = &code::cuda_spelling(narrow);
    type_ = spelling_->index;
  }

  void emit() {
    const auto& f = *p_.facts;
    const bool split = p_.splits > 1;
    KernelText kernel(builder_, "contract_" + c_.nest.origin);
    kernel.block = static_cast<int>(p_.threads());
    const int64_t threads_n = p_.tile_n / p_.per_n;
    std::string& text = kernel.body;
    text += fmt::format("  __shared__ __align__(16) {0} tile_a[{1}], tile_b[{2}];\n", real_type_,
                        p_.tile_k * p_.row_a(), p_.tile_k * p_.row_b());
    text += fmt::format(
        "  const int thread = (int)threadIdx.x, tx = thread % {0}, ty = thread / {0};\n",
        threads_n);
    text += fmt::format(
        "  const {0} n0 = ({0})blockIdx.x % {1} * {2}, m0 = ({0})blockIdx.x / {1} * {3};\n", type_,
        p_.n_tiles, p_.tile_n, p_.tile_m);
    text += fmt::format("  const {0} batch = ({0})blockIdx.y; (void)batch;\n", type_);
    text += decode_some("batch", extents_, c_.batch, 2, type_);
    if (split) {
      text += fmt::format(
          "  const {0} k_begin = ({0})blockIdx.z * {1}, k_end = k_begin + {1} < {2} ? k_begin + "
          "{1} "
          ": {2};\n",
          type_, p_.part, f.k);
    } else {
      text += fmt::format("  const {0} k_begin = 0, k_end = {1};\n", type_, f.k);
    }
    const std::string load_a = loader(kernel, true), load_b = loader(kernel, false);
    text += once_;
    text += fmt::format("  {} acc[{}][{}];\n", real_type_, p_.per_m, p_.per_n);
    const bool restarts = !p_.facts->wide && std::min(p_.part, f.k) > kRestart;
    if (restarts) text += fmt::format("  {} sum[{}][{}];\n", real_type_, p_.per_m, p_.per_n);
    text += each_output(restarts ? "acc[i][j] = sum[i][j] = 0;" : "acc[i][j] = 0;", 2);
    if (restarts) text += "  int run = 0;\n";
    // Elements for the next step travel while this one is multiplied.
    text += fmt::format("  {} next_a[{}], next_b[{}];\n", real_type_, loads(true), loads(false));
    text += fmt::format("  {{ const {} k0 = k_begin;\n", type_) + load_a + load_b + "  }\n";
    text += fmt::format("  for ({0} k0 = k_begin; k0 < k_end; k0 += {1}) {{\n", type_, p_.tile_k);
    text += "    __syncthreads();\n" + keep(true) + keep(false) + "    __syncthreads();\n";
    text +=
        fmt::format("    if (k0 + {0} < k_end) {{ const {1} k1 = k0 + {0}; {{ const {1} k0 = k1;\n",
                    p_.tile_k, type_) +
        load_a + load_b + "    } }\n";
    text += multiply();
    if (restarts) {
      text += fmt::format("    if ((run += {}) >= {}) {{\n      run = 0;\n", p_.tile_k, kRestart) +
              each_output("sum[i][j] += acc[i][j]; acc[i][j] = 0;", 6) + "    }\n";
    }
    text += "  }\n";
    if (restarts) text += each_output("acc[i][j] += sum[i][j];", 2);
    if (split) {
      partial_ = builder_.add_buffer(program::BufferRole::kScratch,
                                     p_.facts->wide ? graph::DType::kF64 : graph::DType::kF32,
                                     {p_.splits, f.batch * f.m * f.n});
      const std::string to = kernel.write_buffer(partial_);
      text +=
          outputs("", fmt::format("        {}[(({})blockIdx.z * {} + batch) * {} + m * {} + n] = "
                                  "acc[i][j];\n",
                                  to, wide_offset(), f.batch, f.m * f.n, f.n));
    } else {
      text += finish(kernel);
    }
    kernel.launch({p_.m_tiles * p_.n_tiles, f.batch, p_.splits});
    if (split) add_up();
  }

 private:
  // Partial sums may be more than 2^31 elements although the output is not.
  std::string wide_offset() const {
    const auto& f = *p_.facts;
    return p_.splits * f.batch * f.m * f.n < (int64_t{1} << 30) ? type_ : "int64_t";
  }

  int64_t loads(bool side_a) const {
    return ceil_div((side_a ? p_.tile_m : p_.tile_n) * p_.tile_k, p_.threads());
  }

  // Which element of a tile a thread moves in its turn `l`: "r" along m or n, "kk" along k.
  std::string element(bool side_a) const {
    const int64_t rows = side_a ? p_.tile_m : p_.tile_n;
    const bool along_k = side_a ? p_.a_along_k : p_.b_along_k;
    const std::string flat = fmt::format("thread + l * {}", p_.threads());
    std::string text =
        along_k
            ? fmt::format("      const int kk = ({0}) % {1}, r = ({0}) / {1};\n", flat, p_.tile_k)
            : fmt::format("      const int r = ({0}) % {1}, kk = ({0}) / {1};\n", flat, rows);
    if (rows * p_.tile_k % p_.threads() != 0)
      text += fmt::format("      if (({}) >= {}) break;\n", flat, rows * p_.tile_k);
    return text;
  }

  // "next_a[l] = ..." for a tile of an operand at k0; outside of the operand zeros.
  std::string loader(KernelText& kernel, bool side_a) {
    const Expr& operand = side_a ? c_.a : c_.b;
    const std::vector<int>& own = side_a ? c_.m : c_.n;
    const std::vector<int>& other = side_a ? c_.n : c_.m;
    ExprPrinter printer(real_, extents_, side_a ? "a" : "b", *spelling_);
    bind_loads(context_, {operand}, kernel, printer);
    for (int axis : c_.batch) printer.bind_axis(axis, fmt::format("i{}", axis), kPerBlock);
    for (int axis : other) printer.bind_axis(axis, "0", kOnce);
    for (int axis : own) printer.bind_axis(axis, fmt::format("i{}", axis), kSide);
    for (int axis : c_.k) printer.bind_axis(axis, fmt::format("i{}", axis), kStep);
    const std::string value = printer.print(operand);
    once_ += printer.take(kOnce, 2) + printer.take(kPerBlock, 2);
    const char* name = side_a ? "m" : "n";
    const int64_t extent = side_a ? p_.facts->m : p_.facts->n;
    std::string text =
        fmt::format("#pragma unroll\n    for (int l = 0; l < {}; ++l) {{\n", loads(side_a));
    text += element(side_a);
    text += fmt::format("      const {0} {1} = {1}0 + r, k = k0 + kk;\n", type_, name);
    text += fmt::format("      {} value = 0;\n", real_type_);
    text += fmt::format("      if ({} < {} && k < k_end) {{\n", name, extent);
    text += decode_some(name, extents_, own, 8, type_) + printer.take(kSide, 8);
    text += decode_some("k", extents_, c_.k, 8, type_) + printer.take(kStep, 8);
    text += fmt::format("        value = {};\n      }}\n      next_{}[l] = value;\n    }}\n", value,
                        side_a ? "a" : "b");
    return text;
  }

  // Puts what was loaded into the tile, [k][m or n].
  std::string keep(bool side_a) const {
    const char* side = side_a ? "a" : "b";
    return fmt::format("#pragma unroll\n    for (int l = 0; l < {}; ++l) {{\n", loads(side_a)) +
           element(side_a) +
           fmt::format("      tile_{0}[kk * {1} + r] = next_{0}[l];\n    }}\n", side,
                       side_a ? p_.row_a() : p_.row_b());
  }

  // Rows and columns of a thread lie in groups of 4, so that a warp reads side by side.
  static std::string place(const std::string& thread, const std::string& i, int64_t per,
                           int64_t threads) {
    if (per % 4 != 0) return fmt::format("{} * {} + {}", thread, per, i);
    if (per == 4) return fmt::format("{} * 4 + {}", thread, i);
    return fmt::format("{1} / 4 * {2} + {0} * 4 + {1} % 4", thread, i, threads * 4);
  }
  std::string row(const std::string& i) const {
    return place("ty", i, p_.per_m, p_.tile_m / p_.per_m);
  }
  std::string column(const std::string& j) const {
    return place("tx", j, p_.per_n, p_.tile_n / p_.per_n);
  }

  std::string multiply() const {
    std::string text =
        fmt::format("#pragma unroll\n    for (int kk = 0; kk < {}; ++kk) {{\n", p_.tile_k);
    text += fmt::format("      {} x[{}], y[{}];\n", real_type_, p_.per_m, p_.per_n);
    text += fmt::format(
        "#pragma unroll\n      for (int i = 0; i < {}; ++i) x[i] = tile_a[kk * {} + {}];\n",
        p_.per_m, p_.row_a(), row("i"));
    text += fmt::format(
        "#pragma unroll\n      for (int j = 0; j < {}; ++j) y[j] = tile_b[kk * {} + {}];\n",
        p_.per_n, p_.row_b(), column("j"));
    return text + each_output("acc[i][j] += x[i] * y[j];", 6) + "    }\n";
  }

  std::string each_output(const std::string& statement, int indent) const {
    return fmt::format(
        "#pragma unroll\n{0}for (int i = 0; i < {1}; ++i) {{\n#pragma unroll\n{0}  for (int j = 0; "
        "j "
        "< {2}; ++j) {{ {3} }}\n{0}}}\n",
        pad(indent), p_.per_m, p_.per_n, statement);
  }

  // Loops over a thread's outputs inside C, with m and n known.
  std::string outputs(const std::string& per_row, const std::string& inside) const {
    std::string text = fmt::format(
        "#pragma unroll\n  for (int i = 0; i < {}; ++i) {{\n    const {} m = m0 + {};\n", p_.per_m,
        type_, row("i"));
    text += fmt::format("    if (m < {}) {{\n", p_.facts->m) + per_row;
    text += fmt::format(
        "#pragma unroll\n      for (int j = 0; j < {}; ++j) {{\n        const {} n = n0 + {};\n",
        p_.per_n, type_, column("j"));
    text += fmt::format("        if (n < {}) {{\n", p_.facts->n) + inside;
    return text + "        }\n      }\n    }\n  }\n";
  }

  // One element through the finish expression; `acc` names the sum. Axes of batch are known.
  struct Finish {
    std::string before, per_row, per_element;
  };
  Finish finish_text(KernelText& kernel, const std::string& acc) {
    ExprPrinter printer(real_, extents_, "f", *spelling_);
    bind_loads(context_, {c_.nest.finish}, kernel, printer);
    for (int axis : c_.batch) printer.bind_axis(axis, fmt::format("i{}", axis), kPerBlock);
    for (int axis : c_.m) printer.bind_axis(axis, fmt::format("i{}", axis), kSide);
    for (int axis : c_.n) printer.bind_axis(axis, fmt::format("i{}", axis), kElement);
    const graph::DType stored = context_.type(c_.nest.output).dtype;
    const std::string out = kernel.write(c_.nest.output);
    std::string value = acc;
    graph::ScalarKind kind = graph::ScalarKind::kReal;
    if (c_.nest.finish) {
      printer.bind_reduced(acc, kElement);
      value = printer.print(c_.nest.finish);
      kind = c_.nest.finish->kind;
    }
    const std::string at = printer.print(c_.nest.store);
    Finish finish;
    finish.before = printer.take(kOnce, 2) + printer.take(kPerBlock, 2);
    finish.per_row = decode_some("m", extents_, c_.m, 6, type_) + printer.take(kSide, 6);
    finish.per_element =
        decode_some("n", extents_, c_.n, 8, type_) + printer.take(kElement, 8) +
        fmt::format("        {}[{}] = {};\n", out, at, code::to_stored(value, stored, kind));
    return finish;
  }

  std::string finish(KernelText& kernel) {
    const Finish finish = finish_text(kernel, "total");
    return finish.before +
           outputs(finish.per_row,
                   fmt::format("        const {} total = acc[i][j];\n", real_type_) +
                       finish.per_element);
  }

  // The parts of k added up, one thread per output.
  void add_up() {
    const auto& f = *p_.facts;
    KernelText kernel(builder_, "add_" + c_.nest.origin);
    kernel.block = 128;
    const int64_t points = f.batch * f.m * f.n;
    const Finish finish = finish_text(kernel, "total");
    std::string& text = kernel.body;
    text += thread_number("point", type_, 128, 2);
    text += fmt::format("  if (point >= {}) return;\n", points);
    text += fmt::format("  const {0} n = point % {1}, m = point / {1} % {2};\n", type_, f.n, f.m);
    text += decode_some(fmt::format("(point / {})", f.n * f.m), extents_, c_.batch, 2, type_);
    text += fmt::format("  {} total = 0;\n", real_type_);
    text += fmt::format(
        "#pragma unroll 4\n  for (int s = 0; s < {}; ++s) total += {}[({})s * {} + point];\n",
        p_.splits, kernel.read_buffer(partial_), wide_offset(), points);
    text += "  (void)m; (void)n;\n" + finish.before + finish.per_row + finish.per_element;
    kernel.launch({ceil_div(points, 128)});
  }

  const OpContext& context_;
  const TilePlan& p_;
  const rewrite::Contraction& c_;
  ProgramBuilder& builder_;
  Real real_;
  std::string real_type_;
  const std::vector<int64_t>& extents_;
  const code::Spelling* spelling_ = nullptr;
  std::string type_, once_, partial_;
};

// Whether an operand's loads lie side by side along k rather than along m or n.
bool along_k(const rewrite::Contraction& c, const Expr& operand, const std::vector<int>& own) {
  bool along = false;
  graph::visit(operand, [&](const graph::ExprNode& node) {
    if (node.op != graph::ExprOp::kLoad || c.k.empty()) return;
    const auto k = coefficient(c.nest, node.operands[0], c.k.back());
    const auto o =
        own.empty() ? std::optional<int64_t>(0) : coefficient(c.nest, node.operands[0], own.back());
    if (k && *k == 1 && (!o || *o != 1)) along = true;
  });
  return along;
}

}  // namespace

TilePlan plan_tiles(const OpContext& context, const Schedule& schedule) {
  TilePlan p;
  p.c = &*context.contraction();
  p.facts = &contraction_facts(context);
  p.tile_m = schedule.at("tile_m");
  p.tile_n = schedule.at("tile_n");
  p.tile_k = schedule.at("tile_k");
  p.per_m = schedule.at("per_m");
  p.per_n = schedule.at("per_n");
  p.m_tiles = ceil_div(p.facts->m, p.tile_m);
  p.n_tiles = ceil_div(p.facts->n, p.tile_n);
  p.part = ceil_div(ceil_div(p.facts->k, p.tile_k), schedule.at("splits")) * p.tile_k;
  p.splits = ceil_div(p.facts->k, p.part);
  p.a_along_k = along_k(*p.c, p.c->a, p.c->m);
  p.b_along_k = along_k(*p.c, p.c->b, p.c->n);
  return p;
}

void emit_tiles(const OpContext& context, const TilePlan& plan, ProgramBuilder& builder) {
  Emitter(context, plan, builder).emit();
}

}  // namespace kernelwright::expert::cuda
