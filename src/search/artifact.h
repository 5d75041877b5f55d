// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/shared_memory.h"
#include "referee/referee.h"
#include "search/run_result.h"
#include "torch/worker.h"

namespace kernelwright::search {

// What models were asked and replied (agent/transcript.h), in a run's folder.
inline constexpr const char* kTranscriptFile = "transcript.jsonl";

// The folder of a run while it is being made: `<out>.partial`, renamed to `out` by publish().
// Removed by the destructor when it was not published, but for the best so far that a resumed run
// has found there. A lock that ends with the process holds it: what a killed run left is taken
// over, what a live one writes is not.
class ArtifactFolder {
 public:
  // kUsage when `out` exists and is no empty folder, and when a live run writes `<out>.partial`;
  // kEnvironment when nothing can be written there. With `resume`, `out` may be a finished
  // artifact, which publish() replaces, and best/ and the transcript of a partial folder stay.
  static Result<ArtifactFolder> create(const std::filesystem::path& out, bool resume = false);
  ArtifactFolder(ArtifactFolder&& other) noexcept;
  ArtifactFolder& operator=(ArtifactFolder&&) = delete;
  ~ArtifactFolder();

  const std::filesystem::path& path() const { return partial_; }
  const std::filesystem::path& out() const { return out_; }
  // There was a run to go on with: a finished artifact or what a killed run left.
  bool continues() const { return continues_; }
  // Where the search writes the best so far, one folder a region, and whose run it is.
  std::filesystem::path best() const { return partial_ / "best"; }
  // The workload of the finished run in `out`, else of the killed run's best so far; nullopt: there
  // is none, or nothing says.
  std::optional<std::string> workload() const;
  Status note_workload(const std::string& workload) const;
  Status publish();

 private:
  ArtifactFolder(std::filesystem::path out, std::filesystem::path partial, base::UniqueFd lock)
      : lock_(std::move(lock)), out_(std::move(out)), partial_(std::move(partial)) {}
  Status replace();
  base::UniqueFd lock_;
  std::filesystem::path out_, partial_;
  bool replaces_ = false, continues_ = false;
  bool keeps_found_ = false;  // a killed run left it, and it is not ours to lose
};

// What the artifact needs to load the original again: copies the user's file and the neighbours
// that it imports into the folder and returns a spec relative to it (docs/artifact.md).
Result<torch::WorkloadSpec> copy_original(const torch::WorkloadSpec& spec,
                                          const std::vector<std::string>& neighbours,
                                          const std::filesystem::path& folder);
// The result's "spec": the copy's fields, and where the user's file lay.
std::map<std::string, std::string> spec_fields(const torch::WorkloadSpec& copy,
                                               const torch::WorkloadSpec& original);

// programs/<region>/: program.json, source, object.so (object.cubin of a program for a GPU).
Status write_program(const referee::Prepared& prepared, const std::string& region,
                     const std::filesystem::path& folder);
// optimized.py and result.json.
Status write_module(const RunResult& result, const graph::Graph& graph,
                    const std::filesystem::path& folder);

}  // namespace kernelwright::search
