// SPDX-License-Identifier: Apache-2.0
#include "rewrite/structure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/hash.h"

namespace kernelwright::rewrite {
namespace {

std::string shape_free(const graph::Expr& expr) {
  if (!expr) return "-";
  if (expr->op == graph::ExprOp::kConst) return "#";
  std::string text = fmt::format("{}:{}", static_cast<int>(expr->op), static_cast<int>(expr->kind));
  if (expr->op == graph::ExprOp::kAxis) text += fmt::format(":i{}", expr->axis);
  if (expr->op == graph::ExprOp::kLoad) text += fmt::format(":t{}", expr->tensor);
  if (expr->op == graph::ExprOp::kCast) text += fmt::format(":d{}", graph::dtype_name(expr->dtype));
  text += "(";
  for (const auto& operand : expr->operands) text += shape_free(operand) + ",";
  return text + ")";
}

}  // namespace

std::string structure_of(const graph::StageGraph& graph) {
  base::IdentityBuilder identity;
  for (const auto& tensor : graph.tensors)
    identity.add(fmt::format("{} {} {}", static_cast<int>(tensor.role),
                             graph::dtype_name(tensor.type.dtype), tensor.type.shape.size()));
  for (const auto& stage : graph.stages) {
    identity
        .add(fmt::format("{} {} {} {}", stage.output, static_cast<int>(stage.combiner),
                         stage.reduce.size(), stage.loop))
        .add(shape_free(stage.body))
        .add(shape_free(stage.finish));
  }
  return identity.hex();
}

std::vector<int64_t> extents_of(const graph::StageGraph& graph) {
  std::vector<int64_t> all;
  for (const auto& tensor : graph.tensors)
    all.insert(all.end(), tensor.type.shape.begin(), tensor.type.shape.end());
  for (const auto& stage : graph.stages)
    all.insert(all.end(), stage.reduce.begin(), stage.reduce.end());
  return all;
}

double octaves_between(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double octaves = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto size = [](int64_t extent) {
      return static_cast<double>(std::max<int64_t>(extent, 1));
    };
    octaves += std::abs(std::log2(size(a[i]) / size(b[i])));
  }
  return octaves;
}

}  // namespace kernelwright::rewrite
