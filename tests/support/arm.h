// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "program/program.h"
#include "support/cpu_launch.h"

namespace kernelwright::testing {

// CPU programs on a 64-bit ARM, emulated in software: Debian's cross compiler builds their kernels
// into a static program (support/arm/host.cpp), which qemu-user runs. The launches of a program are
// written down first and then carried out together, on an image of its memory.
class ArmRun {
 public:
  // What is not installed; empty where nothing is missing.
  static std::string missing();
  // Builds `host` out of kernels in a source file; returns what the compiler objects to.
  static std::string build(const std::filesystem::path& source,
                           const std::vector<std::string>& kernels,
                           const std::filesystem::path& host);

  // Bytes that launches refer to; they begin at a multiple of 256 in the image.
  void memory(std::byte* begin, size_t bytes);
  void launch(const std::string& kernel, const program::Launch& step, const CpuLaunch& how,
              const std::vector<void*>& buffers);
  void zero(const void* begin, size_t bytes);
  // Carries all out and brings the memory back; what went wrong, or nothing.
  std::string run(const std::filesystem::path& host, const std::filesystem::path& folder);

 private:
  size_t offset_of(const void* pointer) const;
  struct Block {
    std::byte* begin;
    size_t bytes, offset;
  };
  std::vector<Block> blocks_;
  size_t bytes_ = 0;
  std::string script_;
};

}  // namespace kernelwright::testing
