// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/cuda_target.h"

#include <fmt/core.h>

#include <cstdlib>
#include <mutex>

#include "base/file.h"
#include "base/hash.h"
#include "program/validate.h"
#include "target/build_cache.h"
#include "target/build_settings.h"
#include "target/cuda/device_limits.h"
#include "target/cuda/probe.h"
#include "target/cuda/screen.h"
#include "target/cuda/toolchain.h"

namespace kernelwright::target {
namespace {

class CudaTarget final : public Target {
 public:
  CudaTarget(int ordinal, Result<CudaDevice> device, Result<CudaCompiler> compiler,
             BuildCache cache, CudaCompileLimits limits)
      : ordinal_(ordinal),
        device_(std::move(device)),
        compiler_(std::move(compiler)),
        cache_(std::move(cache)),
        limits_(limits) {
    if (device_ && compiler_) arch_ = cuda_arch(*compiler_, device_->major, device_->minor);
  }

  std::string name() const override {
    return ordinal_ == 0 ? "cuda" : fmt::format("cuda:{}", ordinal_);
  }
  std::string absent_reason() const override {
    if (!device_) return device_.error().text();
    if (!compiler_) return compiler_.error().text();
    return arch_ ? "" : arch_.error().text();
  }
  std::string device_name() const override { return device_ ? device_->name : ""; }
  std::string toolchain_identity() const override {
    if (!absent_reason().empty()) return "";
    return base::IdentityBuilder().add(compiler_->identity).add(*arch_).hex();
  }
  std::string toolchain_version() const override { return compiler_ ? compiler_->version : ""; }
  bool supports(Policy) const override { return true; }

  Result<tl::expected<BuiltObject, BuildFailure>> build(const program::Candidate& candidate,
                                                        Policy) override {
    using Built = tl::expected<BuiltObject, BuildFailure>;
    const auto refuse = [](std::string log) {
      return Built(tl::unexpected(BuildFailure{std::move(log), false}));
    };
    if (const std::string reason = absent_reason(); !reason.empty())
      return fail(ErrorKind::kEnvironment, reason);
    const program::Program& program = candidate.program;
    for (const auto& flag : program.flags)
      if (!program::flag_allowed("cuda", flag))
        return refuse(fmt::format("flag '{}' is not allowed\n", flag.substr(0, 80)));
    if (!program.arch.empty())
      if (const auto misfit = arch_misfit(program.arch, device_->major, device_->minor);
          !misfit.empty())
        return refuse(misfit + "\n");
    CudaCompileJob job;
    if (!program.source.empty()) job.source_name = program.source;
    job.source = candidate.source;
    job.defines = program.params;
    job.flags = program.flags;
    job.kernels = kernel_names(program);
    job.arch = program.arch.empty() ? *arch_ : program.arch;
    const std::string key = cuda_compile_key(*compiler_, job);
    {
      const std::scoped_lock lock(cache_mutex_);
      if (auto entry = cache_.find(key))
        return Built(BuiltObject{entry->object, key, entry->compiler_log, entry->seconds, true,
                                 parse_resources(entry->facts)});
    }
    KW_TRY(const base::TempDir folder, base::TempDir::create("kw-build"));
    KW_TRY(const auto output, compile_cuda(*compiler_, job, folder.path(), limits_));
    if (!output) return Built(tl::unexpected(output.error()));
    const std::scoped_lock lock(cache_mutex_);
    KW_TRY(const auto entry,
           cache_.publish(key, folder.path() / "object.cubin", job.source, output->log,
                          output->seconds,
                          {"object.cubin", "kernels.cu", resources_json(output->kernels)}));
    return Built(
        BuiltObject{entry.object, key, output->log, output->seconds, false, output->kernels});
  }

  std::optional<std::string> screen(const BuiltObject& object,
                                    const program::Program& program) const override {
    if (!device_) return device_.error().text();
    const auto bytes = base::read_file(object.path, limits_.object_bytes);
    if (!bytes) return bytes.error().text();
    if (auto reason = screen_cubin(*bytes, kernel_names(program))) return reason;
    const auto cubin = read_cubin(*bytes);
    if (!cubin) return cubin.error().text();
    return screen_launches(*cubin, program, *device_);
  }

  Result<MachineModel> machine_model(bool remeasure) override {
    if (const std::string reason = absent_reason(); !reason.empty())
      return fail(ErrorKind::kEnvironment, reason);
    KW_TRY(const auto root, base::cache_dir());
    return cuda_machine_model(*compiler_, *device_, name(), root, remeasure);
  }

 private:
  int ordinal_;
  Result<CudaDevice> device_;
  Result<CudaCompiler> compiler_;
  Result<std::string> arch_;
  BuildCache cache_;
  std::mutex cache_mutex_;
  CudaCompileLimits limits_;
};

}  // namespace

Result<std::unique_ptr<Target>> open_cuda_target(int ordinal) {
  CudaCompileLimits limits;
  KW_TRY(limits.wall_s, build_timeout_s(limits.wall_s));
  KW_TRY(BuildCache cache, BuildCache::open_default());
  KW_TRY(const auto root, base::cache_dir());
  auto device = read_cuda_device(ordinal);
  // Nobody needs a compiler for a device that is not there.
  const char* setting = std::getenv("KERNELWRIGHT_CUDA_COMPILER");
  auto compiler = device ? find_cuda_compiler(setting != nullptr ? setting : "", root)
                         : Result<CudaCompiler>(tl::unexpected(device.error()));
  return std::make_unique<CudaTarget>(ordinal, std::move(device), std::move(compiler),
                                      std::move(cache), limits);
}

}  // namespace kernelwright::target
