// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/split_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/dialects/cuda/vector_loads.h"
#include "expert/emit_util.h"

namespace kernelwright::expert::cuda {

using code::ExprPrinter;
using code::Real;
using graph::DType;
using graph::Expr;

namespace {

constexpr int64_t kSharedOfBlock = 227 << 10;
constexpr int kThreads = 384;       // of the product
constexpr int kPieceThreads = 256;  // of the launches before it, which take
constexpr int64_t kSide = 64;       // this many rows and k at a time
constexpr int64_t kTileRow = kSide + 1;

// The kernel of the product: two tensor maps, then buffers.
class ProductText : public KernelArguments {
 public:
  using KernelArguments::KernelArguments;
  std::string body;

  void launch(const SplitPlan& plan, std::vector<program::BufferArg> maps) {
    program::Launch launch;
    launch.kernel = name_;
    std::string text = fmt::format(
        "extern \"C\" __global__ void __launch_bounds__({}, 1)\n{}(const __grid_constant__ "
        "kw_tensor_map map_a, const __grid_constant__ kw_tensor_map map_b",
        kThreads, name_);
    for (const program::BufferArg& arg : args_)
      text += fmt::format(", {}{}* __restrict__ {}",
                          arg.access == program::Access::kRead ? "const " : "",
                          code::c_type(builder_.dtype(arg.buffer)), arg.buffer);
    builder_.add_source(text + ") {\n" + body + "}\n\n");
    for (auto& map : maps) launch.args.emplace_back(std::move(map));
    for (const auto& arg : args_) launch.args.emplace_back(arg);
    launch.resident_per_sm = 1;
    launch.block = {program::size(kThreads)};
    if (plan.cluster > 1) {
      launch.cluster = {program::size(plan.cluster)};
      builder_.require_feature("cluster");
    }
    launch.shared_bytes = program::size(plan.shared_bytes());
    for (const char* feature : {"tma", "wgmma"}) builder_.require_feature(feature);
    builder_.require_header("kw_split.h");
    builder_.add_run(std::move(launch));
  }
};

// Whether the loads of an operand lie side by side along its rows, for longer than along k.
bool along_rows(const rewrite::Contraction& c, const Expr& operand, const std::vector<int>& own) {
  int64_t longest = 0;
  bool along = false;
  graph::visit(operand, [&](const graph::ExprNode& node) {
    if (node.op != graph::ExprOp::kLoad) return;
    const auto run = [&](const std::vector<int>& axes) {
      if (axes.empty()) return int64_t{0};
      const auto step = coefficient(c.nest, node.operands[0], axes.back());
      return step && *step == 1 ? c.nest.extents[static_cast<size_t>(axes.back())] : int64_t{0};
    };
    const int64_t rows = run(own), k = run(c.k);
    if (std::max(rows, k) <= longest) return;
    longest = std::max(rows, k);
    along = rows > k;
  });
  return along;
}

class SplitEmitter {
 public:
  SplitEmitter(const OpContext& context, const SplitPlan& plan, ProgramBuilder& builder)
      : context_(context),
        p_(plan),
        f_(*plan.facts),
        c_(*plan.c),
        builder_(builder),
        extents_(c_.nest.extents) {
    const bool narrow = fits_int32(c_.nest) && f_.batch * f_.m * f_.n < (int64_t{1} << 30) &&
                        f_.k < (int64_t{1} << 30);
    spelling_ = &code::cuda_spelling(narrow);
    type_ = spelling_->index;
  }

  void emit() {
    const std::string a = pieces(true), b = pieces(false);
    product(a, b);
  }

 private:
  // Levels of statements: once per thread, per block, per row, per element.
  enum Level { kOnce = 0, kBlock = 1, kRow = 2, kElement = 3 };

  void bind_axes(ExprPrinter& printer, const std::vector<int>& axes, int level) const {
    for (int axis : axes) printer.bind_axis(axis, fmt::format("i{}", axis), level);
  }

  // Launches what fills a buffer with an operand's pieces, [piece][batch][row][k padded].
  std::string pieces(bool side_a) {
    const int64_t rows = side_a ? f_.m : f_.n;
    const bool weights = side_a ? f_.weights_a : f_.weights_b;
    const std::string planes =
        builder_.add_buffer(weights ? program::BufferRole::kPacked : program::BufferRole::kScratch,
                            DType::kBF16, {3 * f_.batch, rows, p_.k_padded});
    KernelText kernel(builder_, std::string(side_a ? "pieces_a_" : "pieces_b_") + c_.nest.origin);
    kernel.block = kPieceThreads;
    kernel.resident = 4;
    kernel.in_prepare = weights;
    const int64_t k_tiles = ceil_div(p_.k_padded, kSide);
    std::string& text = kernel.body;
    text += fmt::format("  __shared__ float tile[{}];\n", kSide * kTileRow);
    text += fmt::format(
        "  const {0} k0 = ({0})(blockIdx.x % {1}) * {2}, row0 = ({0})(blockIdx.x / {1}) * {2};\n",
        type_, k_tiles, kSide);
    text += fmt::format("  const {0} batch = ({0})blockIdx.y; (void)batch;\n", type_);
    text += decode_some("batch", extents_, c_.batch, 2, type_);
    text += evaluate(kernel, side_a) + "  __syncthreads();\n";
    text += store_pieces(kernel.write_buffer(planes), rows);
    builder_.require_header("kw_pieces.h");
    kernel.launch({k_tiles * ceil_div(rows, kSide), f_.batch});
    return planes;
  }

