// SPDX-License-Identifier: Apache-2.0
#include "agent/schema.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace kernelwright::agent {
namespace {

using nlohmann::json;

constexpr size_t kExcerpt = 60;

Status off(const std::string& place, const std::string& what) {
  return fail(ErrorKind::kUsage, fmt::format("{}: {}", place.empty() ? "arguments" : place, what));
}

std::string excerpt(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  return line.size() > kExcerpt ? line.substr(0, kExcerpt) + "..." : line;
}

std::string inside(const std::string& place, const std::string& key) {
  return place.empty() ? excerpt(key) : place + "." + excerpt(key);
}

bool is_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  return value.is_null();
}

Status check_type(const json& schema, const json& value, const std::string& place) {
  if (!schema.contains("type")) return {};
  const json& type = schema["type"];
  std::string wanted;
  for (const auto& one : type.is_array() ? type : json::array({type})) {
    if (is_type(value, one.get<std::string>())) return {};
    wanted += (wanted.empty() ? "" : " or ") + one.get<std::string>();
  }
  return off(place, fmt::format("expected {}, got {}", wanted, value.type_name()));
}

Status check(const json& schema, const json& value, const std::string& place);

Status check_object(const json& schema, const json& value, const std::string& place) {
  const json none = json::object();
  const json& properties = schema.contains("properties") ? schema["properties"] : none;
  // First what is unknown: it often is what is missing, by another name.
  const json others = schema.value("additionalProperties", json(true));
  for (const auto& [key, entry] : value.items()) {
    if (properties.contains(key) || others != false) continue;
    std::string known;
    for (const auto& [name, unused] : properties.items())
      known += (known.empty() ? "" : ", ") + name;
    return off(inside(place, key), "unknown; known are: " + known);
  }
  if (schema.contains("required"))
    for (const auto& key : schema["required"])
      if (!value.contains(key.get<std::string>()))
        return off(inside(place, key.get<std::string>()), "missing");
  if (schema.contains("maxProperties") && value.size() > schema["maxProperties"].get<size_t>())
    return off(place, fmt::format("more than {} entries", schema["maxProperties"].get<size_t>()));
  for (const auto& [key, entry] : value.items()) {
    if (properties.contains(key)) {
      KW_CHECK_OK(check(properties[key], entry, inside(place, key)));
    } else if (others.is_object()) {
      KW_CHECK_OK(check(others, entry, inside(place, key)));
    }
  }
  return {};
}

Status check_string(const json& schema, const std::string& value, const std::string& place) {
  if (schema.contains("minLength") && value.size() < schema["minLength"].get<size_t>())
    return off(place, value.empty() ? "empty"
                                    : fmt::format("{} bytes; at least {}", value.size(),
                                                  schema["minLength"].get<size_t>()));
  if (schema.contains("maxLength") && value.size() > schema["maxLength"].get<size_t>())
    return off(place, fmt::format("{} bytes; at most {}", value.size(),
                                  schema["maxLength"].get<size_t>()));
  return {};
}

Status check_number(const json& schema, const json& value, const std::string& place) {
  const double number = value.get<double>();
  const bool low = schema.contains("minimum") && !(number >= schema["minimum"].get<double>());
  const bool high = schema.contains("maximum") && !(number <= schema["maximum"].get<double>());
  if (!low && !high) return {};
  return off(place, fmt::format("{} is not within {} and {}", value.dump(),
                                schema.value("minimum", json("any")).dump(),
                                schema.value("maximum", json("any")).dump()));
}

Status check(const json& schema, const json& value, const std::string& place) {
  KW_CHECK_OK(check_type(schema, value, place));
  if (schema.contains("enum")) {
    bool found = false;
    for (const auto& one : schema["enum"]) found |= one == value;
    if (!found)
      return off(place,
                 fmt::format("{} is none of {}", excerpt(value.dump()), schema["enum"].dump()));
  }
  if (value.is_object()) return check_object(schema, value, place);
  if (value.is_string()) return check_string(schema, value.get_ref<const std::string&>(), place);
  if (value.is_number()) return check_number(schema, value, place);
  if (!value.is_array()) return {};
  if (schema.contains("maxItems") && value.size() > schema["maxItems"].get<size_t>())
    return off(place, fmt::format("more than {} items", schema["maxItems"].get<size_t>()));
  if (schema.contains("items"))
    for (size_t i = 0; i < value.size(); ++i)
      KW_CHECK_OK(check(schema["items"], value[i], fmt::format("{}[{}]", place, i)));
  return {};
}

}  // namespace

Result<json> parse_json(std::string_view text, size_t max_bytes, size_t max_depth) {
  if (text.size() > max_bytes)
    return fail(ErrorKind::kInput,
                fmt::format("{} bytes of JSON; at most {}", text.size(), max_bytes));
  std::string trouble;
  std::vector<std::set<std::string>> keys;
  // The callback cannot end the parser; what it drops costs no memory.
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    using Token = json::parse_event_t;
    if (static_cast<size_t>(depth) >= max_depth && trouble.empty())
      trouble = fmt::format("JSON nested deeper than {}", max_depth);
    if (event == Token::object_start && trouble.empty()) keys.emplace_back();
    if (event == Token::object_end && !keys.empty()) keys.pop_back();
    if (event == Token::key && !keys.empty() && trouble.empty() &&
        !keys.back().insert(parsed.get<std::string>()).second)
      trouble = fmt::format("duplicate key '{}'", excerpt(parsed.get<std::string>()));
    return trouble.empty();
  };
  json value = json::parse(text.begin(), text.end(), watch, false);
  if (!trouble.empty()) return fail(ErrorKind::kInput, trouble);
  if (value.is_discarded()) return fail(ErrorKind::kInput, "not JSON");
  return value;
}

Status check_schema(const json& schema, const json& value) {
  return check(schema, value, "");
}

}  // namespace kernelwright::agent
