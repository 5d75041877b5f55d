// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/shared_memory.h"
#include "referee/referee.h"
#include "search/run_result.h"
#include "torch/worker.h"

namespace kernelwright::search {

// The folder of a run while it is being made: `<out>.partial`, renamed to `out` by publish().
// Removed by the destructor when it was not published. A lock that ends with the process holds it:
// what a killed run left is taken over, what a live one writes is not.
class ArtifactFolder {
 public:
  // kUsage when `out` exists and is no empty folder, and when a live run writes `<out>.partial`;
  // kEnvironment when nothing can be written there. With `resume`, `out` may be a finished
  // artifact, which publish() replaces, and best/ of a partial folder stays.
  static Result<ArtifactFolder> create(const std::filesystem::path& out, bool resume = false);
  ArtifactFolder(ArtifactFolder&& other) noexcept;
  ArtifactFolder& operator=(ArtifactFolder&&) = delete;
  ~ArtifactFolder();

  const std::filesystem::path& path() const { return partial_; }
  const std::filesystem::path& out() const { return out_; }
  // There was a run to go on with: a finished artifact or what a killed run left.
  bool continues() const { return continues_; }
  Status publish();

 private:
  ArtifactFolder(std::filesystem::path out, std::filesystem::path partial, base::UniqueFd lock)
      : lock_(std::move(lock)), out_(std::move(out)), partial_(std::move(partial)) {}
  Status replace();
  base::UniqueFd lock_;
  std::filesystem::path out_, partial_;
  bool replaces_ = false, continues_ = false;
};

// What the artifact needs to load the original again: copies the user's file and the neighbours
// that it imports into the folder and returns a spec relative to it (docs/artifact.md).
Result<torch::WorkloadSpec> copy_original(const torch::WorkloadSpec& spec,
                                          const std::vector<std::string>& neighbours,
                                          const std::filesystem::path& folder);
std::map<std::string, std::string> spec_fields(const torch::WorkloadSpec& spec);

// programs/<region>/: program.json, source, object.so.
Status write_program(const referee::Prepared& prepared, const std::string& region,
                     const std::filesystem::path& folder);
// optimized.py and result.json.
Status write_module(const RunResult& result, const graph::Graph& graph,
                    const std::filesystem::path& folder);

}  // namespace kernelwright::search
