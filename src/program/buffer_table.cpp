// SPDX-License-Identifier: Apache-2.0
#include "program/buffer_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "program/limits.h"
#include "program/malformed.h"

namespace kernelwright::program {
namespace {

bool is_caller_owned(BufferRole role) {
  return role == BufferRole::kInput || role == BufferRole::kOutput || role == BufferRole::kWeight ||
         role == BufferRole::kState;
}

void check_table_values(const Buffer& buffer, int64_t elements, const std::string& place) {
  if (static_cast<int64_t>(buffer.table.size()) != elements)
    throw Malformed(
        place, fmt::format("{} values for a shape of {} elements", buffer.table.size(), elements));
  if (graph::is_float(buffer.dtype)) return;
  auto [low, high] = integer_range(buffer.dtype);
  for (size_t i = 0; i < buffer.table.size(); ++i) {
    double value = buffer.table[i];
    if (!(value >= low && value <= high) || value != std::floor(value))
      throw Malformed(fmt::format("{}.values[{}]", place, i),
                      fmt::format("{} does not fit {}", value, graph::dtype_name(buffer.dtype)));
  }
}

}  // namespace

std::pair<double, double> integer_range(graph::DType dtype) {
  switch (dtype) {
    case graph::DType::kBool:
      return {0, 1};
    case graph::DType::kU8:
      return {0, 255};
    case graph::DType::kI8:
      return {-128, 127};
    case graph::DType::kI16:
      return {-32768, 32767};
    case graph::DType::kU32:
      return {0, 4294967295.0};
    case graph::DType::kI32:
      return {-2147483648.0, 2147483647.0};
    default:
      return {-9007199254740992.0, 9007199254740992.0};
  }
}

BufferTable::BufferTable(const Program& program) : program_(program) {
  std::set<std::pair<BufferRole, std::string>> identities;
  int index = 0;
  for (const Buffer& buffer : program.buffers) {
    std::string place = "buffers." + buffer.name;
    Entry entry{&buffer, index++, {}, {}};
    if (!is_identifier(buffer.name))
      throw Malformed("buffers",
                      fmt::format("buffer {} is not an identifier", excerpt(buffer.name)));
    if (buffer.typed) {
      int64_t elements = 1;
      // Caller's tensors may be empty; what the runtime holds may not.
      int64_t least = is_caller_owned(buffer.role) ? 0 : 1;
      for (size_t d = 0; d < buffer.shape.size(); ++d) {
        int64_t extent =
            value(buffer.shape[d], fmt::format("{}.shape[{}]", place, d), least, kMaxSize);
        entry.shape.push_back(extent);
        if (__builtin_mul_overflow(elements, extent, &elements) || elements > kMaxSize)
          throw Malformed(place + ".shape", "more than 2^48 elements");
      }
      entry.elements = elements;
    } else if (!is_caller_owned(buffer.role)) {
      throw Malformed(place,
                      fmt::format("a {} buffer needs dtype and shape", role_name(buffer.role)));
    }
    using graph::DType;
    if (buffer.role == BufferRole::kSync && buffer.dtype != DType::kU32 &&
        buffer.dtype != DType::kI32 && buffer.dtype != DType::kI64)
      throw Malformed(place + ".dtype", fmt::format("a sync buffer is u32, i32 or i64, not {}",
                                                    graph::dtype_name(buffer.dtype)));
    if (buffer.role == BufferRole::kTable) check_table_values(buffer, *entry.elements, place);
    if (is_caller_owned(buffer.role)) {
      bool by_index = buffer.index >= 0;
      std::string identity = by_index ? std::to_string(buffer.index) : buffer.weight;
      // A weight that forward changes is a state and nothing else.
      BufferRole kind = buffer.role == BufferRole::kState ? BufferRole::kWeight : buffer.role;
      if (!identities.emplace(kind, identity).second)
        throw Malformed(place, fmt::format("a second buffer for {} {}", role_name(buffer.role),
                                           excerpt(identity)));
      if (!by_index && buffer.weight.empty()) throw Malformed(place + ".name", "empty name");
    }
    if (!by_name_.emplace(buffer.name, std::move(entry)).second)
      throw Malformed(place, "defined twice");
  }
}

const BufferTable::Entry& BufferTable::at(const std::string& name, const std::string& place) const {
  auto it = by_name_.find(name);
  if (it == by_name_.end()) throw Malformed(place, fmt::format("unknown buffer {}", excerpt(name)));
  return it->second;
}

int64_t BufferTable::value(const SizeExpr& expr, const std::string& place, int64_t low,
                           int64_t high) const {
  auto result = evaluate(expr, program_.params);
  if (!result) throw Malformed(place, result.error().message);
  if (*result < low || *result > high)
    throw Malformed(place, fmt::format("{} is outside {}..{}", *result, low, high));
  return *result;
}

void BufferTable::check_view(const std::string& name, const View& view,
                             const std::string& place) const {
  const Entry& entry = at(name, place);
  if (!entry.elements)
    throw Malformed(place, fmt::format("a view needs dtype and shape of buffer {}", excerpt(name)));
  int64_t low = value(view.offset, place + ".offset", 0, kMaxSize), high = low;
  std::vector<int64_t> shape, strides(view.shape.size(), 1);
  for (size_t d = 0; d < view.shape.size(); ++d)
    shape.push_back(value(view.shape[d], fmt::format("{}.shape[{}]", place, d), 1, kMaxSize));
  if (view.strides.empty()) {
    for (size_t d = shape.size(); d-- > 1;)
      if (__builtin_mul_overflow(strides[d], shape[d], &strides[d - 1]))
        throw Malformed(place + ".shape", "more than 2^48 elements");
  } else {
    if (view.strides.size() != shape.size())
      throw Malformed(place + ".strides", "as many strides as extents are needed");
    for (size_t d = 0; d < shape.size(); ++d)
      strides[d] =
          value(view.strides[d], fmt::format("{}.strides[{}]", place, d), -kMaxSize, kMaxSize);
  }
  for (size_t d = 0; d < shape.size(); ++d) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(shape[d] - 1, strides[d], &reach) ||
        __builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
      throw Malformed(place, "view reaches out of range");
  }
  if (low < 0 || high >= *entry.elements)
    throw Malformed(place, fmt::format("view reaches elements {}..{} of buffer {}, which has {}",
                                       low, high, excerpt(name), *entry.elements));
}

}  // namespace kernelwright::program
