// SPDX-License-Identifier: Apache-2.0
#include "support/small_ops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>

namespace kernelwright::tests {
namespace {

using graph::DType;
using Values = SmallOp::Values;
using Call = SmallOp::Call;
using Results = SmallOp::Results;
using Slots = std::vector<program::Interface::Slot>;

program::Interface::Slot slot(DType dtype, graph::Shape shape, std::string name = "") {
  return {std::move(name), graph::TensorType{dtype, std::move(shape), {}}};
}

template <class F>
Values map_values(const Values& x, F f) {
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = f(x[i]);
  return y;
}

Results relu(const Call& c) {
  return {{map_values(c.inputs[0], [](double v) { return std::isnan(v) ? v : std::max(v, 0.0); })},
          {}};
}

Results add(const Call& c) {
  Values y(c.inputs[0].size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = c.round(c.inputs[0][i] + c.inputs[1][i]);
  return {{y}, {}};
}

Values product(const Call& c, const Values& a, const Values& b, size_t m, size_t n, size_t k,
               bool transposed) {
  Values y(m * n);
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t p = 0; p < k; ++p)
        sum = c.round(sum + c.round(a[i * k + p] * (transposed ? b[j * k + p] : b[p * n + j])));
      y[i * n + j] = sum;
    }
  }
  return y;
}

Results matmul(const Call& c) {
  return {{product(c, c.inputs[0], c.inputs[1], 24, 32, 40, false)}, {}};
}

Results linear(const Call& c) {
  Values y = product(c, c.inputs[0], c.weights.at("weight"), 20, 32, 48, true);
  for (size_t i = 0; i < y.size(); ++i) y[i] = c.round(y[i] + c.weights.at("bias")[i % 32]);
  return {{y}, {}};
}

Results softmax(const Call& c) {
  const Values& x = c.inputs[0];
  Values y(x.size());
  for (size_t r = 0; r < 16; ++r) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < 50; ++i) top = std::max(top, x[r * 50 + i]);
    for (size_t i = 0; i < 50; ++i) {
      const double e = c.round(x[r * 50 + i] - top);
      y[r * 50 + i] =
          c.in_float ? static_cast<double>(std::exp(static_cast<float>(e))) : std::exp(e);
      sum = c.round(sum + y[r * 50 + i]);
    }
    for (size_t i = 0; i < 50; ++i) y[r * 50 + i] = c.round(y[r * 50 + i] / sum);
  }
  return {{y}, {}};
}

Results sum_rows(const Call& c) {
  Values y(33);
  for (size_t r = 0; r < 33; ++r) {
    for (size_t i = 0; i < 257; ++i) y[r] = c.round(y[r] + c.inputs[0][r * 257 + i]);
  }
  return {{y}, {}};
}

// Pairwise in fp32, as PyTorch sums.
double pairwise(const Call& c, const double* x, size_t n) {
  if (n <= 16) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum = c.round(sum + x[i]);
    return sum;
  }
  return c.round(pairwise(c, x, n / 2) + pairwise(c, x + n / 2, n - n / 2));
}
Results big_sum(const Call& c) {
  return {{{pairwise(c, c.inputs[0].data(), c.inputs[0].size())}}, {}};
}

// Ten steps of x[i] = (x[i] + x[i+1]) / 2 around a ring.
Results ring(const Call& c) {
  Values x = c.inputs[0];
  for (int step = 0; step < 10; ++step) {
    Values y(x.size());
    for (size_t i = 0; i < x.size(); ++i)
      y[i] = c.round(0.5 * c.round(x[i] + x[(i + 1) % x.size()]));
    x = y;
  }
  return {{x}, {}};
}

Results argmax(const Call& c) {
  Values y(16);
  for (size_t r = 0; r < 16; ++r) {
    const double* row = c.inputs[0].data() + r * 40;
    y[r] = static_cast<double>(std::max_element(row, row + 40) - row);
  }
  return {{y}, {}};
}

Results min_max(const Call& c) {
  Values low(16), high(16);
  for (size_t r = 0; r < 16; ++r) {
    const double* row = c.inputs[0].data() + r * 40;
    low[r] = *std::min_element(row, row + 40);
    high[r] = *std::max_element(row, row + 40);
  }
  return {{low, high}, {}};
}

// Centers its input and keeps a running mean, as batch norm in training does.
Results center(const Call& c) {
  const Values& x = c.inputs[0];
  double sum = 0;
  for (double v : x) sum = c.round(sum + v);
  const double mean = c.round(sum / static_cast<double>(x.size()));
  const Values& running = c.states.at("running_mean");
  Results results;
  results.outputs = {map_values(x, [&](double v) { return c.round(v - mean); })};
  results.states["running_mean"] = {c.round(c.round(0.9 * running[0]) + c.round(0.1 * mean))};
  return results;
}

