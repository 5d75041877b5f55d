// SPDX-License-Identifier: Apache-2.0
#include "stub/judge_kernels.h"

#include <algorithm>
#include <cstring>

#include "referee/judge_math.h"

namespace kernelwright::stub {
namespace {

using namespace kernelwright::referee;

struct Arrays {
  const float *values, *eager, *delta, *scale;
  long long count;
  int code, wide;

  double oracle(long long i) const {
    return oracle_beside(static_cast<double>(eager[i]), static_cast<double>(delta[i]));
  }
};

}  // namespace

// The host reads as many parts as there are blocks: those of the others stay empty.
void measure(const Params& params) {
  const auto arrays = get<Arrays>(params, 0);
  auto* out = get<Tally*>(params, 2);
  for (int block = 0; block < 528; ++block) out[block] = Tally();
  for (long long i = 0; i < arrays.count; ++i) {
    if (!is_finite(static_cast<double>(arrays.scale[i]))) continue;
    out->take(i, static_cast<double>(arrays.values[i]), static_cast<double>(arrays.eager[i]),
              arrays.oracle(i), static_cast<double>(arrays.scale[i]), get<double>(params, 1));
  }
}

void find(const Params& params) {
  const auto arrays = get<Arrays>(params, 0);
  auto* out = get<unsigned long long*>(params, 3);
  for (long long i = 0; i < arrays.count; ++i) {
    if (!is_finite(static_cast<double>(arrays.scale[i]))) continue;
    if (!breaks(static_cast<Rule>(get<int>(params, 1)), get<double>(params, 2),
                static_cast<double>(arrays.values[i]), static_cast<double>(arrays.eager[i]),
                arrays.oracle(i), static_cast<double>(arrays.scale[i])))
      continue;
    out[0] = std::min(out[0], static_cast<unsigned long long>(i));
    ++out[1];
  }
}

void element(const Params& params) {
  const auto arrays = get<Arrays>(params, 0);
  const auto i = get<long long>(params, 1);
  auto* out = get<double*>(params, 2);
  out[0] = static_cast<double>(arrays.values[i]);
  out[1] = static_cast<double>(arrays.eager[i]);
  out[2] = arrays.oracle(i);
}

void hash(const Params& params) {
  const auto* bytes = get<const unsigned char*>(params, 0);
  const auto size = get<unsigned long long>(params, 1);
  unsigned long long sum = 0;
  for (unsigned long long at = 0; at < size; at += 8) {
    unsigned long long word = 0;
    std::memcpy(&word, bytes + at, std::min<unsigned long long>(8, size - at));
    sum += hash_word(word, at / 8);
  }
  *get<unsigned long long*>(params, 2) += sum;
}

void bands(const Params& params) {
  auto* region = get<unsigned char*>(params, 0);
  const auto begin = get<unsigned long long>(params, 1), end = get<unsigned long long>(params, 2),
             bytes = get<unsigned long long>(params, 3),
             origin = get<unsigned long long>(params, 4), seed = get<unsigned long long>(params, 5);
  auto* out = get<unsigned long long*>(params, 6);
  for (unsigned long long at = 0; at < bytes; ++at) {
    if (at >= begin && at < end) continue;
    const unsigned char expected = band_byte(seed, origin + at);
    if (!out) {
      region[at] = expected;
    } else if (region[at] != expected) {
      if (at < begin)
        out[0] = std::min(out[0], begin - at);
      else
        out[1] = std::min(out[1], at - end + 1);
    }
  }
}

}  // namespace kernelwright::stub
