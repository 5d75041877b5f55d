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

cpp::Real real_of(const OpContext& context, const rewrite::Nest& nest) {
  std::vector<graph::TensorType> types;
  for (const auto& tensor : context.graph.tensors) types.push_back(tensor.type);
  return cpp::computing_type({nest.body, nest.finish}, {context.type(nest.output).dtype}, types);
}

void bind_loads(const OpContext& context, const std::vector<graph::Expr>& expressions,
                KernelText& kernel, cpp::ExprPrinter& printer, const std::vector<int>& held) {
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
                        int last, int indent, const std::string& prefix) {
  std::string text;
  std::string rest = variable;
  for (int a = last - 1; a >= first; --a) {
    const int64_t extent = extents[static_cast<size_t>(a)];
    const std::string name = fmt::format("{}{}", prefix, a);
    if (a == first) {
      text += fmt::format("{0}const int64_t {1} = {2}; (void){1};\n", pad(indent), name, rest);
    } else {
      text += fmt::format("{0}const int64_t {1} = ({2}) % {3}; (void){1};\n", pad(indent), name,
                          rest, extent);
      rest = fmt::format("({}) / {}", rest, extent);
    }
  }
  return text;
}

std::optional<int64_t> coefficient(const rewrite::Nest& nest, const graph::Expr& offset, int axis) {
  auto affine = rewrite::affine_of(nest, offset);
  if (!affine) return std::nullopt;
  return affine->coefficients[static_cast<size_t>(axis)];
}

std::string stream_helper() {
  return R"(#ifndef KW_STREAM
#define KW_STREAM
typedef long long kw_line __attribute__((vector_size(64)));
typedef long long kw_half __attribute__((vector_size(32)));
static inline void kw_stream(void* to, const void* from, int64_t bytes) {
#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
  for (int64_t i = 0; i < bytes; i += 64)
    __builtin_ia32_movntdq512((kw_line*)((char*)to + i), *(const kw_line*)((const char*)from + i));
#elif defined(__AVX__) && defined(__GNUC__) && !defined(__clang__)
  for (int64_t i = 0; i < bytes; i += 32)
    __builtin_ia32_movntdq256((kw_half*)((char*)to + i), *(const kw_half*)((const char*)from + i));
#elif defined(__clang__)
  for (int64_t i = 0; i < bytes; i += 64)
    __builtin_nontemporal_store(*(const kw_line*)((const char*)from + i), (kw_line*)((char*)to + i));
#else
  __builtin_memcpy(to, from, (unsigned long)bytes);
#endif
}
static inline void kw_stream_end(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}
#endif
)";
}

}  // namespace kernelwright::expert