  // "tile[row][k] = ..." for the operand; outside of it zeros.
  std::string evaluate(KernelText& kernel, bool side_a) {
    const Expr& operand = side_a ? c_.a : c_.b;
    const std::vector<int>& own = side_a ? c_.m : c_.n;
    ExprPrinter printer(Real::kF32, extents_, "v", *spelling_);
    bind_loads(context_, {operand}, kernel, printer);
    bind_axes(printer, c_.batch, kBlock);
    for (int axis : side_a ? c_.n : c_.m) printer.bind_axis(axis, "0", kOnce);
    bind_axes(printer, own, kRow);
    bind_axes(printer, c_.k, kElement);
    const std::string value = printer.print(operand);
    std::string text = printer.take(kOnce, 2) + printer.take(kBlock, 2);
    text += fmt::format("#pragma unroll 8\n  for (int l = 0; l < {}; ++l) {{\n",
                        kSide * kSide / kPieceThreads);
    const bool across = along_rows(c_, operand, own);
    text += fmt::format(
        "    const int at = (int)threadIdx.x + l * {0}, {1} = at % {3}, {2} = at / {3};\n",
        kPieceThreads, across ? "r" : "kk", across ? "kk" : "r", kSide);
    text += fmt::format("    const {} row = row0 + r, k = k0 + kk;\n    float value = 0;\n", type_);
    text += fmt::format("    if (row < {} && k < {}) {{\n", side_a ? f_.m : f_.n, f_.k);
    text += decode_some("row", extents_, own, 6, type_) + printer.take(kRow, 6);
    text += decode_some("k", extents_, c_.k, 6, type_) + printer.take(kElement, 6);
    text += fmt::format("      value = {};\n    }}\n    tile[r * {} + kk] = value;\n  }}\n", value,
                        kTileRow);
    return text;
  }

  std::string store_pieces(const std::string& planes, int64_t rows) const {
    std::string text = fmt::format("#pragma unroll\n  for (int l = 0; l < {}; ++l) {{\n",
                                   kSide * kSide / 4 / kPieceThreads);
    text += fmt::format(
        "    const int at = (int)threadIdx.x + l * {}, kk = at % {} * 4, r = at / {};\n",
        kPieceThreads, kSide / 4, kSide / 4);
    text += fmt::format("    if (row0 + r >= {} || k0 + kk >= {}) continue;\n", rows, p_.k_padded);
    text += fmt::format("    const float* from = tile + r * {} + kk;\n", kTileRow);
    text += "    const float four[4] = {from[0], from[1], from[2], from[3]};\n";
    text += fmt::format(
        "    kw_store_pieces((uint16_t*){} + ((int64_t)batch * {} + row0 + r) * {} + k0 + kk, {}, "
        "four);\n  }}\n",
        planes, rows, p_.k_padded, f_.batch * rows * p_.k_padded);
    return text;
  }

  program::BufferArg map_of(const std::string& planes, bool side_a) const {
    const int64_t rows = side_a ? f_.m : f_.n;
    const int64_t box = side_a ? SplitPlan::kTileM : p_.tile_n / p_.cluster;
    program::BufferArg arg;
    arg.buffer = planes;
    program::TensorMap map;
    for (int64_t extent : {p_.k_padded, rows, 3 * f_.batch})
      map.shape.push_back(program::size(extent));
    for (int64_t stride : {2 * p_.k_padded, 2 * p_.k_padded * rows})
      map.strides_bytes.push_back(program::size(stride));
    for (int64_t extent : {p_.chunk, box, int64_t{1}}) map.box.push_back(program::size(extent));
    map.swizzle = p_.chunk == 64 ? "128B" : "64B";
    map.l2_promotion = "128B";
    arg.tensor_map = std::move(map);
    return arg;
  }

