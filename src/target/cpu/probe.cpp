// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/probe.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/hash.h"
#include "kernelwright/runtime.h"
#include "target/cpu/device_sources.h"
#include "target/cpu/topology.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

// Short samples, many of them: on a busy machine some go undisturbed.
constexpr double kSampleS = 0.004;
constexpr int kSamples = 16;
constexpr int kLaunchSamples = 40;
constexpr int kLaunchesPerSample = 100;
constexpr int64_t kFmaPerPass = 12;  // of device/probe.cpp
constexpr int64_t kSmallestMemorySet = 128ll << 20;
constexpr int64_t kLargestMemorySet = 1ll << 30;
constexpr double kBusyShare = 0.15;  // above it, others used the machine
constexpr auto kBusyHolds = std::chrono::minutes(10);
constexpr int64_t kPiece = 4096;  // working sets are multiples of it

const std::string& probe_source() {
  return source_named(device_sources(), "probe.cpp");
}

Error runtime_error(const char* what) {
  return Error{ErrorKind::kInternal, fmt::format("probe: {}: {}", what, kw_last_error()), {}};
}

// Anonymous memory of this process, touched.
class Memory {
 public:
  static Result<Memory> create(int64_t bytes) {
    void* data = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
      return fail(ErrorKind::kEnvironment, fmt::format("probe: no memory for {} bytes", bytes));
    Memory memory;
    memory.data_ = data;
    memory.bytes_ = bytes;
    std::memset(data, 0, static_cast<size_t>(bytes));
    return memory;
  }
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Memory(const Memory&) = delete;
  ~Memory() {
    if (data_ != nullptr) ::munmap(data_, static_cast<size_t>(bytes_));
  }
  void* data() const { return data_; }

 private:
  Memory() = default;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Runs the probe's kernels over all threads through the runtime, as candidates run.
class Probe {
 public:
  Probe(std::string object, Memory x, Memory y, int64_t bytes)
      : object_(std::move(object)), x_(std::move(x)), y_(std::move(y)), bytes_(bytes) {}

  // Seconds of one run of `kernel`, the best of several samples, each of `launches` runs.
  Result<double> time(const std::string& kernel, int64_t bytes_per_worker, int64_t passes,
                      bool team, int samples = 1, int launches = 1) const {
    const std::string plan = fmt::format(
        R"({{"format": 1, "target": "cpu", "source": "probe.cpp", "buffers": {{
            "x": {{"role": "input", "index": 0, "dtype": "f32", "shape": [{0}]}},
            "y": {{"role": "output", "index": 0, "dtype": "f32", "shape": [{0}]}}}},
            "run": [{{"kernel": "{1}", "grid": [{2}], "team": {3},
                      "args": ["x", {{"out": "y"}}, {{"i64": {4}}}, {{"i64": {5}}}]}}]}})",
        bytes_ / 4, kernel, kw_get_threads(), team, bytes_per_worker, passes);
    kw_program* program = nullptr;
    if (kw_open(plan.c_str(), object_.c_str(), &program) != 0) return fail(runtime_error("open"));
    const std::unique_ptr<kw_program, void (*)(kw_program*)> owner(program, kw_close);
    const void* inputs[] = {x_.data()};
    void* outputs[] = {y_.data()};
    if (kw_prepare(program, nullptr) != 0) return fail(runtime_error("prepare"));
    if (kw_run(program, inputs, outputs, nullptr, nullptr) != 0) return fail(runtime_error("run"));
    double best = 1e30;
    for (int sample = 0; sample < samples; ++sample) {
      const auto begin = Clock::now();
      for (int i = 0; i < launches; ++i) (void)kw_run(program, inputs, outputs, nullptr, nullptr);
      best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count() / launches);
    }
    return std::max(best, 1e-9);
  }

  // Seconds of one pass: as many passes as make a sample long enough, best of the samples.
  Result<double> pass_time(const std::string& kernel, int64_t bytes_per_worker,
                           int64_t first_passes) const {
    int64_t passes = first_passes;
    double seconds = 0;
    for (int round = 0; round < 12; ++round) {
      KW_TRY(seconds, time(kernel, bytes_per_worker, passes, true));
      if (seconds >= kSampleS / 2) break;
      passes = static_cast<int64_t>(static_cast<double>(passes) *
                                    std::clamp(kSampleS / seconds, 1.5, 50.0)) +
               1;
    }
    KW_TRY(seconds, time(kernel, bytes_per_worker, passes, true, kSamples));
    return seconds / static_cast<double>(passes);
  }

  float first_result() const { return *static_cast<const float*>(y_.data()); }

 private:
  std::string object_;
  Memory x_, y_;
  int64_t bytes_;
};

