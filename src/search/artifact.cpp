// SPDX-License-Identifier: Apache-2.0
#include "search/artifact.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace kernelwright::search {
namespace {

namespace fs = std::filesystem;

constexpr char kModule[] =
    R"py("""Drop-in for the workload "{workload}", made by kernelwright. report.html tells how it was judged."""

from kernelwright.dropin import load_artifact

# Same constructor, forward and state_dict keys as the original.
ModelNew = load_artifact(__file__)
)py";

constexpr char kWorkloadFile[] = "workload";

Error cannot(const std::string& what, const fs::path& path, const std::error_code& code) {
  return Error{ErrorKind::kEnvironment,
               fmt::format("cannot {} {}: {}", what, path.string(), code.message()),
               {}};
}

// Splits "file.py:Class" into file and class; a colon inside a folder name does not count.
std::pair<std::string, std::string> split_class(const std::string& path) {
  const size_t colon = path.rfind(':');
  if (colon == std::string::npos || path.find('/', colon) != std::string::npos) return {path, ""};
  return {path.substr(0, colon), path.substr(colon + 1)};
}

bool is_taken(const fs::path& out) {
  std::error_code code;
  return fs::exists(out, code) && !(fs::is_directory(out, code) && fs::is_empty(out, code));
}

Status check_free(const fs::path& out, bool resume) {
  std::error_code code;
  if (!is_taken(out)) return {};
  if (!resume)
    return fail(ErrorKind::kUsage,
                fmt::format("{} exists already: choose another --out, or go on with it by --resume",
                            out.string()));
  if (!fs::exists(out / "result.json", code))
    return fail(ErrorKind::kUsage,
                fmt::format("{} holds no run to resume: choose another --out", out.string()));
  return {};
}

// Makes the folder when it is not there, and locks it until the process ends.
Result<base::UniqueFd> hold(const fs::path& partial) {
  for (int tries = 0; tries < 32; ++tries) {
    std::error_code code;
    fs::create_directories(partial, code);
    if (code) return fail(cannot("create", partial, code));
    base::UniqueFd fd(::open(partial.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
      if (errno == ENOENT) continue;
      return fail(cannot("open", partial, {errno, std::generic_category()}));
    }
    // Some network file systems know no locks; there the folder goes unguarded.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      return fail(ErrorKind::kUsage,
                  fmt::format("{} belongs to a run that still goes on: wait for it, or choose "
                              "another --out",
                              partial.string()));
    // Its last holder may have removed or renamed it meanwhile.
    struct stat held{}, named{};
    if (::fstat(fd.get(), &held) == 0 && ::stat(partial.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev)
      return fd;
  }
  return fail(ErrorKind::kEnvironment, fmt::format("{} comes and goes", partial.string()));
}

// Empties a folder of a run; what it found and paid for may stay.
Status clear(const fs::path& partial, bool but_found) {
  std::error_code code;
  std::vector<fs::path> stale;
  for (const auto& entry : fs::directory_iterator(partial, code))
    if (!but_found ||
        (entry.path().filename() != "best" && entry.path().filename() != kTranscriptFile))
      stale.push_back(entry.path());
  for (const auto& path : stale) {
    fs::remove_all(path, code);
    if (code) return fail(cannot("remove", path, code));
  }
  return {};
}

}  // namespace

Result<ArtifactFolder> ArtifactFolder::create(const fs::path& out, bool resume) {
  std::error_code code;
  KW_CHECK_OK(check_free(out, resume));
  const fs::path absolute = fs::absolute(out, code).lexically_normal();
  fs::path partial = absolute;
  partial += ".partial";
  KW_TRY(base::UniqueFd lock, hold(partial));
  ArtifactFolder folder(absolute, partial, std::move(lock));
  KW_CHECK_OK(check_free(out, resume));  // nobody else can finish it from here on
  folder.replaces_ = is_taken(out);
  folder.continues_ = resume && (folder.replaces_ || !fs::is_empty(partial, code));
  folder.keeps_found_ =
      resume && (fs::exists(folder.best(), code) || fs::exists(partial / kTranscriptFile, code));
  KW_CHECK_OK(clear(partial, folder.keeps_found_));
  return folder;
}

ArtifactFolder::ArtifactFolder(ArtifactFolder&& other) noexcept
    : lock_(std::move(other.lock_)),
      out_(std::move(other.out_)),
      partial_(std::move(other.partial_)),
      replaces_(other.replaces_),
      continues_(other.continues_),
      keeps_found_(other.keeps_found_) {
  other.partial_.clear();
}

ArtifactFolder::~ArtifactFolder() {
  if (partial_.empty()) return;
  (void)clear(partial_, keeps_found_);
  std::error_code code;
  if (!keeps_found_) fs::remove(partial_, code);
}

std::optional<std::string> ArtifactFolder::workload() const {
  if (const auto text = base::read_file(out_ / "result.json")) {
    const auto json = nlohmann::json::parse(*text, nullptr, false);
    const bool says =
        json.is_object() && json.contains("workload") && json.at("workload").is_string();
    return says ? json.at("workload").get<std::string>() : "";
  }
  const auto noted = base::read_file(best() / kWorkloadFile);
  if (!noted) return std::nullopt;
  return *noted;
}

Status ArtifactFolder::note_workload(const std::string& workload) const {
  std::error_code code;
  fs::create_directories(best(), code);
  return base::write_file_atomic(best() / kWorkloadFile, workload);
}

Status ArtifactFolder::publish() {
  std::error_code code;
  if (replaces_) return replace();
  if (fs::exists(out_, code)) fs::remove(out_, code);  // an empty folder
  fs::rename(partial_, out_, code);
  if (code) return fail(cannot("rename to", out_, code));
  partial_.clear();
  return {};
}

// Old and new change places in one step, so that `out` is whole at every moment.
Status ArtifactFolder::replace() {
  std::error_code code;
  if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, out_.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(partial_, code);
    partial_.clear();
    return {};
  }
  // A file system without exchange.
  fs::path old = out_;
  old += ".old";
  fs::remove_all(old, code);
  fs::rename(out_, old, code);
  if (code) return fail(cannot("rename", out_, code));
  fs::rename(partial_, out_, code);
  if (code) return fail(cannot("rename to", out_, code));
  partial_.clear();
  fs::remove_all(old, code);
  return {};
}

Result<torch::WorkloadSpec> copy_original(const torch::WorkloadSpec& spec,
                                          const std::vector<std::string>& neighbours,
                                          const fs::path& folder) {
  torch::WorkloadSpec copy = spec;
  std::error_code code;
  const auto [file, class_name] = split_class(spec.path);
  if (fs::is_regular_file(file, code)) {
    const std::string name = "original" + fs::path(file).extension().string();
    fs::copy_file(file, folder / name, fs::copy_options::overwrite_existing, code);
    if (code) return fail(cannot("copy", file, code));
    copy.path = class_name.empty() ? name : name + ":" + class_name;
    for (const std::string& neighbour : neighbours) {
      const fs::path from = fs::path(file).parent_path() / neighbour, to = folder / neighbour;
      // A name of ours stays ours; the final check then says what does not load.
      if (neighbour == "optimized.py" || fs::exists(to, code)) continue;
      fs::create_directories(to.parent_path(), code);
      fs::copy_file(from, to, code);
      if (code) return fail(cannot("copy", from, code));
    }
  }
  if (fs::is_regular_file(spec.inputs, code)) {
    fs::copy_file(spec.inputs, folder / "inputs.pt", fs::copy_options::overwrite_existing, code);
    if (code) return fail(cannot("copy", spec.inputs, code));
    copy.inputs = "inputs.pt";
  }
  return copy;
}

std::map<std::string, std::string> spec_fields(const torch::WorkloadSpec& copy,
                                               const torch::WorkloadSpec& original) {
  std::map<std::string, std::string> fields = {{"path", copy.path},     {"init", copy.init},
                                               {"inputs", copy.inputs}, {"size", copy.size},
                                               {"policy", copy.policy}, {"target", copy.target}};
  std::error_code code;
  if (copy.path != original.path)
    fields["source"] =
        fs::absolute(split_class(original.path).first, code).lexically_normal().string();
  return fields;
}

Status write_program(const referee::Prepared& prepared, const std::string& region,
                     const fs::path& folder) {
  if (!prepared.object) return fail(ErrorKind::kInternal, "artifact: a program without an object");
  const fs::path place = folder / "programs" / region;
  std::error_code code;
  fs::create_directories(place, code);
  if (code) return fail(cannot("create", place, code));
  KW_CHECK_OK(program::write_candidate(prepared.candidate, place));
  // object.so, or object.cubin of a GPU's program.
  const fs::path& object = prepared.object->path;
  fs::copy_file(object, place / object.filename(), fs::copy_options::overwrite_existing, code);
  if (code) return fail(cannot("copy", object, code));
  return {};
}

Status write_module(const RunResult& result, const graph::Graph& graph, const fs::path& folder) {
  std::string module = kModule;
  const std::string field = "{workload}";
  module.replace(module.find(field), field.size(), result.workload);
  KW_CHECK_OK(base::write_file_atomic(folder / "optimized.py", module));
  return base::write_file_atomic(folder / "result.json",
                                 run_result_json(result, graph).dump(1) + "\n");
}

}  // namespace kernelwright::search
