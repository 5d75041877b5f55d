// SPDX-License-Identifier: Apache-2.0
// Our declarations of the CUDA driver against NVIDIA's own, where cuda.h is installed.
#include <gtest/gtest.h>

#include "target/cuda/runtime/driver.h"

#if __has_include(<cuda.h>)
#include <cuda.h>

#include <type_traits>

namespace {

namespace kw = kernelwright::cuda;

// Passed alike: the same size, and both a pointer or neither.
template <class Ours, class Theirs>
constexpr bool kAlike =
    sizeof(Ours) == sizeof(Theirs) && std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>;

template <class... Ours, class... Theirs>
constexpr bool same_signature(kw::Call<Ours...>*, CUresult (*)(Theirs...)) {
  if constexpr (sizeof...(Ours) != sizeof...(Theirs))
    return false;
  else
    return (kAlike<Ours, Theirs> && ...);
}
template <class Call, class Function>
constexpr bool kSame = same_signature(static_cast<Call*>(nullptr), static_cast<Function>(nullptr));

#define SAME(member, function) \
  static_assert(kSame<decltype(kw::Driver::member), decltype(&function)>, #function)

SAME(init, cuInit);
SAME(driver_get_version, cuDriverGetVersion);
SAME(device_get_count, cuDeviceGetCount);
SAME(device_get, cuDeviceGet);
SAME(device_get_name, cuDeviceGetName);
SAME(device_get_uuid, cuDeviceGetUuid);
SAME(device_total_mem, cuDeviceTotalMem);
SAME(device_get_attribute, cuDeviceGetAttribute);
SAME(primary_ctx_retain, cuDevicePrimaryCtxRetain);
SAME(primary_ctx_release, cuDevicePrimaryCtxRelease);
SAME(ctx_get_current, cuCtxGetCurrent);
SAME(ctx_set_current, cuCtxSetCurrent);
SAME(ctx_push_current, cuCtxPushCurrent);
SAME(ctx_pop_current, cuCtxPopCurrent);
SAME(ctx_get_device, cuCtxGetDevice);
SAME(ctx_synchronize, cuCtxSynchronize);
SAME(ctx_set_limit, cuCtxSetLimit);
SAME(ctx_get_limit, cuCtxGetLimit);
SAME(ctx_reset_persisting_l2, cuCtxResetPersistingL2Cache);
SAME(module_load_data, cuModuleLoadData);
SAME(module_load_data_ex, cuModuleLoadDataEx);
SAME(module_unload, cuModuleUnload);
SAME(module_get_function, cuModuleGetFunction);
SAME(module_get_global, cuModuleGetGlobal);
SAME(load_library_data, cuLibraryLoadData);
SAME(unload_library, cuLibraryUnload);
SAME(get_library_kernel, cuLibraryGetKernel);
SAME(kernel_get_function, cuKernelGetFunction);
SAME(func_get_attribute, cuFuncGetAttribute);
SAME(func_set_attribute, cuFuncSetAttribute);
SAME(func_get_param_info, cuFuncGetParamInfo);
SAME(func_load, cuFuncLoad);
SAME(launch_kernel, cuLaunchKernelEx);
SAME(launch_host_func, cuLaunchHostFunc);
SAME(occupancy_blocks_per_sm, cuOccupancyMaxActiveBlocksPerMultiprocessor);
SAME(occupancy_active_clusters, cuOccupancyMaxActiveClusters);
SAME(occupancy_cluster_size, cuOccupancyMaxPotentialClusterSize);
SAME(tensor_map_encode_tiled, cuTensorMapEncodeTiled);
SAME(tensor_map_encode_im2col, cuTensorMapEncodeIm2col);
SAME(mem_alloc, cuMemAlloc);
SAME(mem_free, cuMemFree);
SAME(mem_host_alloc, cuMemHostAlloc);
SAME(mem_free_host, cuMemFreeHost);
SAME(mem_host_register, cuMemHostRegister);
SAME(mem_host_unregister, cuMemHostUnregister);
SAME(mem_host_get_device_pointer, cuMemHostGetDevicePointer);
SAME(mem_get_info, cuMemGetInfo);
SAME(memcpy_htod, cuMemcpyHtoD);
SAME(memcpy_dtoh, cuMemcpyDtoH);
SAME(memcpy_htod_async, cuMemcpyHtoDAsync);
SAME(memcpy_dtoh_async, cuMemcpyDtoHAsync);
SAME(memcpy_dtod_async, cuMemcpyDtoDAsync);
SAME(memcpy_3d_async, cuMemcpy3DAsync);
SAME(memset_d8_async, cuMemsetD8Async);
SAME(memset_d16_async, cuMemsetD16Async);
SAME(memset_d32_async, cuMemsetD32Async);
SAME(mem_get_allocation_granularity, cuMemGetAllocationGranularity);
SAME(mem_create, cuMemCreate);
SAME(mem_release, cuMemRelease);
SAME(mem_address_reserve, cuMemAddressReserve);
SAME(mem_address_free, cuMemAddressFree);
SAME(mem_map, cuMemMap);
SAME(mem_unmap, cuMemUnmap);
SAME(mem_set_access, cuMemSetAccess);
SAME(mem_export_to_shareable_handle, cuMemExportToShareableHandle);
SAME(mem_import_from_shareable_handle, cuMemImportFromShareableHandle);
SAME(stream_create, cuStreamCreate);
SAME(stream_create_with_priority, cuStreamCreateWithPriority);
SAME(stream_destroy, cuStreamDestroy);
SAME(stream_synchronize, cuStreamSynchronize);
SAME(stream_query, cuStreamQuery);
SAME(stream_wait_event, cuStreamWaitEvent);
SAME(stream_get_ctx, cuStreamGetCtx);
SAME(stream_wait_value32, cuStreamWaitValue32);
SAME(stream_write_value32, cuStreamWriteValue32);
SAME(event_create, cuEventCreate);
SAME(event_destroy, cuEventDestroy);
SAME(event_record, cuEventRecord);
SAME(event_synchronize, cuEventSynchronize);
SAME(event_query, cuEventQuery);
SAME(event_elapsed_time, cuEventElapsedTime);
SAME(stream_is_capturing, cuStreamIsCapturing);
SAME(stream_begin_capture, cuStreamBeginCapture);
SAME(stream_end_capture, cuStreamEndCapture);
SAME(thread_exchange_capture_mode, cuThreadExchangeStreamCaptureMode);
SAME(graph_instantiate, cuGraphInstantiate);
SAME(graph_upload, cuGraphUpload);
SAME(graph_launch, cuGraphLaunch);
SAME(graph_exec_destroy, cuGraphExecDestroy);
SAME(graph_destroy, cuGraphDestroy);
SAME(graph_get_nodes, cuGraphGetNodes);
SAME(graph_node_get_type, cuGraphNodeGetType);
SAME(graph_exec_kernel_node_set_params, cuGraphExecKernelNodeSetParams);
SAME(graph_exec_memset_node_set_params, cuGraphExecMemsetNodeSetParams);
SAME(graph_exec_memcpy_node_set_params, cuGraphExecMemcpyNodeSetParams);

#define EQUAL(ours, theirs) \
  static_assert(static_cast<int>(kw::ours) == static_cast<int>(theirs), #theirs)

EQUAL(kErrorInvalidValue, CUDA_ERROR_INVALID_VALUE);
EQUAL(kErrorOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
EQUAL(kErrorNoDevice, CUDA_ERROR_NO_DEVICE);
EQUAL(kErrorInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
EQUAL(kErrorNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU);
EQUAL(kErrorNotFound, CUDA_ERROR_NOT_FOUND);
EQUAL(kErrorNotReady, CUDA_ERROR_NOT_READY);
EQUAL(kErrorIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS);
EQUAL(kErrorLaunchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT);
EQUAL(kErrorLaunchFailed, CUDA_ERROR_LAUNCH_FAILED);
EQUAL(kErrorNotSupported, CUDA_ERROR_NOT_SUPPORTED);

EQUAL(kMaxThreadsPerBlock, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
EQUAL(kMaxBlockDimX, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X);
EQUAL(kMaxBlockDimZ, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z);
EQUAL(kMaxGridDimX, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X);
EQUAL(kMaxGridDimZ, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z);
EQUAL(kMaxSharedMemoryPerBlock, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
EQUAL(kTotalConstantMemory, CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY);
EQUAL(kWarpSize, CU_DEVICE_ATTRIBUTE_WARP_SIZE);
EQUAL(kMaxRegistersPerBlock, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
EQUAL(kClockRate, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
EQUAL(kMultiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
EQUAL(kKernelExecTimeout, CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT);
EQUAL(kIntegrated, CU_DEVICE_ATTRIBUTE_INTEGRATED);
EQUAL(kComputeMode, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE);
EQUAL(kConcurrentKernels, CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS);
EQUAL(kEccEnabled, CU_DEVICE_ATTRIBUTE_ECC_ENABLED);
EQUAL(kPciBusId, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID);
EQUAL(kPciDeviceId, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID);
EQUAL(kMemoryClockRate, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
EQUAL(kGlobalMemoryBusWidth, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
EQUAL(kL2CacheSize, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
EQUAL(kMaxThreadsPerMultiprocessor, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
EQUAL(kAsyncEngineCount, CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT);
EQUAL(kUnifiedAddressing, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING);
EQUAL(kPciDomainId, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID);
EQUAL(kComputeCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
EQUAL(kComputeCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
EQUAL(kMaxSharedMemoryPerMultiprocessor, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
EQUAL(kMaxRegistersPerMultiprocessor, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
EQUAL(kSingleToDoublePerfRatio, CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO);
EQUAL(kComputePreemption, CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED);
EQUAL(kCooperativeLaunch, CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH);
EQUAL(kMaxSharedMemoryPerBlockOptin, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
EQUAL(kVirtualMemoryManagement, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
EQUAL(kHandleTypePosixFd, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
EQUAL(kMaxBlocksPerMultiprocessor, CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);
EQUAL(kMaxPersistingL2CacheSize, CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE);
EQUAL(kMaxAccessPolicyWindowSize, CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE);
EQUAL(kReservedSharedMemoryPerBlock, CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
EQUAL(kMemoryPools, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
EQUAL(kClusterLaunch, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH);
EQUAL(kTensorMapAccess, CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED);

EQUAL(kFunctionMaxThreadsPerBlock, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
EQUAL(kFunctionSharedBytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
EQUAL(kFunctionConstBytes, CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES);
EQUAL(kFunctionLocalBytes, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
EQUAL(kFunctionRegisters, CU_FUNC_ATTRIBUTE_NUM_REGS);
EQUAL(kFunctionPtxVersion, CU_FUNC_ATTRIBUTE_PTX_VERSION);
EQUAL(kFunctionBinaryVersion, CU_FUNC_ATTRIBUTE_BINARY_VERSION);
EQUAL(kFunctionMaxDynamicSharedBytes, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
EQUAL(kFunctionPreferredSharedCarveout, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT);
EQUAL(kFunctionClusterSizeMustBeSet, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET);
EQUAL(kFunctionRequiredClusterWidth, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH);
EQUAL(kFunctionRequiredClusterDepth, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH);
EQUAL(kFunctionNonPortableClusterAllowed, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);

EQUAL(kLimitStackSize, CU_LIMIT_STACK_SIZE);
EQUAL(kLimitPrintfFifoSize, CU_LIMIT_PRINTF_FIFO_SIZE);
EQUAL(kLimitMallocHeapSize, CU_LIMIT_MALLOC_HEAP_SIZE);
EQUAL(kLimitMaxL2FetchGranularity, CU_LIMIT_MAX_L2_FETCH_GRANULARITY);
EQUAL(kLimitPersistingL2CacheSize, CU_LIMIT_PERSISTING_L2_CACHE_SIZE);

EQUAL(kLaunchIgnore, CU_LAUNCH_ATTRIBUTE_IGNORE);
EQUAL(kLaunchAccessPolicyWindow, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW);
EQUAL(kLaunchCooperative, CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
EQUAL(kLaunchClusterDimension, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
EQUAL(kLaunchClusterSchedulingPolicy, CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE);
EQUAL(kLaunchProgrammaticStreamSerialization,
      CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
EQUAL(kLaunchPriority, CU_LAUNCH_ATTRIBUTE_PRIORITY);

EQUAL(kTensorU8, CU_TENSOR_MAP_DATA_TYPE_UINT8);
EQUAL(kTensorU16, CU_TENSOR_MAP_DATA_TYPE_UINT16);
EQUAL(kTensorU32, CU_TENSOR_MAP_DATA_TYPE_UINT32);
EQUAL(kTensorI32, CU_TENSOR_MAP_DATA_TYPE_INT32);
EQUAL(kTensorU64, CU_TENSOR_MAP_DATA_TYPE_UINT64);
EQUAL(kTensorI64, CU_TENSOR_MAP_DATA_TYPE_INT64);
EQUAL(kTensorF16, CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
EQUAL(kTensorF32, CU_TENSOR_MAP_DATA_TYPE_FLOAT32);
EQUAL(kTensorF64, CU_TENSOR_MAP_DATA_TYPE_FLOAT64);
EQUAL(kTensorBF16, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
EQUAL(kTensorF32Ftz, CU_TENSOR_MAP_DATA_TYPE_FLOAT32_FTZ);
EQUAL(kTensorTF32, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32);
EQUAL(kTensorTF32Ftz, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ);
EQUAL(kInterleave16B, CU_TENSOR_MAP_INTERLEAVE_16B);
EQUAL(kInterleave32B, CU_TENSOR_MAP_INTERLEAVE_32B);
EQUAL(kSwizzle32B, CU_TENSOR_MAP_SWIZZLE_32B);
EQUAL(kSwizzle64B, CU_TENSOR_MAP_SWIZZLE_64B);
EQUAL(kSwizzle128B, CU_TENSOR_MAP_SWIZZLE_128B);
EQUAL(kL2Promotion64B, CU_TENSOR_MAP_L2_PROMOTION_L2_64B);
EQUAL(kL2Promotion128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
EQUAL(kL2Promotion256B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
EQUAL(kFillZero, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
EQUAL(kFillNan, CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA);

EQUAL(kMemPinned, CU_MEM_ALLOCATION_TYPE_PINNED);
EQUAL(kMemHandlePosixFd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
EQUAL(kMemAccessRead, CU_MEM_ACCESS_FLAGS_PROT_READ);
EQUAL(kMemAccessReadWrite, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
EQUAL(kMemGranularityMinimum, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
EQUAL(kMemGranularityRecommended, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
EQUAL(kMemoryTypeDevice, CU_MEMORYTYPE_DEVICE);
EQUAL(kMemHostAllocPortable, CU_MEMHOSTALLOC_PORTABLE);
EQUAL(kMemHostAllocDeviceMap, CU_MEMHOSTALLOC_DEVICEMAP);
EQUAL(kStreamNonBlocking, CU_STREAM_NON_BLOCKING);
EQUAL(kEventBlockingSync, CU_EVENT_BLOCKING_SYNC);
EQUAL(kEventDisableTiming, CU_EVENT_DISABLE_TIMING);
EQUAL(kEventInterprocess, CU_EVENT_INTERPROCESS);
EQUAL(kCaptureActive, CU_STREAM_CAPTURE_STATUS_ACTIVE);
EQUAL(kCaptureInvalidated, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
EQUAL(kCaptureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
EQUAL(kCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
EQUAL(kSetCaptureDependencies, CU_STREAM_SET_CAPTURE_DEPENDENCIES);
EQUAL(kNodeMemcpy, CU_GRAPH_NODE_TYPE_MEMCPY);
EQUAL(kNodeMemset, CU_GRAPH_NODE_TYPE_MEMSET);
EQUAL(kNodeEmpty, CU_GRAPH_NODE_TYPE_EMPTY);

#define LIKE(ours, theirs) \
  static_assert(sizeof(kw::ours) == sizeof(theirs) && alignof(kw::ours) == alignof(theirs), #theirs)
#define AT(ours, member, theirs, name)                                  \
  static_assert(offsetof(kw::ours, member) == offsetof(theirs, name) && \
                    sizeof(kw::ours::member) == sizeof(theirs::name),   \
                #theirs "." #name)

LIKE(LaunchAttribute, CUlaunchAttribute);
AT(LaunchAttribute, id, CUlaunchAttribute, id);
AT(LaunchAttribute, value, CUlaunchAttribute, value);
LIKE(LaunchConfig, CUlaunchConfig);
AT(LaunchConfig, grid_x, CUlaunchConfig, gridDimX);
AT(LaunchConfig, block_z, CUlaunchConfig, blockDimZ);
AT(LaunchConfig, shared_bytes, CUlaunchConfig, sharedMemBytes);
AT(LaunchConfig, stream, CUlaunchConfig, hStream);
AT(LaunchConfig, attributes, CUlaunchConfig, attrs);
AT(LaunchConfig, attribute_count, CUlaunchConfig, numAttrs);
LIKE(KernelNodeParams, CUDA_KERNEL_NODE_PARAMS);
AT(KernelNodeParams, function, CUDA_KERNEL_NODE_PARAMS, func);
AT(KernelNodeParams, grid_x, CUDA_KERNEL_NODE_PARAMS, gridDimX);
AT(KernelNodeParams, shared_bytes, CUDA_KERNEL_NODE_PARAMS, sharedMemBytes);
AT(KernelNodeParams, params, CUDA_KERNEL_NODE_PARAMS, kernelParams);
AT(KernelNodeParams, context, CUDA_KERNEL_NODE_PARAMS, ctx);
LIKE(MemsetNodeParams, CUDA_MEMSET_NODE_PARAMS);
AT(MemsetNodeParams, to, CUDA_MEMSET_NODE_PARAMS, dst);
AT(MemsetNodeParams, element_bytes, CUDA_MEMSET_NODE_PARAMS, elementSize);
AT(MemsetNodeParams, height, CUDA_MEMSET_NODE_PARAMS, height);
LIKE(Memcpy3d, CUDA_MEMCPY3D);
AT(Memcpy3d, from_type, CUDA_MEMCPY3D, srcMemoryType);
AT(Memcpy3d, from_device, CUDA_MEMCPY3D, srcDevice);
AT(Memcpy3d, to_type, CUDA_MEMCPY3D, dstMemoryType);
AT(Memcpy3d, to_device, CUDA_MEMCPY3D, dstDevice);
AT(Memcpy3d, width_bytes, CUDA_MEMCPY3D, WidthInBytes);
AT(Memcpy3d, depth, CUDA_MEMCPY3D, Depth);
static_assert(sizeof(kw::TensorMapBlob) == sizeof(CUtensorMap));
static_assert(alignof(kw::TensorMapBlob) >= alignof(CUtensorMap));
LIKE(MemLocation, CUmemLocation);
LIKE(MemAllocationProp, CUmemAllocationProp);
AT(MemAllocationProp, handle_types, CUmemAllocationProp, requestedHandleTypes);
AT(MemAllocationProp, location, CUmemAllocationProp, location);
AT(MemAllocationProp, win32_metadata, CUmemAllocationProp, win32HandleMetaData);
LIKE(MemAccessDesc, CUmemAccessDesc);
AT(MemAccessDesc, access, CUmemAccessDesc, flags);
LIKE(Uuid, CUuuid);
static_assert(kw::MemLocation{}.type == CU_MEM_LOCATION_TYPE_DEVICE);

// The versioned symbols that the table asks for are the ones that cuda.h maps names to.
#define TEXT(name) #name
#define SYMBOL(name) TEXT(name)
TEST(CudaDriver, AgreesWithTheHeader) {
  EXPECT_STREQ(SYMBOL(cuMemAlloc), "cuMemAlloc_v2");
  EXPECT_STREQ(SYMBOL(cuGraphInstantiate), "cuGraphInstantiateWithFlags");
  EXPECT_STREQ(SYMBOL(cuGraphExecKernelNodeSetParams), "cuGraphExecKernelNodeSetParams_v2");
  EXPECT_STREQ(SYMBOL(cuMemHostRegister), "cuMemHostRegister_v2");
}

}  // namespace
#else
TEST(CudaDriver, AgreesWithTheHeader) {
  GTEST_SKIP() << "cuda.h is not installed: nothing to compare the declarations with";
}
#endif