Results square_f64(const Call& c) {
  return {{map_values(c.inputs[0], [](double v) { return v * v + 1; })}, {}};
}

Results scale_scalar(const Call& c) {
  return {{map_values(c.inputs[0], [&](double v) { return c.round(v * c.round(c.scalars[0])); })},
          {}};
}

Results tiny(const Call& c) {
  return {{{c.round(c.inputs[0][0] * 3)}}, {}};
}

Results transpose(const Call& c) {
  Values y(600);
  for (size_t i = 0; i < 30; ++i) {
    for (size_t j = 0; j < 20; ++j) y[j * 30 + i] = c.inputs[0][i * 20 + j];
  }
  return {{y}, {}};
}

Results add_int(const Call& c) {
  Values y(c.inputs[0].size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = c.inputs[0][i] + c.inputs[1][i];
  return {{y}, {}};
}

// A convolution of width 5 with zeros beyond both ends.
Results conv_pad(const Call& c) {
  const Values& w = c.weights.at("weight");
  Values y(4 * 50);
  for (int64_t r = 0; r < 4; ++r) {
    for (int64_t i = 0; i < 50; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < 5; ++k) {
        const int64_t at = i + k - 2;
        if (at >= 0 && at < 50)
          sum = c.round(sum + c.round(w[static_cast<size_t>(k)] *
                                      c.inputs[0][static_cast<size_t>(r * 50 + at)]));
      }
      y[static_cast<size_t>(r * 50 + i)] = sum;
    }
  }
  return {{y}, {}};
}

Results polynomial(const Call& c) {
  return {{map_values(c.inputs[0],
                      [&](double v) {
                        double y = 2;
                        for (double k : {-3.0, 5.0, 7.0}) y = c.round(c.round(y * v) + k);
                        return y;
                      })},
          {}};
}

Results cumulative(const Call& c) {
  Values y(c.inputs[0].size());
  for (size_t r = 0; r < 8; ++r) {
    double sum = 0;
    for (size_t i = 0; i < 64; ++i) y[r * 64 + i] = sum = c.round(sum + c.inputs[0][r * 64 + i]);
  }
  return {{y}, {}};
}

Results logical(const Call& c) {
  return {{map_values(c.inputs[0], [](double v) { return v > 0 ? 1.0 : 0.0; })}, {}};
}

}  // namespace

const std::vector<SmallOp>& small_ops() {
  static const std::vector<SmallOp> ops = [] {
    std::vector<SmallOp> all;
    auto op = [&](std::string name, Slots inputs, Slots weights, Slots outputs,
                  Results (*evaluate)(const Call&)) -> SmallOp& {
      SmallOp& added = all.emplace_back();
      added.name = std::move(name);
      added.interface.inputs = std::move(inputs);
      added.interface.weights = std::move(weights);
      added.interface.outputs = std::move(outputs);
      added.evaluate = evaluate;
      return added;
    };
    const DType f32 = DType::kF32;
    op("relu", {slot(f32, {1000})}, {}, {slot(f32, {1000})}, relu).exact_bits = true;
    op("relu_big", {slot(f32, {1 << 20})}, {}, {slot(f32, {1 << 20})}, relu).exact_bits = true;
    op("add", {slot(f32, {37, 29}), slot(f32, {37, 29})}, {}, {slot(f32, {37, 29})}, add);
    op("matmul", {slot(f32, {24, 40}), slot(f32, {40, 32})}, {}, {slot(f32, {24, 32})}, matmul);
    op("linear", {slot(f32, {20, 48})}, {slot(f32, {32, 48}, "weight"), slot(f32, {32}, "bias")},
       {slot(f32, {20, 32})}, linear);
    op("softmax", {slot(f32, {16, 50})}, {}, {slot(f32, {16, 50})}, softmax).exact = false;
    op("sum_rows", {slot(f32, {33, 257})}, {}, {slot(f32, {33})}, sum_rows);
    op("big_sum", {slot(f32, {100000})}, {}, {slot(f32, {1})}, big_sum);
    op("ring", {slot(f32, {64})}, {}, {slot(f32, {64})}, ring).exact = false;
    SmallOp& index = op("argmax", {slot(f32, {16, 40})}, {}, {slot(DType::kI64, {16})}, argmax);
    index.index_output = true;
    index.exact = false;
    op("min_max", {slot(f32, {16, 40})}, {}, {slot(f32, {16}), slot(f32, {16})}, min_max)
        .exact_bits = true;
    SmallOp& centered = op("center", {slot(f32, {100})}, {}, {slot(f32, {100})}, center);
    centered.interface.states = {slot(f32, {1}, "running_mean")};
    centered.exact = false;
    op("square_f64", {slot(DType::kF64, {333})}, {}, {slot(DType::kF64, {333})}, square_f64);
    op("scale_scalar", {slot(f32, {77})}, {}, {slot(f32, {77})}, scale_scalar).scalars = 1;
    op("tiny", {slot(f32, {1})}, {}, {slot(f32, {1})}, tiny);
    op("transpose", {slot(f32, {30, 20})}, {}, {slot(f32, {20, 30})}, transpose).exact_bits = true;
    op("add_int", {slot(DType::kI32, {129}), slot(DType::kI32, {129})}, {},
       {slot(DType::kI32, {129})}, add_int);
    op("conv_pad", {slot(f32, {4, 50})}, {slot(f32, {5}, "weight")}, {slot(f32, {4, 50})},
       conv_pad);
    op("polynomial", {slot(f32, {200})}, {}, {slot(f32, {200})}, polynomial);
    op("cumulative", {slot(f32, {8, 64})}, {}, {slot(f32, {8, 64})}, cumulative);
    op("logical", {slot(f32, {95})}, {}, {slot(DType::kBool, {95})}, logical);
    return all;
  }();
  return ops;
}

