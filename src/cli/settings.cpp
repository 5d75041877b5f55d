// SPDX-License-Identifier: Apache-2.0
#include "cli/settings.h"

#include <fmt/core.h>
#include <toml++/toml.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "base/file.h"

namespace kernelwright::cli {
namespace {

constexpr Setting kSettings[] = {
    {"target", "cuda if a device answers, else cpu", "device: cpu, cuda or cuda:N", true},
    {"policy", "by dtype: strict for fp32", "numerics: strict, tf32, bf16 or fp16", true},
    {"budget", "2m", "search time, such as 90s or 2m; baselines and set-up not counted", true},
    {"proposer", "expert", "who makes programs: expert, llm, or both with a comma", true},
    {"threads", "PyTorch's choice", "threads on both sides of a comparison", true},
    {"seed", "unpredictable", "seed of draws and search", true},
    {"size", "by target",
     "which of a file's SIZES to use: cpu or gpu; cpu:7 draws from DRAWS by a seed", true},
    {"model", "none", "model of the llm proposer; may be repeated", true},
    {"max_cost", "no bound", "bound on the cost of models in USD", true},
    {"max_tokens", "no bound", "bound on the tokens of models, both ways", true},
    {"prices", "none",
     "what models cost: a list of MODEL=INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]] in USD per million "
     "tokens",
     false},
    {"key_file", "none", "file with keys of model providers, NAME=KEY a line, mode 600", false},
    {"model_timeout_s", "1800", "bound on one reply of a model, in seconds", false},
    {"model_attempts", "5", "how often a request to a model is sent before it has failed", false},
    {"model_options", "none", "more members of requests, as JSON: {\"MODEL\": {\"member\": value}}",
     false},
    {"python", "the project's .venv, else python3",
     "Python interpreter that has PyTorch 2.11 or later", false},
    {"python_dir", "beside the program", "folder that holds the kernelwright Python package",
     false},
    {"cxx", "g++, else clang++", "compiler of generated CPU kernels", false},
    {"cuda_compiler", "NVRTC, else nvcc",
     "compiler of generated CUDA kernels: nvrtc, nvcc, or the path of libnvrtc or nvcc", false},
    {"build_timeout_s", "60", "bound on one build of a kernel, in seconds", false},
    {"cache_limit_mb", "2048", "size at which the build cache drops what was unused for longest",
     false},
    {"cache_dir", "~/.cache/kernelwright", "build cache and measurements of this machine", false},
    {"data_dir", "~/.local/share/kernelwright", "archive of everything tried", false},
};

const Setting* find_setting(std::string_view name) {
  for (const Setting& setting : kSettings)
    if (name == setting.name) return &setting;
  return nullptr;
}

Result<std::string> file_path() {
  if (const char* own = std::getenv("KERNELWRIGHT_CONFIG"); own != nullptr && *own != '\0')
    return std::string(own);
  if (const char* xdg = std::getenv("XDG_CONFIG_HOME"); xdg != nullptr && *xdg == '/')
    return fmt::format("{}/kernelwright.toml", xdg);
  KW_TRY(const std::filesystem::path home, base::home_dir());
  return (home / ".config" / "kernelwright.toml").string();
}

// A scalar as the text one would type after the option; a list joined with commas.
std::optional<std::string> as_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* list = node.as_array()) {
    std::string joined;
    for (const toml::node& item : *list) {
      const auto text = as_text(item);
      if (!text || item.is_array()) return std::nullopt;
      joined += (joined.empty() ? "" : ",") + *text;
    }
    return joined;
  }
  return std::nullopt;
}

}  // namespace

std::span<const Setting> settings_table() {
  return kSettings;
}

std::string setting_help(const std::string& name) {
  const Setting* setting = find_setting(name);
  KW_INVARIANT(setting != nullptr, "no setting " + name);
  return fmt::format("{} (default: {})", setting->help, setting->default_value);
}

std::string setting_variable(const std::string& name) {
  std::string variable = "KERNELWRIGHT_";
  for (const char c : name) variable += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return variable;
}

Result<Settings> Settings::load() {
  Settings settings;
  KW_TRY(settings.path_, file_path());
  const char* own = std::getenv("KERNELWRIGHT_CONFIG");
  const bool named = own != nullptr;
  if (named && *own == '\0') return settings;  // set but empty: no file at all
  std::error_code ec;
  if (!named && !std::filesystem::exists(settings.path_, ec)) return settings;
  auto content = base::read_file(settings.path_, 1 << 20);
  if (!content) return fail(ErrorKind::kUsage, content.error().message);
  try {
    const toml::table table = toml::parse(*content);
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      const std::string place = fmt::format("{}, line {}", settings.path_, key.source().begin.line);
      if (find_setting(name) == nullptr)
        return fail(ErrorKind::kUsage, fmt::format("{}: unknown setting '{}'", place, name));
      const auto text = as_text(node);
      if (!text)
        return fail(ErrorKind::kUsage,
                    fmt::format("{}: '{}' must be text, a number or a list", place, name));
      std::string value = *text;
      if (value.starts_with("~/")) {
        KW_TRY(const std::filesystem::path home, base::home_dir());
        value = (home / value.substr(2)).string();
      }
      settings.from_file_[name] = Value{std::move(value), place};
    }
  } catch (const toml::parse_error& e) {
    return fail(ErrorKind::kUsage, fmt::format("{}, line {}: {}", settings.path_,
                                               e.source().begin.line, e.description()));
  }
  return settings;
}

std::optional<Settings::Value> Settings::get(const std::string& name) const {
  const std::string variable = setting_variable(name);
  if (const char* text = std::getenv(variable.c_str()); text != nullptr && *text != '\0')
    return Value{text, variable};
  const auto it = from_file_.find(name);
  if (it == from_file_.end()) return std::nullopt;
  return it->second;
}

void Settings::export_to_environment() const {
  for (const Setting& setting : kSettings) {
    if (setting.has_option) continue;
    const auto it = from_file_.find(setting.name);
    if (it != from_file_.end())
      ::setenv(setting_variable(setting.name).c_str(), it->second.text.c_str(), 0);
  }
}

std::string settings_markdown() {
  std::string out =
      "# Settings\n\n"
      "A command-line option wins over an environment variable, and that over the settings file\n"
      "`~/.config/kernelwright.toml` (or the file that `KERNELWRIGHT_CONFIG` names), whose keys "
      "are the names\n"
      "below: `budget = \"5m\"`. This page is `kernelwright settings --markdown`.\n\n"
      "| setting | option | environment | default | what it is |\n"
      "|---|---|---|---|---|\n";
  for (const Setting& setting : kSettings) {
    std::string option = "–";
    if (setting.has_option) {
      option = "--" + std::string(setting.name);
      for (char& c : option)
        if (c == '_') c = '-';
      option = "`" + option + "`";
    }
    out += fmt::format("| `{}` | {} | `{}` | {} | {} |\n", setting.name, option,
                       setting_variable(setting.name), setting.default_value, setting.help);
  }
  return out;
}

}  // namespace kernelwright::cli
