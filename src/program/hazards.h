// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "program/buffer_table.h"

namespace kernelwright::program {

// Walks `prepare` and `run` in order and refuses a read of packed, scratch or output memory that
// nothing wrote before, and outputs, states and packed buffers that nothing writes. A write of a
// part counts as a write. Repeats are walked until the set of written names comes round again.
// Throws Malformed.
void check_hazards(const BufferTable& table);

}  // namespace kernelwright::program
