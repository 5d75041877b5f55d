// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kernelwright::report {

// Text of files, kernels and models, for an element or a quoted attribute. Characters that are not
// seen and turn the direction of what follows are spelled out.
std::string escape_html(std::string_view text);

// The first `most` characters, with … where there were more. Not escaped.
std::string shortened(const std::string& text, size_t most);

// Fields of an object that may be missing or of another type: what a run's files say is data.
std::string text_at(const nlohmann::json& object, const char* key);  // as it is; else empty
std::string html_at(const nlohmann::json& object, const char* key);  // any scalar, escaped
double number_at(const nlohmann::json& object, const char* key);     // else 0, also for infinity
const nlohmann::json& object_at(const nlohmann::json& object, const char* key);  // else empty
const nlohmann::json& list_at(const nlohmann::json& object, const char* key);    // else empty

struct Column {
  std::string title;
  // kNumber stands to the right; neither it nor a brief text, which html_brief bounds, is wrapped.
  enum Kind { kText, kNumber, kBrief } kind = kText;
};
// Escaped, at most 24 characters, the whole in a title where there were more.
std::string html_brief(const std::string& text);
// Cells are HTML. Where the page is narrow each row is a block, its cells named by their columns.
std::string html_table(const std::vector<Column>& columns,
                       const std::vector<std::vector<std::string>>& rows);
// Names and values, both HTML; empty values are left out.
std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts);
std::string html_details(const std::string& summary, const std::string& body);
// The first characters of a program's id, the whole in its title.
std::string html_program(const std::string& id);

// "21.4 GB/s" of 2.14e10 "B/s": three digits, decimal prefix.
std::string scaled(double value, const std::string& unit);
std::string percent(double share);  // "81 %", "0.4 %"

}  // namespace kernelwright::report
