// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "target/target.h"

namespace kernelwright::target {

// A CUDA compiler of this machine.
struct CudaCompiler {
  enum class Kind { kNvrtc, kNvcc };
  Kind kind = Kind::kNvrtc;
  std::filesystem::path path;     // libnvrtc, or nvcc
  std::string version;            // "NVRTC 13.0"
  int major = 0, minor = 0;       // of the toolkit
  std::vector<int> archs;         // what it knows: 75, 80, ...
  std::set<std::string> headers;  // nvcc: files that every source reads
  std::string identity;           // hash of all of this
};

// `setting`: "" (NVRTC, else nvcc), "nvrtc", "nvcc", or the path of either. kEnvironment, one line,
// when there is none that works. What a compiler says about itself is kept under `cache_root`.
Result<CudaCompiler> find_cuda_compiler(const std::string& setting,
                                        const std::filesystem::path& cache_root);

// Files named libnvrtc.so.N in the usual places, newest first: CUDA_HOME, /usr/local/cuda*, library
// folders, and the nvidia packages beside the Python that KERNELWRIGHT_PYTHON or VIRTUAL_ENV names.
std::vector<std::filesystem::path> nvrtc_candidates();

// "sm_90a": what to compile for on a device, with the features of that very device where it has a
// variant of its own. kEnvironment where the compiler is too old for it.
Result<std::string> cuda_arch(const CudaCompiler& compiler, int major, int minor);
// The reason why code for `arch` ("sm_90a", "sm_100f", "sm_86") does not run on the device; empty
// when it does.
std::string arch_misfit(const std::string& arch, int major, int minor);

// One translation unit and what must come out of it.
struct CudaCompileJob {
  std::string source_name = "kernels.cu";  // in messages
  std::string source;
  std::map<std::string, int64_t> defines;
  std::vector<std::string> flags;    // the candidate's own, from the allow-list
  std::vector<std::string> kernels;  // extern "C" __global__ functions that must be there
  std::string arch;                  // "sm_90a"
};

struct CudaCompileLimits {
  double wall_s = 60;
  uint64_t memory_bytes = 8ull << 30;
  uint64_t object_bytes = 64ull << 20;
};

// The complete command line but for file names; part of the build key.
std::vector<std::string> cuda_compile_flags(const CudaCompiler& compiler,
                                            const CudaCompileJob& job);
// Identity of the cubin that `job` would give.
std::string cuda_compile_key(const CudaCompiler& compiler, const CudaCompileJob& job);

struct CudaCompileOutput {
  std::string log;  // warnings
  double seconds = 0;
  std::vector<KernelResources> kernels;
};

// Compiles `job` in `folder` (private, empty) into folder/object.cubin. The compiler is a confined
// process: it reads system folders and its installation (NVRTC: after its start nothing at all),
// writes `folder`, has no network; time, memory and sizes are bounded. Includes: our device headers
// only. The outer Result fails on our own troubles, the inner one is the source's.
Result<tl::expected<CudaCompileOutput, BuildFailure>> compile_cuda(
    const CudaCompiler& compiler, const CudaCompileJob& job, const std::filesystem::path& folder,
    const CudaCompileLimits& limits);

}  // namespace kernelwright::target
