// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "program/program.h"

namespace kernelwright::program {

// Checks a parsed program by itself: every buffer known; inputs, weights and tables never written;
// `prepare` reads weights and tables only and writes packed only; `run` never writes packed; each
// output and state written; grids, blocks, repeats positive and under limits; total workspace under
// 64 GiB; views inside their buffers; no read of scratch that nothing wrote before (hazard check);
// flags in the target's allow-list.
Status validate(const Program& program);

// Also against a region: every input, weight, output and state index or name exists, typed buffers
// agree.
Status validate_against(const Program& program, const Interface& interface);

// Flags a candidate may ask for, per target.
bool flag_allowed(const std::string& target, const std::string& flag);

}  // namespace kernelwright::program
