// SPDX-License-Identifier: Apache-2.0
#include "stub/cuda_driver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "stub/judge_kernels.h"
#include "target/cuda/runtime/driver_types.h"

using namespace kernelwright::cuda;

namespace {

struct StubKernel {
  const char* name;
  std::vector<size_t> params;
  void (*body)(const std::vector<const void*>& params);
};

template <class T>
T get(const std::vector<const void*>& params, size_t i) {
  T value;
  std::memcpy(&value, params[i], sizeof(T));
  return value;
}
const float* in(const std::vector<const void*>& p, size_t i) {
  return get<const float*>(p, i);
}
float* out(const std::vector<const void*>& p, size_t i) {
  return get<float*>(p, i);
}

struct Moved {
  uint64_t to, from, low, high;
  int64_t count;
  int32_t rank, unit;
  int64_t extents[8], to_strides[8], from_strides[8];
};

void move(const std::vector<const void*>& p) {
  auto args = get<Moved>(p, 0);
  uint64_t pattern[2] = {args.low, args.high};
  for (int64_t i = 0; i < args.count; ++i) {
    int64_t rest = i;
    uint64_t to = args.to, from = args.from;
    for (int d = args.rank - 1; d >= 0; --d) {
      int64_t at = rest % args.extents[d];
      rest /= args.extents[d];
      to += static_cast<uint64_t>(at * args.to_strides[d]);
      from += static_cast<uint64_t>(at * args.from_strides[d]);
    }
    const void* source = args.from ? reinterpret_cast<const void*>(from) : pattern;
    std::memcpy(reinterpret_cast<void*>(to), source, static_cast<size_t>(args.unit));
  }
}

const std::vector<StubKernel>& kernels() {
  static const std::vector<StubKernel> table = {
      // y = x + v
      {"add_value",
       {8, 8, 4, 4},
       [](const std::vector<const void*>& p) {
         for (int i = 0; i < get<int>(p, 3); ++i) out(p, 1)[i] = in(p, 0)[i] + get<float>(p, 2);
       }},
      // z = x + 10 y
      {"mix",
       {8, 8, 8, 4},
       [](const std::vector<const void*>& p) {
         for (int i = 0; i < get<int>(p, 3); ++i) out(p, 2)[i] = in(p, 0)[i] + 10 * in(p, 1)[i];
       }},
      // y = 2 x + step
      {"step",
       {8, 8, 4, 4},
       [](const std::vector<const void*>& p) {
         for (int i = 0; i < get<int>(p, 3); ++i)
           out(p, 1)[i] = 2 * in(p, 0)[i] + static_cast<float>(get<int>(p, 2));
       }},
      // y = x + i64 + f64
      {"wide",
       {8, 8, 8, 8, 4},
       [](const std::vector<const void*>& p) {
         for (int i = 0; i < get<int>(p, 4); ++i)
           out(p, 1)[i] = in(p, 0)[i] + static_cast<float>(get<int64_t>(p, 2)) +
                          static_cast<float>(get<double>(p, 3));
       }},
      // y = what the map points at + 1; the map is passed by value
      {"through_map",
       {128, 8, 4},
       [](const std::vector<const void*>& p) {
         auto map = get<TensorMapBlob>(p, 0);
         for (int i = 0; i < get<int>(p, 2); ++i)
           out(p, 1)[i] = reinterpret_cast<const float*>(map.opaque[0])[i] + 1;
       }},
      {"leave_dirty",
       {8, 8},
       [](const std::vector<const void*>& p) {
         *get<unsigned*>(p, 0) = 7;
         *out(p, 1) = 1;
       }},
      {"kw_move", {240}, &move},
      {"kw_measure", {48, 8, 8}, &kernelwright::stub::measure},
      {"kw_find", {48, 4, 8, 8}, &kernelwright::stub::find},
      {"kw_element", {48, 8, 8}, &kernelwright::stub::element},
      {"kw_hash", {8, 8, 8}, &kernelwright::stub::hash},
      {"kw_bands", {8, 8, 8, 8, 8, 8, 8}, &kernelwright::stub::bands},
      {"kw_delay", {8}, [](const std::vector<const void*>&) {}},
  };
  return table;
}

const StubKernel* as_kernel(Function function) {
  return reinterpret_cast<const StubKernel*>(function);
}

// A launch, fill or copy with its arguments copied.
struct StubNode {
  std::function<void()> body;
  std::set<StubNode*> waits;
  GraphNodeType type = kNodeKernel;
  unsigned attributes = 0;
};
struct StubGraph {
  std::vector<std::unique_ptr<StubNode>> nodes;
};
struct StubExec {
  StubGraph* graph;
  std::map<StubNode*, std::function<void()>> bodies;  // as instantiated or changed since
};
struct StubStream {
  StubGraph* capturing = nullptr;
  std::vector<StubNode*> dependencies;
};

struct State {
  std::recursive_mutex mutex;
  std::string log;
  std::map<std::string, size_t> counts;
  std::map<std::string, std::pair<int, int>> failures;  // code, calls left before it
  std::string tensor_map;
  std::vector<Context> contexts;  // the stack of current contexts; one thread's
  std::map<Function, int> dynamic_shared;
  bool retained = false;
};
State& state() {
  static State instance;
  return instance;
}

int context_tag;
Context the_context() {
  return reinterpret_cast<Context>(&context_tag);
}

// Notes a call; gives the code that a test wants it to fail with.
template <class... A>
Code call(const char* name, fmt::format_string<A...> format, A&&... args) {
  State& s = state();
  std::lock_guard guard(s.mutex);
  std::string text = fmt::format(format, std::forward<A>(args)...);
  s.log += fmt::format("{}{}{}\n", name, text.empty() ? "" : " ", text);
  ++s.counts[name];
  auto it = s.failures.find(name);
  if (it == s.failures.end()) return kSuccess;
  if (it->second.second > 0) {
    --it->second.second;
    return kSuccess;
  }
  return it->second.first;
}
Code call(const char* name) {
  return call(name, "{}", "");
}

StubStream* as_stream(Stream stream) {
  return reinterpret_cast<StubStream*>(stream);
}

// Carries a step out, or records it where the stream is being captured.
void issue(Stream handle, GraphNodeType type, std::function<void()> body, unsigned attributes = 0) {
  StubStream* stream = as_stream(handle);
  if (!stream || !stream->capturing) {
    body();
    return;
  }
  auto node = std::make_unique<StubNode>();
  node->body = std::move(body);
  node->type = type;
  node->attributes = attributes;
  node->waits.insert(stream->dependencies.begin(), stream->dependencies.end());
  stream->dependencies = {node.get()};
  stream->capturing->nodes.push_back(std::move(node));
}

std::function<void()> bound(Function function, void** params) {
  const StubKernel* kernel = as_kernel(function);
  std::vector<std::vector<char>> copies;
  for (size_t i = 0; i < kernel->params.size(); ++i) {
    auto* from = static_cast<char*>(params[i]);
    copies.emplace_back(from, from + kernel->params[i]);
  }
  return [kernel, copies] {
    std::vector<const void*> pointers;
    for (const auto& copy : copies) pointers.push_back(copy.data());
    kernel->body(pointers);
  };
}

template <class T>
std::function<void()> filled(Ptr to, T value, size_t count) {
  return [=] { std::fill_n(reinterpret_cast<T*>(to), count, value); };
}
std::function<void()> copied(void* to, const void* from, size_t bytes) {
  return [=] { std::memcpy(to, from, bytes); };
}

void* at(Ptr address) {
  return reinterpret_cast<void*>(address);
}

}  // namespace

