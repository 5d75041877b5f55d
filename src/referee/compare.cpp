// SPDX-License-Identifier: Apache-2.0
#include "referee/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

using graph::DType;

constexpr int64_t kBlock = 1024;
constexpr int kLanes = 8;
constexpr int64_t kElementsPerThread = 1 << 20;

float half_to_float(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t rest = bits & 0x7fffu;
  if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
  // 2^112 moves the exponent bias from 15 to 127 and normalizes subnormals.
  const float scaled = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | sign);
}

float bfloat_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

template <class T>
void widen(const std::byte* from, int64_t count, double* to) {
  const T* values = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(values[i]);
}

template <float (*convert)(uint16_t)>
void widen_half(const std::byte* from, int64_t count, double* to) {
  const uint16_t* values = reinterpret_cast<const uint16_t*>(from);
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(convert(values[i]));
}

void load(const std::byte* values, DType dtype, int64_t begin, int64_t count, double* to) {
  const std::byte* from = values + begin * static_cast<int64_t>(graph::dtype_bytes(dtype));
  switch (dtype) {
    case DType::kF64:
      return widen<double>(from, count, to);
    case DType::kF32:
      return widen<float>(from, count, to);
    case DType::kF16:
      return widen_half<half_to_float>(from, count, to);
    case DType::kBF16:
      return widen_half<bfloat_to_float>(from, count, to);
    case DType::kI64:
      return widen<int64_t>(from, count, to);
    case DType::kI32:
      return widen<int32_t>(from, count, to);
    case DType::kI16:
      return widen<int16_t>(from, count, to);
    case DType::kI8:
      return widen<int8_t>(from, count, to);
    case DType::kU8:
    case DType::kBool:
      return widen<uint8_t>(from, count, to);
    case DType::kU32:
      return widen<uint32_t>(from, count, to);
  }
}

struct Sums {
  double rho[kLanes] = {};
  double difference[kLanes] = {};
  double oracle[kLanes] = {};
  double rho_max[kLanes] = {};
  double difference_max[kLanes] = {};
  double excess[kLanes] = {};  // elements outside KernelBench's allclose

  void add(const Sums& other) {
    for (int j = 0; j < kLanes; ++j) {
      rho[j] += other.rho[j];
      difference[j] += other.difference[j];
      oracle[j] += other.oracle[j];
      rho_max[j] = std::max(rho_max[j], other.rho_max[j]);
      difference_max[j] = std::max(difference_max[j], other.difference_max[j]);
      excess[j] += other.excess[j];
    }
  }
};

double total(const double (&lanes)[kLanes]) {
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}
double largest(const double (&lanes)[kLanes]) {
  return *std::max_element(lanes, lanes + kLanes);
}

// One block without a branch per element. Anything that is not finite makes the sums not finite,
// and the caller then takes the careful way.
void add_block(const double* p, const double* e, const double* o, const double* s,
               const double* weight, double tolerance, Sums& sums) {
  for (int64_t i = 0; i < kBlock; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) {
      const double d = std::fabs(p[i + j] - o[i + j]) * weight[i + j];
      const double scale = s[i + j] > 1e-300 ? s[i + j] : 1e-300;
      const double rho = d / scale;
      sums.rho[j] += rho * rho;
      sums.difference[j] += d * d;
      sums.oracle[j] += o[i + j] * o[i + j] * weight[i + j];
      sums.rho_max[j] = rho > sums.rho_max[j] ? rho : sums.rho_max[j];
      sums.difference_max[j] = d > sums.difference_max[j] ? d : sums.difference_max[j];
      const double off =
          std::fabs(p[i + j] - e[i + j]) - tolerance * std::fabs(e[i + j]) - tolerance;
      sums.excess[j] += (off > 0 ? 1.0 : 0.0) * weight[i + j];
    }
  }
}

struct Careful {
  int64_t judged = 0;
  int64_t unmatched = -1;
};

