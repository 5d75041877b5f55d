// SPDX-License-Identifier: Apache-2.0
#include "support/compiled.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <regex>
#include <set>

#include "base/file.h"
#include "base/subprocess.h"
#include "kernelwright/kernel_abi.h"
#include "support/arm.h"
#include "support/cpu_launch.h"
#include "target/cpu/device/kw_half.h"

namespace kernelwright::testing {

using graph::DType;
using graph::Expr;
using graph::HostTensor;
using graph::TensorRole;

int Stages::add(graph::Shape shape, DType dtype, TensorRole role, int index) {
  graph::StageTensor tensor;
  tensor.name = fmt::format("t{}", graph.tensors.size());
  tensor.type.dtype = dtype;
  tensor.type.shape = std::move(shape);
  tensor.role = role;
  tensor.index = index;
  if (role == TensorRole::kWeight) tensor.weight_name = fmt::format("weight{}", weights_++);
  graph.tensors.push_back(tensor);
  return static_cast<int>(graph.tensors.size()) - 1;
}
int Stages::input(graph::Shape shape, DType dtype) {
  return add(std::move(shape), dtype, TensorRole::kInput, inputs_++);
}
int Stages::weight(graph::Shape shape, DType dtype) {
  return add(std::move(shape), dtype, TensorRole::kWeight, -1);
}
int Stages::temporary(graph::Shape shape, DType dtype) {
  return add(std::move(shape), dtype, TensorRole::kTemporary, -1);
}
int Stages::output(graph::Shape shape, DType dtype) {
  return add(std::move(shape), dtype, TensorRole::kOutput, outputs_++);
}
void Stages::define(int tensor, Expr body) {
  reduce(tensor, graph::Combiner::kNone, {}, std::move(body));
}
void Stages::reduce(int tensor, graph::Combiner combiner, std::vector<int64_t> extents, Expr body,
                    Expr finish) {
  graph::Stage stage;
  stage.output = tensor;
  stage.reduce = std::move(extents);
  stage.combiner = combiner;
  stage.body = std::move(body);
  stage.finish = std::move(finish);
  stage.origin = fmt::format("stage{}", graph.stages.size());
  graph.stages.push_back(std::move(stage));
}

Expr at_index(int tensor, std::vector<Expr> index) {
  return graph::load(tensor, graph::ScalarKind::kReal, std::move(index));
}
Expr at(int tensor, const std::vector<int>& axes) {
  std::vector<Expr> index;
  for (int axis : axes) index.push_back(graph::axis(axis));
  return at_index(tensor, std::move(index));
}

namespace {

// Elements of a tensor as they lie in memory.
std::vector<std::byte> encode(const HostTensor& tensor) {
  const size_t width = graph::dtype_bytes(tensor.type.dtype);
  std::vector<std::byte> bytes(std::max<size_t>(64, tensor.data.size() * width));
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    std::byte* to = bytes.data() + i * width;
    auto put = [&](auto value) { std::memcpy(to, &value, sizeof value); };
    switch (tensor.type.dtype) {
      case DType::kF64:
        put(tensor.data[i]);
        break;
      case DType::kF32:
        put(static_cast<float>(tensor.data[i]));
        break;
      case DType::kI64:
        put(static_cast<int64_t>(tensor.data[i]));
        break;
      case DType::kI32:
        put(static_cast<int32_t>(tensor.data[i]));
        break;
      case DType::kBool:
        put(static_cast<uint8_t>(tensor.data[i] != 0));
        break;
      case DType::kF16:
        put(kw_f32_to_f16(static_cast<float>(tensor.data[i])));
        break;
      case DType::kBF16:
        put(kw_f32_to_bf16(static_cast<float>(tensor.data[i])));
        break;
      case DType::kU8:
        put(static_cast<uint8_t>(tensor.data[i]));
        break;
      default:
        break;
    }
  }
  return bytes;
}

double decode(const std::byte* from, DType dtype) {
  auto get = [&](auto value) {
    std::memcpy(&value, from, sizeof value);
    return static_cast<double>(value);
  };
  switch (dtype) {
    case DType::kF64:
      return get(double{});
    case DType::kF32:
      return get(float{});
    case DType::kI64:
      return get(int64_t{});
    case DType::kI32:
      return get(int32_t{});
    case DType::kBool:
    case DType::kU8:
      return get(uint8_t{});
    case DType::kF16:
    case DType::kBF16: {
      uint16_t bits = 0;
      std::memcpy(&bits, from, sizeof bits);
      return static_cast<double>(dtype == DType::kF16 ? kw_f16_to_f32(bits) : kw_bf16_to_f32(bits));
    }
    default:
      return std::nan("");
  }
}

int64_t number(const program::SizeExpr& expr, int64_t fallback) {
  return expr.text.empty() ? fallback : std::stoll(expr.text);
}

// A buffer between two guards.
class Memory {
 public:
  static constexpr size_t kGuard = 256;
  explicit Memory(size_t size = 0)
      : size_(size), bytes_(size + 2 * kGuard + 256, std::byte{0xa5}) {}
  std::byte* data() {
    const auto begin = reinterpret_cast<uintptr_t>(bytes_.data()) + kGuard;
    return bytes_.data() + kGuard + ((256 - begin % 256) % 256);
  }
  // With its guards.
  std::byte* begin() { return data() - kGuard; }
  size_t extent() const { return size_ + 2 * kGuard; }
  void clear() { std::fill(data(), data() + size_, std::byte{0}); }
  bool zero() {
    return std::all_of(data(), data() + size_, [](std::byte b) { return b == std::byte{0}; });
  }
  // Whether nothing was written beside it.
  bool whole() {
    for (size_t i = 0; i < kGuard; ++i) {
      if (data()[size_ + i] != std::byte{0xa5}) return false;
    }
    for (std::byte* p = bytes_.data(); p < data(); ++p) {
      if (*p != std::byte{0xa5}) return false;
    }
    return true;
  }

