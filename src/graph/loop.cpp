// SPDX-License-Identifier: Apache-2.0
#include "graph/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace kernelwright::graph {

std::vector<Loop> loops_of(const std::vector<Stage>& stages,
                           const std::vector<StageTensor>& tensors) {
  std::vector<Loop> loops;
  for (size_t i = 0; i < stages.size(); ++i) {
    if (stages[i].loop < 0) continue;
    if (i > 0 && stages[i - 1].loop == stages[i].loop) {
      loops.back().last = i + 1;
      continue;
    }
    const Shape& shape = tensors[static_cast<size_t>(stages[i].output)].type.shape;
    loops.push_back({i, i + 1, shape.empty() ? 0 : shape[0]});
  }
  return loops;
}

int steps_back(const ExprNode& load) {
  if (load.operands.empty()) return -1;
  int most = 0;
  visit(load.operands[0], [&](const ExprNode& e) {
    if (e.op == ExprOp::kAxis) most = std::max(most, e.axis);
  });
  const auto affine = as_affine(load.operands[0], most + 1);
  if (!affine || affine->coefficients[0] != 1) return -1;
  for (size_t a = 1; a < affine->coefficients.size(); ++a)
    if (affine->coefficients[a] != 0) return -1;
  return affine->constant == 0 ? 0 : affine->constant == -1 ? 1 : -1;
}

std::vector<int> read_back(const std::vector<Stage>& loop) {
  std::set<int> made, found;
  for (const Stage& stage : loop) made.insert(stage.output);
  for (const Stage& stage : loop) {
    for (const Expr& expr : {stage.body, stage.finish}) {
      if (!expr) continue;
      visit(expr, [&](const ExprNode& e) {
        if (e.op == ExprOp::kLoad && made.count(e.tensor) != 0 && steps_back(e) == 1)
          found.insert(e.tensor);
      });
    }
  }
  return {found.begin(), found.end()};
}

Status check_loops(const std::vector<Stage>& stages, const std::vector<StageTensor>& tensors) {
  std::set<int> seen;
  for (const Loop& loop : loops_of(stages, tensors)) {
    const Stage& head = stages[loop.first];
    const auto wrong = [&](const std::string& what) {
      return fail(ErrorKind::kInternal,
                  fmt::format("{}: loop {}: {}", head.origin, head.loop, what));
    };
    if (!seen.insert(head.loop).second) return wrong("its stages do not stand together");
    std::map<int, size_t> own;  // tensor -> the stage that makes it
    for (size_t i = loop.first; i < loop.last; ++i) {
      const StageTensor& tensor = tensors[static_cast<size_t>(stages[i].output)];
      if (tensor.type.shape.empty() || tensor.type.shape[0] != loop.steps)
        return wrong(fmt::format("{} does not have its {} steps", tensor.name, loop.steps));
      if (tensor.role == TensorRole::kState) return wrong(tensor.name + " is a state");
      own[stages[i].output] = i;
    }
    for (size_t i = loop.first; i < loop.last; ++i) {
      std::string misread;
      const auto check = [&](const ExprNode& e) {
        const auto made = e.op == ExprOp::kLoad ? own.find(e.tensor) : own.end();
        if (made == own.end()) return;
        const int back = steps_back(e);
        if (back == 1 || (back == 0 && made->second < i)) return;
        misread = tensors[static_cast<size_t>(e.tensor)].name;
      };
      visit(stages[i].body, check);
      if (stages[i].finish) visit(stages[i].finish, check);
      if (!misread.empty()) return wrong(misread + " is read where it is not made yet");
    }
  }
  return {};
}

std::vector<bool> live_tensors(const std::vector<Stage>& stages,
                               const std::vector<StageTensor>& tensors) {
  std::vector<bool> live(tensors.size());
  for (size_t t = 0; t < live.size(); ++t) live[t] = tensors[t].role != TensorRole::kTemporary;
  // Within a loop an earlier stage may read what a later one makes: until nothing changes.
  for (bool changed = true; changed;) {
    changed = false;
    const auto mark = [&](const ExprNode& e) {
      if (e.op != ExprOp::kLoad || live[static_cast<size_t>(e.tensor)]) return;
      live[static_cast<size_t>(e.tensor)] = true;
      changed = true;
    };
    for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
      if (!live[static_cast<size_t>(stage->output)]) continue;
      visit(stage->body, mark);
      if (stage->finish) visit(stage->finish, mark);
    }
  }
  return live;
}

}  // namespace kernelwright::graph
