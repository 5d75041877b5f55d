// SPDX-License-Identifier: Apache-2.0
// Scalar functions for generated CPU kernels, named kw_*, for float and double (some also for
// integers). Those of the table have no branch and call nothing, so that loops over them become
// vector code without -ffast-math. Infinities, NaN, overflow and denormals come out as IEEE asks.
// Not in the table: <math.h>'s, by a call.
//
//   largest error in ulp       float   double    (tests/unit/target_math_test.cpp)
//   kw_exp                     1.1     1.1
//   kw_expm1                   1.5     2
//   kw_tanh                    3       3
//   kw_sigmoid                 2.5     2.5
//   kw_log                     1       1
//   kw_log1p                   2       2
//   kw_log2                    1.5     -
//   kw_softplus                3       3
//   kw_erf                     1.5     -
//   kw_sin, kw_cos             1.5     -         every float, however large
//   kw_tan                     3.5     -
//   kw_pow                     0.6     -
#ifndef KW_MATH_H
#define KW_MATH_H

#include "kw_basic.h"
#include "kw_exp.h"
#include "kw_half.h"
#include "kw_pow.h"
#include "kw_trig.h"

KW_INLINE float kw_atan2(float y, float x) {
  return __builtin_atan2f(y, x);
}
KW_INLINE double kw_atan2(double y, double x) {
  return __builtin_atan2(y, x);
}

#endif
