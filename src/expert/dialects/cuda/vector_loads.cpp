// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/cuda/vector_loads.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::expert::cuda {

using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;

namespace {

constexpr int kFirstId = -1000;  // tensor numbers of replaced loads: this one and below

}  // namespace

bool runs_along(const Expr& offset, const std::vector<int64_t>& extents, int axis, int64_t width,
                graph::DType dtype) {
  const int rank = static_cast<int>(extents.size());
  const auto affine = graph::as_affine(graph::simplify_index(offset, extents), rank);
  if (!affine || affine->coefficients[static_cast<size_t>(axis)] != 1) return false;
  const auto bytes = static_cast<int64_t>(graph::dtype_bytes(dtype));
  const int64_t aligned = std::min<int64_t>(16, width * bytes);
  if (affine->constant * bytes % aligned != 0) return false;
  for (int a = 0; a < rank; ++a) {
    if (a != axis && affine->coefficients[static_cast<size_t>(a)] * bytes % aligned != 0)
      return false;
  }
  return true;
}

VectorLoads::VectorLoads(const OpContext& context, std::vector<int64_t> extents, int axis,
                         int64_t width, std::vector<int> spare)
    : context_(context),
      extents_(std::move(extents)),
      axis_(axis),
      width_(width),
      spare_(std::move(spare)) {}

bool VectorLoads::takes(const Expr& load) const {
  if (load->tensor < 0 || load->operands.size() != 1) return false;
  if (std::find(spare_.begin(), spare_.end(), load->tensor) != spare_.end()) return false;
  if (!code::is_index(load->operands[0])) return false;
  if (width_ == 1) return true;
  return runs_along(load->operands[0], extents_, axis_, width_, context_.type(load->tensor).dtype);
}

Expr VectorLoads::replace(const Expr& expr) {
  return expr ? walk(expr) : expr;
}

// Like graph::rewrite, but leaves the sides of a select alone.
Expr VectorLoads::walk(const Expr& expr) {
  if (expr->op == ExprOp::kLoad) {
    if (!takes(expr)) return expr;
    for (const Load& known : loads_) {
      if (graph::same(known.expr, expr))
        return graph::load(known.id, expr->kind, {graph::integer(0)});
    }
    loads_.push_back({expr, kFirstId - static_cast<int>(loads_.size())});
    return graph::load(loads_.back().id, expr->kind, {graph::integer(0)});
  }
  if (expr->operands.empty()) return expr;
  auto copy = std::make_shared<ExprNode>(*expr);
  bool changed = false;
  for (size_t i = 0; i < copy->operands.size(); ++i) {
    if (expr->op == ExprOp::kSelect && i > 0) continue;
    Expr operand = walk(copy->operands[i]);
    changed |= operand != copy->operands[i];
    copy->operands[i] = std::move(operand);
  }
  return changed ? Expr(copy) : expr;
}

bool VectorLoads::empty() const {
  return std::all_of(loads_.begin(), loads_.end(),
                     [&](const Load& load) { return !place(load).empty(); });
}

std::vector<Expr> VectorLoads::expressions() const {
  std::vector<Expr> found;
  for (const Load& load : loads_) found.push_back(load.expr);
  return found;
}

std::string VectorLoads::declare(int64_t count, int indent) const {
  std::string text;
  for (size_t i = 0; i < loads_.size(); ++i) {
    if (!place(loads_[i]).empty()) continue;
    text +=
        fmt::format("{}kw_vec<{}, {}> l{}[{}];\n", pad(indent),
                    code::c_type(context_.type(loads_[i].expr->tensor).dtype), width_, i, count);
  }
  return text;
}

std::string VectorLoads::load(KernelArguments& kernel, code::ExprPrinter& printer, int level,
                              const std::string& slot, int indent) const {
  std::string text;
  for (size_t i = 0; i < loads_.size(); ++i) {
    if (!place(loads_[i]).empty()) continue;
    const std::string at = printer.print(loads_[i].expr->operands[0]);
    const int tensor = loads_[i].expr->tensor;
    const bool once = std::find(once_.begin(), once_.end(), tensor) != once_.end();
    text += fmt::format("{}l{}[{}] = kw_load_{}<{}>({} + {});\n", pad(indent), i, slot,
                        once ? "once" : "const", width_, kernel.read(tensor), at);
  }
  return printer.take(level, indent) + text;
}

std::string VectorLoads::elements(code::ExprPrinter& printer, code::Real real, int level,
                                  const std::string& slot, int indent) const {
  std::string text;
  for (size_t i = 0; i < loads_.size(); ++i) {
    const Expr& expr = loads_[i].expr;
    std::string vector = place(loads_[i]);
    if (vector.empty()) vector = fmt::format("l{}[{}]", i, slot);
    const std::string element = fmt::format("{}.v[{}]", vector, width_ == 1 ? "0" : "e");
    text += fmt::format(
        "{}const {} x{} = {};\n", pad(indent), code::value_type(expr->kind, real), i,
        code::from_stored(element, context_.type(expr->tensor).dtype, expr->kind, real));
    printer.bind_value(loads_[i].id, fmt::format("x{}", i), level);
  }
  return text;
}

}  // namespace kernelwright::expert::cuda
