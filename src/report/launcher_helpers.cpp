// SPDX-License-Identifier: Apache-2.0
#include "report/launcher_helpers.h"

namespace kernelwright::report {

const char* const kCudaBefore = R"cpp(#include <cuda.h>
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <algorithm>
#include <utility>
)cpp";

const char* const kCudaHelpers = R"cpp(
  // ---- the host's side

  static const char* kw_error(const char* where, const char* call, const char* what) {
    static thread_local char text[512];
    snprintf(text, sizeof text, "%s: %s: %s", where, call, what);
    return text;
  }
#define KW_CALL(where, call)                                                                \
    do {                                                                                      \
      cudaError_t kw_code = call;                                                             \
      if (kw_code != cudaSuccess) return kw_error(where, #call, cudaGetErrorString(kw_code)); \
    } while (0)

  static inline float kw_f32(unsigned bits) {
    float out;
    memcpy(&out, &bits, 4);
    return out;
  }
  static inline double kw_f64(unsigned long long bits) {
    double out;
    memcpy(&out, &bits, 8);
    return out;
  }

  // resident: blocks per multiprocessor instead of a grid, 0 for none.
  static const char* kw_launch(const void* kernel, const char* where, dim3 grid, dim3 block,
                               dim3 cluster, int shared, int resident, bool cooperative, bool pdl,
                               int multiprocessors, void** params, cudaStream_t stream) {
    cudaFuncAttributes has;
    KW_CALL(where, cudaFuncGetAttributes(&has, kernel));
    if ((size_t)shared + has.sharedSizeBytes > 48 * 1024 && has.maxDynamicSharedSizeBytes < shared)
      KW_CALL(where,
              cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    const unsigned blocks = cluster.x * cluster.y * cluster.z;
    if (blocks > 8)
      KW_CALL(where, cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
    cudaLaunchAttribute attributes[3];
    cudaLaunchConfig_t config = {};
    config.attrs = attributes;
    if (blocks > 1) {
      attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
      attributes[config.numAttrs].val.clusterDim.x = cluster.x;
      attributes[config.numAttrs].val.clusterDim.y = cluster.y;
      attributes[config.numAttrs++].val.clusterDim.z = cluster.z;
    }
    if (resident > 0) grid = dim3(std::max(1u, resident * multiprocessors / blocks) * blocks, 1, 1);
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    if (resident > 0 && blocks > 1) {
      int clusters = 0;
      KW_CALL(where, cudaOccupancyMaxActiveClusters(&clusters, kernel, &config));
      config.gridDim.x = std::min(config.gridDim.x, clusters * blocks);
    }
    if (cooperative) {
      attributes[config.numAttrs].id = cudaLaunchAttributeCooperative;
      attributes[config.numAttrs++].val.cooperative = 1;
    }
    if (pdl) {
      attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
      attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
    }
    KW_CALL(where, cudaLaunchKernelExC(&config, kernel, params));
    return nullptr;
  }

  // libcuda is opened here, so that nothing has to be linked with it.
  static void* kw_driver(const char* name) {
    static void* library = dlopen("libcuda.so.1", RTLD_NOW);
    return library ? dlsym(library, name) : nullptr;
  }

  static inline const char* kw_map(CUtensorMap* map, const char* where, int type, unsigned rank,
                                   void* address, const cuuint64_t* shape,
                                   const cuuint64_t* strides, const cuuint32_t* box,
                                   const cuuint32_t* steps, bool im2col, const int* lower,
                                   const int* upper, unsigned channels, unsigned pixels,
                                   int interleave, int swizzle, int promotion, int fill) {
    int code;
    if (im2col) {
      static auto encode = (decltype(&cuTensorMapEncodeIm2col))kw_driver("cuTensorMapEncodeIm2col");
      if (!encode) return kw_error(where, "cuTensorMapEncodeIm2col", "the driver lacks it");
      code = encode(map, (CUtensorMapDataType)type, rank, address, shape, strides, lower, upper,
                    channels, pixels, steps, (CUtensorMapInterleave)interleave,
                    (CUtensorMapSwizzle)swizzle, (CUtensorMapL2promotion)promotion,
                    (CUtensorMapFloatOOBfill)fill);
    } else {
      static auto encode = (decltype(&cuTensorMapEncodeTiled))kw_driver("cuTensorMapEncodeTiled");
      if (!encode) return kw_error(where, "cuTensorMapEncodeTiled", "the driver lacks it");
      code = encode(map, (CUtensorMapDataType)type, rank, address, shape, strides, box, steps,
                    (CUtensorMapInterleave)interleave, (CUtensorMapSwizzle)swizzle,
                    (CUtensorMapL2promotion)promotion, (CUtensorMapFloatOOBfill)fill);
    }
    return code == 0 ? nullptr : kw_error(where, "cuTensorMapEncode", "the map was refused");
  }

  struct kw_box {
    long long shape[8], to[8], from[8];
  };
  // A fill (from is null) or a copy of a box of elements, a thread each.
  static __global__ void kw_move_box(char* to, const char* from, int bytes,
                                     unsigned long long pattern, int rank, kw_box box,
                                     long long count) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < count;
         i += (long long)gridDim.x * blockDim.x) {
      long long rest = i, t = 0, f = 0;
      for (int d = rank - 1; d >= 0; --d) {
        const long long at = rest % box.shape[d];
        rest /= box.shape[d];
        t += at * box.to[d];
        f += at * box.from[d];
      }
      if (bytes == 8)
        *(unsigned long long*)(to + t) = from ? *(const unsigned long long*)(from + f) : pattern;
      if (bytes == 4) *(unsigned*)(to + t) = from ? *(const unsigned*)(from + f) : (unsigned)pattern;
      if (bytes == 2)
        *(unsigned short*)(to + t) =
            from ? *(const unsigned short*)(from + f) : (unsigned short)pattern;
      if (bytes == 1) to[t] = from ? from[f] : (char)pattern;
    }
  }
  static inline const char* kw_move(char* to, const char* from, int bytes,
                                    unsigned long long pattern, int rank, const long long* shape,
                                    const long long* to_strides, const long long* from_strides,
                                    void* stream) {
    kw_box box;
    long long count = 1, run = bytes;
    bool dense = true;
    for (int d = rank - 1; d >= 0; --d) {
      box.shape[d] = shape[d];
      box.to[d] = to_strides[d];
      box.from[d] = from_strides[d];
      dense = dense && (shape[d] == 1 || (to_strides[d] == run && from_strides[d] == run));
      run *= shape[d];
      count *= shape[d];
    }
    if (count == 0) return nullptr;
    if (dense && from) {
      KW_CALL("copy", cudaMemcpyAsync(to, from, run, cudaMemcpyDeviceToDevice, (cudaStream_t)stream));
    } else if (dense && pattern == 0) {
      KW_CALL("fill", cudaMemsetAsync(to, 0, run, (cudaStream_t)stream));
    } else {
      const int grid = (int)std::min<long long>((count + 255) / 256, 4096);
      kw_move_box<<<grid, 256, 0, (cudaStream_t)stream>>>(to, from, bytes, pattern, rank, box, count);
      KW_CALL("move", cudaGetLastError());
    }
    return nullptr;
  }
)cpp";