 private:
  size_t size_;
  std::vector<std::byte> bytes_;
};

// Where kernels run: in this process, out of a library, or on another machine.
struct Place {
  void* loaded = nullptr;
  ArmRun* arm = nullptr;
};

// As support/cuda_emulation/kw_split.h has it.
struct EmulatedMap {
  void* base;
  int64_t shape[3], box[3], swizzle;
};

// A step counter is handed over as if it were an address. `round` is the iteration of the repeat.
std::vector<void*> buffers_of(const program::Launch& step, std::map<std::string, Memory>& memory,
                              std::vector<EmulatedMap>& maps, int64_t round) {
  std::vector<void*> buffers;
  maps.reserve(step.args.size());
  for (const program::Arg& arg : step.args) {
    if (std::holds_alternative<program::StepCounterArg>(arg)) {
      buffers.push_back(reinterpret_cast<void*>(round));
      continue;
    }
    const auto& buffer = std::get<program::BufferArg>(arg);
    void* data = memory.at(buffer.buffer).data();
    if (buffer.tensor_map) {
      EmulatedMap map{data, {}, {}, std::atoi(buffer.tensor_map->swizzle.c_str())};
      for (size_t d = 0; d < 3; ++d) {
        map.shape[d] = number(buffer.tensor_map->shape.at(d), 1);
        map.box[d] = number(buffer.tensor_map->box.at(d), 1);
      }
      maps.push_back(map);
      data = &maps.back();
    }
    buffers.push_back(data);
  }
  return buffers;
}

using EmulatedLaunch = const char* (*)(void**, const unsigned*, const unsigned*, const unsigned*,
                                       long);

std::string launch_emulated(const Place& place, const std::string& prefix,
                            const program::Launch& step, std::map<std::string, Memory>& memory,
                            int64_t round) {
  auto* kernel = reinterpret_cast<EmulatedLaunch>(
      dlsym(place.loaded, (prefix + step.kernel + "_launch").c_str()));
  if (kernel == nullptr) return "no kernel " + prefix + step.kernel;
  std::vector<EmulatedMap> maps;
  std::vector<void*> buffers = buffers_of(step, memory, maps, round);
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, cluster[3] = {1, 1, 1};
  for (size_t d = 0; d < step.grid.size(); ++d)
    grid[d] = static_cast<unsigned>(number(step.grid[d], 1));
  // As if two multiprocessors were there.
  if (step.resident_per_sm) grid[0] = 2U * static_cast<unsigned>(*step.resident_per_sm);
  for (size_t d = 0; d < step.block.size(); ++d)
    block[d] = static_cast<unsigned>(number(step.block[d], 1));
  for (size_t d = 0; d < step.cluster.size(); ++d)
    cluster[d] = static_cast<unsigned>(number(step.cluster[d], 1));
  // All blocks of a cooperative launch run at the same time.
  for (size_t d = 0; d < 3 && step.cooperative; ++d) cluster[d] = grid[d];
  const char* fault = kernel(buffers.data(), grid, block, cluster, number(step.shared_bytes, 0));
  return fault == nullptr ? "" : step.kernel + ": " + fault;
}

std::string launch(const Place& place, const std::string& prefix, const program::Launch& step,
                   std::map<std::string, Memory>& memory, int64_t round) {
  std::vector<EmulatedMap> maps;
  std::vector<void*> buffers = buffers_of(step, memory, maps, round);
  CpuLaunch how = {step.team, 1, 1, number(step.scratch_bytes, 0)};
  for (const auto& extent : step.grid) how.grid *= number(extent, 1);
  how.grain = std::max<int64_t>(1, std::max(number(step.grain, 1), how.grid / 3));
  if (place.arm != nullptr) {
    place.arm->launch(prefix + step.kernel, step, how, buffers);
    return "";
  }
  auto* kernel = reinterpret_cast<kw_kernel>(dlsym(place.loaded, (prefix + step.kernel).c_str()));
  if (kernel == nullptr) return "no kernel " + prefix + step.kernel;
  std::vector<Memory> own(kWorkers, Memory(static_cast<size_t>(how.scratch_bytes)));
  std::array<void*, kWorkers> scratch = {};
  for (size_t w = 0; w < own.size(); ++w) scratch[w] = own[w].data();
  carry_out(kernel, how, buffers.data(), scratch);
  for (Memory& block : own)
    if (!block.whole()) return step.kernel + ": wrote beside its scratch";
  return "";
}

// A function of one signature per kernel, through which the test launches it.
std::string emulated_launches(const std::vector<program::Step>& steps, const std::string& prefix) {
  std::string text;
  for (const program::Step& step : steps) {
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action)) {
      text += emulated_launches(repeat->body, prefix);
      continue;
    }
    const auto* one = std::get_if<program::Launch>(&step.action);
    if (one == nullptr) continue;
    std::string types, values;
    for (size_t a = 0; a < one->args.size(); ++a) {
      const bool counter = std::holds_alternative<program::StepCounterArg>(one->args[a]);
      types += fmt::format("{}{}", a == 0 ? "" : ", ", counter ? "long long" : "void*");
      values += fmt::format("{}{}a[{}]", a == 0 ? "" : ", ", counter ? "(long long)" : "", a);
    }
    text += fmt::format(
        "extern \"C\" const char* {0}{1}_launch(void** args, const unsigned* grid, const unsigned* "
        "block, const unsigned* cluster, long shared) {{\n  return kw_emulated_launch([](void** a) "
        "{{ ((void (*)({2})){0}{1})({3}); }}, args, grid, block, cluster, shared);\n}}\n",
        prefix, one->kernel, types, values);
  }
  return text;
}

