// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/dialects/cpp/expr_printer.h"
#include "expert/family.h"
#include "rewrite/nest.h"

namespace kernelwright::expert {

std::string pad(int indent);

// Type in which a nest computes its reals.
cpp::Real real_of(const OpContext& context, const rewrite::Nest& nest);

// Makes every tensor that the expressions load readable in the kernel and known to the printer
// (flat offsets). Tensors in `held` are left out: the caller binds them.
void bind_loads(const OpContext& context, const std::vector<graph::Expr>& expressions,
                KernelText& kernel, cpp::ExprPrinter& printer, const std::vector<int>& held = {});

// "const int64_t i0 = ...;" for axes [first, last) out of the flat `variable`, last axis fastest.
std::string decode_axes(const std::string& variable, const std::vector<int64_t>& extents, int first,
                        int last, int indent, const std::string& prefix = "i");

int64_t ceil_div(int64_t a, int64_t b);

// Coefficient of an axis in a load's or store's offset; nullopt when the offset is not affine.
std::optional<int64_t> coefficient(const rewrite::Nest& nest, const graph::Expr& offset, int axis);

// Source text of `kw_stream(to, from, count)`: copies whole 64-byte lines past the caches. Guarded
// so that it may be added by several kernels.
std::string stream_helper();

}  // namespace kernelwright::expert
