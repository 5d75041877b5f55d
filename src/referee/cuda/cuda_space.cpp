// SPDX-License-Identifier: Apache-2.0
#include "referee/cuda/cuda_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "referee/cuda/cuda_arena.h"
#include "referee/cuda/sanitizer.h"
#include "referee/cuda/watcher.h"
#include "referee/host_draw.h"
#include "referee/tolerance.h"
#include "target/cold_cache.h"

namespace kernelwright::referee {
namespace {

using namespace kernelwright::cuda;

// Launching one step costs the host at most so much, back to back, and a call that much more.
constexpr double kLaunchMs = 0.006, kCallMs = 0.02;
constexpr uint64_t kContextBytes = 700ull << 20;
constexpr int kContexts = 6;  // coordinator, torch, a worker at work and spares

bool changes_weights(torch::DrawKind kind) {
  return kind == torch::DrawKind::kWeights || kind == torch::DrawKind::kExact;
}

// One answer whose eager result, delta and scale lie in an arena of the device, in that order.
class CudaElements final : public Elements {
 public:
  CudaElements(AnswerRules rules, std::shared_ptr<JudgeDevice> device,
               std::shared_ptr<CudaArena> arena, int region)
      : Elements(std::move(rules)), device_(std::move(device)), arena_(std::move(arena)) {
    arrays_.eager = arena_->address(region);
    arrays_.delta = arena_->address(region + 1);
    arrays_.scale = arena_->address(region + 2);
    arrays_.count = this->rules().type.elements();
    arrays_.code = element_code(this->rules().type.dtype);
    arrays_.wide = stored_wide(this->rules().type.dtype) ? 1 : 0;
  }
  Result<Distance> measure(const std::byte* values) const override {
    return device_->measure(with(reinterpret_cast<Ptr>(values)),
                            allclose_tolerance(rules().type.dtype));
  }
  Result<Distance> measure_eager() const override {
    return device_->measure(with(arrays_.eager), allclose_tolerance(rules().type.dtype));
  }
  Result<Wrong> find(const std::byte* values, Rule rule, double limit) const override {
    return device_->find(with(reinterpret_cast<Ptr>(values)), rule, limit);
  }
  Result<Element> at(const std::byte* values, int64_t index) const override {
    return device_->at(with(reinterpret_cast<Ptr>(values)), index);
  }

 private:
  JudgeDevice::Arrays with(Ptr values) const {
    JudgeDevice::Arrays arrays = arrays_;
    arrays.values = values;
    return arrays;
  }
  std::shared_ptr<JudgeDevice> device_;
  std::shared_ptr<CudaArena> arena_;
  JudgeDevice::Arrays arrays_;
};

// Sizes of eager, delta and scale, one after the other for every answer.
void add_answer(const graph::TensorType& type, std::vector<uint64_t>& sizes) {
  const auto elements = static_cast<uint64_t>(type.elements());
  const uint64_t beside = elements * (stored_wide(type.dtype) ? 8 : 4);
  sizes.push_back(static_cast<uint64_t>(type.bytes()));
  sizes.push_back(beside);
  sizes.push_back(beside);
}

class CudaSpace final : public Space {
 public:
  CudaSpace(std::shared_ptr<JudgeDevice> device, std::string target)
      : device_(std::move(device)),
        target_(std::move(target)),
        watcher_(watch_device(device_->pci_bus_id())) {}

