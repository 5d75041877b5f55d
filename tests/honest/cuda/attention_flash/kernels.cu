// SPDX-License-Identifier: Apache-2.0
// Causal attention with capped scores, softmax(30 tanh(q kᵀ / (8 * 30))) v, f16 with f32
// accumulators: the scores never leave registers. A block takes 128 rows of q, a warp 16 of them; k
// and v come in tiles of 64 through a double buffer. Params: LENGTH. Head dimension 64; grid
// [heads, LENGTH / 128].

using u16 = unsigned short;
using u32 = unsigned int;

constexpr int kRows = 128, kKeys = 64, kDim = 64;
constexpr int kTileBytes = kKeys * kDim * 2;
constexpr float kMasked = -3.0e38f;  // below every capped score
constexpr float kLog2E = 1.4426950408889634f, kCap = 30.0f, kScale = 0.125f;

// Rows of 128 bytes; 16-byte unit u of row r lies at u ^ (r mod 8).
__device__ __forceinline__ u32 place(u32 base, int row, int unit) {
  return base + row * 128 + ((unit ^ (row & 7)) << 4);
}
__device__ __forceinline__ void fetch(u32 to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
__device__ __forceinline__ void load_matrices(u32 (&r)[4], u32 from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}
__device__ __forceinline__ void load_transposed(u32 (&r)[4], u32 from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}
__device__ __forceinline__ void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ u32 to_half(float low, float high) {
  u32 out;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}
__device__ __forceinline__ float power_of_2(float v) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(v));
  return out;
}
// kCap * tanh(kScale / kCap * s), times log2(e): what base 2 needs.
__device__ __forceinline__ float capped(float s) {
  float e = power_of_2(s * (2 * kLog2E * kScale / kCap));
  return kCap * kLog2E - __fdividef(2 * kCap * kLog2E, e + 1.0f);
}

extern "C" __global__ void __launch_bounds__(256, 2)
    attention(const u16* q, const u16* k, const u16* v, u16* y) {
  __shared__ alignas(128) unsigned char raw[kRows * kDim * 2 + 4 * kTileBytes];
  u32 q_tile = static_cast<u32>(__cvta_generic_to_shared(raw));
  u32 k_tiles = q_tile + kRows * kDim * 2, v_tiles = k_tiles + 2 * kTileBytes;
  int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  int row_block = gridDim.y - 1 - blockIdx.y;  // the longest rows first
  long head = static_cast<long>(blockIdx.x) * LENGTH * kDim;
  int first = row_block * kRows, tiles = (first + kRows) / kKeys;

  auto fetch_keys = [&](int tile) {
    u32 offset = (tile & 1) * kTileBytes;
    long from = head + static_cast<long>(tile) * kKeys * kDim;
#pragma unroll
    for (int i = thread; i < kKeys * 8; i += 256) {
      fetch(place(k_tiles + offset, i / 8, i % 8), k + from + i * 8);
      fetch(place(v_tiles + offset, i / 8, i % 8), v + from + i * 8);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
#pragma unroll
  for (int i = thread; i < kRows * 8; i += 256)
    fetch(place(q_tile, i / 8, i % 8), q + head + static_cast<long>(first) * kDim + i * 8);
  fetch_keys(0);

  float out[8][4] = {};
  // Of row lane / 4 and of the row 8 further.
  float most[2] = {kMasked, kMasked}, sum[2] = {0, 0};
  int own = first + warp * 16;  // the warp's first row

  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) {
      fetch_keys(tile + 1);
      asm volatile("cp.async.wait_group 1;" ::: "memory");
    } else {
      asm volatile("cp.async.wait_group 0;" ::: "memory");
    }
    __syncthreads();
    int key = tile * kKeys;
    if (key <= own + 15) {
      u32 keys = k_tiles + (tile & 1) * kTileBytes, values = v_tiles + (tile & 1) * kTileBytes;
      float s[8][4] = {};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        u32 a[4];
        load_matrices(a, place(q_tile, warp * 16 + lane % 16, i * 2 + lane / 16));
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          u32 b[4];
          load_matrices(b, place(keys, j * 16 + lane / 16 * 8 + lane % 8, i * 2 + lane / 8 % 2));
          multiply(s[2 * j], a, b[0], b[1]);
          multiply(s[2 * j + 1], a, b[2], b[3]);
        }
      }
      bool diagonal = key + kKeys - 1 > own;
#pragma unroll
      for (int j = 0; j < 8; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          s[j][i] = capped(s[j][i]);
          int column = key + j * 8 + lane % 4 * 2 + i % 2, row = own + lane / 4 + i / 2 * 8;
          if (diagonal && column > row) s[j][i] = kMasked;
        }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float top = most[half];
#pragma unroll
        for (int j = 0; j < 8; ++j) top = fmaxf(top, fmaxf(s[j][2 * half], s[j][2 * half + 1]));
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
        float scale = power_of_2(most[half] - top), part = 0;
        most[half] = top;
#pragma unroll
        for (int j = 0; j < 8; ++j)
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            s[j][i] = power_of_2(s[j][i] - top);
            part += s[j][i];
            out[j][i] *= scale;
          }
        sum[half] = sum[half] * scale + part;
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        u32 p[4] = {to_half(s[2 * i][0], s[2 * i][1]), to_half(s[2 * i][2], s[2 * i][3]),
                    to_half(s[2 * i + 1][0], s[2 * i + 1][1]),
                    to_half(s[2 * i + 1][2], s[2 * i + 1][3])};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          u32 b[4];
          load_transposed(b, place(values, i * 16 + lane % 16, j * 2 + lane / 16));
          multiply(out[2 * j], p, b[0], b[1]);
          multiply(out[2 * j + 1], p, b[2], b[3]);
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sum[half] += __shfl_xor_sync(~0u, sum[half], 1);
    sum[half] += __shfl_xor_sync(~0u, sum[half], 2);
    float scale = 1.0f / sum[half];
    u16* to = y + head + static_cast<long>(own + lane / 4 + half * 8) * kDim + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < 8; ++j)
      *reinterpret_cast<u32*>(to + j * 8) =
          to_half(out[j][2 * half] * scale, out[j][2 * half + 1] * scale);
  }
}
