// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "torch/worker.h"

namespace kernelwright::referee {

// Where draws and baseline times of one region come from: the torch worker, or a double in tests.
class DrawSource {
 public:
  virtual ~DrawSource() = default;
  virtual Result<std::optional<torch::Draw>> draw(torch::DrawKind kind, uint64_t seed) = 0;
  virtual Result<torch::Worker::BaselineReady> prepare_baseline(const std::string& name) = 0;
  virtual Result<std::vector<double>> time_baseline(const std::string& name, int calls,
                                                    size_t flush_bytes) = 0;
};

std::unique_ptr<DrawSource> torch_draw_source(torch::Worker& worker, std::string region);

}  // namespace kernelwright::referee
