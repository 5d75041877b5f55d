// SPDX-License-Identifier: Apache-2.0
// Source of move.ptx, which scripts/ptx writes. Copies or fills a box of elements
// whose strides allow no memcpy or memset; the host's side is move_kernel.h.
struct MoveArgs {
  unsigned long long to, from;  // from 0: a fill
  unsigned long long low, high;  // a fill's 16 bytes
  long long count;               // units
  int rank, unit;                // bytes of a unit: 1, 2, 4, 8, 16
  long long extents[8], to_strides[8], from_strides[8];  // units, bytes, bytes; outermost first
};

template <class T>
__device__ void put(unsigned long long to, unsigned long long from, T pattern) {
  *reinterpret_cast<T*>(to) = from ? *reinterpret_cast<const T*>(from) : pattern;
}

extern "C" __global__ void __launch_bounds__(256) kw_move(const __grid_constant__ MoveArgs args) {
  long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < args.count;
       i += step) {
    long long rest = i;
    unsigned long long to = args.to, from = args.from;
#pragma unroll 1
    for (int d = args.rank - 1; d >= 0; --d) {
      long long next = rest / args.extents[d], at = rest - next * args.extents[d];
      rest = next;
      to += at * args.to_strides[d];
      if (args.from) from += at * args.from_strides[d];
    }
    switch (args.unit) {
      case 1: put<unsigned char>(to, from, static_cast<unsigned char>(args.low)); break;
      case 2: put<unsigned short>(to, from, static_cast<unsigned short>(args.low)); break;
      case 4: put<unsigned>(to, from, static_cast<unsigned>(args.low)); break;
      case 8: put<unsigned long long>(to, from, args.low); break;
      default: put<ulonglong2>(to, from, make_ulonglong2(args.low, args.high)); break;
    }
  }
}
