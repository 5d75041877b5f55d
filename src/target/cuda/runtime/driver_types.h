// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// The types and numbers of the CUDA driver interface (12.0 and later) that this project uses,
// declared here so that no CUDA header is needed. Names follow NVIDIA's without the CU prefix;
// tests/unit/cuda_driver_test.cpp compares them with cuda.h where that is installed.

struct CUctx_st;
struct CUmod_st;
struct CUlib_st;
struct CUkern_st;
struct CUfunc_st;
struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphNode_st;
struct CUgraphExec_st;

namespace kernelwright::cuda {

using Code = int;         // CUresult; 0 is success
using Device = int;       // ordinal
using Ptr = uint64_t;     // CUdeviceptr
using Handle = uint64_t;  // CUmemGenericAllocationHandle
using Context = CUctx_st*;
using Module = CUmod_st*;
using Library = CUlib_st*;
using Kernel = CUkern_st*;
using Function = CUfunc_st*;
using Stream = CUstream_st*;
using Event = CUevent_st*;
using Graph = CUgraph_st*;
using GraphNode = CUgraphNode_st*;
using GraphExec = CUgraphExec_st*;

// CUresult
inline constexpr Code kSuccess = 0;
inline constexpr Code kErrorInvalidValue = 1;
inline constexpr Code kErrorOutOfMemory = 2;
inline constexpr Code kErrorNoDevice = 100;
inline constexpr Code kErrorInvalidContext = 201;
inline constexpr Code kErrorNoBinaryForGpu = 209;
inline constexpr Code kErrorNotFound = 500;
inline constexpr Code kErrorNotReady = 600;
inline constexpr Code kErrorIllegalAddress = 700;
inline constexpr Code kErrorLaunchTimeout = 702;
inline constexpr Code kErrorLaunchFailed = 719;
inline constexpr Code kErrorNotSupported = 801;

// CUdevice_attribute
enum DeviceAttribute : int {
  kMaxThreadsPerBlock = 1,
  kMaxBlockDimX = 2,
  kMaxBlockDimY = 3,
  kMaxBlockDimZ = 4,
  kMaxGridDimX = 5,
  kMaxGridDimY = 6,
  kMaxGridDimZ = 7,
  kMaxSharedMemoryPerBlock = 8,
  kTotalConstantMemory = 9,
  kWarpSize = 10,
  kMaxRegistersPerBlock = 12,
  kClockRate = 13,  // kHz
  kMultiprocessorCount = 16,
  kKernelExecTimeout = 17,
  kIntegrated = 18,
  kComputeMode = 20,
  kConcurrentKernels = 31,
  kEccEnabled = 32,
  kPciBusId = 33,
  kPciDeviceId = 34,
  kMemoryClockRate = 36,       // kHz
  kGlobalMemoryBusWidth = 37,  // bits
  kL2CacheSize = 38,
  kMaxThreadsPerMultiprocessor = 39,
  kAsyncEngineCount = 40,
  kUnifiedAddressing = 41,
  kPciDomainId = 50,
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kMaxSharedMemoryPerMultiprocessor = 81,
  kMaxRegistersPerMultiprocessor = 82,
  kSingleToDoublePerfRatio = 87,
  kComputePreemption = 90,
  kCooperativeLaunch = 95,
  kMaxSharedMemoryPerBlockOptin = 97,
  kVirtualMemoryManagement = 102,
  kHandleTypePosixFd = 103,
  kMaxBlocksPerMultiprocessor = 106,
  kMaxPersistingL2CacheSize = 108,
  kMaxAccessPolicyWindowSize = 109,
  kReservedSharedMemoryPerBlock = 111,
  kMemoryPools = 115,
  kClusterLaunch = 120,
  kTensorMapAccess = 127,
};

// CUfunction_attribute
enum FunctionAttribute : int {
  kFunctionMaxThreadsPerBlock = 0,
  kFunctionSharedBytes = 1,  // static
  kFunctionConstBytes = 2,
  kFunctionLocalBytes = 3,  // stack and spills, per thread
  kFunctionRegisters = 4,
  kFunctionPtxVersion = 5,
  kFunctionBinaryVersion = 6,
  kFunctionMaxDynamicSharedBytes = 8,
  kFunctionPreferredSharedCarveout = 9,
  kFunctionClusterSizeMustBeSet = 10,
  kFunctionRequiredClusterWidth = 11,
  kFunctionRequiredClusterHeight = 12,
  kFunctionRequiredClusterDepth = 13,
  kFunctionNonPortableClusterAllowed = 14,
};

// CUlimit
enum Limit : int {
  kLimitStackSize = 0,
  kLimitPrintfFifoSize = 1,
  kLimitMallocHeapSize = 2,
  kLimitMaxL2FetchGranularity = 5,
  kLimitPersistingL2CacheSize = 6,
};

// CUlaunchAttributeID
enum LaunchAttributeId : int {
  kLaunchIgnore = 0,
  kLaunchAccessPolicyWindow = 1,
  kLaunchCooperative = 2,
  kLaunchClusterDimension = 4,
  kLaunchClusterSchedulingPolicy = 5,
  kLaunchProgrammaticStreamSerialization = 6,
  kLaunchPriority = 8,
};

struct LaunchAttribute {
  int id = kLaunchIgnore;
  char pad[4] = {};
  union Value {
    char bytes[64];
    int cooperative;
    struct {
      unsigned x, y, z;
    } cluster;
    int programmatic_stream_serialization;
    int priority;
    uint64_t align;
  } value = {};
};

struct LaunchConfig {
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  unsigned block_x = 1, block_y = 1, block_z = 1;
  unsigned shared_bytes = 0;  // dynamic, per block
  Stream stream = nullptr;
  LaunchAttribute* attributes = nullptr;
  unsigned attribute_count = 0;
};

// CUDA_KERNEL_NODE_PARAMS_v2
struct KernelNodeParams {
  Function function = nullptr;
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  unsigned block_x = 1, block_y = 1, block_z = 1;
  unsigned shared_bytes = 0;
  void** params = nullptr;
  void** extra = nullptr;
  Kernel kernel = nullptr;
  Context context = nullptr;
};

// CUDA_MEMSET_NODE_PARAMS
struct MemsetNodeParams {
  Ptr to = 0;
  size_t pitch = 0;
  unsigned value = 0;
  unsigned element_bytes = 1;  // 1, 2 or 4
  size_t width = 0;            // elements
  size_t height = 1;
};

inline constexpr unsigned kMemoryTypeDevice = 2;  // CUmemorytype

// CUDA_MEMCPY3D
struct Memcpy3d {
  size_t from_x_bytes = 0, from_y = 0, from_z = 0, from_lod = 0;
  unsigned from_type = kMemoryTypeDevice;
  const void* from_host = nullptr;
  Ptr from_device = 0;
  void* from_array = nullptr;
  void* reserved0 = nullptr;
  size_t from_pitch = 0, from_height = 0;
  size_t to_x_bytes = 0, to_y = 0, to_z = 0, to_lod = 0;
  unsigned to_type = kMemoryTypeDevice;
  void* to_host = nullptr;
  Ptr to_device = 0;
  void* to_array = nullptr;
  void* reserved1 = nullptr;
  size_t to_pitch = 0, to_height = 0;
  size_t width_bytes = 0, height = 1, depth = 1;
};

// CUtensorMap. A kernel parameter `const __grid_constant__ CUtensorMap`.
struct alignas(128) TensorMapBlob {
  uint64_t opaque[16] = {};
};

enum TensorMapType : int {
  kTensorU8 = 0,
  kTensorU16 = 1,
  kTensorU32 = 2,
  kTensorI32 = 3,
  kTensorU64 = 4,
  kTensorI64 = 5,
  kTensorF16 = 6,
  kTensorF32 = 7,
  kTensorF64 = 8,
  kTensorBF16 = 9,
  kTensorF32Ftz = 10,
  kTensorTF32 = 11,
  kTensorTF32Ftz = 12,
};
enum TensorMapInterleave : int { kInterleaveNone = 0, kInterleave16B = 1, kInterleave32B = 2 };
enum TensorMapSwizzle : int {
  kSwizzleNone = 0,
  kSwizzle32B = 1,
  kSwizzle64B = 2,
  kSwizzle128B = 3,
};
enum TensorMapL2Promotion : int {
  kL2PromotionNone = 0,
  kL2Promotion64B = 1,
  kL2Promotion128B = 2,
  kL2Promotion256B = 3,
};
enum TensorMapFill : int { kFillZero = 0, kFillNan = 1 };

// Memory mapping: CUmemAllocationProp and what it holds.
struct MemLocation {
  int type = 1;  // a device
  int id = 0;    // its ordinal
};
inline constexpr int kMemPinned = 1;      // CUmemAllocationType
inline constexpr int kMemHandleNone = 0;  // CUmemAllocationHandleType
inline constexpr int kMemHandlePosixFd = 1;
struct MemAllocationProp {
  int type = kMemPinned;
  int handle_types = kMemHandleNone;
  MemLocation location;
  void* win32_metadata = nullptr;
  unsigned char compression = 0;
  unsigned char gpu_direct_rdma = 0;
  unsigned short usage = 0;
  unsigned char reserved[4] = {};
};
enum MemAccess : int { kMemAccessNone = 0, kMemAccessRead = 1, kMemAccessReadWrite = 3 };
struct MemAccessDesc {
  MemLocation location;
  MemAccess access = kMemAccessReadWrite;
};
inline constexpr int kMemGranularityMinimum = 0;
inline constexpr int kMemGranularityRecommended = 1;

// Streams, events, capture, graphs.
inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventDefault = 0;
inline constexpr unsigned kEventBlockingSync = 1;
inline constexpr unsigned kEventDisableTiming = 2;
inline constexpr unsigned kEventInterprocess = 4;
enum CaptureStatus : int { kCaptureNone = 0, kCaptureActive = 1, kCaptureInvalidated = 2 };
enum CaptureMode : int { kCaptureGlobal = 0, kCaptureThreadLocal = 1, kCaptureRelaxed = 2 };
inline constexpr unsigned kAddCaptureDependencies = 0;
inline constexpr unsigned kSetCaptureDependencies = 1;
enum GraphNodeType : int { kNodeKernel = 0, kNodeMemcpy = 1, kNodeMemset = 2, kNodeEmpty = 5 };
inline constexpr unsigned kMemHostAllocPortable = 1;
inline constexpr unsigned kMemHostAllocDeviceMap = 2;

struct Uuid {
  char bytes[16] = {};
};

}  // namespace kernelwright::cuda
