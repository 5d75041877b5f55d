// SPDX-License-Identifier: Apache-2.0
#include "expert/program_builder.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::expert {

using graph::TensorRole;
using program::BufferRole;

ProgramBuilder::ProgramBuilder(const std::vector<graph::StageTensor>& tensors, std::string target)
    : tensors_(tensors) {
  program_.target = std::move(target);
  program_.source = program_.target == "cuda" ? "kernels.cu" : "kernels.cpp";
}

bool ProgramBuilder::is_weight(int index) const {
  const graph::StageTensor& t = tensor(index);
  if (t.role != TensorRole::kWeight) return false;
  return std::none_of(tensors_.begin(), tensors_.end(), [&](const graph::StageTensor& other) {
    return other.role == TensorRole::kState && other.weight_name == t.weight_name;
  });
}

void ProgramBuilder::begin_op(const rewrite::FusedOp& op, size_t index) {
  op_ = static_cast<int>(index);
  preparing_ = op.prepared;
  if (preparing_) packed_.insert(op.outputs.begin(), op.outputs.end());
}

std::string ProgramBuilder::buffer(int index) {
  if (auto it = names_.find(index); it != names_.end()) return it->second;
  const graph::StageTensor& t = tensor(index);
  program::Buffer buffer;
  buffer.dtype = t.type.dtype;
  buffer.typed = true;
  for (int64_t extent : t.type.shape) buffer.shape.push_back(program::size(extent));
  auto state_name = [&](const std::string& weight) {
    for (const program::Buffer& known : program_.buffers) {
      if (known.role == BufferRole::kState && known.weight == weight) return known.name;
    }
    return std::string();
  };
  const bool read_state = t.role == TensorRole::kWeight && !is_weight(index);
  switch (t.role) {
    case TensorRole::kInput:
      buffer.role = BufferRole::kInput;
      buffer.index = t.index;
      buffer.name = fmt::format("in{}", t.index);
      break;
    case TensorRole::kOutput:
      buffer.role = BufferRole::kOutput;
      buffer.index = t.index;
      buffer.name = fmt::format("out{}", t.index);
      break;
    case TensorRole::kWeight:
    case TensorRole::kState:
      buffer.weight = t.weight_name;
      if (t.role == TensorRole::kWeight && !read_state) {
        buffer.role = BufferRole::kWeight;
        buffer.name = fmt::format("w{}", next_buffer_[BufferRole::kWeight]++);
        break;
      }
      buffer.role = BufferRole::kState;
      buffer.name = state_name(t.weight_name);
      if (buffer.name.empty()) {
        buffer.name = fmt::format("st{}", next_buffer_[BufferRole::kState]++);
        program_.buffers.push_back(buffer);
      }
      if (t.role == TensorRole::kState) {
        // The new value may be made while the old one is still read: it is copied over at the end.
        const bool also_read =
            std::any_of(tensors_.begin(), tensors_.end(), [&](const graph::StageTensor& other) {
              return other.role == TensorRole::kWeight && other.weight_name == t.weight_name;
            });
        if (also_read) {
          std::string fresh = add_buffer(BufferRole::kScratch, t.type.dtype, t.type.shape);
          shadowed_states_[buffer.name] = fresh;
          return names_[index] = fresh;
        }
      }
      return names_[index] = buffer.name;
    case TensorRole::kTemporary:
      return names_[index] =
                 add_buffer(packed_.count(index) != 0 ? BufferRole::kPacked : BufferRole::kScratch,
                            t.type.dtype, t.type.shape);
  }
  names_[index] = buffer.name;
  program_.buffers.push_back(std::move(buffer));
  return names_[index];
}

std::string ProgramBuilder::add_buffer(BufferRole role, graph::DType dtype,
                                       const std::vector<int64_t>& shape) {
  if (preparing_ && role == BufferRole::kScratch) role = BufferRole::kPacked;
  const char* prefix = role == BufferRole::kPacked ? "packed"
                       : role == BufferRole::kSync ? "sync"
                                                   : "s";
  program::Buffer buffer;
  buffer.role = role;
  buffer.dtype = dtype;
  buffer.typed = true;
  buffer.name = fmt::format("{}{}", prefix, next_buffer_[role]++);
  for (int64_t extent : shape) buffer.shape.push_back(program::size(extent));
  program_.buffers.push_back(buffer);
  return buffer.name;
}

graph::DType ProgramBuilder::dtype(const std::string& name) const {
  const program::Buffer* buffer = program_.find(name);
  return buffer == nullptr ? graph::DType::kF32 : buffer->dtype;
}

std::string ProgramBuilder::fresh_name(const std::string& hint) {
  std::string clean;
  for (char c : hint) {
    if (clean.size() >= 32) break;
    clean += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  }
  return fmt::format("k{}_{}", next_kernel_++, clean);
}

void ProgramBuilder::add_source(const std::string& text) {
  source_ += text;
}
void ProgramBuilder::add_run(program::Launch launch) {
  if (!preparing_) op_of_step_.push_back(op_);
  auto& steps = preparing_ ? program_.prepare : repeat_ ? repeat_->body : program_.run;
  steps.push_back({std::move(launch)});
}
void ProgramBuilder::begin_repeat(int64_t count) {
  repeat_.emplace();
  repeat_->count = program::size(count);
}
void ProgramBuilder::end_repeat() {
  program_.run.push_back({std::move(*repeat_)});
  repeat_.reset();
}
void ProgramBuilder::add_clear(int index, int64_t elements) {
  program::Fill fill;
  fill.buffer = buffer(index);
  fill.view.emplace();
  fill.view->offset = program::size(0);
  fill.view->shape = {program::size(elements)};
  op_of_step_.push_back(op_);
  program_.run.push_back({std::move(fill)});
}
void ProgramBuilder::add_prepare(program::Launch launch) {
  program_.prepare.push_back({std::move(launch)});
}
void ProgramBuilder::require_flag(const std::string& flag) {
  if (std::find(program_.flags.begin(), program_.flags.end(), flag) == program_.flags.end())
    program_.flags.push_back(flag);
}
void ProgramBuilder::require_feature(const std::string& feature) {
  auto& features = program_.requires_features;
  if (std::find(features.begin(), features.end(), feature) == features.end())
    features.push_back(feature);
}
void ProgramBuilder::require_header(const std::string& header) {
  headers_.insert(header);
}

program::Candidate ProgramBuilder::finish() {
  for (const auto& [state, fresh] : shadowed_states_) {
    program::Copy copy;
    copy.from = fresh;
    copy.to = state;
    op_of_step_.push_back(-1);
    program_.run.push_back({std::move(copy)});
  }
  program::Candidate candidate;
  candidate.program = program_;
  std::string headers = program_.target == "cuda"
                            ? "#include \"kw_math.h\"\n#include \"kw_memory.h\"\n"
                            : "#include \"kernelwright/kernel_abi.h\"\n#include \"kw_math.h\"\n";
  for (const std::string& header : headers_) headers += "#include \"" + header + "\"\n";
  candidate.source = headers + "\n" + source_;
  return candidate;
}

}  // namespace kernelwright::expert