std::string run_steps(const Place& place, const std::string& prefix, const Case& c,
                      const std::vector<program::Step>& steps,
                      std::map<std::string, Memory>& memory, int64_t round = 0) {
  for (const program::Step& step : steps) {
    std::string error;
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action)) {
      const int64_t count = number(repeat->count, 1);
      for (int64_t i = 0; i < count && error.empty(); ++i)
        error = run_steps(place, prefix, c, repeat->body, memory, i);
    } else if (const auto* fill = std::get_if<program::Fill>(&step.action)) {
      if (fill->value != 0 || !fill->view) return "fill that the test cannot run";
      std::byte* const data = memory.at(fill->buffer).data();
      const size_t bytes = 4 * static_cast<size_t>(number(fill->view->shape.at(0), 1));
      if (place.arm != nullptr)
        place.arm->zero(data, bytes);
      else
        std::memset(data, 0, bytes);
    } else if (const auto* one = std::get_if<program::Launch>(&step.action)) {
      error = c.candidate.program.target == "cuda"
                  ? launch_emulated(place, prefix, *one, memory, round)
                  : launch(place, prefix, *one, memory, round);
    } else {
      return "step that the test cannot run";
    }
    if (!error.empty()) return error;
  }
  return "";
}

std::string run_case(void* library, const std::filesystem::path& arm_host,
                     const std::string& prefix, const Case& c, double tolerance) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::map<int, HostTensor> bindings;
  for (size_t t = 0; t < c.graph->tensors.size(); ++t) {
    const auto& tensor = c.graph->tensors[t];
    if (tensor.role == TensorRole::kOutput || tensor.role == TensorRole::kTemporary) continue;
    if (const auto given = c.bindings.find(static_cast<int>(t)); given != c.bindings.end()) {
      bindings[static_cast<int>(t)] = given->second;
      continue;
    }
    HostTensor host{tensor.type, {}};
    for (int64_t i = 0; i < tensor.type.elements(); ++i) {
      const double value = uniform(random);
      host.data.push_back(graph::is_float(tensor.type.dtype)
                              ? static_cast<double>(static_cast<float>(value))
                              : std::floor(3 * std::abs(value)));
    }
    bindings[static_cast<int>(t)] = std::move(host);
  }
  std::map<std::string, Memory> memory;
  for (const auto& buffer : c.candidate.program.buffers) {
    size_t size = graph::dtype_bytes(buffer.dtype);
    for (const auto& extent : buffer.shape) size *= static_cast<size_t>(number(extent, 1));
    Memory block(size);
    if (buffer.role == program::BufferRole::kSync) block.clear();
    for (const auto& [t, host] : bindings) {
      const auto& tensor = c.graph->tensors[static_cast<size_t>(t)];
      const bool mine = (buffer.role == program::BufferRole::kInput &&
                         tensor.role == TensorRole::kInput && tensor.index == buffer.index) ||
                        (buffer.role == program::BufferRole::kWeight &&
                         tensor.role == TensorRole::kWeight && tensor.weight_name == buffer.weight);
      if (!mine) continue;
      const auto bytes = encode(host);
      std::memcpy(block.data(), bytes.data(), size);
    }
    memory[buffer.name] = std::move(block);
  }
  ArmRun arm;
  const Place place = {library, library == nullptr ? &arm : nullptr};
  for (auto& [name, block] : memory) arm.memory(block.begin(), block.extent());
  for (const auto* steps : {&c.candidate.program.prepare, &c.candidate.program.run}) {
    const std::string error = run_steps(place, prefix, c, *steps, memory);
    if (!error.empty()) return error;
  }
  if (place.arm != nullptr) {
    const std::string error = arm.run(arm_host, arm_host.parent_path());
    if (!error.empty()) return error;
  }
  for (auto& [name, block] : memory) {
    if (!block.whole()) return "wrote beside " + name;
  }
  for (const auto& buffer : c.candidate.program.buffers) {
    if (buffer.role == program::BufferRole::kSync && !memory.at(buffer.name).zero())
      return "left counts in " + buffer.name;
  }
  auto expected = graph::interpret(*c.graph, bindings);
  if (!expected) return expected.error().text();
  for (size_t t = 0; t < c.graph->tensors.size(); ++t) {
    const auto& tensor = c.graph->tensors[t];
    if (tensor.role != TensorRole::kOutput) continue;
    const std::byte* got_bytes = memory.at(fmt::format("out{}", tensor.index)).data();
    const auto& want = (*expected)[t].data;
    for (size_t i = 0; i < want.size(); ++i) {
      const double got =
          decode(got_bytes + i * graph::dtype_bytes(tensor.type.dtype), tensor.type.dtype);
      const bool same =
          std::isnan(want[i])
              ? std::isnan(got)
              : got == want[i] || std::abs(got - want[i]) <= tolerance * (1 + std::abs(want[i]));
      if (!same) return fmt::format("{}[{}] expected {}, got {}", tensor.name, i, want[i], got);
    }
  }
  return "";
}

