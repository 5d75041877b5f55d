// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/subprocess.h"
#include "target/compiler_process.h"

namespace kernelwright::target {

// NVRTC in a process of our own: `kernelwright cuda-compile`, confined as compilers are. Once NVRTC
// is loaded and warm, the process also gives up reading files: what a source may include is what
// we hand over in memory.

// The child. `cuda-compile question LIBRARY` prints what the library is as JSON; `cuda-compile job
// LIBRARY` in a folder with job.json and the source writes object.cubin and log.txt there. Exit
// status: 0 done, 1 the source has errors (log.txt), 2 our surroundings (one line on stderr).
int cuda_compile_main(int argc, char** argv);

struct NvrtcJob {
  std::string source_name;
  std::vector<std::string> options;
};

struct NvrtcInfo {
  std::filesystem::path path, builtins;
  int major = 0, minor = 0;
  std::vector<int> archs;
};

// The program that serves as the child: ours, or `kernelwright` beside it (test binaries).
Result<std::filesystem::path> own_program();

Result<NvrtcInfo> question_nvrtc(const std::string& library);
// Writes job.json into `folder`, where the source lies, and runs the child there.
Result<base::ProcessOutcome> run_nvrtc(const std::filesystem::path& library, const NvrtcJob& job,
                                       const std::filesystem::path& folder, ToolLimits limits);

}  // namespace kernelwright::target
