// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/nvrtc.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <link.h>

#include <cstddef>
#include <memory>

namespace kernelwright::target {
namespace fs = std::filesystem;

// Signatures as NVRTC has had them since 11.2; 0 is success.
struct Nvrtc::Table {
  using Program = void*;
  const char* (*error_string)(int) = nullptr;
  int (*version)(int*, int*) = nullptr;
  int (*arch_count)(int*) = nullptr;
  int (*archs)(int*) = nullptr;
  int (*create)(Program*, const char*, const char*, int, const char* const*,
                const char* const*) = nullptr;
  int (*destroy)(Program*) = nullptr;
  int (*compile)(Program, int, const char* const*) = nullptr;
  int (*cubin_size)(Program, size_t*) = nullptr;
  int (*cubin)(Program, char*) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
};

namespace {

constexpr int kCompilationError = 6;  // NVRTC_ERROR_COMPILATION

template <class F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(::dlsym(library, name));
  return function != nullptr;
}

tl::unexpected<Error> environment(std::string text) {
  return fail(ErrorKind::kEnvironment, std::move(text));
}

}  // namespace

std::string Nvrtc::error_text(const char* call, int code) const {
  const char* text = table_->error_string(code);
  return fmt::format("{}: {} ({})", call, text != nullptr ? text : "unknown error", code);
}

Result<Nvrtc> Nvrtc::open(const std::string& name) {
  void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return environment(fmt::format("cannot open NVRTC: {}", why != nullptr ? why : name));
  }
  static Table table;
  const std::pair<const char*, bool> found[] = {
      {"nvrtcGetErrorString", find(library, "nvrtcGetErrorString", table.error_string)},
      {"nvrtcVersion", find(library, "nvrtcVersion", table.version)},
      {"nvrtcGetNumSupportedArchs", find(library, "nvrtcGetNumSupportedArchs", table.arch_count)},
      {"nvrtcGetSupportedArchs", find(library, "nvrtcGetSupportedArchs", table.archs)},
      {"nvrtcCreateProgram", find(library, "nvrtcCreateProgram", table.create)},
      {"nvrtcDestroyProgram", find(library, "nvrtcDestroyProgram", table.destroy)},
      {"nvrtcCompileProgram", find(library, "nvrtcCompileProgram", table.compile)},
      {"nvrtcGetCUBINSize", find(library, "nvrtcGetCUBINSize", table.cubin_size)},
      {"nvrtcGetCUBIN", find(library, "nvrtcGetCUBIN", table.cubin)},
      {"nvrtcGetProgramLogSize", find(library, "nvrtcGetProgramLogSize", table.log_size)},
      {"nvrtcGetProgramLog", find(library, "nvrtcGetProgramLog", table.log)}};
  for (const auto& [function, present] : found)
    if (!present)
      return environment(fmt::format("{} has no {}; 11.2 or later is needed", name, function));
  Nvrtc nvrtc;
  nvrtc.table_ = &table;
  link_map* map = nullptr;
  if (::dlinfo(library, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0 && map != nullptr &&
      map->l_name != nullptr)
    nvrtc.path_ = map->l_name;
  if (const int code = table.version(&nvrtc.major_, &nvrtc.minor_); code != 0)
    return environment(nvrtc.error_text("nvrtcVersion", code));
  int count = 0;
  if (const int code = table.arch_count(&count); code != 0)
    return environment(nvrtc.error_text("nvrtcGetNumSupportedArchs", code));
  if (count > 0 && count < 1000) nvrtc.archs_.resize(static_cast<size_t>(count));
  if (const int code = count > 0 ? table.archs(nvrtc.archs_.data()) : 0; code != 0)
    return environment(nvrtc.error_text("nvrtcGetSupportedArchs", code));
  // Where the library lies, then by its name.
  const std::string builtins =
      fmt::format("libnvrtc-builtins.so.{}.{}", nvrtc.major_, nvrtc.minor_);
  for (const fs::path& path : {nvrtc.path_.parent_path() / builtins, fs::path(builtins)})
    if (nvrtc.builtins_.empty() && ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr)
      nvrtc.builtins_ = path;
  return nvrtc;
}

Result<Nvrtc::Output> Nvrtc::compile(const std::string& source, const std::string& name,
                                     const std::vector<DeviceSource>& headers,
                                     const std::vector<std::string>& options) const {
  std::vector<const char*> names, texts, arguments;
  for (const auto& header : headers) {
    names.push_back(header.name.c_str());
    texts.push_back(header.text.c_str());
  }
  for (const auto& option : options) arguments.push_back(option.c_str());
  Table::Program program = nullptr;
  if (const int code = table_->create(&program, source.c_str(), name.c_str(),
                                      static_cast<int>(headers.size()), texts.data(), names.data());
      code != 0)
    return environment(error_text("nvrtcCreateProgram", code));
  const auto destroy = [this](void** p) { table_->destroy(p); };
  const std::unique_ptr<void*, decltype(destroy)> owner(&program, destroy);
  const int code = table_->compile(program, static_cast<int>(arguments.size()), arguments.data());
  Output output;
  size_t size = 0;
  if (table_->log_size(program, &size) == 0 && size > 1) {
    output.log.resize(size);
    if (table_->log(program, output.log.data()) != 0) output.log.clear();
    while (!output.log.empty() && (output.log.back() == '\0' || output.log.back() == '\n'))
      output.log.pop_back();
    if (!output.log.empty()) output.log += '\n';
  }
  if (code == kCompilationError) return output;
  if (code != 0)
    return fail(Error{ErrorKind::kEnvironment, error_text("nvrtcCompileProgram", code), {}}.with(
        "log", output.log.substr(0, 300)));
  if (const int read = table_->cubin_size(program, &size); read != 0 || size == 0)
    return environment(error_text("nvrtcGetCUBINSize", read));
  output.cubin.resize(size);
  if (const int read = table_->cubin(program, output.cubin.data()); read != 0)
    return environment(error_text("nvrtcGetCUBIN", read));
  return output;
}

}  // namespace kernelwright::target