const char* const kCpuBefore = R"cpp(#include <omp.h>
#include <stdint.h>
#include <string.h>
#include <algorithm>
#include <utility>
)cpp";

const char* const kCpuHelpers = R"cpp(
  // ---- the host's side

  static inline float kw_f32(unsigned bits) {
    float out;
    memcpy(&out, &bits, 4);
    return out;
  }
  static inline double kw_f64(unsigned long long bits) {
    double out;
    memcpy(&out, &bits, 8);
    return out;
  }
  static inline kw_value kw_value_of(int x) {
    kw_value out = {};
    out.i32 = x;
    return out;
  }
  static inline kw_value kw_value_of(long long x) {
    kw_value out = {};
    out.i64 = x;
    return out;
  }
  static inline kw_value kw_value_of(float x) {
    kw_value out = {};
    out.f32 = x;
    return out;
  }
  static inline kw_value kw_value_of(double x) {
    kw_value out = {};
    out.f64 = x;
    return out;
  }

  static void kw_barrier_of_team(kw_team*) {
#pragma omp barrier
  }

  // grain 0: about eight ranges for each thread.
  static void kw_launch(kw_kernel kernel, long long total, long long grain, bool team,
                        long long scratch_bytes, void* const* buffers, const kw_value* values,
                        int threads, char* scratch) {
    if (grain <= 0) grain = std::max<long long>(1, total / (8ll * threads));
    const long long ranges = (total + grain - 1) / grain, stride = (scratch_bytes + 63) / 64 * 64;
#pragma omp parallel num_threads(threads)
    {
      kw_args args = {};
      args.buffers = buffers;
      args.values = values;
      args.worker = omp_get_thread_num();
      args.worker_count = omp_get_num_threads();
      args.scratch = scratch_bytes ? scratch + args.worker * stride : nullptr;
      args.scratch_bytes = scratch_bytes;
      if (team) {
        args.barrier = kw_barrier_of_team;
        args.team = (kw_team*)&args;
        kernel(&args, 0, total);
      } else {
#pragma omp for schedule(dynamic, 1)
        for (long long i = 0; i < ranges; ++i)
          kernel(&args, i * grain, std::min(total, (i + 1) * grain));
      }
    }
  }

  // A fill (from is null) or a copy of a box of elements.
  static inline const char* kw_move(char* to, const char* from, int bytes,
                                    unsigned long long pattern, int rank, const long long* shape,
                                    const long long* to_strides, const long long* from_strides,
                                    void*) {
    long long count = 1;
    for (int d = 0; d < rank; ++d) count *= shape[d];
#pragma omp parallel for
    for (long long i = 0; i < count; ++i) {
      long long rest = i, t = 0, f = 0;
      for (int d = rank - 1; d >= 0; --d) {
        const long long at = rest % shape[d];
        rest /= shape[d];
        t += at * to_strides[d];
        f += at * from_strides[d];
      }
      memcpy(to + t, from ? from + f : (const char*)&pattern, bytes);
    }
    return nullptr;
  }
)cpp";

}  // namespace kernelwright::report
