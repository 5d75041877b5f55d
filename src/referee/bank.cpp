// SPDX-License-Identifier: Apache-2.0
#include "referee/bank.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

using torch::DrawKind;

// A tensor of a draw, checked to lie inside its memory.
Result<const std::byte*> locate(const torch::Draw::Tensor& tensor, const base::SharedMemory& memory,
                                const char* what) {
  const int64_t bytes = tensor.type.bytes();
  if (bytes < 0 || tensor.offset > memory.size() ||
      static_cast<uint64_t>(bytes) > memory.size() - tensor.offset || !tensor.type.contiguous()) {
    return fail(ErrorKind::kInternal, fmt::format("a draw's {} does not lie in its memory", what));
  }
  return memory.data() + tensor.offset;
}

template <class T>
Result<const T*> locate_array(const torch::Draw::Tensor& tensor, const base::SharedMemory& memory,
                              int64_t elements, graph::DType dtype, const char* what) {
  if (tensor.type.elements() != elements || tensor.type.dtype != dtype) {
    return fail(ErrorKind::kInternal, fmt::format("a draw's {} has the wrong type", what));
  }
  KW_TRY(const std::byte* data, locate(tensor, memory, what));
  return reinterpret_cast<const T*>(data);
}

Status check_type(const graph::TensorType& got, const graph::TensorType& want,
                  const std::string& what) {
  if (got.dtype == want.dtype && got.shape == want.shape) return {};
  return fail(ErrorKind::kInternal,
              fmt::format("a draw's {} is {}, not {}", what, got.text(), want.text()));
}

}  // namespace

const std::vector<DrawKind>& all_draw_kinds() {
  static const std::vector<DrawKind> kinds = {
      DrawKind::kOwn,   DrawKind::kExact,    DrawKind::kNegative, DrawKind::kWide,
      DrawKind::kZeros, DrawKind::kConstant, DrawKind::kWeights};
  return kinds;
}

Bank::Bank(DrawSource& source, program::Interface interface, uint64_t seed)
    : source_(source), interface_(std::move(interface)), random_(seed) {
  if (seed == 0) {
    std::random_device device;
    std::seed_seq mix{device(), device(), device(), device()};
    random_.seed(mix);
  }
}

Status Bank::take_weights(const torch::Draw& draw, BankDraw& out) {
  std::map<std::string, int> regions;
  std::vector<uint64_t> sizes;
  std::vector<const std::byte*> data;
  for (const auto& [name, tensor] : draw.weights) {
    KW_TRY(const std::byte* from, locate(tensor, draw.given, "weight"));
    regions[name] = static_cast<int>(sizes.size());
    sizes.push_back(static_cast<uint64_t>(tensor.type.bytes()));
    data.push_back(from);
  }
  for (const auto& slot : interface_.weights) {
    auto it = regions.find(slot.name);
    if (it == regions.end())
      return fail(ErrorKind::kInternal, "a draw lacks weight '" + slot.name + "'");
    KW_CHECK_OK(check_type(draw.weights[static_cast<size_t>(it->second)].second.type, slot.type,
                           "weight '" + slot.name + "'"));
  }
  bool same = weights_ && weight_regions_ == regions;
  for (size_t i = 0; same && i < sizes.size(); ++i) {
    same = weights_->tensor_bytes(static_cast<int>(i)) == sizes[i] &&
           std::memcmp(weights_->tensor(static_cast<int>(i)), data[i], sizes[i]) == 0;
  }
  if (!same) {
    // Weights that differ from the usual ones also lie at the other side of their pages.
    KW_TRY(Arena arena,
           Arena::create("kw-weights", sizes, weights_ ? Flush::kStart : Flush::kEnd, random_()));
    for (size_t i = 0; i < sizes.size(); ++i)
      std::memcpy(arena.tensor(static_cast<int>(i)), data[i], sizes[i]);
    KW_CHECK_OK(arena.freeze());
    std::vector<std::string> labels;
    labels.reserve(draw.weights.size());
    for (const auto& [name, tensor] : draw.weights) labels.push_back("weight '" + name + "'");
    arena.set_labels(std::move(labels));
    auto shared = std::make_shared<Arena>(std::move(arena));
    if (!weights_) {
      weights_ = shared;
      weight_regions_ = regions;
    }
    out.weights = std::move(shared);
  } else {
    out.weights = weights_;
  }
  out.weight_regions = std::move(regions);
  return {};
}

