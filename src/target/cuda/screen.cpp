// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/screen.h"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

namespace kernelwright::target {
namespace {

using Reason = std::optional<std::string>;

struct SymbolRow {
  const char* prefix;
  const char* refusal;
};
// What an undefined symbol gives away, by how its name begins.
constexpr SymbolRow kUndefined[] = {
    {"vprintf", "printf"},
    {"__assertfail", "assert"},
    {"__assert_fail", "assert"},
    {"malloc", "device memory allocation"},
    {"free", "device memory allocation"},
    {"cudaMalloc", "device memory allocation"},
    {"cudaFree", "device memory allocation"},
    {"__nv_aligned_device_malloc", "device memory allocation"},
    {"cudaLaunchDevice", "a launch from the device"},
    {"cudaGetParameterBuffer", "a launch from the device"},
    {"__cudaCDP", "a launch from the device"},
    {"cudaCG", "a launch from the device"},
    {"cudaStream", "a launch from the device"},
    {"cudaGraph", "a launch from the device"},
    {"cudaDeviceSynchronize", "a launch from the device"},
};
// Undefined by nature: where the system keeps its part of shared memory.
constexpr const char* kSystem[] = {".nv.reservedSmem", "__nv_reservedSMEM"};

std::string readable(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  std::string out = status == 0 && text != nullptr ? text : name;
  std::free(text);
  return out.substr(0, 120);
}

Reason check_undefined(const Cubin& cubin) {
  for (const auto& symbol : cubin.symbols) {
    if (symbol.section != SHN_UNDEF || symbol.name.empty()) continue;
    const auto begins = [&](const char* prefix) { return symbol.name.starts_with(prefix); };
    if (std::any_of(std::begin(kSystem), std::end(kSystem), begins)) continue;
    for (const auto& row : kUndefined)
      if (begins(row.prefix))
        return fmt::format("{} in a kernel (undefined symbol '{}')", row.refusal,
                           readable(symbol.name));
    return fmt::format("undefined symbol '{}'", readable(symbol.name));
  }
  return std::nullopt;
}

Reason check_symbols(const Cubin& cubin, const std::vector<std::string>& kernels) {
  for (const auto& symbol : cubin.symbols) {
    if (symbol.type == kCubinTexture || symbol.type == kCubinSampler)
      return fmt::format("texture reference '{}'", readable(symbol.name));
    if (symbol.type == kCubinSurface)
      return fmt::format("surface reference '{}'", readable(symbol.name));
    if (symbol.type == STT_GNU_IFUNC || symbol.type == STT_TLS)
      return fmt::format("symbol '{}' of a type that no kernel needs", readable(symbol.name));
    if (symbol.section == SHN_COMMON)
      return fmt::format("writable global '{}'", readable(symbol.name));
  }
  for (const auto& name : kernels)
    if (cubin.find(name) == nullptr)
      return fmt::format("kernel '{}' is missing", name.substr(0, 200));
  return std::nullopt;
}

// Blocks' own memory: gone when the block is.
bool of_a_block(const std::string& section) {
  return section.starts_with(".nv.shared.") || section == ".nv.shared" ||
         section.starts_with(".nv.local.");
}

Reason check_writable(const Cubin& cubin) {
  for (size_t i = 0; i < cubin.sections.size(); ++i) {
    const auto& section = cubin.sections[i];
    const bool global = section.name.starts_with(".nv.global");
    const bool writable = (section.flags & SHF_WRITE) != 0 && (section.flags & SHF_ALLOC) != 0;
    if (section.size == 0 || !(global || (writable && !of_a_block(section.name)))) continue;
    std::string what = fmt::format("section {}", section.name.substr(0, 120));
    // The compiler leaves every constexpr there, used or not. What no code asks the address of is
    // beyond reach; one variable within reach gives away its neighbours.
    const auto inside = [&](uint32_t symbol) { return cubin.symbols[symbol].section == i; };
    const auto used = std::find_if(cubin.relocated.begin(), cubin.relocated.end(), inside);
    if (global && used == cubin.relocated.end()) continue;
    if (used != cubin.relocated.end() && cubin.symbols[*used].type == STT_OBJECT)
      what = fmt::format("'{}' in {} ({} bytes)", readable(cubin.symbols[*used].name),
                         section.name.substr(0, 120), cubin.symbols[*used].size);
    if (what.starts_with("'__cudart_"))
      return fmt::format(
          "writable global memory: {}, a table of CUDA's sin, cos or tan; kw_sin, kw_cos and "
          "kw_tan "
          "for float do without",
          what);
    return fmt::format(
        "writable global memory: {}; a kernel keeps nothing between calls, constants belong into "
        "__constant__ or a buffer of role table",
        what);
  }
  return std::nullopt;
}

int64_t round_up(int64_t value, int64_t to) {
  return (value + to - 1) / to * to;
}

// One launch, evaluated.
struct Shape {
  int64_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, cluster[3] = {1, 1, 1};
  int64_t shared = 0;
  int64_t blocks() const { return grid[0] * grid[1] * grid[2]; }
  int64_t threads() const { return block[0] * block[1] * block[2]; }
  int64_t cluster_blocks() const { return cluster[0] * cluster[1] * cluster[2]; }
};

Result<Shape> evaluate_launch(const program::Launch& launch, const program::Program& program) {
  Shape shape;
  const auto fill = [&](const std::vector<program::SizeExpr>& from, int64_t(&to)[3]) -> Status {
    for (size_t i = 0; i < from.size() && i < 3; ++i) {
      KW_TRY(to[i], program::evaluate(from[i], program.params));
      if (to[i] < 1) return fail(ErrorKind::kInput, "an extent below 1");
    }
    return {};
  };
  KW_CHECK_OK(fill(launch.grid, shape.grid));
  KW_CHECK_OK(fill(launch.block, shape.block));
  KW_CHECK_OK(fill(launch.cluster, shape.cluster));
  if (!launch.shared_bytes.text.empty()) {
    KW_TRY(shape.shared, program::evaluate(launch.shared_bytes, program.params));
  }
  return shape;
}

// Allocation units of registers since Kepler: 256 per warp.
int64_t registers_per_warp(int64_t registers) {
  return round_up(registers * 32, 256);
}

Reason check_block(const Cubin::Kernel& kernel, const Shape& shape, const CudaDevice& device) {
  const int64_t threads = shape.threads();
  if (threads > device.threads_per_block)
    return fmt::format("{} threads per block, over the device's {}", threads,
                       device.threads_per_block);
  for (int i = 0; i < 3; ++i)
    if (shape.block[i] > device.block[i])
      return fmt::format("a block {} wide in {}, over the device's {}", shape.block[i], "xyz"[i],
                         device.block[i]);
  if (kernel.max_threads > 0 && threads > kernel.max_threads)
    return fmt::format("{} threads per block, over the {} of its __launch_bounds__", threads,
                       kernel.max_threads);
  if (kernel.block[0] > 0)
    for (int i = 0; i < 3; ++i)
      if (shape.block[i] != std::max<int64_t>(kernel.block[static_cast<size_t>(i)], 1))
        return fmt::format("a block of {}x{}x{}, but the kernel is compiled for {}x{}x{}",
                           shape.block[0], shape.block[1], shape.block[2], kernel.block[0],
                           kernel.block[1], kernel.block[2]);
  const int64_t registers = registers_per_warp(kernel.registers) * ((threads + 31) / 32);
  if (registers > device.registers_per_block)
    return fmt::format(
        "{} registers per thread times {} threads take {} registers, over the {} of a block",
        kernel.registers, threads, registers, device.registers_per_block);
  const int64_t shared = kernel.shared_bytes + shape.shared;
  if (shared > device.shared_per_block)
    return fmt::format("{} bytes of shared memory ({} static, {} dynamic), over the device's {}",
                       shared, kernel.shared_bytes, shape.shared, device.shared_per_block);
  return std::nullopt;
}

Reason check_grid(const Cubin::Kernel& kernel, const program::Launch& launch, const Shape& shape,
                  const CudaDevice& device) {
  for (int i = 0; i < 3; ++i)
    if (shape.grid[i] > device.grid[i])
      return fmt::format("a grid {} wide in {}, over the device's {}", shape.grid[i], "xyz"[i],
                         device.grid[i]);
  if (!launch.cluster.empty() || kernel.cluster[0] > 0) {
    if (!device.cluster) return fmt::format("a cluster, which sm_{} has not", device.number());
    // 8 everywhere, 16 where the kernel asks for more than is portable.
    if (shape.cluster_blocks() > 16)
      return fmt::format("a cluster of {} blocks, over 16", shape.cluster_blocks());
    if (launch.resident_per_sm == std::nullopt)
      for (int i = 0; i < 3; ++i)
        if (shape.grid[i] % shape.cluster[i] != 0)
          return fmt::format("a grid of {} in {} is no multiple of the cluster's {}", shape.grid[i],
                             "xyz"[i], shape.cluster[i]);
  }
  const int64_t params = device.major >= 7 ? 32764 : 4096;
  if (kernel.param_bytes > params)
    return fmt::format("{} bytes of parameters, over {}", kernel.param_bytes, params);
  const int64_t resident = resident_blocks(kernel, shape.threads(), shape.shared, device);
  if (launch.cooperative && !device.cooperative) return "a cooperative launch, which it has not";
  if (launch.resident_per_sm && *launch.resident_per_sm > resident)
    return fmt::format("{} blocks per multiprocessor asked for, {} fit (registers {}, shared {})",
                       *launch.resident_per_sm, resident, kernel.registers,
                       kernel.shared_bytes + shape.shared);
  if (launch.cooperative && !launch.resident_per_sm &&
      shape.blocks() > resident * device.multiprocessors)
    return fmt::format(
        "a cooperative grid of {} blocks, of which {} fit at once ({} on each of {} "
        "multiprocessors)",
        shape.blocks(), resident * device.multiprocessors, resident, device.multiprocessors);
  return std::nullopt;
}

Reason check_steps(const Cubin& cubin, const std::vector<program::Step>& steps,
                   const program::Program& program, const CudaDevice& device) {
  for (const auto& step : steps) {
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action)) {
      if (auto reason = check_steps(cubin, repeat->body, program, device)) return reason;
      continue;
    }
    const auto* launch = std::get_if<program::Launch>(&step.action);
    if (launch == nullptr) continue;
    const auto* kernel = cubin.find(launch->kernel);
    if (kernel == nullptr) return fmt::format("kernel '{}' is missing", launch->kernel);
    const auto shape = evaluate_launch(*launch, program);
    if (!shape) return fmt::format("kernel '{}': {}", launch->kernel, shape.error().text());
    auto reason = check_block(*kernel, *shape, device);
    if (!reason) reason = check_grid(*kernel, *launch, *shape, device);
    if (reason)
      return fmt::format("refused before launch: kernel '{}': {}", launch->kernel, *reason);
  }
  return std::nullopt;
}

}  // namespace