#define STUB extern "C" __attribute__((visibility("default")))
#define RETURN_IF_FAILING(...) \
  if (Code code = call(__func__ __VA_OPT__(, ) __VA_ARGS__); code != kSuccess) return code

STUB const char* kw_stub_log() {
  return state().log.c_str();
}
STUB void kw_stub_reset() {
  state().log.clear();
  state().counts.clear();
  state().failures.clear();
  state().tensor_map.clear();
}
STUB size_t kw_stub_count(const char* function) {
  return state().counts[function];
}
STUB void kw_stub_fail(const char* function, int code, int after) {
  if (code)
    state().failures[function] = {code, after};
  else
    state().failures.erase(function);
}
STUB const char* kw_stub_tensor_map() {
  return state().tensor_map.c_str();
}

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
  *context = state().contexts.empty() ? nullptr : state().contexts.back();
  return kSuccess;
}
STUB Code cuCtxSetCurrent(Context context) {
  state().contexts = {context};
  return kSuccess;
}
STUB Code cuCtxPushCurrent_v2(Context context) {
  state().contexts.push_back(context);
  return kSuccess;
}
STUB Code cuCtxPopCurrent_v2(Context* context) {
  *context = state().contexts.back();
  state().contexts.pop_back();
  return kSuccess;
}
STUB Code cuCtxGetDevice(Device* device) {
  *device = 0;
  return state().contexts.empty() ? kErrorInvalidContext : kSuccess;
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
  for (const StubKernel& kernel : kernels())
    if (std::string(kernel.name) == name) {
      *function = reinterpret_cast<Function>(const_cast<StubKernel*>(&kernel));
      return kSuccess;
    }
  return kErrorNotFound;
}
STUB Code cuFuncGetAttribute(int* value, FunctionAttribute attribute, Function function) {
  *value = attribute == kFunctionMaxThreadsPerBlock      ? 1024
           : attribute == kFunctionRegisters             ? 32
           : attribute == kFunctionMaxDynamicSharedBytes ? state().dynamic_shared[function]
                                                         : 0;
  return kSuccess;
}
STUB Code cuFuncSetAttribute(Function function, FunctionAttribute attribute, int value) {
  RETURN_IF_FAILING("{} {} {}", as_kernel(function)->name, static_cast<int>(attribute), value);
  if (attribute == kFunctionMaxDynamicSharedBytes) state().dynamic_shared[function] = value;
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
  state().tensor_map = fmt::format(
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
  state().tensor_map = fmt::format(
      "im2col type {} rank {} shape {} strides {} lower {} upper {} channels {} pixels {} elements "
      "{} swizzle {}",
      static_cast<int>(type), rank, std::span(shape, rank), std::span(strides, rank - 1),
      std::span(lower, rank - 2), std::span(upper, rank - 2), channels, pixels,
      std::span(element_strides, rank), static_cast<int>(swizzle));
  return kSuccess;
}

STUB Code cuMemAlloc_v2(Ptr* address, size_t bytes) {
  if (Code code = call("cuMemAlloc", "{}", bytes); code != kSuccess) return code;
  *address = reinterpret_cast<Ptr>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  std::memset(at(*address), 0xee, bytes);
  return kSuccess;
}
STUB Code cuMemFree_v2(Ptr address) {
  std::free(at(address));
  return call("cuMemFree");
}
STUB Code cuMemcpyHtoD_v2(Ptr to, const void* from, size_t bytes) {
  std::memcpy(at(to), from, bytes);
  return call("cuMemcpyHtoD", "{}", bytes);
}
STUB Code cuMemcpyHtoDAsync_v2(Ptr to, const void* from, size_t bytes, Stream stream) {
  issue(stream, kNodeMemcpy, copied(at(to), from, bytes));
  return call("cuMemcpyHtoDAsync", "{}", bytes);
}
STUB Code cuMemcpyDtoHAsync_v2(void* to, Ptr from, size_t bytes, Stream stream) {
  issue(stream, kNodeMemcpy, copied(to, at(from), bytes));
  return call("cuMemcpyDtoHAsync", "{}", bytes);
}
STUB Code cuMemcpyDtoDAsync_v2(Ptr to, Ptr from, size_t bytes, Stream stream) {
  if (Code code = call("cuMemcpyDtoDAsync", "{}", bytes); code != kSuccess) return code;
  issue(stream, kNodeMemcpy, copied(at(to), at(from), bytes));
  return kSuccess;
}
STUB Code cuMemsetD8Async(Ptr to, unsigned char value, size_t count, Stream stream) {
  RETURN_IF_FAILING("{} {}", value, count);
  issue(stream, kNodeMemset, filled(to, value, count));
  return kSuccess;
}
STUB Code cuMemsetD16Async(Ptr to, unsigned short value, size_t count, Stream stream) {
  RETURN_IF_FAILING("{} {}", value, count);
  issue(stream, kNodeMemset, filled(to, value, count));
  return kSuccess;
}
STUB Code cuMemsetD32Async(Ptr to, unsigned value, size_t count, Stream stream) {
  RETURN_IF_FAILING("{} {}", value, count);
  issue(stream, kNodeMemset, filled(to, value, count));
  return kSuccess;
}

STUB Code cuStreamCreate(Stream* stream, unsigned) {
  RETURN_IF_FAILING();
  *stream = reinterpret_cast<Stream>(new StubStream());
  return kSuccess;
}
STUB Code cuStreamDestroy_v2(Stream stream) {
  delete as_stream(stream);
  return call("cuStreamDestroy");
}
STUB Code cuStreamSynchronize(Stream) {
  RETURN_IF_FAILING();
  return kSuccess;
}
STUB Code cuStreamWaitEvent(Stream, Event, unsigned) {
  RETURN_IF_FAILING();
  return kSuccess;
}
STUB Code cuEventCreate(Event* event, unsigned) {
  RETURN_IF_FAILING();
  *event = reinterpret_cast<Event>(new double());
  return kSuccess;
}
STUB Code cuEventDestroy_v2(Event event) {
  delete reinterpret_cast<double*>(event);
  return call("cuEventDestroy");
}
// Work is done when it is issued: an event is a moment of the host's clock.
STUB Code cuEventRecord(Event event, Stream) {
  RETURN_IF_FAILING();
  *reinterpret_cast<double*>(event) =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
  return kSuccess;
}
STUB Code cuEventQuery(Event) {
  return kErrorNotReady;
}
STUB Code cuEventElapsedTime(float* ms, Event from, Event to) {
  *ms = static_cast<float>(*reinterpret_cast<double*>(to) - *reinterpret_cast<double*>(from));
  return kSuccess;
}
STUB Code cuEventSynchronize(Event) {
  RETURN_IF_FAILING();
  return kSuccess;
}

STUB Code cuStreamIsCapturing(Stream stream, CaptureStatus* status) {
  *status = stream && as_stream(stream)->capturing ? kCaptureActive : kCaptureNone;
  return kSuccess;
}
STUB Code cuStreamBeginCapture_v2(Stream stream, CaptureMode) {
  if (Code code = call("cuStreamBeginCapture"); code != kSuccess) return code;
  as_stream(stream)->capturing = new StubGraph();
  as_stream(stream)->dependencies.clear();
  return kSuccess;
}
STUB Code cuStreamEndCapture(Stream stream, Graph* graph) {
  RETURN_IF_FAILING();
  *graph = reinterpret_cast<Graph>(as_stream(stream)->capturing);
  as_stream(stream)->capturing = nullptr;
  return kSuccess;
}
STUB Code cuStreamGetCaptureInfo_v2(Stream handle, CaptureStatus* status, uint64_t* id,
                                    Graph* graph, const GraphNode** nodes, size_t* count) {
  StubStream* stream = as_stream(handle);
  *status = kCaptureActive;
  *id = 1;
  *graph = reinterpret_cast<Graph>(stream->capturing);
  *nodes = reinterpret_cast<const GraphNode*>(stream->dependencies.data());
  *count = stream->dependencies.size();
  return kSuccess;
}
STUB Code cuStreamUpdateCaptureDependencies(Stream stream, GraphNode* nodes, size_t count,
                                            unsigned) {
  RETURN_IF_FAILING("{}", count);
  auto** from = reinterpret_cast<StubNode**>(nodes);
  as_stream(stream)->dependencies.assign(from, from + count);
  return kSuccess;
}
STUB Code cuThreadExchangeStreamCaptureMode(CaptureMode* mode) {
  static thread_local CaptureMode current = kCaptureGlobal;
  std::swap(*mode, current);
  return kSuccess;
}
STUB Code cuGraphInstantiateWithFlags(GraphExec* exec, Graph graph, unsigned long long) {
  if (Code code = call("cuGraphInstantiate"); code != kSuccess) return code;
  auto* made = new StubExec{reinterpret_cast<StubGraph*>(graph), {}};
  for (const auto& node : made->graph->nodes) made->bodies[node.get()] = node->body;
  *exec = reinterpret_cast<GraphExec>(made);
  return kSuccess;
}
STUB Code cuGraphExecDestroy(GraphExec exec) {
  delete reinterpret_cast<StubExec*>(exec);
  return call("cuGraphExecDestroy");
}
STUB Code cuGraphDestroy(Graph graph) {
  delete reinterpret_cast<StubGraph*>(graph);
  return call("cuGraphDestroy");
}
STUB Code cuGraphLaunch(GraphExec handle, Stream) {
  RETURN_IF_FAILING();
  auto* exec = reinterpret_cast<StubExec*>(handle);
  // The last node that may run goes first: an edge that is missing shows.
  std::set<StubNode*> done;
  const auto& nodes = exec->graph->nodes;
  while (done.size() < nodes.size()) {
    auto next = std::find_if(nodes.rbegin(), nodes.rend(), [&](const auto& node) {
      return !done.contains(node.get()) &&
             std::includes(done.begin(), done.end(), node->waits.begin(), node->waits.end());
    });
    exec->bodies.at(next->get())();
    done.insert(next->get());
  }
  return kSuccess;
}
STUB Code cuGraphExecKernelNodeSetParams_v2(GraphExec exec, GraphNode node,
                                            const KernelNodeParams* params) {
  if (Code code = call("cuGraphExecKernelNodeSetParams", "{}", as_kernel(params->function)->name);
      code != kSuccess)
    return code;
  reinterpret_cast<StubExec*>(exec)->bodies.at(reinterpret_cast<StubNode*>(node)) =
      bound(params->function, params->params);
  return kSuccess;
}
STUB Code cuGraphExecMemsetNodeSetParams(GraphExec exec, GraphNode node,
                                         const MemsetNodeParams* params, Context) {
  RETURN_IF_FAILING();
  auto& body = reinterpret_cast<StubExec*>(exec)->bodies.at(reinterpret_cast<StubNode*>(node));
  size_t count = params->width;
  if (params->element_bytes == 4)
    body = filled(params->to, params->value, count);
  else if (params->element_bytes == 2)
    body = filled(params->to, static_cast<unsigned short>(params->value), count);
  else
    body = filled(params->to, static_cast<unsigned char>(params->value), count);
  return kSuccess;
}
STUB Code cuGraphExecMemcpyNodeSetParams(GraphExec exec, GraphNode node, const Memcpy3d* params,
                                         Context) {
  RETURN_IF_FAILING();
  reinterpret_cast<StubExec*>(exec)->bodies.at(reinterpret_cast<StubNode*>(node)) =
      copied(at(params->to_device), at(params->from_device), params->width_bytes);
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
