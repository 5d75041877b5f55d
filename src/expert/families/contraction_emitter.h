// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/contraction_plan.h"
#include "expert/program_builder.h"

namespace kernelwright::expert {

// The kernels of a contraction on a CPU: operands that do not change packed in `prepare`, blocks of
// register tiles, results written through the finish expression.
void emit_contraction(const OpContext& context, const ContractionPlan& plan,
                      ProgramBuilder& builder);

}  // namespace kernelwright::expert
