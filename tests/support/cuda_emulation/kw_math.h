// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA device header of this name where kernels are emulated: the same functions,
// those of the CPU.
#ifndef KW_EMULATED_MATH_H
#define KW_EMULATED_MATH_H

#include "../../../src/target/cpu/device/kw_math.h"
#include "cuda_emulation.h"

#endif