  Result<std::shared_ptr<Arena>> allocate(const std::string&,
                                          const std::vector<uint64_t>& tensor_bytes, Flush flush,
                                          uint64_t seed) override {
    KW_TRY(std::shared_ptr<Arena> arena, CudaArena::create(device_, tensor_bytes, flush, seed));
    return arena;
  }
  Result<std::unique_ptr<BankDraw>> draw(DrawSource& source, const DrawRequest& request) override;
  int most_draws(const program::Interface& interface, int wanted) const override {
    return plan_memory(interface).most_draws(device_->total_bytes(), wanted);
  }
  uint64_t default_flush_bytes() const override {
    return target::flush_bytes("cuda", static_cast<int64_t>(device_->l2_bytes()));
  }
  std::vector<std::string> worker_environment() const override;
  // Launches one by one, each waited for, so that a failing one is named.
  std::vector<std::string> careful_environment() const override {
    std::vector<std::string> out = worker_environment();
    out.emplace_back("CUDA_LAUNCH_BLOCKING=1");
    out.emplace_back("KERNELWRIGHT_CUDA_GRAPHS=never");
    return out;
  }
  std::vector<CheckTool> check_tools() const override { return sanitizer_tools(); }
  // The driver reserves address space for all memory of the machine.
  bool bounds_memory() const override { return false; }
  // A context takes a good part of a second to make.
  int spare_workers() const override { return 3; }
  double launch_allowance_ms(int64_t steps) const override {
    return kCallMs + kLaunchMs * static_cast<double>(steps);
  }
  void watch() override {
    if (watcher_) watcher_->start();
  }
  std::optional<Conditions> watched() override {
    if (!watcher_) return std::nullopt;
    return watcher_->stop();
  }

 private:
  Result<std::shared_ptr<CudaArena>> shared_arena(DrawSource& source,
                                                  const std::vector<uint64_t>& sizes, Flush flush,
                                                  uint64_t seed, int& id);
  Result<std::unique_ptr<BankDraw>> draw_on_device(DrawSource& source, const DrawRequest& request);
  Result<std::unique_ptr<BankDraw>> draw_uploaded(DrawSource& source, const DrawRequest& request);
  Result<std::unique_ptr<Elements>> upload(const Answer& answer);

