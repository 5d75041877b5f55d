// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// The kernel of the row family (row.h) for an op that it accepts and a schedule of its space.
void emit_rows(const OpContext& context, const Schedule& schedule, ProgramBuilder& builder);

}  // namespace kernelwright::expert
