// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "target/cuda/runtime/device.h"

namespace kernelwright::cuda {

// A kernel of a loaded cubin and what the compiler made of it.
struct KernelFunction {
  Function function = nullptr;
  int registers = 0;     // per thread
  int shared_bytes = 0;  // static, per block
  int local_bytes = 0;   // stack and spills, per thread
  int const_bytes = 0;
  int max_threads = 0;  // per block
  // Size of each parameter in bytes; known where the driver can tell (12.4 and later).
  std::vector<size_t> param_bytes;
  bool params_known = false;
};

// A cubin (or PTX text) loaded into the current context.
class KernelModule {
 public:
  // `what` names it in errors. `image` must be terminated by a zero where it is text.
  static Result<KernelModule> load(const Driver& driver, const std::string& image,
                                   const std::string& what);
  static Result<KernelModule> load_file(const Driver& driver, const std::string& path);
  KernelModule() = default;
  KernelModule(KernelModule&& other) noexcept { *this = static_cast<KernelModule&&>(other); }
  KernelModule& operator=(KernelModule&& other) noexcept;
  KernelModule(const KernelModule&) = delete;
  ~KernelModule();

  // Looked up once; loads the kernel's code onto the device, so that no launch has to.
  Result<const KernelFunction*> kernel(const std::string& name);
  const std::map<std::string, KernelFunction>& kernels() const { return kernels_; }

 private:
  const Driver* driver_ = nullptr;
  Module module_ = nullptr;
  std::string what_;
  std::map<std::string, KernelFunction> kernels_;
};

}  // namespace kernelwright::cuda
