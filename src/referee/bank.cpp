// SPDX-License-Identifier: Apache-2.0
#include "referee/bank.h"

#include <algorithm>

#include "referee/tolerance.h"

namespace kernelwright::referee {

using torch::DrawKind;

const std::vector<DrawKind>& all_draw_kinds() {
  static const std::vector<DrawKind> kinds = {
      DrawKind::kOwn,   DrawKind::kExact,    DrawKind::kNegative, DrawKind::kWide,
      DrawKind::kZeros, DrawKind::kConstant, DrawKind::kWeights};
  return kinds;
}

Bank::Bank(DrawSource& source, Space& space, program::Interface interface, uint64_t seed)
    : source_(source), space_(space), interface_(std::move(interface)), random_(seed) {
  if (seed == 0) {
    std::random_device device;
    std::seed_seq mix{device(), device(), device(), device()};
    random_.seed(mix);
  }
}

Result<std::unique_ptr<BankDraw>> Bank::draw(DrawKind kind) {
  DrawRequest request;
  request.kind = kind;
  request.seed = random_();
  request.band_seed = random_();
  request.flush = made_ % 2 == 0 ? Flush::kEnd : Flush::kStart;
  request.interface = &interface_;
  request.usual_weights = weights_;
  request.usual_regions = weight_regions_;
  KW_TRY(std::unique_ptr<BankDraw> out, space_.draw(source_, request));
  if (!out) return out;
  ++made_;
  if (out->answers.size() != interface_.outputs.size() + interface_.states.size())
    return fail(ErrorKind::kInternal, "a draw has the wrong number of answers");
  if (!weights_) {
    weights_ = out->weights;
    weight_regions_ = out->weight_regions;
  }
  for (BankDraw::Expected& answer : out->answers) {
    KW_TRY(answer.eager, answer.elements->measure_eager());
  }
  pooled_.resize(out->answers.size());
  for (size_t i = 0; i < out->answers.size(); ++i) {
    const ErrorFigures& figures = out->answers[i].eager.figures;
    pooled_[i].rho_rms = std::max(pooled_[i].rho_rms, figures.rho_rms);
    pooled_[i].rho_max = std::max(pooled_[i].rho_max, figures.rho_max);
  }
  pool(*out);
  return out;
}

void Bank::clear() {
  draws_.clear();
  weights_.reset();
  weight_regions_.clear();
}

void Bank::pool(BankDraw& draw) const {
  for (size_t i = 0; i < draw.answers.size(); ++i) {
    Distance& eager = draw.answers[i].eager;
    if (eager.judged >= kTolerances.few_elements) continue;
    eager.figures.rho_rms = pooled_[i].rho_rms;
    eager.figures.rho_max = pooled_[i].rho_max;
  }
}

Result<bool> Bank::fill(int count) {
  const DrawKind order[] = {DrawKind::kOwn,      DrawKind::kExact,    DrawKind::kWide,
                            DrawKind::kOwn,      DrawKind::kNegative, DrawKind::kWeights,
                            DrawKind::kConstant, DrawKind::kZeros};
  for (DrawKind kind : order) {
    if (static_cast<int>(draws_.size()) >= count) break;
    KW_TRY(auto drawn, draw(kind));
    if (!drawn && kind == DrawKind::kOwn) {
      clear();
      return false;
    }
    if (drawn) draws_.push_back(std::move(drawn));
  }
  while (static_cast<int>(draws_.size()) < count) {
    KW_TRY(auto drawn, draw(DrawKind::kOwn));
    if (!drawn) break;
    draws_.push_back(std::move(drawn));
  }
  for (const auto& draw : draws_) pool(*draw);
  return true;
}

}  // namespace kernelwright::referee
