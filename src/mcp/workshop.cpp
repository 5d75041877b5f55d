// SPDX-License-Identifier: Apache-2.0
#include "mcp/workshop.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <chrono>

#include "base/file.h"
#include "base/log.h"
#include "search/run.h"

namespace kernelwright::mcp {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostOpen = 4;

// Hands what the libraries tell of their progress to the call at work.
class Listening {
 public:
  explicit Listening(const agent::Call& call)
      : watch_([this, &call](std::string_view phase, std::string_view text) {
          call.tell(++told_, 0, fmt::format("{}: {}", phase, text));
        }) {}

 private:
  double told_ = 0;
  base::ProgressWatch watch_;
};

// While a call works, its cancellation is the run's.
class Binding {
 public:
  Binding(std::function<bool()>& stop, const agent::Call& call) : stop_(stop) {
    stop_ = [&call] { return call.stop(); };
  }
  ~Binding() { stop_ = nullptr; }
  Binding(const Binding&) = delete;

 private:
  std::function<bool()>& stop_;
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// file.py, file.py:Class or file.pt2, with the file's canonical path.
Result<std::string> workload_below(const fs::path& root, const std::string& path) {
  std::string file = path, name;
  if (const size_t colon = path.rfind(".py:"); colon != std::string::npos) {
    file = path.substr(0, colon + 3);
    name = path.substr(colon + 3);
    for (size_t i = 1; i < name.size(); ++i)
      if (!std::isalnum(static_cast<unsigned char>(name[i])) && name[i] != '_')
        return fail(ErrorKind::kUsage, "path: what follows ':' is the name of a class");
  }
  if (!ends_with(file, ".py") && !ends_with(file, ".pt2"))
    return fail(ErrorKind::kUsage, "path: expected file.py, file.py:Class or file.pt2");
  KW_TRY(const fs::path found, file_below(root, file));
  return found.string() + name;
}

}  // namespace

Result<fs::path> file_below(const fs::path& root, const std::string& path) {
  std::error_code code;
  const fs::path found = fs::weakly_canonical(root / path, code);
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), found.begin(), found.end());
  if (code || path.find('\0') != std::string::npos || end != root.end())
    return fail(ErrorKind::kUsage,
                fmt::format("{} lies outside of {}, the folder this server works in "
                            "(kernelwright mcp --root DIR)",
                            path.substr(0, 200), root.string()));
  if (!fs::is_regular_file(found, code))
    return fail(ErrorKind::kUsage, fmt::format("no file {}", found.string()));
  return found;
}

bool is_bare_name(const std::string& name) {
  if (name.empty() || name.size() > 128 || name[0] == '.') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c)) || c == '.' || c == '_' || c == '-';
  });
}

RootedWorkshop::~RootedWorkshop() {
  while (!open_.empty()) (void)close(open_.begin()->first);
}

Result<std::string> RootedWorkshop::open(const agent::OpenRequest& request,
                                         const agent::Call& call) {
  if (open_.size() >= kMostOpen)
    return fail(ErrorKind::kUsage,
                fmt::format("{} workloads are open already: close_workload first", kMostOpen));
  search::RunOptions options;
  KW_TRY(options.spec.path, workload_below(root_, request.path));
  options.spec.init = request.init;
  options.spec.inputs = request.inputs;
  if (ends_with(request.inputs, ".pt")) {
    KW_TRY(const fs::path inputs, file_below(root_, request.inputs));
    options.spec.inputs = inputs.string();
  }
  options.spec.size = request.size;
  options.spec.target = request.target;
  options.spec.policy = request.policy;
  options.threads = request.threads;
  options.resume = request.resume;
  if (!request.out.empty()) {
    if (!is_bare_name(request.out))
      return fail(ErrorKind::kUsage, "out: expected a bare folder name, without separators");
    options.out = root_ / "runs" / request.out;
  } else {
    options.out = root_ / search::default_out(options.spec.path);
  }
  options.command = "mcp " + request.path;
  options.stop = [this] { return stop_ && stop_(); };
  const Listening listening(call);
  const Binding binding(stop_, call);
  Open opened;
  KW_TRY(opened.run, search::OpenedRun::open(options));
  opened.bench = std::make_unique<search::RunWorkbench>(*opened.run);
  const std::string handle = fmt::format("w{}", ++last_);
  open_.emplace(handle, std::move(opened));
  return handle;
}

Result<RootedWorkshop::Opened> RootedWorkshop::at(const std::string& handle) {
  if (open_.empty())
    return fail(ErrorKind::kUsage, "no workload is open: call open_workload first");
  if (handle.empty() && open_.size() == 1) return open_.begin();
  const auto it = open_.find(handle);
  if (it != open_.end()) return it;
  std::string known;
  for (const auto& name : handles()) known += (known.empty() ? "" : ", ") + name;
  return fail(ErrorKind::kUsage, handle.empty()
                                     ? "workload: missing; open are " + known
                                     : fmt::format("workload: '{}' is not open; open are {}",
                                                   handle.substr(0, 40), known));
}

Result<agent::Workbench*> RootedWorkshop::find(const std::string& handle) {
  KW_TRY(const Opened found, at(handle));
  return found->second.bench.get();
}

std::vector<std::string> RootedWorkshop::handles() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : open_) names.push_back(name);
  return names;
}

Status RootedWorkshop::run_expert(const std::string& handle, const std::string& region,
                                  double seconds, const agent::Call& call) {
  KW_TRY(const Opened found, at(handle));
  const Listening listening(call);
  const Binding binding(stop_, call);
  const auto begun = Clock::now();
  for (auto& one : found->second.run->regions())
    if (one.result.region.id == region)
      KW_CHECK_OK(search::search_with_expert(*found->second.run, one, seconds));
  found->second.search_s += std::chrono::duration<double>(Clock::now() - begun).count();
  return {};
}

Result<agent::Workshop::Written> RootedWorkshop::write_artifact(const std::string& handle,
                                                                const agent::Call& call) {
  KW_TRY(const Opened found, at(handle));
  const Listening listening(call);
  const Binding binding(stop_, call);
  KW_TRY(const auto result, found->second.run->finish(found->second.search_s));
  Written written;
  written.folder = result.artifact;
  KW_TRY(written.result_json, base::read_file(fs::path(result.artifact) / "result.json"));
  open_.erase(found);
  return written;
}

Status RootedWorkshop::close(const std::string& handle) {
  KW_TRY(const Opened found, at(handle));
  auto& run = *found->second.run;
  (void)run.archive().finish_run(run.id(), "interrupted", "");
  open_.erase(found);
  return {};
}

}  // namespace kernelwright::mcp
