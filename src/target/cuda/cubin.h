// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kernelwright::target {

// What a cubin (an ELF file for a GPU) says of itself: symbols, sections and, from .nv.info, what
// each kernel takes. Every offset is checked against the file: a malformed file is an Error
// (kInput), never a fault.
struct Cubin {
  struct Symbol {
    std::string name;
    uint64_t address = 0;
    uint64_t size = 0;
    int type = 0;  // STT_*, and NVIDIA's own
    int bind = 0;
    unsigned other = 0;
    uint32_t section = 0;  // 0: undefined
  };
  struct Section {
    std::string name;
    uint32_t type = 0;
    uint64_t flags = 0, offset = 0, size = 0;
  };
  struct Kernel {
    std::string name;
    int registers = 0;         // per thread
    int64_t shared_bytes = 0;  // static, per block, without what the system reserves
    int64_t stack_bytes = 0;   // per thread, spills among it
    int64_t const_bytes = 0;   // parameters and what stands before them
    int64_t param_bytes = 0;
    int max_threads = 0;                  // of __launch_bounds__; 0: none
    std::array<int64_t, 3> block = {};    // of __block_size__; zero: none
    std::array<int64_t, 3> cluster = {};  // of __cluster_dims__; zero: none
  };
  int sm = 0;  // 90; 0: unknown
  std::vector<Section> sections;
  std::vector<Symbol> symbols;
  // Symbols whose address some relocation asks for, by index. NVRTC 13 makes every constexpr
  // outside of a function a variable in global memory and lists its address for code to load
  // (constant bank 4), though code has the value itself: the list counts only where an instruction
  // reads it.
  std::vector<uint32_t> relocated;
  std::vector<Kernel> kernels;  // entry points, by name

  const Kernel* find(const std::string& name) const;
};

inline constexpr int kCubinTexture = 10, kCubinSurface = 11, kCubinSampler = 12;  // Symbol::type

Result<Cubin> read_cubin(std::string_view file);

}  // namespace kernelwright::target