  void product(const std::string& planes_a, const std::string& planes_b) {
    ProductText kernel(builder_, "split_" + c_.nest.origin);
    kernel.body = fmt::format(
        "  kw_split_multiply<{}, {}, {}, {}>(\n      kw_dynamic_shared(), &map_a, &map_b, {{{}, "
        "{}, {}, {}}},\n      [&](const int batch_at, const int row_at, const int column_at, "
        "const float c0, const float c1) {{\n",
        p_.tile_n, p_.chunk, p_.stages, p_.cluster, f_.batch, p_.tiles_m, p_.tiles_n, p_.chunks);
    kernel.body += finish(kernel) + "      });\n";
    kernel.launch(p_, {map_of(planes_a, true), map_of(planes_b, false)});
  }

  // Whether two neighbours of the output can be stored at once.
  bool stores_pairs(DType stored) const {
    if (c_.n.empty()) return false;
    const int axis = c_.n.back();
    return extents_[static_cast<size_t>(axis)] % 2 == 0 &&
           runs_along(c_.nest.store, extents_, axis, 2, stored);
  }

  // Stores the outputs at (row_at, column_at) and right of it, whose sums are c0 and c1.
  std::string finish(ProductText& kernel) {
    const DType stored = context_.type(c_.nest.output).dtype;
    const std::string out = kernel.write(c_.nest.output);
    ExprPrinter values(Real::kF32, extents_, "f", *spelling_);
    bind_loads(context_, {c_.nest.finish}, kernel, values);
    ExprPrinter places(Real::kF32, extents_, "o", *spelling_);
    for (ExprPrinter* printer : {&values, &places}) {
      bind_axes(*printer, c_.batch, kRow);
      bind_axes(*printer, c_.m, kRow);
      bind_axes(*printer, c_.n, kElement);
    }
    std::string value = "total";
    graph::ScalarKind kind = graph::ScalarKind::kReal;
    if (c_.nest.finish) {
      values.bind_reduced("total", kElement);
      value = values.print(c_.nest.finish);
      kind = c_.nest.finish->kind;
    }
    const std::string at = places.print(c_.nest.store);
    std::string text =
        fmt::format("    if (row_at >= {} || column_at >= {}) return;\n", f_.m, f_.n);
    text += fmt::format("    const {} batch = batch_at, row = row_at; (void)batch; (void)row;\n",
                        type_);
    text += decode_some("batch", extents_, c_.batch, 4, type_) +
            decode_some("row", extents_, c_.m, 4, type_);
    for (ExprPrinter* printer : {&values, &places})
      for (int level : {kOnce, kBlock, kRow}) text += printer->take(level, 4);
    const std::string columns = decode_some("column", extents_, c_.n, 6, type_);
    text += fmt::format("    const auto value = [&](const {} column, const float total) {{\n{}{}",
                        type_, columns, values.take(kElement, 6));
    text += fmt::format("      return ({})({});\n    }};\n", code::c_type(stored),
                        code::to_stored(value, stored, kind));
    text += fmt::format(
        "    const auto place = [&](const {0} column) {{\n{1}{2}      return "
        "({0})({3});\n    }};\n",
        type_, columns, places.take(kElement, 6), at);
    if (stores_pairs(stored))
      return text + fmt::format(
                        "    kw_store({0} + place(column_at), kw_vec<{1}, "
                        "2>{{{{value(column_at, c0), value(column_at + 1, c1)}}}});\n",
                        out, code::c_type(stored));
    return text + fmt::format(
                      "    {0}[place(column_at)] = value(column_at, c0);\n    if (column_at + 1 < "
                      "{1}) {0}[place(column_at + 1)] = value(column_at + 1, c1);\n",
                      out, f_.n);
  }

  const OpContext& context_;
  const SplitPlan& p_;
  const ContractionFacts& f_;
  const rewrite::Contraction& c_;
  ProgramBuilder& builder_;
  const std::vector<int64_t>& extents_;
  const code::Spelling* spelling_ = nullptr;
  std::string type_;
};

}  // namespace

SplitPlan plan_split(const OpContext& context, const Schedule& schedule) {
  SplitPlan p;
  p.c = &*context.contraction();
  p.facts = &contraction_facts(context);
  p.tile_n = schedule.at("tile_n");
  p.chunk = schedule.at("chunk");
  p.cluster = schedule.at("cluster");
  p.stages = std::min<int64_t>((kSharedOfBlock - SplitPlan::kBesideStages) / p.stage_bytes(), 6);
  p.k_padded = ceil_div(p.facts->k, p.chunk) * p.chunk;
  p.chunks = ceil_div(p.facts->k, 2 * p.chunk) * 2;
  p.tiles_m = ceil_div(p.facts->m, SplitPlan::kTileM);
  p.tiles_n = ceil_div(p.facts->n, p.tile_n);
  return p;
}

void emit_split(const OpContext& context, const SplitPlan& plan, ProgramBuilder& builder) {
  SplitEmitter(context, plan, builder).emit();
}

}  // namespace kernelwright::expert::cuda
