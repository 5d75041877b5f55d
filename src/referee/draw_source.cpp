// SPDX-License-Identifier: Apache-2.0
#include "referee/draw_source.h"

namespace kernelwright::referee {
namespace {

class TorchDrawSource final : public DrawSource {
 public:
  TorchDrawSource(torch::Worker& worker, std::string region)
      : worker_(worker), region_(std::move(region)) {}
  Result<std::optional<torch::Draw>> draw(torch::DrawKind kind, uint64_t seed) override {
    return worker_.draw(region_, kind, seed);
  }
  Result<torch::Worker::BaselineReady> prepare_baseline(const std::string& name) override {
    return worker_.prepare_baseline(region_, name);
  }
  Result<std::vector<double>> time_baseline(const std::string& name, int calls,
                                            size_t flush_bytes) override {
    return worker_.time_baseline(region_, name, calls, flush_bytes);
  }

 private:
  torch::Worker& worker_;
  std::string region_;
};

}  // namespace

std::unique_ptr<DrawSource> torch_draw_source(torch::Worker& worker, std::string region) {
  return std::make_unique<TorchDrawSource>(worker, std::move(region));
}

}  // namespace kernelwright::referee
