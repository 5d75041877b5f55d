// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/cpu_target.h"

#include <fmt/core.h>

#include <cstdlib>
#include <mutex>

#include "base/file.h"
#include "program/validate.h"
#include "target/build_cache.h"
#include "target/build_settings.h"
#include "target/cpu/probe.h"
#include "target/cpu/screen.h"
#include "target/cpu/toolchain.h"
#include "target/cpu/topology.h"

namespace kernelwright::target {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

class CpuTarget final : public Target {
 public:
  CpuTarget(Result<Compiler> compiler, BuildCache cache, CompileLimits limits)
      : compiler_(std::move(compiler)), cache_(std::move(cache)), limits_(limits) {}

  std::string name() const override { return "cpu"; }
  std::string absent_reason() const override { return compiler_ ? "" : compiler_.error().text(); }
  std::string device_name() const override { return cpu_device_name(); }
  std::string toolchain_identity() const override { return compiler_ ? compiler_->identity : ""; }
  std::string toolchain_version() const override { return compiler_ ? compiler_->version : ""; }
  // Under bf16 and fp16 the program's own types say where rounding happens; TF32 is no format of a
  // CPU.
  bool supports(Policy policy) const override { return policy != Policy::kTf32; }

  Result<tl::expected<BuiltObject, BuildFailure>> build(const program::Candidate& candidate,
                                                        Policy policy) override {
    using Built = tl::expected<BuiltObject, BuildFailure>;
    if (!compiler_) return fail(compiler_.error());
    for (const auto& flag : candidate.program.flags)
      if (!program::flag_allowed("cpu", flag))
        return Built(tl::unexpected(
            BuildFailure{fmt::format("flag '{}' is not allowed\n", flag.substr(0, 80)), false}));
    CompileJob job;
    if (!candidate.program.source.empty()) job.source_name = candidate.program.source;
    job.source = candidate.source;
    job.defines = candidate.program.params;
    job.flags = candidate.program.flags;
    job.exports = kernel_names(candidate.program);
    const std::string key = compile_key(*compiler_, job);
    {
      const std::scoped_lock lock(cache_mutex_);
      if (auto entry = cache_.find(key))
        return Built(
            BuiltObject{entry->object, key, entry->compiler_log, entry->seconds, true, {}});
    }
    KW_TRY(const base::TempDir folder, base::TempDir::create("kw-build"));
    KW_TRY(const auto output, compile(*compiler_, job, folder.path(), limits_));
    if (!output) return Built(tl::unexpected(output.error()));
    const std::scoped_lock lock(cache_mutex_);
    KW_TRY(const auto entry, cache_.publish(key, folder.path() / "object.so", job.source,
                                            output->log, output->seconds));
    return Built(BuiltObject{entry.object, key, output->log, output->seconds, false, {}});
  }

  std::optional<std::string> screen(const BuiltObject& object,
                                    const program::Program& program) const override {
    const auto bytes = base::read_file(object.path, limits_.object_bytes);
    if (!bytes) return bytes.error().text();
    if (auto reason = screen_object(*bytes, kernel_names(program))) return reason;
    const auto listing = disassemble(object.path);
    if (!listing) return listing.error().text();
    return *listing ? screen_disassembly(**listing) : std::nullopt;
  }

  Result<MachineModel> machine_model(bool remeasure) override {
    if (!compiler_) return fail(compiler_.error());
    KW_TRY(const auto root, base::cache_dir());
    return cpu_machine_model(*compiler_, root, remeasure);
  }

 private:
  Result<Compiler> compiler_;
  BuildCache cache_;
  std::mutex cache_mutex_;
  CompileLimits limits_;
};

}  // namespace

Result<std::unique_ptr<Target>> open_cpu_target() {
  CompileLimits limits;
  KW_TRY(limits.wall_s, build_timeout_s(limits.wall_s));
  KW_TRY(BuildCache cache, BuildCache::open_default());
  KW_TRY(const auto root, base::cache_dir());
  return std::make_unique<CpuTarget>(find_compiler(environment("KERNELWRIGHT_CXX"), root),
                                     std::move(cache), limits);
}

}  // namespace kernelwright::target
