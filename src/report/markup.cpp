// SPDX-License-Identifier: Apache-2.0
#include "report/markup.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/table.h"

namespace kernelwright::report {
namespace {

using nlohmann::json;

constexpr size_t kBriefCharacters = 24;

// U+202A to U+202E, U+2066 to U+2069 and U+200E, U+200F, in UTF-8; 0: none begins here.
int direction_mark(std::string_view text, size_t at) {
  if (at + 2 >= text.size() || text[at] != '\xe2') return 0;
  const auto second = static_cast<unsigned char>(text[at + 1]);
  const auto third = static_cast<unsigned char>(text[at + 2]);
  const int code = 0x2000 + ((second & 0x3f) << 6) + (third & 0x3f);
  const bool marks = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
                     code == 0x200e || code == 0x200f;
  return marks && (second & 0xc0) == 0x80 && (third & 0xc0) == 0x80 ? code : 0;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if (const int code = direction_mark(text, i)) {
      out += fmt::format("[U+{:04X}]", code);
      i += 2;
    } else {
      out += c;
    }
  }
  return out;
}

std::string shortened(const std::string& text, size_t most) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (begins && characters++ == most) return text.substr(0, i) + "…";
  }
  return text;
}

std::string text_at(const json& object, const char* key) {
  const bool there = object.is_object() && object.contains(key) && object.at(key).is_string();
  return there ? object.at(key).get<std::string>() : "";
}

std::string html_at(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) return "";
  const json& value = object.at(key);
  if (value.is_string()) return escape_html(value.get<std::string>());
  return value.is_primitive() && !value.is_null() ? escape_html(value.dump()) : "";
}

double number_at(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object.at(key).is_number()) return 0;
  const double value = object.at(key).get<double>();
  return std::isfinite(value) ? value : 0;
}

const json& object_at(const json& object, const char* key) {
  static const json kNone = json::object();
  const bool there = object.is_object() && object.contains(key) && object.at(key).is_object();
  return there ? object.at(key) : kNone;
}

const json& list_at(const json& object, const char* key) {
  static const json kNone = json::array();
  const bool there = object.is_object() && object.contains(key) && object.at(key).is_array();
  return there ? object.at(key) : kNone;
}

std::string html_brief(const std::string& text) {
  const std::string brief = shortened(text, kBriefCharacters);
  if (brief == text) return escape_html(text);
  return fmt::format("<span title=\"{}\">{}</span>", escape_html(text), escape_html(brief));
}

std::string html_table(const std::vector<Column>& columns,
                       const std::vector<std::vector<std::string>>& rows) {
  static constexpr std::array<const char*, 3> kClasses = {"", " class=\"n\"", " class=\"w\""};
  std::string out = "<table class=\"rows\"><thead><tr>";
  for (const auto& column : columns)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", kClasses.at(column.kind), column.title);
  out += "</tr></thead><tbody>";
  for (const auto& row : rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size() && i < columns.size(); ++i)
      out += fmt::format("<td{} data-l=\"{}\"><div>{}</div></td>", kClasses.at(columns[i].kind),
                         columns[i].title, row[i]);
    out += "</tr>";
  }
  return out + "</tbody></table>";
}

std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string out = "<dl class=\"facts\">";
  for (const auto& [name, value] : facts)
    if (!value.empty()) out += fmt::format("<dt>{}</dt><dd>{}</dd>", name, value);
  return out + "</dl>";
}

std::string html_details(const std::string& summary, const std::string& body) {
  return fmt::format("<details><summary>{}</summary>{}</details>", summary, body);
}

std::string html_program(const std::string& id) {
  return fmt::format("<code title=\"{}\">{}</code>", escape_html(id),
                     escape_html(std::string_view(id).substr(0, 10)));
}

std::string scaled(double value, const std::string& unit) {
  static constexpr std::array<const char*, 6> kPrefixes = {"", "k", "M", "G", "T", "P"};
  size_t prefix = 0;
  while (std::fabs(value) >= 999.5 && prefix + 1 < kPrefixes.size()) {
    value /= 1e3;
    ++prefix;
  }
  const std::string digits = prefix == 0 ? fmt::format("{:.3g}", value) : three_digits(value);
  return fmt::format("{} {}{}", digits, kPrefixes.at(prefix), unit);
}

std::string percent(double share) {
  const double value = 100 * share;
  return value > 0 && value < 0.95 ? fmt::format("{:.1f} %", value)
                                   : fmt::format("{:.0f} %", value);
}

}  // namespace kernelwright::report
