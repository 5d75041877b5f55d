// SPDX-License-Identifier: Apache-2.0
// What is here and what is missing, in under a second: reads metadata, starts no PyTorch.
#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/keys.h"
#include "base/confine.h"
#include "base/file.h"
#include "base/subprocess.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "kernelwright/runtime.h"
#include "target/cpu/toolchain.h"
#include "target/cuda/device_limits.h"
#include "target/cuda/toolchain.h"
#include "target/target.h"
#include "torch/worker.h"

namespace kernelwright::cli {
namespace {

using nlohmann::json;

json problem(const std::string& text) {
  return {{"ok", false}, {"text", text}};
}
json fine(const std::string& text) {
  return {{"ok", true}, {"text", text}};
}

json look_at_targets() {
  json out = json::object();
  for (const std::string& name : target::target_names()) {
    const auto target = target::open_target(name);
    if (!target) {
      out[name] = problem(target.error().text());
      continue;
    }
    const std::string reason = (*target)->absent_reason();
    out[name] = reason.empty() ? fine((*target)->device_name()) : problem("absent: " + reason);
  }
  return out;
}

json look_at_compiler() {
  const auto cache = base::cache_dir();
  if (!cache) return problem(cache.error().text());
  const char* wanted = std::getenv("KERNELWRIGHT_CXX");
  const auto compiler = target::find_compiler(wanted != nullptr ? wanted : "", *cache);
  if (!compiler) return problem(compiler.error().text());
  return fine(fmt::format("{} ({})", compiler->path.string(), compiler->version));
}

// The CUDA driver and its devices, compilers, and the tools that profile and check.
json look_at_cuda() {
  json out = json::object();
  const auto count = target::cuda_device_count();
  if (!count) {
    out["driver"] = problem(count.error().text());
  } else if (*count == 0) {
    out["driver"] = problem("the driver sees no device");
  } else {
    for (int i = 0; i < *count; ++i) {
      const auto device = target::read_cuda_device(i);
      const std::string name = fmt::format("cuda:{}", i);
      if (!device) {
        out[name] = problem(device.error().text());
        continue;
      }
      out["driver"] = fine(fmt::format("speaks CUDA {}.{}", device->driver_version / 1000,
                                       device->driver_version % 1000 / 10));
      out[name] = fine(fmt::format(
          "{}, compute capability {}.{}, {} multiprocessors, {:.1f} GiB, {} KiB of shared memory "
          "per block",
          device->name, device->major, device->minor, device->multiprocessors,
          static_cast<double>(device->memory_bytes) / (1u << 30), device->shared_per_block >> 10));
    }
  }
  const auto cache = base::cache_dir();
  if (!cache) return out;
  const auto look_at = [&](const char* name, const std::string& setting) {
    const auto compiler = target::find_cuda_compiler(setting, *cache);
    out[name] = compiler ? fine(fmt::format("{} ({})", compiler->path.string(), compiler->version))
                         : problem(compiler.error().text());
  };
  look_at("nvrtc", "nvrtc");
  look_at("nvcc", "nvcc");
  const char* wanted = std::getenv("KERNELWRIGHT_CUDA_COMPILER");
  if (wanted != nullptr && *wanted != '\0') look_at("cuda compiler", wanted);
  for (const char* tool : {"compute-sanitizer", "ncu"}) {
    std::optional<std::string> path = base::find_program(tool);
    const std::string usual = std::string("/usr/local/cuda/bin/") + tool;
    std::error_code ec;
    if (!path && std::filesystem::is_regular_file(usual, ec)) path = usual;
    out[tool] = path ? fine(*path) : problem("not installed");
  }
  return out;
}

json look_at_sandbox() {
  const int abi = base::landlock_abi();
  if (abi == 0)
    return problem(
        "no Landlock: builds and candidates run with limits and a system-call filter alone");
  return fine(fmt::format("Landlock ABI {}, seccomp", abi));
}

// Profiles have times in any case; what the processor counts beside them leads the search better.
json look_at_counters() {
  const int count = kw_count_events();
  if (count == 5) return fine("cycles, instructions, cache and TLB misses, page faults");
  return problem(
      fmt::format("{} of 5 events (a virtual machine, or /proc/sys/kernel/perf_event_paranoid): "
                  "profiles have times alone",
                  count));
}

// Our own Python side, and versions of what the worker imports, from the interpreter's metadata.
json look_at_python() {
  const auto package = torch::python_package_dir();
  json out = {{"package", package ? fine(package->string()) : problem(package.error().text())}};
  const auto python = torch::find_python();
  if (!python) {
    out["python"] = problem(python.error().text());
    return out;
  }
  base::ProcessSpec spec;
  spec.argv = {*python, "-c",
               "import platform\n"
               "from importlib.metadata import version, PackageNotFoundError\n"
               "print(platform.python_version())\n"
               "for name in ('torch', 'numpy', 'safetensors'):\n"
               "    try: print(version(name))\n"
               "    except PackageNotFoundError: print('')\n"};
  spec.limits.wall_s = 10;
  spec.limits.output_bytes = 4096;
  const auto outcome = base::run_process(spec);
  if (!outcome || !outcome->ok()) {
    out["python"] = problem(*python + " does not run");
    return out;
  }
  std::vector<std::string> lines(1);
  for (const char c : outcome->out) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  }
  lines.resize(5);
  out["python"] = fine(fmt::format("{} ({})", *python, lines[0]));
  const char* names[] = {"torch", "numpy", "safetensors"};
  for (size_t i = 0; i < 3; ++i)
    out[names[i]] = lines[i + 1].empty() ? problem("not installed") : fine(lines[i + 1]);
  return out;
}

json look_at_folders() {
  json out = json::object();
  const auto add = [&](const char* name, const Result<std::filesystem::path>& path) {
    if (!path) {
      out[name] = problem(path.error().text());
      return;
    }
    std::error_code ec;
    const auto space = std::filesystem::space(*path, ec);
    out[name] = ec ? problem(ec.message())
                   : fine(fmt::format("{} ({:.1f} GiB free)", path->string(),
                                      static_cast<double>(space.available) / (1u << 30)));
  };
  add("cache", base::cache_dir());
  add("data", base::data_dir());
  return out;
}

json look_at_keys() {
  json out = json::object();
  const char* file = std::getenv("KERNELWRIGHT_KEY_FILE");
  const auto keys = agent::KeyRing::load(file != nullptr ? file : "");
  if (!keys) out["keys"] = problem(keys.error().text());
  for (const char* key : agent::kKeyVariables)
    out[key] = keys && keys->has(key) ? "set" : "not set";
  return out;
}

void print_group(const char* title, const json& group) {
  fmt::print("{}\n", title);
  for (const auto& [name, entry] : group.items()) {
    if (entry.is_string())
      fmt::print("     {:<18} {}\n", name, entry.get<std::string>());
    else
      fmt::print("  {} {:<18} {}\n", entry["ok"].get<bool>() ? "ok" : "--", name,
                 entry["text"].get<std::string>());
  }
}

}  // namespace

int cmd_doctor(const GlobalOptions& global) {
  const json targets = look_at_targets();
  const json tools = {{"compiler", look_at_compiler()},
                      {"sandbox", look_at_sandbox()},
                      {"counters", look_at_counters()}};
  const json cuda = look_at_cuda();
  const json python = look_at_python();
  const json folders = look_at_folders();
  const json keys = look_at_keys();
  if (global.json) {
    const json out = {{"version", KW_VERSION}, {"targets", targets}, {"tools", tools},
                      {"cuda", cuda},          {"python", python},   {"folders", folders},
                      {"keys", keys}};
    fmt::print("{}\n", out.dump(-1, ' ', false, json::error_handler_t::replace));
    return 0;
  }
  fmt::print("kernelwright {}\n", KW_VERSION);
  print_group("targets", targets);
  print_group("tools", tools);
  print_group("cuda", cuda);
  print_group("python", python);
  print_group("folders", folders);
  print_group("keys (values are never shown)", keys);
  return 0;
}

}  // namespace kernelwright::cli
