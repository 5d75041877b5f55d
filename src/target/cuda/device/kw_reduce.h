// SPDX-License-Identifier: Apache-2.0
// Reductions and scans over a warp and over a block. The order is fixed by lane and warp, so equal
// input gives equal bits. All threads of the warp (block) take part.
#ifndef KW_REDUCE_H
#define KW_REDUCE_H

#include "kw_math.h"
#include "kw_types.h"

struct kw_sum_op {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct kw_product_op {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a * b;
  }
};
// NaN wins.
struct kw_max_op {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return kw_max(a, b);
  }
};
struct kw_min_op {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return kw_min(a, b);
  }
};

KW_DEVICE int kw_lane() {
  return (int)(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31;
}
KW_DEVICE int kw_warp() {
  return (int)(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) >> 5;
}
// The warp's number in a register that all lanes share, so that branches on it are uniform.
KW_DEVICE int kw_uniform_warp() {
  return __shfl_sync(0xffffffffu, kw_warp(), 0);
}

// Over groups of `kWidth` lanes (a power of two up to 32); every lane gets its group's result.
template <int kWidth = 32, class T, class Op>
KW_DEVICE T kw_warp_reduce(T x, Op op) {
#pragma unroll
  for (int step = kWidth / 2; step > 0; step /= 2) x = op(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}
template <int kWidth = 32, class T>
KW_DEVICE T kw_warp_sum(T x) {
  return kw_warp_reduce<kWidth>(x, kw_sum_op());
}
template <int kWidth = 32, class T>
KW_DEVICE T kw_warp_max(T x) {
  return kw_warp_reduce<kWidth>(x, kw_max_op());
}
template <int kWidth = 32, class T>
KW_DEVICE T kw_warp_min(T x) {
  return kw_warp_reduce<kWidth>(x, kw_min_op());
}

// Inclusive: lane i gets x0 op ... op xi.
template <class T, class Op>
KW_DEVICE T kw_warp_scan(T x, Op op) {
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const T before = __shfl_up_sync(0xffffffffu, x, step);
    if (kw_lane() >= step) x = op(before, x);
  }
  return x;
}

// Over a block of kThreads (a multiple of 32, up to 1024); every thread gets the result. `neutral`
// is the operation's neutral element. A barrier comes first and last, so calls may follow each
// other.
template <int kThreads, class T, class Op>
KW_DEVICE T kw_block_reduce(T x, Op op, T neutral) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024, "a block of whole warps");
  x = kw_warp_reduce(x, op);
  if constexpr (kThreads > 32) {
    __shared__ T kw_parts[32];
    if (kw_lane() == 0) kw_parts[kw_warp()] = x;
    __syncthreads();
    x = kw_lane() < kThreads / 32 ? kw_parts[kw_lane()] : neutral;
    x = kw_warp_reduce(x, op);
    __syncthreads();
  }
  return x;
}
template <int kThreads, class T>
KW_DEVICE T kw_block_sum(T x) {
  return kw_block_reduce<kThreads>(x, kw_sum_op(), (T)0);
}
template <int kThreads>
KW_DEVICE float kw_block_max(float x) {
  return kw_block_reduce<kThreads>(x, kw_max_op(), -__int_as_float(0x7f800000));
}
template <int kThreads>
KW_DEVICE float kw_block_min(float x) {
  return kw_block_reduce<kThreads>(x, kw_min_op(), __int_as_float(0x7f800000));
}

// Mean and sum of squared deviations of `count` values; merged without cancellation (Chan et al.).
struct kw_moments {
  float count, mean, m2;
};
KW_DEVICE kw_moments kw_merge(kw_moments a, kw_moments b) {
  const float count = a.count + b.count;
  if (count == 0.0f) return a;
  const float delta = b.mean - a.mean;
  const float share = b.count / count;
  return {count, a.mean + delta * share, a.m2 + b.m2 + delta * delta * a.count * share};
}
template <int kWidth = 32>
KW_DEVICE kw_moments kw_warp_merge(kw_moments x) {
#pragma unroll
  for (int step = kWidth / 2; step > 0; step /= 2) {
    const kw_moments other = {__shfl_xor_sync(0xffffffffu, x.count, step),
                              __shfl_xor_sync(0xffffffffu, x.mean, step),
                              __shfl_xor_sync(0xffffffffu, x.m2, step)};
    // The lower lane's part stands first in both, so that both get equal bits.
    x = (kw_lane() & step) != 0 ? kw_merge(other, x) : kw_merge(x, other);
  }
  return x;
}

#endif
