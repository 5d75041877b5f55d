// SPDX-License-Identifier: Apache-2.0
// The stub driver's streams, events and graphs. Work is done when it is issued; a graph runs its
// nodes in the most awkward order that its edges allow.
#include "stub/streams.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "stub/calls.h"
#include "stub/kernels.h"

namespace kernelwright::stub {

using namespace kernelwright::cuda;

namespace {

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

StubStream* as_stream(Stream stream) {
  return reinterpret_cast<StubStream*>(stream);
}

}  // namespace

void issue(Stream handle, GraphNodeType type, std::function<void()> body, unsigned attributes) {
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

}  // namespace kernelwright::stub

using namespace kernelwright::stub;

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
  // Per thread, without thread_local: the leak sanitizer faults on that of an opened library.
  static std::mutex mutex;
  static std::map<std::thread::id, CaptureMode> modes;
  const std::lock_guard lock(mutex);
  std::swap(*mode, modes.try_emplace(std::this_thread::get_id(), kCaptureGlobal).first->second);
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
