// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/nvrtc_process.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/confine.h"
#include "base/file.h"
#include "base/sanitizers.h"
#include "target/cuda/cubin.h"
#include "target/cuda/device_sources.h"
#include "target/cuda/nvrtc.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

constexpr int kDone = 0, kSourceErrors = 1, kSurroundings = 2;
constexpr uint64_t kLargestSource = 8ull << 20;

int complain(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
  return kSurroundings;
}

int answer_question(const Nvrtc& nvrtc) {
  const nlohmann::json json = {{"path", nvrtc.path().string()},
                               {"builtins", nvrtc.builtins().string()},
                               {"version", {nvrtc.major(), nvrtc.minor()}},
                               {"archs", nvrtc.archs()}};
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return kDone;
}

// Makes NVRTC load whatever it loads late, then gives up reading.
Status warm_and_confine(const Nvrtc& nvrtc, const std::string& arch) {
  KW_TRY(const auto warm, nvrtc.compile("extern \"C\" __global__ void w(float* x) { *x = 1; }\n",
                                        "warm.cu", {}, {arch}));
  if (warm.cubin.empty())
    return fail(ErrorKind::kEnvironment, "NVRTC does not compile an empty kernel: " + warm.log);
  base::Confinement nothing;
  nothing.write_paths = {fs::current_path().string()};
  KW_TRY(const auto prepared, base::prepare_confinement(nothing));
  if (!base::enter_confinement(prepared.ruleset.get(), prepared.filter.data(),
                               prepared.filter.size()))
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot confine the compiler: {}", std::strerror(errno)));
  return {};
}

int do_job(const Nvrtc& nvrtc) {
  const auto text = base::read_file("job.json", 1 << 20);
  if (!text) return complain(text.error().text());
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("source") || !json.contains("options"))
    return complain("job.json is malformed");
  const auto name = json["source"].get<std::string>();
  const auto options = json["options"].get<std::vector<std::string>>();
  const auto source = base::read_file(name, kLargestSource);
  if (!source) return complain(source.error().text());
  const auto arch = std::find_if(options.begin(), options.end(), [](const std::string& option) {
    return option.starts_with("-arch=");
  });
  if (arch == options.end()) return complain("no architecture among the options");
  if (const auto ready = warm_and_confine(nvrtc, *arch); !ready)
    return complain(ready.error().text());
  auto output = nvrtc.compile(*source, name, cuda_device_sources(), options);
  if (!output) return complain(output.error().text());
  if (const auto written = base::write_file_atomic("log.txt", output->log); !written)
    return complain(written.error().text());
  if (output->cubin.empty()) return kSourceErrors;
  if (const auto written = base::write_file_atomic("object.cubin", output->cubin); !written)
    return complain(written.error().text());
  return kDone;
}

// What a child that only asks may read besides the system: the library's folder.
ToolLimits with_library(ToolLimits limits, const std::string& library) {
  if (base::kShadowMemory) limits.memory_bytes = 0;  // the child is this program
  if (library.find('/') != std::string::npos) {
    std::error_code ec;
    limits.also_readable.push_back(fs::path(library).parent_path());
    const fs::path real = fs::canonical(library, ec);
    if (!ec) limits.also_readable.push_back(real.parent_path());
  }
  return limits;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

int carry_out(int argc, char** argv) {
  if (argc != 4) return complain("usage: cuda-compile question|job LIBRARY");
  const auto nvrtc = Nvrtc::open(argv[3]);
  if (!nvrtc) return complain(nvrtc.error().text());
  if (std::strcmp(argv[2], "question") == 0) return answer_question(*nvrtc);
  if (std::strcmp(argv[2], "job") == 0) return do_job(*nvrtc);
  return complain("usage: cuda-compile question|job LIBRARY");
}

}  // namespace

int cuda_compile_main(int argc, char** argv) {
  const int code = carry_out(argc, argv);
  // What NVRTC holds goes with the process, which may read nothing any more: no freeing, no search
  // for leaks.
  std::fflush(nullptr);
  std::_Exit(code);
}

Result<fs::path> own_program() {
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec);
  if (ec) return fail(ErrorKind::kEnvironment, "cannot find our own executable: " + ec.message());
  const fs::path sibling = self.parent_path() / "kernelwright";
  return fs::is_regular_file(sibling, ec) ? sibling : self;
}

Result<NvrtcInfo> question_nvrtc(const std::string& library) {
  KW_TRY(const fs::path program, own_program());
  KW_TRY(const base::TempDir folder, base::TempDir::create("kw-nvrtc"));
  KW_TRY(const auto outcome,
         run_compiler(program, {"cuda-compile", "question", library}, folder.path(),
                      with_library({20, 4ull << 30, 1 << 20, 1 << 20, {}}, library)));
  if (!outcome.ok()) {
    const std::string why = first_line(outcome.err);
    return fail(ErrorKind::kEnvironment,
                why.empty() ? fmt::format("NVRTC {} does not answer", library) : why);
  }
  try {
    const auto json = nlohmann::json::parse(outcome.out);
    NvrtcInfo info;
    info.path = json.at("path").get<std::string>();
    info.builtins = json.at("builtins").get<std::string>();
    info.major = json.at("version").at(0).get<int>();
    info.minor = json.at("version").at(1).get<int>();
    info.archs = json.at("archs").get<std::vector<int>>();
    return info;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorKind::kEnvironment, fmt::format("NVRTC {}: {}", library, error.what()));
  }
}

Result<base::ProcessOutcome> run_nvrtc(const fs::path& library, const NvrtcJob& job,
                                       const fs::path& folder, ToolLimits limits) {
  KW_TRY(const fs::path program, own_program());
  const nlohmann::json json = {{"source", job.source_name}, {"options", job.options}};
  KW_CHECK_OK(base::write_file_atomic(
      folder / "job.json", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  return run_compiler(program, {"cuda-compile", "job", library.string()}, folder,
                      with_library(std::move(limits), library.string()));
}

}  // namespace kernelwright::target
