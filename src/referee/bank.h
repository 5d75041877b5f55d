// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "referee/space.h"

namespace kernelwright::referee {

// Makes draws of a region and checks them against its interface.
class Bank {
 public:
  // seed 0: unpredictable.
  Bank(DrawSource& source, Space& space, program::Interface interface, uint64_t seed);

  // nullptr: this kind makes no sense here. The answer stays with the caller.
  Result<std::unique_ptr<BankDraw>> draw(torch::DrawKind kind);
  uint64_t random() { return random_(); }

  // Kinds of the search tier in order of use, `count` of them (own content at least twice, for
  // timing).
  // False: the workload's own inputs cannot be drawn, so nothing can be judged.
  Result<bool> fill(int count);
  const std::vector<std::unique_ptr<BankDraw>>& draws() const { return draws_; }
  // Gives the memory of all draws back.
  void clear();

 private:
  void pool(BankDraw& draw) const;

  DrawSource& source_;
  Space& space_;
  program::Interface interface_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<BankDraw>> draws_;
  // The weights that most draws share.
  std::shared_ptr<Arena> weights_;
  std::map<std::string, int> weight_regions_;
  int made_ = 0;
  // Per answer, eager's largest error so far: what small answers are judged by, where one draw's
  // figure is chance.
  std::vector<ErrorFigures> pooled_;
};

// Every kind there is, for promotion.
const std::vector<torch::DrawKind>& all_draw_kinds();

}  // namespace kernelwright::referee
