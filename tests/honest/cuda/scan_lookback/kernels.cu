// SPDX-License-Identifier: Apache-2.0
// Inclusive sums along the rows of x f32[ROWS, COLS], one pass: a block scans one tile and finds
// what lies before it by decoupled look-back (Merrill and Garland, 2016). What a tile publishes is
// one 8-byte word: a state and a sum. Sums before a tile are added from left to right whatever has
// arrived, so results never vary. All words and counters are zero again at the end.
// Params: ROWS, COLS.

using u32 = unsigned int;
using u64 = unsigned long long;

constexpr int kThreads = 256, kWarps = kThreads / 32, kVectors = 4;
constexpr int kTile = kThreads * kVectors * 4;
constexpr int kTiles = COLS / kTile;  // of a row
constexpr u64 kAggregate = 1, kPrefix = 2;

static_assert(COLS % kTile == 0, "");

__device__ __forceinline__ void publish(u64* word, u64 state, float sum) {
  u64 value = state << 32 | __float_as_uint(sum);
  asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(word), "l"(value) : "memory");
}
__device__ __forceinline__ u64 peek(const u64* word) {
  u64 value;
  asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(word) : "memory");
  return value;
}
__device__ __forceinline__ u32 count_up(u32* counter) {
  u32 before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
               : "=r"(before)
               : "l"(counter)
               : "memory");
  return before;
}

// The sum of the tiles before `tile`, by one whole warp; every lane gets it.
__device__ float look_back(const u64* words, int tile, int lane) {
  // Windows of 32 tiles, from the nearest back to the first that holds one with a prefix.
  int from = tile - 1, start = 0;
  float sum = 0;
  for (;; from -= 32) {
    u32 prefixes;
    for (;;) {
      int at = from - lane;
      u64 word = at >= 0 ? peek(words + at) : kPrefix << 32;  // tile 0 publishes a prefix at once
      prefixes = __ballot_sync(~0u, word >> 32 == kPrefix);
      u32 missing = __ballot_sync(~0u, word >> 32 == 0);
      // Only what is nearer than the nearest prefix must be there.
      u32 needed = prefixes ? (prefixes & -prefixes) - 1 : ~0u;
      if (!(missing & needed)) break;
    }
    if (prefixes) {
      start = from - (__ffs(prefixes) - 1);
      break;
    }
  }
  // From there to the right, again in windows: what has arrived stays. Only `start` itself need
  // count as a prefix; a later one that has become a prefix meanwhile is that sum already.
  for (int left = start; left < tile; left += 32) {
    int at = left + lane;
    u64 word = at < tile ? peek(words + at) : 0;
    float value = __uint_as_float(static_cast<u32>(word));
    bool prefix = word >> 32 == kPrefix;
    int count = min(32, tile - left);
    for (int i = 0; i < count; ++i) {
      float next = __shfl_sync(~0u, value, i);
      bool whole = __shfl_sync(~0u, static_cast<int>(prefix), i);
      sum = whole ? next : sum + next;
    }
  }
  return sum;
}

extern "C" __global__ void __launch_bounds__(kThreads)
    scan(const float* x, float* y, u64* words, u32* row_done, u32* counters) {
  __shared__ float warp_sums[kWarps];
  __shared__ u32 shared_ticket;
  __shared__ float shared_before;
  int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;

  // Tickets, not block numbers: whoever holds an earlier one is running.
  if (thread == 0) shared_ticket = atomicAdd(counters, 1);
  __syncthreads();
  int row = shared_ticket % ROWS, tile = shared_ticket / ROWS;
  words += row * kTiles;

  long first = static_cast<long>(row) * COLS + tile * kTile + warp * (kVectors * 128) + lane * 4;
  float4 v[kVectors];
#pragma unroll
  for (int i = 0; i < kVectors; ++i)
    v[i] = __ldcs(reinterpret_cast<const float4*>(x + first + i * 128));

  // Within the warp: 4 elements of a lane, then the lanes, then the 4 runs of 128.
  float run = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    v[i].y += v[i].x, v[i].z += v[i].y, v[i].w += v[i].z;
    float total = v[i].w;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      float other = __shfl_up_sync(~0u, total, step);
      if (lane >= step) total += other;
    }
    float before = __shfl_up_sync(~0u, total, 1);
    before = run + (lane > 0 ? before : 0.0f);
    v[i].x += before, v[i].y += before, v[i].z += before, v[i].w += before;
    run += __shfl_sync(~0u, total, 31);
  }
  if (lane == 31) warp_sums[warp] = run;
  __syncthreads();

  float inside = 0, tile_sum = 0;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) {
    if (i == warp) inside = tile_sum;
    tile_sum += warp_sums[i];
  }
  if (warp == 0) {
    float before = 0;
    if (tile > 0) {
      if (lane == 0) publish(words + tile, kAggregate, tile_sum);
      before = look_back(words, tile, lane);
    }
    if (lane == 0) {
      publish(words + tile, kPrefix, before + tile_sum);
      shared_before = before;
    }
  }
  __syncthreads();

  inside += shared_before;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    v[i].x += inside, v[i].y += inside, v[i].z += inside, v[i].w += inside;
    __stcs(reinterpret_cast<float4*>(y + first + i * 128), v[i]);
  }

  // The last block of a row to come by here clears the row, the last row the rest.
  if (warp == 0) {
    u32 before = 0;
    if (lane == 0) before = count_up(row_done + row);
    __syncwarp();
    if (__shfl_sync(~0u, before, 0) == kTiles - 1) {
      for (int i = lane; i < kTiles; i += 32) words[i] = 0;
      if (lane == 0) {
        row_done[row] = 0;
        if (count_up(counters + 1) == ROWS - 1) counters[0] = 0, counters[1] = 0;
      }
    }
  }
}
