// SPDX-License-Identifier: Apache-2.0
#include "referee/draw_source.h"

namespace kernelwright::referee {
namespace {

class TorchDrawSource final : public DrawSource {
 public:
  TorchDrawSource(torch::Worker& worker, std::string region, bool on_device)
      : worker_(worker), region_(std::move(region)), on_device_(on_device) {}
  Result<std::optional<torch::Draw>> draw(torch::DrawKind kind, uint64_t seed) override {
    return worker_.draw(region_, kind, seed);
  }
  std::string why_skipped() const override { return worker_.why_skipped(); }
  Result<torch::Worker::BaselineReady> prepare_baseline(const std::string& name) override {
    return worker_.prepare_baseline(region_, name);
  }
  Result<torch::Samples> time_baseline(const std::string& name, int calls,
                                       size_t flush_bytes) override {
    return worker_.time_baseline(region_, name, calls, flush_bytes);
  }
  bool draws_on_device() const override { return on_device_; }
  Status map_memory(const torch::DeviceMemory& memory, const std::vector<int>& fds) override {
    return worker_.map_memory(memory, fds);
  }
  Status unmap_memory(const std::vector<int>& ids) override { return worker_.unmap_memory(ids); }
  Result<std::optional<torch::DeviceDraw>> draw_on(torch::DrawKind kind, uint64_t seed,
                                                   const torch::DevicePlaces& places) override {
    return worker_.draw_on(region_, kind, seed, places);
  }

 private:
  torch::Worker& worker_;
  std::string region_;
  bool on_device_;
};

}  // namespace

std::unique_ptr<DrawSource> torch_draw_source(torch::Worker& worker, std::string region,
                                              bool on_device) {
  return std::make_unique<TorchDrawSource>(worker, std::move(region), on_device);
}

}  // namespace kernelwright::referee
