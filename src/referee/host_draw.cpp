// SPDX-License-Identifier: Apache-2.0
#include "referee/host_draw.h"

#include <fmt/format.h>

namespace kernelwright::referee {
namespace {

Result<const std::byte*> locate(const torch::Draw::Tensor& tensor, const base::SharedMemory& memory,
                                const char* what) {
  const int64_t bytes = tensor.type.bytes();
  if (bytes < 0 || tensor.offset > memory.size() ||
      static_cast<uint64_t>(bytes) > memory.size() - tensor.offset || !tensor.type.contiguous()) {
    return fail(ErrorKind::kInternal, fmt::format("a draw's {} does not lie in its memory", what));
  }
  return memory.data() + tensor.offset;
}

Status check_type(const graph::TensorType& got, const graph::TensorType& want,
                  const std::string& what) {
  if (got.dtype == want.dtype && got.shape == want.shape) return {};
  return fail(ErrorKind::kInternal,
              fmt::format("a draw's {} is {}, not {}", what, got.text(), want.text()));
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

Status take_weights(Space& space, const torch::Draw& draw, const DrawRequest& request,
                    BankDraw& out) {
  std::map<std::string, int> regions;
  std::vector<uint64_t> sizes;
  std::vector<const std::byte*> data;
  for (const auto& [name, tensor] : draw.weights) {
    KW_TRY(const std::byte* from, locate(tensor, draw.given, "weight"));
    regions[name] = static_cast<int>(sizes.size());
    sizes.push_back(static_cast<uint64_t>(tensor.type.bytes()));
    data.push_back(from);
  }
  for (const auto& slot : request.interface->weights) {
    auto it = regions.find(slot.name);
    if (it == regions.end())
      return fail(ErrorKind::kInternal, "a draw lacks weight '" + slot.name + "'");
    KW_CHECK_OK(check_type(draw.weights[static_cast<size_t>(it->second)].second.type, slot.type,
                           "weight '" + slot.name + "'"));
  }
  // Weights that differ from the usual ones also lie at the other side of their pages.
  KW_TRY(auto arena,
         space.allocate("kw-weights", sizes, request.usual_weights ? Flush::kStart : Flush::kEnd,
                        request.band_seed ^ 1));
  for (size_t i = 0; i < sizes.size(); ++i) KW_CHECK_OK(arena->write(static_cast<int>(i), data[i]));
  bool same = request.usual_weights && request.usual_regions == regions;
  for (int i = 0; same && i < arena->count(); ++i) {
    KW_TRY(const uint64_t usual, request.usual_weights->hash(i));
    KW_TRY(const uint64_t now, arena->hash(i));
    same = usual == now;
  }
  if (same) {
    out.weights = request.usual_weights;
  } else {
    KW_CHECK_OK(arena->freeze());
    std::vector<std::string> names;
    names.reserve(draw.weights.size());
    for (const auto& [name, tensor] : draw.weights) names.push_back(name);
    arena->set_labels(weight_labels(names));
    out.weights = std::move(arena);
  }
  out.weight_regions = std::move(regions);
  return {};
}

Result<Answer> host_answer(const torch::Draw::Answer& from, const base::SharedMemory& memory,
                           bool exact_draw) {
  Answer answer;
  answer.type = from.eager.type;
  answer.exact_draw = exact_draw;
  answer.exact_bits = from.exact_bits;
  answer.index_output = from.index_output;
  const int64_t n = answer.type.elements();
  KW_TRY(answer.eager, locate(from.eager, memory, "eager result"));
  KW_TRY(answer.oracle, locate_array<double>(from.oracle, memory, n, graph::DType::kF64, "oracle"));
  KW_TRY(answer.scale, locate_array<double>(from.scale, memory, n, graph::DType::kF64, "scale"));
  KW_TRY(answer.mask, locate_array<uint8_t>(from.mask, memory, n, graph::DType::kU8, "mask"));
  return answer;
}

}  // namespace

Result<std::unique_ptr<BankDraw>> draw_from_host(
    Space& space, DrawSource& source, const DrawRequest& request,
    const std::function<Result<std::unique_ptr<Elements>>(const Answer&)>& make_elements) {
  const program::Interface& interface = *request.interface;
  KW_TRY(std::optional<torch::Draw> drawn, source.draw(request.kind, request.seed));
  if (!drawn) return std::unique_ptr<BankDraw>();
  torch::Draw& draw = *drawn;
  auto out = std::make_unique<BankDraw>();
  out->kind = request.kind;
  out->ill_conditioned = draw.ill_conditioned;
  out->scalars = draw.scalars;
  KW_CHECK_OK(take_weights(space, draw, request, *out));

  if (draw.inputs.size() != interface.inputs.size())
    return fail(ErrorKind::kInternal, "a draw has the wrong number of inputs");
  std::vector<uint64_t> sizes;
  std::vector<const std::byte*> data;
  for (size_t i = 0; i < draw.inputs.size(); ++i) {
    KW_CHECK_OK(
        check_type(draw.inputs[i].type, interface.inputs[i].type, fmt::format("input {}", i)));
    KW_TRY(const std::byte* from, locate(draw.inputs[i], draw.given, "input"));
    out->input_regions.push_back(static_cast<int>(sizes.size()));
    sizes.push_back(static_cast<uint64_t>(draw.inputs[i].type.bytes()));
    data.push_back(from);
  }
  for (const auto& slot : interface.states) {
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
  KW_TRY(auto arena, space.allocate("kw-draw", sizes, request.flush, request.band_seed));
  for (size_t i = 0; i < sizes.size(); ++i) KW_CHECK_OK(arena->write(static_cast<int>(i), data[i]));
  KW_CHECK_OK(arena->freeze());
  arena->set_labels(given_labels(interface));
  out->given = std::move(arena);

  auto memory = std::make_shared<base::SharedMemory>(std::move(draw.expected));
  out->expected = memory;
  for (const torch::Draw::Answer& from : draw.answers) {
    BankDraw::Expected to;
    to.name = from.name;
    to.index = from.index;
    KW_TRY(const Answer answer, host_answer(from, *memory, draw.exact));
    KW_TRY(to.elements, make_elements(answer));
    out->answers.push_back(std::move(to));
  }
  return out;
}

}  // namespace kernelwright::referee
