// SPDX-License-Identifier: Apache-2.0
// Running sums and products of a row that lies in memory: prefixes of vectors in log2 steps of a
// shift each (Hillis and Steele, Data parallel algorithms, CACM 29, 1986), and only what comes out
// of a whole vector is waited for. T: double or int64_t.
#ifndef KW_SCAN_H
#define KW_SCAN_H

#include "kw_basic.h"

#if defined(__AVX512F__)
#define KW_SCAN_LANES 8
#elif defined(__AVX2__) || defined(__aarch64__)
#define KW_SCAN_LANES 4
#else
#define KW_SCAN_LANES 2
#endif

template <class T>
struct kw_scan_vector {
  typedef T type __attribute__((vector_size(KW_SCAN_LANES * sizeof(T)), may_alias));
};

template <bool kProduct, class V>
KW_INLINE V kw_scan_combine(V a, V b) {
  if constexpr (kProduct)
    return a * b;
  else
    return a + b;
}

// x[k] becomes total combined with x[0] ... x[k], and total the last of them; N: a multiple of 8.
// x: at a multiple of 64 bytes.
template <bool kProduct, int N, class T>
KW_INLINE void kw_scan(T* x, T& total) {
  typedef typename kw_scan_vector<T>::type V;
  const V neutral = V{} + (T)(kProduct ? 1 : 0);
  V carried = V{} + total;
#pragma GCC unroll 8
  for (int i = 0; i < N; i += KW_SCAN_LANES) {
    V v = *(const V*)(x + i);
#if KW_SCAN_LANES == 8
    v = kw_scan_combine<kProduct>(v,
                                  __builtin_shufflevector(neutral, v, 0, 8, 9, 10, 11, 12, 13, 14));
    v = kw_scan_combine<kProduct>(v,
                                  __builtin_shufflevector(neutral, v, 0, 1, 8, 9, 10, 11, 12, 13));
    v = kw_scan_combine<kProduct>(v, __builtin_shufflevector(neutral, v, 0, 1, 2, 3, 8, 9, 10, 11));
    const V whole = __builtin_shufflevector(v, v, 7, 7, 7, 7, 7, 7, 7, 7);
#elif KW_SCAN_LANES == 4
    v = kw_scan_combine<kProduct>(v, __builtin_shufflevector(neutral, v, 0, 4, 5, 6));
    v = kw_scan_combine<kProduct>(v, __builtin_shufflevector(neutral, v, 0, 1, 4, 5));
    const V whole = __builtin_shufflevector(v, v, 3, 3, 3, 3);
#else
    v = kw_scan_combine<kProduct>(v, __builtin_shufflevector(neutral, v, 0, 2));
    const V whole = __builtin_shufflevector(v, v, 1, 1);
#endif
    *(V*)(x + i) = kw_scan_combine<kProduct>(carried, v);
    carried = kw_scan_combine<kProduct>(carried, whole);
  }
  total = carried[0];
}

#endif
