// SPDX-License-Identifier: Apache-2.0
#include "stub/cuda_driver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "stub/calls.h"
#include "stub/kernels.h"
#include "stub/streams.h"
#include "target/cuda/runtime/driver_types.h"

using namespace kernelwright::cuda;
using namespace kernelwright::stub;

namespace {

// The stack of current ones of the calling thread; without thread_local, as the leak sanitizer
// faults on that of an opened library.
std::vector<Context>& contexts() {
  static std::mutex mutex;
  static std::map<std::thread::id, std::vector<Context>> stacks;
  const std::lock_guard lock(mutex);
  return stacks[std::this_thread::get_id()];
}
std::map<Function, int> dynamic_shared;

int context_tag;
Context the_context() {
  return reinterpret_cast<Context>(&context_tag);
}

}  // namespace

STUB Code cuGetErrorName(Code code, const char** name) {
  *name = code == kErrorOutOfMemory    ? "CUDA_ERROR_OUT_OF_MEMORY"
          : code == kErrorInvalidValue ? "CUDA_ERROR_INVALID_VALUE"
          : code == kErrorLaunchFailed ? "CUDA_ERROR_LAUNCH_FAILED"
                                       : nullptr;
  return *name ? kSuccess : kErrorInvalidValue;
}
STUB Code cuGetErrorString(Code code, const char** text) {
  *text = code == kErrorOutOfMemory ? "out of memory" : nullptr;
  return *text ? kSuccess : kErrorInvalidValue;
}

STUB Code cuInit(unsigned) {
  RETURN_IF_FAILING();
  return kSuccess;
}
STUB Code cuDriverGetVersion(int* version) {
  *version = 13000;
  return kSuccess;
}
STUB Code cuDeviceGetCount(int* count) {
  *count = 1;
  return kSuccess;
}
STUB Code cuDeviceGet(Device* device, int ordinal) {
  *device = ordinal;
  return kSuccess;
}
STUB Code cuDeviceGetName(char* name, int length, Device) {
  std::strncpy(name, "Stub H100", static_cast<size_t>(length));
  return kSuccess;
}
STUB Code cuDeviceGetAttribute(int* value, DeviceAttribute attribute, Device) {
  static const std::map<int, int> values = {
      {kComputeCapabilityMajor, 9}, {kComputeCapabilityMinor, 0},
      {kMultiprocessorCount, 132},  {kMaxSharedMemoryPerBlockOptin, 232448},
      {kCooperativeLaunch, 1},      {kClusterLaunch, 1},
      {kTensorMapAccess, 1},        {kHandleTypePosixFd, 1},
      {kL2CacheSize, 50 << 20}};
  auto it = values.find(attribute);
  *value = it == values.end() ? 0 : it->second;
  return kSuccess;
}
STUB Code cuDevicePrimaryCtxRetain(Context* context, Device device) {
  RETURN_IF_FAILING("{}", device);
  *context = the_context();
  return kSuccess;
}
STUB Code cuDevicePrimaryCtxRelease_v2(Device device) {
  return call("cuDevicePrimaryCtxRelease", "{}", device);
}
STUB Code cuCtxGetCurrent(Context* context) {
  *context = contexts().empty() ? nullptr : contexts().back();
  return kSuccess;
}
STUB Code cuCtxSetCurrent(Context context) {
  contexts() = {context};
  return kSuccess;
}
STUB Code cuCtxPushCurrent_v2(Context context) {
  contexts().push_back(context);
  return kSuccess;
}
STUB Code cuCtxPopCurrent_v2(Context* context) {
  *context = contexts().back();
  contexts().pop_back();
  return kSuccess;
}
STUB Code cuCtxGetDevice(Device* device) {
  *device = 0;
  return contexts().empty() ? kErrorInvalidContext : kSuccess;
}

STUB Code cuModuleLoadData(Module* module, const void* image) {
  RETURN_IF_FAILING();
  *module = reinterpret_cast<Module>(new std::string(static_cast<const char*>(image)));
  return kSuccess;
}
STUB Code cuModuleUnload(Module module) {
  RETURN_IF_FAILING();
  delete reinterpret_cast<std::string*>(module);
  return kSuccess;
}
STUB Code cuModuleGetFunction(Function* function, Module, const char* name) {
  RETURN_IF_FAILING("{}", name);
  const StubKernel* kernel = find_kernel(name);
  if (!kernel) return kErrorNotFound;
  *function = reinterpret_cast<Function>(const_cast<StubKernel*>(kernel));
  return kSuccess;
}
STUB Code cuFuncGetAttribute(int* value, FunctionAttribute attribute, Function function) {
  *value = attribute == kFunctionMaxThreadsPerBlock      ? 1024
           : attribute == kFunctionRegisters             ? 32
           : attribute == kFunctionMaxDynamicSharedBytes ? dynamic_shared[function]
                                                         : 0;
  return kSuccess;
}
STUB Code cuFuncSetAttribute(Function function, FunctionAttribute attribute, int value) {
  RETURN_IF_FAILING("{} {} {}", as_kernel(function)->name, static_cast<int>(attribute), value);
  if (attribute == kFunctionMaxDynamicSharedBytes) dynamic_shared[function] = value;
  return kSuccess;
}
STUB Code cuFuncGetParamInfo(Function function, size_t index, size_t* offset, size_t* bytes) {
  const auto& params = as_kernel(function)->params;
  if (index >= params.size()) return kErrorInvalidValue;
  *offset = 0;
  *bytes = params[index];
  return kSuccess;
}
STUB Code cuFuncLoad(Function) {
  return kSuccess;
}
STUB Code cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function, int threads,
                                                      size_t shared) {
  *blocks = std::min(2048 / threads, static_cast<int>(233472 / (shared + 1024)));
  return kSuccess;
}
STUB Code cuOccupancyMaxActiveClusters(int* clusters, Function, const LaunchConfig* config) {
  const auto& cluster = config->attributes[0].value.cluster;
  // Of 132 multiprocessors some are left over in groups of 16 or 18.
  *clusters = 128 / static_cast<int>(cluster.x * cluster.y * cluster.z);
  return kSuccess;
}