void add_kernels(const std::vector<program::Step>& steps, const std::string& prefix,
                 std::set<std::string>& names) {
  for (const program::Step& step : steps) {
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action))
      add_kernels(repeat->body, prefix, names);
    else if (const auto* one = std::get_if<program::Launch>(&step.action))
      names.insert(prefix + one->kernel);
  }
}

std::vector<std::string> kernels_of(const std::vector<Case>& cases) {
  std::set<std::string> names;
  for (size_t i = 0; i < cases.size(); ++i)
    for (const auto* steps : {&cases[i].candidate.program.prepare, &cases[i].candidate.program.run})
      add_kernels(*steps, fmt::format("c{}_", i), names);
  return {names.begin(), names.end()};
}

}  // namespace

target::MachineModel plain_machine(const std::string& target) {
  target::MachineModel model;
  model.target = target;
  if (target == "cuda") {
    model.threads = 132 * 2048;
    model.multiprocessors = 132;
    model.shared_bytes = 227 << 10;
    model.vector_bytes = 16;
    model.levels = {{"L2", 50 << 20, 5.5e12, 5e12}, {"DRAM", 0, 3.1e12, 3.0e12}};
    model.rates = {{"fma", DType::kF32, 6e13}, {"fma", DType::kF64, 3e13}};
    model.launch_s = 2e-6;
    return model;
  }
  model.threads = 2;
  model.vector_bytes = 64;
  model.levels = {{"L1", 65536, 4e11, 2e11},
                  {"L2", 2 << 20, 1e11, 8e10},
                  {"L3", 32 << 20, 6e10, 4e10},
                  {"DRAM", 0, 2e10, 1.5e10}};
  model.rates = {{"fma", DType::kF32, 2e11}, {"fma", DType::kF64, 1e11}};
  model.launch_s = 2e-6;
  return model;
}

