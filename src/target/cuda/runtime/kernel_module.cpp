// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/kernel_module.h"

#include <fmt/core.h>

#include <utility>

#include "base/file.h"

namespace kernelwright::cuda {

Result<KernelModule> KernelModule::load(const Driver& driver, const std::string& image,
                                        const std::string& what) {
  KernelModule loaded;
  loaded.driver_ = &driver;
  loaded.what_ = what;
  if (auto status = driver.module_load_data(&loaded.module_, image.c_str()); !status)
    return fail(std::move(status.error()).with("loading", what));
  return loaded;
}

Result<KernelModule> KernelModule::load_file(const Driver& driver, const std::string& path) {
  auto image = base::read_file(path);
  if (!image)
    return fail(
        Error{ErrorKind::kInput,
              fmt::format("cannot load the kernel object {}: {}", path, image.error().message),
              {}});
  if (image->empty())
    return fail(ErrorKind::kInput, fmt::format("cannot load the kernel object {}: empty", path));
  return load(driver, *image, path);
}

KernelModule& KernelModule::operator=(KernelModule&& other) noexcept {
  std::swap(driver_, other.driver_);
  std::swap(module_, other.module_);
  std::swap(what_, other.what_);
  std::swap(kernels_, other.kernels_);
  return *this;
}

KernelModule::~KernelModule() {
  if (module_) (void)driver_->module_unload.raw(module_);
}

Result<const KernelFunction*> KernelModule::kernel(const std::string& name) {
  if (auto it = kernels_.find(name); it != kernels_.end()) return &it->second;
  KernelFunction kernel;
  Code code = driver_->module_get_function.raw(&kernel.function, module_, name.c_str());
  if (code == kErrorNotFound)
    return fail(ErrorKind::kInput,
                fmt::format("no kernel '{}' in {} (is it extern \"C\"?)", name, what_));
  if (code != kSuccess)
    return fail(call_error(driver_->module_get_function.name, code).with("kernel", name));
  struct Row {
    FunctionAttribute attribute;
    int* to;
  };
  const Row rows[] = {{kFunctionRegisters, &kernel.registers},
                      {kFunctionSharedBytes, &kernel.shared_bytes},
                      {kFunctionLocalBytes, &kernel.local_bytes},
                      {kFunctionConstBytes, &kernel.const_bytes},
                      {kFunctionMaxThreadsPerBlock, &kernel.max_threads}};
  for (const Row& row : rows)
    if (auto status = driver_->func_get_attribute(row.to, row.attribute, kernel.function); !status)
      return fail(std::move(status.error()).with("kernel", name));
  if (driver_->func_load) {
    if (auto status = driver_->func_load(kernel.function); !status)
      return fail(std::move(status.error()).with("kernel", name));
  }
  if (driver_->func_get_param_info) {
    kernel.params_known = true;
    size_t offset = 0, bytes = 0;
    while (kernel.param_bytes.size() < 4096 &&
           driver_->func_get_param_info.raw(kernel.function, kernel.param_bytes.size(), &offset,
                                            &bytes) == kSuccess)
      kernel.param_bytes.push_back(bytes);
  }
  return &kernels_.emplace(name, std::move(kernel)).first->second;
}

}  // namespace kernelwright::cuda
