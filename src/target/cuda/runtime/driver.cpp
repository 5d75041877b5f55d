// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/driver.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <cstdlib>
#include <utility>

namespace kernelwright::cuda {
namespace {

using NameFunction = Code (*)(Code, const char**);
NameFunction g_error_name = nullptr;
NameFunction g_error_string = nullptr;

// Resolves the table's functions from one library and remembers the first that is missing.
class Loader {
 public:
  explicit Loader(void* library) : library_(library) {}

  template <class... A>
  void need(Call<A...>& call, const char* symbol) {
    take(call, symbol, symbol);
  }
  // `symbol` carries a version suffix that people do not write: `name` is what errors say.
  template <class... A>
  void need(Call<A...>& call, const char* name, const char* symbol) {
    take(call, name, symbol);
  }
  template <class... A>
  void maybe(Call<A...>& call, const char* symbol) {
    call.name = symbol;
    call.function = reinterpret_cast<Code (*)(A...)>(dlsym(library_, symbol));
  }
  const char* missing() const { return missing_; }

 private:
  template <class... A>
  void take(Call<A...>& call, const char* name, const char* symbol) {
    call.name = name;
    call.function = reinterpret_cast<Code (*)(A...)>(dlsym(library_, symbol));
    if (!call.function && !missing_) missing_ = symbol;
  }