const SmallOp& small_op(const std::string& name) {
  for (const SmallOp& op : small_ops()) {
    if (op.name == name) return op;
  }
  throw std::out_of_range("no small op '" + name + "'");
}

namespace {

void store(DType dtype, const Values& values, std::byte* to) {
  auto put = [&](auto zero) {
    using T = decltype(zero);
    for (size_t i = 0; i < values.size(); ++i) {
      const T value = static_cast<T>(values[i]);
      std::memcpy(to + i * sizeof(T), &value, sizeof(T));
    }
  };
  switch (dtype) {
    case DType::kF64:
      return put(double{});
    case DType::kF32:
      return put(float{});
    case DType::kI64:
      return put(int64_t{});
    case DType::kI32:
      return put(int32_t{});
    case DType::kU8:
    case DType::kBool:
      return put(uint8_t{});
    default:
      throw std::invalid_argument("dtype");
  }
}

// More than the torch worker makes, in place of its smoothing over neighbours.
constexpr int kNoiseRuns = 16;

// Tensors one after the other in one shared memory.
class Packer {
 public:
  torch::Draw::Tensor add(const graph::TensorType& type, const Values& values) {
    torch::Draw::Tensor tensor{type, bytes_.size()};
    bytes_.resize(bytes_.size() + (static_cast<size_t>(type.bytes()) + 63) / 64 * 64);
    store(type.dtype, values, bytes_.data() + tensor.offset);
    return tensor;
  }
  Result<base::SharedMemory> finish() {
    KW_TRY(base::SharedMemory memory,
           base::SharedMemory::create("kw-test-draw", std::max<size_t>(bytes_.size(), 64)));
    if (!bytes_.empty()) std::memcpy(memory.data(), bytes_.data(), bytes_.size());
    return memory;
  }

 private:
  std::vector<std::byte> bytes_;
};

class SmallOpSource final : public referee::DrawSource {
 public:
  SmallOpSource(const SmallOp& op, double baseline_ms) : op_(op), baseline_ms_(baseline_ms) {
    std::mt19937_64 generator(7);
    for (const auto& slot : op_.interface.weights)
      weights_[slot.name] = random_values(slot.type, torch::DrawKind::kOwn, generator);
  }

