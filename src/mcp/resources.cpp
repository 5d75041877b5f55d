// SPDX-License-Identifier: Apache-2.0
#include "mcp/resources.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <vector>

#include "agent/answers.h"
#include "agent/texts.h"
#include "archive/archive.h"
#include "base/file.h"
#include "mcp/workshop.h"

namespace kernelwright::mcp {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kScheme = "kernelwright://";
constexpr size_t kArtifactsListed = 20;
constexpr uint64_t kMostBytes = 8u << 20;

struct ArtifactFile {
  const char* name;
  const char* type;
  const char* what;
};
constexpr std::array<ArtifactFile, 4> kArtifactFiles = {{
    {"result.json", "application/json", "what the run found"},
    {"optimized.py", "text/x-python", "the drop-in module"},
    {"report.html", "text/html", "the report"},
    {"verdicts.jsonl", "application/jsonl", "every verdict of the run"},
}};

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Result<json> none(const std::string& uri) {
  return fail(ErrorKind::kInput, fmt::format("no resource {}", uri.substr(0, 200)));
}

json content(const std::string& uri, const std::string& type, std::string text) {
  return {{"uri", uri}, {"mimeType", type}, {"text", std::move(text)}};
}

const char* type_of(const std::string& name) {
  for (const auto& file : kArtifactFiles)
    if (name == file.name) return file.type;
  return name == "program.json" ? "application/json" : "text/plain";
}

Result<json> read_artifact(const fs::path& root, const std::vector<std::string>& parts,
                           const std::string& uri) {
  const bool top = parts.size() == 3 &&
                   std::any_of(kArtifactFiles.begin(), kArtifactFiles.end(),
                               [&](const ArtifactFile& file) { return parts[2] == file.name; });
  const bool program = parts.size() == 5 && parts[2] == "programs";
  if (!top && !program) return none(uri);
  fs::path path = "runs";
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!is_bare_name(parts[i])) return none(uri);
    path /= parts[i];
  }
  // Sources and program.json; objects are no text.
  if (program && parts[4] != "program.json" && path.extension() != ".cpp" &&
      path.extension() != ".cu")
    return none(uri);
  const auto found = file_below(root, path.string());
  if (!found) return none(uri);
  KW_TRY(std::string text, base::read_file(*found, kMostBytes));
  return content(uri, type_of(parts.back()), std::move(text));
}

Result<json> read_program(const std::string& id, const std::string& uri) {
  if (id.size() < 6 || id.size() > 64 || !is_bare_name(id)) return none(uri);
  KW_TRY(const fs::path path, archive::Archive::default_path());
  KW_TRY(auto archive, archive::Archive::open(path));
  KW_TRY(const std::string whole, archive.resolve(id));
  KW_TRY(const auto candidate, archive.load(whole));
  return content(
      uri, "application/json",
      agent::program_answer(candidate, whole).dump(1, ' ', false, json::error_handler_t::replace));
}

// Finished artifacts, newest first.
std::vector<std::string> artifacts(const fs::path& root) {
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(root / "runs", code)) {
    const std::string name = entry.path().filename().string();
    const auto time = fs::last_write_time(entry.path() / "result.json", code);
    if (!code && is_bare_name(name)) found.emplace_back(time, name);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> names;
  for (size_t i = 0; i < found.size() && i < kArtifactsListed; ++i)
    names.push_back(found[i].second);
  return names;
}

}  // namespace

json list_resources(const fs::path& root) {
  json list = json::array();
  for (const auto& artifact : artifacts(root)) {
    for (const auto& file : kArtifactFiles) {
      std::error_code code;
      if (!fs::is_regular_file(root / "runs" / artifact / file.name, code)) continue;
      list.push_back({{"uri", fmt::format("{}artifacts/{}/{}", kScheme, artifact, file.name)},
                      {"name", artifact + "/" + file.name},
                      {"description", file.what},
                      {"mimeType", file.type}});
    }
  }
  for (const char* target : {"cpu", "cuda"})
    list.push_back({{"uri", fmt::format("{}playbook/{}", kScheme, target)},
                    {"name", fmt::format("playbook {}", target)},
                    {"description", fmt::format("what makes programs fast on {}", target)},
                    {"mimeType", "text/markdown"}});
  list.push_back({{"uri", fmt::format("{}playbook/program-format", kScheme)},
                  {"name", "playbook program-format"},
                  {"description", "every rule of program.json"},
                  {"mimeType", "text/markdown"}});
  return list;
}

json list_resource_templates() {
  return json::array(
      {{{"uriTemplate", std::string(kScheme) + "programs/{id}"},
        {"name", "program"},
        {"description", "program.json and source of any judged program, by its id"},
        {"mimeType", "application/json"}},
       {{"uriTemplate", std::string(kScheme) + "artifacts/{folder}/programs/{region}/{file}"},
        {"name", "artifact program"},
        {"description", "program.json, kernels.cpp or kernels.cu that an artifact ships"},
        {"mimeType", "text/plain"}}});
}

Result<json> read_resource(const fs::path& root, const std::string& uri) {
  const std::string scheme = kScheme;
  if (uri.rfind(scheme, 0) != 0 || uri.size() > 1024) return none(uri);
  const auto parts = parts_of(uri.substr(scheme.size()));
  if (parts[0] == "artifacts") return read_artifact(root, parts, uri);
  if (parts[0] == "programs" && parts.size() == 2) return read_program(parts[1], uri);
  if (parts[0] == "playbook" && parts.size() == 2) {
    if (parts[1] == "program-format")
      return content(uri, "text/markdown", *agent::find_text("program-format"));
    if (const std::string* text = agent::find_text("playbook/" + parts[1]))
      return content(uri, "text/markdown", *text);
  }
  return none(uri);
}

}  // namespace kernelwright::mcp
