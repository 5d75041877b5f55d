// SPDX-License-Identifier: Apache-2.0
#include "agent/bounded_json.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace kernelwright::agent {
namespace {

using nlohmann::json;

// Looks at brackets outside of strings, before the parser builds anything.
bool too_deep(std::string_view text, int max_depth) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

}  // namespace

Result<json> parse_bounded_json(std::string_view text, int max_depth) {
  if (too_deep(text, max_depth))
    return fail(ErrorKind::kInput, fmt::format("JSON is nested deeper than {}", max_depth));
  json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return fail(ErrorKind::kInput, "not JSON");
  return parsed;
}

std::string text_member(const json& object, const char* name) {
  const json* found = member(object, name);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t count_member(const json& object, const char* name) {
  constexpr double kLargest = 9007199254740992.0;
  const json* found = member(object, name);
  if (found == nullptr || !found->is_number()) return 0;
  const double value = found->get<double>();
  return value >= 0 && value <= kLargest ? static_cast<int64_t>(value) : 0;
}

const json& inner_member(const json& object, const char* name) {
  static const json kEmpty = json::object();
  const json* found = member(object, name);
  return found != nullptr && found->is_structured() ? *found : kEmpty;
}

}  // namespace kernelwright::agent