  Result<std::optional<torch::Draw>> draw(torch::DrawKind kind, uint64_t seed) override {
    if (kind == torch::DrawKind::kExact && !op_.exact) return std::optional<torch::Draw>();
    if (kind == torch::DrawKind::kWeights && op_.interface.weights.empty())
      return std::optional<torch::Draw>();
    std::mt19937_64 generator(seed);
    Call call;
    for (const auto& slot : op_.interface.inputs)
      call.inputs.push_back(random_values(slot.type, kind, generator));
    call.weights = weights_;
    if (kind == torch::DrawKind::kWeights || kind == torch::DrawKind::kExact) {
      for (const auto& slot : op_.interface.weights)
        call.weights[slot.name] = random_values(slot.type, kind, generator);
    }
    for (const auto& slot : op_.interface.states)
      call.states[slot.name] = random_values(slot.type, kind, generator);
    for (int i = 0; i < op_.scalars; ++i)
      call.scalars.push_back(kind == torch::DrawKind::kExact ? 3 : 1.25 + i);

    const Results oracle = op_.evaluate(call);
    call.in_float = true;
    const Results eager = op_.evaluate(call);
    call.in_float = false;
    std::vector<Results> noisy;
    std::uniform_real_distribution<double> unit(-1, 1);
    for (int run = 0; run < kNoiseRuns; ++run) {
      Call other = call;
      auto shake = [&](Values& values, DType dtype) {
        if (!graph::is_float(dtype)) return;
        for (double& v : values)
          v *= 1 + graph::unit_roundoff(dtype) * (unit(generator) < 0 ? -1 : 1);
      };
      for (size_t i = 0; i < other.inputs.size(); ++i)
        shake(other.inputs[i], op_.interface.inputs[i].type.dtype);
      for (auto& [name, values] : other.weights) shake(values, DType::kF32);
      noisy.push_back(op_.evaluate(other));
    }

    torch::Draw draw;
    draw.kind = kind;
    draw.seed = seed;
    draw.exact = kind == torch::DrawKind::kExact;
    draw.scalars = call.scalars;
    Packer given, expected;
    for (size_t i = 0; i < call.inputs.size(); ++i)
      draw.inputs.push_back(given.add(op_.interface.inputs[i].type, call.inputs[i]));
    for (const auto& slot : op_.interface.weights)
      draw.weights.emplace_back(slot.name, given.add(slot.type, call.weights[slot.name]));
    for (const auto& slot : op_.interface.states)
      draw.states.emplace_back(slot.name, given.add(slot.type, call.states[slot.name]));
    auto answer = [&](const graph::TensorType& type, const Values& o, const Values& e,
                      auto noise_of) {
      torch::Draw::Answer out;
      const graph::TensorType wide{DType::kF64, type.shape, {}}, flags{DType::kU8, type.shape, {}};
      const double u = graph::is_float(type.dtype) ? graph::unit_roundoff(type.dtype) : 1;
      Values scale(o.size());
      for (size_t i = 0; i < o.size(); ++i) {
        double sum = 0;
        for (const Results& run : noisy) sum += std::pow(noise_of(run)[i] - o[i], 2);
        scale[i] = std::max({std::sqrt(sum / kNoiseRuns), u * std::fabs(o[i]),
                             static_cast<double>(std::numeric_limits<float>::min())});
      }
      out.eager = expected.add(type, e);
      out.oracle = expected.add(wide, o);
      out.scale = expected.add(wide, scale);
      out.mask = expected.add(flags, Values(o.size(), 0.0));
      out.exact_bits = op_.exact_bits;
      out.index_output = op_.index_output;
      return out;
    };
    for (size_t i = 0; i < oracle.outputs.size(); ++i) {
      draw.answers.push_back(
          answer(op_.interface.outputs[i].type, oracle.outputs[i], eager.outputs[i],
                 [i](const Results& run) -> const Values& { return run.outputs[i]; }));
      draw.answers.back().index = static_cast<int>(i);
    }
    for (const auto& slot : op_.interface.states) {
      draw.answers.push_back(
          answer(slot.type, oracle.states.at(slot.name), eager.states.at(slot.name),
                 [&](const Results& run) -> const Values& { return run.states.at(slot.name); }));
      draw.answers.back().name = slot.name;
    }
    KW_TRY(draw.given, given.finish());
    KW_TRY(draw.expected, expected.finish());
    return std::optional<torch::Draw>(std::move(draw));
  }

  Result<torch::Worker::BaselineReady> prepare_baseline(const std::string& name) override {
    torch::Worker::BaselineReady ready;
    ready.available = name == "eager";
    if (!ready.available) ready.note = "no compiler in this test";
    return ready;
  }
  Result<torch::Samples> time_baseline(const std::string&, int calls, size_t) override {
    return torch::Samples{std::vector<double>(static_cast<size_t>(calls), baseline_ms_), {}};
  }

 private:
  static Values random_values(const graph::TensorType& type, torch::DrawKind kind,
                              std::mt19937_64& generator) {
    Values values(static_cast<size_t>(type.elements()));
    std::normal_distribution<double> normal;
    std::uniform_int_distribution<int> exponent(-20, 20), small(-3, 3);
    const double constant = normal(generator);
    for (double& v : values) {
      switch (kind) {
        case torch::DrawKind::kNegative:
          v = -std::fabs(normal(generator));
          break;
        case torch::DrawKind::kWide:
          v = std::ldexp(normal(generator), exponent(generator));
          break;
        case torch::DrawKind::kZeros:
          v = 0;
          break;
        case torch::DrawKind::kConstant:
          v = constant;
          break;
        case torch::DrawKind::kExact:
          v = small(generator);
          break;
        default:
          v = normal(generator);
      }
      if (type.dtype == DType::kF32) v = static_cast<double>(static_cast<float>(v));
      if (!graph::is_float(type.dtype)) v = std::floor(v * 10);
    }
    return values;
  }

  const SmallOp& op_;
  double baseline_ms_;
  std::map<std::string, Values> weights_;
};

}  // namespace

std::unique_ptr<referee::DrawSource> small_op_source(const SmallOp& op, double baseline_ms) {
  return std::make_unique<SmallOpSource>(op, baseline_ms);
}

}  // namespace kernelwright::tests
