// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "kernelwright/kernel_abi.h"

namespace kernelwright::runtime {

// A built object, loaded. Its kernels are looked up in the object itself, never in what it links
// to.
class KernelObject {
 public:
  static Result<KernelObject> open(const std::string& path);
  KernelObject() = default;
  KernelObject(KernelObject&& other) noexcept { *this = static_cast<KernelObject&&>(other); }
  KernelObject& operator=(KernelObject&& other) noexcept;
  KernelObject(const KernelObject&) = delete;
  ~KernelObject();

  Result<kw_kernel> kernel(const std::string& name) const;

 private:
  void* handle_ = nullptr;
};

}  // namespace kernelwright::runtime
