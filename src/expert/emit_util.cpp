// SPDX-License-Identifier: Apache-2.0
#include "expert/emit_util.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::expert {

std::string pad(int indent) {
  return std::string(static_cast<size_t>(indent), ' ');
}

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

code::Real real_of(const OpContext& context, const rewrite::Nest& nest) {
  std::vector<graph::TensorType> types;
  for (const auto& tensor : context.graph.tensors) types.push_back(tensor.type);
  return code::computing_type({nest.body, nest.finish}, {context.type(nest.output).dtype}, types);
}

void bind_loads(const OpContext& context, const std::vector<graph::Expr>& expressions,
                KernelArguments& kernel, code::ExprPrinter& printer, const std::vector<int>& held) {
  for (const graph::Expr& expr : expressions) {
    if (!expr) continue;
    graph::visit(expr, [&](const graph::ExprNode& node) {
      if (node.op != graph::ExprOp::kLoad) return;
      if (std::find(held.begin(), held.end(), node.tensor) != held.end()) return;
      printer.bind_tensor(node.tensor, kernel.read(node.tensor), context.type(node.tensor).dtype,
                          {1});
    });
  }
}

std::string decode_axes(const std::string& variable, const std::vector<int64_t>& extents, int first,
                        int last, int indent, const std::string& prefix, const std::string& type) {
  std::string text;
  std::string rest = variable;
  for (int a = last - 1; a >= first; --a) {
    const int64_t extent = extents[static_cast<size_t>(a)];
    const std::string name = fmt::format("{}{}", prefix, a);
    if (a == first) {
      text += fmt::format("{0}const {3} {1} = {2}; (void){1};\n", pad(indent), name, rest, type);
    } else {
      text += fmt::format("{0}const {4} {1} = ({2}) % {3}; (void){1};\n", pad(indent), name, rest,
                          extent, type);
      rest = fmt::format("({}) / {}", rest, extent);
    }
  }
  return text;
}

std::string decode_some(const std::string& variable, const std::vector<int64_t>& extents,
                        const std::vector<int>& axes, int indent, const std::string& type) {
  std::vector<int64_t> own;
  for (int axis : axes) own.push_back(extents[static_cast<size_t>(axis)]);
  std::string text, rest = variable;
  for (size_t j = axes.size(); j-- > 0;) {
    text += fmt::format("{0}const {1} i{2} = {3}; (void)i{2};\n", pad(indent), type, axes[j],
                        j == 0 ? rest : fmt::format("({}) % {}", rest, own[j]));
    rest = fmt::format("({}) / {}", rest, own[j]);
  }
  return text;
}

bool fits_int32(const rewrite::Nest& nest) {
  constexpr int64_t kMost = int64_t{1} << 30;
  if (nest.outer_points() > kMost || nest.reduce_points() > kMost) return false;
  return code::fits_int32(nest.body, nest.extents) && code::fits_int32(nest.finish, nest.extents) &&
         code::fits_int32(nest.store, nest.extents);
}

std::optional<int64_t> coefficient(const rewrite::Nest& nest, const graph::Expr& offset, int axis) {
  auto affine = rewrite::affine_of(nest, offset);
  if (!affine) return std::nullopt;
  return affine->coefficients[static_cast<size_t>(axis)];
}

}  // namespace kernelwright::expert
