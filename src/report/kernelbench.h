// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "program/parse.h"

namespace kernelwright::report {

// An artifact as one Python file in KernelBench's form: class ModelNew, all sources as strings, run
// by PyTorch and a compiler (nvcc for cuda, g++ for cpu) alone. `artifact`: a run's folder
// (docs/artifact.md). Where `candidate` is given it stands for the program of `region`. kInput for
// an artifact whose original is no Python file, that was exported in parts, or holds a program
// without a stand-alone form.
Result<std::string> kernelbench_file(const std::filesystem::path& artifact,
                                     const program::Candidate* candidate,
                                     const std::string& region);

}  // namespace kernelwright::report