STUB Code cuLaunchKernelEx(const LaunchConfig* config, Function function, void** params, void**) {
  std::string attributes;
  for (unsigned i = 0; i < config->attribute_count; ++i) {
    const LaunchAttribute& one = config->attributes[i];
    attributes += one.id == kLaunchClusterDimension
                      ? fmt::format(" cluster {} {} {}", one.value.cluster.x, one.value.cluster.y,
                                    one.value.cluster.z)
                  : one.id == kLaunchCooperative                     ? " cooperative"
                  : one.id == kLaunchProgrammaticStreamSerialization ? " pdl"
                                                                     : " other";
  }
  RETURN_IF_FAILING("{} grid {} {} {} block {} {} {} shared {}{}", as_kernel(function)->name,
                    config->grid_x, config->grid_y, config->grid_z, config->block_x,
                    config->block_y, config->block_z, config->shared_bytes, attributes);
  issue(config->stream, kNodeKernel, bound(function, params), config->attribute_count);
  return kSuccess;
}

STUB Code cuTensorMapEncodeTiled(TensorMapBlob* map, TensorMapType type, uint32_t rank,
                                 void* address, const uint64_t* shape, const uint64_t* strides,
                                 const uint32_t* box, const uint32_t* element_strides,
                                 TensorMapInterleave interleave, TensorMapSwizzle swizzle,
                                 TensorMapL2Promotion promotion, TensorMapFill fill) {
  RETURN_IF_FAILING();
  *map = {};
  map->opaque[0] = reinterpret_cast<uint64_t>(address);
  calls().tensor_map = fmt::format(
      "tiled type {} rank {} shape {} strides {} box {} elements {} interleave {} swizzle {} "
      "promotion {} fill {}",
      static_cast<int>(type), rank, std::span(shape, rank), std::span(strides, rank - 1),
      std::span(box, rank), std::span(element_strides, rank), static_cast<int>(interleave),
      static_cast<int>(swizzle), static_cast<int>(promotion), static_cast<int>(fill));
  return reinterpret_cast<uintptr_t>(map) % 64 ? kErrorInvalidValue : kSuccess;
}
STUB Code cuTensorMapEncodeIm2col(TensorMapBlob* map, TensorMapType type, uint32_t rank,
                                  void* address, const uint64_t* shape, const uint64_t* strides,
                                  const int* lower, const int* upper, uint32_t channels,
                                  uint32_t pixels, const uint32_t* element_strides,
                                  TensorMapInterleave, TensorMapSwizzle swizzle,
                                  TensorMapL2Promotion, TensorMapFill) {
  RETURN_IF_FAILING();
  *map = {};
  map->opaque[0] = reinterpret_cast<uint64_t>(address);
  calls().tensor_map = fmt::format(
      "im2col type {} rank {} shape {} strides {} lower {} upper {} channels {} pixels {} elements "
      "{} swizzle {}",
      static_cast<int>(type), rank, std::span(shape, rank), std::span(strides, rank - 1),
      std::span(lower, rank - 2), std::span(upper, rank - 2), channels, pixels,
      std::span(element_strides, rank), static_cast<int>(swizzle));
  return kSuccess;
}

// The rest of the table: there, but of no use here.
#define ABSENT(name)           \
  STUB Code name() {           \
    return kErrorNotSupported; \
  }
ABSENT(cuDeviceGetUuid_v2)
ABSENT(cuCtxSetLimit)
ABSENT(cuCtxGetLimit)
ABSENT(cuModuleLoadDataEx)
ABSENT(cuModuleGetGlobal_v2)
ABSENT(cuLibraryLoadData)
ABSENT(cuLibraryUnload)
ABSENT(cuLibraryGetKernel)
ABSENT(cuKernelGetFunction)
ABSENT(cuLaunchHostFunc)
ABSENT(cuOccupancyMaxPotentialClusterSize)
ABSENT(cuMemHostAlloc)
ABSENT(cuMemFreeHost)
ABSENT(cuMemHostRegister_v2)
ABSENT(cuMemHostUnregister)
ABSENT(cuMemHostGetDevicePointer_v2)
ABSENT(cuMemGetInfo_v2)
ABSENT(cuMemcpyDtoH_v2)
ABSENT(cuMemcpy3DAsync_v2)
ABSENT(cuStreamCreateWithPriority)
ABSENT(cuStreamQuery)
ABSENT(cuStreamGetCtx)
ABSENT(cuStreamWaitValue32_v2)
ABSENT(cuStreamWriteValue32_v2)
ABSENT(cuGraphUpload)
ABSENT(cuGraphGetNodes)
ABSENT(cuGraphNodeGetType)
