// SPDX-License-Identifier: Apache-2.0
// Vector code with a scalar tail inside the bounds.
#include <immintrin.h>

#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  int64_t i = begin;
#ifdef __AVX__
  for (; i + 8 <= end; i += 8) {
    const __m256 v = _mm256_loadu_ps(x + i);
    _mm256_storeu_ps(y + i, _mm256_max_ps(v, _mm256_setzero_ps()));
  }
#endif
  for (; i < end; ++i) y[i] = x[i] > 0 ? x[i] : 0;
}
