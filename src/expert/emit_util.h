// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/dialects/expr_printer.h"
#include "expert/dialects/kernel_arguments.h"
#include "expert/family.h"
#include "rewrite/nest.h"

namespace kernelwright::expert {

std::string pad(int indent);

// Type in which a nest computes its reals.
code::Real real_of(const OpContext& context, const rewrite::Nest& nest);

// Makes every tensor that the expressions load readable in the kernel and known to the printer
// (flat offsets). Tensors in `held` are left out: the caller binds them.
void bind_loads(const OpContext& context, const std::vector<graph::Expr>& expressions,
                KernelArguments& kernel, code::ExprPrinter& printer,
                const std::vector<int>& held = {});

// "const int64_t i0 = ...;" for axes [first, last) out of the flat `variable`, last axis fastest.
std::string decode_axes(const std::string& variable, const std::vector<int64_t>& extents, int first,
                        int last, int indent, const std::string& prefix = "i",
                        const std::string& type = "int64_t");
// The same for some axes, in the order given.
std::string decode_some(const std::string& variable, const std::vector<int64_t>& extents,
                        const std::vector<int>& axes, int indent, const std::string& type);
// Whether all index arithmetic of a nest, flat point numbers included, fits 32 bits.
bool fits_int32(const rewrite::Nest& nest);

int64_t ceil_div(int64_t a, int64_t b);

// Coefficient of an axis in a load's or store's offset; nullopt when the offset is not affine.
std::optional<int64_t> coefficient(const rewrite::Nest& nest, const graph::Expr& offset, int axis);

}  // namespace kernelwright::expert
