// SPDX-License-Identifier: Apache-2.0
// Double precision.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const double* x = static_cast<const double*>(a->buffers[0]);
  double* y = static_cast<double*>(a->buffers[1]);
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] * x[i] + 1;
}
