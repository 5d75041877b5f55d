// SPDX-License-Identifier: Apache-2.0
// Device helpers for generated CUDA kernels: all of them. Parts may be included alone; a build
// without headers takes NVRTC 15 ms, this one some 30 ms more. Names begin with kw_ and agree with
// those of the CPU's headers where both have them. What a device lacks is not declared.
//
//   kw_types.h    integers, kw_f16, kw_bf16, conversions, bit casts
//   kw_math.h     scalar functions and activations
//   kw_memory.h   vector loads and stores, cache hints, shared addresses, cp.async
//   kw_reduce.h   warp and block reductions and scans
//   kw_atomic.h   loads, stores and atomics with order and scope; a barrier over the grid
//   kw_barrier.h  mbarrier, named barriers, clusters, dependent launch, register budgets (sm_90)
//   kw_tma.h      tensor maps and bulk copies (sm_90)
//   kw_mma.h      ldmatrix, stmatrix, mma.sync
//   kw_wgmma.h    warpgroup products (sm_90a)
//   kw_pieces.h   fp32 numbers as three bf16 pieces
//   kw_split.h    fp32 matrix products from such pieces, a whole kernel (sm_90a)
#ifndef KW_CUDA_H
#define KW_CUDA_H

#include "kw_atomic.h"
#include "kw_barrier.h"
#include "kw_math.h"
#include "kw_memory.h"
#include "kw_mma.h"
#include "kw_pieces.h"
#include "kw_reduce.h"
#include "kw_split.h"
#include "kw_tma.h"
#include "kw_types.h"
#include "kw_wgmma.h"

#endif
