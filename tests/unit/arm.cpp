// SPDX-License-Identifier: Apache-2.0
#include "support/arm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "base/subprocess.h"

namespace kernelwright::testing {

namespace {

constexpr char kCompiler[] = "aarch64-linux-gnu-g++", kEmulator[] = "qemu-aarch64";

std::string said_by(std::vector<std::string> words) {
  base::ProcessSpec spec;
  spec.argv = std::move(words);
  auto done = base::run_process(spec);
  if (!done) return done.error().text();
  return done->ok() ? "" : spec.argv[0] + ": " + done->err.substr(0, 3000);
}

}  // namespace

std::string ArmRun::missing() {
  for (const char* tool : {kCompiler, kEmulator})
    if (!said_by({tool, "--version"}).empty()) return fmt::format("{} is not installed", tool);
  return "";
}

std::string ArmRun::build(const std::filesystem::path& source,
                          const std::vector<std::string>& kernels,
                          const std::filesystem::path& host) {
  auto text = base::read_file(source);
  if (!text) return text.error().text();
  *text +=
      "struct kw_entry { const char* name; kw_kernel kernel; };\n"
      "extern \"C\" const kw_entry kw_entries[] = {\n";
  for (const std::string& kernel : kernels) *text += fmt::format("  {{\"{0}\", {0}}},\n", kernel);
  *text += "  {nullptr, nullptr}};\n";
  auto with_table = host;
  with_table += ".cpp";
  if (auto written = base::write_file_atomic(with_table, *text); !written)
    return written.error().text();
  const std::string root = KW_SOURCE_DIR;
  return said_by({kCompiler, "-std=c++20", "-O1", "-march=armv8-a", "-fopenmp-simd",
                  "-fno-math-errno", "-Wno-psabi", "-static", "-pthread", "-I" + root + "/include",
                  "-I" + root + "/src/target/cpu/device", "-I" + root + "/tests", "-o",
                  host.string(), with_table.string(), root + "/tests/support/arm/host.cpp"});
}

void ArmRun::memory(std::byte* begin, size_t bytes) {
  blocks_.push_back({begin, bytes, bytes_});
  bytes_ += (bytes + 255) / 256 * 256;
}

size_t ArmRun::offset_of(const void* pointer) const {
  const auto* at = static_cast<const std::byte*>(pointer);
  for (const Block& block : blocks_)
    if (at >= block.begin && at <= block.begin + block.bytes)
      return block.offset + static_cast<size_t>(at - block.begin);
  return 0;
}

void ArmRun::launch(const std::string& kernel, const program::Launch& step, const CpuLaunch& how,
                    const std::vector<void*>& buffers) {
  script_ += fmt::format("launch {} {} {} {} {} {}", kernel, how.team ? 1 : 0, how.grain, how.grid,
                         how.scratch_bytes, buffers.size());
  for (size_t a = 0; a < buffers.size(); ++a) {
    if (std::holds_alternative<program::StepCounterArg>(step.args[a]))
      script_ += fmt::format(" #{}", reinterpret_cast<intptr_t>(buffers[a]));
    else
      script_ += fmt::format(" {}", offset_of(buffers[a]));
  }
  script_ += "\n";
}

void ArmRun::zero(const void* begin, size_t bytes) {
  script_ += fmt::format("zero {} {}\n", offset_of(begin), bytes);
}

std::string ArmRun::run(const std::filesystem::path& host, const std::filesystem::path& folder) {
  const auto image = folder / "image", script = folder / "script";
  std::string bytes(bytes_, '\0');
  for (const Block& block : blocks_)
    std::memcpy(bytes.data() + block.offset, block.begin, block.bytes);
  for (const auto& [path, text] : {std::pair(image, &bytes), std::pair(script, &script_)})
    if (auto written = base::write_file_atomic(path, *text); !written)
      return written.error().text();
  if (std::string error = said_by({kEmulator, host.string(), image.string(), script.string()});
      !error.empty())
    return error;
  auto after = base::read_file(image);
  if (!after) return after.error().text();
  for (const Block& block : blocks_)
    std::memcpy(block.begin, after->data() + block.offset, block.bytes);
  return "";
}

}  // namespace kernelwright::testing
