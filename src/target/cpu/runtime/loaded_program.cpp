// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/loaded_program.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>

#include "program/parse.h"
#include "program/validate.h"
#include "target/cpu/runtime/executor.h"
#include "target/cpu/runtime/features.h"

namespace kernelwright::runtime {
namespace {

constexpr int64_t kAlignment = 64;  // kernel_abi.h promises it

int64_t rounded(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % kAlignment == 0;
}

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

}  // namespace

Result<std::unique_ptr<LoadedProgram>> LoadedProgram::open(const std::string& json,
                                                           const std::string& object_path) {
  auto loaded = std::make_unique<LoadedProgram>();
  KW_CHECK_OK(loaded->load(json, object_path));
  return loaded;
}

Status LoadedProgram::load(const std::string& json, const std::string& object_path) {
  KW_TRY(program_, program::parse_program(json));
  if (program_.target != "cpu")
    return fail(ErrorKind::kInput,
                fmt::format("a program for target {} cannot run on the cpu", program_.target));
  KW_CHECK_OK(program::validate(program_));
  KW_CHECK_OK(check_features(program_));
  KW_TRY(layout_, program::lay_out(program_, kAlignment));
  KW_TRY(object_, KernelObject::open(object_path));
  Kernels kernels;
  for (const auto* steps : {&program_.prepare, &program_.run})
    for (const std::string& name : kernel_names(*steps)) {
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
  KW_CHECK_OK(build_tables());
  build_ports();
  needs_prepare_ = !weights_.empty() || !program_.prepare.empty();
  return {};
}

Status LoadedProgram::build_tables() {
  int64_t total = 0;
  auto bytes_of = [](const program::Buffer& buffer) {
    return static_cast<int64_t>(buffer.table.size() * graph::dtype_bytes(buffer.dtype));
  };
  for (const auto& buffer : program_.buffers)
    if (buffer.role == program::BufferRole::kTable) total += rounded(bytes_of(buffer));
  KW_TRY(tables_, Arena::create(total));
  int64_t at = 0;
  for (size_t i = 0; i < program_.buffers.size(); ++i) {
    const program::Buffer& buffer = program_.buffers[i];
    if (buffer.role != program::BufferRole::kTable) continue;
    slots_[i] = tables_.data() + at;
    auto* out = reinterpret_cast<unsigned char*>(slots_[i]);
    for (size_t k = 0; k < buffer.table.size(); ++k)
      encode_element(buffer.table[k], buffer.dtype, out + k * graph::dtype_bytes(buffer.dtype));
    at += rounded(bytes_of(buffer));
  }
  return {};
}

void LoadedProgram::build_ports() {
  for (size_t i = 0; i < program_.buffers.size(); ++i) {
    const program::Buffer& buffer = program_.buffers[i];
    Port port{buffer.name, buffer.index, -1, static_cast<int>(i)};
    if (buffer.typed) {
      port.bytes = static_cast<int64_t>(graph::dtype_bytes(buffer.dtype));
      for (const auto& extent : buffer.shape)
        port.bytes *= program::evaluate(extent, program_.params).value_or(0);
    }
    if (buffer.role == program::BufferRole::kWeight || buffer.role == program::BufferRole::kState) {
      port.name = buffer.weight;
      (buffer.role == program::BufferRole::kWeight ? weights_ : states_).push_back(port);
    } else if (buffer.role == program::BufferRole::kInput ||
               buffer.role == program::BufferRole::kOutput) {
      (buffer.role == program::BufferRole::kInput ? inputs_ : outputs_).push_back(port);
    }
  }
  for (auto* list : {&inputs_, &outputs_})
    std::sort(list->begin(), list->end(),
              [](const Port& a, const Port& b) { return a.index < b.index; });
}

const std::vector<LoadedProgram::Port>* LoadedProgram::ports(const std::string& role) const {
  if (role == "input") return &inputs_;
  if (role == "weight") return &weights_;
  if (role == "output") return &outputs_;
  if (role == "state") return &states_;
  return nullptr;
}

Status LoadedProgram::reserve_worker_scratch(int threads) {
  int64_t wanted = std::max(prepare_plan_.worker_scratch, run_plan_.worker_scratch);
  if (wanted == 0) return {};
  // A page between workers keeps prefetchers out of each other's scratch.
  worker_stride_ = (wanted + 4095) / 4096 * 4096;
  if (worker_scratch_.bytes() >= worker_stride_ * threads) return {};
  KW_TRY(worker_scratch_, Arena::create(worker_stride_ * threads));
  return {};
}

Status LoadedProgram::bind(const std::vector<Port>& ports, const void* const* pointers,
                           const char* role) {
  for (size_t i = 0; i < ports.size(); ++i) {
    const Port& port = ports[i];
    const void* pointer = pointers ? pointers[i] : nullptr;
    if (!pointer && port.bytes != 0)
      return fail(ErrorKind::kInput, fmt::format("{} {} is null", role, port.name));
    if (!is_aligned(pointer))
      return fail(ErrorKind::kInput, fmt::format("{} {} is not 64-byte aligned", role, port.name));
    // The plan never writes through the slot of an input: validate() saw to that.
    slots_[static_cast<size_t>(port.slot)] = static_cast<std::byte*>(const_cast<void*>(pointer));
  }
  return {};
}

Status LoadedProgram::bind_weights(const void* const* weights) {
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

Status LoadedProgram::prepare(const void* const* weights) {
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

Status LoadedProgram::run(const void* const* inputs, void* const* outputs, void* const* states,
                          const double* scalars) {
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
  execute(run_plan_, {pool, slots_, scalars, worker_scratch_.data(), worker_stride_});
  return {};
}

void LoadedProgram::poison_scratch(int byte) {
  std::lock_guard guard(mutex_);
  if (layout_.scratch_bytes > 0)
    std::memset(arena_.data() + layout_.packed_bytes + layout_.sync_bytes, byte,
                static_cast<size_t>(layout_.scratch_bytes));
  if (worker_scratch_.bytes() > 0)
    std::memset(worker_scratch_.data(), byte, static_cast<size_t>(worker_scratch_.bytes()));
}

bool LoadedProgram::sync_is_zero() const {
  std::lock_guard guard(mutex_);
  const std::byte* from = arena_.data() + layout_.packed_bytes;
  return std::all_of(from, from + layout_.sync_bytes,
                     [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace kernelwright::runtime
