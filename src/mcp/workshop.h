// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/workbench.h"
#include "search/workbench.h"

namespace kernelwright::mcp {

// The workloads that coding agents opened in this process. Files named by them lie below one root
// folder; artifacts go to its runs/. Made, used and destroyed in one thread.
class RootedWorkshop : public agent::Workshop {
 public:
  explicit RootedWorkshop(std::filesystem::path root) : root_(std::move(root)) {}
  ~RootedWorkshop() override;

  Result<std::string> open(const agent::OpenRequest& request, const agent::Call& call) override;
  Result<agent::Workbench*> find(const std::string& handle) override;
  std::vector<std::string> handles() const override;
  Status run_expert(const std::string& handle, const std::string& region, double seconds,
                    const agent::Call& call) override;
  Result<Written> write_artifact(const std::string& handle, const agent::Call& call) override;
  Status close(const std::string& handle) override;

 private:
  struct Open {
    std::unique_ptr<search::OpenedRun> run;
    std::unique_ptr<search::RunWorkbench> bench;
    double search_s = 0;
  };
  using Opened = std::map<std::string, Open>::iterator;
  Result<Opened> at(const std::string& handle);

  std::filesystem::path root_;
  std::map<std::string, Open> open_;
  int last_ = 0;
  std::function<bool()> stop_;  // of the call at work
};

// The canonical form of a file's path when it lies below `root` (itself canonical) and is there:
// kUsage otherwise.
Result<std::filesystem::path> file_below(const std::filesystem::path& root,
                                         const std::string& path);
// A name that is one plain part of a path: letters, digits, '.', '_' and '-', no leading dot.
bool is_bare_name(const std::string& name);

}  // namespace kernelwright::mcp
