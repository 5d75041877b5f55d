// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "program/program.h"
#include "referee/arena.h"
#include "referee/compare.h"
#include "referee/draw_source.h"

namespace kernelwright::referee {

// A draw made ready for judging: what the judged process may see in frozen arenas, what is known of
// the answer in the coordinator alone.
struct BankDraw {
  torch::DrawKind kind = torch::DrawKind::kOwn;
  bool ill_conditioned = false;
  std::vector<double> scalars;
  std::shared_ptr<Arena> given;    // inputs by index, then states before the call
  std::shared_ptr<Arena> weights;  // shared by draws with equal weights
  std::vector<int> input_regions;
  std::map<std::string, int> state_regions, weight_regions;

  struct Expected {
    std::string name;  // state name; empty: output `index`
    int index = -1;
    Answer answer;
    Distance eager;
    std::string label() const {
      return name.empty() ? "output " + std::to_string(index) : "state '" + name + "'";
    }
  };
  std::vector<Expected> answers;
  base::SharedMemory expected;  // what `answers` point into
};

// Makes draws of a region and checks them against its interface.
class Bank {
 public:
  // seed 0: unpredictable.
  Bank(DrawSource& source, program::Interface interface, uint64_t seed);

  // nullptr: this kind makes no sense here. The answer stays with the caller.
  Result<std::unique_ptr<BankDraw>> draw(torch::DrawKind kind);
  uint64_t random() { return random_(); }

  // Kinds of the search tier in order of use, `count` of them (own content at least twice, for
  // timing).
  Status fill(int count);
  const std::vector<std::unique_ptr<BankDraw>>& draws() const { return draws_; }

 private:
  Status take_weights(const torch::Draw& draw, BankDraw& out);
  void pool(BankDraw& draw) const;

  DrawSource& source_;
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
