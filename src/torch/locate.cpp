// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstdlib>

#include "base/subprocess.h"
#include "torch/worker.h"

namespace kernelwright::torch {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code code;
  return fs::exists(path, code);
}

fs::path own_folder() {
  std::error_code code;
  return fs::read_symlink("/proc/self/exe", code).parent_path();
}

bool holds_package(const fs::path& folder) {
  return is_there(folder / "kernelwright" / "worker.py");
}

// Asks the package's metadata: loading PyTorch itself would take seconds. "" when it is usable.
std::string why_not(const std::string& python) {
  base::ProcessSpec spec;
  spec.argv = {python, "-c",
               "import importlib.util as u\n"
               "from importlib.metadata import version\n"
               "assert u.find_spec('torch')\n"
               "v = version('torch')\n"
               "print(v if tuple(map(int, v.split('.')[:2])) >= (2, 11) else 'old ' + v)"};
  spec.limits.wall_s = 20;
  spec.limits.output_bytes = 4096;
  auto outcome = base::run_process(spec);
  if (!outcome) return outcome.error().message;
  if (!outcome->ok()) return "no PyTorch";
  if (outcome->out.rfind("old ", 0) == 0) {
    auto end = outcome->out.find_last_not_of("\r\n ");
    return fmt::format("PyTorch {} is older than 2.11", outcome->out.substr(4, end - 3));
  }
  return "";
}

}  // namespace

Result<std::filesystem::path> python_package_dir() {
  if (const char* given = std::getenv("KERNELWRIGHT_PYTHON_DIR");
      given != nullptr && *given != '\0') {
    if (holds_package(given)) return fs::path(given);
    return fail(ErrorKind::kEnvironment,
                fmt::format("KERNELWRIGHT_PYTHON_DIR holds no kernelwright package: {}", given));
  }
  const fs::path folder = own_folder();
  // Installed by pip: site-packages/kernelwright/bin/kernelwright. Installed by CMake: bin beside
  // lib and share.
  for (const char* relative :
       {"../..", "../lib/kernelwright/python", "../share/kernelwright/python", "../python"})
    if (fs::path candidate = (folder / relative).lexically_normal(); holds_package(candidate))
      return candidate;
  // A checkout: some folder above the build holds python/.
  for (fs::path up = folder; up.has_relative_path(); up = up.parent_path())
    if (holds_package(up / "python")) return up / "python";
  return fail(Error{
      ErrorKind::kEnvironment, "the kernelwright Python package is not beside this program", {}}
                  .with("program", folder.string())
                  .with("remedy", "set KERNELWRIGHT_PYTHON_DIR to the folder that holds it"));
}

Result<std::string> find_python() {
  if (const char* given = std::getenv("KERNELWRIGHT_PYTHON"); given != nullptr && *given != '\0') {
    if (std::string reason = why_not(given); !reason.empty())
      return fail(ErrorKind::kEnvironment,
                  fmt::format("KERNELWRIGHT_PYTHON={}: {}", given, reason));
    return std::string(given);
  }
  std::vector<std::string> candidates;
  if (auto package = python_package_dir()) {
    candidates.push_back((package->parent_path() / ".venv/bin/python").string());
    // site-packages is lib/pythonX.Y/site-packages of the environment it was installed into.
    candidates.push_back((*package / "../../../bin/python").lexically_normal().string());
  }
  if (const char* environment = std::getenv("VIRTUAL_ENV");
      environment != nullptr && *environment != '\0')
    candidates.push_back(std::string(environment) + "/bin/python");
  std::string reason = "none found";
  for (const std::string& candidate : candidates) {
    if (!is_there(candidate)) continue;
    reason = why_not(candidate);
    if (reason.empty()) return candidate;
    reason = candidate + ": " + reason;
  }
  if (auto python = base::find_program("python3")) {
    const std::string why = why_not(*python);
    if (why.empty()) return *python;
    reason = *python + ": " + why;
  }
  return fail(Error{
      ErrorKind::kEnvironment,
      fmt::format("no Python with PyTorch 2.11 or later ({})", reason),
      {}}.with("remedy", "set KERNELWRIGHT_PYTHON to an interpreter that has it"));
}

}  // namespace kernelwright::torch
