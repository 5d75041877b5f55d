// SPDX-License-Identifier: Apache-2.0
#include "target/runtime/loaded_program.h"

#include <fmt/core.h>

#include <algorithm>

#include "program/parse.h"
#include "program/target_rules.h"
#include "program/validate.h"
#include "target/cpu/runtime/cpu_program.h"
#include "target/cuda/runtime/cuda_program.h"
#include "target/runtime/steps.h"

namespace kernelwright::runtime {
namespace {

using program::BufferRole;

using Opener = Result<std::unique_ptr<LoadedProgram>> (*)(program::Program, program::Layout,
                                                          const std::string& object_path);
struct TargetRow {
  const char* name;
  Opener open;
};
constexpr TargetRow kTargets[] = {{"cpu", &open_cpu_program}, {"cuda", &open_cuda_program}};

}  // namespace

Result<std::unique_ptr<LoadedProgram>> LoadedProgram::open(const std::string& json,
                                                           const std::string& object_path) {
  KW_TRY(program::Program program, program::parse_program(json));
  for (const TargetRow& row : kTargets) {
    if (program.target != row.name) continue;
    KW_CHECK_OK(program::validate(program));
    KW_TRY(program::Layout layout,
           program::lay_out(program, program::target_rules(program.target)->alignment));
    return row.open(std::move(program), std::move(layout), object_path);
  }
  return fail(ErrorKind::kInput,
              fmt::format("this runtime cannot run a program for target {}", program.target));
}

LoadedProgram::LoadedProgram(program::Program program) : program_(std::move(program)) {
  for (size_t i = 0; i < program_.buffers.size(); ++i) {
    const program::Buffer& buffer = program_.buffers[i];
    Port port{buffer.name, buffer.index, -1, static_cast<int>(i)};
    if (buffer.typed) {
      port.bytes = static_cast<int64_t>(graph::dtype_bytes(buffer.dtype));
      for (const auto& extent : buffer.shape)
        port.bytes *= program::evaluate(extent, program_.params).value_or(0);
    }
    if (buffer.role == BufferRole::kWeight || buffer.role == BufferRole::kState) {
      port.name = buffer.weight;
      (buffer.role == BufferRole::kWeight ? weights_ : states_).push_back(port);
    } else if (buffer.role == BufferRole::kInput || buffer.role == BufferRole::kOutput) {
      (buffer.role == BufferRole::kInput ? inputs_ : outputs_).push_back(port);
    }
  }
  for (auto* list : {&inputs_, &outputs_})
    std::sort(list->begin(), list->end(),
              [](const Port& a, const Port& b) { return a.index < b.index; });
  needs_prepare_ = !weights_.empty() || !program_.prepare.empty();
}

const std::vector<LoadedProgram::Port>* LoadedProgram::ports(const std::string& role) const {
  if (role == "input") return &inputs_;
  if (role == "weight") return &weights_;
  if (role == "output") return &outputs_;
  if (role == "state") return &states_;
  return nullptr;
}

Status LoadedProgram::check_pointer(const Port& port, const void* pointer, const char* role) const {
  if (!pointer && port.bytes != 0)
    return fail(ErrorKind::kInput, fmt::format("{} {} is null", role, port.name));
  if (!is_aligned(pointer))
    return fail(ErrorKind::kInput, fmt::format("{} {} is not 64-byte aligned", role, port.name));
  return {};
}

Tables encode_tables(const program::Program& program, int64_t alignment) {
  Tables tables;
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const program::Buffer& buffer = program.buffers[i];
    if (buffer.role != BufferRole::kTable) continue;
    size_t element = graph::dtype_bytes(buffer.dtype), at = tables.bytes.size();
    auto step = static_cast<size_t>(alignment);
    tables.offsets.emplace_back(i, static_cast<int64_t>(at));
    tables.bytes.resize(at + (buffer.table.size() * element + step - 1) / step * step);
    for (size_t k = 0; k < buffer.table.size(); ++k)
      encode_element(buffer.table[k], buffer.dtype, tables.bytes.data() + at + k * element);
  }
  return tables;
}

}  // namespace kernelwright::runtime
