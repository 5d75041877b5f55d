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
  // Why the latest draw that was asked for makes no sense, in one line; "" where that is not known.
  virtual std::string why_skipped() const { return ""; }
  virtual Result<torch::Worker::BaselineReady> prepare_baseline(const std::string& name) = 0;
  virtual Result<torch::Samples> time_baseline(const std::string& name, int calls,
                                               size_t flush_bytes) = 0;
  // Draws made in memory of a GPU that the coordinator owns (docs/torch-worker.md). A source that
  // makes none is asked for draws in host memory, which are copied.
  virtual bool draws_on_device() const { return false; }
  virtual Status map_memory(const torch::DeviceMemory& memory, const std::vector<int>& fds) {
    return fail(ErrorKind::kInternal, "this source has no device");
  }
  virtual Status unmap_memory(const std::vector<int>& ids) { return {}; }
  virtual Result<std::optional<torch::DeviceDraw>> draw_on(torch::DrawKind kind, uint64_t seed,
                                                           const torch::DevicePlaces& places) {
    return fail(ErrorKind::kInternal, "this source has no device");
  }
};

// `on_device`: the worker holds the module on a GPU.
std::unique_ptr<DrawSource> torch_draw_source(torch::Worker& worker, std::string region,
                                              bool on_device);

}  // namespace kernelwright::referee