  std::shared_ptr<JudgeDevice> device_;
  std::string target_;
  std::unique_ptr<DeviceWatcher> watcher_;
  int next_memory_ = 1;
};

std::vector<std::string> CudaSpace::worker_environment() const {
  // The driver's cache of compiled code is for PTX alone, and lies in files.
  std::vector<std::string> out = {"KERNELWRIGHT_BENCH_TARGET=" + target_, "CUDA_CACHE_DISABLE=1"};
  for (const char* name : {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "KERNELWRIGHT_CUDA_DRIVER",
                           "KERNELWRIGHT_CUDA_GRAPHS"}) {
    if (const char* value = std::getenv(name)) out.push_back(fmt::format("{}={}", name, value));
  }
  return out;
}

Result<std::unique_ptr<BankDraw>> CudaSpace::draw(DrawSource& source, const DrawRequest& request) {
  return source.draws_on_device() ? draw_on_device(source, request)
                                  : draw_uploaded(source, request);
}

// An arena that the source has mapped too.
Result<std::shared_ptr<CudaArena>> CudaSpace::shared_arena(DrawSource& source,
                                                           const std::vector<uint64_t>& sizes,
                                                           Flush flush, uint64_t seed, int& id) {
  KW_TRY(std::shared_ptr<CudaArena> arena, CudaArena::create(device_, sizes, flush, seed));
  id = next_memory_++;
  KW_CHECK_OK(source.map_memory({id, device_->ordinal(), arena->layout().segments}, arena->fds()));
  // A source that is gone holds nothing any more.
  arena->on_release([&source, memory = id] { (void)source.unmap_memory({memory}); });
  return arena;
}

Result<std::unique_ptr<BankDraw>> CudaSpace::draw_on_device(DrawSource& source,
                                                            const DrawRequest& request) {
  const program::Interface& interface = *request.interface;
  auto place = [](const CudaArena& arena, int memory, int region) {
    const ArenaRegion& at = arena.layout().regions.at(static_cast<size_t>(region));
    return torch::DevicePlace{memory, at.segment, at.file_offset + at.tensor_offset};
  };
  auto out = std::make_unique<BankDraw>();
  out->kind = request.kind;
  torch::DevicePlaces places;

  std::vector<uint64_t> sizes;
  for (const auto& slot : interface.inputs) {
    out->input_regions.push_back(static_cast<int>(sizes.size()));
    sizes.push_back(static_cast<uint64_t>(slot.type.bytes()));
  }
  for (const auto& slot : interface.states) {
    out->state_regions[slot.name] = static_cast<int>(sizes.size());
    sizes.push_back(static_cast<uint64_t>(slot.type.bytes()));
  }
  int memory = 0;
  KW_TRY(auto given, shared_arena(source, sizes, request.flush, request.band_seed, memory));
  given->set_labels(given_labels(interface));
  for (int region : out->input_regions) places.inputs.push_back(place(*given, memory, region));
  for (const auto& [name, region] : out->state_regions)
    places.states.emplace_back(name, place(*given, memory, region));

  places.write_weights = !request.usual_weights || changes_weights(request.kind);
  if (places.write_weights) {
    sizes.clear();
    std::vector<std::string> names;
    for (const auto& slot : interface.weights) {
      out->weight_regions[slot.name] = static_cast<int>(sizes.size());
      names.push_back(slot.name);
      sizes.push_back(static_cast<uint64_t>(slot.type.bytes()));
    }
    KW_TRY(auto weights,
           shared_arena(source, sizes, request.usual_weights ? Flush::kStart : Flush::kEnd,
                        request.band_seed ^ 1, memory));
    weights->set_labels(weight_labels(names));
    for (const auto& [name, region] : out->weight_regions)
      places.weights.emplace_back(name, place(*weights, memory, region));
    out->weights = std::move(weights);
  } else {
    out->weights = request.usual_weights;
    out->weight_regions = request.usual_regions;
  }

  sizes.clear();
  auto expect = [&](const graph::TensorType& type, const std::string& name, int index) {
    add_answer(type, sizes);
    BankDraw::Expected expected;
    expected.name = name;
    expected.index = index;
    out->answers.push_back(std::move(expected));
  };
  for (size_t i = 0; i < interface.outputs.size(); ++i)
    expect(interface.outputs[i].type, "", static_cast<int>(i));
  for (const auto& slot : interface.states) expect(slot.type, slot.name, -1);
  KW_TRY(auto expected, shared_arena(source, sizes, Flush::kStart, request.band_seed ^ 2, memory));
  for (size_t i = 0; i < out->answers.size(); ++i) {
    const int region = static_cast<int>(3 * i);
    torch::DevicePlaces::Answer answer;
    answer.name = out->answers[i].name;
    answer.index = out->answers[i].index;
    answer.eager = place(*expected, memory, region);
    answer.delta = place(*expected, memory, region + 1);
    answer.scale = place(*expected, memory, region + 2);
    places.answers.push_back(std::move(answer));
  }

  KW_TRY(std::optional<torch::DeviceDraw> drawn,
         source.draw_on(request.kind, request.seed, places));
  if (!drawn) return std::unique_ptr<BankDraw>();
  out->ill_conditioned = drawn->ill_conditioned;
  out->scalars = drawn->scalars;
  for (size_t i = 0; i < out->answers.size(); ++i) {
    AnswerRules rules;
    rules.type = i < interface.outputs.size() ? interface.outputs[i].type
                                              : interface.states[i - interface.outputs.size()].type;
    rules.exact_draw = drawn->exact;
    rules.exact_bits = drawn->answers.at(i).exact_bits;
    rules.index_output = drawn->answers.at(i).index_output;
    out->answers[i].elements = std::make_unique<CudaElements>(std::move(rules), device_, expected,
                                                              static_cast<int>(3 * i));
  }
  out->given = std::move(given);
  out->expected = expected;
  return out;
}

// From a source that draws in host memory.
Result<std::unique_ptr<BankDraw>> CudaSpace::draw_uploaded(DrawSource& source,
                                                           const DrawRequest& request) {
  return draw_from_host(*this, source, request,
                        [this](const Answer& answer) { return upload(answer); });
}

template <class T>
Status write_beside(CudaArena& arena, int region, const Answer& answer) {
  const int64_t n = answer.type.elements();
  std::vector<T> delta(static_cast<size_t>(n)), scale(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(i);
    const double eager = element(answer.eager, answer.type.dtype, i);
    delta[at] = static_cast<T>(std::isfinite(eager) ? answer.oracle[i] - eager : answer.oracle[i]);
    scale[at] = answer.mask && answer.mask[i] ? std::numeric_limits<T>::infinity()
                                              : static_cast<T>(answer.scale[i]);
  }
  KW_CHECK_OK(arena.write(region + 1, reinterpret_cast<const std::byte*>(delta.data())));
  return arena.write(region + 2, reinterpret_cast<const std::byte*>(scale.data()));
}

Result<std::unique_ptr<Elements>> CudaSpace::upload(const Answer& answer) {
  std::vector<uint64_t> sizes;
  add_answer(answer.type, sizes);
  KW_TRY(std::shared_ptr<CudaArena> arena, CudaArena::create(device_, sizes, Flush::kStart, 0));
  KW_CHECK_OK(arena->write(0, answer.eager));
  const bool wide = stored_wide(answer.type.dtype);
  KW_CHECK_OK(wide ? write_beside<double>(*arena, 0, answer)
                   : write_beside<float>(*arena, 0, answer));
  return std::unique_ptr<Elements>(new CudaElements(answer, device_, std::move(arena), 0));
}

}  // namespace

Result<int> cuda_ordinal(const std::string& target) {
  const size_t colon = target.find(':');
  if (colon == std::string::npos) return 0;
  const std::string number = target.substr(colon + 1);
  if (number.empty() || number.size() > 3 ||
      number.find_first_not_of("0123456789") != std::string::npos)
    return fail(ErrorKind::kUsage, "'" + target + "' names no device: cuda or cuda:N");
  return std::atoi(number.c_str());
}

Result<std::unique_ptr<Space>> open_cuda_space(const std::string& target) {
  KW_TRY(const int ordinal, cuda_ordinal(target));
  KW_TRY(auto device, JudgeDevice::open(ordinal));
  return std::unique_ptr<Space>(new CudaSpace(std::move(device), target));
}

MemoryPlan plan_memory(const program::Interface& interface) {
  MemoryPlan plan;
  std::vector<uint64_t> answers;
  uint64_t wide = 0;  // one fp64 copy of everything that a draw makes
  for (const auto& slot : interface.inputs) {
    plan.draw_bytes += static_cast<uint64_t>(slot.type.bytes());
    if (graph::is_float(slot.type.dtype)) wide += static_cast<uint64_t>(slot.type.elements()) * 8;
  }
  for (const auto* slots : {&interface.outputs, &interface.states}) {
    for (const auto& slot : *slots) {
      add_answer(slot.type, answers);
      plan.output_bytes += static_cast<uint64_t>(slot.type.bytes());
      wide += static_cast<uint64_t>(slot.type.elements()) * 8;
    }
  }
  for (const auto& slot : interface.states)
    plan.draw_bytes += static_cast<uint64_t>(slot.type.bytes());
  for (uint64_t bytes : answers) plan.draw_bytes += bytes;
  for (const auto& slot : interface.weights) {
    plan.weight_bytes += static_cast<uint64_t>(slot.type.bytes());
    wide += static_cast<uint64_t>(slot.type.elements()) * 8;
  }
  // Inputs and result of the run, and one intermediate result of their size.
  plan.oracle_bytes = wide * 3 / 2;
  return plan;
}

int MemoryPlan::most_draws(uint64_t device_bytes, int wanted) const {
  const uint64_t fixed = kContexts * kContextBytes + (512ull << 20) + 2 * output_bytes +
                         2 * weight_bytes + oracle_bytes;
  const uint64_t one = draw_bytes + weight_bytes / 2 + 1;
  if (device_bytes <= fixed) return 1;
  return static_cast<int>(
      std::clamp<uint64_t>((device_bytes - fixed) / one, 1, static_cast<uint64_t>(wanted)));
}

}  // namespace kernelwright::referee
