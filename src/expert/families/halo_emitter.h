// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/halo.h"
#include "expert/family.h"
#include "expert/program_builder.h"

namespace kernelwright::expert {

// Bytes of scratch for the image with its border that about `chunk` outputs are made of.
int64_t image_bytes(const OpContext& context, const Halo& halo, int64_t chunk);

// The kernel on a CPU: rows of the image with their border are copied into scratch, then every
// window of those rows is written out without a condition, lanes along the columns.
void emit_halo(const OpContext& context, const Halo& halo, int64_t chunk, ProgramBuilder& builder);

}  // namespace kernelwright::expert
