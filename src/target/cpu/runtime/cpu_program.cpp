// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/cpu_program.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>
#include <sstream>
#include <vector>

#include "target/cpu/runtime/arena.h"
#include "target/cpu/runtime/executor.h"
#include "target/cpu/runtime/features.h"
#include "target/cpu/runtime/object.h"
#include "target/cpu/runtime/plan.h"

namespace kernelwright::runtime {
namespace {

Status check_features(const program::Program& program) {
  std::set<std::string> present;
  std::istringstream words(cpu_features());
  for (std::string word; words >> word;) present.insert(word);
  for (const std::string& feature : program.requires_features)
    if (!present.contains(feature))
      return fail(ErrorKind::kEnvironment,
                  fmt::format("this CPU has no '{}', which the program requires", feature));
  return {};
}

Status no_stream(const void* stream) {
  if (stream) return fail(ErrorKind::kUsage, "target cpu has no streams: pass null");
  return {};
}

class CpuProgram final : public LoadedProgram {
 public:
  CpuProgram(program::Program program, program::Layout layout) : LoadedProgram(std::move(program)) {
    layout_ = std::move(layout);
  }
  Status load(const std::string& object_path);

  Status prepare(const void* const* weights, void* stream) override;
  Status run(const void* const* inputs, void* const* outputs, void* const* states,
             const double* scalars, void* stream) override {
    return call(inputs, outputs, states, scalars, stream, nullptr);
  }
  Status profile(const void* const* inputs, void* const* outputs, void* const* states,
                 const double* scalars, void* stream) override;
  Result<std::vector<double>> step_times() override;
  std::vector<kw_counts> step_counts() override;
  Status wait(void* stream) override { return no_stream(stream); }
  Status poison_scratch(int byte, void* stream) override;
  Result<bool> sync_is_zero(void* stream) override;
  Result<std::string> describe() override { return std::string(R"({"target":"cpu"})"); }

 private:
  Status call(const void* const* inputs, void* const* outputs, void* const* states,
              const double* scalars, void* stream, StepRecord* records);
  Status reserve_worker_scratch(int threads);
  Status bind(const std::vector<Port>& ports, const void* const* pointers, const char* role);
  Status bind_weights(const void* const* weights);