  void* library_;
  const char* missing_ = nullptr;
};

void load_device(Loader& lib, Driver& d) {
  lib.need(d.init, "cuInit");
  lib.need(d.driver_get_version, "cuDriverGetVersion");
  lib.need(d.device_get_count, "cuDeviceGetCount");
  lib.need(d.device_get, "cuDeviceGet");
  lib.need(d.device_get_name, "cuDeviceGetName");
  lib.need(d.device_get_uuid, "cuDeviceGetUuid", "cuDeviceGetUuid_v2");
  lib.need(d.device_total_mem, "cuDeviceTotalMem", "cuDeviceTotalMem_v2");
  lib.need(d.device_get_attribute, "cuDeviceGetAttribute");
  lib.need(d.primary_ctx_retain, "cuDevicePrimaryCtxRetain");
  lib.need(d.primary_ctx_release, "cuDevicePrimaryCtxRelease", "cuDevicePrimaryCtxRelease_v2");
  lib.need(d.ctx_get_current, "cuCtxGetCurrent");
  lib.need(d.ctx_set_current, "cuCtxSetCurrent");
  lib.need(d.ctx_push_current, "cuCtxPushCurrent", "cuCtxPushCurrent_v2");
  lib.need(d.ctx_pop_current, "cuCtxPopCurrent", "cuCtxPopCurrent_v2");
  lib.need(d.ctx_get_device, "cuCtxGetDevice");
  lib.need(d.ctx_synchronize, "cuCtxSynchronize");
  lib.need(d.ctx_set_limit, "cuCtxSetLimit");
  lib.need(d.ctx_get_limit, "cuCtxGetLimit");
  lib.need(d.ctx_reset_persisting_l2, "cuCtxResetPersistingL2Cache");
}

void load_functions(Loader& lib, Driver& d) {
  lib.need(d.module_load_data, "cuModuleLoadData");
  lib.need(d.module_load_data_ex, "cuModuleLoadDataEx");
  lib.need(d.module_unload, "cuModuleUnload");
  lib.need(d.module_get_function, "cuModuleGetFunction");
  lib.need(d.module_get_global, "cuModuleGetGlobal", "cuModuleGetGlobal_v2");
  lib.need(d.load_library_data, "cuLibraryLoadData");
  lib.need(d.unload_library, "cuLibraryUnload");
  lib.need(d.get_library_kernel, "cuLibraryGetKernel");
  lib.need(d.kernel_get_function, "cuKernelGetFunction");
  lib.need(d.func_get_attribute, "cuFuncGetAttribute");
  lib.need(d.func_set_attribute, "cuFuncSetAttribute");
  lib.need(d.launch_kernel, "cuLaunchKernelEx");
  lib.need(d.launch_host_func, "cuLaunchHostFunc");
  lib.need(d.occupancy_blocks_per_sm, "cuOccupancyMaxActiveBlocksPerMultiprocessor");
  lib.need(d.occupancy_active_clusters, "cuOccupancyMaxActiveClusters");
  lib.need(d.occupancy_cluster_size, "cuOccupancyMaxPotentialClusterSize");
  lib.need(d.tensor_map_encode_tiled, "cuTensorMapEncodeTiled");
  lib.need(d.tensor_map_encode_im2col, "cuTensorMapEncodeIm2col");
  lib.maybe(d.func_get_param_info, "cuFuncGetParamInfo");
  lib.maybe(d.func_load, "cuFuncLoad");
}

void load_memory(Loader& lib, Driver& d) {
  lib.need(d.mem_alloc, "cuMemAlloc", "cuMemAlloc_v2");
  lib.need(d.mem_free, "cuMemFree", "cuMemFree_v2");
  lib.need(d.mem_host_alloc, "cuMemHostAlloc");
  lib.need(d.mem_free_host, "cuMemFreeHost");
  lib.need(d.mem_host_register, "cuMemHostRegister", "cuMemHostRegister_v2");
  lib.need(d.mem_host_unregister, "cuMemHostUnregister");
  lib.need(d.mem_host_get_device_pointer, "cuMemHostGetDevicePointer",
           "cuMemHostGetDevicePointer_v2");
  lib.need(d.mem_get_info, "cuMemGetInfo", "cuMemGetInfo_v2");
  lib.need(d.memcpy_htod, "cuMemcpyHtoD", "cuMemcpyHtoD_v2");
  lib.need(d.memcpy_dtoh, "cuMemcpyDtoH", "cuMemcpyDtoH_v2");
  lib.need(d.memcpy_htod_async, "cuMemcpyHtoDAsync", "cuMemcpyHtoDAsync_v2");
  lib.need(d.memcpy_dtoh_async, "cuMemcpyDtoHAsync", "cuMemcpyDtoHAsync_v2");
  lib.need(d.memcpy_dtod_async, "cuMemcpyDtoDAsync", "cuMemcpyDtoDAsync_v2");
  lib.need(d.memcpy_3d_async, "cuMemcpy3DAsync", "cuMemcpy3DAsync_v2");
  lib.need(d.memset_d8_async, "cuMemsetD8Async");
  lib.need(d.memset_d16_async, "cuMemsetD16Async");
  lib.need(d.memset_d32_async, "cuMemsetD32Async");
  lib.need(d.mem_get_allocation_granularity, "cuMemGetAllocationGranularity");
  lib.need(d.mem_create, "cuMemCreate");
  lib.need(d.mem_release, "cuMemRelease");
  lib.need(d.mem_address_reserve, "cuMemAddressReserve");
  lib.need(d.mem_address_free, "cuMemAddressFree");
  lib.need(d.mem_map, "cuMemMap");
  lib.need(d.mem_unmap, "cuMemUnmap");
  lib.need(d.mem_set_access, "cuMemSetAccess");
  lib.need(d.mem_export_to_shareable_handle, "cuMemExportToShareableHandle");
  lib.need(d.mem_import_from_shareable_handle, "cuMemImportFromShareableHandle");
}

void load_streams(Loader& lib, Driver& d) {
  lib.need(d.stream_create, "cuStreamCreate");
  lib.need(d.stream_create_with_priority, "cuStreamCreateWithPriority");
  lib.need(d.stream_destroy, "cuStreamDestroy", "cuStreamDestroy_v2");
  lib.need(d.stream_synchronize, "cuStreamSynchronize");
  lib.need(d.stream_query, "cuStreamQuery");
  lib.need(d.stream_wait_event, "cuStreamWaitEvent");
  lib.need(d.stream_get_ctx, "cuStreamGetCtx");
  lib.need(d.stream_wait_value32, "cuStreamWaitValue32", "cuStreamWaitValue32_v2");
  lib.need(d.stream_write_value32, "cuStreamWriteValue32", "cuStreamWriteValue32_v2");
  lib.need(d.event_create, "cuEventCreate");
  lib.need(d.event_destroy, "cuEventDestroy", "cuEventDestroy_v2");
  lib.need(d.event_record, "cuEventRecord");
  lib.need(d.event_synchronize, "cuEventSynchronize");
  lib.need(d.event_query, "cuEventQuery");
  lib.need(d.event_elapsed_time, "cuEventElapsedTime");
  lib.need(d.stream_is_capturing, "cuStreamIsCapturing");
  lib.need(d.stream_begin_capture, "cuStreamBeginCapture", "cuStreamBeginCapture_v2");
  lib.need(d.stream_end_capture, "cuStreamEndCapture");
  // The versions without edge annotations, which every driver since 11.3 has.
  lib.need(d.stream_get_capture_info, "cuStreamGetCaptureInfo", "cuStreamGetCaptureInfo_v2");
  lib.need(d.stream_update_capture_dependencies, "cuStreamUpdateCaptureDependencies");
  lib.need(d.thread_exchange_capture_mode, "cuThreadExchangeStreamCaptureMode");
}

void load_graphs(Loader& lib, Driver& d) {
  lib.need(d.graph_instantiate, "cuGraphInstantiate", "cuGraphInstantiateWithFlags");
  lib.need(d.graph_upload, "cuGraphUpload");
  lib.need(d.graph_launch, "cuGraphLaunch");
  lib.need(d.graph_exec_destroy, "cuGraphExecDestroy");
  lib.need(d.graph_destroy, "cuGraphDestroy");
  lib.need(d.graph_get_nodes, "cuGraphGetNodes");
  lib.need(d.graph_node_get_type, "cuGraphNodeGetType");
  lib.need(d.graph_exec_kernel_node_set_params, "cuGraphExecKernelNodeSetParams",
           "cuGraphExecKernelNodeSetParams_v2");
  lib.need(d.graph_exec_memset_node_set_params, "cuGraphExecMemsetNodeSetParams");
  lib.need(d.graph_exec_memcpy_node_set_params, "cuGraphExecMemcpyNodeSetParams");
}

Result<Driver> open_driver() {
  const char* named = std::getenv("KERNELWRIGHT_CUDA_DRIVER");
  const char* path = named && *named ? named : "libcuda.so.1";
  // Never closed: the driver keeps threads and exit handlers of its own.
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = dlerror();
    return fail(ErrorKind::kEnvironment,
                fmt::format("no CUDA driver: {}", reason ? reason : "libcuda cannot be opened"));
  }
  Driver d;
  Loader lib(library);
  load_device(lib, d);
  load_functions(lib, d);
  load_memory(lib, d);
  load_streams(lib, d);
  load_graphs(lib, d);
  g_error_name = reinterpret_cast<NameFunction>(dlsym(library, "cuGetErrorName"));
  g_error_string = reinterpret_cast<NameFunction>(dlsym(library, "cuGetErrorString"));
  if (d.driver_get_version) (void)d.driver_get_version.raw(&d.version);
  if (lib.missing())
    return fail(ErrorKind::kEnvironment,
                fmt::format("the CUDA driver ({}, CUDA {}.{}) has no {}: version 12.0 or later "
                            "is needed",
                            path, d.version / 1000, d.version % 1000 / 10, lib.missing()));
  return d;
}

}  // namespace

