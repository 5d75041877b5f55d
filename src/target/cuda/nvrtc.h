// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "target/device_source.h"

namespace kernelwright::target {

// NVIDIA's run-time compiler, opened with dlopen; no header and no link-time library of CUDA's. It
// maps some 100 MB and is not made for hostile input, so it lives in a process of its own
// (nvrtc_process.h).
class Nvrtc {
 public:
  // Opens the library of that name or path and, beside it, its builtins, which it would otherwise
  // look for by name and miss. kEnvironment, one line.
  static Result<Nvrtc> open(const std::string& library);

  struct Output {
    std::string cubin;  // empty: errors, see the log
    std::string log;
  };
  // Compiles one translation unit. `options` as on NVRTC's command line; the architecture must be a
  // real one (sm_90a). Includes are found among `headers` by the name written.
  Result<Output> compile(const std::string& source, const std::string& name,
                         const std::vector<DeviceSource>& headers,
                         const std::vector<std::string>& options) const;

  int major() const { return major_; }
  int minor() const { return minor_; }
  const std::vector<int>& archs() const { return archs_; }             // 75, 80, ...
  const std::filesystem::path& path() const { return path_; }          // of the library
  const std::filesystem::path& builtins() const { return builtins_; }  // empty: not found

 private:
  struct Table;
  Nvrtc() = default;
  std::string error_text(const char* call, int code) const;

  const Table* table_ = nullptr;
  std::filesystem::path path_, builtins_;
  int major_ = 0, minor_ = 0;
  std::vector<int> archs_;
};

}  // namespace kernelwright::target
