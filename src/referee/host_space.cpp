// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include "referee/host_draw.h"
#include "referee/space.h"
#include "target/cold_cache.h"

namespace kernelwright::referee {
namespace {

class HostSpace final : public Space {
 public:
  Result<std::shared_ptr<Arena>> allocate(const std::string& name,
                                          const std::vector<uint64_t>& tensor_bytes, Flush flush,
                                          uint64_t seed) override {
    KW_TRY(std::shared_ptr<Arena> arena, HostArena::create(name, tensor_bytes, flush, seed));
    return arena;
  }
  Result<std::unique_ptr<BankDraw>> draw(DrawSource& source, const DrawRequest& request) override {
    return draw_from_host(*this, source, request,
                          [](const Answer& answer) -> Result<std::unique_ptr<Elements>> {
                            return host_elements(answer);
                          });
  }
  int most_draws(const program::Interface&, int wanted) const override { return wanted; }
  uint64_t default_flush_bytes() const override {
    return target::flush_bytes("cpu", sysconf(_SC_LEVEL3_CACHE_SIZE));
  }
};

}  // namespace

std::unique_ptr<Space> host_space() {
  return std::make_unique<HostSpace>();
}

std::vector<std::string> given_labels(const program::Interface& interface) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < interface.inputs.size(); ++i) labels.push_back(fmt::format("input {}", i));
  for (const auto& slot : interface.states) labels.push_back("state '" + slot.name + "'");
  return labels;
}

std::vector<std::string> weight_labels(const std::vector<std::string>& names) {
  std::vector<std::string> labels;
  labels.reserve(names.size());
  for (const std::string& name : names) labels.push_back("weight '" + name + "'");
  return labels;
}

}  // namespace kernelwright::referee
