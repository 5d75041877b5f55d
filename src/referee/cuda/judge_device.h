// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/shared_memory.h"
#include "referee/elements.h"
#include "target/cuda/runtime/device_memory.h"
#include "target/cuda/runtime/driver.h"

namespace kernelwright::referee {

// The referee's own kernels in the current context: those of judge.cu, or kw_delay alone, which
// compiles in no time.
class JudgeKernels {
 public:
  static Result<JudgeKernels> load(const cuda::Driver& driver);
  static Result<JudgeKernels> load_delay(const cuda::Driver& driver);
  JudgeKernels() = default;
  JudgeKernels(JudgeKernels&& other) noexcept { *this = std::move(other); }
  JudgeKernels& operator=(JudgeKernels&& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(module_, other.module_);
    std::swap(functions_, other.functions_);
    return *this;
  }
  JudgeKernels(const JudgeKernels&) = delete;
  ~JudgeKernels();
  // Parameters in the kernel's order.
  Status launch(const char* kernel, unsigned blocks, unsigned threads, cuda::Stream stream,
                std::vector<void*> params) const;

 private:
  static Result<JudgeKernels> load(const cuda::Driver& driver, const char* file,
                                   const std::vector<const char*>& names);
  const cuda::Driver* driver_ = nullptr;
  cuda::Module module_ = nullptr;
  std::map<std::string, cuda::Function> functions_;
};

// The coordinator's context on one GPU: allocates, fills, hashes, compares. Every call is complete
// when it returns. The context is the device's primary one.
class JudgeDevice {
 public:
  // Kernel arguments of judge.cu's Arrays.
  struct Arrays {
    cuda::Ptr values = 0, eager = 0, delta = 0, scale = 0;
    int64_t count = 0;
    int code = 0, wide = 0;
  };
  struct Damage {
    uint64_t before = 0, after = 0;  // distance of the nearest damaged byte; 0: none
  };

  static Result<std::shared_ptr<JudgeDevice>> open(int ordinal);
  JudgeDevice() = default;
  JudgeDevice(const JudgeDevice&) = delete;
  ~JudgeDevice();

  const cuda::Driver& driver() const { return *driver_; }
  int ordinal() const { return ordinal_; }
  const std::string& name() const { return name_; }
  uint64_t total_bytes() const { return total_bytes_; }
  uint64_t l2_bytes() const { return l2_bytes_; }
  uint64_t granularity() const { return granularity_; }
  std::string pci_bus_id() const;  // "0000:3b:00.0"
  Result<cuda::ContextScope> enter() const { return cuda::ContextScope::enter(*driver_, context_); }

  Status fill(cuda::Ptr to, int byte, uint64_t bytes) const;
  Status write(cuda::Ptr to, const void* from, uint64_t bytes) const;
  Status read(void* to, cuda::Ptr from, uint64_t bytes) const;
  Status copy(cuda::Ptr to, cuda::Ptr from, uint64_t bytes) const;
  Result<uint64_t> hash(cuda::Ptr from, uint64_t bytes) const;
  // Bands of a region of `bytes` at `region`: [0, begin) and [end, bytes). `origin` tells regions
  // of equal place apart.
  Status write_bands(cuda::Ptr region, uint64_t begin, uint64_t end, uint64_t bytes,
                     uint64_t origin, uint64_t seed) const;
  Result<Damage> check_bands(cuda::Ptr region, uint64_t begin, uint64_t end, uint64_t bytes,
                             uint64_t origin, uint64_t seed) const;
  Result<Distance> measure(const Arrays& arrays, double tolerance) const;
  Result<Wrong> find(const Arrays& arrays, Rule rule, double limit) const;
  Result<Elements::Element> at(const Arrays& arrays, int64_t index) const;

 private:
  Status run(const char* kernel, uint64_t work, std::vector<void*> params) const;
  unsigned blocks_for(uint64_t work) const;
  Status load(int ordinal);

  const cuda::Driver* driver_ = nullptr;
  int ordinal_ = 0;
  cuda::Context context_ = nullptr;
  cuda::Stream stream_ = nullptr;
  JudgeKernels kernels_;
  cuda::DeviceMemory room_;  // results of our kernels
  std::string name_;
  uint64_t total_bytes_ = 0, l2_bytes_ = 0, granularity_ = 0;
  int multiprocessors_ = 1;
};

// Code of an element type in judge.cu.
int element_code(graph::DType dtype);
// Whether delta and scale of such answers are f64 (docs/torch-worker.md).
bool stored_wide(graph::DType dtype);

// What a comparison knows from the parts of one walk.
Distance distance_of(const Tally& tally);

}  // namespace kernelwright::referee
