// SPDX-License-Identifier: Apache-2.0
#include "stub/kernels.h"

#include <cstdint>
#include <cstring>

#include "stub/judge_kernels.h"

namespace kernelwright::stub {

using namespace kernelwright::cuda;

namespace {

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
      {"kw_measure", {48, 8, 8}, &measure},
      {"kw_find", {48, 4, 8, 8}, &find},
      {"kw_element", {48, 8, 8}, &element},
      {"kw_hash", {8, 8, 8}, &hash},
      {"kw_bands", {8, 8, 8, 8, 8, 8, 8}, &bands},
      {"kw_delay", {8}, [](const std::vector<const void*>&) {}},
  };
  return table;
}

}  // namespace

const StubKernel* find_kernel(const std::string& name) {
  for (const StubKernel& kernel : kernels())
    if (name == kernel.name) return &kernel;
  return nullptr;
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

}  // namespace kernelwright::stub
