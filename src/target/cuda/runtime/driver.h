// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "target/cuda/runtime/driver_types.h"

namespace kernelwright::cuda {

// "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
Error call_error(const char* call, Code code);
// "CUDA_ERROR_OUT_OF_MEMORY", or "CUDA error 1234" where the driver knows no name.
const char* error_name(Code code);

// One function of the driver. Calling it gives a Status whose error names the function.
template <class... A>
struct Call {
  const char* name = nullptr;
  Code (*function)(A...) = nullptr;

  Status operator()(A... args) const {
    Code code = function(args...);
    if (code == kSuccess) [[likely]]
      return {};
    return fail(call_error(name, code));
  }
  // For callers to which a code is an answer (kErrorNotReady), or who cannot pass an error on.
  Code raw(A... args) const { return function(args...); }
  // Functions that an older driver lacks are absent; only those marked "may be absent" below.
  explicit operator bool() const { return function != nullptr; }
};

// libcuda's functions. Every one is there but those under "may be absent". Safe from any thread.
struct Driver {
  int version = 0;  // 13000: CUDA 13.0, the newest that the driver speaks

  // Device
  Call<unsigned> init;
  Call<int*> driver_get_version;
  Call<int*> device_get_count;
  Call<Device*, int> device_get;
  Call<char*, int, Device> device_get_name;
  Call<Uuid*, Device> device_get_uuid;
  Call<size_t*, Device> device_total_mem;
  Call<int*, DeviceAttribute, Device> device_get_attribute;
  Call<Context*, Device> primary_ctx_retain;
  Call<Device> primary_ctx_release;

  // Context
  Call<Context*> ctx_get_current;
  Call<Context> ctx_set_current;
  Call<Context> ctx_push_current;
  Call<Context*> ctx_pop_current;
  Call<Device*> ctx_get_device;
  Call<> ctx_synchronize;
  Call<Limit, size_t> ctx_set_limit;
  Call<size_t*, Limit> ctx_get_limit;
  Call<> ctx_reset_persisting_l2;

  // Modules and functions
  Call<Module*, const void*> module_load_data;
  Call<Module*, const void*, unsigned, int*, void**> module_load_data_ex;
  Call<Module> module_unload;
  Call<Function*, Module, const char*> module_get_function;
  Call<Ptr*, size_t*, Module, const char*> module_get_global;
  Call<Library*, const void*, int*, void**, unsigned, int*, void**, unsigned> load_library_data;
  Call<Library> unload_library;
  Call<Kernel*, Library, const char*> get_library_kernel;
  Call<Function*, Kernel> kernel_get_function;
  Call<int*, FunctionAttribute, Function> func_get_attribute;
  Call<Function, FunctionAttribute, int> func_set_attribute;

  // Launches
  Call<const LaunchConfig*, Function, void**, void**> launch_kernel;  // cuLaunchKernelEx
  Call<Stream, void (*)(void*), void*> launch_host_func;
  Call<int*, Function, int, size_t> occupancy_blocks_per_sm;
  Call<int*, Function, const LaunchConfig*> occupancy_active_clusters;
  Call<int*, Function, const LaunchConfig*> occupancy_cluster_size;

  // Tensor maps: type, rank, address, extents, strides in bytes (rank - 1), box, element strides.
  Call<TensorMapBlob*, TensorMapType, uint32_t, void*, const uint64_t*, const uint64_t*,
       const uint32_t*, const uint32_t*, TensorMapInterleave, TensorMapSwizzle,
       TensorMapL2Promotion, TensorMapFill>
      tensor_map_encode_tiled;
  // type, rank, address, extents, strides in bytes, lower and upper corner (rank - 2), channels per
  // pixel, pixels per column, element strides.
  Call<TensorMapBlob*, TensorMapType, uint32_t, void*, const uint64_t*, const uint64_t*, const int*,
       const int*, uint32_t, uint32_t, const uint32_t*, TensorMapInterleave, TensorMapSwizzle,
       TensorMapL2Promotion, TensorMapFill>
      tensor_map_encode_im2col;

  // Memory
  Call<Ptr*, size_t> mem_alloc;
  Call<Ptr> mem_free;
  Call<void**, size_t, unsigned> mem_host_alloc;
  Call<void*> mem_free_host;
  Call<void*, size_t, unsigned> mem_host_register;
  Call<void*> mem_host_unregister;
  Call<Ptr*, void*, unsigned> mem_host_get_device_pointer;
  Call<size_t*, size_t*> mem_get_info;  // free, total
  Call<Ptr, const void*, size_t> memcpy_htod;
  Call<void*, Ptr, size_t> memcpy_dtoh;
  Call<Ptr, const void*, size_t, Stream> memcpy_htod_async;
  Call<void*, Ptr, size_t, Stream> memcpy_dtoh_async;
  Call<Ptr, Ptr, size_t, Stream> memcpy_dtod_async;
  Call<const Memcpy3d*, Stream> memcpy_3d_async;
  Call<Ptr, unsigned char, size_t, Stream> memset_d8_async;
  Call<Ptr, unsigned short, size_t, Stream> memset_d16_async;
  Call<Ptr, unsigned, size_t, Stream> memset_d32_async;

