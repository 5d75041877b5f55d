// SPDX-License-Identifier: Apache-2.0
// Source of judge.ptx, which scripts/ptx writes: the referee's own kernels. The
// host's side is judge_device.h; the arithmetic is judge_math.h, as on the host.
#include "../judge_math.h"

using namespace kernelwright::referee;

namespace {

constexpr int kThreads = 256;
constexpr int kInt64 = 4;  // an element code

__device__ long long integer(const void* values, long long i) {
  return static_cast<const long long*>(values)[i];
}

// Codes of element_code() in judge_device.cpp.
__device__ double element(const void* values, int code, long long i) {
  switch (code) {
    case 0:
      return static_cast<const double*>(values)[i];
    case 1:
      return static_cast<const float*>(values)[i];
    case 2: {
      float wide;
      asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(static_cast<const unsigned short*>(values)[i]));
      return wide;
    }
    case 3:
      return __uint_as_float(static_cast<unsigned>(static_cast<const unsigned short*>(values)[i])
                             << 16);
    case kInt64:
      return static_cast<double>(integer(values, i));
    case 5:
      return static_cast<const int*>(values)[i];
    case 6:
      return static_cast<const short*>(values)[i];
    case 7:
      return static_cast<const signed char*>(values)[i];
    case 8:
      return static_cast<const unsigned char*>(values)[i];
    default:
      return static_cast<const unsigned*>(values)[i];
  }
}

struct Arrays {
  const void *values, *eager, *delta, *scale;
  long long count;
  int code, wide;  // element code; delta and scale are f64, else f32
};

struct Judged {
  double p, e, o, s;
};

// False: the element is masked.
__device__ bool judged(const Arrays& arrays, long long i, Judged& out) {
  const int beside = arrays.wide ? 0 : 1;
  out.s = element(arrays.scale, beside, i);
  if (!is_finite(out.s)) return false;
  out.p = element(arrays.values, arrays.code, i);
  out.e = element(arrays.eager, arrays.code, i);
  out.o = oracle_beside(out.e, element(arrays.delta, beside, i));
  return true;
}

__device__ long long first_thread() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ long long all_threads() {
  return static_cast<long long>(gridDim.x) * blockDim.x;
}

}  // namespace

// One Tally per block.
extern "C" __global__ void __launch_bounds__(kThreads)
    kw_measure(Arrays arrays, double tolerance, Tally* out) {
  __shared__ double room[kThreads * sizeof(Tally) / sizeof(double)];
  Tally* shared = reinterpret_cast<Tally*>(room);
  Tally mine;
  for (long long i = first_thread(); i < arrays.count; i += all_threads()) {
    Judged at;
    if (judged(arrays, i, at)) mine.take(i, at.p, at.e, at.o, at.s, tolerance);
  }
  shared[threadIdx.x] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x].add(shared[threadIdx.x + half]);
  }
  if (threadIdx.x == 0) out[blockIdx.x] = shared[0];
}

// out[0]: the first element that breaks the rule (all ones before the call), out[1]: how many.
extern "C" __global__ void __launch_bounds__(kThreads)
    kw_find(Arrays arrays, int rule, double limit, unsigned long long* out) {
  for (long long i = first_thread(); i < arrays.count; i += all_threads()) {
    Judged at;
    if (!judged(arrays, i, at)) continue;
    // Beyond 2^53 several integers share a double.
    const bool by_integer = static_cast<Rule>(rule) == Rule::kExactBits && arrays.code == kInt64;
    if (by_integer ? integer(arrays.values, i) == integer(arrays.eager, i)
                   : !breaks(static_cast<Rule>(rule), limit, at.p, at.e, at.o, at.s))
      continue;
    atomicMin(out, static_cast<unsigned long long>(i));
    atomicAdd(out + 1, 1ull);
  }
}

// Element `i` of values, eager and oracle.
extern "C" __global__ void kw_element(Arrays arrays, long long i, double* out) {
  out[0] = element(arrays.values, arrays.code, i);
  out[1] = element(arrays.eager, arrays.code, i);
  out[2] = oracle_beside(out[1], element(arrays.delta, arrays.wide ? 0 : 1, i));
}

// *out += the hash of `bytes` bytes at an address that is a multiple of 8.
extern "C" __global__ void __launch_bounds__(kThreads)
    kw_hash(const unsigned long long* words, unsigned long long bytes, unsigned long long* out) {
  unsigned long long sum = 0;
  const long long whole = static_cast<long long>(bytes / 8);
  for (long long i = first_thread(); i < whole; i += all_threads())
    sum += hash_word(words[i], static_cast<unsigned long long>(i));
  if (first_thread() == 0 && bytes % 8 != 0) {
    unsigned long long last = 0;
    const unsigned char* tail = reinterpret_cast<const unsigned char*>(words + whole);
    for (unsigned long long b = 0; b < bytes % 8; ++b)
      last |= static_cast<unsigned long long>(tail[b]) << (8 * b);
    sum += hash_word(last, static_cast<unsigned long long>(whole));
  }
  for (int half = 16; half > 0; half /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, half);
  if (threadIdx.x % 32 == 0) atomicAdd(out, sum);
}

// Writes the bands of a region (out null) or checks them: out[0] and out[1] become the least
// distance of a damaged byte before the tensor's start and past its end (1: the next byte).
extern "C" __global__ void __launch_bounds__(kThreads)
    kw_bands(unsigned char* region, unsigned long long begin, unsigned long long end,
             unsigned long long bytes, unsigned long long origin, unsigned long long seed,
             unsigned long long* out) {
  const unsigned long long loose = begin + (bytes - end);
  for (unsigned long long k = first_thread(); k < loose; k += all_threads()) {
    const unsigned long long at = k < begin ? k : end + (k - begin);
    const unsigned char expected = band_byte(seed, origin + at);
    if (!out) {
      region[at] = expected;
    } else if (region[at] != expected) {
      if (at < begin)
        atomicMin(out, begin - at);
      else
        atomicMin(out + 1, at - end + 1);
    }
  }
}