Result<MachineModel::Level> measure_level(const Probe& probe, std::string name, int64_t capacity,
                                          int64_t bytes_per_worker) {
  const int threads = kw_get_threads();
  const int64_t bytes = std::max(kPiece, bytes_per_worker / kPiece * kPiece);
  // Of a copy, half of the working set is read and half written.
  const int64_t half = std::max(kPiece, bytes / 2 / kPiece * kPiece);
  const int64_t first = std::max<int64_t>(1, (8 << 20) / bytes);
  MachineModel::Level level;
  level.name = std::move(name);
  level.bytes = capacity;
  KW_TRY(const double read_s, probe.pass_time("probe_read", bytes, first));
  level.read_bytes_per_s = static_cast<double>(bytes) * threads / read_s;
  KW_TRY(const double copy_s, probe.pass_time("probe_copy", half, first));
  level.copy_bytes_per_s = 2.0 * static_cast<double>(half) * threads / copy_s;
  return level;
}

int64_t memory_set(int64_t last_cache) {
  const int64_t physical =
      static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  const int64_t wanted = std::clamp(4 * last_cache, kSmallestMemorySet, kLargestMemorySet);
  return std::min(wanted, std::max<int64_t>(physical / 16, 16ll << 20)) / kPiece * kPiece;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

Result<MachineModel> measure(const Probe& probe, const std::vector<CacheLevel>& caches,
                             int64_t memory_bytes, MachineModel model) {
  const int threads = model.threads;
  KW_TRY(const double unused, probe.time("probe_vector_bytes", 0, 0, true));
  (void)unused;
  model.vector_bytes = static_cast<int>(probe.first_result());

  int64_t before = 0;
  for (const auto& cache : caches) {
    const int64_t set = cache.bytes_per_thread / 2;
    // A level that is no larger than the one before it (odd reports, many sharers) tells nothing.
    if (set <= before || set * threads > memory_bytes) continue;
    KW_TRY(auto level,
           measure_level(probe, fmt::format("L{}", cache.level), cache.total_bytes, set));
    model.levels.push_back(std::move(level));
    before = cache.bytes_per_thread;
  }
  KW_TRY(auto memory, measure_level(probe, "DRAM", 0, memory_bytes / threads));
  model.levels.push_back(std::move(memory));

  const std::pair<graph::DType, const char*> units[] = {{graph::DType::kF32, "probe_fma_f32"},
                                                        {graph::DType::kF64, "probe_fma_f64"}};
  for (const auto& [dtype, kernel] : units) {
    KW_TRY(const double pass_s, probe.pass_time(kernel, 0, 100'000));
    const double lanes = model.vector_bytes / (dtype == graph::DType::kF32 ? 4.0 : 8.0);
    model.rates.push_back({"fma", dtype, 2.0 * kFmaPerPass * lanes * threads / pass_s});
  }
  KW_TRY(const double asked, probe.time("probe_has_pairs", 0, 0, true));
  (void)asked;
  if (probe.first_result() > 0) {
    KW_TRY(const double pass_s, probe.pass_time("probe_pairs_bf16", 0, 100'000));
    // Two multiply-adds for each f32 sum.
    const double lanes = model.vector_bytes / 4.0;
    model.rates.push_back(
        {"bf16", graph::DType::kBF16, 4.0 * kFmaPerPass * lanes * threads / pass_s});
  }
  KW_TRY(model.launch_s, probe.time("probe_empty", 0, 0, true, kLaunchSamples, kLaunchesPerSample));
  return model;
}

std::string identity_of(const Compiler& compiler, const std::vector<CacheLevel>& caches) {
  base::IdentityBuilder identity;
  identity.add("cpu machine model 1").add(cpu_signature()).add(compiler.identity);
  identity.add(std::to_string(cpu_threads())).add(probe_source());
  for (const auto& cache : caches)
    identity.add(fmt::format("L{} {}", cache.level, cache.total_bytes));
  return identity.hex();
}

std::optional<MachineModel> recall(const fs::path& file, const std::string& identity) {
  const auto text = base::read_file(file, 1 << 20);
  if (!text) return std::nullopt;
  auto model = parse_machine_model(*text);
  if (!model || model->identity != identity) return std::nullopt;
  return *model;
}

bool recent(const fs::path& file) {
  std::error_code ec;
  const auto written = fs::last_write_time(file, ec);
  return !ec && fs::file_time_type::clock::now() - written < kBusyHolds;
}

}  // namespace

Result<MachineModel> cpu_machine_model(const Compiler& compiler, const fs::path& cache_root,
                                       bool remeasure) {
  const auto caches = cpu_caches();
  const std::string identity = identity_of(compiler, caches);
  const fs::path quiet_file = cache_root / "machine" / (identity + ".json");
  const fs::path busy_file = cache_root / "machine" / (identity + ".busy.json");
  const auto quiet_before = recall(quiet_file, identity);
  const auto busy_before = recall(busy_file, identity);
  if (!remeasure && quiet_before) return *quiet_before;
  if (!remeasure && busy_before && recent(busy_file)) return *busy_before;
  const bool busy = cpu_busy_share() > kBusyShare;

  KW_TRY(const base::TempDir folder, base::TempDir::create("kw-probe"));
  CompileJob job;
  job.source_name = "probe.cpp";
  job.source = probe_source();
  job.exports = {"probe_copy",      "probe_empty",      "probe_fma_f32", "probe_fma_f64",
                 "probe_has_pairs", "probe_pairs_bf16", "probe_read",    "probe_vector_bytes"};
  KW_TRY(const auto built, compile(compiler, job, folder.path(), {}));
  if (!built)
    return fail(ErrorKind::kEnvironment,
                "the compiler does not build the probe: " + built.error().log);

  MachineModel model;
  model.target = "cpu";
  model.device = cpu_device_name();
  model.identity = identity;
  model.threads = cpu_threads();
  model.measured_at = today();
  const int64_t last_cache = caches.empty() ? 0 : caches.back().total_bytes;
  const int64_t bytes = memory_set(last_cache);
  KW_TRY(Memory x, Memory::create(bytes));
  KW_TRY(Memory y, Memory::create(bytes));

  const int threads_before = kw_get_threads();
  if (kw_set_threads(model.threads) != 0) return fail(runtime_error("threads"));
  auto measured =
      measure(Probe((folder.path() / "object.so").string(), std::move(x), std::move(y), bytes),
              caches, bytes, std::move(model));
  kw_park();
  (void)kw_set_threads(threads_before);
  if (!measured) return measured;
  if (quiet_before) measured->raise_to(*quiet_before);
  if (busy_before) measured->raise_to(*busy_before);
  std::error_code ec;
  fs::create_directories(quiet_file.parent_path(), ec);
  // Not being able to remember costs time only.
  (void)base::write_file_atomic(busy && !quiet_before ? busy_file : quiet_file,
                                machine_model_json(*measured));
  return measured;
}

}  // namespace kernelwright::target