  // Memory mapping and its export through file descriptors
  Call<size_t*, const MemAllocationProp*, int> mem_get_allocation_granularity;
  Call<Handle*, size_t, const MemAllocationProp*, unsigned long long> mem_create;
  Call<Handle> mem_release;
  Call<Ptr*, size_t, size_t, Ptr, unsigned long long> mem_address_reserve;
  Call<Ptr, size_t> mem_address_free;
  Call<Ptr, size_t, size_t, Handle, unsigned long long> mem_map;
  Call<Ptr, size_t> mem_unmap;
  Call<Ptr, size_t, const MemAccessDesc*, size_t> mem_set_access;
  Call<void*, Handle, int, unsigned long long> mem_export_to_shareable_handle;  // int* for an fd
  Call<Handle*, void*, int> mem_import_from_shareable_handle;  // the fd itself, cast to void*

  // Streams and events
  Call<Stream*, unsigned> stream_create;
  Call<Stream*, unsigned, int> stream_create_with_priority;
  Call<Stream> stream_destroy;
  Call<Stream> stream_synchronize;
  Call<Stream> stream_query;
  Call<Stream, Event, unsigned> stream_wait_event;
  Call<Stream, Context*> stream_get_ctx;
  Call<Stream, Ptr, uint32_t, unsigned> stream_wait_value32;
  Call<Stream, Ptr, uint32_t, unsigned> stream_write_value32;
  Call<Event*, unsigned> event_create;
  Call<Event> event_destroy;
  Call<Event, Stream> event_record;
  Call<Event> event_synchronize;
  Call<Event> event_query;
  Call<float*, Event, Event> event_elapsed_time;  // ms

  // Capture and graphs
  Call<Stream, CaptureStatus*> stream_is_capturing;
  Call<Stream, CaptureMode> stream_begin_capture;
  Call<Stream, Graph*> stream_end_capture;
  // status, id, graph, dependencies of the next node, how many
  Call<Stream, CaptureStatus*, uint64_t*, Graph*, const GraphNode**, size_t*>
      stream_get_capture_info;
  Call<Stream, GraphNode*, size_t, unsigned> stream_update_capture_dependencies;
  Call<CaptureMode*> thread_exchange_capture_mode;
  Call<GraphExec*, Graph, unsigned long long> graph_instantiate;
  Call<GraphExec, Stream> graph_upload;
  Call<GraphExec, Stream> graph_launch;
  Call<GraphExec> graph_exec_destroy;
  Call<Graph> graph_destroy;
  Call<Graph, GraphNode*, size_t*> graph_get_nodes;
  Call<GraphNode, GraphNodeType*> graph_node_get_type;
  Call<GraphExec, GraphNode, const KernelNodeParams*> graph_exec_kernel_node_set_params;
  Call<GraphExec, GraphNode, const MemsetNodeParams*, Context> graph_exec_memset_node_set_params;
  Call<GraphExec, GraphNode, const Memcpy3d*, Context> graph_exec_memcpy_node_set_params;

  // May be absent: test with `if (driver.func_get_param_info)`.
  Call<Function, size_t, size_t*, size_t*> func_get_param_info;  // 12.4: offset, size
  Call<Function> func_load;                                      // 12.4
};

// The process's driver, opened at the first call: libcuda.so.1, or the library that
// KERNELWRIGHT_CUDA_DRIVER names. Not initialized: that is init(0), which initialized_driver()
// does. A failure is one line (kEnvironment): no library, or one that lacks a function.
Result<const Driver*> driver();
// Also cuInit, once. Fails where the machine has a driver but no usable device.
Result<const Driver*> initialized_driver();

// Makes `context` current for a scope; leaves it alone where it is already.
class ContextScope {
 public:
  static Result<ContextScope> enter(const Driver& driver, Context context);
  ContextScope(ContextScope&& other) noexcept;
  ContextScope& operator=(ContextScope&&) = delete;
  ContextScope(const ContextScope&) = delete;
  ~ContextScope();

 private:
  explicit ContextScope(const Driver* pushed) : pushed_(pushed) {}
  const Driver* pushed_;  // null: nothing to pop
};

// Lets this thread allocate and synchronize while some other stream is being captured.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const Driver& driver) : driver_(driver) {
    (void)driver_.thread_exchange_capture_mode.raw(&mode_);
  }
  RelaxedCapture(const RelaxedCapture&) = delete;
  ~RelaxedCapture() { (void)driver_.thread_exchange_capture_mode.raw(&mode_); }

 private:
  const Driver& driver_;
  CaptureMode mode_ = kCaptureRelaxed;
};

}  // namespace kernelwright::cuda