std::vector<std::string> run_and_compare(const std::vector<Case>& cases, double tolerance,
                                         On machine) {
  auto dir = base::TempDir::create("kw-expert-test");
  if (!dir) return {dir.error().text()};
  const bool emulated = !cases.empty() && cases[0].candidate.program.target == "cuda";
  std::string source;
  for (size_t i = 0; i < cases.size(); ++i) {
    static const std::regex kernel_name("\\bk([0-9]+)_");
    source +=
        std::regex_replace(cases[i].candidate.source, kernel_name, fmt::format("c{}_k$1_", i));
    for (const auto* steps : {&cases[i].candidate.program.prepare, &cases[i].candidate.program.run})
      if (emulated) source += emulated_launches(*steps, fmt::format("c{}_", i));
  }
  const auto source_path = dir->path() / "kernels.cpp", object_path = dir->path() / "kernels.so";
  if (auto written = base::write_file_atomic(source_path, source); !written)
    return {written.error().text()};
  std::vector<std::string> failures;
  const auto judge = [&](void* library, const std::filesystem::path& host) {
    for (size_t i = 0; i < cases.size(); ++i) {
      const double own = cases[i].tolerance > 0 ? cases[i].tolerance : tolerance;
      const std::string error = run_case(library, host, fmt::format("c{}_", i), cases[i], own);
      if (!error.empty()) failures.push_back(fmt::format("{}: {}", cases[i].name, error));
    }
  };
  if (machine == On::kArm) {
    std::string error = ArmRun::build(source_path, kernels_of(cases), dir->path() / "host");
    if (!error.empty()) return {error};
    judge(nullptr, dir->path() / "host");
    return failures;
  }
  const std::string root = KW_SOURCE_DIR;
  base::ProcessSpec spec;
  spec.argv = {
      "g++",
      "-std=c++20",
      "-O1",
      "-march=native",
      "-fopenmp-simd",
      "-fno-math-errno",
      "-Wno-psabi",
      "-shared",
      "-fPIC",
      "-I" + root + "/include",
      "-I" + root + (emulated ? "/tests/support/cuda_emulation" : "/src/target/cpu/device"),
      "-o",
      object_path,
      source_path};
  auto built = base::run_process(spec);
  if (!built) return {built.error().text()};
  if (!built->ok()) {
    if (const char* keep = std::getenv("KW_TEST_KEEP")) (void)base::write_file_atomic(keep, source);
    return {"does not compile: " + built->err.substr(0, 3000)};
  }
  if (const char* keep = std::getenv("KW_TEST_KEEP")) (void)base::write_file_atomic(keep, source);
  void* library = dlopen(object_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {dlerror()};
  judge(library, {});
  dlclose(library);
  return failures;
}

}  // namespace kernelwright::testing
