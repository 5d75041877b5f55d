// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace kernelwright::cli {

// Options that every command takes. With `json` a command prints one object on stdout and
// everything else on stderr.
struct GlobalOptions {
  bool json = false;
  bool verbose = false;
  bool quiet = false;
};

// A workload as named on the command line, and what it takes to build it.
struct WorkloadOptions {
  std::string workload;  // file.py, file.py:Class, package.module:Class, file.pt2
  std::string init;      // JSON
  std::string inputs;    // 'f32[8,3,224,224],...' or a .pt file
  std::string size;      // "cpu", "gpu"; empty: by target
};

// Where and how something is judged.
struct JudgeOptions {
  std::string target;  // "cpu", "cuda:0"; empty: cuda if a device answers, else cpu
  std::string policy;  // "strict", ...; empty: by dtype
  int threads = 0;     // 0: torch's own choice
  uint64_t seed = 0;   // 0: unpredictable
};

// Who proposes programs, for how long, and what a model may cost.
struct SearchOptions {
  double budget_s = 120;
  std::vector<std::string> proposers = {"expert"};
  std::vector<std::string> models;
  std::vector<std::string> hints;  // text, or @FILE
  double max_cost_usd = 0;         // 0: no bound
  int64_t max_tokens = 0;          // 0: no bound
};

struct OptimizeOptions {
  WorkloadOptions workload;
  JudgeOptions judge;
  SearchOptions search;
  std::string out;  // empty: runs/<workload>-<time>
  bool resume = false;
  std::string replay;  // run whose model replies are used again
  bool show_prompts = false;
};

struct CheckOptions {
  WorkloadOptions workload;
  JudgeOptions judge;
  std::string program_dir;
};

struct VerifyOptions {
  std::string artifact_dir;
  int threads = 0;
  uint64_t seed = 0;
};

struct BenchOptions {
  std::vector<std::string> paths;
  std::string size;
  JudgeOptions judge;
  SearchOptions search;
  std::string out;  // JSON lines
  bool resume = false;
  int drawn = 0;                         // sizes per workload that are drawn; 0: the files' own
  int shard_index = 1, shard_count = 1;  // 1 <= index <= count
};

struct ExplainOptions {
  WorkloadOptions workload;
  JudgeOptions judge;
};

struct ProbeOptions {
  std::string target;
  bool remeasure = false;
};

struct ArchiveOptions {
  enum class Action { kList, kShow, kBest, kLessons, kExport } action = Action::kList;
  std::string id;              // of show, best (a workload) and export
  std::string format = "dir";  // "dir", "kernelbench"
  std::string out;             // of export
  bool as_json_lines = false;  // of lessons
};

struct ReportOptions {
  std::string run_dir;
};

struct McpOptions {
  std::string http;  // address; empty: stdio
  std::string root;  // folder that clients may name files of; empty: the current one
};

struct CacheOptions {
  enum class Action { kShow, kClear } action = Action::kShow;
};

// Each returns the exit code: 0 done, 2 usage, input or surroundings, 3 rejected, 4 internal, 130
// interrupted.
int cmd_optimize(const OptimizeOptions& options, const GlobalOptions& global);
int cmd_check(const CheckOptions& options, const GlobalOptions& global);
int cmd_verify(const VerifyOptions& options, const GlobalOptions& global);
int cmd_bench(const BenchOptions& options, const GlobalOptions& global);
int cmd_explain(const ExplainOptions& options, const GlobalOptions& global);
int cmd_probe(const ProbeOptions& options, const GlobalOptions& global);
int cmd_archive(const ArchiveOptions& options, const GlobalOptions& global);
int cmd_report(const ReportOptions& options, const GlobalOptions& global);
int cmd_mcp(const McpOptions& options, const GlobalOptions& global);
int cmd_cache(const CacheOptions& options, const GlobalOptions& global);
int cmd_doctor(const GlobalOptions& global);

// Says an error to the user: one line on stderr, with --json also {"status": "error", "error":
// {...}} on stdout. Returns its exit code.
int report_error(const Error& error, const GlobalOptions& global);

}  // namespace kernelwright::cli
