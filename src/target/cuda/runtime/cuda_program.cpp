// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/cuda_program.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <vector>

#include "target/cuda/runtime/device_memory.h"
#include "target/cuda/runtime/graph.h"
#include "target/cuda/runtime/move_ptx.h"
#include "target/cuda/runtime/step_events.h"

namespace kernelwright::runtime {
namespace {

using namespace kernelwright::cuda;
using program::BufferRole;

// A graph's launch costs about as much as two kernel launches.
constexpr int64_t kGraphFrom = 3;
// Each node takes memory on host and device; beyond this a plan keeps the device busy by itself.
constexpr int64_t kGraphMost = 8192;

Result<Device> wanted_device(const Driver& driver) {
  int ordinal = 0, count = 0;
  if (const char* text = std::getenv("KERNELWRIGHT_CUDA_DEVICE"); text && *text)
    ordinal = std::atoi(text);
  KW_CHECK_OK(driver.device_get_count(&count));
  if (ordinal < 0 || ordinal >= count)
    return fail(ErrorKind::kEnvironment,
                fmt::format("no CUDA device {}: the driver sees {}", ordinal, count));
  Device device = 0;
  KW_CHECK_OK(driver.device_get(&device, ordinal));
  return device;
}

Stream as_stream(void* stream) {
  return static_cast<Stream>(stream);
}

Ptr as_ptr(const void* pointer) {
  return reinterpret_cast<Ptr>(pointer);
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

class CudaProgram final : public LoadedProgram {
 public:
  CudaProgram(program::Program program, program::Layout layout, const Driver& driver)
      : LoadedProgram(std::move(program)), driver_(driver) {
    layout_ = std::move(layout);
  }
  ~CudaProgram() override;
  Status load(const std::string& object_path);

  Status prepare(const void* const* weights, void* stream) override;
  Status run(const void* const* inputs, void* const* outputs, void* const* states,
             const double* scalars, void* stream) override {
    return call(inputs, outputs, states, scalars, stream, false);
  }
  Status profile(const void* const* inputs, void* const* outputs, void* const* states,
                 const double* scalars, void* stream) override {
    return call(inputs, outputs, states, scalars, stream, true);
  }
  Result<std::vector<double>> step_times() override;
  Status wait(void* stream) override;
  Status poison_scratch(int byte, void* stream) override;
  Result<bool> sync_is_zero(void* stream) override;
  Result<std::string> describe() override;

 private:
  Status call(const void* const* inputs, void* const* outputs, void* const* states,
              const double* scalars, void* stream, bool by_step);
  Status find_context();
  Status allocate();
  Status bind(const std::vector<Port>& ports, const void* const* pointers, const char* role);
  Status bind_weights(const void* const* weights, Stream stream);
  Status copy_weight(size_t port, const void* pointer, Stream stream);
  // Orders this call behind the last one, whatever stream that was on.
  Status begin_call(Stream stream, bool& capturing);
  Status end_call(Stream stream, bool capturing);
  Status run_plan(Stream stream, const double* scalars, bool capturing);
  Status run_graph(Stream stream, const double* scalars);
  Status build_graph(const double* scalars);
  Function move_function() const { return move_kernel_ ? move_kernel_->function : nullptr; }

  const Driver& driver_;
  std::mutex mutex_;
  Context context_ = nullptr;
  bool retained_ = false;  // context_ is a primary context that we hold
  DeviceInfo device_;
  KernelModule module_, move_module_;
  const KernelFunction* move_kernel_ = nullptr;
  cuda::Plan prepare_plan_, run_plan_;
  DeviceMemory arena_, tables_;
  std::vector<DeviceMemory> weight_copies_;  // by weight; of those whose address is not aligned
  std::vector<Ptr> slots_;                   // by buffer index
  std::vector<Storage> storage_;             // by buffer index
  Stream own_stream_ = nullptr;              // for set-up and for capturing
  Event done_ = nullptr;                     // the last call's work
  Stream last_stream_ = nullptr;
  bool ran_ = false;

  std::unique_ptr<StepEvents> events_;  // of profile(), from the first on
  std::string no_graph_;                // why the plan is not run as a graph; empty: it is
  std::unique_ptr<PlanGraph> graph_;
  std::vector<Ptr> graph_slots_;       // what the graph's nodes hold
  std::vector<double> graph_scalars_;  // likewise
  std::vector<char> changed_;          // by slot, room for run_graph
  int graph_rebuilds_ = 0;
};

Status CudaProgram::find_context() {
  KW_CHECK_OK(driver_.ctx_get_current(&context_));
  if (!context_) {
    KW_TRY(Device device, wanted_device(driver_));
    KW_CHECK_OK(driver_.primary_ctx_retain(&context_, device));
    retained_ = true;
    device_.ordinal = device;
  }
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  Device device = 0;
  KW_CHECK_OK(driver_.ctx_get_device(&device));
  KW_TRY(device_, read_device(driver_, device));
  return {};
}

Status CudaProgram::load(const std::string& object_path) {
  KW_CHECK_OK(find_context());
  KW_CHECK_OK(check_features(device_, program_.requires_features));
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  RelaxedCapture relaxed(driver_);
  KW_TRY(module_, KernelModule::load_file(driver_, object_path));
  KW_TRY(prepare_plan_,
         compile_plan(driver_, device_, program_, program_.prepare, "prepare", module_));
  KW_TRY(run_plan_, compile_plan(driver_, device_, program_, program_.run, "run", module_));
  if (prepare_plan_.move_kernel || run_plan_.move_kernel) {
    const std::string& ptx = target::source_named(target::move_ptx(), "move.ptx");
    KW_TRY(move_module_, KernelModule::load(driver_, ptx, "the runtime's own move kernel"));
    KW_TRY(move_kernel_, move_module_.kernel("kw_move"));
  }
  KW_CHECK_OK(driver_.stream_create(&own_stream_, kStreamNonBlocking));
  KW_CHECK_OK(driver_.event_create(&done_, kEventDisableTiming));
  KW_CHECK_OK(allocate());

  const char* graphs = std::getenv("KERNELWRIGHT_CUDA_GRAPHS");
  if (graphs && std::string_view(graphs) == "never")
    no_graph_ = "KERNELWRIGHT_CUDA_GRAPHS=never";
  else if (run_plan_.executed < kGraphFrom)
    no_graph_ = fmt::format("fewer than {} steps", kGraphFrom);
  else if (run_plan_.executed > kGraphMost)
    no_graph_ = fmt::format("more than {} steps", kGraphMost);
  return {};
}

Status CudaProgram::allocate() {
  KW_TRY(arena_, DeviceMemory::create(driver_, layout_.total()));
  Tables tables = encode_tables(program_, 256);
  KW_TRY(tables_, DeviceMemory::create(driver_, static_cast<int64_t>(tables.bytes.size())));
  slots_.assign(program_.buffers.size(), 0);
  storage_.assign(program_.buffers.size(), {});
  changed_.assign(program_.buffers.size(), 0);
  for (size_t i = 0; i < program_.buffers.size(); ++i) {
    BufferRole role = program_.buffers[i].role;
    if (auto it = layout_.offset.find(program_.buffers[i].name); it != layout_.offset.end())
      slots_[i] = arena_.data() + static_cast<Ptr>(it->second);
    // What no step of `run` writes orders nothing.
    if (role == BufferRole::kScratch || role == BufferRole::kSync)
      storage_[i].kind = Storage::kWorkspace;
    else if (role == BufferRole::kOutput || role == BufferRole::kState)
      storage_[i].kind = Storage::kCaller;
    else
      storage_[i].kind = Storage::kConstant;
  }
  for (const auto& [slot, offset] : tables.offsets)
    slots_[slot] = tables_.data() + static_cast<Ptr>(offset);
  weight_copies_.resize(weights_.size());
  if (!tables.bytes.empty())
    KW_CHECK_OK(driver_.memcpy_htod(tables_.data(), tables.bytes.data(), tables.bytes.size()));
  if (layout_.sync_bytes > 0) {
    KW_CHECK_OK(driver_.memset_d8_async(arena_.data() + static_cast<Ptr>(layout_.packed_bytes), 0,
                                        static_cast<size_t>(layout_.sync_bytes), own_stream_));
    KW_CHECK_OK(driver_.stream_synchronize(own_stream_));
  }
  return {};
}

CudaProgram::~CudaProgram() {
  if (context_) {
    // Members free device memory as well: they go while the context is current.
    auto scope = ContextScope::enter(driver_, context_);
    RelaxedCapture relaxed(driver_);
    if (ran_) (void)driver_.event_synchronize.raw(done_);
    graph_.reset();
    events_.reset();
    if (done_) (void)driver_.event_destroy.raw(done_);
    if (own_stream_) (void)driver_.stream_destroy.raw(own_stream_);
    weight_copies_.clear();
    arena_.release();
    tables_.release();
    module_ = KernelModule();
    move_module_ = KernelModule();
  }
  if (retained_) (void)driver_.primary_ctx_release.raw(device_.ordinal);
}

Status CudaProgram::bind(const std::vector<Port>& ports, const void* const* pointers,
                         const char* role) {
  for (size_t i = 0; i < ports.size(); ++i) {
    const void* pointer = pointers ? pointers[i] : nullptr;
    if (!pointer || !is_aligned(pointer)) KW_CHECK_OK(check_pointer(ports[i], pointer, role));
    slots_[static_cast<size_t>(ports[i].slot)] = as_ptr(pointer);
  }
  return {};
}

Status CudaProgram::copy_weight(size_t i, const void* pointer, Stream stream) {
  const Port& port = weights_[i];
  if (port.bytes < 0)
    return fail(ErrorKind::kInput, fmt::format("weight '{}' is not 64-byte aligned", port.name));
  DeviceMemory& copy = weight_copies_[i];
  if (copy.bytes() < port.bytes) {
    RelaxedCapture relaxed(driver_);
    KW_TRY(copy, DeviceMemory::create(driver_, port.bytes));
  }
  slots_[static_cast<size_t>(port.slot)] = copy.data();
  return driver_.memcpy_dtod_async(copy.data(), as_ptr(pointer), static_cast<size_t>(port.bytes),
                                   stream);
}

Status CudaProgram::bind_weights(const void* const* weights, Stream stream) {
  for (size_t i = 0; i < weights_.size(); ++i) {
    const Port& port = weights_[i];
    const void* pointer = weights ? weights[i] : nullptr;
    if (!pointer && port.bytes != 0)
      return fail(ErrorKind::kInput, fmt::format("weight '{}' is null", port.name));
    slots_[static_cast<size_t>(port.slot)] = as_ptr(pointer);
    if (!is_aligned(pointer)) KW_CHECK_OK(copy_weight(i, pointer, stream));
  }
  return {};
}

Status CudaProgram::begin_call(Stream stream, bool& capturing) {
  CaptureStatus status = kCaptureNone;
  KW_CHECK_OK(driver_.stream_is_capturing(stream, &status));
  capturing = status != kCaptureNone;
  if (ran_ && !capturing && stream != last_stream_)
    KW_CHECK_OK(driver_.stream_wait_event(stream, done_, 0));
  return {};
}

Status CudaProgram::end_call(Stream stream, bool capturing) {
  if (capturing) return {};  // an event recorded in a capture says nothing outside of it
  KW_CHECK_OK(driver_.event_record(done_, stream));
  last_stream_ = stream;
  ran_ = true;
  return {};
}

Status CudaProgram::prepare(const void* const* weights, void* stream) {
  std::lock_guard guard(mutex_);
  needs_prepare_ = true;
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  bool capturing = false;
  KW_CHECK_OK(begin_call(as_stream(stream), capturing));
  KW_CHECK_OK(bind_weights(weights, as_stream(stream)));
  StreamSink sink(driver_, as_stream(stream), move_function());
  KW_CHECK_OK(walk(driver_, prepare_plan_, slots_, nullptr, sink));
  KW_CHECK_OK(end_call(as_stream(stream), capturing));
  needs_prepare_ = false;
  return {};
}

Status CudaProgram::call(const void* const* inputs, void* const* outputs, void* const* states,
                         const double* scalars, void* stream, bool by_step) {
  std::lock_guard guard(mutex_);
  if (needs_prepare_) return fail(ErrorKind::kInput, "kw_prepare comes before the first kw_run");
  if (run_plan_.scalar_count > 0 && !scalars)
    return fail(ErrorKind::kInput,
                fmt::format("the program reads {} scalar inputs", run_plan_.scalar_count));
  KW_CHECK_OK(bind(inputs_, inputs, "input"));
  KW_CHECK_OK(bind(outputs_, outputs, "output"));
  KW_CHECK_OK(bind(states_, states, "state"));
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  bool capturing = false;
  KW_CHECK_OK(begin_call(as_stream(stream), capturing));
  if (by_step) {
    if (!events_) events_ = std::make_unique<StepEvents>(driver_, run_plan_);
    ProfileSink sink(driver_, as_stream(stream), move_function(), *events_);
    KW_CHECK_OK(events_->begin(as_stream(stream)));
    KW_CHECK_OK(walk(driver_, run_plan_, slots_, scalars, sink));
  } else {
    KW_CHECK_OK(run_plan(as_stream(stream), scalars, capturing));
  }
  return end_call(as_stream(stream), capturing);
}

Status CudaProgram::run_plan(Stream stream, const double* scalars, bool capturing) {
  if (no_graph_.empty() && !capturing) {
    auto status = run_graph(stream, scalars);
    if (status) return {};
    // A plan that gives no graph still runs; describe() tells why.
    if (graph_) return status;
    no_graph_ = status.error().text();
  }
  StreamSink sink(driver_, stream, move_function());
  return walk(driver_, run_plan_, slots_, scalars, sink);
}

Status CudaProgram::build_graph(const double* scalars) {
  RelaxedCapture relaxed(driver_);
  KW_TRY(graph_, PlanGraph::build({driver_, context_, own_stream_, move_function(), run_plan_,
                                   slots_, scalars, storage_, arena_.data()}));
  graph_slots_ = slots_;
  graph_scalars_.assign(scalars, scalars + run_plan_.scalar_count);
  return {};
}

Status CudaProgram::run_graph(Stream stream, const double* scalars) {
  if (!graph_) {
    KW_CHECK_OK(build_graph(scalars));
    return graph_->launch(stream);
  }
  bool any = slots_ != graph_slots_;
  bool scalars_changed = !std::equal(graph_scalars_.begin(), graph_scalars_.end(), scalars);
  if (any || scalars_changed) {
    for (size_t i = 0; i < slots_.size(); ++i) changed_[i] = slots_[i] != graph_slots_[i];
    auto status = graph_->update(run_plan_, slots_, scalars, changed_, scalars_changed);
    if (status) {
      std::copy(slots_.begin(), slots_.end(), graph_slots_.begin());
      std::copy(scalars, scalars + graph_scalars_.size(), graph_scalars_.begin());
    } else {
      // The driver cannot change this graph in place, or only half of it was changed.
      graph_.reset();
      ++graph_rebuilds_;
      KW_CHECK_OK(build_graph(scalars));
    }
  }
  return graph_->launch(stream);
}

Result<std::vector<double>> CudaProgram::step_times() {
  std::lock_guard guard(mutex_);
  if (!events_) return fail(ErrorKind::kUsage, "kw_profile_on comes before kw_step_times");
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  return events_->times();
}

Status CudaProgram::wait(void* stream) {
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  return driver_.stream_synchronize(as_stream(stream));
}

Status CudaProgram::poison_scratch(int byte, void* stream) {
  std::lock_guard guard(mutex_);
  if (layout_.scratch_bytes == 0) return {};
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  bool capturing = false;
  KW_CHECK_OK(begin_call(as_stream(stream), capturing));
  KW_CHECK_OK(driver_.memset_d8_async(
      arena_.data() + static_cast<Ptr>(layout_.packed_bytes + layout_.sync_bytes),
      static_cast<unsigned char>(byte), static_cast<size_t>(layout_.scratch_bytes),
      as_stream(stream)));
  return end_call(as_stream(stream), capturing);
}

Result<bool> CudaProgram::sync_is_zero(void* stream) {
  std::lock_guard guard(mutex_);
  if (layout_.sync_bytes == 0) return true;
  KW_TRY(ContextScope scope, ContextScope::enter(driver_, context_));
  bool capturing = false;
  KW_CHECK_OK(begin_call(as_stream(stream), capturing));
  std::vector<unsigned char> bytes(static_cast<size_t>(layout_.sync_bytes));
  KW_CHECK_OK(driver_.memcpy_dtoh_async(bytes.data(),
                                        arena_.data() + static_cast<Ptr>(layout_.packed_bytes),
                                        bytes.size(), as_stream(stream)));
  KW_CHECK_OK(driver_.stream_synchronize(as_stream(stream)));
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; });
}

Result<std::string> CudaProgram::describe() {
  std::lock_guard guard(mutex_);
  std::string kernels;
  for (const auto& [name, kernel] : module_.kernels())
    kernels += fmt::format(
        "{}{}:{{\"registers\":{},\"local_bytes\":{},\"shared_bytes\":{},\"const_bytes\":{},"
        "\"max_threads\":{}}}",
        kernels.empty() ? "" : ",", json_text(name), kernel.registers, kernel.local_bytes,
        kernel.shared_bytes, kernel.const_bytes, kernel.max_threads);
  std::string graph = !no_graph_.empty() ? no_graph_ : graph_ ? "used" : "not built yet";
  return fmt::format(
      "{{\"target\":\"cuda\",\"device\":{},\"capability\":{},\"steps\":{},\"graph\":{},"
      "\"nodes\":{},\"edges\":{},\"rebuilds\":{},\"kernels\":{{{}}}}}",
      json_text(device_.name), device_.capability(), run_plan_.executed, json_text(graph),
      graph_ ? graph_->nodes() : 0, graph_ ? graph_->edges() : 0, graph_rebuilds_, kernels);
}

}  // namespace

Result<std::unique_ptr<LoadedProgram>> open_cuda_program(program::Program program,
                                                         program::Layout layout,
                                                         const std::string& object_path) {
  KW_TRY(const Driver* driver, initialized_driver());
  auto loaded = std::make_unique<CudaProgram>(std::move(program), std::move(layout), *driver);
  KW_CHECK_OK(loaded->load(object_path));
  return loaded;
}

}  // namespace kernelwright::runtime