  std::mutex mutex_;
  KernelObject object_;
  Plan prepare_plan_, run_plan_;
  Arena arena_, tables_, worker_scratch_;
  int64_t worker_stride_ = 0;
  std::vector<Arena>
      aligned_weights_;            // copies of weights whose own address is not 64-byte aligned
  std::vector<std::byte*> slots_;  // by buffer index
  std::vector<StepRecord> steps_;  // of the last profile()
};

Status CpuProgram::load(const std::string& object_path) {
  KW_CHECK_OK(check_features(program_));
  KW_TRY(object_, KernelObject::open(object_path));
  Kernels kernels;
  for (const auto* steps : {&program_.prepare, &program_.run})
    for (const std::string& name : program::launched_kernels(*steps)) {
      if (kernels.contains(name)) continue;
      KW_TRY(kernels[name], object_.kernel(name));
    }
  KW_TRY(prepare_plan_, compile_plan(program_, program_.prepare, kernels));
  KW_TRY(run_plan_, compile_plan(program_, program_.run, kernels));
  KW_TRY(arena_, Arena::create(layout_.total()));
  slots_.assign(program_.buffers.size(), nullptr);
  for (size_t i = 0; i < program_.buffers.size(); ++i)
    if (auto it = layout_.offset.find(program_.buffers[i].name); it != layout_.offset.end())
      slots_[i] = arena_.data() + it->second;
  Tables tables = encode_tables(program_, kAlignment);
  KW_TRY(tables_, Arena::create(static_cast<int64_t>(tables.bytes.size())));
  if (!tables.bytes.empty()) std::memcpy(tables_.data(), tables.bytes.data(), tables.bytes.size());
  for (const auto& [slot, offset] : tables.offsets) slots_[slot] = tables_.data() + offset;
  return {};
}

Status CpuProgram::reserve_worker_scratch(int threads) {
  int64_t wanted = std::max(prepare_plan_.worker_scratch, run_plan_.worker_scratch);
  if (wanted == 0) return {};
  // A page between workers keeps prefetchers out of each other's scratch.
  worker_stride_ = (wanted + 4095) / 4096 * 4096;
  if (worker_scratch_.bytes() >= worker_stride_ * threads) return {};
  KW_TRY(worker_scratch_, Arena::create(worker_stride_ * threads));
  return {};
}

Status CpuProgram::bind(const std::vector<Port>& ports, const void* const* pointers,
                        const char* role) {
  for (size_t i = 0; i < ports.size(); ++i) {
    const void* pointer = pointers ? pointers[i] : nullptr;
    KW_CHECK_OK(check_pointer(ports[i], pointer, role));
    // The plan never writes through the slot of an input: validate() saw to that.
    slots_[static_cast<size_t>(ports[i].slot)] =
        static_cast<std::byte*>(const_cast<void*>(pointer));
  }
  return {};
}

Status CpuProgram::bind_weights(const void* const* weights) {
  aligned_weights_.clear();
  for (size_t i = 0; i < weights_.size(); ++i) {
    const Port& port = weights_[i];
    const void* pointer = weights ? weights[i] : nullptr;
    if (!pointer && port.bytes != 0)
      return fail(ErrorKind::kInput, fmt::format("weight '{}' is null", port.name));
    if (!is_aligned(pointer)) {
      if (port.bytes < 0)
        return fail(ErrorKind::kInput,
                    fmt::format("weight '{}' is not 64-byte aligned", port.name));
      KW_TRY(Arena copy, Arena::create(port.bytes));
      std::memcpy(copy.data(), pointer, static_cast<size_t>(port.bytes));
      pointer = copy.data();
      aligned_weights_.push_back(std::move(copy));
    }
    slots_[static_cast<size_t>(port.slot)] = static_cast<std::byte*>(const_cast<void*>(pointer));
  }
  return {};
}

Status CpuProgram::prepare(const void* const* weights, void* stream) {
  KW_CHECK_OK(no_stream(stream));
  std::lock_guard guard(mutex_);
  needs_prepare_ = true;
  KW_CHECK_OK(bind_weights(weights));
  Pool& pool = process_pool();
  auto held = pool.lock();
  KW_CHECK_OK(reserve_worker_scratch(pool.threads()));
  execute(prepare_plan_, {pool, slots_, nullptr, worker_scratch_.data(), worker_stride_});
  needs_prepare_ = false;
  return {};
}

Status CpuProgram::profile(const void* const* inputs, void* const* outputs, void* const* states,
                           const double* scalars, void* stream) {
  std::vector<StepRecord> records(run_plan_.ops.size());
  KW_CHECK_OK(call(inputs, outputs, states, scalars, stream, records.data()));
  std::vector<StepRecord> steps;
  for (size_t i = 0; i < records.size(); ++i) {
    const Op& op = run_plan_.ops[i];
    if (std::holds_alternative<LaunchOp>(op) || std::holds_alternative<MoveOp>(op))
      steps.push_back(records[i]);
  }
  steps_ = std::move(steps);
  return {};
}

Result<std::vector<double>> CpuProgram::step_times() {
  std::vector<double> times;
  for (const StepRecord& step : steps_) times.push_back(step.ms);
  return times;
}

std::vector<kw_counts> CpuProgram::step_counts() {
  std::vector<kw_counts> counts;
  for (const StepRecord& step : steps_) counts.push_back(step.counts);
  return counts;
}

Status CpuProgram::call(const void* const* inputs, void* const* outputs, void* const* states,
                        const double* scalars, void* stream, StepRecord* records) {
  KW_CHECK_OK(no_stream(stream));
  std::lock_guard guard(mutex_);
  if (needs_prepare_) return fail(ErrorKind::kInput, "kw_prepare comes before the first kw_run");
  if (run_plan_.scalar_count > 0 && !scalars)
    return fail(ErrorKind::kInput,
                fmt::format("the program reads {} scalar inputs", run_plan_.scalar_count));
  KW_CHECK_OK(bind(inputs_, inputs, "input"));
  KW_CHECK_OK(bind(outputs_, outputs, "output"));
  KW_CHECK_OK(bind(states_, states, "state"));
  Pool& pool = process_pool();
  auto held = pool.lock();
  KW_CHECK_OK(reserve_worker_scratch(pool.threads()));
  execute(run_plan_, {pool, slots_, scalars, worker_scratch_.data(), worker_stride_, records});
  return {};
}

Status CpuProgram::poison_scratch(int byte, void* stream) {
  KW_CHECK_OK(no_stream(stream));
  std::lock_guard guard(mutex_);
  if (layout_.scratch_bytes > 0)
    std::memset(arena_.data() + layout_.packed_bytes + layout_.sync_bytes, byte,
                static_cast<size_t>(layout_.scratch_bytes));
  if (worker_scratch_.bytes() > 0)
    std::memset(worker_scratch_.data(), byte, static_cast<size_t>(worker_scratch_.bytes()));
  return {};
}

Result<bool> CpuProgram::sync_is_zero(void* stream) {
  KW_CHECK_OK(no_stream(stream));
  std::lock_guard guard(mutex_);
  const std::byte* from = arena_.data() + layout_.packed_bytes;
  return std::all_of(from, from + layout_.sync_bytes,
                     [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

Result<std::unique_ptr<LoadedProgram>> open_cpu_program(program::Program program,
                                                        program::Layout layout,
                                                        const std::string& object_path) {
  auto loaded = std::make_unique<CpuProgram>(std::move(program), std::move(layout));
  KW_CHECK_OK(loaded->load(object_path));
  return loaded;
}

}  // namespace kernelwright::runtime