void add_carefully(const double* p, const double* e, const double* o, const double* s,
                   const uint8_t* mask, int64_t begin, int64_t count, double tolerance, Sums& sums,
                   Careful& careful) {
  for (int64_t i = 0; i < count; ++i) {
    if (mask && mask[i]) continue;
    ++careful.judged;
    const bool finite = std::isfinite(p[i]) && std::isfinite(o[i]);
    if (!same_class(p[i], o[i]) && !same_class(p[i], e[i])) {
      if (careful.unmatched < 0) careful.unmatched = begin + i;
      sums.excess[0] += 1;
      continue;
    }
    if (!finite) {
      if (!same_class(p[i], e[i])) sums.excess[0] += 1;
      continue;
    }
    const double d = std::fabs(p[i] - o[i]);
    const double rho = std::min(d / std::max(s[i], 1e-300), 1e150);
    sums.rho[0] += rho * rho;
    sums.difference[0] += d * d;
    sums.oracle[0] += o[i] * o[i];
    sums.rho_max[0] = std::max(sums.rho_max[0], rho);
    sums.difference_max[0] = std::max(sums.difference_max[0], d);
    if (!(std::fabs(p[i] - e[i]) <= tolerance + tolerance * std::fabs(e[i]))) sums.excess[0] += 1;
  }
}

bool finite(const Sums& sums) {
  return std::isfinite(total(sums.rho)) && std::isfinite(total(sums.oracle)) &&
         std::isfinite(total(sums.difference));
}

int64_t integer(const std::byte* values, int64_t index) {
  int64_t value = 0;
  std::memcpy(&value, values + index * static_cast<int64_t>(sizeof value), sizeof value);
  return value;
}

// Elements that break the rule.
Wrong find_wrong(const std::byte* values, const Answer& answer, Rule rule, double limit) {
  Wrong wrong;
  if (rule == Rule::kExactBits && !answer.mask &&
      std::memcmp(values, answer.eager, static_cast<size_t>(answer.type.bytes())) == 0)
    return wrong;
  // Beyond 2^53 several integers share a double.
  const bool by_integer = rule == Rule::kExactBits && answer.type.dtype == DType::kI64;
  double p[kBlock], e[kBlock];
  const int64_t n = answer.type.elements();
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    load(values, answer.type.dtype, begin, count, p);
    load(answer.eager, answer.type.dtype, begin, count, e);
    for (int64_t i = 0; i < count; ++i) {
      if (answer.mask && answer.mask[begin + i]) continue;
      if (by_integer
              ? integer(values, begin + i) == integer(answer.eager, begin + i)
              : !breaks(rule, limit, p[i], e[i], answer.oracle[begin + i], answer.scale[begin + i]))
        continue;
      if (wrong.count++ == 0) wrong.index = begin + i;
    }
  }
  return wrong;
}

struct Part {
  Sums sums;
  Careful careful;
  int64_t worst = -1;
};

Part measure_part(const std::byte* values, const Answer& answer, int64_t first, int64_t end) {
  Part part;
  const DType dtype = answer.type.dtype;
  const double tolerance = allclose_tolerance(dtype);
  double p[kBlock], e[kBlock], weight[kBlock];
  std::fill(weight, weight + kBlock, 1.0);
  double best = -1;
  for (int64_t begin = first; begin < end; begin += kBlock) {
    const int64_t count = std::min(kBlock, end - begin);
    const uint8_t* mask = answer.mask ? answer.mask + begin : nullptr;
    load(values, dtype, begin, count, p);
    load(answer.eager, dtype, begin, count, e);
    Sums block;
    bool done = false;
    if (count == kBlock) {
      int64_t masked = 0;
      if (mask) {
        for (int64_t i = 0; i < kBlock; ++i) masked += mask[i] != 0;
        for (int64_t i = 0; i < kBlock; ++i) weight[i] = mask[i] ? 0.0 : 1.0;
      }
      add_block(p, e, answer.oracle + begin, answer.scale + begin, weight, tolerance, block);
      done = finite(block);
      if (done) part.careful.judged += kBlock - masked;
    }
    if (!done) {
      block = Sums();
      add_carefully(p, e, answer.oracle + begin, answer.scale + begin, mask, begin, count,
                    tolerance, block, part.careful);
    }
    // The worst element is looked up only in blocks that hold a new maximum.
    if (largest(block.rho_max) > best) {
      best = largest(block.rho_max);
      for (int64_t i = 0; i < count; ++i) {
        if (mask && mask[i]) continue;
        const double rho = std::min(
            std::fabs(p[i] - answer.oracle[begin + i]) / std::max(answer.scale[begin + i], 1e-300),
            1e150);
        if (rho >= best) {
          part.worst = begin + i;
          break;
        }
      }
    }
    part.sums.add(block);
  }
  return part;
}

}  // namespace