Result<std::unique_ptr<BankDraw>> Bank::draw(DrawKind kind) {
  KW_TRY(std::optional<torch::Draw> drawn, source_.draw(kind, random_()));
  if (!drawn) return std::unique_ptr<BankDraw>();
  torch::Draw& draw = *drawn;
  auto out = std::make_unique<BankDraw>();
  out->kind = kind;
  out->ill_conditioned = draw.ill_conditioned;
  out->scalars = draw.scalars;
  KW_CHECK_OK(take_weights(draw, *out));

  if (draw.inputs.size() != interface_.inputs.size())
    return fail(ErrorKind::kInternal, "a draw has the wrong number of inputs");
  std::vector<uint64_t> sizes;
  std::vector<const std::byte*> data;
  for (size_t i = 0; i < draw.inputs.size(); ++i) {
    KW_CHECK_OK(
        check_type(draw.inputs[i].type, interface_.inputs[i].type, fmt::format("input {}", i)));
    KW_TRY(const std::byte* from, locate(draw.inputs[i], draw.given, "input"));
    out->input_regions.push_back(static_cast<int>(sizes.size()));
    sizes.push_back(static_cast<uint64_t>(draw.inputs[i].type.bytes()));
    data.push_back(from);
  }
  for (const auto& slot : interface_.states) {
    const torch::Draw::Tensor* found = nullptr;
    for (const auto& [name, tensor] : draw.states) {
      if (name == slot.name) found = &tensor;
    }
    if (!found) return fail(ErrorKind::kInternal, "a draw lacks state '" + slot.name + "'");
    KW_CHECK_OK(check_type(found->type, slot.type, "state '" + slot.name + "'"));
    KW_TRY(const std::byte* from, locate(*found, draw.given, "state"));
    out->state_regions[slot.name] = static_cast<int>(sizes.size());
    sizes.push_back(static_cast<uint64_t>(found->type.bytes()));
    data.push_back(from);
  }
  KW_TRY(Arena arena, Arena::create("kw-draw", sizes,
                                    made_++ % 2 == 0 ? Flush::kEnd : Flush::kStart, random_()));
  for (size_t i = 0; i < sizes.size(); ++i)
    std::memcpy(arena.tensor(static_cast<int>(i)), data[i], sizes[i]);
  KW_CHECK_OK(arena.freeze());
  std::vector<std::string> labels;
  labels.reserve(sizes.size());
  for (size_t i = 0; i < draw.inputs.size(); ++i) labels.push_back(fmt::format("input {}", i));
  for (const auto& slot : interface_.states) labels.push_back("state '" + slot.name + "'");
  arena.set_labels(std::move(labels));
  out->given = std::make_shared<Arena>(std::move(arena));

  out->expected = std::move(draw.expected);
  for (const torch::Draw::Answer& from : draw.answers) {
    BankDraw::Expected to;
    to.name = from.name;
    to.index = from.index;
    to.answer.type = from.eager.type;
    to.answer.exact_draw = draw.exact;
    to.answer.exact_bits = from.exact_bits;
    to.answer.index_output = from.index_output;
    const int64_t n = from.eager.type.elements();
    KW_TRY(to.answer.eager, locate(from.eager, out->expected, "eager result"));
    KW_TRY(to.answer.oracle,
           locate_array<double>(from.oracle, out->expected, n, graph::DType::kF64, "oracle"));
    KW_TRY(to.answer.scale,
           locate_array<double>(from.scale, out->expected, n, graph::DType::kF64, "scale"));
    KW_TRY(to.answer.mask,
           locate_array<uint8_t>(from.mask, out->expected, n, graph::DType::kU8, "mask"));
    to.eager = measure(to.answer.eager, to.answer);
    out->answers.push_back(std::move(to));
  }
  pooled_.resize(out->answers.size());
  for (size_t i = 0; i < out->answers.size(); ++i) {
    const ErrorFigures& figures = out->answers[i].eager.figures;
    pooled_[i].rho_rms = std::max(pooled_[i].rho_rms, figures.rho_rms);
    pooled_[i].rho_max = std::max(pooled_[i].rho_max, figures.rho_max);
  }
  pool(*out);
  if (out->answers.size() != interface_.outputs.size() + interface_.states.size()) {
    return fail(ErrorKind::kInternal, "a draw has the wrong number of answers");
  }
  return out;
}

void Bank::pool(BankDraw& draw) const {
  for (size_t i = 0; i < draw.answers.size(); ++i) {
    Distance& eager = draw.answers[i].eager;
    if (eager.judged >= kTolerances.few_elements) continue;
    eager.figures.rho_rms = pooled_[i].rho_rms;
    eager.figures.rho_max = pooled_[i].rho_max;
  }
}

Status Bank::fill(int count) {
  const DrawKind order[] = {DrawKind::kOwn,      DrawKind::kExact,    DrawKind::kWide,
                            DrawKind::kOwn,      DrawKind::kNegative, DrawKind::kWeights,
                            DrawKind::kConstant, DrawKind::kZeros};
  for (DrawKind kind : order) {
    if (static_cast<int>(draws_.size()) >= count) break;
    KW_TRY(auto drawn, draw(kind));
    if (!drawn && kind == DrawKind::kOwn)
      return fail(ErrorKind::kInternal, "the workload's own inputs cannot be drawn");
    if (drawn) draws_.push_back(std::move(drawn));
  }
  while (static_cast<int>(draws_.size()) < count) {
    KW_TRY(auto drawn, draw(DrawKind::kOwn));
    if (!drawn) break;
    draws_.push_back(std::move(drawn));
  }
  for (const auto& draw : draws_) pool(*draw);
  return {};
}

}  // namespace kernelwright::referee
