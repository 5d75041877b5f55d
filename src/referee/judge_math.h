// SPDX-License-Identifier: Apache-2.0
#pragma once

// The arithmetic of a comparison, for the host and for the referee's own GPU kernels alike
// (compiled by nvcc as well: no library).

#if defined(__CUDACC__)
#define KW_BOTH __host__ __device__ inline
#else
#define KW_BOTH inline
#endif

namespace kernelwright::referee {

// What an element may break.
enum class Rule : int {
  kIndex,      // neither eager's nor the oracle's position
  kExactBits,  // another value than eager's
  kClass,      // NaN or infinity where neither eager nor the oracle has it, or the reverse
  kInteger,    // `limit` or more away from the oracle's integer
  kNoise       // more than `limit` times the noise scale away from the oracle
};

constexpr double kLeastScale = 1e-300;
constexpr double kMostRho = 1e150;  // its square is finite

KW_BOTH bool is_nan(double x) {
  return x != x;
}
KW_BOTH bool is_finite(double x) {
  return x - x == 0;
}
KW_BOTH double magnitude(double x) {
  return x < 0 ? -x : x;
}

// NaN, infinity and finite are three classes; an infinity also has a sign.
KW_BOTH bool same_class(double a, double b) {
  if (is_nan(a) || is_nan(b)) return is_nan(a) && is_nan(b);
  if (!is_finite(a) || !is_finite(b)) return a == b;
  return true;
}

// Equal by value; any NaN equals any NaN and the sign of zero is left open.
KW_BOTH bool same_value(double a, double b) {
  return a == b || (is_nan(a) && is_nan(b));
}

KW_BOTH double rho_of(double difference, double scale) {
  const double rho = difference / (scale > kLeastScale ? scale : kLeastScale);
  return rho < kMostRho ? rho : kMostRho;
}

// Candidate p, eager e, oracle o, scale s.
KW_BOTH bool breaks(Rule rule, double limit, double p, double e, double o, double s) {
  switch (rule) {
    case Rule::kIndex:
      return p != e && p != o;
    case Rule::kExactBits:
      return !same_value(p, e);
    case Rule::kClass:
      return !same_class(p, o) && !same_class(p, e);
    case Rule::kInteger:
      return !(magnitude(p - o) < limit) && is_finite(o);
    case Rule::kNoise:
      return is_finite(p) && is_finite(o) &&
             magnitude(p - o) / (s > kLeastScale ? s : kLeastScale) > limit;
  }
  return true;
}

// Sums over the judged elements of one answer. Parts are put together with add().
struct Tally {
  double rho = 0, difference = 0, oracle = 0;  // sums of squares
  double rho_max = 0, difference_max = 0;
  long long excess = 0;  // elements outside KernelBench's allclose
  long long judged = 0;
  long long unmatched = -1;  // first element of another class than eager's and the oracle's
  long long worst = -1;      // element with the largest rho

  KW_BOTH void take(long long index, double p, double e, double o, double s, double tolerance) {
    ++judged;
    if (!same_class(p, o) && !same_class(p, e)) {
      if (unmatched < 0 || index < unmatched) unmatched = index;
      ++excess;
      return;
    }
    if (!is_finite(p) || !is_finite(o)) {
      if (!same_class(p, e)) ++excess;
      return;
    }
    const double d = magnitude(p - o);
    const double r = rho_of(d, s);
    rho += r * r;
    difference += d * d;
    oracle += o * o;
    if (r > rho_max || worst < 0) worst = index;
    if (r > rho_max) rho_max = r;
    if (d > difference_max) difference_max = d;
    if (!(magnitude(p - e) <= tolerance + tolerance * magnitude(e))) ++excess;
  }

  KW_BOTH void add(const Tally& other) {
    rho += other.rho;
    difference += other.difference;
    oracle += other.oracle;
    if (other.worst >= 0 &&
        (worst < 0 || other.rho_max > rho_max || (other.rho_max == rho_max && other.worst < worst)))
      worst = other.worst;
    if (other.rho_max > rho_max) rho_max = other.rho_max;
    if (other.difference_max > difference_max) difference_max = other.difference_max;
    excess += other.excess;
    judged += other.judged;
    if (other.unmatched >= 0 && (unmatched < 0 || other.unmatched < unmatched))
      unmatched = other.unmatched;
  }
};

// The oracle as it is stored on a GPU: next to eager (docs/torch-worker.md).
KW_BOTH double oracle_beside(double eager, double delta) {
  return is_finite(eager) ? eager + delta : delta;
}

// Byte `position` of a guard band: NaN as two floats, huge as a double, and unpredictable, so that
// a result that used it shows.
KW_BOTH unsigned long long band_word(unsigned long long seed, unsigned long long position) {
  unsigned long long x = seed + position * 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  x ^= x >> 31;
  return x | 0x7fc000007fc00000ull;
}
KW_BOTH unsigned char band_byte(unsigned long long seed, unsigned long long position) {
  return static_cast<unsigned char>(band_word(seed, position / 8 * 8) >> (position % 8 * 8));
}

// One word's share of a hash over words in any order.
KW_BOTH unsigned long long hash_word(unsigned long long word, unsigned long long index) {
  unsigned long long x = word ^ (index + 1) * 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ull;
  return x ^ (x >> 32);
}

}  // namespace kernelwright::referee
