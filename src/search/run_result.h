// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "graph/analysis.h"
#include "graph/graph.h"
#include "referee/verdict.h"
#include "rewrite/rules.h"
#include "search/region_search.h"

namespace kernelwright::search {

// Times of the original module, in ms.
struct BaselineFigures {
  double eager_ms = 0;
  std::optional<double> compile_ms;
  double best_ms = 0;
  std::string best_name;
  std::vector<std::string> notes;  // "compile: failed: ..."
};

// The drop-in against the fastest baseline, alternating in one process, warm memory.
struct BestFigures {
  double ms = 0, latency_ms = 0;
  double speedup = 1, speedup_low = 1, speedup_high = 1;
  std::string program;  // id of the program, ids joined by '+' for several regions
};

// The drop-in against one baseline, of the same alternating calls.
struct Comparison {
  std::string baseline;                                   // "eager", "compile"
  double ms = 0;                                          // the baseline's
  double speedup = 1, speedup_low = 1, speedup_high = 1;  // median of paired ratios, 95 % bounds
};

// The same against the original with fresh memory on both sides: what the first call after an
// allocation sees.
struct FreshFigures {
  double original_ms = 0, dropin_ms = 0, speedup = 1;
};

// A call's bytes moved without any work, timed among the calls of the final check: what memory
// allowed just then.
struct MemoryFigures {
  int64_t read_bytes = 0, written_bytes = 0;
  double ms = 0;
};

struct RegionResult {
  graph::Region region;
  bool accepted = false;
  std::string program_id;
  std::optional<referee::Verdict> promotion;
  RegionSearchResult search;
  double eager_ms = 0;
  double speed_of_light_s = 0;
  std::string bound;                       // "memory" or "compute"
  graph::Work work;                        // the least known, what the speed of light counts
  graph::Ceilings ceilings;                // of the machine, for its dtype under the policy
  std::vector<std::string> kernels;        // kernel names of the accepted program's plan
  std::vector<rewrite::Applied> rewrites;  // rules that the accepted program came by
};

// What one `optimize` found. JSON form: docs/artifact.md.
struct RunResult {
  std::string workload, target, policy, device;
  std::string status = "baseline_kept";  // or "improved"
  std::string reason;                    // why the baseline was kept
  BaselineFigures baseline;
  std::optional<BestFigures> best;
  std::vector<Comparison> comparisons;  // of the drop-in, also where it was not taken
  std::optional<FreshFigures> fresh;
  std::optional<MemoryFigures> memory;
  std::optional<referee::ErrorFigures> candidate_error, eager_error;
  double coverage = 0, share_of_libraries = 0;
  double speed_of_light_ms = 0;
  std::string bound;
  double prepare_ms = 0;
  double others_share = 0;  // of the processors, by other programs, while the drop-in was timed
  bool disturbed = false;   // that was enough to make the figures doubtful
  std::map<std::string, int> verdicts;
  double elapsed_s = 0, search_s = 0;
  int tried = 0;
  std::string artifact;
  std::string command, started;  // ISO time, UTC
  std::string machine_json;      // the machine model; empty: not measured
  std::map<std::string, std::string> versions;
  std::string cpu_features;
  int abi = 0, threads = 0;
  bool interrupted = false;
  std::map<std::string, std::string> spec_fields;
  std::vector<RegionResult> regions;
  std::vector<graph::EagerNote> eager;
  std::string agents_json;  // what models took and why they stopped; empty: there were none
};

nlohmann::json run_result_json(const RunResult& result, const graph::Graph& graph);
// A region as it is told to Python.
nlohmann::json region_json(const graph::Graph& graph, const graph::Region& region);

}  // namespace kernelwright::search
