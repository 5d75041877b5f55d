// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "referee/referee.h"
#include "search/run_result.h"
#include "torch/worker.h"

namespace kernelwright::search {

// The folder of a run while it is being made: `<out>.partial`, renamed to `out` by publish().
// Removed by the destructor when it was not published.
class ArtifactFolder {
 public:
  // kUsage when `out` exists and is no empty folder; kEnvironment when nothing can be written
  // there.
  static Result<ArtifactFolder> create(const std::filesystem::path& out);
  ArtifactFolder(ArtifactFolder&& other) noexcept;
  ArtifactFolder& operator=(ArtifactFolder&&) = delete;
  ~ArtifactFolder();

  const std::filesystem::path& path() const { return partial_; }
  const std::filesystem::path& out() const { return out_; }
  Status publish();

 private:
  ArtifactFolder(std::filesystem::path out, std::filesystem::path partial)
      : out_(std::move(out)), partial_(std::move(partial)) {}
  std::filesystem::path out_, partial_;
};

// What the artifact needs to load the original again: copies the user's file into the folder and
// returns a spec relative to it (docs/artifact.md).
Result<torch::WorkloadSpec> copy_original(const torch::WorkloadSpec& spec,
                                          const std::filesystem::path& folder);
std::map<std::string, std::string> spec_fields(const torch::WorkloadSpec& spec);

// programs/<region>/: program.json, source, object.so.
Status write_program(const referee::Prepared& prepared, const std::string& region,
                     const std::filesystem::path& folder);
// optimized.py and result.json.
Status write_module(const RunResult& result, const graph::Graph& graph,
                    const std::filesystem::path& folder);

}  // namespace kernelwright::search
