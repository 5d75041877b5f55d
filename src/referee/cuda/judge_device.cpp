// SPDX-License-Identifier: Apache-2.0
#include "referee/cuda/judge_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "referee/cuda/judge_ptx.h"

namespace kernelwright::referee {
namespace {

using namespace kernelwright::cuda;

constexpr unsigned kThreads = 256;
constexpr unsigned kMostBlocks = 1024;

Result<int> attribute(const Driver& driver, DeviceAttribute which, Device device) {
  int value = 0;
  KW_CHECK_OK(driver.device_get_attribute(&value, which, device));
  return value;
}

}  // namespace

Result<JudgeKernels> JudgeKernels::load(const Driver& driver) {
  return load(driver, "judge.ptx", {"kw_measure", "kw_find", "kw_element", "kw_hash", "kw_bands"});
}

Result<JudgeKernels> JudgeKernels::load_delay(const Driver& driver) {
  return load(driver, "delay.ptx", {"kw_delay"});
}

Result<JudgeKernels> JudgeKernels::load(const Driver& driver, const char* file,
                                        const std::vector<const char*>& names) {
  JudgeKernels kernels;
  kernels.driver_ = &driver;
  const std::string& ptx = target::source_named(target::judge_ptx(), file);
  if (auto status = driver.module_load_data(&kernels.module_, ptx.c_str()); !status)
    return fail(std::move(status.error()).with("module", "the referee's own kernels"));
  for (const char* name : names) {
    if (auto status = driver.module_get_function(&kernels.functions_[name], kernels.module_, name);
        !status)
      return fail(std::move(status.error()).with("kernel", name));
  }
  return kernels;
}

JudgeKernels::~JudgeKernels() {
  if (module_) (void)driver_->module_unload.raw(module_);
}

Status JudgeKernels::launch(const char* kernel, unsigned blocks, unsigned threads, Stream stream,
                            std::vector<void*> params) const {
  LaunchConfig config;
  config.grid_x = blocks;
  config.block_x = threads;
  config.stream = stream;
  auto status = driver_->launch_kernel(&config, functions_.at(kernel), params.data(), nullptr);
  if (!status) return fail(std::move(status.error()).with("kernel", kernel));
  return {};
}

Result<std::shared_ptr<JudgeDevice>> JudgeDevice::open(int ordinal) {
  auto device = std::make_shared<JudgeDevice>();
  KW_CHECK_OK(device->load(ordinal));
  return device;
}

Status JudgeDevice::load(int ordinal) {
  KW_TRY(driver_, initialized_driver());
  int count = 0;
  KW_CHECK_OK(driver_->device_get_count(&count));
  if (ordinal < 0 || ordinal >= count)
    return fail(ErrorKind::kEnvironment,
                fmt::format("no CUDA device {}: the driver sees {}", ordinal, count));
  Device device = 0;
  KW_CHECK_OK(driver_->device_get(&device, ordinal));
  ordinal_ = ordinal;
  KW_TRY(const int exports, attribute(*driver_, kHandleTypePosixFd, device));
  if (exports == 0)
    return fail(ErrorKind::kEnvironment,
                "this device's memory cannot be shared with other processes by descriptor");
  KW_TRY(multiprocessors_, attribute(*driver_, kMultiprocessorCount, device));
  KW_TRY(const int l2, attribute(*driver_, kL2CacheSize, device));
  l2_bytes_ = static_cast<uint64_t>(std::max(l2, 0));
  size_t total = 0, granularity = 0;
  KW_CHECK_OK(driver_->device_total_mem(&total, device));
  total_bytes_ = total;
  char name[128] = {};
  KW_CHECK_OK(driver_->device_get_name(name, sizeof name - 1, device));
  name_ = name;
  MemAllocationProp prop;
  prop.handle_types = kMemHandlePosixFd;
  prop.location.id = device;
  KW_CHECK_OK(driver_->mem_get_allocation_granularity(&granularity, &prop, kMemGranularityMinimum));
  granularity_ = std::max<size_t>(granularity, 4096);
  KW_CHECK_OK(driver_->primary_ctx_retain(&context_, device));
  KW_TRY(ContextScope scope, enter());
  KW_CHECK_OK(driver_->stream_create(&stream_, kStreamNonBlocking));
  KW_TRY(kernels_, JudgeKernels::load(*driver_));
  KW_TRY(room_, DeviceMemory::create(*driver_, static_cast<int64_t>(kMostBlocks * sizeof(Tally))));
  return {};
}

JudgeDevice::~JudgeDevice() {
  if (!context_) return;
  {
    auto scope = enter();
    room_.release();
    kernels_ = JudgeKernels();
    if (stream_) (void)driver_->stream_destroy.raw(stream_);
  }
  (void)driver_->primary_ctx_release.raw(ordinal_);
}

std::string JudgeDevice::pci_bus_id() const {
  int domain = 0, bus = 0, device = 0;
  (void)driver_->device_get_attribute.raw(&domain, kPciDomainId, ordinal_);
  (void)driver_->device_get_attribute.raw(&bus, kPciBusId, ordinal_);
  (void)driver_->device_get_attribute.raw(&device, kPciDeviceId, ordinal_);
  return fmt::format("{:08x}:{:02x}:{:02x}.0", domain, bus, device);
}

unsigned JudgeDevice::blocks_for(uint64_t work) const {
  const uint64_t wanted = (work + kThreads - 1) / kThreads;
  const uint64_t most =
      std::min<uint64_t>(kMostBlocks, static_cast<uint64_t>(multiprocessors_) * 4);
  return static_cast<unsigned>(std::clamp<uint64_t>(wanted, 1, most));
}

Status JudgeDevice::run(const char* kernel, uint64_t work, std::vector<void*> params) const {
  KW_CHECK_OK(kernels_.launch(kernel, blocks_for(work), kThreads, stream_, std::move(params)));
  if (auto status = driver_->stream_synchronize(stream_); !status)
    return fail(std::move(status.error()).with("kernel", kernel));
  return {};
}

Status JudgeDevice::fill(Ptr to, int byte, uint64_t bytes) const {
  if (bytes == 0) return {};
  KW_TRY(ContextScope scope, enter());
  KW_CHECK_OK(driver_->memset_d8_async(to, static_cast<unsigned char>(byte), bytes, stream_));
  return driver_->stream_synchronize(stream_);
}

Status JudgeDevice::write(Ptr to, const void* from, uint64_t bytes) const {
  if (bytes == 0) return {};
  KW_TRY(ContextScope scope, enter());
  KW_CHECK_OK(driver_->memcpy_htod_async(to, from, bytes, stream_));
  return driver_->stream_synchronize(stream_);
}

Status JudgeDevice::read(void* to, Ptr from, uint64_t bytes) const {
  if (bytes == 0) return {};
  KW_TRY(ContextScope scope, enter());
  KW_CHECK_OK(driver_->memcpy_dtoh_async(to, from, bytes, stream_));
  return driver_->stream_synchronize(stream_);
}

Status JudgeDevice::copy(Ptr to, Ptr from, uint64_t bytes) const {
  if (bytes == 0) return {};
  KW_TRY(ContextScope scope, enter());
  KW_CHECK_OK(driver_->memcpy_dtod_async(to, from, bytes, stream_));
  return driver_->stream_synchronize(stream_);
}

Result<uint64_t> JudgeDevice::hash(Ptr from, uint64_t bytes) const {
  uint64_t sum = 0;
  if (bytes == 0) return sum;
  KW_TRY(ContextScope scope, enter());
  Ptr out = room_.data();
  KW_CHECK_OK(fill(out, 0, sizeof sum));
  KW_CHECK_OK(run("kw_hash", bytes / 8 + 1, {&from, &bytes, &out}));
  KW_CHECK_OK(read(&sum, out, sizeof sum));
  return sum;
}

Status JudgeDevice::write_bands(Ptr region, uint64_t begin, uint64_t end, uint64_t bytes,
                                uint64_t origin, uint64_t seed) const {
  KW_TRY(ContextScope scope, enter());
  Ptr out = 0;
  return run("kw_bands", begin + (bytes - end),
             {&region, &begin, &end, &bytes, &origin, &seed, &out});
}

Result<JudgeDevice::Damage> JudgeDevice::check_bands(Ptr region, uint64_t begin, uint64_t end,
                                                     uint64_t bytes, uint64_t origin,
                                                     uint64_t seed) const {
  KW_TRY(ContextScope scope, enter());
  Ptr out = room_.data();
  uint64_t found[2];
  KW_CHECK_OK(fill(out, 0xff, sizeof found));
  KW_CHECK_OK(run("kw_bands", begin + (bytes - end),
                  {&region, &begin, &end, &bytes, &origin, &seed, &out}));
  KW_CHECK_OK(read(found, out, sizeof found));
  auto distance = [](uint64_t value) { return value == ~0ull ? 0 : value; };
  return Damage{distance(found[0]), distance(found[1])};
}

Distance distance_of(const Tally& tally) {
  Distance distance;
  distance.judged = tally.judged;
  distance.unmatched = tally.unmatched;
  distance.worst = tally.worst;
  distance.largest_difference = tally.difference_max;
  distance.figures.rho_max = tally.rho_max;
  distance.figures.rho_rms =
      std::sqrt(tally.rho / static_cast<double>(std::max<long long>(tally.judged, 1)));
  const double norm = std::sqrt(tally.oracle);
  distance.figures.relative =
      norm > 0 ? std::sqrt(tally.difference) / norm : std::sqrt(tally.difference);
  distance.figures.allclose = tally.excess == 0;
  return distance;
}

Result<Distance> JudgeDevice::measure(const Arrays& arrays, double tolerance) const {
  KW_TRY(ContextScope scope, enter());
  Arrays given = arrays;
  Ptr out = room_.data();
  const auto work = static_cast<uint64_t>(arrays.count);
  KW_CHECK_OK(run("kw_measure", work, {&given, &tolerance, &out}));
  std::vector<Tally> parts(blocks_for(work));
  KW_CHECK_OK(read(parts.data(), out, parts.size() * sizeof(Tally)));
  Tally all;
  for (const Tally& part : parts) all.add(part);
  return distance_of(all);
}

Result<Wrong> JudgeDevice::find(const Arrays& arrays, Rule rule, double limit) const {
  KW_TRY(ContextScope scope, enter());
  Arrays given = arrays;
  int number = static_cast<int>(rule);
  Ptr out = room_.data();
  uint64_t found[2] = {~0ull, 0};
  KW_CHECK_OK(write(out, found, sizeof found));
  KW_CHECK_OK(run("kw_find", static_cast<uint64_t>(arrays.count), {&given, &number, &limit, &out}));
  KW_CHECK_OK(read(found, out, sizeof found));
  Wrong wrong;
  wrong.count = static_cast<int64_t>(found[1]);
  if (wrong.count > 0) wrong.index = static_cast<int64_t>(found[0]);
  return wrong;
}

Result<Elements::Element> JudgeDevice::at(const Arrays& arrays, int64_t index) const {
  KW_TRY(ContextScope scope, enter());
  Arrays given = arrays;
  Ptr out = room_.data();
  KW_CHECK_OK(kernels_.launch("kw_element", 1, 1, stream_, {&given, &index, &out}));
  double values[3];
  KW_CHECK_OK(read(values, out, sizeof values));
  Elements::Element element{values[0], values[1], values[2]};
  if (arrays.code == element_code(graph::DType::kI64)) {
    const auto place = static_cast<Ptr>(index) * sizeof(int64_t);
    int64_t integers[2];
    KW_CHECK_OK(read(&integers[0], arrays.values + place, sizeof(int64_t)));
    KW_CHECK_OK(read(&integers[1], arrays.eager + place, sizeof(int64_t)));
    element.candidate_integer = integers[0];
    element.eager_integer = integers[1];
  }
  return element;
}

int element_code(graph::DType dtype) {
  switch (dtype) {
    case graph::DType::kF64:
      return 0;
    case graph::DType::kF32:
      return 1;
    case graph::DType::kF16:
      return 2;
    case graph::DType::kBF16:
      return 3;
    case graph::DType::kI64:
      return 4;
    case graph::DType::kI32:
      return 5;
    case graph::DType::kI16:
      return 6;
    case graph::DType::kI8:
      return 7;
    case graph::DType::kU8:
    case graph::DType::kBool:
      return 8;
    case graph::DType::kU32:
      return 9;
  }
  return 8;
}

bool stored_wide(graph::DType dtype) {
  switch (dtype) {
    case graph::DType::kF64:
    case graph::DType::kI64:
    case graph::DType::kI32:
    case graph::DType::kU32:
      return true;
    default:
      return false;
  }
}

}  // namespace kernelwright::referee
