// SPDX-License-Identifier: Apache-2.0
// Kernels of runtime_check.py. Each does one thing that the runtime must get right.

// As cuda.h has it.
struct alignas(64) TensorMap {
  unsigned long long opaque[16];
};

extern "C" __global__ void add_value(const float* x, float* y, float v, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i] + v;
}
extern "C" __global__ void mix(const float* x, const float* y, float* z, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) z[i] = x[i] + 10 * y[i];
}
extern "C" __global__ void step(const float* x, float* y, int step, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = 0.5f * x[i] + step;
}
extern "C" __global__ void wide(const float* x, float* y, long long a, double b, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i] + static_cast<float>(a) + static_cast<float>(b);
}

// Writes the last word of `bytes` of dynamic shared memory and reads it back.
extern "C" __global__ void much_shared(const float* x, float* y, int bytes, int n) {
  extern __shared__ float room[];
  int last = bytes / 4 - 1;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    if (threadIdx.x == 0) room[last] = 3;
    __syncthreads();
    y[i] = x[i] + room[last];
    __syncthreads();
  }
}

// Every block adds 1, all wait for all, every block sees the sum. Needs its blocks resident.
extern "C" __global__ void meet(unsigned* counters, float* y) {
  if (threadIdx.x == 0) {
    atomicAdd(&counters[0], 1);
    while (atomicAdd(&counters[0], 0) < gridDim.x) {
    }
    y[blockIdx.x] = static_cast<float>(gridDim.x);
    // The last to leave puts both back to zero.
    if (atomicAdd(&counters[1], 1) == gridDim.x - 1) {
      counters[0] = 0;
      counters[1] = 0;
    }
  }
}

#if __CUDA_ARCH__ >= 900 || !defined(__CUDA_ARCH__)
// y[block] = 100 * blocks of the cluster + rank in it
extern "C" __global__ void cluster_rank(float* y) {
  unsigned rank, size;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  if (threadIdx.x == 0) y[blockIdx.x] = 100.f * size + rank;
}

// Lets the next launch start at once, then takes its time before it writes.
extern "C" __global__ void slow_write(const float* x, float* y, int n) {
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;");
  long long end = clock64() + 200000;
  while (clock64() < end) {
  }
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = 2 * x[i];
}
extern "C" __global__ void wait_then_add(const float* x, float* y, int n) {
  asm volatile("griddepcontrol.wait;" ::: "memory");
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i] + 1;
}

// One 16 x 32 tile of the map, at column 32 and row 16, into y.
extern "C" __global__ void load_tile(const __grid_constant__ TensorMap map, float* y) {
  __shared__ alignas(128) float tile[16 * 32];
  __shared__ alignas(8) unsigned long long barrier;
  unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(tile));
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(at));
    asm volatile("fence.mbarrier_init.release.cluster;");
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(16 * 32 * 4));
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
        "l"(&map), "r"(32), "r"(16), "r"(at)
        : "memory");
  }
  __syncthreads();
  unsigned done = 0;
  while (!done)
    asm volatile(
        "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
        : "=r"(done)
        : "r"(at)
        : "memory");
  for (int i = threadIdx.x; i < 16 * 32; i += blockDim.x) y[i] = tile[i];
}
#endif
