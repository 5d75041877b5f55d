// SPDX-License-Identifier: Apache-2.0
// kw_expert_programs GRAPH.json DIR [TARGET] [COUNT] [TERM...]: what the expert proposes for a
// graph's first region, by a machine model with an H100's round figures (TARGET cuda, the default):
// DIR/naive, DIR/0, DIR/1, ... each with its idea in idea.txt. Prints the ideas. With terms ("stay
// 1"), of COUNT proposals those alone whose ideas have all of them.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/file.h"
#include "expert/expert.h"
#include "graph/import.h"
#include "rewrite/partition.h"

namespace kernelwright {
namespace {

target::MachineModel round_figures(const std::string& target) {
  target::MachineModel model;
  model.target = target;
  model.threads = target == "cuda" ? 132 * 2048 : 8;
  model.multiprocessors = target == "cuda" ? 132 : 0;
  model.shared_bytes = target == "cuda" ? 227 << 10 : 0;
  model.vector_bytes = target == "cuda" ? 16 : 32;
  model.levels = {{"L2", 50 << 20, 5.5e12, 5e12}, {"DRAM", 0, 3.1e12, 3e12}};
  model.rates = {{"fma", graph::DType::kF32, 6e13}, {"fma", graph::DType::kF64, 3e13}};
  if (target == "cuda") {
    model.rates.push_back({"bf16", graph::DType::kBF16, 6.5e14});
    model.shared_bytes = 227 << 10;
    model.capability = 90;
  }
  model.launch_s = 2e-6;
  return model;
}

Status write(const program::Candidate& candidate, const std::filesystem::path& folder,
             const std::string& idea) {
  fmt::print("{}: {}\n", folder.filename().string(), idea);
  KW_CHECK_OK(program::write_candidate(candidate, folder));
  return base::write_file_atomic(folder / "idea.txt", idea + "\n");
}

Status propose(const std::string& file, const std::filesystem::path& out, const std::string& target,
               int count, const std::vector<std::string>& terms) {
  KW_TRY(const graph::Graph graph, graph::read_graph(file));
  const rewrite::Partition partition = rewrite::partition(graph);
  if (partition.regions.empty()) return fail(ErrorKind::kInput, "no region");
  KW_TRY(const graph::StageGraph stages, graph::lower(graph, partition.regions[0]));
  expert::ExpertOptions options;
  options.target = target;
  KW_TRY(const program::Candidate naive, expert::naive_program(stages, options));
  KW_CHECK_OK(write(naive, out / "naive", "naive loop nests"));
  KW_TRY(auto expert, expert::make_expert(stages, round_figures(target), options));
  KW_TRY(const auto proposals, expert->propose(count));
  for (size_t i = 0; i < proposals.size(); ++i) {
    // A term ends where the next begins.
    const std::string ends = proposals[i].idea + ",";
    const bool wanted = std::all_of(terms.begin(), terms.end(), [&](const std::string& term) {
      return ends.find(" " + term + ",") != std::string::npos;
    });
    if (!wanted) continue;
    KW_CHECK_OK(write(proposals[i].candidate, out / std::to_string(i), proposals[i].idea));
  }
  return {};
}

}  // namespace
}  // namespace kernelwright

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "kw_expert_programs GRAPH.json DIR [TARGET] [COUNT] [TERM...]\n");
    return 2;
  }
  const auto done = kernelwright::propose(argv[1], argv[2], argc > 3 ? argv[3] : "cuda",
                                          argc > 4 ? std::atoi(argv[4]) : 4,
                                          {argv + std::min(argc, 5), argv + argc});
  if (!done) fmt::print(stderr, "{}\n", done.error().text());
  return done ? 0 : 1;
}
