// SPDX-License-Identifier: Apache-2.0
// Runs tests/cases/rewrite/rules.txt: which rules apply to a chain of ops, in fp64 with the same
// result.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "rewrite/fuse.h"
#include "rewrite/rules.h"
#include "support/chain.h"

namespace kernelwright::rewrite {
namespace {

struct Case {
  std::string name, chain;
  std::vector<std::string> rules;
  int kernels = 0;
};

std::vector<Case> read_cases(const std::string& path) {
  std::vector<Case> cases;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto rest = [&](size_t from) { return line.substr(from); };
    if (line.rfind("case ", 0) == 0)
      cases.emplace_back().name = rest(5);
    else if (line.rfind("expect ", 0) == 0)
      cases.back().rules.push_back(rest(7));
    else if (line.rfind("kernels ", 0) == 0)
      cases.back().kernels = std::stoi(rest(8));
    else
      cases.back().chain += line + "\n";
  }
  return cases;
}

TEST(RewriteCases, RulesApplyWhereTheyHoldAndPay) {
  const auto cases = read_cases(std::string(KW_SOURCE_DIR) + "/tests/cases/rewrite/rules.txt");
  ASSERT_GT(cases.size(), 20u);
  std::set<std::string> seen;
  RuleOptions options;
  options.ceilings = {20e9, 100e9};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    const graph::StageGraph graph = ::kernelwright::testing::chain(one.chain);
    const Rewritten rewritten = apply_rules(graph, options);
    std::vector<std::string> rules;
    for (const Applied& applied : rewritten.applied) rules.push_back(applied.rule);
    EXPECT_EQ(rules, one.rules);
    seen.insert(rules.begin(), rules.end());
    int kernels = 0;
    for (const FusedOp& op : fuse(rewritten.graph).ops) kernels += op.prepared ? 0 : 1;
    EXPECT_EQ(kernels, one.kernels) << rewritten.graph.text();
    EXPECT_LT(::kernelwright::testing::difference(graph, rewritten.graph,
                                                  ::kernelwright::testing::random_data(graph, 7)),
              1e-10);
  }
  for (const Rule& rule : rules())
    EXPECT_TRUE(seen.count(rule.name)) << "no case for " << rule.name;
}

}  // namespace
}  // namespace kernelwright::rewrite
