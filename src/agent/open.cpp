// SPDX-License-Identifier: Apache-2.0
#include "agent/open.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "agent/bounded_json.h"
#include "agent/providers/http_provider.h"
#include "agent/replay.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Status read_number(const char* name, double low, double high, double& into) {
  const std::string text = variable(name);
  if (text.empty()) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= low && value <= high))
    return fail(ErrorKind::kUsage,
                fmt::format("{}: '{}' is no number from {} to {}", name, text, low, high));
  into = value;
  return {};
}

// What we set ourselves, and what would multiply the cost.
constexpr const char* kOurs[] = {"model",
                                 "messages",
                                 "input",
                                 "system",
                                 "instructions",
                                 "tools",
                                 "stream",
                                 "store",
                                 "n",
                                 "best_of",
                                 "max_tokens",
                                 "max_output_tokens",
                                 "max_completion_tokens",
                                 "stream_options"};

Result<std::map<std::string, std::string>> read_model_options(const std::string& text) {
  std::map<std::string, std::string> out;
  if (text.empty()) return out;
  const auto off = [](const std::string& why) {
    return fail(ErrorKind::kUsage, fmt::format("setting model_options: {}; expected "
                                               "{{\"MODEL\": {{\"member\": value}}}}",
                                               why));
  };
  const auto parsed = parse_bounded_json(text, 16);
  if (!parsed) return off(parsed.error().message);
  if (!parsed->is_object()) return off("no object");
  for (const auto& [model, options] : parsed->items()) {
    if (!options.is_object()) return off("'" + model + "' has no object");
    for (const char* name : kOurs)
      if (options.contains(name)) return off(fmt::format("'{}' is not an option", name));
    out[model] = options.dump();
  }
  return out;
}

}  // namespace

Result<ProviderSettings> ProviderSettings::from_environment() {
  ProviderSettings settings;
  KW_TRY(settings.keys, KeyRing::load(variable("KERNELWRIGHT_KEY_FILE")));
  KW_CHECK_OK(read_number("KERNELWRIGHT_MODEL_TIMEOUT_S", 1, 86400, settings.total_s));
  settings.idle_s = std::min(settings.idle_s, settings.total_s);
  double attempts = settings.attempts;
  KW_CHECK_OK(read_number("KERNELWRIGHT_MODEL_ATTEMPTS", 1, 100, attempts));
  settings.attempts = static_cast<int>(attempts);
  KW_TRY(settings.model_options, read_model_options(variable("KERNELWRIGHT_MODEL_OPTIONS")));
  return settings;
}

Result<PriceTable> prices_from_environment() {
  return PriceTable::parse(variable("KERNELWRIGHT_PRICES"));
}

Result<std::unique_ptr<Provider>> open_provider(const ModelSpec& spec,
                                                const ProviderSettings& settings,
                                                std::shared_ptr<Books> books) {
  if (books && books->offline())
    return std::unique_ptr<Provider>(std::make_unique<ReplayProvider>(spec, std::move(books)));
  if (books) KW_CHECK_OK(books->admit(spec.text));
  KW_TRY(std::string key, settings.keys.key_for(spec));
  return std::unique_ptr<Provider>(
      std::make_unique<HttpProvider>(spec, settings, std::move(key), std::move(books)));
}

}  // namespace kernelwright::agent