const char* error_name(Code code) {
  const char* name = nullptr;
  if (g_error_name && g_error_name(code, &name) == kSuccess && name) return name;
  thread_local char unnamed[32];
  *fmt::format_to_n(unnamed, sizeof(unnamed) - 1, "CUDA error {}", code).out = '\0';
  return unnamed;
}

Error call_error(const char* call, Code code) {
  const char* text = nullptr;
  std::string message = fmt::format("{}: {}", call, error_name(code));
  if (g_error_string && g_error_string(code, &text) == kSuccess && text)
    message += fmt::format(" ({})", text);
  for (char& c : message)
    if (c == '\n') c = ' ';
  return Error{ErrorKind::kEnvironment, std::move(message), {}};
}

Result<const Driver*> driver() {
  static const Result<Driver> opened = open_driver();
  if (!opened) return fail(opened.error());
  return &*opened;
}

Result<const Driver*> initialized_driver() {
  KW_TRY(const Driver* d, driver());
  static const Code code = d->init.raw(0);
  if (code != kSuccess) return fail(call_error("cuInit", code));
  return d;
}

Result<ContextScope> ContextScope::enter(const Driver& driver, Context context) {
  Context current = nullptr;
  KW_CHECK_OK(driver.ctx_get_current(&current));
  if (current == context) return ContextScope(nullptr);
  KW_CHECK_OK(driver.ctx_push_current(context));
  return ContextScope(&driver);
}

ContextScope::ContextScope(ContextScope&& other) noexcept
    : pushed_(std::exchange(other.pushed_, nullptr)) {}

ContextScope::~ContextScope() {
  Context popped = nullptr;
  if (pushed_) (void)pushed_->ctx_pop_current.raw(&popped);
}

}  // namespace kernelwright::cuda