double element(const std::byte* values, DType dtype, int64_t index) {
  double value = 0;
  load(values, dtype, index, 1, &value);
  return value;
}

Distance measure(const std::byte* values, const Answer& answer) {
  const int64_t n = answer.type.elements();
  const int64_t wanted = std::min<int64_t>(
      {n / kElementsPerThread, static_cast<int64_t>(std::thread::hardware_concurrency()), 8});
  const int64_t share =
      wanted > 1 ? (n / wanted + kBlock - 1) / kBlock * kBlock : std::max<int64_t>(n, 1);
  std::vector<Part> parts(static_cast<size_t>(std::max<int64_t>((n + share - 1) / share, 1)));
  std::vector<std::thread> threads;
  for (size_t i = 1; i < parts.size(); ++i) {
    const int64_t begin = static_cast<int64_t>(i) * share;
    threads.emplace_back([&, i, begin] {
      parts[i] = measure_part(values, answer, begin, std::min(n, begin + share));
    });
  }
  parts[0] = measure_part(values, answer, 0, std::min(n, share));
  for (std::thread& thread : threads) thread.join();

  Distance distance;
  Sums sums;
  double best = -1;
  for (const Part& part : parts) {
    distance.judged += part.careful.judged;
    if (distance.unmatched < 0) distance.unmatched = part.careful.unmatched;
    if (largest(part.sums.rho_max) > best && part.worst >= 0) {
      best = largest(part.sums.rho_max);
      distance.worst = part.worst;
    }
    sums.add(part.sums);
  }
  const double judged = static_cast<double>(std::max<int64_t>(distance.judged, 1));
  distance.largest_difference = largest(sums.difference_max);
  distance.figures.rho_rms = std::sqrt(total(sums.rho) / judged);
  distance.figures.rho_max = largest(sums.rho_max);
  const double norm = std::sqrt(total(sums.oracle));
  distance.figures.relative =
      norm > 0 ? std::sqrt(total(sums.difference)) / norm : std::sqrt(total(sums.difference));
  distance.figures.allclose = total(sums.excess) == 0;
  return distance;
}

namespace {

class HostElements final : public Elements {
 public:
  explicit HostElements(const Answer& answer) : Elements(answer), answer_(answer) {}
  Result<Distance> measure(const std::byte* values) const override {
    return referee::measure(values, answer_);
  }
  Result<Distance> measure_eager() const override {
    return referee::measure(answer_.eager, answer_);
  }
  Result<Wrong> find(const std::byte* values, Rule rule, double limit) const override {
    return find_wrong(values, answer_, rule, limit);
  }
  Result<Element> at(const std::byte* values, int64_t index) const override {
    Element at{element(values, answer_.type.dtype, index),
               element(answer_.eager, answer_.type.dtype, index), answer_.oracle[index]};
    if (answer_.type.dtype == DType::kI64) {
      at.candidate_integer = integer(values, index);
      at.eager_integer = integer(answer_.eager, index);
    }
    return at;
  }

 private:
  Answer answer_;
};

}  // namespace

std::unique_ptr<Elements> host_elements(const Answer& answer) {
  return std::make_unique<HostElements>(answer);
}

Comparison compare(const std::byte* candidate, const Answer& answer, const Distance& eager) {
  // Host memory is always at hand: this cannot fail.
  return judge_answer(candidate, HostElements(answer), eager).value();
}

}  // namespace kernelwright::referee