int64_t resident_blocks(const Cubin::Kernel& kernel, int64_t threads, int64_t dynamic_shared,
                        const CudaDevice& device) {
  const int64_t warps = (std::max<int64_t>(threads, 1) + 31) / 32;
  int64_t blocks = std::min<int64_t>(device.blocks_per_sm, device.threads_per_sm / (warps * 32));
  if (kernel.registers > 0) {
    // Each of the four schedulers has a quarter of the registers, and takes whole warps.
    const int64_t per_quarter = device.registers_per_sm / 4 / registers_per_warp(kernel.registers);
    blocks = std::min(blocks, per_quarter * 4 / warps);
  }
  const int64_t shared =
      round_up(kernel.shared_bytes + dynamic_shared + device.shared_reserved, 128);
  if (device.shared_per_sm > 0 && shared > 0)
    blocks = std::min(blocks, device.shared_per_sm / shared);
  return std::max<int64_t>(blocks, 0);
}

std::optional<std::string> screen_cubin(std::string_view bytes,
                                        const std::vector<std::string>& kernels) {
  const auto cubin = read_cubin(bytes);
  if (!cubin) return cubin.error().text();
  // The order decides which reason is told when several hold: causes before their effects.
  if (auto reason = check_undefined(*cubin)) return reason;
  if (auto reason = check_symbols(*cubin, kernels)) return reason;
  return check_writable(*cubin);
}

std::optional<std::string> screen_launches(const Cubin& cubin, const program::Program& program,
                                           const CudaDevice& device) {
  if (auto reason = check_steps(cubin, program.prepare, program, device)) return reason;
  return check_steps(cubin, program.run, program, device);
}

}  // namespace kernelwright::target
