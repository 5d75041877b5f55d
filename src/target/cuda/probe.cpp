// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/probe.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "base/hash.h"
#include "base/subprocess.h"
#include "target/cuda/device_sources.h"
#include "target/cuda/nvrtc_process.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

constexpr double kProbeDeadlineS = 120;

const std::string& probe_source() {
  return source_named(cuda_device_sources(), "probe.cu");
}

std::string identity_of(const CudaCompiler& compiler, const CudaDevice& device) {
  base::IdentityBuilder identity;
  identity.add("cuda machine model 2").add(device.uuid).add(device.name);
  identity.add(std::to_string(device.driver_version)).add(compiler.identity);
  identity.add(std::to_string(device.multiprocessors)).add(probe_source());
  return identity.hex();
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::optional<MachineModel> recall(const fs::path& file, const std::string& identity) {
  const auto text = base::read_file(file, 1 << 20);
  if (!text) return std::nullopt;
  auto model = parse_machine_model(*text);
  if (!model || model->identity != identity) return std::nullopt;
  return *model;
}

// What the probe's process printed, into the model.
Status take_figures(const std::string& text, MachineModel& model) {
  try {
    const auto json = nlohmann::json::parse(text);
    for (const auto& entry : json.at("levels"))
      model.levels.push_back({entry.at("name").get<std::string>(), entry.at("bytes").get<int64_t>(),
                              entry.at("read_bytes_per_s").get<double>(),
                              entry.at("copy_bytes_per_s").get<double>()});
    for (const auto& entry : json.at("rates")) {
      const auto dtype = graph::dtype_from_name(entry.at("dtype").get<std::string>());
      if (!dtype) return fail(ErrorKind::kInternal, "probe: a rate of an unknown dtype");
      model.rates.push_back(
          {entry.at("unit").get<std::string>(), *dtype, entry.at("flops_per_s").get<double>()});
    }
    model.launch_s = json.at("launch_s").get<double>();
    return {};
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorKind::kInternal, fmt::format("probe: {}", error.what()));
  }
}

}  // namespace

Result<MachineModel> cuda_machine_model(const CudaCompiler& compiler, const CudaDevice& device,
                                        const std::string& target, const fs::path& cache_root,
                                        bool remeasure) {
  const std::string identity = identity_of(compiler, device);
  const fs::path file = cache_root / "machine" / (identity + ".json");
  const auto before = recall(file, identity);
  if (!remeasure && before) {
    MachineModel model = *before;
    model.target = target;
    return model;
  }
  KW_TRY(const base::TempDir folder, base::TempDir::create("kw-probe"));
  CudaCompileJob job;
  job.source_name = "probe.cu";
  job.source = probe_source();
  job.kernels = {"probe_empty", "probe_read", "probe_copy", "probe_fma_f32", "probe_fma_f64"};
  KW_TRY(job.arch, cuda_arch(compiler, device.major, device.minor));
  KW_TRY(const auto built, compile_cuda(compiler, job, folder.path(), {}));
  if (!built)
    return fail(ErrorKind::kEnvironment,
                "the CUDA compiler does not build the probe: " + built.error().log);
  KW_TRY(const fs::path program, own_program());
  base::ProcessSpec spec;
  spec.argv = {program.string(), "cuda-probe", std::to_string(device.ordinal),
               (folder.path() / "object.cubin").string()};
  spec.limits.wall_s = kProbeDeadlineS;
  KW_TRY(const auto outcome, base::run_process(spec));
  if (!outcome.ok())
    return fail(ErrorKind::kEnvironment,
                fmt::format("the CUDA probe failed: {}",
                            outcome.err.empty() ? fmt::format("code {}", outcome.code)
                                                : outcome.err.substr(0, outcome.err.find('\n'))));
  MachineModel model;
  model.target = target;
  model.device = device.name;
  model.identity = identity;
  model.threads = device.multiprocessors * device.threads_per_sm;
  model.vector_bytes = 16;
  model.multiprocessors = device.multiprocessors;
  model.shared_bytes = device.shared_per_block;
  model.clock_hz = 1e3 * device.clock_khz;
  model.capability = device.number();
  model.measured_at = today();
  KW_CHECK_OK(take_figures(outcome.out, model));
  if (before) model.raise_to(*before);
  std::error_code ec;
  fs::create_directories(file.parent_path(), ec);
  // Not being able to remember costs time only.
  (void)base::write_file_atomic(file, machine_model_json(model));
  return model;
}

}  // namespace kernelwright::target
