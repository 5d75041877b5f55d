// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/object.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <link.h>

#include <utility>

namespace kernelwright::runtime {

Result<KernelObject> KernelObject::open(const std::string& path) {
  // Without a separator dlopen would search the system's folders.
  std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  KernelObject object;
  object.handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object.handle_) {
    const char* why = dlerror();
    return fail(ErrorKind::kInput,
                fmt::format("cannot load the kernel object: {}", why ? why : path));
  }
  return object;
}

KernelObject& KernelObject::operator=(KernelObject&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

KernelObject::~KernelObject() {
  if (handle_) dlclose(handle_);
}

Result<kw_kernel> KernelObject::kernel(const std::string& name) const {
  void* symbol = dlsym(handle_, name.c_str());
  link_map* own = nullptr;
  link_map* found = nullptr;
  Dl_info info;
  // dlsym also looks into the libraries an object depends on: "memcpy" must not become a kernel.
  bool ours = symbol && dlinfo(handle_, RTLD_DI_LINKMAP, static_cast<void*>(&own)) == 0 &&
              dladdr1(symbol, &info, reinterpret_cast<void**>(&found), RTLD_DL_LINKMAP) != 0 &&
              own == found;
  if (!ours)
    return fail(ErrorKind::kInput, fmt::format("the kernel object has no kernel '{}'", name));
  return reinterpret_cast<kw_kernel>(symbol);
}

}  // namespace kernelwright::runtime
