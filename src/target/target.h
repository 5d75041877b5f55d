// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "program/parse.h"
#include "target/machine_model.h"
#include "target/policy.h"
#include "target/resources.h"

namespace kernelwright::target {

// Result of building a candidate: where the loadable object lies in the cache.
struct BuiltObject {
  std::filesystem::path path;
  std::string key;           // identity of source, headers, flags, compiler, CPU features
  std::string compiler_log;  // warnings, shortened
  double seconds = 0;
  bool cached = false;
  std::vector<KernelResources> kernels;  // empty where the target has no such figures
};

// Why a build gave no object: the toolchain's own words, shortened, with our temp paths removed.
struct BuildFailure {
  std::string log;
  bool timed_out = false;
};

// One kind of device with toolchain, runtime and machine model. Stateless but for caches.
class Target {
 public:
  virtual ~Target() = default;
  virtual std::string name() const = 0;  // "cpu", "cuda", "cuda:1"
  // What its programs say as their target: the name without a device number.
  std::string kind() const { return name().substr(0, name().find(':')); }
  // Empty when usable, else the one-line reason ("no C++ compiler: neither g++ nor clang++ on
  // PATH").
  virtual std::string absent_reason() const = 0;
  virtual std::string device_name() const = 0;
  virtual std::string toolchain_identity()
      const = 0;  // hash: changes with compiler and CPU features
  virtual std::string toolchain_version() const = 0;  // for people: "g++ (Debian 12.2.0) 12.2.0"
  virtual bool supports(Policy policy) const = 0;
  // Builds a validated candidate in a confined process, or finds it in the cache. The outer Result
  // fails on our own troubles (disk full), the inner one is the candidate's.
  virtual Result<tl::expected<BuiltObject, BuildFailure>> build(const program::Candidate& candidate,
                                                                Policy policy) = 0;
  // Screens a built object; the reason when it is refused.
  virtual std::optional<std::string> screen(const BuiltObject& object,
                                            const program::Program& program) const = 0;
  // Measured once per machine and cached.
  virtual Result<MachineModel> machine_model(bool remeasure = false) = 0;
};

// Every target this build knows, present or not.
std::vector<std::string> target_names();
// kUsage on an unknown name. A target that is absent is returned; ask absent_reason().
Result<std::unique_ptr<Target>> open_target(const std::string& name);

}  // namespace kernelwright::target
